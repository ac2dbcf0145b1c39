"""Which patch does a command send? (User interfaces 1.2 to 1.4; these patches are a public contract.)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import msgspec

from tiphys.api import names
from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest, wire_time
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.family import owned

Patch = Mapping[str, Any]

ABORT: Final[Patch] = {"status": {"abort": True}}
RETRY: Final[Patch] = {"status": {"abort": False}}
PAUSE: Final[Patch] = {"spec": {"paused": True}}
RESUME: Final[Patch] = {"spec": {"paused": False}}


class RefusedError(TiphysError):
    """What was asked for makes no sense for this object; the text says why."""


class Skip(Enum):
    """How far promote goes."""

    NO = "what holds the rollout now"
    STEP = "the current step"
    ALL_STEPS = "all steps"
    FULL = "everything: steps, pauses and analysis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """
    The two halves of a promotion, each nothing where there is nothing to say.

    *status* goes to the status subresource, then *spec* to the object.
    """

    status: Patch | None = None
    spec: Patch | None = None

    @property
    def together(self) -> Patch:
        """Both halves as one patch, for clusters whose CRD has no status subresource."""
        return {**(self.spec or {}), **(self.status or {})}


def promotion(rollout: Rollout, skip: Skip) -> Promotion:
    """
    Decide what promotes *rollout*; the first case that holds wins (user interfaces 1.3).

    Raises:
        RefusedError: steps are to be skipped where there are none.

    """
    status = _promoted_status(rollout, skip)
    unpause = rollout.spec.paused and skip in {Skip.NO, Skip.FULL}
    return Promotion(status=None if status is None else {"status": status}, spec=RESUME if unpause else None)


def _promoted_status(rollout: Rollout, skip: Skip) -> Patch | None:
    status, canary = rollout.status, rollout.spec.strategy.canary
    count = len(canary.steps) if canary is not None else 0
    onward = min((status.current_step_index or 0) + 1, count)
    if skip in {Skip.STEP, Skip.ALL_STEPS}:
        _check_steps(rollout, count)
        return {"currentStepIndex": onward if skip is Skip.STEP else count}
    if skip is Skip.FULL:
        return {"promoteFull": True} if status.current_pod_hash != status.stable_rs else None
    run = status.canary.current_step_analysis_run_status
    if run is not None and run.status == "Inconclusive" and status.pause_conditions and status.controller_pause:
        return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": onward}
    if status.pause_conditions:
        return {"pauseConditions": None}
    return {"pauseConditions": None, "currentStepIndex": onward} if count else None


def _check_steps(rollout: Rollout, count: int) -> None:
    if rollout.spec.strategy.blue_green is not None:
        raise RefusedError("Cannot skip steps of a bluegreen rollout. Run without a flags")
    if not count:
        raise RefusedError("Cannot skip steps of a rollout without steps")


def restart_patch(at: datetime) -> Patch:
    """Ask for a restart of every pod *at* that time."""
    return {"spec": {"restartAt": wire_time(at)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """
    The template to go back to and the revision it comes from.

    *patch* is a JSON patch, empty where the template is in use already.
    """

    revision: int
    patch: Sequence[Manifest]


def undo(rollout: Rollout, current: object, replica_sets: Sequence[ReplicaSet], revision: int, *, path: str = "/spec/template") -> Undo:
    """
    Find the template of *revision* (0: the one before the latest) among the ReplicaSets that *rollout* owns.

    *current* is the pod template in force, as plain data, and *path* its place: in the Rollout, or in the workload it refers to.

    Raises:
        RefusedError: there is no such revision.

    """
    source = _of_revision(rollout, replica_sets, revision)
    found = names.revision(source.metadata.annotations)
    template = msgspec.json.decode(bytes(source.spec.template) or b"{}")
    labels = template.get("metadata", {}).get("labels")
    if labels is not None:
        labels.pop(names.HASH_LABEL, None)
    same = _without_empty(template) == _without_empty(current) or _in_force(rollout, source)
    return Undo(revision=found, patch=[] if same else [{"op": "replace", "path": path, "value": template}])


def _in_force(rollout: Rollout, replica_set: ReplicaSet) -> bool:
    """Tell whether the controller has found the current template to be that of *replica_set*, which the API server has defaulted."""
    seen = rollout.status.observed_generation == str(rollout.metadata.generation) and rollout.spec.workload_ref is None
    return seen and names.pod_hash(replica_set.metadata.labels) == rollout.status.current_pod_hash


def _of_revision(rollout: Rollout, replica_sets: Sequence[ReplicaSet], revision: int) -> ReplicaSet:
    selector = rollout.spec.selector
    history = sorted(
        (
            found
            for found in owned(replica_sets, rollout)
            if names.revision(found.metadata.annotations) and (selector is None or selector.matches(found.metadata.labels))
        ),
        key=lambda found: names.revision(found.metadata.annotations),
    )
    if revision:
        named = next((found for found in history if names.revision(found.metadata.annotations) == revision), None)
        if named is None:
            raise RefusedError(f"unable to find specified revision {revision} in history")
        return named
    if len(history) < 2:
        raise RefusedError(f'no revision found for rollout "{rollout.metadata.name}"')
    return history[-2]


def _without_empty(value: object) -> object:
    """Leave out what the API server writes or leaves out as it likes: nulls and empty maps and lists."""
    match value:
        case dict():
            kept = {key: _without_empty(item) for key, item in value.items()}
            return {key: item for key, item in kept.items() if item not in (None, {}, [])}
        case list():
            return [_without_empty(item) for item in value]
        case _:
            return value


def with_images(template_owner: Manifest, images: Mapping[str, str]) -> Manifest:
    """
    Give *template_owner* (anything with `spec.template`) with other container images; `*` means all containers.

    Init and ephemeral containers are found by name too.

    Raises:
        RefusedError: there is no container of such a name.

    """
    changed: Manifest = msgspec.json.decode(msgspec.json.encode(template_owner))
    spec = changed.get("spec", {}).get("template", {}).get("spec", {})
    containers = [item for group in ("initContainers", "containers", "ephemeralContainers") for item in spec.get(group) or ()]
    for name, image in images.items():
        meant = [item for item in containers if name in {"*", item.get("name")}]
        if not meant:
            raise RefusedError(f'unable to find container named "{name}"')
        for item in meant:
            item["image"] = image
    return changed
