"""Canary Rollouts through Istio, and without any router, as the reference leaves them. (Lifecycle reference 4, 5, 6)"""

from collections.abc import Mapping
from typing import Any, Final

from scenarios import BETA, PAUSE_STEP, REPLICA_SET, SHADOW, VIRTUAL_SERVICE, Story, app, pause, scale, weight
from takeover.leaving import (
    AVAILABLE,
    COMPLETED,
    HEALTHY,
    INCOMPLETE,
    NEW_FORM,
    NOT_PAUSED,
    OLD_FORM,
    PAUSED,
    RETRYING,
    STANDING,
    UNAVAILABLE,
    UNHEALTHY,
    Leaving,
    condition,
)
from takeover.states import State, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest

Fields = dict[str, Any]

STEPS: Final = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)
PLUGGED: Final = (weight(20), PAUSE_STEP, {"plugin": {"name": "example.com/step"}})
NO_PAUSE: Final = (weight(20), weight(60))
UPDATING: Final = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE)
PAUSING: Final = (AVAILABLE, UNHEALTHY, INCOMPLETE, STANDING, PAUSED)
AVAILABLE_SOON: Final = "updated replicas are still becoming available"
MORE: Final = "more replicas need to be updated"
STEPS_LEFT: Final = "waiting for all steps to complete"
DONE: Final[tuple[str, str, Mapping[str, int]]] = ("Healthy", "2", {"2": 5})
BACK: Final[tuple[str, str, Mapping[str, int]]] = ("Degraded", "1", {"1": 5})


# At rest


def healthy(left: Leaving, **fields: Any) -> None:  # noqa: ANN401 - of the status
    left.apply(app(*STEPS))
    left.replica_set("1", pods=5)
    left.point(stable="1", canary="1")
    rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"), **fields)


def rests(left: Leaving, version: str, **fields: Any) -> None:  # noqa: ANN401 - of the status
    """Write the status of a Rollout at its goal."""
    said = (AVAILABLE, NOT_PAUSED, HEALTHY, COMPLETED, left.progressing(version, "NewReplicaSetAvailable"))
    left.status("Healthy", current=version, stable=version, conditions=said, since=3600, **fields)


def healthy_with_everything(left: Leaving) -> None:
    """Fields that only the reference writes, and what other tools have written for it."""
    duration = {"rolloutStartedAt": left.ago(9000), "finishedAt": left.ago(8000), "completionStatus": "Promoted"}
    healthy(left, duration=duration, restartedAt=left.ago(5000), collisionCount=None)
    others = {"notified.notifications.argoproj.io": '{"on-rollout-completed:1":1700000000}', "argocd.argoproj.io/sync-wave": "1"}
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"metadata": {"annotations": others}, "spec": {"restartAt": left.ago(5000)}})
    left.controller.edit(
        ("argoproj.io", "Rollout"), "web",
        {"status": {"restartedAt": left.ago(5000), "observedGeneration": "2"}},
        subresource="status",
    )  # fmt: skip
    left.annotate("1", {"argocd.argoproj.io/sync-wave": "1", names.REVISION_HISTORY: "1,3", names.REVISION: "5"})
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"metadata": {"annotations": {names.REVISION: "5"}}})


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
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"status": {"collisionCount": 1}}, subresource="status")
    left.replica_set("1", pods=5)
    left.point(stable="1", canary="1")
    rests(left, "1", currentStepIndex=4, canary=left.weights(0, stable="1", new="1"), collisionCount=1)


# The first version


def created(left: Leaving) -> None:
    """The pass that creates a ReplicaSet writes nothing else (0.1, step 7)."""
    left.apply(app(*STEPS))
    left.replica_set("1", pods=0)
    said = {**left.progressing("1", "NewReplicaSetCreated"), "lastUpdateTime": left.ago(0), "lastTransitionTime": left.ago(0)}
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"status": {"conditions": [said]}}, subresource="status")


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


# On the way


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
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"status": {"pauseConditions": None}}, subresource="status")


def waits_for_pods(left: Leaving) -> None:
    fields = update(left, pods=1, at=20, index=2)
    left.resize("2", 3)
    left.falter("2", 2)
    left.status("Progressing", MORE, conditions=(*UPDATING, left.progressing("2")), **fields)


def pods_come(story: Story) -> None:
    story.advance(5)
    assert story.gained == []
    story.make_well("2")
    promoted(story)


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


# What people did


def aborted_fields(left: Leaving, fields: Fields, *, seconds: float = 10) -> Fields:
    said = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE, left.aborted())
    message = f"RolloutAborted: {left.aborted()['message']}"
    done = {"phase": "Degraded", "message": message, "conditions": said, "since": seconds, "abort": True}
    return {**fields, **done, "abortedAt": left.ago(seconds), "currentStepIndex": 0}


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
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"status": {"abort": False}}, subresource="status")


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
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"spec": {"paused": True}})
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
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"spec": {"restartAt": left.ago(0)}})
    left.advance(30)
    one, *_ = left.controller.cluster.pods({"app": "web"})
    left.controller.delete(("", "Pod"), one["metadata"]["name"])
    left.advance(60)
    said = (AVAILABLE, NOT_PAUSED, HEALTHY, COMPLETED, left.progressing("1", "NewReplicaSetAvailable"))
    left.status(
        "Progressing", "rollout is restarting", current="1", stable="1", conditions=said,
        currentStepIndex=4, canary=left.weights(0, stable="1", new="1"),
    )  # fmt: skip


