"""How does a watch travel over HTTP?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from tiphys.devcluster import tables
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import BOOKMARK, INITIAL_EVENTS_END, event_line

if TYPE_CHECKING:
    from tiphys.devcluster.history import Event, Stored, Subscription
    from tiphys.devcluster.http_media import Answer
    from tiphys.devcluster.http_options import ListOptions
    from tiphys.devcluster.http_paths import Target
    from tiphys.devcluster.storage import Store

BOOKMARK_SECONDS = 30.0
BOOKMARK_BEFORE_END = 2.0  # a watch that ends says how far it came
LONGEST_WATCH = 3600.0
BATCH = 500  # events in one write, so that one busy watch does not hold up the others
_encode = msgspec.json.Encoder().encode


class Watch:
    """One watch request: what it subscribed to, and how its events are shown."""

    def __init__(self, store: Store, target: Target, options: ListOptions, answer: Answer, include: str) -> None:
        self._store = store
        self._target = target
        self._options = options
        self._answer = answer
        self._include = include
        self._headed = False
        self._error: StatusError | None = None
        self._subscription = self._subscribe()

    def _subscribe(self) -> Subscription | None:
        options, target = self._options, self._target
        from_start = options.initial_events or options.version in (None, 0)
        fields = options.fields
        if target.name:
            fields = ",".join(part for part in (fields, f"metadata.name={target.name}") if part)
        try:
            return self._store.watch(
                target.resource,
                namespace=target.namespace,
                labels=options.labels,
                fields=fields,
                since=None if from_start else options.version,
            )
        except StatusError as error:
            if error.code != 410:
                raise
            self._error = error
            return None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send events until the client goes, the time is up or the history is gone."""
        response = web.StreamResponse(headers={"Content-Type": self._answer.content_type, "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if self._subscription is None:
            await response.write(self._last_words())
        else:
            await self._follow(response, self._subscription)
        await response.write_eof()
        return response

    def end(self) -> None:
        """End the watch from outside."""
        if self._subscription is not None:
            self._subscription.close()

    async def _follow(self, response: web.StreamResponse, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + min(self._options.timeout or LONGEST_WATCH, LONGEST_WATCH)
        bookmark_at = self._next_bookmark(loop.time(), end)
        if self._options.initial_events:
            lines = [self._line(event) for event in subscription.drain()]
            lines.append(self._bookmark(initial=True))
            await response.write(b"".join(lines))
        while not subscription.closed:
            try:
                events = subscription.drain(BATCH)
            except StatusError as error:
                self._error = error
                await response.write(self._last_words())
                return
            if events:
                await response.write(b"".join([self._line(event) for event in events]))
                continue
            now = loop.time()
            if now >= end:
                return
            if now >= bookmark_at:
                await response.write(self._bookmark())
                bookmark_at = self._next_bookmark(now, end)
            try:
                async with asyncio.timeout(max(min(bookmark_at, end) - now, 0.0)):
                    await subscription.wait()
            except TimeoutError:
                continue

    def _next_bookmark(self, now: float, end: float) -> float:
        if not self._options.bookmarks:
            return end + 1
        last = end - BOOKMARK_BEFORE_END
        return min(now + BOOKMARK_SECONDS, last) if now < last else end + 1

    def _line(self, event: Event) -> bytes:
        if not self._answer.shown_as:
            return event.line
        return event_line(event.type, self._shown([event.stored], event.stored))

    def _shown(self, items: list[Stored], stored: Stored | None, version: int = 0) -> bytes:
        if self._answer.shown_as == "Table":
            version = stored.version if stored is not None else version
            headed, self._headed = not self._headed, True
            view = tables.View(now=self._store.clock(), include=self._include, version=self._answer.version)
            metadata = {"resourceVersion": str(version)}
            return _encode(tables.table(self._target.resource, items, metadata, view, headed=headed))
        return _encode(tables.partial(stored, self._answer.version)) if stored is not None else b"{}"

    def _bookmark(self, *, initial: bool = False) -> bytes:
        resource = self._target.resource
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.version)}
        if initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        content: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if self._answer.shown_as == "Table":
            view = tables.View(now=self._store.clock(), version=self._answer.version)
            content = tables.table(resource, [], metadata, view, headed=False)
        elif self._answer.shown_as:
            content = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{self._answer.version}", "metadata": metadata}
        return event_line(BOOKMARK, _encode(content))

    def _last_words(self) -> bytes:
        return event_line("ERROR", _encode(self._error.wire() if self._error is not None else {}))
