"""Which routes does a Rollout name, in the block of its own or in the one of the reference's plugin? (Traffic-routing reference 4.10.1.)"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import LabelSelector, Manifest, Wire
from tiphys.api.rollout import CanaryStrategy, GatewayApiRouting, TrafficRouting
from tiphys.traffic.manifests import mapping
from tiphys.traffic.router import Ref, Search

GROUP: Final = "gateway.networking.k8s.io"
PLUGIN: Final = "argoproj-labs/gatewayAPI"
HTTP, GRPC, TLS, TCP = "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"
KINDS: Final = (HTTP, GRPC, TLS, TCP)
MOST: Final = 1_000_000
"""The largest weight that a route can hold."""

_ROUTING: Final = "spec.strategy.canary.trafficRouting"
_NATIVE: Final = f"{_ROUTING}.gatewayAPI"
_FOREIGN: Final = f"{_ROUTING}.plugins[{PLUGIN}]"
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All routes of *kind* in *namespace* whose labels fit *selector*, which stands in the *field* of the Rollout; weights only."""

    kind: str
    namespace: str
    field: str
    selector: LabelSelector
    label: Label | None = None

    @property
    def searches(self) -> Sequence[Search]:
        """Look for routes by one of the labels that they must have, in each of the values that it may have."""
        pairs = [f"{key}={value}" for key, value in sorted(self.selector.match_labels.items())[:1]]
        asked = {each.operator: each for each in reversed(self.selector.match_expressions)}
        if not pairs and "In" in asked:
            pairs = [f"{asked['In'].key}={value}" for value in asked["In"].values]
        if not pairs and "Exists" in asked:
            pairs = [asked["Exists"].key]
        return [Search(group=GROUP, kind=self.kind, namespace=self.namespace, name=pair) for pair in pairs]

    def fits(self, ref: Ref, manifest: Manifest) -> bool:
        """Tell whether the object is meant."""
        if (ref.group, ref.kind, ref.namespace) != (GROUP, self.kind, self.namespace):
            return False
        try:
            return self.selector.matches(dict(_labels(manifest)))
        except SpecError:
            return False

    def missing(self) -> SpecError:
        """Say that no route fits."""
        chosen = self.selector.text()
        wanted = f"must fit at least one {self.kind} ({self.kind} {self.namespace}/{chosen.replace(' ', '')})"
        return SpecError(field=self.field, found=chosen, wanted=wanted)


def mentions(route: Manifest) -> Iterable[str]:
    """Give the labels of *route* as `Choice` looks for them: `key=value`, and `key`."""
    try:
        labels = _labels(route)
    except SpecError:
        return ()
    return [*labels, *(f"{key}={value}" for key, value in labels.items())]


def _labels(manifest: Manifest) -> Mapping[str, Any]:
    return mapping(mapping(manifest.get("metadata"), "metadata").get("labels"), "metadata.labels")


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
    http_route_selector: LabelSelector | None = None
    grpc_route_selector: LabelSelector | None = None
    tcp_route_selector: LabelSelector | None = None
    tls_route_selector: LabelSelector | None = None
    namespace: str = ""
    disable_in_progress_label: bool = False
    in_progress_label_key: str = "rollouts.argoproj.io/gatewayapi-canary"
    in_progress_label_value: str = "in-progress"


def block_of(routing: TrafficRouting) -> object:
    """Give the block that asks for this router, or nothing."""
    return routing.gateway_api if routing.gateway_api is not None else routing.plugins.get(PLUGIN)


def targets_of(routing: TrafficRouting, namespace: str) -> tuple[tuple[Target, ...], tuple[Choice, ...], tuple[SpecError, ...]]:
    """Give the routes that *routing* of a Rollout in *namespace* names, those it chooses by labels, and what is wrong with it."""
    targets: list[Target] = []
    choices: list[Choice] = []
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
            choices += _choices(spec, namespace)
            if not named and not choices:
                wanted = "needs a route: one of httpRoute, grpcRoute, tlsRoute, tcpRoute, their lists or their selectors"
                problems.append(SpecError(field=_FOREIGN, found=None, wanted=wanted))
            problems += _unsearchable(choices)
            targets += named
    problems += [
        SpecError(field=each.field, found=None, wanted=f"needs the name of a {each.ref.kind}") for each in targets if not each.ref.name
    ]
    problems += _twice(targets)
    return tuple(dict.fromkeys(target for target in targets if target.ref.name)), tuple(choices), tuple(problems)


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
    label = _progress_label(spec)
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


def _choices(spec: PluginSpec, namespace: str) -> Iterator[Choice]:
    selectors = {
        HTTP: ("httpRouteSelector", spec.http_route_selector),
        GRPC: ("grpcRouteSelector", spec.grpc_route_selector),
        TLS: ("tlsRouteSelector", spec.tls_route_selector),
        TCP: ("tcpRouteSelector", spec.tcp_route_selector),
    }
    for kind, (key, selector) in selectors.items():
        if selector is not None:
            yield Choice(
                kind=kind, namespace=spec.namespace or namespace, field=f"{_FOREIGN}.{key}", selector=selector, label=_progress_label(spec)
            )


def _unsearchable(choices: Sequence[Choice]) -> Iterator[SpecError]:
    for choice in choices:
        if not choice.searches:
            wanted = "must ask for a label that routes have (matchLabels, or an expression with In or Exists)"
            yield SpecError(field=choice.field, found=choice.selector.text() or None, wanted=wanted)
        for each in choice.selector.match_expressions:
            if each.operator not in _OPERATORS:
                wanted = f"must have one of {', '.join(_OPERATORS)}"
                yield SpecError(field=f"{choice.field}.matchExpressions.operator", found=each.operator, wanted=wanted)


def _progress_label(spec: PluginSpec) -> Label | None:
    return None if spec.disable_in_progress_label else Label(key=spec.in_progress_label_key, value=spec.in_progress_label_value)


def _twice(targets: Sequence[Target]) -> Iterator[SpecError]:
    seen: set[Ref] = set()
    for target in targets:
        if target.ref in seen and target.ref.name:
            yield SpecError(field=target.field, found=target.ref.name, wanted="must be listed once")
        seen.add(target.ref)
