"""Does a pod's HTTP server keep to the protocol, on sockets?"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.podserver import Answer, PodServer

PORT = 8080


class Pod:
    """A pod's server, and the connections to it; all are closed at the end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.servers: list[PodServer] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def started(self, *, status: int = 200, latency: float = 0.0) -> PodServer:
        server = PodServer(Answer(version="v1", hash="abc", pod="web-1", status=status, latency=latency))
        await server.listen(self.address, (PORT,))
        self.servers.append(server)
        return server

    async def connection(self) -> "Connection":
        reader, writer = await asyncio.open_connection(self.address, PORT)
        self.writers.append(writer)
        return Connection(reader, writer)

    async def end(self) -> None:
        for writer in self.writers:
            writer.close()
        for server in self.servers:
            server.abort()
        for writer in self.writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    addresses = LoopbackAddresses()
    running = Pod(addresses.take())
    yield running
    await running.end()
    addresses.close()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        content = await self.reader.readexactly(int(headers["content-length"])) if body and "content-length" in headers else b""
        return int(first.split()[1]), headers, content

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(request)
        return await self.answer()

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 10) == b""


async def test_an_answer_says_version_hash_and_pod(pod: Pod) -> None:
    await pod.started()
    connection = await pod.connection()

    status, headers, body = await connection.ask(b"GET /any HTTP/1.1\r\nHost: web\r\n\r\n")

    assert status == 200
    assert json.loads(body) == {"version": "v1", "hash": "abc", "pod": "web-1"}
    assert (headers["x-version"], headers["x-hash"], headers["x-pod"]) == ("v1", "abc", "web-1")


async def test_a_connection_serves_many_requests_also_when_they_come_together(pod: Pod) -> None:
    server = await pod.started()
    connection = await pod.connection()

    connection.writer.write(b"GET /1 HTTP/1.1\r\nHost: web\r\n\r\n" * 3 + b"GET /4 HTTP/1.1\r\nHo")
    for _ in range(3):
        assert (await connection.answer())[0] == 200
    assert server.served.requests == 3
    assert (await connection.ask(b"st: web\r\n\r\n"))[0] == 200
    assert server.served.requests == 4


async def test_bodies_are_taken_by_length_and_in_chunks(pod: Pod) -> None:
    server = await pod.started()
    connection = await pod.connection()

    sized = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 12\r\n\r\nGET / HTTP/1"
    chunked = b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
    assert (await connection.ask(sized))[0] == 200
    assert (await connection.ask(chunked))[0] == 200
    assert (await connection.ask(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"))[0] == 200

    assert server.served.requests == 3


async def test_a_client_that_waits_for_permission_gets_it(pod: Pod) -> None:
    await pod.started()
    connection = await pod.connection()

    connection.writer.write(b"PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert (await connection.answer())[0] == 100
    assert (await connection.ask(b"ab"))[0] == 200


async def test_a_head_request_gets_no_body(pod: Pod) -> None:
    await pod.started()
    connection = await pod.connection()

    connection.writer.write(b"HEAD / HTTP/1.1\r\nHost: web\r\n\r\n")
    status, headers, _ = await connection.answer(body=False)
    assert (status, int(headers["content-length"]) > 0) == (200, True)
    assert (await connection.ask(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_not_counted(pod: Pod, nonsense: bytes) -> None:
    server = await pod.started()
    connection = await pod.connection()

    status, headers, _ = await connection.ask(nonsense)

    assert (status, headers["connection"]) == (400, "close")
    assert await connection.ended()
    assert server.served.requests == 0


async def test_mirrored_requests_and_looks_at_the_counts_are_not_requests(pod: Pod) -> None:
    await pod.started(status=500)
    connection = await pod.connection()

    await connection.ask(b"GET / HTTP/1.1\r\nhost: web-shadow\r\n\r\n")
    await connection.ask(b"GET / HTTP/1.1\r\nhost: web-shadow:80\r\n\r\n")
    await connection.ask(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
    _, _, counts = await connection.ask(b"GET /-/counts HTTP/1.1\r\nhost: web\r\n\r\n")

    assert json.loads(counts) == {"requests": 1, "mirrored": 2, "errors": 1}


async def test_a_draining_pod_answers_and_sends_its_clients_away(pod: Pod) -> None:
    server = await pod.started()
    connection = await pod.connection()
    await connection.ask(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")

    server.drain()
    late = await pod.connection()

    for each in (connection, late):
        status, headers, _ = await each.ask(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        assert (status, headers["connection"]) == (200, "close")
        assert await each.ended()


async def test_a_closing_pod_finishes_what_it_began_and_takes_nothing_new(pod: Pod) -> None:
    server = await pod.started(latency=0.2)
    busy, idle = await pod.connection(), await pod.connection()
    busy.writer.write(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
    await idle.ask(b"GET /-/counts HTTP/1.1\r\nHost: web\r\n\r\n")

    assert server.busy == 1
    server.close()

    assert await idle.ended()
    assert (await busy.answer())[0] == 200
    assert await busy.ended()
    with pytest.raises(ConnectionRefusedError):
        await pod.connection()


async def test_a_port_that_is_taken_is_an_error(pod: Pod) -> None:
    await pod.started()

    with pytest.raises(OSError, match="address already in use"):
        await pod.started()


def test_two_clusters_never_share_an_address() -> None:
    first, second = LoopbackAddresses(), LoopbackAddresses()

    taken = [each.take() for each in (first, second) for _ in range(300)]

    assert len(set(taken)) == 600
    first.close()
    second.close()
