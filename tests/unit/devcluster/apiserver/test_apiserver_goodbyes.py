"""A client that goes away in the middle of an answer is nobody's error."""

import asyncio
import logging
from typing import NoReturn

import pytest
from aiohttp import web

from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.http_handlers import Objects
from tiphys.devcluster.http_paths import Target
from tiphys.devcluster.storage import Store


class HungUp(Objects):
    """Finds at its first write that the client's connection is closing."""

    async def answer(self, request: web.BaseRequest, target: Target) -> NoReturn:
        del request, target
        raise ConnectionResetError("Cannot write to closing transport")


async def test_a_client_that_hangs_up_leaves_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    async with ApiServer(store) as server:
        server._objects = HungUp(store)
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        writer.write(b"GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
