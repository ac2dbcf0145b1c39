"""Which objects go because their owners went?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import DELETED, Event, Stored
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.storage import Store

MANAGER = "kube-controller-manager"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
Item = tuple[tuple[str, str], str, str]
"""A kind's storage (group, plural), namespace and name."""


class GarbageCollector:
    """Deletes what has no owner left, and ends foreground and orphaning deletions."""

    def __init__(self, store: Store, kinds: Mapping[tuple[str, str], ResourceType]) -> None:
        self._store = store
        self._kinds = kinds
        self._dependents: dict[str, dict[Item, None]] = defaultdict(dict)
        self._owners: dict[Item, tuple[str, ...]] = {}
        self._by_uid: dict[str, Item] = {}
        self._waiting: set[str] = set()
        """Uids of owners whose deletion waits for their dependents."""

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Item]:
        """The object itself if it is owned or waits for its dependents; of one that went, its dependents and owners."""
        item = (resource.key, event.stored.namespace, event.stored.name)
        metadata = event.manifest["metadata"]
        owners = self._owners.pop(item, ())
        for uid in owners:
            self._dependents[uid].pop(item, None)
        if event.type == DELETED:
            self._by_uid.pop(metadata["uid"], None)
            self._waiting.discard(metadata["uid"])
            return [*self._dependents.pop(metadata["uid"], ()), *self._items(owners)]
        self._by_uid[metadata["uid"]] = item
        references = metadata.get("ownerReferences") or ()
        if references:
            self._owners[item] = tuple(reference["uid"] for reference in references)
            for uid in self._owners[item]:
                self._dependents[uid][item] = None
        waits = "deletionTimestamp" in metadata and {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or ())
        own = [item] if references or waits else []
        if waits:
            self._waiting.add(metadata["uid"])
        return [*own, *self._items({*owners, *self._owners.get(item, ())} & self._waiting)]

    def _items(self, uids: Iterable[str]) -> list[Item]:
        return [self._by_uid[uid] for uid in uids if uid in self._by_uid]

    def sync(self, key: Item, now: datetime) -> datetime | None:
        """Decide about one object."""
        del now
        resource = self._kinds.get(key[0])
        stored = self._store.read(resource, key[2], key[1]) if resource is not None else None
        if resource is None or stored is None:
            return None
        metadata = stored.manifest["metadata"]
        finalizers = metadata.get("finalizers") or ()
        if "deletionTimestamp" in metadata:
            if ORPHAN in finalizers:
                self._orphan(resource, stored)
            elif FOREGROUND in finalizers:
                self._delete_dependents(resource, stored)
            return None
        self._judge(resource, stored)
        return None

    def _judge(self, resource: ResourceType, stored: Stored) -> None:
        """Delete an object whose owners are all gone (or going, in the foreground); drop references to those that went."""
        references = stored.manifest["metadata"].get("ownerReferences") or []
        states = [self._state(reference, stored) for reference in references]
        if not states:
            return
        if "there" in states:
            kept = [reference for reference, state in zip(references, states, strict=True) if state == "there"]
            if len(kept) != len(references):
                self._rewrite(resource, stored, references=kept)
            return
        finalizers = stored.manifest["metadata"].get("finalizers") or ()
        propagation = "Background"
        if ORPHAN in finalizers:
            propagation = "Orphan"
        elif FOREGROUND in finalizers or ("waits" in states and self._dependents.get(stored.manifest["metadata"]["uid"])):
            propagation = "Foreground"
        self._delete(resource, stored, propagation)

    def _state(self, reference: Mapping[str, Any], dependent: Stored) -> str:
        """Say whether an owner is `there`, `gone`, or `waits` for its dependents to go first."""
        resource = self._store.registry.kind(str(reference.get("apiVersion")), str(reference.get("kind")))
        if resource is None:
            return "there"  # a kind that is not served now: nobody can know
        owner = self._store.read(resource, str(reference.get("name")), dependent.namespace if resource.namespaced else "")
        if owner is None or owner.manifest["metadata"]["uid"] != reference.get("uid"):
            return "gone"
        metadata = owner.manifest["metadata"]
        waits = "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())
        return "waits" if waits and reference.get("blockOwnerDeletion") else "there"

    def _delete_dependents(self, resource: ResourceType, owner: Stored) -> None:
        uid = owner.manifest["metadata"]["uid"]
        blocking = False
        for item in list(self._dependents.get(uid, ())):
            kind = self._kinds[item[0]]
            dependent = self._store.read(kind, item[2], item[1])
            if dependent is None:
                continue
            metadata = dependent.manifest["metadata"]
            references = metadata.get("ownerReferences") or ()
            blocks = any(each.get("uid") == uid and each.get("blockOwnerDeletion") for each in references)
            if "deletionTimestamp" not in metadata:
                self._judge(kind, dependent)
                left = self._store.read(kind, item[2], item[1])
                blocks = (
                    blocks
                    and left is not None
                    and any(each.get("uid") == uid for each in left.manifest["metadata"].get("ownerReferences") or ())
                )
            blocking = blocking or blocks
        if not blocking:
            self._rewrite(resource, owner, finalizer=FOREGROUND)

    def _orphan(self, resource: ResourceType, owner: Stored) -> None:
        uid = owner.manifest["metadata"]["uid"]
        for item in list(self._dependents.get(uid, ())):
            kind = self._kinds[item[0]]
            dependent = self._store.read(kind, item[2], item[1])
            if dependent is not None:
                references = dependent.manifest["metadata"].get("ownerReferences") or []
                self._rewrite(kind, dependent, references=[each for each in references if each.get("uid") != uid])
        self._rewrite(resource, owner, finalizer=ORPHAN)

    def _rewrite(self, resource: ResourceType, stored: Stored, *, references: list[Manifest] | None = None, finalizer: str = "") -> None:
        """Write other owner references, or take one finalizer away."""
        there = self._store.read(resource, stored.name, stored.namespace)
        if there is None:
            return
        manifest = there.copy()
        if references is not None:
            manifest["metadata"]["ownerReferences"] = references
        if finalizer:
            manifest["metadata"]["finalizers"] = [each for each in manifest["metadata"].get("finalizers") or [] if each != finalizer]
        self._store.update(resource, manifest, manager=MANAGER)

    def _delete(self, resource: ResourceType, stored: Stored, propagation: str) -> None:
        uid = stored.manifest["metadata"]["uid"]
        try:
            self._store.delete(resource, stored.name, namespace=stored.namespace, propagation=propagation, preconditions={"uid": uid})
        except StatusError as error:
            if error.code not in (404, 409):
                raise
