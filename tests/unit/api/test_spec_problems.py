import json
import time
from typing import Any

import pytest

from builders import rollout
from tiphys.api.codec import decode, decode_rollout
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.validation import invalid_message, spec_problems
from tiphys.api.workloads import Deployment

ISTIO: Manifest = {"istio": {"virtualService": {"name": "web"}}}
SERVICES: Manifest = {"stableService": "web-stable", "canaryService": "web-canary"}
TEMPLATE: Manifest = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


def spec(**fields: Any) -> Rollout:  # noqa: ANN401 - fields of the spec in their JSON form
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, "strategy": {"canary": {}}, **fields}
    return decode_rollout(json.dumps({"metadata": {"name": "web", "namespace": "default"}, "spec": body}).encode())


def canary(*steps: Manifest, **fields: Any) -> Rollout:  # noqa: ANN401 - fields of the strategy in their JSON form
    return spec(strategy={"canary": {"steps": list(steps), **fields}})


def routed(*steps: Manifest, routing: Manifest | None = None, managed: tuple[str, ...] = (), **fields: Any) -> Rollout:  # noqa: ANN401 - the same
    full = {**(ISTIO if routing is None else routing)}
    if managed:
        full["managedRoutes"] = [{"name": name} for name in managed]
    return canary(*steps, trafficRouting=full, **{**SERVICES, **fields})


def blue_green(**fields: Any) -> Rollout:  # noqa: ANN401 - the same
    return spec(strategy={"blueGreen": {"activeService": "web", **fields}})


BETA: Manifest = {"headerName": "x", "headerValue": {"exact": "1"}}


def experiment(share: int | None) -> Manifest:
    return {"name": f"share-{share}", "specRef": "canary", **({} if share is None else {"weight": share})}


