"""What does the development cluster ask of every proxy, whichever it is?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """
    A proxy's own counters: requests that were answered, and answers of 500 and above among them.

    *mirrored* are copies (of one backend; at the listener there are none). *reloads* says how often the whole configuration was
    replaced; a proxy that is told of changes piecewise counts none.
    """

    requests: int
    failed: int
    mirrored: int = 0
    reloads: int = 0


class Proxy(Protocol):
    """
    One running proxy, and whose route objects it acts upon.

    Many Rollouts, in many namespaces and behind many hosts, share one proxy: start a cluster once and use it for all of them. What
    is asked here is about all objects of the proxy's planes.
    """

    @property
    def planes(self) -> tuple[str, ...]:
        """The planes, as they are named in `planes.py`."""

    @property
    def name(self) -> str:
        """The program's name, for people."""

    @property
    def exact(self) -> bool:
        """
        Whether shares are exact.

        Of so many requests in a row each side gets as many as its weight says, give or take one at either end and at each
        reload (`Counts.reloads`), where the counting begins anew. Otherwise each request is a random choice.
        """

    @property
    def url(self) -> str:
        """Where requests go in; the Host header says which route is meant."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the objects the proxy does not act upon, in words."""

    async def start(self) -> None:
        """
        Start the program and return when it answers.

        Raises: ChildError when it is missing or ends at once.
        """

    async def stop(self) -> None:
        """
        End it.

        Raises: what ended it before, if something did.
        """

    def when_broken(self, tell: Callable[[BaseException], None]) -> None:
        """Call *tell* if it ends by itself."""

    def when_left_out(self, tell: Callable[[str], None]) -> None:
        """Call *tell* with each problem once, now and whenever it comes anew."""

    async def applied(self, version: int | str | None = None) -> float:
        """
        Wait until the proxy acts upon everything up to resourceVersion *version* (default: what is there now).

        Others may go on changing objects meanwhile: that does not make it later. Gives the monotonic time from which on it was
        so for certain.

        Raises: whatever ended the proxy.
        """

    def sends_to(self, address: str) -> bool:
        """Whether requests may still be sent to *address*."""

    async def counts(self) -> Counts:
        """Read the proxy's own counters."""
