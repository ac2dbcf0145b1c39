"""Routers as the contract tests meet them: one line per way to configure a product, with the objects it finds before any rollout."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from builders import rollout
from router_setup import CANARY, MANAGED, PING_PONG, STABLE, Objects, Setup, after, alternating, router_for, strategy
from routers_alb import alb_setups
from routers_appmesh import app_mesh_setups
from routers_external import external_setups
from routers_traefik import TRAEFIK_SERVICE, traefik_rollout, traefik_service, traefik_setups
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL, MANAGED_BY
from tiphys.api.rollout import Rollout
from tiphys.core.intent import (
    Backend,
    Feature,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    MirrorRoute,
    RequestMatch,
    Role,
    TextMatch,
    TrafficIntent,
)
from tiphys.traffic.istio import GROUP
from tiphys.traffic.router import Ref
from tiphys.traffic.settings import Settings

__all__ = [
    "CANARY",
    "MANAGED",
    "PING_PONG",
    "STABLE",
    "TRAEFIK_SERVICE",
    "Objects",
    "Setup",
    "after",
    "alternating",
    "router_for",
    "strategy",
    "traefik_rollout",
    "traefik_service",
]

# --- wishes ---------------------------------------------------------------------------------------------------------------------

_words = st.text(alphabet="abcxyz019-/", min_size=1, max_size=8)
_names = st.sampled_from(["x-beta", "user-agent", "x-tier", "Cookie"])

_HEADERS = {
    Feature.HEADER_EXACT: MatchKind.EXACT,
    Feature.HEADER_PREFIX: MatchKind.PREFIX,
    Feature.HEADER_REGEX: MatchKind.REGEX,
}


def _texts(kinds: list[MatchKind]) -> st.SearchStrategy[TextMatch]:
    return st.builds(TextMatch, kind=st.sampled_from(kinds), value=_words)


def _header_matches(kinds: list[MatchKind]) -> st.SearchStrategy[HeaderMatch]:
    return st.builds(HeaderMatch, header=_names, value=_texts(kinds))


def _request_matches() -> st.SearchStrategy[RequestMatch]:
    texts = _texts(list(MatchKind))
    headers = st.lists(_header_matches(list(MatchKind)), max_size=3, unique_by=lambda match: match.header).map(tuple)
    return st.builds(RequestMatch, method=st.none() | texts, path=st.none() | texts, headers=headers)


@st.composite
def wishes(draw: st.DrawFn, setup: Setup) -> TrafficIntent:
    """Draw any wish that the setup's router says it can fulfil."""
    supports = setup.router.supports
    services = (
        draw(st.lists(st.sampled_from(["exp-a", "exp-b", "exp-c"]), unique=True, max_size=3)) if Feature.EXPERIMENTS in supports else []
    )
    cuts = sorted(draw(st.lists(st.integers(0, setup.maximum), min_size=len(services) + 1, max_size=len(services) + 1)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, setup.maximum], strict=True)]
    hashes = draw(st.lists(st.sampled_from(["55c4d8f7b", "7d9f6c5b8", "6b1c9d4f2"]), min_size=2, max_size=2))
    backends = (
        Backend(role=Role.STABLE, service=setup.stable, pod_hash=hashes[0], weight=weights[-1]),
        Backend(role=Role.CANARY, service=setup.canary, pod_hash=hashes[1], weight=weights[0]),
        *(Backend(role=Role.EXPERIMENT, service=name, weight=weight) for name, weight in zip(services, weights[1:-1], strict=True)),
    )
    kinds = [kind for feature, kind in _HEADERS.items() if feature in supports]
    forms = ["none", *(["header"] if kinds else []), *(["mirror"] if Feature.MIRROR in supports else [])]
    headers: list[HeaderRoute] = []
    mirrors: list[MirrorRoute] = []
    for name in MANAGED:
        form = draw(st.sampled_from(forms))
        if form == "header":
            headers.append(HeaderRoute(name=name, any_of=draw(st.lists(_header_matches(kinds), min_size=1, max_size=3).map(tuple))))
        elif form == "mirror":
            any_of = draw(st.lists(_request_matches(), min_size=1, max_size=3).map(tuple))
            mirrors.append(MirrorRoute(name=name, any_of=any_of, percent=draw(st.integers(0, 100))))
    wish = TrafficIntent(backends=backends, header_routes=tuple(headers), mirrors=tuple(mirrors), managed=MANAGED, maximum=setup.maximum)
    return setup.sayable(wish)


# --- Istio ----------------------------------------------------------------------------------------------------------------------

