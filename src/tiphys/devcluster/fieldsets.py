"""
Which fields does a set of fields hold?

Sets of fields are kept in the notation of metadata.managedFields (FieldsV1): `{}` is a member, a dict with "." a member
that has members below it, any other dict only the way to members. Steps are `f:name`, `k:{"key":"of an item"}` and
`v:"item of a set"`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tiphys.devcluster.shapes import Shape

Fields = dict[str, Any]

_sorted_text = msgspec.json.Encoder(order="sorted").encode
_KINDS = "fkvi"  # the order in which kinds of steps are listed


def name_of(item: Any, shape: Shape) -> str:  # noqa: ANN401 - anything JSON holds
    """Give the name that FieldsV1 gives one item of a list whose items have an identity."""
    if shape.as_set or item.__class__ is not dict:
        return "v:" + _sorted_text(item).decode()
    defaults = shape.key_defaults
    key = {name: item.get(name, defaults.get(name)) for name in shape.keys if name in item or name in defaults}
    return "k:" + _sorted_text(key).decode()


def named(items: list[Any], shape: Shape) -> dict[str, Any]:
    """Give list items under the names that FieldsV1 gives them."""
    if shape.as_set:
        return {"v:" + _sorted_text(item).decode(): item for item in items}
    return {name_of(item, shape): item for item in items}


def is_member(fields: Fields) -> bool:
    """Say whether a node of FieldsV1 is itself in the set."""
    return not fields or "." in fields


def union(one: Fields, two: Fields) -> Fields:
    """Give the fields that are in either."""
    out = dict(one)
    for key, value in two.items():
        if key not in out or key == ".":
            out[key] = value
            continue
        both = union(out[key], value)
        if both and "." not in both and (is_member(out[key]) or is_member(value)):
            both["."] = {}
        out[key] = {} if both == {".": {}} else both
    return out


def without(one: Fields, two: Fields) -> Fields:
    """Give the fields of *one* that are not in *two*."""
    out: Fields = {}
    for key, value in one.items():
        other = two.get(key)
        if other is None:
            out[key] = value
        elif key != ".":
            left = without(value, other)
            left.pop(".", None)
            if is_member(value) and not is_member(other):
                if left:
                    left["."] = {}
                out[key] = left
            elif left:
                out[key] = left
    return out


def common(one: Fields, two: Fields) -> Fields:
    """Give the fields that are in both."""
    out: Fields = {}
    for key, value in one.items():
        other = two.get(key)
        if other is None or key == ".":
            continue
        both = common(value, other)
        if is_member(value) and is_member(other):
            if both:
                both["."] = {}
            out[key] = both
        elif both:
            out[key] = both
    return out


def paths(fields: Fields, above: str = "") -> list[str]:
    """Write the members the way refusals do, those of one level before those below: `.spec.ports[name="http"].port`."""
    steps = sorted((step for step in fields if step != "."), key=lambda step: (_KINDS.find(step[0]), step))
    here = [above + _written(step) for step in steps if is_member(fields[step])]
    return here + [path for step in steps for path in paths(fields[step], above + _written(step))]


def _written(step: str) -> str:
    kind, _, name = step.partition(":")
    if kind == "f":
        return f".{name}"
    if kind == "k":
        return key_text(json.loads(name))
    return f"[={name}]" if kind == "v" else f"[{name}]"


def key_text(key: dict[str, Any]) -> str:
    """Write the key of a list item: `[containerPort=80,protocol="TCP"]`."""
    return "[" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(key.items())) + "]"
