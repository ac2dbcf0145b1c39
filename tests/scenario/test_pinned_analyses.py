"""Do the pinned cases hold that rest on AnalysisRuns? (Lifecycle reference 11: 21, 22, 26, 29, 32, 34, 40; 12.3 #2824.)"""

from typing import Any

import pytest

from analyst import ANALYSIS_RUN, ANALYSIS_STEP, TEMPLATES, Analyst
from scenarios import ACTIVE_SERVICE, PAUSE_STEP, REPLICA_SET, Story, at_rest, blue_green_app, told, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.core.actions import Why
from tiphys.core.runs import Purpose


def canary(*steps: Manifest, **fields: Any) -> tuple[Story, Analyst]:  # noqa: ANN401 - see `told`
    story = told(*steps, analysed=True, **fields)
    return story, Analyst(story)


def blue_green(**fields: Any) -> tuple[Story, Analyst]:  # noqa: ANN401 - see `blue_green_app`
    story = at_rest(blue_green_app(**fields), analysed=True)
    return story, Analyst(story)


def test_21_an_inconclusive_step_pauses_and_after_the_resume_another_run_has_to_answer() -> None:
    story, analyst = canary(weight(20), ANALYSIS_STEP, weight(40), PAUSE_STEP)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    first = analyst.answers(Purpose.STEP, "Inconclusive", step=1)
    paused = (story.phase, story.status.message, story.status.controller_pause, story.status.current_step_index, story.weights)
    shown = story.status.canary.current_step_analysis_run_status
    story.rest()

    story.edit_status(pauseConditions=None)
    story.rest()
    waiting = (story.phase, story.status.pause_conditions, story.status.current_step_index, story.reasons, story.status.controller_pause)
    second = analyst.answers(Purpose.STEP, "Inconclusive", step=1)
    again = story.status.message
    story.edit_status(pauseConditions=None)
    story.rest()
    analyst.answers(Purpose.STEP, "Successful", step=1)
    story.rest()

    assert paused == ("Paused", "InconclusiveAnalysisRun", True, 1, (80, 20))
    assert shown is not None
    assert (shown.name, shown.status) == (first, "Inconclusive")
    assert waiting == ("Progressing", (), 1, {Why.ANALYSIS}, False)
    assert (second, again) == (f"{first}.1", "InconclusiveAnalysisRun")
    assert (story.status.current_step_index, story.weights) == (3, (60, 40))
    assert story.status.canary.current_step_analysis_run_status is None
    assert story.onlooker.problems == []


def test_22_a_failed_analysis_beside_the_steps_aborts_with_its_cause_and_ends_the_others() -> None:
    story, analyst = canary(weight(20), PAUSE_STEP, ANALYSIS_STEP, weight(60), analysis={**TEMPLATES, "startingStep": 2})
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    early = analyst.begins(Purpose.BACKGROUND)
    story.advance(5)
    too_early = analyst.told_to_end(early)
    story.promote()
    story.until(lambda: Why.ANALYSIS in story.reasons)
    background = analyst.begins(Purpose.BACKGROUND)
    step = analyst.begins(Purpose.STEP, step=2)
    story.advance(5)
    shown = story.status.canary

    analyst.ends(background, "Failed", "too many errors")
    story.advance(1)
    at_once = (story.weights, story.status.abort, story.status.current_step_index)
    story.rest()

    assert shown.current_background_analysis_run_status is not None
    assert shown.current_background_analysis_run_status.status == "Running"
    assert shown.current_step_analysis_run_status is not None
    assert at_once == ((100, 0), True, 0)
    assert story.status.message == (
        "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase failed: too many errors"
    )
    assert story.status.aborted_at is not None
    assert (too_early, analyst.told_to_end(background), analyst.told_to_end(step)) == (True, False, True)
    assert story.status.canary.current_background_analysis_run_status is None
    assert story.sizes == {"1": 5}
    assert story.onlooker.problems == []


def test_32_while_the_analysis_before_the_cut_over_runs_no_pause_and_no_checkpoint_begins() -> None:
    story, analyst = blue_green(previewReplicaCount=1, autoPromotionEnabled=False, prePromotionAnalysis=TEMPLATES)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    run = analyst.begins(Purpose.PRE_PROMOTION)
    story.advance(300)
    running = (story.phase, story.status.pause_conditions, story.status.blue_green.scale_up_preview_check_point, story.sizes)

    analyst.ends(run, "Successful")
    story.until_phase("Paused", "BlueGreenPause")
    story.promote()
    story.rest()

    assert running == ("Progressing", (), False, {"1": 3, "2": 1})
    assert (story.selected(ACTIVE_SERVICE), story.phase, story.sizes) == ("2", "Healthy", {"2": 3})
    assert story.onlooker.problems == []


