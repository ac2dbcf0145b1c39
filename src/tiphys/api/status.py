"""
What does a Rollout report? (Lifecycle reference 2.1.)

A field with a `default_factory` is required by the schema of the list item or object it stands in, so it is written even when empty.
"""

import msgspec

from tiphys.api.meta import Int32, Int64, Time, Wire


class Condition(Wire, frozen=True):
    """One standing statement about a Rollout."""

    type: str = msgspec.field(default_factory=str)
    status: str = msgspec.field(default_factory=str)
    reason: str = msgspec.field(default_factory=str)
    message: str = msgspec.field(default_factory=str)
    last_update_time: Time | None = None
    last_transition_time: Time | None = None


class PauseCondition(Wire, frozen=True):
    """Why the controller waits for a human or a clock, and since when."""

    reason: str = msgspec.field(default_factory=str)
    start_time: Time | None = None


class WeightDestination(Wire, frozen=True):
    """The share that one Service and hash were given (0 to maxTrafficWeight)."""

    weight: Int32 = msgspec.field(default_factory=int)
    service_name: str = ""
    pod_template_hash: str = ""


class TrafficWeights(Wire, frozen=True):
    """The traffic wish last written, and what verification said of it."""

    canary: WeightDestination = msgspec.field(default_factory=WeightDestination)
    stable: WeightDestination = msgspec.field(default_factory=WeightDestination)
    additional: tuple[WeightDestination, ...] = ()
    verified: bool | None = None


class RunStatus(Wire, frozen=True):
    """A current AnalysisRun in short."""

    name: str = msgspec.field(default_factory=str)
    status: str = msgspec.field(default_factory=str)
    message: str = ""


class StepPluginStatus(Wire, frozen=True):
    """What a step plugin last said."""

    index: Int32 = msgspec.field(default_factory=int)
    name: str = msgspec.field(default_factory=str)
    operation: str = msgspec.field(default_factory=str)
    phase: str = ""
    message: str = ""
    started_at: Time | None = None
    updated_at: Time | None = None
    finished_at: Time | None = None
    backoff: str = ""
    executions: Int32 = 0
    disabled: bool = False
    status: msgspec.Raw = msgspec.Raw()


class CanaryStatus(Wire, frozen=True):
    """The canary strategy's own part."""

    weights: TrafficWeights | None = None
    stable_ping_pong: str = ""
    current_step_analysis_run_status: RunStatus | None = None
    current_background_analysis_run_status: RunStatus | None = None
    current_experiment: str = ""
    step_plugin_statuses: tuple[StepPluginStatus, ...] = ()


class BlueGreenStatus(Wire, frozen=True):
    """The blue-green strategy's own part."""

    active_selector: str = ""
    preview_selector: str = ""
    scale_up_preview_check_point: bool = False
    pre_promotion_analysis_run_status: RunStatus | None = None
    post_promotion_analysis_run_status: RunStatus | None = None


class RolloutDuration(Wire, frozen=True):
    """How long this attempt takes, and how much of it people waited (seconds)."""

    rollout_started_at: Time | None = None
    finished_at: Time | None = None
    manual_pause_started_at: Time | None = None
    total_manual_pause_duration_seconds: Int64 = 0
    completion_status: str = ""


class AwsResource(Wire, frozen=True):
    """An AWS object by its names."""

    name: str = msgspec.field(default_factory=str)
    arn: str = msgspec.field(default_factory=str)
    full_name: str = ""


class AlbStatus(Wire, frozen=True):
    """Which load balancer and target groups an Ingress means."""

    ingress: str = ""
    load_balancer: AwsResource | None = None
    canary_target_group: AwsResource | None = None
    stable_target_group: AwsResource | None = None


class RolloutStatus(Wire, frozen=True):
    """
    What the controller last saw and decided.

    `currentStepIndex` counts from 0 to the number of steps; `observedGeneration` is text, as clients expect.
    """

    abort: bool = False
    aborted_at: Time | None = None
    alb: AlbStatus | None = None
    albs: tuple[AlbStatus, ...] = ()
    available_replicas: Int32 = 0
    blue_green: BlueGreenStatus = BlueGreenStatus()
    canary: CanaryStatus = CanaryStatus()
    collision_count: Int32 | None = None
    conditions: tuple[Condition, ...] = ()
    controller_pause: bool = False
    current_pod_hash: str = ""
    current_step_hash: str = ""
    current_step_index: Int32 | None = None
    duration: RolloutDuration | None = None
    hpa_replicas: Int32 = msgspec.field(default=0, name="HPAReplicas")
    message: str = ""
    observed_generation: str = ""
    pause_conditions: tuple[PauseCondition, ...] = ()
    phase: str = ""
    promote_full: bool = False
    ready_replicas: Int32 = 0
    replicas: Int32 = 0
    restarted_at: Time | None = None
    selector: str = ""
    stable_rs: str = msgspec.field(default="", name="stableRS")
    updated_replicas: Int32 = 0
    workload_observed_generation: str = ""
