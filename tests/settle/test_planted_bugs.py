"""The net holds: three well-known bugs, planted into the decision, are caught by the promises or at rest."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from settling.bluegreen import ACTIVE, blue_green_world
from settling.rest import assert_rest
from settling.world import CANARY_SERVICE, PING_PONG, World, istio, world
from tiphys.api.rollout import CanaryStrategy, Pause, Step
from tiphys.core.actions import Plan, RouteTraffic, SwitchService, UpdateReplicaSet
from tiphys.core.decide import decide
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.core.invariants import ceiling
from tiphys.core.observed import Observed

WHOLE = (Step(set_weight=50), Step(set_weight=100), Step(pause=Pause()))
STEPS = (Step(set_weight=20), Step(pause=Pause()), Step(set_weight=60), Step(pause=Pause()))


def weight_before_readiness(seen: Observed) -> Plan:
    """Write the step's weight when the step begins, without looking whether the canary can carry it."""
    plan = decide(seen)
    canary = seen.rollout.spec.strategy.canary
    if canary is None or seen.router is None or seen.router.routed is None or not seen.rollout.status.stable_rs:
        return plan
    if any(isinstance(action, SwitchService) for action in plan.actions):
        return plan
    asked = ceiling(seen, canary)
    wish = TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=canary.stable_service, weight=100 - asked),
            Backend(role=Role.CANARY, service=canary.canary_service, weight=asked),
        )
    )
    others = tuple(action for action in plan.actions if not isinstance(action, RouteTraffic))
    return plan if seen.router.routed.says(wish) else replace(plan, actions=(*others, RouteTraffic(wish=wish)))


def selector_before_weight(seen: Observed) -> Plan:
    """Point the canary Service at the newest version as soon as that has a pod, whatever the Service carries."""
    plan = decide(seen)
    available = {rs.metadata.name: rs.status.available_replicas for rs in seen.replica_sets}
    before = seen.services[CANARY_SERVICE].spec.selector.get("rollouts-pod-template-hash", "")
    newest = seen.identity.pod_hash
    if not available.get(f"web-{newest}") or before in {"", newest} or any(isinstance(action, SwitchService) for action in plan.actions):
        return plan
    move = SwitchService(name=CANARY_SERVICE, before=before, pod_hash=newest, annotate=False, event=None)
    return replace(plan, actions=(move, *plan.actions))


class RouteOnEdgeOnly:
    """Write routes when a step begins or the template changes, and never again."""

    def __init__(self) -> None:
        self.edge: tuple[object, ...] = ()

    def __call__(self, seen: Observed) -> Plan:
        plan = decide(seen)
        status = seen.rollout.status
        routes = [action for action in plan.actions if isinstance(action, RouteTraffic)]
        edge = (status.current_pod_hash, status.current_step_index, status.stable_rs)
        if routes and edge == self.edge:
            return replace(plan, actions=tuple(action for action in plan.actions if not isinstance(action, RouteTraffic)))
        self.edge = edge if routes else self.edge
        return plan


def eventful_life(toy: World) -> None:
    """Update, lose every canary pod at weight, come back, be superseded, finish."""
    toy.new_template("v2")
    toy.settle()
    assert_rest(toy)
    toy.kill("v2", 10)
    toy.once()
    toy.settle()
    assert_rest(toy)
    toy.promote()
    toy.settle()
    toy.sick["v1"] = 0
    toy.tick()
    toy.new_template("v3")
    toy.settle()
    toy.sick.clear()
    toy.settle()
    assert_rest(toy)


def test_the_eventful_life_is_fine_with_the_real_decision() -> None:
    toy = world(canary=CanaryStrategy(steps=STEPS, traffic_routing=istio()))

    eventful_life(toy)

    assert toy.weights == (80, 20)


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        (weight_before_readiness, "S1: the canary would gain traffic without a ready endpoint"),
        (selector_before_weight, "S4: the pods behind canary"),
        (RouteOnEdgeOnly(), ""),
    ],
    ids=["weight before readiness", "selector before weight", "route on edge only"],
)
def test_a_planted_bug_is_caught(bug: Callable[[Observed], Plan], words: str) -> None:
    toy = world(canary=CanaryStrategy(steps=STEPS, traffic_routing=istio()))
    toy.decide = bug

    with pytest.raises(AssertionError) as caught:
        eventful_life(toy)

    assert words in str(caught.value)


