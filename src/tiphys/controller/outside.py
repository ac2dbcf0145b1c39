"""How do documents that stand for routers in other processes take part, as if the API server had them?"""

import builtins
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.controller.caches import Feed, Mirror
from tiphys.controller.cluster import Cluster, Kind, rollout_ref
from tiphys.controller.kubecluster import Api
from tiphys.controller.trouble import BlindError
from tiphys.kube.codec import decode, encode
from tiphys.kube.resources import Resource
from tiphys.kube.store import Key, Store
from tiphys.plugins.documents import GROUP
from tiphys.plugins.outposts import Outposts
from tiphys.traffic.router import Distant, Ref, Router

T = TypeVar("T")


def resources(outposts: Outposts) -> Iterable[Resource]:
    """Name the documents of each router as if they were resources of the API server."""
    return [Resource(group, "v1", kind, kind) for group, kind in sorted(outposts.kinds)]


class Feeds:
    """Fills the caches: documents of routers from *outside*, everything else from *inside*."""

    def __init__(self, inside: Feed, outside: Feed) -> None:
        self._inside = inside
        self._outside = outside

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        """Begin to keep *store* equal to the objects of *kind*."""
        (self._outside if kind[0] == GROUP else self._inside).start(kind, store, answered)

    def absent(self, kind: Kind) -> bool:
        """Tell whether nobody serves *kind*."""
        return (self._outside if kind[0] == GROUP else self._inside).absent(kind)


class ApiWithRouters:
    """Sends what concerns documents of routers to *outposts*, everything else to *api*."""

    def __init__(self, api: Api, outposts: Outposts) -> None:
        self._api = api
        self._outposts = outposts

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        """Read one object."""
        if resource.group != GROUP:
            return await self._api.get(resource, name, namespace=namespace, into=into)
        return _as(await self._outposts.get(resource.kind, Key(namespace or "", name)), into)

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        """Create an object."""
        if resource.group != GROUP:
            return await self._api.create(resource, body, namespace=namespace, into=into)
        key = Key(namespace or "", body["metadata"]["name"])
        return _as(await self._outposts.write(resource.kind, key, body, seen=None), into)

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        """Change an object by a merge patch."""
        if resource.group != GROUP:
            return await self._api.patch(resource, name, patch, namespace=namespace, into=into)
        return _as(await self._outposts.change(resource.kind, Key(namespace or "", name), patch), into)

    async def patch_subresource(
        self, resource: Resource, name: str, subresource: str, patch: Manifest, *, namespace: str | None = None, into: type[T]
    ) -> T:
        """Change a subresource by a merge patch."""
        return await self._api.patch_subresource(resource, name, subresource, patch, namespace=namespace, into=into)

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None, resource_version: str | None = None
    ) -> Manifest:
        """Delete an object."""
        if resource.group != GROUP:
            return await self._api.delete(resource, name, namespace=namespace, uid=uid, resource_version=resource_version)
        await self._outposts.delete(resource.kind, Key(namespace or "", name), uid=uid or "", seen=resource_version or None)
        return {}

    async def list(self, resource: Resource, *, namespace: str | None = None, label_selector: str = "", into: type[T]) -> builtins.list[T]:
        """Read a collection."""
        return await self._api.list(resource, namespace=namespace, label_selector=label_selector, into=into)

    async def evict(self, name: str, *, namespace: str) -> Manifest:
        """Ask for a pod to go."""
        return await self._api.evict(name, namespace=namespace)


def silences(routers: Iterable[Router], found: Mapping[Ref, Manifest]) -> BlindError | None:
    """Give the error that some of *routers* do not answer, and whether what they say was never known; nothing while all answer."""
    said = []
    blind = False
    for router in routers:
        if not isinstance(router, Distant):
            continue
        try:
            silence = router.silence(found)
        except SpecError:
            continue  # the picture holds this problem
        if silence:
            said.append(silence)
            blind = blind or router.routed(found) is None
    return BlindError(said, blind=blind) if said else None


async def let_go(key: Key, uid: str, caches: Mirror, cluster: Cluster) -> None:
    """
    Let routers forget a Rollout that is gone: *uid* is that of the one that has its name now, if any.

    As with Services, only the API server itself proves that: a cache may show a part of the Rollouts, or be old.
    """
    held = {ref: document for ref, document in caches.documents(key, GROUP).items() if document["metadata"].get("uid") != uid}
    if not held:
        return
    there = await cluster.find(rollout_ref(key), purpose="see whether the Rollout of which routers hold a wish is gone")
    now = "" if there is None else there.get("metadata", {}).get("uid", "")
    for ref, document in held.items():
        metadata = document["metadata"]
        if metadata.get("uid") != now:
            version = metadata["resourceVersion"]
            purpose = f"{ref.kind} forgets a Rollout that is gone"
            await cluster.delete(key, ref, uid=metadata.get("uid", ""), resource_version=version, purpose=purpose)


def _as(document: Manifest, into: type[T]) -> T:
    body = encode(document)
    return body if into is bytes else decode(body, into, where="what a router says")  # type: ignore[return-value]  # bytes are T here
