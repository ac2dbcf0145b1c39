from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from builders import NOW, replica_set
from reports import LATER, again, draft, facts, find, midway, progressing, said
from tiphys.api import names
from tiphys.api.rollout import BlueGreenStrategy, Strategy
from tiphys.api.status import BlueGreenStatus, Condition, PauseCondition, RolloutStatus
from tiphys.core.report import Facts, report, timed_out

PAUSE = (PauseCondition(reason="CanaryPauseStep", start_time=NOW),)
LATE = NOW + timedelta(seconds=601)
STILL_FALSE = said("Completed", "False", "RolloutCompleted")


def still(condition: Condition | None = None, *, now: datetime = LATE, **more: Any) -> Facts:  # noqa: ANN401 - the fields have types
    """An update from a to b that has not moved since *condition* was written."""
    conditions = () if condition is None else (condition, STILL_FALSE)
    stored = more.pop("stored", None) or structs.replace(midway(), conditions=conditions)
    fields: dict[str, Any] = {"stored": stored, "draft": midway(), "now": now}
    return facts(**(fields | more))


def reason(one: Facts) -> str:
    return find(report(one).status, "Progressing").reason


def test_a_created_replica_set_is_progress() -> None:
    one = still(progressing(), created="web-b", now=LATER)

    assert find(report(one).status, "Progressing") == progressing(
        "NewReplicaSetCreated", message='Created new replica set "web-b"', updated=LATER
    )
    assert reason(again(one)) == "NewReplicaSetCreated"


def test_a_second_created_replica_set_has_its_own_name_and_clock() -> None:
    before = progressing("NewReplicaSetCreated", message='Created new replica set "web-a"')

    said_now = find(report(still(before, created="web-b", now=LATER)).status, "Progressing")

    assert (said_now.message, said_now.last_update_time) == ('Created new replica set "web-b"', LATER)


def test_a_replica_set_that_was_there_is_found_once() -> None:
    first = still(found=True, now=LATER)

    assert find(report(first).status, "Progressing") == progressing(
        "FoundNewReplicaSet", message='Found new replica set "web-b"', updated=LATER, since=LATER
    )
    assert reason(still(progressing(), found=True, now=LATER)) == "ReplicaSetUpdated"


@pytest.mark.parametrize(
    "change",
    [
        {"updated_replicas": 2},
        {"updated_replicas": 0, "replicas": 4},
        {"replicas": 4},
        {"ready_replicas": 6},
        {"available_replicas": 6},
        {"stable_rs": "c"},
        {"current_step_index": 1},
        {"current_step_hash": "t"},
    ],
)
def test_any_move_is_progress_and_restarts_the_clock(change: dict[str, Any]) -> None:
    one = still(progressing(), draft=midway(**change))

    assert not timed_out(one)
    assert find(report(one).status, "Progressing") == progressing(
        "ReplicaSetUpdated", message='ReplicaSet "web-b" is progressing.', updated=LATE
    )


@pytest.mark.parametrize("change", [{"ready_replicas": 3}, {"available_replicas": 4}, {"replicas": 7}, {"current_step_index": None}])
def test_losing_pods_is_no_progress(change: dict[str, Any]) -> None:
    assert timed_out(still(progressing(), draft=midway(**change)))


@pytest.mark.parametrize("moved", [BlueGreenStatus(active_selector="b"), BlueGreenStatus(preview_selector="b")])
def test_a_moved_selector_is_progress(moved: BlueGreenStatus) -> None:
    strategy = Strategy(blue_green=BlueGreenStrategy(active_service="active"))

    assert reason(still(progressing("NewReplicaSetCreated"), strategy=strategy, draft=midway(blue_green=moved))) == "ReplicaSetUpdated"


def test_without_a_replica_set_the_rollout_itself_progresses() -> None:
    one = still(progressing(), new=None, draft=midway(updated_replicas=0))

    assert find(report(one).status, "Progressing").message == 'Rollout "web" is progressing.'


def test_a_promoted_rollout_that_loses_a_pod_says_when() -> None:
    stored = report(facts()).status

    status = report(facts(stored=stored, draft=draft(available_replicas=4), now=LATER)).status

    assert find(status, "Progressing") == progressing(
        "ReplicaSetNotAvailable", message="Rollout does not have minimum availability", updated=LATER
    )
    assert (status.phase, status.message) == ("Progressing", "updated replicas are still becoming available")


def test_pause_and_resume_by_a_person_are_told() -> None:
    pause = still(progressing(), paused=True, now=LATER)
    paused = report(pause).status
    resumed = report(facts(stored=paused, draft=midway(current_step_index=1), now=LATER)).status

    assert find(paused, "Progressing").reason == "RolloutPaused"
    assert find(resumed, "Progressing") == progressing("RolloutResumed", "Unknown", "Rollout is resumed", updated=LATER, since=LATER)


def test_a_pause_that_ends_by_itself_is_progress() -> None:
    stored = midway(pause_conditions=PAUSE, controller_pause=True, conditions=(progressing("RolloutPaused", "Unknown"), STILL_FALSE))

    assert reason(still(stored=stored, draft=midway(current_step_index=1))) == "ReplicaSetUpdated"


def test_a_pause_that_ends_without_a_move_is_resumed() -> None:
    stored = midway(pause_conditions=PAUSE, controller_pause=True, conditions=(progressing("RolloutPaused", "Unknown"), STILL_FALSE))

    assert reason(still(stored=stored)) == "RolloutResumed"


