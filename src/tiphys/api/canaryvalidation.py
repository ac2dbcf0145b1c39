"""What is wrong with a canary strategy? (Lifecycle reference 1.7, traffic-routing reference 6.2.)"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import IntOrPercent
from tiphys.api.rollout import AntiAffinity, CanaryStrategy, TrafficRouting
from tiphys.api.stepvalidation import FIELD, ROUTER_WANTED, ROUTING, has_router, steps_problems
from tiphys.api.values import resolve_count
from tiphys.api.verificationvalidation import verification_problems

_COUNT_WANTED: Final = "must be a number of pods, or a whole percentage such as 25%"


def canary_problems(canary: CanaryStrategy) -> Iterator[SpecError]:
    """Name all that is wrong with *canary*, in the documented order."""
    yield from _surge_problems(canary)
    yield from _service_problems(canary)
    yield from _delay_problems(canary)
    if canary.traffic_routing is not None:
        yield from _routing_problems(canary.traffic_routing)
    yield from steps_problems(canary)
    yield from anti_affinity_problems(canary.anti_affinity)


def count_problems(value: IntOrPercent | None, field: str) -> Iterator[SpecError]:
    """Name what is wrong with *value*, a count or a percentage, which stands at *field*."""
    if value is None:
        return
    try:
        resolve_count(value, 100, round_up=True)
    except ValueError:
        yield SpecError(field=field, found=value, wanted=_COUNT_WANTED)


def anti_affinity_problems(wish: AntiAffinity | None) -> Iterator[SpecError]:
    """Name what is wrong with *wish*."""
    if wish is None:
        return
    field = f"{FIELD}.antiAffinity"
    if (wish.preferred is None) == (wish.required is None):
        wanted = "must have exactly one of preferred- and requiredDuringSchedulingIgnoredDuringExecution"
        yield SpecError(field=field, found="neither" if wish.preferred is None else "both", wanted=wanted)
    if wish.preferred is not None and not 1 <= wish.preferred.weight <= 100:
        yield SpecError(field=f"{field}.weight", found=wish.preferred.weight, wanted="must be 1 to 100")


def _surge_problems(canary: CanaryStrategy) -> Iterator[SpecError]:
    malformed = [
        *count_problems(canary.max_surge, f"{FIELD}.maxSurge"),
        *count_problems(canary.max_unavailable, f"{FIELD}.maxUnavailable"),
    ]
    yield from malformed
    written = (canary.max_surge, canary.max_unavailable)
    if not malformed and all(value is not None and resolve_count(value, 100, round_up=True) == 0 for value in written):
        yield SpecError(
            field=f"{FIELD}.maxSurge", found=canary.max_surge, wanted="must not be 0 beside maxUnavailable 0: no pod could move"
        )


def _service_problems(canary: CanaryStrategy) -> Iterator[SpecError]:
    routing, ping_pong = canary.traffic_routing, canary.ping_pong
    if canary.stable_service and canary.stable_service == canary.canary_service:
        yield SpecError(field=f"{FIELD}.stableService", found=canary.stable_service, wanted="must differ from canaryService")
    if ping_pong is not None:
        if routing is not None and not any(_ping_pong_routers(routing)):
            wanted = "pingPong needs one of alb, istio, smi, traefik, apisix, gatewayAPI or plugins in trafficRouting"
            yield SpecError(field=f"{ROUTING}.alb", found="", wanted=wanted)
        for key, name in (("pingService", ping_pong.ping_service), ("pongService", ping_pong.pong_service)):
            if not name:
                yield SpecError(field=f"{FIELD}.pingPong.{key}", found="", wanted="must name a Service")
        if ping_pong.ping_service and ping_pong.ping_service == ping_pong.pong_service:
            yield SpecError(field=f"{FIELD}.pingPong.pingService", found=ping_pong.ping_service, wanted="must differ from pongService")
        if routing is not None and routing.alb is not None and not routing.alb.root_service:
            yield SpecError(field=f"{ROUTING}.alb.rootService", found="", wanted="must name a Service, because pingPong is used with alb")
    routers = _routers_with_services(canary)
    if routers:
        wanted = f"must name a Service, because trafficRouting has {' and '.join(routers)}"
        for key, name in (("stableService", canary.stable_service), ("canaryService", canary.canary_service)):
            if not name:
                yield SpecError(field=f"{FIELD}.{key}", found="", wanted=wanted)


def _ping_pong_routers(routing: TrafficRouting) -> tuple[object, ...]:
    return (routing.alb, routing.istio, routing.smi, routing.traefik, routing.apisix, routing.gateway_api, routing.plugins)


def _routers_with_services(canary: CanaryStrategy) -> list[str]:
    """Give the routers of *canary* that cannot do without its two Services."""
    routing = canary.traffic_routing
    if routing is None:
        return []
    paired = canary.ping_pong is not None
    needs = {
        "smi": routing.smi is not None and not paired,
        "apisix": routing.apisix is not None and not paired,
        "ambassador": routing.ambassador is not None,
        "nginx": routing.nginx is not None,
        "appMesh": routing.app_mesh is not None,
        "traefik": routing.traefik is not None and not paired,
        "alb": routing.alb is not None and not paired,
        "istio": routing.istio is not None and routing.istio.destination_rule is None and not paired,
    }
    return [name for name, needed in needs.items() if needed]


def _delay_problems(canary: CanaryStrategy) -> Iterator[SpecError]:
    delay = canary.scale_down_delay_seconds
    if delay is not None and canary.traffic_routing is None:
        yield SpecError(field=f"{FIELD}.scaleDownDelaySeconds", found=delay, wanted="must not be set without trafficRouting")
    if canary.dynamic_stable_scale and canary.traffic_routing is None:
        yield SpecError(field=f"{FIELD}.dynamicStableScale", found=True, wanted="must not be set without trafficRouting")


def _routing_problems(routing: TrafficRouting) -> Iterator[SpecError]:
    for name, count in Counter(route.name for route in routing.managed_routes).items():
        if count > 1:
            yield SpecError(field=f"{ROUTING}.managedRoutes", found=name, wanted="must be listed once")
        if not name:
            yield SpecError(field=f"{ROUTING}.managedRoutes", found=None, wanted="needs a name for every route")
    yield from verification_problems(routing, ROUTING)
    weight = routing.max_traffic_weight
    if weight is None:
        return
    field = f"{ROUTING}.maxTrafficWeight"
    if not has_router(routing):
        yield SpecError(field=field, found=weight, wanted=ROUTER_WANTED)
    if weight < 1:
        yield SpecError(field=field, found=weight, wanted="must be 1 or more")
