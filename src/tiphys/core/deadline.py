"""Does the update move, and how long may it stand still? (Lifecycle reference 2.3.5, 2.3.6 and 8.2.)"""

from datetime import datetime, timedelta

from tiphys.api import defaults, words
from tiphys.api.meta import later, whole_seconds
from tiphys.api.words import ConditionType, Reason
from tiphys.core.conditions import Conditions, holds, is_healthy, progress_reason, read_conditions, with_condition, without_deadline
from tiphys.core.facts import Facts

_STANDS_STILL = frozenset({Reason.ROLLOUT_ABORTED, Reason.ROLLOUT_PAUSED})


def timed_out(facts: Facts) -> bool:
    """Tell whether the update has stood still for too long; to be asked before the draft says whether it is aborted."""
    return _timed_out(facts, read_conditions(facts.stored))


def wake_up(facts: Facts, conditions: Conditions) -> datetime | None:
    """Give the time at which an update that stands still from now on, as *conditions* say, has timed out."""
    found = conditions.get(ConditionType.PROGRESSING)
    if found is None or found.last_update_time is None or found.reason == Reason.PROGRESS_DEADLINE_EXCEEDED:
        return None
    if found.reason in _STANDS_STILL or _no_deadline(facts) or is_healthy(facts):
        return None
    return later(found.last_update_time, _allowed(facts).total_seconds() + 1)


def with_deadline(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """
    Say when the update has timed out if nothing moves; nothing where no deadline runs (12.5 #1593).

    A condition of our own: it is valid in every version of the CRD, and the messages that clients know stay as they are.
    """
    found = conditions.get(ConditionType.PROGRESSING)
    if wake_up(facts, conditions) is None or found is None or found.last_update_time is None:
        return without_deadline(conditions)
    kind, message = ConditionType.PROGRESS_DEADLINE, words.times_out(later(found.last_update_time, _allowed(facts).total_seconds()))
    known = conditions.get(kind)
    news = known is None or known.message != message
    return with_condition(conditions, kind, status="True", reason=Reason.DEADLINE_RUNS, message=message, now=now, rewrite=news)


def with_progress(conditions: Conditions, facts: Facts, now: datetime, *, turned_ill: bool) -> Conditions:
    """
    Say how the update goes, unless the Rollout is aborted.

    *turned_ill* says that Healthy became False in this pass. The reference tells pause, resume and retry in a write of their own
    before the pass: those that a person caused are told first here, those that follow from this pass last.
    """
    kind, name = facts.subject
    if facts.created:
        message = words.created_replica_set(facts.created)
        return _said(conditions, "True", Reason.NEW_REPLICA_SET_CREATED, message, now, rewrite=True)
    if facts.paused and not facts.completed:
        return _said(conditions, "Unknown", Reason.ROLLOUT_PAUSED, words.PAUSED_MESSAGE, now)
    if is_healthy(facts):
        arrived = facts.draft.current_pod_hash != facts.stored.current_pod_hash
        return _said(conditions, "True", Reason.NEW_REPLICA_SET_AVAILABLE, words.progressed(name), now, rewrite=arrived)
    if facts.found and ConditionType.PROGRESSING not in conditions:
        return _said(conditions, "True", Reason.FOUND_NEW_REPLICA_SET, words.found_replica_set(name), now)
    stored = facts.stored
    resumed = _resumed(conditions, facts, paused=facts.rollout.spec.paused or bool(stored.pause_conditions), aborted=stored.abort, now=now)
    if resumed is not None:
        return resumed
    if turned_ill and facts.completed:
        return _said(conditions, "True", Reason.REPLICA_SET_NOT_AVAILABLE, words.NO_MINIMUM_AVAILABILITY, now, rewrite=True)
    if turned_ill or _progressed(facts):
        return _said(conditions, "True", Reason.REPLICA_SET_UPDATED, words.progressing(kind, name), now, rewrite=True)
    resumed = _resumed(conditions, facts, paused=facts.paused, aborted=False, now=now)
    if resumed is not None:
        return resumed
    if _timed_out(facts, conditions):
        return _said(conditions, "False", Reason.PROGRESS_DEADLINE_EXCEEDED, words.timed_out(kind, name, unverified=facts.unverified), now)
    return conditions


def _resumed(conditions: Conditions, facts: Facts, *, paused: bool, aborted: bool, now: datetime) -> Conditions | None:
    """Say that a pause or an abort is over, if the conditions still speak of one."""
    reason = progress_reason(conditions)
    if reason == Reason.ROLLOUT_ABORTED and not aborted:
        return _said(conditions, "Unknown", Reason.ROLLOUT_RETRY, words.RETRY_MESSAGE, now)
    if reason == Reason.ROLLOUT_PAUSED and not paused and not facts.completed:
        return _said(conditions, "Unknown", Reason.ROLLOUT_RESUMED, words.RESUMED_MESSAGE, now)
    return None


def _progressed(facts: Facts) -> bool:
    """Tell whether this pass found, or made, any move (2.3.5)."""
    old, new = facts.stored, facts.draft
    if new.updated_replicas != old.updated_replicas:
        return True
    if new.replicas - new.updated_replicas < old.replicas - old.updated_replicas:
        return True
    if new.ready_replicas > old.ready_replicas or new.available_replicas > old.available_replicas:
        return True
    if facts.blue_green is not None:
        before, after = old.blue_green, new.blue_green
        return after.active_selector != before.active_selector or after.preview_selector != before.preview_selector
    if new.stable_rs != old.stable_rs or new.current_step_hash != old.current_step_hash:
        return True
    indexes = {old.current_step_index, new.current_step_index}
    return len(indexes) == 2 and None not in indexes


def _timed_out(facts: Facts, conditions: Conditions) -> bool:
    found = conditions.get(ConditionType.PROGRESSING)
    if found is None or found.reason in _STANDS_STILL or _no_deadline(facts):
        return False
    if is_healthy(facts) or _progressed(facts) or holds(conditions, ConditionType.HEALTHY):
        return False
    if found.reason == Reason.PROGRESS_DEADLINE_EXCEEDED:
        return True
    return found.last_update_time is not None and later(found.last_update_time, _allowed(facts).total_seconds()) < whole_seconds(facts.now)


def _no_deadline(facts: Facts) -> bool:
    return facts.draft.abort or facts.paused or facts.indefinite or facts.old_ones_wait


def _allowed(facts: Facts) -> timedelta:
    return timedelta(seconds=defaults.progress_deadline_seconds(facts.rollout.spec))


def _said(conditions: Conditions, status: str, reason: Reason, message: str, now: datetime, *, rewrite: bool = False) -> Conditions:
    return with_condition(conditions, ConditionType.PROGRESSING, status=status, reason=reason, message=message, now=now, rewrite=rewrite)
