"""The situations that break other controllers, each by its name."""

from datetime import timedelta

import msgspec
import pytest

from settling.world import CANARY_SERVICE, STABLE_SERVICE, World, istio, world
from tiphys.api.rollout import (
    CanaryStrategy,
    HeaderRoutingMatch,
    ManagedRoute,
    Pause,
    RouteMatch,
    SetCanaryScale,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StringMatch,
    TrafficRouting,
)
from tiphys.core.actions import RouteTraffic, Why
from tiphys.core.decide import standstill
from tiphys.core.observed import Verification

PAUSE = Step(pause=Pause())
BETA = SetHeaderRoute(name="beta", match=(HeaderRoutingMatch(header_name="x", header_value=StringMatch(exact="1")),))
SHADOW = SetMirrorRoute(name="shadow", percentage=35, match=(RouteMatch(method=StringMatch(exact="GET")),))


def weight(percent: int) -> Step:
    return Step(set_weight=percent)


def routed(*steps: Step, replicas: int = 5, subsets: bool = False, **fields: object) -> World:
    managed = (ManagedRoute(name="beta"), ManagedRoute(name="shadow"))
    strategy = CanaryStrategy(steps=steps, traffic_routing=istio(managed_routes=managed))
    strategy = msgspec.structs.replace(strategy, **fields)
    return world(canary=strategy, replicas=replicas, services=not subsets, subsets=subsets)


def reasons(toy: World) -> set[Why]:
    assert toy.last is not None
    return {because.why for because in toy.last.because}


def gained(toy: World, version: str) -> list[int]:
    return [percent for percent, at in toy.gained if at == version]


def test_first_deploy() -> None:
    toy = routed(weight(20), PAUSE)

    assert toy.rollout.status.phase == "Healthy"
    assert toy.rollout.status.stable_rs == "v1"
    assert toy.weights == (100, 0)
    assert toy.selectors == {STABLE_SERVICE: "v1", CANARY_SERVICE: "v1"}
    assert "RolloutStepCompleted" not in toy.seen_events


@pytest.mark.parametrize("replicas", [0, 1])
def test_few_replicas(replicas: int) -> None:
    toy = routed(weight(20), weight(60), replicas=replicas)

    toy.new_template("v2")
    toy.settle()

    assert toy.rollout.status.stable_rs == "v2"
    assert toy.weights == (100, 0)
    assert toy.size("v2") == replicas


def test_no_replicas_and_then_some() -> None:
    toy = routed(weight(20), replicas=0)
    toy.new_template("v2")
    toy.settle()

    toy.patch_spec(replicas=3)
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert toy.selectors == {STABLE_SERVICE: "v2", CANARY_SERVICE: "v2"}


def test_stable_never_ready_then_a_good_version() -> None:
    managed = istio()
    toy = world(canary=CanaryStrategy(steps=(weight(20), PAUSE), traffic_routing=managed), settled=False)
    toy.sick["v1"] = 0
    toy.settle()
    assert toy.rollout.status.stable_rs == ""

    toy.new_template("v2")
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert toy.rollout.status.stable_rs == "v2"
    assert toy.size("v1") == 0


def test_abort_with_one_stable_pod_that_never_becomes_ready() -> None:
    toy = routed(weight(50), PAUSE)
    toy.new_template("v2")
    toy.settle()
    assert toy.weights == (50, 50)

    toy.sick["v1"] = 4
    toy.tick()
    toy.abort()
    toy.settle()

    assert toy.weights == (100, 0)
    assert toy.size("v2") == 0
    assert toy.rollout.status.phase == "Degraded"


@pytest.mark.parametrize("step", [Step(set_header_route=BETA), Step(set_mirror_route=SHADOW)], ids=["header", "mirror"])
def test_route_step_first(step: Step) -> None:
    toy = routed(step, weight(20), PAUSE)

    toy.new_template("v2")
    toy.settle()

    assert "NothingToPlace" in toy.seen_events
    assert toy.weights == (80, 20)
    assert len(toy.header_routes) + len(toy.mirrors) == 1


