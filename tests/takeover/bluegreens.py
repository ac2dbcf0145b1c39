"""Blue-green Rollouts as the reference leaves them. (Lifecycle reference 7)"""

from collections.abc import Mapping
from typing import Any, Final

from scenarios import ACTIVE_SERVICE, PREVIEW_SERVICE, ROLLOUT, Story, blue_green_app
from takeover.canary_parts import Fields
from takeover.leaving import (
    AVAILABLE,
    COMPLETED,
    HEALTHY,
    INCOMPLETE,
    NOT_PAUSED,
    PAUSED,
    STANDING,
    UNAVAILABLE,
    UNHEALTHY,
    Leaving,
)
from takeover.states import DEADLINE_RUNS, State, promoted
from tiphys.api import names

UPDATING: Final = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE)
PAUSING: Final = (AVAILABLE, UNHEALTHY, INCOMPLETE, STANDING, PAUSED)
AVAILABLE_SOON: Final = "updated replicas are still becoming available"
MORE: Final = "more replicas need to be updated"
CUT_OVER: Final = "active service cutover pending"
DONE: Final[tuple[str, str, Mapping[str, int]]] = ("Healthy", "2", {"2": 3})
BACK: Final[tuple[str, str, Mapping[str, int]]] = ("Degraded", "1", {"1": 3})


def shown(left: Leaving, *, active: str, preview: str, **fields: Any) -> Fields:  # noqa: ANN401 - of status.blueGreen
    """Let the Services select versions; gives what the status says of it."""
    left.select(ACTIVE_SERVICE, active)
    selectors = {"activeSelector": left.hashes[active], **fields}
    if preview:
        left.select(PREVIEW_SERVICE, preview)
        selectors["previewSelector"] = left.hashes[preview]
    left.advance(5)
    return {"active": active, "blueGreen": selectors}


def healthy(left: Leaving) -> None:
    left.apply(blue_green_app())
    left.replica_set("1", pods=3)
    rests(left, "1", shown(left, active="1", preview="1"))


def rests(left: Leaving, version: str, fields: Fields) -> None:
    said = (AVAILABLE, NOT_PAUSED, HEALTHY, COMPLETED, left.progressing(version, "NewReplicaSetAvailable"))
    left.status("Healthy", current=version, stable=version, conditions=said, since=3600, **fields)


def healthy_without_preview(left: Leaving) -> None:
    left.apply(blue_green_app(preview=False))
    left.replica_set("1", pods=3)
    rests(left, "1", shown(left, active="1", preview=""))


def scaled_to_nothing(left: Leaving) -> None:
    left.apply(blue_green_app(replicas=0))
    left.replica_set("1", pods=0)
    rests(left, "1", shown(left, active="1", preview="1"))


def first_pods_start(left: Leaving) -> None:
    """The preview Service selects the version at once, the active one when all its pods are there; it is stable by now (7.8)."""
    left.apply(blue_green_app())
    left.replica_set("1", pods=3, ready=False)
    left.select(PREVIEW_SERVICE, "1")
    left.status(
        "Progressing", AVAILABLE_SOON, current="1", stable="1", conditions=(UNAVAILABLE, COMPLETED, left.progressing("1")),
        blueGreen={"previewSelector": left.hashes["1"]},
    )  # fmt: skip


def first_pods_come(story: Story) -> None:
    story.advance(30)
    assert story.selected(ACTIVE_SERVICE) == ""
    story.unbar("1")
    story.rest()


def update(left: Leaving, *, pods: int = 3, old: int = 3, of: int | None = None, **given: Any) -> Fields:  # noqa: ANN401 - see `blue_green_app`
    """Leave the update from 1 to 2 before its cut-over; gives the fields of the status for that."""
    left.apply(blue_green_app(image="2", **given))
    left.replica_set("1", pods=old)
    left.replica_set("2", pods=pods, of=of)
    preview = "2" if given.get("preview", True) else ""
    return {"current": "2", "stable": "1", **shown(left, active="1", preview=preview)}


def pausing(left: Leaving, fields: Fields, seconds: float = 7200) -> None:
    said = left.paused_for("BlueGreenPause", seconds)
    left.status("Paused", "BlueGreenPause", conditions=PAUSING, since=seconds, **fields, **said)


def preview_starts(left: Leaving) -> None:
    fields = update(left)
    left.falter("2", 2)
    left.status("Progressing", CUT_OVER, conditions=(*UPDATING, left.progressing("2")), **fields)


def pods_come(story: Story) -> None:
    story.advance(5)
    assert story.selected(ACTIVE_SERVICE) == "1"
    story.make_well("2")
    promoted(story)


