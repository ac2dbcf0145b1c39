"""Do the pinned cases hold that tell what is created, recognised and refused? (Lifecycle reference 11: 1, 2, 4 to 10, 49.)"""

from datetime import timedelta

import msgspec
import pytest

from inprocess import rollout_manifest, service_manifest
from scenarios import PAUSE_STEP, REPLICA_SET, ROLLOUT, SERVICE, Story, app, template, told, weight
from tiphys.api import names
from tiphys.controller.cluster import rollout_ref
from tiphys.kube.errors import ForbiddenError


def test_01_absent_replicas_become_one_and_nothing_else_happens_in_that_pass() -> None:
    story = Story(app(routing="none", replicas=None))

    story.rest()

    assert story.controller.api.done[0] == ("patch", "rollouts", '{"metadata":{},"spec":{"replicas":1}}')
    assert story.rollout.spec.replicas == 1
    assert story.sizes == {"1": 1}
    assert story.phase == "Healthy"


@pytest.mark.one_life("a moment that one process passes through")
def test_02_the_first_replica_set_has_its_name_revision_1_and_no_pods_at_first() -> None:
    story = Story(app(routing="none"))

    story.until(lambda: story.condition("Progressing") == ("True", "NewReplicaSetCreated"))
    created = next(
        msgspec.json.decode(body) for verb, plural, body in story.controller.api.done if (verb, plural) == ("create", "replicasets")
    )
    message = story.message("Progressing")
    story.rest()

    name = f"web-{story.status.current_pod_hash}"
    assert created["metadata"]["name"] == name
    assert created["spec"]["replicas"] == 0
    assert created["metadata"]["annotations"][names.REVISION] == "1"
    assert message == f'Created new replica set "{name}"'
    assert story.sizes == {"1": 5}


def test_04_a_taken_name_counts_a_collision_and_the_next_name_is_another() -> None:
    probe = told(routing="none", image="2")
    taken = f"web-{probe.status.current_pod_hash}"
    story = told(routing="none")
    labels = {"app": "other"}
    other = {"metadata": {"labels": labels}, "spec": template("9")["spec"]}
    stranger = {"replicas": 0, "selector": {"matchLabels": labels}, "template": other}
    story.controller.create(
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": taken, "labels": labels}, "spec": stranger}
    )

    story.set_image("2")
    story.rest()

    assert story.status.collision_count == 1
    assert f"web-{story.status.current_pod_hash}" != taken
    assert story.stable == "2"
    assert story.phase == "Healthy"


def test_04_a_replica_set_of_ours_with_the_same_template_under_the_name_is_taken_over_without_a_collision() -> None:
    """It was made, and nobody heard: the answer got lost, and the cache does not show it yet."""
    story = told(routing="none")
    story.controller.feed.held.add(REPLICA_SET)
    story.controller.api.lost = {story.controller.api.writes + 2}

    story.set_image("2")
    story.advance(5)
    made = story.replica_sets["2"]["metadata"]["uid"]
    story.controller.feed.held.clear()
    story.rest()

    assert [verb for verb, plural, _ in story.controller.api.done if (verb, plural) == ("create", "replicasets")] == ["create"]
    assert story.replica_sets["2"]["metadata"]["uid"] == made
    assert story.status.collision_count is None
    assert (story.stable, story.phase) == ("2", "Healthy")


@pytest.mark.one_life("how often one process tells the same")
def test_05_a_replica_set_denied_by_quota_is_a_condition_and_a_warning_and_tried_again() -> None:
    story = told(routing="none")
    denied = ForbiddenError(403, "Forbidden", "exceeded quota: pods")
    story.controller.api.refuse = lambda verb, _plural: denied if verb == "create" else None

    story.set_image("2")
    story.advance(60)
    condition, message = story.condition("Progressing"), story.message("Progressing")
    warnings = [reason for kind, reason, _ in story.controller.told.events if kind == "Warning"]
    story.controller.api.refuse = lambda _verb, _plural: None
    story.rest()

    assert condition == ("False", "ReplicaSetCreateError")
    assert "exceeded quota" in message
    assert warnings == ["ReplicaSetCreateError"]
    assert story.phase == "Healthy"
    assert story.stable == "2"


def test_06_a_condition_keeps_its_message_while_status_and_reason_stay() -> None:
    story = told(routing="none")
    problem = ["first"]
    story.controller.api.refuse = lambda verb, _plural: ForbiddenError(403, "Forbidden", problem[0]) if verb == "create" else None
    story.set_image("2")
    story.advance(60)
    before = story.message("Progressing")

    problem[0] = "second"
    story.advance(60)

    assert "first" in before
    assert story.message("Progressing") == before


@pytest.mark.one_life("a moment that one process passes through")
def test_06_a_condition_with_another_reason_keeps_its_transition_time_and_goes_to_the_end() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none", maxSurge=1, maxUnavailable=0)
    story.set_image("2-slow-10s")
    story.until(lambda: story.condition("Progressing") == ("True", "NewReplicaSetCreated"))
    created = next(found for found in story.status.conditions if found.type == "Progressing")

    story.until(lambda: story.condition("Progressing") == ("True", "ReplicaSetUpdated"))
    updated = story.status.conditions[-1]

    assert updated.type == "Progressing"
    assert updated.last_transition_time == created.last_transition_time
    assert updated.last_update_time is not None
    assert created.last_update_time is not None
    assert updated.last_update_time >= created.last_update_time


