"""What is a figure, how is it measured, and how is it shown?"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One measured value, and what it may be at most; nothing where it is there to be read only.

    *yardstick* was measured in the same run and has the same unit: where the machine is loud, the ratio says more. *counted* figures do
    not depend on the machine, so one above its target is a defect and not a slow day.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    yardstick: float | None = None
    beside: str = ""
    counted: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met, if there is one."""
        return self.at_most is None or self.value <= self.at_most


def median_time(call: Callable[[], object], *, rounds: int) -> float:
    """Give the median seconds of one *call* out of *rounds*: one by one, so that being interrupted spoils few of them."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def resident(pid: int | str = "self") -> float:
    """Give the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid}: found no VmRSS in its status")


def show(console: Console, figures: Sequence[Figure], *, title: str = "") -> None:
    """Print *figures*, one a line."""
    table = Table("figure", "value", "at most", "", "yardstick", "ratio", "what the yardstick is", title=title or None, box=None)
    for each in figures:
        verdict = "" if each.at_most is None else "[green]met[/]" if each.met else "[red]MISSED[/]"
        yardstick = "" if each.yardstick is None else _amount(each.yardstick, each.unit)
        ratio = "" if not each.yardstick else f"{each.value / each.yardstick:.2f}"
        target = "" if each.at_most is None else _amount(each.at_most, each.unit)
        table.add_row(each.name, _amount(each.value, each.unit), target, verdict, yardstick, ratio, each.beside)
    console.print(table, highlight=False)


def _amount(value: float, unit: str) -> str:
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()
