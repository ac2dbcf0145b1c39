"""Which managed routes stand together at each step, and which do objects remember that we wrote?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from tiphys.api.rollout import CanaryStrategy
from tiphys.core.intent import HeaderRoute, MirrorRoute
from tiphys.core.wish import fold_routes

_R = TypeVar("_R", HeaderRoute, MirrorRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The routes in force at a step that sets one; *field* is the part of the step that set it."""

    field: str
    name: str
    headers: tuple[HeaderRoute, ...]
    mirrors: tuple[MirrorRoute, ...]


def standing_routes(canary: CanaryStrategy) -> Iterator[Standing]:
    """Give the routes in force at every step that adds a header or mirror route."""
    routing = canary.traffic_routing
    managed = () if routing is None else tuple(dict.fromkeys(route.name for route in routing.managed_routes))
    for index, step in enumerate(canary.steps):
        for key, route in (("setHeaderRoute", step.set_header_route), ("setMirrorRoute", step.set_mirror_route)):
            if route is not None and route.match:
                headers, mirrors = fold_routes(canary.steps, index, managed)
                yield Standing(field=f"spec.strategy.steps[{index}].{key}", name=route.name, headers=headers, mirrors=mirrors)


def written_down(routes: Sequence[HeaderRoute] | Sequence[MirrorRoute]) -> str:
    """Put *routes* into an annotation, for products whose objects have no place for names; nothing for no routes."""
    return msgspec.json.encode(routes).decode() if routes else ""


def read_back(value: object, kind: type[_R]) -> tuple[_R, ...] | None:
    """Give the routes that `written_down` put into an annotation; nothing where that cannot be read."""
    if value is None or value == "":
        return ()
    try:
        return msgspec.json.decode(value, type=tuple[kind, ...]) if isinstance(value, str) else None  # type: ignore[valid-type]  # a type at run time
    except msgspec.MsgspecError:
        return None
