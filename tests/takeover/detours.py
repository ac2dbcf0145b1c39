"""Canary Rollouts that people or mishaps took off their way, as the reference leaves them. (Lifecycle reference 5.6, 6.8, 6.10, 8)"""

from collections.abc import Mapping
from typing import Final

import msgspec

from scenarios import PAUSE_STEP, ROLLOUT, Story, app, weight
from takeover.canary_parts import (
    BACK,
    DONE,
    MORE,
    NO_PAUSE,
    PAUSING,
    STEPS,
    STEPS_LEFT,
    UPDATING,
    aborted_fields,
    pausing,
    pods_come,
    update,
)
from takeover.leaving import (
    AVAILABLE,
    COMPLETED,
    HEALTHY,
    INCOMPLETE,
    NOT_PAUSED,
    RETRYING,
    UNHEALTHY,
    Leaving,
    condition,
)
from takeover.states import DEADLINE_RUNS, State, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest

PLUGGED: Final = (weight(20), PAUSE_STEP, {"plugin": {"name": "example.com/step"}})


def aborted(left: Leaving) -> None:
    """The weight is 0, the canary Service selects stable, and the canary's pods stay for their delay (5.6)."""
    fields = update(left, pods=1, at=0, index=0)
    left.point(stable="1", canary="1")
    left.delay("2", 20)
    left.status(**aborted_fields(left, fields))


def aborted_for_good(left: Leaving) -> None:
    fields = update(left, pods=0, at=0, index=0, abortScaleDownDelaySeconds=0)
    left.point(stable="1", canary="1")
    left.status(**aborted_fields(left, fields, seconds=7200))


def aborted_step_by_step(left: Leaving) -> None:
    """Stable follows its weight, so the weight goes back by the steps: 60 until stable can serve 80 (1.7)."""
    fields = update(left, *NO_PAUSE, pods=6, old=8, at=60, index=0, replicas=10, dynamicStableScale=True)
    left.falter("1", 2)
    left.status(**aborted_fields(left, fields))


def stable_pods_come(story: Story) -> None:
    story.make_well("1")
    story.rest()


def retried(left: Leaving) -> None:
    """A person asked for another attempt, and the reference stopped before it saw that."""
    aborted(left)
    left.controller.edit(ROLLOUT, "web", {"status": {"abort": False}}, subresource="status")


def retries(left: Leaving) -> None:
    """The second attempt has begun: pods of the canary come back (2.3.6)."""
    fields = update(left, pods=1, at=0, index=0)
    left.falter("2", 1)
    left.point(stable="1", canary="1")
    said = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE, RETRYING)
    left.status("Progressing", MORE, conditions=said, **fields)


def promoted_in_full(left: Leaving) -> None:
    """The canary grows to all pods; its weight stays until they are there (row E)."""
    fields = update(left, pods=1, at=20, index=1)
    left.resize("2", 5)
    left.falter("2", 4)
    said = (*UPDATING, left.progressing("2"))
    left.status("Progressing", STEPS_LEFT, conditions=said, promoteFull=True, **{**fields, "currentStepIndex": 4})


def user_paused(left: Leaving) -> None:
    fields = update(left, *NO_PAUSE, pods=1, at=20, index=1)
    left.controller.edit(ROLLOUT, "web", {"spec": {"paused": True}})
    left.status("Paused", "manually paused", conditions=PAUSING, since=60, **fields)


def resumes(story: Story) -> None:
    story.rest()
    assert story.gained == []
    story.resume()
    promoted(story)


def restart_asked(left: Leaving) -> None:
    """Four pods of five are from before restartAt; the reference evicts one at a time (8.1)."""
    left.apply(app(*STEPS))
    left.replica_set("1", pods=5)
    left.point(stable="1", canary="1")
    left.controller.edit(ROLLOUT, "web", {"spec": {"restartAt": left.ago(0)}})
    left.advance(30)
    one, *_ = left.controller.cluster.pods({"app": "web"})
    left.controller.delete(("", "Pod"), one["metadata"]["name"])
    left.advance(60)
    said = (AVAILABLE, NOT_PAUSED, HEALTHY, COMPLETED, left.progressing("1", "NewReplicaSetAvailable"))
    left.status(
        "Progressing", "rollout is restarting", current="1", stable="1", conditions=said,
        currentStepIndex=4, canary=left.weights(0, stable="1", new="1"),
    )  # fmt: skip


