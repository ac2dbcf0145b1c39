"""How are the caches kept equal to what an API server has?"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from tiphys.api import names
from tiphys.controller.caches import REPLICA_SET_KIND, ROLLOUT_KIND
from tiphys.controller.cluster import Kind
from tiphys.controller.kinds import PLAIN_REPLICA_SET, Kinds
from tiphys.kube.client import Client
from tiphys.kube.clock import Clock
from tiphys.kube.discovery import Served, discover
from tiphys.kube.errors import KubeError
from tiphys.kube.resources import Resource
from tiphys.kube.store import Store
from tiphys.kube.watch import Reflector, State

LOOK_AGAIN: Final = 60.0
"""Seconds between looks for a kind that the server does not serve."""
TRY_AGAIN: Final = 2.0
"""Seconds after which a failed discovery is tried again."""
FRESH: Final = 5.0
"""Seconds for which an answer of discovery is good: several kinds are often asked for at once."""

log = structlog.get_logger("tiphys.controller")


class Watches:
    """
    One reflector per kind, each begun when somebody first needs the kind.

    Foreign kinds are looked for by discovery, and again every minute while they are not served: their definitions may come later.
    """

    def __init__(self, client: Client, kinds: Kinds, clock: Clock, *, namespace: str | None = None, instance_id: str = "") -> None:
        self._client = client
        self._kinds = kinds
        self._clock = clock
        self._namespace = namespace
        self._selectors = _selectors(instance_id)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reflectors: dict[Kind, Reflector[Any]] = {}
        self._missing: set[Kind] = set()
        self._served: tuple[float, Served] | None = None
        self._discovering = asyncio.Lock()

    def use(self, group: asyncio.TaskGroup) -> None:
        """Run the reflectors in *group*, so that one that breaks is noticed."""
        self._group = group

    def stop(self) -> None:
        """End all reflectors."""
        for task in self._tasks:
            task.cancel()

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        """Begin to keep *store* equal to the cluster's objects of *kind*; call *answered* once it is complete, or known to be absent."""
        if self._group is None:
            raise RuntimeError("watches need a task group before they start")
        task = self._group.create_task(self._follow(kind, store, answered), name=f"watch {kind[1]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def absent(self, kind: Kind) -> bool:
        """Tell whether the server does not serve *kind* or does not let us read it."""
        reflector = self._reflectors.get(kind)
        return kind in self._missing or (reflector is not None and reflector.state in {State.ABSENT, State.FORBIDDEN})

    @property
    def problems(self) -> Mapping[Kind, str]:
        """Say for each kind that is not followed right now why not."""
        return {kind: reflector.problem for kind, reflector in self._reflectors.items() if reflector.problem}

    async def _follow(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        resource = await self._find(kind, answered)
        reflector = Reflector(
            self._client,
            resource,
            store,
            namespace=self._namespace,
            label_selector=self._selectors.get(kind, ""),
            clock=self._clock,
        )
        self._reflectors[kind] = reflector
        self._missing.discard(kind)
        telling = asyncio.create_task(_tell(reflector, answered))
        try:
            await reflector.run()
        finally:
            telling.cancel()

    async def _find(self, kind: Kind, answered: Callable[[], None]) -> Resource:
        """Give how the server serves *kind*, as soon as it does."""
        while True:
            known = self._kinds.get(kind)
            if known is not None:
                return known
            try:
                served = await self._discover()
            except KubeError as error:
                log.info("kind not looked up", kind=kind[1], group=kind[0], problem=str(error))
                await self._clock.sleep(TRY_AGAIN)
                continue
            found = self._kinds.choose(kind, (each.resource for each in served.resources))
            if found is not None:
                self._kinds.learn(found)
                return found
            if kind not in self._missing:
                self._missing.add(kind)
                log.info("kind is not served", kind=kind[1], group=kind[0])
                answered()
            await self._clock.sleep(LOOK_AGAIN)

    async def _discover(self) -> Served:
        async with self._discovering:
            now = self._clock.monotonic()
            if self._served is None or now - self._served[0] > FRESH:
                self._served = (now, await discover(self._client))
            return self._served[1]


async def _tell(reflector: Reflector[Any], answered: Callable[[], None]) -> None:
    await reflector.answered.wait()
    answered()


def _selectors(instance_id: str) -> dict[Kind, str]:
    """Say which objects of a kind are ours to see (lifecycle 9.4: without an id, only objects that lack the label)."""
    mine = f"{names.INSTANCE_ID_LABEL}={instance_id}" if instance_id else f"!{names.INSTANCE_ID_LABEL}"
    return {ROLLOUT_KIND: mine, REPLICA_SET_KIND: names.HASH_LABEL, ("apps", PLAIN_REPLICA_SET): f"!{names.HASH_LABEL}"}
