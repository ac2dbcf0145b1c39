"""Which shares do the destinations of one route have, and how are others written?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.traffic.istio_hosts import Side, Sides, short
from tiphys.traffic.manifests import count, entries

Route = Sequence[Mapping[str, Any]]

LONE_WEIGHT: Final = 100
"""What a destination without a weight gets when it is the only one; beside others it gets nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """
    The destinations of a route by side, as indexes into *route*.

    *weights* are those in force, in the order of *route*; *foreign* is the sum of those that are not ours.
    """

    route: Route
    at: str
    weights: tuple[int, ...]
    canary: int
    stable: int
    experiments: Mapping[str, int] = field(default_factory=dict)
    strays: frozenset[int] = frozenset()
    foreign: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """
    What a route gives to each side, in parts of the wish's maximum; strangers' weights count as the stable side's.

    *exact* is false where the weights do not come out in whole parts.
    """

    canary: int
    stable: int
    experiments: tuple[Backend, ...] = ()
    exact: bool = True

    def says(self, wish: TrafficIntent) -> bool:
        """Tell whether these are the shares of *wish*."""
        return (
            self.exact
            and self.canary == wish.weight(Role.CANARY)
            and self.stable == wish.weight(Role.STABLE)
            and {(backend.service, backend.weight) for backend in self.experiments} == set(wished_experiments(wish).items())
        )


def wished_experiments(wish: TrafficIntent) -> dict[str, int]:
    """
    Give the weight of each experiment Service in *wish*.

    Raises:
        SpecError: an experiment has no Service.

    """
    wished = {backend.service: backend.weight for backend in wish.backends if backend.role is Role.EXPERIMENT}
    if "" in wished:
        raise SpecError(field="spec.strategy.steps", found=None, wanted="a Service for every experiment template with a weight")
    return wished


def sides_in(entry: Mapping[str, Any], at: str, sides: Sides) -> list[Side]:
    """
    Tell whose the destinations of *entry* are, in order.

    Raises:
        SpecError: the route is malformed.

    """
    route = entries(entry.get("route"), f"{at}.route")
    return [sides.of(item, f"{at}.route[{index}]") for index, item in enumerate(route)]


def part(entry: Mapping[str, Any], at: str, sides: Sides) -> Parted:
    """
    Sort the destinations of *entry* by side.

    Raises:
        SpecError: the route is malformed, or has not exactly one destination for the canary and one for the stable side.

    """
    route = entries(entry.get("route"), f"{at}.route")
    weights = tuple(_weight(item, f"{at}.route[{index}]", alone=len(route) == 1) for index, item in enumerate(route))
    found: dict[Side, list[int]] = {side: [] for side in Side}
    for index, side in enumerate(sides_in(entry, at, sides)):
        found[side].append(index)
    experiments: dict[str, int] = {}
    strays = set(found[Side.STRAY])
    for index in found[Side.EXPERIMENT]:
        if experiments.setdefault(short(route[index]["destination"]["host"]), index) != index:
            strays.add(index)
    return Parted(
        route=route,
        at=at,
        weights=weights,
        canary=_only(found[Side.CANARY], at, _wanted(sides, Side.CANARY)),
        stable=_only(found[Side.STABLE], at, _wanted(sides, Side.STABLE)),
        experiments=experiments,
        strays=frozenset(strays),
        foreign=sum(weights[index] for index in found[Side.FOREIGN]),
    )


def shares(parted: Parted, maximum: int) -> Shares:
    """
    Read what a route gives to each side.

    Weights are relative in Istio. In the form in which we write them (canary and experiments as wished, strangers as they were,
    stable the rest) they are taken as they stand; any other form is brought to parts of *maximum*, the canary's rounded up.
    """
    canary, stable = parted.weights[parted.canary], parted.weights[parted.stable]
    experiments = {service: parted.weights[index] for service, index in parted.experiments.items()}
    lost = sum(parted.weights[index] for index in parted.strays)
    rest = maximum - canary - sum(experiments.values())
    if not lost and rest >= 0 and stable == max(0, rest - parted.foreign):
        return Shares(canary=canary, stable=rest, experiments=_backends(experiments))
    total = sum(parted.weights)
    if total == 0:
        return Shares(canary=0, stable=maximum, experiments=_backends(experiments), exact=False)
    scaled = {service: weight * maximum // total for service, weight in experiments.items()}
    part_of_canary = -(-canary * maximum // total)
    return Shares(
        canary=part_of_canary,
        stable=max(0, maximum - part_of_canary - sum(scaled.values())),
        experiments=_backends(scaled),
        exact=not lost and all(weight * maximum % total == 0 for weight in (canary, *experiments.values())),
    )


def weighted(parted: Parted, wish: TrafficIntent, host_of: Mapping[str, str]) -> Route:
    """
    Give the route that says the weights of *wish*; the very same one where it already does.

    A key that already means the right thing is left alone. Strangers keep their weights at the expense of the stable side. *host_of*
    gives the host under which an experiment's Service is written.

    Raises:
        SpecError: strangers' weights are parts of something else than the wish's maximum.

    """
    if not parted.strays and shares(parted, wish.maximum).says(wish):
        return parted.route
    if parted.foreign and wish.maximum != LONE_WEIGHT and sum(parted.weights) < wish.maximum:
        raise SpecError(
            field=f"{parted.at}.route", found=sum(parted.weights), wanted=f"weights must add up to maxTrafficWeight, {wish.maximum}"
        )
    experiments = wished_experiments(wish)
    wanted = {parted.canary: wish.weight(Role.CANARY), parted.stable: max(0, wish.weight(Role.STABLE) - parted.foreign)}
    gone = set(parted.strays)
    for service, index in parted.experiments.items():
        if service in experiments:
            wanted[index] = experiments[service]
        else:
            gone.add(index)
    kept = [
        item if wanted.get(index, parted.weights[index]) == parted.weights[index] else {**item, "weight": wanted[index]}
        for index, item in enumerate(parted.route)
        if index not in gone
    ]
    added = [
        {"weight": weight, "destination": {"host": host_of[service]}}
        for service, weight in sorted(experiments.items())
        if service not in parted.experiments
    ]
    return kept + added


def overflow(parted: Parted, wish: TrafficIntent) -> int:
    """Give by how much the weights exceed the wish's maximum because strangers' weights leave no room."""
    return max(0, parted.foreign - wish.weight(Role.STABLE))


def _weight(item: Mapping[str, Any], at: str, *, alone: bool) -> int:
    weight = item.get("weight")
    if weight is None:
        return LONE_WEIGHT if alone else 0
    return count(weight, f"{at}.weight")


def _wanted(sides: Sides, side: Side) -> str:
    subset = ""
    if sides.rule is not None:
        subset = sides.rule.canary_subset_name if side is Side.CANARY else sides.rule.stable_subset_name
    service = sides.canary if side is Side.CANARY else sides.stable
    names = [f'subset "{subset}"'] if subset else []
    names += [f'host "{service}"'] if service else []
    return f"the {side} destination ({' or '.join(names) or 'its name is missing'})"


def _only(indexes: Sequence[int], at: str, wanted: str) -> int:
    if len(indexes) == 1:
        return indexes[0]
    if not indexes:
        raise SpecError(field=f"{at}.route", found=None, wanted=f"needs {wanted}")
    raise SpecError(field=f"{at}.route", found=f"{len(indexes)} destinations", wanted=f"must have exactly one that is {wanted}")


def _backends(weights: Mapping[str, int]) -> tuple[Backend, ...]:
    return tuple(Backend(role=Role.EXPERIMENT, service=service, weight=weight) for service, weight in sorted(weights.items()))
