"""A terminal in which people type: the real kubectl and tiphys, started as they start them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[1]
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """
    Starts commands in *folder*, with *home* as their home, where kubectl keeps what it has learnt.

    *variables* are what people have exported.
    """

    home: Path
    kubeconfig: Path | None = None
    folder: Path = REPOSITORY
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        known = {"PATH": path, "HOME": str(self.home)}
        return known | ({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {}) | dict(self.variables)

    async def start(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        """Start a program of ours, or any program of the machine."""
        ours = BIN / program
        return await asyncio.create_subprocess_exec(
            ours if ours.exists() else program,
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self.environment(),
            cwd=self.folder,
        )

    async def run(self, program: str, *arguments: str) -> Done:
        """Wait for the end of a command."""
        process = await self.start(program, *arguments)
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.communicate()
            raise
        assert process.returncode is not None
        return Done(code=process.returncode, out=out.decode(), err=err.decode())

    async def types(self, text: str) -> str:
        """Give what a line of a shell prints that succeeds."""
        return await self.says("bash", "-e", "-c", text)

    async def watches(self, *words: str, until: str) -> str:
        """Start a command that goes on for ever, end it with Ctrl-C once it has shown *until*, and give what it showed."""
        process = await self.start(*words)
        assert process.stdout is not None
        try:
            shown = await asyncio.wait_for(process.stdout.readuntil(until.encode()), PATIENCE)
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert (process.returncode, err.strip()) == (130, b""), err.decode()
        return shown.decode()

    async def says(self, program: str, *arguments: str) -> str:
        """Give what a command that succeeds prints."""
        done = await self.run(program, *arguments)
        assert done.code == 0, f"{program} {' '.join(arguments)}: {done.out}{done.err}"
        return done.out
