"""How many pods should a ReplicaSet have, which go first, and what does it report?"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tiphys.devcluster.claims import MANAGER, Claims
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Event, Stored
from tiphys.devcluster.kinds import PODS, REPLICA_SETS
from tiphys.devcluster.podindex import Key, PodIndex, controller_of, has_ended, is_leaving, is_ready, labels_of, ready_condition
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.storage import Store

BURST = 500
"""How many pods one look creates or deletes at most, as in a real cluster."""

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


class ReplicaSets:
    """The ReplicaSet controller."""

    def __init__(self, store: Store, pods: PodIndex) -> None:
        self._store = store
        self._pods = pods
        self._claims = Claims(store=store, owner=REPLICA_SETS, owned=PODS, index=pods)
        self._uids: dict[str, Key] = {}
        self._owner_of: dict[Key, str] = {}

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """A ReplicaSet, or the one that a pod belongs (or belonged, or could belong) to."""
        if resource is REPLICA_SETS:
            key = (event.stored.namespace, event.stored.name)
            self._uids[event.manifest["metadata"]["uid"]] = key
            return (key,)
        return {*self._former(event), *self._owners(event.stored)}

    def _former(self, event: Event) -> Iterable[Key]:
        """Give the ReplicaSet that lost the pod of *event*."""
        owner = controller_of(event.manifest)
        pod = (event.stored.namespace, event.stored.name)
        before = self._owner_of.pop(pod, None)
        if owner is not None and event.type != "DELETED":
            self._owner_of[pod] = owner["uid"]
        return (self._uids[before],) if before in self._uids else ()

    def _owners(self, pod: Stored) -> Iterable[Key]:
        owner = controller_of(pod.manifest)
        if owner is not None:
            return (self._uids[owner["uid"]],) if owner["uid"] in self._uids else ()
        return [
            (pod.namespace, replica_set.name)
            for replica_set in self._store.scan(REPLICA_SETS, namespace=pod.namespace)
            if _selects(replica_set.manifest, pod)
        ]

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Bring one ReplicaSet's pods to its size, and its status to what its pods are."""
        found = self._store.read(REPLICA_SETS, key[1], key[0])
        if found is None:
            return None
        pods = [pod for pod in self._claims.of(found) if not has_ended(pod.manifest) and not is_leaving(pod.manifest)]
        failure = None
        if not is_leaving(found.manifest):
            try:
                self._scale(found, pods)
            except StatusError as error:
                failure = error
        wake_at = self._report(found, pods, now, failure)
        if failure is not None:
            raise failure
        return wake_at

    def _scale(self, replica_set: Stored, pods: list[Stored]) -> None:
        wanted = replica_set.manifest["spec"].get("replicas", 1)
        for _ in range(min(wanted - len(pods), BURST)):
            self._store.create(
                PODS, pod_of(replica_set, self._claims.reference(replica_set)), namespace=replica_set.namespace, manager=MANAGER
            )
        surplus = min(len(pods) - wanted, BURST)
        if surplus <= 0:
            return
        for pod in sorted(pods, key=self._deletion_order)[:surplus]:
            uid = pod.manifest["metadata"]["uid"]
            try:
                self._store.delete(PODS, pod.name, namespace=pod.namespace, preconditions={"uid": uid})
            except StatusError as error:
                if error.code not in (404, 409):
                    raise

    def _deletion_order(self, pod: Stored) -> tuple[Any, ...]:
        """Unassigned before assigned, pending before running, not ready before ready, cheap before dear, newest first."""
        manifest = pod.manifest
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        cost = (metadata.get("annotations") or {}).get(_DELETION_COST, "0")
        ready = is_ready(manifest)
        since = _moment(ready_condition(manifest).get("lastTransitionTime")) if ready else 0.0
        restarts = max((each.get("restartCount", 0) for each in status.get("containerStatuses") or ()), default=0)
        return (
            bool((manifest.get("spec") or {}).get("nodeName")),
            _PHASES.get(status.get("phase", ""), 2),
            ready,
            int(cost) if cost.lstrip("+-").isdigit() else 0,
            -since,
            -restarts,
            -_moment(metadata["creationTimestamp"]),
            -self._pods.born.get(metadata["uid"], 0),
        )

    def _report(self, replica_set: Stored, pods: list[Stored], now: datetime, failure: StatusError | None) -> datetime | None:
        manifest = replica_set.manifest
        patience = timedelta(seconds=manifest["spec"].get("minReadySeconds", 0))
        ready = [pod for pod in pods if is_ready(pod.manifest)]
        available_at = [_ready_since(pod, now) + patience for pod in ready]
        template = ((manifest["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(template.items() <= labels_of(pod.manifest).items() for pod in pods),
            "readyReplicas": len(ready),
            "availableReplicas": sum(at <= now for at in available_at),
        }
        status: Manifest = {"replicas": len(pods), **{name: count for name, count in counts.items() if count}}
        status["observedGeneration"] = manifest["metadata"].get("generation", 1)
        if failure is not None:
            status["conditions"] = [_failed(failure, now, manifest)]
        if status != manifest.get("status"):
            changed: Manifest = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": dict(manifest["metadata"]), "status": status}
            del changed["metadata"]["resourceVersion"]
            self._store.update(REPLICA_SETS, changed, subresource="status", manager=MANAGER)
        return min((at for at in available_at if at > now), default=None)


def _selects(replica_set: Manifest, pod: Stored) -> bool:
    return from_label_selector(replica_set["spec"].get("selector"))(labels_of(pod.manifest))


def pod_of(owner: Stored, reference: Manifest) -> Manifest:
    """Give a new pod of the template of *owner*, to whom *reference* leads."""
    template = owner.copy()["spec"].get("template") or {}
    given = template.get("metadata") or {}
    metadata: Manifest = {"generateName": f"{owner.name}-", "ownerReferences": [reference]}
    metadata |= {key: given[key] for key in ("labels", "annotations", "finalizers") if given.get(key)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def _ready_since(pod: Stored, now: datetime) -> datetime:
    since = ready_condition(pod.manifest).get("lastTransitionTime")
    return datetime.fromisoformat(since) if since else now


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _failed(failure: StatusError, now: datetime, manifest: Manifest) -> Manifest:
    before = next((each for each in (manifest.get("status") or {}).get("conditions") or () if each["type"] == "ReplicaFailure"), None)
    if before is not None and before.get("message") == failure.message:
        return dict(before)
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": wire_time(now),
        "reason": "FailedCreate",
        "message": failure.message,
    }
