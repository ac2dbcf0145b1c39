"""Do the pinned cases hold of selectors, restarts and changes of size? (Lifecycle reference 11: 16, 35, 39, 44, 50.)"""

from datetime import datetime, timedelta

import msgspec
import pytest

from inprocess import service_manifest
from scenarios import CANARY_SERVICE, DESTINATION_RULE, PAUSE_STEP, Story, scaled, template, told, weight
from tiphys.api import names
from tiphys.api.meta import wire_time
from tiphys.kube.errors import ConflictError, ForbiddenError, KubeError, NotFoundError, ThrottledError


def abandoned() -> Story:
    """Give a story whose version 2 was superseded while its subset carried half of the traffic, by one that never gets ready."""
    story = told(weight(50), PAUSE_STEP, routing="subsets", scaleDownDelaySeconds=30)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.set_image("3-never-ready")
    story.rest()
    return story


def test_16_an_old_version_that_a_subset_still_names_is_not_scaled_down() -> None:
    story = abandoned()

    assert story.subsets == ("1", "2")
    assert story.sizes["2"] == 3


@pytest.mark.parametrize("how", ["gone", "ruined"])
def test_16_where_the_rule_cannot_be_read_nothing_is_scaled_down_until_it_can(how: str) -> None:
    """A rule that is gone makes the spec invalid, so that nothing moves; a person who takes it out of the spec lets the pods go."""
    story = abandoned()
    rule = story.controller.manifest(DESTINATION_RULE, "web")
    if how == "gone":
        story.controller.delete(DESTINATION_RULE, "web")
    else:
        story.controller.edit(DESTINATION_RULE, "web", {"spec": {"subsets": []}})
    story.rest()
    meanwhile = (story.phase, story.sizes["2"])
    if how == "gone":
        fresh = {key: value for key, value in rule["metadata"].items() if key in {"name", "namespace", "annotations"}}
        story.controller.create({**rule, "metadata": fresh})
    else:
        story.controller.edit(DESTINATION_RULE, "web", {"spec": rule["spec"]})

    story.set_image("3")
    story.rest()

    assert meanwhile == ("Degraded", 3)
    assert story.sizes == {"1": 5, "3": 3}
    assert story.subsets == ("1", "3")
    assert story.onlooker.problems == []


@pytest.mark.parametrize("managed", [True, False])
def test_35_a_service_of_nobody_moves_to_a_whole_version_only_and_ours_to_its_first_pod(managed: bool) -> None:  # noqa: FBT001 - a column
    service = CANARY_SERVICE if managed else "web-other"
    story = told(weight(40), PAUSE_STEP, routing="none", canaryService=CANARY_SERVICE)
    story.controller.create(service_manifest("web-other"))
    story.edit_spec(template=template("2-never-ready"), strategy={"canary": {"canaryService": service}})
    story.until(lambda: "2-never-ready" in story.replica_sets and len(story.pods("2-never-ready")) == 2)
    story.advance(5)
    selected = []

    for pod in story.pods("2-never-ready"):
        story.cluster.set_ready(pod, ready=True)
        story.advance(30)
        selected.append(story.selected(service))

    assert selected == ["2-never-ready" if managed else "", "2-never-ready"]


def restarted(story: Story) -> list[str]:
    """Name the pods that were evicted so far, in order."""
    return [body for verb, plural, body in story.controller.api.done if (verb, plural) == ("create", "pods")]


def asked_at(story: Story) -> datetime:
    """Give the time that the restart was asked for."""
    asked = story.rollout.spec.restart_at
    assert asked is not None
    return asked


@pytest.mark.one_life("what one process does in one pass")
def test_39_old_pods_go_two_at_a_time_and_then_the_restart_is_told() -> None:
    story = told(routing="none", replicas=3, maxUnavailable=2)
    story.advance(60)
    old = story.pods("1")
    asked = wire_time(story.cluster.now)
    story.edit_spec(restartAt=asked)
    story.until(lambda: bool(restarted(story)))
    first = (restarted(story), story.status.restarted_at)

    story.rest()

    assert first == (old[:2], None)
    assert sorted(restarted(story)) == old
    assert story.status.restarted_at is not None
    assert wire_time(story.status.restarted_at) == asked
    assert story.phase == "Healthy"


def test_39_a_pod_made_in_the_second_of_the_restart_is_young_enough() -> None:
    story = told(routing="none", replicas=3)
    born = story.cluster.pods({"app": "web"})[0]["metadata"]["creationTimestamp"]

    story.edit_spec(restartAt=born)
    story.rest()

    assert restarted(story) == []
    assert story.status.restarted_at is not None
    assert wire_time(story.status.restarted_at) == born


