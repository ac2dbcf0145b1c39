"""What is wrong with an object, by the schema of its CustomResourceDefinition and in the real server's words?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster.errors import Cause
from tiphys.devcluster.metadata import quoted
from tiphys.devcluster.schema import NOTHING, Schema, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiphys.devcluster.schema import Path
    from tiphys.devcluster.wire import Json

INT32, INT64 = 2**31, 2**63
BLOCKING = frozenset(("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"))
NOT_ALL_CHECKED = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation",
)
_sorted_json = msgspec.json.Encoder(order="sorted").encode


def check(value: Json, schema: Schema, *, hidden: str = "") -> list[Cause]:
    """
    Say all that is wrong with *value*.

    *hidden* is the beginning of a path that the messages leave out (writes of a status are checked on their own).
    """
    causes: list[Cause] = []
    _check(value, schema, None, causes, hidden)
    return causes


def _check(value: Json, schema: Schema, path: Path, causes: list[Cause], hidden: str) -> None:
    if value is None:
        if not (schema.nullable or schema.preserves or not schema.type):
            causes.append(_mistyped("null", schema.type, path, hidden))
        return
    if not _fits(value, schema, path, causes, hidden):
        return
    if value.__class__ is dict:
        properties, additional = schema.properties, schema.additional
        if schema.required:
            missing = [key for key in schema.required if key not in value]
            causes += [Cause(text_of((path, key)), "Required value", "FieldValueRequired") for key in missing]
        for key, item in value.items():
            below = properties.get(key) or additional
            if below is not None:
                _check(item, below, (path, key), causes, hidden)
    elif value.__class__ is list and schema.items is not None:
        below = schema.items
        for place, item in enumerate(value):
            _check(item, below, (path, place), causes, hidden)
    if schema.checks_value:
        _check_value(value, schema, path, causes, hidden)


def _said(path: Path, hidden: str) -> str:
    return text_of(path).removeprefix(hidden)


def _mistyped(found: str, wanted: str, path: Path, hidden: str) -> Cause:
    message = f'Invalid value: "{found}": {_said(path, hidden)} in body must be of type {wanted}: "{found}"'
    return Cause(text_of(path), message, "FieldValueTypeInvalid")


def _type_name(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", dict: "object", list: "array", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _fits(value: Json, schema: Schema, path: Path, causes: list[Cause], hidden: str) -> bool:
    """Check the type, and say what is wrong with it."""
    wanted = schema.type
    kind = value.__class__
    if schema.int_or_string:
        if kind is int or kind is str:
            return True
        causes.append(_mistyped(_type_name(value), "integer,string", path, hidden))
        return False
    if wanted in ("", None):
        return True
    if wanted == "integer":
        if kind is int or (kind is float and value.is_integer()):
            return True
        found, name = _type_name(value), "integer"
        if kind is float and schema.format in ("int32", "int64"):
            causes.append(_badly_formatted("integer", schema.format, path, hidden))
            found, name = "float64", schema.format
        causes.append(_mistyped(found, name, path, hidden))
        return False
    fits = kind in (int, float) if wanted == "number" else _type_name(value) == wanted
    if not fits:
        causes.append(_mistyped(_type_name(value), wanted, path, hidden))
    return fits


def _badly_formatted(kind: str, wanted: str, path: Path, hidden: str) -> Cause:
    return Cause("<nil>", f'Invalid value: "": Checked value must be of type {kind} with format {wanted} in {_said(path, hidden)}')


def _check_value(value: Json, schema: Schema, path: Path, causes: list[Cause], hidden: str) -> None:
    where = text_of(path)
    if schema.enum is not None and value not in schema.enum:
        known = ", ".join(quoted(one) for one in schema.enum)
        causes.append(Cause(where, f"Unsupported value: {quoted(value)}: supported values: {known}", "FieldValueNotSupported"))
    if schema.format in ("int32", "int64") and isinstance(value, int):
        limit = INT32 if schema.format == "int32" else INT64
        if not -limit <= value < limit:
            causes.append(_badly_formatted("integer", schema.format, path, hidden))
    if schema.pattern is not None and isinstance(value, str) and schema.pattern.search(value) is None:
        causes.append(
            Cause(where, f"Invalid value: {quoted(value)}: {_said(path, hidden)} in body should match '{schema.pattern.pattern}'")
        )
    if schema.limits:
        for word, limit in schema.limits.items():
            broken = _LIMITS[word](value, limit, _said(path, hidden), schema.limits)
            if broken is not None:
                causes.append(Cause(where, *broken))
    if schema.list_type in ("set", "map") and isinstance(value, list):
        _check_duplicates(value, schema, path, causes)
    if schema.branches:
        _check_branches(value, schema, path, causes, hidden)


Broken = tuple[str, str] | None
_INVALID = "FieldValueInvalid"


def _number(words: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any, str, Mapping[str, Any]], Broken]:
    def broken(value: Json, limit: Json, where: str, _: Mapping[str, Any]) -> Broken:
        if isinstance(value, bool) or not isinstance(value, int | float) or holds(value, limit):
            return None
        return f"Invalid value: {_go(value)}: {where} in body should be {words} {_go(limit)}", _INVALID

    return broken


def _minimum(value: Json, limit: Json, where: str, limits: Mapping[str, Any]) -> Broken:
    if limits.get("exclusiveMinimum") is True:
        return _number("greater than", lambda a, b: a > b)(value, limit, where, limits)
    return _number("greater than or equal to", lambda a, b: a >= b)(value, limit, where, limits)


def _maximum(value: Json, limit: Json, where: str, limits: Mapping[str, Any]) -> Broken:
    if limits.get("exclusiveMaximum") is True:
        return _number("less than", lambda a, b: a < b)(value, limit, where, limits)
    return _number("less than or equal to", lambda a, b: a <= b)(value, limit, where, limits)


def _multiple(value: Json, limit: Json, where: str, limits: Mapping[str, Any]) -> Broken:
    return _number("a multiple of", lambda a, b: (a / b).is_integer())(value, limit, where, limits)


def _fixed(_value: Json, _limit: Json, _where: str, _limits: Mapping[str, Any]) -> Broken:
    return None  # a flag of another limit, or forbidden in structural schemas


def _max_length(value: Json, limit: int, _where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, str) or len(value) <= limit:
        return None
    return f"Too long: may not be more than {limit} bytes", "FieldValueTooLong"


def _min_length(value: Json, limit: int, where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, str) or len(value) >= limit:
        return None
    return f"Invalid value: {quoted(value)}: {where} in body should be at least {limit} chars long", _INVALID


def _max_items(value: Json, limit: int, _where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, list) or len(value) <= limit:
        return None
    return f"Too many: {len(value)}: must have at most {limit} items", "FieldValueTooMany"


def _min_items(value: Json, limit: int, where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, list) or len(value) >= limit:
        return None
    return f"Invalid value: {len(value)}: {where} in body should have at least {limit} items", _INVALID


def _max_properties(value: Json, limit: int, _where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, dict) or len(value) <= limit:
        return None
    return f"Too many: {len(value)}: must have at most {limit} items", "FieldValueTooMany"


def _min_properties(value: Json, limit: int, where: str, _: Mapping[str, Any]) -> Broken:
    if not isinstance(value, dict) or len(value) >= limit:
        return None
    return f"Invalid value: {len(value)}: {where} in body should have at least {limit} properties", _INVALID


_LIMITS: dict[str, Callable[[Any, Any, str, Mapping[str, Any]], Broken]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _fixed,
    "exclusiveMaximum": _fixed,
    "multipleOf": _multiple,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
    "uniqueItems": _fixed,
}


def _go(value: Json) -> str:
    """Write a number as Go does."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _check_duplicates(value: list[Any], schema: Schema, path: Path, causes: list[Cause]) -> None:
    seen = set()
    for place, item in enumerate(value):
        shown = item
        if schema.list_type == "map" and isinstance(item, dict):
            shown = {key: _or_default(item, key, schema) for key in schema.list_keys}
            shown = {key: found for key, found in shown.items() if found is not None}
        text = _sorted_json(shown).decode()
        if text in seen:
            causes.append(Cause(text_of((path, place)), f"Duplicate value: {text}", "FieldValueDuplicate"))
        seen.add(text)


