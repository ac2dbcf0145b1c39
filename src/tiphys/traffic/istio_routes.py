"""How do header and mirror routes stand in a VirtualService? (Traffic-routing reference 4.1.6 and 4.1.7.)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch
from tiphys.traffic.istio_hosts import Side, Sides
from tiphys.traffic.istio_weights import LONE_WEIGHT, part, sides_in
from tiphys.traffic.manifests import entries
from tiphys.traffic.shares import Parted, Shares, shares

Entry = Mapping[str, Any]

INHERITED: Final = ("rewrite", "timeout", "retries", "fault", "headers", "corsPolicy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What managed entries take over word by word: whole keys, and match conditions that hold beside their own; by default nothing."""

    kept: Entry = field(default_factory=dict)
    conditions: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    What managed entries are made from, besides the wish.

    *canary* is a destination for the canary alone; *route* are the destinations, as they will be, of the entry that carries the
    weights.
    """

    canary: Entry
    route: Sequence[Entry]
    inherited: Inherited


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    The managed entries that stand in a VirtualService, in wish types.

    *in_order* is false where one cannot be read, stands at the wrong place or stands twice, or has other weights than its carrier.
    """

    header_routes: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()
    in_order: bool = True


def inherited(carrier: Entry, at: str) -> Inherited:
    """
    Collect what managed entries may take over from *carrier*, which stands at the path *at*.

    Raises:
        SpecError: its conditions are malformed.

    """
    return Inherited(
        kept={key: carrier[key] for key in INHERITED if key in carrier},
        conditions=entries(carrier.get("match"), f"{at}.match"),
    )


def source(parted: Parted, route: Sequence[Entry], *, host: str, subset: str, inherited: Inherited) -> Source:
    """Say what managed entries are made from: the carrier's destinations before (*parted*) and after (*route*), the canary's *host*."""
    port = _port(parted.route[parted.canary]) or _port(parted.route[0])
    return Source(canary=_destination(host=host, subset=subset, port=port), route=route, inherited=inherited)


def header_entry(route: HeaderRoute, source: Source) -> Entry:
    """
    Give the http entry that sends what fulfils *route* to the canary.

    Raises:
        SpecError: an inherited condition and one of *route* are about the same header.

    """
    conditions = ({"headers": {match.header: _text(match.value)}} for match in route.any_of)
    return {
        "name": route.name,
        **source.inherited.kept,
        "match": _both(conditions, source.inherited.conditions, route.name),
        "route": [{"weight": LONE_WEIGHT, "destination": dict(source.canary)}],
    }


def mirror_entry(route: MirrorRoute, source: Source) -> Entry:
    """
    Give the http entry that copies what fulfils *route* to the canary and answers by the weights in force.

    Raises:
        SpecError: an inherited condition and one of *route* are about the same thing.

    """
    return {
        "name": route.name,
        **source.inherited.kept,
        "match": _both(map(_request, route.any_of), source.inherited.conditions, route.name),
        "route": [_copied(item) for item in source.route],
        "mirror": dict(source.canary),
        "mirrorPercentage": {"value": route.percent},
    }


def arranged(http: Sequence[Entry], wanted: Mapping[str, Entry], managed: Sequence[str]) -> Sequence[Entry]:
    """Put *wanted* above everything else, in the order of *managed*, and drop every other entry of those names; the rest stays as it is."""
    order = dict.fromkeys((*managed, *wanted))
    own = [wanted[name] for name in order if name in wanted]
    rest = [entry for entry in http if entry.get("name") not in order]
    new = own + rest
    return http if new == http else new


