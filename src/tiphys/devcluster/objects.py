"""What is there now, what happened to it, and who is told at once?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tiphys.devcluster.history import ADDED, DELETED, MODIFIED, Change, Channel, Stored, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.rules import Manifest

Key = tuple[str, str]  # (group, plural)
Found = list[Stored]
FIRST_VERSION = 1000  # like a cluster that has lived a little: small numbers are too old to watch from


class Journal(Protocol):
    """What keeps the objects beyond the life of this process."""

    def version(self) -> int:
        """Give the version of the last write that was kept, 0 for none."""

    def objects(self) -> Iterable[tuple[Key, Manifest]]:
        """Give everything that was kept."""

    def put(self, kind: Key, stored: Stored) -> None:
        """Take note of a write."""

    def remove(self, kind: Key, stored: Stored) -> None:
        """Take note of an object's end; its version is that of the end."""

    def settle(self) -> None:
        """
        Return when all that was noted is kept, all of it or nothing.

        Raises:
            StatusError: 500, it cannot be kept.

        """


class Objects:
    """
    The objects of a cluster by kind, namespace and name, each kind's history, and the one version that counts all writes.

    Nothing is judged here: who writes has passed admission. Of each kind the last *kept_events* changes are remembered. Where there is a
    *journal*, all it has kept is there again, without its history.
    """

    def __init__(self, *, kept_events: int, journal: Journal | None = None) -> None:
        self.version = FIRST_VERSION
        self._journal = journal
        self._oldest = FIRST_VERSION
        self._kept_events = kept_events
        self._objects: dict[Key, dict[str, dict[str, Stored]]] = {}
        self._channels: dict[Key, Channel] = {}
        self._reactions: dict[Key, Callable[[Change], None]] = {}

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, resource: ResourceType, name: str, namespace: str) -> Stored | None:
        """Give the state of one object, or None."""
        found = self._objects.get(resource.key, {}).get(namespace if resource.namespaced else "", {}).get(name)
        return found.speaking(resource.api_version) if found is not None else None

    def scan(self, resource: ResourceType, namespace: str | None, labels: Mapping[str, str] | None = None) -> Found:
        """Give the states of all objects of a kind that have all *labels*, by namespace and name."""
        spaces = self._objects.get(resource.key, {})
        wanted = sorted(spaces) if namespace is None else [namespace]
        found = [stored for space in wanted for _, stored in sorted(spaces.get(space, {}).items())]
        if labels:
            found = [stored for stored in found if labels.items() <= (stored.manifest["metadata"].get("labels") or {}).items()]
        return [stored.speaking(resource.api_version) for stored in found]

    def as_of(self, resource: ResourceType, version: int, namespace: str | None) -> Found:
        """
        Give the objects as they were at *version*, by undoing what happened since.

        Raises:
            StatusError: 410, what happened since then is no longer kept.

        """
        then = {(stored.namespace, stored.name): stored for stored in self.scan(resource, namespace)}
        channel = self.channel(resource)
        since = channel.position_after(version) - channel.dropped
        for change in reversed(list(channel.changes)[since:]):
            key = (change.stored.namespace, change.stored.name)
            if namespace is not None and key[0] != namespace:
                continue
            if change.before is None:
                then.pop(key, None)
            else:
                then[key] = change.before
        return [stored.speaking(resource.api_version) for _, stored in sorted(then.items())]

    def channel(self, resource: ResourceType) -> Channel:
        """Give the changes of a kind."""
        channel = self._channels.get(resource.key)
        if channel is None:
            channel = self._channels[resource.key] = Channel(self._oldest, kept=self._kept_events)
        return channel

    def compact(self) -> None:
        """Forget all history."""
        for channel in self._channels.values():
            channel.compact(len(channel.changes))
            channel.oldest = self.version

    # -- keeping ----------------------------------------------------------------------------------------------------

    def restore(self, first: Key) -> None:
        """Bring back what the journal has kept, objects of the kind *first* before all others: they say what other kinds there are."""
        if self._journal is None:
            return
        self.version = self._oldest = max(self._journal.version(), FIRST_VERSION)
        kept = sorted(self._journal.objects(), key=lambda found: found[0] != first)
        for kind, manifest in kept:
            stored = Stored(ordered(manifest), int(manifest["metadata"]["resourceVersion"]))
            self._objects.setdefault(kind, {}).setdefault(stored.namespace, {})[stored.name] = stored
            reaction = self._reactions.get(kind)
            if reaction is not None:
                reaction(Change(ADDED, stored, None))

    def settle(self) -> None:
        """
        Return when every write so far will outlive this process, if anything is to.

        Raises:
            StatusError: 500, the journal cannot keep them.

        """
        if self._journal is not None:
            self._journal.settle()

    # -- writing ----------------------------------------------------------------------------------------------------

    def react(self, resource: ResourceType, reaction: Callable[[Change], None]) -> None:
        """Call *reaction* right after every write of a kind, before the writer has its answer."""
        self._reactions[resource.key] = reaction

    def put(self, resource: ResourceType, manifest: Manifest, before: Stored | None) -> Stored:
        """Store *manifest*, which is given away, as the next version, in the place of *before*."""
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        stored = Stored(ordered(manifest), self.version)
        self._objects.setdefault(resource.key, {}).setdefault(stored.namespace, {})[stored.name] = stored
        if self._journal is not None:
            self._journal.put(resource.key, stored)
        self._tell(resource, Change(ADDED if before is None else MODIFIED, stored, before))
        return stored

    def remove(self, resource: ResourceType, last: Stored) -> None:
        """Take an object away; its end is a version too."""
        self.version += 1
        manifest = {**last.manifest, "metadata": {**last.manifest["metadata"], "resourceVersion": str(self.version)}}
        space = self._objects[resource.key][last.namespace]
        del space[last.name]
        if not space:
            del self._objects[resource.key][last.namespace]
        ended = Stored(manifest, self.version)
        if self._journal is not None:
            self._journal.remove(resource.key, ended)
        self._tell(resource, Change(DELETED, ended, last))

    def _tell(self, resource: ResourceType, change: Change) -> None:
        self.channel(resource).append(change)
        reaction = self._reactions.get(resource.key)
        if reaction is not None:
            reaction(change)
