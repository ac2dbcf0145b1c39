"""What does the reference controller leave behind? (Lifecycle reference 2, 3; traffic-routing 1.10, 2.1)"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from inprocess import InProcessController
from scenarios import (
    CANARY_SERVICE,
    DESTINATION_RULE,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    STABLE_SERVICE,
    VIRTUAL_SERVICE,
    template,
)
from tiphys.api import names, podhash
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout

Labelled = Callable[[bytes, int | None], str]
"""Gives the hash by which a version of the reference calls a pod template, mixed with a collision count."""

NEW_FORM: Final[Labelled] = podhash.template_hash
"""The hash of the reference since 1.9."""
OLD_FORM: Final[Labelled] = podhash.legacy_template_hash
"""The hash of the reference up to 1.8."""

MANAGED: Final[Manifest] = {"annotations": {names.MANAGED_BY: "web"}}
STARTING_SECONDS: Final = 60.0
"""Longer than pods take to start: between two ReplicaSets, and before the reference is stopped."""


def condition(kind: str, status: str, reason: str, message: str = "") -> Manifest:
    """Give a condition as 2.2 words it; its times are filled in when it is written."""
    return {"type": kind, "status": status, "reason": reason, "message": message or reason}


AVAILABLE: Final = condition("Available", "True", "AvailableReason", "Rollout has minimum availability")
UNAVAILABLE: Final = condition("Available", "False", "AvailableReason", "Rollout does not have minimum availability")
HEALTHY: Final = condition("Healthy", "True", "RolloutHealthy", "Rollout is healthy")
UNHEALTHY: Final = condition("Healthy", "False", "RolloutHealthy", "Rollout is not healthy")
COMPLETED: Final = condition("Completed", "True", "RolloutCompleted")
INCOMPLETE: Final = condition("Completed", "False", "RolloutCompleted")
PAUSED: Final = condition("Paused", "True", "RolloutPaused", "Rollout is paused")
NOT_PAUSED: Final = condition("Paused", "False", "RolloutPaused", "Rollout is paused")
STANDING: Final = condition("Progressing", "Unknown", "RolloutPaused", "Rollout is paused")
RETRYING: Final = condition("Progressing", "Unknown", "RolloutRetry", "Retrying Rollout after abort")


class Leaving:
    """
    Puts objects into a cluster as the reference would have left them; nobody works on Rollouts meanwhile.

    A *version* is an image tag. The ReplicaSet controller and kubelets of the cluster go on, so pods and endpoints are what they make.
    """

    def __init__(self, controller: InProcessController, label: Labelled) -> None:
        self.controller = controller
        self.label = label
        self.hashes: dict[str, str] = {}
        self._revision = 0

    # What the user has written

    def apply(self, manifests: Iterable[Manifest]) -> None:
        """Create the user's manifests."""
        for manifest in manifests:
            self.controller.create(manifest)

    @property
    def rollout(self) -> Rollout:
        return self.controller.rollout()

    # Time

    def advance(self, seconds: float) -> None:
        self.controller.cluster.advance(seconds)

    def ago(self, seconds: float) -> str:
        """Give the time so many seconds ago, as objects write it; negative for later."""
        return (self.controller.cluster.now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    # What the reference has made

    def hash_of(self, version: str, body: Manifest | None = None) -> str:
        """Give the hash of a version by the form of this reference."""
        count = self.rollout.status.collision_count
        return self.label(msgspec.json.encode(template(version) if body is None else body), count)

    def replica_set(
        self,
        version: str,
        *,
        pods: int,
        of: int | None = None,
        revision: int | None = None,
        ready: bool = True,
        annotations: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        marks: Manifest | None = None,
        change: Callable[[Manifest], object] | None = None,
    ) -> None:
        """
        Make the ReplicaSet of a version, and let time pass until its pods run; those of one that is not *ready* never are.

        *of* is what `desired-replicas` says, by default the Rollout's wish. *body* is the template where it is not that of the image;
        *marks* are ephemeral labels that are put on it and recorded (3.9), *change* edits what the ReplicaSet has of it.
        """
        body = template(version) if body is None else body
        pod_hash = self.hash_of(version, body)
        self.hashes[version] = pod_hash
        self._revision = revision or self._revision + 1
        rollout = self.rollout
        labels = {**body["metadata"]["labels"], names.HASH_LABEL: pod_hash}
        stored: Manifest = msgspec.json.decode(msgspec.json.encode({**body, "metadata": {**body["metadata"], "labels": labels}}))
        if change is not None:
            change(stored)
        record: Mapping[str, str] = {}
        if marks is not None:
            stored["metadata"]["labels"] |= marks["labels"]
            record = {names.EPHEMERAL_METADATA: msgspec.json.encode(marks).decode()}
        owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": rollout.metadata.uid}
        sized_for = rollout.spec.replicas if of is None else of
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"web-{pod_hash}",
                "namespace": "default",
                "labels": labels,
                "annotations": {
                    names.DESIRED_REPLICAS: str(sized_for),
                    names.REVISION: str(self._revision),
                    **record,
                    **(annotations or {}),
                },
                "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": {
                "replicas": pods,
                "selector": {"matchLabels": {"app": "web", names.HASH_LABEL: pod_hash}},
                "template": stored,
                **({"minReadySeconds": seconds} if (seconds := rollout.spec.min_ready_seconds) else {}),
            },
        }
        if not ready:
            self.controller.cluster.bar({names.HASH_LABEL: pod_hash})
        self.controller.create(manifest)
        self.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.REVISION: str(self._revision)}}})
        self.advance(STARTING_SECONDS)

    def resize(self, version: str, pods: int, *, of: int | None = None) -> None:
        """Scale a ReplicaSet, and let time pass until its pods run."""
        annotations = {} if of is None else {"metadata": {"annotations": {names.DESIRED_REPLICAS: str(of)}}}
        self.controller.edit(REPLICA_SET, f"web-{self.hashes[version]}", {"spec": {"replicas": pods}, **annotations})
        self.advance(STARTING_SECONDS)

    def annotate(self, version: str, annotations: Mapping[str, str]) -> None:
        """Write annotations of a ReplicaSet."""
        self.controller.edit(REPLICA_SET, f"web-{self.hashes[version]}", {"metadata": {"annotations": dict(annotations)}})

    def delay(self, version: str, seconds: float) -> None:
        """Let a ReplicaSet go to 0 so many seconds from now (3.13)."""
        self.annotate(version, {names.SCALE_DOWN_DEADLINE: self.ago(-seconds)})

    def falter(self, version: str, count: int) -> None:
        """Let *count* pods of a version not be ready."""
        found = self.controller.cluster.pods({names.HASH_LABEL: self.hashes[version]})
        for pod in found[:count]:
            self.controller.cluster.set_ready(pod["metadata"]["name"], ready=False)
        self.advance(1)

    def select(self, service: str, version: str) -> None:
        """Let a Service select a version, by the patch of 2.1."""
        self.controller.edit(SERVICE, service, {"metadata": MANAGED, "spec": {"selector": {names.HASH_LABEL: self.hashes[version]}}})

    def point(self, *, stable: str, canary: str) -> None:
        """Let the stable and the canary Service select versions."""
        self.select(STABLE_SERVICE, stable)
        self.select(CANARY_SERVICE, canary)

    def weigh(self, canary: int, *, first: Sequence[Manifest] = ()) -> None:
        """Let the VirtualService give the canary its weight; *first* are the managed routes before the user's own."""
        http = self.controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
        for destination in http[-1]["route"]:
            named = destination["destination"].get("subset") or destination["destination"]["host"]
            destination["weight"] = canary if named in {CANARY_SERVICE, "canary"} else 100 - canary
        self.controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": [*first, *http]}})

    def subsets(self, *, stable: str, canary: str) -> None:
        """Let the subsets of the DestinationRule select versions (4.1.5)."""
        rule = self.controller.manifest(DESTINATION_RULE, "web")
        versions = {"stable": stable, "canary": canary}
        for subset in rule["spec"]["subsets"]:
            subset["labels"] |= {names.HASH_LABEL: self.hashes[versions[subset["name"]]]}
        self.controller.edit(DESTINATION_RULE, "web", {"metadata": MANAGED, "spec": {"subsets": rule["spec"]["subsets"]}})

    # What it has written about it

    def progressing(self, version: str, reason: str = "ReplicaSetUpdated", status: str = "True") -> Manifest:
        """Give the Progressing condition of 2.2 that names a ReplicaSet."""
        said = {
            "NewReplicaSetCreated": 'Created new replica set "{}"',
            "ReplicaSetUpdated": 'ReplicaSet "{}" is progressing.',
            "NewReplicaSetAvailable": 'ReplicaSet "{}" has successfully progressed.',
            "ProgressDeadlineExceeded": 'ReplicaSet "{}" has timed out progressing.',
        }[reason]
        return condition("Progressing", status, reason, said.format(f"web-{self.hashes[version]}"))

    def aborted(self) -> Manifest:
        """Give the Progressing condition after an abort by a person."""
        return condition("Progressing", "False", "RolloutAborted", f"Rollout aborted update to revision {self._revision}")

    def weights(self, canary: int, *, stable: str, new: str, **more: Any) -> Manifest:  # noqa: ANN401 - any JSON
        """Give `status.canary.weights` (1.10), which names Services as the spec does."""
        strategy = self.rollout.spec.strategy.canary
        assert strategy is not None
        sides = {
            "canary": (new, strategy.canary_service, canary),
            "stable": (stable, strategy.stable_service, 100 - canary),
        }
        written = {
            side: {"podTemplateHash": self.hashes[version], **({"serviceName": service} if service else {}), "weight": share}
            for side, (version, service, share) in sides.items()
        }
        return {"weights": {**written, **more}}

    def paused_for(self, reason: str, seconds: float = 0.0) -> Manifest:
        """Give what a pause of the controller writes, begun so many seconds ago."""
        return {"controllerPause": True, "pauseConditions": [{"reason": reason, "startTime": self.ago(seconds)}]}

    def status(
        self,
        phase: str,
        message: str = "",
        *,
        current: str,
        stable: str,
        conditions: Sequence[Manifest],
        since: float = 0.0,
        active: str = "",
        **fields: Any,  # noqa: ANN401 - any JSON
    ) -> None:
        """
        Write the whole status (2.1): counts as the ReplicaSets are now, conditions *since* so many seconds, and further *fields*.

        With *active*, counts and selector are those of the active Service's version, as for blue-green.
        """
        said = self.ago(since)
        times = {"lastTransitionTime": said, "lastUpdateTime": said}
        written = {
            **self._counts(active),
            "conditions": [{**each, **times} for each in conditions],
            "currentPodHash": self.hashes[current],
            **self._steps(),
            "message": message,
            "observedGeneration": str(self.rollout.metadata.generation),
            "phase": phase,
            "stableRS": self.hashes[stable] if stable else "",
            "updatedReplicas": self._pods(current, "replicas"),
            "workloadObservedGeneration": self.rollout.metadata.annotations.get(names.WORKLOAD_GENERATION, ""),
            "blueGreen": {},
            "canary": {},
            **fields,
        }
        self.controller.edit(ROLLOUT, "web", {"status": written}, subresource="status")

    def _steps(self) -> Manifest:
        canary = self.rollout.spec.strategy.canary
        return {} if canary is None else {"currentStepHash": podhash.steps_hash(canary.steps)}

    def _counts(self, active: str) -> Manifest:
        everybody = list(self.hashes)
        some = [active] if active else everybody
        selector = "app=web" + (f",{names.HASH_LABEL}={self.hashes[active]}" if active else "")
        return {
            "HPAReplicas": sum(self._pods(each, "replicas") for each in some),
            "availableReplicas": sum(self._pods(each, "availableReplicas") for each in some),
            "readyReplicas": sum(self._pods(each, "readyReplicas") for each in some),
            "replicas": sum(self._pods(each, "replicas") for each in everybody),
            "selector": selector,
        }

    def _pods(self, version: str, field: str) -> int:
        found = self.controller.manifest(REPLICA_SET, f"web-{self.hashes[version]}")
        return int(found.get("status", {}).get(field, 0))
