"""What does one Ingress say about a Rollout's traffic, and how does it come to say something else? (Reference 4.2.2, 4.2.3, 4.2.8.)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import MANAGED_ALB_ACTIONS, MANAGED_ALB_ANNOTATIONS
from tiphys.core.intent import Backend, HeaderRoute, Role, TrafficIntent
from tiphys.traffic.alb_annotations import (
    ACTION,
    CONDITIONS,
    Action,
    Group,
    action_text,
    conditional,
    conditions_text,
    managed_text,
    name_of,
    read_action,
    read_conditions,
    read_managed,
    unless_said,
)
from tiphys.traffic.alb_conditions import (
    MOST_PER_RULE,
    Condition,
    check_counts,
    conditions_of,
    matches_of,
    read_condition,
    values_in,
)
from tiphys.traffic.alb_paths import PathTo, default_of, paths_to, patterns_of, rules_of, with_paths
from tiphys.traffic.manifests import annotations, mapping

_MAXIMUM = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """
    How a Rollout writes into its Ingresses.

    *action* is the name under which the weights stand. *port* is that of its Services, *experiments_port* that of experiments'.
    *sticky* is for how many seconds clients stay with a version.
    """

    rollout: str
    action: str
    port: str
    experiments_port: str
    prefix: str
    sticky: int = 0

    def key(self, part: str, name: str) -> str:
        """Give the key of an annotation."""
        return f"{self.prefix}{part}{name}"


def written(manifest: Manifest, hand: Hand, wish: TrafficIntent) -> tuple[Manifest, list[str]]:
    """
    Give the Ingress that says *wish*, and the annotations of somebody else's that stood under the name of a managed route.

    Without a canary in *wish* everything goes to stable, and the Rollout manages nothing any more.

    Raises:
        SpecError: a part is malformed, another Rollout has the annotations, or the rules cannot say a header route.

    """
    kept = annotations(manifest)
    managed = read_managed(kept)
    listed = managed.get(hand.rollout, [])
    rules = rules_of(manifest)
    paths = list(paths_to(rules, hand.action))
    if not paths:
        raise SpecError(field="spec.rules", found=None, wanted=f'needs a path whose backend is the Service "{hand.action}"')
    headers = _header_annotations(manifest, hand, wish, paths)
    split = hand.key(ACTION, hand.action)
    wanted = {split: unless_said(_split(hand, wish), kept.get(split)), **headers}
    _claim(wanted, managed, hand)
    names = [name_of(key) for key in headers if ACTION in key]
    foreign = _foreign(kept, managed, [*headers, *(hand.key(part, name) for name in wish.managed for part in (ACTION, CONDITIONS))])
    foreign -= {hand.key(part, hand.action) for part in (ACTION, CONDITIONS)}
    gone = (conditional(listed) | {name_of(key) for key in foreign}) - {hand.action}
    stays = {key: text for key, text in kept.items() if key not in foreign and not (key in listed and name_of(key) in gone)}
    stays |= {key: _at_rest(stays[key], wish) for key in listed if key in stays and key not in wanted and ACTION in key}
    entry = [*(key for key in listed if key in wanted), *(key for key in wanted if key not in listed)]
    with_canary = wish.backend(Role.CANARY) is not None
    text = managed_text({**managed, hand.rollout: entry if with_canary else []})
    ignored = {MANAGED_ALB_ANNOTATIONS} if with_canary else {MANAGED_ALB_ANNOTATIONS, MANAGED_ALB_ACTIONS}
    others = {key: value for key, value in stays.items() if key not in ignored}
    told = {**others, **wanted, **({MANAGED_ALB_ANNOTATIONS: text} if text else {})}
    lost = sorted(key for key in foreign if kept.get(key) != wanted.get(key))
    return with_annotations(manifest, told, rules, with_paths(rules, hand.action, names, gone)), lost


def names_of(route: str, count: int) -> list[str]:
    """Name the *count* actions of one managed route."""
    return [route if not index else f"{route}-{index}" for index in range(count)]


def shares_in(manifest: Manifest, hand: Hand, *, canary: str, stable: str) -> tuple[int, tuple[Backend, ...]] | None:
    """
    Read what an Ingress gives to the canary and to experiments, in parts of 100; nothing where that cannot be told.

    Without an action the load balancer sends nobody anything, so the canary has nothing.

    Raises:
        SpecError: the annotations are malformed.

    """
    text = annotations(manifest).get(hand.key(ACTION, hand.action))
    if text is None:
        return 0, ()
    action = read_action(text)
    if action is None:
        return None
    total = sum(group.weight for group in action.groups)
    weights: dict[str, int] = {}
    for group in action.groups:
        part = group.weight if total == _MAXIMUM else -(-group.weight * _MAXIMUM // total) if total else 0
        weights[group.service] = weights.get(group.service, 0) + part
    given = min(_MAXIMUM, weights.pop(canary, 0))
    weights.pop(stable, None)
    experiments = []
    left = _MAXIMUM - given
    for service, weight in weights.items():
        experiments.append(Backend(role=Role.EXPERIMENT, service=service, weight=min(left, weight)))
        left -= experiments[-1].weight
    return given, tuple(experiments)


def headers_in(manifest: Manifest, hand: Hand, managed: Sequence[str], wished: Sequence[HeaderRoute]) -> tuple[HeaderRoute, ...]:
    """
    Read the header routes of an Ingress, those in *managed* first and in its order.

    Conditions do not tell in which order a route names its headers; where one of those *wished* for has them, it is that one.

    Raises:
        SpecError: the annotations are malformed.

    """
    kept = annotations(manifest)
    listed = read_managed(kept).get(hand.rollout, [])
    names = [name for name in dict.fromkeys(map(name_of, listed)) if name in conditional(listed)]
    names += [name for name in managed if name not in names and hand.key(CONDITIONS, name) in kept]
    grouped: dict[str, list[Condition]] = {}
    for name in names:
        said = read_conditions(kept.get(hand.key(CONDITIONS, name)))
        condition = read_condition(said[-1]) if said else None
        grouped.setdefault(_route_of(name, managed), []).extend([condition] if condition is not None else [])
    routes = {name: _route(name, conditions, wished) for name, conditions in grouped.items()}
    ordered = [*(name for name in managed if name in routes), *(name for name in routes if name not in managed)]
    return tuple(routes[name] for name in ordered)


def _route(name: str, conditions: Sequence[Condition], wished: Sequence[HeaderRoute]) -> HeaderRoute:
    for route in wished:
        if route.name == name and conditions_of(route) == conditions:
            return route
    return HeaderRoute(name=name, any_of=tuple(match for condition in conditions for match in matches_of(condition)))


def _route_of(name: str, managed: Sequence[str]) -> str:
    """Name the managed route that an action belongs to."""
    base, _, index = name.rpartition("-")
    return base if name not in managed and base in managed and index.isdecimal() else name


def _split(hand: Hand, wish: TrafficIntent) -> Action:
    """Give the action that splits by weight: canary first, then experiments, stable last."""
    of_role = {role: [backend for backend in wish.backends if backend.role is role] for role in Role}
    ordered = [*of_role[Role.CANARY], *of_role[Role.EXPERIMENT], *of_role[Role.STABLE]]
    ports = {Role.EXPERIMENT: hand.experiments_port}
    groups = (Group(service=each.service, port=ports.get(each.role, hand.port), weight=each.weight) for each in ordered)
    return Action(groups=tuple(groups), sticky=hand.sticky)


def _header_annotations(manifest: Manifest, hand: Hand, wish: TrafficIntent, paths: Sequence[PathTo]) -> dict[str, str]:
    """Give the annotations of the header routes in *wish*, those of one name beside each other and in the order of priority."""
    canary = wish.backend(Role.CANARY)
    if canary is None:
        return {}
    group = Group(service=canary.service, port=hand.port, weight=_MAXIMUM)
    action = action_text(Action(groups=(group,), sticky=hand.sticky))
    own = _own_conditions(manifest, hand)
    if wish.header_routes and default_of(manifest) == hand.action:
        wanted = "must lead to another Service: what has no rule has no conditions, so its requests would miss the header routes"
        raise SpecError(field="spec.defaultBackend", found=hand.action, wanted=wanted)
    made: dict[str, str] = {}
    for route in wish.header_routes:
        conditions = conditions_of(route)
        check_counts(conditions)
        for name, condition in zip(names_of(route.name, len(conditions)), conditions, strict=True):
            said = [*own, condition.written()]
            _check_room(paths, said)
            made[hand.key(ACTION, name)] = action
            made[hand.key(CONDITIONS, name)] = conditions_text(said)
    return made


def _own_conditions(manifest: Manifest, hand: Hand) -> list[Mapping[str, Any]]:
    """Give the conditions that the user set for the weights: header routes are to hold for no other requests."""
    key = hand.key(CONDITIONS, hand.action)
    own = read_conditions(annotations(manifest).get(key))
    if own is None:
        found = str(annotations(manifest)[key])[:_SHOWN]
        raise SpecError(field=f"metadata.annotations[{key}]", found=found, wanted="must be a JSON list of conditions")
    return own


def _check_room(paths: Sequence[PathTo], conditions: Sequence[Mapping[str, Any]]) -> None:
    for rule, place, path in paths:
        total = values_in(conditions) + bool(rule.get("host")) + patterns_of(path)
        if total > MOST_PER_RULE:
            wanted = f"at most {MOST_PER_RULE} values of host, path and conditions together: a load balancer takes no more in one rule"
            raise SpecError(field=place, found=f"{total} values", wanted=wanted)


def _claim(wanted: Mapping[str, str], managed: Mapping[str, Sequence[str]], hand: Hand) -> None:
    """Make sure that no other Rollout manages what is *wanted*."""
    for rollout, keys in managed.items():
        taken = [key for key in wanted if key in keys and rollout != hand.rollout]
        if taken:
            wish = f'must not be managed by another Rollout ("{rollout}"): choose another name'
            raise SpecError(field=f"metadata.annotations[{taken[0]}]", found=rollout, wanted=wish)


def _foreign(kept: Mapping[str, Any], managed: Mapping[str, Sequence[str]], keys: Iterable[str]) -> frozenset[str]:
    """Name those of *keys*, which are for managed routes, that stand there although no Rollout manages them yet."""
    known = {key for listed in managed.values() for key in listed}
    return frozenset(key for key in keys if key in kept and key not in known)


def _at_rest(text: object, wish: TrafficIntent) -> object:
    """Give what an action that is no longer ours says: everything to stable, where it sent anything to Services at all."""
    action, stable = read_action(text), wish.backend(Role.STABLE)
    if action is None or stable is None:
        return text
    return action_text(Action(groups=(Group(service=stable.service, port=action.groups[-1].port, weight=_MAXIMUM),), sticky=action.sticky))


def with_annotations(
    manifest: Manifest, told: Mapping[str, object], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Manifest:
    """Give *manifest* with the annotations *told*, and the rules *after* in place of those *before*; itself where nothing differs."""
    if told != annotations(manifest):
        metadata = {key: value for key, value in mapping(manifest.get("metadata"), "metadata").items() if key != "annotations"}
        manifest = {**manifest, "metadata": {**metadata, "annotations": dict(told)} if told else metadata}
    return manifest if list(before) == list(after) else {**manifest, "spec": {**manifest["spec"], "rules": list(after)}}


_SHOWN = 60
