"""How many requests does a whole update cost, and which transition does each serve?"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog
import uvloop

from benchmarks.figures import Figure
from benchmarks.server import SeeingServer, Seen
from inprocess import pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from tiphys.api.crds import crd_manifests
from tiphys.controller.cluster import Request
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.core.actions import Plan
from tiphys.core.decide import decide
from tiphys.core.observed import Observed
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.patching import PatchKind
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection

Manifest = dict[str, Any]
AT_MOST = 40
REPLICAS = 5
STEPS: tuple[Manifest, ...] = (
    {"setWeight": 20},
    {"pause": {"duration": 0}},
    {"setWeight": 50},
    {"pause": {"duration": 0}},
    {"setWeight": 80},
)
QUIET = 1.5
"""Seconds without a request after which the update is over; longer than the scale-down delay of 1 s."""


def run() -> list[Figure]:
    """Let one update run on real pods, over HTTP, and count."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    return uvloop.run(_run())


class _Ledger:
    """Every request in order, each with the number of its pass (of the one Rollout there is)."""

    def __init__(self) -> None:
        self.passes = 0
        self.requests: list[tuple[int, Request]] = []

    def decide(self, seen: Observed) -> Plan:
        self.passes += 1
        return decide(seen)

    def note(self, request: Request) -> None:
        self.requests.append((self.passes, request))


async def _run() -> list[Figure]:
    ledger = _Ledger()
    definitions = (*crd_manifests(), *foreign_definitions("networking.istio.io"))
    servers: list[SeeingServer] = []

    def serve(store: Any) -> SeeingServer:  # noqa: ANN401 - the cluster's own store
        servers.append(SeeingServer(store))
        return servers[0]

    async with DevCluster(definitions=definitions, api=serve, drain_seconds=0.2) as cluster:
        for manifest in _objects():
            cluster.store.create(cluster.store.registry.of_manifest(manifest), manifest, namespace="default", manager="bench")
        async with Client(Connection(server=cluster.url)) as client:
            settings = Settings(leader_elect=False, metrics_port=None, health_port=None)
            controller = Controller(client, settings, ledger=ledger.note, decide=ledger.decide)
            await controller.start()
            try:
                await _until(cluster, lambda status: status.get("phase") == "Healthy")
                await _quiet(servers[0])
                ledger.requests.clear()
                servers[0].seen.clear()
                _edit(cluster, {"spec": {"template": pod_template(image="registry.example/web:2")}})
                old = cluster.store.get(_rollouts(cluster), "web", namespace="default")["status"]["stableRS"]
                await _until(cluster, lambda status: status.get("phase") == "Healthy" and status.get("stableRS") != old)
                await _quiet(servers[0])
            finally:
                await controller.stop()
    return _judge(ledger.requests, servers[0].seen)


def _objects() -> list[Manifest]:
    rollout = rollout_manifest("web", *STEPS, replicas=REPLICAS, scaleDownDelaySeconds=1)
    return [service_manifest("web-stable"), service_manifest("web-canary"), virtual_service_manifest(), rollout]


def _rollouts(cluster: DevCluster) -> Any:  # noqa: ANN401 - a served kind
    return cluster.kinds["argoproj.io", "rollouts"]


def _edit(cluster: DevCluster, patch: Manifest) -> None:
    cluster.store.patch(_rollouts(cluster), "web", PatchKind.MERGE, patch, namespace="default", manager="bench")


async def _until(cluster: DevCluster, holds: Callable[[Manifest], bool], *, within: float = 60.0) -> None:
    subscription = cluster.store.watch(_rollouts(cluster), namespace="default")
    try:
        async with asyncio.timeout(within):
            async for event in subscription:
                if holds(event.manifest.get("status", {})):
                    return
    finally:
        subscription.close()


async def _quiet(server: SeeingServer) -> None:
    """Return when no request has come for a while."""
    count = -1
    while count != len(server.seen):
        count = len(server.seen)
        await asyncio.sleep(QUIET)


def _judge(noted: list[tuple[int, Request]], seen: list[Seen]) -> list[Figure]:
    for number, request in noted:
        print(f"  pass {number:3d}  {request}")
    kinds = Counter(f"{each.method} {each.what.split()[0]} {each.what.rsplit(' ', 1)[1]}" for each in seen)
    print("  " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    if len(seen) != len(noted):
        print(f"  the server saw {len(seen)} requests, and the ledger was told of {len(noted)}")
    nothing_new = [each.what for each in seen if each.writes and each.method != "DELETE" and each.status < 300 and not each.changed]
    again = _written_again(seen)
    twice = [
        f"{what} in pass {number}"
        for (number, what), count in Counter(
            (number, each.what) for (number, _), each in zip(noted, seen, strict=False) if each.writes
        ).items()
        if count > 1
    ]
    refused = [f"{each.what}: {each.status}" for each in seen if each.status >= 400]
    for name, found in (("changed nothing", nothing_new), ("same content", again), ("twice", twice), ("refused", refused)):
        for each in found:
            print(f"  {name}: {each}")
    return [
        Figure(name="requests of a 5-step Istio update, R 5", value=len(seen), unit="", at_most=AT_MOST, counted=True),
        Figure(name="requests that the ledger was not told of", value=abs(len(seen) - len(noted)), unit="", at_most=0, counted=True),
        Figure(name="writes that changed nothing", value=len(nothing_new) + len(again), unit="", at_most=0, counted=True),
        Figure(name="objects written twice in one pass", value=len(twice), unit="", at_most=0, counted=True),
        Figure(name="requests that were refused", value=len(refused), unit=""),
    ]


def _written_again(seen: list[Seen]) -> list[str]:
    """Name the writes that left an object just as the write before them had."""
    last: dict[str, bytes] = {}
    again = []
    for each in seen:
        name = each.what.rsplit(" ", 1)[0]
        if each.writes and each.status < 300:
            if last.get(name) == each.content:
                again.append(each.what)
            last[name] = each.content
    return again
