"""What does the API server fill into HorizontalPodAutoscalers, and what does it refuse about them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.devcluster.autoscaling import DEFAULT_TARGET
from tiphys.devcluster.errors import Cause
from tiphys.devcluster.pod_shapes import CONDITIONS, METADATA
from tiphys.devcluster.rules_core import SpecRules
from tiphys.devcluster.shapes import always, struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiphys.devcluster.rules import Admission, Manifest

_REQUIRED = "FieldValueRequired"
_TARGET = always(struct("CrossVersionObjectReference", "kind:s name:s apiVersion:s"))
_STATUS = "observedGeneration:l lastScaleTime:s currentReplicas:i desiredReplicas:i currentMetrics"


class AutoscalerRules(SpecRules):
    """The admission of HorizontalPodAutoscalers."""

    def __init__(self) -> None:
        names = "minReplicas:i maxReplicas:i metrics behavior"
        spec = always(struct("HorizontalPodAutoscalerSpec", names, scaleTargetRef=_TARGET))
        status = always(struct("HorizontalPodAutoscalerStatus", _STATUS, conditions=CONDITIONS))
        super().__init__(struct("HorizontalPodAutoscaler", "", metadata=METADATA, spec=spec, status=status), status_apart=True)

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in the least size, and what is measured where nothing is said."""
        super().admit(manifest, write)
        spec = manifest.setdefault("spec", {})
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": DEFAULT_TARGET}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check the sizes, and that something is to be scaled."""
        if write.subresource_is_status:
            return ()
        spec = manifest["spec"]
        causes = []
        least, most = spec["minReplicas"], spec.get("maxReplicas", 0)
        if least < 1:
            causes.append(Cause("spec.minReplicas", f"Invalid value: {least}: must be greater than or equal to 1"))
        if most < 1:
            causes.append(Cause("spec.maxReplicas", f"Invalid value: {most}: must be greater than 0"))
        if most < least:
            causes.append(Cause("spec.maxReplicas", f"Invalid value: {most}: must be greater than or equal to `minReplicas`"))
        target = spec.get("scaleTargetRef") or {}
        unsaid = [key for key in ("kind", "name") if not target.get(key)]
        return [*causes, *(Cause(f"spec.scaleTargetRef.{key}", "Required value", _REQUIRED) for key in unsaid)]