def standing(
    http: Sequence[Entry], managed: Sequence[str], sides: Sides, carried: Shares | None, inherited: Inherited, maximum: int
) -> Standing:
    """Read the managed entries of *http*; *carried* are the shares of the entry that mirrors copy."""
    places = {name: place for place, name in enumerate(dict.fromkeys(managed))}
    found = [(index, entry) for index, entry in enumerate(http) if entry.get("name") in places]
    headers: list[HeaderRoute] = []
    mirrors: list[MirrorRoute] = []
    in_order = [index for index, _ in found] == list(range(len(found)))
    in_order &= all(places[one["name"]] < places[next_one["name"]] for (_, one), (_, next_one) in pairwise(found))
    for index, entry in found:
        route = read_entry(entry, sides, inherited)
        if isinstance(route, HeaderRoute):
            headers.append(route)
        elif isinstance(route, MirrorRoute) and _same_weights(entry, f"spec.http[{index}]", sides, carried, maximum):
            mirrors.append(route)
        else:
            in_order = False
    return Standing(header_routes=tuple(headers), mirrors=tuple(mirrors), in_order=in_order)


def read_entry(entry: Entry, sides: Sides, inherited: Inherited) -> HeaderRoute | MirrorRoute | None:
    """Read *entry* as a route to the canary, or nothing where it is none that we would write."""
    rest = {key: value for key, value in entry.items() if key not in inherited.kept}
    try:
        target = _target(rest, sides)
    except SpecError:
        return None
    if target is not Side.CANARY or any(entry.get(key) != value for key, value in inherited.kept.items()):
        return None
    return _as_mirror(rest, inherited.conditions) if "mirror" in rest else _as_header(rest, inherited.conditions)


def ours(entry: Entry, sides: Sides, inherited: Inherited) -> bool:
    """Tell whether *entry* has the form that we write, whatever it says and whichever of our Services plays which role."""
    own = {"name", "match", "route", *inherited.kept}
    extra = {"mirror", "mirrorPercentage"} & entry.keys()
    if set(entry) - extra - own or not {"name", "match", "route"} <= set(entry):
        return False
    try:
        found = sides_in(entry, "", sides)
    except SpecError:
        return False
    if extra:
        return {Side.CANARY, Side.STABLE} <= set(found)
    return len(found) == 1 and found[0] in {Side.CANARY, Side.STABLE}


def _target(entry: Entry, sides: Sides) -> Side | None:
    if "mirror" in entry:
        return sides.of({"destination": entry["mirror"]}, "")
    found = sides_in(entry, "", sides)
    if len(found) != 1 or entry["route"][0].get("weight", LONE_WEIGHT) != LONE_WEIGHT:
        return None
    return found[0]


def _as_header(entry: Entry, conditions: Sequence[Entry]) -> HeaderRoute | None:
    if set(entry) != {"name", "match", "route"}:
        return None
    requests = _requests(entry, conditions)
    if requests is None or any(request.method or request.path or len(request.headers) != 1 for request in requests):
        return None
    return HeaderRoute(name=entry["name"], any_of=tuple(request.headers[0] for request in requests))


def _as_mirror(entry: Entry, conditions: Sequence[Entry]) -> MirrorRoute | None:
    if set(entry) - {"mirrorPercentage"} != {"name", "match", "route", "mirror"}:
        return None
    requests = _requests(entry, conditions)
    percent = _percent(entry)
    if requests is None or percent is None:
        return None
    return MirrorRoute(name=entry["name"], any_of=requests, percent=percent)


def _percent(entry: Entry) -> int | None:
    percentage = entry.get("mirrorPercentage")
    if percentage is None:
        return 100
    value = percentage.get("value") if isinstance(percentage, Mapping) and set(percentage) == {"value"} else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value)


def _same_weights(entry: Entry, at: str, sides: Sides, weights: Shares | None, maximum: int) -> bool:
    try:
        return shares(part(entry, at, sides), maximum) == weights
    except SpecError:
        return False


def _requests(entry: Entry, conditions: Sequence[Entry]) -> tuple[RequestMatch, ...] | None:
    """Read the match blocks as they stand, or, where they hold what the carrier's *conditions* say, what they say beyond that."""
    blocks = entry["match"]
    if not isinstance(blocks, list) or not blocks or not all(isinstance(block, Mapping) for block in blocks):
        return None
    own = _without(blocks, conditions) or blocks
    requests = [_read_request(block) for block in own]
    known = tuple(request for request in requests if request is not None)
    return known if len(known) == len(requests) else None