def texts(there: Rollout) -> list[str]:
    return [str(problem) for problem in spec_problems(there)]


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(spec(), id="no steps"),
        pytest.param(canary({"setWeight": 0}, {"pause": {}}, {"pause": {"duration": "1h"}}, {"setWeight": 100}), id="plain steps"),
        pytest.param(routed({"setCanaryScale": {"weight": 10}}, {"setWeight": 20}), id="istio"),
        pytest.param(
            canary({"setWeight": 20}, trafficRouting={"istio": {"destinationRule": {"name": "d"}, "virtualService": {"name": "v"}}}),
            id="subsets need no Services",
        ),
        pytest.param(canary({"setWeight": 150}, trafficRouting={"plugins": {"p": {}}, "maxTrafficWeight": 200}), id="other maximum"),
        pytest.param(canary(trafficRouting={}), id="router without a kind"),
        pytest.param(routed({"setWeight": 150}, routing={**ISTIO, "maxTrafficWeight": 200}), id="a maximum for whom the table knows"),
        pytest.param(routed({"setWeight": 60}, {"experiment": {"templates": [experiment(30), experiment(10)]}}), id="all is given away"),
        pytest.param(
            routed(
                {
                    "setCanaryScale": {"replicas": 1},
                    "setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]},
                },
                {"setMirrorRoute": {"name": "m", "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/"}}], "percentage": 35}},
                {"setHeaderRoute": {"name": "h"}},
                managed=("h", "m"),
            ),
            id="routes",
        ),
        pytest.param(
            canary(pingPong={"pingService": "a", "pongService": "b"}, trafficRouting={"alb": {"rootService": "r"}}), id="ping-pong"
        ),
        pytest.param(blue_green(previewService="preview", scaleDownDelayRevisionLimit=10), id="blue-green"),
        pytest.param(spec(workloadRef={"kind": "Deployment", "name": "web"}, template={}, selector=None), id="unresolved workload"),
    ],
)
def test_a_good_spec_has_no_problems(there: Rollout) -> None:
    assert texts(there) == []


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (spec(replicas=-1), "spec.replicas: Invalid value: -1: must be 0 or more"),
        (spec(selector=None), "spec.selector: Required value: a label selector that matches the labels of the pod template"),
        (spec(minReadySeconds=-1), "spec.minReadySeconds: Invalid value: -1: must be 0 or more"),
        (spec(revisionHistoryLimit=-2), "spec.revisionHistoryLimit: Invalid value: -2: must be 0 or more"),
        (spec(progressDeadlineSeconds=-3), "spec.progressDeadlineSeconds: Invalid value: -3: must be 0 or more"),
        (
            spec(progressDeadlineSeconds=30, minReadySeconds=30),
            "spec.progressDeadlineSeconds: Invalid value: 30: must be greater than minReadySeconds (30)",
        ),
        (spec(minReadySeconds=600), "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds (600)"),
        (spec(strategy={}), "spec.strategy.strategy: Required value: one of canary and blueGreen"),
        (spec(strategy={"rolling": {}}), "spec.strategy.strategy: Required value: one of canary and blueGreen"),
        (
            spec(strategy={"canary": {}, "blueGreen": {"activeService": "a"}}),
            'spec.strategy.strategy: Invalid value: "canary, blueGreen": must have only one of canary and blueGreen',
        ),
        (
            spec(workloadRef={"kind": "Deployment", "name": "web"}),
            "spec.template: Internal error: labels or annotations: must be empty beside workloadRef",
        ),
        (blue_green(previewService="web"), 'spec.strategy.activeService: Invalid value: "web": must differ from previewService'),
        (blue_green(activeService=""), "spec.strategy.activeService: Required value: the Service that takes the traffic"),
        (
            blue_green(scaleDownDelayRevisionLimit=11),
            "spec.strategy.scaleDownDelayRevisionLimit: Invalid value: 11: must be at most revisionHistoryLimit (10)",
        ),
        (
            blue_green(maxUnavailable="some"),
            'spec.strategy.maxUnavailable: Invalid value: "some": must be a number of pods, or a whole percentage such as 25%',
        ),
        (
            blue_green(antiAffinity={}),
            'spec.strategy.antiAffinity: Invalid value: "neither": '
            "must have exactly one of preferred- and requiredDuringSchedulingIgnoredDuringExecution",
        ),
        (
            canary(antiAffinity={"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 101}}),
            "spec.strategy.antiAffinity.weight: Invalid value: 101: must be 1 to 100",
        ),
        (
            canary(maxSurge="0%", maxUnavailable=0),
            'spec.strategy.maxSurge: Invalid value: "0%": must not be 0 beside maxUnavailable 0: no pod could move',
        ),
        (
            canary(maxSurge="much"),
            'spec.strategy.maxSurge: Invalid value: "much": must be a number of pods, or a whole percentage such as 25%',
        ),
        (
            canary(stableService="a", canaryService="a"),
            'spec.strategy.stableService: Invalid value: "a": must differ from canaryService',
        ),
        (
            canary(pingPong={"pingService": "a", "pongService": "b"}, trafficRouting={"appMesh": {}}, **SERVICES),
            'spec.strategy.trafficRouting.alb: Invalid value: "": '
            "pingPong needs one of alb, istio, smi, traefik, apisix, gatewayAPI or plugins in trafficRouting",
        ),
        (
            canary(pingPong={"pingService": "", "pongService": "b"}, trafficRouting={"plugins": {"p": {}}}),
            'spec.strategy.pingPong.pingService: Invalid value: "": must name a Service',
        ),
        (
            canary(pingPong={"pingService": "b", "pongService": ""}, trafficRouting={"plugins": {"p": {}}}),
            'spec.strategy.pingPong.pongService: Invalid value: "": must name a Service',
        ),
        (
            canary(pingPong={"pingService": "b", "pongService": "b"}, trafficRouting={"plugins": {"p": {}}}),
            'spec.strategy.pingPong.pingService: Invalid value: "b": must differ from pongService',
        ),
        (
            canary(pingPong={"pingService": "a", "pongService": "b"}, trafficRouting={"alb": {}}),
            'spec.strategy.trafficRouting.alb.rootService: Invalid value: "": must name a Service, because pingPong is used with alb',
        ),
        (
            routed(stableService=""),
            'spec.strategy.stableService: Invalid value: "": must name a Service, because trafficRouting has istio',
        ),
        (
            routed(canaryService="", routing={"smi": {}, "nginx": {}}),
            'spec.strategy.canaryService: Invalid value: "": must name a Service, because trafficRouting has smi and nginx',
        ),
        (
            canary(scaleDownDelaySeconds=30),
            "spec.strategy.scaleDownDelaySeconds: Invalid value: 30: must not be set without trafficRouting",
        ),
        (canary(dynamicStableScale=True), "spec.strategy.dynamicStableScale: Invalid value: true: must not be set without trafficRouting"),
        (
            routed(routing={"maxTrafficWeight": 1000}),
            "spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 1000: needs a router in trafficRouting",
        ),
        (
            routed(routing={"nginx": {"stableIngress": "i"}, "maxTrafficWeight": 0}),
            "spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 0: must be 1 or more",
        ),
        (
            routed(managed=("a", "b", "a")),
            'spec.strategy.trafficRouting.managedRoutes: Invalid value: "a": must be listed once',
        ),
        (
            routed(managed=("a", "")),
            "spec.strategy.trafficRouting.managedRoutes: Required value: needs a name for every route",
        ),
        (
            routed({"setHeaderRoute": {"name": "a", "match": [BETA]}}, {"setMirrorRoute": {"name": "a"}}, managed=("a",)),
            'spec.strategy.steps[1].setMirrorRoute: Invalid value: "a": must not share its name with a setHeaderRoute step',
        ),
        (
            routed({"setMirrorRoute": {"name": "m", "percentage": 101}}, managed=("m",)),
            "spec.strategy.steps[0].setMirrorRoute.percentage: Invalid value: 101: must be 0 to 100",
        ),
        (
            routed({"setMirrorRoute": {"name": "m", "percentage": -1}}, managed=("m",)),
            "spec.strategy.steps[0].setMirrorRoute.percentage: Invalid value: -1: must be 0 to 100",
        ),
        (
            routed({"setMirrorRoute": {"name": "m", "match": [{"headers": {"x": {}}}]}}, managed=("m",)),
            'spec.strategy.steps[0].setMirrorRoute.match[0].headers.x: Invalid value: "": must have one of exact, prefix, regex',
        ),
        (
            routed({"setWeight": 60}, {"experiment": {"templates": [experiment(30), experiment(11), experiment(None)]}}),
            "spec.strategy.steps[1].experiment: Invalid value: 41: "
            "must have templates whose weights add up to at most 40, which the canary's 60 leave",
        ),
        (
            routed({"experiment": {"templates": [experiment(-1)]}}),
            "spec.strategy.steps[0].experiment.templates[0].weight: Invalid value: -1: must be 0 or more",
        ),
        (
            canary({"setWeight": 10}, {}),
            'spec.strategy.steps[1]: Invalid value: "{}": must set one of setWeight, pause, experiment, analysis, setCanaryScale, '
            "setHeaderRoute, setMirrorRoute, plugin",
        ),
        (
            canary({"setWeight": 10, "pause": {}}),
            'spec.strategy.steps[0]: Invalid value: "setWeight, pause": must set only one of setWeight, pause, experiment, analysis',
        ),
        (canary({"setWeight": 101}), "spec.strategy.steps[0].setWeight: Invalid value: 101: must be 0 to 100"),
        (canary({"setWeight": -1}), "spec.strategy.steps[0].setWeight: Invalid value: -1: must be 0 to 100"),
        (
            canary({"pause": {"duration": "1x"}}),
            'spec.strategy.steps[0].pause.duration: Invalid value: "1x": must be 0 or more seconds, or a duration such as 90s or 1h30m',
        ),
        (
            canary({"pause": {"duration": -5}}),
            "spec.strategy.steps[0].pause.duration: Invalid value: -5: must be 0 or more seconds, or a duration such as 90s or 1h30m",
        ),
        (
            canary({"setCanaryScale": {"weight": 5}}, {"setCanaryScale": {"weight": 6}}),
            "spec.strategy.trafficRouting: Required value: a traffic router, because a step has setCanaryScale",
        ),
        (
            routed({"setHeaderRoute": {"name": "h"}}, routing={}, managed=("h",)),
            'spec.strategy.steps[0].setHeaderRoute: Invalid value: "h": needs a router in trafficRouting',
        ),
        (
            routed({"setHeaderRoute": {"name": "h", "match": [{"headerName": "a"}]}}, managed=("h",)),
            'spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: "": must have headerValue with one of exact, prefix, regex',
        ),
        (
            routed(
                {"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "x", "regex": "y"}}]}},
                managed=("h",),
            ),
            'spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: "exact, regex": '
            "must have headerValue with one of exact, prefix, regex",
        ),
        (
            routed({"setMirrorRoute": {"name": "m"}}, routing={}, managed=("m",)),
            'spec.strategy.steps[0].setMirrorRoute: Invalid value: "m": needs a router in trafficRouting',
        ),
        (
            routed({"setMirrorRoute": {"name": "m", "match": [{"method": {"exact": "GET"}}, {"path": {}}]}}, managed=("m",)),
            'spec.strategy.steps[0].setMirrorRoute.match[1]: Invalid value: "": must have path with one of exact, prefix, regex',
        ),
        (
            routed({"setHeaderRoute": {"name": "h"}}, {"setMirrorRoute": {"name": "m"}}),
            "spec.strategy.trafficRouting.managedRoutes: Required value: the names of all routes that steps set, in order of priority",
        ),
        (
            routed({"setHeaderRoute": {"name": "h"}}, managed=("a", "b")),
            'spec.strategy.steps[0].setHeaderRoute: Invalid value: "h": must be listed in managedRoutes (a, b)',
        ),
        (
            routed({"setMirrorRoute": {"name": "m"}}, managed=("a",)),
            'spec.strategy.steps[0].setMirrorRoute: Invalid value: "m": must be listed in managedRoutes (a)',
        ),
        (
            canary({"experiment": {"templates": [{"name": "a", "specRef": "canary"}, {"name": "b", "specRef": "stable", "weight": 5}]}}),
            "spec.strategy.steps[0].experiment.templates[1].weight: Invalid value: 5: needs a router in trafficRouting",
        ),
        (
            canary({"analysis": {"templates": [], "args": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nothing"}}}]}}),
            'spec.strategy.steps[0].analyses: Invalid value: "metadata.nothing": '
            "must be a field of the metadata such as metadata.name or metadata.labels['app'] (argument a)",
        ),
    ],
)
def test_each_problem_has_its_field_and_text(there: Rollout, wanted: str) -> None:
    assert texts(there) == [wanted]


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ({}, ['spec.selector: Invalid value: "{}": must have at least one label or expression, or it would select every pod']),
        (
            {"matchExpressions": [{"key": "app", "operator": "Is", "values": ["web"]}]},
            [
                'spec.selector.matchExpressions[0].operator: Invalid value: "Is": must be one of In, NotIn, Exists, DoesNotExist',
            ],
        ),
        (
            {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "NotIn"}]},
            ["spec.selector.matchExpressions[0].values: Required value: operator NotIn needs at least one value"],
        ),
        (
            {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["web"]}]},
            ['spec.selector.matchExpressions[0].values: Invalid value: "web": must be empty with operator Exists'],
        ),
    ],
)
def test_a_malformed_selector_is_named(selector: Manifest, wanted: list[str]) -> None:
    found = [text for text in texts(spec(selector=selector)) if not text.startswith("spec.template")]

    assert found == wanted


