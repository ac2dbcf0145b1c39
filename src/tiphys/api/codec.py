"""How do objects come from and go to the wire, and which patch says what changed?"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest, Wire, wire_time
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus

Object = TypeVar("Object", bound=Wire)

_COMPLAINT: Final = re.compile(r"(?P<text>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?", re.DOTALL)
_EXPECTED: Final = re.compile(r"Expected `(?P<wanted>.*)`, got `(?P<found>.*)`")
_PART: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_TYPE_WORDS: Final = {
    "int": "an integer",
    "str": "text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "float": "a number",
}
_JSON_TYPES: Final[Mapping[str, type]] = {
    "int": int,
    "str": str,
    "bool": bool,
    "object": dict,
    "array": list,
    "float": float,
    "null": type(None),
}
_LONGEST_SHOWN: Final = 80


def decode_rollout(body: bytes) -> Rollout:
    """
    Read a Rollout from JSON.

    Raises:
        SpecError: *body* is no JSON, or a field has another type than it should have.

    """
    return decode(body, Rollout)


def decode(body: bytes, kind: type[Object]) -> Object:
    """
    Read an object of *kind* from JSON; a null means the same as a missing field.

    Raises:
        SpecError: *body* is no JSON, or a field has another type than it should have.

    """
    try:
        found: Object = _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        return _decode_without_nulls(body, kind, error)
    except msgspec.DecodeError as error:
        raise SpecError(field=kind.__name__, found=_shown(body.decode(errors="replace")), wanted=f"must be JSON ({error})") from error
    return found


def encode(thing: Wire) -> bytes:
    """Write *thing* as JSON; what has its default is left out."""
    return msgspec.json.encode(thing)


def plain(thing: Wire) -> Manifest:
    """Give *thing* as plain JSON data, with times as the API server writes them; what has its default is left out."""
    builtins: Manifest = msgspec.to_builtins(thing, builtin_types=(datetime, msgspec.Raw), enc_hook=bytes)
    return {key: _plain(value) for key, value in builtins.items()}


def status_patch(before: RolloutStatus, after: RolloutStatus) -> Manifest:
    """
    Give the smallest JSON merge patch for the status subresource that turns *before* into *after*.

    Empty where nothing differs on the wire: a fraction of a second is no difference, because it cannot be stored, and neither is an empty
    object, such as the reference writes for the strategy that is not in use. A list is sent whole where any of its items differs.
    """
    if before == after:
        return {}
    changes = _changes(plain(before), plain(after))
    return {"status": changes} if changes else {}


def _decode_without_nulls(body: bytes, kind: type[Object], error: msgspec.ValidationError) -> Object:
    """Read again without nulls; if that does not help either, say which field is wrong."""
    found = msgspec.json.decode(body)
    bare = _without_nulls(found)
    if bare != found:
        try:
            decoded: Object = _decoder(kind).decode(msgspec.json.encode(bare))
        except msgspec.ValidationError as other:
            error = other
        else:
            return decoded
    raise _spec_error(str(error), bare, kind) from error


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON of any type
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _spec_error(complaint: str, body: object, kind: type[Wire]) -> SpecError:
    match = _COMPLAINT.fullmatch(complaint)
    text, path = (match["text"], match["path"] or "") if match else (complaint, "")
    expected = _EXPECTED.fullmatch(text)
    field, found = _locate(body, path, expected["found"] if expected else "")
    if expected:
        words = [_TYPE_WORDS.get(word, word) for word in expected["wanted"].split(" | ") if word != "null"]
        wanted = f"must be {' or '.join(words)}"
    elif "RFC3339" in text:
        wanted = "must be an RFC 3339 time such as 2026-01-31T08:00:00Z"
    else:
        wanted = text
    return SpecError(field=field or kind.__name__, found="null" if found is None else _shown(found), wanted=wanted)


def _locate(body: object, path: str, found_type: str) -> tuple[str, object]:
    """Follow *path* into *body*; where it says only "some key", that is the first whose value has the type that is wrong."""
    here: Any = body
    walked = ""
    for name, index in _PART.findall(path):
        if name:
            walked = f"{walked}.{name}" if walked else name
            here = here.get(name)
        elif isinstance(here, dict):
            wrong = _JSON_TYPES.get(found_type, object)
            key = next((key for key, value in here.items() if type(value) is wrong), "")
            walked, here = f"{walked}.{key}", here.get(key)
        else:
            walked, here = f"{walked}[{index}]", here[int(index)]
    return walked, here


def _shown(value: object) -> object:
    """Shorten what an error shows; numbers and flags stay what they are."""
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON of any type
    match value:
        case datetime():
            return wire_time(value)
        case msgspec.Raw():
            return msgspec.json.decode(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _changes(before: Manifest, after: Manifest) -> Manifest:
    changes: Manifest = {key: None for key, found in before.items() if key not in after and found != {}}
    for key, wanted in after.items():
        found = before.get(key)
        if isinstance(found, dict) and isinstance(wanted, dict):
            inner = _changes(found, wanted)
            if inner:
                changes[key] = inner
        elif found != wanted or key not in before:
            changes[key] = wanted
    return changes


@cache
def _decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