def preview_waits(left: Leaving) -> None:
    pausing(left, update(left, autoPromotionEnabled=False))


def without_preview_waits(left: Leaving) -> None:
    pausing(left, update(left, autoPromotionEnabled=False, preview=False))


def promoted_by_hand(left: Leaving) -> None:
    """A person promoted, and the reference stopped before it saw that."""
    preview_waits(left)
    left.controller.edit(ROLLOUT, "web", {"status": {"pauseConditions": None}}, subresource="status")


def counts_down(left: Leaving) -> None:
    pausing(left, update(left, autoPromotionSeconds=60), 30)


def in_its_own_time(story: Story) -> None:
    story.advance(25)
    assert (story.selected(ACTIVE_SERVICE), story.phase) == ("1", "Paused")
    story.until(lambda: story.selected(ACTIVE_SERVICE) == "2", within=10)
    story.rest()


def few_pods_wait(left: Leaving) -> None:
    pausing(left, update(left, pods=1, autoPromotionEnabled=False, previewReplicaCount=1))


def few_pods_grow(left: Leaving) -> None:
    """Promoted by a person: the checkpoint is behind it, and the version grows to all its pods (7.5)."""
    fields = update(left, pods=1, autoPromotionEnabled=False, previewReplicaCount=1)
    left.resize("2", 3)
    left.falter("2", 2)
    fields["blueGreen"]["scaleUpPreviewCheckPoint"] = True
    left.status("Progressing", CUT_OVER, conditions=(*UPDATING, left.progressing("2")), **fields)


def switched(left: Leaving) -> None:
    """The active Service has moved, and what is stable was not written yet."""
    fields = {**update(left), **shown(left, active="2", preview="2")}
    fields["blueGreen"]["activeSelector"] = left.hashes["1"]
    left.status("Progressing", CUT_OVER, conditions=(*UPDATING, left.progressing("2")), **{**fields, "active": "1"})


def old_pods_stay(left: Leaving) -> None:
    left.apply(blue_green_app(image="2"))
    left.replica_set("1", pods=3)
    left.replica_set("2", pods=3)
    left.delay("1", 20)
    fields = shown(left, active="2", preview="2")
    rests(left, "2", fields)


def at_its_time(story: Story) -> None:
    story.advance(10)
    assert story.sizes == {"1": 3, "2": 3}
    story.rest()


def back_within_the_delay(left: Leaving) -> None:
    """The user went back to 1 while its pods were kept, and the reference stopped before it saw that (6.8)."""
    old_pods_stay(left)
    left.controller.edit(ROLLOUT, "web", {"spec": blue_green_app()[-1]["spec"]})


def aborted_fields(left: Leaving, fields: Fields, *, seconds: float = 10) -> Fields:
    said = (AVAILABLE, NOT_PAUSED, UNHEALTHY, INCOMPLETE, left.aborted())
    message = f"RolloutAborted: {left.aborted()['message']}"
    done = {"phase": "Degraded", "message": message, "conditions": said, "since": seconds, "abort": True}
    return {**fields, **done, "abortedAt": left.ago(seconds)}


def aborted(left: Leaving) -> None:
    """Before its cut-over: the preview Service keeps selecting the version, whose pods have their delay (7.9)."""
    fields = update(left, autoPromotionEnabled=False)
    left.delay("2", 20)
    left.status(**aborted_fields(left, fields))


def aborted_for_good(left: Leaving) -> None:
    fields = update(left, pods=0, autoPromotionEnabled=False)
    left.status(**aborted_fields(left, fields, seconds=7200))


def aborted_after(left: Leaving) -> None:
    """After its cut-over, with a pod of the new version gone: there the reference leaves the active Service where it is (7.7)."""
    fields = {**update(left, autoPromotionEnabled=False), **shown(left, active="2", preview="2")}
    left.falter("2", 1)
    left.status(**aborted_fields(left, fields))


def retried(left: Leaving) -> None:
    aborted(left)
    left.controller.edit(ROLLOUT, "web", {"status": {"abort": False}}, subresource="status")


def promoted_in_full(left: Leaving) -> None:
    fields = update(left, pods=1, autoPromotionEnabled=False, previewReplicaCount=1)
    left.resize("2", 3)
    left.falter("2", 2)
    left.status("Progressing", CUT_OVER, conditions=(*UPDATING, left.progressing("2")), promoteFull=True, **fields)


def user_paused(left: Leaving) -> None:
    fields = update(left)
    left.controller.edit(ROLLOUT, "web", {"spec": {"paused": True}})
    left.status("Paused", "manually paused", conditions=PAUSING, since=60, **fields)


def resumes(story: Story) -> None:
    story.rest()
    assert story.selected(ACTIVE_SERVICE) == "1"
    story.resume()
    story.rest()