def test_bad_label_texts_are_named() -> None:
    there = spec(
        selector={"matchLabels": {"-app": "web", "app": "we b"}},
        template={**TEMPLATE, "metadata": {"labels": {"-app": "web", "app": "we b"}}},
    )

    assert [problem.field for problem in spec_problems(there)] == [
        "spec.selector.matchLabels",
        "spec.selector.matchLabels.app",
        "spec.template.metadata.labels",
        "spec.template.metadata.labels.app",
    ]


def test_all_problems_are_said_and_the_first_one_first() -> None:
    there = spec(replicas=-1, strategy={"canary": {"steps": [{"setWeight": 101}, {"pause": {"duration": "x"}}]}})

    assert invalid_message("web", spec_problems(there)) == (
        'The Rollout "web" is invalid: spec.replicas: Invalid value: -1: must be 0 or more; '
        "spec.strategy.steps[0].setWeight: Invalid value: 101: must be 0 to 100; "
        'spec.strategy.steps[1].pause.duration: Invalid value: "x": must be 0 or more seconds, or a duration such as 90s or 1h30m'
    )


def test_a_message_has_an_end() -> None:
    problems = spec_problems(canary(*[{"setWeight": 101}] * 60))

    assert invalid_message("web", problems).endswith("must be 0 to 100; and 10 more")


