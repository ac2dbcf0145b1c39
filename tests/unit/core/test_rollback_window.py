"""A way back to a version inside `rollbackWindow` skips every step, and nothing else (lifecycle 6.8, case 28, #3941, #4461)."""

from datetime import timedelta

import pytest

from settling.world import World, istio, world
from tiphys.api.rollout import CanaryStrategy, Pause, RollbackWindow, Step

STEPS = (Step(set_weight=20), Step(pause=Pause()))


def three_versions(window: int, *, routed: bool = True) -> World:
    """Give a world that knows v1 and v2 and has v3 as stable."""
    strategy = CanaryStrategy(steps=STEPS, traffic_routing=istio() if routed else None)
    toy = world(canary=strategy, replicas=4)
    toy.patch_spec(rollback_window=RollbackWindow(revisions=window))
    for version in ("v2", "v3"):
        toy.now += timedelta(hours=1)
        toy.new_template(version)
        toy.settle()
        toy.promote_full()
        toy.settle()
    return toy


@pytest.mark.parametrize("routed", [True, False])
@pytest.mark.parametrize(("window", "version", "fast"), [(1, "v2", True), (1, "v1", False), (2, "v1", True), (0, "v2", False)])
def test_28_a_version_inside_the_window_comes_back_without_steps(window: int, version: str, fast: bool, routed: bool) -> None:  # noqa: FBT001 - columns
    toy = three_versions(window, routed=routed)
    toy.new_template(version)
    toy.settle()

    assert (toy.rollout.status.stable_rs == version) is fast
    if fast:
        assert toy.rollout.status.duration is not None
        assert toy.rollout.status.duration.completion_status == "FastRolledBack"
        assert toy.seen_events[-20:].count("SkipSteps") == 1
    else:
        assert toy.rollout.status.current_step_index == 1


def test_no_weight_moves_back_before_the_pods_for_it_are_there() -> None:
    toy = three_versions(1)
    toy.new_template("v2")
    toy.sick["v2"] = 3
    for _ in range(20):
        toy.once()
        toy.tick()
    assert toy.weights == (100, 0)
    toy.sick.clear()
    toy.settle()

    assert toy.rollout.status.stable_rs == "v2"


def test_an_abort_inside_the_window_is_an_abort() -> None:
    toy = three_versions(1)
    toy.new_template("v2")
    toy.sick["v2"] = 3
    for _ in range(5):
        toy.once()
        toy.tick()
    toy.abort()
    toy.sick.clear()
    toy.settle()

    assert toy.rollout.status.abort
    assert toy.rollout.status.stable_rs == "v3"
    assert toy.weights == (100, 0)
