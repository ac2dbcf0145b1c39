"""What must hold when nothing happens any more?"""

from settling.world import World
from tiphys.core.invariants import ceiling
from tiphys.core.observed import Verification


def assert_rest(toy: World) -> None:
    """The goal, or a named reason; and nothing of ours left where nothing is asked for."""
    plan = toy.last
    assert plan is not None
    status = toy.rollout.status
    done = status.stable_rs == toy.version and not status.abort
    if not plan.because:
        assert done or status.abort, toy.describe()
    if done and not plan.because:
        assert toy.size(toy.version) == toy.rollout.spec.replicas, toy.describe()
        assert sum(pods.wanted for pods in toy.pods.values()) == toy.rollout.spec.replicas, toy.describe()
    if toy.routed and (done or status.abort) and not plan.because:
        assert toy.weights == (100, 0), toy.describe()
        assert not toy.header_routes, toy.describe()
        assert not toy.mirrors, toy.describe()

    assert_routed_as_asked(toy)


def assert_routed_as_asked(toy: World) -> None:
    """With all pods well and nothing in doubt, the weight is what the steps ask here, whatever happened on the way (S5, S8)."""
    well = not toy.sick and toy.verification is not Verification.NOT_YET and not toy.rollout.spec.paused
    status = toy.rollout.status
    under_way = bool(status.stable_rs) and status.stable_rs != toy.version and not status.abort
    if toy.routed and well and under_way and toy.rollout.spec.replicas:
        seen = toy.observe()
        asked = ceiling(seen, toy.canary) if toy.size(toy.version) else 0
        assert toy.weights[1] == asked, toy.describe()
