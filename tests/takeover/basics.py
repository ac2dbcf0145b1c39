"""Canaries without a router, and what stands beside the pods, as the reference leaves them. (Lifecycle reference 3.9, 3.12, 4)"""

from collections.abc import Mapping
from typing import Final

from scenarios import ROLLOUT, app
from takeover.canary_parts import (
    BACK,
    DONE,
    MORE,
    NO_PAUSE,
    STEPS,
    UPDATING,
    aborted_fields,
    basic,
    pausing,
    pods_come,
    update,
)
from takeover.leaving import (
    UNAVAILABLE,
    Leaving,
)
from takeover.states import State, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest


def basic_intermediate(left: Leaving) -> None:
    """Without a router the canary gets its pod first, where maxSurge leaves room, and then the last pod of 2 goes (4.3, 4.5)."""
    left.apply(app(*STEPS, image="3", routing="none"))
    left.replica_set("1", pods=4)
    left.replica_set("2", pods=1)
    left.replica_set("3", pods=0)
    left.status(
        "Progressing", MORE, current="3", stable="1", conditions=(*UPDATING, left.progressing("3")), currentStepIndex=0,
    )  # fmt: skip


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
    left.controller.edit(ROLLOUT, "web", {"spec": {"replicas": 10}})
    left.resize("1", 10, of=10)


BASICS: Final[Mapping[str, State]] = {
    "without a router, an intermediate version goes": State(
        first={"patch ReplicaSet web-3": {"spec.replicas": 1}},
        verdict="step",
        leave=basic_intermediate,
        goes_on=promoted,
        end=("Healthy", "3", {"3": 5}),
    ),
    "without a router, paused": State(leave=basic_paused, goes_on=promoted, end=DONE),
    "without a router, a pod starts": State(leave=basic_waits, goes_on=pods_come, end=DONE),
    "without a router, between two sizes": State(
        first={"patch ReplicaSet web-1": {"spec.replicas": 2}},
        verdict="step",
        leave=basic_grows,
        goes_on=promoted,
        end=DONE,
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