VIRTUAL_SERVICE = Ref(group=GROUP, kind="VirtualService", namespace="default", name="web")
AWAY = Ref(group=GROUP, kind="VirtualService", namespace="mesh", name="entrance")
RULE = Ref(group=GROUP, kind="DestinationRule", namespace="default", name="web")


def istio_rollout(istio: Manifest, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `istio` block *istio*; *fields* are of the strategy, in their JSON form."""
    routing = {"istio": istio, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    services = {"canaryService": CANARY, "stableService": STABLE}
    return rollout(strategy=strategy(**{**services, "trafficRouting": routing, **fields}))


def virtual_service(text: str, *, ref: Ref = VIRTUAL_SERVICE) -> Manifest:
    """Give a VirtualService with the spec *text*, in YAML."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    return {"apiVersion": "networking.istio.io/v1", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


def destination_rule(text: str) -> Manifest:
    """Give a DestinationRule with the spec *text*, in YAML."""
    return virtual_service(text, ref=RULE)


def _restless(manifest: Manifest) -> Manifest:
    """Take from a DestinationRule what stays while a Rollout refers to it: the mark and the hashes."""
    if manifest["kind"] != "DestinationRule":
        return manifest
    annotations = {key: value for key, value in manifest["metadata"].get("annotations", {}).items() if key != MANAGED_BY}
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    subsets = [
        {**subset, "labels": {key: value for key, value in (subset.get("labels") or {}).items() if key != HASH_LABEL}}
        for subset in manifest["spec"]["subsets"]
    ]
    return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], "subsets": subsets}}


_HOSTS = """
hosts: [web.example]
gateways: [entrance]
http:
- match: [{uri: {prefix: /static}}]
  route: [{destination: {host: cdn}}]
- name: main
  timeout: 5s
  route:
  - destination: {host: web-stable.default.svc.cluster.local, port: {number: 8080}}
    weight: 100
  - destination: {host: web-canary, port: {number: 8080}}
    weight: 0
    headers: {response: {set: {x-version: next}}}
- redirect: {uri: /elsewhere}
- name: main
  route: [{destination: {host: web-stable}}]
"""

_SUBSETS = """
hosts: [web]
http:
- route:
  - destination: {host: web, subset: stable}
    weight: 90
  - destination: {host: web, subset: legacy}
    weight: 10
  - destination: {host: web, subset: canary}
    weight: 0
"""

_RULE = """
host: web
trafficPolicy: {loadBalancer: {simple: RANDOM}}
subsets:
- {name: legacy, labels: {app: web, generation: old}}
- {name: stable, labels: {app: web}}
- {name: canary, labels: {app: web}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}
"""

_KINDS = """
hosts: [web]
http:
- name: first-page
  route:
  - {destination: {host: web-canary}, weight: 0}
  - {destination: {host: web-stable}, weight: 100}
- name: api
  match: [{uri: {prefix: /api}}]
  route:
  - {destination: {host: web-stable}, weight: 100}
  - {destination: {host: web-canary}, weight: 0}
tls:
- match: [{port: 443, sniHosts: [web.example]}]
  route:
  - {destination: {host: web-stable}, weight: 100}
  - {destination: {host: web-canary}, weight: 0}
- match: [{port: 8443, sniHosts: [other.example]}]
  route: [{destination: {host: other}}]
tcp:
- match: [{port: 5432}]
  route:
  - {destination: {host: web-stable, port: {number: 5432}}, weight: 100}
  - {destination: {host: web-canary, port: {number: 5432}}, weight: 0}
"""

_AWAY = """
hosts: [shop.example]
http:
- route:
  - {destination: {host: web-stable.default.svc.cluster.local}, weight: 100}
  - {destination: {host: web-canary.default.svc.cluster.local}, weight: 0}
"""

_PING_PONG = """
hosts: [web]
http:
- name: main
  match: [{authority: {exact: shop.example}}, {port: 8080, gateways: [mesh], headers: {x-region: {exact: eu}}}]
  rewrite: {uri: /}
  route:
  - {destination: {host: web-ping}, weight: 0}
  - {destination: {host: web-pong}, weight: 100}
"""

_ROUTES = frozenset(
    {Feature.WEIGHTS, Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR, Feature.EXPERIMENTS}
)


