"""A blue-green Rollout, told from the image change to its end through the real controller. (Lifecycle reference 7.)"""

from typing import Any

import pytest

from scenarios import (
    ACTIVE_SERVICE,
    PAUSE_STEP,
    PREVIEW_SERVICE,
    REPLICA_SET,
    SERVICE,
    Story,
    app,
    at_rest,
    blue_green_app,
    ended,
    subsequence,
    weight,
)
from scenarios import told as told_canary
from tiphys.api import names
from tiphys.core.actions import Why


def told(**fields: Any) -> Story:  # noqa: ANN401 - any JSON
    return at_rest(blue_green_app(**fields))


def selected(story: Story) -> tuple[str, str]:
    return story.selected(ACTIVE_SERVICE), story.selected(PREVIEW_SERVICE)


def test_30_the_first_version_takes_the_traffic_once_it_is_whole() -> None:
    story = Story(blue_green_app(image="1-slow-20s"))

    story.advance(10)
    assert selected(story) == ("", "1-slow-20s")
    assert (story.stable, story.status.message) == ("", "updated replicas are still becoming available")
    story.rest()

    assert selected(story) == ("1-slow-20s", "1-slow-20s")
    assert (story.phase, story.stable, story.sizes) == ("Healthy", "1-slow-20s", {"1-slow-20s": 3})
    assert story.condition("Completed")[0] == story.condition("Available")[0] == "True"
    assert story.onlooker.problems == []


def test_30_a_version_with_one_of_its_two_pods_neither_serves_nor_pauses() -> None:
    story = told(replicas=2, autoPromotionEnabled=False)
    story.set_image("2-never-ready")
    story.until(lambda: "2-never-ready" in story.replica_sets and len(story.pods("2-never-ready")) == 2)
    story.advance(5)

    story.cluster.set_ready(story.pods("2-never-ready")[0], ready=True)
    story.advance(60)

    assert story.available("2-never-ready") == 1
    assert story.selected(ACTIVE_SERVICE) == "1"
    assert (story.phase, story.status.pause_conditions) == ("Progressing", ())


@pytest.mark.one_life("in which order one process tells its events")
def test_an_update_is_switched_when_it_is_whole_and_the_old_version_goes_after_its_delay() -> None:
    story = told()

    story.set_image("2")
    story.until(lambda: story.stable == "2")

    assert selected(story) == ("2", "2")
    assert story.sizes == {"1": 3, "2": 3}
    story.advance(25)
    assert names.SCALE_DOWN_DEADLINE in story.annotations("1")
    assert story.sizes == {"1": 3, "2": 3}
    story.advance(10)
    assert story.sizes == {"2": 3}
    assert story.phase == "Healthy"
    wanted = ["RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted", "SwitchService", "ScalingReplicaSet", "SwitchService"]
    assert subsequence(wanted, story.events), story.events
    assert subsequence(["SwitchService", "RolloutCompleted", "ScalingReplicaSet"], story.events), story.events
    assert story.onlooker.problems == []


def test_what_an_autoscaler_looks_at_are_the_pods_that_serve() -> None:
    story = told(autoPromotionEnabled=False)

    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    status = story.status
    assert (status.replicas, status.hpa_replicas, status.ready_replicas, status.available_replicas, status.updated_replicas) == (
        6,
        3,
        3,
        3,
        3,
    )
    assert status.selector == f"app=web,{names.HASH_LABEL}={story.hash_of('1')}"
    assert status.blue_green.active_selector == story.hash_of("1")
    assert status.blue_green.preview_selector == story.hash_of("2")


def test_31_a_manual_update_waits_for_a_person_whatever_its_seconds_and_ends_with_one_event_each() -> None:
    story = told(autoPromotionEnabled=False, autoPromotionSeconds=10)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.rest()
    assert selected(story) == ("1", "2")
    assert story.reasons == {Why.PAUSED_BEFORE_CUT_OVER, Why.SERVICE_NOT_SWITCHED}
    story.promote()
    story.rest()

    assert selected(story) == ("2", "2")
    assert story.phase == "Healthy"
    assert (story.events.count("RolloutPaused"), story.events.count("RolloutResumed")) == (1, 1)
    assert not story.status.controller_pause


def test_31_auto_promotion_comes_after_its_seconds() -> None:
    story = told(autoPromotionSeconds=30)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.advance(28)
    assert selected(story) == ("1", "2")
    story.advance(4)

    assert selected(story) == ("2", "2")
    assert story.stable == "2"


