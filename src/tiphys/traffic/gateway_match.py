"""Which matches of a Gateway API rule mean that several conditions hold together, and which of them come first?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch
from tiphys.traffic.http_methods import methods_that_fit
from tiphys.traffic.manifests import entries, mapping, text

Match = Mapping[str, Any]

EVERYTHING: Final[Match] = {"type": "PathPrefix", "value": "/"}

_MANAGED: Final = "spec.strategy.canary.trafficRouting.managedRoutes"
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


def sources(rule: Mapping[str, Any], at: str, *, http: bool) -> list[Match]:
    """
    Give the matches of *rule*, which stands at the path *at*, with the path that an HTTPRoute's match without one stands for.

    Raises:
        SpecError: they are malformed.

    """
    found = entries(rule.get("matches"), f"{at}.matches") or ({},)
    for index, match in enumerate(found):
        here = f"{at}.matches[{index}]"
        for place, header in enumerate(entries(match.get("headers"), f"{here}.headers")):
            text(header.get("name"), f"{here}.headers[{place}].name")
        if http:
            path = mapping(match.get("path"), f"{here}.path")
            text(path.get("type"), f"{here}.path.type")
            text(path.get("value"), f"{here}.path.value")
    return [{**match, "path": _complete(match.get("path") or {})} if http else match for match in found]


def arranged_matches(routes: Sequence[HeaderRoute | MirrorRoute], given: Sequence[Match], *, http: bool) -> dict[str, list[Match]]:
    """
    Say by which matches each of *routes*, the first of them first, takes its requests out of those that fulfil *given*.

    The data plane prefers the more specific match (longer path, then method, then more headers) and asks for the order of rules only
    among equals. So a route also takes, together with its own condition, every more specific match of a route that comes after it.

    Raises:
        SpecError: a condition cannot be written.

    """
    found: dict[str, list[Match]] = {}
    below: list[_Taken] = []
    for route in reversed(routes):
        own = conditions(route, http=http)
        starts = [_Taken(match=match) for match in given]
        taken = [new for start in starts for condition in own if (new := start.within(condition, route.name)) is not None]
        for lower in below:
            for condition in own:
                if not lower.beaten(condition, taken, route.name):
                    taken += [new] if (new := lower.within(condition, route.name)) is not None else []
        below += taken
        found[route.name] = _each_once(each.match for each in taken)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A match that a route takes, and the wider ones (*ancestors*, widest first) of which it is a part."""

    match: Match
    ancestors: tuple[Match, ...] = ()

    def within(self, condition: Match, name: str) -> "_Taken | None":
        """Give the part of it that fulfils *condition*, if there can be one."""
        match = joined(self.match, condition, name)
        return None if match is None else _Taken(match=match, ancestors=(*self.ancestors, self.match))

    def beaten(self, condition: Match, taken: Sequence["_Taken"], name: str) -> bool:
        """Tell whether one of *taken* already has what of it fulfils *condition*, and comes first as it is no less specific."""
        for ancestor in self.ancestors:
            base = joined(ancestor, condition, name)
            if base is None:
                return True
            if _rank(self.match) <= _rank(base) and any(base == each.match for each in taken):
                return True
        return False


def conditions(route: HeaderRoute | MirrorRoute, *, http: bool) -> list[Match]:
    """
    Give the alternatives of *route* as matches.

    Raises:
        SpecError: one of them cannot be written.

    """
    if isinstance(route, HeaderRoute):
        return [{"headers": [_header(match, route.name)]} for match in route.any_of]
    return [match for request in route.any_of for match in _request(request, route.name, http=http)]


def joined(given: Match, own: Match, name: str) -> Match | None:
    """
    Give the match that holds where *given* and *own* (a condition of the managed route *name*) do, or nothing where no request can.

    Raises:
        SpecError: no single match means that.

    """
    both = dict(given)
    if "method" in own and both.setdefault("method", own["method"]) != own["method"]:
        return None
    if "path" in own:
        path = _path_of_both(given.get("path") or EVERYTHING, own["path"], name)
        if path is None:
            return None
        both["path"] = path
    headers = list(given.get("headers") or ())
    for header in own.get("headers", ()):
        place = next((index for index, known in enumerate(headers) if str(known.get("name", "")).lower() == header["name"].lower()), None)
        if place is None:
            headers.append(header)
            continue
        value = _header_of_both(headers[place], header, name)
        if value is None:
            return None
        headers[place] = value
    return {**both, "headers": headers} if headers else both


