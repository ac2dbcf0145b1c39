"""What happens when something is wrong: with a spec, with an object, with the process, or with us?"""

from typing import Any

import pytest
import structlog

from inprocess import (
    InProcessController,
    pod_template,
    rollout_manifest,
    service_manifest,
    virtual_service_manifest,
    world,
)
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.status import Condition
from tiphys.controller.cluster import Kind
from tiphys.core.actions import Action, Plan, RouteTraffic
from tiphys.core.decide import decide
from tiphys.core.observed import Observed
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.kube.errors import InvalidError, KubeError

ROLLOUT: Kind = ("argoproj.io", "Rollout")
REPLICA_SET: Kind = ("apps", "ReplicaSet")
VIRTUAL_SERVICE: Kind = ("networking.istio.io", "VirtualService")
SERVICE: Kind = ("", "Service")

WEIGHT_20 = {"setWeight": 20}
PAUSE: Manifest = {"pause": {}}
OTHER = "registry.example/web:2"


def release(controller: InProcessController, name: str = "web") -> None:
    controller.edit(ROLLOUT, name, {"spec": {"template": pod_template(OTHER)}})


def condition(controller: InProcessController, kind: str, name: str = "web") -> Condition | None:
    return next((each for each in controller.rollout(name).status.conditions if each.type == kind), None)


def without_schemas() -> list[Manifest]:
    """Definitions as an old cluster may have them: anything may be stored."""
    free = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definitions = crd_manifests()
    for definition in definitions:
        definition["spec"]["versions"] = [{**version, "schema": free} for version in definition["spec"]["versions"]]
    return [*foreign_definitions("networking.istio.io"), *definitions]


# Errors of our own


def poisoned(seen: Observed) -> Plan:
    if seen.rollout.metadata.name == "poisoned":
        raise ZeroDivisionError("a bug of ours")
    return decide(seen)


def test_a_decision_that_raises_is_told_traced_once_and_backed_off_while_other_rollouts_go_on() -> None:
    with structlog.testing.capture_logs() as logs:
        controller = world(istio=False, settled=False, decide=poisoned)
        controller.create(rollout_manifest("poisoned", istio=False))
        controller.cluster.advance(60)

    traces = [line for line in logs if "exc_info" in line]
    assert controller.rollout("web").status.phase == "Healthy"
    assert controller.rollout("poisoned").status.conditions == ()
    assert [line["rollout"] for line in traces] == ["poisoned"]
    assert (
        controller.told.events.count(
            ("Warning", "ReconciliationError", "Reconciliation failed with error: ZeroDivisionError: a bug of ours")
        )
        == 1
    )
    assert controller.telemetry.registry.get_sample_value(
        "tiphys_decision_failed_total", {"namespace": "default", "name": "poisoned"}
    ) == pytest.approx(controller.queue.failures(controller.caches.rollouts.keys()[1]))
    assert controller.queue.failures(controller.caches.rollouts.keys()[1]) < 25


def test_what_the_gate_refuses_is_not_done_and_ends_the_pass() -> None:
    closed = [True]

    def gate(_seen: Observed, _plan: Plan, action: Action) -> str | None:
        return "S1: nobody there" if closed and isinstance(action, RouteTraffic) else None

    controller = world(WEIGHT_20, PAUSE, gate=gate)
    before = controller.manifest(VIRTUAL_SERVICE, "web")
    release(controller)
    controller.cluster.advance(60)
    during = controller.manifest(VIRTUAL_SERVICE, "web")
    status = controller.rollout().status
    closed.clear()
    controller.cluster.advance(60)

    assert during == before
    assert status.current_step_index == 0
    assert [event for event in controller.told.events if event[1] == "UnsafeActionRefused"] == [
        ("Warning", "UnsafeActionRefused", "route 20 of 100 to the canary (at step 0) was refused: S1: nobody there")
    ]
    refused = controller.telemetry.registry.get_sample_value(
        "tiphys_unsafe_action_refused_total", {"namespace": "default", "name": "web", "rule": "S1"}
    )
    assert refused is not None
    assert refused > 1
    assert controller.rollout().status.phase == "Paused"


