"""
What do HTTPRoutes whose parent is a Service ask of a mesh, such as Linkerd's or Istio's? (pure)

Requests enter at Envoy's URL, and the Host header names the parent Service as a pod would call it (`parcel`, `parcel.shop`, ...). Read
from the Gateway API's specification (GAMMA): of all rules of all routes of a Service the most specific match gets the request; what none
of them takes is answered with 404. Mirrors are Istio's and the specification's; Linkerd has none. Nothing is reported in a status.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    mirror_policy,
    namespace_of,
    title,
    weighted,
)
from tiphys.devcluster.proxies.patterns import exact, header, regex, text, whole

_ROUTES = ("gateway.networking.k8s.io", "httproutes")
KINDS = frozenset({_ROUTES})
_EXACT, _REGEX, _PREFIX = "Exact", "RegularExpression", "PathPrefix"
_EVERYTHING: Json = {"path": {"type": _PREFIX, "value": "/"}}
_TRANSLATED = {"name", "matches", "backendRefs", "filters"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One match of one rule, and how specific it is: the smaller the *order*, the earlier it is asked."""

    order: tuple[Any, ...]
    route: Json


@dataclass(frozen=True, slots=True)
class _Translation:
    backends: Backends
    problems: list[str]

    def rules(self, manifest: Manifest) -> Iterator[_Rule]:
        for index, rule in enumerate((manifest.get("spec") or {}).get("rules") or [{}]):
            where = f"{title(manifest)}: rules[{index}]"
            try:
                action = self._action(rule, namespace_of(manifest), where)
                matches = [_match(match) for match in rule.get("matches") or [_EVERYTHING]]
            except (LookupError, ValueError, TypeError, AttributeError) as error:
                self.problems.append(f"{where} is left out: {error.args[0] if error.args else error}")
                continue
            for at, (specific, match) in enumerate(matches):
                yield _Rule(order=(*specific, *by_age(manifest), index, at), route={"match": match, **action})

    def _action(self, rule: Mapping[str, Any], namespace: str, where: str) -> Json:
        self.problems.extend(f"{where}: {key} is not emulated and has no effect" for key in sorted(set(rule) - _TRANSLATED))
        shares = [self._share(reference, namespace, where) for reference in rule.get("backendRefs") or []]
        if not any(weight for _, weight in shares):
            return {"direct_response": {"status": 500}}
        mirrors = [self._mirror(each, namespace) for each in rule.get("filters") or []]
        return {"route": {**weighted(shares), "timeout": "0s"} | ({"request_mirror_policies": mirrors} if mirrors else {})}

    def _share(self, reference: Mapping[str, Any], namespace: str, where: str) -> tuple[str, int]:
        weight = 1 if reference.get("weight") is None else reference["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise ValueError(f"weight: found {weight!r}, wanted a whole number")  # noqa: TRY004 - a user's mistake
        try:
            return self._cluster(reference, namespace), weight
        except LookupError as error:
            self.problems.append(f"{where}: {error.args[0]}; its share is answered with 503")
            return cluster_name(dns_host(str(reference.get("name") or ""), namespace), port=int(reference.get("port") or 0)), weight

    def _mirror(self, wanted: Mapping[str, Any], namespace: str) -> Json:
        if wanted.get("type") != "RequestMirror":
            raise ValueError(f"filters: found {wanted.get('type')}, wanted RequestMirror: others are not emulated")
        mirror = wanted["requestMirror"]
        if (fraction := mirror.get("fraction")) is not None:
            share = int(fraction["numerator"]) / int(fraction.get("denominator") or 100)
        else:
            share = (100 if mirror.get("percent") is None else int(mirror["percent"])) / 100
        return mirror_policy(self._cluster(mirror["backendRef"], namespace), share)

    def _cluster(self, reference: Mapping[str, Any], namespace: str) -> str:
        if reference.get("group") or reference.get("kind", "Service") != "Service":
            raise LookupError(f"{reference.get('kind')} {reference.get('name')}: wanted a Service")
        home = str(reference.get("namespace") or namespace)
        return self.backends.named(dns_host(text("name", reference.get("name")), home), reference.get("port"))


def gamma_says(found: Found, backends: Backends) -> Said:
    """Translate HTTPRoutes with Services as parents; parents of other kinds are a gateway's business."""
    said = _Translation(backends, [])
    by_host: dict[str, list[_Rule]] = {}
    for manifest in found.get(_ROUTES, ()):
        try:
            hosts = list(_parents(manifest))
            rules = list(said.rules(manifest)) if hosts else []
        except (ValueError, TypeError, AttributeError) as error:
            said.problems.append(f"{title(manifest)} is left out: {error}")
            continue
        for host in hosts:
            by_host.setdefault(host, []).extend(rules)
    hosts_say = {host: [rule.route for rule in sorted(rules, key=lambda rule: rule.order)] for host, rules in by_host.items()}
    return Said(hosts=hosts_say, problems=sorted(said.problems))


def _parents(manifest: Manifest) -> Iterator[str]:
    for parent in (manifest.get("spec") or {}).get("parentRefs") or []:
        if parent.get("kind") == "Service" and parent.get("group") in ("", "core"):
            yield dns_host(text("parentRefs.name", parent.get("name")), str(parent.get("namespace") or namespace_of(manifest)))


def _match(match: Mapping[str, Any]) -> tuple[tuple[int, ...], Json]:
    """Give how specific a match is, and Envoy's form of it."""
    path = match.get("path") or _EVERYTHING["path"]
    kind, value = path.get("type") or _PREFIX, str(path.get("value") or "/")
    made = _path(kind, value)
    headers = _conditions(match.get("headers") or [])
    queries = match.get("queryParams") or []
    conditions = [header(name, _text(wanted)) for name, wanted in headers.items()]
    if method := match.get("method"):
        conditions.append(header(":method", exact(text("method", method))))
    if conditions:
        made["headers"] = conditions
    if queries:
        made["query_parameters"] = [{"name": text("queryParams", each.get("name")), "string_match": _text(each)} for each in queries]
    rank = {_EXACT: 0, _PREFIX: 1, _REGEX: 2}[kind]
    return (rank, -len(value), 0 if method else 1, -len(headers), -len(queries)), made


def _path(kind: str, value: str) -> Json:
    if kind == _REGEX:
        return whole(regex(value))
    if not value.startswith("/"):
        raise ValueError(f"path: found {value!r}, wanted one that begins with /")
    if kind == _EXACT:
        return {"path": value}
    if kind != _PREFIX:
        raise ValueError(f"path.type: found {kind!r}, wanted {_EXACT}, {_PREFIX} or {_REGEX}")
    bare = value.rstrip("/")
    return {"path_separated_prefix": bare} if bare else {"prefix": "/"}


def _conditions(listed: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of several conditions on one header the first counts, in whatever case it is written."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in listed:
        found.setdefault(text("headers", each.get("name")).lower(), each)
    return found


def _text(wanted: Mapping[str, Any]) -> Json:
    value, kind = str(wanted.get("value") or ""), wanted.get("type") or _EXACT
    if kind not in {_EXACT, _REGEX}:
        raise ValueError(f"type: found {kind!r}, wanted {_EXACT} or {_REGEX}")
    return exact(value) if kind == _EXACT else whole(regex(value))
