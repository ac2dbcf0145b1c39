"""What does a Rollout ask for? (Lifecycle reference 1.2 to 1.5.)"""

import msgspec

from tiphys.api.meta import Int32, Int64, IntOrPercent, LabelSelector, ObjectMeta, Time, Wire
from tiphys.api.status import RolloutStatus
from tiphys.api.words import GROUP_VERSION


class WorkloadRef(Wire, frozen=True):
    """The workload whose pod template the Rollout takes."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    scale_down: str = ""


class Metadata(Wire, frozen=True):
    """Labels and annotations to put on something."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class StringMatch(Wire, frozen=True):
    """One way to compare a text; exactly one of the three is set."""

    exact: str = ""
    prefix: str = ""
    regex: str = ""


class HeaderRoutingMatch(Wire, frozen=True):
    """One header and the value it must have."""

    header_name: str = ""
    header_value: StringMatch | None = None


class RouteMatch(Wire, frozen=True):
    """Conditions of a mirror route; all that are given must hold."""

    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: dict[str, StringMatch] = {}


class SetHeaderRoute(Wire, frozen=True):
    """Send matching requests to the canary; without *match* the route is removed."""

    name: str = ""
    match: tuple[HeaderRoutingMatch, ...] = ()


class SetMirrorRoute(Wire, frozen=True):
    """Copy matching requests to the canary; without *match* the route is removed."""

    name: str = ""
    match: tuple[RouteMatch, ...] = ()
    percentage: Int32 | None = None


class SetCanaryScale(Wire, frozen=True):
    """Size the canary apart from its weight (percent of `spec.replicas`, or pods)."""

    weight: Int32 | None = None
    replicas: Int32 | None = None
    match_traffic_weight: bool = False


class Pause(Wire, frozen=True):
    """Wait: for ever, or for *duration* (seconds, or text such as `1h30m`)."""

    duration: IntOrPercent | None = None


class PluginStep(Wire, frozen=True):
    """A step that another program carries out."""

    name: str = ""
    config: msgspec.Raw = msgspec.Raw()


class AnalysisTemplateRef(Wire, frozen=True):
    """Which template to run, in the namespace or in the cluster."""

    template_name: str = ""
    cluster_scope: bool | None = None


class FieldRef(Wire, frozen=True):
    """A field of the Rollout by its path."""

    field_path: str = ""


class ArgumentValueFrom(Wire, frozen=True):
    """Where an argument's value comes from."""

    pod_template_hash_value: str | None = None
    field_ref: FieldRef | None = None


class AnalysisArgument(Wire, frozen=True):
    """A named value for a template."""

    name: str = ""
    value: str = ""
    value_from: ArgumentValueFrom | None = None


class DryRun(Wire, frozen=True):
    """A metric (or pattern) that is measured without consequences."""

    metric_name: str = ""


class MeasurementRetention(Wire, frozen=True):
    """How many measurements of a metric are kept."""

    metric_name: str = ""
    limit: Int32 = 0


class RolloutAnalysis(Wire, frozen=True):
    """Analysis templates to run together, with their arguments."""

    templates: tuple[AnalysisTemplateRef, ...] = ()
    args: tuple[AnalysisArgument, ...] = ()
    dry_run: tuple[DryRun, ...] = ()
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    analysis_run_metadata: Metadata | None = None


class BackgroundAnalysis(RolloutAnalysis, frozen=True):
    """An analysis that runs beside the steps, from *starting_step* on."""

    starting_step: Int32 | None = None


class ExperimentService(Wire, frozen=True):
    """The Service an experiment template gets."""

    name: str = ""


class ExperimentTemplate(Wire, frozen=True):
    """One variant of an experiment step."""

    name: str = ""
    spec_ref: str = ""
    replicas: Int32 | None = None
    metadata: Metadata | None = None
    selector: LabelSelector | None = None
    weight: Int32 | None = None
    service: ExperimentService | None = None


class ExperimentAnalysis(Wire, frozen=True):
    """One analysis of an experiment step."""

    name: str = ""
    template_name: str = ""
    cluster_scope: bool | None = None
    args: tuple[AnalysisArgument, ...] = ()
    required_for_completion: bool = False


class ExperimentStep(Wire, frozen=True):
    """Run variants side by side for a while."""

    templates: tuple[ExperimentTemplate, ...] = ()
    duration: str = ""
    analyses: tuple[ExperimentAnalysis, ...] = ()
    dry_run: tuple[DryRun, ...] = ()
    analysis_run_metadata: Metadata | None = None
    scale_down_delay_seconds: Int32 | None = None


class Step(Wire, frozen=True):
    """One item of the canary's steps; it is complete when every key it has is in place (S9)."""

    set_weight: Int32 | None = None
    pause: Pause | None = None
    set_canary_scale: SetCanaryScale | None = None
    set_header_route: SetHeaderRoute | None = None
    set_mirror_route: SetMirrorRoute | None = None
    experiment: ExperimentStep | None = None
    analysis: RolloutAnalysis | None = None
    plugin: PluginStep | None = None


