"""Through which routers can the demo's traffic come, which objects does each need, and how is it entered?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.api.errors import TiphysError
from tiphys.devcluster.proxies import plane_gateway, plane_nginx

Manifest = dict[str, Any]

NAME = "rollouts-demo"
NAMESPACE = "default"
STABLE_SERVICE = f"{NAME}-stable"
CANARY_SERVICE = f"{NAME}-canary"
VIRTUAL_SERVICE = f"{NAME}-vsvc"
HOST = "demo.local"
"""The name that the load generator asks the mesh for."""
RULE = "primary"
_TRIES = 4
"""
How often Traefik tries a request that nobody can take.

It takes a pod for gone as soon as that is asked to leave, and answers 503 until it has read the next weights.
"""


class RouterError(TiphysError):
    """The demo cannot use this router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """
    One router: *name* is the plane's in the development cluster too, *product* the one in the table of routers.

    *routing* stands below `trafficRouting`, *routes* are the objects that a user writes, requests for *host* are for them.
    *groups* are the API groups whose definitions must be installed.
    """

    name: str
    product: str
    routing: Manifest
    routes: tuple[Manifest, ...]
    host: str
    groups: tuple[str, ...] = ()


def chosen(names: Sequence[str]) -> tuple[Entrance, ...]:
    """
    Give the entrances with these names, each once.

    Raises: RouterError naming the one that there is not, and those that there are.
    """
    for name in names:
        if name not in ENTRANCES:
            why = " (App Mesh: nothing that serves its objects runs outside of AWS)" if name.lower() == "appmesh" else ""
            raise RouterError(f"router: found {name!r}{why}, wanted one or several of {', '.join(ENTRANCES)}")
    return tuple(ENTRANCES[name] for name in dict.fromkeys(names))


def service(name: str) -> Manifest:
    """Give a Service to all pods; the controller makes it select those of one version."""
    return _object("v1", "Service", name, {"selector": {"app": NAME}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]})


def _object(version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _weighted(key: str, **fields: object) -> list[Manifest]:
    return [{key: STABLE_SERVICE, **fields, "weight": 100}, {key: CANARY_SERVICE, **fields, "weight": 0}]


def _again() -> Manifest:
    return _object("traefik.io/v1alpha1", "Middleware", NAME, {"retry": {"attempts": _TRIES, "status": ["503"]}})


def _istio() -> Entrance:
    destinations = [{"destination": {"host": name}, "weight": weight} for name, weight in ((STABLE_SERVICE, 100), (CANARY_SERVICE, 0))]
    spec = {"hosts": [HOST], "http": [{"name": RULE, "route": destinations}]}
    return Entrance(
        name="istio",
        product="istio",
        routing={"istio": {"virtualService": {"name": VIRTUAL_SERVICE, "routes": [RULE]}}},
        routes=(_object("networking.istio.io/v1", "VirtualService", VIRTUAL_SERVICE, spec),),
        host=HOST,
        groups=("networking.istio.io",),
    )


def _traefik() -> Entrance:
    host = f"traefik.{HOST}"
    services = [{"name": NAME, "kind": "TraefikService"}]
    rule = {"match": f"Host(`{host}`)", "kind": "Rule", "middlewares": [{"name": NAME}], "services": services}
    return Entrance(
        name="traefik",
        product="traefik",
        routing={"traefik": {"weightedTraefikServiceName": NAME}},
        routes=(
            _object("traefik.io/v1alpha1", "TraefikService", NAME, {"weighted": {"services": _weighted("name", port=80)}}),
            _object("traefik.io/v1alpha1", "IngressRoute", NAME, {"entryPoints": ["web"], "routes": [rule]}),
            _again(),
        ),
        host=host,
        groups=("traefik.io",),
    )


def _gateway() -> Entrance:
    host = f"gateway.{HOST}"
    parent = {"name": plane_gateway.GATEWAY, "namespace": plane_gateway.NAMESPACE}
    matches = [{"path": {"type": "PathPrefix", "value": "/"}}]
    again = {"type": "ExtensionRef", "extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": NAME}}
    rule = {"matches": matches, "filters": [again], "backendRefs": _weighted("name", port=80)}
    spec = {"parentRefs": [parent], "hostnames": [host], "rules": [rule]}
    return Entrance(
        name="gateway",
        product="gatewayAPI",
        routing={"gatewayAPI": {"httpRoutes": [{"name": NAME}]}},
        routes=(_object(f"{plane_gateway.GROUP}/v1", "HTTPRoute", NAME, spec), _again()),
        host=host,
        groups=(plane_gateway.GROUP, "traefik.io"),
    )


def _nginx() -> Entrance:
    host, name = f"nginx.{HOST}", f"{NAME}-nginx"
    ingress = _ingress(name, host, ingress_class=plane_nginx.CLASS, service_name=STABLE_SERVICE, port={"number": 80})
    prefix = "nginx.ingress.kubernetes.io/proxy-next-upstream"
    ingress["metadata"]["annotations"] = {prefix: "error timeout http_503", f"{prefix}-tries": str(_TRIES)}
    return Entrance(
        name="nginx",
        product="nginx",
        routing={"nginx": {"stableIngress": name}},
        routes=(ingress,),
        host=host,
    )


def _ambassador() -> Entrance:
    host = f"ambassador.{HOST}"
    spec = {"hostname": host, "prefix": "/", "service": f"{STABLE_SERVICE}:80"}
    return Entrance(
        name="ambassador",
        product="ambassador",
        routing={"ambassador": {"mappings": [NAME]}},
        routes=(_object("getambassador.io/v3alpha1", "Mapping", NAME, spec),),
        host=host,
        groups=("getambassador.io",),
    )


def _apisix() -> Entrance:
    host = f"apisix.{HOST}"
    rule = {"name": RULE, "match": {"hosts": [host], "paths": ["/*"]}, "backends": _weighted("serviceName", servicePort=80)}
    return Entrance(
        name="apisix",
        product="apisix",
        routing={"apisix": {"route": {"name": NAME, "rules": [RULE]}}},
        routes=(_object("apisix.apache.org/v2", "ApisixRoute", NAME, {"ingressClassName": "apisix", "http": [rule]}),),
        host=host,
        groups=("apisix.apache.org",),
    )


def _smi() -> Entrance:
    return Entrance(
        name="smi",
        product="smi",
        routing={"smi": {"rootService": NAME}},
        routes=(service(NAME),),
        host=NAME,
        groups=("split.smi-spec.io", "specs.smi-spec.io"),
    )


def _alb() -> Entrance:
    host, name = f"alb.{HOST}", f"{NAME}-alb"
    ingress = _ingress(name, host, ingress_class="alb", service_name=NAME, port={"name": "use-annotation"})
    return Entrance(
        name="alb",
        product="alb",
        routing={"alb": {"ingress": name, "servicePort": 80, "rootService": NAME}},
        routes=(service(NAME), ingress),
        host=host,
        groups=("elbv2.k8s.aws",),
    )


def _ingress(name: str, host: str, *, ingress_class: str, service_name: str, port: Manifest) -> Manifest:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service_name, "port": port}}}
    return _object(
        "networking.k8s.io/v1", "Ingress", name, {"ingressClassName": ingress_class, "rules": [{"host": host, "http": {"paths": [path]}}]}
    )


ENTRANCES: Mapping[str, Entrance] = {
    each.name: each for each in (_istio(), _traefik(), _gateway(), _nginx(), _ambassador(), _apisix(), _smi(), _alb())
}
DEFAULT = ("istio",)
