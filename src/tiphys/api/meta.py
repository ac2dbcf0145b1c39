"""What does every Kubernetes object carry?"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

Manifest = dict[str, Any]
"""An object as plain JSON data, for kinds of which we own only some fields."""

INT32: Final = 2**31 - 1
INT64: Final = 2**63 - 1
"""The largest integers that most fields, and that any field may have."""

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=INT32)]
"""An integer of the API where nothing else is said of it."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=INT64)]
"""An integer that may be longer."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment: it names its offset from UTC."""

IntOrPercent = Int64 | str
"""A count, or text that always means a percentage (lifecycle reference 1.6)."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """
    Base of every typed wire object.

    Unknown fields are not decoded: they survive because we never write a typed object back whole, only patches.
    """


class OwnerReference(Wire, frozen=True):
    """Who owns an object; the controller among the owners acts on it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Wire, frozen=True):
    """The part of the metadata that decisions need."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: Int64 = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that acts on this object, if any."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class LabelSelectorRequirement(Wire, frozen=True):
    """One condition of a label selector."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Wire, frozen=True):
    """Which objects are meant, by their labels."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        """Tell whether *labels* satisfy every condition."""
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return False
        return all(_holds(condition, labels) for condition in self.match_expressions)

    def text(self) -> str:
        """
        Give the text form that the scale subresource and `status.selector` use.

        Pairs come sorted by key, then the expressions in the form of `kubectl get -l`.
        """
        parts = [f"{key}={value}" for key, value in self.match_labels.items()]
        for condition in self.match_expressions:
            values = ",".join(sorted(condition.values))
            match condition.operator:
                case "In":
                    parts.append(f"{condition.key} in ({values})")
                case "NotIn":
                    parts.append(f"{condition.key} notin ({values})")
                case "Exists":
                    parts.append(condition.key)
                case _:
                    parts.append(f"!{condition.key}")
        return ",".join(sorted(parts, key=lambda part: part.lstrip("!")))


def _holds(condition: LabelSelectorRequirement, labels: dict[str, str]) -> bool:
    match condition.operator:
        case "In":
            return labels.get(condition.key) in condition.values
        case "NotIn":
            return labels.get(condition.key) not in condition.values
        case "Exists":
            return condition.key in labels
        case "DoesNotExist":
            return condition.key not in labels
        case _:
            return False


def wire_time(moment: datetime) -> str:
    """Write *moment* as the API server does: RFC 3339, UTC, whole seconds."""
    try:
        there = moment.astimezone(UTC)
    except OverflowError:  # at the very ends of time
        there = moment
    return f"{there.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def later(moment: datetime, seconds: float) -> datetime:
    """Give the moment *seconds* after *moment*, or the last one there is."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def read_time(text: str) -> datetime | None:
    """Read an RFC 3339 time, or give nothing where *text* is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def whole_seconds(moment: datetime) -> datetime:
    """Cut *moment* to what the API can store, so that comparing stored with computed times is exact."""
    return moment.replace(microsecond=0)
