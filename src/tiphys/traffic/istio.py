"""How does Istio say this traffic wish? (Traffic-routing reference 4.1.)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, IstioDestinationRule, IstioRouting, IstioVirtualService, Rollout
from tiphys.core.intent import Feature, Role, Routed, TrafficIntent
from tiphys.core.pairs import alternates, backends
from tiphys.traffic import istio_rules
from tiphys.traffic.about import about
from tiphys.traffic.istio_hosts import Sides, recorded_experiments
from tiphys.traffic.istio_services import VirtualService, said, take_apart, warnings, written
from tiphys.traffic.manifests import annotations
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.shares import wished_experiments
from tiphys.traffic.together import combine

GROUP: Final = "networking.istio.io"
SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.MIRROR,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
        Feature.MAX_WEIGHT,
        Feature.SUBSETS,
    }
)

_FIELD: Final = "spec.strategy.canary.trafficRouting.istio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One VirtualService: *spec* says which of its entries are meant, *field* is the field of the Rollout that names it."""

    ref: Ref
    field: str
    spec: IstioVirtualService


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioRouter:
    """
    VirtualServices that split by host or, with a DestinationRule, by subset.

    *canary* and *stable* are the Services by role as the status has it; a wish brings its own. *needs_http* says that the steps
    set header or mirror routes. *malformed* is what is wrong with the Rollout's own `istio` block.
    """

    rollout: str
    namespace: str
    canary: str
    stable: str
    targets: tuple[Target, ...]
    rule: IstioDestinationRule | None = None
    managed: tuple[str, ...] = ()
    maximum: int = 100
    needs_http: bool = False
    inherit: bool = False
    malformed: tuple[SpecError, ...] = ()
    _read: dict[Ref, tuple[Manifest, Sides, Sequence[str], VirtualService]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The last reading of each VirtualService: problems, what is routed and what to render all begin with it."""

    @property
    def name(self) -> str:
        """Name the product."""
        return "istio"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what Istio can do; subsets stand for Services only where a DestinationRule names them."""
        return SUPPORTS if self.rule is not None else SUPPORTS - {Feature.SUBSETS}

    def reads(self) -> Sequence[Ref]:
        """Name the VirtualServices and the DestinationRule."""
        return [*(target.ref for target in self.targets), *([self._rule_ref] if self.rule is not None else [])]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the objects."""
        problems = [*self.malformed, *self._rule_problems(found)]
        for target in self.targets:
            try:
                service = self._taken_apart(target, found, self._sides(None), self.managed)
            except SpecError as error:
                problems.append(error)
                continue
            if self.needs_http and service.first_http() is None:
                problems.append(_wrong(target, "the steps set header or mirror routes, which need an http entry that carries the weights"))
        return problems

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the objects say now, or nothing where that cannot be told; a VirtualService that cannot be read agrees to nothing."""
        together = combine([answer for target in self.targets for answer in self._said(target, found)])
        if together is None or self.rule is None:
            return together
        try:
            rule = self._found_rule(found, self.rule)
            return replace(
                together,
                canary_hash=istio_rules.selected_hash(rule, self.rule.canary_subset_name),
                stable_hash=istio_rules.selected_hash(rule, self.rule.stable_subset_name),
            )
        except SpecError:
            return None

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the objects that say *wish*.

        Raises:
            SpecError: the `istio` block is malformed, or no object can be rendered.

        """
        if self.malformed:
            raise self.malformed[0]
        sides = self._sides(wish)
        apply: dict[Ref, Manifest] = {}
        told: list[str] = []
        errors: list[SpecError] = []
        for target in self.targets:
            try:
                service = self._taken_apart(target, found, sides, wish.managed)
                with about(target.field, target.spec.name, target.ref):
                    apply[target.ref] = written(service, wish)
                    told += [f"{target.ref}: {warning}" for warning in warnings(service, wish)]
            except SpecError as error:
                errors.append(error)
        if self.rule is not None:
            try:
                rule = self._found_rule(found, self.rule)
                with about(f"{_FIELD}.destinationRule.name", self.rule.name, self._rule_ref):
                    apply[self._rule_ref] = istio_rules.selecting(rule, _hashes(self.rule, wish), rollout=self.rollout)
            except SpecError as error:
                errors.append(error)
        if errors and not apply:
            raise errors[0]
        return Rendered(apply=apply, warnings=tuple(told), errors=tuple(errors))

    @property
    def _rule_ref(self) -> Ref:
        name = "" if self.rule is None else self.rule.name
        return Ref(group=GROUP, kind="DestinationRule", namespace=self.namespace, name=name)

    def _sides(self, wish: TrafficIntent | None) -> Sides:
        """Say how destinations are told apart; the roles of *wish* come before those of the status."""
        wished = dict.fromkeys(Role, "")
        if wish is not None:
            wished |= {backend.role: backend.service for backend in wish.backends if backend.role is not Role.EXPERIMENT}
        stable = wished[Role.STABLE] or self.stable
        return Sides(
            rollout=self.rollout,
            namespace=self.namespace,
            canary=wished[Role.CANARY] or (self.stable if stable == self.canary else self.canary),
            stable=stable,
            rule=self.rule,
            wanted=frozenset() if wish is None else frozenset(wished_experiments(wish)),
        )

    def _taken_apart(self, target: Target, found: Mapping[Ref, Manifest], sides: Sides, managed: Sequence[str]) -> VirtualService:
        manifest = found.get(target.ref)
        if manifest is None:
            raise SpecError(field=target.field, found=target.spec.name, wanted=f"must name an existing VirtualService ({target.ref})")
        with about(target.field, target.spec.name, target.ref):
            known = replace(sides, recorded=recorded_experiments(manifest), rule_host=self._rule_host(found))
            last = self._read.get(target.ref)
            if last is not None and last[0] is manifest and last[1:3] == (known, managed):
                return last[3]
            away = target.ref.namespace != self.namespace
            service = take_apart(manifest, target.spec, managed, known, inherit=self.inherit, away=away)
            self._read[target.ref] = (manifest, known, managed, service)
            return service

    def _said(self, target: Target, found: Mapping[Ref, Manifest]) -> Sequence[Routed | None]:
        try:
            return said(self._taken_apart(target, found, self._sides(None), self.managed), self.managed, self.maximum)
        except SpecError:
            return [None]

    def _rule_host(self, found: Mapping[Ref, Manifest]) -> str:
        """Give the DestinationRule's host, or nothing where it cannot be told; that it must be there is asked elsewhere."""
        rule = None if self.rule is None else found.get(self._rule_ref)
        try:
            return "" if rule is None else istio_rules.host(rule)
        except SpecError:
            return ""

    def _found_rule(self, found: Mapping[Ref, Manifest], wanted: IstioDestinationRule) -> Manifest:
        rule = found.get(self._rule_ref)
        if rule is None:
            raise SpecError(
                field=f"{_FIELD}.destinationRule.name",
                found=wanted.name,
                wanted=f"must name an existing DestinationRule ({self._rule_ref})",
            )
        return rule

    def _rule_problems(self, found: Mapping[Ref, Manifest]) -> list[SpecError]:
        if self.rule is None:
            return []
        problems: list[SpecError] = []
        try:
            rule = self._found_rule(found, self.rule)
            with about(f"{_FIELD}.destinationRule.name", self.rule.name, self._rule_ref):
                istio_rules.host(rule)
                annotations(rule)
        except SpecError as error:
            return [error]
        for key, subset in (("canarySubsetName", self.rule.canary_subset_name), ("stableSubsetName", self.rule.stable_subset_name)):
            if not subset:
                continue
            try:
                istio_rules.selected_hash(rule, subset)
            except SpecError as error:
                problems.append(SpecError(field=f"{_FIELD}.destinationRule.{key}", found=subset, wanted=f"{self._rule_ref}: {error}"))
        return problems


def istio_router(rollout: Rollout, settings: Settings) -> IstioRouter:
    """Give the router for the `istio` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.istio is None:
        raise ValueError("a Rollout without an istio block has no Istio router")
    istio = routing.istio
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    targets = _targets(istio, rollout.metadata.namespace)
    return IstioRouter(
        rollout=rollout.metadata.name,
        namespace=rollout.metadata.namespace,
        canary=pair.canary,
        stable=pair.stable,
        targets=tuple(dict.fromkeys(targets)),
        rule=istio.destination_rule,
        managed=tuple(dict.fromkeys(route.name for route in routing.managed_routes)),
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        needs_http=any(step.set_header_route or step.set_mirror_route for step in canary.steps),
        inherit=settings.istio_inherit,
        malformed=(*_malformed(istio, targets), *_two_ways(istio, canary)),
    )


def _two_ways(istio: IstioRouting, canary: CanaryStrategy) -> Iterator[SpecError]:
    """Refuse to tell versions apart by alternating Services and by subsets at once: promotion moves pods in the one, names in the other."""
    if istio.destination_rule is not None and alternates(canary):
        wanted = "must be left out beside pingPong: either Services or subsets tell the versions apart"
        yield SpecError(field=f"{_FIELD}.destinationRule", found=istio.destination_rule.name, wanted=wanted)


def place(name: str, namespace: str) -> Ref:
    """
    Read a VirtualService's *name* as written in a Rollout of *namespace*.

    It is `name` or `name.namespace`, with or without `.cluster.local`; a name that has dots itself needs its namespace.
    """
    own, dot, where = name.removesuffix(".cluster.local").rpartition(".")
    return Ref(group=GROUP, kind="VirtualService", namespace=where if dot else namespace, name=own if dot else where)


def _targets(istio: IstioRouting, namespace: str) -> list[Target]:
    singular = [] if istio.virtual_service is None else [(f"{_FIELD}.virtualService.name", istio.virtual_service)]
    plural = [(f"{_FIELD}.virtualServices.name", service) for service in istio.virtual_services]
    return [Target(ref=place(spec.name, namespace), field=field, spec=spec) for field, spec in (*singular, *plural) if spec.name]


def _malformed(istio: IstioRouting, targets: Sequence[Target]) -> Iterator[SpecError]:
    if (istio.virtual_service is None) == (not istio.virtual_services):
        both = None if istio.virtual_service is None else "both"
        yield SpecError(field=_FIELD, found=both, wanted="needs exactly one of virtualService and virtualServices")
    if istio.virtual_service is not None and not istio.virtual_service.name:
        yield SpecError(field=f"{_FIELD}.virtualService.name", found=None, wanted="needs the name of a VirtualService")
    if any(not service.name for service in istio.virtual_services):
        yield SpecError(field=f"{_FIELD}.virtualServices.name", found=None, wanted="needs the name of a VirtualService")
    refs = [target.ref for target in targets]
    for target in targets:
        if refs.count(target.ref) > 1:
            yield SpecError(field=target.field, found=target.spec.name, wanted="must be listed once")
            break
    rule = istio.destination_rule
    if rule is None:
        return
    for key, name in (("name", rule.name), ("canarySubsetName", rule.canary_subset_name), ("stableSubsetName", rule.stable_subset_name)):
        if not name:
            yield SpecError(field=f"{_FIELD}.destinationRule.{key}", found=None, wanted="needs a name")
    if rule.canary_subset_name and rule.canary_subset_name == rule.stable_subset_name:
        yield SpecError(
            field=f"{_FIELD}.destinationRule.stableSubsetName", found=rule.stable_subset_name, wanted="must differ from canarySubsetName"
        )


def _hashes(rule: IstioDestinationRule, wish: TrafficIntent) -> dict[str, str]:
    """Give the hash each subset has to select; without a canary its subset selects by no hash, as at the start."""
    canary, stable = wish.backend(Role.CANARY), wish.backend(Role.STABLE)
    hashes = {rule.canary_subset_name: "" if canary is None else canary.pod_hash}
    return hashes if stable is None else hashes | {rule.stable_subset_name: stable.pod_hash}


def _wrong(target: Target, what: str) -> SpecError:
    return SpecError(field=target.field, found=target.spec.name, wanted=f"{target.ref}: {what}")
