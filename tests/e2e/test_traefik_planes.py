"""Does a real Traefik act upon the objects of its three planes, and do we know from when on?"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from devcluster_objects import Manifest, service
from envoy_client import Client, deploy, eventually, ready
from plane_objects import (
    HOST,
    http_route,
    http_rule,
    ingress_route,
    nginx_ingress,
    traefik_rule,
    traefik_service,
)
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import ENDPOINT_SLICES, INGRESSES, NAMESPACES, REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.supervisor import ChildError

PLANES = ("traefik", "gateway", "nginx")
REQUESTS = 100
HEADER: Manifest = {"name": "x-beta", "value": "1"}


@dataclass(frozen=True)
class World:
    """A cluster whose Services `stable` and `canary` have pods, with one of Traefik's planes in front."""

    plane: str
    cluster: DevCluster
    client: Client

    async def put(self, *manifests: Manifest) -> None:
        """Create or replace, and wait until Traefik acts upon it."""
        store = self.cluster.store
        for manifest in manifests:
            resource, name = store.registry.of_manifest(manifest), manifest["metadata"]["name"]
            if store.read(resource, name, "default") is None:
                store.create(resource, manifest)
            else:
                store.patch(resource, name, PatchKind.MERGE, manifest, namespace="default")
        await self.cluster.proxy(self.plane).applied()

    async def versions(self, count: int = REQUESTS, **headers: str) -> Counter[str]:
        """Ask one after another, and say which versions answered."""
        return await self.client.many(count, at_once=1, host=HOST, **headers)


