"""What should every router say, completely?"""

from tiphys.api.rollout import HeaderRoutingMatch, RouteMatch, SetHeaderRoute, SetMirrorRoute, Step, StringMatch
from tiphys.api.status import TrafficWeights, WeightDestination
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.core.revisions import hash_of
from tiphys.core.selectors import Exchange
from tiphys.core.situation import Situation, canary_size
from tiphys.core.slots import Slots
from tiphys.core.weights import Behind


def build_wish(now: Situation, slots: Slots, behind: Behind, *, weight: int, exchange: Exchange) -> TrafficIntent:
    """Say where all traffic goes when the canary gets *weight*; routes are always folded from the steps (S5)."""
    headers, mirrors = _routes(now) if _routes_wanted(now, behind) else ((), ())
    return TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=slots.stable.service, pod_hash=exchange.stable or "", weight=now.maximum - weight),
            Backend(role=Role.CANARY, service=slots.canary.service, pod_hash=exchange.canary or "", weight=weight),
        ),
        header_routes=headers,
        mirrors=mirrors,
        managed=managed_names(now),
        maximum=now.maximum,
    )


def managed_names(now: Situation) -> tuple[str, ...]:
    """Name every route that is ours, in order of priority."""
    routing = now.canary.traffic_routing
    return tuple(route.name for route in routing.managed_routes) if routing is not None else ()


def _routes_wanted(now: Situation, behind: Behind) -> bool:
    past = now.position.promote_full or now.position.fast
    return now.forward and not past and behind.ours and behind.canary > 0 and canary_size(now) > 0


def _routes(now: Situation) -> tuple[tuple[HeaderRoute, ...], tuple[MirrorRoute, ...]]:
    return fold_routes(now.position.steps, now.position.index, managed_names(now))


def fold_routes(steps: tuple[Step, ...], index: int, managed: tuple[str, ...]) -> tuple[tuple[HeaderRoute, ...], tuple[MirrorRoute, ...]]:
    """Fold the route steps up to and including *index*, skipped ones too, into the routes that should stand there (S5)."""
    headers: dict[str, SetHeaderRoute] = {}
    mirrors: dict[str, SetMirrorRoute] = {}
    for step in steps[: index + 1]:
        if step.set_header_route is not None:
            headers[step.set_header_route.name] = step.set_header_route
        if step.set_mirror_route is not None:
            mirrors[step.set_mirror_route.name] = step.set_mirror_route
    return (
        tuple(header_route(headers[name]) for name in managed if name in headers and headers[name].match),
        tuple(mirror_route(mirrors[name]) for name in managed if name in mirrors and mirrors[name].match),
    )


def header_route(step: SetHeaderRoute) -> HeaderRoute:
    """Turn a step into the wish: its entries are alternatives (traffic-routing 3.2)."""
    return HeaderRoute(name=step.name, any_of=tuple(_header(match) for match in step.match))


def mirror_route(step: SetMirrorRoute) -> MirrorRoute:
    """Turn a step into the wish; without a percentage everything that matches is copied."""
    percent = 100 if step.percentage is None else step.percentage
    return MirrorRoute(name=step.name, any_of=tuple(_request(match) for match in step.match), percent=percent)


def _header(match: HeaderRoutingMatch) -> HeaderMatch:
    return HeaderMatch(header=match.header_name, value=_text(match.header_value or StringMatch()))


def _request(match: RouteMatch) -> RequestMatch:
    return RequestMatch(
        method=None if match.method is None else _text(match.method),
        path=None if match.path is None else _text(match.path),
        headers=tuple(HeaderMatch(header=name, value=_text(value)) for name, value in sorted(match.headers.items())),
    )


def _text(match: StringMatch) -> TextMatch:
    if match.exact:
        return TextMatch(kind=MatchKind.EXACT, value=match.exact)
    if match.prefix:
        return TextMatch(kind=MatchKind.PREFIX, value=match.prefix)
    return TextMatch(kind=MatchKind.REGEX, value=match.regex)


def recorded_weights(now: Situation, wish: TrafficIntent, *, verified: bool | None) -> TrafficWeights:
    """Put *wish* into the form of `status.canary.weights` (traffic-routing 1.10)."""
    new, stable = now.revisions.new, now.revisions.stable
    canary_hash = hash_of(new) if new is not None else now.revisions.pod_hash
    return TrafficWeights(
        canary=_destination(wish.backend(Role.CANARY), canary_hash),
        stable=_destination(wish.backend(Role.STABLE), hash_of(stable) if stable is not None else now.revisions.stable_hash),
        verified=verified,
    )


def _destination(backend: Backend | None, fallback: str) -> WeightDestination:
    if backend is None:
        return WeightDestination(pod_template_hash=fallback)
    return WeightDestination(weight=backend.weight, service_name=backend.service, pod_template_hash=backend.pod_hash or fallback)
