"""App Mesh as the contract tests meet it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import yaml

from builders import rollout
from router_setup import CANARY, MANAGED, STABLE, Setup, router_for, strategy
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Feature
from tiphys.traffic.router import Ref

MESH_SERVICE: Final = Ref(group="appmesh.k8s.aws", kind="VirtualService", namespace="default", name="web")
MESH_ROUTER: Final = replace(MESH_SERVICE, kind="VirtualRouter", name="web-router")
CANARY_NODE: Final = replace(MESH_SERVICE, kind="VirtualNode", name="web-canary-node")
STABLE_NODE: Final = replace(CANARY_NODE, name="web-stable-node")


def app_mesh_block(*, routes: Sequence[str] = ()) -> Manifest:
    """Give the `appMesh` block for the objects of this module."""
    nodes = {"canaryVirtualNodeRef": {"name": CANARY_NODE.name}, "stableVirtualNodeRef": {"name": STABLE_NODE.name}}
    return {"virtualService": {"name": MESH_SERVICE.name, "routes": list(routes)}, "virtualNodeGroup": nodes}


def app_mesh_rollout(block: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `appMesh` block *block*; *fields* are of the strategy, in their JSON form."""
    named = [{"name": name} for name in MANAGED]
    routing = {"appMesh": app_mesh_block() if block is None else block, "managedRoutes": named, **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def mesh_object(ref: Ref, spec: str) -> Manifest:
    """Give the object *ref* with *spec*, in YAML."""
    metadata = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    return {"apiVersion": f"{ref.group}/v1beta2", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(spec)}


def mesh_objects(routes: str, *, place: Ref = MESH_ROUTER) -> dict[Ref, Manifest]:
    """Give the objects of a mesh whose VirtualRouter has *routes*."""
    where = "" if place.namespace == MESH_SERVICE.namespace else f", namespace: {place.namespace}"
    provider = f"{{virtualRouter: {{virtualRouterRef: {{name: {place.name}{where}}}}}}}"
    listener = "listeners: [{portMapping: {port: 8080, protocol: http}}]"
    return {
        MESH_SERVICE: mesh_object(MESH_SERVICE, f"{{awsName: web.shop, provider: {provider}}}"),
        place: mesh_object(place, f"{listener}\nroutes:{routes}"),
        STABLE_NODE: mesh_object(STABLE_NODE, f"{{podSelector: {{matchLabels: {{app: web}}}}, {listener}}}"),
        CANARY_NODE: mesh_object(CANARY_NODE, f"{{podSelector: {{matchLabels: {{app: web}}}}, {listener}}}"),
    }


ROUTES: Final = """
- name: main
  httpRoute:
    match: {prefix: /}
    action:
      weightedTargets:
      - {virtualNodeRef: {name: web-canary-node}, weight: 0, port: 8080}
      - {virtualNodeRef: {name: web-stable-node}, weight: 100}
    retryPolicy: {maxRetries: 2}
"""

_PROTOCOLS: Final = """
- name: calls
  priority: 3
  grpcRoute:
    match: {serviceName: shop}
    action:
      weightedTargets:
      - {virtualNodeRef: {name: web-stable-node, namespace: default}, weight: 100}
      - {virtualNodeRef: {name: web-canary-node, namespace: default}, weight: 0}
- name: others
  httpRoute:
    match: {prefix: /static}
    action: {weightedTargets: [{virtualNodeRef: {name: cdn}, weight: 1}]}
- name: bytes
  tcpRoute:
    action:
      weightedTargets:
      - {virtualNodeRef: {name: web-stable-node, namespace: default}, weight: 100}
      - {virtualNodeRef: {name: web-canary-node, namespace: default}, weight: 0}
"""


def app_mesh_setups() -> dict[str, Setup]:
    """Give each way to use App Mesh."""
    away = replace(MESH_ROUTER, namespace="mesh")
    targets = ("spec", "routes", 0, "httpRoute", "action", "weightedTargets")
    common: dict[str, Any] = {
        "product": "appMesh",
        "shows": frozenset({Feature.WEIGHTS}),
        "without_ours": _unlabelled,
        "only_read": frozenset({MESH_SERVICE}),
        "passes": 2,
    }
    return {
        "app mesh": Setup(
            router=router_for(app_mesh_rollout()),
            start=mesh_objects(ROUTES),
            places=(
                *((MESH_ROUTER, path) for path in ((), ("metadata",), ("spec",), ("spec", "routes", 0), (*targets, 0), (*targets, 1))),
                (MESH_SERVICE, ("spec",)),
                *((node, path) for node in (STABLE_NODE, CANARY_NODE) for path in (("spec",), ("spec", "podSelector"))),
                (CANARY_NODE, ("spec", "podSelector", "matchLabels")),
            ),
            beyond={MESH_SERVICE: frozenset({MESH_ROUTER})},
            **common,
        ),
        "app mesh with a router elsewhere": Setup(
            router=router_for(app_mesh_rollout(app_mesh_block(routes=["bytes", "calls"]))),
            start=mesh_objects(_PROTOCOLS, place=away),
            places=((away, ("spec", "routes", 1)), (away, ("spec", "routes", 2, "tcpRoute"))),
            beyond={MESH_SERVICE: frozenset({away})},
            **common,
        ),
    }


def _unlabelled(manifest: Manifest) -> Manifest:
    """Take from a VirtualNode what stays while a Rollout refers to it: the hash."""
    if manifest["kind"] != "VirtualNode":
        return manifest
    selector = manifest["spec"]["podSelector"]
    labels = {key: value for key, value in selector["matchLabels"].items() if key != HASH_LABEL}
    return {**manifest, "spec": {**manifest["spec"], "podSelector": {**selector, "matchLabels": labels}}}
