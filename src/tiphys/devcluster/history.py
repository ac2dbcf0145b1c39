"""What is stored, what happened since, and how does a watcher follow it?"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster.errors import expired
from tiphys.devcluster.event_forms import in_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Matches = Callable[["Stored"], bool]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"
KEPT_EVENTS = 20_000  # per kind; older ones are 410 Gone
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


def ordered(manifest: dict[str, Any]) -> dict[str, Any]:
    """Give the same manifest with what says what it is in front, where people and `Stored.as_item` look for it."""
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": manifest["metadata"], **manifest}


class Stored:
    """
    One state of one object, never changed again: *manifest* is shared by everybody and must not be touched.

    `copy()` gives a manifest of one's own; `encoded` is the same object as JSON, encoded at most once.
    """

    __slots__ = ("_encoded", "_other", "manifest", "name", "namespace", "version")

    def __init__(self, manifest: dict[str, Any], version: int) -> None:
        metadata = manifest["metadata"]
        self.manifest = manifest
        self.name: str = metadata["name"]
        self.namespace: str = metadata.get("namespace", "")
        self.version = version
        self._encoded: bytes | None = None
        self._other: Stored | None = None

    @property
    def encoded(self) -> bytes:
        """The object as JSON."""
        if self._encoded is None:
            self._encoded = _encode(self.manifest)
        return self._encoded

    @property
    def as_item(self) -> bytes:
        """The object as JSON without apiVersion and kind, as lists of built-in kinds show it."""
        head = _encode({"apiVersion": self.manifest["apiVersion"], "kind": self.manifest["kind"]})[:-1] + b","
        return b"{" + self.encoded.removeprefix(head) if self.encoded.startswith(head) else self.encoded

    def copy(self) -> dict[str, Any]:
        """Give a manifest that the caller may change."""
        return _decode(self.encoded)  # type: ignore[no-any-return]

    def speaking(self, api_version: str) -> Stored:
        """Give the same state as another version of its API shows it."""
        if self.manifest["apiVersion"] == api_version:
            return self
        if self._other is None or self._other.manifest["apiVersion"] != api_version:
            self._other = Stored(ordered(in_version(self.manifest, api_version)), self.version)
        return self._other


class Change:
    """One write: the state after it (for DELETED: the last one) and the state before."""

    __slots__ = ("_lines", "_lost", "before", "stored", "type", "version")

    def __init__(self, kind: str, stored: Stored, before: Stored | None) -> None:
        self.type = kind
        self.stored = stored
        self.before = before
        self.version = stored.version
        self._lines: dict[str, tuple[Stored, bytes]] = {}
        self._lost: Stored | None = None

    def line(self, event_type: str, shown: Stored) -> bytes:
        """Give the change as a line of a watch; encoded once for all watchers that are shown the same."""
        cached = self._lines.get(event_type)
        if cached is None or cached[0] is not shown:
            cached = self._lines[event_type] = (shown, event_line(event_type, shown.encoded))
        return cached[1]

    def shown(self, event_type: str, api_version: str) -> Stored:
        """Give the object that goes with *event_type*: who loses sight of an object is shown it as it last saw it."""
        if event_type == DELETED and self.type != DELETED and self.before is not None:
            if self._lost is None:
                last = self.before.manifest
                metadata = {**last["metadata"], "resourceVersion": str(self.version)}
                self._lost = Stored({**last, "metadata": metadata}, self.version)
            return self._lost.speaking(api_version)
        return self.stored.speaking(api_version)


def event_line(event_type: str, encoded: bytes) -> bytes:
    """Give one line of a watch's answer."""
    return b'{"type":"' + event_type.encode() + b'","object":' + encoded + b"}\n"


class Event:
    """What one watcher sees: *manifest* is shared and must not be changed (`stored.copy()` gives one's own)."""

    __slots__ = ("_change", "stored", "type")

    def __init__(self, event_type: str, stored: Stored, change: Change | None = None) -> None:
        self.type = event_type
        self.stored = stored
        self._change = change

    @property
    def manifest(self) -> dict[str, Any]:
        """The object after the event."""
        return self.stored.manifest

    @property
    def line(self) -> bytes:
        """The event as a line of a watch; watchers of one kind share the encoding."""
        if self._change is None:
            return event_line(self.type, self.stored.encoded)
        return self._change.line(self.type, self.stored)


