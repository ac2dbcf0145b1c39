"""What does `tiphys demo` do from its start to its end?"""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tiphys.demo import app
from tiphys.demo.load import Load
from tiphys.demo.measure import Share, rolling, share
from tiphys.demo.picture import draw
from tiphys.demo.scenarios import PLOTS, unmet_steps
from tiphys.demo.screen import Screen
from tiphys.demo.stage import Stage
from tiphys.demo.summary import PodCount, Summary
from tiphys.demo.witness import Witness

START_WITHIN = 30.0
SLICE = 0.5
AFTERWARDS = 2.0
"""How long the load goes on when all is over: the hand-over must not fail a request either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose; *rate* is in requests a second."""

    scenario: str = "promote"
    keep: bool = False
    json: bool = False
    rate: float = 200.0
    picture: Path = Path("tiphys-demo.svg")


async def run_demo(options: Options) -> int:
    """Run one scenario; the exit status is 1 if a request failed, a share or a count is off, or the scenario did not take place."""
    if options.scenario not in PLOTS:
        raise ValueError(f"scenario: found {options.scenario}, wanted one of {', '.join(PLOTS)}")
    console = Console(stderr=options.json)
    # Whoever asks us to end, the way out is that of Ctrl-C: nothing is left behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    screen = Screen(console, quiet=options.json)
    async with Stage() as stage:
        summary = await _perform(stage, screen, options)
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


async def _perform(stage: Stage, screen: Screen, options: Options) -> Summary:
    script = app.SCRIPTS[options.scenario]
    for manifest in app.objects(script):
        stage.apply(manifest)
    broken = await _first_deploy(stage)
    load = Load(url=stage.envoy.url, host=app.HOST, rate=options.rate)
    witness = Witness(stage, screen.tell)
    witness.start()
    load.start()
    screen.start(stage, witness, load, scenario=options.scenario)
    try:
        if not broken:
            async with asyncio.timeout(script.limit):
                await load.warm.wait()
                broken = await PLOTS[options.scenario](stage, witness)
                await witness.measured(seconds=AFTERWARDS)
    except TimeoutError:
        broken = [f"the scenario did not take place: {_where(stage)}"]
    finally:
        await load.stop()
        end = time.monotonic()
        await witness.stop()
        await screen.stop()
    return await _sum_up(stage, witness, load, options, broken, end)


async def _first_deploy(stage: Stage) -> list[str]:
    """Wait for the first version, before any load: nothing may fail from the first request on."""
    try:
        await stage.until(lambda rollout: rollout.get("status", {}).get("phase") == "Healthy", within=START_WITHIN)
        await stage.cluster.mesh.applied()
    except TimeoutError:
        return [f"the first version did not become healthy: {_where(stage)}"]
    return []


async def _sum_up(stage: Stage, witness: Witness, load: Load, options: Options, broken: list[str], end: float) -> Summary:
    counts = await stage.envoy.counts()
    shares = _shares(witness, load)
    if not broken and options.scenario == "promote":
        broken = unmet_steps(app.SCRIPTS[options.scenario], shares)
    points = rolling(load.answers, witness.windows, since=load.started, width=SLICE)
    title = f"{app.NAME}: {options.scenario}"
    await asyncio.to_thread(draw, options.picture, title=title, windows=witness.windows, points=points, since=load.started, end=end)
    status = stage.rollout().get("status", {})
    return Summary(
        scenario=options.scenario,
        seconds=end - witness.begun,
        requests=len(load.answers),
        failed=load.failed,
        steps=shares,
        proxy_requests=counts.requests,
        proxy_failed=counts.failed,
        pods=tuple(PodCount(name=count.name, hash=count.hash, served=count.requests) for count in stage.cluster.counts()),
        phase=str(status.get("phase", "")),
        message=str(status.get("message", "")),
        stable=str(status.get("stableRS", "")),
        happened=tuple(witness.happened),
        failures=tuple(load.failures),
        broken=tuple(broken),
    )


def _shares(witness: Witness, load: Load) -> tuple[Share, ...]:
    """Measure every window of an update under way that saw requests."""
    measured = (share(window, load.answers) for window in witness.windows if window.step is not None)
    return tuple(each for each in measured if each.requests)


def _where(stage: Stage) -> str:
    status: dict[str, Any] = stage.rollout().get("status", {})
    return f"phase {status.get('phase')}, step {status.get('currentStepIndex')}, {status.get('message') or 'no message'}"


def _show(console: Console, summary: Summary, picture: Path) -> None:
    table = Table("step", "wanted %", "measured %", "± allowed", "requests", box=None, header_style="dim", padding=(0, 2))
    for each in summary.steps:
        style = "" if each.within_bounds else "red"
        row = (str(each.index), str(each.wanted), f"{each.measured:.1f}", f"{each.allowed:.1f}", str(each.requests))
        table.add_row(*row, style=style)
    console.print(table)
    console.print(
        f"{summary.requests} requests, {summary.failed} failed; Envoy counted {summary.proxy_requests} and {summary.proxy_failed}, "
        f"the pods {sum(pod.served for pod in summary.pods)}. "
        f"The Rollout is {summary.phase} after {summary.seconds:.1f} s.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Wanted weight and measured share over time: {picture}", highlight=False, soft_wrap=True)


async def _keep(stage: Stage, console: Console) -> None:
    """Leave everything running until somebody ends it."""
    console.print(
        f"\nThe cluster goes on until Ctrl-C. In another terminal:\n"
        f"  export PATH={Path(sys.executable).parent}:$PATH KUBECONFIG={stage.kubeconfig} MESH={stage.envoy.url}\n"
        f"  kubectl get rollouts\n"
        f"  tiphys get rollout {app.NAME} --watch\n"
        f"  tiphys set image {app.NAME} {app.CONTAINER}={app.image('4')}\n"
        f"  tail {stage.log}\n"
        f"  curl -H 'Host: {app.HOST}' $MESH",
        highlight=False,
        soft_wrap=True,
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stopped.set)
    await stopped.wait()
