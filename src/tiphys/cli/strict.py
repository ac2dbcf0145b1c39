"""
Which fields of a manifest does the kind not have, and which have the wrong type?

The API server drops unknown fields in silence, so a misspelt one is found here or never.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from tiphys.api import wireform
from tiphys.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tiphys.api.errors import SpecError
from tiphys.api.experiment import Experiment
from tiphys.api.meta import ObjectMeta
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import Service, ServicePort, ServiceSpec

_LONGEST_SHOWN: Final = 80
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

KINDS: Final[Mapping[tuple[str, str], type[msgspec.Struct]]] = {
    ("argoproj.io/v1alpha1", "Rollout"): Rollout,
    ("argoproj.io/v1alpha1", "AnalysisTemplate"): AnalysisTemplate,
    ("argoproj.io/v1alpha1", "ClusterAnalysisTemplate"): ClusterAnalysisTemplate,
    ("argoproj.io/v1alpha1", "AnalysisRun"): AnalysisRun,
    ("argoproj.io/v1alpha1", "Experiment"): Experiment,
    ("v1", "Service"): Service,
}
"""The kinds whose fields we know, by apiVersion and kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What does not fit: *fatal* if the object cannot be read because of it."""

    error: SpecError
    fatal: bool


def misfits(manifest: object, kind: type[msgspec.Struct]) -> list[Misfit]:
    """Name every field of *manifest* that *kind* does not have, or that has another JSON type than *kind* wants."""
    return list(_struct(manifest, kind, ""))


def _struct(value: object, kind: type[msgspec.Struct], at: str) -> Iterator[Misfit]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield _wrong(at, value, "must be an object")
        return
    fields = _fields(kind)
    for key, item in value.items():
        here = f"{at}.{key}" if at else key
        if key == "template" and isinstance(fields.get(key), inspect.RawType):
            yield from _pod(item, wireform.POD_TEMPLATE, here)
        elif key in fields:
            yield from _value(item, fields[key], here)
        elif key not in _ALSO.get(kind, ()):
            yield Misfit(error=SpecError(field=here, found=_shown(item), wanted=_UNKNOWN), fatal=False)


def _value(value: object, kind: inspect.Type, at: str) -> Iterator[Misfit]:
    if value is None:
        return
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
                    yield from _value(found, item, f"{at}.{key}")
            else:
                yield _wrong(at, value, "must be a map")
        case inspect.UnionType(types=types):
            yield from _union(value, types, at)
        case _:
            if not _fits(value, kind):
                yield _wrong(at, value, f"must be {_word(kind)}")


def _union(value: object, types: Sequence[inspect.Type], at: str) -> Iterator[Misfit]:
    choices = [choice for choice in types if not isinstance(choice, inspect.NoneType)]
    if len(choices) == 1:
        yield from _value(value, choices[0], at)
    elif not any(_fits(value, choice) for choice in choices):
        yield _wrong(at, value, f"must be {' or '.join(map(_word, choices))}")


def _fits(value: object, kind: inspect.Type) -> bool:
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.DateTimeType():
            return isinstance(value, str) and _is_time(value)
        case _:
            return True


def _is_time(text: str) -> bool:
    try:
        msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return False
    return True


def _word(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "an integer"
        case inspect.FloatType():
            return "a number"
        case inspect.StrType():
            return "text"
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
            yield Misfit(error=SpecError(field=here, found=_shown(item), wanted=_UNKNOWN), fatal=False)
            continue
        below, many = fields[key]
        if below is not None and many == "[]" and isinstance(item, list):
            for position, found in enumerate(item):
                yield from _pod(found, below, f"{here}[{position}]")
        elif below is not None and many == "{}" and isinstance(item, dict):
            for name, found in item.items():
                yield from _pod(found, below, f"{here}.{name}")
        elif many == "[]" and item is not None and not isinstance(item, list):
            yield Misfit(error=SpecError(field=here, found=_shown(item), wanted="must be a list"), fatal=False)
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
    return Misfit(error=SpecError(field=at, found=_shown(value), wanted=wanted), fatal=True)


def _shown(value: Any) -> object:  # noqa: ANN401 - any JSON value
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
