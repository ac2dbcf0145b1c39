"""The command as people run it, against the development cluster over HTTP; what the controller would write is written by hand."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.crds import crd_manifests
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.kinds import REPLICA_SETS, ROLLOUTS
from tiphys.cli.live import following
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection

BIN = Path(sys.executable).parent

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:2"}]}
  strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}]}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Runs `tiphys` as a person does, and knows the cluster that it talks to."""

    client: Client
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        return {"PATH": path, "HOME": str(self.folder), "KUBECONFIG": str(self.folder / "kubeconfig"), **more}

    async def start(self, *args: str, program: str = "tiphys", **environment: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            BIN / program, *args, stdout=pipe, stderr=pipe, env=self.environment(**environment), cwd=self.folder
        )

    async def run(self, *args: str, program: str = "tiphys", **environment: str) -> Done:
        process = await self.start(*args, program=program, **environment)
        out, err = await asyncio.wait_for(process.communicate(), timeout=60)
        assert process.returncode is not None
        return Done(code=process.returncode, out=out.decode(), err=err.decode())

    async def rollout(self) -> dict[str, Any]:
        return await self.client.get(ROLLOUTS, "web", namespace="default")

    async def report(self, **status: Any) -> None:  # noqa: ANN401 - any JSON
        await self.client.patch_subresource(ROLLOUTS, "web", "status", {"status": status}, namespace="default")

    async def revision(self, pod_hash: str, number: int, *, image: str, replicas: int) -> None:
        labels = {"app": "web", "rollouts-pod-template-hash": pod_hash}
        owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "controller": True}
        metadata = {
            "name": f"web-{pod_hash}",
            "labels": labels,
            "annotations": {"rollout.argoproj.io/revision": str(number)},
            "ownerReferences": [{**owner, "uid": (await self.rollout())["metadata"]["uid"]}],
        }
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
        await self.client.create(REPLICA_SETS, body, namespace="default")


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with DevCluster(definitions=crd_manifests(), api=ApiServer) as cluster, Client(Connection(server=cluster.url)) as client:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        (tmp_path / "web.yaml").write_text(ROLLOUT)
        yield Shell(client=client, folder=tmp_path)


@pytest.fixture
async def web(shell: Shell) -> Shell:
    """Create the rollout, in the middle of an update."""
    created = await shell.run("create", "-f", "web.yaml")
    assert created == Done(code=0, out="rollout.argoproj.io/web created\n", err="")
    await shell.revision("one", 1, image="registry.example/web:1", replicas=1)
    await shell.revision("two", 2, image="registry.example/web:2", replicas=1)
    await shell.report(
        phase="Paused",
        message="CanaryPauseStep",
        pauseConditions=[{"reason": "CanaryPauseStep", "startTime": "2026-05-04T12:00:00Z"}],
        currentPodHash="two",
        stableRS="one",
        currentStepIndex=1,
        observedGeneration="1",
        replicas=2,
        updatedReplicas=1,
        readyReplicas=2,
        availableReplicas=2,
    )
    async with following(shell.client, [(REPLICA_SETS, ReplicaSet)], namespace="default") as seen, asyncio.timeout(30):
        while sum(found.status.available_replicas for found in seen[REPLICA_SETS]) < 2:
            await seen.change()
    return shell


async def test_people_see_how_a_rollout_is(web: Shell) -> None:
    shown, structured, poor, listed, everywhere, told = await asyncio.gather(
        web.run("get", "rollout", "web", "--no-color"),
        web.run("get", "rollout", "web", "--json"),
        web.run("get", "ro", "web", "--no-color", PYTHONIOENCODING="latin-1"),
        web.run("list", "rollouts"),
        web.run("list", "ro", "-A", "--timestamps"),
        web.run("status", "web", "--watch=false"),
    )

    assert shown.err == ""
    facts = json.loads(structured.out)
    assert (facts["status"], facts["message"], facts["setWeight"], facts["verified"]) == ("Paused", "CanaryPauseStep", 50, None)
    assert [found["objects"][0]["name"] for found in facts["revisions"]] == ["web-two", "web-one"]
    lines = shown.out.splitlines()
    assert lines[2:9] == [
        "Status:          ॥ Paused",
        "Message:         CanaryPauseStep",
        "Strategy:        Canary",
        "  Step:          1/2",
        "  SetWeight:     50",
        "  ActualWeight:  50",
        "Images:          registry.example/web:1 (stable)",
    ]
    assert [line.split()[:3] for line in lines if "⧉" in line] == [
        ["│", "└──⧉", "web-two"],
        ["└──⧉", "web-one", "ReplicaSet"],
    ]
    assert (poor.code, "? web-two" in poor.out) == (0, True)
    assert listed.out.splitlines()[1].split() == ["web", "Canary", "Paused", "1/2", "50", "2/2", "2", "1", "2"]
    assert everywhere.out.splitlines()[0].split()[:3] == ["TIMESTAMP", "NAMESPACE", "NAME"]
    assert told == Done(code=0, out="Paused - CanaryPauseStep\n", err="")


