"""Do the pinned cases hold that walk the steps? (Lifecycle reference 11: 18 to 20, 22 to 24, 36 to 38.)"""

from datetime import timedelta

import msgspec
import pytest

from scenarios import BETA, CANARY_SERVICE, PAUSE_STEP, Routing, Story, app, pause, told, weight


def test_18_an_endless_pause_is_one_condition_with_its_first_start_and_one_event() -> None:
    story = told(weight(20), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    first = story.status.pause_conditions

    story.advance(5000)

    assert len(first) == 1
    assert story.status.pause_conditions == first
    assert story.events.count("RolloutPaused") == 1


def test_19_a_resumed_pause_completes_its_step_and_clears_both_fields() -> None:
    story = told(weight(20), PAUSE_STEP, weight(40), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    held = story.status.controller_pause
    story.forget()

    story.edit_status(pauseConditions=None)
    story.until(lambda: story.status.current_step_index == 2)

    assert held
    assert story.status.pause_conditions == ()
    assert not story.status.controller_pause
    assert story.events.count("RolloutResumed") == 1
    assert "Rollout step 2/4 completed (pause)" in [message for _, _, message in story.controller.told.events]


@pytest.mark.parametrize(("duration", "seconds"), [("10", 10), (10, 10), ("10s", 10), ("1h", 3600), ("1ms", 0)])
def test_20_a_pause_lasts_as_long_as_it_says(duration: int | str, seconds: int) -> None:
    story = told(weight(20), pause(duration), weight(40), PAUSE_STEP)
    story.set_image("2")
    story.until(lambda: story.status.current_step_index == 1 and bool(story.status.pause_conditions))
    began = story.status.pause_conditions[0].start_time
    assert began is not None

    story.until(lambda: story.status.current_step_index == 2, within=4000)

    took = story.cluster.now - began
    assert timedelta(seconds=seconds) <= took <= timedelta(seconds=seconds + 1)


@pytest.mark.parametrize("duration", ["1z", 2**31])
def test_20_a_pause_that_is_no_duration_is_refused(duration: int | str) -> None:
    story = told(weight(20), pause(duration))

    assert story.phase == "Degraded"
    assert "spec.strategy.steps[1].pause.duration" in story.message("InvalidSpec")
    assert story.sizes == {}


def test_22_an_abort_of_the_stable_version_is_taken_back_and_the_index_stays() -> None:
    story = told(weight(20), PAUSE_STEP)

    story.abort()
    story.rest()

    assert not story.status.abort
    assert story.status.aborted_at is None
    assert story.status.current_step_index == 2
    assert story.phase == "Healthy"
    assert "RolloutAborted" not in story.events


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_23_an_aborted_update_ends_when_the_template_returns_to_stable(routing: Routing) -> None:
    story = told(weight(20), PAUSE_STEP, routing=routing)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.abort()
    story.until_phase("Degraded")

    story.set_image("1")
    story.rest()

    assert not story.status.abort
    assert story.status.current_step_index == 2
    assert story.revision("1") == 3
    assert story.annotations("1")["rollout.argoproj.io/revision-history"] == "1"
    assert story.phase == "Healthy"
    assert story.sizes == {"1": 5}
    assert story.condition("Completed") == ("True", "RolloutCompleted")


@pytest.mark.parametrize("aborted", [False, True])
def test_23_a_rollback_in_mid_attempt_is_a_fast_one(aborted: bool) -> None:  # noqa: FBT001 - a column
    story = told(weight(20), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    if aborted:
        story.abort()
        story.until_phase("Degraded")

    story.set_image("1")
    story.rest()

    assert story.status.duration is not None
    assert story.status.duration.completion_status == "FastRolledBack"
    assert story.status.duration.finished_at is not None


def test_24_steps_edited_in_an_update_begin_again_on_the_same_replica_set() -> None:
    story = told(weight(20), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    before = (story.status.current_step_hash, story.hash_of("2"))
    story.forget()

    story.edit_canary(steps=[PAUSE_STEP, weight(20), PAUSE_STEP])
    story.until(lambda: story.status.current_step_hash != before[0])
    index = story.status.current_step_index
    story.rest()

    assert index == 0
    assert story.hash_of("2") == before[1]
    assert ("create", "replicasets") not in [(verb, plural) for verb, plural, _ in story.controller.api.done]
    assert story.status.pause_conditions[0].reason == "CanaryPauseStep"
    assert story.weights == (100, 0)


def test_36_without_a_router_the_canary_service_of_an_aborted_update_selects_stable() -> None:
    story = told(weight(50), PAUSE_STEP, routing="none", canaryService=CANARY_SERVICE)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    before = story.selected(CANARY_SERVICE)
    story.abort()
    story.rest()

    assert before == "2"
    assert story.selected(CANARY_SERVICE) == "1"
    assert story.sizes == {"1": 5}


def test_37_weight_goes_before_the_selector_and_the_hash_change() -> None:
    story = told(weight(50), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.forget()

    story.set_image("3")
    story.rest()

    written = [(plural, msgspec.json.decode(body)) for _, plural, body in story.controller.api.done]
    order = [plural for plural, _ in written if plural in {"virtualservices", "services"}]
    assert order[:2] == ["virtualservices", "services"]
    assert story.gained == [0, 50]
    assert story.selectors == ("1", "3")
    assert story.onlooker.problems == []


@pytest.mark.parametrize("image", ["1", "1-slow-30s"])
def test_38_no_route_is_written_for_the_first_version(image: str) -> None:
    story = Story(app({"setHeaderRoute": BETA}, weight(20), image=image))

    story.rest()

    assert story.phase == "Healthy"
    assert all('"beta"' not in body for _, plural, body in story.controller.api.done if plural == "virtualservices")
    assert story.managed_routes == []
