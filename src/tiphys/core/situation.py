"""What do all questions about a canary share?"""

import math
from dataclasses import dataclass

from tiphys.api import defaults
from tiphys.api.rollout import CanaryStrategy, ReplicaProgressThreshold, Step
from tiphys.api.workloads import ReplicaSet
from tiphys.core.canary_gates import Analyses, judged, read_analyses
from tiphys.core.observed import Observed
from tiphys.core.position import Position, find_position, scale_in_force, stepped_weight
from tiphys.core.revisions import Revisions, find_revisions
from tiphys.core.routed_counts import canary_pods, floor_ha
from tiphys.core.slots import Slots, find_slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The picture with the first questions answered: who is who, where we are, what is routed now."""

    seen: Observed
    canary: CanaryStrategy
    revisions: Revisions
    position: Position
    analyses: Analyses
    slots: Slots | None
    replicas: int
    maximum: int

    @property
    def routed(self) -> bool:
        """Whether `trafficRouting` is present (even empty): then section 5 of the lifecycle reference sizes the ReplicaSets."""
        return self.canary.traffic_routing is not None

    @property
    def forward(self) -> bool:
        """Whether an update is on its way: neither aborted nor promoted nor before a first stable version."""
        position = self.position
        return not (position.promoted or position.fresh or position.aborted)


def situation(seen: Observed, canary: CanaryStrategy) -> Situation:
    """Answer the first questions of a canary pass."""
    revisions = find_revisions(seen)
    position = find_position(seen, canary, revisions)
    analyses = read_analyses(seen, canary, revisions, position)
    return Situation(
        seen=seen,
        canary=canary,
        revisions=revisions,
        position=judged(position, analyses, seen.now),
        analyses=analyses,
        slots=find_slots(seen, canary),
        replicas=defaults.replicas(seen.rollout.spec),
        maximum=defaults.max_traffic_weight(canary),
    )


def asked_weight(now: Situation) -> int:
    """
    Give the canary weight that the steps (and people) ask for (S0).

    Promoted, aborted, before a first stable version or without any pods nothing is asked for: stable rests at the maximum (S1).
    """
    if not now.forward or now.replicas == 0:
        return 0
    if now.position.promote_full:
        return now.maximum
    return stepped_weight(now.position.steps, now.position.index, maximum=now.maximum)


def explicit_scale(now: Situation) -> int | None:
    """Give the canary size (pods) that a `setCanaryScale` in force asks for, or nothing."""
    return _explicit_at(now, now.position.index)


def _explicit_at(now: Situation, index: int) -> int | None:
    if not now.routed or not now.forward or now.position.promote_full:
        return None
    scale = scale_in_force(now.position.steps, index)
    if scale is None:
        return None
    if scale.replicas is not None:
        return scale.replicas
    return _pods(now, scale.weight or 0)


def _pods(now: Situation, weight: int) -> int:
    pods = canary_pods(weight, now.replicas, now.maximum)
    return floor_ha(pods, replicas=now.replicas, minimum=now.canary.min_pods_per_replica_set)


def canary_size(now: Situation) -> int:
    """
    Give the pods that the replica rules want of the canary at this position, with traffic routing (lifecycle 5.1).

    A step that nothing holds up takes no pods away that the next one wants again (12.2 #3501).
    """
    wanted = _size_at(now, now.position.index)
    step, new = now.position.step, now.revisions.new
    if new is None or new.spec.replicas <= wanted or step is None or _holds_up(step):
        return wanted
    if not now.forward or now.position.promote_full or now.replicas == 0:
        return wanted
    return max(wanted, min(new.spec.replicas, _size_at(now, now.position.index + 1)))


def _size_at(now: Situation, index: int) -> int:
    explicit = _explicit_at(now, index)
    if explicit is not None:
        return explicit
    asks = now.forward and now.replicas and not now.position.promote_full
    return _pods(now, stepped_weight(now.position.steps, index, maximum=now.maximum) if asks else asked_weight(now))


def _holds_up(step: Step) -> bool:
    """Tell whether people, clocks or measurements decide when *step* is over."""
    return any(part is not None for part in (step.pause, step.experiment, step.analysis, step.plugin))


def available(replica_set: ReplicaSet | None) -> int:
    """Count the available pods that the wanted size will keep."""
    if replica_set is None:
        return 0
    return min(replica_set.status.available_replicas, replica_set.spec.replicas)


def enough(threshold: ReplicaProgressThreshold | None, *, wanted: int, have: int) -> bool:
    """Tell whether *have* available pods of *wanted* let the step go on (lifecycle 6.3)."""
    if threshold is None or threshold.value < 0:
        return have >= wanted
    if threshold.type == "Pods":
        return have >= threshold.value
    return wanted == 0 or have / wanted * 100 >= threshold.value - 1e-10


def needed_of(threshold: ReplicaProgressThreshold | None, wanted: int) -> int:
    """Give the smallest count of pods that is *enough* of *wanted*."""
    if threshold is None or threshold.value < 0:
        return wanted
    if threshold.type == "Pods":
        return min(threshold.value, wanted)
    return math.ceil(wanted * threshold.value / 100 - 1e-10)
