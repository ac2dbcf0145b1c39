"""A router in another process over HTTP, with answers that a test chooses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from fake_router import FakeRouter
from tiphys.kube.errors import ConflictError, NotFoundError
from tiphys.plugins.contract import About, Wish


@dataclass(slots=True)
class Chosen:
    """One answer that is given instead of the right one; a *late* one never comes."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    late: bool = False


class RouterServer:
    """Serves a `FakeRouter` by the contract; *chosen* answers every call instead."""

    def __init__(self) -> None:
        self.router = FakeRouter()
        self.chosen: Chosen | None = None
        self.forgetful_of_versions = False
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.url = ""
        self._over = asyncio.Event()

    @asynccontextmanager
    async def serve(self, context: ssl.SSLContext | None = None) -> AsyncIterator["RouterServer"]:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            self.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs, request.headers))
        if self.chosen is not None:
            if self.chosen.late:
                await self._over.wait()
            return web.Response(status=self.chosen.status, body=self.chosen.body, headers=self.chosen.headers)
        try:
            found = await self._right(request)
        except ConflictError as error:
            return web.json_response({"message": str(error)}, status=409)
        except NotFoundError as error:
            return web.json_response({"message": str(error)}, status=404)
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _right(self, request: web.Request) -> object:
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["healthz"]:
                return {}
            case "GET", ["v1", "router"]:
                return await self.router.introduce()
            case "GET", ["v1", "states"]:
                return {"states": await self.router.states()}
            case "GET", ["v1", "states", namespace, name]:
                return await self.router.state(namespace, name)
            case "PUT", ["v1", "states", _, _]:
                return await self._wish(await request.read())
            case "DELETE", ["v1", "states", namespace, name]:
                about = About(namespace=namespace, name=name, uid=request.query["uid"])
                await self.router.forget(about, version=request.query.get("version"))
                return {}
            case _:
                raise NotFoundError(404, "NotFound", "no such page")

    async def _wish(self, body: bytes) -> object:
        wish = msgspec.json.decode(body, type=Wish)
        if self.forgetful_of_versions:
            known = next((state for state in self.router.held.values() if state.rollout == wish.rollout), None)
            wish = msgspec.structs.replace(wish, version=None if known is None else known.version)
        return await self.router.wish(wish)
