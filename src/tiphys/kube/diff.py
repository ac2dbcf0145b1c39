"""What is the smallest patch that turns one JSON object into another?"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = Any


def merge_patch(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, Json] | None:
    """
    Give the smallest RFC 7386 patch that turns *old* into *new*, or None where there is nothing to do.

    Lists are values: one that differs is sent whole. A null in *new* means the same as a missing key, because the patch language has no
    other way to say it.
    """
    patch: dict[str, Json] = {}
    for key, wanted in new.items():
        if wanted is None:
            continue
        found = old.get(key)
        if isinstance(found, Mapping) and isinstance(wanted, Mapping):
            inner = merge_patch(found, wanted)
            if inner is not None:
                patch[key] = inner
        elif not same(found, wanted):
            patch[key] = wanted
    for key, found in old.items():
        if found is not None and new.get(key) is None:
            patch[key] = None
    return patch or None


def apply_merge_patch(target: Json, patch: Json) -> Json:
    """Give *target* as it is after the RFC 7386 *patch*; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


def json_patch(old: Json, new: Json, *, at: str = "") -> list[dict[str, Json]]:
    """
    Give RFC 6902 operations that turn *old* into *new*; an empty list where there is nothing to do.

    Lists of equal length are compared item by item, others are replaced whole. *at* is the pointer of *old* in the document.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        operations = [{"op": "remove", "path": pointer(key, at=at)} for key in old if key not in new]
        for key, wanted in new.items():
            if key in old:
                operations += json_patch(old[key], wanted, at=pointer(key, at=at))
            else:
                operations.append({"op": "add", "path": pointer(key, at=at), "value": wanted})
        return operations
    if _is_list(old) and _is_list(new) and len(old) == len(new):
        return [step for index, wanted in enumerate(new) for step in json_patch(old[index], wanted, at=pointer(index, at=at))]
    return [] if same(old, new) else [{"op": "replace", "path": at, "value": new}]


def json_test(value: Json, *parts: str | int) -> dict[str, Json]:
    """Give the RFC 6902 operation that lets a patch fail unless the value at *parts* is *value*."""
    return {"op": "test", "path": pointer(*parts), "value": value}


def pointer(*parts: str | int, at: str = "") -> str:
    """Give the RFC 6901 pointer of *parts*, below the pointer *at*."""
    return at + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def same(one: Json, other: Json) -> bool:
    """Say whether two JSON values are equal; unlike in Python, `true` is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
