"""Which objects does a label or field selector mean?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from tiphys.devcluster.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.resources import ResourceType

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|>|<|[^\s=!(),<>]+)")


def matcher(resource: ResourceType, *, namespace: str, labels: str, fields: str) -> Callable[[Stored], bool] | None:
    """
    Give the test for one request, or None where every object passes; *namespace* "" means all.

    Raises:
        StatusError: 400, a selector cannot be read or names a field that this kind cannot be selected by.

    """
    by_labels = label_selector(labels) if labels else None
    by_fields = field_selector(resource, fields) if fields else None
    if by_labels is None and by_fields is None and not namespace:
        return None

    def matches(stored: Stored) -> bool:
        if namespace and stored.namespace != namespace:
            return False
        if by_labels is not None and not by_labels(stored.manifest["metadata"].get("labels") or {}):
            return False
        return by_fields is None or by_fields(stored)

    return matches


def label_selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """
    Read a selector such as `app=x,tier in (a,b),!old`.

    Raises:
        StatusError: 400, it cannot be read.

    """
    tests = _Parser(text).requirements()
    return lambda labels: all(test(labels) for test in tests)


def from_label_selector(selector: Mapping[str, Any] | None) -> Callable[[Mapping[str, str]], bool]:
    """Give the test of a metav1.LabelSelector; None selects nothing and an empty one everything."""
    if selector is None:
        return lambda _: False
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    for key, value in (selector.get("matchLabels") or {}).items():
        tests.append(_is(key, value))
    expressions = selector.get("matchExpressions") or ()
    tests += [OPERATORS.get(item.get("operator"), _never)(item.get("key", ""), frozenset(item.get("values") or ())) for item in expressions]
    return lambda labels: all(test(labels) for test in tests)


def _is(key: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: labels.get(key) == value


def _in(key: str, values: frozenset[str]) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: key in labels and labels[key] in values


def _not_in(key: str, values: frozenset[str]) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: key not in labels or labels[key] not in values


def _exists(key: str, _: frozenset[str] = frozenset()) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: key in labels


def _absent(key: str, _: frozenset[str] = frozenset()) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: key not in labels


def _never(_key: str, _: frozenset[str]) -> Callable[[Mapping[str, str]], bool]:
    return lambda _: False


def _compares(key: str, operator: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    limit = int(value)

    def test(labels: Mapping[str, str]) -> bool:
        try:
            found = int(labels.get(key, ""))
        except ValueError:
            return False
        return found > limit if operator == ">" else found < limit

    return test


OPERATORS: dict[str, Callable[[str, frozenset[str]], Callable[[Mapping[str, str]], bool]]] = {
    "In": _in,
    "NotIn": _not_in,
    "Exists": _exists,
    "DoesNotExist": _absent,
}


class _Parser:
    """Reads a label selector token by token, and says in the real server's words where it stopped."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def requirements(self) -> list[Callable[[Mapping[str, str]], bool]]:
        out: list[Callable[[Mapping[str, str]], bool]] = []
        while self._peek():
            out.append(self._requirement())
            if self._peek() == ",":
                self._at += 1
            elif self._peek():
                self._fail("found '%s', expected: ',' or 'end of string'")
        return out

    def _requirement(self) -> Callable[[Mapping[str, str]], bool]:
        if self._peek() == "!":
            self._at += 1
            return _absent(self._word())
        key = self._word()
        operator = self._peek()
        if operator in ("", ","):
            return _exists(key)
        if operator not in ("=", "==", "!=", "in", "notin", ">", "<"):
            self._fail("unable to parse requirement: found '%s', expected: in, notin, =, ==, !=, gt, lt")
        self._at += 1
        if operator in ("in", "notin"):
            values = frozenset(self._values())
            return _in(key, values) if operator == "in" else _not_in(key, values)
        value = "" if self._peek() in ("", ",") else self._next()
        if operator in (">", "<"):
            if not re.fullmatch(r"-?\d+", value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {why}')
            return _compares(key, operator, value)
        return _not_in(key, frozenset((value,))) if operator == "!=" else _is(key, value)

    def _values(self) -> list[str]:
        if self._next() != "(":
            self._at -= 1
            self._fail("unable to parse requirement: found '%s', expected: '('")
        values: list[str] = []
        while self._peek() != ")":
            if self._peek() == "":
                wanted = "',' or ')'" if values else "',', ')' or identifier"
                self._fail("unable to parse requirement: found '%s', expected: " + wanted)
            word = self._next()
            if word != ",":
                values.append(word)
        self._at += 1
        return values or [""]

    def _word(self) -> str:
        token = self._peek()
        if token in ("", "=", "==", "!=", "(", ")", ",", ">", "<", "!"):
            self._fail("found '%s', expected: !, identifier, or 'end of string'")
        self._at += 1
        return token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _fail(self, message: str) -> NoReturn:
        raise bad_request(message % self._peek() if "%s" in message else message)


def field_selector(resource: ResourceType, text: str) -> Callable[[Stored], bool]:
    """
    Read a selector such as `metadata.name=a,status.phase!=Running`.

    Raises:
        StatusError: 400, it cannot be read or the kind has no such field to select by.

    """
    wanted: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(.*?)(==|!=|=)(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        key, operator, value = found.groups()
        if key not in ("metadata.name", "metadata.namespace") and key not in resource.rules.selectable:
            raise bad_request(_unsupported(resource, key))
        wanted.append((key, operator != "!=", value))

    def matches(stored: Stored) -> bool:
        values = {"metadata.name": stored.name, "metadata.namespace": stored.namespace, **resource.rules.fields(stored.manifest)}
        return all((values.get(key, "") == value) is equal for key, equal, value in wanted)

    return matches


def _unsupported(resource: ResourceType, key: str) -> str:
    if resource.rules.selectable or "." not in resource.group:
        return (
            f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            if not resource.rules.selectable
            else (f"field label not supported: {key}")
        )
    return f"field label not supported: {key}"