# Errors of users


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("minReadySeconds", "five", "spec.minReadySeconds"),
        ("strategy", {"canary": {"steps": [{"setWeight": "20"}]}}, "setWeight"),
        ("strategy", "canary", "spec.strategy"),
    ],
)
def test_a_rollout_that_does_not_decode_says_which_field_and_nothing_else_happens(field: str, value: object, named: str) -> None:
    controller = world(istio=False, settled=False, definitions=without_schemas())
    broken = rollout_manifest("broken", istio=False)
    broken["spec"][field] = value
    controller.create(broken)
    controller.cluster.advance(60)

    status: dict[str, Any] = controller.manifest(ROLLOUT, "broken")["status"]
    invalid = [each for each in status["conditions"] if each["type"] == "InvalidSpec"]
    assert named in invalid[0]["message"]
    assert status["phase"] == "Degraded"
    assert controller.told.events.count(("Warning", "InvalidSpec", invalid[0]["message"])) == 1
    assert {(request.verb, request.kind) for request in controller.requests if request.name == "broken"} == {
        ("get", "Rollout"),
        ("patch", "Rollout"),
    }
    assert controller.rollout("web").status.phase == "Healthy"


def test_a_rollout_that_does_not_decode_is_not_held_when_it_is_deleted() -> None:
    controller = world(istio=False, settled=False, definitions=without_schemas())
    broken = rollout_manifest("broken", istio=False)
    broken["metadata"] |= {"annotations": {names.ON_DELETE: names.RESET_TRAFFIC}, "finalizers": ["team.example/other", names.ON_DELETE]}
    broken["spec"]["minReadySeconds"] = "five"
    controller.create(broken)
    controller.cluster.advance(60)

    controller.delete(ROLLOUT, "broken")
    controller.cluster.advance(60)

    assert controller.manifest(ROLLOUT, "broken")["metadata"]["finalizers"] == ["team.example/other"]


def test_a_rollout_that_is_mended_goes_on() -> None:
    controller = world(istio=False, settled=False, definitions=without_schemas())
    broken = rollout_manifest("broken", istio=False)
    broken["spec"]["minReadySeconds"] = "five"
    controller.create(broken)
    controller.cluster.advance(60)

    controller.edit(ROLLOUT, "broken", {"spec": {"minReadySeconds": 1}})
    controller.cluster.advance(60)

    assert controller.rollout("broken").status.phase == "Healthy"
    assert condition(controller, "InvalidSpec", "broken") is None


def test_a_missing_service_is_named_until_it_is_there() -> None:
    controller = world(WEIGHT_20, settled=False)
    controller.create(rollout_manifest("lonely"))
    controller.create(virtual_service_manifest("lonely"))
    controller.create(service_manifest("lonely-stable"))
    controller.cluster.advance(60)
    found = condition(controller, "InvalidSpec", "lonely")
    assert found is not None
    assert 'spec.strategy.canary.canaryService: Invalid value: "lonely-canary"' in found.message
    assert [request.verb for request in controller.requests if request.name.startswith("lonely")] == ["patch"]

    controller.create(service_manifest("lonely-canary"))
    controller.cluster.advance(60)

    assert controller.rollout("lonely").status.phase == "Healthy"
    assert controller.rollout("web").status.phase == "Healthy"


def test_a_missing_virtual_service_is_named_until_it_is_there() -> None:
    controller = world(WEIGHT_20, settled=False)
    controller.create(rollout_manifest("lonely"))
    controller.create(service_manifest("lonely-stable"))
    controller.create(service_manifest("lonely-canary"))
    controller.cluster.advance(60)
    found = condition(controller, "InvalidSpec", "lonely")
    assert found is not None
    assert "lonely" in found.message
    assert "irtualService" in found.message

    controller.create(virtual_service_manifest("lonely"))
    controller.cluster.advance(60)

    assert controller.rollout("lonely").status.phase == "Healthy"


def test_a_router_whose_kind_is_not_served_is_no_reason_to_hang() -> None:
    controller = world(istio=False, settled=False, definitions=crd_manifests())
    controller.create(rollout_manifest("mesh", WEIGHT_20))
    controller.create(service_manifest("mesh-stable"))
    controller.create(service_manifest("mesh-canary"))
    controller.cluster.advance(60)

    assert condition(controller, "InvalidSpec", "mesh") is not None
    assert controller.rollout("web").status.phase == "Healthy"


def test_an_edit_that_is_refused_by_the_router_object_is_told_and_tried_again() -> None:
    controller = world(WEIGHT_20, PAUSE)

    def refuse(_verb: str, plural: str) -> KubeError | None:
        return InvalidError(422, "Invalid", "admission says no") if plural == "virtualservices" else None

    controller.api.refuse = refuse
    release(controller)
    controller.cluster.advance(60)
    assert [event for event in controller.told.events if event[1] == "TrafficRoutingError"] == [
        ("Warning", "TrafficRoutingError", "admission says no")
    ]
    assert controller.rollout().status.current_step_index == 0

    controller.api.refuse = lambda _verb, _plural: None
    controller.cluster.advance(60)

    assert controller.rollout().status.phase == "Paused"


