"""What does the controller do in a cluster where another one, the reference's, stopped in the middle of an update?"""

from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

import pytest

from inprocess import InProcessController
from scenarios import REPLICA_SET, Routing, Story, app
from takeover.canary_parts import STEPS, pausing
from takeover.leaving import NEW_FORM, OLD_FORM, Labelled, Leaving
from tiphys.api.meta import Manifest
from tiphys.cli.patches import Skip

Change = Callable[[Leaving], None]
SERVICE_ACCOUNT: Final[Manifest] = {"serviceAccount": "default", "serviceAccountName": "default"}


def no_form(stored: bytes, count: int | None) -> str:
    """The hash of an algorithm that nobody knows any more."""
    del count
    return f"{crc32(stored):x}"


def canary_as_it_was(left: Leaving) -> None:
    left.replica_set("2", pods=1)


def canary_with_service_account(left: Leaving) -> None:
    """The API server fills in the deprecated twin."""
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"spec": {"template": {"spec": {"serviceAccountName": "default"}}}})
    left.replica_set("2", pods=1, change=lambda body: body["spec"].update(SERVICE_ACCOUNT))


def canary_with_ephemeral_label(left: Leaving) -> None:
    """The reference had put canaryMetadata on the pods, and recorded it."""
    left.replica_set("2", pods=1, marks={"labels": {"role": "canary"}})


def taken_over(label: Labelled = OLD_FORM, canary: Change = canary_as_it_was, *, routing: Routing = "istio") -> Story:
    """Give a cluster that stands at 20 percent and pauses, the controller not yet there."""

    def leave_behind(controller: InProcessController) -> None:
        left = Leaving(controller, label)
        left.apply(app(*STEPS, image="2", routing=routing))
        left.replica_set("1", pods=5 if routing == "istio" else 4)
        canary(left)
        fields: dict[str, Any] = {"current": "2", "stable": "1", "currentStepIndex": 1}
        if routing == "istio":
            left.point(stable="1", canary="2")
            left.weigh(20)
            fields["canary"] = left.weights(20, stable="1", new="2")
        pausing(left, fields)

    return Story([], prepare=leave_behind)


def pods(story: Story) -> set[Any]:
    return {pod["metadata"]["uid"] for pod in story.cluster.pods({"app": "web"})}


@pytest.mark.parametrize("label", [NEW_FORM, OLD_FORM, no_form])
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


@pytest.mark.parametrize("canary", [canary_as_it_was, canary_with_service_account, canary_with_ephemeral_label])
def test_03_a_replica_set_with_an_old_hash_and_an_equal_template_is_the_new_one(canary: Change) -> None:
    story = taken_over(no_form, canary)
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
