"""Canary Rollouts at rest and on their way, as the reference leaves them. (Lifecycle reference 5, 6)"""

from collections.abc import Mapping
from typing import Any, Final

from scenarios import BETA, PAUSE_STEP, REPLICA_SET, ROLLOUT, SHADOW, VIRTUAL_SERVICE, Story, app, pause, scale, weight
from takeover.canary_parts import (
    AVAILABLE_SOON,
    DONE,
    MORE,
    NO_PAUSE,
    STEPS,
    STEPS_LEFT,
    UPDATING,
    pausing,
    pods_come,
    rests,
    update,
)
from takeover.leaving import (
    COMPLETED,
    NEW_FORM,
    OLD_FORM,
    UNAVAILABLE,
    Leaving,
)
from takeover.states import DEADLINE_RUNS, State, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest


def healthy(left: Leaving, **fields: Any) -> None:  # noqa: ANN401 - of the status
    left.apply(app(*STEPS))
    left.replica_set("1", pods=5)
    left.point(stable="1", canary="1")
    rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"), **fields)


def healthy_with_everything(left: Leaving) -> None:
    """Fields that only the reference writes, and what other tools have written for it."""
    duration = {"rolloutStartedAt": left.ago(9000), "finishedAt": left.ago(8000), "completionStatus": "Promoted"}
    healthy(left, duration=duration, restartedAt=left.ago(5000), collisionCount=None)
    others = {"notified.notifications.argoproj.io": '{"on-rollout-completed:1":1700000000}', "argocd.argoproj.io/sync-wave": "1"}
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": others}, "spec": {"restartAt": left.ago(5000)}})
    left.controller.edit(
        ROLLOUT, "web",
        {"status": {"restartedAt": left.ago(5000), "observedGeneration": "2"}},
        subresource="status",
    )  # fmt: skip
    left.annotate("1", {"argocd.argoproj.io/sync-wave": "1", names.REVISION_HISTORY: "1,3", names.REVISION: "5"})
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.REVISION: "5"}}})


def many_old_versions(left: Leaving) -> None:
    left.apply(app(*STEPS, image="4", spec={"revisionHistoryLimit": 3}))
    for version in ("1", "2", "3"):
        left.replica_set(version, pods=0)
    left.replica_set("4", pods=5)
    left.point(stable="4", canary="4")
    rests(left, "4", currentStepIndex=4, canary=left.weights(0, stable="4", new="4"))


def scaled_to_nothing(left: Leaving) -> None:
    left.apply(app(*STEPS, replicas=0))
    left.replica_set("1", pods=0)
    left.point(stable="1", canary="1")
    rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"))


def collided(left: Leaving) -> None:
    left.apply(app(*STEPS))
    left.controller.edit(ROLLOUT, "web", {"status": {"collisionCount": 1}}, subresource="status")
    left.replica_set("1", pods=5)
    left.point(stable="1", canary="1")
    rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"), collisionCount=1)


def created(left: Leaving) -> None:
    """The pass that creates a ReplicaSet writes nothing else (0.1, step 7)."""
    left.apply(app(*STEPS))
    left.replica_set("1", pods=0)
    said = {**left.progressing("1", "NewReplicaSetCreated"), "lastUpdateTime": left.ago(0), "lastTransitionTime": left.ago(0)}
    left.controller.edit(ROLLOUT, "web", {"status": {"conditions": [said]}}, subresource="status")


def first_pods_start(left: Leaving) -> None:
    """What is stable is written before any pod is ready (6.7); Services and routes wait for all of them."""
    left.apply(app(*STEPS))
    left.replica_set("1", pods=5, ready=False)
    left.status(
        "Progressing", AVAILABLE_SOON, current="1", stable="1",
        conditions=(UNAVAILABLE, COMPLETED, left.progressing("1")), currentStepIndex=4,
    )  # fmt: skip


