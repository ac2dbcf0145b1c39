from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from builders import NOW, canary, replica_set, step
from reports import LATER, again, draft, facts, midway, progressing
from tiphys.api.rollout import BlueGreenStrategy, Strategy
from tiphys.api.status import PauseCondition, RolloutDuration, RolloutStatus
from tiphys.api.workloads import ReplicaSet
from tiphys.core.durations import attempts_ended
from tiphys.core.report import Facts, report

FEW = replica_set("b", replicas=1)
FULL = replica_set("b", replicas=5)
RUNNING = RolloutDuration(rollout_started_at=NOW)


def duration(one: Facts) -> RolloutDuration | None:
    return report(one).status.duration


def during(attempt: RolloutDuration | None = RUNNING, **more: Any) -> Facts:  # noqa: ANN401 - the fields have types
    status = structs.replace(midway(), duration=attempt, conditions=more.pop("conditions", (progressing(),)))
    fields: dict[str, Any] = {"stored": status, "draft": midway(), "new": FEW, "now": LATER}
    return facts(**(fields | more))


def pause(reason: str) -> tuple[PauseCondition, ...]:
    return (PauseCondition(reason=reason, start_time=NOW),)


def test_an_attempt_starts_when_something_changed() -> None:
    assert duration(during(None, attempt_started=True)) == RolloutDuration(rollout_started_at=LATER)


def test_the_very_first_pass_starts_an_attempt() -> None:
    assert duration(facts(draft=midway(stable_rs=""), new=FEW)) == RUNNING


def test_a_rollout_that_was_adopted_in_the_middle_has_no_duration() -> None:
    assert duration(during(None)) is None


def test_a_change_of_a_promoted_rollout_at_full_size_starts_nothing() -> None:
    assert duration(facts(stored=draft(), attempt_started=True)) is None


@pytest.mark.parametrize(("status", "new"), [(draft(), FEW), (midway(), FULL)], ids=["promoted, few pods", "not promoted, all pods"])
def test_any_other_change_starts_an_attempt(status: RolloutStatus, new: ReplicaSet) -> None:
    assert duration(facts(stored=draft(), draft=status, new=new, attempt_started=True)) == RUNNING


@pytest.mark.parametrize(
    "one",
    [
        during(None, draft=midway(abort=True), conditions=(progressing("RolloutAborted", "False"),)),
        during(None, draft=draft(), conditions=(progressing("RolloutAborted", "False"),)),
        during(None, stored=midway(abort=True, conditions=(progressing("RolloutAborted", "False"),))),
    ],
    ids=["still aborted", "promoted", "taken back by the controller"],
)
def test_only_a_person_retries(one: Facts) -> None:
    assert duration(one) is None


def test_a_retry_starts_over() -> None:
    aborted = RolloutDuration(rollout_started_at=NOW, finished_at=NOW, completion_status="Aborted")

    assert duration(during(aborted, conditions=(progressing("RolloutAborted", "False"),))) == RolloutDuration(rollout_started_at=LATER)


@pytest.mark.parametrize("completion", ["", "Superseded"])
def test_an_update_that_another_replaces_starts_over(completion: str) -> None:
    old = structs.replace(RUNNING, total_manual_pause_duration_seconds=7)

    assert duration(during(old, attempt_started=True, completion=completion)) == RolloutDuration(rollout_started_at=LATER)


def test_a_rollback_in_the_middle_keeps_the_attempt_until_it_ends_as_one() -> None:
    first = during(attempt_started=True, completion="RolledBack")

    there = again(first, draft=draft(), new=FULL, now=LATER + timedelta(seconds=3), completion="Promoted")

    assert duration(first) == structs.replace(RUNNING, completion_status="RolledBack")
    assert duration(there) == RolloutDuration(
        rollout_started_at=NOW, finished_at=LATER + timedelta(seconds=3), completion_status="RolledBack"
    )


def test_an_aborted_update_can_still_be_rolled_back() -> None:
    aborted = RolloutDuration(rollout_started_at=NOW, finished_at=NOW, completion_status="Aborted")
    one = during(aborted, draft=draft(), new=FULL, attempt_started=True, completion="FastRolledBack")

    assert duration(one) == structs.replace(aborted, completion_status="FastRolledBack")


@pytest.mark.parametrize(("completion", "expected"), [("Promoted", "Promoted"), ("FastPromoted", "FastPromoted"), ("", "Promoted")])
def test_a_promotion_at_full_size_finishes(completion: str, expected: str) -> None:
    one = during(draft=draft(), new=FULL, completion=completion)

    assert duration(one) == RolloutDuration(rollout_started_at=NOW, finished_at=LATER, completion_status=expected)