async def test_people_steer_a_rollout(web: Shell) -> None:
    before = await web.rollout()

    said = [
        (await web.run(*command)).out
        for command in (
            ("promote", "web"),
            ("abort", "web"),
            ("retry", "rollout", "web"),
            ("pause", "web"),
            ("resume", "web"),
            ("restart", "web", "--in", "10s"),
            ("promote", "web", "--full"),
            ("set", "image", "web", "web=registry.example/web:3"),
        )
    ]

    after = await web.rollout()
    assert said == [
        "rollout 'web' promoted\n",
        "rollout 'web' aborted\n",
        "rollout 'web' retried\n",
        "rollout 'web' paused\n",
        "rollout 'web' resumed\n",
        "rollout 'web' restarts in 10s\n",
        "rollout 'web' fully promoted\n",
        'rollout "web" image updated\n',
    ]
    assert "pauseConditions" not in after["status"]
    assert after["status"]["promoteFull"] is True
    assert after["spec"]["restartAt"] > before["metadata"]["creationTimestamp"]
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:3"

    assert (await web.run("undo", "web")).out == "rollout 'web' undo\n"
    assert (await web.rollout())["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:1"


async def test_a_watched_status_ends_when_the_rollout_is_healthy(web: Shell) -> None:
    process = await web.start("status", "web")
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), timeout=30)

    await web.report(phase="Healthy", message=None, pauseConditions=None)

    assert first == b"Paused - CanaryPauseStep\n"
    assert await asyncio.wait_for(process.communicate(), timeout=30) == (b"Healthy\n", b"")
    assert process.returncode == 0


async def test_a_watched_status_fails_when_degraded_or_out_of_time(web: Shell) -> None:
    late = await web.run("status", "web", "--timeout", "1s")
    await web.report(phase="Degraded", message="RolloutAborted: because")
    degraded = await web.run("status", "web")

    assert late == Done(code=1, out="Paused - CanaryPauseStep\n", err="Error: Rollout status watch exceeded timeout\n")
    assert degraded.code == 1
    assert degraded.err == "Error: The rollout is in a degraded state with message: RolloutAborted: because\n"


async def test_a_watched_picture_is_drawn_again_when_something_changes_and_ends_quietly_when_interrupted(web: Shell) -> None:
    process = await web.start("get", "ro", "web", "--watch", "--no-color")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        drawn = await process.stdout.readuntil("⟳ web".encode())
        await web.report(message="somebody has to look")
        again = await process.stdout.readuntil(b"Message:         somebody has to look")
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), timeout=30)

    assert drawn.startswith(b"\x1b[H\x1b[2J\x1b[0;0HName:            web\n")
    assert b"\x1b[H\x1b[2J\x1b[0;0HName:" in again
    assert (process.returncode, err.strip()) == (130, b"")


async def test_a_watched_list_adds_a_line_for_each_change(web: Shell) -> None:
    process = await web.start("list", "rollouts", "--watch")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        await process.stdout.readline()
        first = await process.stdout.readline()
        await web.report(phase="Healthy")
        second = await process.stdout.readline()
    process.terminate()
    await process.communicate()

    assert (first.split()[2], second.split()[2]) == (b"Paused", b"Healthy")


MISTAKES = {
    ("get", "rollout", "nope"): 'rollouts.argoproj.io "nope" not found',
    ("status", "nope"): 'rollouts.argoproj.io "nope" not found',
    ("abort", "nope"): 'rollouts.argoproj.io "nope" not found',
    ("promote", "nope"): 'rollouts.argoproj.io "nope" not found',
    ("undo", "nope"): 'rollouts.argoproj.io "nope" not found',
    ("restart", "nope", "--in", "soon"): '--in: found "soon", wanted a duration such as 30s, 10m or 1h30m',
    ("status", "nope", "-t", "soon"): '--timeout: found "soon", wanted a duration such as 30s, 10m or 1h30m',
    ("list", "rollouts", "--context", "other"): "--context: found 'other', wanted one of the contexts",
    ("get", "rollout", "x", "-s", "http://127.0.0.1:1"): "cannot reach the API server http://127.0.0.1:1: connection refused",
    ("create", "-f", "nowhere.yaml"): "nowhere.yaml: no such file or directory",
    ("lint", "-f", "nowhere.yaml"): "nowhere.yaml: no such file or directory",
}


async def test_a_mistake_is_one_clear_message_and_status_1(shell: Shell) -> None:
    for command, message in MISTAKES.items():
        done = await shell.run(*command)

        assert (command, done.code, done.out.splitlines()[1:]) == (command, 1, [])
        assert done.err.startswith(f"Error: {message}")
        assert len(done.err.splitlines()) == 1


async def test_credentials_that_are_refused_are_told_with_their_origin(shell: Shell) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"kind":"Status","status":"Failure","reason":"Unauthorized","message":"Unauthorized","code":401}'
        head = f"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done = await shell.run("list", "rollouts", "-s", url, "--token", "expired")

    assert done == Done(code=1, out="", err=f"Error: {url} does not accept the credentials from --token: Unauthorized\n")