def first_pods_come(story: Story) -> None:
    story.advance(30)
    assert story.phase == "Progressing"
    story.unbar("1")
    story.rest()


def paused(left: Leaving) -> None:
    pausing(left, update(left, pods=1, at=20, index=1))


def paused_late(left: Leaving) -> None:
    pausing(left, update(left, pods=3, at=60, index=3))


def paused_for_a_time(left: Leaving) -> None:
    pausing(left, update(left, weight(20), pause("10m"), weight(60), pods=1, at=20, index=1), 300)


def ends_in_its_own_time(story: Story) -> None:
    story.advance(295)
    assert (story.status.current_step_index, story.gained) == (1, [])
    story.until(lambda: story.status.current_step_index == 2, within=10)
    story.rest()


def resumed(left: Leaving) -> None:
    """A person promoted, and the reference stopped before it saw that."""
    pausing(left, update(left, pods=1, at=20, index=1))
    left.controller.edit(ROLLOUT, "web", {"status": {"pauseConditions": None}}, subresource="status")


def waits_for_pods(left: Leaving) -> None:
    fields = update(left, pods=1, at=20, index=2)
    left.resize("2", 3)
    left.falter("2", 2)
    left.status("Progressing", MORE, conditions=(*UPDATING, left.progressing("2")), **fields)


def steps_are_done(left: Leaving) -> None:
    """Everything goes to the new version, and one of its pods is not back yet: the promotion waits for it."""
    fields = update(left, *NO_PAUSE, pods=5, at=100, index=2)
    left.falter("2", 1)
    left.status("Progressing", STEPS_LEFT, conditions=(*UPDATING, left.progressing("2")), **fields)


def header_and_mirror(left: Leaving) -> None:
    steps = (weight(20), {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}, PAUSE_STEP, weight(60))
    beta = {
        "name": "beta",
        "match": [{"headers": {"x-beta": {"exact": "1"}}}],
        "route": [{"weight": 100, "destination": {"host": "web-canary"}}],
    }
    shadow = {
        "name": "shadow",
        "match": [{"method": {"exact": "GET"}}],
        "route": [{"destination": {"host": "web-stable"}, "weight": 80}, {"destination": {"host": "web-canary"}, "weight": 20}],
        "mirror": {"host": "web-canary"},
        "mirrorPercentage": {"value": 35},
    }
    pausing(left, update(left, *steps, pods=1, at=20, index=3, first=(beta, shadow)))


def canary_scale(left: Leaving) -> None:
    pausing(left, update(left, scale(replicas=4), weight(20), PAUSE_STEP, weight(60), pods=4, at=20, index=2))


def least_pods(left: Leaving) -> None:
    pausing(left, update(left, pods=2, at=20, index=1, minPodsPerReplicaSet=2))


