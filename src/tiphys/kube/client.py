"""How is one request made, and what comes back?"""

import builtins
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast, overload

from tiphys.kube.calls import Call, call_on, selection
from tiphys.kube.clock import Clock, SystemClock
from tiphys.kube.codec import Manifest, Page, decode, encode
from tiphys.kube.connection import Connection
from tiphys.kube.errors import GoneError
from tiphys.kube.resources import PODS, Resource
from tiphys.kube.transport import Limits, Observer, Stream, Transport

T = TypeVar("T")
Propagation = Literal["Background", "Foreground", "Orphan"]
Body = Mapping[str, Any] | bytes | object
"""What can be sent: a mapping, a msgspec struct, raw JSON; bytes go as they are."""


class PatchKind(Enum):
    """The patch languages; the value is the content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Client:
    """
    One API server, spoken to as one user.

    An async context manager; may be used by any number of tasks of one event loop. Methods raise the errors of `tiphys.kube.errors`.
    Answers are decoded into the type given as *into*: any type msgspec knows, by default a plain dict. Without *namespace*, a namespaced
    object has no path (ValueError) and a list spans all namespaces.

    *observer* is told of every attempt: `(verb, resource, namespace, name, status, seconds)`, with status 0 where nobody answered;
    *on_warning* gets the text of each warning the server sends. *field_manager* names us in managedFields where a call does not. A 429 is
    waited out (see `Limits`) for calls that may be made twice, and raised for creations and evictions; after a 401 credentials are renewed
    once.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = "tiphys",
        field_manager: str = "",
        observer: Observer | None = None,
        on_warning: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.connection = connection
        self._field_manager = field_manager
        self._transport = Transport(
            connection,
            user_agent=user_agent,
            observer=observer,
            on_warning=on_warning,
            clock=clock or SystemClock(),
            limits=limits or Limits(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; open streams end."""
        await self._transport.close()

    @property
    def server(self) -> str:
        """The server's address, for messages."""
        return self.connection.server

    @property
    def namespace(self) -> str:
        """The namespace to use where the user names none."""
        return self.connection.namespace

    # Reading

    @overload
    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Manifest: ...
    @overload
    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T: ...
    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: Any = Manifest) -> Any:
        """Read one object."""
        return await self._send(call_on("get", "GET", resource, namespace, name), into)

    @overload
    async def get_subresource(self, resource: Resource, name: str, subresource: str, *, namespace: str | None = None) -> Manifest: ...
    @overload
    async def get_subresource(
        self, resource: Resource, name: str, subresource: str, *, namespace: str | None = None, into: type[T]
    ) -> T: ...
    async def get_subresource(
        self, resource: Resource, name: str, subresource: str, *, namespace: str | None = None, into: Any = Manifest
    ) -> Any:
        """Read a subresource such as `scale` or `status`."""
        return await self._send(call_on("get", "GET", resource, namespace, name, subresource), into)

    async def list_page(self, resource: Resource, *, namespace: str | None = None, query: Mapping[str, str]) -> bytes:
        """Read what a list with *query* answers, as it comes."""
        return await self._send(call_on("list", "GET", resource, namespace, query=query, identity=True), bytes)

    async def list_pages(
        self,
        resource: Resource,
        into: type[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> AsyncIterator[Page[T]]:
        """
        Read a collection page by page; all pages are of one version.

        Raises:
            GoneError: the server forgot that version between two pages; begin again.

        """
        page_type: type[Page[T]] = Page[into]  # type: ignore[valid-type] # the type is a value here
        query = {"limit": str(limit), **selection(label_selector, field_selector)}
        while True:
            data = await self.list_page(resource, namespace=namespace, query=query)
            page = decode(data, page_type, where=f"a list of {resource}")
            yield page
            if not page.metadata.continue_:
                return
            query = {**query, "continue": page.metadata.continue_}

    @overload
    async def list(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> builtins.list[Manifest]: ...
    @overload
    async def list(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str = "", field_selector: str = "", into: type[T]
    ) -> builtins.list[T]: ...
    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        into: Any = Manifest,
    ) -> builtins.list[Any]:
        """Read a whole collection; begins again (at most twice) when a page is gone."""
        for patience in (True, True, False):
            items: builtins.list[Any] = []
            pages = self.list_pages(resource, into, namespace=namespace, label_selector=label_selector, field_selector=field_selector)
            try:
                async for page in pages:
                    items += page.items or ()
            except GoneError:
                if not patience:
                    raise
            else:
                return items
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        query: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[Stream]:
        """
        Open a long answer (a watch, a log) and give its raw chunks as they come.

        Such answers have connections of their own, so they never keep a request waiting. *silence* is the longest pause in seconds.

        Raises:
            SilenceError: nothing came for *silence* seconds.

        """
        verb = "watch" if query and query.get("watch") else "get"
        call = call_on(verb, "GET", resource, namespace, name, subresource, query=query or {})
        async with self._transport.stream(call, silence=silence) as chunks:
            yield chunks

    # Writing

    @overload
    async def create(
        self, resource: Resource, body: Body, *, namespace: str | None = None, field_manager: str | None = None, dry_run: bool = False
    ) -> Manifest: ...
    @overload
    async def create(
        self,
        resource: Resource,
        body: Body,
        *,
        namespace: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def create(
        self,
        resource: Resource,
        body: Body,
        *,
        namespace: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: Any = Manifest,
    ) -> Any:
        """
        Create an object.

        Raises:
            AlreadyExistsError: an object of this name is there.

        """
        if resource.namespaced and namespace is None:
            raise ValueError(f"a new {resource.kind}: found no namespace, wanted one")
        query = self._writing(field_manager, dry_run=dry_run)
        call = call_on("create", "POST", resource, namespace, query=query, body=encode(body), patient=False)
        return await self._send(call, into)

    @overload
    async def update(
        self,
        resource: Resource,
        name: str,
        body: Body,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Manifest: ...
    @overload
    async def update(
        self,
        resource: Resource,
        name: str,
        body: Body,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def update(
        self,
        resource: Resource,
        name: str,
        body: Body,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: Any = Manifest,
    ) -> Any:
        """
        Replace an object whole: only for bodies that were read as dicts, or fields of others are lost.

        Raises:
            ConflictError: *body* carries a resourceVersion that is no longer the current one.

        """
        query = self._writing(field_manager, dry_run=dry_run)
        return await self._send(call_on("update", "PUT", resource, namespace, name, subresource, query=query, body=encode(body)), into)

    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Manifest: ...
    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        force: bool = False,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def patch(  # noqa: PLR0913 - what the API lets one say
        self,
        resource: Resource,
        name: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        force: bool = False,
        dry_run: bool = False,
        into: Any = Manifest,
    ) -> Any:
        """
        Change an object; *force* takes over fields of others and is for `PatchKind.APPLY` only.

        Raises:
            ConflictError: the patch carries `metadata.resourceVersion` and somebody wrote since.

        """
        query = self._writing(field_manager, dry_run=dry_run, force=force)
        call = call_on("patch", "PATCH", resource, namespace, name, query=query, body=encode(patch), content_type=kind.value)
        return await self._send(call, into)

    @overload
    async def patch_subresource(
        self,
        resource: Resource,
        name: str,
        subresource: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Manifest: ...
    @overload
    async def patch_subresource(
        self,
        resource: Resource,
        name: str,
        subresource: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def patch_subresource(  # noqa: PLR0913 - what the API lets one say
        self,
        resource: Resource,
        name: str,
        subresource: str,
        patch: Body,
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
        field_manager: str | None = None,
        dry_run: bool = False,
        into: Any = Manifest,
    ) -> Any:
        """Change a subresource such as `status` or `scale`; the rest as for `patch`."""
        query = self._writing(field_manager, dry_run=dry_run)
        call = call_on("patch", "PATCH", resource, namespace, name, subresource, query=query, body=encode(patch), content_type=kind.value)
        return await self._send(call, into)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        propagation: Propagation = "Background",
        grace_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> Manifest:
        """
        Delete an object; gives the object that is going, or a Status.

        Raises:
            NotFoundError: it is gone already.
            ConflictError: it is not the one of *uid*, or not at *resource_version*.

        """
        conditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value is not None}
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if conditions:
            options["preconditions"] = conditions
        if dry_run:
            options["dryRun"] = ["All"]
        return await self._send(call_on("delete", "DELETE", resource, namespace, name, body=encode(options)), Manifest)

    async def evict(
        self, name: str, *, namespace: str, grace_seconds: int | None = None, field_manager: str | None = None, dry_run: bool = False
    ) -> Manifest:
        """
        Ask for a pod to go, as far as its disruption budget allows.

        Raises:
            ThrottledError: the budget allows no disruption now; ask again later.

        """
        body: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        if grace_seconds is not None:
            body["deleteOptions"] = {"gracePeriodSeconds": grace_seconds}
        query = self._writing(field_manager, dry_run=dry_run)
        call = call_on("create", "POST", PODS, namespace, name, "eviction", query=query, body=encode(body), patient=False)
        return await self._send(call, Manifest)

    # Anything else

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        patient: bool | None = None,
        seconds: float | None = None,
    ) -> Manifest: ...
    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        patient: bool | None = None,
        seconds: float | None = None,
        into: type[T],
    ) -> T: ...
    async def request(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        patient: bool | None = None,
        seconds: float | None = None,
        into: Any = Manifest,
    ) -> Any:
        """
        Make any request; *path* is encoded already, *seconds* limits the whole answer, `into=bytes` gives the answer's body as it came.

        *patient* says whether a 429 is waited out; by default, unless the method is POST.
        """
        call = Call(
            verb=method.lower(),
            method=method,
            path=path,
            query=query or {},
            body=None if body is None else encode(body),
            content_type=content_type,
            accept=accept,
            patient=method != "POST" if patient is None else patient,
            seconds=seconds,
        )
        return await self._send(call, into)

    async def _send(self, call: Call, into: type[T]) -> T:
        answer = await self._transport.send(call)
        if into is bytes:
            return cast("T", answer)
        return decode(answer, into, where=f"the answer to {call.method} {call.path}")

    def _writing(self, field_manager: str | None, *, dry_run: bool, force: bool = False) -> dict[str, str]:
        query = {}
        manager = self._field_manager if field_manager is None else field_manager
        if manager:
            query["fieldManager"] = manager
        if dry_run:
            query["dryRun"] = "All"
        if force:
            query["force"] = "true"
        return query
