"""Which weight did one router's proxy act upon, from when to when?"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tiphys.demo.entrances import Manifest
from tiphys.demo.load import Load
from tiphys.demo.measure import Share, Window, share
from tiphys.demo.routing import Routing
from tiphys.devcluster.proxies.proxy import Proxy


@dataclass(slots=True, kw_only=True)
class Gate:
    """One entrance: its router, its proxy, the load that comes in through it, and the windows in which a weight was in force."""

    routing: Routing
    proxy: Proxy
    load: Load
    note: Callable[[str], None]
    windows: list[Window] = field(default_factory=list)
    wanted: int = 0
    _open: Window | None = None
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """The router's name."""
        return self.routing.entrance.name

    async def look(self, rollout: Callable[[], Manifest]) -> None:
        """Close the window of the old weight at once; open the new one when the proxy acts upon it."""
        async with self._looking:
            version = self.routing.store.version
            weight, stable = self.routing.weight(), _stable(rollout())
            if self._open is not None and (self._open.wanted, self._open.stable) == (weight, stable):
                return
            await self.close(time.monotonic())
            if weight != self.wanted:
                self.note(f"weight {self.wanted} → {weight}")
            self.wanted = weight
            begin = await self.proxy.applied(version)
            reloads = 0
            if self.proxy.exact:
                reloads, begin = (await self.proxy.counts()).reloads, time.monotonic()
            if (self.routing.weight(), _stable(rollout())) == (weight, stable):
                self._open = Window(step=_step(rollout()), wanted=weight, stable=stable, begin=begin, end=begin, reloads=-reloads)

    async def close(self, end: float) -> None:
        """End the window that is open: the weight changes, or all is over."""
        if self._open is None:
            return
        opened, self._open = self._open, None
        reloads = (opened.reloads or 0) + (await self.proxy.counts()).reloads if self.proxy.exact else None
        self.windows.append(replace(opened, end=end, reloads=reloads))

    def shares(self) -> tuple[Share, ...]:
        """Measure every window of an update under way that saw requests."""
        measured = (share(window, self.load.answers, router=self.name) for window in self.windows if window.step is not None)
        return tuple(each for each in measured if each.requests)


def _stable(rollout: Manifest) -> str:
    return str(rollout.get("status", {}).get("stableRS", ""))


def _step(rollout: Manifest) -> int | None:
    """Give the index of the step that asks for the weight, or nothing while no update is under way."""
    stable = _stable(rollout)
    under_way = bool(stable) and stable != rollout.get("status", {}).get("currentPodHash", "")
    return asking_step(rollout) if under_way else None


def asking_step(rollout: Manifest) -> int:
    """Find the index of the step that asks for the weight: the last `setWeight` at or before the current one; at the end, their number."""
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    index = int(rollout["status"].get("currentStepIndex", 0))
    if index >= len(steps):
        return len(steps)
    return next((number for number in range(index, -1, -1) if "setWeight" in steps[number]), 0)
