"""How many pods should each ReplicaSet have?"""

from dataclasses import replace

from tiphys.api import defaults, names, values
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Because, Why
from tiphys.core.counts import OldSize, Size, next_counts, other_sizes
from tiphys.core.dynamic import is_dynamic, stable_size
from tiphys.core.observed import Verification
from tiphys.core.pairs import alternates, ping_pong_pair
from tiphys.core.revisions import hash_of
from tiphys.core.routed_counts import canary_pods, floor_ha
from tiphys.core.situation import Situation, asked_weight, available, canary_size, explicit_scale
from tiphys.core.sizing import Sizing, by_deadline, keeps, serving
from tiphys.core.slots import Slots, find_service, selects
from tiphys.core.verified import not_verified


def size_all(now: Situation, slots: Slots | None, *, granted: int) -> tuple[Sizing, ...]:
    """Size every ReplicaSet that exists; *granted* is the canary weight of this pass's wish."""
    sizings = _size_routed(now, slots, granted=granted) if now.routed else _size_basic(now)
    return tuple(_guarded(now, slots, sizing, granted=granted) for sizing in sizings)


def _size_routed(now: Situation, slots: Slots | None, *, granted: int) -> tuple[Sizing, ...]:
    """Size with traffic routing: stable whole, the canary by its weight, the others by their delay (lifecycle 5)."""
    new, stable = now.revisions.new, now.revisions.stable
    sizings: list[Sizing] = []
    if stable is not None:
        sizings.append(_size_stable(now, stable, slots, granted=granted))
    if new is not None and new is not stable:
        sizings.append(_size_canary(now, new, slots, granted=granted))
    if now.position.fresh:
        return (*sizings, *_shrink_others(now))
    return (*sizings, *_size_others(now, slots))


def _size_stable(now: Situation, stable: ReplicaSet, slots: Slots | None, *, granted: int) -> Sizing:
    """
    Keep stable whole, or with `dynamicStableScale` let it follow its weight down.

    The `scaleDownDelaySeconds` of the spec passes before any pod goes, the default before the last ones: proxies have to hear of the
    weight first (S3, #4926). Where the data plane confirmed, only what the spec says is waited for. A change of `spec.replicas` is no
    weight, and followed at once.
    """
    wanted = stable_size(now, slots, granted=granted)
    size = stable.spec.replicas
    if wanted >= size or slots is None:
        return serving(stable, wanted)
    confirmed = now.seen.router is not None and now.seen.router.verified is Verification.YES
    least = defaults.SCALE_DOWN_DELAY_SECONDS if wanted == 0 and not confirmed else 0
    given = now.canary.scale_down_delay_seconds if is_dynamic(now) and wanted < now.replicas else None
    delay = least if given is None else given
    if delay == 0:
        return serving(stable, wanted)
    return _by_deadline(now, stable, slots, delay, to=wanted)


def _size_canary(now: Situation, new: ReplicaSet, slots: Slots | None, *, granted: int) -> Sizing:
    if now.position.halted:
        return _kept_ratio(now, new)
    if now.position.fresh:
        return serving(new, now.replicas)
    if now.position.aborted:
        return _held_after_abort(now, new, slots, granted=granted)
    return serving(new, canary_size(now))


def _held_after_abort(now: Situation, new: ReplicaSet, slots: Slots | None, *, granted: int) -> Sizing:
    """Keep an aborted canary for its delay, which starts when it gets nothing any more, confirmed (lifecycle 5.6, #4867)."""
    delay = now.canary.abort_scale_down_delay_seconds
    delay = defaults.ABORT_SCALE_DOWN_DELAY_SECONDS if delay is None else delay
    size = new.spec.replicas
    name = new.metadata.name
    if is_dynamic(now) and now.canary.abort_scale_down_delay_seconds is None and slots is not None:
        pods = canary_pods(granted, now.replicas, now.maximum)
        pods = floor_ha(pods, replicas=now.replicas, minimum=now.canary.min_pods_per_replica_set)
        return serving(new, min(size, pods))
    if delay == 0 or size == 0:
        return Sizing(name=name, pods=size)
    if slots is not None and not (granted == 0 and slots.drained(slots.canary)):
        return Sizing(name=name, pods=size, because=keeps(name, Why.CARRIES_TRAFFIC, "weight 0, confirmed", f"{slots.canary.carries}"))
    return _by_deadline(now, new, slots, delay)


def _by_deadline(now: Situation, replica_set: ReplicaSet, slots: Slots | None, delay: int, *, to: int = 0) -> Sizing:
    doubt = None if slots is None or slots.confirmed else _unconfirmed(now, replica_set.metadata.name, f"{to} pods")
    return by_deadline(replica_set, now.seen.now, delay, to=to, doubt=doubt)


