"""Does a canary behind Istio come to the right end, whatever happens on the way?"""

import pytest

from scenarios import BETA, CANARY_SERVICE, PAUSE_STEP, SERVICE, SHADOW, Routing, Story, app, scale, told, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.core.actions import Why
from tiphys.core.observed import Verification

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


def test_weight_lowered_between_steps() -> None:
    story = told(WEIGHT_60, WEIGHT_20, PAUSE_STEP)

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert story.gained == [60, 20]
    assert story.weights == (80, 20)
    assert story.sizes == {"1": 5, "2": 1}
    assert story.onlooker.problems == []


def test_no_steps() -> None:
    story = told()

    story.set_image("2")
    story.rest()

    assert story.gained == [100, 0]
    assert story.stable == "2"
    assert story.phase == "Healthy"
    assert story.status.current_step_index is None
    assert story.selectors == ("2", "2")
    assert story.onlooker.problems == []


def test_promote_full_at_20_percent() -> None:
    story = told(WEIGHT_20, PAUSE_STEP, weight(40), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.promote_full()
    story.rest()

    assert story.gained == [20, 100, 0]
    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert not story.status.promote_full
    assert story.sizes == {"2": 5}
    assert story.onlooker.problems == []


def test_empty_traffic_routing() -> None:
    story = told(WEIGHT_20, PAUSE_STEP, routing="empty")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.sizes == {"1": 5, "2": 1}
    assert story.recorded is None

    story.promote()
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.sizes == {"2": 5}


def test_subsets_without_services() -> None:
    story = told(WEIGHT_20, WEIGHT_60, routing="subsets")

    story.set_image("2")
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.subsets == ("2", "2")
    assert story.gained == [20, 60, 100, 0]
    assert story.onlooker.problems == []


def test_v1_to_v2_to_v3() -> None:
    story = told(WEIGHT_50, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("3")
    story.until_weight(0)
    first = (story.sizes["2"], story.selectors)
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert first == (3, ("1", "2"))
    assert story.weights == (50, 50)
    assert story.selectors == ("1", "3")
    assert story.sizes == {"1": 5, "3": 3}
    assert story.revision("3") == 3
    assert story.onlooker.problems == []


def test_a_superseded_canary_keeps_its_pods_for_the_delay() -> None:
    story = told(WEIGHT_50, PAUSE_STEP, scaleDownDelaySeconds=20)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("3")
    story.until(lambda: story.selectors[1] == "3")
    story.advance(15)
    kept = story.sizes.get("2")
    story.advance(10)

    assert kept == 3
    assert "2" not in story.sizes


def test_replicas_doubled_in_a_pause() -> None:
    story = told(WEIGHT_50, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.edit_spec(replicas=10)
    story.rest()

    assert story.gained == [50]
    assert story.weights == (50, 50)
    assert story.sizes == {"1": 10, "2": 5}
    assert story.phase == "Paused"
    assert story.status.current_step_index == 1
    assert story.onlooker.problems == []


def test_verification_that_never_confirms() -> None:
    story = told(WEIGHT_20, WEIGHT_60)
    story.verification = Verification.NOT_YET

    story.set_image("2")
    story.rest()

    assert story.reasons & {Why.NOT_VERIFIED, Why.SERVICE_NOT_SWITCHED}
    assert story.stable == "1"
    assert story.phase == "Degraded"
    assert story.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert story.sizes["1"] == 5
    assert story.onlooker.problems == []


def test_verification_that_comes_late_lets_the_update_go_on() -> None:
    story = told(WEIGHT_20, WEIGHT_60)
    story.verification = Verification.NOT_YET
    story.set_image("2")
    story.rest()

    story.verification = Verification.YES
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2"


def test_verification_that_never_confirms_does_not_hold_the_way_back() -> None:
    story = told(WEIGHT_20, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.weights == (80, 20)

    story.verification = Verification.NOT_YET
    story.abort()
    story.rest()

    assert story.weights == (100, 0)
    assert story.sizes == {"1": 5, "2": 1}
    assert story.reasons & {Why.NOT_VERIFIED, Why.CARRIES_TRAFFIC}


@pytest.mark.one_life("deaths of its own")
def test_death_between_the_route_write_and_the_status_write_followed_by_a_new_template() -> None:
    story = told(WEIGHT_20, WEIGHT_60)
    story.controller.api.deadly = lambda _verb, plural, _body: plural == "virtualservices"
    story.set_image("2")
    story.until_weight(100)
    assert story.stable == "1"
    assert story.controller.deaths == 3

    story.set_image("3")
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "3"
    assert story.sizes == {"3": 5}
    assert story.selectors == ("3", "3")
    assert story.weights == (100, 0)
    assert story.onlooker.problems == []


def test_a_canary_that_loses_its_pods_loses_its_weight_and_gets_it_back_with_them() -> None:
    story = told(WEIGHT_50, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    story.bar("2")
    story.until_weight(0)
    lost = story.phase
    story.unbar("2")
    story.until_weight(50)
    story.rest()

    assert lost == "Paused"
    assert story.gained == [50, 0, 50]
    assert story.status.current_step_index == 1
    assert story.onlooker.problems == []


@pytest.mark.parametrize("routing", ["istio", "subsets"])
def test_a_canary_backend_that_names_no_hash_gets_one_before_it_gets_weight(routing: Routing) -> None:
    """A first version without replicas leaves both backends as they were written: they select the pods of every version."""
    story = told(WEIGHT_20, PAUSE_STEP, routing=routing, replicas=0)

    story.edit_spec(replicas=2)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()
    named = story.selectors if routing == "istio" else story.subsets
    story.promote()
    story.rest()

    assert named == ("1", "2")
    assert story.gained == [20, 100, 0]
    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.onlooker.problems == []


def test_a_canary_service_that_lost_its_hash_gets_it_back() -> None:
    story = told(WEIGHT_20, PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.forget()

    story.controller.edit(SERVICE, CANARY_SERVICE, {"spec": {"selector": {names.HASH_LABEL: None}}})
    story.rest()

    assert story.gained == [0, 20]
    assert story.selectors == ("1", "2")
    assert story.phase == "Paused"
