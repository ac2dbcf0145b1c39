"""Canaries at 20 percent behind every router, as the reference has written its objects. (Traffic-routing reference 4)"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from routed_apps import APPS, App
from scenarios import BETA, CANARY_SERVICE, PAUSE_STEP, STABLE_SERVICE, template, weight
from takeover.canary_parts import DONE, pausing, rests
from takeover.leaving import Leaving
from takeover.states import State, Writes, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

INGRESS: Final[Kind] = ("networking.k8s.io", "Ingress")
STEPS: Final = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)


def shares(left: Leaving) -> Mapping[str, int]:
    """Give what each Service gets: 20 percent for a canary on its way."""
    canary = 20 if "2" in left.hashes else 0
    return {STABLE_SERVICE: 100 - canary, CANARY_SERVICE: canary}


def owner(left: Leaving) -> Manifest:
    """Give the owner reference of what the reference creates for a Rollout."""
    uid = left.rollout.metadata.uid
    named = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": uid}
    return {**named, "controller": True, "blockOwnerDeletion": True}


def nginx(left: Leaving) -> None:
    spec = json.loads(json.dumps(left.controller.manifest(INGRESS, "web")["spec"]).replace(STABLE_SERVICE, CANARY_SERVICE))
    weight = str(shares(left)[CANARY_SERVICE])
    annotations = {"nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": weight}
    metadata = {"name": "web-web-canary", "namespace": "default", "annotations": annotations, "ownerReferences": [owner(left)]}
    left.controller.create({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec})


def alb(left: Leaving) -> None:
    groups = [{"ServiceName": name, "ServicePort": "80", "Weight": shares(left)[name]} for name in (CANARY_SERVICE, STABLE_SERVICE)]
    action = "alb.ingress.kubernetes.io/actions.web-root"
    said = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    annotations = {
        action: json.dumps(said, separators=(",", ":")),
        names.MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [action]}, separators=(",", ":")),
    }
    left.controller.edit(INGRESS, "web", {"metadata": {"annotations": annotations}})


def app_mesh(left: Leaving) -> None:
    kind = ("appmesh.k8s.aws", "VirtualRouter")
    routes = left.controller.manifest(kind, "web")["spec"]["routes"]
    for target in routes[0]["httpRoute"]["action"]["weightedTargets"]:
        target["weight"] = shares(left)[f"web-{target['virtualNodeRef']['name']}"]
    left.controller.edit(kind, "web", {"spec": {"routes": routes}})
    for name, pod_hash in (("stable", left.hashes["1"]), ("canary", left.hashes.get("2", "canary-hash"))):
        labels = {"matchLabels": {names.HASH_LABEL: pod_hash}}
        left.controller.edit(("appmesh.k8s.aws", "VirtualNode"), name, {"spec": {"podSelector": labels}})


def smi(left: Leaving) -> None:
    backends = [{"service": name, "weight": str(shares(left)[name])} for name in (CANARY_SERVICE, STABLE_SERVICE)]
    metadata = {"name": "web", "namespace": "default", "ownerReferences": [owner(left)]}
    spec = {"service": STABLE_SERVICE, "backends": backends}
    left.controller.create({"apiVersion": "split.smi-spec.io/v1alpha1", "kind": "TrafficSplit", "metadata": metadata, "spec": spec})


def ambassador(left: Leaving) -> None:
    if not shares(left)[CANARY_SERVICE]:
        return  # the canary's Mapping is deleted at 0 (4.6)
    base = left.controller.manifest(("getambassador.io", "Mapping"), "web")
    spec = {**base["spec"], "service": base["spec"]["service"].replace(STABLE_SERVICE, CANARY_SERVICE), "weight": 20}
    metadata = {"name": "web-canary", "namespace": "default"}
    left.controller.create({"apiVersion": base["apiVersion"], "kind": "Mapping", "metadata": metadata, "spec": spec})


def members(kind: Kind, *path: str | int, key: str = "name") -> Callable[[Leaving], None]:
    """Give what weighs the members of a list in the user's own object `web`."""

    def weigh(left: Leaving) -> None:
        spec = left.controller.manifest(kind, "web")["spec"]
        found: Any = spec
        for step in path:
            found = found[step]
        for member in found:
            member["weight"] = shares(left)[member[key]]
        left.controller.edit(kind, "web", {"spec": spec})

    return weigh


