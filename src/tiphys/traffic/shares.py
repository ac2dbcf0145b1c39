"""Which shares do the members of one weighted list have, and how are others written?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.api.errors import SpecError
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.traffic.router import Ref

Weighted = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """
    The members of a weighted list by side, as indexes into *route*, which stands at the path *at*.

    *weights* are those in force, in the order of *route*; *foreign* is the sum of those that are not ours.
    """

    route: Weighted
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
    What a list gives to each side, in parts of the wish's maximum; strangers' weights count as the stable side's.

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


def shares(parted: Parted, maximum: int) -> Shares:
    """
    Read what a list gives to each side.

    Weights are relative. In the form in which we write them (canary and experiments as wished, strangers as they were,
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


def weighted(parted: Parted, wish: TrafficIntent, member: Callable[[str, int], Mapping[str, Any]]) -> Weighted:
    """
    Give the list that says the weights of *wish*; the very same one where it already does.

    A key that already means the right thing is left alone. Strangers keep their weights at the expense of the stable side. *member*
    makes the member for an experiment's Service with its weight.

    Raises:
        SpecError: strangers' weights are parts of something else than the wish's maximum.

    """
    if not parted.strays and shares(parted, wish.maximum).says(wish):
        return parted.route
    if parted.foreign and wish.maximum != _HUNDRED and sum(parted.weights) < wish.maximum:
        raise SpecError(field=parted.at, found=sum(parted.weights), wanted=f"weights must add up to maxTrafficWeight, {wish.maximum}")
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
    added = [member(service, weight) for service, weight in sorted(experiments.items()) if service not in parted.experiments]
    return kept + added


def overflow(parted: Parted, wish: TrafficIntent) -> int:
    """Give by how much the weights exceed the wish's maximum because strangers' weights leave no room."""
    return max(0, parted.foreign - wish.weight(Role.STABLE))


def overflow_warning(parted: Parted, wish: TrafficIntent, ref: Ref) -> str:
    """Say by how much strangers' weights exceed what *wish* leaves them in the object *ref*; nothing where they do not."""
    excess = overflow(parted, wish)
    if not excess or shares(parted, wish.maximum).says(wish):
        return ""
    return (
        f"{ref}: the weights of {parted.at} add up to {wish.maximum + excess}: "
        f"services that are not the Rollout's keep {parted.foreign}, so the canary gets less than asked"
    )


def only(indexes: Sequence[int], at: str, wanted: str) -> int:
    """
    Give the one index of *indexes* into the list at the path *at*.

    Raises:
        SpecError: there is none, or more than one.

    """
    if len(indexes) == 1:
        return indexes[0]
    if not indexes:
        raise SpecError(field=at, found=None, wanted=f"needs {wanted}")
    raise SpecError(field=at, found=f"{len(indexes)} destinations", wanted=f"must have exactly one that is {wanted}")


def _backends(weights: Mapping[str, int]) -> tuple[Backend, ...]:
    return tuple(Backend(role=Role.EXPERIMENT, service=service, weight=weight) for service, weight in sorted(weights.items()))


_HUNDRED = 100
