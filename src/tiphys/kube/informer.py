"""How does a caller get a store that fills itself?"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Generic, TypeVar

from tiphys.kube.clock import Clock
from tiphys.kube.resources import Resource
from tiphys.kube.store import IndexBy, Store
from tiphys.kube.watch import Reflector, Source, State

T = TypeVar("T")


class Informer(Generic[T]):
    """
    A store and the reflector that fills it.

    `async with Informer(client, PODS, Pod) as pods: await pods.synced()` or, in a task group of the caller's, `run()`.
    """

    def __init__(  # noqa: PLR0913 - what to follow, how to keep it, and the seams for time and chance
        self,
        source: Source,
        resource: Resource,
        into: type[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexBy[T]] | None = None,
        own: Callable[[T], T] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.resource = resource
        self.store: Store[T] = Store(into, indexes=indexes, own=own)
        self.reflector: Reflector[T] = Reflector(
            source,
            resource,
            self.store,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            clock=clock,
            random=random,
        )
        self._running: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """How it fares."""
        return self.reflector.state

    @property
    def problem(self) -> str:
        """Why it does not follow the server right now, in a sentence; empty if it does."""
        return self.reflector.problem

    async def run(self) -> None:
        """Follow the server until cancelled."""
        await self.reflector.run()

    def start(self) -> asyncio.Task[None]:
        """Follow the server in a task of its own, which is given back so that somebody notices if it breaks."""
        if self._running is None:
            self._running = asyncio.create_task(self.run(), name=f"informer {self.resource}")
        return self._running

    async def stop(self) -> None:
        """End the task that `start` made."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    async def __aenter__(self) -> "Informer[T]":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def wait_synced(self) -> None:
        """Return when the store is complete for the first time; for a kind that is not served that is never."""
        await self._first(self.store.synced)

    async def wait_answered(self) -> State:
        """Return when the store is complete, or the server says that there is no such kind or that we may not read it."""
        await self._first(self.reflector.answered)
        return self.state

    async def _first(self, event: asyncio.Event) -> None:
        """Wait for *event*, but not for a task that broke."""
        waiting = asyncio.create_task(event.wait())
        racers: set[asyncio.Task[object]] = {waiting} | ({self._running} if self._running else set())
        try:
            await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not event.is_set() and self._running is not None and self._running.done():
            self._running.result()
