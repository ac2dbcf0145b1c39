"""Does the real kubectl, applying a repository over and over, disturb a rollout? (docs/gitops.md)"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from gitops_tool import heeding
from ignore_rules import Rule, rules
from routed_apps import APPS, App
from scenarios import template
from terminal import Terminal
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.names import FIELD_MANAGER
from tiphys.controller.cluster import Request
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection

MOST_LOOKS = 200


@dataclass(slots=True, kw_only=True)
class Shop:
    """A cluster whose objects a tool keeps equal to *repository* by kubectl."""

    cluster: DevCluster
    app: App
    terminal: Terminal
    repository: list[Manifest]
    rules: Sequence[Rule]
    asked: list[Request] = field(default_factory=list)

    async def sync(self) -> None:
        """
        Do what such a tool does once: read, compare, apply.

        One that heeds rules applies to the version that it has read, or it would put back the weight of a moment ago now and then.
        """
        for number, manifest in enumerate(self.repository):
            live = json.loads(await self.terminal.says("kubectl", "get", _resource(manifest), manifest["metadata"]["name"], "-o", "json"))
            version = live["metadata"]["resourceVersion"]
            for key in ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"):
                live["metadata"].pop(key, None)
            live["metadata"].get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
            live.pop("status", None)
            wanted = heeding(self.rules, live, manifest)
            if self.rules:
                wanted = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": version}}
            path = self.terminal.folder / f"{number}.json"
            path.write_text(json.dumps(wanted))
            done = await self.terminal.run("kubectl", "apply", "-f", str(path))
            assert done.code == 0 or (self.rules and "the object has been modified" in done.err), done

    def rollout(self) -> Manifest:
        resource = self.cluster.store.registry.of_manifest(self.repository[-1])
        return self.cluster.store.get(resource, "web", namespace="default")

    async def sync_until_finished(self, image: str) -> None:
        for _ in range(MOST_LOOKS):
            await self.sync()
            rollout = self.rollout()
            status = rollout.get("status", {})
            shown = rollout["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{image}")
            looked = status.get("observedGeneration") == str(rollout["metadata"]["generation"])
            if shown and looked and status.get("phase") == "Healthy" and status.get("stableRS") == status.get("currentPodHash"):
                return
        raise AssertionError(f"not finished after {MOST_LOOKS} looks: {self.rollout().get('status')}")


def _resource(manifest: Manifest) -> str:
    version = str(manifest["apiVersion"])
    group, _, name = version.rpartition("/")
    return f"{manifest['kind'].lower()}.{name}.{group}" if group else str(manifest["kind"]).lower()


@asynccontextmanager
async def shop(name: str, folder: Path, *, heeded: bool) -> AsyncIterator[Shop]:
    app = APPS[name]
    definitions = [*(definition for group in app.groups for definition in foreign_definitions(group)), *crd_manifests()]
    async with (
        DevCluster(definitions=definitions, api=ApiServer, drain_seconds=0.1) as cluster,
        Client(Connection(server=cluster.url), field_manager=FIELD_MANAGER) as client,
    ):
        write_kubeconfig(folder / "kubeconfig", cluster.url)
        repository = app.manifests(*app.steps({"pause": {"duration": 3}}))
        known = [*rules(""), *rules(app.product, stable=["web-stable"], canary=["web-canary"], managed=["beta"])] if heeded else []
        terminal = Terminal(home=folder, kubeconfig=folder / "kubeconfig", folder=folder)
        running = Shop(cluster=cluster, app=app, terminal=terminal, repository=repository, rules=known)
        controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None), ledger=running.asked.append)
        await controller.start()
        try:
            (folder / "all.yaml").write_text(yaml.safe_dump_all(repository))
            await terminal.says("kubectl", "apply", "-f", str(folder / "all.yaml"))
            yield running
        finally:
            await controller.stop()


@pytest.mark.parametrize(("name", "heeded"), [("istio", True), ("traefik", True), ("istio", False)])
async def test_a_rollout_while_kubectl_applies_its_repository_over_and_over(tmp_path: Path, name: str, *, heeded: bool) -> None:
    async with shop(name, tmp_path, heeded=heeded) as running:
        store, app = running.cluster.store, running.app
        route = app.objects[0]  # the one with the weights
        await running.sync_until_finished("1")
        running.asked.clear()
        histories = [store.watch(store.registry.of_manifest(each), namespace="default") for each in (route, running.repository[-1])]

        rollout = running.repository[-1]
        running.repository[-1] = {**rollout, "spec": {**rollout["spec"], "template": template("2")}}
        await running.sync_until_finished("2")

        events = [event.manifest for history in histories for event in history.drain()]

    history = sorted(events, key=lambda manifest: int(manifest["metadata"]["resourceVersion"]))
    seen, excess = told(app, history)
    specs = [manifest["spec"] for manifest in history if manifest["kind"] == route["kind"]]
    changes = sum(1 for before, after in pairwise(specs) if before != after)
    writes = [request for request in running.asked if (request.verb, request.kind) == ("patch", route["kind"])]
    assert excess == []
    assert [weight for weight in dict.fromkeys(seen) if weight] == [20, 50, 100]
    if heeded:
        assert seen == [0, 20, 50, 100, 0]
        beside = any("beta" in json.dumps(spec) for spec in specs)  # the header route stands in the same object, and comes and goes
        assert changes == 4 + 2 * beside
    assert len(writes) <= 2 * changes


def told(app: App, history: Sequence[Manifest]) -> tuple[list[int], list[str]]:
    """Give the canary's weights in the order in which they stood, and those that were more than the step of that moment asks."""
    asked, seen, excess = 0, [0], []
    for manifest in history:
        if manifest["kind"] == "Rollout":
            steps = manifest["spec"]["strategy"]["canary"]["steps"]
            index = manifest.get("status", {}).get("currentStepIndex", 0)
            asked = 100 if index == len(steps) else max([step.get("setWeight", 0) for step in steps[: index + 1]], default=0)
            continue
        weight = app.weight(lambda _kind, _name, found=manifest: found)  # type: ignore[misc] # the default binds
        if weight != seen[-1]:
            seen.append(weight)
        if weight > asked:
            excess.append(f"{weight} where {asked} is asked")
    return seen, excess
