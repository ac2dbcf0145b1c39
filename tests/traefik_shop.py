"""A Rollout behind a real Traefik and under a steady load, for tests that look at what the traffic really does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from devcluster_objects import service
from inprocess import rollout_manifest
from tiphys.api.codec import decode_rollout
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.cli.patches import ABORT, Skip, promotion
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.demo.load import Load
from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.traefik import Traefik
from tiphys.devcluster.resources import ResourceType
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection

HOST = "shop.example"
RATE = 50.0
WINDOW = 100
"""Traefik's weights are exact: of so many requests in a row each side gets as many as its weight says, but for those at the edges."""
EDGE = 2


class Shop:
    """The Rollout `web` behind Traefik, and a steady load on it."""

    def __init__(self, cluster: DevCluster, load: Load, url: str) -> None:
        self.cluster = cluster
        self.load = load
        self.url = url

    def kind(self, api_version: str, kind: str) -> ResourceType:
        found = self.cluster.store.registry.kind(api_version, kind)
        assert found is not None
        return found

    def rollout(self) -> Manifest:
        return self.cluster.store.get(self.kind("argoproj.io/v1alpha1", "Rollout"), "web", namespace="default")

    def weights(self) -> dict[str, int]:
        split = self.cluster.store.get(self.kind("traefik.io/v1alpha1", "TraefikService"), "web", namespace="default")
        return {each["name"]: each["weight"] for each in split["spec"]["weighted"]["services"]}

    def set_image(self, tag: str) -> None:
        template = rollout_manifest()["spec"]["template"]
        template["spec"]["containers"][0]["image"] = f"registry.example/web:{tag}"
        self._patch({"spec": {"template": template}})

    def promote(self) -> None:
        asked = promotion(decode_rollout(msgspec.json.encode(self.rollout())), Skip.NO).status
        assert asked is not None
        self._patch(asked, subresource="status")

    def abort(self) -> None:
        self._patch(ABORT, subresource="status")

    def _patch(self, patch: Mapping[str, Any], subresource: str = "") -> None:
        kind = self.kind("argoproj.io/v1alpha1", "Rollout")
        self.cluster.store.patch(kind, "web", PatchKind.MERGE, dict(patch), namespace="default", subresource=subresource)

    async def phase(self, wanted: str, *, step: int | None = None) -> None:
        async with asyncio.timeout(60):
            while True:
                status = self.rollout().get("status", {})
                if status.get("phase") == wanted and step in {None, status.get("currentStepIndex")}:
                    return
                await asyncio.sleep(0.05)  # the load goes on meanwhile; the API has no event for a test to wait for

    def names(self, kind: str) -> set[str]:
        return {
            each.manifest["metadata"]["name"]
            for each in self.cluster.store.scan(self.kind("traefik.io/v1alpha1", kind), namespace="default")
        }

    async def answered_by(self, pod_hash: str, headers: Mapping[str, str], *, times: int = 30, path: str = "/") -> None:
        """Wait until requests with *headers* are answered by *pod_hash*, and then every one of *times*."""
        async with asyncio.timeout(30):
            while set(await self.ask(path, 8, headers)) != {pod_hash}:  # Traefik takes over what it reads when it likes to
                pass
        assert await self.ask(path, times, headers) == {pod_hash: times}

    async def ask(self, path: str, times: int, headers: Mapping[str, str] | None = None) -> Counter[str]:
        """Send *times* requests, each by a connection of its own, and count by which hash they were answered."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), headers={"host": HOST, **(headers or {})}
        ) as session:
            found: Counter[str] = Counter()
            for _ in range(times):
                async with session.get(f"{self.url}{path}") as answer:
                    found[answer.headers.get("x-hash", f"HTTP {answer.status}")] += 1
            return found

    def served(self, pod_hash: str) -> int:
        """Give how many requests reached the pods of *pod_hash*, copies included."""
        return sum(each.requests for each in self.cluster.counts() if each.hash == pod_hash)

    async def until_served(self, pod_hash: str, at_least: int) -> None:
        """Wait for copies that are on their way."""
        async with asyncio.timeout(30):
            while True:
                if self.served(pod_hash) >= at_least:
                    return
                await asyncio.sleep(0.02)  # Traefik sends copies after the answer, and nobody tells when

    async def share(self, percent: int, pod_hash: str) -> None:
        """Wait until the last requests were answered by *pod_hash* in exactly this share."""
        start = len(self.load.answers)
        async with asyncio.timeout(30):
            while True:
                await asyncio.sleep(0.05)  # requests come at their own rate
                latest = self.load.answers[start:]
                if len(latest) < WINDOW:
                    continue
                found = Counter(answer.pod_hash for answer in latest[:WINDOW])
                if abs(found[pod_hash] - percent * WINDOW // 100) <= EDGE:
                    return
                start += len(latest)


def objects(steps: list[Manifest], *managed: str, syntax: str = "") -> list[Manifest]:
    """Give the Rollout `web` with *steps* and the *managed* routes, its Services, and the TraefikService and IngressRoute before them."""
    written = {"syntax": syntax} if syntax else {}
    route = {"match": f"Host(`{HOST}`)", "kind": "Rule", **written, "services": [{"name": "web", "kind": "TraefikService"}]}
    listed = [{"name": "web-stable", "port": 80, "weight": 100}, {"name": "web-canary", "port": 80, "weight": 0}]
    fields: dict[str, Any] = {"canaryService": "web-canary", "stableService": "web-stable", "scaleDownDelaySeconds": 2}
    traefik = {"traefik": {"weightedTraefikServiceName": "web"}, "managedRoutes": [{"name": name} for name in managed]}
    named = {"name": "web", "namespace": "default"}
    return [
        service("web-stable", {"app": "web"}),
        service("web-canary", {"app": "web"}),
        {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": named, "spec": {"weighted": {"services": listed}}},
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": named,
            "spec": {"entryPoints": ["web"], "routes": [route]},
        },
        rollout_manifest("web", *steps, istio=False, trafficRouting=traefik, **fields),
    ]


def tcp_objects(steps: list[Manifest]) -> list[Manifest]:
    """Give the Rollout `web` with *steps*, its Services, and an IngressRouteTCP that takes every connection."""
    routing = {"traefik": {"ingressRouteTCPs": ["web"]}}
    fields: dict[str, Any] = {"canaryService": "web-canary", "stableService": "web-stable", "scaleDownDelaySeconds": 2}
    listed = [{"name": "web-stable", "port": 80, "weight": 100}, {"name": "web-canary", "port": 80, "weight": 0}]
    spec = {"entryPoints": ["web"], "routes": [{"match": "HostSNI(`*`)", "services": listed}]}
    named = {"name": "web", "namespace": "default"}
    return [
        service("web-stable", {"app": "web"}),
        service("web-canary", {"app": "web"}),
        {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRouteTCP", "metadata": named, "spec": spec},
        rollout_manifest("web", *steps, istio=False, trafficRouting=routing, **fields),
    ]


@asynccontextmanager
async def shop_with(folder: Path, given: list[Manifest], *, loaded: bool = True) -> AsyncIterator[Shop]:
    """
    Open the shop: everything runs, the Rollout among the objects *given* rests on its first version and the load is on.

    *folder* is for the kubeconfig. What is not *loaded* gets no requests but those that a test sends.
    """
    definitions = [*foreign_definitions("traefik.io"), *crd_manifests()]
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(DevCluster(definitions=definitions, api=ApiServer, drain_seconds=1.0))
        for manifest in given:
            cluster.store.create(cluster.store.registry.of_manifest(manifest), manifest, namespace="default")
        addresses = LoopbackAddresses()
        stack.callback(addresses.close)
        traefik = Traefik(cluster.url, address=addresses.take())
        await traefik.start()
        stack.push_async_callback(traefik.stop)
        write_kubeconfig(folder / "kubeconfig", cluster.url)
        client = await stack.enter_async_context(Client(load_connection(Overrides(kubeconfig=str(folder / "kubeconfig")))))
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None))
        await controller.start()
        stack.push_async_callback(controller.stop)
        load = Load(traefik.url, HOST, RATE)
        shop = Shop(cluster, load, traefik.url)
        await shop.phase("Healthy")
        async with asyncio.timeout(30):
            while True:
                if await is_served(traefik):
                    break
                await asyncio.sleep(0.1)  # Traefik reads the API server when it likes to
        if loaded:
            load.start()
        stack.push_async_callback(load.stop)
        yield shop


async def is_served(traefik: Traefik) -> bool:
    """Tell whether a request gets a good answer already: a connection that no route of Traefik takes is closed."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(traefik.url, headers={"host": HOST}) as answer:
                return answer.status == 200
        except aiohttp.ServerDisconnectedError:
            return False
