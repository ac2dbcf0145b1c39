"""What only HTTP has: forms of answers, warnings, watches that end, discovery."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from devcluster_objects import deployment
from protobuf_writer import config_map, enveloped, written
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import CONFIG_MAPS, CRDS, DEPLOYMENTS
from tiphys.devcluster.storage import Store

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PROTOBUF = {"Content-Type": "application/vnd.kubernetes.protobuf"}
CONFIG_MAP_PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(Store()) as running:
        yield running


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session


def create(server: ApiServer, name: str) -> dict[str, Any]:
    return server.store.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": {"k": "v"}}, namespace="default")


async def test_a_list_can_be_had_as_a_table(server: ApiServer, client: aiohttp.ClientSession) -> None:
    create(server, "a")

    async with client.get(CONFIG_MAP_PATH, headers={"Accept": TABLE}) as response:
        table = await response.json()

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table["rows"]] == [["a", 1]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_unknown_fields_are_warned_of_or_refused_as_asked(client: aiohttp.ClientSession) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dota": {"k": "v"}}

    async with client.post(CONFIG_MAP_PATH, json=body, params={"fieldValidation": "Strict"}) as response:
        strict = response.status, (await response.json())["message"]
    async with client.post(CONFIG_MAP_PATH, json=body) as response:
        warned = response.status, response.headers["Warning"]

    assert strict == (400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dota"')
    assert warned == (201, '299 - "unknown field \\"dota\\""')


async def test_a_watch_list_says_when_the_beginning_is_complete(server: ApiServer, client: aiohttp.ClientSession) -> None:
    created = create(server, "a")
    query = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}

    async with asyncio.timeout(10), client.get(CONFIG_MAP_PATH, params=query) as response:
        first, second = json.loads(await response.content.readline()), json.loads(await response.content.readline())
        later = create(server, "b")
        third = json.loads(await response.content.readline())

    assert first == {"type": "ADDED", "object": created}
    assert second["type"] == "BOOKMARK"
    assert second["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert second["object"]["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    assert third == {"type": "ADDED", "object": later}


async def test_a_watch_ends_when_its_time_is_up(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(10), client.get(CONFIG_MAP_PATH, params={"watch": "true", "timeoutSeconds": "1"}) as response:
        assert await response.read() == b""


async def test_a_watch_from_a_forgotten_version_is_told_410(server: ApiServer, client: aiohttp.ClientSession) -> None:
    since = server.store.version
    create(server, "a")
    server.store.compact()

    query = {"watch": "true", "resourceVersion": str(since)}
    async with asyncio.timeout(10), client.get(CONFIG_MAP_PATH, params=query) as response:
        event = json.loads(await response.read())

    assert (response.status, event["type"], event["object"]["code"], event["object"]["reason"]) == (200, "ERROR", 410, "Expired")


async def test_stopping_the_server_ends_its_watches() -> None:
    server = ApiServer(Store())
    await server.start()
    async with aiohttp.ClientSession(server.url) as client, asyncio.timeout(10):
        async with client.get(CONFIG_MAP_PATH, params={"watch": "true"}) as response:
            stopping = asyncio.create_task(server.stop())
            assert await response.read() == b""
        await stopping


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/api", "", "APIVersions"),
        ("/apis", "", "APIGroupList"),
        ("/apis/apps", "", "APIGroup"),
        ("/apis/apps/v1", "", "APIResourceList"),
        ("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "APIGroupDiscoveryList"),
    ],
)
async def test_discovery_is_served_in_both_forms(client: aiohttp.ClientSession, path: str, accept: str, kind: str) -> None:
    async with client.get(path, headers={"Accept": accept or "application/json"}) as response:
        answer = await response.json()

    assert (response.status, answer["kind"]) == (200, kind)
    assert response.headers["Content-Type"] == (accept or "application/json")


async def test_the_description_leaves_field_validation_to_the_server(client: aiohttp.ClientSession) -> None:
    async with client.get("/openapi/v3") as response:
        index = await response.json()
    async with client.get(index["paths"]["apis/apps/v1"]["serverRelativeURL"]) as response:
        described = await response.json()

    patch = described["paths"]["/apis/apps/v1/namespaces/{namespace}/replicasets/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "ReplicaSet", "version": "v1"}
    assert patch["x-kubernetes-action"] == "patch"
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/apis/absent.example.com/v1/things", 404),
        ("GET", "/api/v1/namespaces/default/absent", 404),
        ("PUT", CONFIG_MAP_PATH, 405),
        ("DELETE", "/api/v1/namespaces/default/pods/a/status", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/healthz", 200),
        ("GET", "/version/", 200),
    ],
)
async def test_other_paths_answer_as_a_cluster_does(client: aiohttp.ClientSession, method: str, path: str, status: int) -> None:
    async with client.request(method, path) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n", 201),
        ("application/json", "{nope", 400),
        ("text/plain", "{}", 415),
    ],
)
async def test_bodies_are_json_or_yaml(client: aiohttp.ClientSession, media: str, body: str, status: int) -> None:
    async with client.post(CONFIG_MAP_PATH, data=body.encode(), headers={"Content-Type": media}) as response:
        assert response.status == status


async def test_bodies_may_be_protobuf_and_are_answered_in_json(client: aiohttp.ClientSession) -> None:
    async with client.post(CONFIG_MAP_PATH, data=config_map("a", k="ä!"), headers=PROTOBUF) as response:
        created = response.status, response.headers["Content-Type"], (await response.json())["data"]
    async with client.put(f"{CONFIG_MAP_PATH}/a", data=config_map("a", k="new"), headers=PROTOBUF) as response:
        updated = response.status, (await response.json())["data"]

    assert created == (201, "application/json", {"k": "ä!"})
    assert updated == (200, {"k": "new"})


async def test_delete_options_may_be_protobuf(server: ApiServer, client: aiohttp.ClientSession) -> None:
    create(server, "a")
    stale = enveloped("v1", "DeleteOptions", written(2, written(1, b"another-uid")))

    async with client.delete(f"{CONFIG_MAP_PATH}/a", data=stale, headers=PROTOBUF) as response:
        refused = response.status, (await response.json())["message"].split(" in the")[0]
    async with client.delete(f"{CONFIG_MAP_PATH}/a", data=config_map("a"), headers=PROTOBUF) as response:
        confused = response.status, (await response.json())["message"]
    async with client.delete(f"{CONFIG_MAP_PATH}/a", data=enveloped("v1", "DeleteOptions", b""), headers=PROTOBUF) as response:
        done = response.status

    assert refused == (409, 'Operation cannot be fulfilled on ConfigMap "a": the UID')
    assert confused == (400, "decoded object cannot be converted to DeleteOptions")
    assert done == 200


async def test_a_scale_may_be_protobuf(server: ApiServer, client: aiohttp.ClientSession) -> None:
    server.store.create(DEPLOYMENTS, deployment("web"), namespace="default")
    scale = enveloped("autoscaling/v1", "Scale", written(1, written(1, b"web")) + written(2, b"\x08\x05"))

    async with client.put("/apis/apps/v1/namespaces/default/deployments/web/scale", data=scale, headers=PROTOBUF) as response:
        answer = await response.json()

    assert (response.status, answer["kind"], answer["spec"]) == (200, "Scale", {"replicas": 5})
    assert server.store.get(DEPLOYMENTS, "web", namespace="default")["spec"]["replicas"] == 5


@pytest.mark.parametrize(
    ("path", "sent", "words"),
    [
        (
            CONFIG_MAP_PATH,
            b"k8s",
            "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a protobuf message, "
            "expected prefix [107 56 115 0] (6b3873)",
        ),
        (
            CONFIG_MAP_PATH,
            enveloped("v1", "ConfigMap", b"\x0a\x7f"),
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF',
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            b"k8s\0\x0f",
            "the object provided is unrecognized (must be of type SelfSubjectAccessReview): proto: illegal wireType 7 (6b3873000f)",
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments",
            config_map("a"),
            "the API version in the data (v1) does not match the expected API version (apps/v1)",
        ),
        (
            "/apis/traefik.io/v1alpha1/namespaces/default/middlewares",
            enveloped("traefik.io/v1alpha1", "Middleware", b""),
            'Middleware in version "v1alpha1" cannot be handled as a Middleware: object *unstructured.Unstructured does not implement '
            "the protobuf marshalling interface and cannot be encoded to a protobuf message",
        ),
    ],
)
async def test_protobuf_that_is_no_object_of_the_kind_is_refused(
    server: ApiServer, client: aiohttp.ClientSession, path: str, sent: bytes, words: str
) -> None:
    for definition in foreign_definitions("traefik.io"):
        server.store.create(CRDS, definition)

    async with client.post(path, data=sent, headers=PROTOBUF) as response:
        refused = await response.json()

    assert (response.status, refused["message"]) == (400, words)


async def test_answers_in_protobuf_cannot_be_had(client: aiohttp.ClientSession) -> None:
    async with client.get(CONFIG_MAP_PATH, headers={"Accept": PROTOBUF["Content-Type"]}) as response:
        refused = await response.json()

    assert (response.status, refused["message"]) == (
        406,
        "only the following media types are accepted: application/json, application/yaml",
    )


async def test_everybody_may_do_everything(client: aiohttp.ClientSession) -> None:
    review = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}

    async with client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review) as response:
        answer = await response.json()

    assert (response.status, answer["status"]) == (201, {"allowed": True})
