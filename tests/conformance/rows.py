"""Which ways to use which products are tried, with which objects of the user's?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Final

import yaml

from tiphys.api.meta import Manifest

SHOP: Final = "shop"
"""The name of everything in a cell's namespace: the Rollout, the root Service, the route objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where requests enter: the *plane* that answers, and the Host header, which may hold the namespace."""

    plane: str
    host: str


MESH: Final = "shop.$namespace"
EDGE: Final = "$namespace.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A field of *kind* that is not ours, at *path* (`[x]` is the entry named x of a list), and another *value* for it."""

    kind: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """
    One way to use *products* (names of the router table).

    *routing* is the Rollout's `trafficRouting`, *objects* YAML of what the user has. *makes* are kinds of objects that the router
    makes, so that somebody can write to those too. *subsets*: pods are picked by the mesh, no Service of the Rollout is named.
    *mirror* is the percentage that is tried. *lacks* names behaviours that the product refuses beyond what `supports` can tell, with a
    word of the refusal. *unseen* are behaviours that the data plane cannot show, so that only objects are judged; without *entrances*
    it is all of them. *own_annotations* stay in the user's objects and are ours by their names. *gap*: when the last canary pod goes, the
    product has nobody for its share until it has read the new weight. *why* tells the reason for any of these.
    """

    name: str
    products: tuple[str, ...]
    routing: Manifest
    objects: str
    entrances: tuple[Entrance, ...] = ()
    edits: tuple[Edit, ...] = ()
    makes: tuple[str, ...] = ()
    subsets: bool = False
    mirror: int = 25
    lacks: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    own_annotations: tuple[str, ...] = ()
    gap: bool = False
    why: str = ""

    @property
    def planes(self) -> tuple[str, ...]:
        """What has to run for it."""
        return tuple(entrance.plane for entrance in self.entrances)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of objects carry its traffic."""
        found = [manifest["kind"] for manifest in self.manifests("default", stable="stable", canary="canary")]
        return tuple(dict.fromkeys(["Service", *found, *self.makes]))

    def manifests(self, namespace: str, *, stable: str, canary: str, full: int = 100) -> list[Manifest]:
        """Give the user's objects for one cell; *full* is the weight of everything."""
        words = {"namespace": namespace, "stable": stable, "canary": canary, "full": full, "host": f"{namespace}.example"}
        text = Template(self.objects).substitute(words)
        return [found for found in yaml.safe_load_all(text) if found]


_VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  hosts: [shop]
  http:
  - name: pictures
    match: [{uri: {prefix: /pictures}}]
    route: [{destination: {host: $stable}}]
  - name: primary
    timeout: 5s
    route:
    - {destination: {host: $stable}, weight: $full}
    - {destination: {host: $canary}, weight: 0}
"""

_SUBSETS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, labels: {team: shop}}
spec:
  hosts: [shop]
  http:
  - timeout: 5s
    route:
    - {destination: {host: shop, subset: stable}, weight: $full}
    - {destination: {host: shop, subset: canary}, weight: 0}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, annotations: {shop.example/note: ours}}
spec:
  host: shop
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: everybody, labels: {app: shop}}
  - {name: stable, labels: {app: shop}}
  - {name: canary, labels: {app: shop}}
"""

_MAPPING = """
apiVersion: getambassador.io/v3alpha1
kind: Mapping
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec: {hostname: $host, prefix: /, service: "$stable:80", timeout_ms: 5000}
"""

_APISIX_ROUTE = """
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  ingressClassName: apisix
  http:
  - name: pictures
    priority: 5
    match: {hosts: [$host], paths: [/pictures/*]}
    backends: [{serviceName: $stable, servicePort: 80}]
  - name: shop
    timeout: {read: 5s}
    match: {hosts: [$host], paths: [/*]}
    backends:
    - {serviceName: $stable, servicePort: 80, weight: $full}
    - {serviceName: $canary, servicePort: 80, weight: 0}
"""

