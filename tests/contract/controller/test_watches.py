"""When is a kind watched, and what happens while the server does not serve it?"""

import asyncio
from datetime import UTC, datetime

import pytest

from inprocess import pod_template, virtual_service_manifest
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.caches import REPLICA_SET_KIND
from tiphys.controller.kinds import PLAIN_REPLICA_SET, Kinds
from tiphys.controller.watches import LOOK_AGAIN, Watches
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.assembly import assemble, install_definitions
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import REPLICA_SETS
from tiphys.devcluster.storage import Store as ClusterStore
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection
from tiphys.kube.store import Store
from tiphys.traffic.settings import TRAFFIC_SPLIT, Settings

VIRTUAL_SERVICE = ("networking.istio.io", "VirtualService")
PATIENCE = 20.0


class PatientClock:
    """Real time, in which long waits end when the test says so."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.over = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + (LOOK_AGAIN if self.over.is_set() else 0.0)

    async def sleep(self, seconds: float) -> None:
        if seconds < LOOK_AGAIN:
            await asyncio.sleep(seconds)
            return
        self.waits.set()
        await self.over.wait()


async def test_a_kind_that_is_defined_later_is_watched_from_then_on() -> None:
    server = ApiServer(ClusterStore())
    assemble(server.store, addresses=None, serve=False)
    await server.start()
    clock = PatientClock()
    answers: list[bool] = []
    found = Store[Manifest](dict)
    async with Client(Connection(server=server.url)) as client, asyncio.TaskGroup() as group:
        watches = Watches(client, Kinds(), clock)
        watches.use(group)
        watches.start(VIRTUAL_SERVICE, found, lambda: answers.append(watches.absent(VIRTUAL_SERVICE)))
        await asyncio.wait_for(clock.waits.wait(), PATIENCE)
        while_missing = list(answers)

        install_definitions(server.store, foreign_definitions("networking.istio.io"))
        server.store.create(server.store.registry.of_manifest(virtual_service_manifest()), virtual_service_manifest())
        clock.over.set()
        await asyncio.wait_for(found.synced.wait(), PATIENCE)
        watches.stop()
    await server.stop()

    assert while_missing == [True]
    assert not watches.absent(VIRTUAL_SERVICE)
    assert [manifest["metadata"]["name"] for manifest in found.values()] == ["web"]


async def test_replica_sets_of_rollouts_and_those_of_others_are_watched_apart() -> None:
    server = ApiServer(ClusterStore())
    assemble(server.store, addresses=None, serve=False)
    await server.start()
    for name, labels in (("plain", {"app": "web"}), ("web-abc", {"app": "web", names.HASH_LABEL: "abc"})):
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": {**pod_template(), "metadata": {"labels": labels}}}
        metadata = {"name": name, "namespace": "default", "labels": labels}
        server.store.create(REPLICA_SETS, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})
    ours, theirs = Store[Manifest](dict), Store[Manifest](dict)
    async with Client(Connection(server=server.url)) as client, asyncio.TaskGroup() as group:
        watches = Watches(client, Kinds(), PatientClock())
        watches.use(group)
        watches.start(REPLICA_SET_KIND, ours, lambda: None)
        watches.start(("apps", PLAIN_REPLICA_SET), theirs, lambda: None)
        await asyncio.wait_for(asyncio.gather(ours.synced.wait(), theirs.synced.wait()), PATIENCE)
        watches.stop()
    await server.stop()

    assert [manifest["metadata"]["name"] for store in (ours, theirs) for manifest in store.values()] == ["web-abc", "plain"]


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha4"])
async def test_a_kind_with_a_version_of_the_operators_choice_is_watched_in_it(version: str) -> None:
    server = ApiServer(ClusterStore())
    assemble(server.store, addresses=None, serve=False)
    install_definitions(server.store, foreign_definitions("split.smi-spec.io"))
    await server.start()
    split: Manifest = {
        "apiVersion": "split.smi-spec.io/v1alpha2",
        "kind": "TrafficSplit",
        "metadata": {"name": "web", "namespace": "default"},
    }
    server.store.create(server.store.registry.of_manifest(split), {**split, "spec": {}})
    kinds, found = Kinds(Settings(smi_version=version).versions), Store[Manifest](dict)
    async with Client(Connection(server=server.url)) as client, asyncio.TaskGroup() as group:
        watches = Watches(client, kinds, PatientClock())
        watches.use(group)
        watches.start(TRAFFIC_SPLIT, found, lambda: None)
        await asyncio.wait_for(found.synced.wait(), PATIENCE)
        watches.stop()
    await server.stop()

    assert kinds[TRAFFIC_SPLIT].api_version == f"split.smi-spec.io/{version}"
    assert [manifest["apiVersion"] for manifest in found.values()] == [f"split.smi-spec.io/{version}"]