def test_26_promote_full_ends_the_analyses_and_asks_for_none() -> None:
    story, analyst = canary(weight(20), ANALYSIS_STEP, weight(60), PAUSE_STEP, analysis=TEMPLATES)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    runs = [analyst.begins(Purpose.BACKGROUND), analyst.begins(Purpose.STEP, step=1)]
    story.advance(5)

    story.promote_full()
    story.rest()

    assert [analyst.told_to_end(run) for run in runs] == [True, True]
    assert (story.phase, story.stable, story.status.promote_full) == ("Healthy", "2", False)
    assert story.status.canary.current_background_analysis_run_status is None


def test_29_going_back_within_the_delay_needs_no_analysis() -> None:
    story, analyst = blue_green(prePromotionAnalysis=TEMPLATES, scaleDownDelaySeconds=300)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.PRE_PROMOTION, "Successful")
    story.until(lambda: story.stable == "2" and names.SCALE_DOWN_DEADLINE in story.annotations("1"))

    story.set_image("1")
    story.until(lambda: story.stable == "1", within=60)

    assert story.selected(ACTIVE_SERVICE) == "1"
    assert len(analyst.runs) == 1


def test_40_an_analysis_step_has_no_deadline() -> None:
    story, _ = canary(weight(20), ANALYSIS_STEP, spec={"progressDeadlineSeconds": 30, "progressDeadlineAbort": True})
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)

    story.advance(10_000)

    assert (story.phase, story.status.abort, story.weights) == ("Progressing", False, (80, 20))


@pytest.mark.parametrize(("given", "delayed"), [({}, False), ({"scaleDownDelaySeconds": 60}, True)], ids=["unset", "set"])
def test_34_an_old_version_gets_its_delay_during_the_analysis_after_the_cut_over_only_where_the_spec_gives_one(
    given: Manifest,
    delayed: bool,  # noqa: FBT001 - a column
) -> None:
    """The one that is still stable keeps its pods either way: a failed analysis leads back to them (S2)."""
    story, analyst = blue_green(postPromotionAnalysis=TEMPLATES, **given)
    for version in ("2", "3"):
        story.set_image(version)
        story.until(lambda version=version: story.selected(ACTIVE_SERVICE) == version)  # type: ignore[misc]
        run = analyst.begins(Purpose.POST_PROMOTION)
        if version == "2":
            analyst.ends(run, "Successful")
            story.rest()
    story.controller.edit(REPLICA_SET, story.replica_sets["1"]["metadata"]["name"], {"spec": {"replicas": 3}})
    story.advance(20)

    annotated = {version: names.SCALE_DOWN_DEADLINE in story.annotations(version) for version in ("1", "2", "3")}
    during = (annotated, story.sizes, story.stable)
    analyst.ends(run, "Successful")
    story.rest()

    assert during == ({"1": delayed, "2": False, "3": False}, {"1": 3, "2": 3, "3": 3}, "2")
    assert (story.stable, story.sizes) == ("3", {"3": 3})
    assert story.onlooker.problems == []


def test_a_retry_is_not_judged_by_the_run_of_before() -> None:
    """The reference aborts again at once (12.3 #2824)."""
    story, analyst = canary(weight(20), ANALYSIS_STEP, weight(60), PAUSE_STEP)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    first = analyst.answers(Purpose.STEP, "Failed", step=1)
    story.rest()
    aborted = (story.phase, story.status.message)

    story.retry()
    story.rest()
    waiting = (story.status.abort, story.status.current_step_index, story.reasons, story.status.canary.current_step_analysis_run_status)
    story.controller.restart()
    story.rest()
    second = analyst.answers(Purpose.STEP, "Successful", step=1)
    story.until_phase("Paused", "CanaryPauseStep")

    assert aborted == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase failed")
    assert waiting == (False, 1, {Why.ANALYSIS}, None)
    assert second == f"{first}.1"
    assert story.weights == (40, 60)
    assert story.onlooker.problems == []


