"""Which pods belong to whom, and which pods does a selector mean? Kept from watch events, so that nobody scans."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.history import DELETED, Event, Stored

Key = tuple[str, str]
"""Namespace and name."""
_MOST_TELLING = ("rollouts-pod-template-hash", "pod-template-hash")


def controller_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give the owner reference of the one that controls *manifest*."""
    return next((each for each in manifest["metadata"].get("ownerReferences") or () if each.get("controller")), None)


def labels_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the labels, empty if there are none."""
    return manifest["metadata"].get("labels") or {}


@dataclass(slots=True)
class PodIndex:
    """Pods by controller's uid, by label, and those nobody controls by namespace."""

    by_key: dict[Key, Stored] = field(default_factory=dict)
    born: dict[str, int] = field(default_factory=dict)
    """Uid to place in the order of creation within a second, which timestamps do not show."""
    _by_owner: dict[str, dict[Key, None]] = field(default_factory=lambda: defaultdict(dict))
    _by_label: dict[tuple[str, str, str], dict[Key, None]] = field(default_factory=lambda: defaultdict(dict))
    _free: dict[str, dict[Key, None]] = field(default_factory=lambda: defaultdict(dict))
    _order: Iterator[int] = field(default_factory=itertools.count)

    def hear(self, event: Event) -> Stored | None:
        """Take *event* in, and give the pod's state before it."""
        stored = event.stored
        key = (stored.namespace, stored.name)
        before = self.by_key.pop(key, None)
        if before is not None:
            self._forget(key, before)
        if event.type == DELETED:
            self.born.pop(stored.manifest["metadata"]["uid"], None)
            return before
        self.by_key[key] = stored
        self.born.setdefault(stored.manifest["metadata"]["uid"], next(self._order))
        for place in self._places(stored):
            place[key] = None
        return before

    def owned_by(self, uid: str) -> list[Stored]:
        """Give the pods that the object with *uid* controls."""
        return [self.by_key[key] for key in self._by_owner.get(uid, ())]

    def uncontrolled(self, namespace: str) -> list[Stored]:
        """Give the pods of *namespace* that nobody controls."""
        return [self.by_key[key] for key in self._free.get(namespace, ())]

    def selected(self, namespace: str, selector: Mapping[str, str]) -> list[Stored]:
        """Give the pods of *namespace* that have all labels of *selector*, by name; an empty selector means none."""
        if not selector:
            return []
        candidates = min((self._by_label.get((namespace, *pair), {}) for pair in selector.items()), key=len)
        return [self.by_key[key] for key in sorted(candidates) if selector.items() <= labels_of(self.by_key[key].manifest).items()]

    def _places(self, stored: Stored) -> Iterable[dict[Key, None]]:
        owner = controller_of(stored.manifest)
        yield self._free[stored.namespace] if owner is None else self._by_owner[owner["uid"]]
        for pair in labels_of(stored.manifest).items():
            yield self._by_label[stored.namespace, *pair]

    def _forget(self, key: Key, stored: Stored) -> None:
        for place in self._places(stored):
            place.pop(key, None)


def telling_pair(selector: Mapping[str, str]) -> tuple[str, str]:
    """Give the pair of *selector* by which to file it: the one that fewest pods share, as far as names tell."""
    return next(((key, selector[key]) for key in _MOST_TELLING if key in selector), min(selector.items()))


def is_ready(manifest: Mapping[str, Any]) -> bool:
    """Whether the pod says that it is ready."""
    return ready_condition(manifest).get("status") == "True"


def ready_condition(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the pod's condition `Ready`, empty if it has none."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == "Ready"), {})


def is_leaving(manifest: Mapping[str, Any]) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in manifest["metadata"]


def has_ended(manifest: Mapping[str, Any]) -> bool:
    """Whether all containers ended for good."""
    return (manifest.get("status") or {}).get("phase") in ("Succeeded", "Failed")
