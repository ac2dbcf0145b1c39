"""What do the objects around a Rollout look like?"""

from datetime import datetime

import msgspec

from tiphys.api.meta import LabelSelector, ObjectMeta, Wire


class WorkloadCondition(Wire, frozen=True):
    """A condition of a workload object."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class ReplicaSetSpec(Wire, frozen=True):
    """The wanted pods; the template stays raw."""

    replicas: int = msgspec.field(default=1)
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: msgspec.Raw = msgspec.Raw()


class ReplicaSetStatus(Wire, frozen=True):
    """The pods there are."""

    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[WorkloadCondition, ...] = ()


class ReplicaSet(Wire, frozen=True):
    """One revision's pods."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ServicePort(Wire, frozen=True):
    """One port of a Service."""

    name: str = ""
    port: int = 0
    target_port: int | str | None = None


class ServiceSpec(Wire, frozen=True):
    """Which pods a Service means."""

    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()


class Service(Wire, frozen=True):
    """A name for a set of pods."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


class ObjectReference(Wire, frozen=True):
    """Another object."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(Wire, frozen=True):
    """Whether an address takes traffic; absent `ready` means ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Wire, frozen=True):
    """One pod behind a Service."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    target_ref: ObjectReference | None = None


class EndpointSlice(Wire, frozen=True):
    """A part of the addresses behind a Service."""

    metadata: ObjectMeta = ObjectMeta()
    endpoints: tuple[Endpoint, ...] = ()


class ContainerState(Wire, frozen=True):
    """A container's state, only as far as its reason is shown to people."""

    waiting: "ContainerReason | None" = None
    terminated: "ContainerReason | None" = None


class ContainerReason(Wire, frozen=True):
    """Why a container is in its state."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0
    signal: int = 0


class ContainerStatus(Wire, frozen=True):
    """One container of a pod."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()


class PodStatus(Wire, frozen=True):
    """How a pod is."""

    phase: str = ""
    reason: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    start_time: datetime | None = None
    conditions: tuple[WorkloadCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Wire, frozen=True):
    """One pod, without its spec: no decision reads that."""

    metadata: ObjectMeta = ObjectMeta()
    status: PodStatus = PodStatus()


class DeploymentSpec(Wire, frozen=True):
    """A Deployment that a Rollout may take its template from."""

    replicas: int = msgspec.field(default=1)
    selector: LabelSelector | None = None
    template: msgspec.Raw = msgspec.Raw()


class DeploymentStatus(Wire, frozen=True):
    """The pods a Deployment has."""

    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0


class Deployment(Wire, frozen=True):
    """A Deployment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()
