"""
What does a CustomResourceDefinition's schema make of an object: what is unknown, what is missing, what is filled in?

`schema_checks.py` says what is wrong.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.shapes import ANY, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiphys.devcluster.wire import Json

    # A path is (parent path, key); the root is None. It becomes text only where something is to be said about it.
    Path = tuple["Path", "str | int"] | None

NOTHING: Any = object()
_METADATA_OF_EMBEDDED = ("apiVersion", "kind", "metadata")


@dataclass(slots=True, kw_only=True)
class Schema:
    """One node of a structural schema, read once when its CRD is installed."""

    type: str = ""
    format: str = ""
    nullable: bool = False
    int_or_string: bool = False
    preserves: bool = False
    embedded: bool = False
    properties: dict[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    items: Schema | None = None
    additional: Schema | None = None
    open: bool = False
    default: Any = NOTHING
    enum: tuple[Any, ...] | None = None
    pattern: re.Pattern[str] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_atomic: bool = False
    branches: Mapping[str, Sequence[Schema]] = field(default_factory=dict)
    immutable: Sequence[str] = ()
    has_defaults: bool = False
    checks_value: bool = False

    def child(self, key: str) -> Schema | None:
        """Give the schema of one field; None where any value will do."""
        return self.properties.get(key) or self.additional


_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LIMITS = (*_NUMBERS, "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems")


def read_schema(source: Mapping[str, Any]) -> Schema:
    """Read an openAPIV3Schema."""
    additional = source.get("additionalProperties")
    branches: dict[str, list[Schema]] = {}
    for word in ("allOf", "anyOf", "oneOf"):
        if source.get(word):
            branches[word] = [read_schema(branch) for branch in source[word]]
    if source.get("not"):
        branches["not"] = [read_schema(source["not"])]
    schema = Schema(
        type=source.get("type", ""),
        format=source.get("format", ""),
        nullable=bool(source.get("nullable")),
        int_or_string=bool(source.get("x-kubernetes-int-or-string")),
        preserves=bool(source.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(source.get("x-kubernetes-embedded-resource")),
        properties={key: read_schema(value) for key, value in (source.get("properties") or {}).items()},
        required=tuple(source.get("required") or ()),
        items=read_schema(source["items"]) if isinstance(source.get("items"), dict) else None,
        additional=read_schema(additional) if isinstance(additional, dict) else None,
        open=additional is True,
        default=source.get("default", NOTHING),
        enum=tuple(source["enum"]) if source.get("enum") else None,
        pattern=_compiled(source.get("pattern")),
        limits={key: source[key] for key in _LIMITS if source.get(key) is not None},
        list_type=source.get("x-kubernetes-list-type", ""),
        list_keys=tuple(source.get("x-kubernetes-list-map-keys") or ()),
        map_atomic=source.get("x-kubernetes-map-type") == "atomic",
        branches=branches,
        immutable=_immutability(source.get("x-kubernetes-validations") or ()),
    )
    below = [*schema.properties.values(), *(s for s in (schema.items, schema.additional) if s is not None)]
    schema.has_defaults = schema.default is not NOTHING or any(s.has_defaults for s in below)
    schema.checks_value = bool(
        schema.enum or schema.pattern or schema.limits or schema.branches or schema.immutable or schema.format or schema.list_type
    )
    return schema


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    """Compile a pattern as Go would; one that Python cannot read checks nothing."""
    if not pattern:
        return None
    try:
        return re.compile(re.sub(r"\[\[:(\w+):\]\]", "", pattern).replace(r"\z", r"\Z"))
    except re.error:
        return None


def _immutability(rules: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Give the messages of the one CEL rule that is understood: that a value never changes."""
    return tuple(
        rule.get("message") or f"failed rule: {rule['rule']}"
        for rule in rules
        if re.sub(r"\s", "", rule.get("rule", "")) == "self==oldSelf"
    )


