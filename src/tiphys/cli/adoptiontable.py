"""How is told, at three in the morning, which Rollouts can be taken over and which not?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tiphys.cli.text import Cell, Cells, Colour, cells, table
from tiphys.controller.verdicts import Rehearsal, Weight, Write

SYMBOLS: Final = {Weight.NOTHING: "✔", Weight.NOTE: "✔", Weight.STEP: "•", Weight.STOP: "✖"}
_COLOURS: Final = {Weight.NOTHING: Colour.GREEN, Weight.NOTE: Colour.GREEN, Weight.STEP: Colour.YELLOW, Weight.STOP: Colour.RED}
_MEANING: Final = {
    Weight.NOTHING: "nothing is written",
    Weight.NOTE: "only status and annotations are written",
    Weight.STEP: "goes on with what is under way",
    Weight.STOP: "must be looked at first",
}
_LONGEST: Final = 120
"""Characters of a text that is told in full elsewhere: below the table, or in the JSON."""
_HEADER: Final = ("ROLLOUT", "PHASE", "VERDICT", "WRITES", "WHY")


def told(rehearsals: Sequence[Rehearsal], *, colour: bool = False) -> Iterator[str]:
    """Give the table, the heaviest first, then every write of those that have some, then a line that sums it up."""
    ordered = sorted(rehearsals, key=lambda each: (-each.weight, each.key))
    yield table([[cells(f"  {_HEADER[0]}"), *map(cells, _HEADER[1:])], *map(_row, ordered)], colour=colour).rstrip("\n")
    for each in ordered:
        details = list(_details(each))
        if details:
            yield ""
            yield f"{SYMBOLS[each.weight]} {_name(each)}: {_MEANING[each.weight]}"
            yield from (f"    {line}" for line in details)
    yield ""
    yield summary(rehearsals)


def summary(rehearsals: Sequence[Rehearsal]) -> str:
    """Count the verdicts."""
    counted = Counter(each.weight for each in rehearsals)
    parts = [f"{counted[weight]} {weight.name.lower()} ({_MEANING[weight]})" for weight in sorted(Weight, reverse=True) if counted[weight]]
    return f"{len(rehearsals)} rollout{'s' if len(rehearsals) != 1 else ''}: {', '.join(parts)}"


def _row(each: Rehearsal) -> Sequence[Cells]:
    colour = _COLOURS[each.weight]
    why = next(iter((*each.reasons, *each.waits)), "")
    return [
        cells(Cell(SYMBOLS[each.weight], colour), f" {_name(each)}"),
        cells(each.phase or "-"),
        cells(Cell(each.weight.name.lower(), colour)),
        cells(str(len(each.writes)) if each.writes else "-"),
        cells(_cut(why)),
    ]


def _details(each: Rehearsal) -> Iterator[str]:
    """Give why, then what would be written, then what is waited for; nothing where the row has told it all."""
    if each.weight is Weight.NOTHING:
        return
    yield from each.reasons
    yield from (f"would {write.verb} {write.ref}: {_short(write)}" for write in each.writes)
    yield from (f"waits: {wait}" for wait in dict.fromkeys(each.waits))


def _short(write: Write) -> str:
    """Say what is written, without the object's name before it; the whole of it is in the JSON."""
    return _cut(write.what.removeprefix(f"{write.ref.kind} {write.ref.name}: ").removeprefix(f"{write.ref.kind}: "))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _name(each: Rehearsal) -> str:
    return f"{each.key.namespace}/{each.key.name}"
