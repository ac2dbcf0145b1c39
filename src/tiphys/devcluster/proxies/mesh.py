"""
What has a mesh proxy to do, given VirtualServices, DestinationRules, Services, EndpointSlices and pods? (pure)

Written from the documentation of these kinds and not from our router: a twin would confirm the router's misunderstandings.
One listener stands for sidecars and gateways together, and the request's host picks the VirtualService or Service.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.mesh_match import Json
from tiphys.devcluster.proxies.mesh_routes import envoy_routes, untranslated

_DOMAIN = "svc.cluster.local"
Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshObjects:
    """The objects a mesh reads."""

    services: Sequence[Manifest] = ()
    endpoint_slices: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    virtual_services: Sequence[Manifest] = ()
    destination_rules: Sequence[Manifest] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshConfig:
    """What Envoy is told; *problems* says in words what cannot be done as written."""

    clusters: tuple[Json, ...]
    endpoints: Mapping[str, Json]
    """Cluster name to its load assignment."""
    virtual_hosts: tuple[Json, ...]
    problems: tuple[str, ...] = ()

    def addresses(self) -> frozenset[str]:
        """Every pod address that may get a request."""
        return frozenset(
            each["endpoint"]["address"]["socket_address"]["address"]
            for assignment in self.endpoints.values()
            for locality in assignment["endpoints"]
            for each in locality["lb_endpoints"]
        )


def translate(found: MeshObjects) -> MeshConfig:
    """Translate everything *found*; equal objects give an equal configuration, in whatever order they come."""
    return _Translation.of(found).config()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    address: str
    port: int
    labels: Mapping[str, str]
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Translation:
    """The objects by the keys they are looked up with."""

    services: Mapping[str, Manifest]
    """By full host name."""
    endpoints: Mapping[tuple[str, str], Sequence[_Endpoint]]
    """Ready endpoints, and terminating ones that still serve, by (full host name, port name)."""
    rules: Mapping[str, Sequence[Manifest]]
    virtual_services: Sequence[Manifest]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, found: MeshObjects) -> "_Translation":
        services = {host_of(service): service for service in sorted(found.services, key=_by_name)}
        rules: dict[str, list[Manifest]] = defaultdict(list)
        for rule in sorted(found.destination_rules, key=_by_age):
            rules[full_host(str((rule.get("spec") or {}).get("host") or ""), _namespace(rule))].append(rule)
        return cls(
            services=services,
            endpoints=_serving_endpoints(found),
            rules=rules,
            virtual_services=sorted(found.virtual_services, key=_by_age),
        )

    def config(self) -> MeshConfig:
        clusters, endpoints = self._clusters()
        return MeshConfig(
            clusters=tuple(clusters),
            endpoints=endpoints,
            virtual_hosts=tuple(self._virtual_hosts()),
            problems=tuple(dict.fromkeys(self.problems)),
        )

    def _clusters(self) -> tuple[list[Json], dict[str, Json]]:
        clusters: list[Json] = []
        assignments: dict[str, Json] = {}
        for host, service in self.services.items():
            for port in (service.get("spec") or {}).get("ports") or []:
                if (port.get("protocol") or "TCP") != "TCP":
                    continue
                found = self.endpoints.get((host, str(port.get("name") or "")), ())
                for subset, labels in self._subsets(host):
                    name = cluster_name(host, port=int(port["port"]), subset=subset)
                    clusters.append({"name": name, "lb_policy": self._lb_policy(host)})
                    assignments[name] = _assignment(name, [each for each in found if labels.items() <= each.labels.items()])
        return clusters, assignments

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
        known = {"ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM", "LEAST_REQUEST": "LEAST_REQUEST", "LEAST_CONN": "LEAST_REQUEST"}
        return next((known[each] for each in simple if each in known), "ROUND_ROBIN")

    def _virtual_hosts(self) -> Iterator[Json]:
        routes: dict[str, list[Json]] = {}
        for virtual_service in self.virtual_services:
            made = list(self._routes(virtual_service))
            for host in (virtual_service.get("spec") or {}).get("hosts") or []:
                routes.setdefault(full_host(host, _namespace(virtual_service)), []).extend(made)
        taken: set[str] = set()
        for host in (*self.services, *(host for host in sorted(routes) if host not in self.services)):
            domains = [domain for domain in self._domains(host) if domain not in taken]
            taken.update(domains)
            own = routes[host] if host in routes else self._plain(host)
            if domains and own:
                yield {"name": host, "domains": domains, "routes": own}

    def _routes(self, virtual_service: Manifest) -> Iterator[Json]:
        namespace, name = _namespace(virtual_service), (virtual_service.get("metadata") or {}).get("name")
        spec = virtual_service.get("spec") or {}
        for kind in ("tls", "tcp"):
            if spec.get(kind):
                self.problems.append(f"VirtualService {namespace}/{name}: {kind} routes are not emulated, only http")
        for index, http in enumerate(spec.get("http") or []):
            self.problems.extend(
                f"VirtualService {namespace}/{name}: http[{index}].{path} is not emulated and has no effect" for path in untranslated(http)
            )
            try:
                yield from envoy_routes(http, cluster_of=lambda destination: self._cluster_of(destination, namespace))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.problems.append(f"VirtualService {namespace}/{name}: http[{index}] is left out: {error}")

    def _cluster_of(self, destination: Mapping[str, Any], namespace: str) -> str:
        host = full_host(str(destination.get("host") or ""), namespace)
        subset = str(destination.get("subset") or "")
        service = self.services.get(host)
        if service is None:
            self.problems.append(f"destination {host}: no such Service; requests for it are answered with 503")
        elif subset and subset not in {known for known, _ in self._subsets(host)}:
            self.problems.append(f"destination {host}: no DestinationRule has a subset {subset!r}; requests for it are answered with 503")
        ports = [int(port["port"]) for port in ((service or {}).get("spec") or {}).get("ports") or []]
        port = int((destination.get("port") or {}).get("number") or 0) or (ports[0] if ports else 0)
        return cluster_name(host, port=port, subset=subset)

    def _plain(self, host: str) -> list[Json]:
        """A Service that no VirtualService speaks of: everything to its first port."""
        ports = (self.services[host].get("spec") or {}).get("ports") or []
        tcp = [int(port["port"]) for port in ports if (port.get("protocol") or "TCP") == "TCP"]
        if not tcp:
            return []
        return [{"match": {"prefix": "/"}, "route": {"cluster": cluster_name(host, port=tcp[0], subset=""), "timeout": "0s"}}]

    def _domains(self, host: str) -> list[str]:
        """Every name that cluster DNS would answer for *host*; the bare name belongs to the namespace `default`, else to the first."""
        if not host.endswith(f".{_DOMAIN}") or host.startswith("*"):
            return [host]
        name, namespace = host.removesuffix(f".{_DOMAIN}").split(".", 1)
        forms = [host, f"{name}.{namespace}.svc", f"{name}.{namespace}"]
        default = f"{name}.default.{_DOMAIN}"
        return [*forms, name] if host == default or default not in self.services else forms


def cluster_name(host: str, *, port: int, subset: str) -> str:
    """Name the cluster as a mesh operator would look for it."""
    return f"outbound|{port}|{subset}|{host}"


def full_host(host: str, namespace: str) -> str:
    """Complete a short name with the namespace of the object that says it; a name with a dot is taken as it stands."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.{_DOMAIN}"


