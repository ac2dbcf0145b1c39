"""What does the API server fill into Jobs, and what does it refuse about them?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause
from tiphys.devcluster.metadata import quoted
from tiphys.devcluster.pod_shapes import CONDITIONS, METADATA, TEMPLATE
from tiphys.devcluster.rules import Admission, Manifest, Rules
from tiphys.devcluster.rules_apps import WORKLOAD_SELECTOR, go_map, go_selector, immutable_selector, negative_causes
from tiphys.devcluster.rules_pods import default_template, show_template, template_causes
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.shapes import TEXT_LIST, always, struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REQUIRED = "FieldValueRequired"
_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_FIXED = ("completions", "completionMode", "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "managedBy")
"""Fields that stay as they were created."""

_MODES = ("NonIndexed", "Indexed")
_REPLACEMENTS = ("TerminatingOrFailed", "Failed")
_MANY = 2**31 - 1
_UIDS = replace(TEXT_LIST, as_set=True)
_UID_LABEL, _NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"


class JobRules(Rules):
    """The admission of Jobs: the selector is made by the server, from the Job's uid."""

    status_apart = True
    shape = struct(
        "Job",
        "",
        metadata=METADATA,
        spec=always(
            struct(
                "JobSpec",
                "parallelism:i completions:i activeDeadlineSeconds:l podFailurePolicy successPolicy backoffLimit:i "
                "backoffLimitPerIndex:i maxFailedIndexes:i manualSelector:b ttlSecondsAfterFinished:i completionMode:s suspend:b "
                "podReplacementPolicy:s managedBy:s",
                selector=WORKLOAD_SELECTOR,
                template=always(TEMPLATE),
            )
        ),
        status=always(
            struct(
                "JobStatus",
                "startTime:s completionTime:s active:i ready:i terminating:i succeeded:i failed:i completedIndexes:s failedIndexes:s",
                uncountedTerminatedPods=struct("UncountedTerminatedPods", "", succeeded=_UIDS, failed=_UIDS),
                conditions=replace(CONDITIONS, keys=()),  # owned as a whole, and yet patched one by one
            )
        ),
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in counts and template."""
        decode(manifest, self.shape, write)
        spec = manifest.setdefault("spec", {})
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = 1
        spec.setdefault("parallelism", 1)
        spec.setdefault("backoffLimit", _MANY if "backoffLimitPerIndex" in spec else 6)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
        default_template(spec.setdefault("template", {}), write)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Give a new Job its selector, and its pods the labels that go with it."""
        spec, metadata = manifest["spec"], manifest["metadata"]
        show_template(spec["template"])
        manifest.setdefault("status", {})
        if write.old is None and not spec.get("manualSelector"):
            labels = spec["template"]["metadata"].setdefault("labels", {})
            uid, name = metadata["uid"], metadata["name"]
            for key, value in ((_UID_LABEL, uid), (_NAME_LABEL, name), ("controller-uid", uid), ("job-name", name)):
                labels.setdefault(key, value)
            spec.setdefault("selector", {}).setdefault("matchLabels", {}).setdefault(_UID_LABEL, uid)
        if write.old is None and not metadata.get("labels") and spec["template"]["metadata"].get("labels"):
            metadata["labels"] = dict(spec["template"]["metadata"]["labels"])

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check counts, selector and template; a Job's pods end some day."""
        if write.subresource_is_status:
            return ()
        spec = manifest["spec"]
        causes = [
            *_selector_causes(manifest),
            *negative_causes(spec, *_COUNTS),
            *_mode_causes(spec),
            *template_causes(spec["template"], "spec.template", only_always=False),
        ]
        if spec["template"]["spec"].get("restartPolicy") == "Always":
            words = 'Required value: valid values: "OnFailure", "Never"'
            causes.append(Cause("spec.template.spec.restartPolicy", words, _REQUIRED))
        return [*causes, *immutable_selector(manifest, write), *_fixed_causes(spec, write.old)]


def _selector_causes(manifest: Mapping[str, Any]) -> list[Cause]:
    spec = manifest["spec"]
    selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels") or {}
    if selector is None:
        return [Cause("spec.selector", "Required value", _REQUIRED)]
    if not spec.get("manualSelector") and selector != {"matchLabels": {_UID_LABEL: manifest["metadata"]["uid"]}}:
        return [Cause("spec.selector", f"Invalid value: {go_selector(selector)}: `selector` not auto-generated")]
    if not from_label_selector(selector)(labels):
        words = f"Invalid value: {go_map(labels)}: `selector` does not match template `labels`"
        return [Cause("spec.template.metadata.labels", words)]
    return []


def _mode_causes(spec: Mapping[str, Any]) -> list[Cause]:
    causes = []
    for key, known in (("completionMode", _MODES), ("podReplacementPolicy", _REPLACEMENTS)):
        if spec[key] not in known:
            shown = ", ".join(quoted(each) for each in sorted(known))
            words = f"Unsupported value: {quoted(spec[key])}: supported values: {shown}"
            causes.append(Cause(f"spec.{key}", words, "FieldValueNotSupported"))
    if spec["completionMode"] == "Indexed" and spec.get("completions") is None:
        causes.append(Cause("spec.completions", "Required value: when completion mode is Indexed", _REQUIRED))
    return causes


def _fixed_causes(spec: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Cause]:
    """Refuse changes of what a Job is; what its pods are may change only before the first of them."""
    if old is None:
        return []
    before = old["spec"]
    fixed = [key for key in _FIXED if spec.get(key) != before.get(key)]
    causes = [Cause(f"spec.{key}", f"Invalid value: {_shown(spec.get(key))}: field is immutable") for key in fixed]
    waiting = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    new, known = (_before_pods(each["template"]) if waiting else each["template"] for each in (spec, before))
    if new != known:
        causes.append(Cause("spec.template", "Invalid value: core.PodTemplateSpec{...}: field is immutable"))
    return causes


def _before_pods(template: Mapping[str, Any]) -> Manifest:
    """Give what stays fixed of the template of a Job that was never started: not where its pods go, and not their marks."""
    places = ("nodeSelector", "tolerations", "affinity", "schedulingGates")
    return {"spec": {key: value for key, value in template["spec"].items() if key not in places}}


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return quoted(value) if isinstance(value, str) else str(value)
