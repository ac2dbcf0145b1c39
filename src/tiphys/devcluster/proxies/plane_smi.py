"""
What do TrafficSplits and HTTPRouteGroups ask of a mesh that speaks SMI? (pure)

Requests enter at Envoy's URL, and the Host header names the root Service of a split as a pod would call it (`parcel`, `parcel.shop`, ...).
Read from the specification: weights are relative, a split with `matches` takes only what one of its groups' matches describes, and what
no split takes goes to the pods of the root Service. Values are regular expressions for the whole value. Linkerd's SMI extension
reads the same weights and ignores `matches`.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import gcd
from typing import Any

from tiphys.devcluster.proxies.builder import (
    Backends,
    Found,
    Json,
    Manifest,
    Said,
    by_age,
    cluster_name,
    dns_host,
    namespace_of,
    title,
    weighted,
)
from tiphys.devcluster.proxies.patterns import header, literal, regex, text, whole
from tiphys.devcluster.quantities import parsed

_SPLITS, _GROUPS = ("split.smi-spec.io", "trafficsplits"), ("specs.smi-spec.io", "httproutegroups")
KINDS = frozenset({_SPLITS, _GROUPS})
_MOST = 4_000_000_000
"""Envoy adds weights up in 32 bits."""


def smi_says(found: Found, backends: Backends) -> Said:
    """Translate TrafficSplits: those with matches first, then the one without, each the oldest first."""
    groups = {(namespace_of(group), group["metadata"]["name"]): group for group in found.get(_GROUPS, ())}
    hosts: dict[str, list[Json]] = {}
    whole: dict[str, str] = {}
    problems: list[str] = []
    splits = sorted(found.get(_SPLITS, ()), key=by_age)
    for split in sorted(splits, key=lambda each: not (each.get("spec") or {}).get("matches")):
        what, spec = title(split), split.get("spec") or {}
        host = dns_host(str(spec.get("service") or ""), namespace_of(split))
        try:
            shares = _shares(split, root=host, backends=backends, problems=problems)
            matches = list(_matches(split, groups)) if spec.get("matches") else [_everything(whole, host, what)]
            hosts.setdefault(host, []).extend({"match": match, "route": {**weighted(shares), "timeout": "0s"}} for match in matches)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            problems.append(f"{what} is left out: {_words(error)}")
    return Said(hosts={host: [*routes, *backends.plain(host)] for host, routes in hosts.items()}, problems=problems)


def _everything(taken: dict[str, str], host: str, what: str) -> Json:
    """Take what no match takes; only one split of a Service can."""
    if taken.setdefault(host, what) != what:
        raise ValueError(f"{taken[host]} splits the same Service already")
    return {"prefix": "/"}


def _words(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _shares(split: Manifest, *, root: str, backends: Backends, problems: list[str]) -> list[tuple[str, int]]:
    backends.named(root)
    first = int(backends.ports(root)[0]["port"])
    listed: Sequence[Mapping[str, Any]] = (split.get("spec") or {}).get("backends") or []
    amounts = [_amount(backend.get("weight")) for backend in listed]
    if not any(amounts):
        raise ValueError("the weights of its backends add up to 0, wanted more")
    shares: list[tuple[str, int]] = []
    for backend, weight in zip(listed, _whole(amounts), strict=True):
        host = dns_host(str(backend.get("service") or ""), namespace_of(split))
        ports = [int(port["port"]) for port in backends.ports(host)]
        if not ports:
            problems.append(f"{title(split)}: backend {backend.get('service')}: no such Service; its share is answered with 503")
        shares.append((cluster_name(host, port=first if first in ports or not ports else ports[0]), weight))
    return shares


def _amount(weight: object) -> Decimal:
    amount = parsed(str(weight)) if isinstance(weight, int | str) and not isinstance(weight, bool) else None
    if amount is None or amount < 0:
        raise ValueError(f"backends.weight: found {weight!r}, wanted a number of 0 or more")
    return amount


def _whole(amounts: Sequence[Decimal]) -> list[int]:
    """Turn quantities (`500m`, `1.5`) into whole numbers of the same proportions."""
    ratios = [amount.as_integer_ratio() for amount in amounts]
    common = 1
    for _, below in ratios:
        common = common * below // gcd(common, below)
    whole = [above * (common // below) for above, below in ratios]
    total = sum(whole)
    return whole if total <= _MOST else [each * _MOST // total for each in whole]


def _matches(split: Manifest, groups: Mapping[tuple[str, str], Manifest]) -> Iterator[Json]:
    for wanted in split["spec"]["matches"]:
        group = groups.get((namespace_of(split), str(wanted.get("name"))))
        if wanted.get("kind") != "HTTPRouteGroup" or group is None:
            raise LookupError(f"matches: there is no {wanted.get('kind')} {wanted.get('name')}")
        for match in (group.get("spec") or {}).get("matches") or []:
            yield _match(match)


def _match(match: Mapping[str, Any]) -> Json:
    """All of path, method and headers have to fit; `headers` is a list of maps, or in older writings one map."""
    made: Json = whole(regex(match["pathRegex"])) if match.get("pathRegex") else {"prefix": "/"}
    conditions: list[Json] = []
    methods = match.get("methods") or ["*"]
    if "*" not in methods:
        conditions.append(header(":method", whole("|".join(literal(text("methods", method)) for method in methods))))
    headers = match.get("headers") or []
    for one in [headers] if isinstance(headers, Mapping) else headers:
        conditions += [header(name, whole(regex(value))) for name, value in one.items()]
    return made | ({"headers": conditions} if conditions else {})
