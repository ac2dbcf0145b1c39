"""
What do HTTPRoutes ask of a gateway, and does Traefik, which serves them here, say the same? (pure)

Awaited are the rules of HTTPRoutes with what they compare, their weights and pods; not other kinds of routes, and not what filters
do. A rule with a filter that Traefik lacks (RequestMirror) is refused by it, and that is what is awaited then.
"""

import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Found, Json, Manifest, namespace_of
from tiphys.devcluster.proxies.traefik_says import (
    PORT,
    SERVICE,
    Key,
    Raw,
    TraefikPlane,
    addresses_in,
    compared,
    gather,
    listed,
    one_word,
    quoted_in,
    services_say,
    serving,
    spec_of,
)

GROUP = "gateway.networking.k8s.io"
GATEWAY, NAMESPACE = "traefik", "default"
"""The Gateway that comes with the plane: routes of every namespace may name it as their parent."""
_CLASSES, _GATEWAYS, _ROUTES = (GROUP, "gatewayclasses"), (GROUP, "gateways"), (GROUP, "httproutes")
_CONTROLLER = "traefik.io/gateway-controller"
_ROUTE = "HTTPRoute"
_ROUTER = re.compile(r"httproute-(?P<route>.+?)-gw-.+-ep-.+-(?P<rule>\d+)-[0-9a-f]{20}")
_MEMBER = re.compile(r"(?P<router>httproute-.+-[0-9a-f]{20})-svc-(?P<service>.+)-\d+")
_REFUSED = "refused"
_UNKNOWN_FILTERS = frozenset({"RequestMirror", "CORS", "ExternalAuth"})


def _objects_say(found: Found) -> dict[Key, Hashable]:
    return services_say(found) | gather(_rules(found))


def _rules(found: Found) -> Iterator[tuple[Key, Hashable]]:
    classes = {each["metadata"]["name"] for each in found.get(_CLASSES, ()) if spec_of(each).get("controllerName") == _CONTROLLER}
    gateways = {
        (namespace_of(each), str(each["metadata"]["name"])): each
        for each in found.get(_GATEWAYS, ())
        if spec_of(each).get("gatewayClassName") in classes
    }
    services = frozenset(serving(found))
    for route in found.get(_ROUTES, ()):
        if not any(_takes(gateways, parent, namespace_of(route)) for parent in listed(spec_of(route).get("parentRefs"))):
            continue
        key = (_ROUTE, one_word(namespace_of(route), str(route["metadata"]["name"])))
        hosts = [str(host) for host in spec_of(route).get("hostnames") or () if "*" not in str(host)]
        for index, rule in enumerate(listed(spec_of(route).get("rules"))):
            shares = _shares(rule, namespace_of(route), services)
            for match in listed(rule.get("matches")):
                yield key, (index, compared([*hosts, *_values(match)]), shares)


def _takes(gateways: Mapping[tuple[str, str], Manifest], parent: Mapping[str, Any], namespace: str) -> bool:
    """Whether a listener of the parent, if that is a Gateway of Traefik's, takes routes from *namespace*."""
    home = str(parent.get("namespace") or namespace)
    gateway = gateways.get((home, str(parent.get("name"))))
    if gateway is None or parent.get("kind", "Gateway") != "Gateway":
        return False
    for listener in listed(spec_of(gateway).get("listeners")):
        source = ((listener.get("allowedRoutes") or {}).get("namespaces") or {}).get("from", "Same")
        named = parent.get("sectionName") in (None, listener.get("name")) and parent.get("port") in (None, listener.get("port"))
        if named and listener.get("port") == PORT and (source == "All" or (source == "Same" and home == namespace)):
            return True
    return False


def _values(match: Mapping[str, Any]) -> Iterator[str]:
    path = match.get("path") or {}
    yield str(path.get("value") or "/")
    if match.get("method"):
        yield str(match["method"])
    for condition in (*listed(match.get("headers")), *listed(match.get("queryParams"))):
        yield str(condition.get("name"))
        yield str(condition.get("value"))


def _shares(rule: Mapping[str, Any], namespace: str, services: frozenset[tuple[str, str]]) -> Hashable:
    """Give each backend with its weight, and whether requests for it are answered with an error, because there is no such Service."""
    if any(each.get("type") in _UNKNOWN_FILTERS for each in listed(rule.get("filters"))):
        return _REFUSED
    found = []
    for backend in listed(rule.get("backendRefs")):
        name = (str(backend.get("namespace") or namespace), str(backend.get("name")))
        found.append((one_word(*name), _weight(backend), name not in services))
    return tuple(found)


def _weight(backend: Mapping[str, Any]) -> int:
    return 1 if backend.get("weight") is None else int(backend["weight"])


def _traefik_says(raw: Raw) -> dict[Key, Hashable]:
    return _services(raw) | gather(_routers(raw))


def _services(raw: Raw) -> dict[Key, Hashable]:
    found: dict[Key, Hashable] = {}
    for name, service in raw.services.items():
        if "loadBalancer" in service and (member := _MEMBER.fullmatch(name)):
            found[SERVICE, member["service"]] = frozenset(addresses_in(service))
    return found


def _routers(raw: Raw) -> Iterator[tuple[Key, Hashable]]:
    for name, router in raw.routers.items():
        if (named := _ROUTER.fullmatch(name)) is None:
            continue
        weighted = raw.services.get(str(router["service"]), {}).get("weighted") or {}
        shares: Hashable = tuple(_share(member, raw) for member in listed(weighted.get("services")))
        if str(router["service"]).endswith("-err-wrr"):
            shares = _REFUSED
        yield (_ROUTE, named["route"]), (int(named["rule"]), quoted_in(str(router["rule"])), shares)


def _share(member: Mapping[str, Any], raw: Raw) -> tuple[str, int, bool]:
    """Give a member with its weight; one that answers with an error has no service behind it."""
    name = str(member["name"])
    named = _MEMBER.fullmatch(name)
    return (named["service"] if named else "", int(member.get("weight", 1)), name not in raw.services)


def _brought() -> tuple[Json, ...]:
    listener = {"name": "web", "protocol": "HTTP", "port": PORT, "allowedRoutes": {"namespaces": {"from": "All"}}}
    return (
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "traefik"},
            "spec": {"controllerName": _CONTROLLER},
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Gateway",
            "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
        },
    )


GATEWAY_API = TraefikPlane(
    provider="kubernetesgateway",
    # Filters may name Middlewares; IngressRoutes are for the other plane.
    flags=("kubernetescrd.ingressclass=none",),
    beside=("kubernetescrd",),
    watches=(GROUP, "traefik.io"),
    kinds=frozenset({SERVICES, SLICES, _CLASSES, _GATEWAYS, _ROUTES}),
    brings=_brought(),
    objects_say=_objects_say,
    traefik_says=_traefik_says,
)
