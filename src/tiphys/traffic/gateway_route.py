"""What does one route of the Gateway API say, and how does it come to say a wish? (Traffic-routing reference 4.10, 7.2.)"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS, ROUTED_ROUTES
from tiphys.core.intent import HeaderRoute, MirrorRoute, Role, Routed, TrafficIntent
from tiphys.traffic.gateway_match import Match, arranged_matches, sources
from tiphys.traffic.gateway_spec import HTTP, Label, Target, managed_name
from tiphys.traffic.manifests import annotations, count, entries, mapping, text, with_annotation
from tiphys.traffic.shares import Parted, only, overflow, shares, weighted, wished_experiments
from tiphys.traffic.together import combine

Rule = Mapping[str, Any]

INHERITED: Final = ("filters", "timeouts", "retry")
"""What a managed rule takes over from the rule that carries the weights."""

_SERVICE: Final = ("group", "kind", "name", "namespace", "port")
_ALONE: Final = 1
"""The weight of a backend that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Which Services of which namespace are the canary's and the stable side's, and which experiments' we are about to write."""

    namespace: str
    canary: str
    stable: str
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """The header and mirror routes that the managed rules of a route object stand for, each kind in the order of their names."""

    headers: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()

    def by_name(self) -> dict[str, HeaderRoute | MirrorRoute]:
        """Give all of them by name."""
        return {**{route.name: route for route in self.headers}, **{route.name: route for route in self.mirrors}}

    def in_order(self, names: Sequence[str]) -> list[HeaderRoute | MirrorRoute]:
        """Give all of them in the order of *names*."""
        known = self.by_name()
        return [known[name] for name in dict.fromkeys((*names, *known)) if name in known]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One rule that carries weights, at its *index*; *parted* are its backends by side, *matches* what it answers."""

    index: int
    rule: Rule
    parted: Parted
    matches: Sequence[Match] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    A route object as found, taken apart.

    *managed* are the names of managed routes (none where the object takes none); *written* is what its own annotation says stands
    under them.
    """

    manifest: Manifest
    target: Target
    services: Services
    rules: Sequence[Rule]
    carriers: Sequence[Carrier]
    managed: Sequence[str]
    written: Managed

    @property
    def away(self) -> bool:
        """Tell whether it lives in another namespace than the Rollout."""
        return self.target.ref.namespace != self.services.namespace


def take_apart(manifest: Manifest, target: Target, services: Services, managed: Sequence[str]) -> Route:
    """
    Find in *manifest* the rules that *target* means, and their backends.

    Raises:
        SpecError: the object is malformed, or does not have what the Rollout needs; the field is a path in the object.

    """
    rules = entries(mapping(manifest.get("spec"), "spec").get("rules"), "spec.rules")
    names = tuple(dict.fromkeys(managed)) if target.takes_routes else ()
    recorded = _recorded_experiments(manifest)
    mapping(mapping(manifest.get("metadata"), "metadata").get("labels"), "metadata.labels")
    carriers = []
    for index, rule in enumerate(rules):
        at = f"spec.rules[{index}]"
        name = text(rule.get("name"), f"{at}.name")
        if managed_name(name, names) is not None or (target.rules and name not in target.rules):
            continue
        parted = _part(rule, at, target, services, recorded, named=bool(target.rules))
        if parted is None:
            continue
        if target.takes_routes:
            for key in INHERITED[:1]:
                entries(rule.get(key), f"{at}.{key}")
            matches = sources(rule, at, http=target.ref.kind == HTTP)
        else:
            matches = []
        carriers.append(Carrier(index=index, rule=rule, parted=parted, matches=matches))
    _all_there(target, rules, carriers, services)
    return Route(
        manifest=manifest,
        target=target,
        services=services,
        rules=rules,
        carriers=carriers,
        managed=names,
        written=_recorded_routes(manifest) if target.takes_routes else Managed(),
    )