@asynccontextmanager
async def running(plane: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    async with DevCluster(api=ApiServer, planes=(plane,), drain_seconds=0.3) as cluster, aiohttp.ClientSession() as session:
        await deploy(cluster, stable=2, canary=1)
        yield World(plane, cluster, Client(cluster, session))


def split(plane: str, weight: int) -> list[Manifest]:
    """What sends *weight* percent to the canary."""
    match plane:
        case "traefik":
            return [traefik_service(stable=100 - weight, canary=weight), ingress_route(traefik_rule())]
        case "gateway":
            return [http_route(http_rule(stable=100 - weight, canary=weight))]
        case _:
            return [nginx_ingress(), nginx_ingress("web-canary", "canary", canary="true", canary_weight=str(weight))]


def header_route(plane: str) -> list[Manifest]:
    """What sends requests with the header to the canary."""
    match plane:
        case "traefik":
            return [ingress_route(traefik_rule(" && Header(`x-beta`, `1`)", service="canary"), traefik_rule())]
        case "gateway":
            return [http_route(http_rule(HEADER, canary=1), http_rule(stable=100, canary=0))]
        case _:
            by_header = {"canary_by_header": "x-beta", "canary_by_header_value": "1"}
            return [nginx_ingress("web-canary", "canary", canary="true", canary_weight="0", **by_header)]


@pytest.mark.parametrize("plane", PLANES)
async def test_shares_are_exact_from_the_moment_on_that_is_told(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(plane, monkeypatch) as world:
        for weight in (0, 20, 50, 100):
            await world.put(*split(plane, weight))
            assert await world.versions() == +Counter(stable=REQUESTS - weight, canary=weight)

        counts = await world.cluster.proxy(plane).counts()
        assert (counts.requests, counts.failed) == (4 * REQUESTS, 0)
        assert sum(each.requests for each in world.cluster.counts()) == 4 * REQUESTS
        assert world.client.failures == []
        assert world.cluster.proxy(plane).problems == ()


@pytest.mark.parametrize("plane", PLANES)
async def test_a_header_picks_the_canary_and_everything_else_stays(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(plane, monkeypatch) as world:
        await world.put(*split(plane, 0))
        await world.put(*header_route(plane))

        assert await world.versions(10, x_beta="1") == Counter(canary=10)
        assert await world.versions(10, x_beta="2") == Counter(stable=10)
        assert await world.versions(10) == Counter(stable=10)

        await world.put(*split(plane, 0))
        if plane == "nginx":
            none: dict[str, str | None] = {f"nginx.ingress.kubernetes.io/canary-by-header{each}": None for each in ("", "-value")}
            body = {"metadata": {"annotations": none}}
            world.cluster.store.patch(INGRESSES, "web-canary", PatchKind.MERGE, body, namespace="default")
            await world.cluster.applied()
        assert await world.versions(10, x_beta="1") == Counter(stable=10)
        assert world.cluster.proxy(plane).problems == ()


@pytest.mark.parametrize("plane", PLANES)
async def test_no_request_fails_while_weights_change_and_pods_come_and_go(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(plane, monkeypatch) as world:
        await world.put(*split(plane, 0))
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await world.client.ask(host=HOST)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for weight, replicas in ((20, 3), (50, 1), (100, 2), (0, 0)):
            await world.put(*split(plane, weight))
            world.cluster.store.patch(REPLICA_SETS, "web-canary", PatchKind.MERGE, {"spec": {"replicas": replicas}}, namespace="default")
            await eventually(world.cluster, lambda: ready(world.cluster, "canary") == replicas, ENDPOINT_SLICES)  # noqa: B023
            await world.cluster.applied()
        stop.set()
        await asyncio.gather(*loads)

        assert world.client.failures == []
        assert (await world.cluster.proxy(plane).counts()).failed == 0
        assert {"stable", "canary"} == set(world.client.answers)


async def test_many_hosts_in_several_namespaces_share_two_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    foreign = foreign_definitions("networking.istio.io")
    async with (
        DevCluster(api=ApiServer, definitions=foreign, planes=("istio", "gateway"), drain_seconds=0.3) as cluster,
        aiohttp.ClientSession() as session,
    ):
        await deploy(cluster, stable=1, canary=1)
        cluster.store.create(NAMESPACES, {"metadata": {"name": "other"}})
        for selected in ("stable", "canary"):
            moved = service("web", {"version": selected})
            cluster.store.create(SERVICES, {**moved, "metadata": {"name": selected, "namespace": "other"}}, namespace="other")

        async def one(number: int) -> tuple[str, int]:
            """Change one route again and again, and look at it each time."""
            host, seen = f"shop-{number}.example", 0
            for weight in (0, 100, 0, 100):
                made = http_route(http_rule(stable=100 - weight, canary=weight), name=f"web-{number}", host=host)
                resource, name = cluster.store.registry.of_manifest(made), made["metadata"]["name"]
                if cluster.store.read(resource, name, "default") is None:
                    stored = cluster.store.create(resource, made)
                else:
                    stored = cluster.store.patch(resource, name, PatchKind.MERGE, made, namespace="default")
                await cluster.proxy("gateway").applied(stored["metadata"]["resourceVersion"])
                async with session.get(cluster.proxy("gateway").url, headers={"host": host}) as answer:
                    seen += answer.headers.get("x-version") == ("canary" if weight else "stable")
            return host, seen

        async with asyncio.timeout(60):
            found = await asyncio.gather(*[one(number) for number in range(8)])
        assert {seen for _, seen in found} == {4}
        async with session.get(cluster.proxy("istio").url, headers={"host": "canary"}) as answer:
            assert answer.headers["x-version"] == "canary"
        assert cluster.proxy("gateway").url != cluster.proxy("istio").url


async def test_a_traefik_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running("nginx", monkeypatch) as world:
        (proxy,) = world.cluster.proxies
        os.kill(int(getattr(proxy, "traefik").pid), signal.SIGKILL)  # noqa: B009
        world.cluster.store.create(SERVICES, service("two", {"version": "one"}))

        with pytest.raises(ChildError, match="traefik does not answer"):
            await asyncio.wait_for(world.cluster.broken(), 20)
        with pytest.raises(ChildError, match="traefik does not answer"):
            await world.cluster.applied()


def test_a_plane_of_traefik_needs_an_api_server() -> None:
    with pytest.raises(ValueError, match="found nginx without an API server"):
        DevCluster(planes=("nginx",))
