"""How are objects shown as rows, the way `kubectl get` asks for them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster import jsonpath
from tiphys.devcluster.custom import CustomRules
from tiphys.devcluster.errors import bad_request
from tiphys.devcluster.metadata import quoted
from tiphys.devcluster.table_columns import AGE, COLUMNS, Column, age

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.wire import Json

# The description is part of the real server's answer, word for word.
_ABOUT_NAMES = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request "
    "the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration "
    "definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_NAME = {"name": "Name", "type": "string", "format": "name", "description": _ABOUT_NAMES, "priority": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How rows are wanted: as of *now*, *include* with each the object's Metadata, Object or None, in a *version* of the Table."""

    now: datetime
    include: str = ""
    version: str = "v1"

    def __post_init__(self) -> None:
        if self.include not in ("", "Metadata", "Object", "None"):
            wrong = f"Invalid value: {quoted(self.include)}: must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: includeObject: {wrong}")


def columns(resource: ResourceType) -> list[dict[str, Any]]:
    """Give the column definitions of a kind."""
    if isinstance(resource.rules, CustomRules):
        return [_NAME, *(_custom_definition(column) for column in _custom_columns(resource.rules))]
    shown = COLUMNS.get(resource.key, (AGE,))
    return [
        _NAME,
        *({"name": c.name, "type": c.type, "format": "", "description": c.description, "priority": c.priority} for c in shown),
    ]


def _custom_columns(rules: CustomRules) -> Sequence[dict[str, Any]]:
    return rules.columns or ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)  # type: ignore[return-value]


def _custom_definition(column: dict[str, Any]) -> dict[str, Any]:
    path = column["jsonPath"]
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        "priority": column.get("priority", 0),
    }


def row(resource: ResourceType, stored: Stored, view: View) -> dict[str, Any]:
    """Give the row of one object."""
    manifest, now = stored.manifest, view.now
    cells: list[Any] = [stored.name]
    if isinstance(resource.rules, CustomRules):
        cells += [_custom_cell(manifest, column, now) for column in _custom_columns(resource.rules)]
    else:
        shown: Sequence[Column] = COLUMNS.get(resource.key, (AGE,))
        cells += [column.cell(manifest, now) for column in shown]
    shown_object: Any = None
    if view.include == "Object":
        shown_object = msgspec.Raw(stored.encoded)
    elif view.include != "None":
        shown_object = partial(stored, view.version)
    return {"cells": cells, "object": shown_object}


def partial(stored: Stored, version: str = "v1") -> dict[str, Any]:
    """Give an object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": stored.manifest["metadata"]}


def table(resource: ResourceType, items: Sequence[Stored], metadata: dict[str, Any], view: View, *, headed: bool = True) -> dict[str, Any]:
    """Give a Table of *items*; only the first event of a watch is *headed* by column definitions."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{view.version}",
        "metadata": metadata,
        "columnDefinitions": columns(resource) if headed else None,
        "rows": [row(resource, item, view) for item in items],
    }


def _custom_cell(manifest: dict[str, Any], column: dict[str, Any], now: datetime) -> Json:
    found = jsonpath.find(manifest, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value = found[0]
    match column["type"]:
        case "string":
            return " ".join(_text(one) for one in found)
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return age(value, now) if isinstance(value, str) else None
    return None


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else str(value)
