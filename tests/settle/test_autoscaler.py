"""An autoscaler that sees a constant load never grows the fleet because of an update. (Lifecycle reference 8.4.)"""

import math
from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settling.bluegreen import ACTIVE, PREVIEW, blue_green_world
from settling.world import World, istio, world
from tiphys.api import names
from tiphys.api.rollout import BlueGreenStrategy, CanaryStrategy, Pause, Step

CAPACITY = 10
"""The load at which a pod is as busy as the autoscaler wants it."""
TOLERANCE = Fraction(1, 10)
STEPS = (Step(set_weight=20), Step(pause=Pause(duration=40)), Step(set_weight=60), Step(pause=Pause(duration=40)))


def scale_by_load(toy: World, load: int) -> None:
    """
    Do what an autoscaler does with the scale subresource: the mean over the pods of `status.selector`, times `status.HPAReplicas`.

    Pods that get nothing are idle, and pull the mean down; they count as pods all the same.
    """
    status = toy.rollout.status
    found = [pods for pods in toy.pods.values() if pods.ready and _selects(status.selector, pods.pod_hash)]
    seen = sum(pods.ready for pods in found)
    if not seen or not status.hpa_replicas:
        return
    ratio = Fraction(load, seen * CAPACITY)
    if abs(ratio - 1) <= TOLERANCE:
        return
    wanted = math.ceil(status.hpa_replicas * ratio)
    if wanted != toy.rollout.spec.replicas:
        toy.patch_spec(replicas=max(1, wanted))


def _selects(selector: str, pod_hash: str) -> bool:
    return names.HASH_LABEL not in selector or selector.endswith(f"{names.HASH_LABEL}={pod_hash}")


def lives(toy: World, load: int) -> tuple[int, int]:
    """
    Let an update run with an autoscaler beside it; gives the most pods that were wanted, and those at the end.

    An autoscaler looks every 15 seconds: long after the controller has said what it found.
    """
    most = toy.rollout.spec.replicas or 0
    for _ in range(120):
        stored = toy.rollout.status
        plan = toy.once()
        if toy.tick() or plan.actions or toy.rollout.status != stored:
            continue
        scale_by_load(toy, load)
        most = max(most, toy.rollout.spec.replicas or 0)
        toy.now += timedelta(seconds=15)
    return most, toy.rollout.spec.replicas or 0


@pytest.mark.parametrize("dynamic", [False, True])
@given(replicas=st.integers(2, 12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_canary_through_a_router_does_not_grow_the_fleet(dynamic: bool, replicas: int) -> None:  # noqa: FBT001 - a parameter
    toy = world(canary=CanaryStrategy(steps=STEPS, traffic_routing=istio(), dynamic_stable_scale=dynamic), replicas=replicas)
    toy.new_template("v2")

    most, end = lives(toy, replicas * CAPACITY)

    assert toy.rollout.status.stable_rs == "v2", toy.describe()
    assert (most, end) == (replicas, replicas), toy.describe()


@given(replicas=st.integers(2, 12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_canary_by_counts_does_not_grow_the_fleet(replicas: int) -> None:
    toy = world(canary=CanaryStrategy(steps=STEPS), replicas=replicas, services=False)
    toy.new_template("v2")

    most, end = lives(toy, replicas * CAPACITY)

    assert toy.rollout.status.stable_rs == "v2", toy.describe()
    assert (most, end) == (replicas, replicas), toy.describe()


@pytest.mark.parametrize("preview", [None, 1])
@given(replicas=st.integers(2, 12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_blue_green_update_does_not_grow_the_fleet(preview: int | None, replicas: int) -> None:
    strategy = BlueGreenStrategy(active_service=ACTIVE, preview_service=PREVIEW, auto_promotion_seconds=20)
    toy = blue_green_world(msgspec.structs.replace(strategy, preview_replica_count=preview), replicas=replicas)
    toy.new_template("v2")

    most, end = lives(toy, replicas * CAPACITY)

    assert toy.rollout.status.stable_rs == "v2", toy.describe()
    assert (most, end) == (replicas, replicas), toy.describe()
