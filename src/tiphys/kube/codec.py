"""How do JSON bytes become values, and what is said when they do not fit?"""

from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from tiphys.api.nulls import without_nulls
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
        return read(decoder(into), data)
    except msgspec.DecodeError as error:
        raise DecodeError(where, str(error)) from None


def read(reader: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """
    Read *data*; what does not fit is read once more without its nulls, which mean the same as missing fields.

    Raises:
        msgspec.DecodeError: it does not fit, or is no JSON.

    """
    try:
        return reader.decode(data)
    except msgspec.ValidationError:
        bare = without_nulls(bytes(data))
        if bare is None:
            raise
        return reader.decode(bare)


def encode(body: object) -> bytes:
    """Write a body as JSON; bytes and raw JSON are taken as they are."""
    if isinstance(body, bytes):
        return body
    return msgspec.json.encode(body)
