"""Does `python -m tiphys.devcluster` start whole, serve kubectl, and end cleanly?"""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from devcluster_objects import replica_set, route, service, virtual_service
from plane_objects import mapping

KUBECTL = Path(sys.executable).parent / "kubectl"


class Running:
    """The command, and what it has printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.printed: list[str] = []

    @classmethod
    async def with_arguments(cls, *arguments: str) -> "Running":
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tiphys.devcluster", *arguments, stdout=PIPE, stderr=STDOUT)
        return cls(process)

    async def line(self, start: str) -> str:
        """Wait for the line that starts like this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while not self.printed or not self.printed[-1].startswith(start):
                read = await self.process.stdout.readline()
                assert read, self.printed
                self.printed.append(read.decode().rstrip())
        return self.printed[-1]

    def said(self, start: str) -> str:
        """The word after *start*."""
        return next(each for each in self.printed if each.startswith(start)).removeprefix(start).split()[0]

    async def end(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        return await asyncio.wait_for(self.process.wait(), 20)


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    given = [
        replica_set("stable", version="v1", replicas=2),
        replica_set("canary", version="v2"),
        service("stable", {"version": "v1"}),
        service("canary", {"version": "v2"}),
        virtual_service(route(("stable", 0), ("canary", 100))),
    ]
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(given))
    return path


@pytest.fixture
async def running(tmp_path: Path, objects: Path) -> AsyncIterator[Running]:
    started = await Running.with_arguments("--kubeconfig", str(tmp_path / "kubeconfig"), str(objects))
    await started.line("Ready")
    yield started
    if started.process.returncode is None:
        await started.end(signal.SIGKILL)


async def kubectl(tmp_path: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        KUBECTL, "--kubeconfig", str(tmp_path / "kubeconfig"), *arguments, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_kubectl_sees_living_pods_and_the_mesh_reaches_them(running: Running, tmp_path: Path) -> None:
    await kubectl(tmp_path, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
    found: dict[str, Any] = json.loads(await kubectl(tmp_path, "get", "rs,nodes", "-o", "json"))

    assert {each["metadata"]["name"]: each["status"].get("readyReplicas") for each in found["items"] if each["kind"] == "ReplicaSet"} == {
        "stable": 2,
        "canary": 1,
    }
    assert "Ready" in await kubectl(tmp_path, "get", "nodes")
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            async with session.get(running.said("Mesh"), headers={"host": "web"}) as answer:
                if answer.status == 200:
                    assert answer.headers["x-version"] == "v2"
                    break

    assert await running.end(signal.SIGINT) == 0


def server_of(kubeconfig: Path) -> str:
    found: str = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    return found


async def test_an_evicted_pod_is_replaced(running: Running, tmp_path: Path) -> None:
    await kubectl(tmp_path, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
    victim = (await kubectl(tmp_path, "get", "pods", "-l", "version=v2", "-o", "name")).split()[0].removeprefix("pod/")
    eviction = tmp_path / "eviction.yaml"
    eviction.write_text(f'{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{victim}", "namespace": "default"}}}}')

    await kubectl(tmp_path, "create", "--raw", f"/api/v1/namespaces/default/pods/{victim}/eviction", "-f", str(eviction))
    await kubectl(tmp_path, "wait", "--for=delete", f"pod/{victim}", "--timeout=30s")
    await kubectl(tmp_path, "wait", "--for=condition=Ready", "pod", "-l", "version=v2", "--timeout=30s")

    (left,) = (await kubectl(tmp_path, "get", "pods", "-l", "version=v2", "-o", "name")).split()
    assert left != f"pod/{victim}"
    assert await running.end(signal.SIGTERM) == 0


async def test_sigterm_ends_it_and_takes_the_kubeconfig_of_its_own_along() -> None:
    started = await Running.with_arguments("--no-envoy")
    await started.line("Ready")
    kubeconfig = Path(started.said("Kubeconfig"))
    assert server_of(kubeconfig) == started.said("API server")

    assert await started.end(signal.SIGTERM) == 0

    with pytest.raises(FileNotFoundError):
        server_of(kubeconfig)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no valid YAML"),
        ("just: words", "without apiVersion, kind or metadata"),
        ("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}", "example.com/v1 Widget: no such kind is served"),
    ],
)
async def test_a_bad_file_is_one_message_and_exit_status_1(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)

    started = await Running.with_arguments("--no-envoy", str(tmp_path / "bad.yaml"))
    line = await started.line("Error: ")

    assert said in line
    assert await asyncio.wait_for(started.process.wait(), 20) == 1
    assert started.printed == [line]


async def test_planes_are_chosen_and_what_a_product_refuses_is_printed(tmp_path: Path, objects: Path) -> None:
    mappings = tmp_path / "mappings.yaml"
    mappings.write_text(yaml.safe_dump_all([mapping("web", "stable"), mapping("web-canary", "canary", weight=101)]))
    running = await Running.with_arguments("--plane", "ambassador,smi", str(objects), str(mappings))
    try:
        problem = await running.line("Routes ")

        assert "weight of Mapping default/web-canary: found 101, wanted 0 to 100" in problem
        assert any(line.startswith("Mesh ") and "routes of ambassador, smi" in line for line in running.printed)
    finally:
        assert await running.end(signal.SIGTERM) == 0


async def test_a_plane_that_does_not_exist_is_named() -> None:
    running = await Running.with_arguments("--plane", "nope")

    assert (
        await running.line("Error")
        == "Error: plane: found 'nope', wanted one or several of istio, smi, gamma, ambassador, apisix, alb, traefik, gateway, nginx"
    )
    assert await asyncio.wait_for(running.process.wait(), 20) == 1
