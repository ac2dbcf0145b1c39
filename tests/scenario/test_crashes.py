"""Does the end depend on when the controller dies?"""

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from deaths import crash_points
from inprocess import InProcessController
from mortality import fingerprint
from scenarios import BETA, PAUSE_STEP, Routing, Story, app, blue_green_app, pause, scale, weight
from settling.world import FIGURES
from tiphys.api.meta import Manifest

pytestmark = pytest.mark.one_life("deaths of its own")

Tale = Callable[[Story], None]

PLAIN: Final = (weight(20), weight(50), PAUSE_STEP, weight(80), pause(5))
ROUTES: Final = (scale(replicas=2), {"setHeaderRoute": BETA}, scale(matchTrafficWeight=True), weight(50), PAUSE_STEP, weight(80))


def promote(story: Story) -> None:
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.rest()


def abort(story: Story) -> None:
    story.set_image("2")
    story.until_weight(50)
    story.abort()
    story.rest()


def supersede(story: Story) -> None:
    story.set_image("2")
    story.until_weight(50)
    story.set_image("3")
    story.until(lambda: story.phase == "Paused" and story.version_of(story.status.current_pod_hash) == "3")
    story.promote()
    story.rest()


def retry(story: Story) -> None:
    story.set_image("2")
    story.until_weight(50)
    story.abort()
    story.until_weight(0)
    story.retry()
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote_full()
    story.rest()


def cut_over(story: Story) -> None:
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.promote()
    story.rest()


def abort_the_preview(story: Story) -> None:
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.abort()
    story.rest()
    story.retry()
    story.until_phase("Paused", "BlueGreenPause")
    story.promote_full()
    story.rest()


def go_back(story: Story) -> None:
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.promote()
    story.until(lambda: story.stable == "2")
    story.set_image("1")
    story.rest()


def run(tale: Tale, manifests: Sequence[Manifest], *, before: int = 0, after: int = 0) -> Story:
    """Tell *tale*, first deploy included, with a death *before* or *after* the write of that number; 0 is none."""

    def doom(controller: InProcessController) -> None:
        controller.api.deaths_before = {before} - {0}
        controller.api.deaths = {after} - {0}

    story = Story(manifests, prepare=doom)
    story.rest()
    tale(story)
    return story


def steered(*steps: Manifest, routing: Routing = "istio") -> list[Manifest]:
    return app(*steps, routing=routing, replicas=4)


@pytest.mark.parametrize(
    ("tale", "manifests"),
    [
        (promote, steered(*ROUTES)),
        (promote, steered(*ROUTES, routing="ping-pong")),
        (abort, steered(*PLAIN)),
        (supersede, steered(*PLAIN)),
        (retry, steered(*ROUTES, routing="subsets")),
        (cut_over, blue_green_app(autoPromotionEnabled=False, previewReplicaCount=1)),
        (abort_the_preview, blue_green_app(autoPromotionEnabled=False)),
        (go_back, blue_green_app(autoPromotionEnabled=False)),
    ],
    ids=[
        "promote",
        "promote-with-ping-pong",
        "abort",
        "supersede",
        "retry-and-promote-full",
        "blue-green",
        "blue-green-abort-and-promote-full",
        "blue-green-and-back",
    ],
)
def test_a_death_anywhere_changes_nothing_in_the_end(tale: Tale, manifests: list[Manifest]) -> None:
    """One death in turn before and after every write, each followed by a controller that knows nothing."""
    plain = run(tale, manifests)
    wanted = fingerprint(plain.cluster)
    points = crash_points(plain)
    assert plain.onlooker.problems == []

    for before, after in points:
        story = run(tale, manifests, before=before, after=after)
        where = f"death before write {before}" if before else f"death after write {after}"
        assert story.controller.deaths == 1, where
        assert story.onlooker.problems == [], where
        assert fingerprint(story.cluster) == wanted, where
    FIGURES["crash points of whole stories"] += len(points)