_TRAEFIK = """
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  weighted:
    services:
    - {name: $stable, port: 80, weight: $full}
    - {name: $canary, port: 80, weight: 0}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: shop, labels: {team: shop}}
spec:
  entryPoints: [web]
  routes:
  - {match: "Host(`$host`)", kind: Rule, services: [{name: shop, kind: TraefikService}]}
  - {match: "Host(`$host`) && PathPrefix(`/pictures`)", kind: Rule, services: [{name: $stable, port: 80}]}
"""

_HTTP_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  parentRefs: [{name: traefik, namespace: default}]
  hostnames: [$host]
  rules:
  - matches: [{path: {type: PathPrefix, value: /pictures}}]
    backendRefs: [{name: $stable, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs:
    - {name: $stable, port: 80, weight: $full}
    - {name: $canary, port: 80, weight: 0}
"""

_SERVICE_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  parentRefs: [{group: "", kind: Service, name: shop, port: 80}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /pictures}}]
    backendRefs: [{name: $stable, port: 80}]
  - backendRefs:
    - {name: $stable, port: 80, weight: $full}
    - {name: $canary, port: 80, weight: 0}
"""

_INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours}}
spec:
  ingressClassName: nginx
  rules:
  - host: $host
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: $stable, port: {number: 80}}}}]}
"""

_ALB = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, labels: {team: shop}, annotations: {shop.example/note: ours, alb.ingress.kubernetes.io/scheme: internal}}
spec:
  ingressClassName: alb
  rules:
  - host: $host
    http:
      paths:
      - {path: /pictures, pathType: Prefix, backend: {service: {name: $stable, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: shop-root, port: {name: use-annotation}}}}
"""

_APP_MESH = """
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: shop, labels: {team: shop}}
spec: {awsName: shop.$namespace, provider: {virtualRouter: {virtualRouterRef: {name: shop}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: shop, annotations: {shop.example/note: ours}}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
  - name: main
    httpRoute:
      match: {prefix: /}
      retryPolicy: {maxRetries: 2, perRetryTimeout: {unit: s, value: 5}}
      action:
        weightedTargets:
        - {virtualNodeRef: {name: $stable}, weight: $full}
        - {virtualNodeRef: {name: $canary}, weight: 0}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: $stable}
spec: {podSelector: {matchLabels: {app: shop}}, listeners: [{portMapping: {port: 8080, protocol: http}}]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: $canary}
spec: {podSelector: {matchLabels: {app: shop}}, listeners: [{portMapping: {port: 8080, protocol: http}}]}
"""

