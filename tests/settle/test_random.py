"""Whatever happens, in whatever order, a canary keeps its promises and comes to rest."""

import os
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settling.lives import heal, kill, pause, scale, sicken, wait
from settling.rest import assert_rest
from settling.world import CANARY_SERVICE, PING_PONG, STABLE_SERVICE, World, istio, world
from tiphys.api.rollout import (
    CanaryStrategy,
    HeaderRoutingMatch,
    ManagedRoute,
    Pause,
    RollbackWindow,
    RouteMatch,
    SetCanaryScale,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StringMatch,
    TrafficRouting,
)
from tiphys.core.observed import Verification

MANAGED = (ManagedRoute(name="beta"), ManagedRoute(name="shadow"))

weights = st.sampled_from([0, 1, 5, 20, 33, 50, 60, 75, 99, 100])
pauses = st.sampled_from([Pause(), Pause(duration=0), Pause(duration=10), Pause(duration="1m")])
scales = st.one_of(
    st.builds(SetCanaryScale, replicas=st.integers(0, 8)),
    st.builds(SetCanaryScale, weight=st.sampled_from([0, 10, 25, 50, 100])),
    st.just(SetCanaryScale(match_traffic_weight=True)),
)
headers = st.sampled_from(
    [
        SetHeaderRoute(name="beta", match=(HeaderRoutingMatch(header_name="x", header_value=StringMatch(exact="1")),)),
        SetHeaderRoute(name="beta"),
    ]
)
mirrors = st.sampled_from(
    [
        SetMirrorRoute(name="shadow", percentage=35, match=(RouteMatch(method=StringMatch(exact="GET")),)),
        SetMirrorRoute(name="shadow"),
    ]
)
weight_steps = st.builds(Step, set_weight=weights)
plain_steps = st.one_of(weight_steps, st.builds(Step, pause=pauses))
routed_steps = st.one_of(
    weight_steps,
    st.builds(Step, pause=pauses),
    st.builds(Step, set_canary_scale=scales),
    st.builds(Step, set_header_route=headers),
    st.builds(Step, set_mirror_route=mirrors),
    st.builds(Step, set_canary_scale=scales, set_header_route=headers),
    st.builds(Step, set_weight=weights, pause=pauses),
)

Move = tuple[Callable[..., Any], tuple[Any, ...]]


def verify(toy: World, answer: Verification) -> None:
    toy.verification = answer


def set_steps(toy: World, steps: tuple[Step, ...]) -> None:
    toy.patch_canary(steps=steps)


def run(toy: World, passes: int, lost_after: int, *, ticking: bool) -> None:
    for _ in range(passes):
        toy.once(lost_after=lost_after)
        if ticking:
            toy.tick()


