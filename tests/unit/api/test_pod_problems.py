import json
from typing import Any

import pytest

from tiphys.api.meta import LabelSelector, Manifest
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
            'spec.template.spec.containers[0]: Invalid value: "7": must be an object',
        ),
        (pod(terminationGracePeriodSeconds="soon"), None),
    ],
)
def test_each_problem_has_its_field_and_text(template: bytes, wanted: str | None) -> None:
    found = texts(template)

    if wanted is None:
        assert len(found) == 1
        assert found[0].startswith("spec.template: Invalid value: ")
        assert found[0].endswith("must have the types of a pod template")
    else:
        assert found == [wanted]


def test_labels_are_read_from_any_template() -> None:
    assert template_labels(pod(labels={"app": "web", "tier": "1"})) == {"app": "web", "tier": "1"}
    assert template_labels(b"{}") == template_labels(b"") == template_labels(b'{"metadata":[]}') == {}