ROWS: Final[tuple[Row, ...]] = (
    Row(
        name="istio",
        products=("istio",),
        routing={"istio": {"virtualService": {"name": SHOP, "routes": ["primary"]}}},
        objects=_VIRTUAL_SERVICE,
        entrances=(Entrance(plane="istio", host=MESH),),
        edits=(Edit(kind="VirtualService", path=("spec", "http", "[primary]", "timeout"), value="7s"),),
    ),
    Row(
        name="istio by subset",
        products=("istio",),
        routing={
            "istio": {
                "virtualService": {"name": SHOP},
                "destinationRule": {"name": SHOP, "stableSubsetName": "stable", "canarySubsetName": "canary"},
            }
        },
        objects=_SUBSETS,
        entrances=(Entrance(plane="istio", host=MESH),),
        edits=(Edit(kind="DestinationRule", path=("spec", "trafficPolicy", "loadBalancer", "simple"), value="ROUND_ROBIN"),),
        subsets=True,
        lacks={"ping-pong": "destinationRule"},
    ),
    Row(
        name="smi",
        products=("smi",),
        routing={"smi": {"rootService": SHOP}},
        objects="",
        entrances=(Entrance(plane="smi", host=MESH),),
        makes=("TrafficSplit", "HTTPRouteGroup"),
    ),
    Row(
        name="ambassador",
        products=("ambassador",),
        routing={"ambassador": {"mappings": [SHOP]}},
        objects=_MAPPING,
        entrances=(Entrance(plane="ambassador", host=EDGE),),
        edits=(Edit(kind="Mapping", path=("spec", "timeout_ms"), value=7000),),
    ),
    Row(
        name="apisix",
        products=("apisix",),
        routing={"apisix": {"route": {"name": SHOP}}},
        objects=_APISIX_ROUTE,
        entrances=(Entrance(plane="apisix", host=EDGE),),
        edits=(Edit(kind="ApisixRoute", path=("spec", "http", "[shop]", "timeout", "read"), value="7s"),),
    ),
    Row(
        name="alb",
        products=("alb",),
        routing={"alb": {"ingress": SHOP, "rootService": "shop-root", "servicePort": 80}},
        objects=_ALB,
        entrances=(Entrance(plane="alb", host=EDGE),),
        edits=(Edit(kind="Ingress", path=("metadata", "annotations", "alb.ingress.kubernetes.io/scheme"), value="internet-facing"),),
        own_annotations=("alb.ingress.kubernetes.io/actions.shop-root", "rollouts.argoproj.io/managed-alb-annotations"),
    ),
    Row(
        name="nginx",
        products=("nginx",),
        routing={"nginx": {"stableIngress": SHOP}},
        objects=_INGRESS,
        entrances=(Entrance(plane="nginx", host=EDGE),),
        mirror=100,
        lacks={"two headers": "header"},
        unseen=frozenset({"mirror"}),
        gap=True,
        why="Traefik reads the Ingresses as ingress-nginx does, but knows no `mirror-target`",
    ),
    Row(
        name="traefik",
        products=("traefik",),
        routing={"traefik": {"weightedTraefikServiceName": SHOP}},
        objects=_TRAEFIK,
        entrances=(Entrance(plane="traefik", host=EDGE),),
        gap=True,
    ),
    Row(
        name="gatewayAPI",
        products=("gatewayAPI",),
        routing={"gatewayAPI": {"httpRoutes": [{"name": SHOP}]}},
        objects=_HTTP_ROUTE,
        entrances=(Entrance(plane="gateway", host=EDGE),),
        lacks={"mirror": "cannot mirror"},
        gap=True,
        why="mirrors are an option of the Gateway API that Traefik does not have",
    ),
    Row(
        name="gatewayAPI by Service",
        products=("gatewayAPI",),
        routing={"gatewayAPI": {"httpRoutes": [{"name": SHOP}]}},
        objects=_SERVICE_ROUTE,
        entrances=(Entrance(plane="gamma", host=MESH),),
        why="an HTTPRoute of a mesh, as Linkerd and Istio read it; mirrors are Istio's, and refused once Linkerd has reported on the route",
    ),
    Row(
        name="istio, traefik",
        products=("istio", "traefik"),
        routing={
            "istio": {"virtualService": {"name": SHOP, "routes": ["primary"]}},
            "traefik": {"weightedTraefikServiceName": SHOP},
        },
        objects=f"{_VIRTUAL_SERVICE}---{_TRAEFIK}",
        entrances=(Entrance(plane="istio", host=MESH), Entrance(plane="traefik", host=EDGE)),
        gap=True,
    ),
    Row(
        name="appMesh",
        products=("appMesh",),
        routing={
            "appMesh": {
                "virtualService": {"name": SHOP},
                "virtualNodeGroup": {
                    "canaryVirtualNodeRef": {"name": f"{SHOP}-canary"},
                    "stableVirtualNodeRef": {"name": f"{SHOP}-stable"},
                },
            }
        },
        objects=_APP_MESH,
        edits=(Edit(kind="VirtualRouter", path=("spec", "routes", "[main]", "httpRoute", "retryPolicy", "maxRetries"), value=3),),
        why="the product has ended, and so no data plane of it can be run",
    ),
)
"""Every row of the matrix."""
