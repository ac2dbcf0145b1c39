"""
Show the example router at work, on this machine: `python examples/external-router/show.py`.

A development cluster, a real Traefik, the router, the controller and steady requests. A new version gets 20 %, the router is killed and
started again, a header route, 60 %, everything; then another version is aborted. Ends with status 1 if a request failed or a share was
off.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import structlog
import yaml

from tiphys.api.codec import decode_rollout
from tiphys.api.crds import crd_manifests
from tiphys.cli.patches import Skip, promotion
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.demo.load import Load
from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.supervisor import Child
from tiphys.devcluster.proxies.traefik import program
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection
from tiphys.plugins.partner import Partner

HERE = Path(__file__).parent
NAME, HOST, ROUTER = "parcel", "shop.example", "example.com/traefik"
RATE = 50.0
WINDOW, EDGE = 100, 2
"""Traefik's weights are exact: of so many requests in a row each side gets its share, but for two at the edges; all are all."""

Json = dict[str, Any]


class Show:
    """Everything that runs, and what people do with it."""

    def __init__(self, cluster: DevCluster, folder: Path, addresses: LoopbackAddresses) -> None:
        self.cluster = cluster
        self.folder = folder
        self.entrance, self.control, self.service = (addresses.take() for _ in range(3))
        self.load = Load(f"http://{self.entrance}:8000", HOST, RATE)
        self.router = self._router()

    def traefik(self) -> Child:
        argv = [program(), f"--entrypoints.web.address={self.entrance}:8000", f"--entrypoints.traefik.address={self.control}:8080"]
        argv += ["--api.insecure=true", "--ping=true", f"--providers.file.directory={self.folder / 'traefik'}"]
        argv += ["--providers.providersthrottleduration=100ms", "--global.checknewversion=false", "--global.sendanonymoususage=false"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "TRAEFIK_"))}
        return Child("traefik", argv, log=self.folder / "traefik.log", environment=environment)

    def _router(self) -> Child:
        argv = [sys.executable, str(HERE / "router.py"), "--host", self.service, "--folder", str(self.folder)]
        return Child(
            "router", [*argv, "--traefik", f"http://{self.control}:8080", "--api", self.cluster.url], log=self.folder / "router.log"
        )

    @property
    def url(self) -> str:
        return f"http://{self.service}:9300"

    async def start_router(self) -> None:
        self.router = self._router()
        await self.router.start()
        await self.router.ready(lambda: answers(f"{self.url}/healthz"))

    def rollout(self) -> Json:
        kind = self.cluster.store.registry.kind("argoproj.io/v1alpha1", "Rollout")
        assert kind is not None
        return self.cluster.store.get(kind, NAME, namespace="default")

    def warnings(self) -> list[str]:
        """Give what events say about the router."""
        kind = self.cluster.store.registry.kind("v1", "Event")
        assert kind is not None
        found = [stored.manifest for stored in self.cluster.store.scan(kind, namespace="default")]
        return [each["message"] for each in found if each["reason"] == "TrafficRoutingError"]

    def patch(self, patch: Json, *, subresource: str = "") -> None:
        kind = self.cluster.store.registry.kind("argoproj.io/v1alpha1", "Rollout")
        assert kind is not None
        self.cluster.store.patch(kind, NAME, PatchKind.MERGE, patch, namespace="default", subresource=subresource)

    def set_image(self, version: int) -> None:
        container = {"name": "web", "image": f"tiphys/rollouts-demo:{version}", "ports": [{"containerPort": 8080}]}
        self.patch({"spec": {"template": {"spec": {"containers": [container]}}}})

    def promote(self) -> None:
        asked = promotion(decode_rollout(msgspec.json.encode(self.rollout())), Skip.NO).status
        assert asked is not None
        self.patch(dict(asked), subresource="status")

    async def until(self, what: str, so: Callable[[Json], bool], within: float = 60.0) -> Json:
        """Wait until the Rollout is *so*, and give its status."""
        try:
            async with asyncio.timeout(within):
                while not so(status := self.rollout().get("status", {})):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            found = f"{status.get('phase')} {status.get('message')!r} at step {status.get('currentStepIndex')}"
            raise SystemExit(f"FAILED: {what}: found {found}") from None
        return dict(status)

    async def paused(self, step: int) -> Json:
        return await self.until(f"a pause at step {step}", lambda at: at.get("phase") == "Paused" and at.get("currentStepIndex") == step)

    async def share(self, what: str, wanted: int, pod_hash: str) -> None:
        """Wait until so many requests in a row were shared as *wanted*."""
        start, found = len(self.load.answers), 0
        for _ in range(400):
            await asyncio.sleep(0.05)
            latest = self.load.answers[start:]
            if len(latest) >= WINDOW:
                found = Counter(answer.pod_hash for answer in latest[:WINDOW])[pod_hash]
                if abs(found - wanted) <= (EDGE if 0 < wanted < WINDOW else 0):
                    say(f"{what}: {found} of {WINDOW} requests, wanted {wanted}")
                    return
                start += len(latest)
        raise SystemExit(f"FAILED: {what}: found {found} of {WINDOW} requests, wanted {wanted}")

    async def with_header(self, what: str, pod_hash: str, *, wanted: int) -> None:
        """Send 20 requests with the header, again until *wanted* of them are answered by the version."""
        found = -1
        async with aiohttp.ClientSession(headers={"Host": HOST, "x-beta": "1"}) as session:
            for _ in range(100):
                hashes = [await pod_hash_of(session, self.load.url) for _ in range(20)]
                found = hashes.count(pod_hash)
                if found == wanted:
                    say(f"{what}: {found} of 20 requests with the header, wanted {wanted}")
                    return
                await asyncio.sleep(0.1)
        raise SystemExit(f"FAILED: {what}: found {found} of 20 requests with the header, wanted {wanted}")


