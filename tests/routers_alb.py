"""The ways to configure the AWS ALB router, as the contract tests meet them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from builders import rollout
from router_setup import CANARY, MANAGED, PING_PONG, STABLE, Setup, router_for, strategy
from tiphys.api.meta import Manifest
from tiphys.api.names import MANAGED_ALB_ANNOTATIONS
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Feature, HeaderRoute, TrafficIntent
from tiphys.traffic.alb_conditions import conditions_of, matches_of
from tiphys.traffic.router import Ref

ALB_INGRESS = Ref(group="networking.k8s.io", kind="Ingress", namespace="default", name="shop")
ACTIONS = "alb.ingress.kubernetes.io/actions."
CONDITIONS = "alb.ingress.kubernetes.io/conditions."


def alb_rollout(alb: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout with the `alb` block *alb*; *fields* are of the strategy, in their JSON form."""
    block = {"ingress": "shop", "servicePort": 80, **(alb or {})}
    routing = {"alb": block, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def alb_action(*, sticky: int = 0, port: str = "80", **weights: int) -> str:
    """Give the text of an action with these Services by weight; `_` in their names stands for `-`."""
    groups = [{"ServiceName": name.replace("_", "-"), "ServicePort": port, "Weight": weight} for name, weight in weights.items()]
    stickiness = {"TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": sticky}} if sticky else {}
    return json.dumps({"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **stickiness}}, separators=(",", ":"))


def alb_ingress(text: str, annotations: Mapping[str, str] | None = None, *, ref: Ref = ALB_INGRESS) -> Manifest:
    """Give an Ingress with the spec *text*, in YAML."""
    metadata: Manifest = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": "41", "labels": {"team": "shop"}}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "networking.k8s.io/v1", "kind": ref.kind, "metadata": metadata, "spec": yaml.safe_load(text)}


ALB_SPEC = """
ingressClassName: alb
rules:
- host: shop.example
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {name: use-annotation}}}}
- host: pages.example
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: pages, port: {number: 80}}}}
"""

_ROOT = ALB_SPEC.replace(STABLE, "web-root")

_SHARED = """
ingressClassName: alb
defaultBackend: {service: {name: pages, port: {number: 80}}}
rules:
- host: assets.example
- http:
    paths:
    - {path: /files, pathType: Exact, backend: {resource: {apiGroup: k8s.example, kind: Bucket, name: files}}}
    - {path: /api, pathType: Prefix, backend: {service: {name: web-root, port: {name: use-annotation}}}}
    - {path: /other/*, pathType: ImplementationSpecific, backend: {service: {name: other, port: {name: use-annotation}}}}
    - {path: /shop/*, pathType: ImplementationSpecific, backend: {service: {name: web-root, port: {name: use-annotation}}}}
"""


def _in_order(wish: TrafficIntent) -> TrafficIntent:
    """Let header routes name each header once with all its values, as conditions do, and each value once."""
    routes = (replace(route, any_of=_grouped(route)) for route in wish.header_routes)
    return replace(wish, header_routes=tuple(routes))


def _grouped(route: HeaderRoute) -> Any:  # noqa: ANN401  a tuple of matches
    return tuple(match for condition in conditions_of(route) for match in matches_of(condition))


def alb_setups() -> dict[str, Setup]:
    """Give each way to use an Application Load Balancer."""
    second = replace(ALB_INGRESS, name="shop-2")
    sticky = {"ingress": "", "ingresses": ["shop", "shop-2"], "rootService": "web-root"}
    sticky["stickinessConfig"] = {"enabled": True, "durationSeconds": 60}  # type: ignore[assignment]  # any JSON value
    headers = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX})
    rest = {f"{ACTIONS}{STABLE}": alb_action(web_stable=100)}
    root = {f"{ACTIONS}web-root": alb_action(web_stable=100, sticky=60)}
    shared = {f"{ACTIONS}other": alb_action(other=100), MANAGED_ALB_ANNOTATIONS: json.dumps({"other": [f"{ACTIONS}other"]})}
    shared = {key: text.replace(": ", ":") for key, text in shared.items()}
    return {
        "alb": Setup(
            product="alb",
            router=router_for(alb_rollout()),
            start={ALB_INGRESS: alb_ingress(ALB_SPEC, rest)},
            shows=headers | {Feature.WEIGHTS, Feature.EXPERIMENTS},
            places=tuple(
                (ALB_INGRESS, path)
                for path in (
                    (),
                    ("metadata",),
                    ("metadata", "annotations"),
                    ("spec",),
                    ("spec", "rules", 0),
                    ("spec", "rules", 0, "http"),
                    ("spec", "rules", 0, "http", "paths", 0),
                    ("spec", "rules", 1, "http", "paths", 0),
                )
            ),
            sayable=_in_order,
        ),
        "alb with two Ingresses of which one is shared": Setup(
            product="alb",
            router=router_for(alb_rollout(sticky)),
            start={ALB_INGRESS: alb_ingress(_ROOT, root), second: alb_ingress(_SHARED, root | shared, ref=second)},
            shows=headers | {Feature.WEIGHTS, Feature.EXPERIMENTS},
            places=(
                (ALB_INGRESS, ("spec",)),
                (second, ("metadata",)),
                (second, ("spec", "defaultBackend")),
                (second, ("spec", "rules", 0)),
                *((second, ("spec", "rules", 1, "http", "paths", index)) for index in range(4)),
            ),
            sayable=_in_order,
        ),
        "alb with ping-pong": Setup(
            product="alb",
            router=router_for(alb_rollout({"rootService": "web-root", "annotationPrefix": "lb.example"}, **PING_PONG)),
            start={ALB_INGRESS: alb_ingress(_ROOT, {"lb.example/actions.web-root": alb_action(web_pong=100)})},
            shows=headers | {Feature.WEIGHTS, Feature.EXPERIMENTS, Feature.PING_PONG},
            places=((ALB_INGRESS, ("spec", "rules", 0, "http", "paths", 0, "backend", "service")),),
            stable="web-pong",
            canary="web-ping",
            sayable=_in_order,
        ),
    }
