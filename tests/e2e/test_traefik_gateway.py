"""Does Traefik's Gateway API provider do what our rules say, and is what it reports about them what verifies a canary?"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
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
from tiphys.devcluster.proxies.traefik import PORT, Traefik
from tiphys.devcluster.resources import ResourceType
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection

HOST = "shop.example"
GROUP = "gateway.networking.k8s.io"
BETA: Manifest = {
    "name": "beta",
    "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}, {"headerName": "user-agent", "headerValue": {"prefix": "QA/1.0"}}],
}
SHADOW: Manifest = {"name": "shadow", "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/copied"}}]}
STEPS: list[Manifest] = [
    {"setWeight": 20},
    {"setHeaderRoute": BETA},
    {"pause": {}},
    {"setWeight": 100},
    {"pause": {}},
]


class Shop:
    """The Rollout `web` behind an HTTPRoute that Traefik serves."""

    def __init__(self, cluster: DevCluster, traefik: Traefik) -> None:
        self.cluster = cluster
        self.traefik = traefik

    def kind(self, api_version: str, kind: str) -> ResourceType:
        found = self.cluster.store.registry.kind(api_version, kind)
        assert found is not None
        return found

    def rollout(self) -> Manifest:
        return self.cluster.store.get(self.kind("argoproj.io/v1alpha1", "Rollout"), "web", namespace="default")

    def status(self) -> Manifest:
        found: Manifest = self.rollout().get("status", {})
        return found

    def route(self) -> Manifest:
        return self.cluster.store.get(self.kind(f"{GROUP}/v1", "HTTPRoute"), "web", namespace="default")

    def patch(self, patch: Mapping[str, Any], subresource: str = "") -> None:
        kind = self.kind("argoproj.io/v1alpha1", "Rollout")
        self.cluster.store.patch(kind, "web", PatchKind.MERGE, dict(patch), namespace="default", subresource=subresource)

    def set_image(self, tag: str) -> None:
        template = rollout_manifest()["spec"]["template"]
        template["spec"]["containers"][0]["image"] = f"registry.example/web:{tag}"
        self.patch({"spec": {"template": template}})

    def promote(self) -> None:
        asked = promotion(decode_rollout(msgspec.json.encode(self.rollout())), Skip.NO).status
        assert asked is not None
        self.patch(asked, subresource="status")

    async def until(self, holds: Callable[[], bool], within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110  several processes are at work, and none has an event to wait for
                await asyncio.sleep(0.05)

    async def phase(self, wanted: str, step: int | None = None) -> None:
        await self.until(lambda: self.status().get("phase") == wanted and step in {None, self.status().get("currentStepIndex")})

    async def ask(self, session: aiohttp.ClientSession, path: str = "/", method: str = "GET", **headers: str) -> str:
        named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with session.request(method, f"{self.traefik.url}{path}", headers=named) as answer:
            return answer.headers.get("x-hash", str(answer.status)) if answer.status == 200 else str(answer.status)

    async def shares(self, session: aiohttp.ClientSession, count: int = 100, **how: str) -> Counter[str]:
        return Counter([await self.ask(session, **how) for _ in range(count)])


def objects() -> list[Manifest]:
    named = {"name": "web", "namespace": "default"}
    backends = [
        {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}
        for name, weight in (("web-stable", 100), ("web-canary", 0))
    ]
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}
    listener = {"name": "web", "protocol": "HTTP", "port": PORT, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    parent = {"group": GROUP, "kind": "Gateway", "name": "entrance"}
    fields: dict[str, Any] = {"canaryService": "web-canary", "stableService": "web-stable", "scaleDownDelaySeconds": 2}
    routing = {"gatewayAPI": {"httpRoutes": [{"name": "web"}]}, "managedRoutes": [{"name": "beta"}, {"name": "shadow"}]}
    return [
        service("web-stable", {"app": "web"}),
        service("web-canary", {"app": "web"}),
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "traefik"},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Gateway",
            "metadata": {"name": "entrance", "namespace": "default"},
            "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "HTTPRoute",
            "metadata": named,
            "spec": {"parentRefs": [parent], "hostnames": [HOST], "rules": [rule]},
        },
        rollout_manifest("web", *STEPS, istio=False, trafficRouting=routing, **fields),
    ]


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    async with AsyncExitStack() as stack:
        definitions = [*foreign_definitions(GROUP), *crd_manifests()]
        cluster = await stack.enter_async_context(DevCluster(definitions=definitions, api=ApiServer, drain_seconds=1.0))
        for manifest in objects():
            kind = cluster.store.registry.of_manifest(manifest)
            cluster.store.create(kind, manifest, namespace="default" if kind.namespaced else "")
        addresses = LoopbackAddresses()
        stack.callback(addresses.close)
        traefik = Traefik(cluster.url, address=addresses.take(), providers=("kubernetesgateway",))
        await traefik.start()
        stack.push_async_callback(traefik.stop)
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        client = await stack.enter_async_context(Client(load_connection(Overrides(kubeconfig=str(tmp_path / "kubeconfig")))))
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None))
        await controller.start()
        stack.push_async_callback(controller.stop)
        yield Shop(cluster, traefik)


async def test_the_rules_do_in_traefik_what_the_steps_say_and_its_report_verifies_them(shop: Shop) -> None:
    await shop.phase("Healthy")
    stable = shop.status()["stableRS"]
    async with aiohttp.ClientSession() as session:
        await _settled(shop, session, Counter({stable: 100}))
        load = Load(shop.traefik.url, HOST, 20.0)
        load.start()
        await shop.until(lambda: shop.status()["canary"]["weights"].get("verified") is True)

        shop.set_image("2")
        await shop.phase("Paused", 2)
        await shop.until(lambda: shop.status()["canary"]["weights"].get("verified") is True)
        canary = shop.status()["currentPodHash"]
        await _settled(shop, session, Counter({canary: 100}), x_beta="1")
        await _near(shop, session, canary, 20)
        assert await shop.shares(session, 50, path="/any", user_agent="QA/1.0 (x)") == Counter({canary: 50})
        assert set(await shop.shares(session, 50, user_agent="QA/100")) == {stable, canary}

        shop.promote()
        await shop.phase("Paused", 4)
        await _near(shop, session, canary, 100)
        shop.promote()
        await shop.phase("Healthy")
        await _near(shop, session, canary, 100)
        await load.stop()

    assert load.failures == []
    assert [rule.get("name") for rule in shop.route()["spec"]["rules"]] == [None]
    assert [backend["weight"] for backend in shop.route()["spec"]["rules"][0]["backendRefs"]] == [100, 0]


async def test_a_mirror_step_is_refused_because_traefik_cannot_do_it(shop: Shop) -> None:
    await shop.phase("Healthy")
    await shop.until(lambda: bool(shop.route().get("status")))

    strategy = {"steps": [*STEPS, {"setMirrorRoute": SHADOW}]}
    shop.patch({"spec": {"strategy": {"canary": strategy}}})
    await shop.until(lambda: any(found["type"] == "InvalidSpec" for found in shop.status()["conditions"]))

    (told,) = [found["message"] for found in shop.status()["conditions"] if found["type"] == "InvalidSpec"]
    assert "spec.strategy.steps[5].setMirrorRoute" in told
    assert "Traefik, which reads this route, cannot mirror" in told


async def _settled(shop: Shop, session: aiohttp.ClientSession, wanted: Counter[str], **headers: str) -> None:
    """Wait for exactly these answers: Traefik reports on a route a moment before it uses it."""
    async with asyncio.timeout(30):
        while (found := await shop.shares(session, 100, **headers)) != wanted:
            assert set(found) <= {*wanted, shop.status()["stableRS"], "404", "503"}, (found, shop.traefik.said())


async def _near(shop: Shop, session: aiohttp.ClientSession, pod_hash: str, percent: int) -> None:
    """Wait for this share: Traefik's weights are exact, but others ask at the same time."""
    async with asyncio.timeout(30):
        while abs((await shop.shares(session, 100))[pod_hash] - percent) > 4:
            pass
