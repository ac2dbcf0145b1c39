"""What came due, or was changed, while no controller ran, and where the reference stays for ever. (Lifecycle reference 12)"""

from collections.abc import Mapping
from typing import Final

from scenarios import BETA, CANARY_SERVICE, PAUSE_STEP, ROLLOUT, Story, app, blue_green_app, pause, weight
from takeover import bluegreens
from takeover.canary_parts import BACK, DONE, MORE, NO_PAUSE, STEPS, UPDATING, aborted_fields, basic, pausing, rests, update
from takeover.detours import old_pods_stay
from takeover.leaving import INCOMPLETE, UNAVAILABLE, Leaving
from takeover.states import State, promoted

BETA_ROUTE: Final = {
    "name": "beta",
    "match": [{"headers": {"x-beta": {"exact": "1"}}}],
    "route": [{"weight": 100, "destination": {"host": "web-canary"}}],
}


# While nobody ran


def pause_is_over(left: Leaving) -> None:
    pausing(left, update(left, weight(20), pause("10m"), weight(60), pods=1, at=20, index=1), 3600)


def countdown_is_over(left: Leaving) -> None:
    bluegreens.pausing(left, bluegreens.update(left, autoPromotionSeconds=60), 3600)


def delay_is_over(left: Leaving) -> None:
    fields = update(left, pods=1, at=0, index=0)
    left.point(stable="1", canary="1")
    left.delay("2", -3600)
    left.status(**aborted_fields(left, fields, seconds=3630))


def old_pods_are_over(left: Leaving) -> None:
    old_pods_stay(left)
    left.delay("1", -3600)


def scaled(left: Leaving) -> None:
    """An autoscaler went on while nobody scaled ReplicaSets: from 5 to 8 pods, in a pause at 20 percent."""
    pausing(left, update(left, pods=1, at=20, index=1))
    left.controller.edit(ROLLOUT, "web", {"spec": {"replicas": 8}})


def lost_pods(left: Leaving) -> None:
    """All pods of the canary stopped answering, and 20 percent still go there."""
    fields = update(left, pods=1, at=20, index=1)
    pausing(left, fields)
    left.falter("2", 1)


def pods_are_back(story: Story) -> None:
    story.rest()
    assert story.weights == (100, 0)
    story.make_well("2")
    promoted(story)


def whole_way(story: Story) -> None:
    story.advance(30)
    assert (story.phase, story.weights) == ("Progressing", (100, 0))
    story.promote_full()
    story.rest()


# Where the reference stays for ever


def header_after_abort(left: Leaving) -> None:
    """Step 0 sets a header route: after an abort the reference writes it again in every pass, to a Service that selects stable."""
    fields = update(left, {"setHeaderRoute": BETA}, *STEPS, pods=0, at=0, index=0, first=(BETA_ROUTE,))
    left.point(stable="1", canary="1")
    left.status(**aborted_fields(left, fields, seconds=7200))


def no_delay(left: Leaving) -> None:
    """scaleDownDelaySeconds: 0 keeps the old pods (#1992)."""
    left.apply(blue_green_app(image="2", scaleDownDelaySeconds=0))
    left.replica_set("1", pods=3)
    left.replica_set("2", pods=3)
    bluegreens.rests(left, "2", bluegreens.shown(left, active="2", preview="2"))


def no_candidate(left: Leaving) -> None:
    """Two pods, no surge, 75 percent: no pair of counts is near enough, and the canary never gets a pod (4.2)."""
    fields = basic(left, weight(75), PAUSE_STEP, old=2, new=0, replicas=2, maxSurge=0, maxUnavailable=1)
    left.status("Progressing", MORE, conditions=(*UPDATING, left.progressing("2")), currentStepIndex=0, **fields)


def never_worked(left: Leaving) -> None:
    """The first version never had a ready pod and is stable all the same; the second one waits for it, as in the reference (#1774)."""
    left.apply(app(*NO_PAUSE, image="2"))
    left.replica_set("1", pods=5, ready=False)
    left.replica_set("2", pods=1)
    left.select(CANARY_SERVICE, "2")
    left.status(
        "Progressing", MORE, current="2", stable="1", conditions=(UNAVAILABLE, INCOMPLETE, left.progressing("2")),
        currentStepIndex=0, canary=left.weights(0, stable="1", new="2"),
    )  # fmt: skip


