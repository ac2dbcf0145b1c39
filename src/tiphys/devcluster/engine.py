"""
Which built-in loop has to look at which object next?

The loops are synchronous and react to watches only. In real time a task drives them; under a virtual clock `step()` does, so a
run repeats itself exactly.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import ADDED, DELETED, Event, Stored, Subscription
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store

Key = TypeVar("Key", bound=Hashable)
Kind = tuple[str, str]
"""Group and plural: all versions of a kind are one kind here."""

_STEPS_AT_ONCE = 16
"""Steps of the real-time drive before others of the same event loop have their turn."""

_FIRST_RETRY, _LONGEST_RETRY = timedelta(milliseconds=50), timedelta(seconds=10)


class Loop(Protocol[Key]):
    """One built-in controller. *sync* makes true what the object with that key asks for, and can be called at any time."""

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """Give the keys that *event* concerns."""

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Do what *key* needs; give the time of the next look, if only time can change something."""


class Engine:
    """The queue of a cluster's loops."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._listeners: dict[Kind, list[Loop[Any]]] = {}
        self._known: dict[Kind, dict[tuple[str, str], Stored]] = {}
        self._heard: dict[Kind, tuple[ResourceType, Subscription]] = {}
        self._due: dict[tuple[int, Hashable], Loop[Any]] = {}
        self._alarms: list[tuple[datetime, int, Loop[Any], Hashable]] = []
        self._next_alarm: dict[tuple[int, Hashable], datetime] = {}
        self._failures: dict[tuple[int, Hashable], int] = {}
        self._order = itertools.count()
        self._pulled = -1
        self._news = asyncio.Event()
        self._pumps: dict[Kind, asyncio.Task[None]] = {}
        self._driver: asyncio.Task[None] | None = None

    def listen(self, loop: Loop[Any], *resources: ResourceType) -> None:
        """Let *loop* hear of every object of *resources*, those that exist first."""
        for resource in resources:
            listeners = self._listeners.setdefault(resource.key, [])
            if loop in listeners:
                continue
            if resource.key in self._heard:
                self._pull(resource.key)
                for stored in self.store.scan(resource):
                    self._tell(loop, Event(ADDED, stored), resource)
            else:
                self._heard[resource.key] = (resource, self.store.watch(resource))
                self._pulled = -1
                if self._driver is not None:
                    self._start_pump(resource.key)
            listeners.append(loop)

    def deafen(self, resource: ResourceType) -> None:
        """Stop hearing of a kind that is no longer served, after what happened until now."""
        self._pull(resource.key)
        self._listeners.pop(resource.key, None)
        self._known.pop(resource.key, None)
        _, subscription = self._heard.pop(resource.key, (None, None))
        if subscription is not None:
            subscription.close()
        pump = self._pumps.pop(resource.key, None)
        if pump is not None:
            pump.cancel()

    def mark(self, loop: Loop[Key], key: Key) -> None:
        """Have *loop* look at *key* soon, for a reason that is not in the store."""
        self._due.setdefault((id(loop), key), loop)
        self._news.set()

    def pull(self) -> None:
        """Take in what the store has to tell."""
        if self._pulled == self.store.version:
            return
        self._pulled = self.store.version
        for kind in list(self._heard):
            self._pull(kind)

    def step(self) -> bool:
        """Look at one due key; False when there was none."""
        self.pull()
        now = self.store.clock()
        while self._alarms and self._alarms[0][0] <= now:
            at, _, loop, key = heapq.heappop(self._alarms)
            if self._next_alarm.get((id(loop), key)) == at:
                del self._next_alarm[id(loop), key]
                self._due.setdefault((id(loop), key), loop)
        if not self._due:
            return False
        (identity, key), loop = next(iter(self._due.items()))
        del self._due[identity, key]
        try:
            wake_at = loop.sync(key, now)
            self._failures.pop((identity, key), None)
        except StatusError:
            # A conflict, a refused write: the store knows more than we do, so look again a little later.
            failures = self._failures[identity, key] = self._failures.get((identity, key), 0) + 1
            wake_at = now + min(_FIRST_RETRY * 2 ** min(failures, 10), _LONGEST_RETRY)
        if wake_at is not None:
            self._wake(loop, key, wake_at)
        return True

    def settle(self, *, limit: int = 1_000_000) -> None:
        """
        Step until nothing is due at this moment.

        Raises: RuntimeError after *limit* steps: two loops that undo each other's work.
        """
        for _ in range(limit):
            if not self.step():
                return
        raise RuntimeError(f"the loops did not come to rest within {limit} steps")

    def wakes_at(self) -> datetime | None:
        """When a loop wants to look again, if nothing happens before."""
        while self._alarms and self._next_alarm.get((id(self._alarms[0][2]), self._alarms[0][3])) != self._alarms[0][0]:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def start(self) -> None:
        """Drive the loops in real time, on the running event loop."""
        self._driver = asyncio.create_task(self._drive(), name="devcluster loops")
        for kind in self._heard:
            self._start_pump(kind)

    async def stop(self) -> None:
        """
        End the real-time drive.

        Raises: whatever ended it before: a bug in a loop.
        """
        tasks = [task for task in (self._driver, *self._pumps.values()) if task is not None]
        self._driver = None
        self._pumps.clear()
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    def when_broken(self, tell: Callable[[BaseException], None]) -> None:
        """Call *tell* if a bug ends the real-time drive."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                tell(error)

        if self._driver is not None:
            self._driver.add_done_callback(ended)

    def _start_pump(self, kind: Kind) -> None:
        self._pumps[kind] = asyncio.create_task(self._pump(kind), name=f"devcluster watch {'/'.join(kind)}")

    async def _pump(self, kind: Kind) -> None:
        while kind in self._heard:
            await self._heard[kind][1].wait()
            self._pull(kind)
            self._news.set()

    async def _drive(self) -> None:
        while True:
            self._news.clear()
            for _ in range(_STEPS_AT_ONCE):
                if not self.step():
                    break
            else:
                await asyncio.sleep(0)
                continue
            wake_at = self.wakes_at()
            left = (wake_at - self.store.clock()).total_seconds() if wake_at else None
            try:
                await asyncio.wait_for(self._news.wait(), left if left is None else max(left, 0.0))
            except TimeoutError:
                continue

    def _pull(self, kind: Kind) -> None:
        if kind not in self._heard:
            return
        resource, subscription = self._heard[kind]
        try:
            events = subscription.drain()
        except StatusError:
            events = self._begin_again(resource)
        known = self._known.setdefault(kind, {})
        for event in events:
            name = (event.stored.namespace, event.stored.name)
            if event.type == DELETED:
                known.pop(name, None)
            else:
                known[name] = event.stored
            for loop in list(self._listeners.get(kind, ())):
                self._tell(loop, event, resource)

    def _begin_again(self, resource: ResourceType) -> list[Event]:
        """Make up for history that was dropped before we read it: what is there now, and what is not there any more."""
        subscription = self.store.watch(resource)
        self._heard[resource.key] = (resource, subscription)
        there = subscription.drain()
        present = {(event.stored.namespace, event.stored.name): event.manifest["metadata"]["uid"] for event in there}
        known = self._known.get(resource.key, {})
        gone = [stored for name, stored in known.items() if present.get(name) != stored.manifest["metadata"]["uid"]]
        return [*(Event(DELETED, stored) for stored in gone), *there]

    def _tell(self, loop: Loop[Any], event: Event, resource: ResourceType) -> None:
        for key in loop.hears(event, resource):
            self._due.setdefault((id(loop), key), loop)

    def _wake(self, loop: Loop[Any], key: Hashable, at: datetime) -> None:
        known = self._next_alarm.get((id(loop), key))
        if known is None or at < known:
            self._next_alarm[id(loop), key] = at
            heapq.heappush(self._alarms, (at, next(self._order), loop, key))
