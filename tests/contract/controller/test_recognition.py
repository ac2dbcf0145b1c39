"""Which ReplicaSets does the picture show as the template's own?"""

import pytest

from inprocess import InProcessController, pod_template, world
from tiphys.api import names, podhash
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.actions import Plan
from tiphys.core.decide import decide
from tiphys.core.observed import Observed

ROLLOUT: Kind = ("argoproj.io", "Rollout")
REPLICA_SET: Kind = ("apps", "ReplicaSet")


def pods(controller: InProcessController) -> set[str]:
    return {pod["metadata"]["name"] for pod in controller.cluster.pods()}


def earlier_replica_set(pod_hash: str, owners: list[Manifest]) -> Manifest:
    labels = {"app": "web", names.HASH_LABEL: pod_hash}
    template = {**pod_template(), "metadata": {"labels": labels}}
    annotations = {names.REVISION: "1", names.DESIRED_REPLICAS: "2"}
    metadata = {"name": f"web-{pod_hash}", "namespace": "default", "labels": labels, "annotations": annotations}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**metadata, "ownerReferences": owners},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def as_made_by_another(controller: InProcessController, pod_hash: str) -> None:
    """Put the Rollout's ReplicaSet away and make it anew as another controller of earlier days would have made it."""
    ours = controller.manifest(REPLICA_SET, f"web-{controller.rollout().status.stable_rs}")
    theirs = earlier_replica_set(pod_hash, ours["metadata"]["ownerReferences"])
    resource = controller.cluster.store.registry.of_manifest(theirs)
    controller.cluster.store.delete(resource, ours["metadata"]["name"], namespace="default")
    controller.create(theirs)
    status = {"currentPodHash": pod_hash, "stableRS": pod_hash, "collisionCount": None}
    controller.edit(ROLLOUT, "web", {"status": status}, subresource="status")


def taken_over(pod_hash: str) -> tuple[InProcessController, set[str]]:
    resting = [True]

    def held(seen: Observed) -> Plan:
        return Plan(actions=(), status=seen.rollout.status) if resting else decide(seen)

    controller = world(istio=False)
    controller.decide = held
    as_made_by_another(controller, pod_hash)
    controller.cluster.advance(30)
    before = pods(controller)
    controller.requests.clear()
    resting.clear()
    controller.restart()
    controller.cluster.advance(60)
    return controller, before


@pytest.mark.parametrize("form", ["since 1.9", "up to 1.8", "somebody's own"])
def test_a_replica_set_of_another_controller_is_recognised_and_no_pod_restarts(form: str) -> None:
    template = bytes(world(istio=False).rollout().spec.template)
    forms = {
        "since 1.9": podhash.template_hash(template),
        "up to 1.8": podhash.legacy_template_hash(template),
        "somebody's own": "5fccbd7c79",
    }

    controller, before = taken_over(forms[form])

    assert len(before) == 2
    assert pods(controller) == before
    assert "create" not in {request.verb for request in controller.requests}
    assert controller.rollout().status.stable_rs == forms[form]
    assert controller.rollout().status.phase == "Healthy"


def test_a_replica_set_that_people_changed_by_hand_is_not_taken_for_the_new_version() -> None:
    controller = world(istio=False)
    stable = controller.rollout().status.stable_rs
    other = pod_template("registry.example/web:2")
    containers = other["spec"]["containers"]
    controller.edit(REPLICA_SET, f"web-{stable}", {"spec": {"template": {"spec": {"containers": containers}}}})

    controller.edit(ROLLOUT, "web", {"spec": {"template": other}})
    controller.cluster.advance(120)

    assert controller.rollout().status.stable_rs != stable
    assert controller.rollout().status.phase == "Healthy"
    assert {pod["spec"]["containers"][0]["image"] for pod in controller.cluster.pods()} == {"registry.example/web:2"}
