"""How does Ambassador, or Emissary, say this traffic wish? (Traffic-routing reference 4.6.)"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, MIRROR_ROUTES
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Feature, HeaderRoute, MirrorRoute, Role, Routed, TrafficIntent
from tiphys.traffic import ambassador_copies as copies
from tiphys.traffic.manifests import annotations, count, mapping, with_annotation
from tiphys.traffic.named_members import services_by_role
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.route_steps import Standing, read_back, standing_routes, written_down
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.together import combine

GROUP: Final = "getambassador.io"
SUPPORTS: Final = frozenset({Feature.WEIGHTS, Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR})

_FIELD: Final = "spec.strategy.canary.trafficRouting.ambassador.mappings"
_LONGEST: Final = 253
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbassadorRouter:
    """
    Base Mappings of the user's, each with copies of ours: one that carries the canary's weight, and those of managed routes.

    The bases are never written: what a copy does not take, its base gets. A copy exists while it is needed, and is made anew from its
    base in every pass. *standing* are the routes that the steps will wish for; *malformed* is what is wrong with the Rollout's own fields.
    """

    owner: Owner
    namespace: str
    bases: tuple[str, ...]
    canary: str
    stable: str
    managed: tuple[str, ...] = ()
    standing: tuple[Standing, ...] = ()
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "ambassador"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what Mappings can do; those of experiments could not be found again by name."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the bases, and every copy that may stand."""
        return [ref for base in self.bases for ref in (self._ref(base), *self._copy_refs(base, self.managed))]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the Mappings."""
        problems = [*self.malformed]
        for base in self.bases:
            problems += self._claims(base, found, self.managed)
            try:
                self._wanted(base, found, self._asked(weight=1))
            except SpecError as error:
                problems.append(error)
                continue
            problems += self._unsayable(base, found)
        return list(dict.fromkeys(problems))

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the Mappings say now, or nothing where that cannot be told."""
        return combine([self._said(base, found) for base in self.bases])

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
        )
        apply: dict[Ref, Manifest] = {}
        absent: set[Ref] = set()
        errors: list[SpecError] = []
        for base in self.bases:
            errors += self._claims(base, found, wish.managed)
            ours = {ref for ref in self._copy_refs(base, wish.managed) if self._controls(found.get(ref))}
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
            weight = self._weight(found.get(self._canary_ref(base)))
            headers, mirrors = self._routes(base, found)
            asked = self._asked(weight=weight, headers=headers, mirrors=mirrors)
            there = {ref: found[ref] for ref in (self._ref(base), *self._copy_refs(base, self.managed)) if ref in found}
            same = self._wanted(base, found, asked) == there and all(self._controls(found[ref]) for ref in there if ref.name != base)
        except SpecError:
            return None
        return Routed(canary=weight, stable=_WHOLE - weight, header_routes=headers, mirrors=mirrors, uniform=same)

    def _weight(self, copy: Manifest | None) -> int:
        """Give the weight of the canary's Mapping; one without a weight shares with its base by halves."""
        if copy is None:
            return 0
        weight = mapping(copy.get("spec"), "spec").get("weight")
        return _WHOLE // 2 if weight is None else min(_WHOLE, count(weight, "spec.weight"))

    def _routes(self, base: str, found: Mapping[Ref, Manifest]) -> tuple[tuple[HeaderRoute, ...], tuple[MirrorRoute, ...]]:
        headers: dict[str, HeaderRoute] = {}
        mirrors: dict[str, MirrorRoute] = {}
        for name in self.managed:
            for ref in self._route_refs(base, name):
                kept = annotations(found[ref]) if ref in found else {}
                headers |= {route.name: route for route in read_back(kept.get(HEADER_ROUTES), HeaderRoute) or () if route.name == name}
                mirrors |= {route.name: route for route in read_back(kept.get(MIRROR_ROUTES), MirrorRoute) or () if route.name == name}
        return tuple(headers.values()), tuple(mirrors.values())

    def _asked(self, *, weight: int, headers: tuple[HeaderRoute, ...] = (), mirrors: tuple[MirrorRoute, ...] = ()) -> Asked:
        return Asked(canary=self.canary, stable=self.stable, weight=weight, headers=headers, mirrors=mirrors, managed=self.managed)

    # Writing

    def _wanted(self, base: str, found: Mapping[Ref, Manifest], asked: Asked) -> dict[Ref, Manifest]:
        """Give the base as it stands, and its copies as *asked*."""
        ref = self._ref(base)
        manifest = found.get(ref)
        if manifest is None:
            raise SpecError(field=_FIELD, found=base, wanted=f"must name an existing Mapping ({ref})")
        with _about(base, ref):
            spec = mapping(manifest.get("spec"), "spec")
            turned = copies.redirected(spec, stable=asked.stable, canary=asked.canary, namespace=self.namespace)
            made = self._copies(base, turned, asked)
        written = {copy: self._copy(copy, manifest, found, *content) for copy, content in made.items()}
        return {ref: manifest, **written}

    def _copies(self, base: str, turned: Mapping[str, Any], asked: Asked) -> dict[Ref, tuple[Mapping[str, Any], str, str]]:
        """Give the spec of each copy, and the routes that it notes: header routes, mirror routes."""
        copies.check(asked.headers, asked.mirrors)
        made: dict[Ref, tuple[Mapping[str, Any], str, str]] = {}
        if asked.weight:
            made[self._canary_ref(base)] = (copies.weighted(turned, asked.weight), "", "")
        order = list(dict.fromkeys((*asked.managed, *(route.name for route in asked.headers))))
        for route in asked.headers:
            above = len(order) - order.index(route.name)
            for ref, match in zip(self._header_refs(base, route.name), route.any_of, strict=False):
                made[ref] = (copies.by_header(turned, match, above), written_down((route,)), "")
        for mirror in asked.mirrors:
            made[self._mirror_ref(base, mirror.name)] = (copies.mirrored(turned, mirror), "", written_down((mirror,)))
        return made

    def _copy(
        self, ref: Ref, base: Manifest, found: Mapping[Ref, Manifest], spec: Mapping[str, Any], headers: str, mirrors: str
    ) -> Manifest:
        manifest = found.get(ref) or {"apiVersion": base.get("apiVersion"), "kind": ref.kind, "metadata": self.owner.metadata(ref)}
        manifest = with_annotation(with_annotation(manifest, HEADER_ROUTES, headers), MIRROR_ROUTES, mirrors)
        return {**manifest, "spec": spec}

    def _named(self, base: str, asked: Asked) -> set[Ref]:
        """Name the copies that *asked* needs, whatever they look like."""
        headers = {ref for route in asked.headers for ref in self._header_refs(base, route.name)[: len(route.any_of)]}
        mirrors = {self._mirror_ref(base, route.name) for route in asked.mirrors}
        return headers | mirrors | ({self._canary_ref(base)} if asked.weight else set())

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
            try:
                self.owner.claim(found.get(ref), ref, field=_FIELD, found=base)
            except SpecError as error:
                yield error if error.field == _FIELD else SpecError(field=_FIELD, found=base, wanted=f"{ref}: {error}")

    def _controls(self, manifest: Manifest | None) -> bool:
        try:
            return manifest is not None and self.owner.controls(manifest)
        except SpecError:
            return False

    # Names

    def _copy_refs(self, base: str, managed: Sequence[str]) -> list[Ref]:
        return [self._canary_ref(base), *(ref for name in dict.fromkeys(managed) for ref in self._route_refs(base, name))]

    def _route_refs(self, base: str, name: str) -> list[Ref]:
        return [*self._header_refs(base, name), self._mirror_ref(base, name)]

    def _canary_ref(self, base: str) -> Ref:
        return self._ref(_suffixed(base, "-canary"))

    def _header_refs(self, base: str, name: str) -> list[Ref]:
        return [self._ref(_suffixed(base, f"-{name}-{index}")) for index in range(copies.MOST_ALTERNATIVES)]

    def _mirror_ref(self, base: str, name: str) -> Ref:
        return self._ref(_suffixed(base, f"-{name}-shadow"))

    def _ref(self, name: str) -> Ref:
        return Ref(group=GROUP, kind="Mapping", namespace=self.namespace, name=name)


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


def _suffixed(base: str, suffix: str) -> str:
    return f"{base[: _LONGEST - len(suffix)]}{suffix}"


@contextmanager
def _about(base: str, ref: Ref) -> Iterator[None]:
    """Say of an error that it is about the base Mapping at *ref*."""
    try:
        yield
    except SpecError as error:
        raise SpecError(field=_FIELD, found=base, wanted=f"{ref}: {error}") from None
