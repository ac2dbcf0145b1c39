"""A Rollout that takes its pod template from another workload. (Lifecycle reference 8.5)"""

from datetime import timedelta
from typing import Any, Final

import pytest

from referring import DEPLOYMENT, deployment, pods_of_deployment, referring
from scenarios import PAUSE_STEP, REPLICA_SET, Routing, Story, answering, app, at_rest, blue_green_app, template, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.devcluster.podindex import is_leaving, is_ready


def told(*steps: Manifest, workload: Manifest | None = None, routing: Any = "none", scale_down: str = "never", **fields: Any) -> Story:  # noqa: ANN401 - any JSON
    manifests = referring(app(*steps, routing=routing, **fields), workload=workload, scaleDown=scale_down)
    return at_rest(manifests)


def set_image(story: Story, image: str) -> None:
    story.controller.edit(DEPLOYMENT, "web", {"spec": {"template": template(image)}})


def test_template_and_selector_are_the_deployments_and_are_never_written_into_the_rollout() -> None:
    story = told()

    assert (story.phase, story.sizes) == ("Healthy", {"1": 5})
    written = story.controller.manifest(("argoproj.io", "Rollout"), "web")
    assert "template" not in written["spec"]
    assert "selector" not in written["spec"]
    assert story.replica_sets["1"]["spec"]["selector"]["matchLabels"]["app"] == "web"
    assert pods_of_deployment(story) == 5


def test_a_change_of_the_deployment_is_an_update_and_clients_are_told_which_generation_was_seen() -> None:
    story = told(weight(40), PAUSE_STEP)

    set_image(story, "2")
    story.until_phase("Paused", "CanaryPauseStep")

    generation = str(story.controller.manifest(DEPLOYMENT, "web")["metadata"]["generation"])
    assert story.sizes == {"1": 3, "2": 2}
    assert story.rollout.metadata.annotations[names.WORKLOAD_GENERATION] == story.status.workload_observed_generation == generation
    story.promote()
    story.rest()
    assert (story.phase, story.stable) == ("Healthy", "2")


def test_a_change_of_its_pod_count_starts_no_update_and_writes_the_generation_only() -> None:
    story = told()

    story.controller.edit(DEPLOYMENT, "web", {"spec": {"replicas": 7}})
    story.rest()

    assert list(story.replica_sets) == ["1"]
    assert story.sizes == {"1": 5}


def test_47_progressively_the_deployment_shrinks_as_ready_pods_come_and_never_while_none_is() -> None:
    story = Story(referring(app(routing="none"), workload=deployment("1-slow-20s"), scaleDown="progressively"))
    story.advance(10)
    assert pods_of_deployment(story) == 5

    story.rest()

    assert pods_of_deployment(story) == 0
    assert story.phase == "Healthy"
    counts = [body for verb, plural, body in story.controller.api.done if (verb, plural) == ("patch", "deployments")]
    assert counts
    story.controller.edit(DEPLOYMENT, "web", {"spec": {"replicas": 5}})
    story.rest()
    assert pods_of_deployment(story) == 0, "somebody scaled it up again: it goes down at every revision (12.5 #4935)"


def test_47_with_three_ready_pods_of_five_the_deployment_keeps_two_and_none_once_it_is_healthy() -> None:
    story = Story(referring(app(routing="none"), workload=deployment("1-never-ready"), scaleDown="progressively"))
    story.advance(10)
    for pod in story.pods("1-never-ready")[:3]:
        story.cluster.set_ready(pod, ready=True)
    story.advance(10)
    kept = pods_of_deployment(story)

    for pod in story.pods("1-never-ready"):
        story.cluster.set_ready(pod, ready=True)
    story.rest()

    assert kept == 2
    assert (story.phase, pods_of_deployment(story)) == ("Healthy", 0)


def test_on_success_the_deployment_goes_when_the_rollout_is_healthy() -> None:
    story = Story(referring(app(routing="none"), workload=deployment("1-slow-20s"), scaleDown="onsuccess"))

    story.advance(19)
    assert pods_of_deployment(story) == 5
    story.rest()

    assert (story.phase, pods_of_deployment(story)) == ("Healthy", 0)


