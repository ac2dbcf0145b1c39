"""
What do VirtualServices and DestinationRules ask of Istio's proxies? (pure)

Written from the documentation of these kinds and not from our router: a twin would confirm the router's misunderstandings.
One listener stands for sidecars and gateways together: requests enter at Envoy's URL, and the Host header, one of a VirtualService's
`hosts` or the name of a Service (`parcel`, `parcel.shop`, ...), picks what is routed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.builder import (
    PODS,
    Backends,
    Cluster,
    Found,
    Json,
    Manifest,
    Said,
    by_age,
    cluster_name,
    full_host,
    namespace_of,
    title,
)
from tiphys.devcluster.proxies.mesh_routes import envoy_routes, untranslated
from tiphys.devcluster.proxies.patterns import sound, text

_GROUP = "networking.istio.io"
_VIRTUAL_SERVICES, _RULES = (_GROUP, "virtualservices"), (_GROUP, "destinationrules")
KINDS = frozenset({_VIRTUAL_SERVICES, _RULES, PODS})
_POLICIES = {"ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM", "LEAST_REQUEST": "LEAST_REQUEST", "LEAST_CONN": "LEAST_REQUEST"}


def istio_says(found: Found, backends: Backends) -> Said:
    """Translate VirtualServices, the oldest first where two name one host, and the subsets of DestinationRules."""
    rules: dict[str, list[Manifest]] = defaultdict(list)
    problems: list[str] = []
    for rule in sorted(found.get(_RULES, ()), key=by_age):
        if malformed := _malformed(rule):
            problems.append(f"{title(rule)} is left out: {malformed}")
            continue
        rules[full_host(str((rule.get("spec") or {}).get("host") or ""), namespace_of(rule))].append(rule)
    virtual_services = sorted(found.get(_VIRTUAL_SERVICES, ()), key=by_age)
    return _Translation(backends=backends, rules=rules, virtual_services=virtual_services, problems=problems).said()


def _malformed(rule: Manifest) -> str | None:
    """Say what Istio's own validation would refuse in a DestinationRule."""
    spec = rule.get("spec") or {}
    if not isinstance(spec, dict) or not isinstance(spec.get("host"), str) or not spec["host"]:
        return "host: wanted the name of a Service"
    policy = spec.get("trafficPolicy") or {}
    if not isinstance(policy, dict) or not isinstance(policy.get("loadBalancer") or {}, dict):
        return "trafficPolicy: wanted an object"
    subsets = spec.get("subsets") or []
    if not isinstance(subsets, list) or not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in subsets):
        return "subsets: wanted a list of objects with a name"
    return None if all(isinstance(each.get("labels") or {}, dict) for each in subsets) else "subsets.labels: wanted an object"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Translation:
    backends: Backends
    rules: Mapping[str, Sequence[Manifest]]
    """By full host name."""
    virtual_services: Sequence[Manifest]
    problems: list[str] = field(default_factory=list)

    def said(self) -> Said:
        routes: dict[str, list[Json]] = {}
        for virtual_service in self.virtual_services:
            try:
                hosts = [text("hosts", host) for host in (virtual_service.get("spec") or {}).get("hosts") or []]
                made = list(self._routes(virtual_service))
            except (ValueError, TypeError, AttributeError) as error:
                self.problems.append(f"{title(virtual_service)} is left out: {error}")
                continue
            for host in hosts:
                routes.setdefault(full_host(host, namespace_of(virtual_service)), []).extend(made)
        return Said(hosts=routes, clusters=tuple(self._clusters()), problems=self.problems)

    def _clusters(self) -> Iterator[Cluster]:
        for host in self.rules:
            policy = self._lb_policy(host)
            for port in self.backends.ports(host):
                for subset, labels in self._subsets(host):
                    yield self.backends.subset(host, port, subset=subset, labels=labels, lb_policy=policy)

    def _subsets(self, host: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        yield "", {}
        seen = {""}
        for rule in self.rules.get(host, ()):
            for subset in (rule.get("spec") or {}).get("subsets") or []:
                if subset.get("name") and subset["name"] not in seen:
                    seen.add(subset["name"])
                    yield subset["name"], subset.get("labels") or {}

    def _lb_policy(self, host: str) -> str:
        policies = [(rule.get("spec") or {}).get("trafficPolicy") or {} for rule in self.rules.get(host, ())]
        simple = [(policy.get("loadBalancer") or {}).get("simple") for policy in policies]
        return next((_POLICIES[each] for each in simple if each in _POLICIES), "ROUND_ROBIN")

    def _routes(self, virtual_service: Manifest) -> Iterator[Json]:
        namespace, what = namespace_of(virtual_service), title(virtual_service)
        spec = virtual_service.get("spec") or {}
        for kind in ("tls", "tcp"):
            if spec.get(kind):
                self.problems.append(f"{what}: {kind} routes are not emulated, only http")
        for index, http in enumerate(spec.get("http") or []):
            self.problems.extend(f"{what}: http[{index}].{path} is not emulated and has no effect" for path in untranslated(http))
            try:
                yield from map(sound, envoy_routes(http, cluster_of=lambda destination: self._cluster_of(destination, namespace)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.problems.append(f"{what}: http[{index}] is left out: {error}")

    def _cluster_of(self, destination: Mapping[str, Any], namespace: str) -> str:
        host = full_host(str(destination.get("host") or ""), namespace)
        subset = str(destination.get("subset") or "")
        service = self.backends.services.get(host)
        if service is None:
            self.problems.append(f"destination {host}: no such Service; requests for it are answered with 503")
        elif subset and subset not in {known for known, _ in self._subsets(host)}:
            self.problems.append(f"destination {host}: no DestinationRule has a subset {subset!r}; requests for it are answered with 503")
        ports = [int(port["port"]) for port in ((service or {}).get("spec") or {}).get("ports") or []]
        port = int((destination.get("port") or {}).get("number") or 0) or (ports[0] if ports else 0)
        return cluster_name(host, port=port, subset=subset)
