"""Do the objects, and what Traefik was recorded to tell about itself, come to the same words exactly when they mean the same?"""

from collections.abc import Mapping
from typing import Any

from devcluster_objects import Manifest, endpoint, endpoint_slice, service
from plane_objects import HOST, http_route, http_rule, ingress_route, nginx_ingress, traefik_rule, traefik_service
from tiphys.devcluster.proxies.builder import SERVICES, SLICES
from tiphys.devcluster.proxies.plane_gateway import GATEWAY_API
from tiphys.devcluster.proxies.plane_nginx import NGINX
from tiphys.devcluster.proxies.plane_traefik import TRAEFIK
from tiphys.devcluster.proxies.traefik_says import Raw, TraefikPlane

KINDS = {
    "TraefikService": ("traefik.io", "traefikservices"),
    "IngressRoute": ("traefik.io", "ingressroutes"),
    "HTTPRoute": ("gateway.networking.k8s.io", "httproutes"),
    "Gateway": ("gateway.networking.k8s.io", "gateways"),
    "GatewayClass": ("gateway.networking.k8s.io", "gatewayclasses"),
    "Ingress": ("networking.k8s.io", "ingresses"),
    "IngressClass": ("networking.k8s.io", "ingressclasses"),
}
ROUTER = "httproute-default-web-gw-default-traefik-ep-web-0-25992aa478acd242a77b"
BETA: Manifest = {"name": "x-beta", "value": "1"}


def objects(plane: TraefikPlane, *manifests: Manifest, canary: str | None = "127.77.1.4") -> Mapping[Any, Any]:
    """What the objects say, beside two Services with a pod each; *canary* nothing means no pod."""
    found: dict[tuple[str, str], list[Any]] = {
        SERVICES: [service("stable"), service("canary")],
        SLICES: [endpoint_slice("stable", endpoint("127.77.1.2")), endpoint_slice("canary", *([endpoint(canary)] if canary else []))],
    }
    for manifest in (*plane.brings, *manifests):
        found.setdefault(KINDS[manifest["kind"]], []).append(manifest)
    return plane.objects_say(found)


