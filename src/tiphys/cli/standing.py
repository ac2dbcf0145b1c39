"""How is a Rollout, as every view shows it?"""

from typing import Final, NamedTuple

from tiphys.api.rollout import Rollout
from tiphys.api.words import ConditionType, Phase, Reason
from tiphys.core.position import stepped_weight

NOT_OBSERVED: Final = "waiting for rollout spec update to be observed"
NOT_UNPAUSED: Final = "waiting for rollout to unpause"


class Standing(NamedTuple):
    """Status and message."""

    phase: str
    message: str

    @property
    def ends_watch(self) -> bool:
        """Whether waiting for a change is over."""
        return self.phase in {Phase.HEALTHY, Phase.DEGRADED}

    def __str__(self) -> str:
        return f"{self.phase} - {self.message}" if self.message else self.phase


def standing(rollout: Rollout) -> Standing:
    """Tell how *rollout* is (user interfaces 1.5); without a phase in its status, as the controller would compute it."""
    status = rollout.status
    if not _observed(rollout):
        return Standing(Phase.PROGRESSING, NOT_OBSERVED)
    if status.controller_pause and not status.pause_conditions:
        return Standing(Phase.PROGRESSING, NOT_UNPAUSED)
    if status.phase:
        return Standing(status.phase, status.message)
    return _computed(rollout)


def desired(rollout: Rollout) -> int:
    """Give the wanted pods."""
    return 1 if rollout.spec.replicas is None else rollout.spec.replicas


def strategy(rollout: Rollout) -> str:
    """Name the strategy."""
    if rollout.spec.strategy.canary is not None:
        return "Canary"
    return "BlueGreen" if rollout.spec.strategy.blue_green is not None else "unknown"


def step_text(rollout: Rollout) -> str:
    """Give `i/n`, or nothing for a Rollout without steps."""
    canary = rollout.spec.strategy.canary
    if canary is None or not canary.steps:
        return ""
    return f"{rollout.status.current_step_index or 0}/{len(canary.steps)}"


def current_step(rollout: Rollout) -> int | None:
    """Give the index of the step at which a canary is, or nothing where no step counts any more."""
    canary = rollout.spec.strategy.canary
    index = rollout.status.current_step_index or 0
    return index if canary is not None and index < len(canary.steps) else None


def maximum_weight(rollout: Rollout) -> int:
    """Give the weight that means everything."""
    canary = rollout.spec.strategy.canary
    routing = None if canary is None else canary.traffic_routing
    return 100 if routing is None or routing.max_traffic_weight is None else routing.max_traffic_weight


def set_weight(rollout: Rollout) -> int:
    """Give the weight that the steps want now (lifecycle 4.1)."""
    canary, status = rollout.spec.strategy.canary, rollout.status
    maximum = maximum_weight(rollout)
    promoted = bool(status.stable_rs) and status.stable_rs == status.current_pod_hash
    if canary is None or status.promote_full or not status.stable_rs or promoted:
        return maximum
    if status.abort:
        return 0
    return stepped_weight(canary.steps, status.current_step_index or 0, maximum=maximum)


def _observed(rollout: Rollout) -> bool:
    text = rollout.status.observed_generation
    return not text.isdecimal() or int(text) >= rollout.metadata.generation


def _computed(rollout: Rollout) -> Standing:
    status, spec = rollout.status, rollout.spec
    for condition in status.conditions:
        if condition.type == ConditionType.INVALID_SPEC:
            return Standing(Phase.DEGRADED, f"{ConditionType.INVALID_SPEC}: {condition.message}")
        if condition.reason in {Reason.ROLLOUT_ABORTED, Reason.PROGRESS_DEADLINE_EXCEEDED}:
            return Standing(Phase.DEGRADED, f"{condition.reason}: {condition.message}")
    if spec.paused:
        return Standing(Phase.PAUSED, "manually paused")
    if status.pause_conditions:
        return Standing(Phase.PAUSED, status.pause_conditions[0].reason)
    waits_for = _unfinished(rollout)
    return Standing(Phase.PROGRESSING, waits_for) if waits_for else Standing(Phase.HEALTHY, "")


def _unfinished(rollout: Rollout) -> str:
    """Say what is missing (lifecycle 2.4, rules 4 to 11), or nothing."""
    status, spec = rollout.status, rollout.spec
    promoted = bool(status.current_pod_hash) and status.stable_rs == status.current_pod_hash
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if spec.restart_at is not None and spec.restart_at != status.restarted_at:
        return "rollout is restarting"
    if status.updated_replicas < desired(rollout):
        return "more replicas need to be updated"
    if status.available_replicas < status.updated_replicas:
        return "updated replicas are still becoming available"
    if blue_green is not None and status.blue_green.active_selector != status.current_pod_hash:
        return "active service cutover pending"
    if blue_green is not None and not promoted:
        return (
            "waiting for analysis to complete"
            if blue_green.post_promotion_analysis is not None
            else "waiting for post-promotion verification to complete"
        )
    if canary is not None and canary.traffic_routing is None and status.replicas > status.updated_replicas:
        return "old replicas are pending termination"
    if canary is not None and not promoted:
        return "waiting for all steps to complete"
    return ""
