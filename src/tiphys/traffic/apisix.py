"""How does Apache APISIX say this traffic wish? (Traffic-routing reference 4.7.)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, MIRROR_ROUTES, ROUTED_EXPERIMENTS
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Feature, HeaderRoute, MirrorRoute, Routed, TrafficIntent
from tiphys.core.pairs import backends
from tiphys.traffic.about import about
from tiphys.traffic.apisix_rules import Source, rule_name, rules
from tiphys.traffic.manifests import annotations, entries, mapping, with_annotation
from tiphys.traffic.named_members import (
    Names,
    container_ports,
    experiment_port,
    experiments_of,
    part_named,
    services_by_role,
    weighs_experiments,
)
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.route_steps import Standing, read_back, standing_routes, written_down
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.shares import Parted, overflow_warning, shares, weighted, wished_experiments
from tiphys.traffic.together import combine

GROUP: Final = "apisix.apache.org"
SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.MIRROR,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
    }
)

_FIELD: Final = "spec.strategy.canary.trafficRouting.apisix.route"
_MANAGED: Final = "spec.strategy.canary.trafficRouting.managedRoutes"
_DEFAULT_WEIGHT: Final = 100
"""What APISIX takes for a backend without a weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One of the Rollout's rules: the entry of the main route at the path *at*, in the *index*-th place, and its backends by side."""

    index: int
    at: str
    entry: Mapping[str, Any]
    parted: Parted


