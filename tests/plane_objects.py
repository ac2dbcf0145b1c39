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
