"""Is every row of the documented validation met, with its path and its class? (Lifecycle reference 1.7 and 1.8.)"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from builders import service
from tiphys.api import names
from tiphys.api.codec import decode_rollout
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.validation import invalid_message, reference_problems, spec_problems
from tiphys.core.supported import unsupported_parts
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import routers_of, unsupported

REFERENCE: Final = Path(__file__).parents[3].parent / "shared" / "reference" / "rollout-lifecycle.md"
REQUIRED, INVALID, INTERNAL = "Required value", "Invalid value", "Internal error"
ACCEPTED: Final = ""
"""The class of what this controller takes although the reference does not: it can do it."""

TEMPLATE: Manifest = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
ISTIO: Manifest = {"istio": {"virtualService": {"name": "web"}}}
NGINX: Manifest = {"nginx": {"stableIngress": "web"}}
NODES: Manifest = {f"{side}VirtualNodeRef": {"name": side} for side in ("canary", "stable")}
APP_MESH: Manifest = {"appMesh": {"virtualService": {"name": "web"}, "virtualNodeGroup": NODES}}
SERVICES: Manifest = {"stableService": "web-stable", "canaryService": "web-canary"}
PING_PONG: Manifest = {"pingPong": {"pingService": "ping", "pongService": "pong"}}
BETA: Manifest = {"headerName": "x", "headerValue": {"exact": "1"}}
PREFERRED, NEEDED = "preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"


class Case(NamedTuple):
    """One way to meet a row: what is wrong, and by which field and class it is told."""

    field: str
    kind: str
    spec: Manifest


def canary(*steps: Manifest, **fields: Any) -> Manifest:  # noqa: ANN401 - fields of the strategy in their JSON form
    return {"strategy": {"canary": {"steps": list(steps), **fields}}}


def routed(*steps: Manifest, routing: Manifest = ISTIO, managed: Sequence[str] = (), **fields: Any) -> Manifest:  # noqa: ANN401 - the same
    marked = {"managedRoutes": [{"name": name} for name in managed]} if managed else {}
    return canary(*steps, trafficRouting={**routing, **marked}, **{**SERVICES, **fields})


def blue_green(**fields: Any) -> Manifest:  # noqa: ANN401 - the same
    return {"strategy": {"blueGreen": {"activeService": "active", **fields}}}


def pods(**spec: Any) -> Manifest:  # noqa: ANN401 - fields of the pods in their JSON form
    return {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], **spec}}}


def header(**value: str) -> Manifest:
    return {"setHeaderRoute": {"name": "a", "match": [{"headerName": "x", "headerValue": value}]}}


def mirror(**match: Manifest) -> Manifest:
    return {"setMirrorRoute": {"name": "a", "match": [match]}}


def argument(path: str) -> list[Manifest]:
    return [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}}]


def variant(share: int) -> Manifest:
    return {"name": "a", "specRef": "canary", "weight": share}


WITH_TWO_SERVICES: Final[Sequence[Manifest]] = (
    {"smi": {}},
    {"apisix": {"route": {"name": "web"}}},
    {"ambassador": {"mappings": ["web"]}},
    NGINX,
    {"appMesh": {"virtualService": {"name": "web"}}},
    {"traefik": {"weightedTraefikServiceName": "web"}},
    {"alb": {"ingress": "web", "servicePort": 80}},
    ISTIO,
)
SEVERAL_KEYS: Final[Sequence[Manifest]] = ({"setWeight": 1, "pause": {}}, {"pause": {}, "analysis": {}}, {})
WAYS: Final[Sequence[Manifest]] = ({"method": {}}, {"path": {"exact": "/", "prefix": "/"}})

GENERAL: Final[Mapping[str, Sequence[Case]]] = {
    "spec.replicas: negative": [Case("spec.replicas", INVALID, {"replicas": -1})],
    "spec.selector: absent": [Case("spec.selector", REQUIRED, {"selector": None})],
    "spec.selector: malformed": [
        Case("spec.selector", INVALID, {"selector": {}}),
        Case("spec.selector.matchExpressions[0].operator", INVALID, {"selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
        Case("spec.selector.matchLabels.app", INVALID, {"selector": {"matchLabels": {"app": "w b"}}}),
    ],
    "spec.template: template labels/annotations": [
        Case("spec.template", INTERNAL, {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}})
    ],
    "spec.template...: full ReplicaSet": [
        Case("spec.template.spec.restartPolicy", INVALID, pods(restartPolicy="Never")),
        Case("spec.template.metadata.labels", INVALID, {"template": {**TEMPLATE, "metadata": {"labels": {"app": "other"}}}}),
        Case("spec.template.spec.containers", REQUIRED, pods(containers=[])),
        Case("", ACCEPTED, pods(containers=[{"name": "web", "image": "web:1", "securityContext": {"privileged": True}}])),
    ],
    "spec.minReadySeconds, then spec.revisionHistoryLimit: negative": [
        Case("spec.minReadySeconds", INVALID, {"minReadySeconds": -1}),
        Case("spec.revisionHistoryLimit", INVALID, {"revisionHistoryLimit": -1}),
    ],
    "spec.progressDeadlineSeconds: negative": [
        Case("spec.progressDeadlineSeconds", INVALID, {"progressDeadlineSeconds": -1}),
        Case("spec.progressDeadlineSeconds", INVALID, {"progressDeadlineSeconds": 30, "minReadySeconds": 30}),
    ],
    "spec.strategy.strategy: none": [
        Case("spec.strategy.strategy", REQUIRED, {"strategy": {}}),
        Case("spec.strategy.strategy", INVALID, {"strategy": {"canary": {}, "blueGreen": {"activeService": "active"}}}),
    ],
}

STRATEGIES: Final[Mapping[str, Sequence[Case]]] = {
    "spec.strategy.activeService: equals previewService": [
        Case("spec.strategy.activeService", INVALID, blue_green(previewService="active"))
    ],
    "spec.strategy.scaleDownDelayRevisionLimit: greater": [
        Case("spec.strategy.scaleDownDelayRevisionLimit", INVALID, blue_green(scaleDownDelayRevisionLimit=11)),
    ],
    "spec.strategy.antiAffinity / .antiAffinity.weight (both strategies): not exactly one": [
        Case("spec.strategy.antiAffinity", INVALID, make(antiAffinity=wish))
        for make in (canary, blue_green)
        for wish in ({}, {PREFERRED: {"weight": 1}, NEEDED: {}})
    ]
    + [
        Case("spec.strategy.antiAffinity.weight", INVALID, make(antiAffinity={PREFERRED: {"weight": share}}))
        for make in (canary, blue_green)
        for share in (0, 101)
    ],
    "spec.strategy.maxSurge: maxSurge and maxUnavailable both zero": [
        Case("spec.strategy.maxSurge", INVALID, canary(maxSurge=0, maxUnavailable="0%")),
        Case("spec.strategy.maxSurge", INVALID, routed(maxSurge=0, maxUnavailable=0)),
    ],
    "spec.strategy.stableService: equals canaryService": [
        Case("spec.strategy.stableService", INVALID, canary(stableService="a", canaryService="a")),
    ],
    "spec.strategy.trafficRouting.alb: pingPong with routing": [
        Case("spec.strategy.trafficRouting.alb", INVALID, canary(trafficRouting={"ambassador": {"mappings": ["web"]}}, **PING_PONG)),
    ],
    "spec.strategy.pingPong.pingService / .pongService: empty": [
        Case(f"spec.strategy.pingPong.{field}", INVALID, canary(trafficRouting=ISTIO, pingPong={**PING_PONG["pingPong"], field: name}))
        for field, name in (("pingService", ""), ("pongService", ""), ("pingService", "pong"))
    ],
    "spec.strategy.trafficRouting.alb.rootService: pingPong with ALB": [
        Case(
            "spec.strategy.trafficRouting.alb.rootService",
            INVALID,
            canary(trafficRouting={"alb": {"ingress": "web", "servicePort": 80}}, **PING_PONG),
        ),
    ],
    "spec.strategy.stableService / .canaryService: empty although": [
        Case(f"spec.strategy.{field}", INVALID, routed(routing=routing, **{field: ""}))
        for field in SERVICES
        for routing in WITH_TWO_SERVICES
    ],
    "spec.strategy.scaleDownDelaySeconds: set without trafficRouting": [
        Case("spec.strategy.scaleDownDelaySeconds", INVALID, canary(scaleDownDelaySeconds=30)),
    ],
    "spec.strategy.dynamicStableScale: set without trafficRouting": [
        Case("spec.strategy.dynamicStableScale", INVALID, canary(dynamicStableScale=True)),
        Case("", ACCEPTED, routed(dynamicStableScale=True, scaleDownDelaySeconds=30)),
    ],
    "spec.strategy.trafficRouting.maxTrafficWeight: neither nginx nor plugins": [
        Case("spec.strategy.trafficRouting.maxTrafficWeight", INVALID, canary(trafficRouting={"maxTrafficWeight": 1000})),
        Case(
            "spec.strategy.trafficRouting.maxTrafficWeight",
            INVALID,
            routed(routing={"alb": {"ingress": "web", "servicePort": 80}, "maxTrafficWeight": 1000}),
        ),
        Case("", ACCEPTED, routed(routing={**ISTIO, "maxTrafficWeight": 1000})),
    ],
    "spec.strategy.steps[i]: more than one of setWeight": [
        Case("spec.strategy.steps[1]", INVALID, canary({"setWeight": 1}, step)) for step in SEVERAL_KEYS
    ],
    "spec.strategy.steps[i].setWeight: outside 0..max": [
        Case("spec.strategy.steps[0].setWeight", INVALID, canary({"setWeight": -1})),
        Case("spec.strategy.steps[0].setWeight", INVALID, canary({"setWeight": 101})),
        Case("spec.strategy.steps[0].setWeight", INVALID, routed({"setWeight": 1001}, routing={**NGINX, "maxTrafficWeight": 1000})),
    ],
    "spec.strategy.steps[i].pause.duration: negative or unparsable": [
        Case("spec.strategy.steps[0].pause.duration", INVALID, canary({"pause": {"duration": duration}}))
        for duration in (-1, "-1s", "soon", "3000000000", 3000000000)
    ],
    "spec.strategy.trafficRouting: setCanaryScale without": [
        Case("spec.strategy.trafficRouting", REQUIRED, canary({"setCanaryScale": {"weight": 1}})),
    ],
    "spec.strategy.steps[i].setHeaderRoute: none of Istio": [
        Case("spec.strategy.steps[0].setHeaderRoute", INVALID, routed(header(exact="1"), routing={}, managed=["a"])),
        Case("spec.strategy.steps[0].setHeaderRoute.match[0]", INVALID, routed(header(exact="1"), routing=APP_MESH, managed=["a"])),
    ],
    "spec.strategy.steps[i].setHeaderRoute.match[j]: ALB": [
        Case("spec.strategy.steps[0].setHeaderRoute.match[0]", INVALID, routed(header(exact="1", regex="2"), managed=["a"])),
        Case("spec.strategy.steps[0].setHeaderRoute.match[0]", INVALID, routed(header(), managed=["a"])),
        Case(
            "",
            ACCEPTED,
            routed(header(prefix="1"), routing={"alb": {"ingress": "web", "servicePort": 80, "rootService": "web"}}, managed=["a"]),
        ),
    ],
    "spec.strategy.steps[i].setMirrorRoute: neither Istio nor plugins": [
        Case("spec.strategy.steps[0].setMirrorRoute", INVALID, routed(mirror(method={"exact": "GET"}), routing={}, managed=["a"])),
        Case(
            "spec.strategy.steps[0].setMirrorRoute",
            INVALID,
            routed(mirror(method={"exact": "GET"}), routing={"alb": {"ingress": "web", "servicePort": 80}}, managed=["a"]),
        ),
    ],
    "spec.strategy.steps[i].setMirrorRoute.match[j]: method or path": [
        Case("spec.strategy.steps[0].setMirrorRoute.match[0]", INVALID, routed(mirror(**match), managed=["a"])) for match in WAYS
    ],
    "spec.strategy.trafficRouting.managedRoutes: header/mirror step": [
        Case("spec.strategy.trafficRouting.managedRoutes", REQUIRED, routed(header(exact="1"))),
        Case("spec.strategy.trafficRouting.managedRoutes", REQUIRED, routed(mirror(method={"exact": "GET"}))),
    ],
    "spec.strategy.steps[i].setHeaderRoute / .setMirrorRoute: name not listed": [
        Case("spec.strategy.steps[0].setHeaderRoute", INVALID, routed(header(exact="1"), managed=["b"])),
        Case("spec.strategy.steps[0].setMirrorRoute", INVALID, routed(mirror(method={"exact": "GET"}), managed=["b"])),
    ],
    "spec.strategy.steps[i].experiment.templates[k].weight: weight without routing": [
        Case("spec.strategy.steps[0].experiment.templates[0].weight", INVALID, canary({"experiment": {"templates": [variant(1)]}})),
        Case(
            "spec.strategy.steps[0].experiment.templates[0].weight",
            INVALID,
            routed({"experiment": {"templates": [variant(1)]}}, routing=NGINX),
        ),
    ],
    "spec.strategy.steps[i].analyses: analysis/experiment argument": [
        Case("spec.strategy.steps[0].analyses", INVALID, canary({"analysis": {"args": argument("metadata.nothing")}})),
        Case(
            "spec.strategy.steps[0].analyses",
            INVALID,
            canary(
                {"experiment": {"templates": [], "analyses": [{"name": "a", "templateName": "t", "args": argument("metadata.labels[a]")}]}}
            ),
        ),
    ],
}
ROWS: Final = {**GENERAL, **STRATEGIES}


def read(spec: Manifest) -> Rollout:
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, "strategy": {"canary": {}}, **spec}
    return decode_rollout(json.dumps({"metadata": {"name": "web", "namespace": "default"}, "spec": body}).encode())


def problems(there: Rollout) -> list[SpecError]:
    """Give all problems of the spec itself, as a pass finds them: the documented ones first, then what routers cannot do."""
    asked = routers_of(there, settings=Settings())
    return [*spec_problems(there), *unsupported(there, asked), *unsupported_parts(there)]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{row} {at}") for row, cases in ROWS.items() for at, case in enumerate(cases)])
def test_a_row_is_told_by_its_field_and_class(case: Case) -> None:
    found = problems(read(case.spec))

    first = found[0] if found else None
    if case.kind == ACCEPTED:
        assert first is None
        return
    assert first is not None
    assert (first.field, str(first).split(": ")[1]) == (case.field, case.kind)
    assert first.wanted
    assert invalid_message("web", found).startswith(f'The Rollout "web" is invalid: {case.field}: {case.kind}')


def test_rows_that_are_met_together_are_told_together_in_their_order() -> None:
    fields = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    strategy = canary(
        {"setWeight": 101},
        {"pause": {"duration": "soon"}},
        {},
        maxSurge=0,
        maxUnavailable=0,
        stableService="a",
        canaryService="a",
        scaleDownDelaySeconds=1,
        dynamicStableScale=True,
        antiAffinity={},
    )

    found = problems(read({**strategy, **dict.fromkeys(fields, -1)}))

    assert [problem.field for problem in found] == [
        *(f"spec.{field}" for field in fields),
        "spec.strategy.maxSurge",
        "spec.strategy.stableService",
        "spec.strategy.scaleDownDelaySeconds",
        "spec.strategy.dynamicStableScale",
        "spec.strategy.steps[0].setWeight",
        "spec.strategy.steps[1].pause.duration",
        "spec.strategy.steps[2]",
        "spec.strategy.antiAffinity",
    ]


NEVER_REFUSED: Final[Sequence[Manifest]] = (
    blue_green(previewReplicaCount=-1),
    blue_green(previewReplicaCount=2**31 - 1),
    blue_green(autoPromotionSeconds=-1, scaleDownDelaySeconds=-1, abortScaleDownDelaySeconds=-1),
    routed({"setCanaryScale": {"replicas": -1}}, {"setCanaryScale": {"weight": 1000}}, minPodsPerReplicaSet=-1),
    {"rollbackWindow": {"revisions": -1}},
    canary(replicaProgressThreshold={"type": "Some", "value": -1}),
    canary(scaleDownDelayRevisionLimit=1000),
    {"workloadRef": {"kind": "Deployment", "name": "web", "scaleDown": "sometimes"}, "template": {}},
)


@pytest.mark.parametrize("spec", NEVER_REFUSED, ids=json.dumps)
def test_what_the_reference_does_not_validate_is_accepted(spec: Manifest) -> None:
    assert problems(read(spec)) == []


# Referenced objects (1.8)

NAMED: Final[Mapping[str, Manifest]] = {
    "spec.strategy.canary.stableService": canary(stableService="there"),
    "spec.strategy.canary.canaryService": canary(canaryService="there"),
    "spec.strategy.canary.pingPong.pingService": canary(pingPong={"pingService": "there"}),
    "spec.strategy.canary.pingPong.pongService": canary(pingPong={"pongService": "there"}),
    "spec.strategy.blueGreen.activeService": blue_green(activeService="there"),
    "spec.strategy.blueGreen.previewService": blue_green(activeService="", previewService="there"),
}
GOOD: Final = service("there", pod_hash="any", annotations={names.MANAGED_BY: "web"})
BAD: Final = {
    "missing": {},
    "of other pods": {"there": service("there", selector={"app": "web", "tier": "front"})},
    "of another Rollout": {"there": service("there", annotations={names.MANAGED_BY: "shop"})},
}


@pytest.mark.parametrize("field", NAMED)
@pytest.mark.parametrize("services", BAD.values(), ids=BAD)
def test_a_service_that_does_not_fit_is_told_by_its_field(field: str, services: Mapping[str, Any]) -> None:
    there = read(NAMED[field])

    (problem,) = reference_problems(there, {"app": "web"}, services)

    assert str(problem).startswith(f'{field}: Invalid value: "there": must be ')
    assert reference_problems(there, {"app": "web"}, {"there": GOOD}) == ()


ROUTING: Final = "spec.strategy.canary.trafficRouting"
OBJECTS: Final[Mapping[str, tuple[str, Sequence[tuple[str, Manifest]]]]] = {
    "Ingress": (
        "exactly one of the singular/plural fields",
        [
            (f"{ROUTING}.nginx", {"nginx": {}}),
            (f"{ROUTING}.nginx", {"nginx": {"stableIngress": "a", "stableIngresses": ["b"]}}),
            (f"{ROUTING}.nginx.stableIngress", {"nginx": {"stableIngress": "a"}}),
            (f"{ROUTING}.nginx.stableIngresses", {"nginx": {"stableIngresses": ["a"]}}),
            (f"{ROUTING}.alb", {"alb": {"servicePort": 80}}),
            (f"{ROUTING}.alb", {"alb": {"servicePort": 80, "ingress": "a", "ingresses": ["b"]}}),
            (f"{ROUTING}.alb.ingress", {"alb": {"servicePort": 80, "ingress": "a"}}),
            (f"{ROUTING}.alb.ingresses", {"alb": {"servicePort": 80, "ingresses": ["a"]}}),
        ],
    ),
    "VirtualService": (
        "exactly one form",
        [
            (f"{ROUTING}.istio", {"istio": {}}),
            (f"{ROUTING}.istio", {"istio": {"virtualService": {"name": "a"}, "virtualServices": [{"name": "b"}]}}),
            (f"{ROUTING}.istio.virtualService.name", ISTIO),
            (f"{ROUTING}.istio.virtualServices.name", {"istio": {"virtualServices": [{"name": "a"}]}}),
        ],
    ),
    "Ambassador mapping, App Mesh": (
        "mapping exists and has no weight",
        [
            (f"{ROUTING}.ambassador.mappings", {"ambassador": {"mappings": []}}),
            (f"{ROUTING}.ambassador.mappings", {"ambassador": {"mappings": ["a"]}}),
            (f"{ROUTING}.appMesh.virtualService", {"appMesh": {}}),
            (f"{ROUTING}.appMesh.virtualService", APP_MESH),
        ],
    ),
}


@pytest.mark.parametrize(
    ("field", "routing"), [pytest.param(*case, id=json.dumps(case[1])) for _, cases in OBJECTS.values() for case in cases]
)
def test_a_route_object_that_is_missing_or_named_twice_is_told_by_its_field(field: str, routing: Manifest) -> None:
    there = read(routed({"setWeight": 20}, routing=routing))

    (router,) = routers_of(there, settings=Settings())
    found = router.problems({})

    assert found
    assert found[0].field.startswith(field), str(found[0])
    assert found[0].wanted


NOT_READ: Final = ("AnalysisTemplates",)
"""Objects that nobody reads before the controller makes AnalysisRuns itself: a Rollout that names them is refused as a whole."""


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("spec.strategy.canary.steps[0].analysis", canary({"analysis": {"templates": [{"templateName": "t"}]}})),
        ("spec.strategy.canary.analysis", canary(analysis={"templates": [{"templateName": "t"}]})),
        ("spec.strategy.blueGreen.prePromotionAnalysis", blue_green(prePromotionAnalysis={"templates": [{"templateName": "t"}]})),
        ("spec.strategy.blueGreen.postPromotionAnalysis", blue_green(postPromotionAnalysis={"templates": [{"templateName": "t"}]})),
    ],
)
def test_a_rollout_that_names_what_is_not_read_yet_is_refused_as_a_whole(field: str, spec: Manifest) -> None:
    assert [problem.field for problem in problems(read(spec))] == [field]


# Completeness


def table(title: str) -> list[list[str]]:
    """Give the rows of the section *title*, cell by cell, without heads."""
    section = REFERENCE.read_text(encoding="utf-8").split(f"### {title}")[1].split("\n### ")[0]
    lines = [line.replace("`", "").strip()[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line] for line in lines]
    return [row for row in rows if row[0] not in {"#", "Path", "Object"} and not row[0].startswith("---")]


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not on this machine")
def test_every_documented_row_is_here_in_its_order() -> None:
    rows = [row[1:] if row[0].isdigit() else row for row in table("1.7")]
    keys = [key.split(": ", 1) for key in (*GENERAL, *STRATEGIES)]

    assert [path for path, _ in keys] == [row[0] for row in rows]
    for (path, when), (_, kind, rule) in zip(keys, rows, strict=True):
        assert when in rule, path
        told = {case.kind.split()[0] for case in ROWS[f"{path}: {when}"] if case.kind != ACCEPTED}
        assert kind == "as Kubernetes" or told <= set(kind.split(" / ")), path
    assert [row[0] for row in table("1.8")] == ["Services", *NOT_READ, *OBJECTS]
    assert all(OBJECTS.get(name, ("", ()))[0] in rule for name, _, rule in table("1.8"))
