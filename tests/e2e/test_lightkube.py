"""Does a foreign Python client, lightkube, work with the development API server?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.apps_v1 import ReplicaSetSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec, ServicePort, ServiceSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import ReplicaSet
from lightkube.resources.core_v1 import ConfigMap, Service
from lightkube.types import PatchType

from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.kinds import CRDS
from tiphys.devcluster.storage import Store
from tiphys.devcluster.wire import Json

Gadget: Any = create_namespaced_resource("test.example.com", "v1", "Gadget", "gadgets")
GADGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.test.example.com"},
    "spec": {
        "group": "test.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    store = Store()
    store.create(CRDS, GADGETS)
    async with ApiServer(store) as server:
        config = {
            "clusters": [{"name": "dev", "cluster": {"server": server.url}}],
            "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "anybody"}}],
            "users": [{"name": "anybody", "user": {}}],
            "current-context": "dev",
        }
        connected: Any = AsyncClient(KubeConfig.from_dict(config), namespace="default", trust_env=False)
        yield connected
        await connected.close()


def replica_set(name: str) -> ReplicaSet:
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": name}), spec=PodSpec(containers=[Container(name="main", image="example.com/app:1")])
    )
    spec = ReplicaSetSpec(replicas=2, selector=LabelSelector(matchLabels={"app": name}), template=template)
    return ReplicaSet(metadata=ObjectMeta(name=name), spec=spec)


async def test_typed_objects_go_there_and_back(client: Json) -> None:
    created = await client.create(replica_set("a"))
    ports = [ServicePort(port=80)]
    service = await client.create(Service(metadata=ObjectMeta(name="a"), spec=ServiceSpec(selector={"app": "a"}, ports=ports)))

    found = [item.metadata.name async for item in client.list(ReplicaSet)]

    assert (created.spec.replicas, created.spec.template.spec.restartPolicy, created.status.replicas) == (2, "Always", 0)
    assert service.spec.clusterIP.startswith("10.96.")
    assert found == ["a"]


async def test_patches_and_the_scale_are_understood(client: Json) -> None:
    await client.create(replica_set("a"))

    merged = await client.patch(ReplicaSet, "a", {"metadata": {"labels": {"x": "y"}}}, patch_type=PatchType.MERGE)
    strategic = await client.patch(ReplicaSet, "a", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "i:2"}]}}}})
    scale = await client.get(ReplicaSet.Scale, "a")
    scale.spec.replicas = 6
    replaced = await client.replace(scale)

    assert merged.metadata.labels == {"x": "y"}
    assert [container.image for container in strategic.spec.template.spec.containers] == ["i:2"]
    assert replaced.spec.replicas == 6


async def test_refusals_arrive_as_the_clients_own_error(client: Json) -> None:
    with pytest.raises(ApiError) as missing:
        await client.get(ConfigMap, "none")
    await client.create(ConfigMap(metadata=ObjectMeta(name="a")))
    with pytest.raises(ApiError) as taken:
        await client.create(ConfigMap(metadata=ObjectMeta(name="a")))

    assert (missing.value.status.code, missing.value.status.reason) == (404, "NotFound")
    assert (taken.value.status.code, taken.value.status.reason) == (409, "AlreadyExists")


async def test_custom_resources_are_watched(client: Json) -> None:
    first = await client.create(Gadget(metadata=ObjectMeta(name="a"), spec={"size": 1}))
    seen: list[tuple[str, Any]] = []

    async def follow() -> None:
        async for event, gadget in client.watch(Gadget, resource_version=first.metadata.resourceVersion):
            seen.append((event, gadget.spec["size"]))
            if event == "DELETED":
                return

    following = asyncio.create_task(follow())
    await client.patch(Gadget, "a", {"spec": {"size": 2}}, patch_type=PatchType.MERGE)
    await client.delete(Gadget, "a")
    async with asyncio.timeout(10):
        await following

    assert seen == [("MODIFIED", 2), ("DELETED", 2)]
