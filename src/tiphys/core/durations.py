"""How long does this attempt take, and how much of it did people wait? (Lifecycle reference 2.6.)"""

from datetime import datetime

from msgspec.structs import replace

from tiphys.api.status import RolloutDuration
from tiphys.api.words import ConditionType, PauseReason, Reason
from tiphys.core.facts import Facts

_ROLLED_BACK = frozenset({"RolledBack", "FastRolledBack"})
_INCONCLUSIVE = frozenset({PauseReason.INCONCLUSIVE_ANALYSIS, PauseReason.INCONCLUSIVE_EXPERIMENT})


def find_duration(facts: Facts, now: datetime) -> RolloutDuration | None:
    """Give the duration after this pass; nothing where no attempt was ever seen to start."""
    attempt = facts.stored.duration
    rolled_back = facts.completion in _ROLLED_BACK and attempt is not None
    if _starts(facts) and not rolled_back:
        attempt = RolloutDuration(rollout_started_at=now)
    if attempt is None:
        return None
    if attempt.finished_at is not None:
        return replace(attempt, completion_status=facts.completion) if rolled_back else attempt
    completion = _completion(facts, attempt)
    finished = facts.draft.abort or (facts.completed and _at_full_availability(facts))
    attempt = _waited(attempt, now, waits=_people_wait(facts) and not finished)
    if finished:
        ended = completion or ("Aborted" if facts.draft.abort else "Promoted")
        return replace(attempt, finished_at=now, completion_status=ended)
    return attempt if completion == attempt.completion_status else replace(attempt, completion_status=completion)


def attempts_ended(before: RolloutDuration | None, after: RolloutDuration | None) -> tuple[RolloutDuration, ...]:
    """Give the attempts that end as *after* is written over *before*: one that another replaces, and one that came to its own end."""
    ended: list[RolloutDuration] = []
    if after is None or after.rollout_started_at is None:
        return ()
    if before is not None and before.finished_at is None and before.rollout_started_at != after.rollout_started_at:
        replaced = _waited(before, after.rollout_started_at, waits=False)
        ended.append(replace(replaced, finished_at=after.rollout_started_at, completion_status="Superseded"))
    if after.finished_at is not None and (before is None or before.finished_at != after.finished_at):
        ended.append(after)
    return tuple(ended)


def _starts(facts: Facts) -> bool:
    """Tell whether an attempt begins: something changed, nothing was ever rolled out, or an abort was taken back."""
    if facts.completed and _at_full_availability(facts):
        return False
    return facts.attempt_started or not facts.stored.current_pod_hash or _retried(facts)


def _retried(facts: Facts) -> bool:
    if facts.draft.abort or facts.completed or facts.stored.abort:
        return False
    return any(cond.type == ConditionType.PROGRESSING and cond.reason == Reason.ROLLOUT_ABORTED for cond in facts.stored.conditions)


def _completion(facts: Facts, attempt: RolloutDuration) -> str:
    """Give how the attempt ends; what is on its way back stays a rollback unless that is aborted too."""
    if facts.draft.abort:
        return "Aborted"
    if attempt.completion_status in _ROLLED_BACK and facts.completion not in _ROLLED_BACK:
        return attempt.completion_status
    return attempt.completion_status if facts.completion in {"", "Superseded"} else facts.completion


def _at_full_availability(facts: Facts) -> bool:
    return facts.new is not None and facts.new.status.available_replicas >= facts.replicas


def _waited(attempt: RolloutDuration, now: datetime, *, waits: bool) -> RolloutDuration:
    """Start or end the clock of people's waiting."""
    since = attempt.manual_pause_started_at
    if waits:
        return attempt if since is not None else replace(attempt, manual_pause_started_at=now)
    if since is None:
        return attempt
    total = attempt.total_manual_pause_duration_seconds + max(0, int((now - since).total_seconds()))
    return replace(attempt, manual_pause_started_at=None, total_manual_pause_duration_seconds=total)


def _people_wait(facts: Facts) -> bool:
    """Tell whether only a person can end the pause."""
    if facts.rollout.spec.paused:
        return True
    for pause in facts.draft.pause_conditions:
        if pause.reason in _INCONCLUSIVE:
            return True
        if pause.reason == PauseReason.CANARY_PAUSE_STEP and _endless_step(facts):
            return True
        if (
            pause.reason == PauseReason.BLUE_GREEN_PAUSE
            and facts.blue_green is not None
            and facts.blue_green.auto_promotion_enabled is False
        ):
            return True
    return False


def _endless_step(facts: Facts) -> bool:
    canary, index = facts.rollout.spec.strategy.canary, facts.draft.current_step_index
    if canary is None or index is None or not 0 <= index < len(canary.steps):
        return False
    pause = canary.steps[index].pause
    return pause is not None and pause.duration is None
