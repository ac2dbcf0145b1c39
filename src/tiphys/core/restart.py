"""Which pods go now, so that all of them are younger than `restartAt`? (Lifecycle reference 8.1.)"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tiphys.api.meta import later
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import Pod, ReplicaSet
from tiphys.core.actions import Because, EvictPod, Why
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions
from tiphys.core.spare import Spare

LOOK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """
    The evictions of this pass, and what stays to be done; *restarted_at* is what the status reports.

    *spare* names the ReplicaSet that has one pod more until its old ones are gone, and how many that makes.
    """

    restarted_at: datetime | None
    evictions: tuple[EvictPod, ...] = ()
    spare: tuple[str, int] | None = None
    because: Because | None = None
    wake_at: datetime | None = None


def restart_due(rollout: Rollout, now: datetime) -> bool:
    """Tell whether pods have to be looked at: a restart was asked for, its time has come, and it is not done."""
    wanted = rollout.spec.restart_at
    return wanted is not None and now > wanted and rollout.status.restarted_at != wanted


def restart_pods(
    seen: Observed, revisions: Revisions, *, replicas: int, unavailable: int, started: bool, spare: Spare | None = None
) -> Restart:
    """
    Evict as many old pods as availability allows; neither a pause nor an abort stops this.

    *replicas* are wanted, *unavailable* of them may be missing (pods); *started* tells that an update begins in this pass. With a *spare*
    pod none is missing.

    A pod created before `restartAt` is old; an evicted one counts as old until it is gone. A new template cancels the restart, because
    it brings new pods anyway (lifecycle 6.6 as documented).
    """
    rollout, stored = seen.rollout, seen.rollout.status.restarted_at
    wanted = rollout.spec.restart_at
    if wanted is None or stored == wanted:
        return Restart(restarted_at=stored)
    if started:
        return Restart(restarted_at=wanted)
    if not restart_due(rollout, seen.now):
        return Restart(restarted_at=stored, wake_at=later(wanted, 0.001))
    if seen.pods is None:
        return Restart(restarted_at=stored, wake_at=seen.now + LOOK_AGAIN)
    old = [pod for pod in seen.pods if pod.metadata.creation_timestamp is not None and pod.metadata.creation_timestamp < wanted]
    if not old:
        return Restart(restarted_at=wanted)
    here, candidates = _spared(revisions, old, spare), old
    if here is None:
        room = _room(seen, revisions, replicas=replicas, unavailable=unavailable)
    else:
        candidates = _of(here.replica_set, old)
        room = _count(seen, _of(here.replica_set, seen.pods)) - here.wanted
    if spare is not None:
        room = min(room, _count(seen, seen.pods) - spare.least)
    going = _staying(candidates)[: max(0, room)]
    wake_at = seen.now + LOOK_AGAIN
    because = Because(
        why=Why.RESTARTING,
        object=f"Rollout {rollout.metadata.name}",
        wanted="no pod older than restartAt",
        found=f"{len(old)} older",
        look_at=wake_at,
    )
    return Restart(
        restarted_at=stored,
        evictions=tuple(EvictPod(name=pod.metadata.name, uid=pod.metadata.uid) for pod in going),
        spare=None if here is None else (here.replica_set.metadata.name, here.wanted + 1),
        because=because,
        wake_at=wake_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spared:
    """The ReplicaSet that is restarted now, and the pods that it keeps."""

    replica_set: ReplicaSet
    wanted: int


def _spared(revisions: Revisions, old: Sequence[Pod], spare: Spare | None) -> _Spared | None:
    """
    Find the ReplicaSet whose old pods go next, one for each pod more that it has.

    Nothing where no pod may be added: then an update holds the room, and pods beyond those wanted are there anyway. Pods of versions that
    are on their way out have nobody to stand in for.
    """
    if spare is None:
        return None
    for name, wanted in spare.wanted.items():
        found = next((rs for rs in revisions.all if rs.metadata.name == name), None)
        if found is None or not wanted or not _of(found, old):
            continue
        others = sum(rs.spec.replicas for rs in revisions.all if rs is not found)
        if spare.most is None or others + max(wanted + 1, found.spec.replicas) <= spare.most:
            return _Spared(replica_set=found, wanted=wanted)
        return None
    return None


def _of(found: ReplicaSet, pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if pod.metadata.controller is not None and pod.metadata.controller.uid == found.metadata.uid]


def _staying(pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if pod.metadata.deletion_timestamp is None]


def _room(seen: Observed, revisions: Revisions, *, replicas: int, unavailable: int) -> int:
    """Give how many available pods may go: at least one where all are there, as the reference does."""
    total = max(replicas, sum(rs.spec.replicas for rs in revisions.all))
    missing = max(unavailable, 1)
    return _count(seen, seen.pods or ()) - (total - missing)


def _count(seen: Observed, pods: Iterable[Pod]) -> int:
    return sum(1 for pod in pods if is_available(pod, seen))


def is_available(pod: Pod, seen: Observed) -> bool:
    """Tell whether a pod has been ready for `minReadySeconds` and is not on its way out."""
    if pod.metadata.deletion_timestamp is not None:
        return False
    ready = next((condition for condition in pod.status.conditions if condition.type == "Ready"), None)
    if ready is None or ready.status != "True":
        return False
    age = timedelta(seconds=seen.rollout.spec.min_ready_seconds)
    return not age or (ready.last_transition_time is not None and ready.last_transition_time + age <= seen.now)
