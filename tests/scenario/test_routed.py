"""Does a canary behind Istio come to the right end, whatever happens on the way?"""

import pytest

from scenarios import BETA, PAUSE_STEP, SHADOW, Story, app, scale, told, weight
from tiphys.api.meta import Manifest

WEIGHT_20, WEIGHT_50, WEIGHT_60 = weight(20), weight(50), weight(60)


def test_first_deploy() -> None:
    story = Story(app(WEIGHT_20, PAUSE_STEP))

    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "1"
    assert story.status.current_step_index == 2
    assert story.weights == (100, 0)
    assert story.recorded == (100, 0)
    assert story.selectors == ("1", "1")
    assert story.sizes == {"1": 5}
    assert story.condition("Completed") == ("True", "RolloutCompleted")
    assert story.condition("Healthy") == ("True", "RolloutHealthy")
    assert story.condition("Available") == ("True", "AvailableReason")
    assert story.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert "RolloutStepCompleted" not in story.events
    assert story.onlooker.problems == []


@pytest.mark.parametrize("replicas", [0, 1])
def test_few_replicas(replicas: int) -> None:
    story = told(WEIGHT_20, WEIGHT_60, replicas=replicas)

    story.set_image("2")
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.weights == (100, 0)
    assert story.sizes == ({"2": 1} if replicas else {})
    assert story.onlooker.problems == []


def test_no_replicas_and_then_some() -> None:
    story = told(WEIGHT_20, replicas=0)
    story.set_image("2")
    story.rest()

    story.edit_spec(replicas=3)
    story.rest()

    assert story.selectors == ("2", "2")
    assert story.sizes == {"2": 3}
    assert story.phase == "Healthy"


def test_stable_never_ready_then_a_good_version() -> None:
    story = told(WEIGHT_20, PAUSE_STEP, image="1-never-ready")
    assert story.status.stable_rs == ""
    assert story.phase == "Degraded"
    assert story.message("Progressing").endswith("has timed out progressing.")

    story.set_image("2")
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.sizes == {"2": 5}
    assert story.selectors == ("2", "2")
    assert story.weights == (100, 0)


def test_abort_with_one_stable_pod_that_never_becomes_ready() -> None:
    story = told(WEIGHT_50, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.weights == (50, 50)

    story.make_ill("1", 1)
    story.abort()
    story.rest()

    assert story.weights == (100, 0)
    assert story.sizes == {"1": 5}
    assert story.available("1") == 4
    assert story.selectors == ("1", "1")
    assert story.phase == "Degraded"
    assert story.status.message == "RolloutAborted: Rollout aborted update to revision 2"
    assert story.status.current_step_index == 0
    assert story.onlooker.problems == []


@pytest.mark.parametrize("step", [{"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}], ids=["header", "mirror"])
def test_route_step_first(step: Manifest) -> None:
    story = told(step, WEIGHT_20, PAUSE_STEP)

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    assert "NothingToPlace" in story.events
    assert story.weights == (80, 20)
    assert len(story.managed_routes) == 1
    story.promote()
    story.rest()
    assert story.managed_routes == []
    assert story.phase == "Healthy"


@pytest.mark.parametrize("pods", [0, 1])
def test_set_canary_scale_under_weight_50(pods: int) -> None:
    story = told(WEIGHT_50, scale(replicas=pods), PAUSE_STEP)

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert story.sizes == {"1": 5, **({"2": 1} if pods else {})}
    assert story.weights == ((50, 50) if pods else (100, 0))
    assert story.status.current_step_index == 2
    assert story.onlooker.problems == []