def _istio_setups() -> dict[str, Setup]:
    """Give each way to use Istio."""
    hosts = istio_rollout({"virtualService": {"name": "web", "routes": ["main"]}})
    subset_rule = {"name": "web", "canarySubsetName": "canary", "stableSubsetName": "stable", "additionalSubsetNames": ["legacy"]}
    subsets = istio_rollout({"virtualService": {"name": "web"}, "destinationRule": subset_rule}, canaryService="", stableService="")
    kinds = {"name": "web", "routes": ["first-page", "api"], "tlsRoutes": [{"port": 443, "sniHosts": ["web.example"]}]}
    several = istio_rollout({"virtualServices": [kinds, {"name": "entrance.mesh.cluster.local"}]})
    ping_pong = istio_rollout(
        {"virtualService": {"name": "web"}},
        canaryService="",
        stableService="",
        pingPong={"pingService": "web-ping", "pongService": "web-pong"},
    )
    fine = istio_rollout({"virtualService": {"name": "web", "routes": ["main"]}}, trafficRouting={"maxTrafficWeight": 1000})
    http = ("spec", "http")
    return {
        "istio by host": Setup(
            product="istio",
            router=router_for(hosts),
            start={VIRTUAL_SERVICE: virtual_service(_HOSTS)},
            shows=_ROUTES,
            places=tuple(
                (VIRTUAL_SERVICE, path)
                for path in (
                    (),
                    ("metadata",),
                    ("spec",),
                    *((*http, index) for index in range(4)),
                    (*http, 1, "route", 0),
                    (*http, 1, "route", 1),
                    (*http, 1, "route", 1, "headers"),
                )
            ),
        ),
        "istio by subset": Setup(
            product="istio",
            router=router_for(subsets),
            start={VIRTUAL_SERVICE: virtual_service(_SUBSETS), RULE: destination_rule(_RULE)},
            shows=_ROUTES | {Feature.SUBSETS},
            places=(
                (VIRTUAL_SERVICE, (*http, 0)),
                (VIRTUAL_SERVICE, (*http, 0, "route", 1)),
                *((RULE, ("spec", "subsets", index)) for index in range(3)),
                *((RULE, ("spec", "subsets", index, "labels")) for index in range(3)),
                (RULE, ("spec", "trafficPolicy")),
                (RULE, ("metadata",)),
            ),
            without_ours=_restless,
            stable="",
            canary="",
        ),
        "istio with every kind of route in two namespaces": Setup(
            product="istio",
            router=router_for(several),
            start={VIRTUAL_SERVICE: virtual_service(_KINDS), AWAY: virtual_service(_AWAY, ref=AWAY)},
            shows=_ROUTES,
            places=(
                *((VIRTUAL_SERVICE, ("spec", kind, 0)) for kind in ("http", "tls", "tcp")),
                *((VIRTUAL_SERVICE, ("spec", kind, 0, "route", 1)) for kind in ("http", "tls", "tcp")),
                (VIRTUAL_SERVICE, ("spec", "tls", 1)),
                (AWAY, (*http, 0)),
            ),
        ),
        "istio with ping-pong and inheritance": Setup(
            product="istio",
            router=router_for(ping_pong, Settings(istio_inherit=True)),
            start={VIRTUAL_SERVICE: virtual_service(_PING_PONG)},
            shows=frozenset({Feature.PING_PONG}),
            places=((VIRTUAL_SERVICE, (*http, 0)), (VIRTUAL_SERVICE, (*http, 0, "route", 0))),
            stable="web-pong",
            canary="web-ping",
        ),
        "istio in thousandths": Setup(
            product="istio",
            router=router_for(fine),
            start={VIRTUAL_SERVICE: virtual_service(_HOSTS)},
            shows=frozenset({Feature.MAX_WEIGHT}),
            places=((VIRTUAL_SERVICE, (*http, 1)),),
            # 100 of 100 is 1000 of 1000: which of the two stands there at rest has no meaning.
            without_ours=_relative,
            maximum=1000,
        ),
    }


def _relative(manifest: Manifest) -> Manifest:
    http = [
        {**entry, "route": [{**item, "weight": bool(item["weight"])} if "weight" in item else item for item in entry["route"]]}
        if "route" in entry
        else entry
        for entry in manifest["spec"]["http"]
    ]
    return {**manifest, "spec": {**manifest["spec"], "http": http}}


# --- NGINX ----------------------------------------------------------------------------------------------------------------------

INGRESS = Ref(group="networking.k8s.io", kind="Ingress", namespace="default", name="shop")
CANARY_INGRESS = replace(INGRESS, name="web-shop-canary")


