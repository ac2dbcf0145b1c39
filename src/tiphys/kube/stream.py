"""What do the bytes of lists and watches say?"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from tiphys.kube.codec import ListMeta, Page, decoder, read
from tiphys.kube.errors import ApiError, DecodeError, api_error
from tiphys.kube.store import Key, Unreadable

T = TypeVar("T")
R = TypeVar("R")


class LineSplitter:
    """
    Cuts raw chunks into lines, however long a line is and wherever a chunk ends.

    A line reader with a limit would fail on the first object larger than the limit, again and again.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the lines that *chunk* completes; empty ones are left out."""
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        if not rest:
            return []
        lines = [b"".join(self._parts), *rest[:-1]]
        self._parts = [rest[-1]]
        return [line for line in lines if line]


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page: the objects that can be read, those that cannot, and how to read on."""

    items: list[T]
    unreadable: list[Unreadable]
    meta: ListMeta


@dataclass(frozen=True, slots=True)
class Upserted(Generic[T]):
    """An object is new or changed."""

    thing: T


@dataclass(frozen=True, slots=True)
class Removed:
    """An object is gone, as of *version*."""

    key: Key
    version: str


@dataclass(frozen=True, slots=True)
class Reached:
    """Nothing happened up to *version*."""

    version: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The server ends the watch."""

    error: ApiError


Event = Upserted[T] | Removed | Reached | Failed | Unreadable


class _Line(msgspec.Struct, Generic[T], frozen=True):
    type: str
    object: T


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Known(msgspec.Struct, frozen=True):
    """What even an object that cannot be decoded has."""

    metadata: _Meta = _Meta()

    @property
    def key(self) -> Key:
        return Key(self.metadata.namespace, self.metadata.name)


class Reader(Generic[T]):
    """
    Reads pages and watch lines of objects of one type.

    One object that does not decode spoils neither its page nor the stream: it is named with what is wrong with it.
    """

    def __init__(self, into: type[T], *, where: str) -> None:
        self._where = where
        self._page: msgspec.json.Decoder[Page[T]] = msgspec.json.Decoder(Page[into])  # type: ignore[valid-type] # the type is a value here
        self._line: msgspec.json.Decoder[_Line[T]] = msgspec.json.Decoder(_Line[into])  # type: ignore[valid-type] # the same
        self._object: msgspec.json.Decoder[T] = msgspec.json.Decoder(into)

    def page(self, data: bytes) -> Listed[T]:
        """
        Read a page of a list.

        Raises:
            DecodeError: it is no list.

        """
        try:
            page = self._page.decode(data)
            return Listed(page.items or [], [], page.metadata)
        except msgspec.ValidationError:
            # One of the objects, most likely: read them one by one.
            raw: Page[msgspec.Raw] = self._read(data, Page[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise DecodeError(f"a list of {self._where}", str(error)) from None
        items: list[T] = []
        unreadable: list[Unreadable] = []
        for each in raw.items or ():
            try:
                items.append(read(self._object, each))
            except msgspec.ValidationError as error:
                unreadable.append(self._unreadable(each, str(error)))
        return Listed(items, unreadable, raw.metadata)

    def event(self, line: bytes) -> Event[T] | None:
        """
        Read a line of a watch; None where it is of a kind nobody knows.

        Raises:
            DecodeError: it is no watch event.

        """
        try:
            seen = read(self._line, line)
        except msgspec.ValidationError as error:
            return self._other(line, str(error))
        except msgspec.DecodeError as error:
            raise DecodeError(f"a watch event of {self._where}", str(error)) from None
        match seen.type:
            case "ADDED" | "MODIFIED":
                return Upserted(seen.object)
            case _:
                return self._other(line, "")

    def _other(self, line: bytes, problem: str) -> Event[T] | None:
        raw: _Line[msgspec.Raw] = self._read(line, _Line[msgspec.Raw])
        match raw.type:
            case "ADDED" | "MODIFIED":
                return self._unreadable(raw.object, problem)
            case "DELETED":
                gone = self._read(raw.object, _Known)
                return Removed(gone.key, gone.metadata.resource_version)
            case "BOOKMARK":
                return Reached(self._read(raw.object, _Known).metadata.resource_version)
            case "ERROR":
                return Failed(api_error(500, self._read(raw.object, dict[str, Any])))
            case _:
                return None

    def _unreadable(self, raw: bytes | msgspec.Raw, problem: str) -> Unreadable:
        known = self._read(raw, _Known)
        return Unreadable(known.key, known.metadata.resource_version, problem)

    def _read(self, data: bytes | msgspec.Raw, into: type[R]) -> R:
        try:
            return decoder(into).decode(data)
        except msgspec.DecodeError as error:
            raise DecodeError(f"what a list or watch of {self._where} gives", str(error)) from None
