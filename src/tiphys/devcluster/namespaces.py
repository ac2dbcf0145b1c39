"""What has to go before a namespace can?"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import DELETED, Event
from tiphys.devcluster.kinds import NAMESPACES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store

MANAGER = "kube-controller-manager"
_FINALIZER = "kubernetes"


class Namespaces:
    """Empties namespaces that are being deleted, and lets them go when nothing is left."""

    def __init__(self, store: Store, kinds: Mapping[tuple[str, str], ResourceType]) -> None:
        self._store = store
        self._kinds = kinds
        self._leaving: set[str] = set()

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        """A namespace that is being deleted, or one that is and lost an object."""
        if resource is NAMESPACES:
            leaving = "deletionTimestamp" in event.manifest["metadata"] and event.type != DELETED
            (self._leaving.add if leaving else self._leaving.discard)(event.stored.name)
            return (event.stored.name,) if leaving else ()
        gone = event.type == DELETED and event.stored.namespace in self._leaving
        return (event.stored.namespace,) if gone else ()

    def sync(self, key: str, now: datetime) -> datetime | None:
        """Delete what is in the namespace; once it is empty, let it go."""
        del now
        namespace = self._store.read(NAMESPACES, key)
        if namespace is None or "deletionTimestamp" not in namespace.manifest["metadata"]:
            return None
        if (namespace.manifest.get("status") or {}).get("phase") != "Terminating":
            self._store.patch(NAMESPACES, key, PatchKind.MERGE, {"status": {"phase": "Terminating"}}, subresource="status", manager=MANAGER)
        left = 0
        for resource in self._kinds.values():
            if not resource.namespaced:
                continue
            for stored in self._store.scan(resource, namespace=key):
                if "deletionTimestamp" not in stored.manifest["metadata"]:
                    try:
                        self._store.delete(resource, stored.name, namespace=key)
                    except StatusError as error:
                        if error.code != 404:
                            raise
            left += len(self._store.scan(resource, namespace=key))
        if left:
            return None
        finished = self._store.get(NAMESPACES, key)
        finalizers = (finished.get("spec") or {}).get("finalizers") or []
        finished.setdefault("spec", {})["finalizers"] = [each for each in finalizers if each != _FINALIZER]
        self._store.update(NAMESPACES, finished, subresource="finalize", manager=MANAGER)
        return None