def gateway(left: Leaving) -> None:
    """The plugin marks the route while the canary has weight (4.10.2)."""
    members(("gateway.networking.k8s.io", "HTTPRoute"), "rules", 0, "backendRefs")(left)
    label = {"rollouts.argoproj.io/gatewayapi-canary": "in-progress" if shares(left)[CANARY_SERVICE] else None}
    left.controller.edit(("gateway.networking.k8s.io", "HTTPRoute"), "web", {"metadata": {"labels": label}})


def alb_header(left: Leaving) -> None:
    """Two annotations, and a first path in every rule (4.2.3)."""
    alb(left)
    prefix = "alb.ingress.kubernetes.io"
    group = {"ServiceName": CANARY_SERVICE, "ServicePort": "80", "Weight": 100}
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": [group]}}
    condition = [{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-beta", "values": ["1"]}}]
    listed = [f"{prefix}/actions.web-root", f"{prefix}/actions.beta", f"{prefix}/conditions.beta"]
    annotations = {
        f"{prefix}/actions.beta": json.dumps(action, separators=(",", ":")),
        f"{prefix}/conditions.beta": json.dumps(condition, separators=(",", ":")),
        names.MANAGED_ALB_ANNOTATIONS: json.dumps({"web": listed}, separators=(",", ":")),
    }
    spec = left.controller.manifest(INGRESS, "web")["spec"]
    backend = {"service": {"name": "beta", "port": {"name": "use-annotation"}}}
    spec["rules"][0]["http"]["paths"].insert(0, {"path": "/*", "pathType": "ImplementationSpecific", "backend": backend})
    left.controller.edit(INGRESS, "web", {"metadata": {"annotations": annotations}, "spec": spec})


def apisix_header(left: Leaving) -> None:
    """A second ApisixRoute named after the managed route, with every rule of the first (4.7)."""
    apisix(left)
    base = left.controller.manifest(("apisix.apache.org", "ApisixRoute"), "web")
    main, *others = base["spec"]["http"]
    condition = {"subject": {"scope": "Header", "name": "x-beta"}, "op": "Equal", "value": "1"}
    backends = [{**each, "weight": 100} for each in main["backends"] if each["serviceName"] == CANARY_SERVICE]
    rule = {**main, "priority": 1, "match": {**main["match"], "exprs": [condition]}, "backends": backends}
    metadata = {"name": "beta", "namespace": "default", "labels": base["metadata"].get("labels", {}), "ownerReferences": [owner(left)]}
    left.controller.create(
        {"apiVersion": base["apiVersion"], "kind": "ApisixRoute", "metadata": metadata, "spec": {"http": [rule, *others]}}
    )


def gateway_header(left: Leaving) -> None:
    """A managed rule at the end, with the conditions of its source and the header's (4.10.3)."""
    gateway(left)
    kind = ("gateway.networking.k8s.io", "HTTPRoute")
    rules = left.controller.manifest(kind, "web")["spec"]["rules"]
    header = {"type": "Exact", "name": "x-beta", "value": "1"}
    matches = [{**match, "headers": [header]} for match in rules[0].get("matches", [{}])]
    backend = {"group": "", "kind": "Service", "name": CANARY_SERVICE, "port": 80}
    left.controller.edit(kind, "web", {"spec": {"rules": [*rules, {"name": "beta", "matches": matches, "backendRefs": [backend]}]}})


traefik = members(("traefik.io", "TraefikService"), "weighted", "services")
apisix = members(("apisix.apache.org", "ApisixRoute"), "http", 0, "backends", key="serviceName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A router of the table, what the reference writes for it, and the form of the spec where that is another one than ours."""

    app: App
    write: tuple[Callable[[Leaving], None], ...]
    routing: Manifest | None = None
    header: bool = False
    first: Writes = field(default_factory=dict)


def _both() -> App:
    first, second = APPS["nginx"], APPS["traefik"]
    return App(
        product="several",
        groups=second.groups,
        routing={**first.routing, **second.routing},
        objects=(*first.objects, *second.objects),
        weight=first.weight,
    )


ROUTED_BY: Final[Writes] = {"patch Rollout web": {f"metadata.annotations.{names.ROUTED_BY}": "set"}}
MARKED_INGRESS: Final[Writes] = {
    "patch Ingress web-web-canary": {
        f"metadata.annotations.{names.WRITTEN_ANNOTATIONS}": "nginx.ingress.kubernetes.io/canary,nginx.ingress.kubernetes.io/canary-weight"
    }
}
OWNED_MAPPING: Final[Writes] = {
    "patch Mapping web-canary": {
        "metadata.ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Rollout",
                "name": "web",
                "uid": "uid",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    }
}
NARROWED_INGRESS: Final[Writes] = {
    "patch Ingress web": {
        "spec.rules": [
            {
                "host": "shop.example",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": name, "port": {"name": "use-annotation"}}},
                        }
                        for name in ("beta", "web-root")
                    ]
                },
            }
        ]
    }
}
"""The header path is that of the rules that lead to the Rollout, and not every path of a shared Ingress (4.2.4)."""
NOTED: Final = '{"name":"beta","any_of":[{"header":"x-beta","value":{"kind":"exact","value":"1"}}]}'
ONLY_ITS_RULES: Final[Writes] = {
    "patch ApisixRoute beta": {
        f"metadata.annotations.{names.HEADER_ROUTES}": f"[{NOTED}]",
        "spec.http": [
            {
                "name": "main",
                "priority": 1,
                "match": {
                    "paths": ["/*"],
                    "exprs": [{"subject": {"scope": "Header", "name": "x-beta"}, "op": "Equal", "value": "1"}],
                },
                "backends": [{"serviceName": CANARY_SERVICE, "servicePort": 80, "weight": 100}],
            }
        ],
    }
}
"""Rules that are not the Rollout's are no longer there twice (4.7)."""
FIRST_RULE: Final[Writes] = {
    "patch HTTPRoute web": {
        f"metadata.annotations.{names.ROUTED_ROUTES}": f'{{"headers":[{NOTED}],"mirrors":[]}}',
        "spec.rules": [
            {
                "name": "beta",
                "matches": [
                    {
                        "path": {"type": "PathPrefix", "value": "/"},
                        "headers": [{"type": "Exact", "name": "x-beta", "value": "1"}],
                    }
                ],
                "backendRefs": [{"group": "", "kind": "Service", "name": CANARY_SERVICE, "port": 80, "weight": 1}],
            },
            {
                "name": "main",
                "backendRefs": [
                    {"name": STABLE_SERVICE, "port": 80, "weight": 80},
                    {"name": CANARY_SERVICE, "port": 80, "weight": 20},
                ],
            },
        ],
    }
}
"""Among equally specific rules the first wins, so managed ones stand first."""
PLUGIN: Final[Manifest] = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web", "namespace": "default"}}}
HEADER_PLUGIN: Final[Manifest] = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoutes": [{"name": "web", "useHeaderRoutes": True}]}}}
UNVERIFIED: Final[Writes] = {"patch status Rollout web": {"status.canary.weights.verified": None}}
BEHIND: Final[Mapping[str, Behind]] = {
    "nginx": Behind(app=APPS["nginx"], write=(nginx,), first={**ROUTED_BY, **MARKED_INGRESS}),
    "alb": Behind(app=APPS["alb"], write=(alb,)),
    "appMesh": Behind(app=APPS["appMesh"], write=(app_mesh,)),
    "smi": Behind(app=APPS["smi"], write=(smi,)),
    "ambassador": Behind(app=APPS["ambassador"], write=(ambassador,), first={**ROUTED_BY, **OWNED_MAPPING}),
    "traefik": Behind(app=APPS["traefik"], write=(traefik,)),
    "apisix": Behind(app=APPS["apisix"], write=(apisix,)),
    "the Gateway API plugin": Behind(
        app=APPS["gatewayAPI"],
        write=(gateway,),
        routing=PLUGIN,
        first=UNVERIFIED,
    ),
    "alb, with a header route": Behind(app=APPS["alb"], write=(alb_header,), header=True, first={**ROUTED_BY, **NARROWED_INGRESS}),
    "apisix, with a header route": Behind(app=APPS["apisix"], write=(apisix_header,), header=True, first={**ROUTED_BY, **ONLY_ITS_RULES}),
    "the Gateway API plugin, with a header route": Behind(
        app=APPS["gatewayAPI"], write=(gateway_header,), routing=HEADER_PLUGIN, header=True, first={**ROUTED_BY, **FIRST_RULE, **UNVERIFIED}
    ),
    "nginx and traefik": Behind(app=_both(), write=(nginx, traefik), first={**ROUTED_BY, **MARKED_INGRESS}),
}


