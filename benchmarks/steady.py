"""What does a controller cost that has 1,000 Rollouts and nothing to do?"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.figures import Figure, resident
from tiphys.devcluster.kubeconfig import write_kubeconfig

ROLLOUTS = 1_000
IDLE = 20.0
CONTROLLER = Path(sys.executable).parent / "tiphys"
AT_MOST_MB, AT_MOST_SHARE, AT_MOST_SECONDS = 150.0, 1.0, 3.0


def run() -> list[Figure]:
    """Start the controller as users do, beside a cluster in another process, and watch it from outside."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    bare = await _bare_start()
    cluster = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.steady_cluster", str(ROLLOUTS), stdin=PIPE, stdout=PIPE
    )
    try:
        url = str((await _heard(cluster))["url"])
        with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as folder:
            kubeconfig = Path(folder) / "kubeconfig"
            write_kubeconfig(kubeconfig, url)
            return await _watch(cluster, kubeconfig, bare)
    finally:
        await _end(cluster)


async def _watch(cluster: Process, kubeconfig: Path, bare: float) -> list[Figure]:
    port = _free_port()
    began = time.monotonic()
    ports = ("--metricsPort", "0", "--healthzPort", str(port))
    controller = await asyncio.create_subprocess_exec(
        CONTROLLER, "controller", "--kubeconfig", kubeconfig, *ports, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session:
            await _ready(session, f"http://127.0.0.1:{port}/readyz", controller)
        ready = time.monotonic() - began
        first = await _settled(controller.pid)
        before = await _ask(cluster)
        used, since = _cpu(controller.pid), time.monotonic()
        await asyncio.sleep(IDLE)
        share = 100 * (_cpu(controller.pid) - used) / (time.monotonic() - since)
        after = await _ask(cluster)
        memory = resident(controller.pid)
    finally:
        await _end(controller)
    news = after["requests"][len(before["requests"]) :]
    print(f"{first:.1f} s of CPU until everything was looked at once, by {before['lists']} lists and watches")
    lists, leases = after["lists"] - before["lists"], after["others"] - before["others"]
    print(f"in {IDLE:.0f} s idle: {len(news)} requests, {lists} lists or watches, {leases} requests for the lease")
    for each in [*before["requests"][:5], *news[:5]]:
        print(f"  {each}")
    return [
        Figure(name="memory with 1,000 Rollouts, 3,000 ReplicaSets", value=memory, unit="MB", at_most=AT_MOST_MB),
        Figure(name="requests of the first look at settled objects", value=len(before["requests"]), unit="", at_most=0, counted=True),
        Figure(name="requests while idle (leases apart)", value=len(news), unit="", at_most=0, counted=True),
        Figure(name="CPU while idle, of a core", value=share, unit="%", at_most=AT_MOST_SHARE),
        Figure(
            name="start to ready",
            value=ready,
            unit="s",
            at_most=AT_MOST_SECONDS,
            yardstick=bare,
            beside="tiphys controller --help, start to end",
        ),
    ]


async def _bare_start() -> float:
    """Give the seconds that the program takes to start and end without doing anything."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(CONTROLLER, "controller", "--help", stdout=DEVNULL)
    await process.wait()
    return time.monotonic() - began


async def _ready(session: aiohttp.ClientSession, url: str, controller: Process, *, within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while True:
            if controller.returncode is not None:
                raise RuntimeError(f"the controller: found it ended with status {controller.returncode}, wanted it ready")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.02)


async def _settled(pid: int) -> float:
    """Wait until the process uses (almost) no CPU any more; give the seconds of CPU it has used."""
    while True:
        before = _cpu(pid)
        await asyncio.sleep(1.0)
        if _cpu(pid) - before < 0.05:
            return _cpu(pid)


def _cpu(pid: int) -> float:
    """Give the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _ask(cluster: Process) -> dict[str, Any]:
    assert cluster.stdin is not None
    cluster.stdin.write(b"\n")
    await cluster.stdin.drain()
    return await _heard(cluster)


async def _heard(cluster: Process) -> dict[str, Any]:
    assert cluster.stdout is not None
    line = await cluster.stdout.readline()
    if not line:
        raise RuntimeError("the cluster's process has ended")
    said: dict[str, Any] = msgspec.json.decode(line)
    return said


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
