"""How does a store stay equal to what the server has? (list, then watch, for ever)"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from random import Random
from typing import Generic, Protocol, TypeVar

import structlog

from tiphys.kube.backoff import Backoff
from tiphys.kube.calls import selection
from tiphys.kube.clock import Clock, SystemClock
from tiphys.kube.errors import ApiError, ForbiddenError, GoneError, KubeError, NotFoundError, SilenceError, ThrottledError
from tiphys.kube.resources import Resource
from tiphys.kube.store import Store, Unreadable
from tiphys.kube.stream import Event, Failed, LineSplitter, Reached, Reader, Removed, Upserted

T = TypeVar("T")

PAGE_SIZE = 500
WATCH_SECONDS = (300, 600)
"""The server ends a watch after a random time in this range, so that many clients do not come back together."""
SILENCE = 70.0
"""Seconds after which a quiet watch counts as dead; servers send a bookmark every minute."""
SLICE = 0.001
"""Seconds of work after which the event loop gets its turn."""
SLOW_RETRY = 60.0
"""Seconds between looks for a kind that is not served, or that we may not read."""
TOO_SHORT = 1.0
"""A watch that ends sooner than this and says nothing is a failure, whatever it calls itself."""
DOUBTS = 3
"""After this many refusals in a row the version itself is doubted, and everything is listed again."""

log = structlog.get_logger("tiphys.kube")


class Source(Protocol):
    """The two requests a reflector makes; `Client` is one."""

    async def list_page(self, resource: Resource, *, namespace: str | None = None, query: Mapping[str, str]) -> bytes:
        """Read one page of a list."""
        ...

    def stream(
        self, resource: Resource, *, namespace: str | None = None, query: Mapping[str, str] | None = None, silence: float | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch; raises SilenceError when nothing comes for *silence* seconds."""
        ...


class State(Enum):
    """How a reflector fares."""

    STARTING = "starting"
    FOLLOWING = "following"
    ABSENT = "absent"
    """The server does not serve the kind."""
    FORBIDDEN = "forbidden"
    """We may not read it."""
    FAILING = "failing"
    """The last request failed; what the store has may be old."""


