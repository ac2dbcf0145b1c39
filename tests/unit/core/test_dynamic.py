"""With `dynamicStableScale` stable follows its weight down, and weight comes back as stable grows (traffic-routing 1.6, 1.7)."""

from datetime import timedelta

import msgspec
import pytest

from settling.world import World, istio, world
from tiphys.api.rollout import CanaryStrategy, Pause, SetCanaryScale, Step
from tiphys.core.actions import Why
from tiphys.core.observed import Verification


def story(*steps: Step, replicas: int = 10, **fields: int) -> World:
    strategy = CanaryStrategy(steps=(*steps, Step(pause=Pause())), traffic_routing=istio(), dynamic_stable_scale=True)
    return world(canary=msgspec.structs.replace(strategy, **fields), replicas=replicas)


def at(weights: tuple[int, ...], **fields: int) -> World:
    """Give a world of 10 pods that waits after *weights*."""
    toy = story(*(Step(set_weight=weight) for weight in weights), **fields)
    toy.new_template("v2")
    toy.settle()
    return toy


def force(toy: World, version: str, *, available: int) -> None:
    pods = toy.pods[f"web-{version}"]
    pods.ready = available
    pods.created = max(pods.created, available)
    toy.refresh_slices()


def test_stable_gives_up_the_pods_whose_weight_left() -> None:
    toy = at((20,))

    assert toy.weights == (80, 20)
    assert (toy.size("v1"), toy.size("v2")) == (8, 2)


def test_stable_keeps_its_pods_until_the_weight_has_moved() -> None:
    toy = at((20,))
    toy.patch_canary(steps=(Step(set_weight=50), Step(pause=Pause())))
    sizes = []
    for _ in range(12):
        toy.once()
        sizes.append((toy.weights[1], toy.size("v1"), toy.size("v2")))
        toy.tick()

    assert all(stable >= (100 - weight) // 10 for weight, stable, _ in sizes)
    assert sizes[-1] == (50, 5, 5)


@pytest.mark.parametrize(
    ("stable", "canary", "weight", "wanted"),
    [(4, 6, 60, 8), (8, 6, 20, 8), (10, 2, 0, 10)],
)
def test_an_abort_walks_back_through_the_steps_as_stable_grows(stable: int, canary: int, weight: int, wanted: int) -> None:
    toy = at((20, 60))
    assert (toy.size("v1"), toy.size("v2")) == (4, 6)
    toy.abort()
    if stable > 4:
        toy.pods["web-v1"].wanted = stable
    force(toy, "v1", available=stable)
    if canary < 6:
        toy.weights = (80, 20)
        toy.pods["web-v2"].wanted = canary
    force(toy, "v2", available=canary)

    toy.once()

    assert (toy.weights[1], toy.size("v1")) == (weight, wanted)


def test_an_abort_ends_with_stable_whole_and_the_canary_gone() -> None:
    toy = at((20, 60))
    toy.abort()
    toy.settle()

    assert toy.weights == (100, 0)
    assert (toy.size("v1"), toy.size("v2")) == (10, 0)


def test_an_aborted_canary_with_a_delay_keeps_its_pods_until_stable_is_whole() -> None:
    toy = at((20, 60), abort_scale_down_delay_seconds=60)
    toy.abort()
    while toy.weights != (100, 0):
        toy.once()
        assert toy.size("v2") == 6
        toy.tick()
    toy.settle()

    assert (toy.size("v1"), toy.size("v2")) == (10, 0)


def test_weight_that_waits_for_a_sick_stable_side_comes_back_when_the_progress_deadline_is_over() -> None:
    toy = at((20, 60))
    toy.sick["v1"] = 4
    toy.abort()
    for _ in range(5):
        toy.once()
        toy.tick()
    assert toy.weights == (40, 60)
    assert toy.last is not None
    waiting = next(reason for reason in toy.last.because if reason.why is Why.STABLE_NOT_READY)
    assert waiting.look_at == toy.rollout.status.aborted_at + timedelta(seconds=600)  # type: ignore[operator]

    toy.settle()

    assert toy.weights == (100, 0)


def test_a_superseded_canary_keeps_its_weight_until_stable_can_carry_it() -> None:
    toy = at((20, 60))
    toy.new_template("v3")
    while toy.weights[1]:
        toy.once()
        assert toy.selectors["web-canary"] == "v2" or toy.weights[1] == 0
        assert toy.pods["web-v1"].ready * 10 >= toy.weights[0]
        toy.tick()


def test_a_count_of_canary_pods_keeps_stable_whole() -> None:
    toy = story(Step(set_canary_scale=SetCanaryScale(replicas=3)), Step(set_weight=50))
    toy.new_template("v2")
    toy.settle()

    assert (toy.size("v1"), toy.size("v2")) == (10, 3)


def test_a_full_promotion_moves_weight_as_the_canary_grows() -> None:
    toy = at((20,))
    toy.sick["v2"] = 5
    toy.promote_full()
    for _ in range(6):
        toy.once()
        toy.tick()

    assert toy.weights == (50, 50)
    assert toy.size("v1") == 5


def test_the_last_stable_pods_wait_for_the_delay_unless_the_data_plane_has_confirmed() -> None:
    for verification, left in ((Verification.CANNOT_KNOW, 10), (Verification.YES, 0)):
        toy = story(Step(set_weight=100))
        toy.verification = verification
        toy.new_template("v2")
        for _ in range(8):
            toy.once()
            toy.tick()
        assert toy.weights == (0, 100)
        assert toy.size("v1") == left


def test_a_delay_that_the_spec_gives_passes_before_any_stable_pod_goes() -> None:
    toy = story(Step(set_weight=20), scale_down_delay_seconds=40)
    toy.new_template("v2")
    for _ in range(8):
        toy.once()
        toy.tick()
    assert toy.weights == (80, 20)
    assert toy.size("v1") == 10

    toy.settle()

    assert toy.size("v1") == 8
