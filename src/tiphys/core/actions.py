"""What can be done to a cluster, and what does a decision consist of?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from tiphys.api.meta import Manifest
from tiphys.api.rollout import Metadata
from tiphys.api.status import RolloutStatus
from tiphys.api.words import EventType, Reason
from tiphys.core.intent import TrafficIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling people once."""

    reason: Reason
    message: str
    type: EventType = EventType.NORMAL


UNMARKED: Final = Metadata()


class MetadataChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Labels and annotations to set; `None` takes one away."""

    labels: dict[str, str | None] = msgspec.field(default_factory=dict)
    annotations: dict[str, str | None] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicaSet:
    """
    Create the ReplicaSet of the Rollout's template, with 0 pods.

    The shell builds it from the raw template: labels, selector, owner and hash as in lifecycle 3.1. If the name is taken by a
    ReplicaSet that is not this template's, the shell raises `collision_count` in the status by one (3.5). *metadata* is added to the
    template's, *affinity* takes the place of its own.
    """

    name: str
    pod_hash: str
    annotations: Mapping[str, str]
    min_ready_seconds: int
    event: Event
    metadata: Metadata = UNMARKED
    affinity: Manifest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReplicaSet:
    """
    Change a ReplicaSet in one write: its size (pods), annotations (`None` removes one), `minReadySeconds`.

    *replicas* and *min_ready_seconds* are nothing where they stay; *before* is the size the decision saw, and the write is
    conditional on the resourceVersion it saw. *metadata* and *affinity* change the pod template, for pods to come.
    """

    name: str
    before: int
    replicas: int | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    min_ready_seconds: int | None = None
    metadata: MetadataChange | None = None
    affinity: Manifest | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteReplicaSet:
    """Delete an empty ReplicaSet beyond the revision history limit."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRollout:
    """
    Change the Rollout itself (not its status): annotations and, where it had none, `spec.replicas` (pods).

    *finalizers* are all that it has afterwards, nothing where they stay.
    """

    annotations: Mapping[str, str | None] = field(default_factory=dict)
    replicas: int | None = None
    finalizers: tuple[str, ...] | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchService:
    """Point a Service's selector at *pod_hash*, and put the managed-by annotation on it where it is missing."""

    name: str
    before: str
    pod_hash: str
    annotate: bool
    event: Event | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTraffic:
    """
    Make every router say *wish*.

    The shell renders all routers before the first write and tries all of them (S7); what already says so is not written.
    """

    wish: TrafficIntent
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPod:
    """Set labels and annotations of a pod that runs; one that is gone needs none."""

    name: str
    uid: str
    change: MetadataChange
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWorkload:
    """Give the workload that the template comes from *replicas* pods, if it is still as the decision saw it."""

    kind: str
    name: str
    before: int
    replicas: int
    resource_version: str
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictPod:
    """Ask for a pod to go as far as its disruption budget allows; a refusal for now is no failure."""

    name: str
    uid: str
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun:
    """Ask an AnalysisRun that nobody rests on any more to end."""

    name: str
    event: Event | None = None


Action = (
    CreateReplicaSet
    | UpdateReplicaSet
    | DeleteReplicaSet
    | UpdateRollout
    | SwitchService
    | RouteTraffic
    | ScaleWorkload
    | LabelPod
    | EvictPod
    | EndRun
)


class Why(StrEnum):
    """Why something that was asked for is not happening (yet)."""

    INVALID_SPEC = "the spec or an object it names is invalid"
    PAUSED_BY_USER = "the Rollout is paused by its owner"
    PAUSE_STEP = "a pause step is running"
    NOT_OBSERVED = "the ReplicaSet controller has not acted yet"
    CANARY_NOT_READY = "the canary does not have the pods it needs"
    STABLE_NOT_READY = "stable does not have the pods it needs"
    NO_READY_ENDPOINTS = "no ready endpoint on either side"
    SERVICE_NOT_SWITCHED = "a Service does not select the pods yet"
    NOT_ROUTED = "the routers do not say so yet"
    NOT_VERIFIED = "the data plane has not confirmed yet"
    CARRIES_TRAFFIC = "it still carries traffic or is still named by a route"
    SCALE_DOWN_DELAY = "its scale-down delay has not passed"
    SURGE_LIMIT = "maxSurge and maxUnavailable leave no room"
    NO_CANARY_PODS_WANTED = "the spec wants no canary pods here"
    NO_STABLE = "there is no stable version yet"
    RESTARTING = "its pods are being restarted"
    PAUSED_BEFORE_CUT_OVER = "the update waits before the active Service moves"
    ANALYSIS = "an analysis has not succeeded yet"
    NOT_PUT_BACK = "it is being deleted, and something is not put back yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """
    Why the Rollout is not further, in data: which object, what is wanted of it, what was found, when we look again.

    *look_at* is nothing where only a change (which is watched) or a person can help.
    """

    why: Why
    object: str
    wanted: str
    found: str
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    One frozen answer: what to do in which order, what to report, why not more, when to look again.

    *status* is complete: the shell writes what differs from the stored one. *events* are told after the status was written;
    an action's own event after that action.
    """

    actions: tuple[Action, ...]
    status: RolloutStatus
    events: tuple[Event, ...] = ()
    because: tuple[Because, ...] = ()
    wake_at: datetime | None = None