def test_the_template_of_a_found_workload_is_judged() -> None:
    there = spec(workloadRef={"kind": "Deployment", "name": "web"}, template={}, selector=None)
    body = {"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": TEMPLATE}}
    workload = decode(json.dumps(body).encode(), Deployment)

    assert [str(problem) for problem in spec_problems(there, workload=workload)] == [
        'spec.template.metadata.labels: Invalid value: "app=web": must match the selector app=other'
    ]


def test_five_hundred_steps_are_judged_in_milliseconds() -> None:
    there = rollout(*({"setWeight": weight % 100} if weight % 2 else {"pause": {"duration": f"{weight}s"}} for weight in range(500)))

    best = min(_seconds(there) for _ in range(5))

    assert best < 0.02


def _seconds(there: Rollout) -> float:
    begin = time.process_time()  # of this process alone: the machine has other work
    assert spec_problems(there) == ()
    return time.process_time() - begin


def probed(**probe: Any) -> Rollout:  # noqa: ANN401 - fields of the probe in their JSON form
    sound = {"url": "https://shop.example/version", "hashHeader": "x-pod-hash"}
    return routed({"setWeight": 20}, routing={**ISTIO, "verification": {"probe": {**sound, **probe}}})


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param({}, id="least"),
        pytest.param({"hashHeader": "", "hashField": "pod.hash", "method": "GET"}, id="a field of the body"),
        pytest.param({"method": "HEAD", "headers": {"host": "shop"}, "requests": 1000, "tolerance": 10}, id="all"),
    ],
)
def test_a_sound_probe(probe: Manifest) -> None:
    assert texts(probed(**probe)) == []