def _or_default(item: dict[str, Any], key: str, schema: Schema) -> Json:
    below = schema.items.properties.get(key) if schema.items is not None else None
    return item.get(key, None if below is None or below.default is NOTHING else below.default)


def _check_branches(value: Json, schema: Schema, path: Path, causes: list[Cause], hidden: str) -> None:
    where = f'"{_said(path, hidden)}"'
    for branch in schema.branches.get("allOf", ()):
        _check(value, branch, path, causes, hidden)
    for word, words in (("anyOf", "at least one schema (anyOf)"), ("oneOf", "one and only one schema (oneOf)")):
        branches = schema.branches.get(word)
        if not branches:
            continue
        tries = [_tried(value, branch, path, hidden) for branch in branches]
        valid = sum(not found for found in tries)
        if valid == 0:
            found = "" if word == "anyOf" else ". Found none valid"
            causes.append(Cause(text_of(path), f"Invalid value: {_shown(value)}: {where} must validate {words}{found}"))
            causes.extend(_shortest(tries))
        elif word == "oneOf" and valid > 1:
            causes.append(
                Cause(text_of(path), f"Invalid value: {_shown(value)}: {where} must validate {words}. Found {valid} valid alternatives")
            )
    if any(not _tried(value, branch, path, hidden) for branch in schema.branches.get("not", ())):
        causes.append(Cause(text_of(path), f"Invalid value: {_shown(value)}: {where} must not validate the schema (not)"))


def _shortest(tries: list[list[Cause]]) -> list[Cause]:
    """Give the branch that came closest: what is wrong with it is most likely what was meant."""
    return min(tries, key=len)


def _tried(value: Json, schema: Schema, path: Path, hidden: str) -> list[Cause]:
    causes: list[Cause] = []
    _check(value, schema, path, causes, hidden)
    return causes


def _shown(value: Json) -> str:
    return quoted(value) if isinstance(value, str) else '""'


def check_unchanged(new: Json, old: Json, schema: Schema, path: Path, causes: list[Cause]) -> None:
    """Say where a value changed that its schema calls immutable (the CEL rule `self == oldSelf`)."""
    if new == old or old is None or new is None:
        return
    causes.extend(Cause(text_of(path), f"Invalid value: {message}") for message in schema.immutable)
    if isinstance(new, dict) and isinstance(old, dict):
        for key, item in new.items():
            below = schema.child(key)
            if below is not None and key in old:
                check_unchanged(item, old[key], below, (path, key), causes)