class ManagedRoute(Wire, frozen=True):
    """A route that belongs to the Rollout; the list's order is the routes' priority."""

    name: str = ""


class TlsRoute(Wire, frozen=True):
    """A tls entry of a VirtualService, by port and server names."""

    port: Int64 = 0
    sni_hosts: tuple[str, ...] = ()


class TcpRoute(Wire, frozen=True):
    """A tcp entry of a VirtualService, by port."""

    port: Int64 = 0


class IstioVirtualService(Wire, frozen=True):
    """A VirtualService (`name` or `name.namespace`) and which of its entries are ours."""

    name: str = ""
    routes: tuple[str, ...] = ()
    tls_routes: tuple[TlsRoute, ...] = ()
    tcp_routes: tuple[TcpRoute, ...] = ()


class IstioDestinationRule(Wire, frozen=True):
    """The DestinationRule whose subsets tell canary from stable."""

    name: str = ""
    canary_subset_name: str = ""
    stable_subset_name: str = ""
    additional_subset_names: tuple[str, ...] = ()


class IstioRouting(Wire, frozen=True):
    """Traffic through Istio."""

    virtual_service: IstioVirtualService | None = None
    virtual_services: tuple[IstioVirtualService, ...] = ()
    destination_rule: IstioDestinationRule | None = None


class NginxRouting(Wire, frozen=True):
    """Traffic through ingress-nginx."""

    stable_ingress: str = ""
    stable_ingresses: tuple[str, ...] = ()
    annotation_prefix: str = ""
    additional_ingress_annotations: dict[str, str] = {}
    canary_ingress_annotations: dict[str, str] = {}


class StickinessConfig(Wire, frozen=True):
    """Whether clients stay with the target group they met (seconds)."""

    enabled: bool = False
    duration_seconds: Int64 = 0


class AlbRouting(Wire, frozen=True):
    """Traffic through an AWS Application Load Balancer."""

    ingress: str = ""
    ingresses: tuple[str, ...] = ()
    service_port: Int32 = 0
    root_service: str = ""
    annotation_prefix: str = ""
    stickiness_config: StickinessConfig | None = None


class SmiRouting(Wire, frozen=True):
    """Traffic through an SMI TrafficSplit."""

    root_service: str = ""
    traffic_split_name: str = ""


class AmbassadorRouting(Wire, frozen=True):
    """Traffic through Ambassador Mappings."""

    mappings: tuple[str, ...] = ()


class ApisixRoute(Wire, frozen=True):
    """An ApisixRoute and which of its rules are ours."""

    name: str = ""
    rules: tuple[str, ...] = ()


class ApisixRouting(Wire, frozen=True):
    """Traffic through Apache APISIX."""

    route: ApisixRoute | None = None


class TraefikRouting(Wire, frozen=True):
    """Traffic through a Traefik weighted service, or through IngressRouteTCPs that list both Services (ours: the reference has no TCP)."""

    weighted_traefik_service_name: str = ""
    ingress_route_tcps: tuple[str, ...] = msgspec.field(default=(), name="ingressRouteTCPs")


class NamedRef(Wire, frozen=True):
    """Another object, by name."""

    name: str = ""


class AppMeshVirtualService(Wire, frozen=True):
    """An App Mesh virtual service and which of its routes are ours."""

    name: str = ""
    routes: tuple[str, ...] = ()


class AppMeshNodeGroup(Wire, frozen=True):
    """The virtual nodes of canary and stable."""

    canary_virtual_node_ref: NamedRef | None = None
    stable_virtual_node_ref: NamedRef | None = None


class AppMeshRouting(Wire, frozen=True):
    """Traffic through AWS App Mesh."""

    virtual_service: AppMeshVirtualService | None = None
    virtual_node_group: AppMeshNodeGroup | None = None


class GatewayApiRoute(Wire, frozen=True):
    """A route object, and which of its rules (by name) are ours; without names all that have both Services."""

    name: str = ""
    namespace: str = ""
    rules: tuple[str, ...] = ()


class GatewayApiRouting(Wire, frozen=True):
    """Traffic through routes of the Gateway API."""

    http_routes: tuple[GatewayApiRoute, ...] = ()
    grpc_routes: tuple[GatewayApiRoute, ...] = ()
    tls_routes: tuple[GatewayApiRoute, ...] = ()
    tcp_routes: tuple[GatewayApiRoute, ...] = ()


class Probe(Wire, frozen=True):
    """
    A URL whose answers tell, in a header or in a field of a JSON body, the hash of the pod that gave them.

    *method* is GET unless it says HEAD; *requests* are sent each time, *tolerance* is in percentage points beyond what chance explains.
    """

    url: str = ""
    method: str = ""
    headers: dict[str, str] = {}
    hash_header: str = ""
    hash_field: str = ""
    requests: Int32 = 100
    tolerance: Int32 = 0


