"""Which objects belong to a Rollout, as far as they are shown?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from tiphys.api.meta import ObjectMeta, Wire
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ContainerStatus, PodStatus, ReplicaSet


class ShownContainer(Wire, frozen=True):
    """A container as the spec names it; init containers that restart always are sidecars."""

    name: str = ""
    image: str = ""
    restart_policy: str = ""


class ShownPodSpec(Wire, frozen=True):
    """The containers a pod should have."""

    containers: tuple[ShownContainer, ...] = ()
    init_containers: tuple[ShownContainer, ...] = ()


class ShownContainerStatus(ContainerStatus, frozen=True):
    """A container, and whether its start-up probe has passed."""

    started: bool = False


class ShownPodStatus(PodStatus, frozen=True):
    """How a pod is, down to its sidecars."""

    container_statuses: tuple[ShownContainerStatus, ...] = ()
    init_container_statuses: tuple[ShownContainerStatus, ...] = ()


class ShownPod(Wire, frozen=True):
    """A pod as people see it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ShownPodSpec = ShownPodSpec()
    status: ShownPodStatus = ShownPodStatus()


class ShownTemplate(Wire, frozen=True):
    """The part of a pod template that is shown."""

    spec: ShownPodSpec = ShownPodSpec()


class Measurement(Wire, frozen=True):
    """One reading of a metric; those of jobs name the job."""

    phase: str = ""
    started_at: datetime | None = None
    metadata: dict[str, str] = {}  # noqa: RUF012 - msgspec gives each instance its own copy


class MetricResult(Wire, frozen=True):
    """What came of one metric."""

    name: str = ""
    measurements: tuple[Measurement, ...] = ()
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


class ShownRunStatus(Wire, frozen=True):
    """How an AnalysisRun is."""

    phase: str = ""
    message: str = ""
    metric_results: tuple[MetricResult, ...] = ()


class ShownRun(Wire, frozen=True):
    """An AnalysisRun as people see it."""

    metadata: ObjectMeta = ObjectMeta()
    status: ShownRunStatus = ShownRunStatus()


class ShownExperimentStatus(Wire, frozen=True):
    """How an Experiment is."""

    phase: str = ""
    message: str = ""


class ShownExperiment(Wire, frozen=True):
    """An Experiment as people see it."""

    metadata: ObjectMeta = ObjectMeta()
    status: ShownExperimentStatus = ShownExperimentStatus()


class Object(Protocol):
    """Anything with metadata."""

    @property
    def metadata(self) -> ObjectMeta:
        """Who it is and who owns it."""


T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    A Rollout and the objects among which its own are found by their owners' UIDs.

    Objects of others may be among them: they are not shown.
    """

    rollout: Rollout
    replica_sets: Sequence[ReplicaSet] = ()
    pods: Sequence[ShownPod] = ()
    experiments: Sequence[ShownExperiment] = ()
    analysis_runs: Sequence[ShownRun] = ()


def owned(objects: Iterable[T], owner: Object) -> list[T]:
    """Pick from *objects* those that *owner* owns."""
    uid = owner.metadata.uid
    return [item for item in objects if any(reference.uid == uid for reference in item.metadata.owner_references)]


def images(replica_set: ReplicaSet) -> list[str]:
    """Name the images of the ReplicaSet's containers, in their order."""
    raw = bytes(replica_set.spec.template)
    if not raw:
        return []
    return [container.image for container in msgspec.json.decode(raw, type=ShownTemplate).spec.containers]
