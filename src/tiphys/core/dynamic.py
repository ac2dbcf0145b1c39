"""How small may stable be, and how does weight come back to it? (`dynamicStableScale`: lifecycle 5.1, 5.3, 5.5; traffic-routing 1.7.)"""

from datetime import datetime

from tiphys.api import defaults
from tiphys.api.meta import later
from tiphys.api.words import ConditionType, Reason
from tiphys.core.revisions import hash_of
from tiphys.core.routed_counts import canary_pods, floor_ha, stable_share
from tiphys.core.situation import Situation, asked_weight, available, explicit_scale
from tiphys.core.slots import Slots


def stable_size(now: Situation, slots: Slots | None, *, granted: int) -> int:
    """
    Give the pods that stable should have: all of them, or with `dynamicStableScale` those that its weight needs.

    Weights decide and nothing else: an explicit count of canary pods keeps stable whole (5.1, #2749), and so does an update whose
    canary is not behind its backend yet, because everything comes back to stable first.
    """
    if not is_dynamic(now) or slots is None:
        return now.replicas
    if now.position.aborted:
        target = stepped_back(now, slots)
    elif not now.forward or explicit_pods(now) or slots.canary.holds != now.revisions.pod_hash:
        target = 0
    else:
        target = min(asked_weight(now), max(granted, slots.canary.carries))
    pods = canary_pods(now.maximum - target, now.replicas, now.maximum)
    return floor_ha(pods, replicas=now.replicas, minimum=now.canary.min_pods_per_replica_set)


def is_dynamic(now: Situation) -> bool:
    """Tell whether stable follows the weight: the spec says so, and there is a stable version to shrink."""
    return now.canary.dynamic_stable_scale and now.routed and not now.position.fresh


def explicit_pods(now: Situation) -> bool:
    """Whether a `setCanaryScale` with a count of pods is in force."""
    return explicit_scale(now) is not None


def stepped_back(now: Situation, slots: Slots) -> int:
    """
    Give the weight that the way back aims at next: the highest step that needs fewer pods than stable lacks (lifecycle 5.5).

    Aborted without a delay, the canary's own pods count too, so that it shrinks with its weight; with a delay it keeps them all.
    """
    lacking = now.replicas - available(now.revisions.stable)
    delay = now.canary.abort_scale_down_delay_seconds
    if now.position.aborted and not delay:
        held = next((rs for rs in now.revisions.all if hash_of(rs) == slots.canary.holds), now.revisions.new)
        lacking = max(lacking, available(held))
    weights = [step.set_weight for step in now.position.steps if step.set_weight is not None]
    return next((weight for weight in reversed(weights) if canary_pods(weight, now.replicas, now.maximum) < lacking), 0)


def kept_on_the_way_back(now: Situation, slots: Slots, *, asked: int) -> int:
    """
    Give the weight that the canary keeps while stable cannot carry the rest yet; never less than *asked*.

    It falls step by step as stable grows (traffic-routing 1.7), and all at once when stable has not grown for the progress deadline (S2).
    """
    present, maximum = slots.canary.carries, now.maximum
    have = available(now.revisions.stable)
    if now.replicas == 0 or have >= now.replicas or given_up(now):
        return asked
    if now.forward and slots.canary.holds == now.revisions.pod_hash:
        return asked if have >= stable_share(asked, now.replicas, maximum) else present
    capacity = maximum * have // now.replicas
    target = max(asked, stepped_back(now, slots))
    if target <= 0:
        return min(maximum - capacity, present)
    return present if capacity < maximum - target else min(target, present)


def given_up(now: Situation) -> bool:
    """Whether stable had its time to grow: `progressDeadlineSeconds` since the abort, or the deadline that was exceeded."""
    status = now.seen.rollout.status
    if now.position.aborted:
        until = give_up_at(now)
        return until is not None and now.seen.now >= until
    return any(c.type == ConditionType.PROGRESSING and c.reason == Reason.PROGRESS_DEADLINE_EXCEEDED for c in status.conditions)


def give_up_at(now: Situation) -> datetime | None:
    """Give the time at which an aborted canary loses what weight it still has, if it is aborted."""
    since = now.seen.rollout.status.aborted_at
    if not now.position.aborted or since is None:
        return None
    return later(since, defaults.progress_deadline_seconds(now.seen.rollout.spec))
