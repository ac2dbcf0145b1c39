"""A clock that only tests move."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


class VirtualClock:
    """Time that stands still until `advance`; sleepers wake in order."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed + seconds, next(self._order), waker))
        await waker

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass at once, for callers without an event loop."""
        self._passed += seconds

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass; whoever wakes on the way runs before time goes on."""
        end = self._passed + seconds
        await let_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, waker = heapq.heappop(self._sleepers)
            if waker.done():
                continue
            self._passed = max(self._passed, at)
            waker.set_result(None)
            await let_run()
        self._passed = end
        await let_run()


async def let_run(turns: int = 20) -> None:
    """Give every task that is ready some turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
