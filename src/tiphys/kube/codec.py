"""How do JSON bytes become values, and what is said when they do not fit?"""

from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from tiphys.kube.errors import DecodeError

T = TypeVar("T")
Manifest = dict[str, Any]


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """The version a collection was read at, and how to read on."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some objects of a collection."""

    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


@lru_cache(maxsize=256)
def _decoder(into: object) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("type[Any]", into))


def decoder(into: type[T]) -> msgspec.json.Decoder[T]:
    """Give the one decoder for a type; making one costs more than using it."""
    return _decoder(cast("Any", into))


def decode(data: bytes, into: type[T], *, where: str) -> T:
    """
    Read *data* as *into*.

    Raises:
        DecodeError: it is not that; the text names *where* and the path of the field, never a value.

    """
    try:
        return decoder(into).decode(data)
    except msgspec.DecodeError as error:
        raise DecodeError(where, str(error)) from None


def encode(body: object) -> bytes:
    """Write a body as JSON; bytes and raw JSON are taken as they are."""
    if isinstance(body, bytes):
        return body
    return msgspec.json.encode(body)
