"""Is a text what Kubernetes accepts as a name, a label or a selector?"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import LabelSelector

LABEL_NAME_WANTED: Final = (
    "must have at most 63 letters, digits, '-', '_' or '.' (letter or digit first and last), after an optional DNS prefix and '/'"
)
LABEL_VALUE_WANTED: Final = "must be empty or have at most 63 letters, digits, '-', '_' or '.' (letter or digit first and last)"
DNS_LABEL_WANTED: Final = "must have at most 63 lower-case letters, digits or '-' (letter or digit first and last)"
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_PART: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_PREFIX: Final = 253


def is_dns_label(text: str) -> bool:
    """Tell whether *text* may name a container or a volume."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_label_name(text: str) -> bool:
    """Tell whether *text* may be the key of a label or an annotation."""
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or not all(map(is_dns_label, prefix.split(".")))):
        return False
    return _PART.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Tell whether *text* may be the value of a label."""
    return not text or _PART.fullmatch(text) is not None


def label_problems(labels: Mapping[str, str], field: str) -> Iterator[SpecError]:
    """Name what is wrong with *labels*, which stand at *field*."""
    for key, value in labels.items():
        if not is_label_name(key):
            yield SpecError(field=field, found=key, wanted=LABEL_NAME_WANTED)
        if not is_label_value(value):
            yield SpecError(field=f"{field}.{key}", found=value, wanted=LABEL_VALUE_WANTED)


def annotation_problems(annotations: Mapping[str, str], field: str) -> Iterator[SpecError]:
    """Name what is wrong with the keys of *annotations*, which stand at *field*."""
    for key in annotations:
        if not is_label_name(key.lower()):
            yield SpecError(field=field, found=key, wanted=LABEL_NAME_WANTED)


def selector_problems(selector: LabelSelector, field: str) -> Iterator[SpecError]:
    """Name what is wrong with *selector*, which stands at *field* and must select something."""
    if not selector.match_labels and not selector.match_expressions:
        yield SpecError(field=field, found="{}", wanted="must have at least one label or expression, or it would select every pod")
    yield from label_problems(selector.match_labels, f"{field}.matchLabels")
    for at, condition in enumerate(selector.match_expressions):
        here = f"{field}.matchExpressions[{at}]"
        if not is_label_name(condition.key):
            yield SpecError(field=f"{here}.key", found=condition.key, wanted=LABEL_NAME_WANTED)
        match condition.operator:
            case "In" | "NotIn":
                if not condition.values:
                    yield SpecError(field=f"{here}.values", found=None, wanted=f"operator {condition.operator} needs at least one value")
            case "Exists" | "DoesNotExist":
                if condition.values:
                    found = ", ".join(condition.values)
                    yield SpecError(field=f"{here}.values", found=found, wanted=f"must be empty with operator {condition.operator}")
            case _:
                yield SpecError(field=f"{here}.operator", found=condition.operator, wanted=f"must be one of {', '.join(_OPERATORS)}")
        for value in condition.values:
            if not is_label_value(value):
                yield SpecError(field=f"{here}.values", found=value, wanted=LABEL_VALUE_WANTED)
