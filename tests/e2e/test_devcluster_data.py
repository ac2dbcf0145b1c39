"""Is everything that a development cluster acknowledged there again after its process was killed at any moment?"""

import asyncio
import json
import random
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from devcluster_objects import deployment, pod_template, service
from terminal import BIN
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.filestore import FileStore
from tiphys.devcluster.kinds import ENDPOINT_SLICES, PODS, SERVICES
from tiphys.devcluster.podindex import is_ready
from tiphys.devcluster.podstatus import KILLED
from tiphys.devcluster.storage import Store

Manifest = dict[str, Any]
ROUNDS, WRITERS = 3, 4
CORE = "/api/v1/namespaces/default"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
GONE = ""
"""What an object that is not there says."""


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession]]:
    """Give a development cluster whose objects live in *data*, and a client; it is killed in the end, whatever it is doing."""
    arguments = (str(BIN / "tiphys"), "devcluster", "--no-envoy", "--no-foreign", "--no-rollouts", "--data", str(data))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=DEVNULL, stdout=PIPE)
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[2]
        await asyncio.wait_for(process.stdout.readuntil(b"Ready"), 30)
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(30)) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Writer:
    """
    Somebody who writes one ConfigMap after another and remembers what was acknowledged.

    *known* is what each says by the last answer, *asked* what it may say instead: by a request whose answer never came.
    """

    def __init__(self, name: str, chance: random.Random, told: Callable[[], None]) -> None:
        self._name, self._chance, self._told, self._count = name, chance, told, 0
        self.known: dict[str, str] = {}
        self.asked: dict[str, str] = {}
        self.uids: dict[str, str] = {}
        self.version = 0

    async def write(self, client: aiohttp.ClientSession) -> None:
        """Write until the server is gone."""
        try:
            while True:
                self._count += 1
                there = [name for name, text in self.known.items() if text != GONE]
                what = self._chance.choice(("create", "patch", "patch", "delete")) if there else "create"
                name = f"{self._name}-{self._count}" if what == "create" else self._chance.choice(there)
                await self._ask(client, what, name, GONE if what == "delete" else str(self._count))
        except (aiohttp.ClientError, ConnectionError):
            return

    async def _ask(self, client: aiohttp.ClientSession, what: str, name: str, text: str) -> None:
        body = {"metadata": {"name": name}, "data": {"text": text}}
        path, kind = f"{CORE}/configmaps/{name}", {"Content-Type": "application/merge-patch+json"}
        self.asked = {name: text}
        match what:
            case "create":
                sent = client.post(f"{CORE}/configmaps", json=body)
            case "patch":
                sent = client.patch(path, json=body, headers=kind)
            case _:
                sent = client.delete(path)
        async with sent as answer:
            found = await answer.json()
            assert answer.status in (200, 201), found
        self.known[name], self.asked = text, {}
        if what == "create":
            self.uids[name] = found["metadata"]["uid"]
        self._told()
        if what != "delete":
            self.version = max(self.version, int(found["metadata"]["resourceVersion"]))

    def compare(self, there: dict[str, Manifest]) -> None:
        """Compare with the ConfigMaps that are *there*: what was acknowledged, or what was asked for last."""
        for name in {*self.known, *self.asked}:
            found = there[name]["data"]["text"] if name in there else GONE
            assert found in {self.known.get(name, GONE), self.asked.get(name, self.known.get(name, GONE))}, name
            if name in there and name in self.uids:
                assert there[name]["metadata"]["uid"] == self.uids[name]
            self.known[name] = found
        self.asked = {}


async def listed(client: aiohttp.ClientSession, path: str) -> tuple[list[Manifest], int]:
    async with client.get(path) as answer:
        found = await answer.json()
        assert answer.status == 200, found
        return found["items"], int(found["metadata"]["resourceVersion"])


async def create(client: aiohttp.ClientSession, path: str, manifest: Manifest) -> None:
    async with client.post(path, json=manifest) as answer:
        assert answer.status == 201, await answer.text()


