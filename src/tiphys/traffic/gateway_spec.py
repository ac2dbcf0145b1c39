"""Which routes does a Rollout name, in the block of its own or in the one of the reference's plugin? (Traffic-routing reference 4.10.1.)"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import Wire
from tiphys.api.rollout import CanaryStrategy, GatewayApiRouting, TrafficRouting
from tiphys.traffic.router import Ref

GROUP: Final = "gateway.networking.k8s.io"
PLUGIN: Final = "argoproj-labs/gatewayAPI"
HTTP, GRPC, TLS, TCP = "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"
MOST: Final = 1_000_000
"""The largest weight that a route can hold."""

_ROUTING: Final = "spec.strategy.canary.trafficRouting"
_NATIVE: Final = f"{_ROUTING}.gatewayAPI"
_FOREIGN: Final = f"{_ROUTING}.plugins[{PLUGIN}]"
_RULE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What marks a route while the canary gets traffic."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    One route, named in the *field* of the Rollout.

    *rules* are the names of those of its rules that are meant; without any, all that have both Services. *takes_routes* says whether
    header and mirror routes are written to it.
    """

    ref: Ref
    field: str
    rules: tuple[str, ...] = ()
    takes_routes: bool = False
    label: Label | None = None


class PluginRoute(Wire, frozen=True):
    """One route in a list of the plugin's."""

    name: str = ""
    use_header_routes: bool = False


class PluginSpec(Wire, frozen=True):
    """What the reference's plugin reads."""

    http_route: str = ""
    grpc_route: str = ""
    tcp_route: str = ""
    tls_route: str = ""
    http_routes: tuple[PluginRoute, ...] = ()
    grpc_routes: tuple[PluginRoute, ...] = ()
    tcp_routes: tuple[PluginRoute, ...] = ()
    tls_routes: tuple[PluginRoute, ...] = ()
    http_route_selector: dict[str, msgspec.Raw] | None = None
    grpc_route_selector: dict[str, msgspec.Raw] | None = None
    tcp_route_selector: dict[str, msgspec.Raw] | None = None
    tls_route_selector: dict[str, msgspec.Raw] | None = None
    namespace: str = ""
    disable_in_progress_label: bool = False
    in_progress_label_key: str = "rollouts.argoproj.io/gatewayapi-canary"
    in_progress_label_value: str = "in-progress"


def block_of(routing: TrafficRouting) -> object:
    """Give the block that asks for this router, or nothing."""
    return routing.gateway_api if routing.gateway_api is not None else routing.plugins.get(PLUGIN)


def targets_of(routing: TrafficRouting, namespace: str) -> tuple[tuple[Target, ...], tuple[SpecError, ...]]:
    """Give the routes that *routing* of a Rollout in *namespace* names, and what is wrong with how it names them."""
    targets: list[Target] = []
    problems: list[SpecError] = []
    if routing.gateway_api is not None:
        targets += _native(routing.gateway_api, namespace)
        if not targets:
            problems.append(SpecError(field=_NATIVE, found=None, wanted="needs one of httpRoutes, grpcRoutes, tlsRoutes, tcpRoutes"))
    raw = routing.plugins.get(PLUGIN)
    if raw is not None:
        try:
            spec = msgspec.json.decode(raw, type=PluginSpec)
        except msgspec.ValidationError as error:
            problems.append(SpecError(field=_FOREIGN, found=PLUGIN, wanted=f"must have the form that this plugin reads ({error})"))
        else:
            named = list(_of_plugin(spec, namespace))
            problems += _plugin_problems(spec, named)
            targets += named
    problems += [
        SpecError(field=each.field, found=None, wanted=f"needs the name of a {each.ref.kind}") for each in targets if not each.ref.name
    ]
    problems += _twice(targets)
    return tuple(dict.fromkeys(target for target in targets if target.ref.name)), tuple(problems)