def half_resized(left: Leaving) -> None:
    """From 3 pods to 5 in a pause: stable has got them, and the new version is next (3.10)."""
    pausing(left, update(left, autoPromotionEnabled=False))
    left.controller.edit(ROLLOUT, "web", {"spec": {"replicas": 5}})
    left.resize("1", 5, of=5)


def too_late(left: Leaving) -> None:
    fields = update(left)
    left.falter("2", 1)
    late = left.progressing("2", "ProgressDeadlineExceeded", "False")
    message = f"ProgressDeadlineExceeded: {late['message']}"
    left.status("Degraded", message, conditions=(*UPDATING, late), since=60, **fields)


def superseded(left: Leaving) -> None:
    """3 came while 2 waited for its promotion: the pods of 2 have their delay (7.4)."""
    left.apply(blue_green_app(image="3", autoPromotionEnabled=False))
    for version in ("1", "2", "3"):
        left.replica_set(version, pods=3)
    left.delay("2", 20)
    pausing(left, {"current": "3", "stable": "1", **shown(left, active="1", preview="3")}, 5)


def within_window(left: Leaving) -> None:
    """From 3 back to 2, which had no pods: no pause, and the switch waits for all of them (6.8)."""
    left.apply(blue_green_app(image="2", autoPromotionEnabled=False, spec={"rollbackWindow": {"revisions": 3}}))
    for version, pods in (("1", 0), ("2", 0), ("3", 3)):
        left.replica_set(version, pods=pods)
    left.annotate("2", {names.REVISION: "4", names.REVISION_HISTORY: "2"})
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.REVISION: "4"}}})
    left.resize("2", 3)
    left.falter("2", 2)
    fields = shown(left, active="3", preview="2")
    left.status("Progressing", CUT_OVER, current="2", stable="3", conditions=(*UPDATING, left.progressing("2")), **fields)


def goes_back(story: Story) -> None:
    story.advance(5)
    assert story.selected(ACTIVE_SERVICE) == "3"
    story.make_well("2")
    story.rest()


def marked(left: Leaving) -> None:
    marks = {role: {"labels": {"role": role}} for role in ("preview", "active")}
    left.apply(blue_green_app(image="2", autoPromotionEnabled=False, previewMetadata=marks["preview"], activeMetadata=marks["active"]))
    left.replica_set("1", pods=3, marks=marks["active"])
    left.replica_set("2", pods=3, marks=marks["preview"])
    pausing(left, {"current": "2", "stable": "1", **shown(left, active="1", preview="2")})


