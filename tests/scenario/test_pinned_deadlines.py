"""Do the pinned cases hold that tell how an update goes? (Lifecycle reference 11: 40, 41, 48, 52.)"""

import pytest

from scenarios import PAUSE_STEP, Routing, Story, app, ended, pause, told, weight
from tiphys.kube.errors import ForbiddenError, KubeError

DEADLINE_30 = {"progressDeadlineSeconds": 30}
DEADLINE_5 = {"progressDeadlineSeconds": 5}


def test_40_a_pause_never_times_out() -> None:
    story = told(weight(20), PAUSE_STEP, spec=DEADLINE_30)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.advance(10_000)

    assert story.phase == "Paused"
    assert story.condition("Progressing") == ("Unknown", "RolloutPaused")


def test_40_an_owners_pause_never_times_out() -> None:
    story = told(weight(20), spec=DEADLINE_30)
    story.set_image("2-never-ready")
    story.until(lambda: "2-never-ready" in story.sizes)
    story.pause()

    story.advance(10_000)

    assert story.phase == "Paused"
    assert story.status.message == "manually paused"


def test_40_an_aborted_update_never_times_out() -> None:
    story = told(weight(20), PAUSE_STEP, spec=DEADLINE_30)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.abort()

    story.advance(10_000)

    assert story.condition("Progressing") == ("False", "RolloutAborted")
    assert story.phase == "Degraded"


def test_40_a_timeout_stays_until_there_is_progress() -> None:
    story = told(weight(20), PAUSE_STEP, spec=DEADLINE_30)
    story.set_image("2-never-ready")
    story.until(lambda: story.phase == "Degraded")

    story.advance(5000)
    still = story.condition("Progressing")
    story.set_image("3")
    story.until_phase("Paused", "CanaryPauseStep")

    assert still == ("False", "ProgressDeadlineExceeded")
    assert story.condition("Progressing") == ("Unknown", "RolloutPaused")
    assert story.events.count("RolloutPaused") == 1


def test_40_a_pause_step_has_no_deadline_and_a_weight_step_has_one() -> None:
    story = told(pause(600), weight(20), PAUSE_STEP, spec=DEADLINE_30)
    story.set_image("2-never-ready")
    story.until(lambda: story.status.current_step_index == 0 and story.phase == "Paused")
    story.advance(500)
    waiting = story.condition("Progressing")

    story.rest()

    assert waiting == ("Unknown", "RolloutPaused")
    assert story.condition("Progressing") == ("False", "ProgressDeadlineExceeded")


def test_40_there_is_no_timeout_while_an_old_version_waits_for_its_delay() -> None:
    story = told(weight(20), PAUSE_STEP, spec=DEADLINE_30, scaleDownDelaySeconds=300)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.until(lambda: story.stable == "2" and story.weights == (100, 0))
    story.advance(1)

    story.set_image("3-never-ready")
    story.advance(200)
    inside = story.phase
    story.rest()

    assert inside == "Progressing"
    assert story.phase == "Degraded"


def test_40_a_stable_version_that_loses_pods_is_not_aborted() -> None:
    story = told(weight(20), spec={**DEADLINE_30, "progressDeadlineAbort": True})

    story.make_ill("1", 2)
    story.rest()

    assert not story.status.abort
    assert story.phase == "Degraded"
    assert story.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert story.sizes == {"1": 5}


def test_41_a_healthy_stable_version_that_loses_a_pod_says_so() -> None:
    story = told(weight(20))
    before = next(found for found in story.status.conditions if found.type == "Progressing")

    story.make_ill("1", 1)
    story.until_phase("Progressing")
    after = next(found for found in story.status.conditions if found.type == "Progressing")

    assert story.condition("Healthy") == ("False", "RolloutHealthy")
    assert (after.status, after.reason) == ("True", "ReplicaSetNotAvailable")
    assert after.last_update_time is not None
    assert before.last_update_time is not None
    assert after.last_update_time > before.last_update_time
    story.make_well("1")
    story.rest()
    assert story.phase == "Healthy"


@pytest.mark.one_life("what one process measures")
def test_48_an_update_is_measured_when_its_end_is_written_and_not_before() -> None:
    story = told(routing="none", replicas=2)
    before = ended(story)
    story.set_image("2-slow-10s")
    story.advance(8)

    def no_status(verb: str, plural: str) -> KubeError | None:
        return ForbiddenError(403, "Forbidden", "no writes") if (verb, plural) == ("patch", "rollouts") else None

    story.controller.api.refuse = no_status
    story.advance(30)
    unwritten = ended(story)
    story.controller.api.refuse = lambda _verb, _plural: None
    story.rest()

    assert before == unwritten == {"Promoted": 1}
    assert ended(story) == {"Promoted": 2}
    assert story.stable == "2-slow-10s"


@pytest.mark.one_life("what one process measures")
def test_48_an_update_that_another_replaces_is_measured_with_the_write_that_begins_the_next() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none", replicas=2)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    first = story.status.duration
    story.advance(60)
    story.forget()

    story.set_image("3")
    story.until(lambda: story.status.duration != first)
    measured, second = ended(story), story.status.duration
    writes = [body for _, plural, body in story.controller.api.done if plural == "rollouts" and "rolloutStartedAt" in body]

    assert measured == {"Promoted": 1, "Superseded": 1}
    assert first is not None
    assert second is not None
    assert (second.finished_at, second.completion_status) == (None, "")
    assert second.rollout_started_at is not None
    assert first.rollout_started_at is not None
    assert second.rollout_started_at > first.rollout_started_at
    assert len(writes) == 1


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_52_pods_slower_than_the_deadline_degrade_and_are_healthy_when_ready(routing: Routing) -> None:
    story = told(routing=routing, spec=DEADLINE_5, replicas=2)
    story.set_image("2-slow-10s")
    began = story.cluster.now

    story.until_phase("Degraded")
    degraded_after = (story.cluster.now - began).total_seconds()
    story.rest()

    assert 5 <= degraded_after <= 7
    assert story.phase == "Healthy"
    assert story.stable == "2-slow-10s"


def test_52_the_same_for_the_first_deploy() -> None:
    story = Story(app(weight(20), image="1-slow-10s", spec=DEADLINE_5))
    began = story.cluster.now

    story.until_phase("Degraded")
    degraded_after = (story.cluster.now - began).total_seconds()
    message = story.status.message
    story.rest()

    assert 5 <= degraded_after <= 7
    assert message.startswith("ProgressDeadlineExceeded: ReplicaSet")
    assert story.phase == "Healthy"
    assert story.condition("Progressing") == ("True", "NewReplicaSetAvailable")
