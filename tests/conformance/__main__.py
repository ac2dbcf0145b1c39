"""Runs the matrix: `python -m conformance [ROW] [COLUMN] …` tries what is named, by default all of it, and then writes docs/routers.md."""

import argparse
import secrets
import sys
import time

from rich.console import Console

from conformance.cells import Cell, Outcome, cells
from conformance.columns import COLUMNS
from conformance.matrix import diagonal, play_whole
from conformance.report import PAGE, page, show
from conformance.rows import ROWS

WIDTH = 150
"""Columns of the screen that the table needs; on a narrower one its lines wrap."""


def main() -> int:
    """Give the exit status: 1 if any cell broke its promise."""
    options = _options()
    console = Console()
    console.width = max(console.width, WIDTH)
    seed = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    chosen = _chosen(options.names, only_diagonal=options.diagonal)
    console.print(f"{len(chosen)} cells; seed {seed}", highlight=False)
    begun = time.monotonic()

    def tell(outcome: Outcome) -> None:
        found = "BROKEN" if outcome.problem else outcome.promise.value
        console.print(
            f"{time.monotonic() - begun:4.0f} s  {outcome.row}, {outcome.column}: {found}, {outcome.requests} requests, "
            f"{outcome.failures} failed, {outcome.seconds:.1f} s",
            highlight=False,
            style="red" if outcome.problem else "dim",
        )

    outcomes = play_whole(chosen, seed=seed, tell=tell)
    show(console, outcomes, seconds=time.monotonic() - begun, seed=seed)
    if any(outcome.problem for outcome in outcomes):
        return 1
    if len(outcomes) == len(cells()):
        PAGE.write_text(page(), encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="rows and columns to try; a cell is tried if its row and its column are named"
    )
    parser.add_argument("--diagonal", action="store_true", help="only the cells that are part of the test suite")
    parser.add_argument("--seed", type=int, help="for the moments at which controllers are killed")
    return parser.parse_args()


def _chosen(names: list[str], *, only_diagonal: bool) -> list[Cell]:
    """Choose by name; without a row's name all rows are meant, without a column's all columns."""
    rows, columns = {row.name for row in ROWS} & {*names}, {column.name for column in COLUMNS} & {*names}
    if unknown := {*names} - rows - columns:
        known = ", ".join([*(row.name for row in ROWS), *(column.name for column in COLUMNS)])
        raise SystemExit(f"found {', '.join(sorted(unknown))}, wanted some of: {known}")
    listed = diagonal() if only_diagonal else cells()
    return [cell for cell in listed if cell.row.name in (rows or {cell.row.name}) and cell.column.name in (columns or {cell.column.name})]


if __name__ == "__main__":
    sys.exit(main())
