from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from builders import NOW, rollout
from reports import LATER, again, draft, facts, find, midway, progressing, said
from tiphys.api.errors import SpecError
from tiphys.api.status import PauseCondition, RolloutDuration, RolloutStatus
from tiphys.api.words import EventType, Reason
from tiphys.core.actions import Event
from tiphys.core.report import Facts, Report, invalid, not_created, report


def test_a_healthy_rollout_reports_all_of_it() -> None:
    answer = report(facts())

    assert answer == Report(
        status=draft(
            phase="Healthy",
            observed_generation="3",
            conditions=(
                said("Healthy", "True", "RolloutHealthy", "Rollout is healthy"),
                said("Progressing", "True", "NewReplicaSetAvailable", 'ReplicaSet "web-b" has successfully progressed.'),
                said("Available", "True", "AvailableReason", "Rollout has minimum availability"),
                said("Completed", "True", "RolloutCompleted", "RolloutCompleted"),
            ),
        )
    )


def test_a_report_of_nothing_new_is_the_stored_status_however_late() -> None:
    first = facts()

    assert report(again(first, now=LATER)).status == report(first).status


def test_times_are_whole_seconds() -> None:
    answer = report(facts(now=NOW.replace(microsecond=999_999), draft=midway(abort=True)))

    assert answer.status.aborted_at == NOW
    assert {cond.last_update_time for cond in answer.status.conditions} == {NOW}


def test_an_update_is_not_completed_and_says_so_once() -> None:
    first = facts(stored=report(facts()).status, draft=midway())

    assert report(first).events == (
        Event(reason=Reason.ROLLOUT_NOT_COMPLETED, message="Rollout not completed, started update to revision 2 (b)"),
    )
    assert find(report(first).status, "Completed").status == "False"
    assert report(again(first)).events == ()


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("", "Rollout aborted update to revision 2"),
        (
            'ReplicaSet "web-b" has timed out progressing.',
            'Rollout aborted update to revision 2: ReplicaSet "web-b" has timed out progressing.',
        ),
    ],
)
def test_an_abort_degrades_and_warns_once(cause: str, expected: str) -> None:
    stored = midway(conditions=(progressing(), said("Completed", "False", "RolloutCompleted")))
    first = facts(stored=stored, draft=midway(abort=True), abort_cause=cause, now=LATER)

    answer = report(first)

    assert answer.events == (Event(reason=Reason.ROLLOUT_ABORTED, message=expected, type=EventType.WARNING),)
    assert (answer.status.phase, answer.status.message) == ("Degraded", f"RolloutAborted: {expected}")
    assert answer.status.aborted_at == LATER
    assert report(again(first, now=LATER + timedelta(hours=1))) == Report(status=answer.status)


def test_an_abort_that_is_over_leaves_no_time() -> None:
    answer = report(facts(stored=midway(abort=True, aborted_at=NOW), draft=midway(aborted_at=NOW)))

    assert answer.status.aborted_at is None


def test_a_pause_is_told_once_with_its_reason() -> None:
    pause = PauseCondition(reason="CanaryPauseStep", start_time=NOW)
    stored = midway(conditions=(progressing(), said("Completed", "False", "RolloutCompleted")))
    first = facts(stored=stored, draft=midway(pause_conditions=(pause,), controller_pause=True), indefinite=True)

    answer = report(first)

    assert answer.events == (Event(reason=Reason.ROLLOUT_PAUSED, message="Rollout is paused (CanaryPauseStep)"),)
    assert find(answer.status, "Progressing") == progressing("RolloutPaused", "Unknown", "Rollout is paused")
    assert find(answer.status, "Paused") == said("Paused", "True", "RolloutPaused", "Rollout is paused")
    assert (answer.status.phase, answer.status.message) == ("Paused", "CanaryPauseStep")
    assert report(again(first)) == Report(status=answer.status)


def test_the_end_of_a_pause_is_told_once() -> None:
    stored = midway(
        controller_pause=True, conditions=(progressing("RolloutPaused", "Unknown"), said("Completed", "False", "RolloutCompleted"))
    )
    first = facts(stored=stored, draft=midway(current_step_index=1))

    assert report(first).events == (Event(reason=Reason.ROLLOUT_RESUMED, message="Rollout is resumed"),)
    assert report(again(first)).events == ()


