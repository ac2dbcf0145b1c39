"""
What has every plane in common: Services as clusters with endpoints, and names that requests are sent to? (pure)

A plane says what its product's objects ask for; what is said together becomes one configuration of one proxy.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Manifest = Mapping[str, Any]
Kind = tuple[str, str]
"""Group and plural: what all versions of a kind have in common."""
Found = Mapping[Kind, Sequence[Manifest]]

SERVICES, SLICES, PODS = ("", "services"), ("discovery.k8s.io", "endpointslices"), ("", "pods")
DOMAIN = "svc.cluster.local"
ANY_HOST = "*"
EVERYTHING: Json = {"prefix": "/"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster and the endpoints it spreads requests over."""

    cluster: Json
    assignment: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one plane wants of the proxy."""

    hosts: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Routes by full host name, as cluster DNS knows it: for planes that stand between callers and Services."""
    domains: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Routes by the literal Host header, or a pattern such as `*` or `*.example`: for planes at the edge of the cluster."""
    clusters: Sequence[Cluster] = ()
    """Further clusters, and those that replace the one of a Service."""
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    address: str
    port: int
    labels: Mapping[str, str]
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Services and who stands behind them."""

    services: Mapping[str, Manifest]
    """By full host name."""
    endpoints: Mapping[tuple[str, str], Sequence[_Endpoint]]
    """Ready endpoints, and terminating ones that still serve, by (full host name, port name)."""

    @classmethod
    def of(cls, found: Found) -> "Backends":
        """Look Services, EndpointSlices and pods up in *found*."""
        services = {host_of(service): service for service in sorted(found.get(SERVICES, ()), key=by_name)}
        return cls(services=services, endpoints=_serving_endpoints(found))

    def ports(self, host: str) -> list[Mapping[str, Any]]:
        """Give the TCP ports of a Service; none if there is no such Service."""
        ports = (self.services.get(host, {}).get("spec") or {}).get("ports") or []
        return [port for port in ports if (port.get("protocol") or "TCP") == "TCP"]

    def cluster(self, host: str, port: Mapping[str, Any], **more: Any) -> Cluster:  # noqa: ANN401 - fields of an Envoy cluster
        """Make the cluster of one port of a Service."""
        return self.subset(host, port, subset="", labels={}, **more)

    def subset(self, host: str, port: Mapping[str, Any], *, subset: str, labels: Mapping[str, str], **more: Any) -> Cluster:  # noqa: ANN401 - see cluster
        """Make the cluster of those endpoints whose pods have *labels*."""
        name = cluster_name(host, port=int(port["port"]), subset=subset)
        found = self.endpoints.get((host, str(port.get("name") or "")), ())
        assignment = _assignment(name, [each for each in found if labels.items() <= each.labels.items()])
        return Cluster(cluster={"name": name, "lb_policy": "ROUND_ROBIN", **more}, assignment=assignment)

    def named(self, host: str, port: int | str | None = None) -> str:
        """
        Name the cluster of a Service's port, which is given by number or name; its first one by default.

        Raises: LookupError in words when there is no such Service or port.
        """
        if host not in self.services:
            raise LookupError(f"no Service {short_host(host)}")
        ports = self.ports(host)
        for each in ports:
            if port is None or port in (each["port"], each.get("name")):
                return cluster_name(host, port=int(each["port"]))
        there = ", ".join(str(each["port"]) for each in ports) or "none"
        raise LookupError(f"Service {short_host(host)} has no port {port!r} (its ports: {there})")

    def clusters(self) -> Iterator[Cluster]:
        """Make the clusters of all Services."""
        for host in self.services:
            for port in self.ports(host):
                yield self.cluster(host, port)

    def plain(self, host: str) -> list[Json]:
        """Route a Service that no plane speaks of: everything to its first port, as to a ClusterIP."""
        return [simple_route(EVERYTHING, self.named(host))] if self.ports(host) else []

    def names(self, host: str) -> list[str]:
        """Every name that cluster DNS would answer for *host*; the bare name belongs to the namespace `default`, else to the first."""
        if not host.endswith(f".{DOMAIN}") or host.startswith("*"):
            return [host]
        name, namespace = host.removesuffix(f".{DOMAIN}").split(".", 1)
        forms = [host, f"{name}.{namespace}.svc", f"{name}.{namespace}"]
        default = f"{name}.default.{DOMAIN}"
        return [*forms, name] if host == default or default not in self.services else forms


def together(backends: Backends, said: Sequence[Said]) -> ProxyConfig:
    """
    Join what several planes said.

    For one host the routes of an earlier plane come first; a cluster that two planes replace is the earlier one's.
    A Service that no plane speaks of is reached by its names.
    """
    made = {each.cluster["name"]: each for each in backends.clusters()}
    for one in reversed(said):
        made |= {each.cluster["name"]: each for each in one.clusters}
    return ProxyConfig(
        clusters=tuple(made[name].cluster for name in sorted(made)),
        endpoints={name: made[name].assignment for name in sorted(made)},
        virtual_hosts=tuple(
            _virtual_hosts(backends, hosts=_joined(one.hosts for one in said), domains=_joined(one.domains for one in said))
        ),
        problems=tuple(dict.fromkeys(problem for one in said for problem in one.problems)),
    )