def test_a_promotion_below_full_size_finishes_when_the_pods_are_there() -> None:
    first = during(draft=draft(), completion="FastPromoted")

    assert duration(first) == structs.replace(RUNNING, completion_status="FastPromoted")
    assert duration(again(first, new=FULL)) == RolloutDuration(rollout_started_at=NOW, finished_at=LATER, completion_status="FastPromoted")


def test_an_abort_finishes_whatever_was_on_its_way() -> None:
    back = structs.replace(RUNNING, completion_status="RolledBack")

    assert duration(during(back, draft=midway(abort=True))) == RolloutDuration(
        rollout_started_at=NOW, finished_at=LATER, completion_status="Aborted"
    )


def test_what_is_finished_stays_as_it_is() -> None:
    done = RolloutDuration(rollout_started_at=NOW, finished_at=NOW, completion_status="Promoted")
    stored: RolloutStatus = structs.replace(draft(), duration=done)

    assert duration(facts(stored=stored, draft=draft(available_replicas=4), paused=True, now=LATER)) == done


MANUAL = Strategy(blue_green=BlueGreenStrategy(active_service="active", auto_promotion_enabled=False))
AUTOMATIC = Strategy(blue_green=BlueGreenStrategy(active_service="active"))


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ({"paused": True}, True),
        ({"draft": midway(pause_conditions=pause("InconclusiveAnalysisRun"))}, True),
        ({"draft": midway(pause_conditions=pause("InconclusiveExperiment"))}, True),
        ({"draft": midway(pause_conditions=pause("CanaryPauseStep"), current_step_index=1)}, True),
        ({"draft": midway(pause_conditions=pause("CanaryPauseStep"), current_step_index=2)}, False),
        ({"draft": midway(pause_conditions=pause("CanaryPauseStep")), "strategy": canary(step("pause"))}, True),
        ({"draft": midway(pause_conditions=pause("CanaryPauseStep"), current_step_index=3)}, False),
        ({"draft": midway(pause_conditions=pause("BlueGreenPause")), "strategy": MANUAL}, True),
        ({"draft": midway(pause_conditions=pause("BlueGreenPause")), "strategy": AUTOMATIC}, False),
        ({}, False),
    ],
)
def test_the_time_that_people_wait_is_counted(change: dict[str, Any], waits: bool) -> None:  # noqa: FBT001 - a test's table
    one = during(**change)

    assert duration(one) == (structs.replace(RUNNING, manual_pause_started_at=LATER) if waits else RUNNING)


def test_waiting_adds_up() -> None:
    waiting = structs.replace(RUNNING, manual_pause_started_at=NOW, total_manual_pause_duration_seconds=60)

    assert duration(during(waiting)) == structs.replace(RUNNING, total_manual_pause_duration_seconds=65)
    assert duration(during(waiting, paused=True)) == waiting


def test_a_clock_that_was_set_back_takes_no_waiting_away() -> None:
    waiting = structs.replace(RUNNING, manual_pause_started_at=LATER, total_manual_pause_duration_seconds=60)

    assert duration(during(waiting, now=NOW)) == structs.replace(RUNNING, total_manual_pause_duration_seconds=60)


def test_waiting_ends_with_the_attempt() -> None:
    waiting = structs.replace(RUNNING, manual_pause_started_at=NOW)

    assert duration(during(waiting, paused=True, draft=midway(abort=True))) == RolloutDuration(
        rollout_started_at=NOW, finished_at=LATER, total_manual_pause_duration_seconds=5, completion_status="Aborted"
    )


def test_an_attempt_that_another_replaces_ends_with_it_and_so_does_its_waiting() -> None:
    waiting = RolloutDuration(
        rollout_started_at=NOW, manual_pause_started_at=NOW + timedelta(seconds=40), total_manual_pause_duration_seconds=5
    )
    fresh = RolloutDuration(rollout_started_at=NOW + timedelta(seconds=60))

    (ended,) = attempts_ended(waiting, fresh)

    assert ended == RolloutDuration(
        rollout_started_at=NOW,
        finished_at=NOW + timedelta(seconds=60),
        total_manual_pause_duration_seconds=25,
        completion_status="Superseded",
    )


def test_an_attempt_ends_once() -> None:
    running = RolloutDuration(rollout_started_at=NOW)
    done = RolloutDuration(rollout_started_at=NOW, finished_at=NOW, completion_status="Aborted")

    assert attempts_ended(None, running) == attempts_ended(running, running) == attempts_ended(None, None) == ()
    assert attempts_ended(running, done) == (done,)
    assert attempts_ended(done, structs.replace(done, completion_status="FastRolledBack")) == ()
    assert attempts_ended(done, running) == ()
