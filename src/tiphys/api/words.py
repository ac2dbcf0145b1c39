"""What are the reasons, phases and messages that users and other programs read? (Lifecycle reference 2 and 10.)"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import wire_time

GROUP: Final = "argoproj.io"
VERSION: Final = "v1alpha1"
GROUP_VERSION: Final = f"{GROUP}/{VERSION}"


class Phase(StrEnum):
    """How a Rollout is, in one word."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"


class ConditionType(StrEnum):
    """What a condition speaks of."""

    PROGRESSING = "Progressing"
    AVAILABLE = "Available"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    HEALTHY = "Healthy"
    REPLICA_FAILURE = "ReplicaFailure"
    INVALID_SPEC = "InvalidSpec"
    PROGRESS_DEADLINE = "ProgressDeadline"
    """Our own: when an update that stands still from now on has timed out (decision 0028)."""


class PauseReason(StrEnum):
    """Why the controller waits."""

    CANARY_PAUSE_STEP = "CanaryPauseStep"
    BLUE_GREEN_PAUSE = "BlueGreenPause"
    INCONCLUSIVE_ANALYSIS = "InconclusiveAnalysisRun"
    INCONCLUSIVE_EXPERIMENT = "InconclusiveExperiment"


class Reason(StrEnum):
    """Reasons of conditions and events."""

    NEW_REPLICA_SET_CREATED = "NewReplicaSetCreated"
    FOUND_NEW_REPLICA_SET = "FoundNewReplicaSet"
    REPLICA_SET_UPDATED = "ReplicaSetUpdated"
    REPLICA_SET_NOT_AVAILABLE = "ReplicaSetNotAvailable"
    NEW_REPLICA_SET_AVAILABLE = "NewReplicaSetAvailable"
    REPLICA_SET_CREATE_ERROR = "ReplicaSetCreateError"
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_RESUMED = "RolloutResumed"
    ROLLOUT_RETRY = "RolloutRetry"
    ROLLOUT_ABORTED = "RolloutAborted"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    DEADLINE_RUNS = "DeadlineRuns"
    AVAILABLE = "AvailableReason"
    ROLLOUT_COMPLETED = "RolloutCompleted"
    ROLLOUT_NOT_COMPLETED = "RolloutNotCompleted"
    ROLLOUT_HEALTHY = "RolloutHealthy"
    INVALID_SPEC = "InvalidSpec"
    ROLLOUT_ADDED = "RolloutAddedToInformer"
    ROLLOUT_DELETED = "RolloutDeleted"
    ROLLOUT_UPDATED = "RolloutUpdated"
    SCALING_REPLICA_SET = "ScalingReplicaSet"
    SWITCH_SERVICE = "SwitchService"
    SKIP_STEPS = "SkipSteps"
    STEP_COMPLETED = "RolloutStepCompleted"
    TRAFFIC_WEIGHT_UPDATED = "TrafficWeightUpdated"
    TRAFFIC_ROUTING_ERROR = "TrafficRoutingError"
    WEIGHT_VERIFY_ERROR = "WeightVerifyError"
    PATCHING_ALB_INGRESS = "PatchingALBIngress"
    LOAD_BALANCER_NOT_FOUND = "LoadBalancerNotFound"
    TARGET_GROUP_VERIFIED = "TargetGroupVerified"
    TARGET_GROUP_UNVERIFIED = "TargetGroupUnverified"
    TARGET_GROUP_VERIFY_ERROR = "TargetGroupVerifyError"
    EXPERIMENT_CREATED = "ExperimentCreated"
    STEP_PLUGIN_TRANSITION = "StepPluginTransition"
    RECONCILIATION_ERROR = "ReconciliationError"
    NOTHING_TO_PLACE = "NothingToPlace"
    UNSAFE_ACTION = "UnsafeActionRefused"
    FOREIGN_ROUTE_REMOVED = "ForeignRouteRemoved"
    OBJECT_OVERWRITTEN = "ObjectOverwritten"
    SPEC_WARNING = "SpecWarning"
    PUT_BACK = "PutBackOnDelete"
    NOT_PUT_BACK = "NotPutBackOnDelete"
    STATUS_MENDED = "StatusMended"


class EventType(StrEnum):
    """Whether an event asks for attention."""

    NORMAL = "Normal"
    WARNING = "Warning"


PAUSED_BY_OWNER: Final = "Rollout is paused by its owner (spec.paused)"
PAUSED_MESSAGE: Final = "Rollout is paused"
RESUMED_MESSAGE: Final = "Rollout is resumed"
RETRY_MESSAGE: Final = "Retrying Rollout after abort"
MINIMUM_AVAILABILITY: Final = "Rollout has minimum availability"
NO_MINIMUM_AVAILABILITY: Final = "Rollout does not have minimum availability"
HEALTHY_MESSAGE: Final = "Rollout is healthy"
NOT_HEALTHY_MESSAGE: Final = "Rollout is not healthy"
COMPLETED_MESSAGE: Final = "RolloutCompleted"

ROLLBACK_TO_STABLE: Final = "Rollback to stable ReplicaSets"
ROLLBACK_WITHIN_WINDOW: Final = "Rollback to active ReplicaSets within RollbackWindow"

INITIAL_DEPLOY: Final = "Initial deploy"
FULL_PROMOTION: Final = "Full promotion requested"
WITHIN_WINDOW: Final = "Rollback within window"
FAST_ROLLBACK: Final = "Fast rollback"
BLUE_GREEN_COMPLETED: Final = "Completed blue-green update"


