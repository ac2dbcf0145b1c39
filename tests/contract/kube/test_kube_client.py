"""Does the client keep its promises against a server that speaks HTTP?"""

import asyncio
import gc
import json
import socket
from collections.abc import Callable

import msgspec
import pytest
from aiohttp import web
from yarl import URL

from clocks import VirtualClock
from kube_fakes import WIDGETS, status
from kube_server import Fault, KubeServer
from tiphys.kube.client import Client, PatchKind
from tiphys.kube.clock import Clock
from tiphys.kube.connection import Connection
from tiphys.kube.credentials import Credential, CredentialSource, FixedCredentials, bearer
from tiphys.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    DecodeError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from tiphys.kube.resources import PODS, Resource
from tiphys.kube.transport import Limits, Observer


class Meta(msgspec.Struct):
    name: str


class Widget(msgspec.Struct):
    metadata: Meta
    size: int = 0


class Rotating:
    """Credentials of which a new one is there when the old one is refused."""

    def __init__(self, *tokens: str) -> None:
        self._credentials = [Credential(bearer(token)) for token in tokens]
        self.renewals = 0

    async def current(self) -> Credential:
        return self._credentials[0]

    async def renew(self, rejected: Credential) -> bool:
        self.renewals += 1
        if len(self._credentials) > 1:
            self._credentials.pop(0)
        return self._credentials[0] != rejected


