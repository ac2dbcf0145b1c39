"""Which pod template does a Rollout take from another workload? (Lifecycle reference 8.5)"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from tiphys.api import names
from tiphys.api.errors import SpecError
from tiphys.api.meta import LabelSelector, Manifest
from tiphys.api.podvalidation import template_problems
from tiphys.api.rollout import Rollout
from tiphys.controller.cluster import Caches
from tiphys.controller.named import SOURCES, workload_of
from tiphys.core.observed import Workload
from tiphys.kube.store import identity

FIELD: Final = "spec.workloadRef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """
    A Rollout as it is meant: with the template and, where it has none of its own, the selector of the workload that it refers to.

    It is never written like this. *problems* say why there is no template.
    """

    rollout: Rollout
    workload: Workload | None = None
    problems: tuple[SpecError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Template:
    """A template written down, what is wrong with it, and the workload it was read from."""

    uid: str
    version: str
    generation: int
    raw: msgspec.Raw
    problems: tuple[SpecError, ...]


@dataclass(slots=True)
class Workloads:
    """Reads the workloads that Rollouts refer to; what it remembers by version only saves writing a template down again."""

    caches: Caches
    _templates: dict[str, _Template] = field(default_factory=dict)

    def resolve(self, rollout: Rollout) -> Resolved:
        """Complete *rollout* by the workload that it refers to, if it refers to any."""
        reference = rollout.spec.workload_ref
        if reference is None:
            return Resolved(rollout=rollout)
        ref = workload_of(rollout)
        if ref is None:
            wanted = f"must be {' or '.join(SOURCES)}"
            return Resolved(rollout=rollout, problems=(SpecError(field=f"{FIELD}.kind", found=reference.kind, wanted=wanted),))
        found = self.caches.manifest(ref)
        if found is None or names.HASH_LABEL in (found["metadata"].get("labels") or {}):
            kind = f"{reference.kind} that is not a Rollout's own" if reference.kind == "ReplicaSet" else reference.kind
            wanted = f'must name a {kind} in namespace "{ref.namespace}", and none has that name'
            return Resolved(rollout=rollout, problems=(SpecError(field=FIELD, found=reference.name, wanted=wanted),))
        try:
            return self._completed(rollout, found)
        except (KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            wanted = f"must have a pod template and a selector that can be read ({error})"
            return Resolved(rollout=rollout, problems=(SpecError(field=FIELD, found=f"{reference.kind} {reference.name}", wanted=wanted),))

    def forget(self, rollout: Rollout) -> None:
        """Drop what is remembered of a Rollout that is gone."""
        self._templates.pop(rollout.metadata.uid, None)

    def _completed(self, rollout: Rollout, found: Manifest) -> Resolved:
        assert rollout.spec.workload_ref is not None  # noqa: S101 - asked by the caller
        kind = rollout.spec.workload_ref.kind
        spec: Manifest = {} if kind == "PodTemplate" else found["spec"]
        selector = rollout.spec.selector
        if selector is None and "selector" in spec:
            selector = msgspec.convert(spec["selector"], LabelSelector)
        template = self._template(rollout, found, spec["template"] if spec else found["template"], selector)
        workload = Workload(
            kind=kind,
            name=rollout.spec.workload_ref.name,
            generation=int(found["metadata"].get("generation") or 0),
            replicas=int(spec.get("replicas", 1)) if spec else None,
            available=int((found.get("status") or {}).get("availableReplicas") or 0),
            resource_version=str(found["metadata"].get("resourceVersion", "")),
            scale_down=rollout.spec.workload_ref.scale_down if kind == "Deployment" else "",
        )
        completed = msgspec.structs.replace(rollout, spec=msgspec.structs.replace(rollout.spec, template=template.raw, selector=selector))
        return Resolved(rollout=completed, workload=workload, problems=template.problems)

    def _template(self, rollout: Rollout, found: Manifest, template: Manifest, selector: LabelSelector | None) -> _Template:
        _, uid, version = identity(found)
        generation = rollout.metadata.generation  # the selector may be the Rollout's own
        known = self._templates.get(rollout.metadata.uid)
        if known is None or (known.uid, known.version, known.generation) != (uid, version, generation):
            raw = msgspec.json.encode(template)
            known = _Template(uid, version, generation, msgspec.Raw(raw), tuple(template_problems(raw, selector)))
            self._templates[rollout.metadata.uid] = known
        return known