async def served_by(client: aiohttp.ClientSession) -> dict[str, str]:
    """Give the addresses of the ready pods behind the Service, by pod name, once there are two; both answer."""
    slices: dict[str, Manifest] = {}
    async with asyncio.timeout(30), client.get(SLICES, params={"watch": "1"}) as watch:
        async for line in watch.content:
            found = json.loads(line)["object"]
            slices[found["metadata"]["name"]] = found
            ready = [end for each in slices.values() for end in each.get("endpoints") or () if end["conditions"]["ready"]]
            addresses = {end["targetRef"]["name"]: end["addresses"][0] for end in ready}
            if len(addresses) == 2:
                break
    for name, address in addresses.items():
        async with client.get(f"http://{address}:8080/") as answer:
            assert answer.headers["x-pod"] == name
    return addresses


async def until_ready(cluster: DevCluster, names: set[str]) -> None:
    """Wait until just these pods are ready and stand behind the Service."""
    watch = cluster.store.watch(ENDPOINT_SLICES)
    async with asyncio.timeout(30):
        async for event in watch:
            if {end["targetRef"]["name"] for end in event.manifest["endpoints"] if end["conditions"]["ready"]} == names:
                return


async def test_pods_are_the_same_with_new_processes_and_not_ready_before_these_answer(tmp_path: Path) -> None:
    with FileStore(tmp_path / "cluster.db") as journal:
        async with DevCluster(store=Store(journal=journal)) as cluster:
            for name, policy in (("server", "Always"), ("once", "Never")):
                manifest = {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}}, "spec": pod_template()["spec"]}
                cluster.store.create(PODS, manifest | {"spec": {**manifest["spec"], "restartPolicy": policy}})
            cluster.store.create(SERVICES, service("web", {"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]))
            await until_ready(cluster, {"server", "once"})
            before = {each.name: each.manifest for each in cluster.store.scan(PODS)}

    with FileStore(tmp_path / "cluster.db") as journal:
        async with DevCluster(store=Store(journal=journal)) as cluster:
            at_first = [is_ready(each.manifest) for each in cluster.store.scan(PODS)]
            await until_ready(cluster, {"server"})
            after = {each.name: each.manifest for each in cluster.store.scan(PODS)}

    assert at_first == [False, False]
    assert {name: each["metadata"]["uid"] for name, each in after.items()} == {
        name: each["metadata"]["uid"] for name, each in before.items()
    }
    assert after["server"]["status"]["containerStatuses"][0]["restartCount"] == 1
    assert after["once"]["status"]["phase"] == "Failed"
    assert after["once"]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == KILLED


class Bomb:
    """Goes off after a number of acknowledged writes."""

    def __init__(self) -> None:
        self._left, self._off = 0, asyncio.Event()

    def set(self, count: int) -> None:
        self._left = count
        self._off.clear()

    def tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._off.set()

    async def wait(self) -> None:
        await self._off.wait()


async def test_nothing_acknowledged_is_lost_however_the_process_ends(tmp_path: Path) -> None:
    chance = random.Random()  # noqa: S311 - moments, no secrets
    bomb, data = Bomb(), tmp_path / "cluster.db"
    writers = [Writer(f"w{number}", chance, bomb.tick) for number in range(WRITERS)]
    version, pods = 0, set[str]()
    for turn in range(ROUNDS + 1):
        async with running(data) as (process, client):
            found, listed_at = await listed(client, f"{CORE}/configmaps")
            there = {each["metadata"]["name"]: each for each in found}
            for writer in writers:
                writer.compare(there)
            assert listed_at >= max([version, *(writer.version for writer in writers)])
            if turn == 0:
                await create(client, "/apis/apps/v1/namespaces/default/deployments", deployment(replicas=2))
                await create(client, f"{CORE}/services", service("web", {"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]))
            alive = set(await served_by(client))
            assert pods in (set(), alive), "the same pods, with new processes"
            if turn == ROUNDS:
                async with client.get(f"{CORE}/configmaps", params={"watch": "1", "resourceVersion": str(version)}) as old:
                    assert json.loads(await old.content.readline())["object"]["code"] == 410
                break
            pods, version = alive, listed_at
            bomb.set(chance.randrange(5, 200))
            writing = [asyncio.ensure_future(writer.write(client)) for writer in writers]
            await bomb.wait()
            process.kill()
            await asyncio.gather(*writing)
    assert sum(len(writer.known) for writer in writers) > WRITERS
