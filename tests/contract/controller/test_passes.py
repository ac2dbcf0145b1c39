"""What does a pass promise, whatever the decision is?"""

import pytest

from inprocess import InProcessController, pod_template, world
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind, replica_set_ref
from tiphys.core.actions import Plan, RouteTraffic
from tiphys.core.decide import decide
from tiphys.core.observed import Observed
from tiphys.devcluster.kinds import PODS
from tiphys.kube.errors import (
    ConflictError,
    CredentialError,
    ForbiddenError,
    KubeError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)

ROLLOUT: Kind = ("argoproj.io", "Rollout")
REPLICA_SET: Kind = ("apps", "ReplicaSet")
VIRTUAL_SERVICE: Kind = ("networking.istio.io", "VirtualService")
SERVICE: Kind = ("", "Service")

WEIGHT_20 = {"setWeight": 20}
PAUSE: Manifest = {"pause": {}}


def release(controller: InProcessController, image: str = "registry.example/web:2") -> None:
    controller.edit(ROLLOUT, "web", {"spec": {"template": pod_template(image)}})


def canary_name(controller: InProcessController) -> str:
    return f"web-{controller.rollout().status.current_pod_hash}"


def test_a_pass_that_changes_nothing_makes_no_request() -> None:
    controller = world(WEIGHT_20, PAUSE)
    release(controller)
    controller.cluster.advance(60)
    controller.requests.clear()
    before = controller.passes

    controller.cluster.advance(4000)
    controller.queue.add(controller.caches.rollouts.keys()[0])
    controller.cluster.rest()

    assert controller.rollout().status.phase == "Paused"
    assert controller.passes > before
    assert controller.requests == []


def test_a_new_process_makes_no_request_where_nothing_changed() -> None:
    controller = world(WEIGHT_20, PAUSE)
    release(controller)
    controller.cluster.advance(60)
    controller.requests.clear()

    controller.restart()
    controller.cluster.advance(60)

    assert controller.requests == []


@pytest.mark.parametrize("kind", [REPLICA_SET, VIRTUAL_SERVICE, SERVICE])
def test_a_new_process_does_nothing_before_it_has_read_all_that_a_rollout_needs(kind: Kind) -> None:
    controller = world(WEIGHT_20, PAUSE)
    release(controller)
    controller.cluster.advance(60)
    controller.requests.clear()

    controller.restart(held=[kind])
    controller.cluster.advance(20)
    asked = list(controller.requests)
    controller.feed.held.clear()
    release(controller, "registry.example/web:3")
    controller.cluster.advance(60)

    assert asked == []
    assert controller.rollout().status.phase == "Paused"
    assert controller.manifest(ROLLOUT, "web")["metadata"]["annotations"][names.REVISION] == "3"


def test_every_request_says_which_transition_it_serves_and_none_is_made_twice() -> None:
    controller = world(WEIGHT_20, PAUSE, {"setWeight": 60}, {"pause": {"duration": 0}}, replicas=5)
    release(controller)
    controller.cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"status": {"pauseConditions": None}}, subresource="status")
    controller.cluster.advance(120)

    asked = [str(request) for request in controller.requests]
    assert controller.rollout().status.phase == "Healthy"
    assert all(request.purpose for request in controller.requests)
    assert "patch VirtualService default/web: route 20 of 100 to the canary" in asked
    assert len(asked) <= 40


@pytest.mark.parametrize("kind", [REPLICA_SET, VIRTUAL_SERVICE, SERVICE, ROLLOUT])
def test_a_stale_cache_never_causes_a_second_write(kind: Kind) -> None:
    fast = world(WEIGHT_20, PAUSE)
    release(fast)
    fast.cluster.advance(60)
    controller = world(WEIGHT_20, PAUSE)
    controller.feed.held.add(kind)

    release(controller)
    for _ in range(40):
        controller.cluster.advance(5)
        controller.feed.held.discard(kind)
        controller.feed.pump()
        controller.feed.held.add(kind)

    assert controller.rollout().status.phase == "Paused"
    assert written(controller) == written(fast)


def written(controller: InProcessController) -> list[tuple[str, str, str]]:
    """What was written to other objects than Rollouts, as their order of events is not the same with slow caches."""
    return sorted(each for each in controller.api.done if each[1] != "rollouts")


