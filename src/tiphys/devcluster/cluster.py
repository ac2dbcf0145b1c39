"""How does the whole cluster run in real time, with pods that answer HTTP and real proxies between them?"""

import asyncio
import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.assembly import assemble, install_definitions
from tiphys.devcluster.engine import Engine
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.pods import DRAIN_SECONDS, Kubelet, PodCount
from tiphys.devcluster.proxies.envoy import Envoy
from tiphys.devcluster.proxies.mesh import MeshFeed
from tiphys.devcluster.proxies.planes import ENVOYS, TRAEFIKS, chosen
from tiphys.devcluster.proxies.proxy import Proxy
from tiphys.devcluster.proxies.traefik import Traefik
from tiphys.devcluster.proxies.traefik_feed import TraefikFeed
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.storage import Store


class ApiServer(Protocol):
    """An HTTP server in front of a store."""

    @property
    def url(self) -> str:
        """Where it listens."""

    async def start(self) -> None:
        """Begin to listen."""

    async def stop(self) -> None:
        """End, with all watches."""


class DevCluster:
    """
    A cluster in this process: `async with DevCluster(...) as cluster`.

    *definitions* are CustomResourceDefinitions to install first. *api* makes the HTTP server of the store, if there is to be
    one. *planes* names the products whose route objects real proxies shall act upon (see proxies/planes.py): of the programs only
    those run that the planes need. *mesh_port* is the port of Envoy's listener, 0 for a free one; Envoy acts upon each change
    *proxy_delay* seconds late, as a control plane under load does. Without *pods* there is no
    kubelet, and pods stay pending.

    One cluster serves many Rollouts at once: give each a namespace or names of its own, and a host of its own, and send its requests to
    `proxy(PLANE).url`. `applied()` is about one moment's objects; other Rollouts going on meanwhile do not hold it up.
    """

    def __init__(
        self,
        *,
        definitions: Iterable[Manifest] = (),
        store: Store | None = None,
        api: Callable[[Store], ApiServer] | None = None,
        planes: Sequence[str] = (),
        mesh_port: int = 0,
        proxy_delay: float = 0.0,
        pods: bool = True,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self.store = store or Store()
        self.store.pods_on_loopback = pods
        self._planes = chosen(planes)
        watched = {group for name in self._planes if name in TRAEFIKS for group in TRAEFIKS[name].watches}
        install_definitions(self.store, [*definitions, *(foreign_definitions(*watched) if watched else ())])
        if api is None and any(name in TRAEFIKS for name in self._planes):
            raise ValueError(f"planes: found {', '.join(self._planes)} without an API server, wanted one: Traefik reads it")
        self._mesh_port, self._proxy_delay = mesh_port, proxy_delay
        self._addresses = LoopbackAddresses()
        self._assembly = assemble(self.store, addresses=self._addresses if pods else None, serve=True)
        self._api = api(self.store) if api is not None else None
        self._proxies: tuple[Proxy, ...] = ()
        self._broken: asyncio.Future[None] | None = None
        self._told: Exception | None = None
        if self._assembly.kubelet is not None:
            self._assembly.kubelet.drain_seconds = drain_seconds

    @property
    def url(self) -> str:
        """Where the API server listens."""
        if self._api is None:
            raise RuntimeError("this development cluster was made without an API server")
        return self._api.url

    @property
    def engine(self) -> Engine:
        """The loops."""
        return self._assembly.engine

    @property
    def kubelet(self) -> Kubelet:
        """What runs the pods."""
        if self._assembly.kubelet is None:
            raise RuntimeError("this development cluster was made without pods")
        return self._assembly.kubelet

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """Every proxy, Envoy first; none before the start."""
        return self._proxies

    def proxy(self, plane: str) -> Proxy:
        """
        Give the proxy that acts upon the objects of *plane*.

        Raises: LookupError when this cluster was made without that plane, or is not started.
        """
        for proxy in self._proxies:
            if plane in proxy.planes:
                return proxy
        raise LookupError(
            f"this development cluster has no plane {plane!r}, or is not started; its planes: {', '.join(self._planes) or 'none'}"
        )

    async def applied(self, version: int | str | None = None) -> float:
        """
        Wait until every proxy acts upon everything up to resourceVersion *version* (default: what is there now).

        Gives the monotonic time from which on it was so. For one of several planes: `proxy(PLANE).applied()`.

        Raises: whatever ended a proxy.
        """
        wanted = self.store.version if version is None else version
        return max(await asyncio.gather(*[proxy.applied(wanted) for proxy in self._proxies]), default=time.monotonic())

    @property
    def mesh(self) -> MeshFeed:
        """What feeds Envoy."""
        for proxy in self._proxies:
            if isinstance(proxy, MeshFeed):
                return proxy
        raise LookupError("this development cluster has no Envoy, or is not started")

    @property
    def kinds(self) -> dict[tuple[str, str], ResourceType]:
        """One resource type of every kind that is served now, by group and plural."""
        return self._assembly.served.kinds

    def counts(self) -> list[PodCount]:
        """Give what every pod has answered that ever ran here."""
        return self.kubelet.counts()

    async def start(self) -> None:
        """Start everything; what was started already is stopped again if one part fails."""
        try:
            self._broken = asyncio.get_running_loop().create_future()
            self.engine.start()
            self.engine.when_broken(self._break)
            self.engine.settle()  # pods that a file brought back are not ready before they run again: nobody sees them so
            if self._api is not None:
                await self._api.start()
            self._bring()
            for proxy in self._make_proxies():
                self._proxies = (*self._proxies, proxy)
                await proxy.start()
                proxy.when_broken(self._break)
        except BaseException:
            await self.stop()
            raise

    async def broken(self) -> None:
        """
        Wait for ever, or until a loop ends by a bug or a proxy is gone.

        Raises: that bug, or a ChildError.
        """
        if self._broken is not None:
            try:
                await asyncio.shield(self._broken)
            except Exception as error:
                self._told = error
                raise

    async def stop(self) -> None:
        """Stop everything, the API server first; then the first failure is raised that `broken` has not raised already."""
        parts = [self._api, *self._proxies, self._assembly.engine, self._assembly.kubelet]
        failures: list[Exception] = []
        for part in parts:
            if part is not None:
                try:
                    await part.stop()
                except Exception as error:  # noqa: BLE001 (the other parts must be stopped too; raised below)
                    failures.append(error)
        self._addresses.close()
        if self._broken is not None and not self._broken.done():
            self._broken.cancel()
        untold = [error for error in failures if error is not self._told]
        if untold:
            raise untold[0]

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        await self.stop()

    def _bring(self) -> None:
        """Create what a plane's routes refer to, where it is not there yet."""
        for manifest in (each for name in self._planes if name in TRAEFIKS for each in TRAEFIKS[name].brings):
            resource, metadata = self.store.registry.of_manifest(manifest), manifest["metadata"]
            if self.store.read(resource, metadata["name"], metadata.get("namespace", "")) is None:
                self.store.create(resource, copy.deepcopy(manifest), manager="tiphys-devcluster")

    def _make_proxies(self) -> Iterator[Proxy]:
        """Make one Envoy for all its planes, and a Traefik for each of Traefik's."""
        kubelet, feeds = self._assembly.kubelet, list(self._make_feeds())
        for feed in feeds:
            self._assembly.served.tell(feed, feed.reads.__contains__)
        if kubelet is not None:
            kubelet.sends_to = lambda address: any(feed.sends_to(address) for feed in feeds)
        yield from feeds

    def _make_feeds(self) -> Iterator[MeshFeed | TraefikFeed]:
        translated = [name for name in self._planes if name in ENVOYS]
        if translated:
            yield MeshFeed(self.engine, Envoy(port=self._mesh_port), self.kinds, planes=translated, delay=self._proxy_delay)
        for name in self._planes:
            if (plane := TRAEFIKS.get(name)) is not None:
                traefik = Traefik(self.url, address=self._addresses.take(), providers=(plane.provider, *plane.beside), flags=plane.flags)
                yield TraefikFeed(self.engine, traefik, self.kinds, name=name, plane=plane)

    def _break(self, error: BaseException) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)
