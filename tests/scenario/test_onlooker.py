"""Does the onlooker of the scenarios see what goes wrong? Here somebody else writes with the controller's hands."""

import pytest

from inprocess import at_once, virtual_service_manifest
from scenarios import CANARY_SERVICE, PAUSE_STEP, Story, told, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.kube.resources import Resource

pytestmark = pytest.mark.one_life("writes of somebody else with the hands of the controller")

VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")
SERVICES = Resource("", "v1", "services", "Service")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")


def write(story: Story, resource: Resource, name: str, patch: Manifest) -> list[str]:
    """Write as a controller would that forgot its promises, and give what the onlooker says."""
    at_once(story.controller.api.patch(resource, name, patch, namespace="default", into=dict[str, object]))
    return story.onlooker.problems


def split(stable: int, canary: int) -> Manifest:
    http = virtual_service_manifest()["spec"]["http"]
    for destination, share in zip(http[0]["route"], (stable, canary), strict=True):
        destination["weight"] = share
    return {"spec": {"http": http}}


def paused_at_50() -> Story:
    story = told(weight(50), PAUSE_STEP)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.onlooker.problems == []
    return story


def test_it_sees_weights_that_do_not_add_up() -> None:
    assert "weights add up to 110" in write(paused_at_50(), VIRTUAL_SERVICES, "web", split(60, 50))[0]


def test_it_sees_weight_before_readiness() -> None:
    story = paused_at_50()
    story.bar("2")
    story.until_weight(0)

    assert "canary was given 50 and nobody answers there" in write(story, VIRTUAL_SERVICES, "web", split(50, 50))[0]


def test_it_sees_a_selector_that_changes_under_weight() -> None:
    story = paused_at_50()
    selector = {"spec": {"selector": {names.HASH_LABEL: story.hash_of("1")}}}

    assert "under weight 50" in write(story, SERVICES, CANARY_SERVICE, selector)[0]


def test_it_sees_pods_taken_from_under_weight() -> None:
    story = paused_at_50()
    name = story.replica_sets["2"]["metadata"]["name"]

    assert "shrank to 1 pods where weight 50 needs 3" in write(story, REPLICA_SETS, name, {"spec": {"replicas": 1}})[0]


def test_it_sees_availability_spent_without_a_router() -> None:
    story = told(weight(50), PAUSE_STEP, routing="none", maxSurge=1, maxUnavailable=0)
    name = story.replica_sets["1"]["metadata"]["name"]

    assert "3 of 5 available pods stay where 5 have to" in write(story, REPLICA_SETS, name, {"spec": {"replicas": 3}})[0]
    assert "9 pods where 6 are allowed" in write(story, REPLICA_SETS, name, {"spec": {"replicas": 9}})[-1]
