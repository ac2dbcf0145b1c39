"""How does another program give us credentials? (client.authentication.k8s.io/v1 and v1beta1)"""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from tiphys.kube.clock import Clock
from tiphys.kube.credentials import Certificate, Credential, Secret, bearer
from tiphys.kube.errors import CredentialError

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
AHEAD = timedelta(seconds=10)
"""How long before its expiry a credential is renewed: requests take time to arrive."""
PATIENCE = 300.0
"""Seconds a plugin may take: a person may have to log in."""

Interactive = Literal["Never", "IfAvailable", "Always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """The program to ask, as the kubeconfig describes it; *cluster* is what it is told about the server if it wants to know."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""
    interactive: Interactive = "IfAvailable"
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    expiration_timestamp: datetime | None = None
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Status | None = None


class ExecCredentials:
    """
    Credentials from a plugin, kept until they expire or are refused.

    The plugin runs beside the event loop and never twice at a time: whoever comes while it runs gets the same answer. What it prints on its
    standard error goes to ours, because it may be talking to a person; it is in none of our messages, because it may be a secret.
    """

    def __init__(self, plugin: ExecPlugin, clock: Clock, *, environ: Mapping[str, str] | None = None) -> None:
        self._plugin = plugin
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._known: Credential | None = None
        self._expires: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    async def current(self) -> Credential:  # noqa: D102 - the protocol says it
        known = self._fresh()
        if known is not None:
            return known
        async with self._one_at_a_time:
            return self._fresh() or await self._ask()

    async def renew(self, rejected: Credential) -> bool:  # noqa: D102 - the protocol says it
        async with self._one_at_a_time:
            if self._known == rejected or self._known is None:
                await self._ask()
        return self._known != rejected

    def _fresh(self) -> Credential | None:
        if self._expires is not None and self._clock.now() >= self._expires - AHEAD:
            return None
        return self._known

    async def _ask(self) -> Credential:
        status = self._read(await self._run())
        certificate = None
        if status.client_certificate_data and status.client_key_data:
            certificate = Certificate(status.client_certificate_data.encode(), Secret(status.client_key_data))
        self._known = Credential(bearer(status.token) if status.token else None, certificate)
        expires = status.expiration_timestamp
        self._expires = expires.replace(tzinfo=UTC) if expires is not None and expires.tzinfo is None else expires
        return self._known

    async def _run(self) -> bytes:
        plugin = self._plugin
        interactive = plugin.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
        if plugin.interactive == "Always" and not interactive:
            raise self._failed("it wants to talk to a person, and there is no terminal")
        info: dict[str, Any] = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": interactive}}
        if plugin.cluster is not None:
            info["spec"]["cluster"] = plugin.cluster
        environ = {**self._environ, **plugin.env, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.args,
                env=environ,
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise self._failed((error.strerror or "it cannot be run").lower()) from None
        try:
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
        except TimeoutError:
            raise self._failed(f"no answer within {PATIENCE:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise self._failed(f"it ended with code {process.returncode}")
        return output

    def _read(self, output: bytes) -> _Status:
        try:
            answer = msgspec.json.decode(output, type=_Answer)
        except msgspec.DecodeError:
            raise self._failed("found no ExecCredential on its standard output") from None
        if answer.api_version != self._plugin.api_version:
            raise self._failed(f"found apiVersion {answer.api_version!r}, wanted {self._plugin.api_version!r}")
        status = answer.status
        if status is None or not (status.token or status.client_certificate_data):
            raise self._failed("found neither a token nor a client certificate in its answer, wanted one")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._failed("found half a pair, wanted both clientCertificateData and clientKeyData")
        return status

    def _failed(self, problem: str) -> CredentialError:
        hint = f" ({self._plugin.install_hint.strip()})" if self._plugin.install_hint else ""
        return CredentialError(f"the credential plugin {self._plugin.command}: {problem}{hint}")