def test_a_preview_of_its_own_size_grows_before_the_switch() -> None:
    story = told(previewReplicaCount=1, autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    assert story.sizes == {"1": 3, "2": 1}

    story.promote()
    story.until(lambda: story.status.blue_green.scale_up_preview_check_point)
    assert selected(story) == ("1", "2")
    story.rest()

    assert selected(story) == ("2", "2")
    assert (story.phase, story.sizes) == ("Healthy", {"2": 3})
    assert not story.status.blue_green.scale_up_preview_check_point
    assert story.onlooker.problems == []


def test_a_person_who_promotes_while_the_preview_service_lists_nobody_need_not_do_it_again() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.make_ill("2", 1)
    story.advance(1)

    story.promote()
    story.advance(60)
    assert selected(story) == ("1", "2")
    story.make_well("2")
    story.rest()

    assert (selected(story), story.phase) == (("2", "2"), "Healthy")


def test_an_abort_before_the_switch_leaves_the_traffic_and_lets_the_preview_go_after_its_delay() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.abort()
    story.advance(5)
    assert story.sizes == {"1": 3, "2": 3}
    story.rest()

    assert selected(story) == ("1", "2")
    assert story.sizes == {"1": 3}
    assert (story.phase, story.condition("Progressing")[1]) == ("Degraded", "RolloutAborted")
    assert story.onlooker.problems == []


def test_a_delay_of_zero_keeps_the_aborted_version() -> None:
    story = told(autoPromotionEnabled=False, abortScaleDownDelaySeconds=0)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.abort()
    story.rest()

    assert story.sizes == {"1": 3, "2": 3}


def test_after_an_abort_and_a_retry_the_update_waits_again() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.abort()
    story.rest()

    story.retry()
    story.until_phase("Paused", "BlueGreenPause")

    assert story.sizes == {"1": 3, "2": 3}
    assert selected(story) == ("1", "2")


def test_29_going_back_within_the_delay_needs_no_pause() -> None:
    story = told(scaleDownDelaySeconds=300)
    story.set_image("2")
    story.until(lambda: story.stable == "2" and names.SCALE_DOWN_DEADLINE in story.annotations("1"))
    story.edit_blue_green(autoPromotionEnabled=False)

    story.set_image("1")
    story.until(lambda: story.stable == "1" and names.SCALE_DOWN_DEADLINE not in story.annotations("1"))

    assert selected(story) == ("1", "1")
    assert "RolloutPaused" not in story.events
    assert story.onlooker.problems == []


def test_29_going_back_after_the_delay_is_an_update_like_any_other() -> None:
    story = told()
    story.set_image("2")
    story.rest()
    story.edit_blue_green(autoPromotionEnabled=False)

    story.set_image("1")
    story.rest()

    assert (story.phase, story.status.message) == ("Paused", "BlueGreenPause")
    assert selected(story) == ("2", "1")


def test_going_back_inside_the_window_skips_the_pause_although_the_pods_are_gone() -> None:
    """The reference needs a person here (12.3 #3304)."""
    story = told(spec={"rollbackWindow": {"revisions": 2}})
    story.set_image("2")
    story.rest()
    story.edit_blue_green(autoPromotionEnabled=False)
    assert story.sizes == {"2": 3}

    story.set_image("1")
    story.rest()

    assert (selected(story), story.phase) == (("1", "1"), "Healthy")


def test_back_to_stable_before_the_switch_ends_the_attempt() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.set_image("1")
    story.rest()

    assert (selected(story), story.phase, story.sizes) == (("1", "1"), "Healthy", {"1": 3})
    assert story.status.duration is not None
    assert story.status.duration.completion_status == "FastRolledBack"


def test_promote_full_skips_the_pause() -> None:
    story = told(autoPromotionEnabled=False, previewReplicaCount=1)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.promote_full()
    story.rest()

    assert (selected(story), story.phase) == (("2", "2"), "Healthy")
    assert not story.status.promote_full


@pytest.mark.one_life("what somebody writes between two writes of one process")
def test_a_version_that_loses_a_pod_after_the_switch_is_left_on_abort() -> None:
    """The reference stays on it, and takes its pods away later (7.7, 12.3)."""
    story = told()
    story.set_image("2")
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "2")
    story.edit_status(stableRS=story.hash_of("1"))  # as between the switch and the promotion
    story.make_ill("2", 2)

    story.abort()
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "1", within=5)
    story.rest()

    assert story.selected(ACTIVE_SERVICE) == "1"
    assert story.phase == "Degraded"
    assert story.onlooker.problems == []