def test_progress_behind_a_pause_does_not_hide_it() -> None:
    stored = midway(pause_conditions=PAUSE, conditions=(progressing("RolloutPaused", "Unknown"), STILL_FALSE))
    one = still(stored=stored, draft=midway(pause_conditions=PAUSE, updated_replicas=2))

    assert find(report(one).status, "Progressing") == progressing("RolloutPaused", "Unknown")


def test_a_promoted_rollout_that_is_paused_still_tells_how_it_is() -> None:
    assert reason(facts(paused=True)) == "NewReplicaSetAvailable"


def test_a_retry_is_told_and_restarts_the_clock() -> None:
    one = still(progressing("RolloutAborted", "False"))

    assert find(report(one).status, "Progressing") == progressing(
        "RolloutRetry", "Unknown", "Retrying Rollout after abort", updated=LATE, since=LATE
    )


def test_an_abort_that_the_controller_takes_back_is_a_retry_too() -> None:
    stored = midway(abort=True, conditions=(progressing("RolloutAborted", "False"), STILL_FALSE))

    assert reason(still(stored=stored)) == "RolloutRetry"


def test_a_rollout_that_falls_ill_again_says_when() -> None:
    healthy = said("Healthy", "True", "RolloutHealthy")
    ill = draft(available_replicas=4)
    stored = structs.replace(ill, conditions=(healthy, progressing("ReplicaSetNotAvailable")))

    status = report(still(stored=stored, draft=ill, now=LATE)).status

    assert find(status, "Progressing").last_update_time == LATE
    assert not timed_out(still(stored=stored, draft=ill, now=LATE))


def test_an_update_that_stands_still_times_out_until_it_moves() -> None:
    one = still(progressing())
    status = report(one).status

    assert timed_out(one)
    assert find(status, "Progressing") == progressing(
        "ProgressDeadlineExceeded", "False", 'ReplicaSet "web-b" has timed out progressing.', updated=LATE, since=LATE
    )
    assert (status.phase, status.message) == (
        "Degraded",
        'ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.',
    )
    assert timed_out(again(one))
    assert reason(again(one, draft=midway(updated_replicas=2))) == "ReplicaSetUpdated"


@pytest.mark.parametrize(("seconds", "expected"), [(600, False), (600.9, False), (601, True)])
def test_the_deadline_itself_is_still_in_time(seconds: float, expected: bool) -> None:  # noqa: FBT001 - a test's table
    assert timed_out(still(progressing(), now=NOW + timedelta(seconds=seconds))) is expected


@pytest.mark.parametrize(
    "one",
    [
        still(),
        still(progressing("RolloutPaused", "Unknown")),
        still(progressing("RolloutAborted", "False")),
        still(progressing(), indefinite=True),
        still(progressing(), paused=True),
        still(progressing(), draft=midway(pause_conditions=PAUSE)),
        still(progressing(), draft=midway(abort=True)),
        still(progressing(), stored=structs.replace(draft(), conditions=(progressing(),)), draft=draft()),
        still(
            progressing(),
            replica_sets=(replica_set("c", replicas=2, annotations={names.SCALE_DOWN_DEADLINE: "2026-05-04T13:00:00Z"}),),
        ),
    ],
    ids=[
        "no condition",
        "paused",
        "aborted",
        "indefinite step",
        "paused now",
        "pause condition",
        "aborted now",
        "healthy",
        "old ones wait",
    ],
)
def test_nothing_times_out_that_has_no_deadline(one: Facts) -> None:
    assert not timed_out(one)
    assert reason_or_nothing(one) != "ProgressDeadlineExceeded"


def reason_or_nothing(one: Facts) -> str:
    return next((cond.reason for cond in report(one).status.conditions if cond.type == "Progressing"), "")


@pytest.mark.parametrize("pod_hash", ["a", "b"])
def test_a_deadline_on_stable_or_new_does_not_stop_the_clock(pod_hash: str) -> None:
    delayed = replica_set(pod_hash, replicas=2, annotations={names.SCALE_DOWN_DEADLINE: "2026-05-04T13:00:00Z"})

    assert timed_out(still(progressing(), replica_sets=(delayed,)))


def test_the_users_deadline_counts() -> None:
    assert timed_out(still(progressing(), progress_deadline_seconds=5, now=NOW + timedelta(seconds=6)))
    assert not timed_out(still(progressing(), progress_deadline_seconds=7, now=NOW + timedelta(seconds=6)))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (still(progressing(), now=LATER), NOW + timedelta(seconds=601)),
        (still(progressing(), draft=midway(updated_replicas=2), now=LATER), LATER + timedelta(seconds=601)),
        (still(progressing(), progress_deadline_seconds=86_400, now=LATER), NOW + timedelta(seconds=86_401)),
        (still(progressing()), None),
        (still(progressing(), indefinite=True), None),
        (still(progressing(), paused=True), None),
        (still(progressing(), draft=midway(abort=True)), None),
        (facts(), None),
    ],
    ids=["stands still", "moved", "far away", "timed out", "indefinite step", "paused", "aborted", "healthy"],
)
def test_the_wake_up_is_a_second_after_the_deadline(one: Facts, expected: datetime | None) -> None:
    assert report(one).wake_at == expected
    assert report(one).wake_at == expected


def test_a_first_deploy_that_never_comes_up_degrades_and_recovers() -> None:
    empty = {"stable_rs": "", "available_replicas": 0, "ready_replicas": 0}
    stored: RolloutStatus = structs.replace(midway(**empty), conditions=(progressing(),))
    one = still(stored=stored, draft=midway(**empty), progress_deadline_seconds=5)

    assert report(one).status.phase == "Degraded"
    assert report(again(one, draft=draft())).status.phase == "Healthy"