def nginx_rollout(nginx: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `nginx` block *nginx*; *fields* are of the strategy, in their JSON form."""
    block = {"stableIngress": "shop"} if nginx is None else nginx
    routing = {"nginx": block, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def ingress(text: str, *, ref: Ref = INGRESS, **annotations: str) -> Manifest:
    """Give an Ingress with the spec *text*, in YAML; the keys of *annotations* have `_` for `-` and no prefix."""
    said = {f"nginx.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    metadata |= {"annotations": said} if said else {}
    return {"apiVersion": "networking.k8s.io/v1", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


_INGRESS = """
ingressClassName: nginx
tls: [{hosts: [shop.example], secretName: shop}]
rules:
- host: shop.example
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 8080}}}}
    - {path: /api, pathType: Exact, backend: {service: {name: web-stable, port: {number: 8080}}}}
"""

_INGRESS_BESIDE = """
defaultBackend: {service: {name: web-stable, port: {name: http}}}
rules:
- host: other.example
  http:
    paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]
- host: assets.example
- host: shop.example
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {name: http}}}}
    - {path: /files, pathType: Prefix, backend: {resource: {apiGroup: k8s.example, kind: Bucket, name: files}}}
"""


def _one_name(wish: TrafficIntent) -> TrafficIntent:
    """Let all header routes ask for one header, and leave of the mirrors what copies everything: more no Ingress can say."""
    routes = tuple(replace(route, any_of=tuple(replace(match, header="x-beta") for match in route.any_of)) for route in wish.header_routes)
    mirrors = tuple(replace(mirror, any_of=(RequestMatch(),), percent=100) for mirror in wish.mirrors[:1])
    return replace(wish, header_routes=routes, mirrors=mirrors)


def _nginx_setups() -> dict[str, Setup]:
    """Give each way to use ingress-nginx."""
    second = replace(INGRESS, name="shop-2")
    canaries = frozenset({CANARY_INGRESS, replace(INGRESS, name="web-shop-2-canary")})
    dressed = {
        "stableIngresses": ["shop", "shop-2"],
        "additionalIngressAnnotations": {"canary-by-cookie": "beta"},
        "canaryIngressAnnotations": {"team.example/owner": "shop"},
    }
    headers = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX})
    return {
        "nginx": Setup(
            product="nginx",
            router=router_for(nginx_rollout()),
            start={INGRESS: ingress(_INGRESS, rewrite_target="/")},
            shows=headers | {Feature.WEIGHTS, Feature.MIRROR},
            places=tuple((INGRESS, path) for path in ((), ("metadata",), ("metadata", "annotations"), ("spec",))),
            creates=canaries,
            sayable=_one_name,
        ),
        "nginx with two Ingresses and annotations": Setup(
            product="nginx",
            router=router_for(nginx_rollout(dressed)),
            start={INGRESS: ingress(_INGRESS), second: ingress(_INGRESS_BESIDE, ref=second)},
            shows=headers | {Feature.WEIGHTS},
            places=((INGRESS, ("spec",)), (second, ("spec",)), (second, ("spec", "rules", 0)), (second, ("spec", "defaultBackend"))),
            creates=canaries,
            sayable=lambda wish: replace(_one_name(wish), mirrors=()),
        ),
        "nginx in thousandths": Setup(
            product="nginx",
            router=router_for(nginx_rollout(trafficRouting={"maxTrafficWeight": 1000})),
            start={INGRESS: ingress(_INGRESS)},
            shows=frozenset({Feature.MAX_WEIGHT}),
            places=((INGRESS, ()),),
            maximum=1000,
            creates=canaries,
            sayable=_one_name,
        ),
    }


# --- Gateway API ----------------------------------------------------------------------------------------------------------------


def gateway_ref(kind: str, name: str = "web", namespace: str = "default") -> Ref:
    """Name a route."""
    return Ref(group="gateway.networking.k8s.io", kind=kind, namespace=namespace, name=name)


def gateway_route(text: str, *, ref: Ref) -> Manifest:
    """Give a route with the spec *text*, in YAML."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "generation": 3, "labels": {"team": "shop"}}
    return {"apiVersion": f"{ref.group}/v1", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


def gateway_rollout(gateway: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `gatewayAPI` block *gateway*; *fields* are of the strategy, in their JSON form."""
    native = {} if gateway is None else {"gatewayAPI": gateway}
    routing = {**native, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def gateway_plugin_rollout(spec: Manifest, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with *spec* for the reference's Gateway API plugin."""
    return gateway_rollout(trafficRouting={"plugins": {"argoproj-labs/gatewayAPI": spec}}, **fields)


_HTTP_ROUTE = """
parentRefs: [{name: entrance}]
hostnames: [web.example]
rules:
- matches: [{path: {type: PathPrefix, value: /static}}]
  backendRefs: [{name: cdn, port: 80}]
- name: shop
  matches:
  - {path: {type: PathPrefix, value: /}}
  - {path: {type: PathPrefix, value: /cart}, headers: [{type: Exact, name: x-region, value: eu}]}
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-via, value: gateway}]}}]
  timeouts: {request: 5s}
  backendRefs:
  - {name: web-stable, port: 8080, weight: 100}
  - {name: web-canary, port: 8080, weight: 0}
- matches: [{path: {type: Exact, value: /canary}}]
  backendRefs: [{name: web-canary, port: 8080}]
- matches: [{queryParams: [{name: v, value: "2"}]}]
  backendRefs:
  - {group: "", kind: Service, name: web-canary, port: 8080, weight: 0}
  - {group: "", kind: Service, name: web-stable, port: 8080, weight: 90}
  - {group: "", kind: Service, name: legacy, port: 8080, weight: 10}
"""

_GRPC_ROUTE = """
parentRefs: [{name: entrance}]
rules:
- matches: [{method: {type: Exact, service: shop.Cart}}]
  backendRefs:
  - {name: web-stable, port: 9000, weight: 100}
  - {name: web-canary, port: 9000, weight: 0}
- backendRefs: [{name: other, port: 9000}]
"""

_L4_ROUTE = """
parentRefs: [{name: entrance, sectionName: tls}]
rules:
- backendRefs:
  - {name: web-stable, port: 5432, weight: 100}
  - {name: web-canary, port: 5432, weight: 0}
"""

_MESH_ROUTE = """
parentRefs: [{group: "", kind: Service, name: web, port: 80}]
rules:
- backendRefs:
  - {name: web-stable, port: 80, weight: 100}
  - {name: web-canary, port: 80, weight: 0}
"""

_AWAY_ROUTE = """
parentRefs: [{name: entrance}]
rules:
- name: first-page
  backendRefs:
  - {name: web-stable, namespace: default, port: 80, weight: 100}
  - {name: web-canary, namespace: default, port: 80, weight: 0}
- backendRefs:
  - {name: web-stable, port: 80, weight: 100}
  - {name: web-canary, port: 80, weight: 0}
"""


def _gateway_says(wish: TrafficIntent) -> TrafficIntent:
    """Give the mirrors paths and methods that a route can hold, and headers that no header route looks at."""

    def request(match: RequestMatch) -> RequestMatch:
        method = match.method and replace(match.method, value=(match.method.kind is MatchKind.EXACT and "GET") or "P")
        if method is not None and method.kind is MatchKind.REGEX:
            method = replace(method, value="PUT|POST")
        path = match.path and replace(match.path, kind=MatchKind.PREFIX, value=f"/{match.path.value.strip('-/')}")
        exact = {f"m-{len(match.headers)}": "1"} if match.headers else {}
        headers = tuple(HeaderMatch(header=name, value=TextMatch(kind=MatchKind.EXACT, value=value)) for name, value in exact.items())
        return RequestMatch(method=method, path=path, headers=headers)

    mirrors = tuple(replace(mirror, any_of=tuple(request(match) for match in mirror.any_of)) for mirror in wish.mirrors)
    return replace(wish, mirrors=mirrors)


def _gateway_setups() -> dict[str, Setup]:
    """Give each way to use the Gateway API."""
    http, grpc, tls, tcp = (gateway_ref(kind) for kind in ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"))
    away, mesh = gateway_ref("HTTPRoute", "entrance", "mesh"), gateway_ref("HTTPRoute", "web-mesh")
    rules = ("spec", "rules")
    plugin = {"httpRoutes": [{"name": "web", "useHeaderRoutes": True}], "tcpRoute": "web", "tlsRoutes": [{"name": "web"}]}
    weights = frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS})
    return {
        "gateway http": Setup(
            product="gatewayAPI",
            router=router_for(gateway_rollout({"httpRoutes": [{"name": "web"}]})),
            start={http: gateway_route(_HTTP_ROUTE, ref=http)},
            shows=_ROUTES,
            places=tuple(
                (http, path)
                for path in (
                    (),
                    ("metadata",),
                    ("spec",),
                    *((*rules, index) for index in range(4)),
                    *((*rules, index, "backendRefs", 0) for index in range(4)),
                    (*rules, 3, "backendRefs", 1),
                )
            ),
            sayable=_gateway_says,
        ),
        "gateway grpc": Setup(
            product="gatewayAPI",
            router=router_for(gateway_rollout({"grpcRoutes": [{"name": "web"}]})),
            start={grpc: gateway_route(_GRPC_ROUTE, ref=grpc)},
            shows=_ROUTES,
            places=((grpc, (*rules, 0)), (grpc, (*rules, 1)), (grpc, (*rules, 0, "backendRefs", 1))),
            sayable=lambda wish: replace(
                wish,
                mirrors=tuple(
                    replace(mirror, any_of=tuple(RequestMatch(headers=match.headers) for match in mirror.any_of))
                    for mirror in _gateway_says(wish).mirrors
                ),
            ),
        ),
        "gateway mesh and another namespace": Setup(
            product="gatewayAPI",
            router=router_for(
                gateway_rollout({"httpRoutes": [{"name": "web-mesh"}, {"name": "entrance", "namespace": "mesh", "rules": ["first-page"]}]})
            ),
            start={mesh: gateway_route(_MESH_ROUTE, ref=mesh), away: gateway_route(_AWAY_ROUTE, ref=away)},
            shows=_ROUTES,
            places=((mesh, (*rules, 0)), (away, (*rules, 0)), (away, (*rules, 1, "backendRefs", 0))),
            sayable=_gateway_says,
        ),
        "gateway plugin with every kind": Setup(
            product="gatewayAPI",
            router=router_for(gateway_plugin_rollout(plugin)),
            start={
                http: gateway_route(_HTTP_ROUTE, ref=http),
                tls: gateway_route(f"hostnames: [db.example]{_L4_ROUTE}", ref=tls),
                tcp: gateway_route(_L4_ROUTE, ref=tcp),
            },
            shows=_ROUTES,
            places=((tcp, (*rules, 0)), (tls, (*rules, 0, "backendRefs", 0)), (http, ("metadata", "labels"))),
            sayable=_gateway_says,
        ),
        "gateway plugin with routes chosen by labels": Setup(
            product="gatewayAPI",
            router=router_for(gateway_plugin_rollout({"httpRouteSelector": {"matchLabels": {"team": "shop"}}})),
            start={http: gateway_route(_HTTP_ROUTE, ref=http), mesh: gateway_route(_MESH_ROUTE, ref=mesh)},
            shows=weights,
            places=((http, (*rules, 0)), (mesh, ("metadata", "labels"))),
            unnamed=frozenset({http, mesh}),
        ),
        "gateway tcp": Setup(
            product="gatewayAPI",
            router=router_for(gateway_rollout({"tcpRoutes": [{"name": "web"}]})),
            start={tcp: gateway_route(_L4_ROUTE, ref=tcp)},
            shows=weights,
            places=((tcp, (*rules, 0)),),
        ),
        "gateway with ping-pong": Setup(
            product="gatewayAPI",
            router=router_for(gateway_rollout({"httpRoutes": [{"name": "web-mesh"}]}, **PING_PONG)),
            start={mesh: gateway_route(alternating(_MESH_ROUTE), ref=mesh)},
            shows=frozenset({Feature.PING_PONG}),
            places=((mesh, (*rules, 0)),),
            stable="web-pong",
            canary="web-ping",
            sayable=_gateway_says,
        ),
        "gateway in thousandths": Setup(
            product="gatewayAPI",
            router=router_for(gateway_rollout({"httpRoutes": [{"name": "web-mesh"}]}, trafficRouting={"maxTrafficWeight": 1000})),
            start={mesh: gateway_route(_MESH_ROUTE.replace("weight: 100", "weight: 1000"), ref=mesh)},
            shows=frozenset({Feature.MAX_WEIGHT}),
            places=((mesh, (*rules, 0)),),
            maximum=1000,
            sayable=_gateway_says,
        ),
    }


# --- Apache APISIX --------------------------------------------------------------------------------------------------------------

APISIX_ROUTE = Ref(group="apisix.apache.org", kind="ApisixRoute", namespace="default", name="web")


def apisix_rollout(route: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout behind the ApisixRoute `web`, or with the `route` block *route*; *fields* are of the strategy, in their JSON form."""
    block = {"route": {"name": "web"} if route is None else route}
    routing = {"apisix": block, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def apisix_route(text: str, *, ref: Ref = APISIX_ROUTE) -> Manifest:
    """Give an ApisixRoute with the spec *text*, in YAML."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    return {"apiVersion": f"{ref.group}/v2", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


_APISIX = """
ingressClassName: apisix
http:
- name: web
  match: {paths: [/*], hosts: [shop.example], methods: [GET, POST]}
  timeout: {read: 5s}
  backends:
  - {serviceName: web-stable, servicePort: 80, weight: 100}
  - {serviceName: web-canary, servicePort: 80, weight: 0}
- name: static
  match: {paths: [/static/*]}
  backends: [{serviceName: cdn, servicePort: 80}]
"""

_APISIX_RULES = """
http:
- name: api
  priority: 7
  match: {paths: [/api/*], exprs: [{subject: {scope: Query, name: v}, op: Equal, value: "2"}]}
  plugins: [{name: limit-count, enable: true, config: {count: 5}}]
  backends:
  - {serviceName: web-canary, servicePort: 80, weight: 0, resolveGranularity: service}
  - {serviceName: web-stable, servicePort: 80, weight: 100}
- name: other
  match: {paths: [/other/*]}
  backends: [{serviceName: other, servicePort: 80, weight: 5}]
- name: pages
  match: {paths: [/*]}
  backends:
  - {serviceName: web-stable, servicePort: http, weight: 90}
  - {serviceName: web-canary, servicePort: 8080, weight: 0}
  - {serviceName: audit, servicePort: 80, weight: 10}
"""


def _apisix_setups() -> dict[str, Setup]:
    """Give each way to use Apache APISIX."""
    http = ("spec", "http")
    creates = frozenset(replace(APISIX_ROUTE, name=name) for name in MANAGED)
    two_rules = apisix_rollout({"name": "web", "rules": ["pages", "api"]})
    return {
        "apisix with ping-pong": Setup(
            product="apisix",
            router=router_for(apisix_rollout(**PING_PONG)),
            start={APISIX_ROUTE: apisix_route(alternating(_APISIX))},
            shows=_ROUTES | {Feature.PING_PONG},
            places=((APISIX_ROUTE, (*http, 1)),),
            stable="web-pong",
            canary="web-ping",
            creates=creates,
        ),
        "apisix": Setup(
            product="apisix",
            router=router_for(apisix_rollout()),
            start={APISIX_ROUTE: apisix_route(_APISIX)},
            shows=_ROUTES,
            # What stands inside the Rollout's rule is copied into the routes we make; the next setup looks there.
            places=tuple((APISIX_ROUTE, path) for path in ((), ("metadata",), ("spec",), (*http, 1), (*http, 1, "backends", 0))),
            creates=creates,
        ),
        "apisix with two rules": Setup(
            product="apisix",
            router=router_for(two_rules),
            start={APISIX_ROUTE: apisix_route(_APISIX_RULES)},
            shows=_ROUTES,
            places=((APISIX_ROUTE, (*http, 1)),),
            creates=creates,
        ),
        "apisix without routes of ours": Setup(
            product="apisix",
            router=router_for(two_rules),
            start={APISIX_ROUTE: apisix_route(_APISIX_RULES)},
            shows=frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS}),
            places=tuple(
                (APISIX_ROUTE, (*http, *path))
                for path in ((0,), (0, "match"), (0, "backends", 0), (0, "plugins", 0), (2,), (2, "backends", 0), (2, "backends", 2))
            ),
            creates=creates,
            sayable=lambda wish: replace(wish, header_routes=(), mirrors=()),
        ),
    }