def _without(blocks: Sequence[Entry], conditions: Sequence[Entry]) -> list[Entry] | None:
    """Undo `_both`, or give nothing where *blocks* are not its result."""
    if not conditions or len(blocks) % len(conditions):
        return None
    own: list[Entry] = []
    for index, block in enumerate(blocks):
        given = conditions[index % len(conditions)]
        rest = _minus(block, given)
        if rest is None:
            return None
        if index % len(conditions) == 0:
            own.append(rest)
        elif rest != own[-1]:
            return None
    return own


def _minus(block: Entry, given: Entry) -> Entry | None:
    rest = dict(block)
    for key, value in given.items():
        if key == "headers" and isinstance(value, Mapping) and isinstance(rest.get("headers"), Mapping):
            if any(rest["headers"].get(name) != condition for name, condition in value.items()):
                return None
            rest["headers"] = {name: condition for name, condition in rest["headers"].items() if name not in value}
            if not rest["headers"]:
                del rest["headers"]
        elif rest.pop(key, None) != value:
            return None
    return rest


def _both(blocks: Iterable[Entry], conditions: Sequence[Entry], name: str) -> list[Entry]:
    """Give match blocks that hold where one of *blocks* and one of *conditions* hold; without conditions the blocks alone."""
    if not conditions:
        return list(blocks)
    return [_joined(block, given, name) for block in blocks for given in conditions]


def _joined(block: Entry, given: Entry, name: str) -> Entry:
    joined = {**given, **block}
    theirs, own = given.get("headers"), block.get("headers")
    if isinstance(theirs, Mapping) and isinstance(own, Mapping):
        joined["headers"] = {**theirs, **own}
    clash = [key for key in block if key in given and key != "headers"]
    clash += [header for header in own or () if isinstance(theirs, Mapping) and header in theirs]
    if clash:
        raise SpecError(
            field="spec.strategy.canary.trafficRouting.managedRoutes",
            found=name,
            wanted=f"its condition on {clash[0]} and the one inherited from the VirtualService cannot both be written",
        )
    return joined


def _request(match: RequestMatch) -> Entry:
    block: dict[str, Any] = {}
    if match.method is not None:
        block["method"] = _text(match.method)
    if match.path is not None:
        block["uri"] = _text(match.path)
    if match.headers:
        block["headers"] = {header.header: _text(header.value) for header in match.headers}
    return block


def _read_request(block: Entry) -> RequestMatch | None:
    headers = block.get("headers", {})
    if block.keys() - {"method", "uri", "headers"} or not isinstance(headers, Mapping):
        return None
    method, path = _read_text(block.get("method")), _read_text(block.get("uri"))
    values = {name: _read_text(value) for name, value in headers.items()}
    known = tuple(HeaderMatch(header=name, value=value) for name, value in values.items() if value is not None)
    if len(known) != len(headers) or (method is None) != ("method" not in block) or (path is None) != ("uri" not in block):
        return None
    return RequestMatch(method=method, path=path, headers=known)


def _text(match: TextMatch) -> dict[str, str]:
    return {match.kind.value: match.value}


def _read_text(value: object) -> TextMatch | None:
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    kind, wanted = next(iter(value.items()))
    if kind not in _KINDS or not isinstance(wanted, str):
        return None
    return TextMatch(kind=MatchKind(kind), value=wanted)


def _copied(item: Entry) -> Entry:
    """Copy a destination with its host, subset, port and weight, and nothing else; a weight of 0 is not written."""
    given = item.get("destination") or {}
    destination = _destination(host=given.get("host", ""), subset=given.get("subset", ""), port=_port(item))
    return {"destination": destination, "weight": item["weight"]} if item.get("weight") else {"destination": destination}


def _destination(*, host: str, subset: str, port: object) -> dict[str, Any]:
    destination: dict[str, Any] = {"host": host}
    if subset:
        destination["subset"] = subset
    if port is not None:
        destination["port"] = {"number": port}
    return destination


def _port(item: Entry) -> object:
    port = (item.get("destination") or {}).get("port")
    return port.get("number") if isinstance(port, Mapping) else None


_KINDS: Final = frozenset(kind.value for kind in MatchKind)
