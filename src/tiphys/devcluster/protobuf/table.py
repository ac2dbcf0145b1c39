"""Which fields does a message have, and which message is a kind?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.devcluster.protobuf.reading import BYTES, FIXED_64, VARINT

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIRES = {"bool": VARINT, "int32": VARINT, "int64": VARINT, "float64": FIXED_64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    One field of a message.

    *type* is a scalar or the name of a message. *omitted* fields are not in JSON while they are zero, though protobuf writes them.
    """

    name: str
    type: str
    repeated: bool = False
    mapped: bool = False
    omitted: bool = False

    @property
    def inline(self) -> bool:
        """Say whether its own fields stand beside those of its owner."""
        return self.name == "."

    @property
    def wire(self) -> int:
        """How one value is written."""
        return BYTES if self.mapped else _WIRES.get(self.type, BYTES)


@dataclass(frozen=True, slots=True)
class Table:
    """
    What `tools/protobuf` found out about Kubernetes' kinds.

    *kinds* leads from (apiVersion, kind) to the name of a message, *messages* from there to its fields by number.
    """

    kinds: Mapping[tuple[str, str], str]
    messages: Mapping[str, Mapping[int, Field]]


@cache
def table() -> Table:
    """Give the table; it is read once, when the first protobuf body comes."""
    kinds: dict[tuple[str, str], str] = {}
    messages: dict[str, dict[int, Field]] = {}
    fields: dict[int, Field] = {}
    for line in Path(__file__).with_name("fields.txt").read_text().splitlines():
        match line[0], line.split():
            case "#", _:
                continue
            case "=", [_, api_version, kind, message]:
                kinds[api_version, kind] = message
            case " ", [number, name, type_]:
                fields[int(number)] = _field(name, type_)
            case _:
                fields = messages.setdefault(line, {})
    return Table(kinds, messages)


def _field(name: str, type_: str) -> Field:
    omitted = type_.endswith("?")
    bare = type_.removesuffix("?").removeprefix("[]").removeprefix("{}")
    return Field(name=name, type=bare, repeated=type_.startswith("[]"), mapped=type_.startswith("{}"), omitted=omitted)
