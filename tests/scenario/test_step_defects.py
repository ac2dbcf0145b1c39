"""Steps, pauses and deadlines where the reference is known to go wrong. (Lifecycle reference 12.4 and 12.5.)"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scenarios import BETA, PAUSE_STEP, SHADOW, Story, app, blue_green_app, pause, scale, told, weight
from tiphys.api.meta import read_time
from tiphys.core.actions import Why
from tiphys.core.observed import Verification

DEADLINE_100 = {"progressDeadlineSeconds": 100}


def times_out(story: Story) -> datetime | None:
    """Read from the conditions when the update times out; nothing where no deadline runs."""
    text = story.message("ProgressDeadline").removeprefix("times out at ").removesuffix(" unless the update moves")
    return read_time(text) if text else None


# 12.4


def test_a_step_with_several_keys_is_complete_when_all_of_them_are() -> None:
    story = told({**scale(replicas=2), "setHeaderRoute": BETA, **PAUSE_STEP}, weight(40), PAUSE_STEP, image="1")

    story.set_image("2-slow-20s")
    story.advance(15)
    early = (story.status.current_step_index, story.status.pause_conditions, story.managed_routes)
    story.until_phase("Paused", "CanaryPauseStep")

    assert early == (0, (), [])
    assert (story.status.current_step_index, story.sizes, story.managed_routes) == (0, {"1": 5, "2-slow-20s": 2}, ["beta"])
    story.promote()
    story.until_weight(40)
    assert "setCanaryScale{replicas: 2}" in next(message for _, reason, message in story.controller.told.events if "Step" in reason)


def test_numbers_that_mean_nothing_are_told_once_for_each_edit() -> None:
    story = told(weight(40), PAUSE_STEP, scaleDownDelaySeconds=-5, replicaProgressThreshold={"type": "Some", "value": 50})

    story.edit_canary(scaleDownDelayRevisionLimit=-1)
    story.rest()
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.controller.restart()
    story.rest()

    said = [message for kind, reason, message in story.controller.told.events if (kind, reason) == ("Warning", "SpecWarning")]
    assert len(said) == 2, "one for each edit, none for a new process"
    assert all("scaleDownDelaySeconds" in message and "replicaProgressThreshold.type" in message for message in said)
    assert all("scaleDownDelayRevisionLimit" in message for message in said)


@pytest.mark.parametrize("step", [{"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}])
def test_a_route_step_waits_until_its_router_has_confirmed(step: dict[str, Any]) -> None:
    """There the step completes although no route was written (#4561)."""
    story = told(scale(replicas=1), weight(20), step, PAUSE_STEP)
    story.set_image("2")
    story.until(lambda: story.status.current_step_index == 2)
    story.verification = Verification.NOT_YET

    story.advance(300)
    waits = (story.status.current_step_index, Why.NOT_VERIFIED in story.reasons, len(story.managed_routes))
    story.verification = Verification.YES
    story.until_phase("Paused", "CanaryPauseStep")

    assert waits == (2, True, 1)
    assert len(story.managed_routes) == 1


def test_the_routes_of_all_passed_steps_come_back_with_the_canary() -> None:
    """There they never do (#4716, #4486)."""
    story = told(scale(replicas=1), {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.managed_routes == ["beta", "shadow"]

    story.make_ill("2", 1)
    story.until(lambda: story.managed_routes == [])
    story.make_well("2")
    story.until(lambda: story.managed_routes == ["beta", "shadow"], within=60)

    assert (story.phase, story.status.current_step_index) == ("Paused", 3)


def test_a_pause_beyond_the_next_resync_ends_in_its_second() -> None:
    """There it may take a resync period longer (6.4)."""
    story = told(weight(20), pause(5000), weight(60), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    (condition,) = story.status.pause_conditions
    assert condition.start_time is not None
    began = condition.start_time

    story.until(lambda: story.status.current_step_index == 2, within=6000)

    assert 0 <= (story.cluster.now - began).total_seconds() - 5000 <= 1


@pytest.mark.parametrize(
    ("steps", "fields", "refused"),
    [
        ([weight(20)], {"analysis": {"templates": [{"templateName": "ok"}]}}, "spec.strategy.canary.analysis"),
        ([{"analysis": {"templates": [{"templateName": "ok"}]}}], {}, "spec.strategy.canary.steps[0].analysis"),
        ([{"plugin": {"name": "team/step"}}], {}, "spec.strategy.canary.steps[0].plugin"),
    ],
    ids=["in the background", "a step", "a plugin"],
)
def test_what_measures_is_refused_by_name_until_it_is_carried_out(
    steps: list[dict[str, Any]], fields: dict[str, Any], refused: str
) -> None:
    """Inconclusive runs in a pause (#926) and plugins beside the deadline (6.9) come with analysis."""
    story = Story(app(*steps, **fields))
    story.rest()

    assert refused in story.message("InvalidSpec")
    assert story.replica_sets == {}


# 12.5


def test_the_time_of_the_deadline_is_a_condition_that_follows_every_move() -> None:
    """There nobody sees when a slow update will be given up (#1593, #3988)."""
    story = told(weight(40), PAUSE_STEP, spec=DEADLINE_100, routing="none", maxSurge=1, maxUnavailable=0)
    assert times_out(story) is None

    story.set_image("2-slow-60s")
    story.advance(30)
    first = times_out(story)
    story.until(lambda: story.available("2-slow-60s") == 1)
    story.advance(1)
    second = times_out(story)

    assert first is not None
    assert second is not None
    assert first < second
    assert 98 <= (second - story.cluster.now).total_seconds() <= 100
    story.until_phase("Paused", "CanaryPauseStep")
    assert times_out(story) is None, "a pause has no deadline"


def test_the_deadline_is_kept_to_the_second_while_the_status_changes_all_the_time() -> None:
    """There the next look is only queued by a pass that changes nothing (8.2)."""
    story = told(weight(60), PAUSE_STEP, spec={**DEADLINE_100, "progressDeadlineAbort": True})
    story.set_image("2-never-ready")
    story.advance(1)
    wanted = times_out(story)
    assert wanted is not None

    for number in range(9):  # edits that change the status, and move nothing
        story.edit_spec(revisionHistoryLimit=number + 3)
        story.advance(10)
    story.until(lambda: story.status.abort, within=60)

    assert 0 < (story.cluster.now - wanted).total_seconds() <= 2
    assert times_out(story) is None
    assert "timed out progressing" in story.message("Progressing")


def test_another_deadline_is_another_time() -> None:
    story = told(weight(60), PAUSE_STEP, spec=DEADLINE_100)
    story.set_image("2-never-ready")
    story.advance(5)
    before = times_out(story)

    story.edit_spec(progressDeadlineSeconds=50)
    story.advance(1)

    assert before is not None
    assert times_out(story) == before - timedelta(seconds=50)


def test_blue_green_says_when_it_times_out_too() -> None:
    story = Story(blue_green_app(spec=DEADLINE_100))
    story.rest()
    assert times_out(story) is None

    story.set_image("2-never-ready")
    story.advance(1)

    wanted = times_out(story)
    assert wanted is not None
    story.until_phase("Degraded")
    assert 0 < (story.cluster.now - wanted).total_seconds() <= 2


def test_what_is_missing_is_awaited_without_asking_again_and_again() -> None:
    """There an invalid Rollout is retried as fast as the back-off lets it, with an error in the log each time (0.1 step 6)."""
    manifests = [each for each in app(weight(40)) if each["metadata"]["name"] != "web-canary"]
    story = Story(manifests)
    story.advance(5)
    passes, writes = story.controller.passes, story.controller.api.writes

    story.advance(3600)
    calm = (story.controller.passes - passes, story.controller.api.writes - writes)
    story.controller.create(next(each for each in app(weight(40)) if each["metadata"]["name"] == "web-canary"))
    story.until_phase("Healthy")

    assert calm[0] <= 6
    assert calm[1] == 0
    assert story.events.count("InvalidSpec") == 1
