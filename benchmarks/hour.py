"""How long does a rollout of one hour take in virtual time?"""

import json
from typing import Final

import msgspec

from benchmarks.figures import Figure, median_time
from scenarios import ROLLOUT, Story, pause, told, weight
from tiphys.api.meta import Manifest

AT_MOST: Final = 0.5
WEIGHTS: Final = (5, 10, 20, 40, 60, 80)
STEPS: Final[tuple[Manifest, ...]] = tuple(step for percent in WEIGHTS for step in (weight(percent), pause("10m")))


def run() -> list[Figure]:
    """Update a canary of 10 pods behind Istio in six steps of ten minutes, and measure everything: cluster, controller and onlooker."""
    stories: list[Story] = []

    def hour() -> None:
        story = stories.pop()
        began = story.cluster.now
        story.set_image("2")
        story.until(lambda: story.phase == "Healthy" and story.stable == "2", within=7200.0)
        assert (story.cluster.now - began).total_seconds() >= 3600.0

    stories += [told(*STEPS, replicas=10) for _ in range(9)]
    body = msgspec.json.encode(stories[0].controller.manifest(ROLLOUT, "web"))
    yardstick = median_time(lambda: [json.loads(body) for _ in range(1000)], rounds=9)
    value = median_time(hour, rounds=9)
    return [
        Figure(
            name="an hour-long rollout in virtual time",
            value=value,
            unit="s",
            at_most=AT_MOST,
            yardstick=yardstick,
            beside="json.loads of the Rollout, 1,000 times",
        )
    ]
