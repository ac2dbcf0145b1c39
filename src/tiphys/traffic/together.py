"""What do several routers, or several objects of one, say together? (S7)"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import Backend, Routed, TrafficIntent
from tiphys.core.observed import Verification
from tiphys.traffic.router import Asking, Confirmation, Ref, Rendered, Reporting, Router


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def combine(routed: Sequence[Routed | None]) -> Routed | None:
    """
    Give the one answer of all *routed*.

    Weights are the largest ones, routes and experiments are those that exist anywhere: safe for sizing. It is uniform only
    if every part is and all agree; a part that cannot tell does not agree. Nothing comes of nothing.
    """
    known = [answer for answer in routed if answer is not None]
    if not known:
        return None
    canary_hashes = {answer.canary_hash for answer in known} - {None}
    stable_hashes = {answer.stable_hash for answer in known} - {None}
    return Routed(
        canary=max(answer.canary for answer in known),
        stable=max(answer.stable for answer in known),
        experiments=_largest([backend for answer in known for backend in answer.experiments]),
        canary_hash=min(canary_hashes, default=None, key=str),
        stable_hash=min(stable_hashes, default=None, key=str),
        header_routes=_first_of_name([route for answer in known for route in answer.header_routes]),
        mirrors=_first_of_name([route for answer in known for route in answer.mirrors]),
        uniform=(
            len(known) == len(routed)
            and all(answer.uniform and _same_routes(answer, known[0]) for answer in known)
            and len(canary_hashes) <= 1
            and len(stable_hashes) <= 1
        ),
    )


def combine_verified(confirmations: Sequence[Confirmation]) -> Confirmation:
    """
    Give the one answer of all *confirmations*.

    One *not yet* outweighs everything, then one *yes*; *cannot know* is left where nobody can. The details are those of the
    answers that decide.
    """
    said = {confirmation.verified for confirmation in confirmations}
    verified = next((answer for answer in (Verification.NOT_YET, Verification.YES) if answer in said), Verification.CANNOT_KNOW)
    deciding = [confirmation.detail for confirmation in confirmations if confirmation.verified is verified and confirmation.detail]
    known = [confirmation.balancers for confirmation in confirmations]
    return Confirmation(
        verified=verified,
        detail="; ".join(deciding),
        reason=next((each.reason for each in confirmations if each.verified is verified and each.reason), ""),
        balancers=None if None in known else tuple(balancer for each in known if each is not None for balancer in each),
    )


def reported_by_all(routers: Sequence[Router], found: Mapping[Ref, Manifest]) -> Confirmation:
    """
    Give the one answer of the objects that report on themselves; a router without such objects cannot know.

    One that can be asked speaks only when it was.
    """
    told = [router.reported(found) for router in routers if isinstance(router, Reporting)]
    return combine_verified([*told, *(_silent(router) for router in routers if not isinstance(router, Reporting | Asking))])


def _silent(router: Router) -> Confirmation:
    return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{router.name} does not tell what its proxies do")


def render_all(
    routers: Sequence[Router], wish: TrafficIntent, found: Mapping[Ref, Manifest]
) -> tuple[Mapping[str, Rendered], tuple[SpecError, ...]]:
    """Ask every one of *routers* for *wish*, also after one of them failed; give what each rendered, by its name, and all errors."""
    rendered: dict[str, Rendered] = {}
    errors: list[SpecError] = []
    for router in routers:
        try:
            rendered[router.name] = router.render(wish, found)
        except SpecError as error:
            errors.append(error)
        else:
            errors += rendered[router.name].errors
    return rendered, tuple(errors)


def _same_routes(one: Routed, other: Routed) -> bool:
    return (
        (one.canary, one.stable) == (other.canary, other.stable)
        and one.header_routes == other.header_routes
        and one.mirrors == other.mirrors
        and {(backend.service, backend.weight) for backend in one.experiments}
        == {(backend.service, backend.weight) for backend in other.experiments}
    )


def _largest(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    largest: dict[str, Backend] = {}
    for backend in backends:
        known = largest.get(backend.service)
        if known is None or backend.weight > known.weight:
            largest[backend.service] = backend
    return tuple(largest[name] for name in sorted(largest))


def _first_of_name(routes: Sequence[_N]) -> tuple[_N, ...]:
    first: dict[str, _N] = {}
    for route in routes:
        first.setdefault(route.name, route)
    return tuple(first.values())