def test_a_pass_waits_until_the_caches_have_seen_what_it_wrote() -> None:
    decided: list[Observed] = []

    def noted(seen: Observed) -> Plan:
        decided.append(seen)
        return decide(seen)

    controller = world(WEIGHT_20, PAUSE, decide=noted)
    key = controller.caches.rollouts.keys()[0]
    future = str(controller.cluster.store.version + 1000)
    controller.caches.wrote(key, replica_set_ref("default", canary_name(controller)), future)
    before = len(decided)

    controller.queue.add(key)
    controller.cluster.advance(1)
    waiting = len(decided) - before
    controller.caches.store(REPLICA_SET).reached(future)
    controller.cluster.advance(1)

    assert waiting == 0
    assert len(decided) == before + 1


def test_a_replica_set_is_made_from_the_template_and_owned() -> None:
    controller = world(istio=False, settled=False)
    controller.edit(ROLLOUT, "web", {"spec": {"minReadySeconds": 3}})
    controller.cluster.advance(60)

    made = controller.manifest(REPLICA_SET, canary_name(controller))

    pod_hash = controller.rollout().status.current_pod_hash
    labels = {"app": "web", names.HASH_LABEL: pod_hash}
    owner = made["metadata"]["ownerReferences"]
    assert made["metadata"]["labels"] == labels
    assert made["spec"]["selector"] == {"matchLabels": labels}
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["spec"]["minReadySeconds"] == 3
    assert made["metadata"]["annotations"][names.TEMPLATE_DIGEST]
    assert owner == [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "name": "web",
            "uid": controller.rollout().metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_a_foreign_edit_between_look_and_write_is_not_lost() -> None:
    controller = world(WEIGHT_20, PAUSE)
    edited: list[bool] = []

    def meddling(seen: Observed) -> Plan:
        plan = decide(seen)
        if not edited and any(isinstance(action, RouteTraffic) for action in plan.actions):
            edited.append(True)
            virtual_service = controller.manifest(VIRTUAL_SERVICE, "web")
            http = [{**route, "timeout": "7s"} for route in virtual_service["spec"]["http"]]
            controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": http}})
        return plan

    controller.decide = meddling
    release(controller)
    controller.cluster.advance(10)

    route = controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"][0]
    assert edited
    assert route["timeout"] == "7s"
    assert [destination["weight"] for destination in route["route"]] == [80, 20]


def test_a_storm_of_conflicts_costs_no_more_than_the_back_off_allows() -> None:
    controller = world(WEIGHT_20, PAUSE)
    refuse(controller, ConflictError(409, "Conflict", "the object has been modified"))
    release(controller)
    before = controller.api.writes

    controller.cluster.advance(60)
    in_storm = controller.api.writes - before
    allow(controller)
    controller.cluster.advance(60)

    # Three at once, then 1 ms doubling to 10 s: 14 tries in the first 10 s, then one every 10 s.
    assert in_storm <= 3 + 14 + 6
    assert controller.rollout().status.phase == "Paused"


def test_throttling_is_obeyed() -> None:
    controller = world(WEIGHT_20, PAUSE)
    refuse(controller, ThrottledError(429, "TooManyRequests", "slow down", retry_after=20.0))
    release(controller)
    before = controller.api.writes

    controller.cluster.advance(59)
    in_storm = controller.api.writes - before
    allow(controller)
    controller.cluster.advance(60)

    assert in_storm == 3
    assert controller.rollout().status.phase == "Paused"


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("http://127.0.0.1:1", "connection refused"),
        UnauthorizedError(401, "Unauthorized", "the token has expired"),
        CredentialError("the exec plugin failed"),
    ],
)
def test_an_api_server_that_is_away_or_does_not_know_us_degrades_nothing(error: KubeError) -> None:
    controller = world(WEIGHT_20, PAUSE)
    refuse(controller, error)
    release(controller)
    controller.cluster.advance(60)
    allow(controller)

    controller.cluster.advance(60)

    assert controller.rollout().status.phase == "Paused"
    assert not [event for event in controller.told.events if event[0] == "Warning"]


