"""How many pods should each ReplicaSet of a blue-green Rollout have? (Lifecycle reference 7.2, 7.4, 5.6, 3.13.)"""

from dataclasses import replace

from tiphys.api import defaults, names
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Why
from tiphys.core.bluegreen_gates import post_promotion
from tiphys.core.bluegreen_situation import BlueGreen
from tiphys.core.bluegreen_targets import doubt
from tiphys.core.revisions import hash_of
from tiphys.core.runs import Verdict, inconclusive
from tiphys.core.sizing import Sizing, by_deadline, keeps, serving


def size_all(now: BlueGreen, *, selected: str | None) -> tuple[Sizing, ...]:
    """Size every ReplicaSet that exists; *selected* is the hash that the active Service selects after this pass."""
    new, stable = now.revisions.new, now.revisions.stable
    sizings: list[Sizing] = []
    if stable is not None:
        sizings.append(serving(stable, now.replicas))
    if new is not None and new is not stable:
        sizings.append(_size_new(now, new, selected=selected))
    return (*sizings, *_size_others(now, selected=selected))


def _size_new(now: BlueGreen, new: ReplicaSet, *, selected: str | None) -> Sizing:
    if now.aborted:
        return _held_after_abort(now, new, selected=selected)
    sizing = serving(new, max(now.new_size, _under_traffic(now, new, selected=selected)))
    # Its deadline tells that this is a way back to pods that were kept: it stays until the status has recorded the end of it (6.8).
    return replace(sizing, clear=False) if now.fast else sizing


def _under_traffic(now: BlueGreen, rs: ReplicaSet, *, selected: str | None) -> int:
    """Give the pods below which a ReplicaSet that the active Service selects, or selected until now, does not go (S3)."""
    return min(rs.spec.replicas, now.replicas) if hash_of(rs) in {now.active, selected} - {None, ""} else 0


def _held_after_abort(now: BlueGreen, new: ReplicaSet, *, selected: str | None) -> Sizing:
    """Keep an aborted version for its delay, which starts once the active Service has left it (5.6, 12.3); 0 keeps it for good."""
    name, size = new.metadata.name, new.spec.replicas
    given = now.strategy.abort_scale_down_delay_seconds
    delay = defaults.ABORT_SCALE_DOWN_DELAY_SECONDS if given is None else given
    if hash_of(new) in {now.active, selected}:
        service = f"Service {now.strategy.active_service}"
        return Sizing(name=name, pods=size, clear=True, because=keeps(name, Why.CARRIES_TRAFFIC, f"{service} to leave it", "selected"))
    if size == 0 or delay == 0:
        return Sizing(name=name, pods=size, clear=True)
    return by_deadline(new, now.seen.now, delay)


def _size_others(now: BlueGreen, *, selected: str | None) -> tuple[Sizing, ...]:
    """Give old ReplicaSets their delay, the newest revision first; the revision limit counts those that wait (7.4)."""
    limit = now.strategy.scale_down_delay_revision_limit
    waiting = 0
    sizings: list[Sizing] = []
    for rs in now.revisions.others:
        sizing = _delayed(now, rs, selected=selected, limit_left=limit is None or waiting < limit)
        waiting += 1 if sizing.pods and sizing.because is not None and sizing.because.why is Why.SCALE_DOWN_DELAY else 0
        sizings.append(sizing)
    return tuple(sizings)


def _delayed(now: BlueGreen, rs: ReplicaSet, *, selected: str | None, limit_left: bool) -> Sizing:
    name, size = rs.metadata.name, rs.spec.replicas
    if size == 0:
        return Sizing(name=name, pods=0)
    pod_hash = hash_of(rs)
    if pod_hash in {now.active, selected}:
        return Sizing(
            name=name, pods=size, clear=True, because=keeps(name, Why.CARRIES_TRAFFIC, "the active Service to leave it", "selected")
        )
    if not now.active and not now.fresh:
        # A Service without a hash sends traffic to the pods of every version.
        return Sizing(name=name, pods=size, because=keeps(name, Why.CARRIES_TRAFFIC, "the active Service to select one version", "all"))
    if _frozen(now):
        return Sizing(name=name, pods=size, because=keeps(name, Why.ANALYSIS, "the analysis after the cut-over to end", "undecided"))
    if pod_hash == now.preview:
        return Sizing(name=name, pods=size, because=keeps(name, Why.CARRIES_TRAFFIC, "the preview Service to leave it", "selected"))
    unsure = doubt(now)
    if unsure is not None and names.SCALE_DOWN_DEADLINE not in rs.metadata.annotations:
        return Sizing(name=name, pods=size, because=unsure)
    if not limit_left and unsure is None:
        return Sizing(name=name, pods=0, clear=True)
    given = now.strategy.scale_down_delay_seconds
    waits = by_deadline(rs, now.seen.now, defaults.SCALE_DOWN_DELAY_SECONDS if given is None else given, doubt=unsure)
    return waits if waits.pods == 0 or not _was_whole(rs) else replace(waits, pods=now.replicas)


def _was_whole(rs: ReplicaSet) -> bool:
    """Tell whether a ReplicaSet had all the pods that were wanted: only then it follows a change of them while it waits (3.13)."""
    return rs.spec.replicas == names.desired_replicas(rs.metadata.annotations)


def _frozen(now: BlueGreen) -> bool:
    """Whether old versions stay because an analysis may still send the traffic back to them (7.4)."""
    if inconclusive(now.pauses):
        return True
    undecided = post_promotion(now, cut_over=now.cut_over).verdict is not Verdict.OPEN
    return undecided and now.strategy.scale_down_delay_seconds is None