class TrafficVerification(Wire, frozen=True):
    """How to see, beside what the routers' products tell, where the traffic really goes."""

    probe: Probe | None = None


class TrafficRouting(Wire, frozen=True):
    """Which routers steer the traffic; every one that is set gets the same wish."""

    istio: IstioRouting | None = None
    nginx: NginxRouting | None = None
    alb: AlbRouting | None = None
    smi: SmiRouting | None = None
    ambassador: AmbassadorRouting | None = None
    app_mesh: AppMeshRouting | None = None
    traefik: TraefikRouting | None = None
    apisix: ApisixRouting | None = None
    gateway_api: GatewayApiRouting | None = msgspec.field(default=None, name="gatewayAPI")
    plugins: dict[str, msgspec.Raw] = {}
    managed_routes: tuple[ManagedRoute, ...] = ()
    max_traffic_weight: Int32 | None = None
    verification: TrafficVerification | None = None


class PingPong(Wire, frozen=True):
    """Two Services that change roles instead of selectors."""

    ping_service: str = ""
    pong_service: str = ""


class PreferredAntiAffinity(Wire, frozen=True):
    """Keep apart from stable pods if it can be had."""

    weight: Int32 = 0


class RequiredAntiAffinity(Wire, frozen=True):
    """Keep apart from stable pods whatever it costs."""


class AntiAffinity(Wire, frozen=True):
    """How strictly new pods keep away from stable pods' nodes."""

    preferred: PreferredAntiAffinity | None = msgspec.field(default=None, name="preferredDuringSchedulingIgnoredDuringExecution")
    required: RequiredAntiAffinity | None = msgspec.field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")


class ReplicaProgressThreshold(Wire, frozen=True):
    """How many canary pods are enough to go on (`Percent` of the wanted ones, or `Pods`)."""

    type: str = ""
    value: Int32 = 0


class CanaryStrategy(Wire, frozen=True):
    """Shift traffic in steps."""

    steps: tuple[Step, ...] = ()
    canary_service: str = ""
    stable_service: str = ""
    max_surge: IntOrPercent | None = None
    max_unavailable: IntOrPercent | None = None
    traffic_routing: TrafficRouting | None = None
    analysis: BackgroundAnalysis | None = None
    scale_down_delay_seconds: Int32 | None = None
    scale_down_delay_revision_limit: Int32 | None = None
    abort_scale_down_delay_seconds: Int32 | None = None
    dynamic_stable_scale: bool = False
    min_pods_per_replica_set: Int32 | None = None
    replica_progress_threshold: ReplicaProgressThreshold | None = None
    ping_pong: PingPong | None = None
    anti_affinity: AntiAffinity | None = None
    canary_metadata: Metadata | None = None
    stable_metadata: Metadata | None = None


class BlueGreenStrategy(Wire, frozen=True):
    """Bring up the whole new version, then switch."""

    active_service: str = ""
    preview_service: str = ""
    preview_replica_count: Int32 | None = None
    auto_promotion_enabled: bool | None = None
    auto_promotion_seconds: Int32 = 0
    max_unavailable: IntOrPercent | None = None
    scale_down_delay_seconds: Int32 | None = None
    scale_down_delay_revision_limit: Int32 | None = None
    abort_scale_down_delay_seconds: Int32 | None = None
    pre_promotion_analysis: RolloutAnalysis | None = None
    post_promotion_analysis: RolloutAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    preview_metadata: Metadata | None = None
    active_metadata: Metadata | None = None


class Strategy(Wire, frozen=True):
    """Exactly one of the two ways."""

    canary: CanaryStrategy | None = None
    blue_green: BlueGreenStrategy | None = None


class RollbackWindow(Wire, frozen=True):
    """How many revisions back a rollback skips the steps."""

    revisions: Int32 = 0


class RunHistory(Wire, frozen=True):
    """How many finished AnalysisRuns are kept."""

    successful_run_history_limit: Int32 | None = None
    unsuccessful_run_history_limit: Int32 | None = None


class RolloutSpec(Wire, frozen=True):
    """What the user wants. The pod template stays raw bytes: nothing of it may be lost or re-spelled."""

    replicas: Int32 | None = None
    selector: LabelSelector | None = None
    template: msgspec.Raw = msgspec.Raw()
    workload_ref: WorkloadRef | None = None
    min_ready_seconds: Int32 = 0
    revision_history_limit: Int32 | None = None
    progress_deadline_seconds: Int32 | None = None
    progress_deadline_abort: bool = False
    paused: bool = False
    restart_at: Time | None = None
    analysis: RunHistory | None = None
    rollback_window: RollbackWindow | None = None
    strategy: Strategy = Strategy()


class Rollout(Wire, frozen=True):
    """A workload delivered progressively."""

    api_version: str = GROUP_VERSION
    kind: str = "Rollout"
    metadata: ObjectMeta = ObjectMeta()
    spec: RolloutSpec = RolloutSpec()
    status: RolloutStatus = RolloutStatus()
