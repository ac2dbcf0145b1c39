"""How is a Rollout, as every view shows it?"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from tiphys.api.rollout import Rollout
from tiphys.api.words import Phase
from tiphys.core.facts import Facts
from tiphys.core.phase import find_phase
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
    canary = rollout.spec.strategy.canary
    facts = Facts(
        # No rule about the phase looks at the time.
        now=rollout.metadata.creation_timestamp or datetime.fromtimestamp(0, UTC),
        rollout=rollout,
        draft=rollout.status,
        new=None,
        revision=0,
        replica_sets=(),
        routed=canary is not None and canary.traffic_routing is not None,
        indefinite=False,
    )
    phase, message = find_phase(facts, rollout.status.conditions)
    return Standing(phase, message)
