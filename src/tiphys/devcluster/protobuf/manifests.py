"""Which manifest does a protobuf body hold? (pure)"""

from __future__ import annotations

import struct
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.protobuf.leaves import LEAVES, text
from tiphys.devcluster.protobuf.reading import BYTES, VARINT, Entry, WireError, entries, signed, varint
from tiphys.devcluster.protobuf.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiphys.devcluster.protobuf.table import Field
    from tiphys.devcluster.wire import Json

_MAGIC = b"k8s\0"
_DEEPEST = 100
# Messages that are one of their fields in JSON: the first of these that is there.
_CHOICES = {
    "apiextensions.v1.JSONSchemaPropsOrArray": ("jSONSchemas", "schema"),
    "apiextensions.v1.JSONSchemaPropsOrBool": ("schema", "allows"),
    "apiextensions.v1.JSONSchemaPropsOrStringArray": ("property", "schema"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a body says of itself, "" where it says nothing, and the message inside."""

    api_version: str
    kind: str
    message: bytes


def opened(raw: bytes) -> Envelope:
    """
    Open the envelope around a message, a `runtime.Unknown`.

    Raises:
        WireError: there is none.

    """
    if not raw:
        raise WireError("empty data")
    if not raw.startswith(_MAGIC):
        raise WireError(f"provided data does not appear to be a protobuf message, expected prefix [{' '.join(map(str, _MAGIC))}]")
    if raw == _MAGIC:
        raise WireError("empty body")
    parts = {entry.number: entry.value for entry in entries(raw[len(_MAGIC) :], "Unknown") if entry.wire == BYTES}
    named = {entry.number: text(entry.value) for entry in entries(_bytes(parts.get(1, b"")), "TypeMeta")}
    return Envelope(api_version=named.get(1, ""), kind=named.get(2, ""), message=_bytes(parts.get(2, b"")))


def manifest(envelope: Envelope) -> dict[str, Any]:
    """
    Give what the same object would be in JSON; lists and maps without items, and nulls, are left out.

    Raises:
        WireError: there is no message for the kind, or this is not one.

    """
    api_version, kind = envelope.api_version, envelope.kind
    # Delete options go by the name of every group version.
    name = table().kinds.get((api_version if kind != "DeleteOptions" else "v1", kind))
    if name is None:
        scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
        raise WireError(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{scheme}"')
    return {"apiVersion": api_version, "kind": kind, **_object(envelope.message, name, 0)}


def _message(data: bytes, name: str, depth: int) -> Json:
    if depth > _DEEPEST:
        raise WireError("proto: exceeded maximum recursion depth")
    if (leaf := LEAVES.get(name)) is not None:
        return leaf(data)
    value = _object(data, name, depth)
    if (choices := _CHOICES.get(name)) is not None:
        return next((value[choice] for choice in choices if choice in value), None)
    return value


def _object(data: bytes, name: str, depth: int) -> dict[str, Any]:
    fields = table().messages[name]
    out: dict[str, Any] = {}
    for entry in entries(data, name.rpartition(".")[2]):
        field = fields.get(entry.number)
        if field is None:
            continue  # a newer client knows more
        if field.repeated:
            out.setdefault(field.name, []).extend(_items(entry, field, depth))
        elif field.mapped:
            key, value = _pair(entry, field, depth)
            out.setdefault(field.name, {})[key] = value
        else:
            _put(out, field, _value(entry, field, depth))
    return out


def _put(out: dict[str, Any], field: Field, value: Json) -> None:
    if field.inline:
        out |= value
    elif value is not None and (value or not field.omitted):
        out[field.name] = value


def _items(entry: Entry, field: Field, depth: int) -> Iterator[Json]:
    """Give the items that one entry adds: one, or several numbers in a row."""
    if field.wire == VARINT and entry.wire == BYTES:
        data, place = _bytes(entry.value), 0
        while place < len(data):
            number, place = varint(data, place)
            yield _scalar(Entry(entry.number, VARINT, number), field)
    else:
        yield _value(entry, field, depth)


def _pair(entry: Entry, field: Field, depth: int) -> tuple[str, Json]:
    """Read one item of a map; a part that is missing is empty."""
    _check(entry, field)
    parts = {part.number: part for part in entries(_bytes(entry.value), field.name)}
    key = text(parts[1].value) if 1 in parts else ""
    return key, _value(parts.get(2, Entry(2, BYTES, b"")), field, depth)


def _value(entry: Entry, field: Field, depth: int) -> Json:
    _check(entry, field)
    if field.type in ("string", "bytes") or entry.wire != BYTES:
        return _scalar(entry, field)
    return _message(_bytes(entry.value), field.type, depth + 1)


def _scalar(entry: Entry, field: Field) -> Json:
    value = entry.value
    match field.type, value:
        case "string", bytes():
            return text(value)
        case "bytes", bytes():
            return b64encode(value).decode()
        case "float64", bytes():
            (number,) = struct.unpack("<d", value)
            return int(number) if number.is_integer() else number  # as JSON writes it
        case "bool", int():
            return value != 0
        case "int32", int():
            return signed(value, 32)
        case _, int():
            return signed(value, 64)
    raise AssertionError(f"{field.name}: a {field.type} that passed as {value!r}")


def _check(entry: Entry, field: Field) -> None:
    if entry.wire != field.wire:
        raise WireError(f"proto: wrong wireType = {entry.wire} for field {field.name[:1].upper()}{field.name[1:]}")


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""
