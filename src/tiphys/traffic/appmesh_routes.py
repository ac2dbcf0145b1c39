"""Where does an App Mesh VirtualService lead, and how do the routes of its VirtualRouter split?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import Role, TrafficIntent
from tiphys.traffic.manifests import count, entries, mapping, text
from tiphys.traffic.shares import Parted, weighted

KINDS: Final = ("httpRoute", "http2Route", "grpcRoute", "tcpRoute")
"""The protocols of a route: one of these keys holds what it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A VirtualNode."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """The *index*-th route of a VirtualRouter, what its protocol is called, and its two targets by side."""

    index: int
    kind: str
    parted: Parted


def router_of(service: Manifest) -> tuple[str, str]:
    """
    Give name and namespace (empty: the service's own) of the VirtualRouter that provides *service*.

    Raises:
        SpecError: it is malformed, or something else provides it.

    """
    at = "spec.provider.virtualRouter.virtualRouterRef"
    provider = mapping(mapping(service.get("spec"), "spec").get("provider"), "spec.provider")
    router = mapping(provider.get("virtualRouter"), "spec.provider.virtualRouter")
    reference = mapping(router.get("virtualRouterRef"), at)
    name = text(reference.get("name"), f"{at}.name")
    if not name:
        raise SpecError(field=at, found=None, wanted="must name a VirtualRouter: nothing else can split")
    return name, text(reference.get("namespace"), f"{at}.namespace")


def carriers(router: Manifest, names: Sequence[str], nodes: Mapping[Role, Node], namespace: str) -> list[Carrier]:
    """
    Give the routes of *router*, an object of *namespace*, that are meant: those with *names*, or all of them.

    Raises:
        SpecError: one is missing or malformed, or does not split between the two *nodes*.

    """
    listed = entries(mapping(router.get("spec"), "spec").get("routes"), "spec.routes")
    known = {text(route.get("name"), f"spec.routes[{index}].name"): index for index, route in enumerate(listed)}
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise SpecError(field="spec.routes", found=there, wanted=f'needs the route "{name}", which virtualService.routes names')
    if not listed:
        raise SpecError(field="spec.routes", found=None, wanted="needs at least one route")
    chosen = [known[name] for name in names] or list(range(len(listed)))
    return [_carrier(listed[index], index, nodes, namespace) for index in chosen]


def _carrier(route: Mapping[str, Any], index: int, nodes: Mapping[Role, Node], namespace: str) -> Carrier:
    at = f"spec.routes[{index}]"
    kind = next((kind for kind in KINDS if route.get(kind) is not None), None)
    if kind is None:
        raise SpecError(field=at, found=text(route.get("name"), f"{at}.name"), wanted=f"must have one of {', '.join(KINDS)}")
    at = f"{at}.{kind}.action.weightedTargets"
    targets = _targets(route, kind, at)
    reached = [_reached(target, f"{at}[{place}]", namespace) for place, target in enumerate(targets)]
    wanted = (nodes[Role.CANARY], nodes[Role.STABLE])
    if len(targets) != len(wanted) or set(reached) != set(wanted):
        names = ", ".join(node.name if node.namespace == namespace else f"{node.namespace}/{node.name}" for node in reached)
        wanted_names = " and ".join(node.name for node in wanted)
        raise SpecError(field=at, found=names or None, wanted=f"must be exactly the two VirtualNodes {wanted_names}")
    weights = tuple(count(target.get("weight"), f"{at}[{place}].weight") for place, target in enumerate(targets))
    canary, stable = (reached.index(node) for node in wanted)
    return Carrier(index=index, kind=kind, parted=Parted(route=targets, at=at, weights=weights, canary=canary, stable=stable))


def weighing(router: Manifest, carried: Sequence[Carrier], wish: TrafficIntent) -> Manifest:
    """Give *router* with the weights of *wish* in the routes *carried*; the very same where they stand there."""
    after = [(carrier, weighted(carrier.parted, wish, _no_experiments)) for carrier in carried]
    if all(targets is carrier.parted.route for carrier, targets in after):
        return router
    listed = list(router["spec"]["routes"])
    for carrier, targets in after:
        route = listed[carrier.index]
        protocol = route[carrier.kind]
        listed[carrier.index] = {**route, carrier.kind: {**protocol, "action": {**protocol["action"], "weightedTargets": targets}}}
    return {**router, "spec": {**router["spec"], "routes": listed}}


def mentions(router: Manifest) -> Iterable[tuple[str, str]]:
    """Name the VirtualNodes to which *router* leads, with their namespaces; what is malformed leads nowhere."""
    found: set[tuple[str, str]] = set()
    try:
        namespace = text(mapping(router.get("metadata"), "metadata").get("namespace"), "metadata.namespace")
        listed = entries(mapping(router.get("spec"), "spec").get("routes"), "spec.routes")
    except SpecError:
        return found
    for route in listed:
        for kind in KINDS:
            try:
                found |= {(node.namespace, node.name) for node in _nodes(route, kind, namespace)}
            except SpecError:
                continue
    return found


def _nodes(route: Mapping[str, Any], kind: str, namespace: str) -> Iterator[Node]:
    return (_reached(target, "", namespace) for target in _targets(route, kind, ""))


def _targets(route: Mapping[str, Any], kind: str, at: str) -> Sequence[Mapping[str, Any]]:
    return entries(mapping(mapping(route.get(kind), at).get("action"), at).get("weightedTargets"), at)


def _reached(target: Mapping[str, Any], at: str, namespace: str) -> Node:
    reference = mapping(target.get("virtualNodeRef"), f"{at}.virtualNodeRef")
    name = text(reference.get("name"), f"{at}.virtualNodeRef.name")
    return Node(namespace=text(reference.get("namespace"), f"{at}.virtualNodeRef.namespace") or namespace, name=name)


def _no_experiments(service: str, _weight: int) -> Mapping[str, Any]:
    raise SpecError(field="spec.strategy.steps", found=service, wanted="App Mesh carries no experiments")
