"""The same promises hold for whoever uses the store in process and for whoever comes over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import aiohttp
import pytest

from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import CONFIG_MAPS, CRDS, PODS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store
from tiphys.devcluster.wire import Json

Manifest = dict[str, Any]
NAMESPACE = "default"

WIDGETS: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.test.example.com"},
    "spec": {
        "group": "test.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": version,
                "served": True,
                "storage": version == "v1",
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "string", "enum": ["small", "large"]},
                                    "replicas": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
            for version in ("v1", "v1beta1")
        ],
    },
}


class Refused(Exception):  # noqa: N818 - what a client sees, not an error of its own
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message


class Cluster(Protocol):
    """What both doors offer."""

    store: Store

    async def create(self, resource: ResourceType, manifest: Manifest) -> Manifest: ...
    async def get(self, resource: ResourceType, name: str, subresource: str = "") -> Manifest: ...
    async def names(self, resource: ResourceType, labels: str = "") -> list[str]: ...
    async def update(self, resource: ResourceType, manifest: Manifest, subresource: str = "") -> Manifest: ...
    async def patch(self, resource: ResourceType, name: str, kind: PatchKind, body: Json, subresource: str = "") -> Manifest: ...
    async def delete(self, resource: ResourceType, name: str, grace: int | None = None) -> None: ...
    async def events(self, resource: ResourceType, since: str, count: int) -> list[tuple[str, Manifest]]: ...


class InProcess:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def create(self, resource: ResourceType, manifest: Manifest) -> Manifest:
        return self._try(lambda: self.store.create(resource, manifest, namespace=NAMESPACE if resource.namespaced else ""))

    async def get(self, resource: ResourceType, name: str, subresource: str = "") -> Manifest:
        return self._try(lambda: self.store.get(resource, name, namespace=NAMESPACE, subresource=subresource))

    async def names(self, resource: ResourceType, labels: str = "") -> list[str]:
        return [stored.name for stored in self.store.list(resource, namespace=NAMESPACE, labels=labels).items]

    async def update(self, resource: ResourceType, manifest: Manifest, subresource: str = "") -> Manifest:
        return self._try(lambda: self.store.update(resource, manifest, namespace=NAMESPACE, subresource=subresource))

    async def patch(self, resource: ResourceType, name: str, kind: PatchKind, body: Json, subresource: str = "") -> Manifest:
        return self._try(lambda: self.store.patch(resource, name, kind, body, namespace=NAMESPACE, subresource=subresource))

    async def delete(self, resource: ResourceType, name: str, grace: int | None = None) -> None:
        self._try(lambda: {"outcome": self.store.delete(resource, name, namespace=NAMESPACE, grace_seconds=grace)})

    async def events(self, resource: ResourceType, since: str, count: int) -> list[tuple[str, Manifest]]:
        found = self.store.watch(resource, namespace=NAMESPACE, since=int(since)).drain(count)
        return [(event.type, event.stored.copy()) for event in found]

    @staticmethod
    def _try(action: Callable[[], Manifest]) -> Manifest:
        try:
            result: Manifest = action()
        except StatusError as error:
            raise Refused(error.code, error.reason, error.message) from error
        return result


class OverHttp:
    def __init__(self, store: Store, session: aiohttp.ClientSession, url: str) -> None:
        self.store, self._session, self._url = store, session, url

    def _path(self, resource: ResourceType, name: str = "", subresource: str = "") -> str:
        base = f"{self._url}/apis/{resource.group}" if resource.group else f"{self._url}/api"
        space = f"/namespaces/{NAMESPACE}" if resource.namespaced else ""
        return "/".join(part for part in (f"{base}/{resource.version}{space}/{resource.plural}", name, subresource) if part)

    async def _ask(self, method: str, path: str, body: Json = None, media: str = "application/json", **query: str) -> Manifest:
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, path, data=data, params=query, headers={"Content-Type": media}) as response:
            answer: Manifest = await response.json()
        if response.status >= 400:
            raise Refused(answer["code"], answer["reason"], answer["message"])
        return answer

    async def create(self, resource: ResourceType, manifest: Manifest) -> Manifest:
        manifest = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        return await self._ask("POST", self._path(resource), manifest)

    async def get(self, resource: ResourceType, name: str, subresource: str = "") -> Manifest:
        return await self._ask("GET", self._path(resource, name, subresource))

    async def names(self, resource: ResourceType, labels: str = "") -> list[str]:
        answer = await self._ask("GET", self._path(resource), labelSelector=labels)
        return [item["metadata"]["name"] for item in answer["items"]]

    async def update(self, resource: ResourceType, manifest: Manifest, subresource: str = "") -> Manifest:
        manifest = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        return await self._ask("PUT", self._path(resource, manifest["metadata"]["name"], subresource), manifest)

    async def patch(self, resource: ResourceType, name: str, kind: PatchKind, body: Json, subresource: str = "") -> Manifest:
        return await self._ask("PATCH", self._path(resource, name, subresource), body, kind.value)

    async def delete(self, resource: ResourceType, name: str, grace: int | None = None) -> None:
        await self._ask("DELETE", self._path(resource, name), None if grace is None else {"gracePeriodSeconds": grace})

    async def events(self, resource: ResourceType, since: str, count: int) -> list[tuple[str, Manifest]]:
        query = {"watch": "true", "resourceVersion": since}
        out: list[tuple[str, Manifest]] = []
        async with asyncio.timeout(10), self._session.get(self._path(resource), params=query) as response:
            while len(out) < count:
                event = json.loads(await response.content.readline())
                out.append((event["type"], event["object"]))
        return out


@pytest.fixture(params=["in process", "over HTTP"])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    store = Store()
    store.create(CRDS, WIDGETS)
    if request.param == "in process":
        yield InProcess(store)
        return
    async with ApiServer(store) as server, aiohttp.ClientSession() as session:
        yield OverHttp(store, session, server.url)


def widgets(cluster: Cluster, version: str = "v1") -> ResourceType:
    found = cluster.store.registry.kind(f"test.example.com/{version}", "Widget")
    assert found is not None
    return found


def widget(name: str, **spec: object) -> Manifest:
    return {"metadata": {"name": name}, "spec": {"size": "small", **spec}}


def replica_set(name: str) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "example.com/app:1"}]}}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}


async def test_what_is_created_is_completed_and_found_again(cluster: Cluster) -> None:
    created = await cluster.create(REPLICA_SETS, replica_set("a"))

    container = created["spec"]["template"]["spec"]["containers"][0]
    assert (created["spec"]["replicas"], container["imagePullPolicy"], created["status"]) == (1, "IfNotPresent", {"replicas": 0})
    assert await cluster.get(REPLICA_SETS, "a") == created
    assert await cluster.names(REPLICA_SETS, "app=a") == ["a"]
    assert await cluster.names(REPLICA_SETS, "app=b") == []


async def test_custom_resources_are_pruned_defaulted_and_checked(cluster: Cluster) -> None:
    kind = widgets(cluster)

    created = await cluster.create(kind, widget("a", odd=1))
    with pytest.raises(Refused) as refused:
        await cluster.create(kind, widget("b", size="huge"))

    assert created["spec"] == {"size": "small", "replicas": 1}
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert 'spec.size: Unsupported value: "huge": supported values: "small", "large"' in refused.value.message
    assert await cluster.names(kind) == ["a"]


async def test_all_versions_of_a_kind_show_the_same_object(cluster: Cluster) -> None:
    created = await cluster.create(widgets(cluster), widget("a"))

    seen = await cluster.get(widgets(cluster, "v1beta1"), "a")

    assert seen == {**created, "apiVersion": "test.example.com/v1beta1"}


async def test_taken_names_absent_objects_and_stale_writes_are_refused(cluster: Cluster) -> None:
    first = await cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    await cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"data": {"k": "2"}})
    said = []

    for attempt in (
        cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}),
        cluster.get(CONFIG_MAPS, "none"),
        cluster.update(CONFIG_MAPS, {**first, "data": {"k": "3"}}),
        cluster.patch(
            CONFIG_MAPS, "a", PatchKind.MERGE, {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {}}
        ),
    ):
        with pytest.raises(Refused) as refused:
            await attempt
        said.append((refused.value.code, refused.value.reason))

    assert said == [(409, "AlreadyExists"), (404, "NotFound"), (409, "Conflict"), (409, "Conflict")]
    assert (await cluster.get(CONFIG_MAPS, "a"))["data"] == {"k": "2"}


async def test_a_custom_resource_takes_no_strategic_patch_and_no_update_without_a_version(cluster: Cluster) -> None:
    kind = widgets(cluster)
    await cluster.create(kind, widget("a"))

    with pytest.raises(Refused) as strategic:
        await cluster.patch(kind, "a", PatchKind.STRATEGIC, {"spec": {"size": "large"}})
    with pytest.raises(Refused) as unversioned:
        await cluster.update(kind, widget("a", size="large"))

    assert (strategic.value.code, unversioned.value.code) == (415, 422)


async def test_status_and_scale_leave_the_rest_alone(cluster: Cluster) -> None:
    kind = widgets(cluster)
    await cluster.create(kind, widget("a"))

    await cluster.patch(kind, "a", PatchKind.MERGE, {"status": {"replicas": 3}, "spec": {"size": "large"}}, "status")
    scale = await cluster.patch(kind, "a", PatchKind.MERGE, {"spec": {"replicas": 7}}, "scale")

    seen = await cluster.get(kind, "a")
    assert (scale["spec"], scale["status"]) == ({"replicas": 7}, {"replicas": 3})
    assert (seen["spec"], seen["status"], seen["metadata"]["generation"]) == ({"size": "small", "replicas": 7}, {"replicas": 3}, 2)


async def test_a_watch_tells_every_change_in_order(cluster: Cluster) -> None:
    kind = widgets(cluster)
    since = (await cluster.create(kind, widget("old")))["metadata"]["resourceVersion"]
    created = await cluster.create(kind, widget("a"))
    changed = await cluster.patch(kind, "a", PatchKind.MERGE, {"spec": {"size": "large"}})
    await cluster.delete(kind, "a")

    events = await cluster.events(kind, since, 3)

    assert events[:2] == [("ADDED", created), ("MODIFIED", changed)]
    assert (events[2][0], events[2][1]["spec"]) == ("DELETED", changed["spec"])
    versions = [int(manifest["metadata"]["resourceVersion"]) for _, manifest in events]
    assert versions == sorted(set(versions))


async def test_a_pod_with_a_node_waits_until_its_grace_period_is_cut_to_nothing(cluster: Cluster) -> None:
    spec = {"nodeName": "n", "containers": [{"name": "main", "image": "example.com/app:1"}]}
    await cluster.create(PODS, {"metadata": {"name": "a"}, "spec": spec})

    await cluster.delete(PODS, "a")
    waiting = await cluster.get(PODS, "a")
    await cluster.delete(PODS, "a", grace=0)

    assert waiting["metadata"]["deletionGracePeriodSeconds"] == 30
    assert await cluster.names(PODS) == []


async def test_a_kind_comes_and_goes_with_its_definition(cluster: Cluster) -> None:
    kind = widgets(cluster)
    await cluster.create(kind, widget("a"))

    definition = await cluster.get(CRDS, "widgets.test.example.com")
    await cluster.delete(CRDS, "widgets.test.example.com")

    assert [condition["type"] for condition in definition["status"]["conditions"]] == ["NamesAccepted", "Established"]
    assert cluster.store.registry.kind("test.example.com/v1", "Widget") is None
    assert cluster.store.scan(kind) == []