def host_of(service: Manifest) -> str:
    """Give the full host name of *service*."""
    return full_host(str(service["metadata"]["name"]), _namespace(service))


def _serving_endpoints(found: MeshObjects) -> dict[tuple[str, str], list[_Endpoint]]:
    labels = {(_namespace(pod), pod["metadata"]["name"]): pod["metadata"].get("labels") or {} for pod in found.pods}
    endpoints: dict[tuple[str, str], list[_Endpoint]] = defaultdict(list)
    for endpoint_slice in sorted(found.endpoint_slices, key=_by_name):
        namespace = _namespace(endpoint_slice)
        service = (endpoint_slice["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if not service:
            continue
        for port in endpoint_slice.get("ports") or []:
            for each in endpoint_slice.get("endpoints") or []:
                conditions = each.get("conditions") or {}
                ready = conditions.get("ready") is not False and not conditions.get("terminating")
                if not ready and not (conditions.get("terminating") and conditions.get("serving")):
                    continue
                target = each.get("targetRef") or {}
                endpoints[full_host(service, namespace), str(port.get("name") or "")].append(
                    _Endpoint(
                        address=each["addresses"][0],
                        port=int(port["port"]),
                        labels=labels.get((target.get("namespace") or namespace, target.get("name", "")), {}),
                        ready=ready,
                    )
                )
    return endpoints


def _assignment(name: str, endpoints: Sequence[_Endpoint]) -> Json:
    """
    Spread over the ready endpoints; where there is none, over those that terminate and still serve.

    That is how kube-proxy treats a Service whose last pods are leaving.
    """
    ready = [each for each in endpoints if each.ready]
    addresses = sorted({(each.address, each.port) for each in ready or endpoints})
    return {
        "cluster_name": name,
        "endpoints": [
            {
                "lb_endpoints": [
                    {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}} for address, port in addresses
                ]
            }
        ]
        if addresses
        else [],
    }


def _namespace(manifest: Manifest) -> str:
    return str((manifest.get("metadata") or {}).get("namespace") or "default")


def _by_name(manifest: Manifest) -> tuple[str, str]:
    return _namespace(manifest), str(manifest["metadata"]["name"])


def _by_age(manifest: Manifest) -> tuple[str, str, str]:
    return str(manifest["metadata"].get("creationTimestamp") or ""), *_by_name(manifest)