def without_steps(left: Leaving) -> None:
    """A stepless canary waits for its pods at weight 0 (row G)."""
    left.apply(app(image="2"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=5)
    left.falter("2", 2)
    left.point(stable="1", canary="2")
    left.status(
        "Progressing", STEPS_LEFT, current="2", stable="1",
        conditions=(*UPDATING, left.progressing("2")), canary=left.weights(0, stable="1", new="2"),
    )  # fmt: skip


def stable_follows(left: Leaving) -> None:
    pausing(left, update(left, pods=6, old=4, at=60, index=3, replicas=10, dynamicStableScale=True))


def by_subset(left: Leaving) -> None:
    left.apply(app(*STEPS, image="2", routing="subsets"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=1)
    left.subsets(stable="1", canary="2")
    left.weigh(20)
    fields = {"current": "2", "stable": "1", "currentStepIndex": 1, "canary": left.weights(20, stable="1", new="2")}
    pausing(left, fields)


def ping_pong(left: Leaving, *, stable: str) -> None:
    """Two updates long ago, or one: *stable* is the Service's name that has the stable version."""
    canary = {"ping": "pong", "pong": "ping"}[stable]
    left.apply(app(*STEPS, image="2", routing="ping-pong"))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=1)
    left.select(f"web-{stable}", "1")
    left.select(f"web-{canary}", "2")
    http = left.controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
    for destination in http[0]["route"]:
        destination["weight"] = {f"web-{stable}": 80, f"web-{canary}": 20}[destination["destination"]["host"]]
    left.controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": http}})
    status = {**left.weights(20, stable="1", new="2"), "stablePingPong": stable}
    pausing(left, {"current": "2", "stable": "1", "currentStepIndex": 1, "canary": status})


def ping_is_stable(left: Leaving) -> None:
    ping_pong(left, stable="ping")


def pong_is_stable(left: Leaving) -> None:
    ping_pong(left, stable="pong")


def ready_for_a_while(left: Leaving) -> None:
    """Pods are available only after minReadySeconds: the step waits, though its pod is ready (8.3)."""
    fields = update(left, pods=0, at=0, index=0, spec={"minReadySeconds": 60})
    left.controller.edit(REPLICA_SET, f"web-{left.hashes['2']}", {"spec": {"replicas": 1}})
    left.advance(20)
    left.point(stable="1", canary="1")
    left.status("Progressing", MORE, conditions=(*UPDATING, left.progressing("2")), **fields)


def becomes_available(story: Story) -> None:
    story.advance(20)
    assert story.weights == (100, 0)
    promoted(story)


def enough_of_them(left: Leaving) -> None:
    """replicaProgressThreshold lets the step go on with one pod of three (6.3)."""
    threshold = {"type": "Pods", "value": 1}
    fields = update(left, pods=3, at=60, index=3, replicaProgressThreshold=threshold)
    left.falter("2", 2)
    pausing(left, fields, 60)


def pods_come_late(story: Story) -> None:
    story.advance(5)
    assert story.weights == (40, 60)
    story.make_well("2")
    promoted(story)


def long_names(left: Leaving) -> None:
    """A template of the reference's own test vectors (pod-template-json 6)."""
    left.apply(app(*STEPS, spec={"template": VECTOR}))
    left.replica_set("1.25", pods=5, body=VECTOR)
    assert left.hashes["1.25"] == {NEW_FORM: "7dc666b946", OLD_FORM: "7c4bd8fbf8"}[left.label]
    left.point(stable="1.25", canary="1.25")
    rests(left, "1.25", currentStepIndex=4, canary=left.weights(0, stable="1.25", new="1.25"))


VECTOR: Final[Manifest] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx:1.25", "resources": {}}]},
}