def test_during_a_later_update_the_deployment_is_left_alone() -> None:
    story = told(weight(40), PAUSE_STEP, scale_down="progressively")
    set_image(story, "2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.controller.edit(DEPLOYMENT, "web", {"spec": {"replicas": 1}})
    story.rest()

    assert pods_of_deployment(story) == 1


def test_without_replicas_of_its_own_the_rollout_takes_the_deployments() -> None:
    """The reference starts from one pod (12.5 #4110)."""
    story = told(replicas=None, workload=deployment(replicas=4))

    assert (story.sizes, story.rollout.spec.replicas) == ({"1": 4}, 4)


@pytest.mark.parametrize("scale_down", ["never", "onsuccess", "progressively"])
def test_blue_green_takes_its_template_from_a_deployment_too(scale_down: str) -> None:
    story = at_rest(referring(blue_green_app(), scaleDown=scale_down))

    assert (story.phase, story.selected("web-active")) == ("Healthy", "1")
    assert pods_of_deployment(story) == (5 if scale_down == "never" else 0)


def test_a_pod_template_can_be_referred_to() -> None:
    source = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web", "namespace": "default"}, "template": template("1")}
    story = at_rest(referring(app(routing="none"), workload=source, keep=("selector",), kind="PodTemplate", apiVersion="v1"))

    assert (story.phase, story.sizes) == ("Healthy", {"1": 5})


REPLICA_SET_OF_ITS_OWN: Final[Manifest] = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template("1")},
}


def test_a_plain_replica_set_can_be_referred_to_and_keeps_its_pods() -> None:
    """It is nobody's version: it is neither adopted nor scaled, whatever `scaleDown` says (8.5)."""
    manifests = app(weight(40), PAUSE_STEP, routing="none", replicas=None)
    story = Story(referring(manifests, workload=REPLICA_SET_OF_ITS_OWN, kind="ReplicaSet", scaleDown="onsuccess"))
    story.rest()
    first = (story.phase, story.rollout.spec.replicas, sizes_by_name(story)["web"])
    owners = story.controller.manifest(REPLICA_SET, "web")["metadata"].get("ownerReferences")

    story.controller.edit(REPLICA_SET, "web", {"spec": {"template": template("2")}})
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.rest()

    assert first == ("Healthy", 4, 4)
    assert owners is None
    assert (story.phase, sizes_by_name(story)["web"]) == ("Healthy", 4)
    assert sorted(size for name, size in sizes_by_name(story).items() if name != "web") == [0, 4]
    assert any(reason == "SpecWarning" and "only a Deployment" in message for _, reason, message in story.controller.told.events)


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_services_in_front_of_a_plain_replica_set_always_have_somebody(routing: Routing) -> None:
    services: dict[str, Any] = {"stableService": "web-stable", "canaryService": "web-canary"}
    *others, rollout = referring(app(routing=routing, **services), workload=REPLICA_SET_OF_ITS_OWN, kind="ReplicaSet")
    rollout["spec"]["workloadRef"] |= {"name": "web"}
    story = Story(others)
    story.advance(10)
    before = answering(story, "web-stable")

    story.controller.create(rollout)
    least = before
    for _ in range(100):
        story.advance(0.5)
        least = min(least, answering(story, "web-stable"))

    assert before == 4
    assert least >= 4
    assert story.phase == "Healthy"
    assert routing == "none" or story.onlooker.problems == [], "which counts pods without a router, whosever they are"


def test_a_replica_set_of_a_rollout_is_no_source() -> None:
    """Its template carries the hash of its own version: each version would ask for the next one."""
    story = at_rest(app(routing="none"))
    (own,) = [found["metadata"]["name"] for found in story.replica_sets.values()]

    story.edit_spec(workloadRef={"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": own}, template=None)
    story.rest()

    assert "must name a ReplicaSet that is not a Rollout's own" in story.message("InvalidSpec")
    assert story.sizes == {"1": 5}


def sizes_by_name(story: Story) -> dict[str, int]:
    return {found["metadata"]["name"]: found["spec"]["replicas"] for found in story.onlooker.replica_sets()}


def test_46_a_workload_that_is_missing_is_named_and_awaited() -> None:
    *others, rollout = referring(app(routing="none"))
    story = Story([each for each in (*others, rollout) if each["kind"] != "Deployment"])
    story.rest()
    assert 'spec.workloadRef: Invalid value: "web"' in story.message("InvalidSpec")

    story.controller.create(deployment())
    story.rest()

    assert story.phase == "Healthy"


