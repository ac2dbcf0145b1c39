"""Which object is looked at next, and when is one looked at again?"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Generic, Protocol, TypeVar

from tiphys.kube.clock import Clock

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 0.001
LONGEST_DELAY = 10.0


class QueueWatcher(Protocol):
    """Is told what a queue does; times in seconds."""

    def added(self) -> None:
        """A key came in."""

    def started(self, waited: float) -> None:
        """A worker took a key that had *waited*."""

    def finished(self, worked: float) -> None:
        """A worker is done with a key."""

    def retried(self) -> None:
        """A key failed and comes back later."""


class Unwatched:
    """Nobody wants to know."""

    def added(self) -> None:
        """Keep quiet."""

    def started(self, waited: float) -> None:
        """Keep quiet."""

    def finished(self, worked: float) -> None:
        """Keep quiet."""

    def retried(self) -> None:
        """Keep quiet."""


class WorkQueue(Generic[K]):
    """
    Keys in the order they came, each at most once, never two workers on the same key.

    A key that failed comes back after a delay that doubles from 1 ms to 10 s until it succeeds. While it waits, further changes
    of it do not bring it back sooner (a storm of conflicts costs no more than the back-off allows) unless `hurry` says that a
    person acted. A key has at most one alarm; a new one replaces the old. All delays lie on one heap with one timer.
    """

    def __init__(self, clock: Clock, *, watcher: QueueWatcher | None = None) -> None:
        self._clock = clock
        self._watcher: QueueWatcher = watcher or Unwatched()
        self._line: deque[K] = deque()
        self._wanted: dict[K, float] = {}  # keys to be worked on, and since when
        self._busy: dict[K, float] = {}  # keys in a worker's hands, and since when
        self._failures: dict[K, int] = {}
        self._backing_off: set[K] = set()
        self._alarms: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = float("inf")
        self._news = asyncio.Event()
        self._at_work = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def idle(self) -> bool:
        """Tell whether nobody works and nothing is due."""
        return not self._wanted and not self._busy

    @property
    def working(self) -> list[float]:
        """Give the seconds for which each busy worker has had its key."""
        now = self._clock.monotonic()
        return [now - since for since in self._busy.values()]

    @property
    def next_alarm(self) -> float | None:
        """Give the clock's monotonic time of the next alarm, if there is one."""
        self._drop_old_alarms()
        return self._heap[0][0] if self._heap else None

    def failures(self, key: K) -> int:
        """Count how often *key* failed since it last succeeded."""
        return self._failures.get(key, 0)

    # What comes in

    def add(self, key: K) -> None:
        """Ask for a look at *key*: now, or where it failed lately, when its delay is over."""
        if key not in self._backing_off:
            self._want(key)

    def hurry(self, key: K) -> None:
        """Ask for a look at *key* now, and forget that it failed: a person acted on it."""
        self._failures.pop(key, None)
        self._backing_off.discard(key)
        self._want(key)

    def forget(self, key: K) -> None:
        """Drop everything about a *key* that is gone for good."""
        self._failures.pop(key, None)
        self._backing_off.discard(key)
        self._alarms.pop(key, None)

    # What a worker does

    def take(self) -> K | None:
        """Give the next key, or nothing; the caller says `settle`, `again` or `retry` when done."""
        if not self._line:
            return None
        key = self._line.popleft()
        now = self._clock.monotonic()
        self._watcher.started(now - self._wanted.pop(key))
        self._busy[key] = now
        self._alarms.pop(key, None)
        return key

    def settle(self, key: K, *, wake_in: float | None = None) -> None:
        """Note that *key* succeeded, and look at it again in *wake_in* seconds, if at all."""
        self._failures.pop(key, None)
        if wake_in is not None:
            self._set_alarm(key, wake_in)
        self._release(key)

    def hold(self, key: K, seconds: float) -> None:
        """Note that *key* succeeded, and look at it again in *seconds* and not before, whatever changes meanwhile (but see `hurry`)."""
        self._failures.pop(key, None)
        self._wanted.pop(key, None)
        self._backing_off.add(key)
        self._set_alarm(key, seconds)
        self._release(key)

    def again(self, key: K) -> None:
        """Look at *key* again at once; whether it failed lately stays as it is."""
        self._release(key)
        self._want(key)

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Note that *key* failed, and look at it again after its delay, at least *at_least* seconds; gives that delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(at_least, min(FIRST_DELAY * float(2 ** min(failures, 30)), LONGEST_DELAY))
        self._wanted.pop(key, None)  # what came in meanwhile is seen by the next try
        self._backing_off.add(key)
        self._set_alarm(key, delay)
        self._watcher.retried()
        self._release(key)
        return delay

    async def work(self, job: Callable[[K], Awaitable[None]], *, workers: int) -> None:
        """
        Let *workers* tasks do *job* until the queue is closed and what they had begun is done.

        *job* itself reports the outcome by `settle`, `again` or `retry`; an error it raises ends the work.
        """
        self._at_work = True
        self._arm()
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._worker(job))

    def close(self) -> None:
        """Take no more keys out: workers finish what they have in hand and leave."""
        self._closed = True
        self._news.set()
        if self._timer is not None:
            self._timer.cancel()

    def ring(self) -> int:
        """Bring in the keys whose alarm is due, and count them; the timer does this by itself."""
        now = self._clock.monotonic()
        rung = 0
        self._drop_old_alarms()
        while self._heap and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._alarms[key]
            self._backing_off.discard(key)
            self._want(key)
            rung += 1
            self._drop_old_alarms()
        return rung

    # Inside

    async def _worker(self, job: Callable[[K], Awaitable[None]]) -> None:
        while not self._closed:
            key = self.take()
            if key is None:
                self._news.clear()
                await self._news.wait()
            else:
                await job(key)

    def _want(self, key: K) -> None:
        if key in self._wanted:
            return
        self._wanted[key] = self._clock.monotonic()
        self._watcher.added()
        if key not in self._busy:
            self._line.append(key)
            self._news.set()

    def _release(self, key: K) -> None:
        self._watcher.finished(self._clock.monotonic() - self._busy.pop(key))
        if key in self._wanted:
            self._line.append(key)
            self._news.set()

    def _set_alarm(self, key: K, seconds: float) -> None:
        at = self._clock.monotonic() + seconds
        self._alarms[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        if self._at_work:
            self._arm()

    def _drop_old_alarms(self) -> None:
        while self._heap and self._alarms.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _arm(self) -> None:
        """Let the one timer ring at the next alarm."""
        at = self.next_alarm
        sleeping = self._timer is not None and not self._timer.done()
        if self._closed or at is None or (sleeping and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().create_task(self._ring_later())

    async def _ring_later(self) -> None:
        while (at := self.next_alarm) is not None:
            self._timer_at = at
            await self._clock.sleep(max(0.0, at - self._clock.monotonic()))
            self.ring()
