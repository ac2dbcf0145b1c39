"""What becomes of the route objects of a router that the spec does not name any more? (Decision 0014)"""

from typing import Any

import pytest

from inprocess import InProcessController, rollout_manifest, service_manifest, virtual_service_manifest
from scenarios import BETA, CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, VIRTUAL_SERVICE, subsequence, template, weight
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

STEPS: tuple[Manifest, ...] = (weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
INGRESS: Kind = ("networking.k8s.io", "Ingress")
SPLIT: Kind = ("split.smi-spec.io", "TrafficSplit")
ISTIO: Manifest = {"istio": {"virtualService": {"name": "web"}}, "managedRoutes": [{"name": "beta"}]}
NGINX: Manifest = {"nginx": {"stableIngress": "shop"}, "managedRoutes": [{"name": "beta"}]}
SMI: Manifest = {"smi": {"rootService": "web"}}
MERGED_AWAY = {"istio": None, "nginx": None, "smi": None, "managedRoutes": None}


def ingress() -> Manifest:
    backend = {"service": {"name": STABLE_SERVICE, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": paths}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop", "namespace": "default"}, "spec": spec}


def paused_behind(routing: Manifest, *steps: Manifest) -> InProcessController:
    """Give a controller whose Rollout `web` waits in its pause, in a cluster that has everything for three routers."""
    groups = ("networking.istio.io", "split.smi-spec.io", "specs.smi-spec.io")
    definitions = [definition for group in groups for definition in foreign_definitions(group)]
    cluster = VirtualCluster(definitions=[*definitions, *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    services = [service_manifest(name) for name in ("web", STABLE_SERVICE, CANARY_SERVICE)]
    for manifest in (*services, ingress(), virtual_service_manifest()):
        controller.create(manifest)
    rollout = rollout_manifest(
        "web", *(steps or STEPS), istio=False, trafficRouting=routing, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    cluster.advance(60)
    assert controller.rollout().status.phase == "Paused", controller.rollout().status.message
    return controller


def route_through(controller: InProcessController, routing: Manifest | None) -> None:
    changed = None if routing is None else {**MERGED_AWAY, **routing}
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": changed}}}})


def stands(controller: InProcessController, kind: Kind, name: str) -> bool:
    try:
        controller.manifest(kind, name)
    except StatusError:
        return False
    return True


def virtual_service(controller: InProcessController) -> list[tuple[str, list[int]]]:
    """Name each route of the VirtualService, with its weights."""
    http = controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
    return [(route.get("name", ""), [each.get("weight", 100) for each in route["route"]]) for route in http]


def remembered(controller: InProcessController) -> str:
    return controller.rollout().metadata.annotations.get(names.ROUTED_BY, "")


def canary_weight(controller: InProcessController) -> str:
    found = controller.manifest(INGRESS, "web-shop-canary")["metadata"]["annotations"]
    return str(found["nginx.ingress.kubernetes.io/canary-weight"])


def test_a_users_object_goes_back_to_stable_after_the_new_router_says_the_wish() -> None:
    controller = paused_behind(ISTIO)
    before = virtual_service(controller)
    controller.api.done.clear()

    route_through(controller, NGINX)
    controller.cluster.advance(60)

    assert before == [("beta", [100]), ("", [80, 20])]
    assert canary_weight(controller) == "20"
    assert virtual_service(controller) == [("", [100, 0])]
    assert subsequence(["ingresses", "virtualservices"], [kind for _, kind, _ in controller.api.done])
    assert "istio" not in remembered(controller)
    assert "nginx" in remembered(controller)
    assert controller.rollout().status.phase == "Paused"


def test_objects_that_we_made_for_the_earlier_router_go() -> None:
    controller = paused_behind(NGINX)
    shop = controller.manifest(INGRESS, "shop")

    route_through(controller, ISTIO)
    controller.cluster.advance(60)

    assert virtual_service(controller) == [("beta", [100]), ("", [80, 20])]
    assert not stands(controller, INGRESS, "web-shop-canary")
    assert controller.manifest(INGRESS, "shop")["spec"] == shop["spec"]


def test_a_rollout_that_drops_its_routing_leaves_nothing_behind() -> None:
    controller = paused_behind({**NGINX, **SMI}, weight(20), {"pause": {}})

    route_through(controller, None)
    controller.cluster.advance(120)

    assert not stands(controller, INGRESS, "web-shop-canary")
    assert not stands(controller, SPLIT, "web")
    assert remembered(controller) == ""
    assert stands(controller, INGRESS, "shop")


def test_one_of_two_routers_that_goes_takes_only_its_own_objects_along() -> None:
    controller = paused_behind({**NGINX, **ISTIO})
    assert virtual_service(controller)[-1] == ("", [80, 20])

    route_through(controller, ISTIO)
    controller.cluster.advance(60)

    assert not stands(controller, INGRESS, "web-shop-canary")
    assert virtual_service(controller) == [("beta", [100]), ("", [80, 20])]


def test_nothing_is_taken_back_as_long_as_the_new_router_does_not_say_the_wish() -> None:
    controller = paused_behind(ISTIO)

    route_through(controller, {"nginx": {"stableIngress": "missing"}, "managedRoutes": [{"name": "beta"}]})
    controller.cluster.advance(60)
    held = virtual_service(controller)
    route_through(controller, NGINX)
    controller.cluster.advance(60)

    assert held == [("beta", [100]), ("", [80, 20])]
    assert virtual_service(controller) == [("", [100, 0])]


def test_a_router_that_comes_back_at_once_keeps_what_it_had() -> None:
    controller = paused_behind(ISTIO)

    route_through(controller, NGINX)
    route_through(controller, ISTIO)
    controller.cluster.advance(60)

    assert virtual_service(controller) == [("beta", [100]), ("", [80, 20])]
    assert not stands(controller, INGRESS, "web-shop-canary")


def test_objects_of_an_earlier_router_that_are_gone_are_no_trouble() -> None:
    controller = paused_behind(ISTIO)
    resource = next(each for each in controller.cluster.store.registry if each.kind == "VirtualService")
    controller.cluster.store.delete(resource, "web", namespace="default")

    route_through(controller, NGINX)
    controller.cluster.advance(60)

    assert canary_weight(controller) == "20"
    assert "istio" not in remembered(controller)


@pytest.mark.parametrize("written", ["", "no json", "[1]", '[{"trafficRouting": 5}]', '[{"trafficRouting": {"istio": 7}}]', "{}"])
def test_whatever_stands_in_the_annotation_is_no_trouble(written: str) -> None:
    controller = paused_behind(ISTIO)

    controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.ROUTED_BY: written}}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("3")}})
    controller.cluster.advance(60)

    assert controller.rollout().status.phase == "Paused"
    assert virtual_service(controller) == [("beta", [100]), ("", [80, 20])]
    assert "istio" in remembered(controller)


@pytest.mark.one_life("deaths of its own")
def test_a_death_after_any_write_of_the_change_changes_nothing_in_the_end() -> None:
    def changed(deaths: Any) -> tuple[InProcessController, int]:  # noqa: ANN401 - numbers of writes
        controller = paused_behind(ISTIO)
        begun = controller.api.writes
        controller.api.deaths = {begun + each for each in deaths}
        route_through(controller, NGINX)
        controller.cluster.advance(60)
        return controller, controller.api.writes - begun

    plain, count = changed(())
    assert count >= 3
    for number in range(1, count + 1):
        controller, _ = changed((number,))
        assert controller.deaths == 1
        assert virtual_service(controller) == virtual_service(plain) == [("", [100, 0])]
        assert canary_weight(controller) == "20"
        assert remembered(controller) == remembered(plain)


def test_a_rollout_at_rest_gets_no_annotation_before_a_route_is_written() -> None:
    """Taking over writes nothing (S10)."""
    controller = paused_behind(ISTIO)
    controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.ROUTED_BY: None}}})
    controller.api.done.clear()

    controller.restart()
    controller.cluster.advance(2000)

    assert controller.api.done == []
    assert remembered(controller) == ""
