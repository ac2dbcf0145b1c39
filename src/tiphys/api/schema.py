"""Which OpenAPI schema says what a typed object may look like?"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec import inspect as shapes

from tiphys.api import analysis, experiment, rollout, status
from tiphys.api.meta import INT32, LabelSelector, LabelSelectorRequirement, Manifest, ObjectMeta

ANYTHING: Final[Manifest] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
INT_OR_STRING: Final[Manifest] = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_TEXTS: Final[Manifest] = {"type": "object", "additionalProperties": {"type": "string"}}

REQUIRED: Final[Mapping[type[Struct], tuple[str, ...]]] = {
    LabelSelectorRequirement: ("key", "operator"),
    rollout.Rollout: ("spec",),
    rollout.BlueGreenStrategy: ("activeService",),
    rollout.PreferredAntiAffinity: ("weight",),
    rollout.AnalysisArgument: ("name",),
    rollout.FieldRef: ("fieldPath",),
    rollout.DryRun: ("metricName",),
    rollout.MeasurementRetention: ("limit", "metricName"),
    rollout.PingPong: ("pingService", "pongService"),
    rollout.ReplicaProgressThreshold: ("type", "value"),
    rollout.ExperimentStep: ("templates",),
    rollout.ExperimentAnalysis: ("name", "templateName"),
    rollout.ExperimentTemplate: ("name", "specRef"),
    rollout.PluginStep: ("name",),
    rollout.HeaderRoutingMatch: ("headerName", "headerValue"),
    rollout.SetMirrorRoute: ("name",),
    rollout.AlbRouting: ("servicePort",),
    rollout.StickinessConfig: ("durationSeconds", "enabled"),
    rollout.AmbassadorRouting: ("mappings",),
    rollout.ApisixRoute: ("name",),
    rollout.AppMeshNodeGroup: ("canaryVirtualNodeRef", "stableVirtualNodeRef"),
    rollout.NamedRef: ("name",),
    rollout.AppMeshVirtualService: ("name",),
    rollout.IstioDestinationRule: ("canarySubsetName", "name", "stableSubsetName"),
    rollout.IstioVirtualService: ("name",),
    rollout.ManagedRoute: ("name",),
    status.AwsResource: ("arn", "name"),
    status.RunStatus: ("name", "status"),
    status.StepPluginStatus: ("index", "name", "operation"),
    status.TrafficWeights: ("canary", "stable"),
    status.WeightDestination: ("weight",),
    status.Condition: ("lastTransitionTime", "lastUpdateTime", "message", "reason", "status", "type"),
    status.PauseCondition: ("reason", "startTime"),
    analysis.AnalysisTemplate: ("spec",),
    analysis.ClusterAnalysisTemplate: ("spec",),
    analysis.AnalysisRun: ("spec",),
    analysis.AnalysisRunSpec: ("metrics",),
    analysis.SecretKeyRef: ("key", "name"),
    analysis.Argument: ("name",),
    analysis.Header: ("key", "value"),
    analysis.Metric: ("name", "provider"),
    analysis.CloudWatchMetric: ("metricDataQueries",),
    analysis.JobMetric: ("spec",),
    analysis.KayentaMetric: (
        "address",
        "application",
        "canaryConfigName",
        "configurationAccountName",
        "metricsAccountName",
        "scopes",
        "storageAccountName",
        "threshold",
    ),
    analysis.KayentaScopes: ("controlScope", "experimentScope", "name"),
    analysis.KayentaScope: ("region", "scope", "step"),
    analysis.KayentaThreshold: ("marginal", "pass"),
    analysis.NewRelicMetric: ("query",),
    analysis.WebMetric: ("url",),
    analysis.AnalysisRunStatus: ("phase",),
    analysis.MetricResult: ("name", "phase"),
    analysis.Measurement: ("phase",),
    experiment.Experiment: ("spec",),
    experiment.ExperimentSpec: ("templates",),
    experiment.ExperimentVariant: ("name", "selector", "template"),
    experiment.ExperimentAnalysisRef: ("name", "templateName"),
    experiment.VariantStatus: ("availableReplicas", "name", "readyReplicas", "replicas", "updatedReplicas"),
    experiment.ExperimentRunStatus: ("analysisRun", "name", "phase"),
}
"""The fields that an object must have, by their wire names."""


def pod_template() -> Manifest:
    """
    Give the schema of a pod template: labels and annotations, and whatever a pod may have, now and later.

    Only the two maps survive in its metadata, because the pod-template hash of other controllers knows no more.
    """
    metadata = {"type": "object", "properties": {"labels": dict(_TEXTS), "annotations": dict(_TEXTS)}}
    return {"type": "object", "properties": {"metadata": metadata, "spec": dict(ANYTHING)}}


def _job_spec() -> Manifest:
    return {**ANYTHING, "required": ["template"], "properties": {"template": pod_template()}}


def _immutable_selector() -> Manifest:
    rule = {"message": ".spec.selector is immutable", "rule": "self == oldSelf"}
    return {**_struct(LabelSelector), "x-kubernetes-validations": [rule]}


_SPECIAL: Final[Mapping[tuple[type[Struct], str], Callable[[], Manifest]]] = {
    (rollout.RolloutSpec, "template"): pod_template,
    (rollout.RolloutSpec, "selector"): _immutable_selector,
    (experiment.ExperimentVariant, "template"): pod_template,
    (analysis.JobMetric, "spec"): _job_spec,
}
"""Fields whose schema says more than their type."""


def object_schema(kind: type[Struct]) -> Manifest:
    """Give the schema of a whole object of *kind*, as a custom resource definition wants it."""
    schema = _struct(kind)
    schema["properties"].update({"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}})
    return schema


def _struct(kind: type[Struct]) -> Manifest:
    properties = {}
    for field in _fields(kind):
        special = _SPECIAL.get((kind, field.encode_name))
        if special is not None:
            properties[field.encode_name] = special()
        elif not (isinstance(field.type, shapes.StructType) and field.type.cls is ObjectMeta):
            properties[field.encode_name] = _field(field)
    schema: Manifest = {"type": "object", "description": _first_sentence(kind), "properties": properties}
    if kind in REQUIRED:
        schema["required"] = list(REQUIRED[kind])
    if kind is LabelSelector:
        schema["x-kubernetes-map-type"] = "atomic"
        properties["matchExpressions"]["x-kubernetes-list-type"] = "atomic"
        properties["matchExpressions"]["items"]["properties"]["values"]["x-kubernetes-list-type"] = "atomic"
    return schema


def _field(field: shapes.Field) -> Manifest:
    schema = _shape(field.type)
    if isinstance(field.default, str) and field.default:
        schema["default"] = field.default
    return schema


def _shape(shape: shapes.Type) -> Manifest:
    match shape:
        case shapes.UnionType(types=types):
            return _union([one for one in types if not isinstance(one, shapes.NoneType)])
        case shapes.StructType(cls=kind):
            return _struct(kind)
        case shapes.VarTupleType(item_type=item):
            return {"type": "array", "items": _shape(item)}
        case shapes.DictType(value_type=shapes.RawType()) | shapes.RawType():
            return dict(ANYTHING)
        case shapes.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _shape(value)}
        case shapes.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case shapes.IntType(le=most):
            return {"type": "integer", "format": "int64" if most is not None and most > INT32 else "int32"}
        case shapes.BoolType():
            return {"type": "boolean"}
        case shapes.StrType():
            return {"type": "string"}
        case shapes.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case _:
            raise TypeError(f"no schema for {shape!r}")


def _union(types: list[shapes.Type]) -> Manifest:
    if len(types) == 1:
        return _shape(types[0])
    if {type(one) for one in types} == {shapes.IntType, shapes.StrType}:
        return {**INT_OR_STRING, "anyOf": [dict(one) for one in INT_OR_STRING["anyOf"]]}
    raise TypeError(f"no schema for a union of {types!r}")


def _fields(kind: type[Struct]) -> tuple[shapes.Field, ...]:
    info: Any = shapes.type_info(kind)
    fields: tuple[shapes.Field, ...] = info.fields
    return fields


def _first_sentence(kind: type[Struct]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0].replace("*", "").replace("`", "")
