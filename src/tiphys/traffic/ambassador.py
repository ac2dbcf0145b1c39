"""How does Ambassador, or Emissary, say this traffic wish? (Traffic-routing reference 4.6.)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, MIRROR_ROUTES, ROUTED_EXPERIMENTS
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Backend, Feature, HeaderRoute, MirrorRoute, Role, Routed, TrafficIntent
from tiphys.traffic import ambassador_copies as copies
from tiphys.traffic.about import about
from tiphys.traffic.manifests import annotations, count, entries, mapping, text, with_annotation
from tiphys.traffic.named_members import container_ports, services_by_role, weighs_experiments
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.route_steps import Standing, read_back, standing_routes, written_down
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.shares import wished_experiments
from tiphys.traffic.together import combine

GROUP: Final = "getambassador.io"
SUPPORTS: Final = frozenset(
    {Feature.WEIGHTS, Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR, Feature.EXPERIMENTS}
)

_FIELD: Final = "spec.strategy.canary.trafficRouting.ambassador.mappings"
_KIND: Final = "Mapping"
_LONGEST: Final = 253
_CANARY: Final = "-canary"
_SHADOW: Final = "-shadow"
_WHOLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one base Mapping's copies have to say, and which Services they are about."""

    canary: str
    stable: str
    weight: int
    headers: tuple[HeaderRoute, ...]
    mirrors: tuple[MirrorRoute, ...]
    managed: tuple[str, ...]
    experiments: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is special about one copy: its spec, and what it notes of header routes, mirror routes and an experiment."""

    spec: Mapping[str, Any]
    headers: str = ""
    mirrors: str = ""
    experiment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbassadorRouter:
    """
    Base Mappings of the user's, each with copies of ours: one that carries the canary's weight, and those of managed routes.

    The bases are never written: what a copy does not take, its base gets. A copy exists while it is needed, and is made anew from its
    base in every pass. *standing* are the routes that the steps will wish for; *ports* are the containers'
    and *experiments* says that steps weigh some; *malformed* is what is wrong with the Rollout's own fields.
    """

    owner: Owner
    namespace: str
    bases: tuple[str, ...]
    canary: str
    stable: str
    managed: tuple[str, ...] = ()
    standing: tuple[Standing, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    experiments: bool = False
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "ambassador"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what Mappings can do; what they can do only in part is among the problems, step by step."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the bases, and every copy that may stand; those of experiments, whose names nobody knows, are found as ours."""
        return [ref for base in self.bases for ref in (self._ref(base), *self._copy_refs(base, self.managed))]

    def makes(self, found: Mapping[Ref, Manifest]) -> Sequence[Ref]:
        """Name the Mappings that lead to experiments, as far as they stand."""
        named = set(self.reads())
        return [ref for base in self.bases for ref in self._copy_refs(base, self.managed, found) if ref not in named]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the Mappings."""
        problems = [*self.malformed]
        for base in self.bases:
            problems += self._claims(base, found, self.managed)
            try:
                self._wanted(base, found, self._asked(weight=1, experiments={"experiment": 1} if self.experiments else {}))
            except SpecError as error:
                problems.append(error)
                continue
            problems += self._unsayable(base, found)
        return list(dict.fromkeys(problems))

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the Mappings say now, or nothing where that cannot be told."""
        left = [Routed(canary=0, stable=_WHOLE, uniform=False)] if self._left_over(found, self.managed) else []
        return combine([*(self._said(base, found) for base in self.bases), *left])

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the Mappings that say *wish*.

        Raises:
            SpecError: the Rollout's own fields are malformed.

        """
        if self.malformed:
            raise self.malformed[0]
        canary, stable = services_by_role(wish, canary=self.canary, stable=self.stable)
        asked = Asked(
            canary=canary,
            stable=stable,
            weight=wish.weight(Role.CANARY),
            headers=wish.header_routes,
            mirrors=wish.mirrors,
            managed=wish.managed,
            experiments=wished_experiments(wish),
        )
        apply: dict[Ref, Manifest] = {}
        absent = self._left_over(found, wish.managed)
        errors: list[SpecError] = []
        for base in self.bases:
            errors += self._claims(base, found, wish.managed)
            ours = {ref for ref in self._copy_refs(base, wish.managed, found) if self._is_ours(base, ref, found)}
            try:
                wanted = self._wanted(base, found, asked)
            except SpecError as error:
                errors.append(error)
                # The way back to stable does not wait for a base that is gone.
                absent |= ours - self._named(base, asked)
                continue
            apply |= {ref: manifest for ref, manifest in wanted.items() if ref not in found or ref in ours or ref == self._ref(base)}
            absent |= ours - wanted.keys()
        return Rendered(apply=apply, absent=frozenset(absent), errors=tuple(errors))

    # Reading

    def _said(self, base: str, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read one base with its copies; what we would write for the answer must be what stands there, or the answer is not uniform."""
        try:
            weight = self._weight(found.get(self._at(base, "", _CANARY)))
            experiments = {
                service: self._weight(found.get(self._at(base, "", _experiment(service))))
                for service in self._experiments(found)
                if self._at(base, "", _experiment(service)) in found
            }
            headers, mirrors = self._routes(base, found)
            asked = self._asked(weight=weight, headers=headers, mirrors=mirrors, experiments=experiments)
            there = {ref: found[ref] for ref in (self._ref(base), *self._copy_refs(base, self.managed, found)) if ref in found}
            same = self._wanted(base, found, asked) == there and all(self._controls(found[ref]) for ref in there if ref.name != base)
        except SpecError:
            return None
        return Routed(
            canary=weight,
            stable=max(0, _WHOLE - weight - sum(experiments.values())),
            experiments=tuple(Backend(role=Role.EXPERIMENT, service=name, weight=share) for name, share in sorted(experiments.items())),
            header_routes=headers,
            mirrors=mirrors,
            uniform=same,
        )

    def _weight(self, copy: Manifest | None) -> int:
        """Give the weight of the canary's Mapping; one without a weight shares with its base by halves."""
        if copy is None:
            return 0
        weight = mapping(copy.get("spec"), "spec").get("weight")
        return _WHOLE // 2 if weight is None else min(_WHOLE, count(weight, "spec.weight"))

    def _routes(self, base: str, found: Mapping[Ref, Manifest]) -> tuple[tuple[HeaderRoute, ...], tuple[MirrorRoute, ...]]:
        headers: dict[str, HeaderRoute] = {}
        mirrors: dict[str, MirrorRoute] = {}
        for ref in self._copy_refs(base, self.managed):
            kept = annotations(found[ref]) if ref in found else {}
            headers |= {route.name: route for route in read_back(kept.get(HEADER_ROUTES), HeaderRoute) or ()}
            mirrors |= {route.name: route for route in read_back(kept.get(MIRROR_ROUTES), MirrorRoute) or ()}
        return (
            tuple(headers[name] for name in self.managed if name in headers),
            tuple(mirrors[name] for name in self.managed if name in mirrors),
        )

    def _asked(
        self,
        *,
        weight: int,
        headers: tuple[HeaderRoute, ...] = (),
        mirrors: tuple[MirrorRoute, ...] = (),
        experiments: Mapping[str, int] | None = None,
    ) -> Asked:
        return Asked(
            canary=self.canary,
            stable=self.stable,
            weight=weight,
            headers=headers,
            mirrors=mirrors,
            managed=self.managed,
            experiments=experiments or {},
        )

    # Writing

    def _wanted(self, base: str, found: Mapping[Ref, Manifest], asked: Asked) -> dict[Ref, Manifest]:
        """Give the base as it stands, and its copies as *asked*."""
        ref = self._ref(base)
        manifest = found.get(ref)
        if manifest is None:
            raise SpecError(field=_FIELD, found=base, wanted=f"must name an existing Mapping ({ref})")
        with about(_FIELD, base, ref):
            made = self._copies(base, mapping(manifest.get("spec"), "spec"), asked)
        return {ref: manifest, **{copy: self._copy(copy, manifest, found, content) for copy, content in made.items()}}

    def _copies(self, base: str, spec: Mapping[str, Any], asked: Asked) -> dict[Ref, Content]:
        """Give what is special about each copy of the base with *spec*."""
        copies.check(asked.headers, asked.mirrors)
        turned = copies.redirected(spec, stable=asked.stable, canary=asked.canary, namespace=self.namespace)
        made = self._shares(base, "", turned, asked)
        names = (*asked.managed, *(route.name for route in asked.headers), *(route.name for route in asked.mirrors))
        order = list(dict.fromkeys(names))
        for route in asked.headers:
            above = len(order) - order.index(route.name)
            for place, match in zip(_places(route.name), route.any_of, strict=False):
                made[self._at(base, place)] = Content(spec=copies.by_header(turned, match, above), headers=written_down((route,)))
        for mirror in asked.mirrors:
            note = written_down((mirror,))
            if copies.is_of_everything(mirror):
                made[self._at(base, f"-{mirror.name}", _SHADOW)] = Content(spec=copies.mirrored(turned, mirror), mirrors=note)
                continue
            above = len(order) - order.index(mirror.name)
            for place, condition in zip(_places(mirror.name), mirror.any_of, strict=False):
                # A group of its own, with the weights of the base's and a shadow.
                narrow = copies.narrowed(turned, condition, above)
                made[self._at(base, place)] = Content(spec={**narrow, "service": spec["service"]}, mirrors=note)
                made |= {ref: replace(share, mirrors=note) for ref, share in self._shares(base, place, narrow, asked).items()}
                made[self._at(base, place, _SHADOW)] = Content(spec=copies.mirrored(narrow, mirror), mirrors=note)
        return made

    def _shares(self, base: str, place: str, turned: Mapping[str, Any], asked: Asked) -> dict[Ref, Content]:
        """Give the copies that take their shares of what is answered at *place*; *turned* leads to the canary."""
        shares = {self._at(base, place, _CANARY): Content(spec=copies.weighted(turned, asked.weight))} if asked.weight else {}
        for service, weight in asked.experiments.items():
            led = copies.to_experiment(turned, service, self.ports)
            shares[self._at(base, place, _experiment(service))] = Content(spec=copies.weighted(led, weight), experiment=service)
        return shares

    def _copy(self, ref: Ref, base: Manifest, found: Mapping[Ref, Manifest], content: Content) -> Manifest:
        manifest = found.get(ref) or {"apiVersion": base.get("apiVersion"), "kind": ref.kind, "metadata": {}}
        if not self._controls(manifest):
            manifest = {**manifest, "metadata": {**mapping(manifest.get("metadata"), "metadata"), **self.owner.metadata(ref)}}
        for key, note in ((HEADER_ROUTES, content.headers), (MIRROR_ROUTES, content.mirrors), (ROUTED_EXPERIMENTS, content.experiment)):
            manifest = with_annotation(manifest, key, note)
        return {**manifest, "spec": content.spec}

    def _named(self, base: str, asked: Asked) -> set[Ref]:
        """Name the copies that *asked* needs, whatever they look like."""
        routes: list[HeaderRoute | MirrorRoute] = [*asked.headers, *asked.mirrors]
        entries = [place for route in routes for place in _places(route.name)[: len(route.any_of)]]
        ends = ["", _SHADOW, *map(_experiment, asked.experiments), *([_CANARY] if asked.weight else [])]
        return {self._at(base, place, end) for place in ("", *entries, *(f"-{route.name}" for route in asked.mirrors)) for end in ends}

    def _unsayable(self, base: str, found: Mapping[Ref, Manifest]) -> Iterator[SpecError]:
        """Name the steps whose routes, with those that stand there already, the copies cannot say."""
        for standing in self.standing:
            try:
                self._wanted(base, found, self._asked(weight=1, headers=standing.headers, mirrors=standing.mirrors))
            except SpecError as error:
                yield SpecError(field=standing.field, found=standing.name, wanted=f'the router "ambassador": {error.wanted}')

    # Whose is a Mapping?

    def _claims(self, base: str, found: Mapping[Ref, Manifest], managed: Sequence[str]) -> Iterator[SpecError]:
        for ref in self._copy_refs(base, managed):
            if self._is_ours(base, ref, found):
                continue
            try:
                self.owner.claim(found.get(ref), ref, field=_FIELD, found=base)
            except SpecError as error:
                yield error if error.field == _FIELD else SpecError(field=_FIELD, found=base, wanted=f"{ref}: {error}")

    def _is_ours(self, base: str, ref: Ref, found: Mapping[Ref, Manifest]) -> bool:
        """Tell whether a copy of *base* may be written: ours, or the reference's, which has no owner and is taken over where it stands."""
        manifest = found.get(ref)
        return self._controls(manifest) or (ref == self._at(base, "", _CANARY) and self._is_orphan(manifest))

    def _is_orphan(self, manifest: Manifest | None) -> bool:
        """Tell whether *manifest* has no owner, and gives a share to the canary Service: so the reference leaves it (4.6)."""
        try:
            if manifest is None or entries(mapping(manifest.get("metadata"), "metadata").get("ownerReferences"), "metadata"):
                return False
            spec = mapping(manifest.get("spec"), "spec")
            return bool(self.canary) and spec.get("weight") is not None and copies.leads_to(spec, self.canary, self.namespace)
        except SpecError:
            return False

    def _controls(self, manifest: Manifest | None) -> bool:
        try:
            return manifest is not None and self.owner.controls(manifest)
        except SpecError:
            return False

    # Names

    def _copy_refs(self, base: str, managed: Sequence[str], found: Mapping[Ref, Manifest] | None = None) -> list[Ref]:
        """Name the copies that may stand beside *base*; with *found*, those of experiments that do stand as well."""
        names = tuple(dict.fromkeys(managed))
        places = ["", *(place for name in names for place in _places(name))]
        refs = [self._at(base, "", _CANARY)]
        refs += [self._at(base, place, end) for place in places[1:] for end in ("", _CANARY, _SHADOW)]
        refs += [self._at(base, f"-{name}", _SHADOW) for name in names]
        services = [] if found is None else self._experiments(found)
        standing = {self._at(base, place, _experiment(service)) for place in places for service in services}
        return refs + sorted(standing & (found or {}).keys())

    def _left_over(self, found: Mapping[Ref, Manifest], managed: Sequence[str]) -> set[Ref]:
        """Name the Mappings of ours that an earlier spec asked for: other bases, other managed routes."""
        known = {ref for base in self.bases for ref in self._copy_refs(base, managed, found)}
        return {ref for ref, manifest in found.items() if ref.kind == _KIND and ref not in known and self._controls(manifest)}

    def _experiments(self, found: Mapping[Ref, Manifest]) -> list[str]:
        """Name the Services of experiments to which Mappings of ours lead."""
        named: set[str] = set()
        for ref, manifest in found.items():
            try:
                if ref.kind == _KIND and self.owner.controls(manifest):
                    named.add(text(annotations(manifest).get(ROUTED_EXPERIMENTS), "metadata.annotations"))
            except SpecError:
                continue
        return sorted(named - {""})

    def _at(self, base: str, place: str, end: str = "") -> Ref:
        """Give the copy of *base* for *place*, the entry of a managed route or nothing; *end* says what it is there."""
        return self._ref(_suffixed(base, f"{place}{end}"))

    def _ref(self, name: str) -> Ref:
        return Ref(group=GROUP, kind=_KIND, namespace=self.namespace, name=name)