# --- SMI ------------------------------------------------------------------------------------------------------------------------

SPLIT = Ref(group="split.smi-spec.io", kind="TrafficSplit", namespace="default", name="web")
MATCHED_SPLIT = replace(SPLIT, name="web-header-routes")
ROUTE_GROUP = Ref(group="specs.smi-spec.io", kind="HTTPRouteGroup", namespace="default", name="web-header-routes")


def smi_rollout(smi: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `smi` block *smi*; *fields* are of the strategy, in their JSON form."""
    routing = {"smi": smi or {}, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def _smi_setups() -> dict[str, Setup]:
    """Give each way to use SMI."""
    headers = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX})
    weights = frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS})

    def setup(version: str, shows: frozenset[Feature], maximum: int = 100, **fields: Any) -> Setup:  # noqa: ANN401  any JSON value
        routing = {"maxTrafficWeight": maximum} if maximum != 100 else {}
        subject = smi_rollout({"rootService": "web"}, trafficRouting=routing, **fields)
        return Setup(
            product="smi",
            router=router_for(subject, Settings(smi_version=version)),
            start={},
            shows=shows,
            places=(),
            maximum=maximum,
            creates=frozenset({SPLIT, MATCHED_SPLIT, ROUTE_GROUP}),
        )

    return {
        "smi with ping-pong": replace(setup("v1alpha4", weights | {Feature.PING_PONG}, **PING_PONG), stable="web-pong", canary="web-ping"),
        "smi v1alpha1": setup("v1alpha1", weights),
        "smi v1alpha2": setup("v1alpha2", weights),
        "smi v1alpha3": setup("v1alpha3", weights | headers),
        "smi v1alpha4": setup("v1alpha4", weights | headers),
        "smi in thousandths": setup("v1alpha4", frozenset({Feature.MAX_WEIGHT}), maximum=1000),
    }


# --- Ambassador -----------------------------------------------------------------------------------------------------------------

MAPPING = Ref(group="getambassador.io", kind="Mapping", namespace="default", name="web")


def ambassador_rollout(*mappings: str, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout behind *mappings*, or the Mapping `web`; *fields* are of the strategy, in their JSON form."""
    block = {"mappings": list(mappings or ("web",))}
    routing = {"ambassador": block, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def mapping(text: str, *, ref: Ref = MAPPING, version: str = "v2") -> Manifest:
    """Give a Mapping with the spec *text*, in YAML."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    return {"apiVersion": f"{ref.group}/{version}", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


_MAPPING = "{prefix: /web/, service: 'http://web-stable.default:80', timeout_ms: 3000, resolver: endpoint}"
_MAPPING_V3 = (
    "{prefix: /api/, hostname: shop.example, service: web-stable, precedence: 5, headers: {x-region: eu}, regex_headers: {x-zone: '[ab]'}}"
)


def _for_mappings(wish: TrafficIntent, *, prefix: str = "") -> TrafficIntent:
    """Leave of the mirrors at most one that copies everything, and of paths those below *prefix*."""
    mirrors = [
        replace(mirror, any_of=tuple(_below(match, prefix) for match in mirror.any_of), percent=max(1, mirror.percent))
        for mirror in wish.mirrors
    ]
    whole = [mirror for mirror in mirrors if RequestMatch() in mirror.any_of]
    return replace(wish, mirrors=tuple(mirror for mirror in mirrors if mirror not in whole[1:]))


def _below(match: RequestMatch, prefix: str) -> RequestMatch:
    if match.path is None:
        return match
    sayable = bool(prefix) and match.path.kind is not MatchKind.REGEX
    return replace(match, path=replace(match.path, value=f"{prefix}{match.path.value}") if sayable else None)


def _ambassador_setups() -> dict[str, Setup]:
    """Give each way to use Ambassador."""
    api = replace(MAPPING, name="api")
    orphans = frozenset(replace(MAPPING, name=f"{name}-canary") for name in ("web", "api"))
    alone, together = router_for(ambassador_rollout()), router_for(ambassador_rollout("web", "api"))
    return {
        "ambassador": Setup(
            product="ambassador",
            router=alone,
            start={MAPPING: mapping(_MAPPING)},
            shows=_ROUTES,
            places=((MAPPING, ()), (MAPPING, ("metadata",)), (MAPPING, ("metadata", "labels"))),
            creates=frozenset(alone.reads()) - {MAPPING},
            orphans=orphans,
            sayable=lambda wish: _for_mappings(wish, prefix="/web/"),
        ),
        "ambassador with two Mappings": Setup(
            product="ambassador",
            router=together,
            start={MAPPING: mapping(_MAPPING), api: mapping(_MAPPING_V3, ref=api, version="v3alpha1")},
            shows=_ROUTES,
            places=((api, ()), (api, ("metadata",))),
            creates=frozenset(together.reads()) - {MAPPING, api},
            orphans=orphans,
            sayable=_for_mappings,
        ),
    }


SETUPS: dict[str, Setup] = {
    **_istio_setups(),
    **traefik_setups(),
    **_nginx_setups(),
    **_gateway_setups(),
    **_apisix_setups(),
    **_smi_setups(),
    **_ambassador_setups(),
    **alb_setups(),
    **app_mesh_setups(),
}
"""The products of the table, spoken to through objects of the API server."""

EVERY_SETUP: dict[str, Setup] = {**SETUPS, **external_setups()}
"""And routers in other processes, which keep the same promises."""

CRDS = Path(__file__).parents[2] / "shared" / "crds"


def crd_schema(file: str, plural: str, version: str) -> Manifest:
    """Give the schema of one version of a real CRD, closed: fields that it does not know are errors, as pruning would lose them."""
    documents = (CRDS / file).read_text(encoding="utf-8").split("\n---\n")
    (document,) = (document for document in documents if f"\n  name: {plural}\n" in document)
    crd = yaml.load(document, Loader=yaml.CSafeLoader)
    (found,) = (served for served in crd["spec"]["versions"] if served["name"] == version)
    schema = dict(found["schema"]["openAPIV3Schema"])
    plain = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    closed: Manifest = _closed({**schema, "properties": {**plain, **schema["properties"]}})
    return closed


def _closed(schema: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    known = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if known and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
    return closed