def _size_others(now: Situation, slots: Slots | None) -> tuple[Sizing, ...]:
    """Give old ReplicaSets their delay, the newest revision first; the revision limit counts those that wait (lifecycle 5.7)."""
    limit = now.canary.scale_down_delay_revision_limit
    waiting = 0
    sizings: list[Sizing] = []
    for rs in now.revisions.others:
        sizing = _delayed(now, rs, slots, limit_left=limit is None or waiting < limit)
        waiting += 1 if sizing.pods and sizing.because is not None and sizing.because.why is Why.SCALE_DOWN_DELAY else 0
        sizings.append(sizing)
    return tuple(sizings)


def _delayed(now: Situation, rs: ReplicaSet, slots: Slots | None, *, limit_left: bool) -> Sizing:
    name, size = rs.metadata.name, rs.spec.replicas
    if size == 0:
        return Sizing(name=name, pods=0)
    referenced = _referenced(now, rs, slots)
    drained = slots is not None and slots.canary.holds == hash_of(rs) and slots.drained(slots.canary)
    if not referenced and drained:
        return _by_deadline(now, rs, slots, _delay(now))
    if referenced and now.replicas == 0 and now.position.promoted:
        # Nobody is wanted, so nobody will ever take its place behind the name.
        return _by_deadline(now, rs, slots, _delay(now))
    if referenced and drained:
        # An abandoned canary: it carried traffic, so it gets its delay while the Service still names it (12.2 #4534).
        if names.SCALE_DOWN_DEADLINE not in rs.metadata.annotations:
            return replace(_by_deadline(now, rs, slots, _delay(now)), pods=size)
        return Sizing(name=name, pods=size, because=keeps(name, Why.CARRIES_TRAFFIC, "no Service that names it", referenced))
    if referenced:
        return Sizing(name=name, pods=size, because=keeps(name, Why.CARRIES_TRAFFIC, "nothing that names it", referenced))
    if not limit_left:
        return Sizing(name=name, pods=0, clear=True)
    waiting = now.position.promoted or names.SCALE_DOWN_DEADLINE in rs.metadata.annotations
    return _by_deadline(now, rs, slots, _delay(now) if waiting else 0)


def _delay(now: Situation) -> int:
    seconds = now.canary.scale_down_delay_seconds
    return defaults.SCALE_DOWN_DELAY_SECONDS if seconds is None else seconds


def _referenced(now: Situation, rs: ReplicaSet, slots: Slots | None) -> str:
    """Name what still points at *rs*: a Service, or a subset; empty if nothing does (lifecycle 5.7, traffic-routing 1.13)."""
    pod_hash = hash_of(rs)
    for service in _keepers(now, slots):
        found = find_service(now.seen, service)
        if found is not None and selects(found) == pod_hash:
            return f"Service {service}"
    if slots is not None and pod_hash in {slots.routed.stable_hash, slots.routed.canary_hash}:
        return "a subset"
    return ""


def _keepers(now: Situation, slots: Slots | None) -> tuple[str, ...]:
    """
    Name the Services whose pods may not go.

    The ping-pong Service that retires keeps its old hash, so it counts only while it may still get traffic, or may get a version on its
    way; after that its pods have their delay.
    """
    named = (now.canary.stable_service, now.canary.canary_service)
    if now.canary.ping_pong is None:
        return named
    pair = ping_pong_pair(now.canary, now.seen.rollout.status.canary.stable_ping_pong)
    retired = slots.drained(slots.canary) if slots is not None and alternates(now.canary) else not now.forward
    return (*named, pair.stable, *(() if retired else (pair.canary,)))


def _size_basic(now: Situation) -> tuple[Sizing, ...]:
    """Size by counts alone: one ReplicaSet moves a pass, stable first, then new, then the others (lifecycle 4)."""
    new, stable = now.revisions.new, now.revisions.stable
    if now.position.halted:
        return _kept_ratios(now)
    counts = next_counts(
        replicas=now.replicas,
        weight=now.maximum if now.position.promoted or now.position.fresh else asked_weight(now),
        surge=values.max_surge(now.canary, now.replicas),
        unavailable=values.max_unavailable(now.canary, now.replicas),
        canary=_size(new),
        stable=None if now.position.fresh else _size(stable),
        others=tuple(_old(rs) for rs in now.revisions.others),
        maximum=now.maximum,
        same=new is stable,
    )
    sizings: list[Sizing] = []
    if stable is not None and stable is not new:
        sizings.append(_guarded(now, None, serving(stable, counts.stable), granted=0))
    if new is not None:
        stable_moves = bool(sizings) and stable is not None and sizings[0].pods != stable.spec.replicas
        sizings.append(serving(new, new.spec.replicas if stable_moves else counts.canary))
    moving = any(sizing.pods != rs.spec.replicas for rs in now.revisions.all for sizing in sizings if sizing.name == rs.metadata.name)
    return (*sizings, *(() if moving else _shrink_others(now)))