def created_replica_set(name: str) -> str:
    """Say that a ReplicaSet was created (condition)."""
    return f'Created new replica set "{name}"'


def found_replica_set(name: str) -> str:
    """Say that an existing ReplicaSet fits (condition)."""
    return f'Found new replica set "{name}"'


def progressing(kind: str, name: str) -> str:
    """Say that a ReplicaSet (or, without one, the Rollout) goes on."""
    return f'{kind} "{name}" is progressing.'


def timed_out(kind: str, name: str, *, unverified: str = "") -> str:
    """Say that the progress deadline passed, and what a verifier said last that has not confirmed the traffic."""
    said = f'{kind} "{name}" has timed out progressing.'
    return f"{said} The traffic is not verified: {unverified}" if unverified else said


def accepted_but(warnings: Iterable[SpecError]) -> str:
    """Say what in a spec is accepted for the sake of old manifests, and has no meaning or another one than it seems to have."""
    return "the spec is accepted, but " + "; ".join(str(warning) for warning in warnings)


def times_out(at: datetime) -> str:
    """Say when the progress deadline passes."""
    return f"times out at {wire_time(at)} unless the update moves"


def patching_ingresses(names: Iterable[str], weight: int) -> str:
    """Say that Ingresses are given the canary's weight."""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"Updating Ingress {listed} to desiredWeight '{weight}'"


def not_verifiable(errors: str) -> str:
    """Say that nobody could be asked what the traffic really does."""
    return f"the traffic cannot be verified: {errors}"


def progressed(name: str) -> str:
    """Say that the ReplicaSet arrived."""
    return f'ReplicaSet "{name}" has successfully progressed.'


def create_failed(name: str, error: str) -> str:
    """Say why a ReplicaSet could not be created."""
    return f'Failed to create new replica set "{name}": {error}'


def aborted(revision: int, cause: str = "") -> str:
    """Say that an update was aborted, and by what if not by a person."""
    text = f"Rollout aborted update to revision {revision}"
    return f"{text}: {cause}" if cause else text


def created_event(name: str, revision: int) -> str:
    """Say that a ReplicaSet was created (event)."""
    return f"Created ReplicaSet {name} (revision {revision})"


def scaled(name: str, revision: int, *, before: int, after: int) -> str:
    """Say how a ReplicaSet's size (pods) changed."""
    direction = "up" if after > before else "down"
    return f"Scaled {direction} ReplicaSet {name} (revision {revision}) from {before} to {after}"


def overwritten(what: str, *, times: int, by: str) -> str:
    """Say that somebody keeps changing an object back; *by* is a field manager, if one is known."""
    who = f' (by its field manager: "{by}")' if by else ""
    return f"{what}: the same was written {times} times within a minute, because somebody{who} keeps changing it back; see docs/gitops.md"


def switched(service: str, *, before: str, after: str) -> str:
    """Say which hash a Service's selector was moved to."""
    return f"Switched selector for service '{service}' from '{before}' to '{after}'"


def updated_to(revision: int) -> str:
    """Say which revision the Rollout is at."""
    return f"Rollout updated to revision {revision}"


def not_completed(revision: int, pod_hash: str) -> str:
    """Say that an update began."""
    return f"Rollout not completed, started update to revision {revision} ({pod_hash})"


def stable_lost(pod_hash: str) -> str:
    """Say that there is no ReplicaSet of the stable version any more."""
    return f"the ReplicaSet of the stable version ({pod_hash}) does not exist"


def completed(revision: int, pod_hash: str, why: str) -> str:
    """Say that an update ended, and how."""
    return f"Rollout completed update to revision {revision} ({pod_hash}): {why}"


def step_completed(position: int, count: int, step: str) -> str:
    """Say which step is done; *position* counts from 1."""
    return f"Rollout step {position}/{count} completed ({step})"


def paused_event(reason: str) -> str:
    """Say that the controller waits, and why."""
    return f"Rollout is paused ({reason})"


def weight_updated(after: int, before: int | None = None) -> str:
    """Say which share the canary has now."""
    return f"Traffic weight updated to {after}" if before is None else f"Traffic weight updated from {before} to {after}"


def all_steps_completed(count: int) -> str:
    """Say that an update ended because its last step did."""
    return f"Completed all {count} canary steps"


def added(namespace: str, name: str) -> str:
    """Say that the controller saw a Rollout for the first time."""
    return f"Rollout resource added to informer: {namespace}/{name}"


def deleted(namespace: str, name: str) -> str:
    """Say that a Rollout is gone; the name comes first, as in the reference."""
    return f"Rollout {name}/{namespace} is deleted."


def experiment_created(name: str) -> str:
    """Say that the Experiment of a step was created."""
    return f"Created Experiment '{name}'"


def analysis_run_changed(kind: str, name: str, *, after: str, before: str = "") -> str:
    """Say how an AnalysisRun of the *kind* (`Step`, `Background`, `PrePromotion`, `PostPromotion`) is now."""
    return f"{kind} Analysis Run '{name}' Status New: '{after}' Previous: '{before or 'NoPreviousStatus'}'"


def reconciliation_failed(error: str) -> str:
    """Say that a pass failed, and why."""
    return f"Reconciliation failed with error: {error}"


def status_mended(problems: str) -> str:
    """Tell which fields of the status were put right, and what was wrong with them."""
    return f"Put right what cannot be in the status: {problems}"
