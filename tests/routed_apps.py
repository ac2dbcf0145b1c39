"""Behind which objects of its user does a Rollout stand, for each router of the table, and what do these give its canary?"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inprocess import InProcessController, rollout_manifest, service_manifest, virtual_service_manifest
from scenarios import BETA, CANARY_SERVICE, STABLE_SERVICE, template
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.settings import Settings

Read = Callable[[str, str], Manifest | None]
"""Reads an object by kind and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """
    A Rollout `web` behind one router.

    *objects* are the route objects that its user wrote. *weight* reads what the objects, the router's own included, give the canary.
    """

    product: str
    groups: tuple[str, ...]
    routing: Manifest
    objects: tuple[Manifest, ...]
    weight: Callable[[Read], int]
    canary: Mapping[str, Any] = field(default_factory=dict)
    headers: bool = False
    settings: Settings | None = None

    def steps(self, *pauses: Manifest) -> list[Manifest]:
        """Give steps to 20 and 50 percent, and a header route where the router can, each followed by the next of *pauses*."""
        asked: list[Manifest] = [{"setWeight": 20}, *([{"setHeaderRoute": BETA}] if self.headers else []), {"setWeight": 50}]
        return [step for index, ask in enumerate(asked) for step in (ask, pauses[min(index, len(pauses) - 1)])]

    def manifests(self, *steps: Manifest) -> list[Manifest]:
        """Give everything that its user has in a repository."""
        services = {"canaryService": CANARY_SERVICE, "stableService": STABLE_SERVICE, **self.canary}
        managed = {"managedRoutes": [{"name": "beta"}]} if self.headers else {}
        rollout = rollout_manifest("web", *steps, istio=False, trafficRouting={**self.routing, **managed}, **services)
        rollout["spec"]["template"] = template("1")
        named = [name for key in ("stableService", "canaryService") if (name := services.get(key))]
        named += list((services.get("pingPong") or {}).values())
        return [*(service_manifest(name) for name in named), *self.objects, rollout]


def at_rest(app: App, *steps: Manifest) -> InProcessController:
    """Give a controller whose Rollout `web`, behind *app*'s objects, rests on its first version."""
    definitions = [definition for group in app.groups for definition in foreign_definitions(group)]
    cluster = VirtualCluster(definitions=[*definitions, *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated, routers=app.settings)
    cluster.join(controller)
    for manifest in app.manifests(*steps):
        controller.create(manifest)
    cluster.advance(120)
    assert controller.rollout().status.phase == "Healthy", controller.rollout().status.message
    controller.api.done.clear()
    controller.requests.clear()
    controller.told.events.clear()
    return controller


def reader(controller: InProcessController) -> Read:
    """Give what reads the cluster of *controller*."""
    kinds = {resource.kind: (resource.group, resource.kind) for resource in controller.cluster.store.registry}

    def read(kind: str, name: str) -> Manifest | None:
        try:
            return controller.manifest(kinds[kind], name)
        except StatusError:
            return None

    return read


def _member(members: list[Manifest], key: str, name: str = CANARY_SERVICE) -> int:
    return sum(int(member.get("weight", 1)) for member in members if member[key] == name)


def _object(api_version: str, kind: str, spec: Manifest, *, name: str = "web") -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "labels": {"team": "shop"}},
        "spec": spec,
    }


def _split(stable: str = STABLE_SERVICE, canary: str = CANARY_SERVICE, *, name: str = "name", port: str = "port") -> list[Manifest]:
    return [{name: stable, port: 80, "weight": 100}, {name: canary, port: 80, "weight": 0}]


def _istio(read: Read, canary: str = CANARY_SERVICE) -> int:
    (route,) = [entry for entry in _there(read("VirtualService", "web"))["spec"]["http"] if entry.get("name") != "beta"]
    return sum(each["weight"] for each in route["route"] if canary in each["destination"].values())


def _there(found: Manifest | None) -> Manifest:
    assert found is not None
    return found


