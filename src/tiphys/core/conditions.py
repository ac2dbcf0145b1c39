"""Which standing statements does a Rollout make? (Lifecycle reference 2.2 and 2.3.)"""

from collections.abc import Mapping
from datetime import datetime

from tiphys.api import names, words
from tiphys.api.status import Condition, RolloutStatus
from tiphys.api.words import ConditionType, Reason
from tiphys.api.workloads import ReplicaSet, WorkloadCondition
from tiphys.core.facts import Facts

Conditions = Mapping[str, Condition]
"""Conditions by type, in the order they are stored."""


def read_conditions(status: RolloutStatus) -> Conditions:
    """Give the stored conditions by type."""
    return {cond.type: cond for cond in status.conditions}


def without_invalid_spec(conditions: Conditions) -> Conditions:
    """Forget what an earlier spec had wrong."""
    return _without(conditions, ConditionType.INVALID_SPEC)


def without_deadline(conditions: Conditions) -> Conditions:
    """Forget when the update would have timed out."""
    return _without(conditions, ConditionType.PROGRESS_DEADLINE)


def holds(conditions: Conditions, kind: ConditionType) -> bool:
    """Tell whether the condition exists and is True."""
    found = conditions.get(kind)
    return found is not None and found.status == "True"


def progress_reason(conditions: Conditions) -> str:
    """Give the reason of the Progressing condition, or the empty text."""
    found = conditions.get(ConditionType.PROGRESSING)
    return "" if found is None else found.reason


def with_condition(
    conditions: Conditions, kind: str, *, status: str, reason: str, message: str, now: datetime, rewrite: bool = False
) -> Conditions:
    """
    Say something, at the end of the list (2.3.1).

    What has this status and reason already stays as it is, message and times too, unless *rewrite* asks for a fresh update time.
    The transition time stays while the status does.
    """
    old = conditions.get(kind)
    if old is not None and old.status == status and old.reason == reason and not rewrite:
        return conditions
    since = old.last_transition_time if old is not None and old.status == status else now
    said = Condition(type=kind, status=status, reason=reason, message=message, last_update_time=now, last_transition_time=since)
    return {**_without(conditions, kind), kind: said}


def is_healthy(facts: Facts) -> bool:
    """
    Tell whether everything is at rest at its goal (2.3.4).

    The reference also asks that an earlier pass has seen this generation. A pass here judges the spec it has just read, so that
    would only make the Healthy condition flicker at every edit.
    """
    if facts.unverified and not facts.completed:
        return False
    draft, enough = facts.draft, range(facts.replicas, facts.replicas + facts.spare + 1)
    if draft.updated_replicas not in enough or draft.available_replicas not in enough:
        return False
    blue_green = facts.blue_green
    if blue_green is not None:
        shown = draft.blue_green
        preview_right = not blue_green.preview_service or shown.preview_selector == draft.current_pod_hash
        return shown.active_selector == draft.current_pod_hash and preview_right
    canary = facts.rollout.spec.strategy.canary
    steps = 0 if canary is None else len(canary.steps)
    return facts.completed and draft.replicas in enough and (draft.current_step_index or 0) >= steps


def with_health(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Say Healthy, and not healthy only where that has been said before."""
    if is_healthy(facts) and not facts.paused:
        return _with(conditions, ConditionType.HEALTHY, Reason.ROLLOUT_HEALTHY, words.HEALTHY_MESSAGE, now, true=True)
    return without_health(conditions, now)


def without_health(conditions: Conditions, now: datetime) -> Conditions:
    """Say that it is not healthy, where that it is has been said before."""
    if ConditionType.HEALTHY not in conditions:
        return conditions
    return _with(conditions, ConditionType.HEALTHY, Reason.ROLLOUT_HEALTHY, words.NOT_HEALTHY_MESSAGE, now, true=False)


def with_availability(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Say whether enough pods are available (2.3.2)."""
    enough = _available(facts)
    message = words.MINIMUM_AVAILABILITY if enough else words.NO_MINIMUM_AVAILABILITY
    return _with(conditions, ConditionType.AVAILABLE, Reason.AVAILABLE, message, now, true=enough)


def with_replica_failure(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Pass on what a ReplicaSet says it cannot do, the new one first (2.3.7)."""
    failure = _replica_failure(facts)
    if failure is None:
        return _without(conditions, ConditionType.REPLICA_FAILURE)
    return with_condition(
        conditions, ConditionType.REPLICA_FAILURE, status=failure.status, reason=failure.reason, message=failure.message, now=now
    )


def with_completion(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Say whether the current template is stable (2.3.3)."""
    return _with(conditions, ConditionType.COMPLETED, Reason.ROLLOUT_COMPLETED, words.COMPLETED_MESSAGE, now, true=facts.completed)


def with_pause(conditions: Conditions, facts: Facts, now: datetime) -> Conditions:
    """Say whether the Rollout is paused, once it was; an abort leaves that as it stands (2.3.6)."""
    if progress_reason(conditions) == Reason.ROLLOUT_ABORTED or facts.paused == holds(conditions, ConditionType.PAUSED):
        return conditions
    return _with(conditions, ConditionType.PAUSED, Reason.ROLLOUT_PAUSED, words.PAUSED_MESSAGE, now, true=facts.paused)


def with_invalid_spec(conditions: Conditions, message: str, now: datetime) -> Conditions:
    """Say what is wrong; another message is another statement, with its own transition time (1.9)."""
    old = conditions.get(ConditionType.INVALID_SPEC)
    if old is not None and old.message == message:
        return conditions
    others = _without(without_deadline(conditions), ConditionType.INVALID_SPEC)
    return with_condition(others, ConditionType.INVALID_SPEC, status="True", reason=Reason.INVALID_SPEC, message=message, now=now)


def _without(conditions: Conditions, kind: str) -> Conditions:
    if kind not in conditions:
        return conditions
    return {key: value for key, value in conditions.items() if key != kind}


def _with(conditions: Conditions, kind: ConditionType, reason: Reason, message: str, now: datetime, *, true: bool) -> Conditions:
    return with_condition(conditions, kind, status="True" if true else "False", reason=reason, message=message, now=now)


def _available(facts: Facts) -> bool:
    if facts.blue_green is None:
        return facts.draft.available_replicas >= facts.replicas
    active = facts.draft.blue_green.active_selector
    return any(active and names.pod_hash(one.metadata.labels) == active and _saturated(one, facts.replicas) for one in facts.replica_sets)


def _saturated(one: ReplicaSet, replicas: int) -> bool:
    sized_for = names.desired_replicas(one.metadata.annotations)
    return one.spec.replicas == replicas and sized_for == replicas and one.status.available_replicas == replicas


def _replica_failure(facts: Facts) -> WorkloadCondition | None:
    for one in (facts.new, *facts.replica_sets):
        if one is None:
            continue
        for cond in one.status.conditions:
            if cond.type == ConditionType.REPLICA_FAILURE:
                return cond
    return None
