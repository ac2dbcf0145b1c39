"""Does a canary without a router, whose traffic is its pods, come to the right end?"""

import pytest

from scenarios import CANARY_SERVICE, PAUSE_STEP, STABLE_SERVICE, Story, pause, told, weight

Counts = tuple[int, int]


def surging(surge: int | str, unavailable: int | str, *, replicas: int, percent: int) -> Story:
    """Give a story that stands at *percent*, or at its end for 100."""
    story = told(weight(percent), PAUSE_STEP, routing="none", replicas=replicas, maxSurge=surge, maxUnavailable=unavailable)
    story.set_image("2")
    return story


def counts(story: Story) -> Counts:
    """Give the sizes of stable and canary."""
    return story.sizes.get("1", 0), story.sizes.get("2", 0)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "percent", "end"),
    [
        (10, "25%", "25%", 20, (8, 2)),
        (10, 1, 0, 20, (8, 2)),
        (10, 0, 1, 20, (8, 2)),
        (5, "25%", "25%", 40, (3, 2)),
        (3, 1, 0, 50, (2, 2)),
        (1, "25%", "25%", 10, (1, 1)),
        (10, 0, 1, 95, (1, 9)),
    ],
)
def test_the_counts_come_to_the_share(replicas: int, surge: int | str, unavailable: int | str, percent: int, end: Counts) -> None:
    story = surging(surge, unavailable, replicas=replicas, percent=percent)

    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert counts(story) == end
    assert story.onlooker.problems == []


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"), [(10, "25%", "25%"), (4, 1, 0), (3, "25%", "25%"), (1, "25%", "25%"), (1, 0, 1)]
)
def test_the_counts_come_to_the_end(replicas: int, surge: int | str, unavailable: int | str) -> None:
    story = told(routing="none", replicas=replicas, maxSurge=surge, maxUnavailable=unavailable)

    story.set_image("2")
    story.rest()

    assert counts(story) == (0, replicas)
    assert story.phase == "Healthy"
    assert story.stable == "2"
    assert story.onlooker.problems == []


@pytest.mark.parametrize(("surge", "unavailable"), [("25%", "25%"), (1, 0)])
def test_an_abort_brings_all_pods_back(surge: int | str, unavailable: int | str) -> None:
    story = surging(surge, unavailable, replicas=10, percent=50)
    story.until_phase("Paused", "CanaryPauseStep")
    assert counts(story) == (5, 5)

    story.abort()
    story.rest()

    assert counts(story) == (10, 0)
    assert story.phase == "Degraded"
    assert story.onlooker.problems == []


def test_one_pod_at_a_time_goes_the_documented_way() -> None:
    """The last trajectory of 4.4 that moves one pod at a time, so that no intermediate availability can shorten it."""
    story = told(routing="none", replicas=4, maxSurge=1, maxUnavailable=0)
    seen = [counts(story)]

    def look() -> bool:
        now = counts(story)
        if now != seen[-1]:
            seen.append(now)
        return story.phase == "Healthy" and story.stable == "2"

    story.set_image("2")
    story.until(look)

    assert seen == [(4, 0), (4, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 4), (0, 4)]


def test_one_replica_without_surge_stays_stable_at_ten_percent() -> None:
    story = surging(0, 1, replicas=1, percent=10)

    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert counts(story) == (1, 0)


def test_slow_pods_never_cost_availability() -> None:
    story = told(weight(40), pause(30), routing="none", replicas=5, maxSurge=1, maxUnavailable=1)

    story.set_image("2-slow-20s")
    story.rest()

    assert story.phase == "Healthy"
    assert story.stable == "2-slow-20s"
    assert story.onlooker.problems == []


def test_services_without_a_router_point_at_their_versions() -> None:
    story = told(weight(50), PAUSE_STEP, routing="none", replicas=4, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE)
    assert story.selectors == ("1", "1")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    half = story.selectors

    story.promote()
    story.rest()

    assert half == ("1", "2")
    assert story.selectors == ("2", "2")
    assert story.sizes == {"2": 4}
    assert story.phase == "Healthy"


def test_owners_pause_and_resume() -> None:
    story = told(weight(40), weight(60), routing="none")
    story.pause()
    story.set_image("2")
    story.rest()
    held = (story.phase, story.status.message, counts(story), story.condition("Paused"))
    story.edit_spec(replicas=8)
    story.rest()
    grown = counts(story)

    story.resume()
    story.rest()

    assert held == ("Paused", "manually paused", (5, 0), ("True", "RolloutPaused"))
    assert grown == (8, 0)
    assert story.phase == "Healthy"
    assert counts(story) == (0, 8)
    assert story.condition("Paused") == ("False", "RolloutPaused")


