"""An API server over HTTP that keeps its promises, and breaks them when told to."""

import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kube_fakes import WIDGETS, FakeObjects, status
from tiphys.kube.diff import apply_merge_patch
from tiphys.kube.errors import GoneError

Manifest = dict[str, Any]
COLLECTION = f"/apis/{WIDGETS.api_version}/{{tail:.*}}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One answer that is given instead of the right one."""

    code: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    common_name: str = ""


class KubeServer:
    """
    Serves widgets, and any document in *documents*.

    *tokens* are the accepted ones (None: everybody); *faults* are answered first, None is no fault; a *half_open* server accepts watches
    and says nothing; *warning* goes with every answer.
    """

    def __init__(self) -> None:
        self.objects = FakeObjects()
        self.documents: dict[str, Manifest] = {}
        self.tokens: set[str] | None = None
        self.faults: deque[Fault | None] = deque()
        self.asked: list[Asked] = []
        self.half_open = False
        self.page_size = 0
        self.warning = ""
        self.url = ""
        self.host = "127.0.0.1"

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None, *, port: int = 0) -> "AsyncIterator[KubeServer]":
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, self.host, port, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{'https' if context else 'http'}://{self.host}:{port}"
        try:
            yield self
        finally:
            self.objects.say(None)
            await runner.cleanup()

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def times(self, method: str, *, watch: bool = False) -> int:
        """Count the requests so far."""
        return sum(1 for asked in self.asked if asked.method == method and ("watch" in asked.query) is watch)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.raw_path, dict(request.query), dict(request.headers), body, _common_name(request)))
        if self.tokens is not None and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _json(401, status(401, "Unauthorized", "Unauthorized"))
        if self.faults and (fault := self.faults.popleft()):
            return _json(fault.code, fault.body, fault.headers)
        if request.path in self.documents:
            return _json(200, self.documents[request.path])
        namespace, name = _place(request.path)
        if request.path.startswith(f"/apis/{WIDGETS.api_version}/"):
            if request.query.get("watch"):
                return await self._watch(request)
            code, answer = self._widgets(request, namespace, name, json.loads(body) if body else {})
            return _json(code, answer, {"Warning": f'299 - "{self.warning}"'} if self.warning else {})
        return web.Response(status=404, text="404 page not found\n")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if self.half_open:
            # Headers and nothing else, for ever: what a cut connection looks like from inside.
            stream = self.objects.follow({"resourceVersion": str(self.objects.version)})
        else:
            stream = self.objects.follow(request.query)
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
        return response

    def _widgets(self, request: web.Request, namespace: str, name: str, body: Manifest) -> tuple[int, Manifest]:
        if not name:
            return self._collection(request, namespace, body)
        found = self.objects.objects.get((namespace, name))
        if found is None:
            return 404, status(404, "NotFound", f'widgets.fixtures.example.com "{name}" not found')
        match request.method:
            case "GET":
                return 200, found
            case "DELETE":
                uid = body.get("preconditions", {}).get("uid", found["metadata"]["uid"])
                if uid != found["metadata"]["uid"]:
                    return 409, status(409, "Conflict", "the UID in the precondition does not match")
                return 200, self.objects.delete(name, namespace=namespace)
            case "PATCH":
                return self._changed(found, apply_merge_patch(found, body), request)
            case _:
                return self._changed(found, body, request)

    def _collection(self, request: web.Request, namespace: str, body: Manifest) -> tuple[int, Manifest]:
        if request.method == "POST":
            name = body["metadata"]["name"]
            if (namespace, name) in self.objects.objects:
                return 409, status(409, "AlreadyExists", f'widgets.fixtures.example.com "{name}" already exists')
            fields = {key: value for key, value in body.items() if key != "metadata"}
            return 201, self.objects.put(name, namespace=namespace, **fields)
        query = dict(request.query)
        if self.page_size:
            query["limit"] = str(self.page_size)
        try:
            return 200, self.objects.page(query)
        except GoneError as error:
            return 410, status(410, error.reason, error.message)

    def _changed(self, found: Manifest, wanted: Manifest, request: web.Request) -> tuple[int, Manifest]:
        if wanted["metadata"].get("resourceVersion", found["metadata"]["resourceVersion"]) != found["metadata"]["resourceVersion"]:
            return 409, status(409, "Conflict", "the object has been modified")
        if request.query.get("dryRun"):
            return 200, wanted
        fields = {key: value for key, value in wanted.items() if key != "metadata"}
        return 200, self.objects.put(found["metadata"]["name"], namespace=found["metadata"]["namespace"], **fields)


def _place(path: str) -> tuple[str, str]:
    parts = path.split("/")
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
    after = parts[parts.index("widgets") + 1 :] if "widgets" in parts else []
    return namespace, after[0] if after else ""


def _common_name(request: web.Request) -> str:
    """Give the name in the client certificate."""
    peer = request.transport.get_extra_info("peercert") if request.transport else None
    subject = dict(pair[0] for pair in peer["subject"]) if peer else {}
    return str(subject.get("commonName", ""))


def _json(code: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=code, text=body, headers=headers)
    return web.json_response(body, status=code, headers=headers)
