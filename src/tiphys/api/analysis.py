"""What do analysis templates and runs look like? (Reference analysis-and-experiments.)"""

from typing import Literal

import msgspec

from tiphys.api.meta import Int32, Int64, IntOrPercent, ObjectMeta, Time, Wire
from tiphys.api.rollout import AnalysisTemplateRef, DryRun, FieldRef, MeasurementRetention, Metadata
from tiphys.api.words import GROUP_VERSION


class SecretKeyRef(Wire, frozen=True):
    """One key of a Secret."""

    name: str = ""
    key: str = ""


class ValueFrom(Wire, frozen=True):
    """Where an argument's value comes from."""

    secret_key_ref: SecretKeyRef | None = None
    field_ref: FieldRef | None = None


class Argument(Wire, frozen=True):
    """A named value that metrics use; without a value the run has to bring one."""

    name: str = ""
    value: str | None = None
    value_from: ValueFrom | None = None


class Header(Wire, frozen=True):
    """One header of a request."""

    key: str = ""
    value: str = ""


class BasicAuth(Wire, frozen=True):
    """A user and a password."""

    username: str = ""
    password: str = ""


class Sigv4(Wire, frozen=True):
    """How AWS requests are signed."""

    region: str = ""
    profile: str = ""
    role_arn: str = ""


class OAuth2(Wire, frozen=True):
    """How a token is had from client credentials."""

    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    scopes: tuple[str, ...] = ()


class Authentication(Wire, frozen=True):
    """How a request says who asks."""

    sigv4: Sigv4 | None = None
    oauth2: OAuth2 | None = None
    basic_auth: BasicAuth | None = None


class RangeQuery(Wire, frozen=True):
    """A query over time: expressions for both ends, and the distance of the points."""

    start: str = ""
    end: str = ""
    step: str = ""


class PrometheusMetric(Wire, frozen=True):
    """A Prometheus query (*timeout* in seconds)."""

    address: str = ""
    query: str = ""
    authentication: Authentication | None = None
    timeout: Int64 | None = None
    insecure: bool = False
    headers: tuple[Header, ...] = ()
    range_query: RangeQuery | None = None


class WebMetric(Wire, frozen=True):
    """A request whose JSON answer holds the value."""

    url: str = ""
    method: str = ""
    headers: tuple[Header, ...] = ()
    body: str = ""
    json_body: msgspec.Raw = msgspec.Raw()
    json_path: str = ""
    timeout_seconds: Int64 = 0
    insecure: bool = False
    authentication: Authentication | None = None


class NamedSecret(Wire, frozen=True):
    """A Secret, in the namespace of the run or of the controller."""

    name: str = ""
    namespaced: bool = False


class DatadogMetric(Wire, frozen=True):
    """A Datadog query, or several with a formula."""

    api_version: Literal["v1", "v2"] = "v1"
    interval: str = "5m"
    query: str = ""
    queries: dict[str, str] = {}
    formula: str = ""
    aggregator: Literal["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"] | None = None
    request_timeout: str = "10s"
    secret_ref: NamedSecret | None = None


class WavefrontMetric(Wire, frozen=True):
    """A Wavefront query."""

    address: str = ""
    query: str = ""


class NewRelicMetric(Wire, frozen=True):
    """A New Relic query (*timeout* in seconds)."""

    profile: str = ""
    query: str = ""
    timeout: Int64 | None = None


class JobMetric(Wire, frozen=True):
    """A Job whose success is the measurement."""

    metadata: Metadata | None = None
    spec: msgspec.Raw = msgspec.Raw()


class GraphiteMetric(Wire, frozen=True):
    """A Graphite query."""

    address: str = ""
    query: str = ""


class InfluxdbMetric(Wire, frozen=True):
    """An InfluxDB query."""

    profile: str = ""
    query: str = ""


class SkyWalkingMetric(Wire, frozen=True):
    """A SkyWalking query."""

    address: str = ""
    query: str = ""
    interval: str = ""


class CloudWatchDimension(Wire, frozen=True):
    """One dimension of a CloudWatch metric."""

    name: str = ""
    value: str = ""


class CloudWatchMetricName(Wire, frozen=True):
    """A CloudWatch metric by its names."""

    namespace: str = ""
    metric_name: str = ""
    dimensions: tuple[CloudWatchDimension, ...] = ()


class CloudWatchStat(Wire, frozen=True):
    """A CloudWatch metric and what to make of it."""

    metric: CloudWatchMetricName | None = None
    period: IntOrPercent | None = None
    stat: str = ""
    unit: str = ""


class CloudWatchQuery(Wire, frozen=True):
    """One query of a CloudWatch request."""

    id: str = ""
    expression: str | None = None
    label: str | None = None
    metric_stat: CloudWatchStat | None = None
    period: IntOrPercent | None = None
    return_data: bool | None = None


class CloudWatchMetric(Wire, frozen=True):
    """A CloudWatch request."""

    interval: str = ""
    metric_data_queries: tuple[CloudWatchQuery, ...] = ()


class KayentaScope(Wire, frozen=True):
    """One side of a Kayenta comparison."""

    scope: str = ""
    region: str = ""
    step: Int64 = 0
    start: str = ""
    end: str = ""


