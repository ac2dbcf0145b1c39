"""What does a pod's status say about its life? (pure)"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import wire_time

HOST = "127.0.0.1"
KILLED = 137
"""The exit code of a process that was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What the kubelet knows of a pod; *problem* says why its containers do not run."""

    address: str
    started: datetime
    runs: bool
    ready: bool
    problem: str
    crashes: bool
    restarts: int = 0
    waits: bool = False
    """The process has ended and is started again later."""
    exit_code: int = 0
    """What the process said at its last end."""
    ended: datetime | None = None
    """When the process ended for good."""


def pod_status(pod: Mapping[str, Any], life: Life, now: datetime) -> Manifest:
    """Give the status of *pod*; conditions that others wrote stay, times change only with what they belong to."""
    before = pod.get("status") or {}
    gates = [each["conditionType"] for each in (pod.get("spec") or {}).get("readinessGates") or ()]
    known = {each["type"]: each for each in before.get("conditions") or ()}
    open_gates = all(known.get(gate, {}).get("status") == "True" for gate in gates)
    why = {} if life.ready else {"reason": "ContainersNotReady", "message": _unready(pod)}
    if life.ended is not None:
        why = {"reason": "PodFailed" if life.exit_code else "PodCompleted"}
    gate_why = {"reason": "ReadinessGatesNotReady", "message": "a condition of spec.readinessGates is not True"}
    verdicts: dict[str, tuple[bool, dict[str, str]]] = {
        "PodReadyToStartContainers": (True, {}),
        "Initialized": (True, why if life.ended is not None and not life.exit_code else {}),
        "Ready": (life.ready and open_gates, gate_why if life.ready and not open_gates else why),
        "ContainersReady": (life.ready, why),
        "PodScheduled": (True, {}),
    }
    conditions = [_condition(name, holds, reason, known.get(name), now) for name, (holds, reason) in verdicts.items()]
    conditions += [dict(each) for name, each in known.items() if name not in verdicts]
    phase = _phase(life, before.get("phase", ""))
    status: Manifest = {**before, "phase": phase, "conditions": conditions, "hostIP": HOST, "hostIPs": [{"ip": HOST}]}
    if phase != "Pending":
        status |= {"podIP": life.address, "podIPs": [{"ip": life.address}]}
    status["startTime"] = before.get("startTime") or wire_time(life.started)
    status["containerStatuses"] = [_container(each, life) for each in (pod.get("spec") or {}).get("containers") or ()]
    return status


def restarts_of(pod: Mapping[str, Any]) -> int:
    """Give how often the pod's process has to be started anew if the one that its status tells of is gone; 0 where it tells of none."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    begun = [each for each in states if each.get("started") or each.get("restartCount")]
    return max((int(each.get("restartCount", 0)) + 1 for each in begun), default=0)


def _phase(life: Life, before: str) -> str:
    if life.ended is not None:
        return "Failed" if life.exit_code else "Succeeded"
    return "Running" if life.runs or life.crashes or life.waits or before == "Running" else "Pending"


def _condition(name: str, holds: bool, why: dict[str, str], before: Mapping[str, Any] | None, now: datetime) -> Manifest:  # noqa: FBT001 (a condition's value)
    status = "True" if holds else "False"
    since = before.get("lastTransitionTime") if before and before.get("status") == status else None
    return {"type": name, "status": status, "lastProbeTime": None, "lastTransitionTime": since or wire_time(now), **why}


def _unready(pod: Mapping[str, Any]) -> str:
    names = " ".join(str(each.get("name")) for each in (pod.get("spec") or {}).get("containers") or ())
    return f"containers with unready status: [{names}]"


def _container(container: Mapping[str, Any], life: Life) -> Manifest:
    state: Manifest
    over: Manifest = {"exitCode": life.exit_code, "reason": "Error" if life.exit_code else "Completed"}
    if life.ended is not None:
        state = {"terminated": {**over, "startedAt": wire_time(life.started), "finishedAt": wire_time(life.ended)}}
    elif life.waits:
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off before the container's process is started again"}}
    elif life.runs:
        state = {"running": {"startedAt": wire_time(life.started)}}
    elif life.crashes:
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": life.problem}}
    elif life.problem:
        state = {"waiting": {"reason": "CreateContainerError", "message": life.problem}}
    else:
        state = {"waiting": {"reason": "ContainerCreating"}}
    image = str(container.get("image") or "")
    described: Manifest = {
        "name": container.get("name"),
        "state": state,
        "lastState": {"terminated": over} if life.restarts or life.waits else {},
        "ready": life.ready,
        "restartCount": 1 if life.crashes else life.restarts,
        "image": image,
        "imageID": "",
        "started": life.runs,
    }
    return described