# Back, and over


def within_window(left: Leaving) -> None:
    """From 3 back to 2, which has no pods: the steps are skipped, and its pods start (6.8)."""
    left.apply(app(*NO_PAUSE, image="2", spec={"rollbackWindow": {"revisions": 3}}))
    left.replica_set("1", pods=0)
    left.replica_set("2", pods=0)
    left.replica_set("3", pods=5)
    left.annotate("2", {names.REVISION: "4", names.REVISION_HISTORY: "2"})
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"metadata": {"annotations": {names.REVISION: "4"}}})
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


def basic_intermediate(left: Leaving) -> None:
    """Without a router the canary gets its pod first, where maxSurge leaves room, and then the last pod of 2 goes (4.3, 4.5)."""
    left.apply(app(*STEPS, image="3", routing="none"))
    left.replica_set("1", pods=4)
    left.replica_set("2", pods=1)
    left.replica_set("3", pods=0)
    left.status(
        "Progressing", MORE, current="3", stable="1", conditions=(*UPDATING, left.progressing("3")), currentStepIndex=0,
    )  # fmt: skip


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


# What went wrong


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
    conditions = left.controller.manifest(("argoproj.io", "Rollout"), "web")["status"]["conditions"]
    times = {"lastUpdateTime": left.ago(60), "lastTransitionTime": left.ago(60)}
    bad = {**condition("InvalidSpec", "True", "InvalidSpec", said), **times}
    left.controller.edit(
        ("argoproj.io", "Rollout"), "web",
        {"status": {"phase": "Degraded", "message": f"InvalidSpec: {said}", "conditions": [*conditions, bad]}}, subresource="status",
    )  # fmt: skip


def unsupported(left: Leaving) -> None:
    """What is not carried out is refused, and nothing of it is touched until the user takes it out."""
    pausing(left, update(left, *PLUGGED, pods=1, at=20, index=1))


def without_plugin(story: Story) -> None:
    story.rest()
    assert (story.phase, story.weights, story.sizes) == ("Degraded", (80, 20), {"1": 5, "2": 1})
    story.edit_canary(steps=list(STEPS))
    promoted(story)


# No router


def basic(left: Leaving, *steps: Manifest, old: int, new: int, **given: Any) -> Fields:  # noqa: ANN401 - see `app`
    left.apply(app(*(steps or STEPS), image="2", routing="none", **given))
    left.replica_set("1", pods=old)
    left.replica_set("2", pods=new)
    return {"current": "2", "stable": "1"}


def basic_paused(left: Leaving) -> None:
    pausing(left, {**basic(left, old=4, new=1), "currentStepIndex": 1})


def basic_waits(left: Leaving) -> None:
    """From 20 to 60 percent of 5: the third pod of the canary starts, and one of stable's had to go for it (4.3)."""
    fields = basic(left, *NO_PAUSE, old=2, new=3)
    left.falter("2", 1)
    left.status("Progressing", MORE, conditions=(*UPDATING[1:], UNAVAILABLE, left.progressing("2")), currentStepIndex=1, **fields)


def basic_grows(left: Leaving) -> None:
    """The same, stopped between the scaling of the canary and that of stable: 3 and 3 for 3 and 2."""
    fields = basic(left, *NO_PAUSE, old=3, new=3)
    left.status("Progressing", MORE, conditions=(*UPDATING, left.progressing("2")), currentStepIndex=1, **fields)


def basic_aborted(left: Leaving) -> None:
    fields = basic(left, old=5, new=0)
    left.status(**aborted_fields(left, fields, seconds=600))


def basic_with_services(left: Leaving) -> None:
    fields = basic(left, old=4, new=1, canaryService="web-canary", stableService="web-stable")
    left.point(stable="1", canary="2")
    pausing(left, {**fields, "currentStepIndex": 1})


# Beside the pods


def marked(left: Leaving) -> None:
    """canaryMetadata and stableMetadata are on templates and pods, and recorded (3.9)."""
    marks = {role: {"labels": {"role": role}} for role in ("canary", "stable")}
    left.apply(app(*STEPS, image="2", canaryMetadata=marks["canary"], stableMetadata=marks["stable"]))
    for version, role, pods in (("1", "stable", 5), ("2", "canary", 1)):
        left.replica_set(version, pods=pods, marks=marks[role])
    left.point(stable="1", canary="2")
    left.weigh(20)
    pausing(left, {"current": "2", "stable": "1", "currentStepIndex": 1, "canary": left.weights(20, stable="1", new="2")})


