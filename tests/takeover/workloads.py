"""Rollouts that take their template from a Deployment, as the reference leaves them. (Lifecycle reference 8.5)"""

from collections.abc import Mapping
from typing import Final

from scenarios import PAUSE_STEP, ROLLOUT, Story, app, blue_green_app, template, weight
from takeover.bluegreens import pausing as waits
from takeover.bluegreens import shown
from takeover.canary_parts import AVAILABLE_SOON, DONE, STEPS, pausing, rests
from takeover.leaving import COMPLETED, UNAVAILABLE, Leaving
from takeover.states import State, promoted
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

DEPLOYMENT: Final[Kind] = ("apps", "Deployment")


def refer(
    left: Leaving, *steps: Manifest, image: str, scale_down: str = "never", replicas: int = 0, manifests: list[Manifest] | None = None
) -> str:
    """Leave a Rollout that refers to a Deployment of *replicas* pods; gives the generation that the reference has noted of it."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    }
    *others, rollout = manifests or app(*steps, image=image, routing="none")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": scale_down}
    spec = {key: value for key, value in rollout["spec"].items() if key not in {"template", "selector"}}
    left.apply([*others, deployment, {**rollout, "spec": {**spec, "workloadRef": reference}}])
    left.advance(60)
    generation = str(left.controller.manifest(DEPLOYMENT, "web")["metadata"]["generation"])
    left.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.WORKLOAD_GENERATION: generation}}})
    return generation


def healthy(left: Leaving) -> None:
    refer(left, *STEPS, image="1")
    left.replica_set("1", pods=5, annotations={names.WORKLOAD_GENERATION: "1"})
    rests(left, "1", currentStepIndex=4)


def paused(left: Leaving) -> None:
    refer(left, *STEPS, image="2")
    left.replica_set("1", pods=4, annotations={names.WORKLOAD_GENERATION: "1"})
    left.replica_set("2", pods=1, annotations={names.WORKLOAD_GENERATION: "1"})
    pausing(left, {"current": "2", "stable": "1", "currentStepIndex": 1})


def not_scaled_down(left: Leaving) -> None:
    """scaleDown: onsuccess of the reference acts on its first revision only, and a GitOps tool has scaled the Deployment up again."""
    refer(left, weight(20), PAUSE_STEP, image="1", scale_down="onsuccess", replicas=3)
    left.replica_set("1", pods=5, annotations={names.WORKLOAD_GENERATION: "1"})
    rests(left, "1", currentStepIndex=2)


def deployment_goes(story: Story) -> None:
    story.rest()
    assert story.controller.manifest(DEPLOYMENT, "web")["spec"]["replicas"] == 0


def moves_over(left: Leaving) -> None:
    """scaleDown: progressively, half-way: three pods of the first version are ready, and the Deployment has two of its five left."""
    refer(left, *STEPS, image="1", scale_down="progressively", replicas=2)
    left.replica_set("1", pods=5, annotations={names.WORKLOAD_GENERATION: "1"})
    left.falter("1", 2)
    said = (UNAVAILABLE, COMPLETED, left.progressing("1"))
    left.status("Progressing", AVAILABLE_SOON, current="1", stable="1", conditions=said, currentStepIndex=4)


def moved_over(story: Story) -> None:
    story.make_well("1")
    deployment_goes(story)


def blue_green(left: Leaving) -> None:
    refer(left, image="2", manifests=blue_green_app(image="2", autoPromotionEnabled=False))
    for version in ("1", "2"):
        left.replica_set(version, pods=3, annotations={names.WORKLOAD_GENERATION: "1"})
    waits(left, {"current": "2", "stable": "1", **shown(left, active="1", preview="2")})


WORKLOADS: Final[Mapping[str, State]] = {
    "workloadRef, healthy": State(leave=healthy, end=("Healthy", "1", {"1": 5})),
    "workloadRef, paused": State(leave=paused, goes_on=promoted, end=DONE),
    "workloadRef, half-way over from the Deployment": State(leave=moves_over, goes_on=moved_over, end=("Healthy", "1", {"1": 5})),
    "workloadRef, blue-green, waits": State(leave=blue_green, goes_on=promoted, end=("Healthy", "2", {"2": 3})),
    "workloadRef, the Deployment has pods again": State(
        first={"patch Deployment web": {"spec.replicas": 0}},
        verdict="step",
        leave=not_scaled_down,
        goes_on=deployment_goes,
        end=("Healthy", "1", {"1": 5}),
    ),
}