def moves(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[Move]:
    versions = st.sampled_from(["v1", "v2", "v3", "v4"])
    return st.one_of(
        st.tuples(st.just(World.new_template), st.tuples(versions)),
        st.tuples(st.just(World.abort), st.just(())),
        st.tuples(st.just(World.retry), st.just(())),
        st.tuples(st.just(World.promote), st.just(())),
        st.tuples(st.just(World.promote_full), st.just(())),
        st.tuples(st.just(scale), st.tuples(st.integers(0, 10))),
        st.tuples(st.just(kill), st.tuples(versions, st.integers(1, 10))),
        st.tuples(st.just(sicken), st.tuples(versions, st.integers(0, 3))),
        st.tuples(st.just(heal), st.just(())),
        st.tuples(st.just(pause), st.tuples(st.booleans())),
        st.tuples(st.just(wait), st.tuples(st.sampled_from([1, 31, 700]))),
        st.tuples(st.just(set_steps), st.tuples(st.lists(steps, max_size=4).map(tuple))),
        st.tuples(st.just(verify), st.tuples(st.sampled_from(Verification))),
    )


def story(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[tuple[Move, int, int, bool]]]:
    """A list of: what happens, how many passes follow, after how many writes each pass dies, whether other controllers work."""
    return st.lists(st.tuples(moves(steps), st.integers(0, 6), st.sampled_from([0, 1, 2, 3, 1000]), st.booleans()), max_size=14)


def live(toy: World, told: list[tuple[Move, int, int, bool]]) -> None:
    for (move, arguments), passes, lost_after, ticking in told:
        move(toy, *arguments)
        run(toy, passes, lost_after, ticking=ticking)


FEW = settings(
    max_examples=int(os.environ.get("SETTLE_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@FEW
@given(
    steps=st.lists(routed_steps, max_size=5).map(tuple),
    told=story(routed_steps),
    services=st.booleans(),
    replicas=st.integers(0, 6),
    dynamic=st.booleans(),
    delay=st.sampled_from([None, 0, 20]),
    window=st.sampled_from([0, 0, 1, 2]),
)
def test_a_routed_canary_keeps_its_promises_and_comes_to_rest(
    steps: tuple[Step, ...],
    told: list[tuple[Move, int, int, bool]],
    *,
    services: bool,
    replicas: int,
    dynamic: bool,
    delay: int | None,
    window: int,
) -> None:
    strategy = CanaryStrategy(
        steps=steps,
        traffic_routing=istio(managed_routes=MANAGED),
        dynamic_stable_scale=dynamic,
        abort_scale_down_delay_seconds=delay,
    )
    toy = world(canary=strategy, services=services, subsets=not services, replicas=replicas)
    toy.patch_spec(rollback_window=RollbackWindow(revisions=window))

    live(toy, told)
    toy.settle()

    assert_rest(toy)


@FEW
@given(
    steps=st.lists(routed_steps, max_size=5).map(tuple),
    told=story(routed_steps),
    replicas=st.integers(0, 6),
    dynamic=st.booleans(),
    delay=st.sampled_from([None, 0, 20]),
    named=st.sampled_from([False, False, True]),
)
def test_ping_pong_keeps_its_promises_and_comes_to_rest(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], *, replicas: int, dynamic: bool, delay: int | None, named: bool
) -> None:
    """With *named* the routers have the canary's and the stable Service, and ping and pong follow beside them."""
    strategy = CanaryStrategy(
        steps=steps,
        traffic_routing=istio(managed_routes=MANAGED),
        stable_service=STABLE_SERVICE if named else "",
        canary_service=CANARY_SERVICE if named else "",
        ping_pong=PING_PONG,
        dynamic_stable_scale=dynamic,
        abort_scale_down_delay_seconds=delay,
    )
    toy = world(canary=strategy, replicas=replicas)

    live(toy, told)
    toy.settle()

    assert_rest(toy)


@FEW
@given(steps=st.lists(plain_steps, max_size=5).map(tuple), told=story(plain_steps), replicas=st.integers(0, 6))
def test_ping_pong_without_a_router_keeps_its_promises_and_comes_to_rest(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], replicas: int
) -> None:
    toy = world(canary=CanaryStrategy(steps=steps, ping_pong=PING_PONG), replicas=replicas)

    live(toy, told)
    toy.settle()

    assert_rest(toy)


@FEW
@given(steps=st.lists(routed_steps, max_size=5).map(tuple), told=story(routed_steps), dynamic=st.booleans())
def test_with_ping_pong_a_new_version_arrives_once_everybody_is_well_again(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], *, dynamic: bool
) -> None:
    routing = istio(managed_routes=MANAGED)
    toy = world(canary=CanaryStrategy(steps=steps, traffic_routing=routing, ping_pong=PING_PONG, dynamic_stable_scale=dynamic))

    live(toy, told)
    heal(toy)
    toy.verification = Verification.YES
    toy.patch_spec(paused=False, replicas=4)
    toy.new_template("v9")
    toy.settle()
    toy.promote_full()
    toy.settle()

    assert toy.rollout.status.stable_rs == "v9", toy.describe()
    assert toy.weights == (100, 0)
    assert {name: pods.wanted for name, pods in toy.pods.items() if pods.wanted} == {"web-v9": 4}


@FEW
@given(steps=st.lists(plain_steps, max_size=5).map(tuple), told=story(plain_steps), services=st.booleans(), replicas=st.integers(0, 6))
def test_a_canary_without_a_router_keeps_its_promises_and_comes_to_rest(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], *, services: bool, replicas: int
) -> None:
    toy = world(canary=CanaryStrategy(steps=steps), services=services, replicas=replicas)

    live(toy, told)
    toy.settle()

    assert_rest(toy)


@FEW
@given(steps=st.lists(weight_steps, max_size=4).map(tuple), told=story(weight_steps), replicas=st.integers(0, 6))
def test_an_empty_traffic_routing_keeps_its_promises_and_comes_to_rest(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], replicas: int
) -> None:
    toy = world(canary=CanaryStrategy(steps=steps, traffic_routing=TrafficRouting()), replicas=replicas)

    live(toy, told)
    toy.settle()

    assert_rest(toy)


@FEW
@given(
    steps=st.lists(routed_steps, max_size=5).map(tuple),
    told=story(routed_steps),
    services=st.booleans(),
    surge=st.sampled_from(["25%", 1, "100%"]),
    dynamic=st.booleans(),
)
def test_once_everybody_is_well_again_a_new_version_arrives_by_promote_full(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], *, services: bool, surge: int | str, dynamic: bool
) -> None:
    routing = istio(managed_routes=MANAGED)
    strategy = CanaryStrategy(steps=steps, traffic_routing=routing, max_surge=surge, dynamic_stable_scale=dynamic)
    toy = world(canary=strategy, services=services, subsets=not services)

    live(toy, told)
    heal(toy)
    toy.verification = Verification.YES
    toy.patch_spec(paused=False, replicas=4)
    toy.new_template("v9")
    toy.settle()
    toy.promote_full()
    toy.settle()

    assert toy.rollout.status.stable_rs == "v9", toy.describe()
    assert toy.weights == (100, 0)
    assert toy.size("v9") == 4
    assert msgspec.json.encode(toy.rollout.status)


@FEW
@given(
    steps=st.lists(plain_steps, max_size=5).map(tuple),
    told=story(plain_steps),
    services=st.booleans(),
    room=st.sampled_from([(0, 1), (1, 0), ("25%", "25%"), (0, "50%"), ("100%", 0)]),
)
def test_once_everybody_is_well_again_a_new_version_arrives_without_a_router(
    steps: tuple[Step, ...], told: list[tuple[Move, int, int, bool]], *, services: bool, room: tuple[int | str, int | str]
) -> None:
    toy = world(canary=CanaryStrategy(steps=steps, max_surge=room[0], max_unavailable=room[1]), services=services)

    live(toy, told)
    heal(toy)
    toy.patch_spec(paused=False, replicas=4)
    toy.new_template("v9")
    toy.settle()
    toy.promote_full()
    toy.settle()

    assert toy.rollout.status.stable_rs == "v9", toy.describe()
    assert toy.size("v9") == 4
