from typing import Any

import msgspec
import pytest

from tiphys.cli.family import ShownPod
from tiphys.cli.icons import pod_icon, status_icon
from tiphys.cli.pods import pod_status, ready_count, restarts


def pod(spec: object = None, *, deleted: bool = False, **status: Any) -> ShownPod:  # noqa: ANN401 - the fields have types
    metadata = {"deletionTimestamp": "2026-05-04T12:00:00Z"} if deleted else {}
    return msgspec.convert({"metadata": metadata, "spec": spec or {"containers": [{"name": "app"}]}, "status": status}, ShownPod)


def container(name: str = "app", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the fields have types
    return {"name": name, **fields}


INIT = {"containers": [{"name": "app"}], "initContainers": [{"name": "first"}, {"name": "second"}]}
SIDECAR = {"containers": [{"name": "app"}], "initContainers": [{"name": "mesh", "restartPolicy": "Always"}, {"name": "second"}]}
INITIALIZED = [{"type": "Initialized", "status": "True"}]
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (pod(phase="Pending"), "Pending"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]), "SchedulingGated"),
        (pod(phase="Running", containerStatuses=[container(ready=True)]), "Running"),
        (pod(phase="Pending", containerStatuses=[container(state={"waiting": {"reason": "ContainerCreating"}})]), "ContainerCreating"),
        (pod(phase="Running", containerStatuses=[container(state={"terminated": {"exitCode": 3}})]), "ExitCode:3"),
        (pod(phase="Running", containerStatuses=[container(state={"terminated": {"signal": 9}})]), "Signal:9"),
        (pod(phase="Running", containerStatuses=[container(state={"terminated": {"reason": "OOMKilled", "exitCode": 137}})]), "OOMKilled"),
        (pod(phase="Running", deleted=True, containerStatuses=[container(ready=True)]), "Terminating"),
        (pod(phase="Running", deleted=True, reason="NodeLost"), "Unknown"),
        (pod(phase="Succeeded", deleted=True), "Succeeded"),
        (pod(INIT, phase="Pending", initContainerStatuses=[container("first"), container("second")]), "Init:0/2"),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[container("first", state={"terminated": {}}), container("second")]),
            "Init:1/2",
        ),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[container("first", state={"waiting": {"reason": "CrashLoopBackOff"}})]),
            "Init:CrashLoopBackOff",
        ),
        (pod(INIT, phase="Pending", initContainerStatuses=[container("first", state={"terminated": {"exitCode": 1}})]), "Init:ExitCode:1"),
        (
            pod(SIDECAR, phase="Pending", initContainerStatuses=[container("mesh", started=True, ready=True), container("second")]),
            "Init:1/2",
        ),
        (
            pod(
                SIDECAR,
                phase="Running",
                conditions=[*INITIALIZED, *READY],
                initContainerStatuses=[container("mesh", started=True, ready=True), container("second", state={"terminated": {}})],
                containerStatuses=[container(ready=True)],
            ),
            "Running",
        ),
    ],
)
def test_a_pod_has_the_word_of_kubectls_status_column(found: ShownPod, status: str) -> None:
    assert pod_status(found) == status


def test_a_finished_container_beside_a_running_one_counts_as_running_only_if_the_pod_is_ready() -> None:
    both = [container(state={"terminated": {"reason": "Completed"}}), container("other", ready=True)]

    assert pod_status(pod(phase="Running", containerStatuses=both, conditions=READY)) == "Running"
    assert pod_status(pod(phase="Running", containerStatuses=both)) == "NotReady"


def test_sidecars_count_among_the_containers() -> None:
    statuses = [container("mesh", started=True, ready=True, restartCount=2), container("second", state={"terminated": {}}, restartCount=7)]
    found = pod(SIDECAR, phase="Running", initContainerStatuses=statuses, containerStatuses=[container(restartCount=1)])

    assert ready_count(found) == (1, 2)
    assert restarts(found) == 3


def test_restarts_of_first_containers_count_while_they_work() -> None:
    found = pod(INIT, phase="Pending", initContainerStatuses=[container("first", restartCount=5)], containerStatuses=[container()])

    assert restarts(found) == 5


@pytest.mark.parametrize(
    ("status", "icon"),
    [
        ("Running", "✔"),
        ("Init:Error", "◌"),
        ("Init:0/1", "◌"),
        ("Signal:9", "✖"),
        ("CreateContainerConfigError", "⚠"),
        ("ErrImagePull", "⚠"),
        ("Unknown", "?"),
        ("SomethingNew", " "),
    ],
)
def test_a_pods_status_has_a_sign(status: str, icon: str) -> None:
    assert pod_icon(status) == icon


def test_the_same_word_may_have_another_sign_elsewhere() -> None:
    assert (status_icon("Running"), status_icon("Pending"), status_icon("")) == ("◌", "◷", " ")