def test_a_pause_that_an_abort_ends_is_not_called_resumed() -> None:
    stored = midway(controller_pause=True, conditions=(progressing(), said("Completed", "False", "RolloutCompleted")))

    answer = report(facts(stored=stored, draft=midway(abort=True)))

    assert [event.reason for event in answer.events] == [Reason.ROLLOUT_ABORTED]


PROBLEM = SpecError(field="spec.replicas", found=-1, wanted="0 or more")
OTHER = SpecError(field="spec.selector", found=None, wanted="a selector")
MESSAGE = 'The Rollout "web" is invalid: spec.replicas: Invalid value: -1: 0 or more'


def test_an_invalid_spec_is_said_and_nothing_else_changes() -> None:
    stored = draft(phase="Healthy", conditions=(progressing(),), duration=RolloutDuration(rollout_started_at=NOW))

    answer = invalid(rollout(status=stored, generation=7), [PROBLEM], LATER)

    assert answer.status == structs.replace(
        stored,
        conditions=(progressing(), said("InvalidSpec", "True", "InvalidSpec", MESSAGE, since=LATER, updated=LATER)),
        message=f"InvalidSpec: {MESSAGE}",
        observed_generation="7",
        phase="Degraded",
    )


def test_another_problem_replaces_the_first_with_its_own_time() -> None:
    first = invalid(rollout(), [PROBLEM], NOW).status

    same = invalid(rollout(status=first), [PROBLEM], LATER).status
    both = invalid(rollout(status=first), [PROBLEM, OTHER], LATER).status

    assert same == first
    assert find(both, "InvalidSpec") == said(
        "InvalidSpec", "True", "InvalidSpec", f"{MESSAGE}; spec.selector: Required value: a selector", since=LATER, updated=LATER
    )


def test_a_spec_that_becomes_valid_is_not_called_invalid_any_more() -> None:
    stored = invalid(rollout(status=report(facts()).status), [PROBLEM], NOW).status

    assert report(facts(stored=stored)).status == report(facts()).status


def test_while_invalid_an_abort_is_told_but_time_stands_still() -> None:
    duration = RolloutDuration(rollout_started_at=NOW)
    stored = midway(duration=duration, conditions=(progressing(),))

    answer = report(facts(stored=stored, draft=midway(abort=True), problems=(PROBLEM,), now=LATER))

    assert [(cond.type, cond.reason) for cond in answer.status.conditions] == [
        ("Progressing", "RolloutAborted"),
        ("InvalidSpec", "InvalidSpec"),
    ]
    assert answer.status.phase == "Degraded"
    assert answer.status.duration == duration
    assert answer.wake_at is None


def test_a_replica_set_that_cannot_be_created_is_a_warning() -> None:
    answer = not_created(
        rollout(status=draft(phase="Healthy", conditions=(progressing(), said("Healthy", "True", "RolloutHealthy"))), generation=4),
        "web-c",
        "quota exceeded",
        LATER,
    )

    message = 'Failed to create new replica set "web-c": quota exceeded'
    assert find(answer.status, "Progressing") == progressing("ReplicaSetCreateError", "False", message, since=LATER, updated=LATER)
    assert answer.status.observed_generation == "4"
    assert (answer.status.phase, answer.status.message) == ("Progressing", "more replicas need to be updated")
    assert find(answer.status, "Healthy").status == "False"
    assert answer.events == (Event(reason=Reason.REPLICA_SET_CREATE_ERROR, message=message, type=EventType.WARNING),)


def test_a_first_replica_set_that_cannot_be_created_leaves_the_rollout_progressing() -> None:
    answer = not_created(rollout(), "web-c", "quota exceeded", NOW)

    assert (answer.status.phase, answer.status.message) == ("Progressing", "more replicas need to be updated")


