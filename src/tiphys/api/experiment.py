"""What do experiments look like? (Reference analysis-and-experiments.)"""

import msgspec

from tiphys.api.analysis import Argument
from tiphys.api.meta import Int32, LabelSelector, ObjectMeta, Time, Wire
from tiphys.api.rollout import DryRun, ExperimentService, MeasurementRetention, Metadata
from tiphys.api.status import Condition
from tiphys.api.words import GROUP_VERSION


class ExperimentVariant(Wire, frozen=True):
    """One version to run; the pod template stays raw."""

    name: str = ""
    replicas: Int32 | None = None
    min_ready_seconds: Int32 = 0
    selector: LabelSelector | None = None
    template: msgspec.Raw = msgspec.Raw()
    service: ExperimentService | None = None


class ExperimentAnalysisRef(Wire, frozen=True):
    """One analysis of an experiment."""

    name: str = ""
    template_name: str = ""
    cluster_scope: bool = False
    args: tuple[Argument, ...] = ()
    required_for_completion: bool = False


class ExperimentSpec(Wire, frozen=True):
    """Which versions run for how long, and what is measured (delays and deadlines in seconds)."""

    templates: tuple[ExperimentVariant, ...] = ()
    duration: str = ""
    progress_deadline_seconds: Int32 | None = None
    terminate: bool = False
    analyses: tuple[ExperimentAnalysisRef, ...] = ()
    scale_down_delay_seconds: Int32 | None = None
    dry_run: tuple[DryRun, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    analysis_run_metadata: Metadata | None = None


class VariantStatus(Wire, frozen=True):
    """How one version is."""

    name: str = msgspec.field(default_factory=str)
    replicas: Int32 = msgspec.field(default_factory=int)
    updated_replicas: Int32 = msgspec.field(default_factory=int)
    ready_replicas: Int32 = msgspec.field(default_factory=int)
    available_replicas: Int32 = msgspec.field(default_factory=int)
    collision_count: Int32 | None = None
    status: str = ""
    message: str = ""
    last_transition_time: Time | None = None
    service_name: str = ""
    pod_template_hash: str = ""


class ExperimentRunStatus(Wire, frozen=True):
    """How one analysis of an experiment is."""

    name: str = msgspec.field(default_factory=str)
    analysis_run: str = msgspec.field(default_factory=str)
    phase: str = msgspec.field(default_factory=str)
    message: str = ""


class ExperimentStatus(Wire, frozen=True):
    """What came of an experiment so far."""

    phase: str = ""
    message: str = ""
    available_at: Time | None = None
    template_statuses: tuple[VariantStatus, ...] = ()
    analysis_runs: tuple[ExperimentRunStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Experiment(Wire, frozen=True):
    """Versions that run side by side for a while."""

    api_version: str = GROUP_VERSION
    kind: str = "Experiment"
    metadata: ObjectMeta = ObjectMeta()
    spec: ExperimentSpec = ExperimentSpec()
    status: ExperimentStatus = ExperimentStatus()
