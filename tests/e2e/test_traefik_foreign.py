"""Does Traefik, a client that knows nothing of us, read our API server and route between our pods?"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from devcluster_objects import replica_set, service
from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.traefik import Traefik
from tiphys.devcluster.resources import ResourceType

HOST = "shop.example"


@pytest.fixture
async def cluster() -> AsyncIterator[DevCluster]:
    async with DevCluster(definitions=foreign_definitions("traefik.io"), api=ApiServer, drain_seconds=0.2) as running:
        for version, replicas in (("stable", 2), ("canary", 1)):
            running.store.create(REPLICA_SETS, replica_set(f"web-{version}", version=version, replicas=replicas))
            running.store.create(SERVICES, service(version, {"version": version}))
        yield running


@pytest.fixture
async def traefik(cluster: DevCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traefik]:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    addresses = LoopbackAddresses()
    running = Traefik(cluster.url, address=addresses.take())
    await running.start()
    yield running
    await running.stop()
    addresses.close()


def kind(cluster: DevCluster, plural: str) -> ResourceType:
    return cluster.kinds["traefik.io", plural]


def weighted(stable: int, canary: int) -> list[dict[str, object]]:
    return [{"name": name, "port": 80, "weight": weight} for name, weight in (("stable", stable), ("canary", canary))]


async def ask(session: aiohttp.ClientSession, traefik: Traefik) -> str:
    async with session.get(traefik.url, headers={"host": HOST}) as answer:
        return answer.headers.get("x-version", str(answer.status))


async def shares(session: aiohttp.ClientSession, traefik: Traefik, count: int = 100) -> Counter[str]:
    return Counter([await ask(session, traefik) for _ in range(count)])


async def until(session: aiohttp.ClientSession, traefik: Traefik, wanted: Counter[str]) -> None:
    """Ask until the shares are exactly *wanted*: Traefik's weights are."""
    async with asyncio.timeout(30):
        while (found := await shares(session, traefik)) != wanted:
            assert set(found) <= {"stable", "canary", "404", "503"}, (found, traefik.said())


async def test_traefik_routes_by_our_objects_and_follows_their_weights(cluster: DevCluster, traefik: Traefik) -> None:
    route = {
        "metadata": {"name": "web"},
        "spec": {
            "entryPoints": ["web"],
            "routes": [{"match": f"Host(`{HOST}`)", "kind": "Rule", "services": [{"name": "web", "kind": "TraefikService"}]}],
        },
    }
    split = {"metadata": {"name": "web"}, "spec": {"weighted": {"services": weighted(80, 20)}}}
    cluster.store.create(kind(cluster, "traefikservices"), split, namespace="default")
    cluster.store.create(kind(cluster, "ingressroutes"), route, namespace="default")

    async with aiohttp.ClientSession() as session:
        await until(session, traefik, Counter(stable=80, canary=20))

        body = {"spec": {"weighted": {"services": weighted(50, 50)}}}
        cluster.store.patch(kind(cluster, "traefikservices"), "web", PatchKind.MERGE, body, namespace="default")
        await until(session, traefik, Counter(stable=50, canary=50))

        cluster.store.patch(REPLICA_SETS, "web-canary", PatchKind.MERGE, {"spec": {"replicas": 3}}, namespace="default")
        async with asyncio.timeout(30):
            while len({each.name for each in cluster.counts() if each.version == "canary" and each.requests}) < 3:
                await shares(session, traefik, 20)

    assert {each.version for each in cluster.counts()} == {"stable", "canary"}
