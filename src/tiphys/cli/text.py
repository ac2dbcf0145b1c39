"""How are ages, columns and colours written?"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY

GAP: Final = 2
"""Blanks between two columns."""


class Colour(StrEnum):
    """The foreground colours we use, as ANSI parameters; the empty one is the terminal's own."""

    NONE = ""
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    BRIGHT_BLUE = "94"


class Cell(msgspec.Struct, frozen=True):
    """A piece of text and its colour; several make up a table cell."""

    text: str
    colour: Colour = Colour.NONE


Cells = tuple[Cell, ...]


def cells(*parts: str | Cell) -> Cells:
    """Make a table cell from plain and coloured pieces."""
    return tuple(Cell(part) if isinstance(part, str) else part for part in parts)


def width(parts: Cells) -> int:
    """Count the characters that are seen."""
    return sum(len(part.text) for part in parts)


def painted(parts: Cells, *, colour: bool) -> str:
    """Write *parts*, with ANSI sequences if *colour*."""
    return "".join(f"\x1b[{part.colour}m{part.text}\x1b[0m" if colour and part.colour and part.text else part.text for part in parts)


def table(rows: Sequence[Sequence[Cells]], *, colour: bool) -> str:
    """Write *rows* of equal length in columns as wide as their longest cell and a gap; the last column is not padded."""
    widths = [max(width(cell) for cell in column) + GAP for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for row in rows:
        *padded, last = row
        line = "".join(painted(cell, colour=colour) + " " * (wide - width(cell)) for cell, wide in zip(padded, widths, strict=False))
        lines.append(line + painted(last, colour=colour))
    return "".join(f"{line}\n" for line in lines)


def columns(values: Iterable[str], widths: Sequence[int]) -> str:
    """Write one line of left-aligned values, each at least as wide as told, a gap apart."""
    return (" " * GAP).join(value.ljust(wide) for value, wide in zip(values, widths, strict=True))


def age(since: datetime | None, now: datetime) -> str:
    """Give the time from *since* to *now* in kubectl's short form; `<unknown>` where there is no *since*."""
    if since is None:
        return "<unknown>"
    return short_duration((now - since).total_seconds())


def short_duration(span: float) -> str:
    """Write *span* (seconds) as kubectl does: two units while small, one from then on."""
    seconds = int(span)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def _two(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")
