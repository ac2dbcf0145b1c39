"""Which JSON type must a field of a pod template have?"""

from collections.abc import Iterator
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.podfields import FLAG_FIELDS, INTEGER_FIELDS, TEXT_LIST_FIELDS
from tiphys.api.wireform import Field, NumberText, compact, since_1_9

_INTEGERS: Final = frozenset(INTEGER_FIELDS.split())
_FLAGS: Final = frozenset(FLAG_FIELDS.split())
_INTEGER_LISTS: Final = frozenset({"supplementalGroups"})
_TEXT_LISTS: Final = frozenset(TEXT_LIST_FIELDS.split())
_OTHERS: Final = frozenset({"managedFields", "ownerReferences", "values"})
"""Fields that no rule reads, or whose type depends on where they stand."""
_WANTED: Final = {int: "must be an integer", bool: "must be true or false", str: "must be text"}


def type_problems(value: object, type_name: str, field: str) -> Iterator[SpecError]:
    """Name every field in *value*, an object of the type *type_name* at *field*, that has another JSON type than it should have."""
    if not isinstance(value, dict):
        yield _wrong(value, field, "must be an object")
        return
    for known in since_1_9().types[type_name]:
        found, here = value.get(known.name), f"{field}.{known.name}"
        if found is None:
            continue
        if known.many == "[]":
            if not isinstance(found, list):
                yield _wrong(found, here, "must be a list")
                continue
            for at, item in enumerate(found):
                yield from type_problems(item, known.type, f"{here}[{at}]")
        else:
            yield from _one_problems(known, found, here)


def _one_problems(known: Field, found: object, field: str) -> Iterator[SpecError]:
    match known.type:
        case "map" | "qmap":
            if not isinstance(found, dict):
                yield _wrong(found, field, "must be a map")
            elif known.type == "map":
                for key, text in found.items():
                    yield from _scalar_problems(text, str, f"{field}.{key}")
        case "intstr":
            if isinstance(found, bool | NumberText) or not isinstance(found, int | str):
                yield _wrong(found, field, "must be an integer or text")
        case "":
            yield from _plain_problems(known.name, found, field)
        case "quantity":
            return
        case nested:
            yield from type_problems(found, nested, field)


def _plain_problems(name: str, found: object, field: str) -> Iterator[SpecError]:
    if name in _OTHERS:
        return
    if name in _TEXT_LISTS or name in _INTEGER_LISTS:
        if not isinstance(found, list):
            yield _wrong(found, field, "must be a list")
            return
        for at, item in enumerate(found):
            yield from _scalar_problems(item, str if name in _TEXT_LISTS else int, f"{field}[{at}]")
    else:
        yield from _scalar_problems(found, int if name in _INTEGERS else bool if name in _FLAGS else str, field)


def _scalar_problems(found: object, wanted: type[int] | type[bool] | type[str], field: str) -> Iterator[SpecError]:
    if not isinstance(found, wanted) or isinstance(found, NumberText) or isinstance(found, bool) != (wanted is bool):
        yield _wrong(found, field, _WANTED[wanted])


def _wrong(found: object, field: str, wanted: str) -> SpecError:
    text = found if isinstance(found, str) else compact(found)
    return SpecError(field=field, found=text if len(text) <= 80 else f"{text[:77]}...", wanted=wanted)