hashes = st.sampled_from(["", "a", "b"])
counters = st.integers(0, 6)
times = st.sampled_from([NOW - timedelta(seconds=900), NOW - timedelta(seconds=30), NOW])
pauses = st.lists(
    st.builds(PauseCondition, reason=st.sampled_from(["CanaryPauseStep", "InconclusiveAnalysisRun", "BlueGreenPause"]), start_time=times),
    max_size=2,
    unique_by=lambda pause: pause.reason,
).map(tuple)
progress_reasons = st.sampled_from(
    [
        "NewReplicaSetCreated",
        "FoundNewReplicaSet",
        "ReplicaSetUpdated",
        "ReplicaSetNotAvailable",
        "NewReplicaSetAvailable",
        "RolloutPaused",
        "RolloutResumed",
        "RolloutRetry",
        "RolloutAborted",
        "ProgressDeadlineExceeded",
        "ReplicaSetCreateError",
    ]
)
stored_conditions = st.tuples(
    st.builds(
        said,
        kind=st.just("Progressing"),
        status=st.sampled_from(["True", "False", "Unknown"]),
        reason=progress_reasons,
        updated=times,
        since=times,
    ),
    st.builds(said, kind=st.just("Healthy"), status=st.sampled_from(["True", "False"]), reason=st.just("RolloutHealthy")),
    st.builds(said, kind=st.just("Paused"), status=st.sampled_from(["True", "False"]), reason=st.just("RolloutPaused")),
    st.builds(said, kind=st.just("InvalidSpec"), status=st.just("True"), reason=st.just("InvalidSpec")),
    st.builds(said, kind=st.just("ReplicaFailure"), status=st.just("True"), reason=st.just("FailedCreate")),
).flatmap(lambda all_of_them: st.lists(st.sampled_from(all_of_them), unique=True).map(tuple))
durations = st.none() | st.builds(
    RolloutDuration,
    rollout_started_at=times,
    finished_at=st.none() | times,
    manual_pause_started_at=st.none() | times,
    total_manual_pause_duration_seconds=st.integers(0, 100),
    completion_status=st.sampled_from(["", "Promoted", "RolledBack", "Aborted"]),
)


def statuses(
    conditions: st.SearchStrategy[object], lasting: st.SearchStrategy[object], current: st.SearchStrategy[str]
) -> st.SearchStrategy[RolloutStatus]:
    return st.builds(
        RolloutStatus,
        abort=st.booleans(),
        available_replicas=counters,
        conditions=conditions,
        controller_pause=st.booleans(),
        current_pod_hash=current,
        current_step_hash=hashes,
        current_step_index=st.none() | st.integers(0, 3),
        duration=lasting,
        pause_conditions=pauses,
        ready_replicas=counters,
        replicas=counters,
        stable_rs=hashes,
        updated_replicas=counters,
    )


passes = st.builds(
    facts,
    stored=statuses(stored_conditions, durations, hashes),
    draft=statuses(st.just(()), st.none(), st.sampled_from(["a", "b"])),
    paused=st.booleans(),
    routed=st.booleans(),
    indefinite=st.booleans(),
    attempt_started=st.booleans(),
    completion=st.sampled_from(["", "Promoted", "RolledBack", "FastRolledBack", "Superseded"]),
    problems=st.sampled_from([(), (), (PROBLEM,)]),
)


@given(passes)
def test_a_second_pass_writes_nothing_and_tells_nothing(one: Facts) -> None:
    two = again(one)

    assert report(two).status == report(one).status
    assert report(two).events == ()


@given(passes, st.integers(0, 2000))
def test_nothing_changes_with_time_until_the_wake_up(one: Facts, seconds: int) -> None:
    first = report(one)
    later = NOW + timedelta(seconds=seconds)

    answer = report(again(one, now=later))

    if first.wake_at is None or later < first.wake_at:
        assert answer.status == first.status
    else:
        assert find(answer.status, "Progressing").reason == "ProgressDeadlineExceeded"
        assert answer.wake_at is None


@given(passes)
def test_clients_see_their_generation_and_a_phase_after_every_pass(one: Facts) -> None:
    status = report(one).status

    assert status.observed_generation == "3"
    assert (status.phase == "Healthy") == (status.message == "")
    assert status.phase in {"Healthy", "Degraded", "Progressing", "Paused"}


@given(passes)
def test_what_core_decided_stays_as_it_is(one: Facts) -> None:
    added = {"conditions", "phase", "message", "duration", "observed_generation", "aborted_at"}

    status = report(replace(one, now=LATER)).status

    for name in set(status.__struct_fields__) - added:
        assert getattr(status, name) == getattr(one.draft, name)
