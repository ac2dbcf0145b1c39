"""Does a round of requests count what was answered, and nothing else?"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle

import pytest
from aiohttp import web

from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import AskError
from tiphys.controller.prober import LARGEST_BODY, Prober
from tiphys.kube.clock import SystemClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/version"
    finally:
        await runner.cleanup()


async def probe(handler: Handler, *, requests: int = 20, round_seconds: float = 20.0, **request: object) -> Manifest:
    prober = Prober(SystemClock(), per_second=2000, settle=0, round_seconds=round_seconds)
    asked = {"method": "GET", "headers": {}, "hashHeader": "x-pod-hash", "hashField": "", "requests": requests, **request}
    async with served(handler) as url:
        return await prober.ask({"url": url, **asked})


async def test_answers_are_counted_by_the_hash_in_a_header() -> None:
    hashes = cycle(["aaa", "bbb", "bbb", "bbb"])

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(headers={"X-Pod-Hash": next(hashes)}, status=503)

    answer = await probe(handler)

    assert answer == {"requests": 20, "counts": {"aaa": 5, "bbb": 15}, "unnamed": 0, "failed": 0, "error": ""}


async def test_answers_are_counted_by_the_hash_in_a_field_of_the_body() -> None:
    bodies = cycle([b'{"pod": {"hash": "aaa"}}', b'{"pod": "aaa"}', b"no json", b'{"pod": {"hash": 5}}'])

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=next(bodies))

    answer = await probe(handler, hashHeader="", hashField="pod.hash")

    assert (answer["counts"], answer["unnamed"]) == ({"aaa": 5}, 15)


async def test_a_body_beyond_the_limit_tells_nothing() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b'{"hash": "aaa", "more": "' + b"x" * LARGEST_BODY + b'"}')

    answer = await probe(handler, hashHeader="", hashField="hash")

    assert (answer["counts"], answer["unnamed"]) == ({}, 20)


async def test_only_what_may_be_a_pod_hash_is_repeated() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(headers={"x-pod-hash": "root:x:0:0:secret"})

    answer = await probe(handler)

    assert answer == {"requests": 20, "counts": {}, "unnamed": 20, "failed": 0, "error": ""}


async def test_no_redirect_is_followed_and_no_cookie_kept() -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Cookie", "")))
        return web.Response(status=302, headers={"Location": "/elsewhere", "x-pod-hash": "aaa", "Set-Cookie": "sticky=aaa"})

    answer = await probe(handler)

    assert answer["counts"] == {"aaa": 20}
    assert set(seen) == {("/version", "")}


async def test_each_request_has_a_connection_of_its_own_and_the_headers_asked_for() -> None:
    peers: set[object] = set()
    hosts: set[str] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        hosts.add(f"{request.method} {request.host}")
        return web.Response(headers={"x-pod-hash": "aaa"})

    await probe(handler, headers={"Host": "shop.example"}, method="HEAD")

    assert len(peers) == 20
    assert hosts == {"HEAD shop.example"}


async def test_requests_without_an_answer_are_counted_with_the_last_error() -> None:
    good = cycle([True] * 4 + [False] * 12)

    async def handler(request: web.Request) -> web.Response:
        if not next(good):
            assert request.transport is not None
            request.transport.close()
        return web.Response(headers={"x-pod-hash": "aaa"})

    answer = await probe(handler)

    assert answer["counts"]["aaa"] + answer["failed"] == 20
    assert answer["failed"] > 0, "some were closed twice: the client itself tries once more"
    assert "disconnected" in answer["error"].lower()


async def test_a_round_ends_in_time_with_what_came() -> None:
    answered = iter(range(5))

    async def handler(_request: web.Request) -> web.Response:
        if next(answered, None) is None:
            await asyncio.Event().wait()
        return web.Response(headers={"x-pod-hash": "aaa"})

    answer = await probe(handler, round_seconds=1.0)

    assert (answer["counts"], answer["failed"], answer["error"]) == ({"aaa": 5}, 15, "the round took longer than 1 s")


async def test_where_nobody_answers_it_is_an_error() -> None:
    prober = Prober(SystemClock(), per_second=2000, settle=0)
    request = {"url": "http://127.0.0.1:1/", "method": "GET", "headers": {}, "hashHeader": "x", "hashField": "", "requests": 20}

    with pytest.raises(AskError, match="none of 20 requests was answered"):
        await prober.ask(request)
