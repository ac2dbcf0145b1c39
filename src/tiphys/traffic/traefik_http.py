"""How do requests get their shares and routes through a weighted TraefikService? (Traffic-routing reference 4.5 and 7.2.)"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, MIRROR_ROUTES, ROUTED_EXPERIMENTS
from tiphys.core.intent import HeaderRoute, MirrorRoute, Routed, TrafficIntent
from tiphys.traffic import traefik_routes as routes
from tiphys.traffic.about import about
from tiphys.traffic.manifests import annotations, mapping, with_annotation
from tiphys.traffic.named_members import (
    Names,
    experiment_port,
    experiments_of,
    part_named,
    services_by_role,
)
from tiphys.traffic.owned import Owner
from tiphys.traffic.route_steps import Standing, read_back, written_down
from tiphys.traffic.router import Ref, Rendered, Search
from tiphys.traffic.shares import Parted, overflow_warning, shares, weighted, wished_experiments
from tiphys.traffic.traefik_rules import Syntax

_R = TypeVar("_R", HeaderRoute, MirrorRoute)

_FIELD: Final = "spec.strategy.canary.trafficRouting.traefik.weightedTraefikServiceName"
_MANAGED: Final = "spec.strategy.canary.trafficRouting.managedRoutes"
_LIST: Final = "spec.weighted.services"
_REACHED: Final = ("kind", "namespace", "port", "scheme", "serversTransport", "passHostHeader", "nativeLB")
"""Fields of a member that say how its pods are reached."""
_DEFAULT_WEIGHT: Final = 1
"""What Traefik takes for a member without a weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which managed routes have to stand, in which order, and who answers them: the canary's member of the weighted list."""

    headers: tuple[HeaderRoute, ...]
    mirrors: tuple[MirrorRoute, ...]
    managed: tuple[str, ...]
    canary: Mapping[str, Any]

    def above(self, name: str) -> int:
        """Say how many places above its source the route *name* stands: the first of the managed routes comes first."""
        order = list(dict.fromkeys((*self.managed, *(route.name for route in self.headers), *(route.name for route in self.mirrors))))
        return len(order) - order.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikHttp:
    """
    One TraefikService of the user's that splits by weight, and for each managed route an IngressRoute of ours beside each that uses it.

    *group* is `traefik.io`, or `traefik.containo.us` for Traefik 2; *syntax* is that of rules which do not say their own. *canary* and
    *stable* are the Services that the Rollout names; a wish brings its own. *ports* are the containers', for the Services of experiments;
    *experiments* says that the steps have some with weights. *standing* are the routes that the steps will wish for.
    """

    owner: Owner
    group: str
    syntax: Syntax
    namespace: str
    service: str
    canary: str
    stable: str
    managed: tuple[str, ...] = ()
    maximum: int = 100
    ports: Mapping[str, int] = field(default_factory=dict)
    experiments: bool = False
    standing: tuple[Standing, ...] = ()

    def reads(self) -> Sequence[Ref]:
        """Name the TraefikService; what we make is named after what is found."""
        return [self._ref] if self.service else []

    def searches(self) -> Sequence[Search]:
        """Look for the IngressRoutes that use the TraefikService."""
        return [Search(group=self.group, kind=routes.INGRESS_ROUTE, namespace=self.namespace, name=self.service)] if self.service else []

    def makes(self, found: Mapping[Ref, Manifest]) -> Sequence[Ref]:
        """Name what the steps will make beside the IngressRoutes found."""
        sources = [source.name for source in self._sources(found)]
        headers = {route.name for standing in self.standing for route in standing.headers}
        mirrors = {route.name for standing in self.standing for route in standing.mirrors}
        beside = [self._route_ref(name, source) for name in sorted(headers | mirrors) for source in sources]
        return [*beside, *(self._mirroring_ref(name) for name in sorted(mirrors))]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell what is wrong with, or missing from, the TraefikService and the IngressRoutes."""
        problems = [*self._claims(self.makes(found), found)]
        sources = self._sources(found)
        try:
            parted = self._parted(found, None)
            if self.experiments:
                with about(_FIELD, self.service, self._ref):
                    self._experiment(parted, "", 0)
        except SpecError as error:
            return [*problems, error]
        for standing in self.standing:
            asked = Asked(headers=standing.headers, mirrors=standing.mirrors, managed=self.managed, canary=_member(parted))
            problems += [
                SpecError(field=standing.field, found=standing.name, wanted=f'the router "traefik": {error.wanted}')
                for error in self._made(asked, found, sources)[1]
            ]
        return list(dict.fromkeys(problems))

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the objects say now, or nothing where that cannot be told."""
        try:
            parted = self._parted(found, None)
            share = shares(parted, self.maximum)
        except SpecError:
            return None
        sources = self._sources(found)
        there = {ref: found[ref] for ref in self._ours(found, sources)}
        headers, mirrors = self._written(there.values())
        made, errors = self._made(Asked(headers=headers, mirrors=mirrors, managed=self.managed, canary=_member(parted)), found, sources)
        return Routed(
            canary=share.canary,
            stable=share.stable,
            experiments=share.experiments,
            header_routes=headers,
            mirrors=mirrors,
            uniform=share.exact and not errors and made == there,
        )

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """Give the objects that say *wish*; of ours those go that it does not need, also where the others cannot be rendered."""
        sources = self._sources(found)
        ours = self._ours(found, sources)
        kept = self._needed(wish, sources)
        absent = frozenset(ours - kept)
        try:
            parted = self._parted(found, wish)
            service = self._service(found[self._ref], parted, wish)
        except SpecError as error:
            return Rendered(absent=absent, errors=(error,))
        made, errors = self._made(
            Asked(headers=wish.header_routes, mirrors=wish.mirrors, managed=wish.managed, canary=_member(parted)), found, sources
        )
        free = {ref: manifest for ref, manifest in made.items() if ref in ours or ref not in found}
        warning = overflow_warning(parted, wish, self._ref)
        return Rendered(
            apply={self._ref: service, **free},
            absent=absent,
            warnings=(warning,) if warning else (),
            errors=(*self._claims(kept, found), *errors),
        )

    # The TraefikService that carries the weights

    @property
    def _ref(self) -> Ref:
        return Ref(group=self.group, kind=routes.TRAEFIK_SERVICE, namespace=self.namespace, name=self.service)

    def _service(self, manifest: Manifest, parted: Parted, wish: TrafficIntent) -> Manifest:
        with about(_FIELD, self.service, self._ref):
            members = weighted(parted, wish, lambda service, weight: self._experiment(parted, service, weight))
            if members is not parted.route:
                spec = mapping(manifest["spec"], "spec")
                manifest = {**manifest, "spec": {**spec, "weighted": {**spec["weighted"], "services": members}}}
            return with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(wished_experiments(wish))))

    def _parted(self, found: Mapping[Ref, Manifest], wish: TrafficIntent | None) -> Parted:
        if not self.service:
            raise SpecError(field=_FIELD, found=None, wanted="needs the name of a TraefikService")
        manifest = found.get(self._ref)
        if manifest is None:
            raise SpecError(field=_FIELD, found=self.service, wanted=f"must name an existing TraefikService ({self._ref})")
        with about(_FIELD, self.service, self._ref):
            spec = mapping(manifest.get("spec"), "spec")
            if spec.get("weighted") is None:
                wanted = "must be of the weighted kind"
                raise SpecError(field="spec.weighted", found=", ".join(sorted(spec)) or None, wanted=wanted)
            canary, stable = services_by_role(wish, canary=self.canary, stable=self.stable)
            names = Names(
                key="name",
                default=_DEFAULT_WEIGHT,
                namespace=self.namespace,
                canary=canary,
                stable=stable,
                experiments=experiments_of(manifest, wish),
            )
            return part_named(mapping(spec["weighted"], "spec.weighted").get("services"), _LIST, names)

    def _experiment(self, parted: Parted, service: str, weight: int) -> Mapping[str, Any]:
        """Give the member for an experiment: reached as the canary is, but for its port."""
        like, at = parted.route[parted.canary], f"{parted.at}[{parted.canary}]"
        if like.get("kind") == "TraefikService":
            raise SpecError(field=f"{at}.kind", found="TraefikService", wanted="must be a Service for experiments to be reached likewise")
        reached = {key: like[key] for key in _REACHED if key in like}
        return {"name": service, **reached, "port": experiment_port(like.get("port"), self.ports, f"{at}.port"), "weight": weight}

    # The objects that managed routes stand in

    def _made(self, asked: Asked, found: Mapping[Ref, Manifest], sources: Sequence[Ref]) -> tuple[dict[Ref, Manifest], list[SpecError]]:
        """Give our objects as *asked*, those before others that these refer to, and what is wrong with the sources of the missing ones."""
        made: dict[Ref, Manifest] = {}
        errors: list[SpecError] = []
        both: list[HeaderRoute | MirrorRoute] = [*asked.headers, *asked.mirrors]
        if both and not sources:
            wanted = f'needs an IngressRoute in {self.namespace} that uses the TraefikService "{self.service}"'
            errors.append(SpecError(field=_FIELD, found=self.service, wanted=wanted))
        for mirror in asked.mirrors if sources else ():
            ref = self._mirroring_ref(mirror.name)
            try:
                spec = routes.mirroring_spec(self.service, asked.canary, mirror.percent)
                made[ref] = self._own(ref, mirror, spec, found, found[self._ref])
            except SpecError as error:
                errors.append(SpecError(field=_FIELD, found=self.service, wanted=str(error)))
                both.remove(mirror)
                continue
            if ref in found and not self._controls(found[ref]):
                both.remove(mirror)  # no request is led to somebody else's service
        for source in sources:
            for route in both:
                ref = self._route_ref(route.name, source.name)
                try:
                    made[ref] = self._own(ref, route, self._spec(route, found[source], asked), found, found[source])
                except SpecError as error:
                    errors.append(SpecError(field=_FIELD, found=self.service, wanted=f"{source}: {error}"))
        return made, errors

    def _spec(self, route: HeaderRoute | MirrorRoute, source: Manifest, asked: Asked) -> Manifest:
        above = asked.above(route.name)
        if isinstance(route, HeaderRoute):
            return routes.header_spec(source, self._using, route, asked.canary, above)
        return routes.mirror_spec(source, self._using, route, self._mirroring_ref(route.name).name, above)

    def _own(self, ref: Ref, route: HeaderRoute | MirrorRoute, spec: Manifest, found: Mapping[Ref, Manifest], source: Manifest) -> Manifest:
        known = found.get(ref) or {"apiVersion": source.get("apiVersion"), "kind": ref.kind, "metadata": self.owner.metadata(ref)}
        manifest = {**known, "metadata": routes.followed(source, mapping(known.get("metadata"), "metadata")), "spec": spec}
        manifest = with_annotation(manifest, HEADER_ROUTES, written_down((route,)) if isinstance(route, HeaderRoute) else "")
        return with_annotation(manifest, MIRROR_ROUTES, written_down((route,)) if isinstance(route, MirrorRoute) else "")

    def _written(self, ours: Iterable[Manifest]) -> tuple[tuple[HeaderRoute, ...], tuple[MirrorRoute, ...]]:
        """Read the routes that our objects note, in the order of the managed ones."""
        headers: dict[str, HeaderRoute] = {}
        mirrors: dict[str, MirrorRoute] = {}
        for manifest in ours:
            try:
                noted = annotations(manifest)
            except SpecError:
                continue
            headers |= {route.name: route for route in read_back(noted.get(HEADER_ROUTES), HeaderRoute) or ()}
            mirrors |= {route.name: route for route in read_back(noted.get(MIRROR_ROUTES), MirrorRoute) or ()}
        return _in_order(headers, self.managed), _in_order(mirrors, self.managed)

    def _sources(self, found: Mapping[Ref, Manifest]) -> list[Ref]:
        """Name the IngressRoutes that use the TraefikService; ours never do."""
        return sorted(
            ref for ref, manifest in found.items() if self._is(ref, routes.INGRESS_ROUTE) and self.service in routes.mentioned(manifest)
        )

    def _ours(self, found: Mapping[Ref, Manifest], sources: Sequence[Ref]) -> frozenset[Ref]:
        """Name the objects of ours, also those of an earlier spec."""
        kinds = (routes.INGRESS_ROUTE, routes.TRAEFIK_SERVICE)
        made = {ref for ref, manifest in found.items() if any(self._is(ref, kind) for kind in kinds) and self._controls(manifest)}
        return frozenset(made - {self._ref, *sources})

    def _needed(self, wish: TrafficIntent, sources: Sequence[Ref]) -> frozenset[Ref]:
        """Name the objects that *wish* needs, whatever they look like."""
        names = [*(route.name for route in wish.header_routes), *(route.name for route in wish.mirrors)]
        beside = {self._route_ref(name, source.name) for name in names for source in sources}
        return frozenset(beside | {self._mirroring_ref(mirror.name) for mirror in wish.mirrors if beside})

    def _claims(self, wanted: Iterable[Ref], found: Mapping[Ref, Manifest]) -> Iterator[SpecError]:
        for ref in wanted:
            try:
                self.owner.claim(found.get(ref), ref, field=_MANAGED, found=ref.name)
            except SpecError as error:
                yield error if error.field == _MANAGED else SpecError(field=_MANAGED, found=ref.name, wanted=f"{ref}: {error}")

    def _controls(self, manifest: Manifest) -> bool:
        try:
            return self.owner.controls(manifest)
        except SpecError:
            return False

    @property
    def _using(self) -> routes.Using:
        return routes.Using(service=self.service, namespace=self.namespace, syntax=self.syntax)

    def _is(self, ref: Ref, kind: str) -> bool:
        return (ref.group, ref.kind, ref.namespace) == (self.group, kind, self.namespace)

    def _route_ref(self, route: str, source: str) -> Ref:
        return self._at(routes.INGRESS_ROUTE, routes.name_of(self.owner.name, route, source))

    def _mirroring_ref(self, route: str) -> Ref:
        return self._at(routes.TRAEFIK_SERVICE, routes.name_of(self.owner.name, route))

    def _at(self, kind: str, name: str) -> Ref:
        return Ref(group=self.group, kind=kind, namespace=self.namespace, name=name)


def _member(parted: Parted) -> Mapping[str, Any]:
    """Give the canary's member of the weighted list as what it is when it stands alone."""
    return {key: value for key, value in parted.route[parted.canary].items() if key != "weight"}


def _in_order(routes_by_name: Mapping[str, _R], managed: Sequence[str]) -> tuple[_R, ...]:
    names = [*(name for name in managed if name in routes_by_name), *sorted(routes_by_name.keys() - set(managed))]
    return tuple(routes_by_name[name] for name in names)
