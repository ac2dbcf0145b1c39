"""How does traffic come back to stable where nothing else of a spec may be followed?"""

from tiphys.core.actions import RouteTraffic
from tiphys.core.intent import Role
from tiphys.core.observed import Observed
from tiphys.core.selectors import Exchange
from tiphys.core.situation import situation
from tiphys.core.weights import look_behind
from tiphys.core.wish import build_wish


def retreat(seen: Observed) -> RouteTraffic | None:
    """Take weight and routes from a canary that is aborted or has nobody left, if stable can answer."""
    canary = seen.rollout.spec.strategy.canary
    if canary is None or canary.traffic_routing is None:
        return None
    now = situation(seen, canary)
    if now.slots is None or not now.revisions.stable_hash:
        return None
    behind = look_behind(now, now.slots)
    lost = behind.canary == 0 or now.position.aborted
    routed = now.slots.routed
    if not lost or behind.stable == 0 or not (routed.canary or routed.header_routes or routed.mirrors):
        return None
    exchange = Exchange(stable=now.slots.stable.holds, canary=now.slots.canary.holds)
    wish = build_wish(now, now.slots, behind, weight=0, exchange=exchange)
    return RouteTraffic(wish=wish) if wish.weight(Role.CANARY) == 0 and not wish.header_routes and not wish.mirrors else None