def apart(left: Leaving) -> None:
    """The canary keeps away from nodes of stable (3.12)."""
    required: Manifest = {"requiredDuringSchedulingIgnoredDuringExecution": {}}

    def keep_away(body: Manifest) -> None:
        term = {
            "labelSelector": {"matchExpressions": [{"key": names.HASH_LABEL, "operator": "In", "values": [left.hashes["1"]]}]},
            "namespaces": ["default"],
            "topologyKey": "kubernetes.io/hostname",
        }
        body["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}

    left.apply(app(*STEPS, image="2", antiAffinity=required))
    left.replica_set("1", pods=5)
    left.replica_set("2", pods=1, change=keep_away)
    left.point(stable="1", canary="2")
    left.weigh(20)
    pausing(left, {"current": "2", "stable": "1", "currentStepIndex": 1, "canary": left.weights(20, stable="1", new="2")})


def resized(left: Leaving) -> None:
    """From 5 pods to 10 in a pause: stable has got them, and the canary is next (3.10)."""
    fields = update(left, pods=1, at=20, index=1)
    pausing(left, fields)
    left.controller.edit(("argoproj.io", "Rollout"), "web", {"spec": {"replicas": 10}})
    left.resize("1", 10, of=10)


NO_SERVICE: Final = (
    'The Rollout "web" is invalid: spec.strategy.canary.canaryService: Invalid value: "web-canary": '
    'must be a Service in namespace "default", and none has that name'
)
PLUGIN_REFUSED: Final = (
    'The Rollout "web" is invalid: spec.strategy.canary.steps[2].plugin: Invalid value: "set": '
    "absent: this version of Tiphys does not carry it out yet"
)
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
                    "Available",
                    "Healthy",
                    "Completed",
                    "Progressing is Unknown, RolloutResumed: Rollout is resumed",
                    "Paused is False, RolloutPaused: Rollout is paused",
                ],
                "status.currentStepIndex": 2,
                "status.message": "more replicas need to be updated",
                "status.phase": "Progressing",
            }
        },
        verdict="note",
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
                "status.conditions": [
                    "Available",
                    "Paused",
                    "Healthy",
                    "Completed",
                    "Progressing is Unknown, RolloutRetry: Retrying Rollout after abort",
                ],
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
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"}},
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
    "healthy, with a template of the test vectors": State(leave=long_names, end=("Healthy", "1.25", {"1.25": 5})),
    "an intermediate version is empty": State(leave=intermediate, goes_on=promoted, end=("Healthy", "3", {"3": 5})),
    "without a router, an intermediate version goes": State(
        first={"patch ReplicaSet web-3": {"spec.replicas": 1}},
        verdict="step",
        leave=basic_intermediate,
        goes_on=promoted,
        end=("Healthy", "3", {"3": 5}),
    ),
    "minReadySeconds runs": State(
        first={"patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"}},
        verdict="note",
        leave=ready_for_a_while,
        goes_on=becomes_available,
        end=DONE,
    ),
    "replicaProgressThreshold": State(leave=enough_of_them, goes_on=pods_come_late, end=DONE),
    "superseded": State(
        first={
            "patch ReplicaSet web-2": {"metadata.annotations.scale-down-deadline": "+30s"},
            "patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "2"},
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
    "InvalidSpec": State(
        first={
            "patch status Rollout web": {
                "status.conditions": [
                    "Available",
                    "Healthy",
                    "Completed",
                    "Progressing",
                    "Paused",
                    f"InvalidSpec is True, InvalidSpec: {NO_SERVICE}",
                ],
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
                "status.conditions": [
                    "Available",
                    "Healthy",
                    "Completed",
                    "Progressing",
                    "Paused",
                    f"InvalidSpec is True, InvalidSpec: {PLUGIN_REFUSED}",
                ],
                "status.message": f"InvalidSpec: {PLUGIN_REFUSED}",
                "status.phase": "Degraded",
            }
        },
        verdict="stop",
        leave=unsupported,
        goes_on=without_plugin,
        end=DONE,
    ),
    "without a router, paused": State(leave=basic_paused, goes_on=promoted, end=DONE),
    "without a router, a pod starts": State(leave=basic_waits, goes_on=pods_come, end=DONE),
    "without a router, between two sizes": State(
        first={"patch ReplicaSet web-1": {"spec.replicas": 2}}, verdict="step", leave=basic_grows, goes_on=promoted, end=DONE
    ),
    "without a router, aborted": State(leave=basic_aborted, end=BACK),
    "without a router, with Services": State(leave=basic_with_services, goes_on=promoted, end=DONE),
    "canaryMetadata and stableMetadata": State(leave=marked, goes_on=promoted, end=DONE),
    "antiAffinity": State(leave=apart, goes_on=promoted, end=DONE),
    "half scaled to another size": State(
        first={
            "patch ReplicaSet web-2": {"spec.replicas": 2, "metadata.annotations.rollout.argoproj.io/desired-replicas": "10"},
            "patch status Rollout web": {
                "status.availableReplicas": 11,
                "status.HPAReplicas": 11,
                "status.observedGeneration": "2",
                "status.readyReplicas": 11,
                "status.replicas": 11,
            },
        },
        verdict="step",
        leave=resized,
        goes_on=promoted,
        end=("Healthy", "2", {"2": 10}),
    ),
}
