"""How does the shell write to a cluster behind an API server?"""

import builtins
import contextlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from tiphys.api.meta import Manifest
from tiphys.api.workloads import Pod
from tiphys.controller.caches import Mirror
from tiphys.controller.cluster import Ledger, Request
from tiphys.controller.kinds import Kinds
from tiphys.core.actions import Event
from tiphys.kube.codec import decode, encode
from tiphys.kube.errors import ConflictError, DecodeError, NotFoundError, ThrottledError
from tiphys.kube.events import About
from tiphys.kube.resources import PODS, Resource
from tiphys.kube.store import Key, identity
from tiphys.traffic.router import Ref

T = TypeVar("T")


class Api(Protocol):
    """The requests the shell makes; `tiphys.kube.client.Client` is one."""

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        """Read one object."""

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        """Create an object."""

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        """Change an object by a merge patch."""

    async def patch_subresource(
        self, resource: Resource, name: str, subresource: str, patch: Manifest, *, namespace: str | None = None, into: type[T]
    ) -> T:
        """Change a subresource by a merge patch."""

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None, resource_version: str | None = None
    ) -> Manifest:
        """Delete an object."""

    async def list(self, resource: Resource, *, namespace: str | None = None, label_selector: str = "", into: type[T]) -> builtins.list[T]:
        """Read a collection."""

    async def evict(self, name: str, *, namespace: str) -> Manifest:
        """Ask for a pod to go."""


class Recorder(Protocol):
    """Takes events and sends them when it can."""

    def tell(self, about: About, event: Event) -> None:
        """Record an event; never waits and never fails."""


class ApiCluster:
    """
    Writes through *api*, takes every answer into *caches*, and tells *ledger* first.

    After a conflict the object is read afresh before the error is raised, so that looking again at once sees what the other one wrote.

    An answer that cannot be decoded is no failure of the write: the watch brings the object, or says what is wrong with it.
    """

    def __init__(self, api: Api, caches: Mirror, kinds: Kinds, recorder: Recorder, *, ledger: Ledger | None = None) -> None:
        self._api = api
        self._caches = caches
        self._kinds = kinds
        self._recorder = recorder
        self._ledger = ledger

    async def create(self, key: Key, ref: Ref, manifest: Manifest, *, purpose: str) -> None:
        """Create an object."""
        self._note("create", ref, purpose)
        answer = await self._api.create(self._resource(ref), manifest, namespace=ref.namespace, into=bytes)
        self._take(key, ref, answer)

    async def patch(self, key: Key, ref: Ref, patch: Manifest, *, subresource: str = "", purpose: str) -> str:
        """Merge *patch* into an object, and give its new resourceVersion."""
        self._note("patch", ref, purpose)
        resource = self._resource(ref)
        try:
            if subresource:
                answer = await self._api.patch_subresource(resource, ref.name, subresource, patch, namespace=ref.namespace, into=bytes)
            else:
                answer = await self._api.patch(resource, ref.name, patch, namespace=ref.namespace, into=bytes)
        except ConflictError:
            await self.reread(key, ref, purpose=f"somebody wrote first: {purpose}")
            raise
        return self._take(key, ref, answer)

    async def delete(self, key: Key, ref: Ref, *, uid: str, resource_version: str, purpose: str) -> None:
        """Delete an object if it is still the one meant; one that is gone is no error."""
        self._note("delete", ref, purpose)
        try:
            answer = await self._api.delete(
                self._resource(ref), ref.name, namespace=ref.namespace, uid=uid, resource_version=resource_version
            )
        except NotFoundError:
            answer = {}
        if answer.get("kind") == ref.kind and answer.get("metadata", {}).get("deletionTimestamp"):
            self._take(key, ref, encode(answer))  # a finalizer holds it
        else:
            self._caches.deleted(uid)

    async def reread(self, key: Key, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read an object from the server itself, into the caches too; nothing where it does not exist."""
        self._note("get", ref, purpose)
        try:
            answer = await self._api.get(self._resource(ref), ref.name, namespace=ref.namespace, into=bytes)
        except NotFoundError:
            return None
        self._take(key, ref, answer)
        found: Manifest = decode(answer, Manifest, where=str(ref))
        return found

    async def find(self, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read an object from the server itself and keep it out of the caches; nothing where it does not exist."""
        self._note("get", ref, purpose)
        try:
            found: Manifest = await self._api.get(self._resource(ref), ref.name, namespace=ref.namespace, into=Manifest)
        except NotFoundError:
            return None
        return found

    async def pods(self, key: Key, selector: str, *, purpose: str) -> Sequence[Pod]:
        """List the pods of a namespace that *selector* names, from the server itself."""
        self._note("list", Ref(group="", kind=PODS.kind, namespace=key.namespace, name=""), purpose)
        return await self._api.list(PODS, namespace=key.namespace, label_selector=selector, into=Pod)

    async def mark_pod(self, key: Key, name: str, patch: Manifest, *, purpose: str) -> None:
        """Merge *patch*, labels and annotations with the uid they are for, into a pod; one that is gone, or another one, is no error."""
        self._note("patch", Ref(group="", kind=PODS.kind, namespace=key.namespace, name=name), purpose)
        with contextlib.suppress(NotFoundError, ConflictError):
            await self._api.patch(PODS, name, patch, namespace=key.namespace, into=bytes)

    async def evict(self, key: Key, name: str, *, purpose: str) -> bool:
        """Ask for a pod to go; false where its disruption budget allows none now. One that is gone is no error."""
        self._note("evict", Ref(group="", kind=PODS.kind, namespace=key.namespace, name=name), purpose)
        try:
            await self._api.evict(name, namespace=key.namespace)
        except ThrottledError:
            return False
        except NotFoundError:
            return True
        return True

    def tell(self, about: About, event: Event) -> None:
        """Record an event, soon; where that fails, nobody waits for it."""
        self._recorder.tell(about, event)

    def _resource(self, ref: Ref) -> Resource:
        return self._kinds[ref.group, ref.kind]

    def _note(self, verb: str, ref: Ref, purpose: str) -> None:
        if self._ledger is not None:
            self._ledger(Request(verb=verb, kind=ref.kind, namespace=ref.namespace, name=ref.name, purpose=purpose))

    def _take(self, key: Key, ref: Ref, answer: bytes) -> str:
        store = self._caches.store((ref.group, ref.kind))
        try:
            written = decode(answer, store.into, where=f"the answer about {ref}")
        except DecodeError:
            return _version(answer)
        version = identity(written).version
        store.accept(written)
        self._caches.wrote(key, ref, version)
        return version


def _version(answer: bytes) -> str:
    found = decode(answer, Manifest, where="an answer")
    return str(found.get("metadata", {}).get("resourceVersion", ""))
