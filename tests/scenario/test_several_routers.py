"""Do several routers get one wish, all of them, and is it told once? (S7)"""

import pytest

from balancer import Balancer
from inprocess import InProcessController, rollout_manifest, service_manifest, virtual_service_manifest
from scenarios import CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, VIRTUAL_SERVICE, template, weight
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.kube.errors import ForbiddenError

TRAEFIK_SERVICE: Kind = ("traefik.io", "TraefikService")
HTTP_ROUTE: Kind = ("gateway.networking.k8s.io", "HTTPRoute")
STEPS: tuple[Manifest, ...] = (weight(20), {"pause": {"duration": 5}}, weight(60), {"pause": {}})
ROUTING: Manifest = {
    "istio": {"virtualService": {"name": "web"}},
    "traefik": {"weightedTraefikServiceName": "web"},
    "gatewayAPI": {"httpRoutes": [{"name": "web"}]},
}


def started(*steps: Manifest, product: Balancer | None = None) -> InProcessController:
    """Give a controller whose Rollout `web`, behind three routers, rests on its first version; *product* is asked about some of them."""
    groups = ("networking.istio.io", "traefik.io", "gateway.networking.k8s.io")
    definitions = [definition for group in groups for definition in foreign_definitions(group)]
    cluster = VirtualCluster(definitions=[*definitions, *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated, product=product)
    cluster.join(controller)
    if product is not None:
        product.join(cluster, says=lambda router: canary_weights(controller)[("istio", "traefik", "gatewayAPI").index(router)])
    members = [{"name": CANARY_SERVICE, "port": 80, "weight": 0}, {"name": STABLE_SERVICE, "port": 80, "weight": 100}]
    controller.create(
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"weighted": {"services": members}},
        }
    )
    controller.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"parentRefs": [{"name": "front"}], "rules": [{"backendRefs": members}]},
        }
    )
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), virtual_service_manifest()):
        controller.create(manifest)
    rollout = rollout_manifest(
        "web", *(steps or STEPS), istio=False, trafficRouting=ROUTING, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    controller.told.events.clear()
    controller.api.done.clear()
    return controller


def canary_weights(controller: InProcessController) -> tuple[int, int, int]:
    """What Istio, Traefik and the Gateway API give the canary."""
    http = controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"][-1]["route"]
    members = controller.manifest(TRAEFIK_SERVICE, "web")["spec"]["weighted"]["services"]
    backends = controller.manifest(HTTP_ROUTE, "web")["spec"]["rules"][-1]["backendRefs"]
    return http[1]["weight"], members[0]["weight"], backends[0]["weight"]


def weight_events(controller: InProcessController) -> list[str]:
    return [message for _, reason, message in controller.told.events if reason == "TrafficWeightUpdated"]


def verified(controller: InProcessController) -> bool | None:
    weights = controller.rollout().status.canary.weights
    assert weights is not None
    return weights.verified


def accept(controller: InProcessController, *, answer: str) -> None:
    """Let the gateway say that it has taken the HTTPRoute as it is now, or that it has not."""
    route = controller.manifest(HTTP_ROUTE, "web")["metadata"]["generation"]
    now = "2000-01-01T00:00:00Z"
    conditions = [
        {"type": kind, "status": answer, "reason": "Told", "message": "", "observedGeneration": route, "lastTransitionTime": now}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parents = [{"parentRef": {"name": "front"}, "controllerName": "example.dev/gateway", "conditions": conditions}]
    controller.edit(HTTP_ROUTE, "web", {"status": {"parents": parents}}, subresource="status")


def test_one_change_is_one_event_and_reaches_all() -> None:
    controller = started()

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(120)

    assert canary_weights(controller) == (60, 60, 60)
    assert len(weight_events(controller)) == 2, weight_events(controller)
    routes = [kind for _, kind, _ in controller.api.done if kind in {"virtualservices", "traefikservices", "httproutes"}]
    assert routes == ["virtualservices", "traefikservices", "httproutes"] * 2


@pytest.mark.parametrize("refused", ["virtualservices", "traefikservices", "httproutes"])
def test_one_that_fails_holds_back_the_step_and_no_other_router(refused: str) -> None:
    controller = started()
    barred = ForbiddenError(403, "Forbidden", f"{refused} are forbidden")
    controller.api.refuse = lambda _verb, plural: barred if plural == refused else None

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(120)
    while_barred = (sorted(canary_weights(controller)), controller.rollout().status.current_step_index, weight_events(controller))
    controller.api.refuse = lambda _verb, _plural: None
    controller.cluster.advance(600)

    assert while_barred == ([0, 20, 20], 0, [])
    assert any(refused in message for _, reason, message in controller.told.events if reason == "TrafficRoutingError")
    assert canary_weights(controller) == (60, 60, 60)
    assert len(weight_events(controller)) == 2, weight_events(controller)


def test_one_that_has_not_taken_it_yet_counts_for_all() -> None:
    controller = started(weight(20), weight(60), {"pause": {}})
    accept(controller, answer="True")

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    unheard = (canary_weights(controller), controller.rollout().status.current_step_index, verified(controller))
    accept(controller, answer="False")
    controller.cluster.advance(5)
    refused = (canary_weights(controller), verified(controller))
    accept(controller, answer="True")
    controller.cluster.advance(5)
    after = (canary_weights(controller), controller.rollout().status.current_step_index)
    accept(controller, answer="True")
    controller.cluster.advance(5)

    assert unheard == ((20, 20, 20), 0, False)
    assert refused == ((20, 20, 20), False)
    assert after == ((60, 60, 60), 1)
    assert verified(controller) is True


@pytest.mark.one_life("what one process was answered")
def test_the_slowest_of_several_that_are_asked_decides() -> None:
    balancer = Balancer(routers=("istio", "traefik"))
    controller = started(weight(20), {"pause": {}}, product=balancer)
    accept(controller, answer="True")
    balancer.does["traefik"] = 0
    balancer.answer = lambda router: {"canary": canary_weights(controller)[0] if router == "istio" else balancer.does["traefik"]}

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    accept(controller, answer="True")
    controller.cluster.advance(60)
    held = (canary_weights(controller), controller.rollout().status.current_step_index, verified(controller))
    balancer.does["traefik"] = 20
    controller.cluster.advance(20)

    assert held == ((20, 20, 20), 0, False)
    assert (controller.rollout().status.phase, verified(controller)) == ("Paused", True)


def test_a_deleted_rollout_resets_those_that_are_left() -> None:
    """What its owner wants put back (docs/gitops.md) does not hang on a router whose object is gone."""
    controller = started()
    controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.ON_DELETE: names.RESET_TRAFFIC}}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.settle(lambda: controller.rollout().status.current_step_index == 3)
    assert canary_weights(controller) == (60, 60, 60)

    controller.delete(TRAEFIK_SERVICE, "web")
    controller.delete(ROLLOUT, "web")
    controller.cluster.advance(30)
    reset = [kind for verb, kind, body in controller.api.done if verb == "patch" and '"weight":100' in body]
    still_there = names.ON_DELETE in controller.rollout().metadata.finalizers
    controller.cluster.advance(40)

    assert {"virtualservices", "httproutes"} <= set(reset)
    assert still_there
    (said,) = [message for _, reason, message in controller.told.events if reason == "NotPutBackOnDelete"]
    assert "TraefikService" in said
