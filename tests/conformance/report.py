"""How does the matrix look, on the screen after a run and in the documentation?"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.cells import Cell, Outcome, Promise, cells
from conformance.columns import COLUMNS
from conformance.rows import ROWS

PAGE: Final = Path(__file__).parents[2] / "docs" / "routers.md"
_SIGNS: Final = {Promise.HELD: "✓", Promise.REFUSED: "refused", Promise.OBJECTS: "objects"}


def show(console: Console, outcomes: Sequence[Outcome], *, seconds: float, seed: int) -> None:
    """Print what was found: one line for each behaviour, the failures in full below."""
    console.print(_table(outcomes))
    for outcome in outcomes:
        if outcome.problem:
            said = [f"\n✖ {outcome.row}, {outcome.column}: {outcome.problem}", *(f"    {line}" for line in outcome.log)]
            console.print("\n".join(said), style="red", highlight=False, markup=False, soft_wrap=True)
    requests, failures, in_gap = _sums(outcomes)
    kept = sum(not outcome.problem for outcome in outcomes)
    gap = f" and {in_gap} in a gap, when no pod was left," if in_gap else ""
    told = f"\n{kept} of {len(outcomes)} cells as promised; {requests} requests, {failures} failed{gap} in {seconds:.0f} s; seed {seed}"
    console.print(told, highlight=False, soft_wrap=True)


def _table(outcomes: Sequence[Outcome]) -> Table:
    rows = [row.name for row in ROWS if any(outcome.row == row.name for outcome in outcomes)]
    found = {(outcome.row, outcome.column): outcome for outcome in outcomes}
    table = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    table.add_column("behaviour", no_wrap=True)
    for name in rows:
        table.add_column(name, justify="right", min_width=max(len(word) for word in (*name.split(), "refused")))
    for column in COLUMNS:
        if any((name, column.name) in found for name in rows):
            table.add_row(column.name, *(_sign(found.get((name, column.name))) for name in rows))
    table.add_section()
    sums = [_sums([outcome for outcome in outcomes if outcome.row == name]) for name in rows]
    for index, what in enumerate(("requests", "failed", "in a gap")):
        table.add_row(what, *(str(each[index]) for each in sums))
    return table


def _sign(outcome: Outcome | None) -> Text:
    if outcome is None:
        return Text("")
    return Text("✖ broken", style="bold red") if outcome.problem else Text(_SIGNS[outcome.promise])


def _sums(outcomes: Sequence[Outcome]) -> tuple[int, int, int]:
    """Sum up requests, failures, and what failed in a gap."""
    return (
        sum(outcome.requests for outcome in outcomes),
        sum(outcome.failures for outcome in outcomes),
        sum(outcome.in_gap for outcome in outcomes),
    )


def page() -> str:
    """Give `docs/routers.md`: what has to come out of a run, as the routers say themselves."""
    every = {(cell.row.name, cell.column.name): cell for cell in cells()}
    head = ["behaviour", *(row.name for row in ROWS)]
    body = [[f"[{column.name}](#{_anchor(column.name)})", *(_mark(every[row.name, column.name]) for row in ROWS)] for column in COLUMNS]
    promises = [f'<a id="{_anchor(column.name)}"></a>**{column.name}**: {column.says}.' for column in COLUMNS]
    return _PAGE.format(
        table="\n".join([_line(head), _line(["---"] * len(head)), *(_line(each) for each in body)]),
        rows="\n".join(_line([row.name, _plane(row.planes, row.why)]) for row in ROWS),
        promises="\n".join(f"- {promise}" for promise in promises),
    )


def _mark(cell: Cell) -> str:
    if cell.promise is Promise.HELD and cell.column.name == "mirror":
        return f"{_SIGNS[cell.promise]} ({cell.row.mirror} %)"
    if cell.promise is Promise.HELD and cell.column.name == "evict" and cell.row.gap:
        return f"{_SIGNS[cell.promise]} [gap](#gap)"
    return _SIGNS[cell.promise]


def _plane(planes: Sequence[str], why: str) -> str:
    tried = f"{' and '.join(f'`{plane}`' for plane in planes)} of the development cluster" if planes else "none"
    return f"{tried}: {why}" if why else tried


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(parts)} |"


_PAGE: Final = """# What every router is held to

`make conformance` puts each way to use a router through each behaviour below: a Rollout on a development cluster, its route objects in
front of a real proxy, a prober that never stops asking. It prints this table with what it found, and writes this page, which is not
edited by hand. A chosen diagonal of the table is part of `make test`.

{table}

✓ kept through the real proxy; refused: validation names the step or field and the router, and nothing is written; objects: the same
story, but judged by the objects alone, because no data plane can show it.

## What each cell promises

{promises}

And in every cell:

- No request fails, from the first deploy to the end: the prober asks steadily, and more when shares are counted.
- Shares are those of the weights: within four standard deviations where the proxy chooses at random (Envoy), exact but for the requests
  under way where it does not (Traefik).
- A header route that a product can do stands beside the weight in abort, promote, supersede, evict, restart and foreign edit, and all its
  requests reach the canary.
- Route objects and Services in the end differ from those in the beginning in nothing: weights are back, managed routes are gone, and every
  field of somebody else has its value.
- A refusal comes as the condition `InvalidSpec` before any object is written.

<a id="gap"></a>**The gap.** When all canary pods leave at once, Traefik has nobody for the canary's share from the moment in which it
reads that until it reads the new weight, and answers 503. No controller can write sooner than it hears of the pods. In these cells
requests may fail in this moment, and only then; they are counted apart. A PodDisruptionBudget keeps a drain from taking all pods at
once. Envoy goes on sending to pods that leave as long as they serve.

## Where each row is tried

| row | data plane |
| --- | --- |
{rows}
"""