@pytest.mark.parametrize(
    ("probe", "field", "wanted"),
    [
        ({"url": "ftp://shop.example"}, "url", "an absolute URL of http or https"),
        ({"url": "/version"}, "url", "an absolute URL of http or https"),
        ({"url": "http://me:secret@shop.example"}, "url", "without user and password"),
        ({"url": "http://shop.example:99999/"}, "url", "an absolute URL of http or https"),
        ({"url": "http://shop.example/a b"}, "url", "an absolute URL of http or https"),
        ({"method": "POST"}, "method", "one of GET, HEAD"),
        ({"hashField": "pod.hash"}, "", "exactly one of hashHeader and hashField"),
        ({"hashHeader": ""}, "", "exactly one of hashHeader and hashField"),
        ({"hashHeader": "x pod"}, "hashHeader", "the name of a header"),
        ({"hashHeader": "", "hashField": "pod..hash"}, "hashField", "joined by dots"),
        ({"hashHeader": "", "hashField": "hash", "method": "HEAD"}, "method", "GET, because an answer to HEAD has no body"),
        ({"headers": {"x": "a\nb"}}, "headers[x]", "a value of one line"),
        ({"headers": {"Authorization": "Bearer 123"}}, "headers[Authorization]", "no secrets"),
        ({"requests": 5}, "requests", "20 to 1000"),
        ({"requests": 5000}, "requests", "20 to 1000"),
        ({"tolerance": 51}, "tolerance", "0 to 50 percentage points"),
    ],
)
def test_an_unsound_probe_is_refused_by_field(probe: Manifest, field: str, wanted: str) -> None:
    (problem,) = texts(probed(**probe))

    place = "spec.strategy.trafficRouting.verification.probe" + (f".{field}" if field else "")
    assert problem.startswith(f"{place}:"), problem
    assert wanted in problem
    assert "123" not in problem
    assert "secret@" not in problem


def test_a_probe_needs_a_router() -> None:
    probe = {"url": "http://shop.example", "hashHeader": "x"}

    (problem,) = texts(canary({"setWeight": 20}, trafficRouting={"verification": {"probe": probe}}))

    assert problem.startswith("spec.strategy.trafficRouting.verification.probe:"), problem
