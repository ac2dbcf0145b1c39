"""What is left of a Rollout that is deleted half-way? (Traffic-routing reference 5.3; docs/gitops.md)"""

from typing import Any

import pytest

from inprocess import InProcessController
from routed_apps import APPS, App, at_rest, reader
from scenarios import ROLLOUT, template
from tiphys.api import names
from tiphys.kube.store import Key

MADE = {
    "nginx": {"Ingress"},
    "smi": {"TrafficSplit", "HTTPRouteGroup"},
    "ambassador": {"Mapping"},
    "traefik": {"IngressRoute"},
    "apisix": {"ApisixRoute"},
}
"""The kinds of the objects that a router makes; behind the others there are only the user's."""
LEFT = sorted(name for name, app in APPS.items() if app.product != "alb")  # what becomes of its action is told by its own tests


def halfway(app: App) -> InProcessController:
    """Give a Rollout that waits at 50 percent, with a header route where its router can."""
    controller = at_rest(app, *app.steps({"pause": {"duration": 1}}, {"pause": {"duration": 1}}, {"pause": {}}), {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert controller.rollout().status.phase == "Paused"
    assert app.weight(reader(controller)) == 50
    return controller


def delete(controller: InProcessController) -> None:
    resource = next(each for each in controller.cluster.store.registry if each.kind == "Rollout")
    controller.cluster.store.delete(resource, "web", namespace="default")
    controller.cluster.advance(300)


def owned(controller: InProcessController, uid: str) -> set[str]:
    """Name the kinds of the objects whose owner is *uid*."""
    store = controller.cluster.store
    found = (stored.manifest for resource in store.registry if resource.namespaced for stored in store.scan(resource, namespace="default"))
    return {each["kind"] for each in found if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", ()))}


def specs(controller: InProcessController, app: App) -> dict[str, Any]:
    """Give the specs of the route objects that the user wrote."""
    read = reader(controller)
    routes = [(each["kind"], each["metadata"]["name"]) for each in app.objects if each["kind"] not in {"Service", "DestinationRule"}]
    return {f"{kind} {name}": found["spec"] for kind, name in routes if (found := read(kind, name)) is not None}


@pytest.mark.parametrize("name", LEFT)
def test_what_tiphys_made_goes_and_what_the_user_wrote_stays_as_it_was(name: str) -> None:
    app = APPS[name]
    controller = halfway(app)
    uid = controller.rollout().metadata.uid
    made, borrowed = owned(controller, uid), specs(controller, app)

    delete(controller)

    assert made == {"ReplicaSet"} | MADE.get(name, set())
    assert owned(controller, uid) == set()
    assert specs(controller, app) == borrowed
    assert app.weight(reader(controller)) == (0 if name in {"nginx", "smi", "ambassador"} else 50)


@pytest.mark.parametrize("name", APPS)
def test_services_are_as_the_user_wrote_them(name: str) -> None:
    app = APPS[name]
    controller = halfway(app)

    delete(controller)

    read = reader(controller)
    for written in (manifest for manifest in app.manifests() if manifest["kind"] == "Service"):
        found = read("Service", written["metadata"]["name"])
        assert found is not None
        assert found["spec"]["selector"] == written["spec"]["selector"]
        assert names.MANAGED_BY not in found["metadata"].get("annotations", {})


def test_a_manifest_that_is_applied_again_afterwards_stays() -> None:
    app = APPS["istio"]
    controller = halfway(app)
    delete(controller)
    (route,) = app.objects

    controller.edit(("networking.istio.io", "VirtualService"), "web", {"spec": route["spec"]})
    controller.cluster.advance(60)

    assert specs(controller, app) == {"VirtualService web": route["spec"]}


def test_nothing_is_measured_of_a_rollout_that_is_gone() -> None:
    controller = halfway(APPS["istio"])
    delete(controller)
    passes = controller.passes
    before = controller.telemetry.page()

    controller.loop.changed(Key("default", "web"))
    controller.cluster.advance(1)

    assert controller.passes == passes + 1
    assert b'name="web"' not in before + controller.telemetry.page()
