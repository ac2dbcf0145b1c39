"""What does the API server fill into ReplicaSets and Deployments, and what does it refuse about them?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause
from tiphys.devcluster.metadata import common_causes, label_causes, quoted
from tiphys.devcluster.pod_shapes import CONDITIONS, METADATA, SELECTOR, TEMPLATE
from tiphys.devcluster.rules import Admission, Manifest, Rules
from tiphys.devcluster.rules_pods import default_template, show_template, template_causes
from tiphys.devcluster.selectors import OPERATORS, from_label_selector
from tiphys.devcluster.shapes import always, atomic, struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REQUIRED = "FieldValueRequired"
_PERCENT_WORDS = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is "
    "'[0-9]+%')"
)


def go_map(labels: Mapping[str, str] | None) -> str:
    """Write a map of strings as Go prints it."""
    if labels is None:
        return "map[string]string(nil)"
    return "map[string]string{" + ", ".join(f"{quoted(key)}:{quoted(value)}" for key, value in sorted(labels.items())) + "}"


def go_selector(selector: Mapping[str, Any] | None) -> str:
    """Write a label selector as Go prints it."""
    if selector is None:
        return '"null"'
    expressions = "[]v1.LabelSelectorRequirement(nil)"
    if selector.get("matchExpressions"):
        shown = []
        for item in selector["matchExpressions"]:
            values = ", ".join(quoted(value) for value in item.get("values") or ())
            listed = f"[]string{{{values}}}" if item.get("values") else "[]string(nil)"
            shown.append(
                f"v1.LabelSelectorRequirement{{Key:{quoted(item.get('key'))}, Operator:{quoted(item.get('operator'))}, Values:{listed}}}"
            )
        expressions = "[]v1.LabelSelectorRequirement{" + ", ".join(shown) + "}"
    return f"v1.LabelSelector{{MatchLabels:{go_map(selector.get('matchLabels'))}, MatchExpressions:{expressions}}}"


def negative_causes(spec: Mapping[str, Any], *names: str) -> list[Cause]:
    """Say which fields of a spec are counts below 0."""
    found = ((name, spec.get(name)) for name in names)
    words = "must be greater than or equal to 0"
    return [Cause(f"spec.{name}", f"Invalid value: {value}: {words}") for name, value in found if value is not None and value < 0]


def _selection_causes(spec: Mapping[str, Any]) -> list[Cause]:
    """Say what is wrong with a selector and the template it has to match; a bad selector is all there is to say."""
    selector, template = spec.get("selector"), spec["template"]
    labels = template["metadata"].get("labels")
    causes: list[Cause] = []
    if selector is None:
        causes.append(Cause("spec.selector", "Required value", _REQUIRED))
    else:
        wrong = label_causes(selector.get("matchLabels") or {}, "spec.selector.matchLabels")
        for place, item in enumerate(selector.get("matchExpressions") or ()):
            if item.get("operator") not in OPERATORS:
                where = f"spec.selector.matchExpressions[{place}].operator"
                wrong.append(Cause(where, f"Invalid value: {quoted(item.get('operator') or '')}: not a valid selector operator"))
        if wrong:
            return [*wrong, Cause("spec.selector", f"Invalid value: {go_selector(selector)}: invalid label selector")]
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            causes.append(Cause("spec.selector", f"Invalid value: {go_selector(selector)}: empty selector is invalid for deployment"))
    if not from_label_selector(selector)(labels or {}):
        words = f"Invalid value: {go_map(labels)}: `selector` does not match template `labels`"
        causes.append(Cause("spec.template.metadata.labels", words))
    return [*causes, *template_causes(template, "spec.template", only_always=True)]


def immutable_selector(manifest: Manifest, write: Admission) -> list[Cause]:
    """Refuse a changed selector."""
    selector = manifest["spec"].get("selector")
    if write.old is None or selector == write.old["spec"].get("selector"):
        return []
    return [Cause("spec.selector", f"Invalid value: {go_selector(selector)}: field is immutable")]


WORKLOAD_SELECTOR = atomic(SELECTOR)


class ReplicaSetRules(Rules):
    """The admission of ReplicaSets."""

    status_apart = True
    selectable = frozenset(("status.replicas",))
    shape = struct(
        "ReplicaSet",
        "",
        metadata=METADATA,
        spec=always(struct("ReplicaSetSpec", "replicas:i minReadySeconds:i", selector=WORKLOAD_SELECTOR, template=always(TEMPLATE))),
        status=always(
            struct(
                "ReplicaSetStatus",
                "replicas:i fullyLabeledReplicas:i readyReplicas:i availableReplicas:i terminatingReplicas:i observedGeneration:l",
                conditions=CONDITIONS,
            )
        ),
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in size and template."""
        decode(manifest, self.shape, write)
        spec = manifest.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        default_template(spec.setdefault("template", {}), write)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin with no pods."""
        show_template(manifest["spec"]["template"])
        manifest.setdefault("status", {}).setdefault("replicas", 0)
        del write

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check size, selector and template; updates check them twice, as the real server does."""
        if write.subresource_is_status:
            return ()
        spec = manifest["spec"]
        causes = [
            *negative_causes(spec, "replicas", "minReadySeconds"),
            *_selection_causes(spec),
        ]
        if write.old is None:
            return causes
        return [*causes, *common_causes(manifest["metadata"]), *causes, *immutable_selector(manifest, write)]

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what ReplicaSets are selected by."""
        return {"status.replicas": str((manifest.get("status") or {}).get("replicas", 0))}


_STRATEGY = always(struct("DeploymentStrategy", "type:s", rollingUpdate=struct("RollingUpdateDeployment", "maxUnavailable maxSurge")))


class DeploymentRules(Rules):
    """The admission of Deployments; their revision is an annotation that is written with the status."""

    status_apart = True
    status_annotates = True
    shape = struct(
        "Deployment",
        "",
        metadata=METADATA,
        spec=always(
            struct(
                "DeploymentSpec",
                "replicas:i minReadySeconds:i revisionHistoryLimit:i paused:b progressDeadlineSeconds:i",
                selector=WORKLOAD_SELECTOR,
                template=always(TEMPLATE),
                strategy=_STRATEGY,
            )
        ),
        status=always(
            struct(
                "DeploymentStatus",
                "observedGeneration:l replicas:i updatedReplicas:i readyReplicas:i availableReplicas:i unavailableReplicas:i "
                "terminatingReplicas:i collisionCount:i",
                conditions=CONDITIONS,
            )
        ),
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in strategy, limits and template."""
        decode(manifest, self.shape, write)
        spec = manifest.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        default_template(spec.setdefault("template", {}), write)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin with an empty status."""
        show_template(manifest["spec"]["template"])
        manifest.setdefault("status", {})
        del write

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Annotations count too, unlike for other kinds."""
        return super().changed(new, old) or new["metadata"].get("annotations") != old["metadata"].get("annotations")

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check size, selector, template and strategy."""
        if write.subresource_is_status:
            return ()
        spec = manifest["spec"]
        return [
            *negative_causes(spec, "replicas"),
            *_selection_causes(spec),
            *_strategy_causes(spec["strategy"]),
            *negative_causes(spec, "minReadySeconds", "revisionHistoryLimit"),
            *_deadline_causes(spec),
            *immutable_selector(manifest, write),
        ]


def _deadline_causes(spec: Mapping[str, Any]) -> list[Cause]:
    causes = negative_causes(spec, "progressDeadlineSeconds")
    seconds = spec["progressDeadlineSeconds"]
    if seconds <= spec.get("minReadySeconds", 0):
        causes.append(Cause("spec.progressDeadlineSeconds", f"Invalid value: {seconds}: must be greater than minReadySeconds"))
    return causes


def _strategy_causes(strategy: Mapping[str, Any]) -> list[Cause]:
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        shown = f"apps.DeploymentStrategy{{Type:{quoted(strategy['type'])}, RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}}"
        words = f'Unsupported value: {shown}: supported values: "Recreate", "RollingUpdate"'
        return [Cause("spec.strategy", words, "FieldValueNotSupported")]
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return []
    if strategy["type"] == "Recreate":
        words = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        return [Cause("spec.strategy.rollingUpdate", words, "FieldValueForbidden")]
    where, causes = "spec.strategy.rollingUpdate", []
    for name in ("maxUnavailable", "maxSurge"):
        value = rolling[name]
        if isinstance(value, str) and not re.fullmatch(r"\d+%", value):
            causes.append(Cause(f"{where}.{name}", f"Invalid value: {_go_int_or_string(value)}: {_PERCENT_WORDS}"))
        elif isinstance(value, int) and value < 0:
            causes.append(Cause(f"{where}.{name}", f"Invalid value: {value}: must be greater than or equal to 0"))
    missing = rolling["maxUnavailable"]
    if not causes and isinstance(missing, str) and int(missing[:-1]) > 100:
        causes.append(Cause(f"{where}.maxUnavailable", f"Invalid value: {_go_int_or_string(missing)}: must not be greater than 100%"))
    if not causes and all(rolling[name] in (0, "0%") for name in ("maxUnavailable", "maxSurge")):
        shown = _go_int_or_string(rolling["maxUnavailable"])
        causes.append(Cause(f"{where}.maxUnavailable", f"Invalid value: {shown}: may not be 0 when `maxSurge` is 0"))
    return causes


def _go_int_or_string(value: int | str) -> str:
    if isinstance(value, str):
        return f"intstr.IntOrString{{Type:1, IntVal:0, StrVal:{quoted(value)}}}"
    return f'intstr.IntOrString{{Type:0, IntVal:{value}, StrVal:""}}'