class Reflector(Generic[T]):
    """
    Keeps a store equal to a collection.

    `run` never ends by itself: every failure is waited out. *state* and *problem* (a sentence, or empty) say how it fares; *answered* is
    set as soon as the server has said anything definite: a complete list, or that there is no such kind, or that we may not read it.
    """

    def __init__(  # noqa: PLR0913 - what to follow, and the seams for time and chance
        self,
        source: Source,
        resource: Resource,
        store: Store[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock | None = None,
        random: Random | None = None,
        silence: float = SILENCE,
    ) -> None:
        self.state = State.STARTING
        self.problem = ""
        self.answered = asyncio.Event()
        self._source = source
        self._resource = resource
        self._store = store
        self._namespace = namespace
        self._selection = selection(label_selector, field_selector)
        self._clock = clock or SystemClock()
        self._random = random or Random()  # noqa: S311 - jitter, no secret
        self._silence = silence
        self._reader: Reader[T] = Reader(store.into, where=str(resource))
        self._backoff = Backoff(self._clock, self._random)
        self._version = ""
        self._gone = 0
        self._refused = 0

    async def run(self) -> None:
        """List, watch and go on until cancelled; what a handler of the store raises ends it."""
        while True:
            pause = await self._round()
            if pause:
                await self._clock.sleep(pause)

    async def _round(self) -> float:
        """Follow the collection until something ends it, and give the seconds to wait before the next try."""
        try:
            if not self._version:
                await self._list()
            return await self._watch()
        except SilenceError as error:
            # Half open: the other side is gone. The version is still good, and 70 s were pause enough.
            return self._failed(error, 0.0)
        except GoneError as error:
            self._version = ""
            self._gone += 1
            return self._failed(error, 0.0 if self._gone == 1 else self._backoff.after_failure())
        except ThrottledError as error:
            return self._failed(error, error.retry_after or self._backoff.after_failure())
        except (NotFoundError, ForbiddenError) as error:
            return self._not_ours(error)
        except ApiError as error:
            self._refused += 1
            if self._refused >= DOUBTS:
                self._version = ""
            return self._failed(error, self._backoff.after_failure())
        except KubeError as error:
            return self._failed(error, self._backoff.after_failure())

    # Listing

    async def _list(self) -> None:
        """Read the whole collection and swap it in; a list that breaks off changes nothing."""
        self._store.begin_list()
        items: list[T] = []
        unreadable: list[Unreadable] = []
        query = {"limit": str(PAGE_SIZE), **self._selection}
        while True:
            page = self._reader.page(await self._source.list_page(self._resource, namespace=self._namespace, query=query))
            items += map(self._store.own, page.items)
            unreadable += page.unreadable
            if not page.meta.continue_:
                break
            query["continue"] = page.meta.continue_
        for each in unreadable:
            self._warn(each)
        self._store.replace(items, unreadable, page.meta.resource_version)
        self._version = page.meta.resource_version
        self._fine()
        self.answered.set()

    # Watching

    async def _watch(self) -> float:
        """Take in events until the stream ends by itself."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(self._random.randint(*WATCH_SECONDS)),
            **self._selection,
        }
        opened = self._clock.monotonic()
        before = self._version
        async with self._source.stream(self._resource, namespace=self._namespace, query=query, silence=self._silence) as chunks:
            self._fine()
            await self._follow(chunks)
        if self._version == before and self._clock.monotonic() - opened < TOO_SHORT:
            return self._backoff.after_failure()
        self._proven()
        return 0.0

    async def _follow(self, chunks: AsyncIterator[bytes]) -> None:
        lines = LineSplitter()
        async for chunk in chunks:
            began = self._clock.monotonic()
            for line in lines.feed(chunk):
                event = self._reader.event(line)
                if event is not None:
                    self._take(event)
                if self._clock.monotonic() - began > SLICE:
                    await asyncio.sleep(0)
                    began = self._clock.monotonic()

    def _take(self, event: Event[T]) -> None:
        match event:
            case Upserted(thing=thing):
                self._store.upsert(thing)
            case Removed(key=key, version=version):
                self._store.remove(key, version)
            case Unreadable():
                self._warn(event)
                self._store.spoil(event)
            case Reached(version=version):
                self._store.reached(version)
            case Failed(error=error):
                raise error
        self._version = self._store.version
        self._proven()

    # How it goes

    def _fine(self) -> None:
        self.state = State.FOLLOWING
        self.problem = ""

    def _proven(self) -> None:
        """The version is good: the server has sent something after it."""
        self._gone = 0
        self._refused = 0

    def _failed(self, error: KubeError, pause: float) -> float:
        self.problem = str(error)
        if pause:
            self.state = State.FAILING
            log.warning("watch failed", resource=str(self._resource), problem=self.problem, retry_in=round(pause, 1))
        return pause

    def _not_ours(self, error: NotFoundError | ForbiddenError) -> float:
        if isinstance(error, NotFoundError):
            if self.state is State.ABSENT and self._store.synced.is_set():
                # Said twice a minute apart: the kind was removed, and its objects with it.
                self._store.replace((), (), "")
            self.state = State.ABSENT
        else:
            self.state = State.FORBIDDEN
        if self.problem != str(error):
            log.info("kind cannot be followed", resource=str(self._resource), state=self.state.value, problem=str(error))
        self.problem = str(error)
        self._version = ""
        self.answered.set()
        return SLOW_RETRY * self._random.uniform(0.8, 1.2)

    def _warn(self, unreadable: Unreadable) -> None:
        namespace, name = unreadable.key
        log.warning("object cannot be read", resource=str(self._resource), namespace=namespace, name=name, problem=unreadable.problem)