class Channel:
    """The changes of one kind, in order, as far as they are still kept."""

    def __init__(self, oldest: int = 0, *, kept: int = KEPT_EVENTS) -> None:
        self._kept = kept
        self.changes: deque[Change] = deque()
        self.dropped = 0  # how many changes came before the first one kept
        self.oldest = oldest  # changes up to this version are not kept
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def end(self) -> int:
        """How many changes there ever were."""
        return self.dropped + len(self.changes)

    def append(self, change: Change) -> None:
        """Add *change* and wake whoever waits."""
        self.changes.append(change)
        if len(self.changes) > self._kept:
            self.compact(len(self.changes) - self._kept)
        self.wake()

    def compact(self, count: int) -> None:
        """Forget the oldest *count* changes."""
        for _ in range(min(count, len(self.changes))):
            self.oldest = self.changes.popleft().version
            self.dropped += 1

    def wake(self) -> None:
        """Let every waiting watcher look again."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def news(self, seen: int) -> None:
        """Return when there is more than *seen* changes, or at the next wake-up."""
        if self.end > seen:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def position_after(self, version: int) -> int:
        """
        Give the place of the first change after *version*.

        Raises:
            StatusError: 410, the changes since then are not all kept.

        """
        if version < self.oldest:
            raise expired(f"too old resource version: {version} ({self.oldest + 1})")
        low, high = 0, len(self.changes)
        while low < high:
            middle = (low + high) // 2
            if self.changes[middle].version <= version:
                low = middle + 1
            else:
                high = middle
        return self.dropped + low


class Subscription:
    """
    One watcher's view of a channel: `drain()` for virtual time, `async for` for real time.

    It keeps only its place in the shared history, so a slow watcher costs nothing; one that falls out of the kept
    history gets a 410.
    """

    def __init__(
        self, channel: Channel, *, api_version: str, position: int, after: int = 0, matches: Matches | None, initial: list[Event]
    ) -> None:
        self._channel = channel
        self._api_version = api_version
        self._position = position
        self._after = after
        self._matches = matches
        self._initial = initial
        self.closed = False

    def drain(self, limit: int = 0) -> list[Event]:
        """
        Give what happened since the last call, in order, without waiting; *limit* 0 means all.

        Raises:
            StatusError: 410, this watcher was away for too long.

        """
        out, self._initial = self._initial, []
        channel = self._channel
        if self._position < channel.dropped:
            raise expired()
        offset = self._position - channel.dropped
        changes = channel.changes
        while offset < len(changes) and not (limit and len(out) >= limit):
            event = self._seen(changes[offset])
            offset += 1
            if event is not None:
                out.append(event)
        self._position = channel.dropped + offset
        return out

    def _seen(self, change: Change) -> Event | None:
        if change.version <= self._after:
            return None
        event_type: str | None = change.type
        if self._matches is not None:
            event_type = _visible(change, self._matches)
        if event_type is None:
            return None
        return Event(event_type, change.shown(event_type, self._api_version), change)

    async def wait(self) -> None:
        """Return when `drain` may have something (or the subscription was closed)."""
        if not self._initial and not self.closed:
            await self._channel.news(self._position)

    def close(self) -> None:
        """End the subscription; whoever iterates over it stops."""
        self.closed = True
        self._channel.wake()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Give events as they happen, until `close()`."""
        while not self.closed:
            for event in self.drain():
                yield event
            await self.wait()


def _visible(change: Change, matches: Matches) -> str | None:
    """Say as what a watcher with a selector sees *change*: objects may come into and go out of its sight."""
    if change.type == ADDED:
        return ADDED if matches(change.stored) else None
    before = change.before is not None and matches(change.before)
    if change.type == DELETED:
        return DELETED if before else None
    after = matches(change.stored)
    if after:
        return MODIFIED if before else ADDED
    return DELETED if before else None