def said(route: Route, maximum: int) -> Routed | None:
    """Read what the rules that carry weights say, and which managed routes stand above them."""
    managed, in_order = _standing(route)
    found = [shares(carrier.parted, maximum) for carrier in route.carriers]
    return combine(
        [
            Routed(
                canary=share.canary,
                stable=share.stable,
                experiments=share.experiments,
                header_routes=managed.headers,
                mirrors=managed.mirrors,
                uniform=share.exact and in_order,
            )
            for share in found
        ]
    )


def written(route: Route, wish: TrafficIntent) -> Manifest:
    """
    Give the route object that says *wish*; only what changes on the way to a changed value is copied.

    Raises:
        SpecError: it cannot express the wish.

    """
    carriers = [_reweighted(route, carrier, wish) for carrier in route.carriers]
    wished = Managed(headers=wish.header_routes, mirrors=wish.mirrors) if route.target.takes_routes else Managed()
    own = managed_rules(replace(route, carriers=carriers), wished, wish.managed)
    changed = {carrier.index: carrier.rule for carrier in carriers}
    nameless = _nameless(route)
    if own and nameless and not any(rule.get("name") for rule in route.rules):
        wanted = "needs Gateway API 1.4 (1.2 in the experimental channel): the API server took away the name of a rule that was written"
        raise SpecError(field=f"spec.rules[{min(nameless)}].name", found=None, wanted=wanted)
    rest = [
        changed.get(index, rule)
        for index, rule in enumerate(route.rules)
        if index not in nameless and managed_name(rule.get("name"), route.managed) is None
    ]
    rules = [*own, *rest]
    manifest = route.manifest
    if rules != route.rules:
        manifest = {**manifest, "spec": {**manifest["spec"], "rules": rules}}
    manifest = with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(wished_experiments(wish))))
    if route.target.takes_routes:
        manifest = with_annotation(manifest, ROUTED_ROUTES, _record(wished))
    label = route.target.label
    return manifest if label is None else _with_label(manifest, label, present=wish.weight(Role.CANARY) > 0)


def managed_rules(route: Route, wished: Managed, names: Sequence[str]) -> list[Rule]:
    """
    Give the rules that say the header and mirror routes *wished*, one for each rule that carries weights, in the order of *names*.

    Raises:
        SpecError: one of them cannot be written; the field is that of the Rollout.

    """
    ordered = wished.in_order(names)
    if not ordered:
        return []
    http = route.target.ref.kind == HTTP
    found = [(carrier, arranged_matches(ordered, carrier.matches, http=http)) for carrier in route.carriers]
    rules: list[Rule] = []
    for each in ordered:
        places = [(carrier, matches[each.name]) for carrier, matches in found if matches[each.name]]
        if not places:
            raise SpecError(
                field="spec.strategy.canary.trafficRouting.managedRoutes",
                found=each.name,
                wanted="no request that the weighted rules answer can fulfil its conditions",
            )
        for number, (carrier, matches) in enumerate(places):
            name = f"{each.name}-{number}" if number else each.name
            rules.append({"name": name, "matches": matches, **_behaviour(each, carrier)})
    return rules


def warnings(route: Route, wish: TrafficIntent) -> list[str]:
    """Name what a person should know: foreign rules that go because their name is managed (S6), and weights beyond the maximum."""
    known = route.written.by_name()
    wished = Managed(headers=wish.header_routes, mirrors=wish.mirrors).by_name()
    told = []
    for rule in route.rules:
        name = managed_name(rule.get("name"), route.managed)
        if name is not None and name not in known and not _is_the_plugins(rule, route):
            end = "replaced" if name in wished else "removed"
            told.append(f'managedRoutes claims the name of the rule "{rule["name"]}", which Tiphys did not write: it is {end}')
    for carrier in route.carriers:
        excess = overflow(carrier.parted, wish)
        if excess and not shares(carrier.parted, wish.maximum).says(wish):
            told.append(
                f"the weights of {carrier.parted.at} add up to {wish.maximum + excess}: "
                f"backends that are not the Rollout's keep {carrier.parted.foreign}, so the canary gets less than asked"
            )
    return told


