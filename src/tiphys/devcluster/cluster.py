"""How does the whole cluster run in real time, with pods that answer HTTP and an Envoy between them?"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

from tiphys.devcluster.addresses import LoopbackAddresses
from tiphys.devcluster.assembly import assemble, install_definitions
from tiphys.devcluster.engine import Engine
from tiphys.devcluster.pods import DRAIN_SECONDS, Kubelet, PodCount
from tiphys.devcluster.proxies.envoy import Envoy
from tiphys.devcluster.proxies.feed import MeshFeed
from tiphys.devcluster.proxies.planes import DEFAULT, chosen
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
    one. *envoy* adds a proxy that acts upon the route objects of *planes* (see proxies/planes.py). Without *pods* there is no
    kubelet, and pods stay pending.
    """

    def __init__(
        self,
        *,
        definitions: Iterable[Manifest] = (),
        store: Store | None = None,
        api: Callable[[Store], ApiServer] | None = None,
        envoy: Envoy | None = None,
        planes: Sequence[str] = DEFAULT,
        pods: bool = True,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self.store = store or Store()
        install_definitions(self.store, definitions)
        self.envoy = envoy
        self._planes = tuple(planes)
        chosen(self._planes)
        self._addresses = LoopbackAddresses()
        self._assembly = assemble(self.store, addresses=self._addresses if pods else None, serve=True)
        self._api = api(self.store) if api is not None else None
        self._feed: MeshFeed | None = None
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
    def mesh(self) -> MeshFeed:
        """What feeds Envoy."""
        if self._feed is None:
            raise RuntimeError("this development cluster has no Envoy, or is not started")
        return self._feed

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
            if self.envoy is not None:
                await self.envoy.start()
                self._feed = MeshFeed(self.engine, self.envoy, self.kinds, planes=self._planes)
                self._assembly.served.tell(self._feed, self._feed.reads.__contains__)
                self._feed.start()
                self._feed.when_broken(self._break)
                if self._assembly.kubelet is not None:
                    self._assembly.kubelet.sends_to = self._feed.sends_to
            self.engine.start()
            self.engine.when_broken(self._break)
            if self._api is not None:
                await self._api.start()
        except BaseException:
            await self.stop()
            raise

    async def broken(self) -> None:
        """
        Wait for ever, or until a loop ends by a bug or Envoy is gone.

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
        parts = [self._api, self._feed, self._assembly.engine, self._assembly.kubelet, self.envoy]
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

    def _break(self, error: BaseException) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)