async def pod_hash_of(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return answer.headers.get("x-hash", "")


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Host": HOST}) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def say(text: str) -> None:
    print(text, flush=True)


async def play(show: Show) -> None:
    """Do what the first lines of this file promise."""
    first = (await show.until("the first version", lambda at: at.get("phase") == "Healthy"))["stableRS"]
    async with asyncio.timeout(30):
        while not await answers(show.load.url):
            await asyncio.sleep(0.1)
    show.load.start()
    await show.share("version 1", 100, first)

    show.set_image(2)
    second = (await show.paused(1))["currentPodHash"]
    await show.share("version 2 at 20 %", 20, second)

    await show.router.stop(within=0.0)
    show.promote()
    away = await show.until("an event about the silence", lambda _: bool(show.warnings()))
    await show.share("the router is gone", 20, second)
    say(f"the router is gone: the Rollout waits at step {away['currentStepIndex']}: {show.warnings()[0]}")
    await show.start_router()
    await show.paused(3)
    say("the router is back: the Rollout went on by itself")
    await show.with_header("version 2", second, wanted=20)

    show.promote()
    await show.paused(5)
    await show.share("version 2 at 60 %", 60, second)
    show.promote()
    await show.until("the promotion", lambda at: at.get("phase") == "Healthy" and at["stableRS"] == second)
    await show.share("version 2, promoted", 100, second)

    show.set_image(3)
    await show.paused(1)
    show.promote()
    third = (await show.paused(3))["currentPodHash"]
    await show.with_header("version 3", third, wanted=20)
    show.patch({"status": {"abort": True}}, subresource="status")
    await show.until("the abort", lambda at: at.get("phase") == "Degraded")
    await show.share("version 3, aborted", 100, second)
    await show.with_header("version 3, aborted", third, wanted=0)
    await show.load.stop()
    say(f"{len(show.load.answers)} requests, {show.load.failed} failed")
    if show.load.failed:
        raise SystemExit(f"FAILED: {Counter(show.load.failures)}")


async def main() -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiphys-external-router-")))
        (folder / "traefik").mkdir()
        log = stack.enter_context((folder / "controller.log").open("w"))
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=log))
        stack.callback(structlog.reset_defaults)
        cluster = await stack.enter_async_context(DevCluster(definitions=crd_manifests(), api=ApiServer, drain_seconds=1.0))
        addresses = LoopbackAddresses()
        stack.callback(addresses.close)
        show = Show(cluster, folder, addresses)
        traefik = show.traefik()
        await traefik.start()
        stack.push_async_callback(traefik.stop)
        await traefik.ready(lambda: answers(f"http://{show.control}:8080/ping"))
        await show.start_router()
        stack.push_async_callback(lambda: show.router.stop())  # the one that runs then
        say(f"router at {show.url}, Traefik at {show.load.url}")
        write_kubeconfig(folder / "kubeconfig", cluster.url)
        client = await stack.enter_async_context(Client(load_connection(Overrides(kubeconfig=str(folder / "kubeconfig")))))
        partners = (Partner(name=ROUTER, url=show.url),)
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None, partners=partners))
        await controller.start()
        stack.push_async_callback(controller.stop)
        for manifest in yaml.safe_load_all((HERE / "rollout.yaml").read_text()):
            cluster.store.create(cluster.store.registry.of_manifest(manifest), manifest, namespace="default")
        await play(show)
        say("everything as promised")


if __name__ == "__main__":
    asyncio.run(main())
