"""Which routers are there, which ones does a Rollout use, and what does it ask that they cannot do?"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout, SetHeaderRoute, Step, StringMatch, TrafficRouting
from tiphys.core.intent import Feature
from tiphys.core.pairs import alternates
from tiphys.traffic import (
    alb,
    alb_active,
    alb_reset,
    ambassador,
    apisix,
    appmesh,
    appmesh_routes,
    gateway,
    gateway_spec,
    istio,
    istio_rules,
    nginx,
    smi,
    traefik,
)
from tiphys.traffic.router import Distant, Marked, Router
from tiphys.traffic.settings import APP_MESH, Settings

Mention = str | tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """
    One line of the table.

    *field* is the key below `trafficRouting`, *spec* its value; *supports* is the most that a router of the product can do (a
    router's own `supports` says what it can do as configured). *plugin* is the key below `plugins` that asks for it as well.
    *mentions* tells, for each kind (group and name) that its routers search, which names an object of it mentions: in its own
    namespace, or with the namespace before the name. *marks* tells, for each kind whose objects its routers mark as a Rollout's,
    how to take away the mark and what it stands for.
    """

    name: str
    field: str
    spec: Callable[[TrafficRouting], object]
    router: Callable[[Rollout, Settings], Router]
    supports: frozenset[Feature]
    plugin: str = ""
    mentions: tuple[tuple[tuple[str, str], Callable[[Manifest], Iterable[Mention]]], ...] = ()
    marks: tuple[tuple[tuple[str, str], Marked], ...] = ()


ROUTERS: Final[tuple[Product, ...]] = (
    Product(
        name="istio",
        field="istio",
        spec=lambda routing: routing.istio,
        router=istio.istio_router,
        supports=istio.SUPPORTS,
        marks=(((istio.GROUP, "DestinationRule"), istio_rules),),
    ),
    Product(name="nginx", field="nginx", spec=lambda routing: routing.nginx, router=nginx.nginx_router, supports=nginx.SUPPORTS),
    Product(
        name="alb",
        field="alb",
        spec=lambda routing: routing.alb,
        router=alb.alb_router,
        supports=alb.SUPPORTS,
        mentions=(((alb.GROUP, "Ingress"), alb_active.mentions),),
        marks=(((alb.GROUP, "Ingress"), alb_reset),),
    ),
    Product(name="smi", field="smi", spec=lambda routing: routing.smi, router=smi.smi_router, supports=smi.SUPPORTS),
    Product(
        name="ambassador",
        field="ambassador",
        spec=lambda routing: routing.ambassador,
        router=ambassador.ambassador_router,
        supports=ambassador.SUPPORTS,
    ),
    Product(
        name="appMesh",
        field="appMesh",
        spec=lambda routing: routing.app_mesh,
        router=appmesh.app_mesh_router,
        supports=appmesh.SUPPORTS,
        mentions=(((APP_MESH, "VirtualRouter"), appmesh_routes.mentions),),
    ),
    Product(
        name="traefik",
        field="traefik",
        spec=lambda routing: routing.traefik,
        router=traefik.traefik_router,
        supports=traefik.SUPPORTS,
        mentions=traefik.MENTIONS,
    ),
    Product(name="apisix", field="apisix", spec=lambda routing: routing.apisix, router=apisix.apisix_router, supports=apisix.SUPPORTS),
    Product(
        name="gatewayAPI",
        field="gatewayAPI",
        spec=gateway_spec.block_of,
        router=gateway.gateway_router,
        supports=gateway.SUPPORTS,
        plugin=gateway_spec.PLUGIN,
        mentions=tuple(((gateway_spec.GROUP, kind), gateway_spec.mentions) for kind in gateway_spec.KINDS),
    ),
)
"""Every product, in the order in which they are asked (traffic-routing reference 1.3)."""

MENTIONS: Final[Mapping[tuple[str, str], Callable[[Manifest], Iterable[Mention]]]] = {
    kind: mentions for product in ROUTERS for kind, mentions in product.mentions
}
"""What the objects of a kind mention, for all kinds that some router searches; malformed objects mention nothing."""

MARKS: Final[Mapping[tuple[str, str], Marked]] = {kind: marked for product in ROUTERS for kind, marked in product.marks}
"""How the objects of a kind are marked, for all kinds that some router marks."""

BUILT_IN: Final = frozenset(product.plugin for product in ROUTERS if product.plugin)
"""The names below `plugins` that need no other process."""

_ROUTING: Final = "spec.strategy.canary.trafficRouting"


def routers_of(rollout: Rollout, *, settings: Settings) -> tuple[Router, ...]:
    """
    Give the routers that *rollout* names: in the table's order, then those in other processes by name.

    What is neither is told by `unsupported`. A blue-green Rollout names none; its load balancers may be asked about its pods all the same.
    """
    routing = _routing(rollout)
    if routing is None:
        asked = alb_active.active_targets(rollout, settings)
        return () if asked is None else (asked,)
    ours = (product.router(rollout, settings) for product in ROUTERS if product.spec(routing) is not None)
    others = (settings.external[name](rollout) for name in sorted(routing.plugins) if name in settings.external)
    return (*ours, *others)


def unsupported(rollout: Rollout, routers: Sequence[Router] | None = None) -> tuple[SpecError, ...]:
    """
    Name every plugin that nobody knows, and every field that asks one of the routers for what it cannot do.

    *routers* are those of *rollout*, as the operator set them up; nothing means as they are without any settings.
    """
    routing = _routing(rollout)
    if routing is None:
        return ()
    if routers is None:
        routers = routers_of(rollout, settings=Settings())
    external = {router.name for router in routers if isinstance(router, Distant)}
    return (*_unknown_plugins(routing, external), *(error for router in routers for error in lacking(router, rollout)))


def lacking(router: Router, rollout: Rollout) -> Iterator[SpecError]:
    """Name every field of *rollout* that needs what *router* cannot do."""
    for need in needed(rollout):
        if not need.features & router.supports:
            yield SpecError(field=need.field, found=need.found, wanted=f'the router "{router.name}" cannot do this: {need.words()}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One field that needs a router to be able to do any of *features*; *found* is what the field says."""

    field: str
    found: object
    features: frozenset[Feature]

    def words(self) -> str:
        """Name what is needed."""
        return " or ".join(sorted(self.features))


def needed(rollout: Rollout) -> Iterator[Need]:
    """Name what the fields of *rollout* need from each of its routers, besides weights, which all of them have."""
    canary = rollout.spec.strategy.canary
    if canary is None or canary.traffic_routing is None:
        return
    if alternates(canary):
        yield _need("spec.strategy.pingPong", "pingPong", Feature.PING_PONG)
    elif not canary.canary_service and not canary.stable_service:
        yield _need("spec.strategy.stableService", None, Feature.SUBSETS)
    if canary.traffic_routing.max_traffic_weight not in {None, 100}:
        yield _need("spec.strategy.trafficRouting.maxTrafficWeight", canary.traffic_routing.max_traffic_weight, Feature.MAX_WEIGHT)
    for index, step in enumerate(canary.steps):
        yield from _needs_of(step, f"spec.strategy.steps[{index}]")


def _needs_of(step: Step, at: str) -> Iterator[Need]:
    if step.set_header_route is not None:
        yield from _header_needs(step.set_header_route, f"{at}.setHeaderRoute")
    if step.set_mirror_route is not None:
        yield _need(f"{at}.setMirrorRoute", step.set_mirror_route.name, Feature.MIRROR)
    if step.experiment is not None:
        for index, template in enumerate(step.experiment.templates):
            if template.weight is not None:
                yield _need(f"{at}.experiment.templates[{index}].weight", template.weight, Feature.EXPERIMENTS)


def _header_needs(route: SetHeaderRoute, at: str) -> Iterator[Need]:
    if not route.match:
        yield Need(field=at, found=route.name, features=_HEADERS)
    for index, match in enumerate(route.match):
        feature = _header_feature(match.header_value)
        if feature is not None:
            yield _need(f"{at}.match[{index}]", match.header_name, feature)


def _header_feature(value: StringMatch | None) -> Feature | None:
    """Say what a comparison needs; one that is none at all is validation's business."""
    if value is None:
        return None
    forms = ((value.exact, Feature.HEADER_EXACT), (value.prefix, Feature.HEADER_PREFIX), (value.regex, Feature.HEADER_REGEX))
    return next((feature for given, feature in forms if given), None)


def _need(field: str, found: object, feature: Feature) -> Need:
    return Need(field=field, found=found, features=frozenset({feature}))


def _unknown_plugins(routing: TrafficRouting, external: Collection[str]) -> Iterator[SpecError]:
    known = {*BUILT_IN, *external}
    for name in sorted(routing.plugins):
        if name not in known:
            wanted = f"{_NO_SUCH_PLUGIN}; known here: {', '.join(sorted(known))}"
            yield SpecError(field=f"{_ROUTING}.plugins[{name}]", found=name, wanted=wanted)


def _routing(rollout: Rollout) -> TrafficRouting | None:
    canary: CanaryStrategy | None = rollout.spec.strategy.canary
    return None if canary is None else canary.traffic_routing


_NO_SUCH_PLUGIN: Final = (
    "no router of this name is known to the controller. Binaries of the ConfigMap argo-rollouts-config are not run: "
    "let the router run as a service and start the controller with --router-plugin NAME=URL (docs/external-routers.md)"
)
_HEADERS: Final = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX})