def told(plane: TraefikPlane, *, routers: Mapping[str, Any], services: Mapping[str, Any]) -> Mapping[Any, Any]:
    """What Traefik says, with another provider's part beside it."""

    def named(part: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{name}@{plane.provider}": value for name, value in part.items()} | {"api@internal": {"service": "api@internal"}}

    return plane.traefik_says(Raw.of({"routers": named(routers), "services": named(services)}, plane.provider))


def pods(name: str, *addresses: str) -> dict[str, Any]:
    servers = [{"url": f"http://{address}:8080"} for address in addresses]
    return {
        "loadBalancer": {"servers": servers},
        "observability": {"metadata": {"kubernetes": {"namespace": "default", "name": name, "port": "80"}}},
    }


def weighted(**weights: int) -> dict[str, Any]:
    return {"weighted": {"services": [{"name": name.replace("_", "-"), "weight": weight} for name, weight in weights.items()]}}


def made_from(kind: str, service: str, rule: str, **more: object) -> dict[str, Any]:
    source = {"metadata": {"ingress": {"namespace": "default", "name": "web", "kind": kind}}}
    return {"service": service, "rule": rule, "priority": len(rule), "observability": source, **more}


STABLE, CANARY = pods("stable", "127.77.1.2"), pods("canary", "127.77.1.4")
RULE = f"Host(`{HOST}`)"
CRD_SERVICES = {"default-stable-80": STABLE, "default-canary-80": CANARY}


def crd(**weights: int) -> Mapping[Any, Any]:
    services = {**CRD_SERVICES, "default-web": weighted(**{f"default_{name}_80": weight for name, weight in weights.items()})}
    return told(TRAEFIK, routers={"default-web-1": made_from("IngressRoute", "default-web", RULE)}, services=services)


def test_a_traefik_service_is_compared_by_members_and_weights() -> None:
    said = objects(TRAEFIK, traefik_service(stable=80, canary=20), ingress_route(traefik_rule()))

    assert said == crd(stable=80, canary=20)
    assert said != crd(stable=100, canary=0)
    assert said != crd(canary=20, stable=80)


def test_a_rule_is_compared_by_match_priority_and_target() -> None:
    header = " && Header(`x-beta`, `1`)"
    said = objects(TRAEFIK, traefik_service(stable=1), ingress_route(traefik_rule(), traefik_rule(header, service="canary")))
    services = {**CRD_SERVICES, "default-web": weighted(default_stable_80=1)}
    main = {"default-web-1": made_from("IngressRoute", "default-web", RULE)}
    own = {"default-web-2": made_from("IngressRoute", "default-web-2", RULE + header)}

    assert said == told(TRAEFIK, routers={**main, **own}, services={**services, "default-web-2": CANARY})
    assert said != told(TRAEFIK, routers={**main, **own}, services={**services, "default-web-2": STABLE})
    assert said != told(TRAEFIK, routers=main, services=services)
    lower = {"default-web-2": {**own["default-web-2"], "priority": 1}}
    assert said != told(TRAEFIK, routers={**main, **lower}, services={**services, "default-web-2": CANARY})


def test_a_mirror_is_compared_by_its_percentage() -> None:
    main: Manifest = {"name": "stable", "port": 80, "mirrors": [{"name": "canary", "port": 80, "percent": 20}]}
    split = {**traefik_service(), "spec": {"mirroring": main}}

    def mirroring(percent: int) -> dict[str, Any]:
        return {"mirroring": {"service": "default-stable-80", "mirrors": [{"name": "default-canary-80", "percent": percent}]}}

    assert objects(TRAEFIK, split) == told(TRAEFIK, routers={}, services={**CRD_SERVICES, "default-web": mirroring(20)})
    assert objects(TRAEFIK, split) != told(TRAEFIK, routers={}, services={**CRD_SERVICES, "default-web": mirroring(10)})


def test_what_traefik_leaves_out_for_a_missing_service_is_not_awaited() -> None:
    split, route = traefik_service(stable=1, nobody=0), ingress_route(traefik_rule(service="nobody"))

    assert objects(TRAEFIK, split, route) == told(TRAEFIK, routers={}, services=CRD_SERVICES)


def gateway(*, header: str = "", stable: int = 80, canary: int = 20, without: str = "") -> Mapping[Any, Any]:
    members = {f"{ROUTER}-svc-default-stable-0": stable, f"{ROUTER}-svc-default-canary-1": canary}
    split = {"weighted": {"services": [{"name": name, "weight": weight} for name, weight in members.items()]}}
    backing = {name: pods("", "127.77.1.2" if "stable" in name else "127.77.1.4") for name in members if not without or without not in name}
    plain = {name: {"loadBalancer": service["loadBalancer"]} for name, service in backing.items()}
    rule = f'Host("{HOST}") && PathPrefix("/")' + header
    return told(GATEWAY_API, routers={ROUTER: {"service": f"{ROUTER}-wrr", "rule": rule}}, services={f"{ROUTER}-wrr": split, **plain})


def test_an_http_route_is_compared_by_what_its_rules_compare_and_by_weights() -> None:
    said = objects(GATEWAY_API, http_route(http_rule(stable=80, canary=20)))

    assert said == gateway()
    assert said != gateway(canary=0, stable=100)
    assert said != gateway(header=' && Header("x-beta","1")')
    assert objects(GATEWAY_API, http_route(http_rule(BETA, stable=80, canary=20))) == gateway(header=' && Header("x-beta","1")')


def test_a_backend_that_traefik_answers_for_with_an_error_is_not_the_same() -> None:
    """Traefik lists such a member with its weight, and hides that there is nothing behind it."""
    said = objects(GATEWAY_API, http_route(http_rule(stable=80, canary=20)))

    assert said != gateway(without="canary")


def test_a_route_below_a_gateway_of_somebody_else_is_not_awaited() -> None:
    stranger = http_route(http_rule(stable=1))
    stranger["spec"]["parentRefs"] = [{"name": "another", "namespace": "default"}]

    assert not any(kind == "HTTPRoute" for kind, _ in objects(GATEWAY_API, stranger))


NGINX_SERVICES = {"default-web-stable-80": STABLE, "default-web-stable-80-canary": CANARY}
PLACE = f'Host("{HOST}") && PathPrefix("/")'


def nginx(stable: int, canary: int, **routers: object) -> Mapping[Any, Any]:
    split = weighted(default_web_stable_80=stable, default_web_stable_80_canary=canary)
    main = made_from("Ingress", "default-web-stable-80-wrr", PLACE)
    both = {"main": main, "main-tls": {**main, "tls": {}}, **routers}
    return told(NGINX, routers=both, services={**NGINX_SERVICES, "default-web-stable-80-wrr": split})


def canary_ingress(**annotations: str) -> Manifest:
    return nginx_ingress("web-canary", "canary", canary="true", **annotations)


def test_ingresses_are_compared_by_the_canary_s_weight() -> None:
    assert objects(NGINX, nginx_ingress(), canary_ingress(canary_weight="20")) == nginx(80, 20)
    assert objects(NGINX, nginx_ingress(), canary_ingress(canary_weight="20")) != nginx(100, 0)
    parts = canary_ingress(canary_weight="300", canary_weight_total="1000")
    assert objects(NGINX, nginx_ingress(), parts) == nginx(700, 300)


def test_ingresses_are_compared_by_the_header_that_picks_the_canary() -> None:
    said = objects(NGINX, nginx_ingress(), canary_ingress(canary_by_header="x-beta", canary_by_header_pattern="^a.*$"))
    by_header = made_from("Ingress", "default-web-stable-80-canary", f'({PLACE}) && (HeaderRegexp("x-beta", "^a.*$"))')

    assert said == nginx(100, 0, header=by_header)
    assert said != nginx(100, 0)


def test_a_canary_ingress_without_pods_is_left_out() -> None:
    said = objects(NGINX, nginx_ingress(), canary_ingress(canary_weight="20"), canary=None)
    alone = told(
        NGINX,
        routers={"main": made_from("Ingress", "default-web-stable-80", PLACE)},
        services={"default-web-stable-80": STABLE, "default-web-canary-80": pods("canary")},
    )

    assert said == alone
