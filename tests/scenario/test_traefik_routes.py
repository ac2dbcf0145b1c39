"""Do header and mirror routes behind Traefik come, follow, and go, with the IngressRoutes that they stand beside?"""

from typing import Any

import pytest

from inprocess import InProcessController, rollout_manifest, service_manifest
from scenarios import BETA, CANARY_SERVICE, ROLLOUT, SHADOW, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.cli.patches import ABORT
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

INGRESS_ROUTE: Kind = ("traefik.io", "IngressRoute")
TRAEFIK_SERVICE: Kind = ("traefik.io", "TraefikService")
PAUSE: Manifest = {"pause": {}}
STEPS = (weight(20), {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}, PAUSE)


def weighted(name: str = "web") -> Manifest:
    services = [{"name": STABLE_SERVICE, "port": 80, "weight": 100}, {"name": CANARY_SERVICE, "port": 80, "weight": 0}]
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": metadata,
        "spec": {"weighted": {"services": services}},
    }


def entrance(name: str = "shop", *, service: str = "web", host: str = "shop.example") -> Manifest:
    route = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [{"name": service, "kind": "TraefikService"}]}
    spec = {"entryPoints": ["web"], "routes": [route]}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def halfway(*objects: Manifest, steps: tuple[Manifest, ...] = STEPS) -> InProcessController:
    """Give a controller whose Rollout `web` stands before *objects* and has gone as far as its steps let it."""
    cluster = VirtualCluster(definitions=[*foreign_definitions("traefik.io"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), *objects):
        controller.create(manifest)
    routing = {"traefik": {"weightedTraefikServiceName": "web"}, "managedRoutes": [{"name": "beta"}, {"name": "shadow"}]}
    rollout = rollout_manifest(
        "web", *steps, istio=False, trafficRouting=routing, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    cluster.advance(60)
    return controller


def names(controller: InProcessController, kind: Kind) -> list[str]:
    """Name the objects of *kind*; of those that we made without the mark at the end."""
    store = controller.cluster.store
    resource = next(each for each in store.registry if (each.group, each.kind) == kind)
    found = [each.manifest["metadata"] for each in store.scan(resource, namespace="default")]
    return sorted(metadata["name"][:-9] if metadata.get("ownerReferences") else metadata["name"] for metadata in found)


def rules(controller: InProcessController) -> list[str]:
    store = controller.cluster.store
    resource = next(each for each in store.registry if (each.group, each.kind) == INGRESS_ROUTE)
    found = store.scan(resource, namespace="default")
    return sorted(route["match"] for each in found for route in each.manifest["spec"]["routes"])


def phase(controller: InProcessController) -> str:
    return controller.rollout().status.phase


def invalid(controller: InProcessController) -> str:
    found = [each.message for each in controller.rollout().status.conditions if each.type == "InvalidSpec" and each.status == "True"]
    return found[0] if found else ""


def test_routes_stand_beside_their_source_and_leave_nothing_behind() -> None:
    controller = halfway(weighted(), entrance())
    standing = names(controller, INGRESS_ROUTE), names(controller, TRAEFIK_SERVICE)

    controller.edit(ROLLOUT, "web", ABORT, subresource="status")
    controller.cluster.advance(60)

    assert standing == (["shop", "web-beta-shop", "web-shadow-shop"], ["web", "web-shadow"])
    assert (names(controller, INGRESS_ROUTE), names(controller, TRAEFIK_SERVICE)) == (["shop"], ["web"])
    assert controller.manifest(TRAEFIK_SERVICE, "web")["spec"] == weighted()["spec"]
    deleted = [kind for verb, kind, _ in controller.api.done if verb == "delete"]
    assert deleted == ["ingressroutes", "ingressroutes", "traefikservices"]


def test_an_edit_of_the_source_wakes_the_rollout_and_reaches_the_copies_at_once() -> None:
    controller = halfway(weighted(), entrance())

    controller.edit(INGRESS_ROUTE, "shop", {"spec": entrance(host="new.example")["spec"]})
    controller.cluster.advance(2)

    assert all("new.example" in rule for rule in rules(controller))
    assert len(rules(controller)) == 3
    assert phase(controller) == "Paused"


def test_a_second_source_gets_copies_and_takes_them_with_it() -> None:
    controller = halfway(weighted(), entrance())

    controller.create(entrance("extra", host="extra.example"))
    controller.cluster.advance(2)
    two = names(controller, INGRESS_ROUTE)
    controller.cluster.store.delete(controller.cluster.store.registry.of_manifest(entrance()), "extra", namespace="default")
    controller.cluster.advance(2)

    assert two == ["extra", "shop", "web-beta-extra", "web-beta-shop", "web-shadow-extra", "web-shadow-shop"]
    assert names(controller, INGRESS_ROUTE) == ["shop", "web-beta-shop", "web-shadow-shop"]


def test_a_source_that_uses_another_service_from_now_on_loses_its_copies() -> None:
    controller = halfway(weighted(), entrance(), entrance("extra"))

    controller.edit(INGRESS_ROUTE, "extra", {"spec": entrance(service="other")["spec"]})
    controller.cluster.advance(2)

    assert names(controller, INGRESS_ROUTE) == ["extra", "shop", "web-beta-shop", "web-shadow-shop"]


def test_one_of_ours_that_somebody_removes_or_changes_is_made_again() -> None:
    controller = halfway(weighted(), entrance())
    store = controller.cluster.store
    before = rules(controller)
    resource = store.registry.of_manifest(entrance())
    ours = [
        each.manifest["metadata"]["name"] for each in store.scan(resource, namespace="default") if "beta" in str(each.manifest["metadata"])
    ]

    store.delete(resource, ours[0], namespace="default")
    controller.cluster.advance(2)
    again = rules(controller)
    controller.edit(INGRESS_ROUTE, ours[0], {"spec": {"routes": []}})
    controller.cluster.advance(2)

    assert before == again == rules(controller)


def test_without_an_ingress_route_it_is_told_and_goes_on_when_there_is_one() -> None:
    controller = halfway(weighted())
    told = invalid(controller)

    controller.create(entrance())
    controller.cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("3")}})
    controller.cluster.advance(60)

    assert 'needs an IngressRoute in default that uses the TraefikService "web"' in told
    assert (invalid(controller), phase(controller)) == ("", "Paused")
    assert names(controller, INGRESS_ROUTE) == ["shop", "web-beta-shop", "web-shadow-shop"]


