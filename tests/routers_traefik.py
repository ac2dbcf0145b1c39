"""Traefik as the contract tests meet it."""

from dataclasses import replace
from typing import Any

import yaml

from builders import rollout
from router_setup import CANARY, MANAGED, PING_PONG, STABLE, Objects, Setup, alternating, router_for, strategy
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Feature, MatchKind, MirrorRoute, RequestMatch, TextMatch, TrafficIntent
from tiphys.traffic.router import Making, Ref, Router
from tiphys.traffic.settings import TRAEFIK_2, Settings

TRAEFIK_SERVICE = Ref(group="traefik.io", kind="TraefikService", namespace="default", name="web")
INGRESS_ROUTE = replace(TRAEFIK_SERVICE, kind="IngressRoute", name="shop")
INGRESS_ROUTE_TCP = replace(TRAEFIK_SERVICE, kind="IngressRouteTCP", name="db")

_ROUTES = frozenset(
    {Feature.WEIGHTS, Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR, Feature.EXPERIMENTS}
)


def traefik_rollout(**fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout behind the TraefikService `web`; *fields* are of the strategy, in their JSON form."""
    managed = [{"name": name} for name in MANAGED]
    routing = {"traefik": {"weightedTraefikServiceName": "web"}, "managedRoutes": managed, **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def traefik_service(text: str, *, ref: Ref = TRAEFIK_SERVICE) -> Manifest:
    """Give a TraefikService with the weighted services *text*, in YAML."""
    return _object(ref, {"weighted": {"sticky": {"cookie": {"name": "lvl"}}, "services": yaml.safe_load(text)}})


def ingress_route(text: str, *, ref: Ref = INGRESS_ROUTE) -> Manifest:
    """Give an IngressRoute with the spec *text*, in YAML."""
    return _object(ref, yaml.safe_load(text))


def _object(ref: Ref, spec: Manifest) -> Manifest:
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    return {"apiVersion": f"{ref.group}/v1alpha1", "kind": ref.kind, "metadata": metadata, "spec": spec}


STEPS: list[Manifest] = [
    {"setHeaderRoute": {"name": MANAGED[0], "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}},
    {"setMirrorRoute": {"name": MANAGED[1], "match": [{"path": {"prefix": "/api"}}]}},
]

WEIGHTED = """
- {name: web-canary, port: 80, weight: 0, scheme: h2c}
- {name: web-stable, port: 80, weight: 100, healthCheck: {path: /ready}}
"""

_WEIGHTED_BESIDE = """
- {name: web-canary, kind: Service, port: http, weight: 0}
- {name: web-stable, namespace: elsewhere, port: 80, weight: 5}
- {name: web-stable, port: http}
- {name: audit, kind: TraefikService, weight: 0}
"""

SHOP = """
entryPoints: [web, websecure]
routes:
- kind: Rule
  match: Host(`shop.example`)
  middlewares: [{name: compress}]
  services: [{name: web, kind: TraefikService}]
- kind: Rule
  match: Host(`shop.example`) && PathPrefix(`/static`)
  services: [{name: cdn, port: 80}]
tls: {secretName: shop}
"""

API = """
entryPoints: [web]
routes:
- match: |
    Host(`api.example`) && PathPrefix(`/v1`)
  priority: 7
  observability: {accessLogs: false}
  services: [{name: web, kind: TraefikService, namespace: default}]
- {kind: Rule, match: Host(`api.example`), priority: -1, services: [{name: web, kind: TraefikService}]}
"""

_OLD = """
routes:
- kind: Rule
  match: Host(`shop.example`, `www.shop.example`)
  services: [{name: web, kind: TraefikService, weight: 3}]
"""


def traefik_setups() -> dict[str, Setup]:
    """Give each way to use Traefik."""
    old, old_route = replace(TRAEFIK_SERVICE, group=TRAEFIK_2), replace(INGRESS_ROUTE, group=TRAEFIK_2)
    api = replace(INGRESS_ROUTE, name="api")
    listed = ("spec", "weighted", "services")
    own_syntax = SHOP.replace("  middlewares:", "  syntax: v2\n  middlewares:")

    def setup(router: Router, start: Objects, shows: frozenset[Feature], *places: tuple[Ref, tuple[str | int, ...]]) -> Setup:
        sources = frozenset(start) - {TRAEFIK_SERVICE, old}
        return Setup(
            product="traefik",
            router=router,
            start=start,
            shows=shows,
            places=places,
            sayable=_traefik_says,
            only_read=sources,
            unnamed=sources,
        )

    return {
        **tcp_setups(),
        "traefik with ping-pong": replace(
            setup(
                router_for(traefik_rollout(steps=STEPS, **PING_PONG)),
                {TRAEFIK_SERVICE: traefik_service(alternating(WEIGHTED)), INGRESS_ROUTE: ingress_route(SHOP)},
                _ROUTES | {Feature.PING_PONG},
                (TRAEFIK_SERVICE, (*listed, 1)),
            ),
            stable="web-pong",
            canary="web-ping",
        ),
        "traefik": setup(
            router_for(traefik_rollout(steps=STEPS)),
            {TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(SHOP), api: ingress_route(API, ref=api)},
            _ROUTES,
            # What stands inside the canary's member and the routes is copied into those we make; the next setup looks there.
            *((TRAEFIK_SERVICE, path) for path in ((), ("metadata",), ("spec",), ("spec", "weighted"), (*listed, 1))),
            *((INGRESS_ROUTE, path) for path in ((), ("metadata",), ("spec", "routes", 1), ("spec", "routes", 1, "services", 0))),
            (api, ("spec", "routes", 0, "services", 0)),
        ),
        "traefik without routes of ours": replace(
            setup(
                router_for(traefik_rollout()),
                {TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(SHOP)},
                frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS}),
                *((TRAEFIK_SERVICE, path) for path in (("metadata", "labels"), ("spec", "weighted", "sticky"), (*listed, 0))),
                *((INGRESS_ROUTE, path) for path in (("spec",), ("spec", "tls"), ("spec", "routes", 0), ("metadata", "labels"))),
            ),
            sayable=lambda wish: replace(wish, header_routes=(), mirrors=()),
        ),
        "traefik 2 beside services of others": replace(
            setup(
                router_for(traefik_rollout(steps=STEPS), Settings(traefik_group=TRAEFIK_2)),
                {old: traefik_service(_WEIGHTED_BESIDE, ref=old), old_route: ingress_route(_OLD, ref=old_route)},
                _ROUTES,
                *((old, (*listed, index)) for index in range(1, 4)),
            ),
            without_ours=_relative_members,
        ),
        "traefik with rules in the older syntax": setup(
            router_for(traefik_rollout()),
            {TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(own_syntax)},
            _ROUTES,
        ),
        "traefik in thousandths": replace(
            setup(
                router_for(traefik_rollout(trafficRouting={"maxTrafficWeight": 1000})),
                {TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(SHOP)},
                frozenset({Feature.MAX_WEIGHT}),
                (TRAEFIK_SERVICE, (*listed, 1)),
            ),
            without_ours=_relative_members,
            maximum=1000,
        ),
    }


TCP = """
entryPoints: [db]
routes:
- match: HostSNI(`db.example`)
  services:
  - {name: web-canary, port: 5432, weight: 0, terminationDelay: 100}
  - {name: web-stable, port: 5432, weight: 100}
- match: HostSNI(`reports.example`)
  services: [{name: web-stable, port: 5432}]
- match: HostSNI(`*`)
  services:
  - {name: web-stable, port: pg, weight: 90}
  - {name: audit, port: 5432, weight: 10}
  - {name: web-canary, port: pg, weight: 0}
tls: {passthrough: true}
"""


def tcp_setups() -> dict[str, Setup]:
    """Give each way to split connections with Traefik."""
    both = {"traefik": {"weightedTraefikServiceName": "web", "ingressRouteTCPs": ["db"]}}
    weights = frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS})
    places = (
        (INGRESS_ROUTE_TCP, ()),
        (INGRESS_ROUTE_TCP, ("metadata",)),
        (INGRESS_ROUTE_TCP, ("spec", "tls")),
        *((INGRESS_ROUTE_TCP, ("spec", "routes", index)) for index in range(3)),
        *((INGRESS_ROUTE_TCP, ("spec", "routes", 2, "services", index)) for index in range(3)),
    )
    return {
        "traefik tcp": Setup(
            product="traefik",
            router=router_for(traefik_rollout(trafficRouting={"traefik": {"ingressRouteTCPs": ["db"]}})),
            start={INGRESS_ROUTE_TCP: ingress_route(TCP, ref=INGRESS_ROUTE_TCP)},
            shows=weights,
            places=places,
        ),
        "traefik http and tcp": Setup(
            product="traefik",
            router=router_for(traefik_rollout(trafficRouting=both, steps=STEPS)),
            start={
                TRAEFIK_SERVICE: traefik_service(WEIGHTED),
                INGRESS_ROUTE_TCP: ingress_route(TCP, ref=INGRESS_ROUTE_TCP),
                INGRESS_ROUTE: ingress_route(SHOP),
            },
            shows=_ROUTES,
            places=places,
            sayable=_traefik_says,
            only_read=frozenset({INGRESS_ROUTE}),
            unnamed=frozenset({INGRESS_ROUTE}),
        ),
    }


def made_by(router: Router, found: Objects) -> list[Ref]:
    """Name what *router* makes beside what it *found*."""
    assert isinstance(router, Making)
    return list(router.makes(found))


def _traefik_says(wish: TrafficIntent) -> TrafficIntent:
    """Make of the conditions such as rules of both syntaxes can say."""

    def request(match: RequestMatch) -> RequestMatch:
        method = None if match.method is None else TextMatch(kind=MatchKind.PREFIX, value="P")
        path = match.path
        if path is not None:
            kind = MatchKind.PREFIX if path.kind is MatchKind.REGEX else path.kind
            path = TextMatch(kind=kind, value=f"/{path.value}")
        return replace(match, method=method, path=path)

    def mirror(route: MirrorRoute) -> MirrorRoute:
        return replace(route, any_of=tuple(request(match) for match in route.any_of))

    return replace(wish, mirrors=tuple(mirror(route) for route in wish.mirrors))


def _relative_members(manifest: Manifest) -> Manifest:
    """Take from the members what has no meaning at rest: how large the only weight is."""
    if manifest["kind"] != "TraefikService":
        return manifest
    members = [{**member, "weight": bool(member.get("weight", 1))} for member in manifest["spec"]["weighted"]["services"]]
    return {**manifest, "spec": {**manifest["spec"], "weighted": {**manifest["spec"]["weighted"], "services": members}}}
