"""What do people and programs get to read about a pass? (Lifecycle reference 2.2 to 2.7 and 10.1.)"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from tiphys.api import words
from tiphys.api.errors import SpecError
from tiphys.api.meta import whole_seconds
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus
from tiphys.api.validation import invalid_message
from tiphys.api.words import ConditionType, EventType, Phase, Reason
from tiphys.core.actions import Event
from tiphys.core.conditions import (
    Conditions,
    holds,
    progress_reason,
    read_conditions,
    with_availability,
    with_completion,
    with_condition,
    with_health,
    with_invalid_spec,
    with_pause,
    with_replica_failure,
    without_deadline,
    without_health,
    without_invalid_spec,
)
from tiphys.core.deadline import timed_out, wake_up, with_deadline, with_progress
from tiphys.core.durations import find_duration
from tiphys.core.facts import Facts
from tiphys.core.phase import MORE_TO_UPDATE, find_phase, find_trouble

__all__ = ["Facts", "Report", "invalid", "not_created", "report", "timed_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The complete new status, what to tell once it is written, and when the deadline wants another look."""

    status: RolloutStatus
    events: tuple[Event, ...] = ()
    wake_at: datetime | None = None


def report(facts: Facts) -> Report:
    """
    Complete the draft with conditions, phase, message, duration and generation.

    A pass that found nothing new gives the stored status back, equal in every field.
    """
    now = whole_seconds(facts.now)
    draft, stored = facts.draft, facts.stored
    before = read_conditions(stored)
    after = _conditions(before, facts, now)
    conditions = stored.conditions if after is before else tuple(after.values())
    phase, message = find_phase(facts, conditions)
    status = replace(
        draft,
        aborted_at=(draft.aborted_at or stored.aborted_at or now) if draft.abort else None,
        conditions=conditions,
        duration=stored.duration if facts.problems else find_duration(facts, now),
        message=message,
        observed_generation=str(facts.rollout.metadata.generation),
        phase=phase.value,
    )
    if replace(status, conditions=stored.conditions) == stored and without_deadline(after) == without_deadline(before):
        status = stored  # when an update times out waits for a write with more to say (S10; decision 0028)
    return Report(status=status, events=_events(facts, before, after), wake_at=None if facts.problems else wake_up(facts, after))


def invalid(rollout: Rollout, problems: Sequence[SpecError], now: datetime) -> Report:
    """Say, by an event too where that is news, that the spec or an object it names is invalid; all else stays as it was (1.9)."""
    stored = rollout.status
    message = invalid_message(rollout.metadata.name, problems)
    before = read_conditions(stored)
    known = before.get(ConditionType.INVALID_SPEC)
    conditions = tuple(with_invalid_spec(before, message, whole_seconds(now)).values())
    news = known is None or known.message != message
    status = replace(
        stored,
        conditions=conditions,
        message=find_trouble(conditions),
        observed_generation=str(rollout.metadata.generation),
        phase=Phase.DEGRADED.value,
    )
    event = Event(reason=Reason.INVALID_SPEC, message=message, type=EventType.WARNING)
    return Report(status=status, events=(event,) if news else ())


def not_created(rollout: Rollout, name: str, error: str, now: datetime) -> Report:
    """
    Say that the ReplicaSet *name* could not be created (3.5); this alone degrades nothing.

    The reference goes on to call what it was before the edit Healthy, and whoever waits for the update would think that it is done.
    """
    stored = rollout.status
    message = words.create_failed(name, error)
    at = whole_seconds(now)
    after = with_condition(
        without_health(without_deadline(read_conditions(stored)), at),
        ConditionType.PROGRESSING,
        status="False",
        reason=Reason.REPLICA_SET_CREATE_ERROR,
        message=message,
        now=at,
    )
    conditions = tuple(after.values())
    trouble = find_trouble(conditions)
    waits = stored.phase in {"", Phase.DEGRADED, Phase.HEALTHY}
    status = replace(
        stored,
        conditions=conditions,
        message=trouble or (MORE_TO_UPDATE if waits else stored.message),
        observed_generation=str(rollout.metadata.generation),
        phase=Phase.DEGRADED.value if trouble else Phase.PROGRESSING.value if waits else stored.phase,
    )
    event = Event(reason=Reason.REPLICA_SET_CREATE_ERROR, message=message, type=EventType.WARNING)
    return Report(status=status, events=(event,))


def _conditions(before: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Give the conditions after this pass, in the reference's order of writing (2.3.8)."""
    if facts.problems:
        after = _with_abort(before, facts, now) if facts.draft.abort else before
        return with_invalid_spec(after, invalid_message(facts.rollout.metadata.name, facts.problems), now)
    after = with_health(without_invalid_spec(before), facts, now)
    if facts.draft.abort:
        after = _with_abort(after, facts, now)
    else:
        turned_ill = holds(before, ConditionType.HEALTHY) and not holds(after, ConditionType.HEALTHY)
        after = with_progress(after, facts, now, turned_ill=turned_ill)
    after = with_pause(after, facts, now)
    after = with_availability(after, facts, now)
    after = with_replica_failure(after, facts, now)
    return with_deadline(with_completion(after, facts, now), facts, now)


def _with_abort(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Say once that the update was aborted, and why if the controller did it (2.3.9)."""
    message = words.aborted(facts.revision, facts.abort_cause)
    return with_condition(conditions, ConditionType.PROGRESSING, status="False", reason=Reason.ROLLOUT_ABORTED, message=message, now=now)


def _events(facts: Facts, before: Conditions, after: Conditions) -> tuple[Event, ...]:
    """Tell what became different, each thing once."""
    events: list[Event] = []
    draft, stored = facts.draft, facts.stored
    completed = after.get(ConditionType.COMPLETED)
    was_completed = before.get(ConditionType.COMPLETED)
    if completed is not None and completed.status == "False" and (was_completed is None or was_completed.status != "False"):
        events.append(Event(reason=Reason.ROLLOUT_NOT_COMPLETED, message=words.not_completed(facts.revision, draft.current_pod_hash)))
    if progress_reason(after) == Reason.ROLLOUT_ABORTED != progress_reason(before):
        message = after[ConditionType.PROGRESSING].message
        events.append(Event(reason=Reason.ROLLOUT_ABORTED, message=message, type=EventType.WARNING))
    known = {pause.reason for pause in stored.pause_conditions}
    events.extend(
        Event(reason=Reason.ROLLOUT_PAUSED, message=words.paused_event(pause.reason))
        for pause in draft.pause_conditions
        if pause.reason not in known
    )
    if _owner_pauses(facts, before, after):
        events.append(Event(reason=Reason.ROLLOUT_PAUSED, message=words.PAUSED_BY_OWNER))
    if stored.controller_pause and not draft.controller_pause and not draft.abort:
        events.append(Event(reason=Reason.ROLLOUT_RESUMED, message=words.RESUMED_MESSAGE))
    return tuple(events)


def _owner_pauses(facts: Facts, before: Conditions, after: Conditions) -> bool:
    """Tell whether the owner's pause (`spec.paused`) begins, where no pause of the controller tells it (12.6)."""
    begins = holds(after, ConditionType.PAUSED) and not holds(before, ConditionType.PAUSED)
    return begins and facts.rollout.spec.paused and not facts.draft.pause_conditions
