"""How does an SMI TrafficSplit say this traffic wish? (Traffic-routing reference 4.4, 7.2.)"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES
from tiphys.api.rollout import CanaryStrategy, Rollout, SmiRouting
from tiphys.core.intent import Backend, Feature, HeaderRoute, MatchKind, Role, Routed, TextMatch, TrafficIntent
from tiphys.core.pairs import alternates, backends
from tiphys.traffic.about import about
from tiphys.traffic.manifests import annotations, mapping, with_annotation
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.route_steps import read_back, written_down
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import HTTP_ROUTE_GROUP, SMI_VERSIONS, TRAFFIC_SPLIT, Settings
from tiphys.traffic.shares import wished_experiments

SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
        Feature.MAX_WEIGHT,
    }
)

_HEADERS: Final = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX})
_WITHOUT_MATCHES: Final = ("v1alpha1", "v1alpha2")
_FIELD: Final = "spec.strategy.canary.trafficRouting.smi"
_SUFFIX: Final = "-header-routes"
_LONGEST: Final = 253
_META: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiRouter:
    """
    One TrafficSplit of ours over the *root* Service; header routes have a second one, with an HTTPRouteGroup.

    *canary* and *stable* are the Services; a wish brings its own. *version* is that of both API groups. *malformed* is what is wrong
    with the `smi` block and with the operator's choice of version.
    """

    owner: Owner
    namespace: str
    canary: str
    stable: str
    root: str
    split: str
    version: str
    maximum: int = 100
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "smi"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what the version can do: a TrafficSplit names route groups from v1alpha3 on."""
        return SUPPORTS - _HEADERS if self.version in _WITHOUT_MATCHES else SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name our objects, all of which may be missing."""
        return [self._main] if self.version in _WITHOUT_MATCHES else [self._main, self._matched, self._group]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell what is wrong with the block, and which of our names is taken."""
        problems = list(self.malformed)
        try:
            self._written(self._wish(0, {}), found)
        except SpecError as error:
            problems.append(error)
        return problems

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """
        Read what the objects say now; what is not as we would write it agrees to nothing.

        A weight that cannot be read counts as 0: it is written again.
        """
        try:
            weights = _weights(found.get(self._main, {}))
            headers = self._headers(found)
            again = self._written(self._wish(weights.get(self.canary, 0), weights, headers), found)
        except SpecError:
            return None
        total = sum(weights.values())
        scale = self.maximum / total if total else 1
        canary = min(self.maximum, -int(-weights.get(self.canary, 0) * scale // 1))
        experiments = {name: int(weight * scale) for name, weight in weights.items() if name not in {self.canary, self.stable}}
        return Routed(
            canary=canary,
            stable=max(0, self.maximum - canary - sum(experiments.values())),
            experiments=tuple(Backend(role=Role.EXPERIMENT, service=name, weight=weight) for name, weight in experiments.items()),
            header_routes=headers,
            uniform=total == self.maximum
            and not self._left_over(found)
            and again == {ref: found[ref] for ref in self.reads() if ref in found},
        )

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the objects that say *wish*; those of ours that it does not need go.

        Raises:
            SpecError: the `smi` block is malformed, or a name is taken.

        """
        if self.malformed:
            raise self.malformed[0]
        apply = self._written(wish, found)
        spare = [ref for ref in self.reads() if ref in found and ref not in apply and self._ours(found[ref])]
        return Rendered(apply=apply, absent=frozenset((*spare, *self._left_over(found))))

    @property
    def _main(self) -> Ref:
        return self._ref(TRAFFIC_SPLIT, self.split)

    @property
    def _matched(self) -> Ref:
        return self._ref(TRAFFIC_SPLIT, _beside(self.split))

    @property
    def _group(self) -> Ref:
        return self._ref(HTTP_ROUTE_GROUP, _beside(self.split))

    def _ref(self, kind: tuple[str, str], name: str) -> Ref:
        return Ref(group=kind[0], kind=kind[1], namespace=self.namespace, name=name)

    def _left_over(self, found: Mapping[Ref, Manifest]) -> list[Ref]:
        """Name the objects of ours that an earlier spec asked for under other names; the groups only when nothing refers to them."""
        kinds = (TRAFFIC_SPLIT, HTTP_ROUTE_GROUP)
        left = [ref for ref in found.keys() - set(self.reads()) if (ref.group, ref.kind) in kinds and self._ours(found[ref])]
        return [ref for ref in left if ref.kind == TRAFFIC_SPLIT[1]] or left

    def _wish(self, canary: int, weights: Mapping[str, int], headers: tuple[HeaderRoute, ...] = ()) -> TrafficIntent:
        """Give the wish that objects with these *weights* say."""
        others = [name for name in weights if name not in {self.canary, self.stable}]
        stable = weights.get(self.stable, self.maximum - canary)
        return TrafficIntent(
            backends=(
                Backend(role=Role.STABLE, service=self.stable, weight=stable),
                Backend(role=Role.CANARY, service=self.canary, weight=canary),
                *(Backend(role=Role.EXPERIMENT, service=name, weight=weights[name]) for name in others),
            ),
            header_routes=headers,
            maximum=self.maximum,
        )

    def _headers(self, found: Mapping[Ref, Manifest]) -> tuple[HeaderRoute, ...]:
        """Read the header routes that the route group remembers."""
        group = found.get(self._group) if self._group in self.reads() else None
        return () if group is None else read_back(annotations(group).get(HEADER_ROUTES), HeaderRoute) or ()

    def _written(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> dict[Ref, Manifest]:
        """Give the objects that *wish* needs, as they should be."""
        canary = wish.backend(Role.CANARY)
        if canary is None:
            self._claim(self._main, found)
            return {}
        stable = wish.backend(Role.STABLE)
        experiments = wished_experiments(wish)
        weights = {canary.service: canary.weight, **experiments, "" if stable is None else stable.service: wish.weight(Role.STABLE)}
        written = {self._main: self._split_of(self._main, found, weights)}
        if not wish.header_routes:
            return written
        if self.version in _WITHOUT_MATCHES:
            raise SpecError(field=_FIELD, found=self.version, wanted="header routes need TrafficSplits of v1alpha3 or v1alpha4")
        reference = {"kind": self._group.kind, "name": self._group.name}
        return {
            **written,
            self._group: self._group_of(found, wish.header_routes),
            self._matched: self._split_of(self._matched, found, {canary.service: wish.maximum}, matches=[reference]),
        }

    def _split_of(
        self, ref: Ref, found: Mapping[Ref, Manifest], weights: Mapping[str, int], *, matches: Sequence[Manifest] = ()
    ) -> Manifest:
        """Give the TrafficSplit at *ref*; the first version has its weights as quantities."""
        present = self._claim(ref, found)
        quantities = str(present.get("apiVersion", "")).endswith("/v1alpha1")
        listed = list(_weights(present))  # in this order, so that Services that exchange their roles change nothing here
        weights = dict(sorted(weights.items(), key=lambda item: listed.index(item[0]) if item[0] in listed else len(listed)))
        spec = {
            "service": self.root,
            "backends": [{"service": name, "weight": str(weight) if quantities else weight} for name, weight in weights.items()],
            **({"matches": list(matches)} if matches else {}),
        }
        with about(f"{_FIELD}.trafficSplitName", self.split, ref):
            others = {
                key: value for key, value in mapping(present.get("spec"), "spec").items() if key not in {"service", "backends", "matches"}
            }
        return {**present, "spec": {**others, **spec}}

    def _group_of(self, found: Mapping[Ref, Manifest], routes: Sequence[HeaderRoute]) -> Manifest:
        """Give the route group: its matches are alternatives, as the entries of all *routes* are."""
        present = self._claim(self._group, found)
        matches = [
            {"name": f"{route.name}-{index}", "headers": [{match.header: _pattern(match.value)}]}
            for route in routes
            for index, match in enumerate(route.any_of)
        ]
        with about(f"{_FIELD}.trafficSplitName", self.split, self._group):
            spec = {**mapping(present.get("spec"), "spec"), "matches": matches}
            return with_annotation({**present, "spec": spec}, HEADER_ROUTES, written_down(routes))

    def _claim(self, ref: Ref, found: Mapping[Ref, Manifest]) -> Manifest:
        """Give the object at *ref*, or the beginning of a new one; it must be ours."""
        present = found.get(ref)
        if present is None:
            return {"apiVersion": f"{ref.group}/{self.version}", "kind": ref.kind, "metadata": self.owner.metadata(ref)}
        with about(f"{_FIELD}.trafficSplitName", self.split, ref):
            ours = self.owner.controls(present)
        if not ours:
            self.owner.claim(present, ref, field=f"{_FIELD}.trafficSplitName", found=self.split)
        return present

    def _ours(self, manifest: Manifest) -> bool:
        try:
            return self.owner.controls(manifest)
        except SpecError:
            return False


def smi_router(rollout: Rollout, settings: Settings) -> SmiRouter:
    """Give the router for the `smi` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.smi is None:
        raise ValueError("a Rollout without an smi block has no SMI router")
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    return SmiRouter(
        owner=owner_of(rollout),
        namespace=rollout.metadata.namespace,
        canary=pair.canary,
        stable=pair.stable,
        root=routing.smi.root_service or pair.stable,
        split=routing.smi.traffic_split_name or rollout.metadata.name,
        version=settings.smi_version,
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        malformed=tuple(_malformed(routing.smi, canary, settings)),
    )


def _malformed(smi: SmiRouting, canary: CanaryStrategy, settings: Settings) -> Iterator[SpecError]:
    if settings.smi_version not in SMI_VERSIONS:
        wanted = f"the controller must be started with one of {', '.join(SMI_VERSIONS)} as version of TrafficSplits"
        yield SpecError(field=_FIELD, found=settings.smi_version, wanted=wanted)
    if canary.ping_pong is not None and alternates(canary):
        pair = (canary.ping_pong.ping_service, canary.ping_pong.pong_service)
        if smi.root_service in {"", *pair}:
            wanted = "must be a third Service, which pingPong does not name: requests to the root Service are the ones that are split"
            yield SpecError(field=f"{_FIELD}.rootService", found=smi.root_service or None, wanted=wanted)
    elif smi.root_service and smi.root_service == canary.canary_service:
        wanted = "must not be the canary Service: requests to the root Service are the ones that are split"
        yield SpecError(field=f"{_FIELD}.rootService", found=smi.root_service, wanted=wanted)


def _beside(split: str) -> str:
    return f"{split[: _LONGEST - len(_SUFFIX)]}{_SUFFIX}"


def _weights(split: Manifest) -> dict[str, int]:
    """Read the weights of a TrafficSplit of ours by Service, in order; what is no weight counts as 0."""
    spec = split.get("spec")
    backends = spec.get("backends") if isinstance(spec, dict) else None
    members = [member for member in backends if isinstance(member, dict)] if isinstance(backends, list) else []
    return {str(member["service"]): _weight(member.get("weight")) for member in members if member.get("service")}


def _weight(value: Any) -> int:  # noqa: ANN401  any JSON value
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _pattern(value: TextMatch) -> str:
    """Give the regular expression, for the whole value of a header, that compares as *value* says."""
    match value.kind:
        case MatchKind.EXACT:
            return f"^{_escaped(value.value)}$"
        case MatchKind.PREFIX:
            return f"^{_escaped(value.value)}.*$"
        case MatchKind.REGEX:
            return f"^(?:{value.value})$"


def _escaped(value: str) -> str:
    return _META.sub(r"\\\g<0>", value)
