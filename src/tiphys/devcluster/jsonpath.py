"""What does the JSONPath of a printer column find in an object?"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiphys.devcluster.wire import Json

_STEP = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\\])+)
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]
      | \[\?\(\s*@(?P<path>[^=!<>\s]+)\s*(?P<op>==|!=)\s*(?P<value>'[^']*'|"[^"]*"|[^)\s]+)\s*\)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Filter:
    path: str
    equal: bool
    value: str


Step = str | int | _Filter | None  # a key, an index, a filter, or every item


@functools.cache
def steps(path: str) -> tuple[Step, ...] | None:
    """Read a path such as `.status.conditions[?(@.type=="Ready")].status`; None for one that is not understood."""
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if text and text[0] not in ".[":
        text = "." + text
    out: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return None
        at = found.end()
        if found["name"] is not None:
            out.append(re.sub(r"\\(.)", r"\1", found["name"]))
        elif found["index"] is not None:
            out.append(int(found["index"]))
        elif found["all"]:
            out.append(None)
        elif found["key"] is not None:
            out.append(found["key"])
        else:
            out.append(_Filter(found["path"], found["op"] == "==", found["value"].strip("'\"")))
    return tuple(out)


def find(value: Json, path: str) -> list[Any]:
    """Give all that *path* finds in *value*, in order."""
    way = steps(path)
    if way is None:
        return []
    found = [value]
    for step in way:
        found = [item for one in found for item in _take(one, step)]
    return found


def _take(value: Json, step: Step) -> list[Any]:
    if isinstance(step, str):
        if step == "*":
            step = None
        else:
            return [value[step]] if isinstance(value, dict) and step in value else []
    if step is None:
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if not isinstance(value, list):
        return []
    if isinstance(step, int):
        return [value[step]] if -len(value) <= step < len(value) else []
    return [item for item in value if (_text(find(item, step.path)) == step.value) is step.equal]


def _text(found: list[Any]) -> str:
    if not found:
        return ""
    value = found[0]
    return str(value).lower() if isinstance(value, bool) else str(value)
