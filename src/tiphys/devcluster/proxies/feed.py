"""When do changes of objects reach the proxy, and how does one wait for that?"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tiphys.devcluster.engine import Engine
from tiphys.devcluster.history import Event
from tiphys.devcluster.proxies.builder import Found, Kind, ProxyConfig
from tiphys.devcluster.proxies.envoy import Envoy, EnvoyRejectedError
from tiphys.devcluster.proxies.planes import DEFAULT, kinds_of, translate
from tiphys.devcluster.resources import ResourceType

_GATHER = 0.004
"""Seconds that changes are gathered before they are translated together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One configuration that Envoy acted upon: which state of the objects it shows, and when (monotonic seconds)."""

    version: int
    at: float


class MeshFeed:
    """Translates the objects of the chosen planes for Envoy whenever one of them changes."""

    def __init__(self, engine: Engine, envoy: Envoy, kinds: Mapping[Kind, ResourceType], *, planes: Sequence[str] = DEFAULT) -> None:
        self.planes = tuple(planes)
        self.reads = kinds_of(planes)
        self.envoy = envoy
        self.problems: tuple[str, ...] = ()
        self.history: deque[Applied] = deque(maxlen=1000)
        self._engine = engine
        self._kinds = kinds
        self._dirty = asyncio.Event()
        self._config: ProxyConfig | None = None
        self._done = asyncio.Condition()
        self._version = 0
        self._busy = False
        self._ended: Exception | None = None
        self._tell: Callable[[str], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        """Everything counts; the translation finds out whether it matters."""
        del event, resource
        self._dirty.set()
        return ()

    def sync(self, key: str, now: datetime) -> datetime | None:
        """Nothing to do: the task below does it."""
        del key, now
        return None

    def start(self) -> None:
        """Begin to feed."""
        self._task = asyncio.create_task(self._feed(), name="devcluster mesh feed")

    def when_broken(self, tell: Callable[[BaseException], None]) -> None:
        """Call *tell* if the feed ends by itself: Envoy is gone."""

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

    async def stop(self) -> None:
        """
        End the feed.

        Raises: what ended it before, if something did.
        """
        if self._task is not None:
            self._task.cancel()
            (ended,) = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended

    @property
    def version(self) -> int:
        """The newest state of the objects (a resourceVersion) that Envoy acts upon."""
        self._engine.pull()
        return self._version if self._dirty.is_set() or self._busy else self._engine.store.version

    async def applied(self, version: int | str | None = None) -> float:
        """
        Wait until Envoy acts upon everything up to resourceVersion *version* (default: what is there now).

        Gives the monotonic time at which it did.

        Raises: EnvoyRejectedError or whatever else ended the feed.
        """
        wanted = self._engine.store.version if version is None else int(version)
        async with self._done:
            while self.version < wanted:
                if self._ended is not None:
                    raise self._ended
                await self._done.wait()
        return next((each.at for each in self.history if each.version >= wanted), time.monotonic())

    def sends_to(self, address: str) -> bool:
        """Whether Envoy may still send requests to *address*."""
        return self.envoy.sends_to(address)

    async def _feed(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_GATHER)
            self._dirty.clear()
            self._busy = True
            try:
                await self._once()
                self._busy = False
            except Exception as error:
                self._ended = error
                raise
            finally:
                async with self._done:
                    self._done.notify_all()

    async def _once(self) -> None:
        version = self._engine.store.version
        config = translate(self.planes, self._objects())
        problems = config.problems
        if config != self._config:
            try:
                await self.envoy.put(config)
            except EnvoyRejectedError as error:
                problems = (*problems, str(error))
            self._config = config
            self.history.append(Applied(version=version, at=time.monotonic()))
        before, self.problems = self.problems, problems
        for problem in problems:
            if self._tell is not None and problem not in before:
                self._tell(problem)
        self._version = version

    def _objects(self) -> Found:
        resources = {kind: self._kinds[kind] for kind in self.reads if kind in self._kinds}
        return {kind: [stored.manifest for stored in self._engine.store.scan(resource)] for kind, resource in resources.items()}