def test_the_last_source_deleted_in_mid_update_takes_the_copies_along_and_brings_them_back() -> None:
    controller = halfway(weighted(), entrance())
    store = controller.cluster.store

    store.delete(store.registry.of_manifest(entrance()), "shop", namespace="default")
    controller.cluster.advance(30)
    told = invalid(controller)
    controller.create(entrance())
    controller.cluster.advance(60)

    assert "needs an IngressRoute in default" in told
    assert names(controller, INGRESS_ROUTE) == ["shop", "web-beta-shop", "web-shadow-shop"]
    assert phase(controller) == "Paused"


def test_an_object_of_somebody_else_under_our_name_is_told_and_left_alone() -> None:
    first = halfway(weighted(), entrance())
    store = first.cluster.store
    found = [each.manifest for each in store.scan(store.registry.of_manifest(entrance()), namespace="default")]
    name = next(each["metadata"]["name"] for each in found if "beta" in each["metadata"]["name"])
    foreign = entrance(name, service="other")

    controller = halfway(weighted(), entrance(), foreign)

    assert f"IngressRoute default/{name} exists and is not controlled by the Rollout" in invalid(controller)
    assert controller.manifest(INGRESS_ROUTE, name)["spec"] == foreign["spec"]

    controller.cluster.store.delete(controller.cluster.store.registry.of_manifest(foreign), name, namespace="default")
    controller.cluster.advance(2)

    assert invalid(controller) == ""


def test_another_weighted_service_in_mid_update_gets_the_routes_and_the_first_gives_back() -> None:
    controller = halfway(weighted(), entrance(), weighted("next"), entrance("next", service="next"))
    seen: list[Any] = []

    controller.edit(
        ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": {"traefik": {"weightedTraefikServiceName": "next"}}}}}}
    )
    for _ in range(60):
        controller.cluster.advance(1)
        seen.append("web-beta-next" in names(controller, INGRESS_ROUTE))

    assert names(controller, INGRESS_ROUTE) == ["next", "shop", "web-beta-next", "web-shadow-next"]
    assert controller.manifest(TRAEFIK_SERVICE, "web")["spec"] == weighted()["spec"]
    assert seen == sorted(seen), "what stands is not taken away again"
    assert phase(controller) == "Paused"


@pytest.mark.one_life("deaths of its own")
@pytest.mark.parametrize("deaths", range(6))
def test_a_death_after_any_write_of_the_routes_changes_nothing_in_the_end(deaths: int) -> None:
    controller = halfway(weighted(), entrance(), steps=(PAUSE,))
    writes = iter(range(100))
    controller.api.deadly = lambda _verb, _plural, _body: next(writes) == deaths
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"steps": [*STEPS]}}}})
    controller.cluster.advance(120)

    assert names(controller, INGRESS_ROUTE) == ["shop", "web-beta-shop", "web-shadow-shop"]
    assert names(controller, TRAEFIK_SERVICE) == ["web", "web-shadow"]
    assert controller.deaths == 1
