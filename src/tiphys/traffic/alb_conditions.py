"""How do the conditions of a load balancer's rule say a header route, and what can they not say? (Reference 4.2.3, 7.2.)"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, TextMatch

_MOST_VALUES: Final = 3
MOST_PER_RULE: Final = 5
_LONGEST_NAME: Final = 40
_LONGEST_VALUE: Final = 128

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]+")
_WILDCARD: Final = re.compile(r"[*?]")
_SPECIAL: Final = re.compile(r"[\\^$.|?*+()\[\]{}]")
_ESCAPED: Final = r"\\\g<0>"
_UNKNOWN: Final = re.compile(r"\(\?(?:[=!<>R|&+]|P[=>]|-?\d)|\\[1-9gkpP]|[*+?}]\+")
"""What the load balancer's expressions lack: looking around, atomic groups, recursion, back references, possessive quantifiers, \\p."""
_LITERALS: Final = re.compile(r"\\(.)|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""Escaped characters, and sets of characters."""
_PREFIX: Final = re.compile(r"\^((?:[^\\^$.|?*+()\[\]{}]|\\[\\^$.|?*+()\[\]{}])*)\.\*\$")
_REGEX: Final = re.compile(r"\^\((.*)\)\$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One header that has one of *values*, which are plain texts or all of them expressions."""

    header: str
    values: tuple[str, ...]
    regex: bool = False

    def written(self) -> Mapping[str, Any]:
        """Give it in the form of the annotation."""
        values = "regexValues" if self.regex else "values"
        return {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": self.header, values: list(self.values)}}


def conditions_of(route: HeaderRoute) -> list[Condition]:
    """
    Give one condition for each rule that *route* needs: any of them will do.

    Values of one header share a condition, expressions apart from texts.
    """
    made: dict[tuple[str, bool], Condition] = {}
    for match in route.any_of:
        regex = match.value.kind is not MatchKind.EXACT
        key = (match.header.lower(), regex)
        before = made.get(key)
        header, values = (match.header, ()) if before is None else (before.header, before.values)
        made[key] = Condition(header=header, values=tuple(dict.fromkeys((*values, _value(match.value)))), regex=regex)
    return list(made.values())


def read_condition(said: Mapping[str, Any]) -> Condition | None:
    """Read a condition that `Condition.written` wrote; nothing where it is another one."""
    config = said.get("httpHeaderConfig")
    if said.get("field") != "http-header" or not isinstance(config, dict):
        return None
    header, regex = config.get("httpHeaderName"), "regexValues" in config
    values = config.get("regexValues" if regex else "values")
    if not isinstance(header, str) or not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return Condition(header=header, values=tuple(values), regex=regex)


def matches_of(condition: Condition) -> Iterator[HeaderMatch]:
    """Say which matches *condition* stands for."""
    for value in condition.values:
        if not condition.regex:
            yield HeaderMatch(header=condition.header, value=TextMatch(kind=MatchKind.EXACT, value=value))
        elif prefix := _PREFIX.fullmatch(value):
            literal = re.sub(r"\\(.)", r"\1", prefix[1])
            yield HeaderMatch(header=condition.header, value=TextMatch(kind=MatchKind.PREFIX, value=literal))
        else:
            inner = _REGEX.fullmatch(value)
            yield HeaderMatch(header=condition.header, value=TextMatch(kind=MatchKind.REGEX, value=inner[1] if inner else value))


def match_problem(match: HeaderMatch) -> tuple[object, str] | None:
    """Say what of *match* a load balancer cannot judge, as what was found and what is wanted; nothing where it can."""
    name, value = match.header, match.value.value
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        return name, f"a header name of at most {_LONGEST_NAME} letters, digits and -"
    if name.lower() == "host":
        return name, "another header than Host: a load balancer compares that with the host of the Ingress's rule"
    if not _VISIBLE.fullmatch(value):
        return value, "a value of visible ASCII characters: a load balancer compares no others"
    if len(_value(match.value)) > _LONGEST_VALUE:
        return value, f"a shorter value: a load balancer takes {_LONGEST_VALUE} characters, with what is added to anchor an expression"
    if match.value.kind is MatchKind.EXACT and _WILDCARD.search(value):
        return value, "an exact value without * and ?, which are wildcards to a load balancer; use regex"
    if match.value.kind is MatchKind.REGEX and (unknown := _UNKNOWN.search(_LITERALS.sub(_bare, value))):
        return value, f"an expression without {unknown[0]}: a load balancer knows no such part"
    return None


def check_counts(conditions: Sequence[Condition]) -> None:
    """
    Make sure that no condition has more values than a load balancer takes.

    Raises:
        SpecError: one has.

    """
    for condition in conditions:
        if len(condition.values) > _MOST_VALUES:
            wanted = f"at most {_MOST_VALUES} values of one header: a load balancer takes no more in one condition"
            raise SpecError(field=condition.header, found=f"{len(condition.values)} values", wanted=wanted)


def values_in(conditions: Sequence[Mapping[str, Any]]) -> int:
    """Count the values in *conditions*, as the load balancer's limit for one rule does."""
    configs = [each for said in conditions for each in said.values() if isinstance(each, dict)]
    return sum(len(values) for config in configs for values in config.values() if isinstance(values, list))


def _bare(found: re.Match[str]) -> str:
    """Leave of a part that stands for characters only what may be more than that."""
    return found[0] if found[1] and found[1].isalnum() else "x"


def _value(value: TextMatch) -> str:
    """Give *value* as it stands in a condition; expressions are anchored, so that nobody has to know where the product starts."""
    match value.kind:
        case MatchKind.EXACT:
            return value.value
        case MatchKind.PREFIX:
            return f"^{_SPECIAL.sub(_ESCAPED, value.value)}.*$"
        case MatchKind.REGEX:
            return f"^({value.value})$"
