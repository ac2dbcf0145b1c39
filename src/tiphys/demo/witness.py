"""What happened, when, and from when on did the proxy act upon it?"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tiphys.demo import app
from tiphys.demo.measure import Window
from tiphys.demo.stage import Stage
from tiphys.devcluster.history import Subscription

Manifest = dict[str, Any]


@dataclass(slots=True)
class Witness:
    """Watches the Rollout and the VirtualService, writes down what changes, and which weight the proxy had at what time."""

    stage: Stage
    tell: Callable[[str], None]
    begun: float = field(default_factory=time.monotonic)
    happened: list[str] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    wanted: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _open: Window | None = None
    _last: Manifest = field(default_factory=dict)
    _subscriptions: list[Subscription] = field(default_factory=list)

    def start(self) -> None:
        """Begin to watch."""
        follow = ((self.stage.virtual_services, self._routed), (self.stage.rollouts, self._reported))
        for resource, act in follow:
            subscription = self.stage.cluster.store.watch(resource, namespace=app.NAMESPACE)
            self._subscriptions.append(subscription)
            self._tasks.append(asyncio.create_task(self._follow(subscription, act), name="demo witness"))

    async def stop(self) -> None:
        """End, and close the last window."""
        for subscription in self._subscriptions:
            subscription.close()
        await asyncio.gather(*self._tasks)
        self._close(time.monotonic())

    async def measured(self, *, seconds: float) -> None:
        """Wait until the present weight could be measured for *seconds*."""
        await self.stage.cluster.mesh.applied()
        await asyncio.sleep(seconds)

    def note(self, text: str) -> None:
        """Write down *text* with its time."""
        line = f"{time.monotonic() - self.begun:5.1f} s  {text}"
        self.happened.append(line)
        self.tell(line)

    async def _follow(self, subscription: Subscription, act: Callable[[Manifest, int], Any]) -> None:
        async for event in subscription:
            result = act(event.manifest, event.stored.version)
            if asyncio.iscoroutine(result):
                await result

    async def _routed(self, manifest: Manifest, version: int) -> None:
        """Close the window of the old weight at once; open the new one when Envoy acts upon it."""
        weight = canary_weight(manifest)
        rollout = self.stage.rollout()
        status = rollout.get("status", {})
        stable = status.get("stableRS", "")
        under_way = bool(stable) and stable != status.get("currentPodHash", "")
        if self._open is not None and (self._open.wanted, self._open.stable) == (weight, stable):
            return
        self._close(time.monotonic())
        if weight != self.wanted:
            self.note(f"weight {self.wanted} → {weight}")
        self.wanted = weight
        at = await self.stage.cluster.mesh.applied(version)
        step = asking_step(rollout) if under_way else None
        self._open = Window(step=step, wanted=weight, stable=stable, begin=at, end=at)

    def _close(self, end: float) -> None:
        if self._open is not None:
            opened = self._open
            self.windows.append(Window(step=opened.step, wanted=opened.wanted, stable=opened.stable, begin=opened.begin, end=end))
        self._open = None

    def _reported(self, manifest: Manifest, _version: int) -> None:
        status = manifest.get("status", {})
        before = self._last
        self._last = status
        for key, words in (("phase", "phase"), ("currentStepIndex", "step"), ("stableRS", "stable")):
            if status.get(key) != before.get(key) and status.get(key) is not None:
                self.note(f"{words} {status[key]}{_because(status) if key == 'phase' else ''}")


def _because(status: Manifest) -> str:
    return f" ({status['message']})" if status.get("message") else ""


def canary_weight(virtual_service: Manifest) -> int:
    """Read the canary's weight (percent) from the demo's own route."""
    for entry in virtual_service["spec"]["http"]:
        if entry.get("name") == "primary":
            return sum(int(each.get("weight", 0)) for each in entry["route"] if each["destination"]["host"] == app.CANARY_SERVICE)
    return 0


def asking_step(rollout: Manifest) -> int:
    """Find the index of the step that asks for the weight: the last `setWeight` at or before the current one; at the end, their number."""
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    index = int(rollout["status"].get("currentStepIndex", 0))
    if index >= len(steps):
        return len(steps)
    return next((number for number in range(index, -1, -1) if "setWeight" in steps[number]), 0)
