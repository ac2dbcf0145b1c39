"""When does a rule of an ApisixRoute hold, in Envoy's words? (pure)"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.builder import Json
from tiphys.devcluster.proxies.patterns import PATH_ENDS, anywhere, exact, header, literal, regex, whole

_LARGEST = 2**63 - 1
_NEGATED = {
    "NotEqual": "Equal",
    "NotIn": "In",
    "RegexNotMatch": "RegexMatch",
    "RegexNotMatchCaseInsensitive": "RegexMatchCaseInsensitive",
}


class NotEmulatedError(Exception):
    """The product could judge this; the translation cannot."""


@dataclass(slots=True, kw_only=True)
class _Conditions:
    headers: list[Json] = field(default_factory=list)
    query: list[Json] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    """Expressions for the whole path without the query."""


def rule_match(match: Mapping[str, Any], path: str) -> Json:
    """
    Give the match of *path* with all methods and expressions of a rule's `match`; expressions hold together.

    Raises: NotEmulatedError for conditions that Envoy cannot judge alike, ValueError for malformed ones.
    """
    for unknown in sorted(set(match) - {"paths", "hosts", "methods", "exprs"}):
        if match[unknown]:
            raise NotEmulatedError(f"match.{unknown} is not emulated")
    found = _Conditions()
    if methods := match.get("methods"):
        found.headers.append(header(":method", whole("|".join(literal(str(method)) for method in methods))))
    for expression in match.get("exprs") or []:
        _add(found, expression)
    made = _with_path(found, path)
    if found.headers:
        made["headers"] = found.headers
    if found.query:
        made["query_parameters"] = found.query
    return made


def _with_path(found: _Conditions, path: str) -> Json:
    """Judge a path and one expression on it together: the expression as the path, the path by its pseudo header."""
    prefix = path.removesuffix("*") if path.endswith("*") else None
    if not found.path:
        return {"path": path} if prefix is None else {"prefix": prefix}
    if len(found.path) > 1:
        raise NotEmulatedError("match.exprs: several expressions on the path are not emulated")
    if prefix != "/":
        found.headers.insert(0, header(":path", whole(literal(path) + PATH_ENDS) if prefix is None else {"prefix": prefix}))
    return whole(found.path[0])


def _add(found: _Conditions, expression: Mapping[str, Any]) -> None:
    subject, operator = expression.get("subject") or {}, str(expression.get("op"))
    scope, name = _subject(str(subject.get("scope")), str(subject.get("name") or ""))
    inverted, plain = operator in _NEGATED, _NEGATED.get(operator, operator)
    if plain in {"GreaterThan", "GreaterThanEqual", "LessThan", "LessThanEqual"}:
        if scope != "header":
            raise NotEmulatedError(f"match.exprs: {operator} of anything but a header is not emulated")
        found.headers.append({"name": name.lower(), "range_match": _range(plain, expression.get("value"))})
        return
    wanted = _expression(plain, expression)
    if scope == "header":
        simple = plain == "Equal"
        found.headers.append(header(name, exact(str(expression.get("value"))) if simple else whole(wanted), inverted=inverted))
    elif scope == "cookie":
        found.headers.append(header("cookie", whole(f"(?:.*;\\s*)?{literal(name)}={_cookie(plain, wanted)}(?:;.*)?"), inverted=inverted))
    elif inverted:
        raise NotEmulatedError(f"match.exprs: {operator} of {scope} is not emulated")
    elif scope == "query":
        found.query.append({"name": name, "string_match": whole(wanted)})
    else:
        found.path.append(wanted)


def _cookie(operator: str, wanted: str) -> str:
    if operator not in {"Equal", "In"}:
        raise NotEmulatedError("match.exprs: regular expressions on cookies are not emulated")
    return f"(?:{wanted})"


def _subject(scope: str, name: str) -> tuple[str, str]:
    """Say where the value stands: a header, a query parameter, a cookie or the path."""
    if scope == "Variable":
        for prefix, where in (("http_", "header"), ("arg_", "query"), ("cookie_", "cookie")):
            if name.startswith(prefix):
                plain = name.removeprefix(prefix)
                return where, plain.replace("_", "-") if where == "header" else plain
        known = {"request_method": ("header", ":method"), "uri": ("path", ""), "host": ("header", ":authority")}
        if name not in known:
            raise NotEmulatedError(f"match.exprs: the variable {name} is not emulated")
        return known[name]
    places = {"Header": "header", "Query": "query", "Cookie": "cookie", "Path": "path"}
    if scope not in places or (scope != "Path" and not name):
        raise ValueError(f"match.exprs: subject: found {scope!r} {name!r}, wanted a scope such as Header, and a name")
    return places[scope], name


def _expression(operator: str, expression: Mapping[str, Any]) -> str:
    """Give the expression that the whole value has to fit."""
    forms: dict[str, Callable[[], str]] = {
        "Equal": lambda: literal(str(expression.get("value") or "")),
        "In": lambda: "|".join(literal(str(each)) for each in _set(expression)),
        "RegexMatch": lambda: anywhere(expression.get("value")),
        "RegexMatchCaseInsensitive": lambda: f"(?i:{anywhere(regex(expression.get('value')))})",
    }
    if operator not in forms:
        raise ValueError(f"match.exprs: op: found {operator!r}, wanted an operator such as Equal or RegexMatch")
    return forms[operator]()


def _set(expression: Mapping[str, Any]) -> Sequence[object]:
    wanted = expression.get("set")
    if not isinstance(wanted, list) or not wanted:
        raise ValueError(f"match.exprs: set: found {wanted!r}, wanted a list of values")
    return wanted


def _range(operator: str, value: object) -> Json:
    try:
        limit = int(str(value))
    except ValueError:
        raise NotEmulatedError(f"match.exprs: {operator} {value!r}: only whole numbers are emulated") from None
    if operator.startswith("Greater"):
        return {"start": limit + (operator == "GreaterThan"), "end": _LARGEST}
    return {"start": -_LARGEST, "end": limit + (operator == "LessThanEqual")}
