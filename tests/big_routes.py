"""Objects with many routes for every router: what a wish costs to render has to stay small (issue: under 1 ms for 200 routes)."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from router_setup import CANARY, MANAGED, STABLE, Objects, Setup, router_for
from routers import SETUPS
from routers_appmesh import app_mesh_block, app_mesh_rollout
from tiphys.api.meta import Manifest
from tiphys.core.intent import Feature, HeaderMatch, HeaderRoute, MatchKind, TextMatch, TrafficIntent
from tiphys.traffic.router import Ref, Router

LISTS: Final[Mapping[str, tuple[str, tuple[str | int, ...]]]] = {
    "istio by host": ("VirtualService", ("spec", "http")),
    "nginx": ("Ingress", ("spec", "rules", 0, "http", "paths")),
    "alb": ("Ingress", ("spec", "rules", 0, "http", "paths")),
    "app mesh": ("VirtualRouter", ("spec", "routes")),
    "traefik": ("IngressRoute", ("spec", "routes")),
    "traefik tcp": ("IngressRouteTCP", ("spec", "routes")),
    "apisix": ("ApisixRoute", ("spec", "http")),
    "gateway http": ("HTTPRoute", ("spec", "rules")),
    "gateway grpc": ("GRPCRoute", ("spec", "rules")),
    "gateway tcp": ("TCPRoute", ("spec", "rules")),
}
"""Where the object of a setup has its routes, by its kind. What is missing here has one route an object."""

_LISTED: Final = {SETUPS[name].product for name in LISTS}
SINGLE: Final = tuple({setup.product: name for name, setup in reversed(SETUPS.items()) if setup.product not in _LISTED}.values())
"""One setup of each product whose objects have one route each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Big:
    """One object with many routes, at *ref* among those *found*, and a wish that changes it."""

    router: Router
    wish: TrafficIntent
    found: Objects
    ref: Ref

    @property
    def text(self) -> str:
        """Give the object as it is read."""
        return json.dumps(self.found[self.ref])


def big(name: str, routes: int) -> Big:
    """Give the setup *name* with an object of so many *routes*, all but its own somebody else's; ours are in the middle."""
    setup = SETUPS[name]
    if name in SINGLE:
        found = dict(setup.start) or dict(setup.router.render(setup.wish(0), {}).apply)
        return Big(router=setup.router, wish=_wish(setup), found=found, ref=next(iter(found)))
    kind, path = LISTS[name]
    ref = next(ref for ref in setup.start if ref.kind == kind)
    manifest = copy.deepcopy(setup.start[ref])
    place: Any = manifest
    for key in path:
        place = place[key]
    missing = routes - len(place)
    others = [_foreign(place[0], index) for index in range(missing)]
    place[:0] = others[: missing // 2]
    place += others[missing // 2 :]
    # App Mesh takes every route for the Rollout's unless it is told which are.
    router = router_for(app_mesh_rollout(app_mesh_block(routes=["main"]))) if name == "app mesh" else setup.router
    return Big(router=router, wish=_wish(setup), found={**setup.start, ref: manifest}, ref=ref)


def _foreign(entry: Manifest, index: int) -> Manifest:
    """Give *entry* as one that leads to Services of somebody else's."""
    text = json.dumps(entry).replace(STABLE, f"other-{index}-a").replace(CANARY, f"other-{index}-b")
    text = text.replace('"kind": "TraefikService"', '"kind": "Service"')
    other: Manifest = json.loads(text)
    return {**other, "name": f"route-{index}"} if "name" in entry else other


def _wish(setup: Setup) -> TrafficIntent:
    wish = setup.wish(20)
    if Feature.HEADER_EXACT in setup.router.supports:
        match = HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value="1"))
        wish = setup.sayable(replace(wish, header_routes=(HeaderRoute(name=MANAGED[0], any_of=(match,)),)))
    return wish
