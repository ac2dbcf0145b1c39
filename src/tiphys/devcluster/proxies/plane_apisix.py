"""
What do ApisixRoutes ask of APISIX? (pure)

Requests enter at Envoy's URL, which stands for the gateway's address: the Host header is one of a rule's `match.hosts`, or for rules
without hosts any name that is no Service's, such as `apisix`.

The gateway looks for the host first, then for the path (the same path before a longer beginning before a shorter one), and only among
rules of the same path for the priority. Controllers refuse an ApisixRoute as a whole: one bad rule leaves it out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tiphys.devcluster.proxies.apisix_match import NotEmulatedError, rule_match
from tiphys.devcluster.proxies.builder import (
    ANY_HOST,
    Backends,
    Found,
    Json,
    Manifest,
    Said,
    by_age,
    by_domain,
    dns_host,
    mirror_policy,
    namespace_of,
    title,
    weighted,
)
from tiphys.devcluster.proxies.patterns import text

_ROUTES = ("apisix.apache.org", "apisixroutes")
KINDS = frozenset({_ROUTES})
_CLASS = "apisix"
_WEIGHT = 100
"""The weight of a backend that names none."""
_TRANSLATED = {"name", "priority", "match", "backends", "plugins"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    host: str
    path: str
    priority: int
    route: Json

    @property
    def order(self) -> tuple[Any, ...]:
        wildcard = self.host.startswith("*")
        return (self.host == ANY_HOST, wildcard, -len(self.host), self.path.endswith("*"), -len(self.path), -self.priority)


def apisix_says(found: Found, backends: Backends) -> Said:
    """Translate ApisixRoutes of the class `apisix`, or of none."""
    said = _Translation(backends=backends)
    rules: list[_Rule] = []
    for manifest in sorted(found.get(_ROUTES, ()), key=by_age):
        if ((manifest.get("spec") or {}).get("ingressClassName") or _CLASS) != _CLASS:
            continue
        try:
            rules += said.rules(manifest)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            said.problems.append(f"{title(manifest)} is left out: {error.args[0] if error.args else error}")
    ordered = sorted(rules, key=lambda rule: rule.order)
    return Said(domains=by_domain([((rule.host,), rule.route) for rule in ordered]), problems=said.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Translation:
    backends: Backends
    problems: list[str] = field(default_factory=list)

    def rules(self, manifest: Manifest) -> list[_Rule]:
        spec = manifest.get("spec") or {}
        if spec.get("stream"):
            self.problems.append(f"{title(manifest)}: stream routes are not emulated, only http")
        http: Sequence[Mapping[str, Any]] = spec.get("http") or []
        names = [rule.get("name") for rule in http]
        if doubled := sorted({str(name) for name in names if names.count(name) > 1}):
            raise ValueError(f"http: the name {doubled[0]!r} is there twice, wanted each once")
        return [each for rule in http for each in self._rule(rule, namespace=namespace_of(manifest), what=title(manifest))]

    def _rule(self, rule: Mapping[str, Any], *, namespace: str, what: str) -> Iterator[_Rule]:
        where = f"{what}: http rule {rule.get('name')}"
        match = rule.get("match") or {}
        paths = match.get("paths") or []
        if not paths or not all(isinstance(path, str) and path.startswith("/") for path in paths):
            raise ValueError(f"http rule {rule.get('name')}: match.paths: found {paths!r}, wanted paths that begin with /")
        self.problems.extend(f"{where}: {key} is not emulated and has no effect" for key in sorted(set(rule) - _TRANSLATED))
        action: Json = {**weighted(self._shares(rule, namespace)), "timeout": "60s"}
        if mirrors := list(self._mirrors(rule, namespace=namespace, where=where)):
            action["request_mirror_policies"] = mirrors
        for path in paths:
            try:
                route = {"match": rule_match(match, path), "route": action}
            except NotEmulatedError as error:
                self.problems.append(f"{where} is left out: {error}")
                return
            for host in match.get("hosts") or [ANY_HOST]:
                yield _Rule(host=text("match.hosts", host).lower(), path=path, priority=int(rule.get("priority") or 0), route=route)

    def _shares(self, rule: Mapping[str, Any], namespace: str) -> list[tuple[str, int]]:
        listed = rule.get("backends") or []
        if not listed:
            raise ValueError(f"http rule {rule.get('name')}: found no backends, wanted at least one")
        shares: list[tuple[str, int]] = []
        for backend in listed:
            weight = _WEIGHT if backend.get("weight") is None else backend["weight"]
            if isinstance(weight, bool) or not isinstance(weight, int):
                raise ValueError(f"http rule {rule.get('name')}: weight: found {weight!r}, wanted a whole number")  # noqa: TRY004 - a user's mistake
            host = dns_host(str(backend.get("serviceName") or ""), namespace)
            shares.append((self.backends.named(host, backend.get("servicePort")), weight))
        # A single backend is the route's only upstream, whatever its weight.
        return [(shares[0][0], 1)] if len(shares) == 1 else shares

    def _mirrors(self, rule: Mapping[str, Any], *, namespace: str, where: str) -> Iterator[Json]:
        for plugin in rule.get("plugins") or []:
            if plugin.get("enable") is False:
                continue
            if plugin.get("name") != "proxy-mirror":
                self.problems.append(f"{where}: the plugin {plugin.get('name')} is not emulated and has no effect")
                continue
            config = plugin.get("config") or {}
            unknown = sorted({"path", "path_concat_mode"} & set(config))
            self.problems.extend(f"{where}: proxy-mirror.{key} is not emulated" for key in unknown)
            share = config.get("sample_ratio", 1)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0.00001 <= share <= 1:
                raise ValueError(f"http rule {rule.get('name')}: proxy-mirror.sample_ratio: found {share!r}, wanted 0.00001 to 1")
            yield mirror_policy(self._mirrored(config.get("host"), namespace), share)

    def _mirrored(self, address: object, namespace: str) -> str:
        """Find who stands behind `http://name[.namespace[.svc]][:port]`, as the gateway's own DNS would."""
        parts = urlsplit(str(address))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ValueError(f"proxy-mirror.host: found {address!r}, wanted http://HOST[:PORT] without a path")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return self.backends.named(dns_host(parts.hostname, namespace), port)