def _is_the_plugins(rule: Rule, route: Route) -> bool:
    """Tell whether *rule*, under a managed name, has the form in which the reference's plugin writes header routes (4.10.3)."""
    backends = entries(rule.get("backendRefs"), "spec.rules.backendRefs")
    return len(backends) == 1 and _service(backends[0], "backendRefs", route.target, route.services) == route.services.canary


def _behaviour(wished: HeaderRoute | MirrorRoute, carrier: Carrier) -> Rule:
    """Give what a managed rule does with its requests: as the carrier does, but all to the canary, or with a copy to it."""
    kept = {key: carrier.rule[key] for key in INHERITED if carrier.rule.get(key)}
    backends = carrier.parted.route
    canary = backends[carrier.parted.canary]
    if isinstance(wished, HeaderRoute):
        return {**kept, "backendRefs": [{**_backend(canary), "weight": _ALONE}]}
    mirror: dict[str, Any] = {"backendRef": {key: value for key, value in _backend(canary).items() if key in _SERVICE}}
    if wished.percent != 100:
        mirror["percent"] = wished.percent
    return {
        **kept,
        "filters": [*kept.get("filters", ()), {"type": "RequestMirror", "requestMirror": mirror}],
        "backendRefs": [{**_backend(backend), "weight": backend.get("weight", _ALONE)} for backend in backends],
    }


def _backend(found: Rule) -> dict[str, Any]:
    """Copy what a backend is, with what the API server would fill in."""
    known = {key: found[key] for key in (*_SERVICE, "filters") if found.get(key)}
    return {"group": "", "kind": "Service", **known}


def _reweighted(route: Route, carrier: Carrier, wish: TrafficIntent) -> Carrier:
    canary = carrier.parted.route[carrier.parted.canary]
    port = {"port": canary["port"]} if "port" in canary else {}
    space = {"namespace": route.services.namespace} if route.away else {}

    def member(service: str, weight: int) -> Rule:
        return {"group": "", "kind": "Service", "name": service, **space, **port, "weight": weight}

    backends = weighted(carrier.parted, wish, member)
    if backends is carrier.parted.route:
        return carrier
    at = next(index for index, item in enumerate(backends) if _service(item, "", route.target, route.services) == route.services.canary)
    return replace(carrier, rule={**carrier.rule, "backendRefs": backends}, parted=replace(carrier.parted, route=backends, canary=at))


def _standing(route: Route) -> tuple[Managed, bool]:
    """Give the managed routes that stand in the object, and whether they stand as we would write them and nothing else does."""
    present = [rule for rule in route.rules if managed_name(rule.get("name"), route.managed) is not None]
    names = {managed_name(rule.get("name"), route.managed) for rule in present}
    known = Managed(
        headers=tuple(one for one in route.written.headers if one.name in names),
        mirrors=tuple(one for one in route.written.mirrors if one.name in names),
    )
    try:
        own = managed_rules(route, route.written, route.managed)
    except SpecError:
        return known, False
    return known, len(own) == len(present) and own == list(route.rules[: len(own)]) and not _nameless(route)


def _nameless(route: Route) -> frozenset[int]:
    """Find the rules that we wrote with a name which an older API server does not keep: what they answer tells them."""
    names = {rule.get("name") for rule in route.rules}
    try:
        lost = [rule["matches"] for rule in managed_rules(route, route.written, route.managed) if rule["name"] not in names]
    except SpecError:
        return frozenset()
    return frozenset(index for index, rule in enumerate(route.rules) if not rule.get("name") and lost and rule.get("matches") in lost)