def ambassador_router(rollout: Rollout, settings: Settings) -> AmbassadorRouter:  # noqa: ARG001  every product's factory takes them
    """Give the router for the `ambassador` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.ambassador is None:
        raise ValueError("a Rollout without an ambassador block has no Ambassador router")
    given = AmbassadorRouter(
        owner=owner_of(rollout),
        namespace=rollout.metadata.namespace,
        bases=tuple(dict.fromkeys(name for name in routing.ambassador.mappings if name)),
        canary=canary.canary_service,
        stable=canary.stable_service,
        managed=tuple(dict.fromkeys(route.name for route in routing.managed_routes)),
        standing=tuple(standing_routes(canary)),
        ports=container_ports(rollout),
        experiments=weighs_experiments(canary),
    )
    return replace(given, malformed=tuple(_malformed(given, routing.ambassador.mappings)))


def _malformed(router: AmbassadorRouter, mappings: Sequence[str]) -> Iterator[SpecError]:
    if not mappings:
        yield SpecError(field=_FIELD, found=None, wanted="needs the name of at least one Mapping")
    for index, name in enumerate(mappings):
        if not name:
            yield SpecError(field=f"{_FIELD}[{index}]", found=None, wanted="needs the name of a Mapping")
        elif name in mappings[:index]:
            yield SpecError(field=f"{_FIELD}[{index}]", found=name, wanted="must be listed once")
    names = [ref.name for ref in router.reads()]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        yield SpecError(field=_FIELD, found=twice, wanted="is the name of two Mappings, listed here or made by Tiphys: rename one")


def _places(name: str) -> list[str]:
    """Give where the entries of the managed route *name* stand."""
    return [f"-{name}-{index}" for index in range(copies.MOST_ALTERNATIVES)]


def _experiment(service: str) -> str:
    return f"-{service}-experiment"


def _suffixed(base: str, suffix: str) -> str:
    return f"{base[: _LONGEST - len(suffix)]}{suffix}"
