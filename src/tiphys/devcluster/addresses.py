"""Which loopback addresses are this cluster's own? (Several clusters run on one machine.)"""

import errno
import os
import socket
from collections.abc import Iterator

from tiphys.api.errors import TiphysError

_NETWORK = "127.77"
_LOCK_PORT = 7077
"""Whoever listens on this port of 127.77.X.1 owns the addresses 127.77.X.2 to 127.77.X.254."""


class NoAddressError(TiphysError):
    """All blocks of loopback addresses are taken."""


class LoopbackAddresses:
    """Gives addresses of blocks that this process has claimed; an address is used again as late as possible."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._free: list[str] = []
        self._blocks = self._every_block()

    def take(self) -> str:
        """
        Give an address that nobody else has.

        Raises: NoAddressError when the machine has no block left.
        """
        if not self._free:
            self._claim()
        return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Say that *address* is not used any more."""
        self._free.append(address)

    def close(self) -> None:
        """Give up all blocks."""
        for claim in self._claims:
            claim.close()
        self._claims.clear()
        self._free.clear()

    def _claim(self) -> None:
        for block in self._blocks:
            claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                claim.bind((f"{_NETWORK}.{block}.1", _LOCK_PORT))
                claim.listen(1)
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._claims.append(claim)
            self._free += [f"{_NETWORK}.{block}.{host}" for host in range(2, 255)]
            return
        raise NoAddressError(f"every block of {_NETWORK}.0.0/16 is taken by another development cluster")

    @staticmethod
    def _every_block() -> Iterator[int]:
        """Begin somewhere else in every process, so that two rarely try the same block."""
        start = os.getpid() % 256
        yield from range(start, 256)
        yield from range(start)


class VirtualAddresses:
    """Gives addresses that nobody listens on, always the same ones in the same order."""

    def __init__(self) -> None:
        self._next = 1

    def take(self) -> str:
        """Give the next address."""
        self._next += 1
        return f"10.{244 + self._next // 65536}.{self._next // 256 % 256}.{self._next % 256}"

    def give_back(self, address: str) -> None:
        """Addresses are not used twice."""

    def close(self) -> None:
        """Nothing is held."""
