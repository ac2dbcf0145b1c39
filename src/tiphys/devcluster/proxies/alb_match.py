"""
When does a rule of an Application Load Balancer hold, in Envoy's words? (pure)

Conditions hold together, the values of one condition are alternatives; `*` stands for any text and `?` for one character. Hosts and
header values are compared without regard to case, paths with.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.builder import Json
from tiphys.devcluster.proxies.patterns import anywhere, header, literal, whole

_MOST_VALUES, _MOST_PER_RULE = 3, 5
_PLAIN_HOST = re.compile(r"\*|\*?[^*?]+|[^*?]+\*")
"""The host patterns that Envoy knows as well: a wildcard at one end."""


class NotEmulatedError(Exception):
    """The load balancer could judge this; the translation cannot."""


def path_patterns(path: Mapping[str, Any]) -> list[str]:
    """
    Give the path patterns that the controller makes of an Ingress's path.

    Raises: ValueError for a wildcard where the type of the path allows none.
    """
    text, kind = str(path.get("path") or ""), path.get("pathType") or "ImplementationSpecific"
    if not text:
        return []
    if kind == "ImplementationSpecific":
        return [text]
    if kind == "Prefix" and text == "/":
        return ["/*"]
    if "*" in text or "?" in text:
        raise ValueError(f"path: found {text!r}, wanted no wildcards with pathType {kind}")
    return [text] if kind == "Exact" else [text.rstrip("/"), text.rstrip("/") + "/*"]


@dataclass(slots=True)
class Conditions:
    """The conditions of one rule, from the Ingress and from its annotation."""

    host: str | None
    paths: list[str]
    hosts: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    headers: list[Json] = field(default_factory=list)
    query: list[Json] = field(default_factory=list)
    values: int = 0

    def add(self, condition: Mapping[str, Any]) -> None:
        """
        Add one entry of the annotation.

        Raises: ValueError for a malformed one, NotEmulatedError.
        """
        match condition.get("field"):
            case "host-header":
                self.hosts += _values(condition, "hostheaderconfig")
            case "path-pattern":
                self.paths = [*self.paths, *_values(condition, "pathpatternconfig")]
            case "http-request-method":
                self.methods += _values(condition, "httprequestmethodconfig")
            case "http-header":
                self._header(condition.get("httpheaderconfig") or {})
            case "query-string":
                self._query((condition.get("querystringconfig") or {}).get("values") or [])
            case "source-ip":
                raise NotEmulatedError("source-ip conditions are not emulated")
            case other:
                raise ValueError(f"conditions: field: found {other!r}, wanted http-header or another field of a listener rule")

    def match(self) -> tuple[Sequence[str], Json]:
        """
        Give the hosts and Envoy's match.

        Raises: ValueError when the load balancer would refuse so many values.
        """
        hosts = [*([self.host] if self.host else []), *self.hosts]
        total = self.values + len(hosts) + len(self.paths) + len(self.methods)
        if total > _MOST_PER_RULE:
            raise ValueError(f"conditions: found {total} values in one rule, wanted at most {_MOST_PER_RULE}")
        for several in (hosts, self.paths):
            _check_count(several)
        for host in hosts:
            if not _PLAIN_HOST.fullmatch(host):
                raise NotEmulatedError(f"the host pattern {host} is not emulated")
        made: Json = {"prefix": "/"}
        if self.paths and "/*" not in self.paths:
            made = {"safe_regex": {"regex": "|".join(_pattern(path) for path in self.paths)}}
        headers = list(self.headers)
        if self.methods:
            headers.append(header(":method", whole("|".join(literal(method) for method in self.methods))))
        if headers:
            made["headers"] = headers
        if self.query:
            made["query_parameters"] = self.query
        return [host.lower() for host in hosts], made

    def _header(self, config: Mapping[str, Any]) -> None:
        name, values, expressions = config.get("httpheadername"), config.get("values") or [], config.get("regexvalues") or []
        if not name or bool(values) == bool(expressions):
            raise ValueError("conditions: httpHeaderConfig: wanted httpHeaderName with either values or regexValues")
        _check_count([*values, *expressions])
        self.values += len(values) + len(expressions)
        patterns = [f"(?i:{_pattern(str(value))})" for value in values] or [anywhere(each) for each in expressions]
        self.headers.append(header(str(name), whole("|".join(patterns))))

    def _query(self, pairs: Sequence[Mapping[str, Any]]) -> None:
        if len(pairs) != 1 or not pairs[0].get("key"):
            raise NotEmulatedError("query-string conditions other than one key with one value are not emulated")
        self.values += 1
        self.query.append({"name": str(pairs[0]["key"]), "string_match": whole(f"(?i:{_pattern(str(pairs[0].get('value') or ''))})")})


def _values(condition: Mapping[str, Any], config: str) -> list[str]:
    values = (condition.get(config) or {}).get("values")
    if not isinstance(values, list) or not values:
        raise ValueError(f"conditions: {condition.get('field')}: found no values, wanted at least one")
    return [str(value) for value in values]


def _check_count(values: Sequence[object]) -> None:
    if len(values) > _MOST_VALUES:
        raise ValueError(f"conditions: found {len(values)} values in one condition, wanted at most {_MOST_VALUES}")


def _pattern(text: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(letter) or literal(letter) for letter in text)
