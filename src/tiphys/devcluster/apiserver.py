"""How do real clients reach the development cluster? Over HTTP, on this machine only."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from tiphys.devcluster import discovery, openapi
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.http_handlers import Objects, no_such_resource, not_allowed, refusal
from tiphys.devcluster.http_media import decoded
from tiphys.devcluster.http_options import write_options
from tiphys.devcluster.http_paths import read_path
from tiphys.devcluster.reviews import answered, review_type
from tiphys.devcluster.storage import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.wire import Json

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_JSON = {"Content-Type": "application/json"}
_HEALTH = ("/healthz", "/livez", "/readyz")


def check_loopback(host: str) -> None:
    """
    Refuse an address that others could reach: everything is allowed here to whoever asks.

    Raises:
        ValueError: *host* is not a loopback address.

    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise ValueError(f"host: found {host}, wanted a loopback address such as 127.0.0.1 (the server lets everybody do everything)")


class ApiServer:
    """Serves one store over HTTP; *port* 0 takes a free one. Use `start` and `stop`, or `async with`."""

    def __init__(self, store: Store, *, host: str = "127.0.0.1", port: int = 0) -> None:
        check_loopback(host)
        self.store = store
        self.host = host
        self.port = port
        self._objects = Objects(store)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Where clients find the server, once it has started."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Begin to listen; after this `port` and `url` are right."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)  # type: ignore[no-untyped-call, unused-ignore]
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port)
        await site.start()
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """End all watches and stop listening."""
        for watch in list(self._objects.watches):
            watch.end()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> ApiServer:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            path = request.rel_url.raw_path
            target = read_path(path, self.store.registry)
            if target is not None:
                return await self._objects.answer(request, target)
            return await self._other(request, path)
        except StatusError as error:
            return refusal(error)
        except ConnectionResetError:
            return web.Response()  # the client went away: nobody reads this, and it is nobody's error
        except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an answer and a log line
            _log.exception("%s %s failed", request.method, request.path)
            return refusal(StatusError(500, f"Internal error occurred: {error!r}", details={"causes": [{"message": repr(error)}]}))

    async def _other(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer what is not about objects: discovery, descriptions, health, reviews."""
        registry = self.store.registry
        parts = path.strip("/").split("/")
        if path.rstrip("/") in ("/api", "/apis"):
            return self._groups(request, core=path.startswith("/api") and not path.startswith("/apis"))
        if path.rstrip("/") == "/version":
            if request.method not in ("GET", "HEAD"):
                raise not_allowed()
            return _json(discovery.VERSION)
        if parts[0] in ("healthz", "livez", "readyz"):
            return web.Response(text="ok")
        if parts[0] == "openapi":
            return self._description(request, parts)
        found: dict[str, Any] | None = None
        if parts[0] == "api" and len(parts) == 2:
            found = discovery.resource_list(registry, "", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(registry, parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resource_list(registry, parts[1], parts[2])
        elif parts[0] == "apis" and len(parts) in (4, 6):
            kind = review_type(parts[1], parts[2], parts[-1])
            if kind is not None:
                return await self._review(request, kind)
        if found is not None:
            return _json(found)
        return _nothing_here(registry_knows=(len(parts) > 1 and parts[0] == "api") or _is_built_in(parts), path=path)

    async def _review(self, request: web.BaseRequest, kind: ResourceType) -> web.Response:
        if request.method != "POST":
            raise not_allowed()
        media = request.headers.get("Content-Type", "").partition(";")[0].strip()
        body = decoded(await request.content.read(), media, kind)
        options = write_options(request.query, request.headers.get("User-Agent", ""), "CreateOptions")
        return _json(answered(body, self.store.admission(kind, manager=options.manager)), status=201)

    def _groups(self, request: web.BaseRequest, *, core: bool) -> web.Response:
        accept = request.headers.get("Accept", "")
        registry = self.store.registry
        if "apidiscovery.k8s.io" in accept and "v=v2" in accept:
            body = _encode(discovery.aggregated(registry, core=core))
            return web.Response(body=body, headers={"Content-Type": discovery.AGGREGATED})
        return _json(discovery.api_versions() if core else discovery.group_list(registry))

    def _description(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        registry = self.store.registry
        if parts[1:] == ["v2"]:
            if "protobuf" in request.headers.get("Accept", ""):
                return web.Response(body=openapi.version_2_in_proto(), headers={"Content-Type": openapi.PROTO})
            return _json(openapi.version_2())
        found: dict[str, Any] | None = None
        if parts[1:] == ["v3"]:
            found = openapi.index(registry)
        elif parts[1:3] == ["v3", "api"] and len(parts) == 4:
            found = openapi.describe(registry, "", parts[3])
        elif parts[1:3] == ["v3", "apis"] and len(parts) == 5:
            found = openapi.describe(registry, parts[3], parts[4])
        if found is None:
            raise no_such_resource()
        return _json(found)


def _is_built_in(parts: Sequence[str]) -> bool:
    """Say whether a path lies in a group of the real server itself, whose 404 is a Status and not a line of text."""
    return len(parts) > 1 and (parts[1].endswith(".k8s.io") or "." not in parts[1])


def _nothing_here(*, registry_knows: bool, path: str) -> web.Response:
    if registry_knows:
        raise no_such_resource()
    if path.startswith("/apis/"):
        return web.Response(status=404, text="404 page not found\n")
    return _json({"paths": ["/api", "/api/v1", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"]}, status=404)


def _json(body: Json, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(body), headers=_JSON)


async def _serve(host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stopped.set)
    async with ApiServer(Store(), host=host, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve an empty cluster until interrupted: `python -m tiphys.devcluster.apiserver --port N`."""
    parser = argparse.ArgumentParser(prog="python -m tiphys.devcluster.apiserver", description="An API server for development.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args(arguments)
    try:
        check_loopback(chosen.host)
    except ValueError as error:
        parser.error(str(error))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(chosen.host, chosen.port))


def _loop_factory() -> Json:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not to be had everywhere

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