def test_a_blue_green_retry_is_not_judged_by_the_run_of_before() -> None:
    story, analyst = blue_green(prePromotionAnalysis=TEMPLATES)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.PRE_PROMOTION, "Error", "no answer")
    story.rest()
    aborted = story.status.message

    story.retry()
    story.advance(60)
    waiting = (story.selected(ACTIVE_SERVICE), story.status.abort, Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.PRE_PROMOTION, "Successful")
    story.rest()

    assert aborted == "RolloutAborted: Rollout aborted update to revision 2: Blue/green pre-promotion analysis phase error: no answer"
    assert waiting == ("1", False, True)
    assert (story.selected(ACTIVE_SERVICE), story.phase) == ("2", "Healthy")


def test_a_version_that_comes_again_is_not_judged_by_the_run_of_before() -> None:
    story, analyst = canary(weight(20), ANALYSIS_STEP)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.STEP, "Successful", step=1)
    story.rest()
    story.set_image("1")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.STEP, "Failed", step=1)
    story.set_image("3")
    story.advance(60)

    story.set_image("1")
    story.rest()

    assert not story.status.abort
    assert (story.status.current_step_index, story.reasons) == (1, {Why.ANALYSIS})


def test_a_pause_that_follows_an_inconclusive_analysis_before_the_cut_over_is_still_kept() -> None:
    story, analyst = blue_green(prePromotionAnalysis=TEMPLATES, autoPromotionEnabled=False)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.answers(Purpose.PRE_PROMOTION, "Inconclusive")
    inconclusive = story.status.message

    story.promote()
    story.advance(10)
    analyst.answers(Purpose.PRE_PROMOTION, "Successful")
    story.advance(10)

    assert inconclusive == "InconclusiveAnalysisRun"
    assert (story.selected(ACTIVE_SERVICE), story.status.message) == ("1", "BlueGreenPause")


def test_a_pass_that_changes_nothing_makes_no_request_while_an_analysis_runs() -> None:
    story, analyst = canary(weight(20), ANALYSIS_STEP)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    analyst.begins(Purpose.STEP, step=1)
    story.advance(5)
    story.controller.requests.clear()

    story.controller.restart()
    story.advance(5)

    assert story.controller.requests == []
    assert ANALYSIS_RUN in story.controller.caches.watched


def test_runs_are_watched_only_where_a_spec_asks_for_an_analysis() -> None:
    story, _ = canary(weight(20), PAUSE_STEP)

    assert ANALYSIS_RUN not in story.controller.caches.watched


def test_an_analysis_is_refused_by_name_as_long_as_nobody_makes_its_runs() -> None:
    """Neither where the kind is served nor where it is not."""
    story = told(weight(20), ANALYSIS_STEP, analysis=TEMPLATES)

    assert story.phase == "Degraded"
    for field in ("spec.strategy.canary.analysis", "spec.strategy.canary.steps[1].analysis"):
        assert field in story.message("InvalidSpec")


def test_a_change_of_replicas_during_the_analysis_before_the_cut_over_is_followed_at_once() -> None:
    """The reference can get stuck here (12.2 #4294, #4200)."""
    story, analyst = blue_green(prePromotionAnalysis=TEMPLATES)
    story.set_image("2")
    story.until(lambda: Why.ANALYSIS in story.reasons)
    run = analyst.begins(Purpose.PRE_PROMOTION)

    story.edit_spec(replicas=5)
    story.advance(30)
    during = (story.sizes, story.selected(ACTIVE_SERVICE))
    analyst.ends(run, "Successful")
    story.rest()

    assert during == ({"1": 5, "2": 5}, "1")
    assert (story.phase, story.sizes) == ("Healthy", {"2": 5})


def test_a_failed_analysis_after_the_cut_over_leads_back_although_the_new_version_is_not_whole() -> None:
    """The reference stays on it, and later takes its pods from under the traffic (12.3, 7.7)."""
    story, analyst = blue_green(postPromotionAnalysis=TEMPLATES)
    story.set_image("2")
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "2")
    run = analyst.begins(Purpose.POST_PROMOTION)
    story.make_ill("2", 2)
    story.advance(5)

    analyst.ends(run, "Failed", "errors")
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "1", within=5)
    story.rest()

    assert story.status.message.endswith("Blue/green post-promotion analysis phase failed: errors")
    assert (story.selected(ACTIVE_SERVICE), story.sizes, story.stable) == ("1", {"1": 3}, "1")
    assert story.onlooker.problems == []
