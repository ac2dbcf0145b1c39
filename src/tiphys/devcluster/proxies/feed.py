"""When do changes of objects reach a proxy, and how does one wait for that?"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tiphys.devcluster.engine import Engine
from tiphys.devcluster.history import Event
from tiphys.devcluster.proxies.builder import Found, Kind
from tiphys.devcluster.resources import ResourceType

_GATHER = 0.004
"""Seconds that changes are gathered before they are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One configuration that the proxy acted upon: which state of the objects it shows, and when (monotonic seconds)."""

    version: int
    at: float


class Feed:
    """Hears of every change of the kinds in *reads* and follows it until the proxy acts upon it; what that means is `_follow`."""

    def __init__(self, engine: Engine, kinds: Mapping[Kind, ResourceType], *, planes: Sequence[str], reads: frozenset[Kind]) -> None:
        self.planes = tuple(planes)
        self.reads = reads
        self.problems: tuple[str, ...] = ()
        self.history: deque[Applied] = deque(maxlen=1000)
        self._engine = engine
        self._kinds = kinds
        self._dirty = asyncio.Event()
        self._done = asyncio.Condition()
        self._version = 0
        self._busy = False
        self._ended: Exception | None = None
        self._tell: Callable[[str], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        """Everything counts; the task finds out whether it matters."""
        del event, resource
        self._dirty.set()
        return ()

    def sync(self, key: str, now: datetime) -> datetime | None:
        """Nothing to do: the task below does it."""
        del key, now
        return None

    def when_broken(self, tell: Callable[[BaseException], None]) -> None:
        """Call *tell* if the feed ends by itself: the proxy is gone."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                tell(error)

        if self._task is not None:
            self._task.add_done_callback(ended)

    def when_left_out(self, tell: Callable[[str], None]) -> None:
        """Call *tell* with each problem once, now and whenever it comes anew."""
        self._tell = tell
        for problem in self.problems:
            tell(problem)

    @property
    def version(self) -> int:
        """The newest state of the objects (a resourceVersion) that the proxy acts upon."""
        self._engine.pull()
        return self._version if self._dirty.is_set() or self._busy else self._engine.store.version

    async def applied(self, version: int | str | None = None) -> float:
        """
        Wait until the proxy acts upon everything up to resourceVersion *version* (default: what is there now).

        Gives the monotonic time at which it did.

        Raises: whatever ended the feed.
        """
        wanted = self._engine.store.version if version is None else int(version)
        async with self._done:
            while self.version < wanted:
                if self._ended is not None:
                    raise self._ended
                await self._done.wait()
        return next((each.at for each in self.history if each.version >= wanted), time.monotonic())

    def _begin(self) -> None:
        self._dirty.set()
        self._task = asyncio.create_task(self._feed(), name=f"devcluster feed of {', '.join(self.planes)}")

    async def _end(self) -> None:
        """
        End the task.

        Raises: what ended it before, if something did.
        """
        if self._task is not None:
            self._task.cancel()
            (ended,) = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended

    async def _feed(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_GATHER)
            self._dirty.clear()
            self._busy = True
            try:
                await self._follow()
                self._busy = False
            except Exception as error:
                self._ended = error
                raise
            finally:
                await self._told()

    async def _follow(self) -> None:
        """Return when the proxy acts upon the objects as they are now, or when they have changed again; `_version` tells how far it is."""
        raise NotImplementedError

    async def _told(self) -> None:
        """Let everybody who waits look again."""
        async with self._done:
            self._done.notify_all()

    def _left_out(self, problems: tuple[str, ...]) -> None:
        before, self.problems = self.problems, problems
        for problem in problems:
            if self._tell is not None and problem not in before:
                self._tell(problem)

    def _objects(self) -> Found:
        resources = {kind: self._kinds[kind] for kind in self.reads if kind in self._kinds}
        return {kind: [stored.manifest for stored in self._engine.store.scan(resource)] for kind, resource in resources.items()}
