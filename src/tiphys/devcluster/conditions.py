"""What do an object's conditions say, and how is one added? (pure)"""

from collections.abc import Mapping
from typing import Any

from tiphys.devcluster.rules import Manifest


def condition_of(status: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Give the condition of type *kind*."""
    return next((each for each in status.get("conditions") or () if each["type"] == kind), None)


def holds(status: Mapping[str, Any], kind: str) -> bool:
    """Whether the condition of type *kind* is there and true."""
    found = condition_of(status, kind)
    return found is not None and found["status"] == "True"


def without(status: Mapping[str, Any], kind: str) -> Manifest:
    """Give *status* without the condition of type *kind*."""
    return {**status, "conditions": [each for each in status.get("conditions") or () if each["type"] != kind]}


def with_last(status: Mapping[str, Any], told: Manifest) -> Manifest:
    """Give *status* with *told* as its last condition, instead of one of the same type."""
    others = without(status, told["type"])
    return {**others, "conditions": [*others["conditions"], told]}
