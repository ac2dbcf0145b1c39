import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.equality import same_template
from tiphys.api.meta import LabelSelector, Manifest
from tiphys.api.podhash import template_hash
from tiphys.api.podvalidation import template_labels, template_problems

SELECTOR = LabelSelector(match_labels={"app": "web"})


def pod(container: Manifest | None = None, labels: Manifest | None = None, **fields: Any) -> bytes:  # noqa: ANN401 - fields of the pod's spec
    body = {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1", **(container or {})}], **fields},
    }
    return json.dumps(body).encode()


def texts(template: bytes) -> list[str]:
    return [str(problem) for problem in template_problems(template, SELECTOR)]


@pytest.mark.parametrize(
    "template",
    [
        pod(),
        pod(restartPolicy="Always", dnsPolicy="None", terminationGracePeriodSeconds=0),
        pod({"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 80, "name": "quic", "protocol": "UDP"}]}),
        pod({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}, volumes=[{"name": "a", "emptyDir": {}}]),
        pod({"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1024Mi"}}}),
        pod({"readinessProbe": {"httpGet": {"port": 80}}, "securityContext": {"privileged": True}}),
        pod(labels={"app": "web", "example.com/part": ""}),
    ],
)
def test_a_good_template_has_no_problems(template: bytes) -> None:
    assert texts(template) == []


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (b"", "spec.template: Required value: a pod template, or workloadRef beside it"),
        (pod(labels={"app": "shop"}), 'spec.template.metadata.labels: Invalid value: "app=shop": must match the selector app=web'),
        (
            b'{"metadata":{"labels":{"app":"web"}},"spec":{}}',
            "spec.template.spec.containers: Required value: at least one container",
        ),
        (pod(restartPolicy="Never"), 'spec.template.spec.restartPolicy: Invalid value: "Never": must be Always'),
        (pod(activeDeadlineSeconds=5), "spec.template.spec.activeDeadlineSeconds: Invalid value: 5: must not be set: pods run on"),
        (
            pod(ephemeralContainers=[{"name": "x"}]),
            'spec.template.spec.ephemeralContainers: Invalid value: "[...]": must not be set in a pod template',
        ),
        (
            pod(dnsPolicy="Mine"),
            'spec.template.spec.dnsPolicy: Invalid value: "Mine": must be one of ClusterFirst, ClusterFirstWithHostNet, Default, None',
        ),
        (pod(terminationGracePeriodSeconds=-1), "spec.template.spec.terminationGracePeriodSeconds: Invalid value: -1: must be 0 or more"),
        (pod({"name": ""}), "spec.template.spec.containers[0].name: Required value: the name of the container"),
        (
            pod({"name": "Web"}),
            'spec.template.spec.containers[0].name: Invalid value: "Web": '
            "must have at most 63 lower-case letters, digits or '-' (letter or digit first and last)",
        ),
        (
            pod(initContainers=[{"name": "web", "image": "x"}]),
            'spec.template.spec.containers[0].name: Invalid value: "web": must differ from the names of other containers',
        ),
        (pod({"image": ""}), "spec.template.spec.containers[0].image: Required value: the image to run"),
        (
            pod({"imagePullPolicy": "Once"}),
            'spec.template.spec.containers[0].imagePullPolicy: Invalid value: "Once": must be one of Always, IfNotPresent, Never',
        ),
        (
            pod({"ports": [{"containerPort": 0}]}),
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 0: must be 1 to 65535",
        ),
        (
            pod({"ports": [{"containerPort": 1, "protocol": "QUIC"}]}),
            'spec.template.spec.containers[0].ports[0].protocol: Invalid value: "QUIC": must be one of TCP, UDP, SCTP',
        ),
        (
            pod({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            'spec.template.spec.containers[0].ports[1].name: Invalid value: "a": must differ from the names of other ports',
        ),
        (
            pod({"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            'spec.template.spec.containers[0].env[0].valueFrom: Invalid value: "{...}": must not be set beside value',
        ),
        (
            pod({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}),
            'spec.template.spec.containers[0].volumeMounts[0].name: Invalid value: "a": must be the name of a volume of the pod',
        ),
        (
            pod({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}),
            'spec.template.spec.containers[0].resources.requests.cpu: Invalid value: "2": must be at most the limit, 1500m',
        ),
        (
            pod({"resources": {"limits": {"cpu": "much"}}}),
            'spec.template.spec.containers[0].resources.limits.cpu: Invalid value: "much": must be a quantity such as 100m, 2 or 1Gi',
        ),
        (
            pod({"livenessProbe": {"periodSeconds": 3}}),
            "spec.template.spec.containers[0].livenessProbe: Required value: exactly one of exec, httpGet, tcpSocket, grpc",
        ),
        (
            pod({"livenessProbe": {"periodSeconds": -3, "tcpSocket": {"port": 1}}}),
            "spec.template.spec.containers[0].livenessProbe.periodSeconds: Invalid value: -3: must be 0 or more",
        ),
        (
            b'{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[7]}}',
            "spec.template.spec.containers[0]: Invalid value: 7: must be an object",
        ),
        (
            pod(terminationGracePeriodSeconds="soon"),
            'spec.template.spec.terminationGracePeriodSeconds: Invalid value: "soon": must be an integer',
        ),
        (
            pod({"env": [{"name": "DEBUG", "value": True}]}),
            "spec.template.spec.containers[0].env[0].value: Invalid value: true: must be text",
        ),
        (
            pod({"ports": [{"containerPort": 80.5}]}),
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 80.5: must be an integer",
        ),
        (pod({"image": 1.5}), "spec.template.spec.containers[0].image: Invalid value: 1.5: must be text"),
        (pod(initContainers=[None]), 'spec.template.spec.initContainers[0]: Invalid value: "null": must be an object'),
        (pod({"args": ["-v", 3]}), "spec.template.spec.containers[0].args[1]: Invalid value: 3: must be text"),
        (pod({"tty": "yes"}), 'spec.template.spec.containers[0].tty: Invalid value: "yes": must be true or false'),
        (pod({"command": "run"}), 'spec.template.spec.containers[0].command: Invalid value: "run": must be a list'),
        (pod(labels={"app": "web", "v": 2}), "spec.template.metadata.labels.v: Invalid value: 2: must be text"),
        (
            pod({"readinessProbe": {"httpGet": {"port": True}}}),
            "spec.template.spec.containers[0].readinessProbe.httpGet.port: Invalid value: true: must be an integer or text",
        ),
        (pod(nodeSelector=["a"]), 'spec.template.spec.nodeSelector: Invalid value: "["a"]": must be a map'),
        (pod(volumes=[{"name": "a", "hostPath": "/a"}]), 'spec.template.spec.volumes[0].hostPath: Invalid value: "/a": must be an object'),
        (b"{", 'spec.template: Invalid value: "{": must be JSON (Input data was truncated)'),
    ],
)
def test_each_problem_has_its_field_and_text(template: bytes, wanted: str) -> None:
    assert texts(template) == [wanted]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
FULL = json.loads(
    pod(
        {
            "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
            "lifecycle": {"preStop": {"exec": {"command": ["a"]}}},
        },
        volumes=[{"name": "v", "projected": {"sources": [{"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "x"}}]}}]}}],
        initContainers=[{"name": "init", "image": "i"}],
        affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {}}]}},
    )
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - JSON of any type
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@settings(deadline=None)
@given(place=st.sampled_from(places(FULL)[1:]), value=JSON)
def test_any_json_in_any_place_is_judged_and_never_raises(place: tuple[str | int, ...], value: object) -> None:
    there = copy.deepcopy(FULL)
    holder = there
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    template = msgspec.json.encode(there)

    problems = template_problems(template, SELECTOR)

    assert all(problem.field.startswith("spec.template") for problem in problems)
    assert same_template(template, template) or problems
    if not problems:
        assert template_hash(template)


def test_labels_are_read_from_any_template() -> None:
    assert template_labels(pod(labels={"app": "web", "tier": "1"})) == {"app": "web", "tier": "1"}
    assert template_labels(b"{}") == template_labels(b"") == template_labels(b'{"metadata":[]}') == {}