def _part(rule: Rule, at: str, target: Target, services: Services, recorded: Collection[str], *, named: bool) -> Parted | None:
    """Sort the backends of *rule* by side; nothing where nobody *named* it and one of the two Services is missing."""
    at = f"{at}.backendRefs"
    backends = entries(rule.get("backendRefs"), at)
    if not named and not _name_both(backends, services):
        return None  # most rules of a large object: nothing else of them is looked at
    weights = tuple(
        _ALONE if backend.get("weight") is None else count(backend["weight"], f"{at}[{index}].weight")
        for index, backend in enumerate(backends)
    )
    found: dict[str, list[int]] = {}
    for index, backend in enumerate(backends):
        service = _service(backend, f"{at}[{index}]", target, services)
        if service is not None:
            found.setdefault(service, []).append(index)
    canary, stable = found.get(services.canary, []), found.get(services.stable, [])
    if not named and not (canary and stable):
        return None
    experiments, strays = _experiments(found, backends, services, recorded)
    ours = {*canary, *stable, *experiments.values(), *strays}
    return Parted(
        route=backends,
        at=at,
        weights=weights,
        canary=only(canary, at, f'the canary backend (Service "{services.canary}")'),
        stable=only(stable, at, f'the stable backend (Service "{services.stable}")'),
        experiments=experiments,
        strays=frozenset(strays),
        foreign=sum(weight for index, weight in enumerate(weights) if index not in ours),
    )


def _name_both(backends: Sequence[Rule], services: Services) -> bool:
    named = [backend.get("name") for backend in backends]
    return services.canary in named and services.stable in named


def _experiments(
    found: Mapping[str, Sequence[int]], backends: Sequence[Rule], services: Services, recorded: Collection[str]
) -> tuple[dict[str, int], set[int]]:
    """Give the backends of experiments by Service, and those that name one of them again."""
    first: dict[str, int] = {}
    strays: set[int] = set()
    for service, indexes in found.items():
        if service in {services.canary, services.stable} or (service not in recorded and service not in services.wanted):
            continue
        bare = [index for index in indexes if backends[index].keys() <= {*_SERVICE, "weight"}]
        if bare:
            first[service] = bare[0]
            strays.update(bare[1:])
    return first, strays


def _service(backend: Rule, at: str, target: Target, services: Services) -> str | None:
    """Give the Service of the Rollout's namespace that *backend* is, or nothing where it is something else."""
    group, kind = text(backend.get("group"), f"{at}.group"), text(backend.get("kind"), f"{at}.kind") or "Service"
    space = text(backend.get("namespace"), f"{at}.namespace") or target.ref.namespace
    name = text(backend.get("name"), f"{at}.name")
    return name if name and not group and kind == "Service" and space == services.namespace else None


def _all_there(target: Target, rules: Sequence[Rule], carriers: Iterable[Carrier], services: Services) -> None:
    carrying = {carrier.rule.get("name") for carrier in carriers}
    known = ", ".join(sorted({str(rule["name"]) for rule in rules if rule.get("name")}))
    for name in target.rules:
        if name not in carrying:
            raise SpecError(field="rules", found=name, wanted=f"must be the name of a rule; there are: {known or 'none with a name'}")
    if not carrying:
        wanted = f'needs a rule with a backend for Service "{services.canary}" and one for Service "{services.stable}"'
        raise SpecError(field="spec.rules", found=None, wanted=wanted)


def _recorded_experiments(manifest: Manifest) -> frozenset[str]:
    names = text(annotations(manifest).get(ROUTED_EXPERIMENTS), f"metadata.annotations[{ROUTED_EXPERIMENTS}]")
    return frozenset(names.split(",")) if names else frozenset()


def _recorded_routes(manifest: Manifest) -> Managed:
    """Read our own note of the managed routes; one that somebody spoilt tells nothing."""
    note = text(annotations(manifest).get(ROUTED_ROUTES), f"metadata.annotations[{ROUTED_ROUTES}]")
    try:
        return msgspec.json.decode(note, type=Managed) if note else Managed()
    except msgspec.DecodeError:
        return Managed()


def _record(wished: Managed) -> str:
    return msgspec.json.encode(wished).decode() if wished.headers or wished.mirrors else ""


def _with_label(manifest: Manifest, label: Label, *, present: bool) -> Manifest:
    metadata = mapping(manifest.get("metadata"), "metadata")
    found = mapping(metadata.get("labels"), "metadata.labels")
    if (found.get(label.key) == label.value) if present else (label.key not in found):
        return manifest
    rest = {key: value for key, value in found.items() if key != label.key}
    labels = {**rest, label.key: label.value} if present else rest
    others = {key: value for key, value in metadata.items() if key != "labels"}
    return {**manifest, "metadata": {**others, "labels": labels} if labels else others}