def test_a_taken_name_raises_the_collision_count_and_the_template_gets_another_hash() -> None:
    controller = world(istio=False)
    stable = controller.manifest(REPLICA_SET, canary_name(controller))
    probe = world(istio=False)
    release(probe)
    probe.cluster.advance(60)
    taken = canary_name(probe)
    metadata = {"name": taken, "namespace": "default", "labels": {"app": "other"}}
    labels = {"matchLabels": {"app": "other"}}
    template = {**stable["spec"]["template"], "metadata": {"labels": {"app": "other"}}}
    controller.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": metadata,
            "spec": {"replicas": 0, "selector": labels, "template": template},
        }
    )

    release(controller)
    controller.cluster.advance(120)

    status = controller.rollout().status
    assert status.collision_count == 1
    assert status.phase == "Healthy"
    assert canary_name(controller) != taken
    assert controller.manifest(REPLICA_SET, taken)["spec"]["replicas"] == 0


def test_a_replica_set_that_cannot_be_created_is_a_condition_and_an_event_once() -> None:
    controller = world(istio=False)
    refuse(controller, ForbiddenError(403, "Forbidden", "exceeded quota: pods"), verb="create")
    release(controller)
    controller.cluster.advance(60)

    conditions = {condition.type: condition for condition in controller.rollout().status.conditions}
    assert (conditions["Progressing"].status, conditions["Progressing"].reason) == ("False", "ReplicaSetCreateError")
    assert "exceeded quota" in conditions["Progressing"].message
    assert controller.told.reasons.count("ReplicaSetCreateError") == 1
    allow(controller)
    controller.cluster.advance(60)
    assert controller.rollout().status.phase == "Healthy"
    assert controller.manifest(REPLICA_SET, canary_name(controller))["status"]["availableReplicas"] == 2


def test_a_name_taken_by_our_own_earlier_try_is_no_trouble() -> None:
    controller = world(WEIGHT_20, PAUSE, istio=False)
    controller.api.lost = {controller.api.writes + 2}
    controller.feed.held.add(REPLICA_SET)

    release(controller)
    controller.cluster.advance(5)
    controller.feed.held.clear()
    controller.cluster.advance(60)

    assert [request.verb for request in controller.requests].count("create") == 2
    assert controller.told.reasons.count("NewReplicaSetCreated") == 0
    assert controller.rollout().status.phase == "Paused"
    assert controller.rollout().status.collision_count is None


def refuse(controller: InProcessController, error: KubeError, *, verb: str = "") -> None:
    controller.api.refuse = lambda asked, _plural: error if verb in {"", asked} else None


def allow(controller: InProcessController) -> None:
    controller.api.refuse = lambda _verb, _plural: None


def test_a_router_that_is_not_supported_is_refused_and_nothing_of_the_rollout_is_touched() -> None:
    controller = world(WEIGHT_20, PAUSE)
    nginx: Manifest = {"trafficRouting": {"istio": None, "nginx": {"stableIngress": "web"}}}
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": nginx}}})
    release(controller)
    controller.cluster.rest()

    status = controller.rollout().status
    assert status.phase == "Degraded"
    assert "spec.strategy.canary.trafficRouting.nginx" in status.message
    assert status.stable_rs == status.current_pod_hash


def test_going_back_by_a_replica_sets_own_template_uses_that_replica_set_again() -> None:
    controller = world(WEIGHT_20, PAUSE)
    (first,) = controller.caches.replica_sets.values()
    release(controller)
    controller.cluster.rest()
    stored = controller.manifest(REPLICA_SET, first.metadata.name)["spec"]["template"]
    del stored["metadata"]["labels"][names.HASH_LABEL]
    defaulted: Manifest = {
        "metadata": stored["metadata"],
        "spec": {**stored["spec"], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst"},
    }

    controller.edit(ROLLOUT, "web", {"spec": {"template": defaulted}})
    controller.cluster.rest()

    status = controller.rollout().status
    assert len(controller.caches.replica_sets.values()) == 2
    assert status.current_pod_hash == status.stable_rs == names.pod_hash(first.metadata.labels)


def test_a_restart_replaces_every_pod_a_few_at_a_time() -> None:
    controller = world(WEIGHT_20, PAUSE)
    controller.cluster.advance(60)
    before = {pod.manifest["metadata"]["uid"] for pod in controller.cluster.store.scan(PODS)}
    asked = controller.cluster.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    controller.cluster.advance(2)
    controller.edit(ROLLOUT, "web", {"spec": {"restartAt": asked}})
    controller.cluster.advance(300)

    after = {pod.manifest["metadata"]["uid"] for pod in controller.cluster.store.scan(PODS)}
    rollout = controller.rollout()
    assert rollout.status.restarted_at == rollout.spec.restart_at
    assert rollout.status.phase == "Healthy"
    assert len(after) == len(before)
    assert not after & before
