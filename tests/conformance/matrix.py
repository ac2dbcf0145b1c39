"""How are many cells tried at once, and which of them are enough for every day?"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Thread
from typing import TYPE_CHECKING

from conformance.cells import Cell, Outcome, Promise, cells, tried
from conformance.columns import COLUMNS
from conformance.rows import ROWS
from conformance.world import World

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

AT_ONCE = 4
"""How many cells share a cluster at a time; each waits more than it works."""
PROCESSES = 2


async def play(listed: Sequence[Cell], *, seed: int, tell: Callable[[Outcome], None] = lambda _: None) -> list[Outcome]:
    """Try all of *listed* on one cluster that has every data plane they need."""
    left = iter(listed)
    outcomes: list[Outcome] = []

    async def work(world: World) -> None:
        for cell in left:
            outcome = await tried(cell, world, seed=seed)
            tell(outcome)
            outcomes.append(outcome)

    async with World(planes_of(listed)) as world, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work(world))
    return outcomes


def play_whole(listed: Sequence[Cell], *, seed: int, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Try all of *listed*, each row on a cluster of its own, and as many rows at a time as there are processes."""
    outcomes: list[Outcome] = []
    context = get_context("spawn")
    told: SimpleQueue[Outcome | None] = context.SimpleQueue()

    def listen() -> None:
        while (outcome := told.get()) is not None:
            tell(outcome)
            outcomes.append(outcome)

    listening = Thread(target=listen, name="outcomes")
    listening.start()
    try:
        with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_tell_to, initargs=(told,)) as pool:
            names = [(row.name, tuple(cell.column.name for cell in listed if cell.row is row)) for row in ROWS]
            for done in [pool.submit(_play_row, row, columns, seed) for row, columns in names if columns]:
                done.result()
    finally:
        told.put(None)
        listening.join()
    return outcomes


def _tell_to(queue: "SimpleQueue[Outcome | None]") -> None:
    """Remember, in a process of the pool, where outcomes go."""
    _told.append(queue)


_told: "list[SimpleQueue[Outcome | None]]" = []


def _play_row(row: str, columns: Iterable[str], seed: int) -> None:
    """Try some cells of a row, in a process of the pool: rows and columns travel by their names."""
    wanted = set(columns)
    chosen = [cell for cell in cells() if cell.row.name == row and cell.column.name in wanted]
    asyncio.run(play(chosen, seed=seed, tell=_told[0].put))


def planes_of(listed: Iterable[Cell]) -> tuple[str, ...]:
    """Name the data planes that these cells need, each once."""
    return tuple(dict.fromkeys(plane for cell in listed for plane in cell.row.planes))


def diagonal() -> list[Cell]:
    """
    Choose few cells that meet every row and every column.

    For each column the next row, in turn, that keeps its promise; then for each row that is left out one of its cells, and for each
    row one refusal, which costs next to nothing.
    """
    chosen: list[Cell] = []
    every = {(cell.row.name, cell.column.name): cell for cell in cells()}
    for turn, column in enumerate(COLUMNS):
        rows = [ROWS[(turn + offset) % len(ROWS)] for offset in range(len(ROWS))]
        held = [each for row in rows if (each := every[row.name, column.name]).promise is Promise.HELD]
        chosen += held[:1]
    for turn, row in enumerate(ROWS):
        own = [every[row.name, COLUMNS[(turn + offset) % len(COLUMNS)].name] for offset in range(len(COLUMNS))]
        if not any(cell.row is row for cell in chosen):
            chosen += [cell for cell in own if cell.promise is not Promise.REFUSED][:1]
        chosen += [cell for cell in own if cell.promise is Promise.REFUSED][:1]
    return chosen