class KayentaScopes(Wire, frozen=True):
    """Both sides of a Kayenta comparison."""

    name: str = ""
    control_scope: KayentaScope | None = None
    experiment_scope: KayentaScope | None = None


class KayentaThreshold(Wire, frozen=True):
    """The scores that pass, and that fail no more."""

    pass_: Int64 = msgspec.field(default=0, name="pass")
    marginal: Int64 = 0


class KayentaMetric(Wire, frozen=True):
    """A Kayenta judgement."""

    address: str = ""
    application: str = ""
    canary_config_name: str = ""
    metrics_account_name: str = ""
    configuration_account_name: str = ""
    storage_account_name: str = ""
    threshold: KayentaThreshold | None = None
    scopes: tuple[KayentaScopes, ...] = ()
    lookback: bool = False


class MetricProvider(Wire, frozen=True):
    """What is asked; exactly one of them is set."""

    prometheus: PrometheusMetric | None = None
    kayenta: KayentaMetric | None = None
    web: WebMetric | None = None
    datadog: DatadogMetric | None = None
    wavefront: WavefrontMetric | None = None
    new_relic: NewRelicMetric | None = None
    job: JobMetric | None = None
    cloud_watch: CloudWatchMetric | None = None
    graphite: GraphiteMetric | None = None
    influxdb: InfluxdbMetric | None = None
    skywalking: SkyWalkingMetric | None = None
    plugin: dict[str, msgspec.Raw] = {}


class Metric(Wire, frozen=True):
    """One thing to measure, how often, and what counts as success."""

    name: str = ""
    interval: str = ""
    initial_delay: str = ""
    count: IntOrPercent | None = None
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: IntOrPercent | None = None
    inconclusive_limit: IntOrPercent | None = None
    consecutive_error_limit: IntOrPercent | None = None
    consecutive_success_limit: IntOrPercent | None = None
    provider: MetricProvider | None = None


class AnalysisTemplateSpec(Wire, frozen=True):
    """Metrics to measure together, with the arguments they take."""

    metrics: tuple[Metric, ...] = ()
    args: tuple[Argument, ...] = ()
    dry_run: tuple[DryRun, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    templates: tuple[AnalysisTemplateRef, ...] = ()


class AnalysisTemplate(Wire, frozen=True):
    """An analysis for the Rollouts of a namespace."""

    api_version: str = GROUP_VERSION
    kind: str = "AnalysisTemplate"
    metadata: ObjectMeta = ObjectMeta()
    spec: AnalysisTemplateSpec = AnalysisTemplateSpec()


class ClusterAnalysisTemplate(Wire, frozen=True):
    """An analysis for the Rollouts of all namespaces."""

    api_version: str = GROUP_VERSION
    kind: str = "ClusterAnalysisTemplate"
    metadata: ObjectMeta = ObjectMeta()
    spec: AnalysisTemplateSpec = AnalysisTemplateSpec()


class TtlStrategy(Wire, frozen=True):
    """How long a finished run stays (seconds)."""

    seconds_after_completion: Int32 | None = None
    seconds_after_failure: Int32 | None = None
    seconds_after_success: Int32 | None = None


class AnalysisRunSpec(Wire, frozen=True):
    """The metrics of one run, with the values of all arguments."""

    metrics: tuple[Metric, ...] = ()
    args: tuple[Argument, ...] = ()
    terminate: bool = False
    dry_run: tuple[DryRun, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    ttl_strategy: TtlStrategy | None = None


class Measurement(Wire, frozen=True):
    """One answer."""

    phase: str = msgspec.field(default_factory=str)
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    resume_at: Time | None = None
    value: str = ""
    metadata: dict[str, str] = {}


class MetricResult(Wire, frozen=True):
    """What came of one metric so far."""

    name: str = msgspec.field(default_factory=str)
    phase: str = msgspec.field(default_factory=str)
    measurements: tuple[Measurement, ...] = ()
    message: str = ""
    count: Int32 = 0
    successful: Int32 = 0
    failed: Int32 = 0
    inconclusive: Int32 = 0
    error: Int32 = 0
    consecutive_error: Int32 = 0
    consecutive_success: Int32 = 0
    dry_run: bool = False
    metadata: dict[str, str] = {}


class RunSummary(Wire, frozen=True):
    """How many metrics ended in which way."""

    count: Int32 = 0
    successful: Int32 = 0
    failed: Int32 = 0
    inconclusive: Int32 = 0
    error: Int32 = 0


class AnalysisRunStatus(Wire, frozen=True):
    """What came of a run so far."""

    phase: str = msgspec.field(default_factory=str)
    message: str = ""
    metric_results: tuple[MetricResult, ...] = ()
    started_at: Time | None = None
    completed_at: Time | None = None
    run_summary: RunSummary | None = None
    dry_run_summary: RunSummary | None = None


class AnalysisRun(Wire, frozen=True):
    """One run of an analysis."""

    api_version: str = GROUP_VERSION
    kind: str = "AnalysisRun"
    metadata: ObjectMeta = ObjectMeta()
    spec: AnalysisRunSpec = AnalysisRunSpec()
    status: AnalysisRunStatus | None = None
