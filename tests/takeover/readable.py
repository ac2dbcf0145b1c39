"""Can the reference go on from these objects? (Lifecycle reference 2, 3, 6, 7; traffic-routing 1.10, 2)"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from routed_apps import Read
from tiphys.api import names, podhash
from tiphys.api.codec import decode_rollout
from tiphys.api.meta import Manifest

if TYPE_CHECKING:
    from tiphys.api.rollout import Rollout

OURS: Final = "tiphys.dev/"
"""Where annotations begin that only Tiphys reads."""

CONDITIONS: Final[Mapping[str, frozenset[tuple[str, str]]]] = {
    "Progressing": frozenset(
        [("True", reason) for reason in ("NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated", "ReplicaSetNotAvailable")]
        + [("True", "NewReplicaSetAvailable")]
        + [("Unknown", reason) for reason in ("RolloutPaused", "RolloutResumed", "RolloutRetry")]
        + [("False", reason) for reason in ("RolloutAborted", "ProgressDeadlineExceeded", "ReplicaSetCreateError")]
    ),
    "Available": frozenset([("True", "AvailableReason"), ("False", "AvailableReason")]),
    "Paused": frozenset([("True", "RolloutPaused"), ("False", "RolloutPaused")]),
    "Completed": frozenset([("True", "RolloutCompleted"), ("False", "RolloutCompleted")]),
    "Healthy": frozenset([("True", "RolloutHealthy"), ("False", "RolloutHealthy")]),
    "InvalidSpec": frozenset([("True", "InvalidSpec")]),
}
PAUSES: Final = frozenset({"InconclusiveAnalysisRun", "InconclusiveExperiment", "CanaryPauseStep", "BlueGreenPause"})
FIELDS: Final = frozenset(
    {
        "HPAReplicas",
        "abort",
        "abortedAt",
        "alb",
        "albs",
        "availableReplicas",
        "blueGreen",
        "canary",
        "collisionCount",
        "conditions",
        "controllerPause",
        "currentPodHash",
        "currentStepHash",
        "currentStepIndex",
        "duration",
        "message",
        "observedGeneration",
        "pauseConditions",
        "phase",
        "promoteFull",
        "readyReplicas",
        "replicas",
        "restartedAt",
        "selector",
        "stableRS",
        "updatedReplicas",
        "workloadObservedGeneration",
    }
)
"""What a status has (2.1)."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NUMBER: Final = re.compile(r"\d+")


class Left:
    """The objects of one Rollout as somebody leaves them."""

    def __init__(self, objects: Sequence[Manifest]) -> None:
        self.objects = objects
        (self.manifest,) = self.of_kind("Rollout")
        self.rollout: Rollout = decode_rollout(msgspec.json.encode(self.manifest))
        self.status: Manifest = self.manifest.get("status", {})
        self.replica_sets = {
            found["metadata"]["labels"][names.HASH_LABEL]: found
            for found in self.of_kind("ReplicaSet")
            if names.HASH_LABEL in found["metadata"].get("labels", {})
        }
        self.services = {found["metadata"]["name"]: found for found in self.of_kind("Service")}
        self.replicas = self.rollout.spec.replicas
        self.invalid = any(each["type"] == "InvalidSpec" for each in self.status.get("conditions", ()))

    def of_kind(self, kind: str) -> list[Manifest]:
        return [each for each in self.objects if each["kind"] == kind]


def unreadable(objects: Sequence[Manifest], carries: Callable[[Read], int] | None = None) -> list[str]:
    """
    Give everything on which the reference could not go on, or would begin anew; empty where it goes on from here.

    *carries* reads the canary's weight from the objects of a router that is not Istio.
    """
    left = Left(objects)
    problems = [
        *_finalizers(left),
        *_owners(left),
        *_replica_sets(left),
        *_services(left),
        *_identity(left),
        *_conditions(left),
        *_pauses(left),
    ]
    return [*problems, *([] if left.invalid else [*_counts(left), *_traffic(left), *_shares(left, carries), *_selectors(left)])]


