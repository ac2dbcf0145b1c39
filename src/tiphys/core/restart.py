"""Which pods go now, so that all of them are younger than `restartAt`? (Lifecycle reference 8.1.)"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tiphys.api.rollout import Rollout
from tiphys.api.workloads import Pod
from tiphys.core.actions import Because, EvictPod, Why
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions

LOOK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The evictions of this pass, and what stays to be done; *restarted_at* is what the status reports."""

    restarted_at: datetime | None
    evictions: tuple[EvictPod, ...] = ()
    because: Because | None = None
    wake_at: datetime | None = None


def restart_due(rollout: Rollout, now: datetime) -> bool:
    """Tell whether pods have to be looked at: a restart was asked for, its time has come, and it is not done."""
    wanted = rollout.spec.restart_at
    return wanted is not None and now > wanted and rollout.status.restarted_at != wanted


def restart_pods(seen: Observed, revisions: Revisions, *, replicas: int, unavailable: int, started: bool) -> Restart:
    """
    Evict as many old pods as availability allows; neither a pause nor an abort stops this.

    *replicas* are wanted, *unavailable* of them may be missing (pods); *started* tells that an update begins in this pass.

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
        return Restart(restarted_at=stored, wake_at=wanted + timedelta(milliseconds=1))
    if seen.pods is None:
        return Restart(restarted_at=stored, wake_at=seen.now + LOOK_AGAIN)
    old = [pod for pod in seen.pods if pod.metadata.creation_timestamp is not None and pod.metadata.creation_timestamp < wanted]
    if not old:
        return Restart(restarted_at=wanted)
    room = _room(seen, revisions, replicas=replicas, unavailable=unavailable)
    going = [pod for pod in old if pod.metadata.deletion_timestamp is None][: max(0, room)]
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
        because=because,
        wake_at=wake_at,
    )


def _room(seen: Observed, revisions: Revisions, *, replicas: int, unavailable: int) -> int:
    """Give how many available pods may go: at least one where all are there, as the reference does."""
    total = max(replicas, sum(rs.spec.replicas for rs in revisions.all))
    missing = max(unavailable, 1)
    have = sum(1 for pod in seen.pods or () if _available(pod, seen))
    return have - (total - missing)


def _available(pod: Pod, seen: Observed) -> bool:
    if pod.metadata.deletion_timestamp is not None:
        return False
    ready = next((condition for condition in pod.status.conditions if condition.type == "Ready"), None)
    if ready is None or ready.status != "True":
        return False
    age = timedelta(seconds=seen.rollout.spec.min_ready_seconds)
    return not age or (ready.last_transition_time is not None and ready.last_transition_time + age <= seen.now)