def behind(one: Behind) -> State:
    """Give the state of a canary that pauses at 20 percent behind a router."""

    def leave(left: Leaving) -> None:
        steps = [{"setHeaderRoute": BETA}] if one.header else []
        manifests = one.app.manifests(STEPS[0], *steps, *STEPS[1:])
        spec = manifests[-1]["spec"]
        spec |= {"template": template("2"), "replicas": 5}
        managed = {"managedRoutes": [{"name": "beta"}]} if one.header else {}
        spec["strategy"]["canary"]["trafficRouting"] = {**(one.routing or one.app.routing), **managed}
        left.apply(manifests)
        left.replica_set("1", pods=5)
        left.replica_set("2", pods=1)
        left.point(stable="1", canary="2")
        for write in one.write:
            write(left)
        verified = {"verified": True} if one.routing else {}
        said = left.weights(20, stable="1", new="2")
        said["weights"] |= verified
        pausing(left, {"current": "2", "stable": "1", "currentStepIndex": 2 if one.header else 1, "canary": said})

    verdict = "step" if one.header else "note" if one.first else "nothing"
    return State(leave=leave, first=one.first, verdict=verdict, goes_on=promoted, end=DONE, groups=one.app.groups, carries=one.app.weight)


def at_rest(one: Behind) -> State:
    """Give the state of a Rollout at rest behind a router: the most frequent one of all."""

    def leave(left: Leaving) -> None:
        manifests = one.app.manifests(*STEPS)
        spec = manifests[-1]["spec"]
        spec |= {"replicas": 5}
        spec["strategy"]["canary"]["trafficRouting"] = one.routing or one.app.routing
        left.apply(manifests)
        left.replica_set("1", pods=5)
        left.point(stable="1", canary="1")
        for write in one.write:
            write(left)
        rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"))

    first = {**ROUTED_BY, **MARKED_INGRESS} if nginx in one.write else {}
    verdict, end = "note" if first else "nothing", ("Healthy", "1", {"1": 5})
    return State(leave=leave, first=first, verdict=verdict, end=end, groups=one.app.groups, carries=one.app.weight)


ROUTED: Final[Mapping[str, State]] = {
    **{f"behind {name}": behind(one) for name, one in BEHIND.items()},
    **{f"at rest behind {name}": at_rest(one) for name, one in BEHIND.items() if not one.header},
}
