"""How do views follow the cluster while they are open?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import click

from tiphys.api.analysis import AnalysisRun
from tiphys.api.experiment import Experiment
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.family import Family, ShownPod
from tiphys.cli.kinds import ANALYSIS_RUNS, EXPERIMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.options import chosen
from tiphys.cli.reading import read_events
from tiphys.controller.logs import configure_logs
from tiphys.kube.client import Client
from tiphys.kube.informer import Informer
from tiphys.kube.resources import PODS, Resource

REDRAW_SECONDS: Final = 1.0
"""A view is drawn at least so often, because ages grow."""
PAUSE_SECONDS: Final = 0.2
"""A view is not drawn more often than this."""


@asynccontextmanager
async def following(
    client: Client, resources: Sequence[tuple[Resource, type[Any]]], *, namespace: str | None, name: str = ""
) -> AsyncIterator["Followed"]:
    """Follow collections in *namespace* (or everywhere), and of the first only the object called *name* if one is given."""
    ctx = click.get_current_context(silent=True)
    level = chosen(ctx).get("loglevel", "warn") if ctx is not None else "warn"
    configure_logs(level=level, form="text", quiet=lambda: False)
    async with AsyncExitStack() as stack:
        informers: list[Informer[Any]] = []
        for position, (resource, into) in enumerate(resources):
            selector = f"metadata.name={name}" if name and position == 0 else ""
            informer = Informer(client, resource, into, namespace=namespace, field_selector=selector)
            informers.append(await stack.enter_async_context(informer))
        for informer in informers:
            await informer.wait_answered()
        yield Followed(informers)


class Followed:
    """Collections that are followed, and a way to wait until something changes."""

    def __init__(self, informers: Sequence[Informer[Any]]) -> None:
        self._informers = informers
        self._changed = asyncio.Event()
        for informer in informers:
            informer.store.subscribe(lambda *_: self._changed.set(), replay=False)

    def __getitem__(self, resource: Resource) -> list[Any]:
        """Give the objects of *resource* as they are known now."""
        return next(found.store.values() for found in self._informers if found.resource == resource)

    def one(self, namespace: str, name: str) -> Any:  # noqa: ANN401 - what the first collection holds
        """Give an object of the first collection, or nothing."""
        return self._informers[0].store.get(namespace, name)

    async def change(self, seconds: float | None = None) -> bool:
        """Wait until something changes, or for *seconds*; tell whether something did."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


async def families(client: Client, name: str) -> AsyncGenerator[Family | None, None]:
    """
    Give a rollout and everything around it at every change and every second; nothing once the rollout is gone.

    Raises:
        NotFoundError: there is no such rollout to begin with.

    """
    namespace = client.namespace
    await client.get(ROLLOUTS, name, namespace=namespace)
    kinds = [
        (ROLLOUTS, Rollout),
        (REPLICA_SETS, ReplicaSet),
        (PODS, ShownPod),
        (EXPERIMENTS, Experiment),
        (ANALYSIS_RUNS, AnalysisRun),
    ]
    async with following(client, kinds, namespace=namespace, name=name) as seen:
        while True:
            rollout = seen.one(namespace, name)
            yield rollout and Family(
                rollout=rollout,
                replica_sets=seen[REPLICA_SETS],
                pods=seen[PODS],
                experiments=seen[EXPERIMENTS],
                analysis_runs=seen[ANALYSIS_RUNS],
                events=await read_events(client, rollout),
            )
            if await seen.change(REDRAW_SECONDS):
                await asyncio.sleep(PAUSE_SECONDS)


async def rollouts(client: Client, name: str) -> AsyncGenerator[Rollout | None, None]:
    """
    Give a rollout at every change; nothing once it is gone.

    Raises:
        NotFoundError: there is no such rollout to begin with.

    """
    namespace = client.namespace
    await client.get(ROLLOUTS, name, namespace=namespace)
    async with following(client, [(ROLLOUTS, Rollout)], namespace=namespace, name=name) as seen:
        while True:
            yield seen.one(namespace, name)
            await seen.change()


async def within(seconds: float | None, work: Callable[[], Any]) -> bool:
    """Do *work* for at most *seconds* (nothing: for ever), and tell whether it came to its end."""
    try:
        async with asyncio.timeout(seconds):
            await work()
    except TimeoutError:
        return False
    return True
