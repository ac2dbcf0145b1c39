"""When does a Service select every version again? (Traffic-routing reference 2.7, 8.1)"""

from typing import Any

import msgspec
import pytest

from inprocess import service_manifest, virtual_service_manifest
from scenarios import CANARY_SERVICE, DESTINATION_RULE, PAUSE_STEP, ROLLOUT, SERVICE, STABLE_SERVICE, VIRTUAL_SERVICE, Story, told, weight
from tiphys.api import names
from tiphys.devcluster.kinds import REPLICA_SETS
from tiphys.kube.errors import ForbiddenError, KubeError, UnreachableError

STEPS = (weight(20), PAUSE_STEP)


def ours(story: Story, service: str) -> tuple[str, str]:
    """Which hash a Service selects, and whose it says it is."""
    found = story.controller.manifest(SERVICE, service)
    annotations = found["metadata"].get("annotations") or {}
    return found["spec"]["selector"].get(names.HASH_LABEL, ""), annotations.get(names.MANAGED_BY, "")


def delete_rollout(story: Story, **options: Any) -> None:  # noqa: ANN401 - as the store takes them
    story.controller.api.witness = None  # it judges writes by the Rollout
    resource = next(each for each in story.cluster.store.registry if each.kind == "Rollout")
    story.cluster.store.delete(resource, "web", namespace="default", **options)


def rename_canary(story: Story, name: str) -> None:
    """Let the Rollout name another canary Service, and the route too."""
    story.controller.create(service_manifest(name))
    virtual_service = virtual_service_manifest()
    virtual_service["spec"]["http"][0]["route"][1]["destination"]["host"] = name
    virtual_service["spec"]["http"][0]["route"][0]["weight"], virtual_service["spec"]["http"][0]["route"][1]["weight"] = story.weights
    story.controller.edit(VIRTUAL_SERVICE, "web", {"spec": virtual_service["spec"]})
    story.edit_canary(canaryService=name)


def writes(story: Story) -> list[str]:
    return [body for _, kind, body in story.controller.api.done if kind == "services"]


def test_a_deleted_rollout_leaves_its_services_as_the_user_wrote_them() -> None:
    story = told(*STEPS)
    before = {name: ours(story, name) for name in (STABLE_SERVICE, CANARY_SERVICE)}

    delete_rollout(story)
    story.cluster.advance(300)

    assert all(selected and manager == "web" for selected, manager in before.values())
    assert {name: ours(story, name) for name in before} == {STABLE_SERVICE: ("", ""), CANARY_SERVICE: ("", "")}
    wanted = {"metadata": {"annotations": {names.MANAGED_BY: None}}, "spec": {"selector": {names.HASH_LABEL: None}}}
    assert [msgspec.json.decode(body) for body in writes(story)] == [wanted, wanted]


def test_as_long_as_pods_of_two_versions_are_left_behind_services_stay_as_they_are() -> None:
    story = told(*STEPS)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    selected = {name: ours(story, name)[0] for name in (STABLE_SERVICE, CANARY_SERVICE)}
    left_over = story.replica_sets["2"]["metadata"]["name"]

    delete_rollout(story, propagation="Orphan")
    story.cluster.advance(300)
    waiting = {name: ours(story, name)[0] for name in (STABLE_SERVICE, CANARY_SERVICE)}
    story.cluster.store.delete(REPLICA_SETS, left_over, namespace="default")
    story.cluster.advance(300)

    assert waiting == selected
    assert {name: ours(story, name) for name in selected} == {STABLE_SERVICE: ("", ""), CANARY_SERVICE: ("", "")}


@pytest.mark.parametrize("error", [UnreachableError("the server", "no route"), ForbiddenError(403, "Forbidden", "rollouts is forbidden")])
def test_an_error_is_no_proof(error: KubeError) -> None:
    story = told(*STEPS)
    api = story.controller.api
    refused: list[str] = []
    plain = api.get

    async def get(resource: Any, name: str, **options: Any) -> Any:  # noqa: ANN401 - as the one that it stands before
        if resource.kind == "Rollout" and len(refused) < 5:
            refused.append(name)
            raise error
        return await plain(resource, name, **options)

    api.get = get  # type: ignore[method-assign]
    delete_rollout(story)
    story.until(lambda: bool(refused))
    kept = ours(story, STABLE_SERVICE)
    story.cluster.advance(600)

    assert kept[1] == "web"
    assert len(refused) == 5
    assert ours(story, STABLE_SERVICE) == ("", "")


def test_a_service_that_the_spec_does_not_name_any_more_is_let_go_of_after_the_rollout() -> None:
    story = told(*STEPS)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    rename_canary(story, "web-next")
    story.advance(120)
    meanwhile = ours(story, CANARY_SERVICE)
    story.promote()
    story.rest()

    assert meanwhile[1] == "web", "all versions' pods would have answered under the old name"
    assert story.stable == "2"
    assert ours(story, CANARY_SERVICE) == ("", "")
    assert ours(story, "web-next")[1] == "web"


def test_a_service_without_our_annotation_is_left_alone() -> None:
    story = told(*STEPS)
    foreign = service_manifest("foreign")
    foreign["spec"]["selector"][names.HASH_LABEL] = "abc"
    story.controller.create(foreign)

    delete_rollout(story)
    story.cluster.advance(300)

    assert ours(story, "foreign") == ("abc", "")