def shape_of(schema: Schema) -> Shape:
    """Give how the lists and maps of *schema* merge and are owned."""
    if schema.list_type in ("map", "set"):
        item = shape_of(schema.items) if schema.items is not None else ANY
        defaults = {}
        if schema.items is not None:
            defaults = {key: s.default for key, s in schema.items.properties.items() if s.default is not NOTHING}
        return Shape(items=item, keys=schema.list_keys, as_set=schema.list_type == "set", key_defaults=defaults)
    if schema.map_atomic:
        return Shape(atomic=True)
    fields = {key: shape for key, value in schema.properties.items() if (shape := shape_of(value)) is not ANY}
    items = shape_of(schema.additional) if schema.additional is not None else ANY
    if not fields and items is ANY:
        return ANY
    return Shape(fields=fields, items=items if items is not ANY else None)


_UNTYPED = Shape(untyped=True)
_PYTHON = {"integer": int, "number": float, "string": str, "boolean": bool}


def typed_shape_of(schema: Schema) -> Shape:
    """Give the shape of *schema* with the types of all fields."""
    if schema.int_or_string:
        return Shape(scalar=("scalar", object))
    if schema.type in _PYTHON:
        return Shape(scalar=(schema.type, _PYTHON[schema.type]))
    if schema.type == "array":
        item = typed_shape_of(schema.items) if schema.items is not None else _UNTYPED
        plain = shape_of(schema)
        return Shape(items=item, keys=plain.keys, as_set=plain.as_set, key_defaults=plain.key_defaults, scalar=("list", list))
    fields = {key: typed_shape_of(value) for key, value in schema.properties.items()}
    if schema.embedded:
        fields |= {key: fields.get(key, _UNTYPED) for key in _METADATA_OF_EMBEDDED}
    if schema.additional is not None:
        other: Shape | None = typed_shape_of(schema.additional)
    else:
        other = _UNTYPED if schema.preserves or schema.open else None
    if not schema.type and not fields and other is not None:
        return _UNTYPED
    closed = "" if other is not None else "object"
    return Shape(fields=fields, items=other, atomic=schema.map_atomic, go_name=closed, scalar=("map", dict))


def text_of(path: Path) -> str:
    """Write a path as messages do: `spec.ports[0].name`."""
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")


def prune(value: Json, schema: Schema, path: Path, unknown: list[str]) -> None:
    """Drop the fields that *schema* does not know, in place, and name them in *unknown*."""
    if isinstance(value, dict):
        properties, additional = schema.properties, schema.additional
        lost = None
        for key, item in value.items():
            below = properties.get(key)
            if below is None:
                below = additional
                if below is None:
                    if not (schema.preserves or schema.open or (schema.embedded and key in _METADATA_OF_EMBEDDED)):
                        lost = [*(lost or ()), key]
                    continue
            if item.__class__ is dict or item.__class__ is list:
                prune(item, below, (path, key), unknown)
        for key in lost or ():
            del value[key]
            unknown.append(text_of((path, key)))
    elif isinstance(value, list) and schema.items is not None:
        for place, item in enumerate(value):
            if item.__class__ is dict or item.__class__ is list:
                prune(item, schema.items, (path, place), unknown)


def fill(value: Json, schema: Schema) -> None:
    """Put in defaults, in place; a null where none is allowed counts as absent."""
    if isinstance(value, dict):
        nulls = [key for key, item in value.items() if item is None]
        for key in nulls:
            below = schema.child(key)
            if below is not None and not below.nullable and not below.preserves:
                del value[key]
        for key, below in schema.properties.items():
            if below.has_defaults and below.default is not NOTHING and key not in value:
                value[key] = copy.deepcopy(below.default)
        for key, item in value.items():
            below = schema.properties.get(key) or schema.additional
            if below is not None and (item.__class__ is dict or item.__class__ is list):
                fill(item, below)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            if item.__class__ is dict or item.__class__ is list:
                fill(item, schema.items)
