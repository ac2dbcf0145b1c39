"""How do objects come from and go to the wire, and which patch says what changed?"""

from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import msgspec

from tiphys.api import wireform
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest, Wire, wire_time
from tiphys.api.misfits import type_problems
from tiphys.api.nulls import without_nulls
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus

Object = TypeVar("Object", bound=Wire)


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
        raise SpecError(
            field=kind.__name__, found=wireform.shown(body.decode(errors="replace")), wanted=f"must be JSON ({error})"
        ) from error
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
    changes = merge_patch(_without_empty(plain(before)), _without_empty(plain(after)))
    return {"status": changes} if changes else {}


def _decode_without_nulls(body: bytes, kind: type[Object], error: msgspec.ValidationError) -> Object:
    """Read again without nulls; if that does not help either, say which field is wrong."""
    bare = without_nulls(body)
    if bare is not None:
        try:
            decoded: Object = _decoder(kind).decode(bare)
        except msgspec.ValidationError as other:
            error = other
        else:
            return decoded
    problems = type_problems(msgspec.json.decode(body), kind)
    shown = wireform.shown(body.decode(errors="replace"))
    raise problems[0] if problems else SpecError(field=kind.__name__, found=shown, wanted=str(error)) from error


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


def _without_empty(manifest: Manifest) -> Manifest:
    return {key: _without_empty(item) if isinstance(item, dict) else item for key, item in manifest.items() if item != {}}


def merge_patch(before: Manifest, after: Manifest) -> Manifest:
    """Give the smallest JSON merge patch that turns *before* into *after*."""
    changes: Manifest = {key: None for key in before if key not in after}
    for key, wanted in after.items():
        found = before.get(key)
        if isinstance(found, dict) and isinstance(wanted, dict):
            inner = merge_patch(found, wanted)
            if inner:
                changes[key] = inner
        elif found != wanted or key not in before:
            changes[key] = wanted
    return changes


@cache
def _decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
