"""What do messages mean whose JSON is not an object of their fields? (pure)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from tiphys.devcluster.protobuf.reading import WireError, entries, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiphys.devcluster.wire import Json

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as all here, and written with a Z
_decode = msgspec.json.Decoder().decode


def text(value: int | bytes) -> str:
    """Read a string; Go keeps what is not UTF-8 until it writes JSON, and replaces it there."""
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _single(data: bytes, owner: str) -> dict[int, int | bytes]:
    """Give the fields of a message that has each once; a later one holds."""
    return {entry.number: entry.value for entry in entries(data, owner)}


def _number(fields: Mapping[int, int | bytes], number: int, bits: int) -> int:
    value = fields.get(number, 0)
    return signed(value, bits) if isinstance(value, int) else 0


def _time(data: bytes) -> Json:
    """Seconds since 1970; no bytes are no time."""
    return f"{_moment(data).isoformat(timespec='seconds')}Z" if data else None


def _micro_time(data: bytes) -> Json:
    return f"{_moment(data).isoformat(timespec='microseconds')}Z" if data else None


def _moment(data: bytes) -> datetime:
    fields = _single(data, "Timestamp")
    try:
        return _EPOCH + timedelta(seconds=_number(fields, 1, 64), microseconds=_number(fields, 2, 32) // 1000)
    except OverflowError as error:
        raise WireError("Time.MarshalJSON: year outside of range [0,9999]") from error


def _quantity(data: bytes) -> Json:
    return text(_single(data, "Quantity").get(1, b""))


def _int_or_string(data: bytes) -> Json:
    fields = _single(data, "IntOrString")
    return text(fields.get(3, b"")) if _number(fields, 1, 64) == 1 else _number(fields, 2, 32)


def _json(data: bytes) -> Json:
    """JSON as it was written, within a message of its own."""
    raw = _single(data, "JSON").get(1, b"")
    if not raw:
        return None
    try:
        return _decode(raw if isinstance(raw, bytes) else b"")
    except msgspec.DecodeError as error:
        raise WireError(f"json parse error: {error}") from error


def _texts(data: bytes) -> Json:
    return [text(entry.value) for entry in entries(data, "ExtraValue") if entry.number == 1]


LEAVES: Mapping[str, Callable[[bytes], Json]] = {
    "apiextensions.v1.JSON": _json,
    "authorization.v1.ExtraValue": _texts,
    "intstr.IntOrString": _int_or_string,
    "meta.v1.FieldsV1": _json,
    "meta.v1.MicroTime": _micro_time,
    "meta.v1.Time": _time,
    "resource.Quantity": _quantity,
}
"""How each of them is read; None is a value that JSON would give as null."""
