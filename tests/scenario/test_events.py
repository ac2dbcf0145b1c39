"""Do people read the events of a canary in the documented order? (Lifecycle reference 10.1.)"""

import pytest

from lives import automatic
from scenarios import Story, app, at_rest, blue_green_app, pause, subsequence, weight

pytestmark = pytest.mark.one_life("in which order one process tells its events, and with how many requests")

DEPLOYED = [
    "RolloutAddedToInformer",
    "RolloutUpdated",
    "NewReplicaSetCreated",
    "RolloutNotCompleted",
    "ScalingReplicaSet",
    "RolloutCompleted",
]
PAUSED = ["RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted", "ScalingReplicaSet", "RolloutStepCompleted", "RolloutPaused"]
ABORTED = ["ScalingReplicaSet", "RolloutAborted"]
RETRIED = [
    "ScalingReplicaSet",
    "RolloutStepCompleted",
    "RolloutPaused",
    "RolloutStepCompleted",
    "RolloutResumed",
    "ScalingReplicaSet",
    "RolloutCompleted",
]


def chapters(story: Story) -> list[list[str]]:
    """Deploy, update to the pause, abort, retry to the end; give the events of each."""
    found = []

    def turn_the_page() -> None:
        found.append(list(story.events))
        story.forget()

    story.rest()
    turn_the_page()
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    turn_the_page()
    story.abort()
    story.advance(1)
    turn_the_page()
    story.retry()
    story.rest()
    turn_the_page()
    return found


def test_a_canary_tells_its_events_in_the_documented_order() -> None:
    """One replica without a router: nothing but the documented events, in the documented order."""
    story = Story(app(weight(50), pause(3), replicas=1, routing="none"))

    assert chapters(story) == [DEPLOYED, PAUSED, ABORTED, RETRIED]


def test_a_routed_canary_tells_the_same_and_where_its_traffic_goes() -> None:
    """
    With a router `SwitchService` and `TrafficWeightUpdated` come in between.

    Deviations: an aborted canary keeps its pods for the abort delay (lifecycle 5.6), so nothing is scaled before `RolloutAborted` nor
    after the retry; the old version keeps its pods for the scale-down delay, so the last `ScalingReplicaSet` follows `RolloutCompleted`,
    as do the selector and the weight: a version becomes stable when it carries everything, and then goes behind the stable Service
    (decision 0004 and S4).
    """
    story = Story(app(weight(50), pause(3), replicas=1))

    deployed, paused, aborted, retried = chapters(story)

    assert [each for each in deployed if each != "SwitchService"] == DEPLOYED
    assert [each for each in paused if each not in {"SwitchService", "TrafficWeightUpdated"}] == PAUSED
    assert aborted == ["TrafficWeightUpdated", "RolloutAborted", "SwitchService"]
    assert subsequence(RETRIED[1:5], retried)
    assert retried[-4:] == ["RolloutCompleted", "SwitchService", "TrafficWeightUpdated", "ScalingReplicaSet"]


def test_every_request_of_an_update_serves_a_transition() -> None:
    story = Story(app(weight(20), pause(0), weight(40), pause(0), weight(60)))
    story.rest()
    story.controller.requests.clear()

    story.set_image("2")
    story.rest()

    requests = story.controller.requests
    assert len(requests) <= 40
    assert all(request.purpose for request in requests)
    assert story.phase == "Healthy"


def test_a_blue_green_rollout_tells_its_events_in_the_documented_order() -> None:
    """
    An update without a preview Service tells nothing but the documented events, in the documented order.

    Deviation: the reference calls a first version stable before any pod of it is ready, and so tells no `RolloutNotCompleted` and
    `RolloutCompleted` before the `SwitchService`; here a version is stable once it serves (decision 0003).
    """
    events = [reason for _, reason, _ in automatic().events]

    assert events == [*DEPLOYED[:-1], "SwitchService", "RolloutCompleted", *DEPLOYED[1:-1], "SwitchService", "RolloutCompleted"]


def test_a_blue_green_update_makes_few_requests_and_each_serves_a_transition() -> None:
    story = at_rest(blue_green_app(replicas=5))
    story.controller.requests.clear()

    story.set_image("2")
    story.rest()

    requests = story.controller.requests
    assert (story.phase, story.stable, story.sizes) == ("Healthy", "2", {"2": 5})
    assert len(requests) <= 15, [str(each) for each in requests]
    assert all(each.purpose for each in requests)
