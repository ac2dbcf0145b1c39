"""Which hash should each Service (and subset) select?"""

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.api import values, words
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Event, SwitchService
from tiphys.core.intent import Role
from tiphys.core.observed import Observed
from tiphys.core.pairs import alternates, ping_pong_pair
from tiphys.core.revisions import hash_of
from tiphys.core.situation import Situation, available
from tiphys.core.slots import Slot, Slots, anybody_behind, find_service, is_managed, selects

Target = tuple[str, ReplicaSet | None]
"""A Service's name and the ReplicaSet that belongs behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The hash each backend selects after this pass; nothing where it stays unselected."""

    stable: str | None
    canary: str | None
    moves: tuple[SwitchService, ...] = ()


def exchange_pods(now: Situation, slots: Slots, *, weight: int) -> Exchange:
    """
    Decide which pods are behind each backend when the canary is given *weight* (S4).

    The pods behind a backend change only while it carries nothing, in the confirmed wish and in the new one.
    """
    targets = ((slots.stable, stable_target(now), now.maximum - weight), (slots.canary, canary_target(now), weight))
    held: list[str | None] = []
    moves: list[SwitchService] = []
    for slot, target, given in targets:
        selected = _next(now, slots, slot, target, given=given)
        held.append(selected)
        move = move_service(now.seen, slot.service, selected) if target is not None and selected == hash_of(target) else None
        if move is not None:
            moves.append(move)
    return Exchange(stable=held[0], canary=held[1], moves=(*moves, *_point_beside(now)))


def stable_target(now: Situation) -> ReplicaSet | None:
    """Name the ReplicaSet that belongs behind the stable backend: before a first stable version, the only one there is."""
    return now.revisions.new if now.position.fresh else now.revisions.stable


def canary_target(now: Situation) -> ReplicaSet | None:
    """
    Name the ReplicaSet that belongs behind the canary backend: while aborted the stable one (traffic-routing 2.3).

    With ping-pong only a version on its way is ever put there: its Service keeps it, as the stable one or as the one that retires (2.4).
    """
    if alternates(now.canary) and (now.position.promoted or now.position.aborted):
        return None
    return now.revisions.stable if now.position.aborted else now.revisions.new


def _next(now: Situation, slots: Slots, slot: Slot, target: ReplicaSet | None, *, given: int) -> str | None:
    if target is None or slot.holds == hash_of(target):
        return slot.holds
    return hash_of(target) if _may_exchange(now, slots, slot, target, given=given) else slot.holds


def _may_exchange(now: Situation, slots: Slots, slot: Slot, target: ReplicaSet, *, given: int) -> bool:
    if slot.holds is None:
        return False
    if slot.role is Role.CANARY and given == 0 and slots.drained(slot) and alternates(now.canary):
        return True  # before it has any pod: so a load balancer that gates readiness knows each of them from its start (2.4)
    if available(target) < 1:
        return False
    if (not slot.holds or not slot.managed) and not fully_available(target):
        return False
    if given == 0 and slots.drained(slot):
        return True
    if not slot.holds:
        return slot.role is Role.STABLE
    return not anybody_behind(now.seen, slot)


def fully_available(replica_set: ReplicaSet) -> bool:
    """Tell whether every wanted pod is there, and at least one (traffic-routing 2.2)."""
    return replica_set.spec.replicas > 0 and replica_set.status.available_replicas >= replica_set.spec.replicas


def point_services(now: Situation) -> tuple[SwitchService, ...]:
    """Point the Services of a canary that no router steers (lifecycle 4; S4 cut-over by selector)."""
    return _point(now, (*_named_targets(now), _ping_pong_target(now)))


def _point_beside(now: Situation) -> tuple[SwitchService, ...]:
    """Point the Services that follow the versions beside the routers' backends (traffic-routing 2.4)."""
    return _point(now, _named_targets(now) if alternates(now.canary) else (_ping_pong_target(now),))


def _named_targets(now: Situation) -> tuple[Target, ...]:
    stable, canary = _unblocked(now)
    return ((now.canary.stable_service, stable), (now.canary.canary_service, canary))


def _ping_pong_target(now: Situation) -> Target:
    """Give the ping-pong Service that a version on its way gets; the other one is never pointed anew."""
    pair = ping_pong_pair(now.canary, now.seen.rollout.status.canary.stable_ping_pong)
    return pair.canary, now.revisions.new if now.forward or now.position.fresh else None


def _point(now: Situation, targets: Sequence[Target]) -> tuple[SwitchService, ...]:
    """Point each Service whose new pods can serve."""
    moves: list[SwitchService] = []
    for service, target in targets:
        found = find_service(now.seen, service)
        if found is None or target is None:
            continue
        held = selects(found)
        forward = service == now.canary.stable_service and now.position.promoted and held != ""
        need = now.replicas if forward else 1
        settled = held == hash_of(target) or (
            available(target) >= max(need, 1) and ((held and is_managed(found)) or fully_available(target))
        )
        move = move_service(now.seen, service, hash_of(target)) if settled else None
        if move is not None:
            moves.append(move)
    return tuple(moves)


def _unblocked(now: Situation) -> tuple[ReplicaSet | None, ReplicaSet | None]:
    """
    Give the targets of stableService and canaryService, so that no Service keeps a last pod whose room the next one needs (S4, S11).

    Where `maxSurge` leaves no room: the stable Service moves to a version that has every other pod already, and the canary Service
    leaves an abandoned version for the stable one.
    """
    stable = stable_target(now)
    canary = now.revisions.stable if now.position.aborted else now.revisions.new
    new, old = now.revisions.new, now.revisions.stable
    room = now.replicas + values.max_surge(now.canary, now.replicas) - sum(rs.spec.replicas for rs in now.revisions.all)
    if now.routed or not now.forward or new is None or old is None or room > 0:
        return stable, canary
    least = now.replicas - values.max_unavailable(now.canary, now.replicas)
    if now.position.finished and old.spec.replicas == 1 and fully_available(new) and available(new) >= max(1, least):
        stable = new
    found = find_service(now.seen, now.canary.canary_service)
    if available(new) < 1 and found is not None and selects(found) in {hash_of(rs) for rs in now.revisions.others}:
        canary = old
    return stable, canary


def move_service(seen: Observed, service: str, pod_hash: str) -> SwitchService | None:
    """Order the patch that is missing: selector, annotation, or both; nothing when both are there."""
    found = find_service(seen, service)
    if found is None:
        return None
    before = selects(found)
    managed = is_managed(found)
    if before == pod_hash and managed:
        return None
    message = words.switched(service, before=before, after=pod_hash)
    event = Event(reason=words.Reason.SWITCH_SERVICE, message=message) if before != pod_hash else None
    return SwitchService(name=service, before=before, pod_hash=pod_hash, annotate=not managed, event=event)
