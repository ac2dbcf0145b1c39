"""How much may the canary get now, and what is missing for the rest?"""

from dataclasses import dataclass, replace

from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Because, Why
from tiphys.core.dynamic import give_up_at, is_dynamic, kept_on_the_way_back
from tiphys.core.intent import Role
from tiphys.core.revisions import hash_of
from tiphys.core.routed_counts import stable_share
from tiphys.core.situation import Situation, asked_weight, available, canary_size, needed_of
from tiphys.core.slots import Slots, anybody_behind, ready_behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The canary weight given now, and why it is not the one asked for."""

    weight: int
    because: Because | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """
    Ready endpoints behind both backends.

    *stable* counts pods of the stable version behind the stable backend; *canary* those of whatever ReplicaSet the canary
    backend selects; *ours* tells that this is the new version's: on the way forward it has to say so by its hash, because a backend
    that names no hash selects everybody's pods.
    """

    stable: int
    canary: int
    ours: bool


def look_behind(now: Situation, slots: Slots) -> Behind:
    """Count who answers behind the backends."""
    held = next((rs for rs in now.revisions.all if hash_of(rs) == slots.canary.holds), None)
    backing = held if slots.canary.holds else now.revisions.new
    stable = now.revisions.stable if now.revisions.stable is not None or not now.position.fresh else now.revisions.new
    return Behind(
        stable=ready_behind(now.seen, slots.stable, stable),
        canary=ready_behind(now.seen, slots.canary, backing),
        ours=backing is not None and backing is now.revisions.new and not (now.forward and slots.canary.holds == ""),
    )


def grant_weight(now: Situation, slots: Slots, behind: Behind) -> Grant:
    """
    Decide how much the canary gets, the safest case first (S0, S1, S2, S4).

    What lowers the weight needs one ready stable endpoint and nothing else; what raises it needs everything.
    """
    present = slots.canary.carries
    if behind.canary == 0 and behind.stable == 0:
        return _nobody(now, slots)
    if now.position.promoted and behind.ours:
        return _hand_over(now, slots, behind)
    asked = asked_weight(now) if behind.ours and canary_size(now) > 0 else 0
    if behind.canary == 0:
        return Grant(weight=0, because=_lost(now, slots) if asked_weight(now) else None)
    if asked < present and behind.stable == 0:
        return Grant(weight=present, because=_because(Why.STABLE_NOT_READY, _stable_name(now), "one ready endpoint", "none"))
    if asked > present:
        return _raise(now, behind, asked=asked, present=present)
    if asked < present and is_dynamic(now):
        return _lower(now, slots, asked=asked)
    return Grant(weight=asked, because=_lost(now, slots) if asked_weight(now) and not behind.ours else None)


def _raise(now: Situation, behind: Behind, *, asked: int, present: int) -> Grant:
    """Give more only to a canary that can carry it, while stable can carry the rest (S2 forward)."""
    new = now.revisions.new
    wanted = canary_size(now)
    need = needed_of(now.canary.replica_progress_threshold, wanted)
    have = min(available(new), behind.canary)
    if is_dynamic(now) and now.position.promote_full:
        asked = max(present, min(now.maximum, now.maximum * have // now.replicas))
    elif have < need:
        found = f"{available(new)} available, {behind.canary} ready endpoints"
        return Grant(weight=present, because=_because(Why.CANARY_NOT_READY, _name(new, now), f"{need} of {wanted} pods", found))
    rest = stable_share(asked, now.replicas, now.maximum)
    if available(now.revisions.stable) < rest or (rest > 0 and behind.stable == 0):
        found = f"{available(now.revisions.stable)} available, {behind.stable} ready endpoints"
        return Grant(weight=present, because=_because(Why.STABLE_NOT_READY, _stable_name(now), f"{rest} available pods", found))
    return Grant(weight=asked)


def _lower(now: Situation, slots: Slots, *, asked: int) -> Grant:
    """Take weight back as stable, which follows the weight, grows (traffic-routing 1.7)."""
    weight = kept_on_the_way_back(now, slots, asked=asked)
    if weight == asked:
        return Grant(weight=asked)
    need = stable_share(asked, now.replicas, now.maximum)
    because = _because(Why.STABLE_NOT_READY, _stable_name(now), f"{need} available pods", str(available(now.revisions.stable)))
    return Grant(weight=weight, because=replace(because, look_at=give_up_at(now)))


def _hand_over(now: Situation, slots: Slots, behind: Behind) -> Grant:
    """
    Move a promoted version from the canary backend to the stable one: same pods, other name (S4).

    The stable backend has to select the promoted pods first, which it may only do while it carries nothing; then it takes
    over once it lists as many of them as the canary backend does.
    """
    present = slots.canary.carries
    stable_hash = now.revisions.stable_hash
    if slots.stable.holds == stable_hash:
        if present and behind.stable < min(now.replicas, behind.canary):
            wanted = f"{min(now.replicas, behind.canary)} ready endpoints"
            because = _because(Why.STABLE_NOT_READY, _service_name(slots), wanted, str(behind.stable))
            return Grant(weight=present, because=because)
        return Grant(weight=0)
    because = _because(Why.SERVICE_NOT_SWITCHED, _service_name(slots), f"to select {stable_hash}", f"{slots.stable.holds or 'no hash'}")
    if slots.stable.holds and anybody_behind(now.seen, slots.stable) and behind.canary >= now.replicas:
        return Grant(weight=now.maximum, because=because)
    return Grant(weight=present, because=because)


def _nobody(now: Situation, slots: Slots) -> Grant:
    present = slots.canary.carries
    if now.replicas == 0:
        return Grant(weight=0)
    if present == 0 and not now.forward:
        return Grant(weight=present)
    return Grant(
        weight=present, because=_because(Why.NO_READY_ENDPOINTS, f"Rollout {now.seen.rollout.metadata.name}", "a ready endpoint", "none")
    )


def _lost(now: Situation, slots: Slots) -> Because:
    new = now.revisions.new
    if canary_size(now) == 0:
        return _because(Why.NO_CANARY_PODS_WANTED, _name(new, now), f"weight {asked_weight(now)}", "a canary scale of 0 pods")
    if new is not None and slots.canary.holds != hash_of(new) and available(new) > 0:
        name = f"Service {slots.canary.service}" if slots.canary.service else "canary subset"
        return _because(Why.SERVICE_NOT_SWITCHED, name, f"to select {hash_of(new)}", slots.canary.holds or "no hash")
    return _because(Why.CANARY_NOT_READY, _name(new, now), f"{canary_size(now)} ready endpoints", "none")


def _because(why: Why, what: str, wanted: str, found: str) -> Because:
    return Because(why=why, object=what, wanted=wanted, found=found)


def _name(replica_set: ReplicaSet | None, now: Situation) -> str:
    if replica_set is None:
        return f"ReplicaSet {now.seen.rollout.metadata.name}-{now.revisions.pod_hash}"
    return f"ReplicaSet {replica_set.metadata.name}"


def _stable_name(now: Situation) -> str:
    stable = now.revisions.stable
    return f"ReplicaSet {stable.metadata.name}" if stable is not None else f"stable ReplicaSet {now.revisions.stable_hash}"


def _service_name(slots: Slots) -> str:
    return f"Service {slots.stable.service}" if slots.stable.service else f"{Role.STABLE} subset"