async def test_lint_fails_with_every_error_and_says_nothing_when_all_is_well(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text(ROLLOUT.replace("replicas: 2", "replicas: -2").replace("setWeight: 50", "setWeight: 150"))

    fine = await shell.run("lint", "-f", "web.yaml")
    bad = await shell.run("lint", "-f", "bad.yaml", "web.yaml")

    assert fine == Done(code=0, out="", err="")
    first, second = bad.out.splitlines()
    assert first == "bad.yaml:5: document 1 (Rollout web): spec.replicas: Invalid value: -2: must be 0 or more"
    assert second.startswith("bad.yaml:10: document 1 (Rollout web): spec.strategy.steps[0].setWeight: Invalid value: 150: ")
    assert (bad.code, bad.err) == (1, f"Error: {first}\n")


async def test_nothing_is_created_from_a_file_with_unknown_fields(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text(ROLLOUT + "  replikas: 3\n")

    done = await shell.run("create", "-f", "web.yaml", "bad.yaml")

    assert done.code == 1
    assert done.err == "Error: bad.yaml:11: document 1 (Rollout web): spec.replikas: Invalid value: 3: no such field\n"
    assert await shell.client.list(ROLLOUTS, namespace="default", into=Rollout) == []


async def test_names_are_completed_from_the_cluster(web: Shell) -> None:
    words = {"COMP_WORDS": "tiphys get rollout ", "COMP_CWORD": "3", "_TIPHYS_COMPLETE": "bash_complete"}

    live = await web.run(**words)
    away = await web.run(**{**words, "COMP_WORDS": "tiphys -s http://127.0.0.1:1 get rollout ", "COMP_CWORD": "5"})
    script = await web.run("completion", "bash")

    assert live == Done(code=0, out="plain,web\n", err="")
    assert away == Done(code=0, out="\n", err="")
    assert "_TIPHYS_COMPLETE=bash_complete" in script.out


async def test_kubectl_runs_it_as_a_plugin(web: Shell) -> None:
    listed, helped = await asyncio.gather(
        web.run("tiphys", "-n", "default", "status", "web", "--watch=false", program="kubectl"),
        web.run("tiphys", "get", "--help", program="kubectl"),
    )

    assert listed == Done(code=0, out="Paused - CanaryPauseStep\n", err="")
    assert helped.out.startswith("Usage: kubectl tiphys get ")


async def _says(process: asyncio.subprocess.Process, words: str, stream: asyncio.StreamReader | None) -> None:
    """Wait until *process* has written *words*."""
    assert stream is not None
    async with asyncio.timeout(60):
        async for line in stream:
            if words in line.decode():
                return
    raise AssertionError(f"{words!r} was never said; status {process.returncode}")


async def test_a_cluster_and_a_controller_are_all_it_takes(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(ROLLOUT)
    async with Client(Connection(server="http://127.0.0.1:1")) as nobody:
        shell = Shell(client=nobody, folder=tmp_path)
        cluster = await shell.start("devcluster", "--no-envoy", "--kubeconfig", "kubeconfig")
        await _says(cluster, "Ready", cluster.stdout)
        controller = await shell.start("controller", "--metricsPort=0", "--healthzPort=0", "--leader-elect=false", "--namespaced")
        try:
            created = await shell.run("create", "-f", "web.yaml")
            healthy = await shell.run("status", "web", "--timeout", "50s")
            updated = await shell.run("set", "image", "web", "*=registry.example/web:3")
            paused = await shell.run("status", "web", "--timeout", "1s")
            await shell.run("promote", "web")
            promoted = await shell.run("status", "web", "--timeout", "50s")
            drawn = await shell.run("get", "rollout", "web", "--no-color")
        finally:
            said = b""
            for process in (controller, cluster):
                process.send_signal(signal.SIGINT)
                out, err = await asyncio.wait_for(process.communicate(), timeout=30)
                said += out + err

    assert (created.code, updated.code) == (0, 0)
    assert (healthy.code, healthy.out.splitlines()[-1], healthy.err) == (0, "Healthy", ""), said.decode()
    assert (paused.code, paused.out.splitlines()[-1]) == (1, "Paused - CanaryPauseStep")
    assert (promoted.code, promoted.out.splitlines()[-1], promoted.err) == (0, "Healthy", ""), said.decode()
    assert "registry.example/web:3 (stable)" in drawn.out
    assert (controller.returncode, cluster.returncode) == (0, 0)


async def test_a_controller_that_cannot_be_started_says_why(shell: Shell) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = str(taken.sockets[0].getsockname()[1])
        refused = await shell.run("controller", "--healthzPort", port, "--metricsPort", "0")
    nowhere = await shell.run("controller", "--kubeconfig", "nowhere")
    impossible = await shell.run("controller", "--leader-election-renew-deadline", "20s")

    assert refused.code == 1
    assert port in refused.err.splitlines()[-1]
    assert (nowhere.code, "nowhere: found no such file" in nowhere.err) == (1, True)
    assert (impossible.code, "wanted 0 < retry < renew < lease" in impossible.err) == (2, True)
    assert all("Traceback" not in done.err for done in (refused, nowhere, impossible))
