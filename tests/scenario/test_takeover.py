"""What does the controller do in a cluster where another one, the reference's, stopped in the middle of an update?"""

from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

import msgspec
import pytest

from inprocess import InProcessController
from scenarios import (
    CANARY_SERVICE,
    PAUSE_STEP,
    REPLICA_SET,
    ROLLOUT,
    STABLE_SERVICE,
    VIRTUAL_SERVICE,
    Routing,
    Story,
    app,
    template,
    weight,
)
from tiphys.api import names, podhash
from tiphys.api.meta import Manifest
from tiphys.cli.patches import Skip

STEPS: Final = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)
TODAY: Final = "2030-01-01T00:00:00Z"
Labelled = Callable[[bytes], str]


def new_form(stored: bytes) -> str:
    """The hash of the reference since 1.9."""
    return podhash.template_hash(stored)


def old_form(stored: bytes) -> str:
    """The hash of the reference up to 1.8."""
    return podhash.legacy_template_hash(stored)


def no_form(stored: bytes) -> str:
    """The hash of an algorithm that nobody knows any more."""
    return f"{crc32(stored):x}"


def replica_set(image: str, label: Labelled, *, revision: int, pods: int, owner: str, changes: Callable[[Manifest], None]) -> Manifest:
    """Give a ReplicaSet as the reference leaves it: the template as the API server completed it, and no digest of ours."""
    body = template(image)
    pod_hash = label(msgspec.json.encode(body))
    labels = {"app": "web", names.HASH_LABEL: pod_hash}
    stored = {**body, "metadata": {"labels": labels}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"web-{pod_hash}",
            "labels": labels,
            "annotations": {names.REVISION: str(revision), names.DESIRED_REPLICAS: "5"},
            "ownerReferences": [
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Rollout",
                    "name": "web",
                    "uid": owner,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {"replicas": pods, "selector": {"matchLabels": labels}, "template": stored},
    }
    changes(manifest)
    return manifest


def as_it_was(manifest: Manifest) -> None:
    """Change nothing."""
    del manifest


def with_service_account(manifest: Manifest) -> None:
    """The API server fills in the deprecated twin."""
    manifest["spec"]["template"]["spec"] |= {"serviceAccount": "default", "serviceAccountName": "default"}


def with_ephemeral_label(manifest: Manifest) -> None:
    """The reference had put canaryMetadata on the pods, and recorded it."""
    recorded = {"labels": {"role": "canary"}}
    manifest["spec"]["template"]["metadata"]["labels"] |= recorded["labels"]
    manifest["metadata"]["annotations"][names.EPHEMERAL_METADATA] = msgspec.json.encode(recorded).decode()


def taken_over(label: Labelled = old_form, changes: Callable[[Manifest], None] = as_it_was, *, routing: Routing = "istio") -> Story:
    """Give a cluster that stands at 20 percent and pauses, the controller not yet there."""

    def leave_behind(controller: InProcessController) -> None:
        for manifest in app(*STEPS, image="2", routing=routing):
            if changes is with_service_account and manifest["kind"] == "Rollout":
                manifest["spec"]["template"]["spec"]["serviceAccountName"] = "default"
            controller.create(manifest)
        controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.REVISION: "2"}}})
        rollout = controller.manifest(ROLLOUT, "web")
        stable = replica_set(
            "1", label, revision=1, pods=5 if routing == "istio" else 4, owner=rollout["metadata"]["uid"], changes=as_it_was
        )
        canary = replica_set("2", label, revision=2, pods=1, owner=rollout["metadata"]["uid"], changes=changes)
        hashes = [each["metadata"]["labels"][names.HASH_LABEL] for each in (stable, canary)]
        for each in (stable, canary):
            controller.create(each)
        if routing == "istio":
            _route(controller, *hashes)
        controller.edit(ROLLOUT, "web", {"status": _status(controller, *hashes, routing=routing)}, subresource="status")
        controller.cluster.advance(60)

    return Story([], prepare=leave_behind)


def _route(controller: InProcessController, stable: str, canary: str) -> None:
    for service, pod_hash in ((STABLE_SERVICE, stable), (CANARY_SERVICE, canary)):
        managed = {"annotations": {names.MANAGED_BY: "web"}}
        controller.edit(("", "Service"), service, {"metadata": managed, "spec": {"selector": {names.HASH_LABEL: pod_hash}}})
    http = controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
    for destination, share in zip(http[0]["route"], (80, 20), strict=True):
        destination["weight"] = share
    controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": http}})


