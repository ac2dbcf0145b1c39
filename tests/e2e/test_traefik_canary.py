"""Does Traefik's traffic follow a canary from the image change to its promotion, without one failed request?"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from devcluster_objects import service
from inprocess import rollout_manifest
from tiphys.api.codec import decode_rollout
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.cli.patches import Skip, promotion
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

    def __init__(self, cluster: DevCluster, load: Load) -> None:
        self.cluster = cluster
        self.load = load

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


def objects(steps: list[Manifest]) -> list[Manifest]:
    route = {"match": f"Host(`{HOST}`)", "kind": "Rule", "services": [{"name": "web", "kind": "TraefikService"}]}
    listed = [{"name": "web-stable", "port": 80, "weight": 100}, {"name": "web-canary", "port": 80, "weight": 0}]
    fields: dict[str, Any] = {"canaryService": "web-canary", "stableService": "web-stable", "scaleDownDelaySeconds": 2}
    traefik = {"traefik": {"weightedTraefikServiceName": "web"}}
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


def step_and_pause(weight: int) -> list[Manifest]:
    return [{"setWeight": weight}, {"pause": {}}]


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    steps: list[Manifest] = [each for weight in (20, 50, 100) for each in step_and_pause(weight)]
    definitions = [*foreign_definitions("traefik.io"), *crd_manifests()]
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(DevCluster(definitions=definitions, api=ApiServer, drain_seconds=1.0))
        for manifest in objects(steps):
            cluster.store.create(cluster.store.registry.of_manifest(manifest), manifest, namespace="default")
        addresses = LoopbackAddresses()
        stack.callback(addresses.close)
        traefik = Traefik(cluster.url, address=addresses.take())
        await traefik.start()
        stack.push_async_callback(traefik.stop)
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        client = await stack.enter_async_context(Client(load_connection(Overrides(kubeconfig=str(tmp_path / "kubeconfig")))))
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None))
        await controller.start()
        stack.push_async_callback(controller.stop)
        load = Load(traefik.url, HOST, RATE)
        shop = Shop(cluster, load)
        await shop.phase("Healthy")
        async with asyncio.timeout(30):
            while True:
                if await is_served(traefik):
                    break
                await asyncio.sleep(0.1)  # Traefik reads the API server when it likes to
        load.start()
        stack.push_async_callback(load.stop)
        yield shop


async def is_served(traefik: Traefik) -> bool:
    async with aiohttp.ClientSession() as session, session.get(traefik.url, headers={"host": HOST}) as answer:
        return answer.status == 200


async def test_the_share_of_requests_is_that_of_the_steps_and_none_fails(shop: Shop) -> None:
    stable = shop.rollout()["status"]["stableRS"]
    await shop.share(100, stable)

    shop.set_image("2")
    for step, weight in ((1, 20), (3, 50), (5, 100)):
        await shop.phase("Paused", step=step)
        canary = shop.rollout()["status"]["currentPodHash"]
        assert shop.weights() == {"web-stable": 100 - weight, "web-canary": weight}
        await shop.share(weight, canary)
        shop.promote()
    await shop.phase("Healthy")
    await shop.share(100, canary)
    await shop.load.stop()

    assert shop.weights() == {"web-stable": 100, "web-canary": 0}
    assert canary != stable
    assert shop.load.failures == []
    assert {answer.pod_hash for answer in shop.load.answers} == {stable, canary}