def _joined(several: Iterable[Mapping[str, Sequence[Json]]]) -> dict[str, list[Json]]:
    joined: dict[str, list[Json]] = defaultdict(list)
    for routes in several:
        for host, own in routes.items():
            joined[host].extend(own)
    return dict(joined)


def _virtual_hosts(backends: Backends, *, hosts: Mapping[str, list[Json]], domains: Mapping[str, list[Json]]) -> Iterator[Json]:
    taken = {domain for domain, routes in domains.items() if routes}
    for host in (*backends.services, *(host for host in sorted(hosts) if host not in backends.services)):
        free = [domain for domain in backends.names(host) if domain not in taken]
        routes = hosts[host] if host in hosts else backends.plain(host)
        taken.update(free)
        if free and routes:
            yield {"name": host, "domains": free, "routes": routes}
    for domain in sorted(domains):
        if domains[domain]:
            yield {"name": f"edge|{domain}", "domains": [domain], "routes": domains[domain]}


def by_domain(rules: Iterable[tuple[Sequence[str], Json]]) -> dict[str, list[Json]]:
    """
    Give every Host header that *rules* name the routes that hold for it, in the order of *rules*.

    A rule is its hosts (exact, `*.example`, `example.*`; none or `*`: any) and its route.
    """
    listed = [(tuple(hosts) or (ANY_HOST,), route) for hosts, route in rules]
    named = sorted({host for hosts, _ in listed for host in hosts})
    return {domain: [route for hosts, route in listed if any(_covers(host, domain) for host in hosts)] for domain in named}


def _covers(host: str, domain: str) -> bool:
    if host in (ANY_HOST, domain):
        return True
    if host.startswith("*"):
        return domain.endswith(host[1:])
    return host.endswith("*") and domain.startswith(host[:-1])


def simple_route(match: Mapping[str, Any], cluster: str) -> Json:
    """Route everything that matches to one cluster, however long it takes."""
    return {"match": dict(match), "route": {"cluster": cluster, "timeout": "0s"}}


def weighted(shares: Sequence[tuple[str, int]]) -> Json:
    """
    Give the part of a route's action that spreads requests over clusters by weight.

    Raises: ValueError when the weights add up to nothing.
    """
    if any(weight < 0 for _, weight in shares):
        raise ValueError("a weight is negative, wanted 0 or more")
    if not any(weight for _, weight in shares):
        raise ValueError("the weights add up to 0, wanted more")
    if len(shares) == 1:
        return {"cluster": shares[0][0]}
    return {"weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in shares]}}


def mirror_policy(cluster: str, share: float) -> Json:
    """Copy *share* (0 to 1) of a route's requests to *cluster*."""
    fraction = {"numerator": round(share * 1_000_000), "denominator": "MILLION"}
    return {"cluster": cluster, "runtime_fraction": {"default_value": fraction}, "trace_sampled": False}


def cluster_name(host: str, *, port: int, subset: str = "") -> str:
    """Name the cluster as a mesh operator would look for it."""
    return f"outbound|{port}|{subset}|{host}"


def full_host(host: str, namespace: str) -> str:
    """Complete a short name with the namespace of the object that says it; a name with a dot is taken as it stands."""
    return host if "." in host or host == ANY_HOST else f"{host}.{namespace}.{DOMAIN}"


def dns_host(name: str, namespace: str) -> str:
    """Resolve *name* as a pod in *namespace* would: `web`, `web.shop`, `web.shop.svc` and the full name mean the same Service."""
    bare = name.removesuffix(".").removesuffix(".cluster.local").removesuffix(".svc")
    parts = bare.split(".")
    if len(parts) == 1:
        return f"{bare}.{namespace}.{DOMAIN}"
    return f"{bare}.{DOMAIN}" if len(parts) == 2 else name


def short_host(host: str) -> str:
    """Write a full host name as `namespace/name` for a message."""
    name, _, namespace = host.removesuffix(f".{DOMAIN}").partition(".")
    return f"{namespace}/{name}" if host.endswith(f".{DOMAIN}") else host


def host_of(service: Manifest) -> str:
    """Give the full host name of *service*."""
    return full_host(str(service["metadata"]["name"]), namespace_of(service))


def namespace_of(manifest: Manifest) -> str:
    """Give the namespace of an object."""
    return str((manifest.get("metadata") or {}).get("namespace") or "default")


def title(manifest: Manifest) -> str:
    """Name an object in a message: `Mapping shop/parcel`."""
    return f"{manifest.get('kind')} {namespace_of(manifest)}/{(manifest.get('metadata') or {}).get('name')}"


def by_name(manifest: Manifest) -> tuple[str, str]:
    """Order objects by namespace and name."""
    return namespace_of(manifest), str(manifest["metadata"]["name"])


def by_age(manifest: Manifest) -> tuple[str, str, str]:
    """Order objects by their age, the oldest first, then by name."""
    return str(manifest["metadata"].get("creationTimestamp") or ""), *by_name(manifest)


def _serving_endpoints(found: Found) -> dict[tuple[str, str], list[_Endpoint]]:
    labels = {(namespace_of(pod), pod["metadata"]["name"]): pod["metadata"].get("labels") or {} for pod in found.get(PODS, ())}
    endpoints: dict[tuple[str, str], list[_Endpoint]] = defaultdict(list)
    for endpoint_slice in sorted(found.get(SLICES, ()), key=by_name):
        namespace = namespace_of(endpoint_slice)
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
