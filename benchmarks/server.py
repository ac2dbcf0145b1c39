"""What does the API server see of the controller, and how can it be made to refuse?"""

import asyncio
from dataclasses import dataclass

import msgspec
from aiohttp import web

from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.http_handlers import refusal
from tiphys.devcluster.http_paths import Target, read_path
from tiphys.devcluster.storage import Store

RETRY_AFTER = 1
BESIDES = frozenset({"events", "leases"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    One request and its answer; *at* is the loop's time.

    *content* is the answered object without what every write changes; *changed* says whether the write made a new version of it.
    """

    method: str
    what: str
    at: float
    status: int
    changed: bool
    content: bytes

    @property
    def writes(self) -> bool:
        """Whether it wanted to change something."""
        return self.method not in {"GET", "HEAD"}


class SeeingServer(ApiServer):
    """
    An API server that writes down every request for an object besides events and leases; watches and lists are only counted.

    While *storm* is a status (409 or 429), every such write is refused with it; a 429 asks the client to come back in a second.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.seen: list[Seen] = []
        self.lists = 0
        self.others = 0
        self.storm = 0

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = read_path(request.rel_url.raw_path, self.store.registry)
        if target is None or target.resource.plural in BESIDES:
            self.others += 1
            return await super()._handle(request)
        if request.method == "GET" and not target.name:
            self.lists += 1
            return await super()._handle(request)
        at = asyncio.get_running_loop().time()
        before = self._version(target)
        if self.storm and request.method != "GET":
            await request.content.read()
            response: web.StreamResponse = refusal(StatusError(self.storm, "there is a storm"))
            if self.storm == 429:
                response.headers["Retry-After"] = str(RETRY_AFTER)
        else:
            response = await super()._handle(request)
        self.seen.append(_seen(request, target, response, before=before, at=at))
        return response

    def _version(self, target: Target) -> str:
        there = self.store.read(target.resource, target.name, target.namespace or "") if target.name else None
        return "" if there is None else str(there.manifest["metadata"]["resourceVersion"])


def _seen(request: web.BaseRequest, target: Target, response: web.StreamResponse, *, before: str, at: float) -> Seen:
    body = response.body if isinstance(response, web.Response) else None
    manifest = msgspec.json.decode(body) if isinstance(body, bytes) else {}
    metadata = manifest.get("metadata", {})
    kept = {key: value for key, value in metadata.items() if key not in {"resourceVersion", "managedFields", "generation"}}
    name = f"{target.resource.kind} {target.namespace}/{target.name or metadata.get('name', '')}"
    return Seen(
        method=request.method,
        what=f"{name} {target.subresource or 'main'}",
        at=at,
        status=response.status,
        changed=metadata.get("resourceVersion", "") != before,
        content=msgspec.json.encode({**manifest, "metadata": kept}, order="deterministic"),
    )
