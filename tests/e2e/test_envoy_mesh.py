"""Does a real Envoy between real pods do what VirtualServices say, and lose nothing?"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any

import aiohttp
import pytest

from devcluster_objects import Manifest, destination_rule, replica_set, route, service, virtual_service
from envoy_client import Client, deploy, eventually, ready, within_four_deviations
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import ENDPOINT_SLICES, PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.supervisor import ChildError
from tiphys.devcluster.resources import ResourceType

ISTIO = "networking.istio.io"


@pytest.fixture
async def mesh() -> AsyncIterator[DevCluster]:
    async with DevCluster(definitions=foreign_definitions(ISTIO), planes=("istio",), drain_seconds=0.5) as cluster:
        yield cluster


@pytest.fixture
async def client(mesh: DevCluster) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(mesh, session)


def kind(mesh: DevCluster, plural: str) -> ResourceType:
    return mesh.kinds[ISTIO, plural]


async def put(mesh: DevCluster, manifest: Manifest) -> Manifest:
    plural = {"VirtualService": "virtualservices", "DestinationRule": "destinationrules"}[manifest["kind"]]
    resource, name = kind(mesh, plural), manifest["metadata"]["name"]
    there = mesh.store.read(resource, name, "default")
    if there is None:
        stored = mesh.store.create(resource, manifest)
    else:
        stored = mesh.store.patch(resource, name, PatchKind.MERGE, {"spec": manifest["spec"]}, namespace="default")
    await mesh.mesh.applied(stored["metadata"]["resourceVersion"])
    return stored


async def test_shares_follow_the_weights_within_four_standard_deviations(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=2, canary=2)

    for weight in (0, 20, 50, 100):
        await put(mesh, virtual_service(route(("stable", 100 - weight), ("canary", weight))))
        found = await client.many(800)
        assert within_four_deviations(found["canary"], 800, weight / 100), (weight, found)

    assert client.failures == []
    counts = await mesh.mesh.envoy.counts()
    assert (counts.requests, counts.failed) == (3200, 0)
    assert sum(each.requests for each in mesh.counts()) == 3200
    by_cluster = await mesh.mesh.envoy.cluster_counts()
    assert by_cluster["outbound|80||canary.default.svc.cluster.local"].requests == client.answers["canary"]


async def test_headers_methods_and_paths_pick_the_route(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=1, canary=1)
    header = [{"headers": {"agent": {"regex": "Mozilla(.*)"}}, "withoutHeaders": {"stay": {"exact": "yes"}}}]
    await put(
        mesh,
        virtual_service(
            route(("canary", 100), match=header),
            route(("canary", 100), match=[{"method": {"exact": "PUT"}, "uri": {"prefix": "/new"}}]),
            route(("canary", 100), match=[{"queryParams": {"v": {"exact": "2"}}}]),
            route(("stable", 100)),
        ),
    )

    assert await client.ask(agent="Mozilla/5") == (200, "canary")
    assert await client.ask(agent="not Mozilla/5") == (200, "stable")
    assert await client.ask(agent="Mozilla/5", stay="no") == (200, "canary")
    assert await client.ask(agent="Mozilla/5", stay="yes") == (200, "stable")
    assert await client.ask("/new/one", method="PUT") == (200, "canary")
    assert await client.ask("/new/one") == (200, "stable")
    assert await client.ask("/?v=2") == (200, "canary")
    assert await client.ask(host="canary") == (200, "canary")
    assert await client.ask(host="stable.default.svc:80") == (200, "stable")


async def test_mirrored_requests_are_counted_apart(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=1, canary=1)
    await put(mesh, virtual_service(route(("stable", 100), mirror={"host": "canary"}, mirrorPercentage={"value": 35})))

    await client.many(600)

    def mirrored() -> int:
        return sum(each.mirrored for each in mesh.counts() if each.version == "canary")

    counts = (await mesh.mesh.envoy.cluster_counts())["outbound|80||canary.default.svc.cluster.local"]
    assert within_four_deviations(mirrored(), 600, 0.35)
    assert counts.requests == 0
    assert sum(each.requests for each in mesh.counts()) == 600


async def test_rewrites_and_header_operations_arrive_at_the_pod(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=1)
    operations = {"request": {"set": {"x-set": "one"}, "remove": ["secret"]}}
    changed = {"match": [{"uri": {"prefix": "/api"}}], "rewrite": {"uri": "/-/echo"}, "headers": operations}
    await put(mesh, virtual_service(route(("stable", 100), **changed), {"redirect": {"uri": "/api", "redirectCode": 307}}))

    _, echoed = await client.ask("/api", secret="1")  # noqa: S106 (no secret)
    status, _ = await client.ask("/other")

    assert echoed.startswith("GET /-/echo HTTP/1.1")
    assert "x-set: one" in echoed
    assert "secret" not in echoed
    assert status == 307


async def test_subsets_split_one_service_by_pod_labels(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=1, canary=1)
    mesh.store.create(SERVICES, service("web", {"app": "web"}))
    await put(mesh, destination_rule("web", old={"version": "stable"}, new={"version": "canary"}))
    destinations = [{"destination": {"host": "web", "subset": name}, "weight": weight} for name, weight in (("old", 70), ("new", 30))]
    await put(mesh, virtual_service({"route": destinations}))
    await eventually(mesh, lambda: ready(mesh, "web") == 2, ENDPOINT_SLICES)
    await mesh.mesh.applied()

    found = await client.many(600)

    assert within_four_deviations(found["canary"], 600, 0.3)
    assert client.failures == []


async def test_no_request_fails_while_pods_come_and_go(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=2, canary=2)
    await put(mesh, virtual_service(route(("stable", 50), ("canary", 50))))
    stop = asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            await client.ask()
            await asyncio.sleep(0.02)

    loads = [asyncio.create_task(load()) for _ in range(4)]
    gone: set[str] = set()
    for labels in ({"version": "stable"}, {"version": "canary"}, {"version": "stable"}):
        leaving = {pod.name for pod in mesh.store.scan(PODS, labels=labels)}
        for name in leaving:
            mesh.store.delete(PODS, name, namespace="default")
        await eventually(mesh, lambda left=leaving: not left & {pod.name for pod in mesh.store.scan(PODS)}, PODS)  # type: ignore[misc]
        gone |= leaving
    stop.set()
    await asyncio.gather(*loads)

    assert len(gone) == 6
    assert client.failures == []
    counts = await mesh.mesh.envoy.counts()
    assert counts.failed == 0
    assert counts.requests == sum(client.answers.values()) == sum(each.requests for each in mesh.counts())
    assert sum(client.answers.values()) > 100


async def test_a_configuration_that_envoy_refuses_leaves_the_one_before_in_force(mesh: DevCluster, client: Client) -> None:
    await deploy(mesh, stable=1, canary=1)
    await put(mesh, virtual_service(route(("stable", 100))))

    await put(mesh, virtual_service(route(("canary", 100), match=[{"uri": {"regex": "(("}}])))
    assert await client.ask() == (200, "stable")
    assert any("(" in problem for problem in mesh.mesh.problems)

    await put(mesh, virtual_service(route(("canary", 100))))
    assert await client.ask() == (200, "canary")
    assert mesh.mesh.problems == ()


async def test_pods_say_who_they_are_and_fail_when_told_to(mesh: DevCluster, client: Client) -> None:
    mesh.store.create(REPLICA_SETS, replica_set("bad", version="v2-failing"))
    mesh.store.create(SERVICES, service("web", {"app": "web"}))
    await eventually(mesh, lambda: ready(mesh, "web") == 1, ENDPOINT_SLICES)
    await mesh.mesh.applied()

    status, version = await client.ask()

    assert (status, version) == (500, "v2-failing")
    assert (await mesh.mesh.envoy.counts()).failed == 1
    assert [each.errors for each in mesh.counts()] == [1]


async def test_several_clusters_share_a_machine() -> None:
    given: Mapping[str, Any] = {"definitions": list(foreign_definitions(ISTIO)), "drain_seconds": 0.1}

    async def serve(version: str) -> str:
        async with DevCluster(**given, planes=("istio",)) as cluster, aiohttp.ClientSession() as session:
            await deploy(cluster, **{version: 2})
            return (await Client(cluster, session).ask(host=version))[1]

    work: list[Awaitable[str]] = [serve(version) for version in ("one", "two", "three")]
    assert await asyncio.gather(*work) == ["one", "two", "three"]


async def test_an_envoy_that_is_gone_is_told() -> None:
    async with DevCluster(definitions=foreign_definitions(ISTIO), planes=("istio",)) as cluster:
        await deploy(cluster, one=1)
        os.kill(cluster.mesh.envoy.pid, signal.SIGKILL)
        cluster.store.create(SERVICES, service("two", {"version": "one"}))

        with pytest.raises(ChildError, match="envoy does not answer"):
            await asyncio.wait_for(cluster.broken(), 20)
        with pytest.raises(ChildError, match="envoy does not answer"):
            await cluster.mesh.applied()
