"""How do the lists and maps of a kind merge, and which fields does a built-in kind have?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiphys.devcluster.wire import Json

# What may stand after a field's name in `struct`: its Go type as messages say it, and what JSON has to hold.
_TYPES: dict[str, tuple[str, type]] = {
    "i": ("int32", int),
    "l": ("int64", int),
    "b": ("bool", bool),
    "s": ("string", str),
    "o": ("object", dict),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """
    What is known of one field beyond its value.

    A list is atomic unless *keys* (a map of items) or *as_set* says otherwise; a map is granular unless *atomic*.
    *patch_key* is the key by which a strategic merge patch finds list items. *always* marks structs that exist even in
    an empty object of the kind, so that nobody owns their existence. *go_name* is set for structs, which have no other
    fields than *fields*; *scalar* is (Go type, Python type) where only that will do. Below *untyped* anything may be.
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, object] = field(default_factory=dict)
    as_set: bool = False
    atomic: bool = False
    always: bool = False
    patch_key: str = ""
    patch_merges: bool = False
    go_name: str = ""
    scalar: tuple[str, type] | None = None
    untyped: bool = False

    def child(self, name: str) -> Shape:
        """Give the shape of one field, or of a map's value."""
        return self.fields.get(name) or self.items or (self if self.untyped else ANY)

    @property
    def item(self) -> Shape:
        """The shape of a list's items."""
        return self.items or ANY


ANY = Shape()
_SCALARS = {letter: Shape(scalar=scalar) for letter, scalar in _TYPES.items()}
OBJECT = _SCALARS["o"]
TEXT_MAP = Shape(items=_SCALARS["s"], scalar=("map[string]string", dict))
TEXT_LIST = Shape(items=_SCALARS["s"], scalar=("[]string", list))


def struct(go_name: str, names: str, /, **below: Shape) -> Shape:
    """
    Give the shape of a struct whose plain fields are *names*.

    `name:i` is an int32, `:l` an int64, `:b` a bool, `:s` a string, `:o` an object; a bare name is anything. A trailing
    underscore in a keyword is dropped, so that Python's own words can be fields.
    """
    fields: dict[str, Shape] = {}
    for name in names.split():
        plain, _, letter = name.partition(":")
        fields[plain] = _SCALARS[letter] if letter else ANY
    fields |= {name.rstrip("_"): shape for name, shape in below.items()}
    return Shape(fields=fields, go_name=go_name)


def keyed(item: Shape, *keys: str, patch: str | None = None, **defaults: object) -> Shape:
    """Give the shape of a list whose items have an identity; strategic patches use the first key unless *patch* says otherwise."""
    kind = (f"[]v1.{item.go_name or 'object'}", list)
    item = OBJECT if item is ANY else item
    return Shape(items=item, keys=keys, key_defaults=defaults, patch_key=keys[0] if patch is None else patch, scalar=kind)


def listed(item: Shape) -> Shape:
    """Give the shape of a list that is owned as one value."""
    return Shape(items=item, scalar=(f"[]v1.{item.go_name or 'object'}", list))


def always(shape: Shape) -> Shape:
    """Give the same shape, for a place where an empty object has it too."""
    return replace(shape, always=True)


def atomic(shape: Shape) -> Shape:
    """Give the same shape, owned as one value."""
    return replace(shape, atomic=True)


def wrong_type(value: Json, shape: Shape) -> str | None:
    """Give the Go type that was wanted if *value* is not of it."""
    if shape.scalar is None or value is None:
        return None
    go, python = shape.scalar
    fits = isinstance(value, python) and not (python is int and isinstance(value, bool))
    return None if fits else go