def beyond_the_end(left: Leaving) -> None:
    """The index is one more than there are steps, for one pass (6.5)."""
    left.apply(app(*STEPS, image="2"))
    left.replica_set("1", pods=0)
    left.replica_set("2", pods=5)
    left.point(stable="2", canary="2")
    rests(left, "2", currentStepIndex=5, canary=left.weights(0, stable="2", new="2"))


LATE: Final[Mapping[str, State]] = {
    "a timed pause has ended meanwhile": State(
        first={
            "patch status Rollout web": {
                "status.controllerPause": None,
                "status.pauseConditions": None,
                "status.conditions": [
                    'Progressing is True, ReplicaSetUpdated: ReplicaSet "web-2" is progressing.',
                    "Paused is False, RolloutPaused: Rollout is paused",
                ],
                "status.currentStepIndex": 2,
                "status.message": "more replicas need to be updated",
                "status.phase": "Progressing",
            }
        },
        verdict="step",
        leave=pause_is_over,
        end=DONE,
    ),
    "autoPromotionSeconds have passed meanwhile": State(
        first={
            "patch Service web-active": {"spec.selector.rollouts-pod-template-hash": "2"},
            "patch status Rollout web": {
                "status.controllerPause": None,
                "status.message": None,
                "status.pauseConditions": None,
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
        leave=countdown_is_over,
        end=bluegreens.DONE,
    ),
    "aborted, the delay of its pods has passed meanwhile": State(
        first={
            "patch ReplicaSet web-2": {"spec.replicas": 0, "metadata.annotations.scale-down-deadline": None},
            "patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"},
        },
        verdict="step",
        leave=delay_is_over,
        end=BACK,
    ),
    "the delay of the old pods has passed meanwhile": State(
        first={"patch ReplicaSet web-1": {"spec.replicas": 0, "metadata.annotations.scale-down-deadline": None}},
        verdict="step",
        leave=old_pods_are_over,
        end=DONE,
    ),
    "an autoscaler went on meanwhile": State(
        first={
            "patch ReplicaSet web-2": {"spec.replicas": 2, "metadata.annotations.rollout.argoproj.io/desired-replicas": "8"},
            "patch ReplicaSet web-1": {"spec.replicas": 8, "metadata.annotations.rollout.argoproj.io/desired-replicas": "8"},
            "patch status Rollout web": {
                "status.conditions": ["Available is False, AvailableReason: Rollout does not have minimum availability"],
                "status.observedGeneration": "2",
            },
        },
        verdict="step",
        leave=scaled,
        goes_on=promoted,
        end=("Healthy", "2", {"2": 8}),
    ),
    "the canary has lost its pods meanwhile": State(
        first={
            "patch Rollout web": {"metadata.annotations.tiphys.dev/routed-by": "set"},
            "patch VirtualService web": {
                "spec.http": [
                    {
                        "route": [
                            {"destination": {"host": "web-stable"}, "weight": 100},
                            {"destination": {"host": "web-canary"}, "weight": 0},
                        ]
                    }
                ]
            },
            "patch status Rollout web": {
                "status.availableReplicas": 5,
                "status.canary.weights.canary.weight": 0,
                "status.canary.weights.stable.weight": 100,
                "status.readyReplicas": 5,
            },
        },
        verdict="step",
        leave=lost_pods,
        goes_on=pods_are_back,
        end=DONE,
    ),
    "aborted, with a header route that comes back": State(
        first={
            "patch Rollout web": {"metadata.annotations.tiphys.dev/routed-by": "set"},
            "patch VirtualService web": {
                "spec.http": [
                    {
                        "route": [
                            {"destination": {"host": "web-stable"}, "weight": 100},
                            {"destination": {"host": "web-canary"}, "weight": 0},
                        ]
                    }
                ]
            },
            "patch status Rollout web": {"status.canary.weights.canary.podTemplateHash": "1"},
        },
        verdict="step",
        leave=header_after_abort,
        end=BACK,
    ),
    "blue-green, no delay and the old pods stay": State(
        first={"patch ReplicaSet web-1": {"spec.replicas": 0}}, verdict="step", leave=no_delay, end=bluegreens.DONE
    ),
    "without a router, no counts are near enough": State(
        first={"patch ReplicaSet web-1": {"spec.replicas": 1}},
        verdict="step",
        leave=no_candidate,
        goes_on=promoted,
        end=("Healthy", "2", {"2": 2}),
    ),
    "the first version never worked": State(leave=never_worked, goes_on=whole_way, end=DONE),
    "the step is one beyond the end": State(
        first={"patch status Rollout web": {"status.currentStepIndex": 4}}, verdict="step", leave=beyond_the_end, end=DONE
    ),
}
