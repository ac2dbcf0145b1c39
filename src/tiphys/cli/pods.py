"""How is a pod, in the one word of kubectl's STATUS column?"""

from tiphys.api.workloads import ContainerReason
from tiphys.cli.family import ShownContainerStatus, ShownPod

_FINAL = frozenset({"Succeeded", "Failed"})


def pod_status(pod: ShownPod) -> str:
    """Give the word; the cases go from what hides the others to the plain phase."""
    status = pod.status
    if pod.metadata.deletion_timestamp is not None and status.reason == "NodeLost":
        return "Unknown"
    if pod.metadata.deletion_timestamp is not None and status.phase not in _FINAL:
        return "Terminating"
    plain = status.reason or _gated(pod) or status.phase
    starting = _starting(pod)
    if starting and not _condition(pod, "Initialized"):
        return starting
    reason = next((word for word in map(_word, status.container_statuses) if word), plain)
    if reason == "Completed" and any(_runs(container) for container in status.container_statuses):
        return "Running" if _condition(pod, "Ready") else "NotReady"
    return reason


def ready_count(pod: ShownPod) -> tuple[int, int]:
    """Count the containers that are ready, and those there should be, sidecars among them."""
    sidecars = _sidecars(pod)
    statuses = pod.status
    beside = [status for status in statuses.init_container_statuses if status.name in sidecars]
    return sum(_runs(status) for status in (*statuses.container_statuses, *beside)), len(pod.spec.containers) + len(sidecars)


def restarts(pod: ShownPod) -> int:
    """Count the restarts of the containers that matter now: the first ones while they work, then the others."""
    sidecars = _sidecars(pod)
    first = pod.status.init_container_statuses
    if _starting(pod) and not _condition(pod, "Initialized"):
        return sum(status.restart_count for status in first)
    beside = [status for status in first if status.name in sidecars]
    return sum(status.restart_count for status in (*pod.status.container_statuses, *beside))


def _starting(pod: ShownPod) -> str:
    """Say how far the init containers are, or nothing if they are through."""
    sidecars = _sidecars(pod)
    for done, status in enumerate(pod.status.init_container_statuses):
        terminated, waiting = status.state.terminated, status.state.waiting
        if terminated is not None and terminated.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            continue
        if terminated is not None:
            return f"Init:{_end(terminated)}"
        if waiting is not None and waiting.reason not in {"", "PodInitializing"}:
            return f"Init:{waiting.reason}"
        return f"Init:{done}/{len(pod.spec.init_containers)}"
    return ""


def _word(status: ShownContainerStatus) -> str:
    waiting, terminated = status.state.waiting, status.state.terminated
    if waiting is not None and waiting.reason:
        return waiting.reason
    return _end(terminated) if terminated is not None else ""


def _end(terminated: ContainerReason) -> str:
    if terminated.reason:
        return terminated.reason
    return f"Signal:{terminated.signal}" if terminated.signal else f"ExitCode:{terminated.exit_code}"


def _runs(status: ShownContainerStatus) -> bool:
    return status.ready and status.state.waiting is None and status.state.terminated is None


def _sidecars(pod: ShownPod) -> frozenset[str]:
    return frozenset(container.name for container in pod.spec.init_containers if container.restart_policy == "Always")


def _gated(pod: ShownPod) -> str:
    gated = any(found.type == "PodScheduled" and found.reason == "SchedulingGated" for found in pod.status.conditions)
    return "SchedulingGated" if gated else ""


def _condition(pod: ShownPod, name: str) -> bool:
    return any(found.type == name and found.status == "True" for found in pod.status.conditions)
