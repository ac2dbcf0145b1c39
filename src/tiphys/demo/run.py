"""What does `tiphys demo` do from its start to its end?"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tiphys.demo import app
from tiphys.demo.entrances import DEFAULT, chosen
from tiphys.demo.gate import Gate
from tiphys.demo.load import Load
from tiphys.demo.measure import rolling
from tiphys.demo.picture import Curve, draw
from tiphys.demo.routing import Routing, fitting
from tiphys.demo.scenarios import PLOTS, unmet_steps
from tiphys.demo.screen import Screen
from tiphys.demo.stage import Stage
from tiphys.demo.summary import EntryCount, PodCount, ProxyCount, Summary
from tiphys.demo.witness import Witness
from tiphys.devcluster.proxies.proxy import Proxy

START_WITHIN = 30.0
SLICE = 0.5
AFTERWARDS = 2.0
"""How long the load goes on when all is over: the hand-over must not fail a request either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose; *rate* is in requests a second, over all *routers*."""

    scenario: str = "promote"
    routers: Sequence[str] = DEFAULT
    keep: bool = False
    json: bool = False
    rate: float = 200.0
    picture: Path = Path("tiphys-demo.svg")


async def run_demo(options: Options) -> int:
    """
    Run one scenario; the exit status is 1 if a request failed, a share or a count is off, or the scenario did not take place.

    Raises: RouterError for a router that the demo, or this version, does not have.
    """
    if options.scenario not in PLOTS:
        raise ValueError(f"scenario: found {options.scenario}, wanted one of {', '.join(PLOTS)}")
    script = fitting(app.SCRIPTS[options.scenario], chosen(options.routers))
    console = Console(stderr=options.json)
    # Whoever asks us to end, the way out is that of Ctrl-C: nothing is left behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    screen = Screen(console, quiet=options.json)
    async with Stage(options.routers) as stage:
        summary = await _perform(stage, screen, options, script)
        problems = summary.problems()
        if options.json:
            sys.stdout.write(summary.as_json() + "\n")
            sys.stdout.flush()
        else:
            _show(console, summary, options.picture)
        for problem in problems:
            console.print(f"✖ {problem}", style="red", highlight=False)
        if options.keep:
            await _keep(stage, console)
    return 1 if problems else 0


async def _perform(stage: Stage, screen: Screen, options: Options, script: app.Script) -> Summary:
    for manifest in app.objects(script, stage.entrances):
        stage.apply(manifest)
    broken = await _first_deploy(stage)
    witness = Witness(stage, screen.tell)
    gates = [_gate(stage, witness, routing, rate=options.rate / len(stage.entrances)) for routing in stage.routings]
    witness.start(gates)
    for gate in gates:
        gate.load.start()
    screen.start(stage, witness, scenario=options.scenario)
    try:
        if not broken:
            async with asyncio.timeout(script.limit):
                await asyncio.gather(*[gate.load.warm.wait() for gate in gates])
                broken = await PLOTS[options.scenario](stage, witness)
                await witness.measured(seconds=AFTERWARDS)
    except TimeoutError:
        broken = [f"the scenario did not take place: {_where(stage)}"]
    finally:
        await asyncio.gather(*[gate.load.stop() for gate in gates])
        end = time.monotonic()
        await witness.stop()
        await screen.stop()
    if not broken and options.scenario == "promote":
        shares = [share for gate in gates for share in gate.shares()]
        broken = unmet_steps(script, shares, routers=[gate.name for gate in gates])
    return await _sum_up(stage, witness, options, broken, end)


def _gate(stage: Stage, witness: Witness, routing: Routing, *, rate: float) -> Gate:
    entrance = routing.entrance
    proxy = stage.cluster.proxy(entrance.name)
    note = witness.note if len(stage.entrances) == 1 else lambda text: witness.note(f"{entrance.name}: {text}")
    return Gate(routing=routing, proxy=proxy, load=Load(url=proxy.url, host=entrance.host, rate=rate), note=note)


async def _first_deploy(stage: Stage) -> list[str]:
    """Wait for the first version, before any load: nothing may fail from the first request on."""
    try:
        await stage.until(lambda rollout: rollout.get("status", {}).get("phase") == "Healthy", within=START_WITHIN)
        await stage.cluster.applied()
    except TimeoutError:
        return [f"the first version did not become healthy: {_where(stage)}"]
    return []


async def _sum_up(stage: Stage, witness: Witness, options: Options, broken: list[str], end: float) -> Summary:
    curves = [_curve(gate) for gate in witness.gates]
    title = f"{app.NAME}: {options.scenario}"
    since = witness.gates[0].load.started
    await asyncio.to_thread(draw, options.picture, title=title, curves=curves, since=since, end=end)
    status = stage.rollout().get("status", {})
    return Summary(
        scenario=options.scenario,
        seconds=end - witness.begun,
        entries=tuple(_entry(gate) for gate in witness.gates),
        steps=tuple(share for gate in witness.gates for share in gate.shares()),
        proxies=tuple([await _count(stage, proxy) for proxy in stage.cluster.proxies]),
        pods=tuple(PodCount(name=count.name, hash=count.hash, served=count.requests) for count in stage.cluster.counts()),
        phase=str(status.get("phase", "")),
        message=str(status.get("message", "")),
        stable=str(status.get("stableRS", "")),
        happened=tuple(witness.happened),
        failures=tuple(failure for gate in witness.gates for failure in gate.load.failures),
        broken=tuple(broken),
    )


def _curve(gate: Gate) -> Curve:
    points = rolling(gate.load.answers, gate.windows, since=gate.load.started, width=SLICE)
    return Curve(router=gate.name, windows=gate.windows, points=points)


def _entry(gate: Gate) -> EntryCount:
    return EntryCount(router=gate.name, host=gate.load.host, requests=len(gate.load.answers), failed=gate.load.failed)


async def _count(stage: Stage, proxy: Proxy) -> ProxyCount:
    counts = await proxy.counts()
    routers = tuple(entrance.name for entrance in stage.entrances if entrance.name in proxy.planes)
    return ProxyCount(name=proxy.name, routers=routers, requests=counts.requests, failed=counts.failed)


def _where(stage: Stage) -> str:
    status: dict[str, Any] = stage.rollout().get("status", {})
    return f"phase {status.get('phase')}, step {status.get('currentStepIndex')}, {status.get('message') or 'no message'}"


def _show(console: Console, summary: Summary, picture: Path) -> None:
    table = Table("router", "step", "wanted %", "measured %", "± allowed", "requests", box=None, header_style="dim", padding=(0, 2))
    for each in summary.steps:
        style = "" if each.within_bounds else "red"
        row = (each.router, str(each.index), str(each.wanted), f"{each.measured:.1f}", f"{each.allowed:.1f}", str(each.requests))
        table.add_row(*row, style=style)
    console.print(table)
    counted = "".join(f"; {proxy.name} counted {proxy.requests} and {proxy.failed}" for proxy in summary.proxies)
    console.print(
        f"{summary.requests} requests, {summary.failed} failed{counted}, the pods {summary.served}. "
        f"The Rollout is {summary.phase} after {summary.seconds:.1f} s.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Wanted weight and measured share over time: {picture}", highlight=False, soft_wrap=True)


async def _keep(stage: Stage, console: Console) -> None:
    """Leave everything running until somebody ends it."""
    first, *others = [(entrance, stage.cluster.proxy(entrance.name).url) for entrance in stage.entrances]
    more = "".join(f"\n  curl -H 'Host: {entrance.host}' {url}" for entrance, url in others)
    console.print(
        f"\nThe cluster goes on until Ctrl-C. In another terminal:\n"
        f"  export PATH={Path(sys.executable).parent}:$PATH KUBECONFIG={stage.kubeconfig} MESH={first[1]}\n"
        f"  kubectl get rollouts\n"
        f"  tiphys get rollout {app.NAME} --watch\n"
        f"  tiphys set image {app.NAME} {app.CONTAINER}={app.image('4')}\n"
        f"  tail {stage.log}\n"
        f"  curl -H 'Host: {first[0].host}' $MESH{more}",
        highlight=False,
        soft_wrap=True,
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stopped.set)
    await stopped.wait()
