"""How many pods does each ReplicaSet of a canary get where pod counts alone split the traffic? (Lifecycle reference 4.)"""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pods of the canary and of stable."""

    canary: int
    stable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a ReplicaSet was told to have, and how many of its pods are available."""

    spec: int
    available: int

    @property
    def lasting(self) -> int:
        """Available pods that stay: what is above the wanted size is already on its way out."""
        return min(self.spec, self.available)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSize(Size):
    """The size of a ReplicaSet that is neither canary nor stable."""

    name: str
    revision: int


_NOTHING = Size(spec=0, available=0)


def wanted_counts(*, replicas: int, weight: int, surge: int, maximum: int = 100) -> Counts:
    """
    Give the counts whose ratio comes closest to *weight* of *maximum* (4.2).

    At most one pod beyond *replicas* is used, and only where *surge* allows any. With two or more pods neither side is empty
    unless the weight says so. Where rounding leaves no candidate, stable keeps one pod (12.2).
    """
    if replicas == 0:
        return Counts(canary=0, stable=0)
    share = replicas * weight
    floor, ceiling = share // maximum, -(-share // maximum)
    empty_allowed = weight in {0, maximum} or (replicas == 1 and surge == 0)
    candidates: list[tuple[int, int]] = []
    if ceiling < replicas or empty_allowed:
        candidates.append((ceiling, replicas))
    floor_allowed = floor != 0 or empty_allowed
    if floor_allowed and not _tied(replicas, weight, maximum):
        candidates.append((floor, replicas))
    if surge > 0:
        candidates.append((ceiling, replicas + 1))
        if floor_allowed and not _tied(replicas + 1, weight, maximum):
            candidates.append((floor, replicas + 1))
    if not candidates:
        return Counts(canary=replicas - 1, stable=1)

    def distance(candidate: tuple[int, int]) -> int:
        canary, total = candidate
        other_total = 2 * replicas + 1 - total
        return abs(canary * maximum - weight * total) * other_total

    canary, total = min(candidates, key=distance)
    return Counts(canary=canary, stable=total - canary)


def next_counts(  # noqa: PLR0913 - the figures of the reference, all by name
    *,
    replicas: int,
    weight: int,
    surge: int,
    unavailable: int,
    canary: Size | None,
    stable: Size | None,
    others: tuple[Size, ...],
    maximum: int = 100,
    same: bool,
) -> Counts:
    """
    Give the sizes to set next on the way to `wanted_counts` (4.3), within *surge* and *unavailable* (pods, resolved).

    *canary* and *stable* are nothing where that ReplicaSet does not exist. *same* says that one ReplicaSet is both: then, and
    without a stable one, the canary is wanted whole, and the stable count of the answer is 0 and means nothing.

    Beyond the reference: where the other ReplicaSets hold all the room and cannot shrink, the side that has to shrink gives up
    its pods that are not available; an abort would else never come to rest (S8).
    """
    if same or stable is None:
        stable, wanted = None, Counts(canary=replicas, stable=0)
    else:
        wanted = wanted_counts(replicas=replicas, weight=weight, surge=surge, maximum=maximum)
    limits = _Limits(most=replicas + surge, least=replicas - unavailable)
    new, old = canary or _NOTHING, stable or _NOTHING
    growing = canary is None or wanted.canary >= canary.spec
    used = new.spec + old.spec + sum(other.spec for other in others)
    grown = _grow(new, old, wanted, room=limits.most - used)
    if any(other.spec for other in others):
        if used < limits.most or not _stuck((new, old, *others), others, limits):
            return grown
        return _without_dead_weight(new, old, wanted, growing=growing)
    new, old = Size(spec=grown.canary, available=new.lasting), Size(spec=grown.stable, available=old.lasting)
    # The side that shrinks gives up its sick pods first, so its whole size counts as room.
    counted = new.lasting + old.spec if growing else new.spec + old.lasting
    room = counted - limits.least
    if room <= 0:
        return grown
    if not growing:
        drain = replace(new, spec=max(wanted.canary, new.spec - room))
        drained, kept = _rebalance(drain, None if stable is None else old, limits)
        return Counts(canary=drained, stable=kept)
    if stable is None or canary is None:
        return replace(grown, stable=min(old.spec, max(wanted.stable, old.spec - room)))
    drain = replace(old, spec=min(old.spec, max(wanted.stable, old.spec - room)))
    drained, kept = _rebalance(drain, new, limits)
    return Counts(canary=kept, stable=drained)


def other_sizes(*, replicas: int, unavailable: int, canary: Size | None, stable: Size | None, others: Sequence[OldSize]) -> dict[str, int]:
    """
    Give every other ReplicaSet's next size, by name (4.5).

    First each loses the pods that are not available, then the newest revision shrinks first, as far as at least
    *replicas* - *unavailable* pods stay available. To be asked where canary and stable cannot move.
    """
    held = [size.lasting for size in (canary, stable, *others) if size is not None]
    room = max(0, sum(held) - (replicas - unavailable))
    sizes: dict[str, int] = {}
    for other in sorted(others, key=lambda other: other.revision, reverse=True):
        cut = min(room, other.lasting)
        sizes[other.name] = other.lasting - cut
        room -= cut
    return sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """The most pods there may be, and the fewest that must stay available."""

    most: int
    least: int


def _tied(total: int, weight: int, maximum: int) -> bool:
    """Tell whether *total* pods would have to be cut exactly through the middle of one."""
    return 2 * total * weight % (2 * maximum) == maximum


def _grow(new: Size, old: Size, wanted: Counts, *, room: int) -> Counts:
    """Raise stable first, then the canary, as far as *room* goes."""
    more_stable = max(0, min(room, wanted.stable - old.spec))
    more_canary = max(0, min(room - more_stable, wanted.canary - new.spec))
    return Counts(canary=new.spec + more_canary, stable=old.spec + more_stable)


def _rebalance(drain: Size, other: Size | None, limits: _Limits) -> tuple[int, int]:
    """
    Keep both sides together within the limit: the *other* side gives way first, *drain* only if availability asks for it.

    Returns: the sizes of *drain* and of *other*.
    """
    if other is None:
        return min(drain.spec, limits.most), 0
    kept = other.spec - max(0, drain.spec + other.spec - limits.most)
    available = drain.lasting + min(other.available, kept)
    missing = max(0, limits.least - available)
    kept += min(max(0, other.lasting - kept), missing)
    return drain.spec - max(0, drain.spec + kept - limits.most), kept


def _stuck(everything: Sequence[Size], others: Sequence[Size], limits: _Limits) -> bool:
    """Tell whether the other ReplicaSets can give up nothing without losing availability."""
    return all(other.spec <= other.available for other in others) and sum(size.lasting for size in everything) <= limits.least


def _without_dead_weight(new: Size, old: Size, wanted: Counts, *, growing: bool) -> Counts:
    """Take the pods that are not available from the side that is too large."""
    if growing:
        return Counts(canary=new.spec, stable=max(min(old.spec, wanted.stable), old.lasting))
    return Counts(canary=max(wanted.canary, new.lasting), stable=old.spec)