def _nginx(read: Read) -> int:
    found = read("Ingress", "web-web-canary")
    return 0 if found is None else int(found["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])


def _alb(read: Read) -> int:
    text = _there(read("Ingress", "web"))["metadata"].get("annotations", {}).get("alb.ingress.kubernetes.io/actions.web-root")
    groups = json.loads(text)["ForwardConfig"]["TargetGroups"] if text else []
    return sum(int(group["Weight"]) for group in groups if group["ServiceName"] == CANARY_SERVICE)


def _smi(read: Read) -> int:
    found = read("TrafficSplit", "web")
    return 0 if found is None else _member([{**each, "weight": int(each["weight"])} for each in found["spec"]["backends"]], "service")


def _mapping(read: Read) -> int:
    found = read("Mapping", "web-canary")
    return 0 if found is None else int(found["spec"]["weight"])


_SUBSETS: Final[Manifest] = {"host": "web", "subsets": [{"name": name, "labels": {"app": "web"}} for name in ("stable", "canary", "all")]}
_BY_SUBSET: Final = [
    {"destination": {"host": "web", "subset": "stable"}, "weight": 100},
    {"destination": {"host": "web", "subset": "canary"}, "weight": 0},
]
_BACKEND: Final = {"service": {"name": STABLE_SERVICE, "port": {"number": 80}}}
_PATHS: Final = [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]
_HTTP: Final = {"parentRefs": [{"name": "front"}], "rules": [{"name": "main", "backendRefs": _split()}]}

_ROOT: Final = {"service": {"name": "web-root", "port": {"name": "use-annotation"}}}
_ALB: Final[Manifest] = {
    "ingressClassName": "alb",
    "rules": [{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": _ROOT}]}}],
}
_TARGETS: Final = [
    {"virtualNodeRef": {"name": "canary"}, "weight": 0},
    {"virtualNodeRef": {"name": "stable"}, "weight": 100},
]
_LISTENERS: Final = [{"portMapping": {"port": 8080, "protocol": "http"}}]
_NODES: Final[Manifest] = {"canaryVirtualNodeRef": {"name": "canary"}, "stableVirtualNodeRef": {"name": "stable"}}

APPS: Final[Mapping[str, App]] = {
    "istio": App(
        product="istio",
        groups=("networking.istio.io",),
        routing={"istio": {"virtualService": {"name": "web"}}},
        objects=(virtual_service_manifest(timeout="5s"),),
        weight=_istio,
        headers=True,
    ),
    "istio by subset": App(
        product="istio",
        groups=("networking.istio.io",),
        routing={
            "istio": {
                "virtualService": {"name": "web"},
                "destinationRule": {"name": "web", "stableSubsetName": "stable", "canarySubsetName": "canary"},
            }
        },
        objects=(
            service_manifest("web"),
            _object("networking.istio.io/v1", "VirtualService", {"hosts": ["web"], "http": [{"route": _BY_SUBSET}]}),
            _object("networking.istio.io/v1", "DestinationRule", _SUBSETS),
        ),
        canary={"canaryService": "", "stableService": ""},
        weight=lambda read: _istio(read, "canary"),
    ),
    "nginx": App(
        product="nginx",
        groups=(),
        routing={"nginx": {"stableIngress": "web"}},
        objects=(
            _object(
                "networking.k8s.io/v1",
                "Ingress",
                {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": _PATHS}}]},
            ),
        ),
        weight=_nginx,
        headers=True,
    ),
    "alb": App(
        product="alb",
        groups=(),
        routing={"alb": {"ingress": "web", "servicePort": 80, "rootService": "web-root"}},
        objects=(_object("networking.k8s.io/v1", "Ingress", _ALB),),
        weight=_alb,
        headers=True,
    ),
    "appMesh": App(
        product="appMesh",
        groups=("appmesh.k8s.aws",),
        routing={"appMesh": {"virtualService": {"name": "web"}, "virtualNodeGroup": _NODES}},
        objects=(
            _object("appmesh.k8s.aws/v1beta2", "VirtualService", {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "web"}}}}),
            _object(
                "appmesh.k8s.aws/v1beta2",
                "VirtualRouter",
                {
                    "listeners": _LISTENERS,
                    "routes": [{"name": "main", "httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": _TARGETS}}}],
                },
            ),
            *(
                _object(
                    "appmesh.k8s.aws/v1beta2",
                    "VirtualNode",
                    {"podSelector": {"matchLabels": {"app": "web"}}, "listeners": _LISTENERS},
                    name=name,
                )
                for name in ("stable", "canary")
            ),
        ),
        weight=lambda read: next(
            target["weight"]
            for target in _there(read("VirtualRouter", "web"))["spec"]["routes"][0]["httpRoute"]["action"]["weightedTargets"]
            if target["virtualNodeRef"]["name"] == "canary"
        ),
    ),
    "smi": App(
        product="smi",
        groups=("split.smi-spec.io", "specs.smi-spec.io"),
        routing={"smi": {}},
        objects=(),
        weight=_smi,
        headers=True,
        settings=Settings(smi_version="v1alpha4"),
    ),
    "ambassador": App(
        product="ambassador",
        groups=("getambassador.io",),
        routing={"ambassador": {"mappings": ["web"]}},
        objects=(_object("getambassador.io/v2", "Mapping", {"prefix": "/web/", "service": f"{STABLE_SERVICE}:80"}),),
        weight=_mapping,
        headers=True,
    ),
    "traefik": App(
        product="traefik",
        groups=("traefik.io",),
        routing={"traefik": {"weightedTraefikServiceName": "web"}},
        objects=(
            _object("traefik.io/v1alpha1", "TraefikService", {"weighted": {"services": _split()}}),
            _object(
                "traefik.io/v1alpha1",
                "IngressRoute",
                {"routes": [{"kind": "Rule", "match": "Host(`a`)", "services": [{"name": "web", "kind": "TraefikService"}]}]},
            ),
        ),
        weight=lambda read: _member(_there(read("TraefikService", "web"))["spec"]["weighted"]["services"], "name"),
        headers=True,
    ),
    "traefik tcp": App(
        product="traefik",
        groups=("traefik.io",),
        routing={"traefik": {"ingressRouteTCPs": ["web"]}},
        objects=(_object("traefik.io/v1alpha1", "IngressRouteTCP", {"routes": [{"match": "HostSNI(`*`)", "services": _split()}]}),),
        weight=lambda read: _member(_there(read("IngressRouteTCP", "web"))["spec"]["routes"][0]["services"], "name"),
    ),
    "traefik with ping-pong": App(
        product="traefik",
        groups=("traefik.io",),
        routing={"traefik": {"weightedTraefikServiceName": "web"}},
        objects=(_object("traefik.io/v1alpha1", "TraefikService", {"weighted": {"services": _split("web-pong", "web-ping")}}),),
        canary={"canaryService": "", "stableService": "", "pingPong": {"pingService": "web-ping", "pongService": "web-pong"}},
        weight=lambda read: _member(_there(read("TraefikService", "web"))["spec"]["weighted"]["services"], "name", "web-ping"),
    ),
    "apisix": App(
        product="apisix",
        groups=("apisix.apache.org",),
        routing={"apisix": {"route": {"name": "web", "rules": ["main"]}}},
        objects=(
            _object(
                "apisix.apache.org/v2",
                "ApisixRoute",
                {
                    "http": [
                        {"name": "main", "match": {"paths": ["/*"]}, "backends": _split(name="serviceName", port="servicePort")},
                        {"name": "static", "match": {"paths": ["/s/*"]}, "backends": [{"serviceName": "cdn", "servicePort": 80}]},
                    ]
                },
            ),
        ),
        weight=lambda read: _member(_there(read("ApisixRoute", "web"))["spec"]["http"][0]["backends"], "serviceName"),
        headers=True,
    ),
    "gatewayAPI": App(
        product="gatewayAPI",
        groups=("gateway.networking.k8s.io",),
        routing={"gatewayAPI": {"httpRoutes": [{"name": "web"}]}},
        objects=(_object("gateway.networking.k8s.io/v1", "HTTPRoute", _HTTP),),
        weight=lambda read: _member(_there(read("HTTPRoute", "web"))["spec"]["rules"][-1]["backendRefs"], "name"),
        headers=True,
    ),
}
"""One or more for each product of the table."""
