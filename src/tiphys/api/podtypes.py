"""Which JSON type must a field of a pod template have?"""

from collections.abc import Iterator
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import INT32, INT64
from tiphys.api.podfields import FLAG_FIELDS, INTEGER_FIELDS, LONG_FIELDS, TEXT_LIST_FIELDS
from tiphys.api.wireform import Field, NumberText, shown, since_1_9

_LONG: Final = frozenset(LONG_FIELDS.split())
_INTEGERS: Final = frozenset(INTEGER_FIELDS.split())
_FLAGS: Final = frozenset(FLAG_FIELDS.split())
_INTEGER_LISTS: Final = frozenset({("PodSecurityContext", "supplementalGroups"), ("ContainerRestartRuleOnExitCodes", "values")})
_TEXT_LISTS: Final = frozenset(TEXT_LIST_FIELDS.split())
_OTHERS: Final = frozenset({"managedFields", "ownerReferences"})
"""Fields that no rule reads."""
_WANTED: Final = {int: "must be an integer", bool: "must be true or false", str: "must be text"}


def type_problems(value: object, type_name: str, field: str) -> Iterator[SpecError]:
    """Name every field in *value*, an object of the type *type_name* at *field*, that has another JSON type than it should have."""
    if not isinstance(value, dict):
        yield SpecError(field=field, found=shown(value), wanted="must be an object")
        return
    for known in since_1_9().types[type_name]:
        found, here = value.get(known.name), f"{field}.{known.name}"
        if found is None:
            continue
        if known.many == "[]":
            if not isinstance(found, list):
                yield SpecError(field=here, found=shown(found), wanted="must be a list")
                continue
            for at, item in enumerate(found):
                yield from type_problems(item, known.type, f"{here}[{at}]")
        else:
            yield from _one_problems(type_name, known, found, here)


def _one_problems(type_name: str, known: Field, found: object, field: str) -> Iterator[SpecError]:
    match known.type:
        case "map" | "qmap":
            if not isinstance(found, dict):
                yield SpecError(field=field, found=shown(found), wanted="must be a map")
            elif known.type == "map":
                for key, text in found.items():
                    yield from _scalar_problems(text, str, f"{field}.{key}")
        case "intstr":
            if isinstance(found, bool | NumberText) or not isinstance(found, int | str):
                yield SpecError(field=field, found=shown(found), wanted="must be an integer or text")
            elif isinstance(found, int) and abs(found) > INT32:
                yield SpecError(field=field, found=found, wanted="must be an integer of 32 bits or text")
        case "":
            yield from _plain_problems(type_name, known.name, found, field)
        case "quantity":
            return
        case nested:
            yield from type_problems(found, nested, field)


def _plain_problems(type_name: str, name: str, found: object, field: str) -> Iterator[SpecError]:
    if name in _OTHERS:
        return
    most = INT64 if name in _LONG else INT32
    whole = (type_name, name) in _INTEGER_LISTS
    if whole or name in _TEXT_LISTS:
        if not isinstance(found, list):
            yield SpecError(field=field, found=shown(found), wanted="must be a list")
            return
        for at, item in enumerate(found):
            yield from _scalar_problems(item, int if whole else str, f"{field}[{at}]", most)
    else:
        yield from _scalar_problems(found, int if name in _INTEGERS else bool if name in _FLAGS else str, field, most)


def _scalar_problems(found: object, wanted: type[int] | type[bool] | type[str], field: str, most: int = INT64) -> Iterator[SpecError]:
    if not isinstance(found, wanted) or isinstance(found, NumberText) or isinstance(found, bool) != (wanted is bool):
        yield SpecError(field=field, found=shown(found), wanted=_WANTED[wanted])
    elif isinstance(found, int) and abs(found) > most:
        yield SpecError(field=field, found=found, wanted=f"must be an integer of {64 if most > INT32 else 32} bits")
