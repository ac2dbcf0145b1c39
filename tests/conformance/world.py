"""What do all cells of one run share: a cluster, its proxies, a controller, and controllers that can be killed."""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import aiohttp
import structlog

from tiphys.api.crds import crd_manifests
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.proxies.mesh import MeshFeed
from tiphys.devcluster.proxies.traefik_feed import TraefikFeed
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection
from tiphys.traffic.settings import Settings as RouterSettings

SMI_VERSION = "v1alpha4"
"""The version of TrafficSplits that every cell uses: the only one that can say everything."""

_KEPT_LINES = 4000
_DRAIN_SECONDS = 0.5
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class World:
    """A cluster with the data planes *planes* and a controller: `async with World(...) as world`; cells share it."""

    def __init__(self, planes: Sequence[str]) -> None:
        self.planes = tuple(planes)
        self.lines: deque[Mapping[str, Any]] = deque(maxlen=_KEPT_LINES)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop everything, the controller first."""
        await self._stack.aclose()

    async def _start(self) -> None:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tiphys-conformance-")))
        self._stack.enter_context(_logged_to(self.lines))
        self.cluster = DevCluster(
            definitions=[*foreign_definitions(), *crd_manifests()],
            api=ApiServer,
            planes=self.planes,
            drain_seconds=_DRAIN_SECONDS,
        )
        await self._stack.enter_async_context(self.cluster)
        write_kubeconfig(self.kubeconfig, self.cluster.url)
        client = await self._stack.enter_async_context(Client(load_connection(Overrides(kubeconfig=str(self.kubeconfig)))))
        settings = Settings(
            leader_elect=False, metrics_port=None, health_port=None, workers=4, routers=RouterSettings(smi_version=SMI_VERSION)
        )
        controller = Controller(client, settings)
        await controller.start()
        self._stack.push_async_callback(controller.stop)
        connector = aiohttp.TCPConnector(limit=0)
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT))

    @property
    def kubeconfig(self) -> Path:
        """How a process finds this cluster."""
        return self.folder / "kubeconfig"

    async def compares(self, plane: str, host: str, headers: Sequence[str]) -> list[str]:
        """Give *headers* in the order in which the proxy of *plane* compares them for requests to *host*; those it does not are missing."""
        proxy = self.cluster.proxy(plane)
        if isinstance(proxy, MeshFeed):
            return _order_in(await proxy.envoy.config_dump(), host, headers)
        if isinstance(proxy, TraefikFeed):
            return _order_by_priority(await proxy.traefik.rawdata(), host, headers)
        raise TypeError(f"plane {plane}: found {type(proxy).__name__}, wanted a proxy whose routes can be read")

    def log_of(self, namespace: str, *, last: int = 12) -> list[str]:
        """Give the last lines that the controllers logged about *namespace*."""
        inside = [_line(line) for line in self.lines if line.get("namespace") in {namespace, None}]
        alone = self._log_file(namespace)
        if alone.exists():
            inside += alone.read_text(encoding="utf-8").splitlines()
        return inside[-last:]

    async def another_controller(self, namespace: str) -> Process:
        """Start a controller as a process of its own, for the Rollouts labelled with *namespace* as their instance id."""
        program = Path(sys.executable).parent / "tiphys"
        arguments = ["--kubeconfig", str(self.kubeconfig), "--instance-id", namespace, "--no-leader-elect", "--metricsPort", "0"]
        arguments += ["--healthzPort", "0", "--traffic-split-api-version", SMI_VERSION]
        with self._log_file(namespace).open("ab") as log:
            process = await asyncio.create_subprocess_exec(program, "controller", *arguments, stdout=DEVNULL, stderr=log)
        self._stack.push_async_callback(_ended, process)
        return process

    def _log_file(self, namespace: str) -> Path:
        return self.folder / f"{namespace}.log"


def _order_in(dumped: Mapping[str, Any], host: str, headers: Sequence[str]) -> list[str]:
    """Envoy takes the first route of a list that fits."""
    tables = [each["route_config"] for part in dumped["configs"] for each in part.get("dynamic_route_configs", ())]
    text = json.dumps([each for table in tables for each in table["virtual_hosts"] if host in each["domains"]])
    return sorted((each for each in headers if f'"{each}"' in text), key=lambda each: text.index(f'"{each}"'))


def _order_by_priority(raw: Mapping[str, Any], host: str, headers: Sequence[str]) -> list[str]:
    """Traefik takes the route with the highest priority; one that compares several headers tells nothing about their order."""
    best: dict[str, int] = {}
    for router in raw.get("routers", {}).values():
        rule = str(router["rule"]).lower()
        compared = [each for each in headers if each in rule]
        if host in rule and len(compared) == 1:
            best[compared[0]] = max(best.get(compared[0], 0), int(router["priority"]))
    return sorted(best, key=lambda each: -best[each])


async def _ended(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


@contextmanager
def _logged_to(lines: deque[Mapping[str, Any]]) -> Iterator[None]:
    """Keep the log lines of this process in *lines* and off the screen."""

    def keep(_logger: object, _name: str, line: Mapping[str, Any]) -> NoReturn:
        lines.append(line)
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, keep])
    try:
        yield
    finally:
        structlog.reset_defaults()


def _line(line: Mapping[str, Any]) -> str:
    more = " ".join(f"{key}={value}" for key, value in line.items() if key not in {"event", "level", "namespace"})
    return f"[{line.get('level', '')}] {line.get('event', '')} {more}"