def _status(controller: InProcessController, stable: str, canary: str, *, routing: Routing) -> Manifest:
    strategy = controller.rollout().spec.strategy.canary
    assert strategy is not None
    weights = {
        "canary": {"podTemplateHash": canary, "serviceName": CANARY_SERVICE, "weight": 20},
        "stable": {"podTemplateHash": stable, "serviceName": STABLE_SERVICE, "weight": 80},
    }
    total = 6 if routing == "istio" else 5
    return {
        "HPAReplicas": total,
        "availableReplicas": total,
        "blueGreen": {},
        "canary": {"weights": weights} if routing == "istio" else {},
        "conditions": [
            _condition("Healthy", "False", "RolloutHealthy", "Rollout is not healthy"),
            _condition("Completed", "False", "RolloutCompleted", "RolloutCompleted"),
            _condition("Available", "True", "AvailableReason", "Rollout has minimum availability"),
            _condition("Progressing", "Unknown", "RolloutPaused", "Rollout is paused"),
            _condition("Paused", "True", "RolloutPaused", "Rollout is paused"),
        ],
        "controllerPause": True,
        "currentPodHash": canary,
        "currentStepHash": podhash.steps_hash(strategy.steps),
        "currentStepIndex": 1,
        "message": "CanaryPauseStep",
        "observedGeneration": str(controller.rollout().metadata.generation),
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": TODAY}],
        "phase": "Paused",
        "readyReplicas": total,
        "replicas": total,
        "selector": "app=web",
        "stableRS": stable,
        "updatedReplicas": 1,
    }


def _condition(kind: str, status: str, reason: str, message: str) -> Manifest:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": TODAY,
        "lastTransitionTime": TODAY,
    }


def pods(story: Story) -> set[Any]:
    return {pod["metadata"]["uid"] for pod in story.cluster.pods({"app": "web"})}


@pytest.mark.parametrize("label", [new_form, old_form, no_form])
@pytest.mark.parametrize("routing", ["istio", "none"])
def test_a_cluster_in_mid_update_is_taken_over_without_a_write(label: Labelled, routing: Routing) -> None:
    story = taken_over(label, routing=routing)
    before = pods(story)
    names_before = sorted(found["metadata"]["name"] for found in story.replica_sets.values())

    story.rest()

    assert story.controller.passes > 0
    assert [(verb, plural) for verb, plural, _ in story.controller.api.done if plural != "rollouts"] == []
    assert [body for _, _, body in story.controller.api.done if "conditions" in body or "phase" in body] == []
    assert pods(story) == before
    assert sorted(found["metadata"]["name"] for found in story.replica_sets.values()) == names_before
    assert story.phase == "Paused"
    assert story.events == []


@pytest.mark.parametrize("changes", [as_it_was, with_service_account, with_ephemeral_label])
def test_03_a_replica_set_with_an_old_hash_and_an_equal_template_is_the_new_one(changes: Callable[[Manifest], None]) -> None:
    story = taken_over(no_form, changes)
    before = pods(story)

    story.rest()

    assert len(story.replica_sets) == 2
    assert story.weights == (80, 20)
    assert pods(story) == before
    assert story.controller.rollout().status.current_pod_hash == story.hash_of("2")


def test_only_the_continuing_step_happens_after_a_takeover() -> None:
    story = taken_over()
    story.rest()
    before = pods(story)
    story.forget()

    story.promote()
    story.until(lambda: story.weights == (40, 60))
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert story.gained == [60]
    assert story.sizes == {"1": 5, "2": 3}
    assert before <= pods(story)
    assert story.status.current_step_index == 3
    assert ("create", "replicasets") not in [(verb, plural) for verb, plural, _ in story.controller.api.done]
    assert story.onlooker.problems == []


def test_an_update_that_was_taken_over_comes_to_its_end() -> None:
    story = taken_over()
    story.rest()

    story.promote(Skip.FULL)
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.sizes == {"2": 5}
    assert story.selectors == ("2", "2")
    assert story.weights == (100, 0)
    assert story.onlooker.problems == []


def test_an_update_that_was_taken_over_can_be_aborted() -> None:
    story = taken_over()
    story.rest()

    story.abort()
    story.rest()

    assert story.phase == "Degraded"
    assert story.weights == (100, 0)
    assert story.sizes == {"1": 5}
    assert story.onlooker.problems == []


def test_a_replica_set_without_an_owner_is_adopted() -> None:
    story = taken_over()
    name = story.replica_sets["1"]["metadata"]["name"]
    story.controller.edit(REPLICA_SET, name, {"metadata": {"ownerReferences": None}})
    before = pods(story)

    story.rest()

    owners = story.controller.manifest(REPLICA_SET, name)["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [story.rollout.metadata.uid]
    assert len(story.replica_sets) == 2
    assert pods(story) == before
