"""How does a command reach the cluster?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import click

from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.api.values import INVALID_SECONDS, duration_seconds
from tiphys.cli.kinds import ROLLOUTS
from tiphys.cli.options import Chosen, chosen
from tiphys.kube.client import Body, Client, PatchKind
from tiphys.kube.config import Overrides, load_connection
from tiphys.kube.errors import NotFoundError
from tiphys.kube.resources import Resource
from tiphys.kube.transport import Limits, Observer

T = TypeVar("T")

COMPLETION_SECONDS = 2.0
"""How long a person who pressed Tab waits for names."""

_SHOW_REQUESTS = 6
_FOR_EVER = 365 * 24 * 3600.0


class Api(Protocol):
    """
    What commands need of an API server: a part of `tiphys.kube.client.Client`, with its promises.

    Reading a missing object raises `NotFoundError`, replacing a changed one `ConflictError`.
    """

    @property
    def namespace(self) -> str:
        """The namespace to work in."""

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        """Read one object."""

    async def list(self, resource: Resource, *, namespace: str | None = None, field_selector: str = "", into: type[T]) -> list[T]:
        """Read a collection, or what *field_selector* picks of it; without *namespace*, of all namespaces."""

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        """Create an object."""

    async def update(self, resource: Resource, name: str, body: Manifest, *, namespace: str | None = None) -> Manifest:
        """Replace an object."""

    async def patch(
        self, resource: Resource, name: str, patch: Body, *, namespace: str | None = None, kind: PatchKind = PatchKind.MERGE
    ) -> Manifest:
        """Change an object."""

    async def patch_subresource(
        self, resource: Resource, name: str, subresource: str, patch: Body, *, namespace: str | None = None
    ) -> Manifest:
        """Change a subresource by a merge patch."""


class OptionError(TiphysError):
    """The value of an option cannot be understood."""

    def __init__(self, option: str, found: str, wanted: str) -> None:
        super().__init__(f'{option}: found "{found}", wanted {wanted}')


def in_session(ctx: click.Context, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do *work* with a client for the cluster that the options of *ctx* name."""
    return asyncio.run(_with_client(chosen(ctx), work))


async def _with_client(options: Chosen, work: Callable[[Client], Awaitable[T]]) -> T:
    limits = Limits(request_timeout=_request_timeout(options))
    connection = load_connection(overrides(options))
    async with Client(connection, user_agent="tiphys-cli", observer=_observer(options), limits=limits) as client:
        return await work(client)


def overrides(options: Chosen) -> Overrides:
    """Say what the command line wants differently from the kubeconfig."""
    same = {
        name: options.get(name)
        for name in (
            "kubeconfig",
            "context",
            "cluster",
            "user",
            "namespace",
            "server",
            "token",
            "certificate_authority",
            "client_certificate",
            "client_key",
            "insecure_skip_tls_verify",
            "tls_server_name",
        )
    }
    return Overrides(
        **same,
        impersonate_user=options.get("as_user"),
        impersonate_groups=tuple(options.get("as_groups", ())),
        impersonate_uid=options.get("as_uid"),
    )


def _request_timeout(options: Chosen) -> float:
    text = options.get("request_timeout")
    if text is None:
        return Limits().request_timeout
    seconds = duration(text, option="--request-timeout")
    return float(seconds) if seconds else _FOR_EVER


def duration(text: str, *, option: str) -> int:
    """
    Read *text* as a time in whole seconds.

    Raises:
        OptionError: it is none.

    """
    seconds = duration_seconds(text)
    if seconds == INVALID_SECONDS:
        raise OptionError(option, text, "a duration such as 30s, 10m or 1h30m")
    return seconds


def _observer(options: Chosen) -> Observer | None:
    if options.get("kloglevel", 0) < _SHOW_REQUESTS:
        return None

    def show(verb: str, resource: Resource | None, namespace: str | None, name: str | None, status: int, seconds: float) -> None:
        place = "/".join(str(part) for part in (resource, namespace, name) if part)
        click.echo(f"{verb} {place}: {status or 'no answer'} in {seconds * 1000:.0f} ms", err=True)

    return show


def names_for_completion(options: Chosen) -> Sequence[str]:
    """Name the rollouts there are; nothing where the cluster cannot be asked quickly."""

    async def ask(client: Client) -> list[Manifest]:
        return await client.list(ROLLOUTS, namespace=client.namespace)

    async def ask_quickly() -> list[Manifest]:
        async with asyncio.timeout(COMPLETION_SECONDS):
            return await _with_client(options, ask)

    try:
        found = asyncio.run(ask_quickly())
    except (TiphysError, TimeoutError):
        return ()
    return sorted(item["metadata"]["name"] for item in found)


async def patch_status(api: Api, name: str, patch: Mapping[str, Any]) -> Manifest:
    """Change the status of a rollout; an old CRD has no such subresource, so the same patch then goes to the object."""
    try:
        return await api.patch_subresource(ROLLOUTS, name, "status", patch, namespace=api.namespace)
    except NotFoundError:
        return await api.patch(ROLLOUTS, name, patch, namespace=api.namespace)