def within_window(left: Leaving) -> None:
    """From 3 back to 2, which has no pods: the steps are skipped, and its pods start (6.8)."""
    left.apply(app(*NO_PAUSE, image="2", spec={"rollbackWindow": {"revisions": 3}}))
    left.replica_set("1", pods=0)
    left.replica_set("2", pods=0)
    left.replica_set("3", pods=5)
    left.annotate("2", {names.REVISION: "4", names.REVISION_HISTORY: "2"})
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.REVISION: "4"}}})
    left.point(stable="3", canary="3")
    left.resize("2", 5)
    left.falter("2", 5)
    left.status(
        "Progressing", STEPS_LEFT, current="2", stable="3", conditions=(*UPDATING, left.progressing("2")),
        currentStepIndex=2, canary=left.weights(0, stable="3", new="3"),
    )  # fmt: skip


def superseded(left: Leaving) -> None:
    """3 came while 2 had 20 percent: the weight is taken back, the canary Service stays on 2 until 3 has a pod (1.5)."""
    left.apply(app(*STEPS, image="3"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=1)
    left.replica_set("3", pods=1)
    left.falter("3", 1)
    left.point(stable="1", canary="2")
    left.status(
        "Progressing", MORE, current="3", stable="1", conditions=(*UPDATING, left.progressing("3")),
        currentStepIndex=0, canary=left.weights(0, stable="1", new="3"),
    )  # fmt: skip


def third_comes(story: Story) -> None:
    story.make_well("3")
    promoted(story)


def old_pods_stay(left: Leaving) -> None:
    """Promoted 10 seconds ago: the pods of 1 stay for their delay (1.13)."""
    left.apply(app(*STEPS, image="2"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=5)
    left.point(stable="2", canary="2")
    left.delay("1", 20)
    said = (AVAILABLE, NOT_PAUSED, UNHEALTHY, COMPLETED, left.progressing("2"))
    left.status(
        "Healthy", current="2", stable="2", conditions=said, currentStepIndex=4,
        canary=left.weights(0, stable="2", new="2"),
    )  # fmt: skip


def at_its_time(story: Story) -> None:
    story.advance(18)
    assert story.sizes == {"1": 5, "2": 5}
    story.rest()


def intermediate(left: Leaving) -> None:
    """3 came while 2 had 20 percent, and its pods are the canary's by now: of 2 nothing is left but what status says (1.13)."""
    left.apply(app(*STEPS, image="3"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=0)
    left.replica_set("3", pods=1)
    left.point(stable="1", canary="3")
    left.weigh(20)
    pausing(left, {"current": "3", "stable": "1", "currentStepIndex": 1, "canary": left.weights(20, stable="1", new="3")})


def too_late(left: Leaving) -> None:
    fields = update(left, pods=1, at=0, index=0)
    left.falter("2", 1)
    left.point(stable="1", canary="1")
    late = left.progressing("2", "ProgressDeadlineExceeded", "False")
    message = f"ProgressDeadlineExceeded: {late['message']}"
    left.status("Degraded", message, conditions=(*UPDATING, late), since=60, **fields)


def invalid(left: Leaving) -> None:
    """A Service is missing: the condition says so, and nothing else of the status moves (1.9)."""
    said = 'The Rollout "web" is invalid: spec.strategy.canary.canaryService: Invalid value: "web-canary": service "web-canary" not found'
    fields = update(left, pods=1, at=20, index=1)
    left.controller.delete(("", "Service"), "web-canary")
    left.advance(5)
    pausing(left, fields)
    conditions = left.controller.manifest(ROLLOUT, "web")["status"]["conditions"]
    times = {"lastUpdateTime": left.ago(60), "lastTransitionTime": left.ago(60)}
    bad = {**condition("InvalidSpec", "True", "InvalidSpec", said), **times}
    left.controller.edit(
        ROLLOUT, "web",
        {"status": {"phase": "Degraded", "message": f"InvalidSpec: {said}", "conditions": [*conditions, bad]}}, subresource="status",
    )  # fmt: skip


def handed_back_before(left: Leaving) -> None:
    """Tiphys ran here once; the reference has copied its annotation from the Rollout to the new ReplicaSet (3.6)."""
    fields = update(left, pods=1, at=20, index=1)
    noted = {names.ROUTED_BY: msgspec.json.encode([plain_routing(left)]).decode()}
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": noted}})
    left.annotate("2", noted)
    pausing(left, fields)


def plain_routing(left: Leaving) -> Manifest:
    """Give what Tiphys notes of the routers that a Rollout names."""
    canary = left.controller.manifest(ROLLOUT, "web")["spec"]["strategy"]["canary"]
    return {key: canary[key] for key in ("canaryService", "stableService", "trafficRouting")}


def unsupported(left: Leaving) -> None:
    """What is not carried out is refused, and nothing of it is touched until the user takes it out."""
    pausing(left, update(left, *PLUGGED, pods=1, at=20, index=1))


def without_plugin(story: Story) -> None:
    story.rest()
    assert (story.phase, story.weights, story.sizes) == ("Degraded", (80, 20), {"1": 5, "2": 1})
    story.edit_canary(steps=list(STEPS))
    promoted(story)


NO_SERVICE: Final = (
    'The Rollout "web" is invalid: spec.strategy.canary.canaryService: Invalid value: "web-canary": '
    'must be a Service in namespace "default", and none has that name'
)


PLUGIN_REFUSED: Final = (
    'The Rollout "web" is invalid: spec.strategy.canary.steps[2].plugin: Invalid value: "set": '
    "absent: this version of Tiphys does not carry it out yet"
)


DETOURS: Final[Mapping[str, State]] = {
    "aborted, the delay of its pods runs": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"}},
        verdict="note",
        leave=aborted,
        end=BACK,
    ),
    "aborted, no pods are left": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"}},
        verdict="note",
        leave=aborted_for_good,
        end=BACK,
    ),
    "aborted with dynamicStableScale": State(leave=aborted_step_by_step, goes_on=stable_pods_come, end=("Degraded", "1", {"1": 10})),
    "a retry is asked for": State(
        first={
            "patch Service web-canary": {"spec.selector.rollouts-pod-template-hash": "2"},
            "patch ReplicaSet web-2": {"metadata.annotations.scale-down-deadline": None},
            "patch status Rollout web": {
                "status.abortedAt": None,
                "status.conditions": ["Progressing is Unknown, RolloutRetry: Retrying Rollout after abort", DEADLINE_RUNS],
                "status.duration.rolloutStartedAt": "+0s",
                "status.message": "more replicas need to be updated",
                "status.phase": "Progressing",
            },
        },
        verdict="step",
        leave=retried,
        goes_on=promoted,
        end=DONE,
    ),
    "a retry has begun": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1", "status.conditions": [DEADLINE_RUNS]}},
        verdict="note",
        leave=retries,
        goes_on=pods_come,
        end=DONE,
    ),
    "promoted in full": State(leave=promoted_in_full, goes_on=pods_come, end=DONE),
    "spec.paused": State(leave=user_paused, goes_on=resumes, end=DONE),
    "a restart is half done": State(
        first={"evict Pod web-1": {"": {}}}, verdict="step", leave=restart_asked, end=("Healthy", "1", {"1": 5})
    ),
    "back within rollbackWindow": State(leave=within_window, goes_on=pods_come, end=DONE),
    "an intermediate version is empty": State(leave=intermediate, goes_on=promoted, end=("Healthy", "3", {"3": 5})),
    "superseded": State(
        first={
            "patch ReplicaSet web-2": {"metadata.annotations.scale-down-deadline": "+30s"},
            "patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "2", "status.conditions": [DEADLINE_RUNS]},
        },
        verdict="step",
        leave=superseded,
        goes_on=third_comes,
        end=("Healthy", "3", {"3": 5}),
    ),
    "promoted, the delay of the old pods runs": State(leave=old_pods_stay, goes_on=at_its_time, end=DONE),
    "the progress deadline is exceeded": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"}},
        verdict="note",
        leave=too_late,
        goes_on=pods_come,
        end=DONE,
    ),
    "handed back by Tiphys before": State(leave=handed_back_before, goes_on=promoted, end=DONE),
    "InvalidSpec": State(
        first={
            "patch status Rollout web": {
                "status.conditions": [f"InvalidSpec is True, InvalidSpec: {NO_SERVICE}"],
                "status.message": f"InvalidSpec: {NO_SERVICE}",
            }
        },
        verdict="stop",
        leave=invalid,
        end=("Degraded", "1", {"1": 5, "2": 1}),
    ),
    "with a step plugin, which is refused": State(
        first={
            "patch status Rollout web": {
                "status.conditions": [f"InvalidSpec is True, InvalidSpec: {PLUGIN_REFUSED}"],
                "status.message": f"InvalidSpec: {PLUGIN_REFUSED}",
                "status.phase": "Degraded",
            }
        },
        verdict="stop",
        leave=unsupported,
        goes_on=without_plugin,
        end=DONE,
    ),
}