class Tireless(VirtualClock):
    """A clock on which sleeping takes no time and is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def client(  # a keyword for each seam
    server: KubeServer,
    *,
    credentials: CredentialSource | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
    on_warning: Callable[[str], None] | None = None,
    field_manager: str = "",
    user_agent: str = "test",
) -> Client:
    connection = Connection(server=server.url, credentials=credentials or FixedCredentials(), origin="the test")
    return Client(
        connection,
        clock=clock,
        limits=limits,
        observer=observer,
        on_warning=on_warning,
        field_manager=field_manager,
        user_agent=user_agent,
    )


async def test_an_object_goes_through_its_life() -> None:
    async with KubeServer().running() as server, client(server, field_manager="helm") as kube:
        body = {"metadata": {"name": "a"}, "size": 1}

        created = await kube.create(WIDGETS, body, namespace="ns", into=Widget)
        patched = await kube.patch(WIDGETS, "a", {"size": 2}, namespace="ns")
        read = await kube.get(WIDGETS, "a", namespace="ns")
        await kube.update(WIDGETS, "a", {**read, "size": 3}, namespace="ns")
        listed = await kube.list(WIDGETS, namespace="ns", into=Widget)
        await kube.delete(WIDGETS, "a", namespace="ns", uid=read["metadata"]["uid"])

        assert (created.size, patched["size"], read, [each.size for each in listed]) == (1, 2, patched, [3])
        assert await kube.list(WIDGETS) == []
        assert [asked.query.get("fieldManager") for asked in server.asked if asked.method in {"POST", "PATCH", "PUT"}] == ["helm"] * 3


async def test_parameters_go_where_the_api_wants_them() -> None:
    async with KubeServer().running() as server, client(server, user_agent="helm/1") as kube:
        server.objects.put("a")

        await kube.patch(WIDGETS, "a", {}, namespace="ns", kind=PatchKind.APPLY, field_manager="m", force=True, dry_run=True)

        assert server.last.query == {"fieldManager": "m", "force": "true", "dryRun": "All"}
        assert server.last.headers["Content-Type"] == "application/apply-patch+yaml"
        assert server.last.headers["User-Agent"] == "helm/1"

        await kube.patch_subresource(WIDGETS, "a", "status", {"x": 1}, namespace="ns")

        assert (server.last.path, server.last.body) == (WIDGETS.path("ns", "a", "status"), b'{"x":1}')

        await kube.get_subresource(WIDGETS, "a", "scale", namespace="ns")

        assert (server.last.method, server.last.path) == ("GET", WIDGETS.path("ns", "a", "scale"))

        await kube.delete(WIDGETS, "a", namespace="ns", propagation="Orphan", grace_seconds=3, dry_run=True)

        assert json.loads(server.last.body) == {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan",
            "gracePeriodSeconds": 3,
            "dryRun": ["All"],
        }


async def test_a_selector_is_encoded_and_lists_are_not_packed() -> None:
    async with KubeServer().running() as server, client(server) as kube:
        await kube.list(WIDGETS, label_selector="a in (b,c),d!=e", field_selector="metadata.name=x")

        assert server.last.query == {"limit": "500", "labelSelector": "a in (b,c),d!=e", "fieldSelector": "metadata.name=x"}
        assert server.last.headers["Accept-Encoding"] == "identity"


async def test_a_list_follows_its_pages_and_begins_again_when_one_is_gone() -> None:
    async with KubeServer().running() as server, client(server) as kube:
        for number in range(5):
            server.objects.put(f"w{number}", size=number)
        server.page_size = 2
        server.faults.extend([None, Fault(code=410, body=status(410, "Expired"))])

        listed = await kube.list(WIDGETS, into=Widget)

        assert [each.size for each in listed] == [0, 1, 2, 3, 4]
        assert server.times("GET") == 5


async def test_a_list_that_is_always_gone_is_an_error() -> None:
    async with KubeServer().running() as server, client(server) as kube:
        server.faults.extend([Fault(code=410, body=status(410, "Expired"))] * 3)

        with pytest.raises(GoneError):
            await kube.list(WIDGETS)


async def test_an_eviction_asks_and_a_budget_may_refuse() -> None:
    async with KubeServer().running() as server, client(server, clock=Tireless(), field_manager="helm") as kube:
        refused = status(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
        server.faults.append(Fault(code=429, body=refused, headers={"Retry-After": "10"}))

        with pytest.raises(ThrottledError, match="disruption budget") as caught:
            await kube.evict("p", namespace="ns", grace_seconds=5)

        assert caught.value.retry_after == 10.0
        assert (server.last.path, len(server.asked)) == (f"{PODS.path('ns', 'p', 'eviction')}?fieldManager=helm", 1)
        assert json.loads(server.last.body) == {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "p", "namespace": "ns"},
            "deleteOptions": {"gracePeriodSeconds": 5},
        }


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (409, "Conflict", ConflictError),
        (409, "AlreadyExists", AlreadyExistsError),
        (410, "Expired", GoneError),
        (422, "Invalid", InvalidError),
        (500, "InternalError", ApiError),
    ],
)
async def test_each_refusal_has_its_error(code: int, reason: str, kind: type[ApiError]) -> None:
    async with KubeServer().running() as server, client(server) as kube:
        server.faults.append(Fault(code=code, body=status(code, reason, "because", details={"name": "a"})))

        with pytest.raises(ApiError, match="because") as caught:
            await kube.get(WIDGETS, "a", namespace="ns")

        assert (type(caught.value), caught.value.status, caught.value.reason) == (kind, code, reason)
        assert caught.value.details == {"name": "a"}


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "", ["strange"], {"kind": "Strange", "message": 3}])
async def test_an_answer_that_is_no_status_is_an_error_all_the_same(body: object) -> None:
    async with KubeServer().running() as server, client(server) as kube:
        server.faults.append(Fault(code=502, body=body))

        with pytest.raises(ApiError, match="the API server answered 502") as caught:
            await kube.get(WIDGETS, "a", namespace="ns")

        assert caught.value.status == 502


async def test_an_answer_of_another_form_names_the_request_and_the_field() -> None:
    async with KubeServer().running() as server, client(server) as kube:
        server.objects.put("a", size="big")

        with pytest.raises(DecodeError, match=r"the answer to GET .*/widgets/a: Expected `int`, got `str` - at `\$.size`"):
            await kube.get(WIDGETS, "a", namespace="ns", into=Widget)


async def test_a_stale_resource_version_is_a_conflict() -> None:
    async with KubeServer().running() as server, client(server) as kube:
        old = server.objects.put("a", size=1)
        server.objects.put("a", size=2)

        with pytest.raises(ConflictError):
            await kube.patch(WIDGETS, "a", {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}, namespace="ns")


async def test_too_many_requests_are_waited_out_as_long_as_the_server_says() -> None:
    clock = Tireless()
    async with KubeServer().running() as server, client(server, clock=clock) as kube:
        server.objects.put("a", size=1)
        server.faults.extend([Fault(code=429, body=status(429), headers={"Retry-After": "7"}), Fault(code=429, body="busy")])

        assert (await kube.patch(WIDGETS, "a", {"size": 2}, namespace="ns"))["size"] == 2
        assert clock.slept == [7.0, 1.0]


async def test_patience_has_an_end() -> None:
    clock = Tireless()
    async with KubeServer().running() as server, client(server, clock=clock, limits=Limits(attempts=3)) as kube:
        server.faults.extend([Fault(code=429, body=status(429), headers={"Retry-After": "1"})] * 5)

        with pytest.raises(ThrottledError):
            await kube.get(WIDGETS, "a", namespace="ns")

        assert (len(server.asked), clock.slept) == (3, [1.0, 1.0])

        server.faults.clear()
        server.faults.append(Fault(code=429, body=status(429), headers={"Retry-After": "3600"}))

        with pytest.raises(ThrottledError):
            await kube.get(WIDGETS, "a", namespace="ns")


async def test_a_creation_that_was_throttled_is_not_repeated_behind_the_callers_back() -> None:
    async with KubeServer().running() as server, client(server, clock=Tireless()) as kube:
        server.faults.append(Fault(code=429, body=status(429), headers={"Retry-After": "1"}))

        with pytest.raises(ThrottledError):
            await kube.create(WIDGETS, {"metadata": {"name": "a"}}, namespace="ns")

        assert len(server.asked) == 1


async def test_expired_credentials_are_renewed_once() -> None:
    credentials = Rotating("old", "new")
    async with KubeServer().running() as server, client(server, credentials=credentials) as kube:
        server.tokens = {"new"}

        await kube.create(WIDGETS, {"metadata": {"name": "a"}}, namespace="ns")

        assert (credentials.renewals, len(server.asked)) == (1, 2)
        assert server.last.headers["Authorization"] == "Bearer new"


async def test_credentials_that_stay_refused_say_where_they_come_from_and_not_what_they_are() -> None:
    async with KubeServer().running() as server, client(server, credentials=Rotating("s3cret", "s3cret-2")) as kube:
        server.tokens = set()

        with pytest.raises(UnauthorizedError, match="does not accept the credentials from the test") as caught:
            await kube.get(WIDGETS, "a", namespace="ns")

        assert len(server.asked) == 2
        assert "s3cret" not in repr(caught.value)


async def test_a_watch_renews_credentials_too() -> None:
    async with KubeServer().running() as server, client(server, credentials=Rotating("old", "new")) as kube:
        server.tokens = {"new"}
        server.objects.put("a")

        async with kube.stream(WIDGETS, query={"watch": "true", "resourceVersion": "100"}) as chunks:
            first = await anext(chunks)

        assert json.loads(first)["type"] == "ADDED"


async def test_the_observer_is_told_of_every_attempt() -> None:
    told: list[tuple[str, Resource | None, str | None, str | None, int]] = []
    async with KubeServer().running() as server:
        observer = lambda verb, resource, namespace, name, code, _: told.append((verb, resource, namespace, name, code))  # noqa: E731 - short
        async with client(server, credentials=Rotating("old", "new"), observer=observer) as kube:
            server.tokens = {"new"}
            await kube.list(WIDGETS, namespace="ns")
            async with kube.stream(WIDGETS, query={"watch": "true", "resourceVersion": "100"}):
                pass
    async with client(server, observer=observer) as kube:
        with pytest.raises(UnreachableError):
            await kube.delete(WIDGETS, "a", namespace="ns")

    assert told == [
        ("list", WIDGETS, "ns", None, 401),
        ("list", WIDGETS, "ns", None, 200),
        ("watch", WIDGETS, None, None, 200),
        ("delete", WIDGETS, "ns", "a", 0),
    ]


async def test_warnings_of_the_server_are_passed_on() -> None:
    heard: list[str] = []
    async with KubeServer().running() as server, client(server, on_warning=heard.append) as kube:
        server.objects.put("a")
        server.warning = r"unknown field \"spec.x\""

        await kube.get(WIDGETS, "a", namespace="ns")

    assert heard == ['unknown field "spec.x"']


async def test_open_watches_keep_no_request_waiting() -> None:
    async with KubeServer().running() as server, client(server, limits=Limits(connections=1)) as kube:
        server.objects.put("a", size=1)
        query = {"watch": "true", "resourceVersion": str(server.objects.version)}
        async with kube.stream(WIDGETS, query=query), kube.stream(WIDGETS, query=query):
            read = await kube.get(WIDGETS, "a", namespace="ns")

    assert read["size"] == 1


async def test_a_server_that_is_not_there_is_named_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with Client(Connection(server=url)) as kube:
        with pytest.raises(UnreachableError) as caught:
            await kube.get(PODS, "a", namespace="ns")

    assert str(caught.value) == f"cannot reach the API server {url}: connection refused"


async def test_a_name_that_nobody_knows_is_named() -> None:
    async with Client(Connection(server="https://nowhere.invalid:6443")) as kube:
        with pytest.raises(UnreachableError, match=r"^cannot reach the API server https://nowhere.invalid:6443: the name nowhere.invalid"):
            await kube.get(PODS, "a", namespace="ns")


async def test_a_server_that_does_not_answer_in_time_is_unreachable() -> None:
    async with KubeServer().running() as server, client(server, limits=Limits(request_timeout=0.2)) as kube:
        server.half_open = True

        with pytest.raises(UnreachableError, match=r"no answer within 0.2 s"):
            await kube.request("GET", WIDGETS.path(), query={"watch": "true", "resourceVersion": "100"})


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"])
async def test_what_is_no_api_server_is_unreachable(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    strange = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{strange.sockets[0].getsockname()[1]}"
    async with strange, Client(Connection(server=url)) as kube:
        with pytest.raises(UnreachableError, match=url):
            await kube.get(PODS, "a", namespace="ns")


async def test_a_server_below_a_path_keeps_its_path() -> None:
    async with KubeServer().running() as server:
        async with Client(Connection(server=f"{server.url}/k8s/clusters/c-1/")) as kube:
            with pytest.raises(NotFoundError):
                await kube.get(PODS, "a", namespace="ns")

        assert server.last.path == "/k8s/clusters/c-1/api/v1/namespaces/ns/pods/a"


async def test_impersonation_goes_with_every_request() -> None:
    headers = (("Impersonate-User", "eve"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
    seen: list[list[str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append([request.headers["Impersonate-User"], *request.headers.getall("Impersonate-Group")])
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Client(Connection(server=f"http://127.0.0.1:{runner.addresses[0][1]}", headers=headers)) as kube:
        await kube.get(PODS, "a", namespace="ns")
    await runner.cleanup()

    assert seen == [["eve", "a", "b"]]


async def test_rule_8_a_proxy_is_used_and_named_when_it_is_not_there() -> None:
    async with KubeServer().running() as proxy:
        connection = Connection(server="http://kube.example", proxy=URL(proxy.url).with_user("me").with_password("s3cr3t"))
        async with Client(connection) as kube:
            assert await kube.list(WIDGETS) == []
        asked = proxy.last
    async with Client(connection) as kube:
        with pytest.raises(UnreachableError) as caught:
            await kube.list(WIDGETS)

    assert (asked.headers["Host"], asked.headers["Proxy-Authorization"].split()[0]) == ("kube.example", "Basic")
    assert (
        str(caught.value) == f"cannot reach the API server http://kube.example: the proxy {proxy.url} cannot be reached: connection refused"
    )


async def test_a_closed_client_leaves_nothing_open() -> None:
    async with KubeServer().running() as server:
        kube = client(server)
        await kube.list(WIDGETS)
        async with kube.stream(WIDGETS, query={"watch": "true", "resourceVersion": "100"}) as chunks:
            await kube.close()
            with pytest.raises((KubeError, StopAsyncIteration)):
                await anext(chunks)
        del kube
        gc.collect()
