"""A collection of objects that keeps an API server's promises, for clients under test."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tiphys.kube.errors import GoneError, api_error
from tiphys.kube.resources import Resource

WIDGETS = Resource("fixtures.example.com", "v1", "widgets", "Widget")

Manifest = dict[str, Any]
Said = bytes | Exception | None
"""What a stream says next: a chunk, a failure, or None for a clean end."""


class FakeObjects:
    """Objects with one growing resourceVersion, a history and streams that follow it."""

    def __init__(self) -> None:
        self.version = 100
        self.forgotten = 0
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.history: list[tuple[int, str, Manifest]] = []
        self.streams: list[asyncio.Queue[Said]] = []
        self.snapshots: dict[str, tuple[int, list[Manifest]]] = {}
        self._uids = 0

    def put(self, name: str, *, namespace: str = "ns", **fields: object) -> Manifest:
        """Create or change an object."""
        old = self.objects.get((namespace, name))
        self.version += 1
        if old is None:
            self._uids += 1
        meta = dict(old["metadata"]) if old else {"namespace": namespace, "name": name, "uid": f"uid-{self._uids}"}
        meta["resourceVersion"] = str(self.version)
        new = {**(old or {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind}), "metadata": meta, **fields}
        self.objects[(namespace, name)] = new
        self._publish("MODIFIED" if old else "ADDED", new)
        return new

    def delete(self, name: str, *, namespace: str = "ns") -> Manifest:
        old = self.objects.pop((namespace, name))
        self.version += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._publish("DELETED", gone)
        return gone

    def forget_history(self) -> None:
        """Answer whoever asks for an older version with 410 from now on."""
        self.forgotten = self.version

    def bookmark(self) -> None:
        self.say(line("BOOKMARK", {"kind": "Widget", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.version)}}))

    def say(self, said: Said) -> None:
        """Send something through every open stream."""
        for stream in self.streams:
            stream.put_nowait(said)

    def page(self, query: Mapping[str, str]) -> Manifest:
        """
        Answer a list.

        Raises:
            GoneError: the continue token is of a version that is forgotten.

        """
        token = query.get("continue", "")
        if token:
            version, rest = self.snapshots[token]
            if version < self.forgotten:
                raise GoneError(410, "Expired", "The provided continue parameter is too old")
        else:
            version, rest = self.version, [self.objects[key] for key in sorted(self.objects)]
        limit = int(query.get("limit", "0")) or len(rest)
        meta = {"resourceVersion": str(version)}
        if len(rest) > limit:
            meta["continue"] = f"token-{len(self.snapshots)}"
            self.snapshots[meta["continue"]] = (version, rest[limit:])
        return {"kind": "WidgetList", "apiVersion": WIDGETS.api_version, "metadata": meta, "items": rest[:limit]}

    async def follow(self, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Answer a watch, until somebody says None or a failure."""
        since = int(query["resourceVersion"])
        if since < self.forgotten:
            yield line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
            return
        queue: asyncio.Queue[Said] = asyncio.Queue()
        for version, kind, thing in self.history:
            if version > since:
                queue.put_nowait(line(kind, thing))
        self.streams.append(queue)
        try:
            while (said := await queue.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            self.streams.remove(queue)

    def _publish(self, kind: str, thing: Manifest) -> None:
        self.history.append((self.version, kind, thing))
        self.say(line(kind, thing))


class FakeSource:
    """The two requests of a reflector, answered from objects in this process; *faults* come first, None is no fault."""

    def __init__(self, objects: FakeObjects) -> None:
        self.objects = objects
        self.lists: list[Mapping[str, str]] = []
        self.watches: list[Mapping[str, str]] = []
        self.list_faults: deque[Exception | None] = deque()
        self.watch_faults: deque[Exception | None] = deque()
        self.asked_silence: list[float | None] = []

    async def list_page(self, resource: Resource, *, namespace: str | None = None, query: Mapping[str, str]) -> bytes:
        del resource, namespace
        self.lists.append(dict(query))
        await asyncio.sleep(0)
        if self.list_faults and (fault := self.list_faults.popleft()):
            raise fault
        return json.dumps(self.objects.page(query)).encode()

    @asynccontextmanager
    async def stream(
        self, resource: Resource, *, namespace: str | None = None, query: Mapping[str, str] | None = None, silence: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        del resource, namespace
        assert query is not None
        self.watches.append(dict(query))
        self.asked_silence.append(silence)
        await asyncio.sleep(0)
        if self.watch_faults and (fault := self.watch_faults.popleft()):
            raise fault
        yield self.objects.follow(query)


def line(kind: str, thing: Manifest) -> bytes:
    """Give one event of a watch."""
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def status(code: int, reason: str = "", message: str = "", **fields: object) -> Manifest:
    """Give a Status object."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, **fields}


def refusal(code: int, reason: str = "", **fields: object) -> Exception:
    """Give the error that a client raises for an answer."""
    return api_error(code, status(code, reason, f"refused with {code}", **fields))
