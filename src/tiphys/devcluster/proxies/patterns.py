"""
How are conditions of route objects written as Envoy's header matchers? (pure)

Envoy compares a regular expression with the whole value, so an expression that a product looks for anywhere is widened.
"""

import re
from collections.abc import Mapping
from typing import Any

from tiphys.devcluster.proxies.builder import Json

_TEXTS = {"prefix", "path", "regex", "exact", "name", "cluster", "prefix_rewrite", "host_rewrite_literal", "key", "value"}
_NUMBERS = {"weight": 2**32, "numerator": 2**32, "status": 600}
PATH_ENDS = r"(?:\?.*)?"
"""What may follow the path in `:path`."""

NOTHING = "(?:)"
"""Fits the empty text; Envoy takes no empty expression."""


def text(field: str, value: object) -> str:
    """
    Give *value* back if it is a text with something in it.

    Raises: ValueError naming *field*.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field}: found {value!r}, wanted a text")
    return value


def regex(expression: object) -> str:
    """
    Give *expression* back if it is one that every engine here reads.

    Raises: ValueError for anything else, since Envoy would refuse the whole configuration with it.
    """
    if not isinstance(expression, str) or not expression:
        raise ValueError(f"found {expression!r}, wanted a regular expression")
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}") from error
    if re.search(r"\(\?(?:=|!|<=|<!|>)|\\[1-9]|[*+?}]\+", expression.replace("\\\\", "")):
        raise ValueError(f"the regular expression {expression!r} looks around, back or possessively, which is not emulated")
    return expression


def anywhere(expression: object) -> str:
    """Give the expression for a whole value in which *expression* is found."""
    return f"(?s:.*)(?:{regex(expression)})(?s:.*)"


def literal(text: str) -> str:
    """Quote *text* for an expression."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def exact(value: str, *, ignore_case: bool = False) -> Json:
    """Match *value* literally."""
    return {"exact": value} | ({"ignore_case": True} if ignore_case else {})


def whole(expression: str) -> Json:
    """Match an expression with the whole value."""
    return {"safe_regex": {"regex": expression or NOTHING}}


def header(name: str, string_match: Mapping[str, Any] | None, *, inverted: bool = False) -> Json:
    """
    Match a header; None: it is present.

    Inverted, a missing header counts as an empty one, and so fits.
    """
    made: Json = {"name": text("header", name).lower()}
    made |= {"present_match": True} if string_match is None else {"string_match": dict(string_match)}
    if inverted:
        made["invert_match"] = True
        if string_match is not None:
            made["treat_missing_header_as_empty"] = True
    return made


def sound(route: Json) -> Json:
    """
    Give *route* back if its texts are texts and its numbers are numbers.

    Raises: ValueError naming what is not: Envoy would refuse everything for it.
    """
    _check(route, "route")
    return route


def _check(value: object, key: str) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            _check(each, name)
    elif isinstance(value, list):
        for each in value:
            _check(each, key)
    elif key in _TEXTS and not (isinstance(value, str) and (value or key in {"exact", "value"})):
        raise ValueError(f"{key}: found {value!r}, wanted a text")
    elif key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _NUMBERS[key]):
        raise ValueError(f"{key}: found {value!r}, wanted a number of 0 or more")