def test_a_selector_that_somebody_takes_away_comes_back_to_stable_and_opens_no_gate() -> None:
    """The reference takes it for a first deploy and skips the pause (12.3 #4750)."""
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.controller.edit(SERVICE, ACTIVE_SERVICE, {"spec": {"selector": {names.HASH_LABEL: None}}})
    story.rest()

    assert selected(story) == ("1", "2")
    assert story.phase == "Paused"


def test_a_change_of_replicas_with_a_small_preview_is_followed_at_once() -> None:
    """The reference can get stuck here (12.2 #4294)."""
    story = told(previewReplicaCount=1, autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.edit_spec(replicas=5)
    story.rest()
    assert story.sizes == {"1": 5, "2": 1}
    story.promote()
    story.rest()

    assert (story.phase, story.sizes) == ("Healthy", {"2": 5})


def test_14_the_revision_limit_lets_the_older_of_two_waiting_versions_go() -> None:
    story = told(scaleDownDelaySeconds=600, scaleDownDelayRevisionLimit=1)
    story.set_image("2")
    story.until(lambda: story.stable == "2" and names.SCALE_DOWN_DEADLINE in story.annotations("1"))
    story.set_image("3")
    story.until(lambda: story.stable == "3" and names.SCALE_DOWN_DEADLINE in story.annotations("2"))
    story.advance(5)

    assert story.sizes == {"2": 3, "3": 3}


def test_a_delay_of_zero_lets_the_old_version_go_at_once() -> None:
    """The reference keeps it for ever (12.2 #1992)."""
    story = told(scaleDownDelaySeconds=0)

    story.set_image("2")
    story.until(lambda: story.stable == "2")
    story.advance(1)

    assert story.sizes == {"2": 3}


def test_13_a_deadline_that_nobody_can_read_has_passed() -> None:
    story = told(scaleDownDelaySeconds=600)
    story.set_image("2")
    story.until(lambda: story.stable == "2" and names.SCALE_DOWN_DEADLINE in story.annotations("1"))

    replica_set = story.replica_sets["1"]["metadata"]["name"]
    story.controller.edit(("apps", "ReplicaSet"), replica_set, {"metadata": {"annotations": {names.SCALE_DOWN_DEADLINE: "soon"}}})
    story.advance(1)

    assert story.sizes == {"2": 3}
    assert names.SCALE_DOWN_DEADLINE not in story.annotations("1")


def test_13_a_deadline_that_has_passed_takes_the_pods_and_goes_with_them() -> None:
    story = told(scaleDownDelaySeconds=600)
    story.set_image("2")
    story.until(lambda: story.stable == "2" and names.SCALE_DOWN_DEADLINE in story.annotations("1"))

    passed = {"metadata": {"annotations": {names.SCALE_DOWN_DEADLINE: "2000-01-01T00:00:00Z"}}}
    story.controller.edit(REPLICA_SET, story.replica_sets["1"]["metadata"]["name"], passed)
    story.advance(1)

    assert story.sizes == {"2": 3}
    assert names.SCALE_DOWN_DEADLINE not in story.annotations("1")


@pytest.mark.parametrize("abort", [False, True])
def test_a_version_that_never_becomes_whole_runs_into_the_deadline(abort: bool) -> None:  # noqa: FBT001 - a parameter
    story = told(spec={"progressDeadlineSeconds": 30, "progressDeadlineAbort": abort})

    story.set_image("2-never-ready")
    story.rest()

    assert selected(story) == ("1", "2-never-ready")
    assert story.phase == "Degraded"
    assert story.condition("Progressing")[1] == ("RolloutAborted" if abort else "ProgressDeadlineExceeded")
    assert story.sizes == ({"1": 3} if abort else {"1": 3, "2-never-ready": 3})


def test_pausing_the_rollout_freezes_both_services() -> None:
    story = told()
    story.pause()

    story.set_image("2")
    story.rest()
    assert selected(story) == ("1", "1")
    assert (story.phase, story.sizes) == ("Paused", {"1": 3, "2": 3})
    story.resume()
    story.rest()

    assert (selected(story), story.phase) == (("2", "2"), "Healthy")


def test_a_second_update_replaces_one_that_waits() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.set_image("3")
    story.rest()

    assert selected(story) == ("1", "3")
    assert (story.status.message, story.sizes) == ("BlueGreenPause", {"1": 3, "3": 3})


def test_without_a_preview_service_the_pods_alone_decide() -> None:
    story = told(preview=False)

    story.set_image("2")
    story.rest()

    assert (story.selected(ACTIVE_SERVICE), story.phase) == ("2", "Healthy")
    assert story.status.blue_green.preview_selector == ""


def test_analysis_gates_are_refused_by_name_until_they_are_carried_out() -> None:
    story = told(prePromotionAnalysis={"templates": [{"templateName": "smoke"}]})

    assert story.phase == "Degraded"
    assert "spec.strategy.blueGreen.prePromotionAnalysis" in story.message("InvalidSpec")


def test_12_a_preview_keeps_its_own_size_whatever_the_replicas() -> None:
    story = told(previewReplicaCount=3, autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.edit_spec(replicas=2)
    story.rest()

    assert story.sizes == {"1": 2, "2": 3}
    assert story.annotations("2")[names.DESIRED_REPLICAS] == "2"


def test_15_a_version_that_the_active_service_still_selects_keeps_its_pods() -> None:
    story = told(scaleDownDelaySeconds=0)
    story.pause()
    story.set_image("2")
    story.rest()
    story.set_image("3")
    story.rest()

    assert story.selected(ACTIVE_SERVICE) == "1"
    assert story.sizes["1"] == 3


def test_25_a_promoted_rollout_becomes_a_canary_in_one_write_and_stays_where_it_is() -> None:
    story = told()
    replica_sets, pods, measured = dict(story.replica_sets), story.pods("1"), ended(story)

    story.edit_spec(strategy={"blueGreen": None, "canary": {"steps": [{"setWeight": 20}]}})
    story.until_phase("Healthy")

    status = story.status
    assert (status.current_step_index, bool(status.current_step_hash)) == (1, True)
    assert (status.blue_green.active_selector, status.blue_green.preview_selector) == ("", "")
    assert (status.selector, story.condition("Completed")[0]) == ("app=web", "True")
    assert (list(story.replica_sets), story.pods("1")) == (list(replica_sets), pods)
    assert ended(story) == measured
    writes = [
        body for verb, plural, body in story.controller.api.done if (verb, plural) == ("patch", "rollouts") and "currentStepIndex" in body
    ]
    assert len(writes) == 1


def test_a_canary_in_mid_update_becomes_blue_green_and_comes_to_its_end() -> None:
    story = at_rest([*blue_green_app(autoPromotionEnabled=False)[:2], *app(weight(50), PAUSE_STEP, routing="none", replicas=4)])
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.edit_spec(strategy={"canary": None, "blueGreen": {"activeService": ACTIVE_SERVICE, "previewService": PREVIEW_SERVICE}})
    story.rest()

    assert (selected(story), story.phase, story.sizes) == (("2", "2"), "Healthy", {"2": 4})
    assert (story.status.current_step_index, story.status.canary.weights) == (None, None)


def test_a_blue_green_rollout_in_mid_update_becomes_a_canary_and_comes_to_its_end() -> None:
    story = told(autoPromotionEnabled=False)
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")

    story.edit_spec(strategy={"blueGreen": None, "canary": {"steps": [{"setWeight": 50}]}})
    story.rest()

    assert (story.phase, story.stable, story.sizes) == ("Healthy", "2", {"2": 3})


def test_28_only_a_rollback_inside_the_window_skips_the_steps() -> None:
    story = told_canary(weight(50), PAUSE_STEP, routing="none", replicas=4, spec={"rollbackWindow": {"revisions": 1}})
    for image in ("2", "3"):
        story.set_image(image)
        story.until_phase("Paused", "CanaryPauseStep")
        story.promote()
        story.rest()

    story.set_image("2")
    story.rest()
    assert (story.phase, story.stable) == ("Healthy", "2")
    story.set_image("3")
    story.rest()
    story.promote()
    story.rest()
    story.set_image("1")
    story.rest()

    assert (story.phase, story.status.message, story.stable) == ("Paused", "CanaryPauseStep", "3")


@pytest.mark.one_life("what somebody writes between two writes of one process")
def test_33_an_abort_between_switch_and_promotion_brings_the_active_service_back() -> None:
    story = told()
    story.set_image("2")
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "2")
    story.edit_status(stableRS=story.hash_of("1"), abort=True)

    story.rest()

    assert (story.selected(ACTIVE_SERVICE), story.phase) == ("1", "Degraded")
    assert story.sizes == {"1": 3}
    assert story.onlooker.problems == []