CANARIES: Final[Mapping[str, State]] = {
    "healthy": State(leave=healthy, end=("Healthy", "1", {"1": 5})),
    "healthy, with every field that only the reference writes": State(leave=healthy_with_everything, end=("Healthy", "1", {"1": 5})),
    "healthy, with as many old versions as are kept": State(leave=many_old_versions, end=("Healthy", "4", {"4": 5})),
    "healthy, after a collision of hashes": State(leave=collided, end=("Healthy", "1", {"1": 5})),
    "scaled to 0": State(leave=scaled_to_nothing, end=("Healthy", "1", {})),
    "the first ReplicaSet is created": State(
        first={
            "patch ReplicaSet web-1": {"spec.replicas": 5},
            "patch status Rollout web": {
                "status.canary.weights.canary.weight": 0,
                "status.canary.weights.canary.serviceName": "web-canary",
                "status.canary.weights.canary.podTemplateHash": "1",
                "status.canary.weights.stable.weight": 100,
                "status.canary.weights.stable.serviceName": "web-stable",
                "status.conditions": [
                    'Progressing is True, ReplicaSetUpdated: ReplicaSet "web-1" is progressing.',
                    "Available is False, AvailableReason: Rollout does not have minimum availability",
                    "Completed is False, RolloutCompleted: RolloutCompleted",
                    DEADLINE_RUNS,
                ],
                "status.currentPodHash": "1",
                "status.currentStepHash": "b8dc68f97",
                "status.currentStepIndex": 4,
                "status.duration.rolloutStartedAt": "+0s",
                "status.message": "more replicas need to be updated",
                "status.observedGeneration": "1",
                "status.phase": "Progressing",
                "status.selector": "app=web",
            },
        },
        verdict="step",
        leave=created,
        end=("Healthy", "1", {"1": 5}),
    ),
    "the first pods start": State(
        first={
            "patch status Rollout web": {
                "status.canary.weights.canary.weight": 0,
                "status.canary.weights.canary.serviceName": "web-canary",
                "status.canary.weights.canary.podTemplateHash": "1",
                "status.canary.weights.stable.weight": 100,
                "status.canary.weights.stable.serviceName": "web-stable",
                "status.canary.weights.stable.podTemplateHash": "1",
                "status.conditions": [DEADLINE_RUNS],
            }
        },
        verdict="note",
        leave=first_pods_start,
        goes_on=first_pods_come,
        end=("Healthy", "1", {"1": 5}),
    ),
    "paused until somebody promotes": State(leave=paused, goes_on=promoted, end=DONE),
    "paused in the last step": State(leave=paused_late, goes_on=promoted, end=DONE),
    "half of a timed pause is over": State(leave=paused_for_a_time, goes_on=ends_in_its_own_time, end=DONE),
    "promoted out of a pause": State(
        first={
            "patch status Rollout web": {
                "status.controllerPause": None,
                "status.conditions": [
                    "Progressing is Unknown, RolloutResumed: Rollout is resumed",
                    "Paused is False, RolloutPaused: Rollout is paused",
                ],
                "status.currentStepIndex": 2,
                "status.message": "more replicas need to be updated",
                "status.phase": "Progressing",
            }
        },
        verdict="step",
        leave=resumed,
        goes_on=promoted,
        end=DONE,
    ),
    "a weight waits for pods": State(leave=waits_for_pods, goes_on=pods_come, end=DONE),
    "all steps are done, and a pod is missing": State(leave=steps_are_done, goes_on=pods_come, end=DONE),
    "header and mirror routes": State(leave=header_and_mirror, goes_on=promoted, end=DONE),
    "setCanaryScale": State(leave=canary_scale, goes_on=promoted, end=DONE),
    "minPodsPerReplicaSet": State(leave=least_pods, goes_on=promoted, end=DONE),
    "without steps": State(leave=without_steps, goes_on=pods_come, end=DONE),
    "dynamicStableScale": State(leave=stable_follows, goes_on=promoted, end=("Healthy", "2", {"2": 10})),
    "by subset": State(leave=by_subset, goes_on=promoted, end=DONE),
    "ping-pong, ping is stable": State(
        first={
            "patch status Rollout web": {
                "status.canary.weights.canary.serviceName": "web-pong",
                "status.canary.weights.stable.serviceName": "web-ping",
            }
        },
        verdict="note",
        leave=ping_is_stable,
        goes_on=promoted,
        end=DONE,
    ),
    "ping-pong, pong is stable": State(
        first={
            "patch status Rollout web": {
                "status.canary.weights.canary.serviceName": "web-ping",
                "status.canary.weights.stable.serviceName": "web-pong",
            }
        },
        verdict="note",
        leave=pong_is_stable,
        goes_on=promoted,
        end=DONE,
    ),
    "healthy, with a template of the test vectors": State(leave=long_names, end=("Healthy", "1.25", {"1.25": 5})),
    "minReadySeconds runs": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1", "status.conditions": [DEADLINE_RUNS]}},
        verdict="note",
        leave=ready_for_a_while,
        goes_on=becomes_available,
        end=DONE,
    ),
    "replicaProgressThreshold": State(leave=enough_of_them, goes_on=pods_come_late, end=DONE),
}
