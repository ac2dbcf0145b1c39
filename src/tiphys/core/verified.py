"""Is there anything left that waits for the data plane to confirm?"""

from tiphys.core.actions import Because, Why
from tiphys.core.observed import Observed, RouterPicture
from tiphys.core.revisions import find_revisions
from tiphys.core.slots import find_service, selects


def nothing_waits(seen: Observed) -> bool:
    """
    Tell whether no step, selector or pod of *seen* hangs on what the data plane does.

    So it is at rest with one version, and before there is any first one.
    """
    if not seen.rollout.status.stable_rs:
        return True
    revisions = find_revisions(seen)
    if revisions.new is None or revisions.new is not revisions.stable:
        return False
    return not any(rs.spec.replicas or rs.status.replicas for rs in revisions.others)


def nobody_is_asked(seen: Observed) -> bool:
    """Tell whether *seen* is a blue-green Rollout whose active Service has not just left a version that still has pods."""
    blue_green = seen.rollout.spec.strategy.blue_green
    if blue_green is None or seen.rollout.spec.strategy.canary is not None:
        return False
    active = find_service(seen, blue_green.active_service)
    return nothing_waits(seen) or active is None or selects(active) != find_revisions(seen).pod_hash


def confirmed_before(seen: Observed) -> bool:
    """Tell whether the status records that exactly the weights that stand there now were confirmed."""
    recorded = seen.rollout.status.canary.weights
    routed = None if seen.router is None else seen.router.routed
    if recorded is None or routed is None or not routed.uniform:
        return False
    return bool(recorded.verified) and (routed.stable, routed.canary) == (recorded.stable.weight, recorded.canary.weight)


def not_verified(picture: RouterPicture, what: str, wanted: str) -> Because:
    """Say that *what* waits for the data plane, in the words of who was asked, and when that happens again."""
    return Because(why=Why.NOT_VERIFIED, object=what, wanted=wanted, found=picture.last_answer, look_at=picture.ask_at)
