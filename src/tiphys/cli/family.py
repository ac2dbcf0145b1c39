"""Which objects belong to a Rollout, as far as they are shown?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from tiphys.api.analysis import AnalysisRun
from tiphys.api.experiment import Experiment
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


class ShownEvent(Wire, frozen=True):
    """What was told of an object, and when last."""

    reason: str = ""
    message: str = ""
    last_timestamp: datetime | None = None


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

    Objects of others may be among them: they are not shown. *events* are the Rollout's own, read only where they tell what is shown.
    """

    rollout: Rollout
    replica_sets: Sequence[ReplicaSet] = ()
    pods: Sequence[ShownPod] = ()
    experiments: Sequence[Experiment] = ()
    analysis_runs: Sequence[AnalysisRun] = ()
    events: Sequence[ShownEvent] = ()


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