def without_ours(objects: Sequence[Manifest]) -> list[Manifest]:
    """Give the objects without any annotation that only Tiphys reads."""
    return [{**each, "metadata": _cleaned(each["metadata"])} for each in objects]


def _cleaned(metadata: Manifest) -> Manifest:
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if not key.startswith(OURS)}
    return {**metadata, "annotations": kept}


def _finalizers(left: Left) -> Iterator[str]:
    asked = names.ON_DELETE in left.rollout.metadata.annotations
    for each in left.objects:
        finalizers = set(each["metadata"].get("finalizers") or ()) - ({names.ON_DELETE} if asked else set())
        if finalizers:
            yield f"{each['kind']} {each['metadata']['name']} has finalizers"
        for key in each["metadata"].get("labels") or {}:
            if key.startswith(OURS):
                yield f"{each['kind']} {each['metadata']['name']} has the label {key}"


def _owners(left: Left) -> Iterator[str]:
    """Tell what would not go with the Rollout, or would count as somebody else's (traffic-routing 4.3, 4.4, 4.7)."""
    wanted = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": left.rollout.metadata.name,
        "uid": left.rollout.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    for each in left.objects:
        owners = each["metadata"].get("ownerReferences") or []
        if any(owner["kind"] == "Rollout" for owner in owners) and owners != [wanted]:
            yield f"{each['kind']} {each['metadata']['name']} has the owners {owners}"


def _replica_sets(left: Left) -> Iterator[str]:
    for pod_hash, found in left.replica_sets.items():
        name, metadata, spec = found["metadata"]["name"], found["metadata"], found["spec"]
        if name != f"{left.rollout.metadata.name}-{pod_hash}":
            yield f"{name} is not named after its hash {pod_hash}"
        if spec["selector"]["matchLabels"].get(names.HASH_LABEL) != pod_hash:
            yield f"{name} does not select by its hash"
        if spec["template"]["metadata"]["labels"].get(names.HASH_LABEL) != pod_hash:
            yield f"the pods of {name} have another hash"
        if not metadata.get("ownerReferences"):
            yield f"{name} has no owner"
        yield from _annotations(name, metadata.get("annotations") or {})


def _annotations(name: str, annotations: Mapping[str, str]) -> Iterator[str]:
    for key in (names.REVISION, names.DESIRED_REPLICAS):
        if not _NUMBER.fullmatch(annotations.get(key, "")):
            yield f"{name}: {key} is {annotations.get(key)!r}"
    history = annotations.get(names.REVISION_HISTORY)
    if history is not None and not all(_NUMBER.fullmatch(part) for part in history.split(",")):
        yield f"{name}: its revision history is {history!r}"
    deadline = annotations.get(names.SCALE_DOWN_DEADLINE)
    if deadline is not None and not _TIME.fullmatch(deadline):
        yield f"{name}: its deadline is {deadline!r}"
    recorded = annotations.get(names.EPHEMERAL_METADATA)
    if recorded is not None and not msgspec.json.decode(recorded).keys() <= {"labels", "annotations"}:
        yield f"{name}: its ephemeral metadata is {recorded!r}"


def _services(left: Left) -> Iterator[str]:
    for name, found in left.services.items():
        pod_hash = (found["spec"].get("selector") or {}).get(names.HASH_LABEL)
        if pod_hash is None:
            continue
        if pod_hash not in left.replica_sets:
            yield f"Service {name} selects {pod_hash}, which no ReplicaSet has"
        if (found["metadata"].get("annotations") or {}).get(names.MANAGED_BY) != left.rollout.metadata.name:
            yield f"Service {name} is not annotated as managed"


