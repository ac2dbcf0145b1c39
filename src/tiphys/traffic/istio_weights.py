"""Whose are the destinations of one route, and what are their weights?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.traffic.istio_hosts import Side, Sides, short
from tiphys.traffic.manifests import count, entries
from tiphys.traffic.shares import Parted, only

Route = Sequence[Mapping[str, Any]]

LONE_WEIGHT: Final = 100
"""What a destination without a weight gets when it is the only one; beside others it gets nothing."""


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
        at=f"{at}.route",
        weights=weights,
        canary=only(found[Side.CANARY], f"{at}.route", _wanted(sides, Side.CANARY)),
        stable=only(found[Side.STABLE], f"{at}.route", _wanted(sides, Side.STABLE)),
        experiments=experiments,
        strays=frozenset(strays),
        foreign=sum(weights[index] for index in found[Side.FOREIGN]),
    )


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
