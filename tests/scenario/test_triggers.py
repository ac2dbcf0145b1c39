"""What makes the controller look at a Rollout, and what does not? (Lifecycle reference 9.1 and 9.2.)"""

from functools import cache

import pytest

from rows import TRIGGERS
from scenarios import CANARY_SERVICE, POD, STABLE_SERVICE, Story, told, weight
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

pytestmark = pytest.mark.one_life("what makes one process look")


@cache
def story() -> Story:
    """A canary behind Istio, with Services and subsets, at rest."""
    return told(weight(50), routing="subsets", replicas=1, stableService=STABLE_SERVICE, canaryService=CANARY_SERVICE)


def passes_after(kind: Kind, name: str, patch: Manifest) -> int:
    seen = story()
    before = seen.controller.passes
    seen.controller.edit(kind, name, patch)
    seen.advance(1)
    return seen.controller.passes - before


@pytest.mark.parametrize("watched", TRIGGERS)
def test_a_change_of_a_watched_object_is_looked_at(watched: str) -> None:
    kind, name, patch = TRIGGERS[watched]

    assert passes_after(kind, name or story().replica_sets["1"]["metadata"]["name"], patch) > 0


def test_a_pod_that_changes_alone_wakes_nobody() -> None:
    assert passes_after(POD, story().pods("1")[0], {"metadata": {"labels": {"tier": "web"}}}) == 0


def test_every_rollout_is_looked_at_again_after_the_resync_period_though_nothing_happened() -> None:
    seen = told(replicas=1, routing="none")
    seen.edit_spec(revisionHistoryLimit=9)
    seen.advance(1)
    seen.controller.api.done.clear()
    before = seen.controller.passes

    seen.advance(0.8 * 900 - 2)
    early = seen.controller.passes - before
    seen.advance(0.4 * 900 + 2)

    assert (early, seen.controller.passes - before) == (0, 1)
    assert seen.controller.api.done == []