def beginning(prefix: str) -> str:
    """Give a regular expression for texts that begin with *prefix*; it means the same whether searched for or matched as a whole."""
    return f"^{_SPECIAL.sub(lambda found: chr(92) + found.group(), prefix)}.*"


def _complete(path: Match) -> Match:
    return {**EVERYTHING, **{key: value for key, value in path.items() if value is not None}}


def _header(match: HeaderMatch, name: str) -> Match:
    if not match.header or not match.value.value:
        raise _cannot(name, f"needs a name and a value for every header ({match.header or 'no name'})")
    if match.value.kind is MatchKind.EXACT:
        return {"type": "Exact", "name": match.header, "value": match.value.value}
    value = match.value.value
    return {"type": "RegularExpression", "name": match.header, "value": beginning(value) if match.value.kind is MatchKind.PREFIX else value}


def _request(request: RequestMatch, name: str, *, http: bool) -> Iterator[Match]:
    if not http and (request.method or request.path):
        raise _cannot(name, "in a GRPCRoute only conditions on headers can be written")
    headers = [_header(match, name) for match in request.headers]
    rest: Match = {"headers": headers} if headers else {}
    if request.path is not None:
        rest = {"path": _path(request.path, name), **rest}
    if request.method is None:
        yield rest
        return
    for method in _methods(request.method, name):
        yield {**rest, "method": method}


def _methods(wanted: TextMatch, name: str) -> list[str]:
    try:
        return methods_that_fit(wanted)
    except SpecError as error:
        raise _cannot(name, f'the method "{wanted.value}" {error.wanted}') from None


def _path(wanted: TextMatch, name: str) -> Match:
    if wanted.kind is MatchKind.REGEX:
        return {"type": "RegularExpression", "value": wanted.value}
    if not wanted.value.startswith("/"):
        raise _cannot(name, f'the path "{wanted.value}" must begin with /')
    return {"type": "Exact" if wanted.kind is MatchKind.EXACT else "PathPrefix", "value": wanted.value}


def _path_of_both(given: Match, own: Match, name: str) -> Match | None:
    if given == own or _covers(own, given):
        return given
    if _covers(given, own):
        return own
    if "RegularExpression" in {given.get("type"), own.get("type")}:
        raise _cannot(name, f"its path {own['value']} and the rule's own path {given['value']} cannot both be written")
    return None


def _covers(wide: Match, narrow: Match) -> bool:
    """Tell whether every path that fulfils *narrow* fulfils *wide*; of a regular expression that is known only of `/`."""
    if wide.get("type") != "PathPrefix":
        return False
    start = wide["value"].rstrip("/")
    if not start:
        return True
    return narrow.get("type") != "RegularExpression" and f"{narrow['value'].rstrip('/')}/".startswith(f"{start}/")


def _header_of_both(given: Match, own: Match, name: str) -> Match | None:
    """Give the narrower of two conditions on one header; a match can name a header only once."""
    one, other = _as_text(given), _as_text(own)
    if one == other:
        return given
    for narrow, wide, header in ((one, other, given), (other, one, own)):
        if wide.kind is MatchKind.PREFIX and narrow.kind is not MatchKind.REGEX and narrow.value.startswith(wide.value):
            return header
    if MatchKind.REGEX in {one.kind, other.kind}:
        raise _cannot(name, f"its condition on the header {own['name']} and another one on the same header cannot both be written")
    return None


def _as_text(header: Match) -> TextMatch:
    value = str(header.get("value", ""))
    if header.get("type", "Exact") == "Exact":
        return TextMatch(kind=MatchKind.EXACT, value=value)
    literal = re.sub(r"\\(.)", r"\1", value[1:-2])
    if value == beginning(literal):
        return TextMatch(kind=MatchKind.PREFIX, value=literal)
    return TextMatch(kind=MatchKind.REGEX, value=value)


def _rank(match: Match) -> tuple[int, int, bool, int, int]:
    """Say how specific a match is, as the Gateway API orders them; a regular expression, of which it says nothing, counts as most."""
    path = match.get("path") or EVERYTHING
    kind = {"PathPrefix": 0, "Exact": 1}.get(path.get("type", "PathPrefix"), 2)
    query = match.get("queryParams")
    return (
        kind,
        len(path["value"]),
        bool(match.get("method")),
        len(match.get("headers") or ()),
        len(query) if isinstance(query, list) else 0,
    )


def _each_once(matches: Iterator[Match]) -> list[Match]:
    unique: list[Match] = []
    for match in matches:
        if match not in unique:
            unique.append(match)
    return unique


def _cannot(name: str, wanted: str) -> SpecError:
    return SpecError(field=_MANAGED, found=name, wanted=wanted)
