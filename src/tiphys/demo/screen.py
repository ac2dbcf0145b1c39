"""What does a person see while the demo runs?"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tiphys.demo import app
from tiphys.demo.gate import Gate
from tiphys.demo.stage import Stage
from tiphys.demo.witness import Witness

_BAR = 30
_PODS = 16


@dataclass(slots=True)
class Screen:
    """One live screen on a terminal; elsewhere only the lines that `tell` prints."""

    console: Console
    quiet: bool = False
    _live: Live | None = None
    _task: asyncio.Task[None] | None = None
    _drawn: Callable[[], Any] | None = None
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Show that something happened."""
        self.lines.append(line)
        if self._live is None and not self.quiet:
            self.console.print(line, highlight=False)

    def start(self, stage: Stage, witness: Witness, *, scenario: str) -> None:
        """Begin to draw, where there is a terminal to draw on."""
        if self.quiet or not self.console.is_terminal:
            return
        self._drawn = lambda: _draw(stage, witness, scenario=scenario)
        self._live = Live(self._drawn(), console=self.console, auto_refresh=False)
        self._live.start()
        self._task = asyncio.create_task(self._redraw(), name="demo screen")

    async def stop(self) -> None:
        """Draw once more and leave the picture standing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._live is not None and self._drawn is not None:
            self._live.update(self._drawn(), refresh=True)
            self._live.stop()
            self._live = None

    async def _redraw(self) -> None:
        while self._live is not None and self._drawn is not None:
            self._live.update(self._drawn(), refresh=True)
            await asyncio.sleep(0.2)


def _draw(stage: Stage, witness: Witness, *, scenario: str) -> Panel:
    rollout = stage.rollout()
    status = rollout.get("status", {})
    head = Text.assemble(
        ("⎈ ", "cyan"),
        (f"{app.NAME}  ", "bold"),
        (f"{status.get('phase', '…')}  ", _colour(str(status.get("phase", "")))),
        status.get("message", ""),
    )
    weights = Table.grid(padding=(0, 2))
    for gate in witness.gates:
        of = f"  {gate.name}" if len(witness.gates) > 1 else ""
        measured, recent = _recent_share(gate, str(status.get("stableRS", "")))
        weights.add_row(f"wanted{of}", _bar(gate.wanted, "blue"), f"{gate.wanted:5.1f} %")
        weights.add_row(f"measured{of}", _bar(measured, "red"), f"{measured:5.1f} %  of the last {recent} requests")
    sent, failed = sum(len(gate.load.answers) for gate in witness.gates), sum(gate.load.failed for gate in witness.gates)
    counts = f"{sent} requests   {failed} failed   {time.monotonic() - witness.begun:.0f} s"
    body = Group(
        head, Text(""), _steps(rollout), weights, Text(""), _pods(stage), Text(counts, style="bold"), *map(Text, witness.happened[-5:])
    )
    return Panel(body, title=f"tiphys demo · {scenario}", border_style="cyan")


def _recent_share(gate: Gate, stable: str) -> tuple[float, int]:
    since = time.monotonic() - 2
    recent = [answer for answer in gate.load.answers[-1000:] if answer.sent >= since and answer.pod_hash]
    canary = sum(answer.pod_hash != stable for answer in recent)
    return (100 * canary / len(recent) if recent else 0.0), len(recent)


def _steps(rollout: dict[str, Any]) -> Text:
    index = int(rollout.get("status", {}).get("currentStepIndex", 0))
    text = Text("steps  ")
    for number, step in enumerate(rollout["spec"]["strategy"]["canary"]["steps"]):
        key, value = next(iter(step.items()))
        words = f"{value}%" if key == "setWeight" else "pause" if key == "pause" else key
        style = "green" if number < index else "bold yellow" if number == index else "dim"
        text.append(f"{words}  ", style=style)
    return text


def _pods(stage: Stage) -> Table:
    table = Table("pod", "version", "served", box=None, header_style="dim", padding=(0, 2))
    for count in stage.cluster.counts()[-_PODS:]:
        table.add_row(count.name, count.version, str(count.requests))
    return table


def _bar(percent: float, colour: str) -> Text:
    full = round(percent / 100 * _BAR)
    return Text("█" * full, style=colour) + Text("░" * (_BAR - full), style="dim")


def _colour(phase: str) -> str:
    return {"Healthy": "green", "Degraded": "red", "Paused": "yellow"}.get(phase, "blue")
