"""How many pods of a disruption budget may go now, and may this one?"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tiphys.devcluster.deleting import Deleted
from tiphys.devcluster.errors import StatusError, not_found
from tiphys.devcluster.history import Event, Stored
from tiphys.devcluster.kinds import POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import Key, controller_of, has_ended, is_leaving, is_ready, labels_of
from tiphys.devcluster.portions import portion
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.storage import Store

MANAGER = "kube-controller-manager"


class DisruptionBudgets:
    """Keeps the status of every PodDisruptionBudget."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """A budget, or every budget of a pod's namespace: they are few."""
        if resource is POD_DISRUPTION_BUDGETS:
            return ((event.stored.namespace, event.stored.name),)
        return [(each.namespace, each.name) for each in self._store.scan(POD_DISRUPTION_BUDGETS, namespace=event.stored.namespace)]

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Count the pods that a budget means."""
        del now
        budget = self._store.read(POD_DISRUPTION_BUDGETS, key[1], key[0])
        if budget is None:
            return None
        spec = budget.manifest.get("spec") or {}
        selects = from_label_selector(spec.get("selector"))
        pods = [pod for pod in self._store.scan(PODS, namespace=key[0]) if selects(labels_of(pod.manifest)) and not has_ended(pod.manifest)]
        healthy = sum(is_ready(pod.manifest) and not is_leaving(pod.manifest) for pod in pods)
        expected, wanted = self._wanted(spec, pods)
        status = {
            "observedGeneration": budget.manifest["metadata"].get("generation", 1),
            "disruptionsAllowed": max(0, healthy - wanted) if expected else 0,
            "currentHealthy": healthy,
            "desiredHealthy": wanted,
            "expectedPods": expected,
        }
        if status != budget.manifest.get("status"):
            self._store.patch(
                POD_DISRUPTION_BUDGETS, key[1], PatchKind.MERGE, {"status": status}, namespace=key[0], subresource="status", manager=MANAGER
            )
        return None

    def _wanted(self, spec: Mapping[str, Any], pods: list[Stored]) -> tuple[int, int]:
        """Give how many pods there should be, and how many of them have to stay healthy."""
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if isinstance(least, int):
            return len(pods), least
        expected = self._sizes(pods)
        if least is not None:
            return expected, portion(least, expected)
        return expected, max(0, expected - portion(most if most is not None else 1, expected))

    def _sizes(self, pods: list[Stored]) -> int:
        """Add up the sizes of the ReplicaSets that the pods belong to."""
        owners = {
            (pod.namespace, owner["name"]) for pod in pods if (owner := controller_of(pod.manifest)) and owner["kind"] == "ReplicaSet"
        }
        found = (self._store.read(REPLICA_SETS, name, namespace) for namespace, name in owners)
        return sum(each.manifest["spec"].get("replicas", 1) for each in found if each is not None)


def evict(
    store: Store,
    name: str,
    *,
    namespace: str,
    grace_seconds: int | None = None,
    preconditions: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> Deleted:
    """
    Delete a pod if every budget that means it allows one more to go.

    Raises: StatusError: 404 there is no such pod, 429 a budget does not allow it now.
    """
    pod = store.read(PODS, name, namespace)
    if pod is None:
        raise not_found(PODS, name)
    matters = not is_leaving(pod.manifest) and (pod.manifest.get("status") or {}).get("phase") == "Running" and is_ready(pod.manifest)
    for budget in _budgets(store, pod) if matters else ():
        status = budget.manifest.get("status") or {}
        if status.get("disruptionsAllowed", 0) < 1:
            raise _refused(budget, status)
        if not dry_run:
            left = {"status": {"disruptionsAllowed": status["disruptionsAllowed"] - 1}}
            store.patch(
                POD_DISRUPTION_BUDGETS, budget.name, PatchKind.MERGE, left, namespace=namespace, subresource="status", manager=MANAGER
            )
    return store.delete(PODS, name, namespace=namespace, grace_seconds=grace_seconds, preconditions=preconditions, dry_run=dry_run)


def _budgets(store: Store, pod: Stored) -> list[Stored]:
    labels = labels_of(pod.manifest)
    budgets = store.scan(POD_DISRUPTION_BUDGETS, namespace=pod.namespace)
    return [each for each in budgets if from_label_selector((each.manifest.get("spec") or {}).get("selector"))(labels)]


def _refused(budget: Stored, status: Mapping[str, Any]) -> StatusError:
    wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    message = f"The disruption budget {budget.name} needs {wanted} healthy pods and has {healthy} currently"
    details = {"causes": [{"reason": "DisruptionBudget", "message": message}]}
    return StatusError(429, "Cannot evict pod as it would violate the pod's disruption budget.", details=details)
