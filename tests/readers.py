"""How do Argo CD and the reference's kubectl plugin say that a Rollout is? Their documented rules, over the object as it is on the wire."""

from typing import Any, Final, NamedTuple

from tiphys.api.meta import Manifest

WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
_DEGRADED: Final = frozenset({"RolloutAborted", "ProgressDeadlineExceeded"})


class Reading(NamedTuple):
    """What somebody shows of a Rollout."""

    word: str
    message: str


def argo_cd(rollout: Manifest) -> Reading:
    """Give health and message (user interfaces 7.1); what it counts and compares where there is no phase is not told here."""
    status: dict[str, Any] = rollout.get("status") or {}
    observed = status.get("observedGeneration", "")
    if not status or (observed.isdecimal() and int(observed) < rollout["metadata"]["generation"]) or _behind_workload(rollout):
        return Reading("Progressing", "Waiting for rollout spec update to be observed")
    if status.get("phase"):
        return Reading("Suspended" if status["phase"] == "Paused" else status["phase"], status.get("message", ""))
    for cond in status.get("conditions", ()):
        if cond["type"] == "InvalidSpec" or (cond["type"] == "Progressing" and cond["reason"] in _DEGRADED):
            return Reading("Degraded", cond["message"])
    if status.get("pauseConditions") or rollout["spec"].get("paused"):
        return Reading("Suspended", "Rollout is paused")
    return Reading("Unknown", "a status without a phase")


def kubectl_plugin(rollout: Manifest) -> Reading:
    """Give status and message (lifecycle 2.5, user interfaces 1.5)."""
    status: dict[str, Any] = rollout.get("status") or {}
    observed = status.get("observedGeneration", "")
    if observed.isdecimal() and int(observed) < rollout["metadata"]["generation"]:
        return Reading("Progressing", "waiting for rollout spec update to be observed")
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return Reading("Progressing", "waiting for rollout to unpause")
    if _behind_workload(rollout):
        return Reading("Progressing", "waiting for rollout spec update to be observed for the reference workload")
    return Reading(status.get("phase", ""), status.get("message", ""))


def _behind_workload(rollout: Manifest) -> bool:
    if not rollout["spec"].get("workloadRef"):
        return False
    noted = rollout["metadata"].get("annotations", {}).get(WORKLOAD_GENERATION)
    return noted is not None and noted != (rollout.get("status") or {}).get("workloadObservedGeneration")
