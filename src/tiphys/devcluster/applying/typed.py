"""Is what is applied made of the fields and types of its kind?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.fieldsets import Fields, key_text, name_of
from tiphys.devcluster.strategic import go_map

if TYPE_CHECKING:
    from tiphys.devcluster.shapes import Shape
    from tiphys.devcluster.wire import Json

_GO_NAMES = {str: "string", bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}


def problems(value: Json, shape: Shape, where: str = "") -> list[str]:
    """Say all that does not fit, each with its path; null fits everywhere."""
    if value is None or shape.untyped:
        return []
    wrong = _mistyped(value, shape)
    if wrong:
        return [f"{where}: {wrong}"]
    if isinstance(value, dict):
        unknown = [key for key in value if shape.go_name and key not in shape.fields]
        out = [f"{where}.{key}: field not declared in schema" for key in unknown]
        for key, item in value.items():
            if key not in unknown:
                out += problems(item, shape.child(key), f"{where}.{key}")
        return out
    return _item_problems(value, shape, where) if isinstance(value, list) else []


def _item_problems(items: list[Any], shape: Shape, where: str) -> list[str]:
    if not shape.keys and not shape.as_set:
        return [found for place, item in enumerate(items) for found in problems(item, shape.item, f"{where}[{place}]")]
    out: list[str] = []
    seen: set[str] = set()
    for place, item in enumerate(items):
        wrong = _nameless(item, shape)
        if wrong:
            return [*out, f"{where}: element {place}: {wrong}"]
        name = name_of(item, shape)
        text = key_text(json.loads(name[2:])) if name.startswith("k:") else f"[={name[2:]}]"
        if name in seen:
            out.append(f"{where}: duplicate entries for key {text}")
        seen.add(name)
        out += problems(item, shape.item, where + text)
    return out


def _nameless(item: Json, shape: Shape) -> str:
    """Say why a list item has no identity."""
    if shape.as_set:
        if item is None:
            return "associative list without keys has an element that's an explicit null"
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        return "not supported: associative list with lists as elements" if isinstance(item, list) else ""
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if any(key in item or key in shape.key_defaults for key in shape.keys):
        return ""
    keys = " ".join(json.dumps(key) for key in shape.keys)
    return (
        f"associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default values for any key fields)"
    )


def _mistyped(value: Json, shape: Shape) -> str:
    """Say what else was wanted of a value; "" if it fits."""
    wanted = _wanted(shape)
    if wanted is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted in (int, float):
        return "" if number else f"expected numeric (int or float), got {_GO_NAMES[type(value)]}"
    if wanted is object:
        return "" if isinstance(value, str | int | float) else f"expected any scalar, got &{{{go_map(value)}}}"
    if isinstance(value, wanted):
        return ""
    if wanted is str:
        return f"expected string, got &value.valueUnstructured{{Value:{_go(value)}}}"
    names = {bool: "boolean", dict: "map", list: "list"}
    return f"expected {names[wanted]}, got &{{{go_map(value)}}}"


def _wanted(shape: Shape) -> type | None:
    if shape.scalar is not None:
        return shape.scalar[1]
    if shape.keys or shape.as_set:
        return list
    return dict if shape.fields or shape.go_name else None


def _go(value: Json) -> str:
    """Write a value as Go's %#v does, more or less."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f"{json.dumps(key)}:{_go(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(_go(item) for item in value) + "}"
    return json.dumps(value)


def fields_of(config: dict[str, Any], shape: Shape) -> Fields:
    """Give the fields that *config* names: whoever applies it owns them."""
    return _below(config, shape) or {}


def _below(value: Json, shape: Shape) -> Fields | None:
    """Give the fields below *value*, `{}` if it is owned as a whole, None if there is nothing to own."""
    if isinstance(value, dict) and value and not shape.atomic:
        out: Fields = {}
        for key, item in value.items():
            found = _below(item, shape.child(key))
            if key not in shape.fields and (shape.untyped or shape.items is not None):
                found = _with_itself(found)  # an entry of a map, unlike a field of a struct, is owned too
            if found is not None:
                out["f:" + key] = found
        return out or None
    if isinstance(value, list) and (shape.keys or shape.as_set):
        return {name_of(item, shape): _with_itself(_below(item, shape.item)) for item in value} or None
    return {}


def _with_itself(below: Fields | None) -> Fields:
    return {**below, ".": {}} if below else {}
