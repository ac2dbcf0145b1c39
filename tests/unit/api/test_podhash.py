import json
from typing import Any

import msgspec
import pytest

from tiphys.api.errors import SpecError
from tiphys.api.podhash import canonical_template, legacy_template_hash, steps_hash, template_hash
from tiphys.api.rollout import Step

P1 = (
    b'{"metadata":{"labels":{"foo":"bar"}},"spec":{"containers":[{"name":"container-name","image":"foo/bar","resources":'
    b'{"limits":{"cpu":"2","memory":"8192M"},"requests":{"cpu":"150m","memory":"8192M"}}}]}}'
)
P2 = b'{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"nginx:1.25","resources":{}}]}}'
P3 = (
    rb'{"metadata":{"labels":{"app":"web","tier":"1"},"annotations":{"note":"\u003ca\u003e \u0026 b"}},"spec":{"volumes":[{"name":"tmp",'
    rb'"emptyDir":{"sizeLimit":"512Mi"}},{"name":"cfg","configMap":{"name":"web-cfg"}}],"containers":[{"name":"web","image":'
    rb'"registry.example/web:2","ports":[{"name":"http","containerPort":8080}],"env":[{"name":"MEM","valueFrom":{"resourceFieldRef":'
    rb'{"resource":"limits.memory","divisor":"0"}}},{"name":"EMPTY"}],"resources":{"limits":{"cpu":"1k","memory":"1Gi"},"requests":'
    rb'{"cpu":"250m","memory":"1000Mi"}},"volumeMounts":[{"name":"tmp","mountPath":"/tmp"},{"name":"cfg","readOnly":true,"mountPath":'
    rb'"/etc/web"}],"readinessProbe":{"httpGet":{"path":"/ok","port":"http"},"periodSeconds":5}}],"terminationGracePeriodSeconds":0,'
    rb'"securityContext":{}}}'
)
SCALE_DOWN: dict[str, Any] = {
    "metadata": {"labels": {"app": "canary-scaledowndelay"}},
    "spec": {
        "containers": [
            {
                "resources": {"requests": {"memory": "16Mi", "cpu": "5m"}},
                "name": "canary-scaledowndelay",
                "image": "nginx:1.19-alpine",
                "ports": [{"protocol": "TCP", "containerPort": 80, "name": "http"}],
            }
        ]
    },
}
P3_AS_TYPED: dict[str, Any] = {
    "spec": {
        "securityContext": {},
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "image": "registry.example/web:2",
                "name": "web",
                "command": [],
                "env": [
                    {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
                    {"name": "EMPTY", "value": ""},
                ],
                "ports": [{"containerPort": 8080, "name": "http"}],
                "readinessProbe": {"initialDelaySeconds": 0, "periodSeconds": 5, "httpGet": {"port": "http", "path": "/ok"}},
                "resources": {"requests": {"memory": "1000Mi", "cpu": "0.25"}, "limits": {"memory": "1024Mi", "cpu": "1000"}},
                "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}, {"mountPath": "/etc/web", "readOnly": True, "name": "cfg"}],  # noqa: S108 - the path of the vector
                "notAField": 1,
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "0.5Gi"}}, {"configMap": {"name": "web-cfg"}, "name": "cfg"}],
    },
    "metadata": {"labels": {"tier": "1", "app": "web"}, "annotations": {"note": "<a> & b"}},
}


def encoded(template: object) -> bytes:
    return json.dumps(template, indent=1).encode()


@pytest.mark.parametrize(
    ("template", "now", "before"),
    [
        pytest.param(P1, "6f496f9f78", "6c5667f666", id="P1"),
        pytest.param(P2, "7dc666b946", "7c4bd8fbf8", id="P2"),
        pytest.param(P3, "694df9785d", "6798cdfbfd", id="P3"),
        pytest.param(encoded(P3_AS_TYPED), "694df9785d", "6798cdfbfd", id="P3 as typed"),
        pytest.param(encoded(SCALE_DOWN), "674d8cf959", "66597877b7", id="scale-down delay"),
    ],
)
def test_templates_have_the_hash_that_other_controllers_give_them(template: bytes, now: str, before: str) -> None:
    assert template_hash(template) == now
    assert legacy_template_hash(template) == before


def test_a_typed_template_has_the_canonical_text() -> None:
    assert canonical_template(encoded(P3_AS_TYPED)) == P3


@pytest.mark.parametrize(("count", "wanted"), [(0, "78898cdf54"), (1, "c5c5c848c"), (2, "756598488")])
def test_a_collision_changes_the_hash(count: int, wanted: str) -> None:
    assert template_hash(P1, count) == wanted


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ("[]", "5ffbfbbd64"),
        ('[{"pause":{}}]', "6b9b86fbd5"),
        ('[{"pause":{}},{"pause":{}}]', "79c9b9f6bf"),
        ('[{"setWeight":20},{"pause":{}}]', "54649b9f5c"),
        ('[{"setWeight":20},{"pause":{"duration":"10m"}},{"setWeight":50}]', "64667d7fcb"),
    ],
)
def test_steps_have_the_hash_that_other_controllers_give_them(steps: str, wanted: str) -> None:
    assert steps_hash(msgspec.json.decode(steps, type=tuple[Step, ...])) == wanted


@pytest.mark.parametrize(
    ("template", "field", "wanted"),
    [
        ({"spec": {"containers": "web"}}, "spec.template.spec.containers", "must be a list"),
        ({"spec": {"containers": ["web"]}}, "spec.template.spec.containers[0]", "must be an object"),
        ({"metadata": {"labels": "x"}}, "spec.template.metadata.labels", "must be a map"),
        (
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "much"}}}]}},
            "spec.template.spec.containers[0].resources.limits.cpu",
            "must be a quantity such as 100m, 2 or 1Gi",
        ),
    ],
)
def test_a_template_of_another_shape_is_named_with_its_field(template: object, field: str, wanted: str) -> None:
    with pytest.raises(SpecError) as caught:
        template_hash(encoded(template))

    assert (caught.value.field, caught.value.wanted) == (field, wanted)


def test_the_whole_hash_of_an_empty_template_is_that_of_its_required_fields() -> None:
    assert canonical_template(b"{}") == b'{"metadata":{},"spec":{"containers":null}}'
