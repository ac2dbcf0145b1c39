"""What do canaries that the reference has left have in common?"""

from collections.abc import Mapping
from typing import Any, Final

from scenarios import PAUSE_STEP, Story, app, weight
from takeover.leaving import (
    AVAILABLE,
    COMPLETED,
    HEALTHY,
    INCOMPLETE,
    NOT_PAUSED,
    PAUSED,
    STANDING,
    UNHEALTHY,
    Leaving,
)
from takeover.states import promoted
from tiphys.api.meta import Manifest

Fields = dict[str, Any]
STEPS: Final = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)
NO_PAUSE: Final = (weight(20), weight(60))
UPDATING: Final = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE)
PAUSING: Final = (AVAILABLE, UNHEALTHY, INCOMPLETE, STANDING, PAUSED)
AVAILABLE_SOON: Final = "updated replicas are still becoming available"
MORE: Final = "more replicas need to be updated"
STEPS_LEFT: Final = "waiting for all steps to complete"
DONE: Final[tuple[str, str, Mapping[str, int]]] = ("Healthy", "2", {"2": 5})
BACK: Final[tuple[str, str, Mapping[str, int]]] = ("Degraded", "1", {"1": 5})


def rests(left: Leaving, version: str, **fields: Any) -> None:  # noqa: ANN401 - of the status
    """Write the status of a Rollout at its goal."""
    said = (AVAILABLE, NOT_PAUSED, HEALTHY, COMPLETED, left.progressing(version, "NewReplicaSetAvailable"))
    left.status("Healthy", current=version, stable=version, conditions=said, since=3600, **fields)


def update(
    left: Leaving,
    *steps: Manifest,
    pods: int,
    at: int,
    index: int,
    old: int = 5,
    first: tuple[Manifest, ...] = (),
    **given: Any,  # noqa: ANN401 - see `app`
) -> Fields:
    """Leave the update from 1 to 2 with so many pods, at a weight, in a step; gives the fields of the status for that."""
    left.apply(app(*(steps or STEPS), image="2", **given))
    left.replica_set("1", pods=old)
    left.replica_set("2", pods=pods)
    left.point(stable="1", canary="2")
    left.weigh(at, first=first)
    return {"current": "2", "stable": "1", "currentStepIndex": index, "canary": left.weights(at, stable="1", new="2")}


def pausing(left: Leaving, fields: Fields, seconds: float = 7200) -> None:
    """Write the status of a Rollout that has paused for so long."""
    said = left.paused_for("CanaryPauseStep", seconds)
    left.status("Paused", "CanaryPauseStep", conditions=PAUSING, since=seconds, **{**fields, **said})


def pods_come(story: Story) -> None:
    story.advance(5)
    assert story.gained == []
    story.make_well("2")
    promoted(story)


def aborted_fields(left: Leaving, fields: Fields, *, seconds: float = 10) -> Fields:
    said = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE, left.aborted())
    message = f"RolloutAborted: {left.aborted()['message']}"
    done = {"phase": "Degraded", "message": message, "conditions": said, "since": seconds, "abort": True}
    return {**fields, **done, "abortedAt": left.ago(seconds), "currentStepIndex": 0}


def basic(left: Leaving, *steps: Manifest, old: int, new: int, **given: Any) -> Fields:  # noqa: ANN401 - see `app`
    left.apply(app(*(steps or STEPS), image="2", routing="none", **given))
    left.replica_set("1", pods=old)
    left.replica_set("2", pods=new)
    return {"current": "2", "stable": "1"}
