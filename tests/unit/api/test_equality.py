import json
from typing import Any

import pytest

from builders import template
from tiphys.api import names
from tiphys.api.equality import meaning_digest, recorded_metadata, same_template
from tiphys.api.meta import Manifest
from tiphys.api.podrules import pull_policy
from tiphys.api.rollout import Metadata

TYPED: Manifest = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "serviceAccountName": "web",
        "containers": [
            {
                "name": "web",
                "image": "registry.example:5000/web",
                "ports": [{"containerPort": 8080}],
                "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "readinessProbe": {"httpGet": {"port": 8080}},
                "livenessProbe": {"grpc": {"port": 9}},
                "lifecycle": {"preStop": {"httpGet": {"port": 8080, "path": "/bye"}}},
                "resources": {"limits": {"cpu": "1", "memory": "1.5Gi"}},
            }
        ],
        "volumes": [
            {"name": "scratch"},
            {"name": "cfg", "configMap": {"name": "cfg"}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
    },
}
STORED: Manifest = {
    "metadata": {"creationTimestamp": None, "labels": {"app": "web", names.HASH_LABEL: "abc"}},
    "spec": {
        "serviceAccountName": "web",
        "serviceAccount": "web",
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "web",
                "image": "registry.example:5000/web",
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
                "readinessProbe": {
                    "httpGet": {"port": 8080, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "livenessProbe": {
                    "grpc": {"port": 9, "service": ""},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "lifecycle": {"preStop": {"httpGet": {"port": 8080, "path": "/bye", "scheme": "HTTP"}}},
                "resources": {"limits": {"cpu": "1000m", "memory": "1536Mi"}},
            }
        ],
        "volumes": [
            {"name": "scratch", "emptyDir": {}},
            {"name": "cfg", "configMap": {"name": "cfg", "defaultMode": 420}},
            {
                "name": "token",
                "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]},
            },
        ],
    },
}
APART: Manifest = {
    "labelSelector": {"matchExpressions": [{"key": names.HASH_LABEL, "operator": "In", "values": ["old"]}]},
    "namespaces": ["default"],
    "topologyKey": "kubernetes.io/hostname",
}
OTHER: Manifest = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}


def encoded(there: Manifest) -> bytes:
    return json.dumps(there).encode()


def changed(there: Manifest, **spec: Any) -> Manifest:  # noqa: ANN401 - fields of a pod's spec
    return {**there, "spec": {**there["spec"], **spec}}


def test_defaults_and_the_hash_make_no_difference() -> None:
    assert same_template(encoded(STORED), encoded(TYPED))


@pytest.mark.parametrize(
    "there",
    [
        changed(STORED, terminationGracePeriodSeconds=0),
        changed(STORED, containers=[{**STORED["spec"]["containers"][0], "image": "registry.example:5000/web:2"}]),
        changed(STORED, volumes=[]),
        changed(STORED, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [OTHER]}}),
        {**STORED, "metadata": {"labels": {"app": "web", "tier": "1"}}},
    ],
)
def test_what_was_changed_by_hand_makes_a_difference(there: Manifest) -> None:
    assert not same_template(encoded(there), encoded(TYPED))


@pytest.mark.parametrize(
    "apart",
    [
        {"requiredDuringSchedulingIgnoredDuringExecution": [APART]},
        {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": APART}]},
    ],
)
def test_anti_affinity_to_other_versions_makes_no_difference(apart: Manifest) -> None:
    assert same_template(encoded(changed(STORED, affinity={"podAntiAffinity": apart})), encoded(TYPED))


def test_anti_affinity_of_the_user_stays() -> None:
    own = {"requiredDuringSchedulingIgnoredDuringExecution": [OTHER]}
    both = {"requiredDuringSchedulingIgnoredDuringExecution": [OTHER, APART]}

    assert same_template(
        encoded(changed(STORED, affinity={"podAntiAffinity": both})), encoded(changed(TYPED, affinity={"podAntiAffinity": own}))
    )


def test_recorded_metadata_makes_no_difference_even_over_the_templates_own() -> None:
    recorded = recorded_metadata({names.EPHEMERAL_METADATA: '{"labels":{"role":"canary","tier":"x"},"annotations":{"note":"n"}}'})
    own = {**TYPED, "metadata": {"labels": {"app": "web", "tier": "1"}}}
    there = {**STORED, "metadata": {"labels": {"app": "web", "tier": "x", "role": "canary"}, "annotations": {"note": "n"}}}

    assert recorded == Metadata(labels={"role": "canary", "tier": "x"}, annotations={"note": "n"})
    assert same_template(encoded(there), encoded(own), recorded)
    assert not same_template(encoded(there), encoded(own))


def test_what_nobody_can_read_is_the_same_as_nothing() -> None:
    broken = b'{"spec":{"containers":"web"}}'

    assert not same_template(broken, broken)
    assert not same_template(b"{", bytes(template()))


def test_an_unreadable_record_is_none() -> None:
    assert recorded_metadata({}) is None
    assert recorded_metadata({names.EPHEMERAL_METADATA: "{"}) is None


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("registry.example:5000/web", "Always"),
        ("registry.example:5000/web:1", "IfNotPresent"),
        ("web:1", "IfNotPresent"),
        ("web@sha256:abc", "IfNotPresent"),
    ],
)
def test_images_are_pulled_always_only_where_they_mean_the_latest(image: str, wanted: str) -> None:
    assert pull_policy(image) == wanted


def test_the_digest_is_that_of_the_meaning() -> None:
    typed, stored = json.dumps(TYPED).encode(), json.dumps(STORED).encode()
    other = json.dumps({**TYPED, "spec": {**TYPED["spec"], "serviceAccountName": "other"}}).encode()

    assert meaning_digest(typed) == meaning_digest(stored) != ""
    assert meaning_digest(other) != meaning_digest(typed)
    assert meaning_digest(b"no template") == ""