def step_by_step(toy: World) -> None:
    """Update, and lift every pause until the new version is stable."""
    toy.new_template("v2")
    toy.settle()
    while toy.rollout.status.stable_rs != "v2":
        toy.promote()
        toy.settle()


def test_step_by_step_is_fine_with_the_real_decision() -> None:
    toy = world(canary=CanaryStrategy(steps=WHOLE, traffic_routing=istio(), ping_pong=PING_PONG))

    step_by_step(toy)

    assert toy.shares == {PING_PONG.ping_service: 0, PING_PONG.pong_service: 100}
    assert toy.rollout.status.canary.stable_ping_pong == "pong"


def roles_before_promotion(seen: Observed) -> Plan:
    """Exchange ping and pong as soon as the canary's Service carries everything, whatever the data plane confirms."""
    plan = decide(seen)
    routed = None if seen.router is None else seen.router.routed
    if routed is None or routed.canary != 100 or not seen.rollout.status.stable_rs:
        return plan
    early = msgspec.structs.replace(plan.status.canary, stable_ping_pong="pong")
    return replace(plan, status=msgspec.structs.replace(plan.status, canary=early))


def retired_service_follows(seen: Observed) -> Plan:
    """Point whatever Service is not stable at the newest version, at once."""
    plan = decide(seen)
    newest = seen.identity.pod_hash
    moves = tuple(
        SwitchService(name=name, before=before, pod_hash=newest, annotate=False, event=None)
        for name, service in seen.services.items()
        if (before := service.spec.selector.get("rollouts-pod-template-hash", "")) not in {"", newest}
    )
    return replace(plan, actions=(*moves, *plan.actions)) if moves and not plan.actions else plan


@pytest.mark.parametrize(
    ("bug", "words"),
    [(roles_before_promotion, "S4: stablePingPong would become"), (retired_service_follows, "S4: the pods behind")],
    ids=["roles before promotion", "retired service follows"],
)
def test_a_bug_planted_into_ping_pong_is_caught(bug: Callable[[Observed], Plan], words: str) -> None:
    toy = world(canary=CanaryStrategy(steps=WHOLE, traffic_routing=istio(), ping_pong=PING_PONG))
    toy.decide = bug

    with pytest.raises(AssertionError) as caught:
        step_by_step(toy)

    assert words in str(caught.value)


def cut_over_before_the_pods(seen: Observed) -> Plan:
    """Move the active Service to the newest version as soon as that exists."""
    plan = decide(seen)
    held = seen.services[ACTIVE].spec.selector.get("rollouts-pod-template-hash", "")
    newest = seen.identity.pod_hash
    exists = any(rs.metadata.name == f"web-{newest}" for rs in seen.replica_sets)
    if not exists or held in {"", newest} or any(isinstance(action, SwitchService) and action.name == ACTIVE for action in plan.actions):
        return plan
    return replace(plan, actions=(SwitchService(name=ACTIVE, before=held, pod_hash=newest, annotate=False, event=None), *plan.actions))


def old_version_goes_with_the_cut_over(seen: Observed) -> Plan:
    """Take the pods of the version that the active Service leaves in the very pass in which it leaves."""
    plan = decide(seen)
    for action in plan.actions:
        if isinstance(action, SwitchService) and action.name == ACTIVE and action.before:
            gone = UpdateReplicaSet(name=f"web-{action.before}", before=3, replicas=0)
            return replace(plan, actions=(*plan.actions, gone))
    return plan


@pytest.mark.parametrize(("bug", "says"), [(cut_over_before_the_pods, "S4"), (old_version_goes_with_the_cut_over, "S3")])
def test_a_bug_in_the_cut_over_is_caught(bug: Callable[[Observed], Plan], says: str) -> None:
    toy = blue_green_world()
    toy.decide = bug
    toy.new_template("v2")

    with pytest.raises(AssertionError, match=says):
        toy.settle()