@dataclass(frozen=True, slots=True, kw_only=True)
class ApisixRouter:
    """
    One ApisixRoute of the user's, of which the named *rules* split, and one of ours for each managed route.

    *standing* are the header and mirror routes that the steps will wish for; *malformed* is what is wrong with the Rollout's own
    fields. *ports* are the containers', for the Services of experiments.
    """

    owner: Owner
    namespace: str
    route: str
    rules: tuple[str, ...]
    canary: str
    stable: str
    managed: tuple[str, ...] = ()
    maximum: int = 100
    ports: Mapping[str, int] = field(default_factory=dict)
    experiments: bool = False
    standing: tuple[Standing, ...] = ()
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "apisix"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what APISIX can do."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the route that carries the weights, and those that managed routes may stand in."""
        return [*([self._ref(self.route)] if self.route else []), *self._own_refs(self.managed)]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the routes."""
        problems = [*self.malformed, *self._claims(found, self.managed)]
        try:
            carriers = self._carriers(found, None)
            with about(f"{_FIELD}.name", self.route, self._ref(self.route)):
                if self.experiments:
                    for carrier in carriers:
                        self._experiment(carrier.parted, "", 0)
        except SpecError as error:
            return [*problems, error]
        for standing in self.standing:
            routes: list[HeaderRoute | MirrorRoute] = [*standing.headers, *standing.mirrors]
            for route in routes:
                try:
                    rules(route, self._sources(carriers), 1)
                except SpecError as error:
                    wanted = f"{self._ref(self.route)}: {error}"
                    problems.append(SpecError(field=standing.field, found=standing.name, wanted=wanted))
        return list(dict.fromkeys(problems))

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the routes say now, or nothing where that cannot be told."""
        try:
            carriers = self._carriers(found, None)
        except SpecError:
            return None
        headers: list[HeaderRoute] = []
        mirrors: list[MirrorRoute] = []
        exact = True
        for ref in self._own_refs(self.managed):
            manifest = found.get(ref)
            if manifest is None:
                continue
            route = self._read(manifest)
            exact &= route is not None and self._is_said(route, manifest, carriers, found[self._ref(self.route)])
            if isinstance(route, HeaderRoute):
                headers.append(route)
            elif route is not None:
                mirrors.append(route)
        said = [shares(carrier.parted, self.maximum) for carrier in carriers]
        return combine(
            [
                Routed(
                    canary=share.canary,
                    stable=share.stable,
                    experiments=share.experiments,
                    header_routes=tuple(headers),
                    mirrors=tuple(mirrors),
                    uniform=share.exact and exact,
                )
                for share in said
            ]
        )

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the routes that say *wish*.

        Raises:
            SpecError: the Rollout's own fields are malformed.

        """
        if self.malformed:
            raise self.malformed[0]
        wished = _by_name(wish)
        absent = frozenset(ref for ref in self._own_refs(wish.managed) if ref.name not in wished and self._controls(found.get(ref)))
        errors = list(self._claims(found, wish.managed))
        try:
            carriers = self._carriers(found, wish)
            with about(f"{_FIELD}.name", self.route, self._ref(self.route)):
                main, after = self._main(found[self._ref(self.route)], carriers, wish)
                made = {
                    self._ref(name): self._own(name, route, after, found, wish.managed)
                    for name, route in wished.items()
                    if self._is_free(found.get(self._ref(name)))
                }
        except SpecError as error:
            return Rendered(absent=absent, errors=(*errors, error))
        warnings = (overflow_warning(carrier.parted, wish, self._ref(self.route)) for carrier in carriers)
        return Rendered(
            apply={self._ref(self.route): main, **made},
            absent=absent,
            warnings=tuple(warning for warning in warnings if warning),
            errors=tuple(errors),
        )

    # The route that carries the weights

    def _carriers(self, found: Mapping[Ref, Manifest], wish: TrafficIntent | None) -> list[Carrier]:
        if not self.route:
            raise SpecError(field=f"{_FIELD}.name", found=None, wanted="needs the name of an ApisixRoute")
        manifest = found.get(self._ref(self.route))
        if manifest is None:
            wanted = f"must name an existing ApisixRoute ({self._ref(self.route)})"
            raise SpecError(field=f"{_FIELD}.name", found=self.route, wanted=wanted)
        with about(f"{_FIELD}.name", self.route, self._ref(self.route)):
            http = entries(mapping(manifest.get("spec"), "spec").get("http"), "spec.http")
            named = {rule_name(entry, f"spec.http[{index}]"): index for index, entry in enumerate(http)}
            canary, stable = services_by_role(wish, canary=self.canary, stable=self.stable)
            names = Names(
                key="serviceName",
                default=_DEFAULT_WEIGHT,
                namespace=self.namespace,
                canary=canary,
                stable=stable,
                experiments=experiments_of(manifest, wish),
            )
            return [self._carrier(rule, http, named, names) for rule in self.rules]

    def _carrier(self, rule: str, http: Sequence[Mapping[str, Any]], named: Mapping[str, int], names: Names) -> Carrier:
        index = named.get(rule)
        if index is None:
            listed = ", ".join(named) or "none"
            raise SpecError(field="spec.http", found=listed, wanted=f'needs the rule "{rule}", as {_FIELD}.rules says')
        at = f"spec.http[{index}]"
        if http[index].get("upstreams"):
            raise SpecError(field=f"{at}.upstreams", found="set", wanted="must be empty: they share the traffic beside the backends")
        parted = part_named(http[index].get("backends"), f"{at}.backends", names)
        return Carrier(index=index, at=at, entry=http[index], parted=parted)

    def _main(self, manifest: Manifest, carriers: Sequence[Carrier], wish: TrafficIntent) -> tuple[Manifest, list[Carrier]]:
        """Give the main route that says the weights of *wish*, and its rules as they will be."""
        after = [self._weighted(carrier, wish) for carrier in carriers]
        if any(now.entry is not before.entry for now, before in zip(after, carriers, strict=True)):
            http = list(manifest["spec"]["http"])
            for carrier in after:
                http[carrier.index] = carrier.entry
            manifest = {**manifest, "spec": {**manifest["spec"], "http": http}}
        return with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(wished_experiments(wish)))), after

    def _weighted(self, carrier: Carrier, wish: TrafficIntent) -> Carrier:
        parted = carrier.parted
        backends = weighted(parted, wish, lambda service, weight: self._experiment(parted, service, weight))
        if backends is parted.route:
            return carrier
        return replace(carrier, entry={**carrier.entry, "backends": backends})

    def _experiment(self, parted: Parted, service: str, weight: int) -> Mapping[str, Any]:
        like, at = parted.route[parted.canary], f"{parted.at}[{parted.canary}].servicePort"
        reached = {"resolveGranularity": like["resolveGranularity"]} if "resolveGranularity" in like else {}
        return {
            "serviceName": service,
            "servicePort": experiment_port(like.get("servicePort"), self.ports, at),
            **reached,
            "weight": weight,
        }

    # The routes that managed routes stand in

    def _own(
        self,
        name: str,
        route: HeaderRoute | MirrorRoute,
        carriers: Sequence[Carrier],
        found: Mapping[Ref, Manifest],
        managed: Sequence[str],
    ) -> Manifest:
        ref = self._ref(name)
        main = found[self._ref(self.route)]
        manifest = found.get(ref) or {"apiVersion": main.get("apiVersion"), "kind": ref.kind, "metadata": self.owner.metadata(ref)}
        manifest = with_annotation(manifest, HEADER_ROUTES, written_down((route,)) if isinstance(route, HeaderRoute) else "")
        manifest = with_annotation(manifest, MIRROR_ROUTES, written_down((route,)) if isinstance(route, MirrorRoute) else "")
        return {**manifest, "spec": self._own_spec(route, carriers, main, managed)}

    def _own_spec(
        self, route: HeaderRoute | MirrorRoute, carriers: Sequence[Carrier], main: Manifest, managed: Sequence[str]
    ) -> Mapping[str, Any]:
        order = list(dict.fromkeys((*managed, route.name)))
        kept = {key: main["spec"][key] for key in ("ingressClassName",) if key in main["spec"]}
        return {**kept, "http": rules(route, self._sources(carriers), len(order) - order.index(route.name))}

    def _sources(self, carriers: Sequence[Carrier]) -> list[Source]:
        return [
            Source(
                entry=carrier.entry,
                at=carrier.at,
                backends=carrier.entry.get("backends") or (),
                canary=carrier.parted.route[carrier.parted.canary],
                namespace=self.namespace,
            )
            for carrier in carriers
        ]

    def _read(self, manifest: Manifest) -> HeaderRoute | MirrorRoute | None:
        try:
            kept = annotations(manifest)
        except SpecError:
            return None
        headers, mirrors = read_back(kept.get(HEADER_ROUTES), HeaderRoute), read_back(kept.get(MIRROR_ROUTES), MirrorRoute)
        written: list[HeaderRoute | MirrorRoute] = [*(headers or ()), *(mirrors or ())]
        return written[0] if len(written) == 1 and written[0].name == mapping(manifest["metadata"], "metadata").get("name") else None

    def _is_said(self, route: HeaderRoute | MirrorRoute, manifest: Manifest, carriers: Sequence[Carrier], main: Manifest) -> bool:
        try:
            return self.owner.controls(manifest) and manifest.get("spec") == self._own_spec(route, carriers, main, self.managed)
        except SpecError:
            return False

    def _claims(self, found: Mapping[Ref, Manifest], managed: Sequence[str]) -> Iterator[SpecError]:
        for ref in self._own_refs(managed):
            try:
                self.owner.claim(found.get(ref), ref, field=_MANAGED, found=ref.name)
            except SpecError as error:
                yield error if error.field == _MANAGED else SpecError(field=_MANAGED, found=ref.name, wanted=f"{ref}: {error}")

    def _controls(self, manifest: Manifest | None) -> bool:
        try:
            return manifest is not None and self.owner.controls(manifest)
        except SpecError:
            return False

    def _is_free(self, manifest: Manifest | None) -> bool:
        return manifest is None or self._controls(manifest)

    def _own_refs(self, managed: Sequence[str]) -> list[Ref]:
        return [self._ref(name) for name in dict.fromkeys(managed) if name and name != self.route]

    def _ref(self, name: str) -> Ref:
        return Ref(group=GROUP, kind="ApisixRoute", namespace=self.namespace, name=name)


def apisix_router(rollout: Rollout, settings: Settings) -> ApisixRouter:  # noqa: ARG001  as every router's
    """Give the router for the `apisix` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.apisix is None:
        raise ValueError("a Rollout without an apisix block has no APISIX router")
    given = routing.apisix.route
    name = "" if given is None else given.name
    managed = tuple(dict.fromkeys(route.name for route in routing.managed_routes))
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    return ApisixRouter(
        owner=owner_of(rollout),
        namespace=rollout.metadata.namespace,
        route=name,
        rules=tuple(dict.fromkeys(given.rules if given is not None and given.rules else (name,))),
        canary=pair.canary,
        stable=pair.stable,
        managed=managed,
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        ports=container_ports(rollout),
        experiments=weighs_experiments(canary),
        standing=tuple(standing_routes(canary)),
        malformed=tuple(_malformed(name, managed)),
    )


def _by_name(wish: TrafficIntent) -> dict[str, HeaderRoute | MirrorRoute]:
    routes: list[HeaderRoute | MirrorRoute] = [*wish.header_routes, *wish.mirrors]
    return {route.name: route for route in routes}


def _malformed(route: str, managed: Sequence[str]) -> Iterator[SpecError]:
    if route and route in managed:
        yield SpecError(field=_MANAGED, found=route, wanted="must not be the name of the ApisixRoute that carries the weights")
