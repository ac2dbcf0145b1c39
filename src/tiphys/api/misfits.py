"""
Which fields of a manifest does its kind not have, and which have the wrong type?

The API server drops unknown fields in silence, so a misspelt one is found here or never.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from tiphys.api import wireform
from tiphys.api.errors import SpecError
from tiphys.api.meta import INT32, Manifest, ObjectMeta, Time
from tiphys.api.schema import REQUIRED
from tiphys.api.workloads import Service, ServicePort, ServiceSpec

_NOTHING: Final = object()
"""Stands for a value that is left out."""
_UNKNOWN: Final = "no such field"

_METADATA: Final = """name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp
    deletionGracePeriodSeconds labels annotations ownerReferences finalizers managedFields"""
_SERVICE: Final = """type clusterIP clusterIPs externalIPs sessionAffinity sessionAffinityConfig loadBalancerIP loadBalancerSourceRanges
    loadBalancerClass externalName externalTrafficPolicy internalTrafficPolicy healthCheckNodePort publishNotReadyAddresses ipFamilies
    ipFamilyPolicy allocateLoadBalancerNodePorts trafficDistribution"""

_ALSO: Final[Mapping[type, frozenset[str]]] = {
    ObjectMeta: frozenset(_METADATA.split()),
    Service: frozenset(("apiVersion", "kind", "status")),
    ServiceSpec: frozenset(_SERVICE.split()),
    ServicePort: frozenset(("protocol", "appProtocol", "nodePort")),
}
"""Fields that Kubernetes has and our types leave out, because no decision reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What does not fit: *fatal* if the object cannot be read because of it."""

    error: SpecError
    fatal: bool


def misfits(manifest: object, kind: type[msgspec.Struct]) -> list[Misfit]:
    """Name every field of *manifest* that *kind* does not have, or that has another JSON type than *kind* wants."""
    return list(_struct(manifest, kind, ""))


def type_problems(manifest: object, kind: type[msgspec.Struct]) -> tuple[SpecError, ...]:
    """Name every field of *manifest* because of which it cannot be read as *kind*."""
    return tuple(found.error for found in misfits(manifest, kind) if found.fatal)


def without_misfits(manifest: Manifest, kind: type[msgspec.Struct]) -> Manifest:
    """
    Give *manifest* without the fields because of which it cannot be read as *kind*; unknown fields stay.

    An item of a list that has one goes whole, and so does an object without a field that its schema requires.
    """
    types = _fields(kind)
    kept = {key: item if item is None or key not in types else _fitting(item, types[key]) for key, item in manifest.items()}
    return {key: item for key, item in kept.items() if item is not _NOTHING}


def _fitting(value: Any, kind: inspect.Type) -> Any:  # noqa: ANN401 - JSON of any type
    match kind:
        case inspect.UnionType(types=(one, inspect.NoneType()) | (inspect.NoneType(), one)):
            return _fitting(value, one)
        case inspect.StructType(cls=cls) if isinstance(value, dict):
            kept = without_misfits(value, cls)
            return _NOTHING if any(name in value and name not in kept for name in REQUIRED.get(cls, ())) else kept
        case inspect.VarTupleType(item_type=item) if isinstance(value, list):
            return [found for found in value if not any(_value(found, item, ""))]
        case _:
            return _NOTHING if any(_value(value, kind, "")) else value


def _struct(value: object, kind: type[msgspec.Struct], at: str) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield _wrong(at or kind.__name__, value, "must be an object")
        return
    fields = _fields(kind)
    for key, item in value.items():
        here = f"{at}.{key}" if at else key
        if item is None and key in fields:
            continue
        if key == "template" and isinstance(fields.get(key), inspect.RawType):
            yield from _pod(item, wireform.POD_TEMPLATE, here)
        elif key in fields:
            yield from _value(item, fields[key], here)
        elif key not in _ALSO.get(kind, ()):
            yield Misfit(error=SpecError(field=here, found=wireform.shown(item), wanted=_UNKNOWN), fatal=False)


def _value(value: object, kind: inspect.Type, at: str) -> Iterator[Misfit]:
    """Judge *value*; a null has been left out before, except in a list, where it is wrong."""
    match kind:
        case inspect.StructType(cls=cls):
            yield from _struct(value, cls, at)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            if isinstance(value, list):
                for position, found in enumerate(value):
                    yield from _value(found, item, f"{at}[{position}]")
            else:
                yield _wrong(at, value, "must be a list")
        case inspect.DictType(value_type=item):
            if isinstance(value, dict):
                for key, found in value.items():
                    if found is not None:
                        yield from _value(found, item, f"{at}.{key}")
            else:
                yield _wrong(at, value, "must be a map")
        case inspect.UnionType(types=types):
            yield from _union(value, types, at)
        case _:
            if not _fits(value, kind):
                yield _wrong(at, value, f"must be {_word(kind, value)}")


def _union(value: object, types: Sequence[inspect.Type], at: str) -> Iterator[Misfit]:
    choices = [choice for choice in types if not isinstance(choice, inspect.NoneType)]
    if len(choices) == 1:
        yield from _value(value, choices[0], at)
    elif not any(_fits(value, choice) for choice in choices):
        yield _wrong(at, value, f"must be {' or '.join(_word(choice, value) for choice in choices)}")


def _fits(value: object, kind: inspect.Type) -> bool:
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=least, le=most):
            return isinstance(value, int) and not isinstance(value, bool) and (least is None or most is None or least <= value <= most)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.LiteralType(values=values):
            return isinstance(value, str) and value in values
        case inspect.DateTimeType():
            return isinstance(value, str) and _is_time(value)
        case _:
            return True


def _is_time(text: str) -> bool:
    try:
        msgspec.convert(text, Time)
    except msgspec.ValidationError:
        return False
    return True


def _word(kind: inspect.Type, value: object) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(le=most):
            too_large = most is not None and isinstance(value, int) and not isinstance(value, bool)
            return f"an integer of {64 if most > INT32 else 32} bits" if too_large and most is not None else "an integer"
        case inspect.FloatType():
            return "a number"
        case inspect.StrType():
            return "text"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.DateTimeType():
            return "an RFC 3339 time such as 2026-01-31T08:00:00Z"
        case _:
            return "another type"


def _pod(value: object, kind: str, at: str) -> Iterator[Misfit]:
    """Do the same for a part of a pod template, whose fields stand in a table of their own."""
    if value is None:
        return
    if not isinstance(value, dict):
        yield _wrong(at, value, "must be an object")
        return
    fields = _pod_fields(kind)
    for key, item in value.items():
        here = f"{at}.{key}"
        if key not in fields:
            yield Misfit(error=SpecError(field=here, found=wireform.shown(item), wanted=_UNKNOWN), fatal=False)
            continue
        below, many = fields[key]
        if below is not None and many == "[]" and isinstance(item, list):
            for position, found in enumerate(item):
                yield from _pod(found, below, f"{here}[{position}]")
        elif below is not None and many == "{}" and isinstance(item, dict):
            for name, found in item.items():
                yield from _pod(found, below, f"{here}.{name}")
        elif many == "[]" and item is not None and not isinstance(item, list):
            yield Misfit(error=SpecError(field=here, found=wireform.shown(item), wanted="must be a list"), fatal=False)
        elif below is not None and not many:
            yield from _pod(item, below, here)


@cache
def _pod_fields(kind: str) -> Mapping[str, tuple[str | None, str]]:
    """Give the fields of *kind*: per name the type below, if it is one of the table, and whether there are many of it."""
    types = wireform.since_1_9().types
    return {known.name: (known.type if known.type in types else None, known.many) for known in types[kind]}


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, inspect.Type]:
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{kind} is no struct")
    return {field.encode_name: field.type for field in info.fields}


def _wrong(at: str, value: object, wanted: str) -> Misfit:
    return Misfit(error=SpecError(field=at, found=wireform.shown(value), wanted=wanted), fatal=True)
