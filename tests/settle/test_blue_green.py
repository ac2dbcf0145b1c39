"""Whatever happens, in whatever order, a blue-green Rollout keeps its promises and comes to rest."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settling.bluegreen import ACTIVE, PREVIEW, BlueGreenWorld, assert_blue_green_rest, blue_green_world
from settling.lives import heal, kill, pause, scale, sicken, wait
from settling.world import World
from tiphys.api.rollout import BlueGreenStrategy, RollbackWindow

Move = tuple[Callable[..., Any], tuple[Any, ...]]

strategies = st.builds(
    BlueGreenStrategy,
    active_service=st.just(ACTIVE),
    preview_service=st.sampled_from(["", PREVIEW]),
    preview_replica_count=st.sampled_from([None, 1, 2, 5]),
    auto_promotion_enabled=st.sampled_from([None, True, False]),
    auto_promotion_seconds=st.sampled_from([0, 10]),
    scale_down_delay_seconds=st.sampled_from([None, 0, 5]),
    scale_down_delay_revision_limit=st.sampled_from([None, 0, 1]),
    abort_scale_down_delay_seconds=st.sampled_from([None, 0, 5]),
)


def window(toy: World, revisions: int) -> None:
    toy.patch_spec(rollback_window=RollbackWindow(revisions=revisions))


def run(toy: World, passes: int, lost_after: int, ticking: bool) -> None:  # noqa: FBT001 - drawn
    for _ in range(passes):
        toy.once(lost_after=lost_after)
        if ticking:
            toy.tick()


versions = st.sampled_from(["v1", "v2", "v3"])
moves: st.SearchStrategy[Move] = st.one_of(
    st.tuples(st.just(World.new_template), st.tuples(versions)),
    st.tuples(st.just(World.abort), st.just(())),
    st.tuples(st.just(World.retry), st.just(())),
    st.tuples(st.just(BlueGreenWorld.promote), st.just(())),
    st.tuples(st.just(World.promote_full), st.just(())),
    st.tuples(st.just(BlueGreenWorld.strip), st.just(())),
    st.tuples(st.just(scale), st.tuples(st.integers(0, 6))),
    st.tuples(st.just(kill), st.tuples(versions, st.integers(1, 6))),
    st.tuples(st.just(sicken), st.tuples(versions, st.integers(0, 3))),
    st.tuples(st.just(heal), st.just(())),
    st.tuples(st.just(pause), st.tuples(st.booleans())),
    st.tuples(st.just(wait), st.tuples(st.sampled_from([1, 6, 31, 700]))),
    st.tuples(st.just(window), st.tuples(st.integers(0, 2))),
    st.tuples(st.just(run), st.tuples(st.integers(1, 6), st.sampled_from([0, 1, 2, 1000]), st.booleans())),
)

many = settings(max_examples=int(os.environ.get("SETTLE_EXAMPLES", "120")), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(strategy=strategies, replicas=st.integers(0, 4), life=st.lists(moves, max_size=12))
@many
def test_any_life_keeps_the_promises_and_comes_to_rest(strategy: BlueGreenStrategy, replicas: int, life: list[Move]) -> None:
    toy = blue_green_world(strategy, replicas=replicas, settled=False)

    for move, arguments in life:
        move(toy, *arguments)
    toy.settle()

    assert_blue_green_rest(toy)


@given(strategy=strategies, life=st.lists(moves, max_size=8))
@many
def test_a_good_version_always_gets_through_in_the_end(strategy: BlueGreenStrategy, life: list[Move]) -> None:
    toy = blue_green_world(strategy)

    for move, arguments in life:
        move(toy, *arguments)
    heal(toy)
    toy.patch_spec(paused=False, replicas=3)
    toy.patch_status(abort=False)
    toy.new_template("v9")
    toy.settle()
    toy.promote()
    toy.settle()

    assert toy.rollout.status.stable_rs == "v9", toy.describe()
    assert toy.rollout.status.phase == "Healthy", toy.describe()
    assert toy.selectors[ACTIVE] == "v9"