def _identity(left: Left) -> Iterator[str]:
    """Tell whether the next pass would find its versions and steps, or begin anew (3.4, 3.11, 6.1)."""
    rollout, status = left.rollout, left.status
    current, stable = status.get("currentPodHash", ""), status.get("stableRS", "")
    if not status.keys() <= FIELDS:
        yield f"status has {sorted(status.keys() - FIELDS)}"
    if status.get("observedGeneration") != str(rollout.metadata.generation):
        yield f"generation {rollout.metadata.generation}, and {status.get('observedGeneration')} is observed"
    if rollout.spec.workload_ref is None and not left.invalid:
        count, body = status.get("collisionCount"), bytes(rollout.spec.template)
        forms = {podhash.template_hash(body, count), podhash.legacy_template_hash(body, count)}
        if current not in forms:
            yield f"currentPodHash is {current}, the template's are {sorted(forms)}"
    for field, pod_hash in (("currentPodHash", current), ("stableRS", stable)):
        if pod_hash and pod_hash not in left.replica_sets:
            yield f"{field} is {pod_hash}, which no ReplicaSet has"
    new = left.replica_sets.get(current)
    if new is not None and names.revision(new["metadata"]["annotations"]) != names.revision(rollout.metadata.annotations):
        yield "the Rollout and its new ReplicaSet differ in their revision"
    if rollout.spec.workload_ref is not None:
        generation = rollout.metadata.annotations.get(names.WORKLOAD_GENERATION, "")
        if not generation or generation != status.get("workloadObservedGeneration"):
            yield f"the workload's generation is noted as {generation!r}"
    canary = rollout.spec.strategy.canary
    steps = () if canary is None else canary.steps
    index = status.get("currentStepIndex")
    if (index is None) == bool(steps) or (index is not None and not 0 <= index <= len(steps)):
        yield f"currentStepIndex is {index} of {len(steps)}"
    if canary is not None and not left.invalid and status.get("currentStepHash") != podhash.steps_hash(steps):
        yield f"currentStepHash is {status.get('currentStepHash')}"


def _conditions(left: Left) -> Iterator[str]:
    status, found = left.status, {each["type"]: each for each in left.status.get("conditions", ())}
    for kind, each in found.items():
        if kind in CONDITIONS and (each["status"], each["reason"]) not in CONDITIONS[kind]:
            yield f"condition {kind} is {each['status']} because of {each['reason']}"
        if not all(_TIME.fullmatch(each.get(key, "")) for key in ("lastUpdateTime", "lastTransitionTime")) or not each.get("message"):
            yield f"condition {kind} has no time or message"
    if "Progressing" not in found:
        yield "no Progressing condition: no deadline would run"
        return
    missing = {"Available", "Completed"} - found.keys()
    if missing:
        yield f"there are no conditions {sorted(missing)}"
        return
    completed = bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")
    if not left.invalid and (found["Completed"]["status"] == "True") is not completed:
        yield f"Completed is {found['Completed']['status']}"
    aborted = found["Progressing"]["reason"] == "RolloutAborted"
    if not left.invalid and aborted is not bool(status.get("abort")):
        yield f"abort is {status.get('abort')}, and Progressing says {found['Progressing']['reason']}"
    wrong = next((kind for kind in ("InvalidSpec", "Progressing") if kind in found and found[kind]["reason"] in _BAD), None)
    if (status.get("phase") == "Degraded") is (wrong is None):
        yield f"the phase is {status.get('phase')}, and {wrong} is wrong"
    if wrong is not None and status.get("message") != f"{found[wrong]['reason']}: {found[wrong]['message']}":
        yield f"the message is {status.get('message')!r}"


_BAD: Final = frozenset({"InvalidSpec", "RolloutAborted", "ProgressDeadlineExceeded"})


def _pauses(left: Left) -> Iterator[str]:
    """Tell whether pauses go on where they are: without one that `controllerPause` tells of, a step would be taken as resumed (6.4)."""
    status = left.status
    pauses = status.get("pauseConditions") or ()
    for each in pauses:
        if each["reason"] not in PAUSES or not _TIME.fullmatch(each["startTime"]):
            yield f"a pause is {each}"
    if bool(pauses) is not bool(status.get("controllerPause")):
        yield f"controllerPause is {status.get('controllerPause')} with the pauses {pauses}"
    if status.get("abort") and (pauses or not _TIME.fullmatch(status.get("abortedAt", ""))):
        yield "an abort has pauses, or no time"


