"""How does Envoy come to act upon the route objects of the planes that are translated for it?"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from tiphys.devcluster.engine import Engine
from tiphys.devcluster.proxies.builder import Kind, ProxyConfig
from tiphys.devcluster.proxies.envoy import Envoy, EnvoyRejectedError
from tiphys.devcluster.proxies.feed import Applied, Feed
from tiphys.devcluster.proxies.planes import kinds_of, translate
from tiphys.devcluster.proxies.proxy import Counts
from tiphys.devcluster.resources import ResourceType


class MeshFeed(Feed):
    """Translates the objects of the chosen planes for Envoy whenever one changes; it hears of that *delay* seconds later, at least."""

    name = "Envoy"
    exact = False

    def __init__(
        self, engine: Engine, envoy: Envoy, kinds: Mapping[Kind, ResourceType], *, planes: Sequence[str], delay: float = 0.0
    ) -> None:
        super().__init__(engine, kinds, planes=planes, reads=kinds_of(planes))
        self.envoy = envoy
        self._config: ProxyConfig | None = None
        self._delay = delay

    @property
    def url(self) -> str:
        """Where requests go in; the Host header says which Service is meant."""
        return self.envoy.url

    async def start(self) -> None:
        """
        Start Envoy, and begin to feed it.

        Raises: ChildError when the program is missing or ends at once.
        """
        await self.envoy.start()
        self._begin()

    async def stop(self) -> None:
        """
        End the feed, then Envoy.

        Raises: what ended the feed before, if something did.
        """
        try:
            await self._end()
        finally:
            await self.envoy.stop()

    def sends_to(self, address: str) -> bool:
        """Whether Envoy may still send requests to *address*."""
        return self.envoy.sends_to(address)

    async def counts(self) -> Counts:
        """Read how many requests came in through the listener, and how many were answered with 500 and above."""
        return await self.envoy.counts()

    async def _follow(self) -> None:
        version = self._engine.store.version
        config = translate(self.planes, self._objects())
        problems = config.problems
        if config != self._config:
            if self._config is not None:
                await asyncio.sleep(self._delay)
            try:
                await self.envoy.put(config)
            except EnvoyRejectedError as error:
                problems = (*problems, str(error))
            self._config = config
            self.history.append(Applied(version=version, at=time.monotonic()))
        self._left_out(problems)
        self._version = version
