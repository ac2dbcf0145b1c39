"""When does a VirtualService's HTTP match hold, in Envoy's words? (pure)"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_PSEUDO_HEADERS = {"scheme": ":scheme", "method": ":method", "authority": ":authority"}
_CONDITIONS = {"name", "uri", "ignoreUriCase", "headers", "withoutHeaders", "queryParams", *_PSEUDO_HEADERS}
_UNKNOWABLE = ("sourceLabels", "sourceNamespace")
_IGNORED = {"gateways", "port", "statPrefix", *_UNKNOWABLE}


def route_matches(http: Mapping[str, Any]) -> Iterator[Json]:
    """
    Give one Envoy match per entry of *http*'s `match`; any of them selects the route.

    An entry that names the caller's labels or namespace gives none: requests enter this mesh from outside, where they have neither.
    A match whose gateways or port are named is judged without them: there is one listener.
    """
    entries: Sequence[Mapping[str, Any]] = http.get("match") or [{}]
    for entry in entries:
        if not any(entry.get(key) for key in _UNKNOWABLE):
            yield _route_match(entry)


def unknown_conditions(http: Mapping[str, Any]) -> Iterator[str]:
    """Name what *http*'s matches ask for and this translation does not know."""
    for entry in http.get("match") or []:
        yield from sorted(set(entry) - _CONDITIONS - _IGNORED)


def _route_match(entry: Mapping[str, Any]) -> Json:
    match = _path(entry.get("uri") or {})
    if entry.get("ignoreUriCase") and "safe_regex" not in match:
        match["case_sensitive"] = False
    headers = [_header(pseudo, entry[key]) for key, pseudo in _PSEUDO_HEADERS.items() if entry.get(key)]
    headers += [_header(name, wanted) for name, wanted in sorted((entry.get("headers") or {}).items())]
    headers += [_absent(name, unwanted) for name, unwanted in sorted((entry.get("withoutHeaders") or {}).items())]
    if headers:
        match["headers"] = headers
    if query := entry.get("queryParams"):
        match["query_parameters"] = [_query(name, wanted) for name, wanted in sorted(query.items())]
    return match


def _path(uri: Mapping[str, Any]) -> Json:
    if "exact" in uri:
        return {"path": uri["exact"]}
    if "prefix" in uri:
        return {"prefix": uri["prefix"]}
    if "regex" in uri:
        return {"safe_regex": {"regex": uri["regex"]}}
    return {"prefix": "/"}


def string_match(wanted: Mapping[str, Any]) -> Json | None:
    """Translate exact, prefix or regex (which has to match the whole value); nothing means *present with any value*."""
    if "exact" in wanted:
        return {"exact": wanted["exact"]}
    if wanted.get("prefix"):
        return {"prefix": wanted["prefix"]}
    if wanted.get("regex") and wanted["regex"] != "*":
        return {"safe_regex": {"regex": wanted["regex"]}}
    return None


def _header(name: str, wanted: Mapping[str, Any] | None) -> Json:
    match = string_match(wanted or {})
    if match is None:
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": match}


def _absent(name: str, unwanted: Mapping[str, Any] | None) -> Json:
    match = _header(name, unwanted)
    # Envoy lets an inverted match fail where the header is missing, unless a missing header counts as an empty one.
    return match | {"invert_match": True} | ({"treat_missing_header_as_empty": True} if "string_match" in match else {})


def _query(name: str, wanted: Mapping[str, Any] | None) -> Json:
    match = string_match(wanted or {})
    return {"name": name, "present_match": True} if match is None else {"name": name, "string_match": match}


_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")


def seconds(text: str) -> float:
    """
    Read a duration such as `1m30s` or `250ms`.

    Raises: ValueError for anything else.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 1.5s, 250ms or 1m30s")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def duration(text: str) -> str:
    """Write the duration *text* as Envoy's JSON wants it: seconds with a fraction."""
    return f"{seconds(text):.9f}".rstrip("0").rstrip(".") + "s"