def _counts(left: Left) -> Iterator[str]:
    """Tell whether a pass would be taken for a scaling event (0.1, step 11), and whether autoscalers read the right numbers (2.1)."""
    status, everybody = left.status, list(left.replica_sets.values())
    for role in ("currentPodHash", "stableRS"):
        found = left.replica_sets.get(status.get(role, ""))
        if found is not None and found["spec"]["replicas"] and int(_desired(found)) != left.replicas:
            yield f"{role}: sized for {_desired(found)} pods, and {left.replicas} are wanted"
    active = left.replica_sets.get((status.get("blueGreen") or {}).get("activeSelector", ""))
    serving = everybody if active is None else [active]
    wanted = {
        "replicas": _sum(everybody, "replicas"),
        "updatedReplicas": _sum([each for key, each in left.replica_sets.items() if key == status.get("currentPodHash")], "replicas"),
        "HPAReplicas": _sum(serving, "replicas"),
        "readyReplicas": _sum(serving, "readyReplicas"),
        "availableReplicas": _sum(serving, "availableReplicas"),
    }
    said = {key: status.get(key, 0) for key in wanted}
    if said != wanted:
        yield f"the status counts {said}, and there are {wanted}"


def _desired(replica_set: Manifest) -> str:
    return str(replica_set["metadata"]["annotations"].get(names.DESIRED_REPLICAS, "-1"))


def _sum(replica_sets: Sequence[Manifest], field: str) -> int:
    return sum(int(each.get("status", {}).get(field, 0)) for each in replica_sets)


def _traffic(left: Left) -> Iterator[str]:
    """Tell whether the recorded weights (1.10) are those in force, and name versions that exist."""
    canary = left.rollout.spec.strategy.canary
    status = left.status.get("canary") or {}
    weights = status.get("weights")
    if canary is None or canary.traffic_routing is None:
        if weights is not None:
            yield "weights are recorded without a router"
        return
    if weights is None:
        yield "no weights are recorded"
        return
    if sum(weights[side]["weight"] for side in ("canary", "stable")) != 100:
        yield f"the weights are {weights}"
    for side in ("canary", "stable"):
        pod_hash = weights[side].get("podTemplateHash", "")
        if pod_hash and pod_hash not in left.replica_sets:
            yield f"the weight of {side} is recorded for {pod_hash}, which no ReplicaSet has"
    if status.get("stablePingPong", "") not in {"", "ping", "pong"}:
        yield f"stablePingPong is {status['stablePingPong']}"
    for route in (each for each in left.of_kind("VirtualService") if "http" in each["spec"]):
        found = route["spec"]["http"][-1]["route"]
        if found[1].get("weight", 0) not in {weights["canary"]["weight"], weights["stable"]["weight"]}:
            yield f"the VirtualService says {found}, and {weights} is recorded"


def _shares(left: Left, carries: Callable[[Read], int] | None) -> Iterator[str]:
    """Tell whether the objects of other routers say the weight that is recorded: from it the next one is counted on (1.7)."""
    weights = (left.status.get("canary") or {}).get("weights")
    if carries is None or weights is None:
        return

    def read(kind: str, name: str) -> Manifest | None:
        return next((each for each in left.of_kind(kind) if each["metadata"]["name"] == name), None)

    if carries(read) != weights["canary"]["weight"]:
        yield f"the routes give the canary {carries(read)}, and {weights} is recorded"


def _selectors(left: Left) -> Iterator[str]:
    """Tell whether the status says what blue-green Services select: it is what a rollback and old ReplicaSets are judged by (7.2, 7.4)."""
    blue_green: Any = left.rollout.spec.strategy.blue_green
    said = left.status.get("blueGreen") or {}
    if blue_green is None:
        if said:
            yield f"blueGreen is {said} beside a canary"
        return
    for field, service in (("activeSelector", blue_green.active_service), ("previewSelector", blue_green.preview_service)):
        found = left.services.get(service, {}).get("spec", {}).get("selector", {}).get(names.HASH_LABEL, "")
        if said.get(field, "") != found:
            yield f"{field} is {said.get(field)}, and {service} selects {found}"
