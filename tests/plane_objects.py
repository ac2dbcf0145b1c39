"""Route objects of the products that the development cluster's Envoy stands for, written as their documentation shows them."""

import json
from collections.abc import Mapping
from typing import Any

from devcluster_objects import Manifest

HOST = "shop.example"


def traffic_split(name: str = "web", *, matches: str | None = None, root: str = "web", **weights: object) -> Manifest:
    """A TrafficSplit of *root* over Services by weight; *matches* names its HTTPRouteGroup."""
    backends = [{"service": service, "weight": weight} for service, weight in weights.items()]
    spec: Manifest = {"service": root, "backends": backends}
    if matches:
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": matches}]
    return _object("split.smi-spec.io/v1alpha4", "TrafficSplit", name, spec)


def route_group(*matches: Manifest, name: str = "beta") -> Manifest:
    """An HTTPRouteGroup with these matches."""
    return _object("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", name, {"matches": list(matches)})


def mapping(name: str, service: str, **spec: Any) -> Manifest:  # noqa: ANN401 - any JSON value
    """A Mapping of everything that is asked of the host `shop.example`."""
    return _object("getambassador.io/v3alpha1", "Mapping", name, {"hostname": HOST, "prefix": "/", "service": service, **spec})


def backends(**weights: int | None) -> list[Manifest]:
    """Backends of an ApisixRoute by weight; None: the entry has none."""
    return [
        {"serviceName": service, "servicePort": 80} | ({} if weight is None else {"weight": weight}) for service, weight in weights.items()
    ]


def rule(name: str = "main", *, exprs: tuple[Manifest, ...] = (), match: Mapping[str, Any] | None = None, **fields: Any) -> Manifest:  # noqa: ANN401 - any JSON value
    """A rule of an ApisixRoute for everything that is asked of the host `shop.example`."""
    wanted = {"hosts": [HOST], "paths": ["/*"], **(match or {})}
    return {"name": name, "match": wanted | ({"exprs": list(exprs)} if exprs else {}), **fields}


def apisix_route(*http: Manifest, name: str = "web", **spec: Any) -> Manifest:  # noqa: ANN401 - any JSON value
    """An ApisixRoute of the class `apisix`."""
    return _object("apisix.apache.org/v2", "ApisixRoute", name, {"ingressClassName": "apisix", "http": list(http), **spec})


def expr(name: str, operator: str, value: str, *, scope: str = "Header") -> Manifest:
    """One expression of a rule."""
    return {"subject": {"scope": scope, "name": name}, "op": operator, "value": value}


def forward(**weights: int) -> str:
    """The text of an `actions.NAME` annotation that forwards to Services by weight."""
    groups = [{"ServiceName": service, "ServicePort": "80", "Weight": weight} for service, weight in weights.items()]
    return json.dumps({"Type": "forward", "ForwardConfig": {"TargetGroups": groups}})


def header_condition(name: str, **config: list[str]) -> Manifest:
    """An entry of a `conditions.NAME` annotation."""
    return {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": name, **config}}


def alb_path(service: str, *, path: str = "/", path_type: str = "Prefix", port: Manifest | None = None) -> Manifest:
    """A path of an Ingress, by default to the annotation of that name."""
    backend = {"service": {"name": service, "port": port or {"name": "use-annotation"}}}
    return {"path": path, "pathType": path_type, "backend": backend}


def ingress(
    *paths: Manifest,
    name: str = "web",
    host: str | None = HOST,
    actions: Mapping[str, str] | None = None,
    conditions: Mapping[str, list[Manifest] | str] | None = None,
) -> Manifest:
    """An Ingress of the class `alb` with these annotations by name."""
    prefix = "alb.ingress.kubernetes.io"
    annotations = {f"{prefix}/actions.{key}": text for key, text in (actions or {}).items()}
    for key, listed in (conditions or {}).items():
        annotations[f"{prefix}/conditions.{key}"] = listed if isinstance(listed, str) else json.dumps(listed)
    one = {"http": {"paths": list(paths)}} | ({"host": host} if host else {})
    made = _object("networking.k8s.io/v1", "Ingress", name, {"ingressClassName": "alb", "rules": [one]})
    made["metadata"]["annotations"] = annotations
    return made


def _object(version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def traefik_service(name: str = "web", **weights: int) -> Manifest:
    """A TraefikService with these Services and weights."""
    services = [{"name": service, "port": 80, "weight": weight} for service, weight in weights.items()]
    return _object("traefik.io/v1alpha1", "TraefikService", name, {"weighted": {"services": services}})


def ingress_route(*routes: Manifest, name: str = "web") -> Manifest:
    """An IngressRoute of these rules; see `traefik_rule`."""
    return _object("traefik.io/v1alpha1", "IngressRoute", name, {"entryPoints": ["web"], "routes": list(routes)})


def traefik_rule(more: str = "", *, host: str = HOST, service: str = "", split: str = "web") -> Manifest:
    """A rule for *host* and *more*, for a Service or else for a TraefikService."""
    target = {"name": service, "port": 80} if service else {"name": split, "kind": "TraefikService"}
    return {"match": f"Host(`{host}`){more}", "kind": "Rule", "services": [target]}


def http_route(*rules: Manifest, name: str = "web", host: str = HOST) -> Manifest:
    """An HTTPRoute below the plane's own Gateway; see `http_rule`."""
    spec = {"parentRefs": [{"name": "traefik", "namespace": "default"}], "hostnames": [host], "rules": list(rules)}
    return _object("gateway.networking.k8s.io/v1", "HTTPRoute", name, spec)


def mesh_route(*rules: Manifest, name: str = "web", service: str = "web") -> Manifest:
    """An HTTPRoute for what is asked of a Service; see `http_rule`."""
    parent = {"group": "", "kind": "Service", "name": service, "port": 80}
    return _object("gateway.networking.k8s.io/v1", "HTTPRoute", name, {"parentRefs": [parent], "rules": list(rules)})


def http_rule(*headers: Manifest, path: str = "/", **weights: int) -> Manifest:
    """A rule for requests with all of *headers*, for these Services by weight."""
    match: Manifest = {"path": {"type": "PathPrefix", "value": path}} | ({"headers": list(headers)} if headers else {})
    return {"matches": [match], "backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]}


def nginx_ingress(name: str = "web", service: str = "stable", *, host: str = HOST, path: str = "/", **annotations: str) -> Manifest:
    """An Ingress of the class `nginx`; an annotation is named without its prefix, with underscores."""
    backend = {"service": {"name": service, "port": {"number": 80}}}
    spec = {
        "ingressClassName": "nginx",
        "rules": [{"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}],
    }
    made = _object("networking.k8s.io/v1", "Ingress", name, spec)
    prefixed = {f"nginx.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    made["metadata"]["annotations"] = prefixed
    return made