def test_a_service_that_says_it_belongs_to_a_rollout_of_another_controller_is_left_alone() -> None:
    """Our cache shows only Rollouts with our instance id; the server shows all."""
    story = told(*STEPS)
    other = {**story.controller.manifest(ROLLOUT, "web"), "metadata": {"name": "other", "namespace": "default"}}
    story.controller.feed.held.add(("argoproj.io", "Rollout"))
    story.controller.create({key: value for key, value in other.items() if key != "status"})
    taken = service_manifest("taken")
    taken["metadata"]["annotations"] = {names.MANAGED_BY: "other"}
    taken["spec"]["selector"][names.HASH_LABEL] = "abc"
    story.controller.create(taken)
    story.cluster.advance(60)

    assert ours(story, "taken") == ("abc", "other")
    assert "get Rollout default/other: see that the Rollout does not need Service taken any more" in map(str, story.controller.requests)


def test_a_write_in_between_makes_the_release_look_again() -> None:
    story = told(*STEPS)
    delete_rollout(story)
    story.controller.feed.held.add(("", "Service"))
    story.controller.edit(SERVICE, STABLE_SERVICE, {"metadata": {"labels": {"team": "shop"}}})
    story.cluster.advance(30)
    story.controller.feed.held.clear()
    story.cluster.advance(300)

    assert ours(story, STABLE_SERVICE) == ("", "")
    assert story.controller.manifest(SERVICE, STABLE_SERVICE)["metadata"]["labels"] == {"team": "shop"}


def test_a_controller_that_was_away_while_the_rollout_went_lets_go_too() -> None:
    story = told(*STEPS)
    delete_rollout(story)
    story.controller.restart()
    story.controller.caches.demand(SERVICE)  # as some Rollout in the cluster does
    story.cluster.advance(300)

    assert ours(story, STABLE_SERVICE) == ("", "")


def hashes(story: Story, name: str = "web") -> dict[str, str]:
    """Which hash each subset of a DestinationRule looks at, and, as `by`, whose it says it is."""
    rule = story.controller.manifest(DESTINATION_RULE, name)
    found = {subset["name"]: subset["labels"].get(names.HASH_LABEL, "") for subset in rule["spec"]["subsets"]}
    return {**found, "by": rule["metadata"].get("annotations", {}).get(names.MANAGED_BY, "")}


RELEASED = {"stable": "", "canary": "", "by": ""}


def test_a_deleted_rollout_leaves_its_destination_rule_as_the_user_wrote_it() -> None:
    story = told(*STEPS, routing="subsets")
    before = hashes(story)

    delete_rollout(story)
    story.cluster.advance(300)

    assert all(before.values())
    assert hashes(story) == RELEASED
    rule = story.controller.manifest(DESTINATION_RULE, "web")
    assert [subset["labels"] for subset in rule["spec"]["subsets"]] == [{"app": "web"}, {"app": "web"}]


def test_subsets_keep_their_versions_as_long_as_pods_of_two_are_left_behind() -> None:
    story = told(*STEPS, routing="subsets")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    before, left_over = hashes(story), story.replica_sets["2"]["metadata"]["name"]

    delete_rollout(story, propagation="Orphan")
    story.cluster.advance(300)
    waiting = hashes(story)
    story.cluster.store.delete(REPLICA_SETS, left_over, namespace="default")
    story.cluster.advance(300)

    assert waiting == before
    assert hashes(story) == RELEASED


def test_no_error_lets_go_of_a_destination_rule() -> None:
    story = told(*STEPS, routing="subsets")
    before = hashes(story)
    api = story.controller.api
    plain, refused = api.get, []

    async def get(resource: Any, name: str, **options: Any) -> Any:  # noqa: ANN401 - as the one that it stands before
        if resource.kind == "Rollout":
            refused.append(name)
            raise ForbiddenError(403, "Forbidden", "rollouts is forbidden")
        return await plain(resource, name, **options)

    api.get = get  # type: ignore[method-assign]
    delete_rollout(story)
    story.cluster.advance(100)

    assert refused
    assert hashes(story) == before


def test_a_destination_rule_that_the_spec_does_not_name_any_more_is_let_go_of() -> None:
    story = told(*STEPS, routing="subsets")
    rule = story.controller.manifest(DESTINATION_RULE, "web")
    bare = [{"name": subset["name"], "labels": {"app": "web"}} for subset in rule["spec"]["subsets"]]
    story.controller.create({**rule, "metadata": {"name": "next", "namespace": "default"}, "spec": {"host": "web", "subsets": bare}})
    named = {"istio": {"destinationRule": {"name": "next", "stableSubsetName": "stable", "canarySubsetName": "canary"}}}

    story.edit_canary(trafficRouting=named)
    story.cluster.advance(300)

    assert hashes(story, "next")["by"] == "web"
    assert hashes(story) == RELEASED


def test_subsets_of_another_rollout_in_the_same_destination_rule_keep_their_hash() -> None:
    story = told(*STEPS, routing="subsets")
    rule = story.controller.manifest(DESTINATION_RULE, "web")
    theirs = story.controller.manifest(ROLLOUT, "web")
    other = {key: value for key, value in theirs.items() if key != "status"}
    other = {**other, "metadata": {"name": "other", "namespace": "default"}}
    labels = {"app": "other"}
    pods = {**other["spec"]["template"], "metadata": {"labels": labels}}
    other["spec"] = {**other["spec"], "selector": {"matchLabels": labels}, "template": pods, "strategy": {"canary": {}}}
    story.controller.create(other)
    story.cluster.advance(60)
    (pod_hash,) = {each["metadata"]["labels"][names.HASH_LABEL] for each in story.onlooker.replica_sets()} - {story.hash_of("1")}
    subsets = [*rule["spec"]["subsets"], {"name": "other", "labels": {**labels, names.HASH_LABEL: pod_hash}}]
    story.controller.edit(DESTINATION_RULE, "web", {"spec": {"subsets": subsets}})

    delete_rollout(story)
    story.cluster.advance(300)

    assert hashes(story) == {**RELEASED, "other": pod_hash}
