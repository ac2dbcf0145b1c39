"""A restart that nobody notices. (Lifecycle reference 8.1, 12.5.)"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from scenarios import PAUSE_STEP, Routing, Story, told, weight
from tiphys.api import names
from tiphys.api.meta import wire_time

SURGE_FIRST: dict[str, Any] = {"maxUnavailable": 0, "maxSurge": 1}


class Least:
    """Remembers the fewest pods that were available after any write, per version and together, and the most that there were."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._onlooker = story.onlooker
        self.available: dict[str, int] = {}
        self.together = 10**6
        self.most = 0
        story.controller.api.witness = self

    def before(self) -> None:
        self._onlooker.before()

    def after(self, verb: str, plural: str, body: str) -> None:
        self._onlooker.after(verb, plural, body)
        counted = {version: len(self._ready(version)) for version in self._story.replica_sets}
        self.available = {version: min(count, self.available.get(version, count)) for version, count in counted.items()}
        self.together = min(self.together, sum(counted.values()))
        self.most = max(self.most, sum(self._story.sizes.values()))

    def _ready(self, version: str) -> list[Mapping[str, Any]]:
        found = self._story.cluster.pods({names.HASH_LABEL: self._story.hash_of(version)})
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)]


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions", ()))


def restart(story: Story, *, later: float = 0.0) -> list[str]:
    """Ask for a restart, and name the pods that are there."""
    before = [pod["metadata"]["name"] for pod in story.cluster.pods({})]
    story.advance(2)
    story.edit_spec(restartAt=wire_time(story.cluster.now))
    story.advance(later)
    return before


@pytest.mark.parametrize("routing", ["istio", "none"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_where_no_pod_may_be_missing_another_one_comes_first(replicas: int, routing: Routing) -> None:
    """The reference takes the only pod away (12.5 #1583)."""
    story = told(weight(50), replicas=replicas, routing=routing, image="1-slow-5s", **SURGE_FIRST)
    least = Least(story)

    before = restart(story)
    story.rest()

    assert least.together == replicas
    assert least.most == replicas + 1
    assert not set(before) & set(story.pods("1-slow-5s"))
    assert story.sizes == {"1-slow-5s": replicas}
    assert (story.phase, story.status.restarted_at) == ("Healthy", story.rollout.spec.restart_at)
    assert story.onlooker.problems == []


def test_a_single_pod_needs_no_setting_for_that() -> None:
    story = told(weight(50), replicas=1, image="1-slow-5s")
    least = Least(story)

    restart(story)
    story.rest()

    assert (least.together, story.phase) == (1, "Healthy")


@pytest.mark.parametrize(
    ("routing", "most"),
    [pytest.param("istio", 4, id="each version has one more"), pytest.param("none", 2, id="the update holds the room already")],
)
def test_in_mid_update_both_versions_are_restarted(routing: Routing, most: int) -> None:
    story = told(weight(50), PAUSE_STEP, replicas=1, routing=routing, image="1-slow-5s", **SURGE_FIRST)
    story.set_image("2-slow-5s")
    story.until_phase("Paused", "CanaryPauseStep")
    least = Least(story)

    before = restart(story)
    story.rest()

    assert not set(before) & {*story.pods("1-slow-5s"), *story.pods("2-slow-5s")}
    assert story.sizes == {"1-slow-5s": 1, "2-slow-5s": 1}
    assert least.most == most
    assert least.together >= 1
    assert routing == "none" or least.available == {"1-slow-5s": 1, "2-slow-5s": 1}
    assert story.onlooker.problems == []


def test_the_pod_more_waits_as_long_as_nobody_may_go() -> None:
    story = told(weight(50), replicas=1, **SURGE_FIRST)
    story.controller.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        }
    )

    before = restart(story, later=3600)
    held = (story.sizes, set(before) <= set(story.pods("1")), story.status.message)
    story.controller.delete(("policy", "PodDisruptionBudget"), "web")
    story.rest()

    assert held == ({"1": 2}, True, "rollout is restarting")
    assert (story.sizes, story.phase) == ({"1": 1}, "Healthy")
    assert not set(before) & set(story.pods("1"))


def test_a_restart_that_waits_ends_with_a_new_template() -> None:
    """The reference loses that, although it is documented (12.5, code 6.6)."""
    story = told(weight(50), PAUSE_STEP, replicas=1)
    story.edit_spec(restartAt=wire_time(story.cluster.now + timedelta(seconds=1000)))
    story.advance(1)
    assert story.status.restarted_at is None

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    assert story.status.restarted_at == story.rollout.spec.restart_at
    stays = story.pods("1")
    story.advance(2000)
    assert story.pods("1") == stays


def test_a_restart_begins_in_the_second_it_is_asked_for_even_beyond_the_next_resync() -> None:
    story = told(weight(50), replicas=1)
    before = story.pods("1")
    asked = story.cluster.now.replace(microsecond=0) + timedelta(seconds=5000)

    story.edit_spec(restartAt=wire_time(asked))
    story.until(lambda: story.sizes == {"1": 2}, within=6000)

    assert 0 <= (story.cluster.now - asked).total_seconds() <= 1
    story.rest()
    assert not set(before) & set(story.pods("1"))
