"""Why do pods of the new version not become available, in the words of the first one that says so? (Lifecycle reference 12.6, 4.)"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from tiphys.api import names
from tiphys.api.rollout import Rollout
from tiphys.api.words import ConditionType, Reason
from tiphys.api.workloads import Pod, ReplicaSet
from tiphys.core.observed import Observed

PATIENCE: Final = timedelta(seconds=20)
"""How long an update may stand still before somebody looks at its pods: most need that long to start."""
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


def pods_are_late(rollout: Rollout, replica_sets: Iterable[ReplicaSet], now: datetime) -> bool:
    """Tell whether pods that are missing have been missing for long: only then they are read, because that costs a request."""
    since = _standing_since(rollout, replica_sets)
    return since is not None and now >= since + PATIENCE


def look_at_pods(seen: Observed) -> datetime | None:
    """Give the time from which pods will be late, if some are missing and that time has not come."""
    since = _standing_since(seen.rollout, seen.replica_sets)
    return None if since is None or seen.now >= since + PATIENCE else since + PATIENCE


def first_reason(seen: Observed, pod_hash: str) -> str:
    """Name the first pod of the version *pod_hash* that says why it does not run, with its words; the empty text if none does."""
    found = sorted(seen.pods or (), key=lambda pod: pod.metadata.name)
    ours = (pod for pod in found if names.pod_hash(pod.metadata.labels) == pod_hash and pod.metadata.deletion_timestamp is None)
    return next((f"pod {pod.metadata.name}: {reason}" for pod in ours if (reason := _reason(pod))), "")


def _standing_since(rollout: Rollout, replica_sets: Iterable[ReplicaSet]) -> datetime | None:
    """Give the time of the last progress where pods are missing; nothing where none is, or where people hold the update."""
    said = next((cond for cond in rollout.status.conditions if cond.type == ConditionType.PROGRESSING), None)
    if said is None or said.reason in {Reason.ROLLOUT_ABORTED, Reason.ROLLOUT_PAUSED}:
        return None
    missing = any(rs.status.available_replicas < rs.spec.replicas for rs in replica_sets)
    return said.last_update_time if missing else None


def _reason(pod: Pod) -> str:
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _STARTING:
            return f"{waiting.reason}: {waiting.message}" if waiting.message else waiting.reason
    unplaced = next((cond for cond in pod.status.conditions if cond.type == "PodScheduled" and cond.status == "False"), None)
    if unplaced is None or not unplaced.reason:
        return ""
    return f"{unplaced.reason}: {unplaced.message}" if unplaced.message else unplaced.reason
