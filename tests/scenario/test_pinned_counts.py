"""Do the pinned cases hold that count pods? (Lifecycle reference 11: 11, 15 to 17, 26, 27, 42, 51.)"""

from typing import Any

import msgspec
import pytest

from scenarios import PAUSE_STEP, REPLICA_SET, scale, scaled, told, weight
from tiphys.api import names


def test_11_an_aborted_canary_held_by_its_delay_keeps_its_size_when_replicas_change() -> None:
    """The deadline starts when the weight is 0 and confirmed (#4867), not with the change of replicas."""
    story = told(weight(100), PAUSE_STEP, abortScaleDownDelaySeconds=60)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.abort()
    story.until(lambda: story.phase == "Degraded")

    story.edit_spec(replicas=4)
    story.advance(30)
    held = (story.sizes["2"], story.annotations("2")[names.DESIRED_REPLICAS], names.SCALE_DOWN_DEADLINE in story.annotations("2"))
    weights = story.weights
    story.rest()

    assert held == (5, "4", True)
    assert weights == (100, 0)
    assert story.sizes == {"1": 4}
    assert names.SCALE_DOWN_DEADLINE not in story.annotations("2")
    assert story.onlooker.problems == []


@pytest.mark.parametrize("routing", ["istio", "subsets"])
def test_15_an_old_version_that_a_service_or_a_subset_still_names_is_not_scaled_down(routing: Any) -> None:  # noqa: ANN401 - a literal
    story = told(weight(50), PAUSE_STEP, routing=routing)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("3-never-ready")
    story.rest()

    assert story.sizes["2"] == 3
    assert story.weights == (100, 0)
    assert (story.selectors if routing == "istio" else story.subsets) == ("1", "2")


@pytest.mark.one_life("a moment that one process passes through")
def test_17_an_old_version_is_cut_to_its_available_pods_before_anything_else() -> None:
    story = told(weight(60), PAUSE_STEP, routing="none", maxSurge=1, maxUnavailable=1)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.make_ill("2", 2)
    story.until(lambda: story.available("2") == 1)
    story.forget()

    story.set_image("3")
    story.rest()

    old = [size for version, size in scaled(story) if version == "2"]
    assert scaled(story)[0] == ("2", 1)
    assert old[-1] == 0
    assert story.onlooker.problems == []


def test_17_with_a_router_never_below_the_share_it_carries() -> None:
    story = told(weight(60), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.make_ill("2", 2)
    story.until(lambda: story.available("2") == 1)

    story.set_image("3")
    story.rest()

    assert story.sizes == {"1": 5, "3": 3}
    assert story.onlooker.problems == []


def test_26_promote_full_grows_the_canary_and_promotes_when_all_are_available() -> None:
    story = told(weight(20), PAUSE_STEP, weight(40), PAUSE_STEP)
    story.set_image("2-slow-10s")
    story.until_phase("Paused", "CanaryPauseStep")

    story.promote_full()
    story.advance(5)
    growing = (story.sizes, story.stable, story.status.promote_full)
    story.rest()

    assert growing == ({"1": 5, "2-slow-10s": 5}, "1", True)
    assert story.stable == "2-slow-10s"
    assert not story.status.promote_full
    assert story.status.duration is not None
    assert story.status.duration.completion_status == "FastPromoted"
    assert story.onlooker.problems == []


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_26_promote_full_promotes_a_canary_that_is_larger_than_replicas(routing: Any) -> None:  # noqa: ANN401 - a literal
    story = told(weight(100), PAUSE_STEP, weight(100), PAUSE_STEP, routing=routing)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.edit_spec(replicas=3)
    story.promote_full()
    story.rest()

    assert story.stable == "2"
    assert story.sizes == {"2": 3}
    assert story.phase == "Healthy"


@pytest.mark.parametrize(
    ("threshold", "ill", "met"),
    [
        ({"type": "Percent", "value": 90}, 1, True),
        ({"type": "Percent", "value": 90}, 2, False),
        ({"type": "Pods", "value": 3}, 7, True),
        ({"type": "Pods", "value": 3}, 8, False),
    ],
)
def test_27_a_threshold_decides_whether_the_counts_are_met(threshold: dict[str, Any], ill: int, met: bool) -> None:  # noqa: FBT001 - a column
    story = told(scale(replicas=10), PAUSE_STEP, weight(100), PAUSE_STEP, replicas=10, replicaProgressThreshold=threshold)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.make_ill("2", ill)
    story.until(lambda: story.available("2") == 10 - ill)

    story.promote()
    story.advance(60)

    assert (story.status.current_step_index == 3) is met
    assert story.weights == ((0, 100) if met else (100, 0))


def test_27_nothing_wanted_meets_any_percentage() -> None:
    story = told(scale(replicas=0), PAUSE_STEP, replicaProgressThreshold={"type": "Percent", "value": 90})

    story.set_image("2")
    story.rest()

    assert story.status.current_step_index == 1
    assert story.phase == "Paused"


@pytest.mark.one_life("updates without pods, that begin and end in one write")
def test_42_beyond_the_history_limit_only_the_oldest_is_deleted() -> None:
    story = told(routing="none", replicas=0, spec={"revisionHistoryLimit": 10})

    for version in range(2, 13):
        story.set_image(str(version))
        story.rest()

    assert sorted(int(version) for version in story.replica_sets) == list(range(2, 13))


@pytest.mark.one_life("a moment that one process passes through")
def test_42_old_versions_with_pods_are_not_deleted() -> None:
    story = told(replicas=1, spec={"revisionHistoryLimit": 1}, scaleDownDelaySeconds=6000)

    for version in ("2", "3"):
        story.set_image(version)
        story.until(lambda version=version: story.stable == version and story.phase == "Healthy" and story.weights == (100, 0))  # type: ignore[misc]
    story.advance(600)

    assert story.sizes == {"1": 1, "2": 1, "3": 1}


def test_51_at_the_end_stable_gives_away_all_that_availability_allows() -> None:
    story = told(weight(30), PAUSE_STEP, routing="none", replicas=10, maxSurge=3, maxUnavailable=0)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.pause()
    story.rest()
    for version, size in (("1", 9), ("2", 4)):
        story.controller.edit(REPLICA_SET, story.replica_sets[version]["metadata"]["name"], {"spec": {"replicas": size}})
    story.rest()
    assert (story.available("1"), story.available("2")) == (9, 4)
    story.edit_status(currentStepIndex=2, pauseConditions=None)
    story.forget()

    story.resume()
    story.rest()

    assert scaled(story)[0] == ("1", 6)
    assert story.sizes == {"2": 10}
    assert story.stable == "2"


def test_the_delay_of_old_versions_is_counted_by_their_limit() -> None:
    """Case 14, for a canary: of two old versions inside their delay the revision limit keeps the newer."""
    story = told(scaleDownDelaySeconds=6000, scaleDownDelayRevisionLimit=1, replicas=1)
    for version in ("2", "3"):
        story.set_image(version)
        story.until(lambda version=version: story.stable == version and story.phase == "Healthy" and story.weights == (100, 0))  # type: ignore[misc]
    story.advance(60)

    assert story.sizes == {"2": 1, "3": 1}
    assert msgspec.json.encode(story.annotations("2")).count(b"scale-down-deadline") == 1
