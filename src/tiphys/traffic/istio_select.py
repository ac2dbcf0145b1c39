"""Which entries of a VirtualService carry the Rollout's weights? (Traffic-routing reference 4.1.2.)"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.rollout import IstioVirtualService, TcpRoute, TlsRoute
from tiphys.traffic.istio_hosts import Side, Sides
from tiphys.traffic.manifests import count, entries, listing, text

KINDS: Final = ("http", "tls", "tcp")

Entries = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One entry that carries the weights; *at* is its path in the VirtualService."""

    kind: str
    index: int
    entry: Mapping[str, Any]

    @property
    def at(self) -> str:
        """Give the entry's path."""
        return f"spec.{self.kind}[{self.index}]"


def all_entries(spec: Mapping[str, Any]) -> Entries:
    """
    Give the entries of every kind that *spec* has.

    Raises:
        SpecError: there are none, or they are malformed.

    """
    found = {kind: entries(spec.get(kind), f"spec.{kind}") for kind in KINDS}
    for index, entry in enumerate(found["http"]):
        if not isinstance(entry.get("name", ""), str):
            text(entry["name"], f"spec.http[{index}].name")
    present = {kind: listed for kind, listed in found.items() if listed}
    if not present:
        raise SpecError(field="spec", found=None, wanted="needs routes in http, tls or tcp")
    return present


def carriers(present: Entries, wanted: IstioVirtualService, managed: Collection[str], sides: Sides) -> Sequence[Carrier]:
    """
    Choose the entries that carry the weights.

    Named ones are taken at the user's word. A kind that nobody names is taken only if it is unambiguous: exactly one of its entries
    has both a canary and a stable destination. Entries under managed names are ours and are never chosen.

    Raises:
        SpecError: a named entry does not exist, nothing matches, or several do.

    """
    named = {
        "http": _named_http(present.get("http", ()), wanted.routes, managed),
        "tls": _named_by(present.get("tls", ()), wanted.tls_routes, kind="tls", field="tlsRoutes"),
        "tcp": _named_by(present.get("tcp", ()), wanted.tcp_routes, kind="tcp", field="tcpRoutes"),
    }
    chosen: list[Carrier] = []
    for kind in KINDS:
        if named[kind]:
            chosen += named[kind]
            continue
        fitting = [
            Carrier(kind=kind, index=index, entry=entry) for index, entry in _open(kind, present, managed) if _has_both(entry, sides)
        ]
        if len(fitting) == 1:
            chosen += fitting
        elif fitting and not any(named.values()):
            places = ", ".join(carrier.at for carrier in fitting)
            raise SpecError(
                field=f"spec.{kind}", found=places, wanted=f"several entries carry both services: name the ones meant in {_FIELD[kind]}"
            )
    return chosen or _last_resort(present, managed)


def _last_resort(present: Entries, managed: Collection[str]) -> Sequence[Carrier]:
    """Take the only entry there is, although it does not fit: what it lacks is told later, by name."""
    possible = [Carrier(kind=kind, index=index, entry=entry) for kind in KINDS for index, entry in _open(kind, present, managed)]
    if len(possible) == 1:
        return possible
    found = f"{len(possible)} entries" if possible else None
    raise SpecError(field="spec", found=found, wanted="needs one entry with a canary and a stable destination, or its name in the Rollout")


def _open(kind: str, present: Entries, managed: Collection[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return ((index, entry) for index, entry in enumerate(present.get(kind, ())) if entry.get("name") not in managed)


def _has_both(entry: Mapping[str, Any], sides: Sides) -> bool:
    route = entry.get("route")
    if not isinstance(route, list) or len(route) < 2 or not any(map(sides.suspects, route)):
        return False
    try:
        found = {sides.of(item, "") for item in route if isinstance(item, dict)}
    except SpecError:
        return False
    return Side.CANARY in found and Side.STABLE in found


def _named_http(http: Sequence[Mapping[str, Any]], names: Sequence[str], managed: Collection[str]) -> list[Carrier]:
    chosen: list[Carrier] = []
    # Of entries with the same name the first counts.
    found = {name: index for index, entry in reversed(list(enumerate(http))) if isinstance(name := entry.get("name"), str)}
    for name in dict.fromkeys(names):
        if name in managed:
            raise SpecError(field="routes", found=name, wanted="must not also be listed in managedRoutes, whose entries come and go")
        index = found.get(name)
        if index is None:
            known = ", ".join(sorted({str(entry["name"]) for entry in http if entry.get("name") and entry["name"] not in managed})[:_MANY])
            raise SpecError(
                field="routes", found=name, wanted=f"must be the name of an http entry; there are: {known or 'none with a name'}"
            )
        chosen.append(Carrier(kind="http", index=index, entry=http[index]))
    return chosen


def _named_by(listed: Sequence[Mapping[str, Any]], wanted: Sequence[TlsRoute | TcpRoute], *, kind: str, field: str) -> list[Carrier]:
    chosen: dict[int, Carrier] = {}
    for route in wanted:
        fits = _fits(route)
        matching = [index for index, entry in enumerate(listed) if fits(entry, f"spec.{kind}[{index}]")]
        if not matching:
            raise SpecError(field=field, found=_described(route), wanted=f"must match an entry of spec.{kind}")
        chosen |= {index: Carrier(kind=kind, index=index, entry=listed[index]) for index in matching}
    return [chosen[index] for index in sorted(chosen)]


def _fits(route: TlsRoute | TcpRoute) -> Callable[[Mapping[str, Any], str], bool]:
    hosts = frozenset(route.sni_hosts) if isinstance(route, TlsRoute) else None

    def fits(entry: Mapping[str, Any], at: str) -> bool:
        blocks = entries(entry.get("match"), f"{at}.match")
        ports = {count(block["port"], f"{at}.match[{index}].port") for index, block in enumerate(blocks) if block.get("port") is not None}
        if len(ports) > 1 or (ports or {0}) != {route.port}:
            return False
        return hosts is None or hosts == frozenset(
            text(host, f"{at}.match[{index}].sniHosts")
            for index, block in enumerate(blocks)
            for host in listing(block.get("sniHosts"), f"{at}.match[{index}].sniHosts")
        )

    return fits


def _described(route: TlsRoute | TcpRoute) -> str:
    hosts = f", sniHosts {', '.join(route.sni_hosts) or 'none'}" if isinstance(route, TlsRoute) else ""
    return f"port {route.port or 'none'}{hosts}"


_MANY: Final = 10
_FIELD: Final = {"http": "routes", "tls": "tlsRoutes", "tcp": "tcpRoutes"}
