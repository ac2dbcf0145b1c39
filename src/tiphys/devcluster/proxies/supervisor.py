"""
Is a child process (a proxy) running, ready, and gone when we are gone?

The Envoy build at hand dies with the *thread* that started it, so children are started by the event loop's own thread, which
lives as long as the cluster. Every child is also tied to this process: if we are killed, the kernel ends it.
"""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tiphys.api.errors import TiphysError

_PR_SET_PDEATHSIG = 1
_LOG_TAIL = 2_000
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildError(TiphysError):
    """A child process did not start, or ended by itself."""


class Child:
    """One supervised process; its output goes to *log*."""

    def __init__(self, name: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._environment = dict(os.environ if environment is None else environment)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """
        Start the process.

        Raises: ChildError when there is no such program.
        """
        with self.log.open("ab") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self._environment,
                    preexec_fn=_die_with_parent if _libc else None,
                    start_new_session=True,  # Ctrl-C is for us: the child is ended when nobody needs it any more
                )
            except OSError as error:
                raise ChildError(f"{self.name}: cannot start {self._argv[0]}: {error.strerror}") from error

    async def ready(self, check: Callable[[], Awaitable[bool]], *, within: float = 20.0) -> None:
        """
        Return as soon as *check* says yes.

        Raises: ChildError when the process ends first, or *within* seconds have passed.
        """
        deadline = time.monotonic() + within
        while not await check():
            if not self.running:
                raise ChildError(f"{self.name} ended with status {self._process and self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} was not ready within {within:g} s:\n{self.tail()}")
            await asyncio.sleep(0.01)

    async def stop(self, *, within: float = 5.0) -> None:
        """Ask the process to end; after *within* seconds make it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ended(self) -> int:
        """Wait until the process has ended, and give its exit status."""
        if self._process is None:
            return 0
        return await self._process.wait()

    def tail(self) -> str:
        """Give the end of what the process has printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-_LOG_TAIL:]


def _die_with_parent() -> None:
    """Run in the child between fork and exec: ask the kernel to end it with its parent."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
