"""How many requests does the controller make while the API server refuses every write?"""

import asyncio
from typing import Any

import structlog
import uvloop

from benchmarks.figures import Figure
from benchmarks.server import RETRY_AFTER, SeeingServer
from inprocess import pod_template, rollout_manifest
from tiphys.api.crds import crd_manifests
from tiphys.controller.loop import CONFLICTS_AT_ONCE
from tiphys.controller.manager import Controller
from tiphys.controller.queue import FIRST_DELAY, LONGEST_DELAY
from tiphys.controller.settings import Settings
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.storage import Store
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection

SECONDS = 10.0
ROLLOUTS = 5


def run() -> list[Figure]:
    """Both storms at the same time, each in a cluster of its own."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    return uvloop.run(_both())


async def _both() -> list[Figure]:
    conflicts, throttled = await asyncio.gather(_storm(409), _storm(429))
    # A conflict is a write, and a look at what the other one wrote.
    tries = 1 + CONFLICTS_AT_ONCE + _retries()
    # The client waits out each answer, so no more than one write a second; the first comes at once.
    waits = 1 + SECONDS / RETRY_AFTER
    return [
        Figure(name="requests in 10 s of 409, per Rollout", value=conflicts / ROLLOUTS, unit="", at_most=2 * tries, counted=True),
        Figure(name="requests in 10 s of 429, per Rollout", value=throttled / ROLLOUTS, unit="", at_most=waits, counted=True),
    ]


def _retries() -> int:
    """Count the delays that begin within the time: they double from the shortest to the longest."""
    passed, delay, count = 0.0, FIRST_DELAY, 0
    while passed + delay <= SECONDS:
        passed, delay, count = passed + delay, min(2 * delay, LONGEST_DELAY), count + 1
    return count


async def _storm(status: int) -> int:
    """Change the templates of some Rollouts while every write is refused with *status*; count the requests."""
    servers: list[SeeingServer] = []

    def serve(store: Store) -> SeeingServer:
        servers.append(SeeingServer(store))
        return servers[0]

    async with DevCluster(definitions=crd_manifests(), api=serve, pods=False) as cluster:
        names = [f"web-{number}" for number in range(ROLLOUTS)]
        rollouts = cluster.kinds["argoproj.io", "rollouts"]
        for name in names:
            manifest = rollout_manifest(name, {"setWeight": 50}, istio=False, replicas=0)
            cluster.store.create(rollouts, manifest, namespace="default", manager="bench")
        async with Client(Connection(server=cluster.url)) as client:
            controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None))
            await controller.start()
            try:
                await _at_rest(servers[0])
                servers[0].storm = status
                servers[0].seen.clear()
                patch: dict[str, Any] = {"spec": {"template": pod_template(image="registry.example/web:2")}}
                for name in names:
                    cluster.store.patch(rollouts, name, PatchKind.MERGE, patch, namespace="default", manager="bench")
                await asyncio.sleep(SECONDS)
                return len(servers[0].seen)
            finally:
                servers[0].storm = 0
                await controller.stop()


async def _at_rest(server: SeeingServer) -> None:
    """Return when something was asked, and then for a second nothing."""
    count = 0
    while not count or count != len(server.seen):
        count = len(server.seen)
        await asyncio.sleep(1)
