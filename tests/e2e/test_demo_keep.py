"""Can people use the cluster that the demo leaves running as it tells them to, and is nothing of it left afterwards?"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from terminal import BIN, Terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has left is read from /proc")

LISTENING = "0A"


class Demo:
    """A demo in a process group of its own, as in a terminal, and what it has printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.printed: list[str] = []

    async def line(self, part: str) -> str:
        """Wait for a line with *part* in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while not self.printed or part not in self.printed[-1]:
                read = await self.process.stdout.readline()
                assert read, "\n".join(self.printed)
                self.printed.append(read.decode().rstrip())
        return self.printed[-1]

    async def end(self, by: signal.Signals) -> int:
        """Signal the whole group, as Ctrl-C does, and give the exit status."""
        os.killpg(self.process.pid, by)
        rest, _ = await asyncio.wait_for(self.process.communicate(), 20)
        self.printed += rest.decode().splitlines()
        return self.process.returncode or 0


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[Demo]:
    (folder / "tmp").mkdir()
    process = await asyncio.create_subprocess_exec(
        BIN / "tiphys",
        "demo",
        *arguments,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=folder,
        env=Terminal(home=folder, variables={"TMPDIR": str(folder / "tmp")}).environment(),
        start_new_session=True,
    )
    try:
        yield Demo(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()


def parents() -> dict[int, int]:
    """Give the parent of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(text.split()[0])] = int(text.rpartition(")")[2].split()[1])
    return found


def family(pid: int) -> set[int]:
    """Give a process and all its descendants."""
    known, members = parents(), {pid}
    while more := {child for child, parent in known.items() if parent in members} - members:
        members |= more
    return members


def listening(pids: set[int]) -> set[str]:
    """Give the sockets on which *pids* listen, by their numbers."""
    targets = [str(each.readlink()) for pid in pids for each in Path(f"/proc/{pid}/fd").iterdir()]
    held = {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}
    return held & all_listening()


def all_listening() -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == LISTENING}


async def test_the_cluster_that_is_kept_can_be_used_as_printed_and_leaves_nothing(tmp_path: Path) -> None:
    async with demo(tmp_path, "--keep", "--scenario", "abort") as running:
        await running.line("curl -H")
        greeting = next(number for number, line in enumerate(running.printed) if "goes on until Ctrl-C" in line)
        export, get, watch, set_image, tail, curl = running.printed[greeting + 1 :]
        people = Terminal(home=tmp_path)
        members = family(running.process.pid)
        ears = listening(members)

        listed, changed, logged, answered = [await people.types(f"{export}\n{line}") for line in (get, set_image, tail, curl)]
        watched = await people.watches("bash", "-c", f"{export}\nexec {watch.strip()}", until="revision:3")
        tree = await people.types(f"{export}\ntiphys get rollout rollouts-demo --no-color")
        described = await people.types(f"{export}\nkubectl describe rollout rollouts-demo")
        status = await running.end(signal.SIGINT)

    assert listed.splitlines()[1].split()[:2] == ["rollouts-demo", "5"]
    assert changed == 'rollout "rollouts-demo" image updated\n'
    assert {json.loads(line)["rollout"] for line in logged.splitlines()} == {"rollouts-demo"}
    assert json.loads(answered)["version"] in {"1", "4"}
    assert "⟳ rollouts-demo" in watched
    assert [line.split()[-1] for line in tree.splitlines() if "revision:" in line] == ["revision:3", "revision:2", "revision:1"]
    assert "RolloutAborted" in described.partition("Events:")[2]
    assert (status, running.printed[-1].split()[0]) == (0, "curl")
    assert len(members) > 1
    assert len(ears) > 5
    assert members.isdisjoint(parents())
    assert ears.isdisjoint(all_listening())
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(("by", "when"), [(signal.SIGINT, "phase Healthy"), (signal.SIGTERM, "weight 0")])
async def test_a_demo_that_is_interrupted_ends_quietly_and_leaves_nothing(tmp_path: Path, by: signal.Signals, when: str) -> None:
    async with demo(tmp_path) as running:
        await running.line(when)
        members = family(running.process.pid)
        ears = listening(members)

        status = await running.end(by)

    assert (status, [line for line in running.printed if "Error" in line or "Traceback" in line]) == (130, [])
    assert members.isdisjoint(parents())
    assert ears.isdisjoint(all_listening())
    assert list((tmp_path / "tmp").iterdir()) == []
