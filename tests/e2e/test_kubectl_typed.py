"""Do kubectl's own commands, which send protobuf, store what the same object in JSON would be?"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devcluster_objects import deployment
from terminal import Terminal
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kinds import DEPLOYMENTS, NODES, PODS
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
CREATES = [
    "create configmap a --from-literal=k=v --from-file=b=binary",
    "create secret generic a --from-literal=k=v --from-file=b=binary",
    "create deployment a --image=registry.example/web:v1 --replicas=2 --port=8080 -- serve --slowly",
    "create job a --image=registry.example/job:v1 -- work",
    "create namespace a",
    "create serviceaccount a",
    "create service clusterip a --tcp=80:8080 --tcp=443:web",
    "create ingress a --rule=web.example/shop*=web:80,tls=hidden --annotation=x=y",
    "create poddisruptionbudget a --selector=app=web --max-unavailable=25%",
    "create role a --verb=get,list --resource=pods,deployments.apps",
    "create clusterrolebinding a --clusterrole=a --user=me --group=us",
    "autoscale deployment there --min=2 --max=4 --cpu=50% --memory=100Mi",
]


@dataclass(frozen=True, slots=True)
class Shop:
    store: Store
    terminal: Terminal


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with DevCluster(api=ApiServer, drain_seconds=0.0) as cluster:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        yield Shop(cluster.store, Terminal(home=tmp_path, kubeconfig=tmp_path / "kubeconfig", folder=tmp_path))


def cluster_at_noon() -> Store:
    """Give one of several that are and become the same."""
    store = Store(clock=lambda: NOON, names=Names(1))
    store.create(DEPLOYMENTS, deployment("there"), namespace="default")
    return store


@pytest.mark.parametrize("command", CREATES, ids=lambda command: "-".join(command.split()[1:3]))
async def test_a_typed_command_stores_what_its_json_would(tmp_path: Path, command: str) -> None:
    store, twin = cluster_at_noon(), cluster_at_noon()
    (tmp_path / "binary").write_bytes(bytes([0, 159, 255]))
    async with ApiServer(store) as server:
        write_kubeconfig(tmp_path / "kubeconfig", server.url)
        terminal = Terminal(home=tmp_path, kubeconfig=tmp_path / "kubeconfig", folder=tmp_path)
        words, dashes, rest = command.partition(" -- ")
        printed = json.loads(await terminal.types(f"kubectl {words} --dry-run=client -o json{dashes}{rest}"))
        await terminal.types(f"kubectl {command}")

    resource, same = (each.registry.of_manifest(printed) for each in (store, twin))
    namespace, name = "default" if resource.namespaced else "", printed["metadata"]["name"]
    wanted = twin.create(same, printed, namespace=namespace, manager=f"kubectl-{command.split(maxsplit=1)[0]}")
    assert store.get(resource, name, namespace=namespace) == wanted


async def test_a_deployment_is_exposed_and_restarted_and_gone(shop: Shop) -> None:
    terminal = shop.terminal

    await terminal.types("kubectl create deployment web --image=registry.example/web:v1 --replicas=2 --port=8080")
    await terminal.types("kubectl expose deployment web --port=80 --target-port=8080")
    await terminal.types("kubectl rollout restart deployment/web && kubectl rollout status deployment/web --timeout=30s")
    await terminal.types("kubectl wait --for=jsonpath={.endpoints} endpointslice -l kubernetes.io/service-name=web --timeout=30s")
    await terminal.types("kubectl delete deployment,service web --timeout=30s && kubectl wait --for=delete pod -l app=web --timeout=30s")

    assert shop.store.scan(PODS, namespace="default") == []


async def test_people_may_do_everything_and_kubectl_says_so(shop: Shop) -> None:
    may = await shop.terminal.types("kubectl auth can-i create deployments.apps")
    listed = await shop.terminal.types("kubectl auth can-i --list")

    assert may == "yes\n"
    assert ["*.*", "[]", "[]", "[*]"] in [line.split() for line in listed.splitlines()]


async def test_a_node_is_drained_by_evictions(shop: Shop) -> None:
    shop.store.create(NODES, {"metadata": {"name": "here"}})
    await shop.terminal.types("""kubectl run web --image=registry.example/web:v1 --overrides='{"spec": {"nodeName": "here"}}'""")

    drained = await shop.terminal.types("kubectl drain here --force --grace-period=0 --timeout=30s")

    assert "pod/web evicted" in drained
    assert shop.store.scan(PODS, namespace="default") == []
    assert shop.store.get(NODES, "here")["spec"]["unschedulable"] is True
