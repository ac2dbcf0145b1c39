"""
How does a running Envoy get a new configuration, and when does it act on it?

Configuration goes through files that Envoy watches; each is replaced by a rename. An order keeps requests from falling between
two files: what a route needs is there before the route, and goes after it.
"""

import asyncio
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tiphys.api.errors import TiphysError
from tiphys.devcluster.proxies import bootstrap
from tiphys.devcluster.proxies.builder import ProxyConfig
from tiphys.devcluster.proxies.proxy import Counts
from tiphys.devcluster.proxies.supervisor import Child, ChildError

Json = dict[str, Any]
_CDS, _LDS, _RDS = "cluster_manager.cds", "listener_manager.lds", f"http.{bootstrap.LISTENER}.rds.{bootstrap.LISTENER}"
_WARMING = "cluster_manager.warming_clusters"
_FIRST_LOOK, _LONGEST_LOOK = 0.003, 0.05


class EnvoyRejectedError(TiphysError):
    """Envoy refused a configuration and goes on with the one before."""


class Envoy:
    """One Envoy process with one listener on loopback; *port* 0 takes a free one."""

    def __init__(self, *, port: int = 0, binary: str | None = None) -> None:
        self._wanted_port = port
        self._binary = binary
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None
        self._session: aiohttp.ClientSession | None = None
        self._admin = ""
        self._lock = asyncio.Lock()
        self._written: dict[Path, str] = {}
        self._clusters: dict[str, Json] = {}
        self._addresses: frozenset[str] = frozenset()
        self._refusals: dict[str, int] = {}
        self._version = 0
        self.port = port

    @property
    def url(self) -> str:
        """Where requests go in; the Host header says which Service is meant."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def version(self) -> int:
        """The number of the newest configuration that Envoy has acted upon."""
        return self._version

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._child.pid if self._child else 0

    async def start(self) -> None:
        """
        Start the process and return when it accepts connections.

        Raises: ChildError when the program is missing or ends at once.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="tiphys-envoy-")
        root = Path(self._folder.name)
        (root / "eds").mkdir()
        (root / "tmp").mkdir()
        self._replace(root / "cds.json", [])
        self._replace(root / "rds.json", [bootstrap.routes([])])
        self._replace(root / "lds.json", [bootstrap.listener(port=self._wanted_port, routes=str(root / "rds.json"))])
        (root / "bootstrap.json").write_text(json.dumps(bootstrap.bootstrap(cds=str(root / "cds.json"), lds=str(root / "lds.json"))))
        argv = [self._binary or bootstrap.program(), "-c", str(root / "bootstrap.json"), "--concurrency", "1", "--use-dynamic-base-id"]
        argv += ["--admin-address-path", str(root / "admin"), "--log-level", "warning", "--drain-time-s", "1"]
        self._child = Child("envoy", argv, log=root / "envoy.log")
        await self._child.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        await self._child.ready(self._listens)

    async def stop(self) -> None:
        """End the process and remove its files."""
        if self._child is not None:
            await self._child.stop(within=3.0)
        if self._session is not None:
            await self._session.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._child = self._session = self._folder = None

    async def put(self, config: ProxyConfig) -> int:
        """
        Make *config* the one that Envoy acts upon, and give its number; returns when Envoy has.

        Files whose content stays are not written.

        Raises: EnvoyRejectedError; the configuration before stays in force.
        """
        async with self._lock:
            before, coming = self._addresses, config.addresses()
            self._addresses = before | coming
            try:
                await self._put(config)
            except EnvoyRejectedError:
                self._written.clear()
                raise
            self._addresses = coming
            self._version += 1
            return self._version

    def sends_to(self, address: str) -> bool:
        """Whether the configuration in force, or the one on its way, sends requests to *address*."""
        return address in self._addresses

    async def counts(self) -> Counts:
        """Read how many requests came in through the listener, and how many were answered with 500 and above."""
        stats = await self.stats(rf"^http\.{bootstrap.LISTENER}\.downstream_rq_(completed|5xx)$")
        prefix = f"http.{bootstrap.LISTENER}.downstream_rq_"
        return Counts(requests=int(stats.get(f"{prefix}completed", 0)), failed=int(stats.get(f"{prefix}5xx", 0)))

    async def cluster_counts(self) -> dict[str, Counts]:
        """Read the same per cluster; a mirrored copy counts there and not at the listener."""
        stats = await self.stats(r"^cluster\..*\.(external|internal)\.upstream_rq_(completed|5xx)$")

        def count(name: str, what: str) -> int:
            return int(stats.get(f"cluster.{name}.{what}", 0))

        names = {name.removeprefix("cluster.").rsplit(".", 2)[0] for name in stats}
        return {
            name: Counts(
                requests=count(name, "external.upstream_rq_completed"),
                failed=count(name, "external.upstream_rq_5xx"),
                mirrored=count(name, "internal.upstream_rq_completed"),
            )
            for name in sorted(names)
        }

    async def stats(self, pattern: str) -> dict[str, int | str]:
        """Read the statistics whose whole name matches *pattern*."""
        answer = await self._ask("/stats", {"filter": pattern, "format": "json"})
        found: list[Json] = json.loads(answer)["stats"]
        return {each["name"]: each["value"] for each in found if "name" in each}

    async def config_dump(self) -> Json:
        """Give everything that Envoy says it acts upon."""
        dumped: Json = json.loads(await self._ask("/config_dump", {"include_eds": ""}))
        return dumped

    async def _ask(self, path: str, query: Mapping[str, str]) -> bytes:
        if self._session is None:
            raise ChildError("envoy is not running")
        try:
            async with self._session.get(self._admin + path, params=dict(query)) as answer:
                return await answer.read()
        except aiohttp.ClientError as error:
            raise ChildError(f"envoy does not answer ({error}); the end of its log:\n{self._log_tail()}") from error

    def _log_tail(self) -> str:
        return self._child.tail() if self._child is not None else ""

    async def _listens(self) -> bool:
        root = self._root
        if not (root / "admin").exists():
            return False
        self._admin = f"http://{(root / 'admin').read_text().strip()}"
        try:
            listeners = json.loads(await self._ask("/listeners", {"format": "json"})).get("listener_statuses", [])
            state = json.loads(await self._ask("/server_info", {})).get("state")
        except (ChildError, ValueError):
            return False
        for each in listeners:
            self.port = int(each["local_address"]["socket_address"]["port_value"])
        return bool(listeners) and state == "LIVE"

    @property
    def _root(self) -> Path:
        if self._folder is None:
            raise ChildError("envoy is not running")
        return Path(self._folder.name)

    async def _put(self, config: ProxyConfig) -> None:
        """Write what is gained, then the routes, then what is lost."""
        root = self._root
        clusters = {each["name"]: self._cluster(each) for each in config.clusters}
        routes = [bootstrap.routes(list(config.virtual_hosts))]
        routes_change = self._changed(root / "rds.json", routes)
        pending: dict[str, str | int] = {}
        later: dict[str, Json] = {}
        for name, assignment in config.endpoints.items():
            if routes_change and not assignment["endpoints"] and name in self._clusters:
                later[name] = assignment
            else:
                pending |= self._put_endpoints(name, assignment)
        kept = self._clusters | clusters if routes_change else clusters
        pending |= self._put_file(root / "cds.json", [kept[name] for name in sorted(kept)], stat=_CDS)
        if routes_change:
            await self._acted_upon(pending)
            await self._acted_upon(self._put_file(root / "rds.json", routes, stat=_RDS))
            pending = {}
        for name, assignment in later.items():
            pending |= self._put_endpoints(name, assignment)
        pending |= self._put_file(root / "cds.json", [clusters[name] for name in sorted(clusters)], stat=_CDS)
        await self._acted_upon(pending)
        for name in set(self._clusters) - set(clusters):
            self._written.pop(self._endpoints_file(name), None)
            self._endpoints_file(name).unlink(missing_ok=True)
        self._clusters = clusters

    def _cluster(self, cluster: Json) -> Json:
        return bootstrap.cluster(cluster, endpoints=str(self._endpoints_file(cluster["name"])))

    def _endpoints_file(self, name: str) -> Path:
        return self._root / "eds" / (hashlib.sha256(name.encode()).hexdigest()[:24] + ".json")

    def _put_endpoints(self, name: str, assignment: Json) -> dict[str, str | int]:
        known = name in self._clusters
        resource = {"@type": bootstrap.ENDPOINTS, **assignment}
        written = self._put_file(self._endpoints_file(name), [resource], stat=f"cluster.{name}")
        # A cluster that Envoy does not know yet reads its file when it starts.
        return written if known else {}

    def _put_file(self, path: Path, resources: list[Json], *, stat: str) -> dict[str, str | int]:
        """Replace *path* if its content changes; give the statistic that shows when Envoy has read it."""
        if not self._changed(path, resources):
            return {}
        version = self._replace(path, resources)
        return {f"{stat}.version_text": version} | ({_WARMING: 0} if stat == _CDS else {})

    def _changed(self, path: Path, resources: list[Json]) -> bool:
        return self._written.get(path) != json.dumps(resources)

    def _replace(self, path: Path, resources: list[Json]) -> str:
        version = str(time.monotonic_ns())
        temporary = self._root / "tmp" / path.name
        temporary.write_text(json.dumps({"version_info": version, "resources": resources}))
        temporary.rename(path)
        self._written[path] = json.dumps(resources)
        return version

    async def _acted_upon(self, pending: Mapping[str, str | int], *, within: float = 15.0) -> None:
        """Wait until Envoy's statistics show every version of *pending*."""
        if not pending:
            return
        names = [re.escape(name) for name in pending]
        names += [re.escape(name.removesuffix(".version_text")) + r"\.update_rejected" for name in pending if name != _WARMING]
        pattern = rf"^({'|'.join(names)})$"
        pause, deadline = _FIRST_LOOK, time.monotonic() + within
        while True:
            found = await self.stats(pattern)
            refusals = {name: int(value) for name, value in found.items() if name.endswith(".update_rejected")}
            refused = any(count > self._refusals.get(name, 0) for name, count in refusals.items())
            self._refusals |= refusals
            if all(found.get(name) == version for name, version in pending.items()):
                return
            if refused or time.monotonic() > deadline:
                raise EnvoyRejectedError(f"envoy did not take the configuration for {', '.join(sorted(pending))}:\n{self._said()}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK)

    def _said(self) -> str:
        """Give what Envoy printed about it, without the backtraces."""
        lines = self._log_tail().splitlines()
        return "\n".join(line for line in lines if "rejected" in line or "rror adding" in line or "nvalid" in line)
