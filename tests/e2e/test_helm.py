"""Does Helm install, upgrade, roll back and remove a chart with a Rollout, and does the canary go on as it should?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from helm_program import HELM, RUNS_HERE
from terminal import Terminal
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.names import FIELD_MANAGER
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.discovery import VERSION
from tiphys.devcluster.kinds import CONFIG_MAPS, PODS, REPLICA_SETS, SECRETS, SERVICES
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection

CHARTS = Path(__file__).parents[1] / "charts"
CHART = CHARTS / "web"

pytestmark = pytest.mark.skipif(not RUNS_HERE, reason="the Helm that a registry has is for Linux on x86-64")


@dataclass(frozen=True, slots=True)
class Shop:
    """A cluster with Tiphys, and a terminal with Helm in it."""

    store: Store
    terminal: Terminal

    async def helm(self, words: str) -> str:
        assert HELM.exists(), f"found no {HELM}, wanted what `make helm` takes out of its wheel"
        return await self.terminal.types(f"{HELM} {words}")

    async def until(self, kind: ResourceType, holds: Callable[[], bool]) -> None:
        subscription = self.store.watch(kind, namespace="default")
        try:
            async with asyncio.timeout(60):
                while not holds():
                    await subscription.wait()
                    subscription.drain()
        finally:
            subscription.close()

    async def shows(self, phase: str, **pods: int) -> Manifest:
        """Wait until Tiphys says of the newest state that it is in *phase*, and just these *pods* run; give the status."""
        await self.until(self.rollouts, lambda: self._phase() == phase)
        await self.until(PODS, lambda: self.pods() == pods)
        status: Manifest = self.rollout()["status"]
        return status

    def _phase(self) -> str | None:
        rollout = self.rollout()
        status = rollout.get("status", {})
        return status.get("phase") if status.get("observedGeneration") == str(rollout["metadata"]["generation"]) else None

    @property
    def rollouts(self) -> ResourceType:
        found = self.store.registry.kind("argoproj.io/v1alpha1", "Rollout")
        assert found is not None
        return found

    def rollout(self) -> Manifest:
        return self.store.get(self.rollouts, "web", namespace="default")

    def greeting(self) -> str:
        return str(self.store.get(CONFIG_MAPS, "web", namespace="default")["data"]["greeting"])

    def pods(self) -> dict[str, int]:
        """How many pods run each image."""
        images = [pod.manifest["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in self.store.scan(PODS, namespace="default")]
        return {image: images.count(image) for image in images}

    def pods_of(self, role: str) -> str | None:
        """Whose pods the Service of a role selects."""
        selector = self.store.get(SERVICES, f"web-{role}", namespace="default")["spec"]["selector"]
        found: str | None = selector.get("rollouts-pod-template-hash")
        return found


@asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[Shop]:
    async with (
        DevCluster(definitions=crd_manifests(), api=ApiServer, drain_seconds=0.0) as cluster,
        Client(Connection(server=cluster.url), field_manager=FIELD_MANAGER) as client,
    ):
        write_kubeconfig(folder / "kubeconfig", cluster.url)
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None))
        await controller.start()
        try:
            yield Shop(cluster.store, Terminal(home=folder, kubeconfig=folder / "kubeconfig", folder=folder))
        finally:
            await controller.stop()


async def test_a_chart_is_installed_upgraded_rolled_back_and_removed(tmp_path: Path) -> None:
    way = "--server-side=false"
    async with open_shop(tmp_path) as shop:
        await shop.helm(f"install web {CHART} {way} --wait=legacy")
        first = await shop.shows("Healthy", v1=4)
        assert (shop.greeting(), shop.pods_of("stable"), shop.pods_of("canary")) == ("hello", first["stableRS"], first["stableRS"])
        assert shop.rollout()["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}

        await shop.helm(f"upgrade web {CHART} {way} --set version=v2,greeting=hi")
        paused = await shop.shows("Paused", v1=3, v2=1)
        assert (shop.greeting(), shop.pods_of("stable"), shop.pods_of("canary")) == ("hi", first["stableRS"], paused["currentPodHash"])

        # What is not about the template leaves the canary, and what Tiphys wrote, as they are.
        await shop.helm(f"upgrade web {CHART} {way} --reuse-values --set greeting=again")
        assert (shop.greeting(), shop.pods_of("canary"), shop.rollout()["status"]) == ("again", paused["currentPodHash"], paused)

        await shop.terminal.types("tiphys promote web")
        second = await shop.shows("Healthy", v2=4)
        assert shop.pods_of("stable") == second["stableRS"] == paused["currentPodHash"]

        await shop.helm(f"rollback web 1 {way}")
        back = await shop.shows("Paused", v1=1, v2=3)
        assert (shop.greeting(), back["currentPodHash"], shop.pods_of("stable")) == ("hello", first["stableRS"], second["stableRS"])

        await shop.helm(f"rollback web 3 {way}")
        kept = await shop.shows("Healthy", v2=4)
        assert (shop.greeting(), kept["stableRS"], shop.pods_of("canary")) == ("again", second["stableRS"], second["stableRS"])

        history = json.loads(await shop.helm("history web -o json"))
        assert [entry["description"] for entry in history] == [
            "Install complete", "Upgrade complete", "Upgrade complete", "Rollback to 1", "Rollback to 3",
        ]  # fmt: skip
        assert [entry["status"] for entry in history] == ["superseded"] * 4 + ["deployed"]

        await shop.helm("uninstall web")
        await shop.until(PODS, lambda: shop.pods() == {})
        assert [len(shop.store.scan(kind, namespace="default")) for kind in (shop.rollouts, SERVICES, SECRETS, CONFIG_MAPS)] == [0] * 4
        await shop.until(REPLICA_SETS, lambda: not shop.store.scan(REPLICA_SETS, namespace="default"))


async def test_server_side_apply_is_told_whose_the_selectors_are_and_may_not_keep_them(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        await shop.helm(f"install web {CHART}")
        first = await shop.shows("Healthy", v1=4)

        refused = await shop.terminal.run(str(HELM), "upgrade", "web", str(CHART), "--set", "greeting=hi")
        assert refused.code == 1
        assert 'conflict with "rollouts-controller" using v1: .spec.selector' in refused.err
        assert shop.pods_of("stable") == first["stableRS"]

        await shop.helm(f"upgrade web {CHART} --force-conflicts --set version=v2")
        paused = await shop.shows("Paused", v1=3, v2=1)
        roles = {"stable": first["stableRS"], "canary": paused["currentPodHash"]}
        await shop.until(SERVICES, lambda: {role: shop.pods_of(role) for role in roles} == roles)

        await shop.helm("rollback web 1 --force-conflicts")
        await shop.shows("Healthy", v1=4)
        await shop.until(SERVICES, lambda: shop.pods_of("stable") == first["stableRS"])


async def test_hooks_run_before_the_objects_and_hold_an_upgrade_that_they_fail(tmp_path: Path) -> None:
    chart = CHARTS / "hooks"
    async with DevCluster(api=ApiServer, drain_seconds=0.0) as cluster:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        shop = Shop(cluster.store, Terminal(home=tmp_path, kubeconfig=tmp_path / "kubeconfig", folder=tmp_path))

        await shop.helm(f"install hooks {chart} --namespace other --create-namespace --wait --timeout 60s")
        tested = json.loads(await shop.helm("status hooks --namespace other -o json"))["hooks"]
        assert {hook["name"]: hook["last_run"]["phase"] for hook in tested} == {"before": "Succeeded", "check": ""}
        seen = cluster.store.get(CONFIG_MAPS, "seen", namespace="other")["data"]
        assert seen == {"version": VERSION["gitVersion"], "namespace": "default"}

        assert "Phase:          Succeeded" in await shop.helm("test hooks --namespace other --timeout 60s")

        failed = await shop.terminal.run(str(HELM), "upgrade", "hooks", str(chart), "--namespace", "other", "--set", "job=fails-0s")
        assert (failed.code, "pre-upgrade hooks failed" in failed.err) == (1, True), failed