BLUE_GREENS: Final[Mapping[str, State]] = {
    "blue-green, healthy": State(leave=healthy, end=("Healthy", "1", {"1": 3})),
    "blue-green, healthy without a preview": State(leave=healthy_without_preview, end=("Healthy", "1", {"1": 3})),
    "blue-green, scaled to 0": State(leave=scaled_to_nothing, end=("Healthy", "1", {})),
    "blue-green, the first pods start": State(leave=first_pods_start, goes_on=first_pods_come, end=("Healthy", "1", {"1": 3})),
    "blue-green, the preview's pods start": State(leave=preview_starts, goes_on=pods_come, end=DONE),
    "blue-green, the preview waits": State(leave=preview_waits, goes_on=promoted, end=DONE),
    "blue-green, without a preview, waits": State(leave=without_preview_waits, goes_on=promoted, end=DONE),
    "blue-green, promoted by a person": State(
        first={
            "patch Service web-active": {"spec.selector.rollouts-pod-template-hash": "2"},
            "patch status Rollout web": {
                "status.controllerPause": None,
                "status.message": None,
                "status.blueGreen.activeSelector": "2",
                "status.conditions": [
                    "Healthy is True, RolloutHealthy: Rollout is healthy",
                    'Progressing is True, NewReplicaSetAvailable: ReplicaSet "web-2" has successfully progressed.',
                    "Paused is False, RolloutPaused: Rollout is paused",
                    "Completed is True, RolloutCompleted: RolloutCompleted",
                ],
                "status.phase": "Healthy",
                "status.selector": "app=web,rollouts-pod-template-hash=2",
                "status.stableRS": "2",
            },
        },
        verdict="step",
        leave=promoted_by_hand,
        end=DONE,
    ),
    "blue-green, half of autoPromotionSeconds is over": State(leave=counts_down, goes_on=in_its_own_time, end=DONE),
    "blue-green, previewReplicaCount waits": State(leave=few_pods_wait, goes_on=promoted, end=DONE),
    "blue-green, previewReplicaCount is promoted": State(leave=few_pods_grow, goes_on=pods_come, end=DONE),
    "blue-green, the active Service has just moved": State(
        first={
            "patch status Rollout web": {
                "status.message": None,
                "status.blueGreen.activeSelector": "2",
                "status.conditions": [
                    "Healthy is True, RolloutHealthy: Rollout is healthy",
                    'Progressing is True, NewReplicaSetAvailable: ReplicaSet "web-2" has successfully progressed.',
                    "Completed is True, RolloutCompleted: RolloutCompleted",
                ],
                "status.phase": "Healthy",
                "status.selector": "app=web,rollouts-pod-template-hash=2",
                "status.stableRS": "2",
            }
        },
        verdict="step",
        leave=switched,
        end=DONE,
    ),
    "blue-green, the delay of the old pods runs": State(leave=old_pods_stay, goes_on=at_its_time, end=DONE),
    "blue-green, back within the delay": State(
        first={
            "patch Rollout web": {"metadata.annotations.rollout.argoproj.io/revision": "3"},
            "patch Service web-preview": {"spec.selector.rollouts-pod-template-hash": "1"},
            "patch ReplicaSet web-1": {
                "metadata.annotations.rollout.argoproj.io/revision": "3",
                "metadata.annotations.rollout.argoproj.io/revision-history": "1",
            },
            "patch status Rollout web": {
                "status.blueGreen.previewSelector": "1",
                "status.conditions": [
                    "Healthy is False, RolloutHealthy: Rollout is not healthy",
                    'Progressing is True, ReplicaSetUpdated: ReplicaSet "web-1" is progressing.',
                    "Completed is False, RolloutCompleted: RolloutCompleted",
                    DEADLINE_RUNS,
                ],
                "status.currentPodHash": "1",
                "status.duration.rolloutStartedAt": "+0s",
                "status.message": "active service cutover pending",
                "status.observedGeneration": "2",
                "status.phase": "Progressing",
            },
        },
        verdict="step",
        leave=back_within_the_delay,
        end=("Healthy", "1", {"1": 3}),
    ),
    "blue-green, aborted before the cut-over": State(leave=aborted, end=BACK),
    "blue-green, aborted, no pods are left": State(leave=aborted_for_good, end=BACK),
    "blue-green, aborted after the cut-over": State(
        first={
            "patch Service web-active": {"spec.selector.rollouts-pod-template-hash": "1"},
            "patch status Rollout web": {
                "status.availableReplicas": 3,
                "status.blueGreen.activeSelector": "1",
                "status.readyReplicas": 3,
                "status.selector": "app=web,rollouts-pod-template-hash=1",
            },
        },
        verdict="step",
        leave=aborted_after,
        end=BACK,
    ),
    "blue-green, a retry is asked for": State(
        first={
            "patch ReplicaSet web-2": {"metadata.annotations.scale-down-deadline": None},
            "patch status Rollout web": {
                "status.abortedAt": None,
                "status.conditions": [
                    "Progressing is Unknown, RolloutPaused: Rollout is paused",
                    "Paused is True, RolloutPaused: Rollout is paused",
                ],
                "status.controllerPause": True,
                "status.duration.rolloutStartedAt": "+0s",
                "status.duration.manualPauseStartedAt": "+0s",
                "status.message": "BlueGreenPause",
                "status.pauseConditions": [{"reason": "BlueGreenPause", "startTime": "+0s"}],
                "status.phase": "Paused",
            },
        },
        verdict="step",
        leave=retried,
        goes_on=promoted,
        end=DONE,
    ),
    "blue-green, promoted in full": State(leave=promoted_in_full, goes_on=pods_come, end=DONE),
    "blue-green, spec.paused": State(leave=user_paused, goes_on=resumes, end=DONE),
    "blue-green, half scaled to another size": State(
        first={
            "patch ReplicaSet web-2": {"spec.replicas": 5, "metadata.annotations.rollout.argoproj.io/desired-replicas": "5"},
            "patch status Rollout web": {
                "status.availableReplicas": 5,
                "status.HPAReplicas": 5,
                "status.observedGeneration": "2",
                "status.readyReplicas": 5,
                "status.replicas": 8,
            },
        },
        verdict="step",
        leave=half_resized,
        goes_on=promoted,
        end=("Healthy", "2", {"2": 5}),
    ),
    "blue-green, the progress deadline is exceeded": State(leave=too_late, goes_on=pods_come, end=DONE),
    "blue-green, superseded": State(leave=superseded, goes_on=promoted, end=("Healthy", "3", {"3": 3})),
    "blue-green, back within rollbackWindow": State(leave=within_window, goes_on=goes_back, end=DONE),
    "blue-green, previewMetadata and activeMetadata": State(leave=marked, goes_on=promoted, end=DONE),
}
