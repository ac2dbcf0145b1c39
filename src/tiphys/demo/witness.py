"""What happened, when, and from when on did the proxies act upon it?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tiphys.demo import app
from tiphys.demo.app import Manifest
from tiphys.demo.gate import Gate
from tiphys.demo.stage import Stage
from tiphys.devcluster.history import Event, Subscription


@dataclass(slots=True)
class Witness:
    """Watches the Rollout and the objects of its routers, and writes down what changes; each gate keeps its own windows."""

    stage: Stage
    tell: Callable[[str], None]
    gates: Sequence[Gate] = ()
    begun: float = field(default_factory=time.monotonic)
    happened: list[str] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _last: Manifest = field(default_factory=dict)
    _subscriptions: list[Subscription] = field(default_factory=list)

    def start(self, gates: Sequence[Gate]) -> None:
        """Begin to watch."""
        self.gates = tuple(gates)
        for gate in self.gates:
            for resource in gate.routing.kinds().values():
                self._watch(self.stage.cluster.store.watch(resource, namespace=app.NAMESPACE), self._looking(gate))
        self._watch(self.stage.cluster.store.watch(self.stage.rollouts, namespace=app.NAMESPACE), self._reported)

    async def stop(self) -> None:
        """End, and close the last windows."""
        for subscription in self._subscriptions:
            subscription.close()
        await asyncio.gather(*self._tasks)
        end = time.monotonic()
        for gate in self.gates:
            await gate.close(end)

    async def measured(self, *, seconds: float) -> None:
        """Wait until the present weight could be measured for *seconds*."""
        await self.stage.cluster.applied()
        await asyncio.sleep(seconds)

    def note(self, text: str) -> None:
        """Write down *text* with its time."""
        line = f"{time.monotonic() - self.begun:5.1f} s  {text}"
        self.happened.append(line)
        self.tell(line)

    def _watch(self, subscription: Subscription, act: Callable[[Event], Awaitable[None]]) -> None:
        self._subscriptions.append(subscription)
        self._tasks.append(asyncio.create_task(_follow(subscription, act), name="demo witness"))

    def _looking(self, gate: Gate) -> Callable[[Event], Awaitable[None]]:
        return lambda _: gate.look(self.stage.rollout)

    async def _reported(self, event: Event) -> None:
        status = event.manifest.get("status", {})
        before = self._last
        self._last = dict(status)
        for key, words in (("phase", "phase"), ("currentStepIndex", "step"), ("stableRS", "stable")):
            if status.get(key) != before.get(key) and status.get(key) is not None:
                self.note(f"{words} {status[key]}{_because(dict(status)) if key == 'phase' else ''}")


async def _follow(subscription: Subscription, act: Callable[[Event], Awaitable[None]]) -> None:
    async for event in subscription:
        await act(event)


def _because(status: Manifest) -> str:
    return f" ({status['message']})" if status.get("message") else ""
