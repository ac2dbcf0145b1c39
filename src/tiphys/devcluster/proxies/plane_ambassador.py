"""
What do Mappings ask of Emissary? (pure)

Requests enter at Envoy's URL, which stands for Emissary's address: the Host header is the `hostname` (or `host`) of a Mapping, or for
Mappings of every host any name that is no Service's, such as `ambassador`. Listeners and Hosts are taken as set up for all of it.

Mappings with the same host, prefix, method, headers and precedence are one group: those with a weight get that percentage, those without
share the rest, and where all have one, requests that nobody's percentage takes go on to the next group. The `rewrite` is `/` unless given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.builder import (
    ANY_HOST,
    Backends,
    Found,
    Json,
    Manifest,
    Said,
    by_domain,
    by_name,
    cluster_name,
    dns_host,
    mirror_policy,
    namespace_of,
    title,
)
from tiphys.devcluster.proxies.patterns import exact, header, regex, text, whole

_MAPPINGS = ("getambassador.io", "mappings")
KINDS = frozenset({_MAPPINGS})
_OF_THE_GROUP = (
    "bypass_auth", "bypass_error_response_overrides", "circuit_breakers", "cluster_idle_timeout_ms", "cluster_max_connection_lifetime_ms",
    "connect_timeout_ms", "keepalive", "labels", "load_balancer", "prefix_exact", "prefix_regex",
)  # fmt: skip
"""What all Mappings of a group have to agree upon."""
_TRANSLATED = {
    "ambassador_id", "case_sensitive", "headers", "host", "host_regex", "hostname", "method", "method_regex", "precedence", "prefix",
    "prefix_exact", "prefix_regex", "regex_headers", "regex_rewrite", "rewrite", "service", "shadow", "timeout_ms", "weight",
}  # fmt: skip
_REFUSED = ("host_redirect", "query_parameters", "regex_query_parameters")
_TIMEOUT, _LONGEST = 3000, 10**9
_WHOLE = 100


def ambassador_says(found: Found, backends: Backends) -> Said:
    """Translate Mappings; the group that is more specific, or has a higher precedence, comes first."""
    said = _Translation(backends=backends)
    rules = [(each.hosts, route) for group in said.groups(found.get(_MAPPINGS, ())) for each, route in said.routes(group)]
    return Said(domains=by_domain(rules), problems=said.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapping:
    what: str
    name: str
    namespace: str
    spec: Mapping[str, Any]
    host: str
    prefix: str
    headers: Sequence[tuple[str, str | None, bool]]
    """Name, value (None: any) and whether it is a regular expression, with host and method as Emissary counts them."""
    precedence: int

    @property
    def hosts(self) -> tuple[str, ...]:
        return (ANY_HOST,) if self.spec.get("host_regex") else (self.host,)

    @property
    def group(self) -> tuple[object, ...]:
        return (self.spec.get("method") or "GET", self.prefix, tuple((name, value) for name, value, _ in self.headers), self.precedence)

    @property
    def order(self) -> tuple[Any, ...]:
        lengths = sum(len(name) + len(value or "*") + regexp for name, value, regexp in self.headers)
        keys = [f"{name}-{value or '*'}" for name, value, _ in self.headers]
        return (self.precedence, len(self.prefix), lengths, self.prefix, self.spec.get("method") or "GET", keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Translation:
    backends: Backends
    problems: list[str] = field(default_factory=list)

    def groups(self, manifests: Sequence[Manifest]) -> list[list[_Mapping]]:
        groups: dict[tuple[object, ...], list[_Mapping]] = {}
        for manifest in sorted(manifests, key=by_name):
            try:
                mapping = _read(manifest)
            except (ValueError, TypeError, AttributeError) as error:
                self.problems.append(f"{title(manifest)} is left out: {error}")
                continue
            if mapping is not None:
                self._join(groups.setdefault(mapping.group, []), mapping)
        return sorted(groups.values(), key=lambda group: max(each.order for each in group), reverse=True)

    def _join(self, group: list[_Mapping], mapping: _Mapping) -> None:
        first = group[0].spec if group else mapping.spec
        if differing := [key for key in _OF_THE_GROUP if key in mapping.spec and mapping.spec[key] != first.get(key)]:
            differ = f"{', '.join(differing)}: found another value than in {group[0].what}, of the same route"
            self.problems.append(f"{mapping.what} is left out: {differ}")
            return
        unknown = sorted(set(mapping.spec) - _TRANSLATED)
        self.problems.extend(f"{mapping.what}: {key} is not emulated and has no effect" for key in unknown)
        group.append(mapping)

    def routes(self, group: Sequence[_Mapping]) -> Iterator[tuple[_Mapping, Json]]:
        shadows = [each for each in group if each.spec.get("shadow")]
        self.problems.extend(f"{second.what} is left out: {shadows[0].what} is the shadow of this route already" for second in shadows[1:])
        try:
            mirrors = [mirror_policy(self._cluster(each), _percent(each, default=_WHOLE) / _WHOLE) for each in shadows[:1]]
            shares = _thresholds([each for each in group if not each.spec.get("shadow")])
            made = [(mapping, self._route(mapping, upto=upto, mirrors=mirrors)) for mapping, upto in shares]
        except (ValueError, TypeError, AttributeError) as error:
            self.problems.append(f"{', '.join(each.what for each in group)}: left out: {error}")
            return
        yield from made

    def _route(self, mapping: _Mapping, *, upto: int, mirrors: Sequence[Json]) -> Json:
        match = _match(mapping)
        if upto < _WHOLE:
            match["runtime_fraction"] = {"default_value": {"numerator": upto, "denominator": "HUNDRED"}}
        timeout = mapping.spec.get("timeout_ms", _TIMEOUT)
        if isinstance(timeout, bool) or not isinstance(timeout, int) or not 0 <= timeout < _LONGEST:
            raise ValueError(f"timeout_ms of {mapping.what}: found {timeout!r}, wanted milliseconds")
        action: Json = {"cluster": self._cluster(mapping), "timeout": f"{timeout / 1000:.3f}s"}
        rewrite = mapping.spec.get("rewrite", "/")
        if replacing := mapping.spec.get("regex_rewrite"):
            substitution = str(replacing.get("substitution") or "")
            action["regex_rewrite"] = {"pattern": {"regex": regex(replacing.get("pattern"))}, "substitution": substitution}
        elif rewrite and not mapping.spec.get("prefix_regex"):
            action["prefix_rewrite"] = text(f"rewrite of {mapping.what}", rewrite)
        if mirrors:
            action["request_mirror_policies"] = list(mirrors)
        return {"match": match, "route": action}

    def _cluster(self, mapping: _Mapping) -> str:
        """Read `[scheme://]name[.namespace][:port]`; a bare name is in the Mapping's namespace, and the port by default the scheme's."""
        scheme, _, rest = str(mapping.spec.get("service") or "").rpartition("://")
        name, _, number = rest.partition(":")
        if not name or (number and not number.isdecimal()):
            raise ValueError(f"service: found {mapping.spec.get('service')!r}, wanted [scheme://]name[.namespace][:port]")
        host, port = dns_host(name, mapping.namespace), int(number or (443 if scheme == "https" else 80))
        try:
            return self.backends.named(host, port)
        except LookupError as error:
            self.problems.append(f"{mapping.what}: service: {error.args[0]}; its share is answered with 503")
            return cluster_name(host, port=port)


def _read(manifest: Manifest) -> _Mapping | None:
    spec = manifest.get("spec") or {}
    ids = spec.get("ambassador_id") or ["default"]
    if "default" not in ([ids] if isinstance(ids, str) else ids):
        return None
    prefix = spec.get("prefix")
    if not isinstance(prefix, str) or not prefix:
        raise ValueError(f"prefix: found {prefix!r}, wanted a path")
    if refused := [key for key in _REFUSED if spec.get(key)]:
        raise ValueError(f"{', '.join(refused)}: not emulated")
    if spec.get("hostname") and spec.get("host"):
        raise ValueError("hostname and host: found both, wanted one")
    host = text("hostname", spec.get("hostname") or spec.get("host") or ANY_HOST)
    if spec.get("host_regex"):
        regex(host)
    headers = [(name, None if value is True else str(value), False) for name, value in (spec.get("headers") or {}).items()]
    headers += [(name, regex(value), True) for name, value in (spec.get("regex_headers") or {}).items()]
    headers.append((":authority", host, bool(spec.get("host_regex"))))
    if spec.get("method"):
        headers.append((":method", text("method", spec["method"]), bool(spec.get("method_regex"))))
    return _Mapping(
        what=title(manifest),
        name=str(manifest["metadata"]["name"]),
        namespace=namespace_of(manifest),
        spec=spec,
        host=host,
        prefix=prefix,
        headers=headers,
        precedence=int(spec.get("precedence") or 0),
    )


def _match(mapping: _Mapping) -> Json:
    spec = mapping.spec
    match: Json
    if spec.get("prefix_regex"):
        match = {"safe_regex": {"regex": regex(mapping.prefix)}}
    else:
        match = {"path" if spec.get("prefix_exact") else "prefix": mapping.prefix}
        if spec.get("case_sensitive") is False:
            match["case_sensitive"] = False
    conditions = [
        header(name, None if value is None else whole(regex(value)) if regexp else exact(value))
        for name, value, regexp in mapping.headers
        if name != ":authority" or regexp
    ]
    return match | ({"headers": conditions} if conditions else {})


def _percent(mapping: _Mapping, *, default: int) -> int:
    weight = mapping.spec.get("weight", default)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= _WHOLE:
        raise ValueError(f"weight of {mapping.what}: found {weight!r}, wanted 0 to 100")
    return round(weight)


def _thresholds(mappings: Sequence[_Mapping]) -> list[tuple[_Mapping, int]]:
    """Give each Mapping the percentage up to which it takes requests that no Mapping before it took."""
    taken = 0
    shares: list[tuple[_Mapping, int]] = []
    for mapping in mappings:
        if mapping.spec.get("weight") is not None:
            taken += _percent(mapping, default=0)
            shares.append((mapping, taken))
    if taken > _WHOLE:
        raise ValueError(f"the weights add up to {taken}, wanted at most 100")
    rest = [mapping for mapping in mappings if mapping.spec.get("weight") is None]
    each = round((_WHOLE - taken) / len(rest)) if rest else 0
    return shares + [(mapping, _WHOLE if mapping is rest[-1] else taken + each * (index + 1)) for index, mapping in enumerate(rest)]