def test_routes_go_with_the_last_canary_pod_and_come_back_with_the_first() -> None:
    toy = routed(Step(set_canary_scale=SetCanaryScale(replicas=1)), Step(set_header_route=BETA), Step(set_mirror_route=SHADOW), PAUSE)
    toy.new_template("v2")
    toy.settle()
    assert (len(toy.header_routes), len(toy.mirrors)) == (1, 1)

    toy.kill("v2", 1)
    toy.once()
    gone = (toy.header_routes, toy.mirrors)
    toy.settle()

    assert gone == ((), ())
    assert (len(toy.header_routes), len(toy.mirrors)) == (1, 1)


def test_routes_are_removed_at_the_end_and_on_abort() -> None:
    toy = routed(Step(set_canary_scale=SetCanaryScale(replicas=1), set_header_route=BETA), PAUSE)
    toy.new_template("v2")
    toy.settle()
    before = len(toy.header_routes)

    toy.abort()
    toy.settle()
    aborted = toy.header_routes
    toy.retry()
    toy.settle()
    again = len(toy.header_routes)
    toy.promote()
    toy.settle()

    assert (before, len(aborted), again) == (1, 0, 1)
    assert not toy.header_routes
    assert toy.rollout.status.phase == "Healthy"


@pytest.mark.parametrize("pods", [0, 1])
def test_set_canary_scale_under_weight_50(pods: int) -> None:
    toy = routed(weight(50), Step(set_canary_scale=SetCanaryScale(replicas=pods)), PAUSE)

    toy.new_template("v2")
    toy.settle()

    assert toy.rollout.status.phase == "Paused"
    assert toy.size("v2") == pods
    assert toy.weights == ((50, 50) if pods else (100, 0))


def test_weight_lowered_between_steps() -> None:
    toy = routed(weight(60), weight(20), PAUSE)

    toy.new_template("v2")
    toy.settle()

    assert toy.weights == (80, 20)
    assert toy.size("v2") == 1


def test_no_steps() -> None:
    toy = routed()

    toy.new_template("v2")
    toy.settle()

    assert toy.rollout.status.stable_rs == "v2"
    assert gained(toy, "v2") == [100, 0]


def test_promote_full_at_20_percent() -> None:
    toy = routed(weight(20), PAUSE, weight(40), PAUSE)
    toy.new_template("v2")
    toy.settle()

    toy.promote_full()
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert gained(toy, "v2") == [20, 100, 0]
    assert not toy.rollout.status.promote_full


def test_empty_traffic_routing() -> None:
    toy = world(canary=CanaryStrategy(steps=(weight(20), PAUSE), traffic_routing=TrafficRouting()))
    toy.new_template("v2")
    toy.settle()
    assert (toy.size("v1"), toy.size("v2")) == (5, 1)
    assert toy.rollout.status.canary.weights is None

    toy.promote()
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert (toy.size("v1"), toy.size("v2")) == (0, 5)


def test_subsets_without_services() -> None:
    toy = routed(weight(20), weight(60), subsets=True)

    toy.new_template("v2")
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert toy.subsets == ("v2", "v2")
    assert gained(toy, "v2") == [0, 20, 60, 100, 100, 0]


def test_v1_to_v2_to_v3() -> None:
    toy = routed(weight(50), PAUSE)
    toy.new_template("v2")
    toy.settle()

    toy.new_template("v3")
    plan = toy.once()
    first = (toy.weights, toy.size("v2"), toy.selectors[CANARY_SERVICE])
    toy.settle()

    assert any(isinstance(action, RouteTraffic) for action in plan.actions)
    assert first == ((100, 0), 3, "v2")
    assert toy.weights == (50, 50)
    assert toy.selectors[CANARY_SERVICE] == "v3"
    assert toy.size("v2") == 0


def test_replicas_doubled_in_a_pause() -> None:
    toy = routed(weight(50), PAUSE)
    toy.new_template("v2")
    toy.settle()

    toy.patch_spec(replicas=10)
    toy.settle()

    assert toy.weights == (50, 50)
    assert (toy.size("v1"), toy.size("v2")) == (10, 5)
    assert gained(toy, "v2") == [50]


def test_verification_that_never_confirms() -> None:
    toy = routed(weight(20), weight(60))
    toy.verification = Verification.NOT_YET

    toy.new_template("v2")
    toy.settle()

    assert Why.NOT_VERIFIED in reasons(toy) or Why.SERVICE_NOT_SWITCHED in reasons(toy)
    assert toy.rollout.status.stable_rs == "v1"
    assert toy.rollout.status.phase == "Degraded"
    assert "ProgressDeadlineExceeded" in toy.rollout.status.message


