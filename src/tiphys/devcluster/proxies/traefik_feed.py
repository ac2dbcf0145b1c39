"""From when on does Traefik act upon the objects? It reads them itself; it is asked until it says what they say."""

import asyncio
import time
from collections.abc import Mapping

from tiphys.devcluster.engine import Engine
from tiphys.devcluster.proxies.builder import Kind
from tiphys.devcluster.proxies.feed import Applied, Feed
from tiphys.devcluster.proxies.progress import Progress
from tiphys.devcluster.proxies.proxy import Counts
from tiphys.devcluster.proxies.traefik import Traefik
from tiphys.devcluster.proxies.traefik_says import Raw, TraefikPlane
from tiphys.devcluster.resources import ResourceType

_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.1


class TraefikFeed(Feed):
    """One Traefik with one of its readers, and how far it is."""

    name = "Traefik"
    exact = True

    def __init__(self, engine: Engine, traefik: Traefik, kinds: Mapping[Kind, ResourceType], *, name: str, plane: TraefikPlane) -> None:
        super().__init__(engine, kinds, planes=(name,), reads=plane.kinds)
        self.traefik = traefik
        self._plane = plane
        self._progress = Progress()
        self._addresses: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Where requests go in; the Host header is one that a route names."""
        return self.traefik.url

    async def start(self) -> None:
        """
        Start Traefik, and begin to look at what it says.

        Raises: ChildError when the program is missing or ends at once.
        """
        await self.traefik.start()
        self._begin()

    async def stop(self) -> None:
        """
        End Traefik.

        Raises: what ended the feed before, if something did.
        """
        try:
            await self._end()
        finally:
            await self.traefik.stop()

    def sends_to(self, address: str) -> bool:
        """Whether Traefik sends requests to *address*, or may still come to."""
        return address in self._addresses

    async def counts(self) -> Counts:
        """Read Traefik's own counters."""
        return await self.traefik.counts()

    async def _follow(self) -> None:
        version = self._engine.store.version
        self._progress.note(self._plane.objects_say(self._objects()), version=version, now=time.monotonic())
        self._addresses |= self._progress.addresses()
        pause = _FIRST_LOOK
        while True:
            raw = Raw.of(await self.traefik.rawdata(), self._plane.provider)
            now = time.monotonic()
            reached, given_up = self._progress.reached(self._plane.traefik_says(raw), version=version, now=now)
            self._addresses = raw.addresses() | self._progress.addresses()
            self._left_out(given_up)
            if reached > self._version:
                self._version = reached
                self.history.append(Applied(version=reached, at=now))
            if reached >= version or self._dirty.is_set():
                return
            await self._told()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK)
