"""What does a ReplicaSet of ours look like when it is made?"""

import msgspec

from builders import rollout
from tiphys.api import names
from tiphys.api.meta import LabelSelector, LabelSelectorRequirement
from tiphys.api.words import Reason
from tiphys.controller.manifests import new_replica_set
from tiphys.core.actions import CreateReplicaSet, Event


def creation(**annotations: str) -> CreateReplicaSet:
    event = Event(reason=Reason.NEW_REPLICA_SET_CREATED, message="")
    return CreateReplicaSet(name="web-aaa", pod_hash="aaa", annotations=annotations, min_ready_seconds=3, event=event)


def test_fields_of_the_template_that_nobody_here_knows_survive() -> None:
    template = {"metadata": {"labels": {"app": "web"}, "name": "kept"}, "spec": {"containers": [], "fieldOfTomorrow": [1, {"a": None}]}}
    raw = msgspec.Raw(msgspec.json.encode(template))

    made = new_replica_set(rollout(pod_template=raw), creation(), digest="d1")

    labels = {"app": "web", names.HASH_LABEL: "aaa"}
    assert made["spec"]["template"] == {**template, "metadata": {"labels": labels, "name": "kept"}}


def test_it_starts_empty_with_the_hash_in_its_labels_and_selector() -> None:
    selector = LabelSelector(match_labels={"app": "web"}, match_expressions=(LabelSelectorRequirement(key="tier", operator="Exists"),))

    made = new_replica_set(rollout(selector=selector), creation(), digest="d1")

    assert made["metadata"]["labels"] == {"app": "web", names.HASH_LABEL: "aaa"}
    assert made["spec"]["replicas"] == 0
    assert made["spec"]["minReadySeconds"] == 3
    assert made["spec"]["selector"] == {
        "matchLabels": {"app": "web", names.HASH_LABEL: "aaa"},
        "matchExpressions": [{"key": "tier", "operator": "Exists"}],
    }


def test_it_carries_the_digest_of_its_template_beside_what_the_decision_wants() -> None:
    made = new_replica_set(rollout(), creation(note="1"), digest="d1")

    assert made["metadata"]["annotations"] == {"note": "1", names.TEMPLATE_DIGEST: "d1"}