def test_a_workload_that_goes_in_mid_update_moves_nothing_and_its_return_goes_on() -> None:
    story = told(weight(40), PAUSE_STEP)
    set_image(story, "2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.controller.delete(DEPLOYMENT, "web")
    story.rest()
    assert (story.phase, story.sizes) == ("Degraded", {"1": 3, "2": 2})
    story.controller.create(deployment("2"))
    story.until_phase("Paused", "CanaryPauseStep")

    assert story.sizes == {"1": 3, "2": 2}


def test_46_a_kind_without_a_template_is_refused() -> None:
    story = at_rest(referring(app(routing="none"), kind="StatefulSet"))

    assert "spec.workloadRef.kind" in story.message("InvalidSpec")
    assert "must be Deployment or ReplicaSet or PodTemplate" in story.message("InvalidSpec")


def test_46_a_template_of_its_own_beside_the_reference_is_refused() -> None:
    story = at_rest(referring(app(routing="none"), keep=("template", "selector")))

    assert "spec.template" in story.message("InvalidSpec")


def test_a_rollout_that_takes_its_template_home_starts_no_revision() -> None:
    story = told()

    story.edit_spec(workloadRef=None, template=template("1"), selector={"matchLabels": {"app": "web"}})
    story.rest()

    assert list(story.replica_sets) == ["1"]
    assert (story.phase, story.status.workload_observed_generation) == ("Healthy", "")
    assert names.WORKLOAD_GENERATION not in story.rollout.metadata.annotations


# With pods of its own: what a Deployment's controller makes of it.


def ready_pods(story: Story) -> int:
    return sum(is_ready(pod) and not is_leaving(pod) for pod in story.cluster.pods({"app": "web"}))


def fewest_ready_pods(story: Story, seconds: float) -> int:
    """Let time pass, look at the ready pods after each single step of anybody, and give the fewest."""
    fewest = ready_pods(story)
    end = story.cluster.now + timedelta(seconds=seconds)
    while True:
        while story.cluster.step():
            fewest = min(fewest, ready_pods(story))
        wake_at = story.cluster.wakes_at()
        if wake_at is None or wake_at > end:
            return fewest
        story.cluster.clock.now = max(wake_at, story.cluster.now)


@pytest.mark.parametrize("strategy", ["counts", "routed", "blue-green"])
@pytest.mark.parametrize("scale_down", ["progressively", "onsuccess"])
def test_47_a_deployment_is_taken_over_with_never_a_ready_pod_less_than_it_had(scale_down: str, strategy: str) -> None:
    image = "1-slow-20s"
    first = blue_green_app(replicas=5) if strategy == "blue-green" else app(routing="none" if strategy == "counts" else "istio")
    *others, workload, rollout = referring(first, workload=deployment(image), scaleDown=scale_down)
    story = Story([*others, workload])
    story.advance(60)
    assert ready_pods(story) == 5

    story.controller.create(rollout)
    fewest = fewest_ready_pods(story, 200)

    assert fewest == 5
    assert (story.phase, story.sizes, pods_of_deployment(story), ready_pods(story)) == ("Healthy", {image: 5}, 0, 5)


@pytest.mark.parametrize(("scale_down", "left"), [("progressively", [4, 3, 2, 1, 0]), ("onsuccess", [5, 5, 5, 5, 0])])
def test_47_pods_that_get_ready_one_after_another_take_the_place_of_the_deployments_one_by_one(scale_down: str, left: list[int]) -> None:
    *others, workload, rollout = referring(app(routing="none"), workload=deployment("1-slow-20s"), scaleDown=scale_down)
    story = Story([*others, workload])
    story.advance(60)
    story.controller.create(rollout)
    story.advance(10)
    story.make_ill("1-slow-20s", 5)
    fewest, sizes = [], []

    for name in story.pods("1-slow-20s"):
        story.cluster.set_ready(name, ready=None)
        fewest.append(fewest_ready_pods(story, 30))
        sizes.append(pods_of_deployment(story))

    assert (min(fewest), sizes) == (5, left)
    assert (story.phase, ready_pods(story)) == ("Healthy", 5)
