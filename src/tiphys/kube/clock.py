"""What time is it, and how do we wait: the one place of this package that touches a real clock."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """
    Time as the rest of the package sees it.

    Tests bring a virtual one, in which an hour passes without anybody waiting.
    """

    def now(self) -> datetime:
        """Give the wall-clock time, in UTC: for what other machines read."""
        ...

    def monotonic(self) -> float:
        """Give seconds since some fixed moment: for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        ...


class SystemClock:
    """The real time of this machine."""

    def now(self) -> datetime:  # noqa: D102 - the protocol says it
        return datetime.now(UTC)

    def monotonic(self) -> float:  # noqa: D102 - the protocol says it
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:  # noqa: D102 - the protocol says it
        await asyncio.sleep(seconds)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """
    Give the result of *work* if it comes within *seconds* of *clock*, and cancel it otherwise.

    `asyncio.timeout` reads the event loop's clock, which a virtual clock does not move.

    Raises:
        TimeoutError: the time was over first.

    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise TimeoutError
    finally:
        await _cancel(working)
        await _cancel(waiting)


async def _cancel(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
