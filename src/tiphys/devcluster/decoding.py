"""Is a manifest of a built-in kind made of the fields and types that the kind has?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.schema import text_of
from tiphys.devcluster.shapes import ANY, TEXT_MAP, wrong_type

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.schema import Path
    from tiphys.devcluster.shapes import Shape
    from tiphys.devcluster.wire import Json

_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def decode(manifest: Manifest, shape: Shape, write: Admission) -> None:
    """
    Drop unknown fields and nulls in place, and note the unknown ones.

    Raises:
        StatusError: 400, a field has the wrong type.

    """
    unknown: list[str] = []
    for key, value in list(manifest.items()):
        if key in ("apiVersion", "kind", "metadata"):
            continue
        below = shape.fields.get(key)
        if below is None and shape.go_name:
            del manifest[key]
            unknown.append(key)
        elif value is None:
            del manifest[key]
        elif below is not None:
            _decode(value, below, (None, key), shape.go_name, unknown, write)
    write.unknown_fields.extend(sorted(unknown))


def _decode(value: Json, shape: Shape, path: Path, owner: str, unknown: list[str], write: Admission) -> None:
    wanted = wrong_type(value, shape)
    if wanted is not None:
        raise _mistyped(value, wanted, path, owner, write)
    if isinstance(value, dict):
        if shape.go_name:
            _drop_unknown(value, shape, path, unknown)
        fields, other = shape.fields, shape.items
        for key, item in value.items():
            below = fields.get(key) or other
            if item is None and other is TEXT_MAP.items:
                value[key] = ""
            elif below is not None and below is not ANY:
                _decode(item, below, (path, key), shape.go_name or owner, unknown, write)
    elif isinstance(value, list) and not shape.go_name:
        if shape.items is not None:
            for place, item in enumerate(value):
                if item is None:
                    raise _mistyped(item, shape.scalar[0] if shape.scalar else "object", path, owner, write)
                _decode(item, shape.items, (path, place), owner, unknown, write)
    elif shape.go_name:
        raise _mistyped(value, f"v1.{shape.go_name}", path, owner, write)


def _drop_unknown(value: dict[str, Any], shape: Shape, path: Path, unknown: list[str]) -> None:
    for key in [key for key, item in value.items() if item is None or key not in shape.fields]:
        if key not in shape.fields:
            unknown.append(text_of((path, key)))
        del value[key]


def _mistyped(value: Json, wanted: str, path: Path, owner: str, write: Admission) -> StatusError:
    resource = write.resource
    where = ".".join(part for part in _names(path))
    why = f"json: cannot unmarshal {_JSON_NAMES.get(type(value), 'null')} into Go struct field {owner}.{where} of type {wanted}"
    return StatusError(400, f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}')


def _names(path: Path) -> list[str]:
    out = []
    while path is not None:
        path, key = path
        if isinstance(key, str):
            out.append(key)
    return out[::-1]