def canary_problems(canary: CanaryStrategy, targets: Sequence[Target]) -> Iterator[SpecError]:
    """Name what the rest of the strategy asks of the router and no route can hold."""
    routing = canary.traffic_routing or TrafficRouting()
    if (routing.max_traffic_weight or 0) > MOST:
        field = f"{_ROUTING}.maxTrafficWeight"
        yield SpecError(field=field, found=routing.max_traffic_weight, wanted=f"must be at most {MOST}, the largest weight of a route")
    if not any(target.takes_routes for target in targets):
        return
    names = list(dict.fromkeys(route.name for route in routing.managed_routes))
    for name in names:
        if _RULE_NAME.fullmatch(name) is None:
            wanted = "must be lower-case letters, digits, dashes and dots, as the name of a rule is"
            yield SpecError(field=f"{_ROUTING}.managedRoutes", found=name, wanted=wanted)
        other = managed_name(name, [known for known in names if known != name])
        if other is not None:
            wanted = f'must not be "{other}" with a number: that is how the rules of "{other}" are named'
            yield SpecError(field=f"{_ROUTING}.managedRoutes", found=name, wanted=wanted)


def managed_name(rule_name: object, managed: Sequence[str]) -> str | None:
    """Give the managed route whose rule *rule_name* names: `beta`, `beta-1`, `beta-2` are those of `beta`."""
    if not isinstance(rule_name, str) or not rule_name:
        return None
    if rule_name in managed:
        return rule_name
    start, dash, number = rule_name.rpartition("-")
    return start if dash and number.isdecimal() and start in managed else None


def _native(block: GatewayApiRouting, namespace: str) -> Iterator[Target]:
    lists = (
        (HTTP, "httpRoutes", block.http_routes),
        (GRPC, "grpcRoutes", block.grpc_routes),
        (TLS, "tlsRoutes", block.tls_routes),
        (TCP, "tcpRoutes", block.tcp_routes),
    )
    for kind, key, routes in lists:
        for index, route in enumerate(routes):
            yield Target(
                ref=Ref(group=GROUP, kind=kind, namespace=route.namespace or namespace, name=route.name),
                field=f"{_NATIVE}.{key}[{index}]",
                rules=route.rules,
                takes_routes=kind in {HTTP, GRPC},
            )


def _of_plugin(spec: PluginSpec, namespace: str) -> Iterator[Target]:
    where = spec.namespace or namespace
    label = None if spec.disable_in_progress_label else Label(key=spec.in_progress_label_key, value=spec.in_progress_label_value)
    lists: Mapping[str, tuple[str, tuple[PluginRoute, ...], str]] = {
        HTTP: ("http", spec.http_routes, spec.http_route),
        GRPC: ("grpc", spec.grpc_routes, spec.grpc_route),
        TLS: ("tls", spec.tls_routes, spec.tls_route),
        TCP: ("tcp", spec.tcp_routes, spec.tcp_route),
    }
    for kind, (word, several, single) in lists.items():
        named = [(f"{word}Routes[{index}]", route.name, route.use_header_routes) for index, route in enumerate(several)]
        named += [(f"{word}Route", single, True)] if single else []
        for key, name, wanted in named:
            yield Target(
                ref=Ref(group=GROUP, kind=kind, namespace=where, name=name),
                field=f"{_FOREIGN}.{key}",
                takes_routes=wanted and kind in {HTTP, GRPC},
                label=label,
            )


def _plugin_problems(spec: PluginSpec, named: Sequence[Target]) -> Iterator[SpecError]:
    selectors = {
        "httpRouteSelector": spec.http_route_selector,
        "grpcRouteSelector": spec.grpc_route_selector,
        "tlsRouteSelector": spec.tls_route_selector,
        "tcpRouteSelector": spec.tcp_route_selector,
    }
    chosen = [key for key, selector in selectors.items() if selector is not None]
    for key in chosen:
        wanted = "routes cannot be chosen by labels in this version of Tiphys: name them"
        yield SpecError(field=f"{_FOREIGN}.{key}", found=key, wanted=wanted)
    if not named and not chosen:
        yield SpecError(field=_FOREIGN, found=None, wanted="needs a route: one of httpRoute, grpcRoute, tlsRoute, tcpRoute or their lists")


def _twice(targets: Sequence[Target]) -> Iterator[SpecError]:
    seen: set[Ref] = set()
    for target in targets:
        if target.ref in seen and target.ref.name:
            yield SpecError(field=target.field, found=target.ref.name, wanted="must be listed once")
        seen.add(target.ref)