def test_verification_that_never_confirms_does_not_hold_the_way_back() -> None:
    toy = routed(weight(20), PAUSE)
    toy.new_template("v2")
    toy.settle()
    assert toy.weights == (80, 20)

    toy.verification = Verification.NOT_YET
    toy.abort()
    toy.settle()

    assert toy.weights == (100, 0)
    assert toy.size("v2") == 1
    assert Why.NOT_VERIFIED in reasons(toy) or Why.CARRIES_TRAFFIC in reasons(toy)


def test_death_between_the_route_write_and_the_status_write_followed_by_a_new_template() -> None:
    toy = routed(weight(20), weight(60))
    toy.new_template("v2")
    while toy.weights != (0, 100):
        seen = toy.observe()
        routes = [number for number, action in enumerate(toy.decide(seen).actions) if isinstance(action, RouteTraffic)]
        toy.once(lost_after=routes[0] + 1 if routes else 1000)
        toy.tick()
    assert toy.rollout.status.stable_rs == "v1"

    toy.new_template("v3")
    toy.settle()

    assert toy.rollout.status.phase == "Healthy"
    assert toy.rollout.status.stable_rs == "v3"
    assert toy.size("v2") == 0


def test_rollback_to_stable_skips_the_steps() -> None:
    toy = routed(weight(50), PAUSE)
    toy.new_template("v2")
    toy.settle()

    toy.new_template("v1")
    toy.settle()

    assert "SkipSteps" in toy.seen_events
    assert toy.rollout.status.phase == "Healthy"
    assert toy.weights == (100, 0)
    assert toy.selectors[CANARY_SERVICE] == "v1"


def test_an_old_stable_version_keeps_its_delay() -> None:
    toy = routed(scale_down_delay_seconds=60)
    toy.new_template("v2")
    while toy.rollout.status.stable_rs != "v2" or toy.weights != (100, 0):
        toy.once()
        toy.tick()
    promoted = toy.now
    toy.once()
    toy.tick()
    kept = toy.size("v1")
    toy.settle()

    assert kept == 5
    assert toy.size("v1") == 0
    assert toy.now >= promoted + timedelta(seconds=60)


def test_a_timed_pause_ends_by_itself() -> None:
    toy = routed(weight(20), Step(pause=Pause(duration="10m")), weight(60))

    toy.new_template("v2")
    begun = toy.now
    toy.settle()

    assert toy.rollout.status.stable_rs == "v2"
    assert toy.now > begun + timedelta(minutes=10)


def test_a_pause_by_its_owner_holds_the_steps_but_not_a_change_of_replicas() -> None:
    toy = routed(weight(20), weight(60))
    toy.patch_spec(paused=True)
    toy.new_template("v2")
    toy.settle()
    held = toy.size("v2")
    toy.patch_spec(replicas=8)
    toy.settle()
    grown = toy.size("v1")
    toy.patch_spec(paused=False)
    toy.settle()

    assert held == 0
    assert grown == 8
    assert toy.rollout.status.stable_rs == "v2"


def test_changed_steps_start_again_with_the_same_pods() -> None:
    toy = routed(weight(20), PAUSE)
    toy.new_template("v2")
    toy.settle()

    toy.patch_canary(steps=(weight(40), PAUSE, weight(80)))
    toy.settle()

    assert toy.rollout.status.current_step_index == 1
    assert toy.weights == (60, 40)


def test_a_route_that_can_never_be_written_ends_in_the_deadline_and_not_in_silence() -> None:
    toy = routed(weight(20), weight(60))
    toy.new_template("v2")
    for _ in range(8):
        seen = toy.observe()
        plan = toy.decide(seen)
        routes = [number for number, action in enumerate(plan.actions) if isinstance(action, RouteTraffic)]
        toy.obey(plan, lost_after=routes[0] if routes else 1000)
        if routes:
            told = standstill(seen)
            assert told is not None
            toy.patch_status(**{name: getattr(told.status, name) for name in told.status.__struct_fields__})
        toy.tick()
        toy.now += timedelta(seconds=150)

    status = toy.rollout.status
    assert status.phase == "Degraded"
    assert "ProgressDeadlineExceeded" in status.message
    assert (status.current_step_index, status.stable_rs, toy.weights) == (0, "v1", (100, 0))
