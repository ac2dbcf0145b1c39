import pytest
from msgspec import structs

from builders import NOW, canary
from reports import LATER, draft, facts, midway, progressing, said
from tiphys.api.rollout import BlueGreenStrategy, RolloutAnalysis, Strategy
from tiphys.api.status import BlueGreenStatus, Condition, PauseCondition, RolloutStatus, RunStatus
from tiphys.core.phase import find_phase
from tiphys.core.report import Facts

CUT_OVER = BlueGreenStatus(active_selector="b")
PAUSES = tuple(PauseCondition(reason=reason, start_time=NOW) for reason in ("InconclusiveAnalysisRun", "CanaryPauseStep"))


def phase(one: Facts, *conditions: Condition) -> tuple[str, str]:
    word, message = find_phase(one, conditions)
    return str(word), message


def blue_green(shown: RolloutStatus, *, analysed: bool = False, run: str = "") -> Facts:
    analysis = RolloutAnalysis() if analysed else None
    strategy = Strategy(blue_green=BlueGreenStrategy(active_service="active", post_promotion_analysis=analysis))
    if run:
        part = structs.replace(shown.blue_green, post_promotion_analysis_run_status=RunStatus(name="run", status=run))
        shown = structs.replace(shown, blue_green=part)
    return facts(strategy=strategy, draft=shown)


UNPROMOTED = draft(stable_rs="a", blue_green=CUT_OVER)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (facts(), ("Healthy", "")),
        (facts(paused=True, draft=draft(pause_conditions=PAUSES)), ("Paused", "manually paused")),
        (facts(draft=draft(pause_conditions=PAUSES, updated_replicas=1)), ("Paused", "InconclusiveAnalysisRun")),
        (facts(restart_at=LATER), ("Progressing", "rollout is restarting")),
        (facts(restart_at=LATER, draft=draft(restarted_at=NOW)), ("Progressing", "rollout is restarting")),
        (facts(restart_at=LATER, draft=draft(restarted_at=LATER)), ("Healthy", "")),
        (facts(draft=draft(updated_replicas=4, available_replicas=3)), ("Progressing", "more replicas need to be updated")),
        (facts(draft=draft(available_replicas=4)), ("Progressing", "updated replicas are still becoming available")),
        (facts(draft=draft(replicas=6)), ("Progressing", "old replicas are pending termination")),
        (facts(draft=draft(replicas=6), routed=True), ("Healthy", "")),
        (facts(draft=draft(stable_rs="a")), ("Progressing", "waiting for all steps to complete")),
        (facts(draft=midway()), ("Progressing", "more replicas need to be updated")),
        (facts(strategy=canary(), draft=draft(current_step_index=None)), ("Healthy", "")),
        (blue_green(draft(blue_green=CUT_OVER)), ("Healthy", "")),
        (blue_green(draft(blue_green=CUT_OVER, replicas=10)), ("Healthy", "")),
        (blue_green(draft()), ("Progressing", "active service cutover pending")),
        (blue_green(draft(blue_green=BlueGreenStatus(active_selector="a"))), ("Progressing", "active service cutover pending")),
        (blue_green(UNPROMOTED), ("Progressing", "waiting for post-promotion verification to complete")),
        (blue_green(UNPROMOTED, analysed=True), ("Progressing", "waiting for analysis to complete")),
        (blue_green(UNPROMOTED, analysed=True, run="Running"), ("Progressing", "waiting for analysis to complete")),
        (
            blue_green(UNPROMOTED, analysed=True, run="Successful"),
            ("Progressing", "waiting for post-promotion verification to complete"),
        ),
    ],
)
def test_the_first_rule_that_holds_gives_phase_and_message(one: Facts, expected: tuple[str, str]) -> None:
    assert phase(one) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([said("InvalidSpec", "True", "InvalidSpec", "wrong")], "InvalidSpec: wrong"),
        ([progressing("RolloutAborted", "False", "aborted")], "RolloutAborted: aborted"),
        ([progressing("ProgressDeadlineExceeded", "False", "late")], "ProgressDeadlineExceeded: late"),
        (
            [progressing("RolloutAborted", "False", "aborted"), said("InvalidSpec", "True", "InvalidSpec", "wrong")],
            "RolloutAborted: aborted",
        ),
        ([said("InvalidSpec", "True", "InvalidSpec", "wrong"), progressing("RolloutAborted", "False", "aborted")], "InvalidSpec: wrong"),
    ],
)
def test_trouble_comes_before_everything_in_the_order_it_is_stored(conditions: list[Condition], expected: str) -> None:
    assert phase(facts(paused=True, restart_at=LATER), *conditions) == ("Degraded", expected)


@pytest.mark.parametrize("reason", ["ReplicaSetCreateError", "RolloutPaused", "ReplicaSetNotAvailable"])
def test_other_reasons_degrade_nothing(reason: str) -> None:
    assert phase(facts(), progressing(reason, "False")) == ("Healthy", "")