def test_07_another_invalidity_replaces_the_message_and_a_valid_spec_ends_it() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none")
    story.edit_spec(progressDeadlineSeconds=-1)
    story.rest()
    first = (story.phase, story.status.message)
    story.edit_spec(progressDeadlineSeconds=600, minReadySeconds=-1)
    story.rest()
    second = story.message("InvalidSpec")

    story.edit_spec(minReadySeconds=0)
    story.rest()

    assert first[0] == "Degraded"
    assert first[1].startswith('InvalidSpec: The Rollout "web" is invalid: spec.progressDeadlineSeconds')
    assert "spec.minReadySeconds" in second
    assert "progressDeadlineSeconds: Invalid value: -1" not in second
    assert story.condition("InvalidSpec") == ("", "")
    assert story.phase == "Healthy"


def test_08_a_pause_is_told_with_the_generation_that_asked_for_it() -> None:
    story = told(weight(20), PAUSE_STEP, routing="none")
    story.forget()

    story.controller.edit(ROLLOUT, "web", {"spec": {"paused": True, "template": template("2")}})
    story.rest()

    generation = str(story.rollout.metadata.generation)
    patches = [
        msgspec.json.decode(body)["status"] for _, plural, body in story.controller.api.done if plural == "rollouts" and '"status"' in body
    ]
    paused = [patch for patch in patches if any(each["type"] == "Paused" for each in patch.get("conditions", ()))]
    assert paused[0]["observedGeneration"] == generation
    assert story.condition("Paused") == ("True", "RolloutPaused")
    assert story.condition("Progressing") == ("Unknown", "RolloutPaused")


def test_09_a_missing_service_is_named_with_its_path_and_recovers_when_it_appears() -> None:
    manifests = [each for each in app(weight(20), PAUSE_STEP) if each["metadata"]["name"] != "web-canary"]
    story = Story(manifests)
    story.rest()
    missing = (story.phase, story.status.message)

    story.controller.create(service_manifest("web-canary"))
    story.rest()

    assert missing[0] == "Degraded"
    assert "spec.strategy.canary.canaryService" in missing[1]
    assert "web-canary" in missing[1]
    assert story.phase == "Healthy"
    assert story.selectors == ("1", "1")


def test_09_a_service_that_selects_what_the_template_lacks_is_refused() -> None:
    story = told(weight(20), PAUSE_STEP)

    story.controller.edit(SERVICE, "web-canary", {"spec": {"selector": {"tier": "front"}}})
    story.rest()

    assert story.phase == "Degraded"
    assert "spec.strategy.canary.canaryService" in story.message("InvalidSpec")


def test_09_a_service_of_another_rollout_is_refused() -> None:
    story = told(weight(20), PAUSE_STEP)

    other = rollout_manifest("other", istio=False, replicas=0, canaryService="web-canary", stableService="other-stable")
    story.controller.create({**other, "spec": {**other["spec"], "template": template("1")}})
    story.controller.edit(SERVICE, "web-canary", {"metadata": {"annotations": {names.MANAGED_BY: "other"}}})
    story.rest()

    assert story.phase == "Degraded"
    assert "other" in story.message("InvalidSpec")


@pytest.mark.one_life("a moment that one process passes through")
def test_10_an_old_replica_set_with_a_stale_desired_size_is_no_scaling_event() -> None:
    story = told(weight(50), PAUSE_STEP, scaleDownDelaySeconds=600)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.set_image("3")
    story.until(lambda: story.selectors[1] == "3" and story.phase == "Paused")
    story.forget()

    story.controller.edit(
        REPLICA_SET, story.replica_sets["2"]["metadata"]["name"], {"metadata": {"annotations": {names.DESIRED_REPLICAS: "9"}}}
    )
    story.advance(60)

    assert story.sizes["2"] == 3
    assert story.events == []
    assert story.controller.api.done == []


def test_49_a_cached_rollout_older_than_the_last_write_is_looked_at_again_in_a_moment_and_not_processed() -> None:
    story = told(weight(20), PAUSE_STEP)
    key = story.controller.caches.rollouts.keys()[0]
    story.controller.feed.held.add(ROLLOUT)
    story.controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    began = story.cluster.now
    written = story.controller.manifest(ROLLOUT, "web")["metadata"]["resourceVersion"]
    story.controller.caches.wrote(key, rollout_ref(key), written)
    story.controller.queue.add(key)

    story.controller.step()
    again = story.controller.wakes_at()
    story.advance(30)
    meanwhile = (list(story.controller.api.done), list(story.replica_sets))
    story.controller.feed.held.clear()
    story.rest()

    assert again is not None
    assert timedelta(0) < again - began <= timedelta(seconds=0.11)
    assert meanwhile == ([], ["1"])
    assert story.phase == "Paused"


def test_49_a_replica_set_that_the_cache_does_not_show_yet_is_not_made_twice() -> None:
    story = told(weight(20), PAUSE_STEP)
    story.controller.feed.held.add(REPLICA_SET)
    story.set_image("2")
    story.advance(60)
    created = [(verb, plural) for verb, plural, _ in story.controller.api.done if plural == "replicasets"]

    story.controller.feed.held.clear()
    story.rest()

    assert created.count(("create", "replicasets")) == 1
    assert story.phase == "Paused"