def _shrink_others(now: Situation) -> tuple[Sizing, ...]:
    """Shrink what is left over as far as availability allows (lifecycle 4.5)."""
    others = tuple(_old(rs) for rs in now.revisions.others if rs.spec.replicas > 0)
    if not others:
        return ()
    new, stable = now.revisions.new, now.revisions.stable
    sizes = other_sizes(
        replicas=now.replicas,
        unavailable=values.max_unavailable(now.canary, now.replicas),
        canary=_size(new),
        stable=None if stable is new else _size(stable),
        others=others,
    )
    return tuple(Sizing(name=name, pods=pods, clear=pods == 0) for name, pods in sizes.items())


def _size(rs: ReplicaSet | None) -> Size | None:
    return None if rs is None else Size(spec=rs.spec.replicas, available=rs.status.available_replicas)


def _old(rs: ReplicaSet) -> OldSize:
    return OldSize(
        spec=rs.spec.replicas,
        available=rs.status.available_replicas,
        name=rs.metadata.name,
        revision=names.revision(rs.metadata.annotations),
    )


def _kept_ratios(now: Situation) -> tuple[Sizing, ...]:
    """Let both sides of a halted Rollout follow, stable first, as far as `maxSurge` allows (S11): both are rounded up."""
    new, stable = now.revisions.new, now.revisions.stable
    total = sum(rs.spec.replicas for rs in now.revisions.all)
    room = max(total, now.replicas + values.max_surge(now.canary, now.replicas)) - total
    sizings: list[Sizing] = []
    for rs in (stable, None if new is stable else new):
        if rs is None:
            continue
        sizing = _kept_ratio(now, rs)
        grown = min(sizing.pods - rs.spec.replicas, room)
        room -= max(0, grown)
        sizings.append(replace(sizing, pods=rs.spec.replicas + grown))
    return tuple(sizings)


def _kept_ratio(now: Situation, rs: ReplicaSet) -> Sizing:
    """While halted follow a change of `spec.replicas` without changing the ratio (12.2 #4261)."""
    size, sized_for = rs.spec.replicas, names.desired_replicas(rs.metadata.annotations)
    if not sized_for or sized_for < 0 or sized_for == now.replicas or size == 0:
        return Sizing(name=rs.metadata.name, pods=size)
    return Sizing(name=rs.metadata.name, pods=-(-size * now.replicas // sized_for))


def _guarded(now: Situation, slots: Slots | None, sizing: Sizing, *, granted: int) -> Sizing:
    """Raise what would take pods from under traffic (S3) or leave a Service without its last pod (S11)."""
    rs = next(rs for rs in now.revisions.all if rs.metadata.name == sizing.name)
    size = rs.spec.replicas
    if sizing.pods >= size:
        return sizing
    floor = least_size(now, slots, rs, granted=granted) if now.routed and slots is not None else 0
    if slots is None and available(rs) > 0 and sizing.pods == 0 and now.replicas and (service := _referenced(now, rs, None)):
        return replace(sizing, pods=1, clear=False, because=keeps(sizing.name, Why.CARRIES_TRAFFIC, "no Service that names it", service))
    if sizing.pods >= floor:
        return sizing
    because = sizing.because
    if because is None and slots is not None and not slots.confirmed:
        because = _unconfirmed(now, sizing.name, f"{sizing.pods} pods")
    if because is None:
        because = keeps(sizing.name, Why.CARRIES_TRAFFIC, f"{sizing.pods} pods", f"{floor} needed by the weight it carries")
    return replace(sizing, pods=min(size, floor), because=because, clear=False)


def least_size(now: Situation, slots: Slots, rs: ReplicaSet, *, granted: int) -> int:
    """
    Give the pods that the weight of *rs* needs: the written, the wished, and all of them while nothing is confirmed (S3).

    An explicit `setCanaryScale` caps it, except that the last pod stays while something names it.
    """
    pod_hash = hash_of(rs)
    size = rs.spec.replicas
    carried = 0
    for slot, wished in ((slots.canary, granted), (slots.stable, now.maximum - granted)):
        if slot.holds == pod_hash:
            carried = max(carried, slot.carries, wished)
    routes = slots.canary.holds == pod_hash and bool(slots.routed.header_routes or slots.routed.mirrors)
    last = min(1, size) if carried or routes else 0
    explicit = explicit_scale(now) if rs is now.revisions.new and rs is not now.revisions.stable else None
    if explicit is not None:
        return max(min(explicit, size), last)
    if not slots.confirmed:
        return size
    return max(min(size, canary_pods(carried, now.replicas, now.maximum)), last if now.replicas else 0)


def _unconfirmed(now: Situation, name: str, wanted: str) -> Because:
    """Say why pods stay that are wanted no more: the routes differ, or whoever was asked has not confirmed them."""
    router = now.seen.router
    if router is None or router.verified is not Verification.NOT_YET:
        return keeps(name, Why.NOT_VERIFIED, wanted, "routes that do not all say the same")
    return not_verified(router, f"ReplicaSet {name}", wanted)
