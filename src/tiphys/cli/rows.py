"""How is a rollout told in one line? (User interfaces 1.7.)"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from tiphys.api.meta import wire_time
from tiphys.api.rollout import Rollout
from tiphys.cli import standing
from tiphys.cli.text import columns

_COLUMNS: Final = (
    ("NAME", 10),
    ("STRATEGY", 9),
    ("STATUS", 12),
    ("STEP", 4),
    ("SET-WEIGHT", 10),
    ("READY", 5),
    ("DESIRED", 7),
    ("UP-TO-DATE", 10),
    ("AVAILABLE", 9),
)
_NAMESPACE: Final = ("NAMESPACE", 9)
_TIMESTAMP: Final = ("TIMESTAMP", 20)


class Row(NamedTuple):
    """What is shown of one rollout; equal rows look the same."""

    namespace: str
    values: tuple[str, ...]


def row(rollout: Rollout) -> Row:
    """Put *rollout* in one line."""
    status = rollout.status
    canary = rollout.spec.strategy.canary
    values = (
        rollout.metadata.name,
        standing.strategy(rollout),
        standing.standing(rollout).phase,
        standing.step_text(rollout) or "-",
        str(standing.set_weight(rollout)) if canary is not None else "-",
        f"{status.ready_replicas}/{status.replicas}",
        str(standing.desired(rollout)),
        str(status.updated_replicas),
        str(status.available_replicas),
    )
    return Row(rollout.metadata.namespace, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which columns there are, and how wide; lines that come later keep the widths."""

    widths: tuple[int, ...]
    with_namespace: bool
    with_timestamp: bool

    def header(self) -> str:
        """Write the headings."""
        return columns([title for title, _ in _shown(with_namespace=self.with_namespace, with_timestamp=self.with_timestamp)], self.widths)

    def line(self, found: Row, now: datetime) -> str:
        """Write *found*."""
        return columns(_cells(found, now, with_namespace=self.with_namespace, with_timestamp=self.with_timestamp), self.widths)


def layout(rows: Sequence[Row], now: datetime, *, with_namespace: bool, with_timestamp: bool) -> Layout:
    """Make every column as wide as its longest value, and not less than usual."""
    lines = [_cells(found, now, with_namespace=with_namespace, with_timestamp=with_timestamp) for found in rows]
    shown = _shown(with_namespace=with_namespace, with_timestamp=with_timestamp)
    widths = tuple(max([least, *(len(line[position]) for line in lines)]) for position, (_, least) in enumerate(shown))
    return Layout(widths=widths, with_namespace=with_namespace, with_timestamp=with_timestamp)


def _shown(*, with_namespace: bool, with_timestamp: bool) -> list[tuple[str, int]]:
    return [*([_TIMESTAMP] if with_timestamp else []), *([_NAMESPACE] if with_namespace else []), *_COLUMNS]


def _cells(found: Row, now: datetime, *, with_namespace: bool, with_timestamp: bool) -> list[str]:
    return [*([wire_time(now)] if with_timestamp else []), *([found.namespace] if with_namespace else []), *found.values]