@pytest.mark.parametrize(
    ("refusal", "warned"),
    [(ThrottledError(429, "TooManyRequests", "disruption budget"), False), (ForbiddenError(403, "Forbidden", "no evictions"), True)],
    ids=["429", "403"],
)
def test_39_a_refused_eviction_is_tried_again_after_a_while_and_is_no_error_where_a_budget_refuses(
    refusal: KubeError,
    warned: bool,  # noqa: FBT001 - a column
) -> None:
    story = told(routing="none", replicas=3, maxUnavailable=1)
    story.advance(60)
    story.controller.api.refuse = lambda verb, plural: refusal if (verb, plural) == ("create", "pods") else None
    tried = len(story.controller.requests)
    story.edit_spec(restartAt=wire_time(story.cluster.now))

    story.advance(1)
    due = story.controller.wakes_at()
    story.advance(28)
    within = [request.verb for request in story.controller.requests[tried:]].count("evict")
    story.controller.api.refuse = lambda _verb, _plural: None
    story.rest()

    assert ("ReconciliationError" in story.events) is warned
    if not warned:
        assert within == 1
        assert due is not None
        assert timedelta(seconds=28) <= due - asked_at(story) <= timedelta(seconds=31)
    assert len(restarted(story)) == 3
    assert story.status.restarted_at is not None


@pytest.mark.parametrize("seconds", [300, 5000], ids=["within the resync", "beyond it"])
def test_39_a_restart_in_the_future_begins_on_time_however_far_it_is(seconds: int) -> None:
    story = told(routing="none", replicas=3)
    began = story.cluster.now
    story.edit_spec(restartAt=wire_time(began + timedelta(seconds=seconds)))
    story.advance(seconds - 2)
    before = restarted(story)

    story.until(lambda: bool(restarted(story)), within=60)

    assert before == []
    assert story.cluster.now - began <= timedelta(seconds=seconds + 2)


def test_44_a_pod_that_somebody_else_wrote_first_is_marked_all_the_same_and_one_that_is_gone_is_done() -> None:
    story = told(weight(20), PAUSE_STEP, replicas=3, stableMetadata={"labels": {"role": "stable"}})
    answers: list[KubeError | None] = [
        ConflictError(409, "Conflict", "the object has been modified"),
        NotFoundError(404, "NotFound", "gone"),
    ]

    def refuse(verb: str, plural: str) -> KubeError | None:
        if (verb, plural) == ("patch", "pods"):
            passes.append(story.controller.passes)
        if (verb, plural) != ("patch", "pods") or not answers:
            return None
        answer = answers.pop(0)
        if isinstance(answer, NotFoundError):
            story.cluster.kill(story.controller.requests[-1].name)
        return answer

    story.controller.api.refuse = refuse
    passes: list[int] = []
    story.edit_canary(stableMetadata={"labels": {"role": "main"}})
    story.rest()

    pods = [pod["metadata"]["labels"]["role"] for pod in story.cluster.pods({"app": "web"}) if "deletionTimestamp" not in pod["metadata"]]
    assert answers == []
    assert passes[0] == passes[1] == passes[2], "neither answer ends the pass"
    assert pods == ["main"] * 3
    assert names.PODS_METADATA not in story.annotations("1")
    assert "ReconciliationError" not in story.events


@pytest.mark.one_life("what one process does in one pass")
def test_50_a_template_and_replicas_changed_in_one_edit_are_followed_in_one_pass() -> None:
    """The reference needs three (section 12: scaling is a part of each pass, #4294)."""
    story = told(weight(20), PAUSE_STEP, routing="none", maxSurge=1, maxUnavailable=0)

    story.edit_spec(template=template("2"), replicas=10)
    story.until(lambda: story.status.current_pod_hash != story.status.stable_rs)
    done = [(verb, plural, body) for verb, plural, body in story.controller.api.done]
    until_status = next(at for at, (_, plural, body) in enumerate(done) if plural == "rollouts" and '"status"' in body)
    first = [(verb, plural) for verb, plural, _ in done[:until_status]]
    sized = [
        msgspec.json.decode(body)["spec"]["replicas"]
        for verb, plural, body in done[:until_status]
        if (verb, plural) == ("patch", "replicasets")
    ]
    story.until_phase("Paused", "CanaryPauseStep")

    assert ("create", "replicasets") in first
    assert sized == [8]
    assert story.status.current_step_index == 1
    assert story.sizes == {"1": 8, "2": 2}
    assert story.onlooker.problems == []


def test_50_replicas_that_grow_during_a_pause_go_to_the_share_of_stable_first() -> None:
    story = told(PAUSE_STEP, weight(20), PAUSE_STEP, routing="none", maxSurge=1, maxUnavailable=0)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    before = story.sizes
    story.forget()

    story.edit_status(currentStepIndex=1)
    story.edit_spec(replicas=10)
    story.until(lambda: bool(scaled(story)))
    index = story.status.current_step_index
    story.rest()

    assert before == {"1": 5}
    assert (scaled(story)[0], index) == (("1", 8), 1)
    assert story.sizes == {"1": 8, "2": 2}
    assert story.onlooker.problems == []