def test_a_route_that_can_never_be_written_ends_in_the_progress_deadline_and_not_in_silence() -> None:
    controller = world(WEIGHT_20, PAUSE)
    controller.edit(ROLLOUT, "web", {"spec": {"progressDeadlineSeconds": 120}})

    def refuse(_verb: str, plural: str) -> KubeError | None:
        return InvalidError(422, "Invalid", "admission says no") if plural == "virtualservices" else None

    controller.api.refuse = refuse
    release(controller)
    controller.cluster.advance(300)

    progressing = condition(controller, "Progressing")
    assert progressing is not None
    assert progressing.reason == "ProgressDeadlineExceeded"
    assert controller.rollout().status.phase == "Degraded"
    assert controller.rollout().status.current_step_index == 0
    assert controller.told.reasons.count("TrafficRoutingError") == 1


# Ownership


def orphaned(controller: InProcessController) -> str:
    """Take the owner off the Rollout's ReplicaSet, as `kubectl delete --cascade=orphan` does, and give its name."""
    name = f"web-{controller.rollout().status.stable_rs}"
    controller.edit(REPLICA_SET, name, {"metadata": {"ownerReferences": None}})
    return name


def test_a_replica_set_without_owner_is_adopted_and_no_pod_restarts() -> None:
    controller = world(istio=False)
    pods = {pod["metadata"]["name"] for pod in controller.cluster.pods()}
    name = orphaned(controller)

    controller.cluster.advance(60)

    owners = controller.manifest(REPLICA_SET, name)["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [controller.rollout().metadata.uid]
    assert {pod["metadata"]["name"] for pod in controller.cluster.pods()} == pods
    assert [request.verb for request in controller.requests][:2] == ["get", "patch"]
    assert [request.kind for request in controller.requests].count("ReplicaSet") == 1


def test_a_replica_set_without_hash_label_is_none_of_our_business() -> None:
    controller = world(istio=False)
    labels = {"app": "web", "hand": "made"}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": {**pod_template(), "metadata": {"labels": labels}}}
    controller.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "mine", "namespace": "default", "labels": labels},
            "spec": spec,
        }
    )
    controller.cluster.advance(60)

    assert "ownerReferences" not in controller.manifest(REPLICA_SET, "mine")["metadata"]
    assert controller.requests == []


def test_a_replica_set_that_no_longer_matches_is_released() -> None:
    controller = world(istio=False)
    name = f"web-{controller.rollout().status.stable_rs}"

    controller.edit(REPLICA_SET, name, {"metadata": {"labels": {"app": "other"}}})
    controller.cluster.advance(5)

    assert not controller.manifest(REPLICA_SET, name)["metadata"].get("ownerReferences")


# The process dies


def shape(controller: InProcessController) -> dict[str, Any]:
    """Say how a cluster came to rest, without times and versions."""
    status = controller.rollout().status
    virtual_service = controller.manifest(VIRTUAL_SERVICE, "web")
    selectors = {
        name: controller.manifest(SERVICE, name)["spec"]["selector"].get(names.HASH_LABEL) for name in ("web-stable", "web-canary")
    }
    sizes = {found.metadata.name: found.spec.replicas for found in controller.caches.owned(controller.rollout().metadata.uid)}
    return {
        "phase": status.phase,
        "step": status.current_step_index,
        "stable": status.stable_rs,
        "weights": [destination["weight"] for destination in virtual_service["spec"]["http"][0]["route"]],
        "selectors": selectors,
        "sizes": sizes,
    }


STEPS: tuple[Manifest, ...] = (WEIGHT_20, {"pause": {"duration": 10}}, {"setWeight": 60})


def rolled_out(deaths: set[int]) -> InProcessController:
    controller = world(*STEPS)
    controller.api.deaths = {controller.api.writes + death for death in deaths}
    release(controller)
    controller.cluster.advance(300)
    return controller


def test_a_process_that_dies_after_any_write_changes_nothing_about_the_end() -> None:
    whole = rolled_out(set())
    writes = len(whole.requests)

    ends = [rolled_out({death}) for death in range(1, writes + 1)]

    assert shape(whole)["phase"] == "Healthy"
    assert writes > 10
    assert [end.deaths for end in ends] == [1] * writes
    assert [shape(end) for end in ends] == [shape(whole)] * writes


def test_a_process_that_dies_after_every_write_still_arrives() -> None:
    dying = rolled_out(set(range(1, 100)))

    assert dying.deaths > 10
    assert shape(dying) == shape(rolled_out(set()))
