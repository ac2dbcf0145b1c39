"""What does a Deployment say of itself? (pure)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tiphys.devcluster.conditions import condition_of, with_last, without
from tiphys.devcluster.deployment_sizes import Bounds
from tiphys.devcluster.history import Stored
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import wire_time

PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
COMPLETE, TIMED_OUT, PAUSED, RESUMED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = 2**31 - 1
"""This many seconds mean that nobody waits for progress."""

_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is to be said under one type; the times come from what was said before."""

    type: str
    status: str
    reason: str
    message: str


def said(status: Mapping[str, Any], condition: Condition, now: datetime, *, again: bool = False) -> Manifest:
    """Give *status* with *condition*; what is said already stays as it is, unless it is to be said *again*, with a new time of update."""
    before = condition_of(status, condition.type)
    alike = before is not None and before["status"] == condition.status
    if before is not None and alike and before.get("reason") == condition.reason and not again:
        return dict(status)
    moment = wire_time(now)
    written = {
        "type": condition.type,
        "status": condition.status,
        "lastUpdateTime": moment,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and alike else moment,
        "reason": condition.reason,
        "message": condition.message,
    }
    return with_last(status, written)


def counted(deployment: Mapping[str, Any], newest: Stored | None, old: Sequence[Stored], bounds: Bounds, now: datetime) -> Manifest:
    """Give the status with what its ReplicaSets count now; counts of none are left out, as on the wire."""
    before = deployment.get("status") or {}
    every = [*old, *([newest] if newest is not None else [])]
    wanted = sum(each.manifest["spec"].get("replicas", 1) for each in every)
    available = _sum(every, "availableReplicas")
    counts = {
        "replicas": _sum(every, "replicas"),
        "updatedReplicas": _sum([newest] if newest is not None else [], "replicas"),
        "readyReplicas": _sum(every, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }
    kept = {key: value for key, value in before.items() if key not in _COUNTS}
    status = {**kept, "observedGeneration": deployment["metadata"].get("generation", 1), **{key: n for key, n in counts.items() if n}}
    if available >= bounds.least:
        enough = Condition(type=AVAILABLE, status="True", reason="MinimumReplicasAvailable", message="Deployment has minimum availability.")
    else:
        words = "Deployment does not have minimum availability."
        enough = Condition(type=AVAILABLE, status="False", reason="MinimumReplicasUnavailable", message=words)
    return said(status, enough, now)


def progressed(deployment: Mapping[str, Any], status: Manifest, newest: Stored | None, now: datetime) -> Manifest:
    """Add to the counted *status* whether the newest revision gets ahead."""
    patience = deadline_of(deployment)
    if patience is None:
        return without(status, PROGRESSING)
    before = condition_of(status, PROGRESSING)
    done_before = before is not None and before.get("reason") == COMPLETE
    if done_before and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return status
    subject = f'Deployment "{deployment["metadata"]["name"]}"' if newest is None else f'ReplicaSet "{newest.name}"'
    if is_complete(deployment, status):
        words = f"{subject} has successfully progressed."
        return said(status, Condition(type=PROGRESSING, status="True", reason=COMPLETE, message=words), now)
    if _is_ahead(deployment.get("status") or {}, status):
        progress = Condition(type=PROGRESSING, status="True", reason="ReplicaSetUpdated", message=f"{subject} is progressing.")
        return said(status, progress, now, again=True)
    if _is_late(before, patience, now):
        words = f"{subject} has timed out progressing."
        return said(status, Condition(type=PROGRESSING, status="False", reason=TIMED_OUT, message=words), now)
    return status


def failed(status: Manifest, sets: Sequence[Stored]) -> Manifest:
    """Add to *status* why a ReplicaSet cannot make its pods, the first of *sets* that says so."""
    for each in sets:
        found = condition_of(each.manifest.get("status") or {}, REPLICA_FAILURE)
        if found is not None:
            return with_last(status, {**found, "lastUpdateTime": found["lastTransitionTime"]})
    return without(status, REPLICA_FAILURE)


def stopped(deployment: Mapping[str, Any], now: datetime) -> Manifest | None:
    """Give the status that says that a Deployment was paused or goes on; None where that is said or nobody waits."""
    status = deployment.get("status") or {}
    before = condition_of(status, PROGRESSING) or {}
    if deadline_of(deployment) is None or before.get("reason") == TIMED_OUT:
        return None
    paused, known = bool(deployment["spec"].get("paused")), before.get("reason") == PAUSED
    if paused == known:
        return None
    reason, words = (PAUSED, "Deployment is paused") if paused else (RESUMED, "Deployment is resumed")
    return said(status, Condition(type=PROGRESSING, status="Unknown", reason=reason, message=words), now)


def is_complete(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether all pods, and no others, are of the newest revision and available."""
    size = deployment["spec"]["replicas"]
    return all(status.get(key, 0) == size for key in ("updatedReplicas", "replicas", "availableReplicas"))


def deadline_of(deployment: Mapping[str, Any]) -> timedelta | None:
    """Give how long a Deployment may stand still, None for ever."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else timedelta(seconds=seconds)


def late_at(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    """Give when to look whether a Deployment has stood still for too long."""
    found, patience = condition_of(status, PROGRESSING), deadline_of(deployment)
    if found is None or patience is None or is_complete(deployment, status) or found.get("reason") in (TIMED_OUT, COMPLETE, PAUSED):
        return None
    return datetime.fromisoformat(found["lastUpdateTime"]) + patience + timedelta(seconds=1)


def _is_late(before: Mapping[str, Any] | None, patience: timedelta, now: datetime) -> bool:
    if before is None or before.get("reason") in (COMPLETE, PAUSED):
        return False
    return before.get("reason") == TIMED_OUT or datetime.fromisoformat(before["lastUpdateTime"]) + patience < now


def _is_ahead(before: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    def old(counts: Mapping[str, Any]) -> int:
        return int(counts.get("replicas", 0)) - int(counts.get("updatedReplicas", 0))

    more = any(status.get(key, 0) > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return more or old(status) < old(before)


def _sum(sets: Sequence[Stored], key: str) -> int:
    return sum((each.manifest.get("status") or {}).get(key, 0) for each in sets)
