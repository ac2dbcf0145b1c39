"""How are connections split by IngressRouteTCPs?"""

from typing import Any

import pytest

from router_setup import STABLE, router_for
from routers_traefik import (
    INGRESS_ROUTE,
    INGRESS_ROUTE_TCP,
    SHOP,
    TCP,
    TRAEFIK_SERVICE,
    WEIGHTED,
    ingress_route,
    traefik_rollout,
    traefik_service,
)
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.traffic.router import Ref
from tiphys.traffic.table import unsupported

ALONE: Manifest = {"traefik": {"ingressRouteTCPs": ["db"]}}
BOTH: Manifest = {"traefik": {"weightedTraefikServiceName": "web", "ingressRouteTCPs": ["db"]}}
FIELD = "spec.strategy.canary.trafficRouting.traefik.ingressRouteTCPs"
FOUND: dict[Ref, Manifest] = {INGRESS_ROUTE_TCP: ingress_route(TCP, ref=INGRESS_ROUTE_TCP)}
HEADER_STEP = {"setHeaderRoute": {"name": "first", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}}
EXPERIMENT_STEP = {"experiment": {"templates": [{"name": "a", "specRef": "canary", "weight": 5}]}}


def wish(canary: int, *experiments: str) -> TrafficIntent:
    return TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=STABLE, weight=100 - canary - 10 * len(experiments)),
            Backend(role=Role.CANARY, service="web-canary", weight=canary),
            *(Backend(role=Role.EXPERIMENT, service=name, weight=10) for name in experiments),
        )
    )


def told(routing: Manifest, found: dict[Ref, Manifest], **fields: Any) -> list[str]:  # noqa: ANN401  any JSON value
    return [str(problem) for problem in router_for(traefik_rollout(trafficRouting=routing, **fields)).problems(found)]


def services(manifest: Manifest) -> list[list[tuple[str, object]]]:
    return [[(item["name"], item.get("weight")) for item in route["services"]] for route in manifest["spec"]["routes"]]


def test_every_route_with_both_services_gets_the_weights_and_no_other() -> None:
    written = router_for(traefik_rollout(trafficRouting=ALONE)).render(wish(30), FOUND).apply[INGRESS_ROUTE_TCP]

    assert services(written) == [
        [("web-canary", 30), ("web-stable", 70)],
        [("web-stable", None)],
        [("web-stable", 60), ("audit", 10), ("web-canary", 30)],
    ]


def test_an_experiment_is_reached_as_the_canary_is_and_goes_again() -> None:
    router = router_for(traefik_rollout(trafficRouting=ALONE))
    with_one = router.render(wish(20, "exp"), FOUND).apply[INGRESS_ROUTE_TCP]
    with_none = router.render(wish(0), {INGRESS_ROUTE_TCP: with_one}).apply[INGRESS_ROUTE_TCP]

    assert with_one["spec"]["routes"][0]["services"][-1] == {"name": "exp", "port": 5432, "terminationDelay": 100, "weight": 10}
    assert with_one["metadata"]["annotations"] == {ROUTED_EXPERIMENTS: "exp"}
    assert with_none == FOUND[INGRESS_ROUTE_TCP]


def test_requests_and_connections_get_one_wish_and_are_read_together() -> None:
    found = {**FOUND, TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(SHOP)}
    router = router_for(traefik_rollout(trafficRouting=BOTH))
    written = {**found, **router.render(wish(40), found).apply}
    behind = {**written, INGRESS_ROUTE_TCP: FOUND[INGRESS_ROUTE_TCP]}

    together, apart = router.routed(written), router.routed(behind)

    assert together is not None
    assert together.says(wish(40))
    assert apart is not None
    assert (apart.canary, apart.stable, apart.uniform) == (40, 100, False)


def test_one_missing_object_keeps_the_other_from_nothing() -> None:
    router = router_for(traefik_rollout(trafficRouting=BOTH))

    rendered = router.render(wish(40), FOUND)

    assert list(rendered.apply) == [INGRESS_ROUTE_TCP]
    assert len(rendered.errors) == 1


def test_header_routes_need_requests() -> None:
    (refused,) = unsupported(traefik_rollout(trafficRouting=ALONE, steps=[HEADER_STEP]))

    assert (refused.field, refused.wanted) == (
        "spec.strategy.steps[0].setHeaderRoute.match[0]",
        'the router "traefik" cannot do this: header exact',
    )
    assert unsupported(traefik_rollout(trafficRouting=BOTH, steps=[HEADER_STEP])) == ()


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        (
            "[{match: a, services: [{name: web-stable, port: 1}]}]",
            'spec.routes: Required value: needs a route that lists both the canary\'s ("web-canary") and the stable Service ("web-stable")',
        ),
        (
            "[{services: [{name: web-stable}, {name: web-canary}, {name: web-canary}]}]",
            'spec.routes[0].services: Invalid value: "2 destinations": must have exactly one that is the canary\'s (name "web-canary")',
        ),
        (
            "[{services: [{name: web-stable}, {name: web-canary}, {port: 1}]}]",
            "spec.routes[0].services[2].name: Required value: must name a Service",
        ),
        ("[7]", 'spec.routes[0]: Invalid value: "7": must be a map'),
    ],
)
def test_routes_that_cannot_carry_the_weights_are_told_with_their_place(routes: str, wanted: str) -> None:
    found = {INGRESS_ROUTE_TCP: ingress_route(f"routes: {routes}", ref=INGRESS_ROUTE_TCP)}

    assert told(ALONE, found) == [f'{FIELD}: Invalid value: "db": IngressRouteTCP default/db: {wanted}']


def test_what_is_missing_is_told() -> None:
    assert told(ALONE, {}) == [f'{FIELD}: Invalid value: "db": must name an existing IngressRouteTCP (IngressRouteTCP default/db)']
    assert told({"traefik": {"ingressRouteTCPs": ["db", ""]}}, FOUND) == [
        f"{FIELD}[1]: Required value: needs the name of an IngressRouteTCP"
    ]
    assert told({"traefik": {}}, FOUND) == [
        "spec.strategy.canary.trafficRouting.traefik.weightedTraefikServiceName: Required value: needs the name of a TraefikService"
    ]


def test_an_experiment_whose_port_cannot_be_told_is_told_before_its_step() -> None:
    assert told(ALONE, FOUND, steps=[EXPERIMENT_STEP]) == []
