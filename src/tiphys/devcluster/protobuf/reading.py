"""What do the bytes of one protobuf message hold? (pure)"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
_START_GROUP, _END_GROUP = 3, 4
_WIDTHS = {FIXED_64: 8, FIXED_32: 4}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes that are no message of the wanted type; the words are those of Go's reader."""


class Entry(NamedTuple):
    """One field as it is written: a number, or bytes for whatever is longer; *wire* is how it is written."""

    number: int
    wire: int
    value: int | bytes


def entries(data: bytes, owner: str) -> Iterator[Entry]:
    """
    Give the fields of a message in the order in which they are written; *owner* is its name, for messages.

    Raises:
        WireError: these bytes are no message.

    """
    place = 0
    while place < len(data):
        tag, place = varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == _END_GROUP:
            raise WireError(f"proto: {owner}: wiretype end group for non-group")
        if number <= 0:
            raise WireError(f"proto: {owner}: illegal tag {number} (wire type {wire})")
        if wire == VARINT:
            value, place = varint(data, place)
            yield Entry(number, wire, value)
            continue
        if wire == BYTES:
            width, place = varint(data, place)
            if width >= 1 << 63:
                raise WireError("proto: negative length found during unmarshaling")
        elif wire in _WIDTHS:
            width = _WIDTHS[wire]
        else:
            # Groups went out of use before Kubernetes came: no kind has one.
            raise WireError("proto: unexpected end of group" if wire == _START_GROUP else f"proto: illegal wireType {wire}")
        if place + width > len(data):
            raise WireError("unexpected EOF")
        yield Entry(number, wire, data[place : place + width])
        place += width


def varint(data: bytes, place: int) -> tuple[int, int]:
    """
    Read one number of variable length at *place*, and give it with the place after it.

    Raises:
        WireError: it does not end, or is longer than 64 bits.

    """
    value = 0
    for length in range(_LONGEST_VARINT):
        if place + length >= len(data):
            raise WireError("unexpected EOF")
        byte = data[place + length]
        value |= (byte & 0x7F) << (7 * length)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + length + 1
    raise WireError("proto: integer overflow")


def signed(value: int, bits: int) -> int:
    """Give a number whose lowest *bits* are its two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
