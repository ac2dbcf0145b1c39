"""What is a way to configure a product, as the contract tests meet it? The ways themselves are in `routers` and its neighbours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout, Strategy
from tiphys.core.intent import Backend, Feature, Role, TrafficIntent
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import routers_of

STABLE, CANARY = "web-stable", "web-canary"
MANAGED = ("first", "second", "third")

Objects = Mapping[Ref, Manifest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    One way to configure *product*.

    *places* are paths of maps in which somebody else's fields may stand; *shows* are the features that this setup exercises;
    *without_ours* takes from an object what we may leave behind at rest. *creates* are the objects that the router makes itself, so
    that nothing is wrong while they are missing. *sayable* turns any wish into one that the product can say, where `supports` does not
    tell the whole of it. *only_read* are objects that the router never changes; *beyond* names, for an object, those that nobody finds
    without it; *unnamed* are those that are looked for, so that nobody misses one; *orphans* are those that the reference makes without an
    owner, so that such a one is taken over. *passes* is in how many renderings a wish is in place,
    where S4 takes more than one.
    """

    product: str
    router: Router
    start: Objects
    shows: frozenset[Feature]
    places: tuple[tuple[Ref, tuple[str | int, ...]], ...]
    without_ours: Callable[[Manifest], Manifest] = lambda manifest: manifest
    stable: str = STABLE
    canary: str = CANARY
    maximum: int = 100
    creates: frozenset[Ref] = frozenset()
    sayable: Callable[[TrafficIntent], TrafficIntent] = lambda wish: wish
    only_read: frozenset[Ref] = frozenset()
    beyond: Mapping[Ref, frozenset[Ref]] = field(default_factory=dict)
    unnamed: frozenset[Ref] = frozenset()
    orphans: frozenset[Ref] = frozenset()
    passes: int = 1

    def wish(self, canary: int, **more: Any) -> TrafficIntent:  # noqa: ANN401  the fields have types
        """Give a wish in which the canary gets *canary* parts."""
        backends = (
            Backend(role=Role.STABLE, service=self.stable, pod_hash="55c4d8f7b", weight=self.maximum - canary),
            Backend(role=Role.CANARY, service=self.canary, pod_hash="7d9f6c5b8", weight=canary),
        )
        return TrafficIntent(**{"backends": backends, "managed": MANAGED, "maximum": self.maximum, **more})

    def start_wish(self) -> TrafficIntent:
        """Give the wish of a Rollout at rest: everything to stable, no canary, no routes."""
        stable = Backend(role=Role.STABLE, service=self.stable, pod_hash="55c4d8f7b", weight=self.maximum)
        return TrafficIntent(backends=(stable,), managed=MANAGED, maximum=self.maximum)

    def disturbed(self, noise: object) -> Objects:
        """Give the start with *noise* in a field of its own at every place."""
        objects = dict(self.start)
        for ref, path in self.places:
            objects[ref] = _put(objects[ref], path, noise)
        return objects


PING_PONG: dict[str, Any] = {"canaryService": "", "stableService": "", "pingPong": {"pingService": "web-ping", "pongService": "web-pong"}}
"""What makes a strategy alternate its Services: pong is stable as long as no status says otherwise."""


def alternating(text: str) -> str:
    """Give route objects of canary and stable for the ping and the pong Service."""
    return text.replace(STABLE, "web-pong").replace(CANARY, "web-ping")


def after(setup: Setup, wish: TrafficIntent, found: Objects) -> Objects:
    """Give the objects after *wish* was written to *found*, until it is in place."""
    for _ in range(setup.passes):
        rendered = setup.router.render(wish, found)
        found = {ref: manifest for ref, manifest in {**found, **rendered.apply}.items() if ref not in rendered.absent}
    return found


def _put(value: Any, path: tuple[str | int, ...], noise: object) -> Any:  # noqa: ANN401  any JSON value
    if not path:
        return {**value, "foreign": noise}
    key, *rest = path
    inner = _put(value[key], tuple(rest), noise)
    if isinstance(value, list):
        return [inner if index == key else item for index, item in enumerate(value)]
    return {**value, key: inner}


def strategy(**fields: Any) -> Strategy:  # noqa: ANN401  any JSON value
    """Give a canary strategy from its JSON form."""
    return msgspec.json.decode(msgspec.json.encode({"canary": fields}), type=Strategy)


def router_for(subject: Rollout, settings: Settings | None = None) -> Router:
    """Give the only router of *subject*; `made_of` tells later what it was made of."""
    (router,) = routers_of(subject, settings=settings or Settings())
    _MADE.append((router, subject, settings or Settings()))
    return router


def made_of(router: Router) -> tuple[Rollout, Settings] | None:
    """Give the Rollout and the settings of which `router_for` made *router*; nothing where it was made otherwise."""
    return next(((subject, settings) for known, subject, settings in _MADE if known is router), None)


_MADE: list[tuple[Router, Rollout, Settings]] = []