def test_what_its_owner_holds_follows_a_change_of_replicas_as_far_as_the_surge_allows() -> None:
    """Both sides keep their ratio, rounded up: together that can be more pods than `maxSurge` allows (S11)."""
    story = told(weight(50), PAUSE_STEP, replicas=1, routing="none")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.pause()
    story.advance(1)
    before = story.sizes

    story.edit_spec(replicas=2)
    story.advance(60)

    assert (before, story.sizes) == ({"1": 1, "2": 1}, {"1": 2, "2": 1})
    assert (story.phase, story.status.message) == ("Paused", "manually paused")
    assert "UnsafeActionRefused" not in story.events
    story.resume()
    story.promote()
    story.rest()
    assert (story.phase, story.stable, story.sizes) == ("Healthy", "2", {"2": 2})
    assert story.onlooker.problems == []


def test_a_retry_begins_at_the_first_step_with_the_same_pods() -> None:
    story = told(weight(40), PAUSE_STEP, routing="none")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    revision = story.revision("2")
    story.abort()
    story.rest()
    aborted = (story.phase, counts(story), story.status.current_step_index)

    story.retry()
    story.until(lambda: story.condition("Progressing") == ("Unknown", "RolloutRetry"))
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert aborted == ("Degraded", (5, 0), 0)
    assert counts(story) == (3, 2)
    assert story.revision("2") == revision == 2
    assert not story.status.abort
    assert story.status.aborted_at is None


def test_rollback_skips_the_steps() -> None:
    story = told(weight(40), PAUSE_STEP, routing="none")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("1")
    story.rest()

    assert "SkipSteps" in story.events
    assert story.phase == "Healthy"
    assert story.sizes == {"1": 5}
    assert story.status.current_step_index == 2
    assert story.revision("1") == 3


def test_an_update_to_an_old_version_takes_all_steps() -> None:
    story = told(weight(40), pause(10), routing="none")
    story.set_image("2")
    story.rest()
    story.forget()

    story.set_image("1")
    story.rest()

    assert story.stable == "1"
    assert story.events.count("RolloutStepCompleted") == 2
    assert "SkipSteps" not in story.events


def test_changed_steps_begin_again_with_the_same_pods() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    before, pods = story.status.current_step_hash, story.pods("2")

    story.edit_canary(steps=[weight(40), PAUSE_STEP, weight(80)])
    story.until(lambda: story.status.current_step_index == 1)
    story.rest()

    assert story.status.current_step_hash != before
    assert counts(story) == (3, 2)
    assert set(pods) <= set(story.pods("2"))
    assert story.phase == "Paused"


def test_a_deadline_that_passes_degrades_and_progress_heals() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none", spec={"progressDeadlineSeconds": 30})

    story.set_image("2-slow-60s")
    story.until(lambda: story.phase == "Degraded")
    degraded = (story.condition("Progressing"), story.status.message)
    story.until_phase("Paused", "CanaryPauseStep")

    assert degraded[0] == ("False", "ProgressDeadlineExceeded")
    assert degraded[1].startswith("ProgressDeadlineExceeded: ReplicaSet")
    assert degraded[1].endswith("has timed out progressing.")


def test_a_deadline_that_passes_aborts_where_it_is_asked_to() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none", spec={"progressDeadlineSeconds": 30, "progressDeadlineAbort": True})

    story.set_image("2-never-ready")
    story.rest()

    assert story.phase == "Degraded"
    assert story.status.abort
    assert story.condition("Progressing") == ("False", "RolloutAborted")
    assert story.message("Progressing").startswith("Rollout aborted update to revision 2: ReplicaSet")
    assert story.events.count("RolloutAborted") == 1
    assert story.sizes == {"1": 5}


def test_old_versions_beyond_the_limit_go_oldest_first() -> None:
    story = told(routing="none", replicas=1, spec={"revisionHistoryLimit": 2})

    for version in ("2", "3", "4", "5"):
        story.set_image(version)
        story.rest()

    assert sorted(story.replica_sets) == ["3", "4", "5"]
    assert [story.revision(version) for version in ("3", "4", "5")] == [3, 4, 5]


def test_three_versions_without_a_router() -> None:
    story = told(weight(40), PAUSE_STEP, routing="none")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("3")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    assert story.sizes == {"1": 3, "3": 2}
    assert story.onlooker.problems == []
