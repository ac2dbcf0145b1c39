"""Do kubectl's commands for Deployments and Jobs work with the development cluster?"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from devcluster_objects import Manifest, deployment, job
from terminal import Terminal
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kubeconfig import write_kubeconfig


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with DevCluster(api=ApiServer, drain_seconds=0.1) as cluster:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        yield Terminal(home=tmp_path, kubeconfig=tmp_path / "kubeconfig", folder=tmp_path)


async def apply(terminal: Terminal, manifest: Manifest) -> None:
    (terminal.folder / "object.yaml").write_text(yaml.safe_dump(manifest))
    await terminal.types("kubectl apply -f object.yaml")


async def test_a_deployment_is_rolled_out_undone_restarted_and_scaled(terminal: Terminal) -> None:
    status, done = "kubectl rollout status deploy/web --timeout=30s", "successfully rolled out"
    await apply(terminal, deployment(replicas=2))
    assert done in await terminal.types(status)

    await terminal.types("kubectl set image deploy/web main=registry.example/web:v2")
    assert done in await terminal.types(status)
    assert [line.split()[0] for line in (await terminal.types("kubectl rollout history deploy/web")).splitlines()[2:] if line] == ["1", "2"]
    await terminal.types("kubectl rollout undo deploy/web")
    assert done in await terminal.types(status)
    assert await terminal.types("kubectl get deploy/web -o jsonpath={.spec.template.spec.containers[0].image}") == "registry.example/web:v1"
    await terminal.types("kubectl rollout restart deploy/web")
    await terminal.types("kubectl scale deploy/web --replicas=3")
    assert done in await terminal.types(status)

    assert [line.split()[0] for line in (await terminal.types("kubectl rollout history deploy/web")).splitlines()[2:] if line] == [
        "2",
        "3",
        "4",
    ]
    name, ready, updated, available, _ = (await terminal.types("kubectl get deploy --no-headers")).split()
    assert (name, ready, updated, available) == ("web", "3/3", "3", "3")


async def test_jobs_are_waited_for_until_they_succeed_or_fail(terminal: Terminal) -> None:
    await apply(terminal, job("ends-200ms"))
    await apply(terminal, job("fails-200ms", name="bad", backoffLimit=0))

    await terminal.types("kubectl wait --for=condition=complete job/work --timeout=30s")
    await terminal.types("kubectl wait --for=condition=failed job/bad --timeout=30s")

    rows = [line.split()[:3] for line in (await terminal.types("kubectl get jobs --no-headers")).splitlines()]
    assert rows == [["bad", "Failed", "0/1"], ["work", "Complete", "1/1"]]
    pods = [line.split()[1:3] for line in (await terminal.types("kubectl get pods --no-headers")).splitlines()]
    assert pods == [["0/1", "Error"], ["0/1", "Completed"]]
