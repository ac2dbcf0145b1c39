"""Does a canary behind an Application Load Balancer go its way, and what is left of it in the user's Ingress?"""

import json
from typing import Any

import pytest

from alb_cloud import ALB, INGRESS, PING_PONG, PREFIX, ROUTING, SERVICES, action, ingress
from inprocess import InProcessController, rollout_manifest, service_manifest
from routers_alb import alb_action
from scenarios import CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, subsequence, template, weight
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.kube.errors import ForbiddenError, KubeError, UnreachableError

PAUSE: Manifest = {"pause": {"duration": "10s"}}
BETA: Manifest = {
    "name": "beta",
    "match": [
        {"headerName": "x-beta", "headerValue": {"exact": "1"}},
        {"headerName": "user-agent", "headerValue": {"prefix": "QA/"}},
    ],
}
STEPS = (weight(20), PAUSE, {"setHeaderRoute": BETA}, PAUSE, weight(50), PAUSE, weight(100), PAUSE)


def at_rest(*steps: Manifest, routing: Manifest | None = None, **services: object) -> InProcessController:
    """Give a controller whose Rollout `web` rests on its first version."""
    cluster = VirtualCluster(definitions=crd_manifests())
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), ingress(), ingress("inside")):
        controller.create(manifest)
    rollout = rollout_manifest("web", *(steps or STEPS), istio=False, trafficRouting=routing or ROUTING, **(services or SERVICES))
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    return controller


def annotations(controller: InProcessController, name: str = "shop") -> dict[str, str]:
    """Give the annotations of an Ingress that are not the user's."""
    found = controller.manifest(INGRESS, name)["metadata"].get("annotations", {})
    return {key: text for key, text in found.items() if key != f"{PREFIX}/scheme"}


def paths(controller: InProcessController) -> list[list[str]]:
    rules = controller.manifest(INGRESS, "shop")["spec"]["rules"]
    return [[path["backend"]["service"]["name"] for path in rule["http"]["paths"]] for rule in rules]


def on_the_way(controller: InProcessController) -> list[tuple[int, list[str]]]:
    """Change the image and give the canary's weight and the paths to it, each time that they changed."""
    seen = [(action(controller)[CANARY_SERVICE], paths(controller)[0])]
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    for _ in range(300):
        controller.cluster.advance(1)
        now = (action(controller)[CANARY_SERVICE], paths(controller)[0])
        if now != seen[-1]:
            seen.append(now)
    return seen


def test_weights_and_header_paths_come_and_go_and_nothing_else_changes() -> None:
    controller = at_rest()
    before = controller.manifest(INGRESS, "shop")

    seen = on_the_way(controller)

    beta = ["beta", "beta-1", "web-root"]
    assert seen == [(0, ["web-root"]), (20, ["web-root"]), (20, beta), (50, beta), (100, beta), (0, ["web-root"])]
    assert controller.rollout().status.phase == "Healthy"
    after = controller.manifest(INGRESS, "shop")
    assert after["spec"] == before["spec"] == ingress()["spec"]
    assert annotations(controller) == {
        f"{PREFIX}/actions.web-root": alb_action(web_canary=0, web_stable=100),
        names.MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [f"{PREFIX}/actions.web-root"]}, separators=(",", ":")),
    }
    assert paths(controller)[1] == ["pages"]


def test_an_abort_takes_the_header_route_and_the_weight_back_at_once() -> None:
    controller = at_rest(weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert paths(controller)[0] == ["beta", "beta-1", "web-root"]

    controller.edit(ROLLOUT, "web", {"status": {"abort": True}}, subresource="status")
    controller.cluster.advance(5)

    assert action(controller) == {CANARY_SERVICE: 0, STABLE_SERVICE: 100}
    assert action(controller, "beta") == {}
    assert controller.manifest(INGRESS, "shop")["spec"] == ingress()["spec"]


def test_a_promotion_with_ping_pong_exchanges_roles_and_leaves_the_ingress_alone() -> None:
    controller = at_rest(weight(20), PAUSE, **PING_PONG)
    assert action(controller) == {CANARY_SERVICE: 100, STABLE_SERVICE: 0}, "the first version is behind the ping Service"
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    for _ in range(300):
        controller.cluster.advance(1)
        if action(controller)[STABLE_SERVICE] == 100:
            break
    carrying = controller.manifest(INGRESS, "shop")

    controller.cluster.advance(120)

    status = controller.rollout().status
    assert (status.phase, status.canary.stable_ping_pong) == ("Healthy", "pong")
    assert controller.manifest(INGRESS, "shop") == carrying
    assert action(controller) == {CANARY_SERVICE: 0, STABLE_SERVICE: 100}


def test_a_rollout_that_names_another_ingress_leaves_the_first_one_at_stable() -> None:
    controller = at_rest(weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert action(controller) == {CANARY_SERVICE: 20, STABLE_SERVICE: 80}

    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": {"alb": {"ingress": "inside"}}}}}})
    controller.cluster.advance(60)

    assert annotations(controller) == {f"{PREFIX}/actions.web-root": alb_action(web_stable=100)}
    assert controller.manifest(INGRESS, "shop")["spec"] == ingress()["spec"]
    assert json.loads(annotations(controller, "inside")[f"{PREFIX}/actions.beta"])["Type"] == "forward"
    assert controller.rollout().status.phase == "Paused"


def test_a_rollout_behind_two_ingresses_writes_both() -> None:
    both = {**ROUTING, "alb": {**ALB, "ingress": "", "ingresses": ["shop", "inside"]}}
    controller = at_rest(weight(20), {"pause": {}}, routing=both)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})

    controller.cluster.advance(60)

    assert annotations(controller) == annotations(controller, "inside")
    assert subsequence([20], [action(controller)[CANARY_SERVICE]])


# --- without the Rollout --------------------------------------------------------------------------------------------------------


def halfway() -> InProcessController:
    """Give a Rollout that waits at 20 percent, with a header route."""
    controller = at_rest(weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert paths(controller)[0] == ["beta", "beta-1", "web-root"]
    return controller


def delete(controller: InProcessController, **options: Any) -> None:  # noqa: ANN401  as the store takes them
    resource = next(each for each in controller.cluster.store.registry if each.kind == "Rollout")
    controller.cluster.store.delete(resource, "web", namespace="default", **options)


def test_a_rollout_that_is_deleted_half_way_leaves_everything_at_stable() -> None:
    controller = halfway()

    delete(controller)
    controller.cluster.advance(60)

    assert annotations(controller) == {f"{PREFIX}/actions.web-root": alb_action(web_stable=100)}
    assert controller.manifest(INGRESS, "shop")["spec"] == ingress()["spec"]
    controller.api.done.clear()
    controller.cluster.advance(4000)
    assert controller.api.done == []


def test_a_rollout_that_is_deleted_while_nobody_looks_is_noticed_by_the_ingress_itself() -> None:
    controller = halfway()
    other = rollout_manifest("other", weight(20), istio=False, trafficRouting={"alb": {**ALB, "ingress": "inside"}}, **SERVICES)
    other["spec"]["selector"]["matchLabels"] = other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    controller.create(other)
    controller.cluster.advance(60)

    delete(controller, propagation="Orphan")
    controller.restart()
    controller.cluster.advance(60)

    assert annotations(controller) == {f"{PREFIX}/actions.web-root": alb_action(web_stable=100)}


@pytest.mark.parametrize("error", [UnreachableError("the server", "no route"), ForbiddenError(403, "Forbidden", "rollouts is forbidden")])
def test_an_error_is_no_proof_that_a_rollout_is_gone(error: KubeError) -> None:
    controller = halfway()
    before = annotations(controller)
    plain = controller.api.get

    async def refusing(resource: Any, name: str, **options: Any) -> Any:  # noqa: ANN401  as the one that it stands before
        if resource.kind == "Rollout":
            raise error
        return await plain(resource, name, **options)

    controller.api.get = refusing  # type: ignore[method-assign]  # a server that is ill for a while
    delete(controller)
    controller.cluster.advance(60)
    while_ill = annotations(controller)
    controller.api.get = plain  # type: ignore[method-assign]  # and well again
    controller.cluster.advance(600)

    assert while_ill == before
    assert annotations(controller) == {f"{PREFIX}/actions.web-root": alb_action(web_stable=100)}


def test_an_entry_that_the_rollout_does_not_name_any_more_goes_once_it_rests() -> None:
    controller = at_rest(weight(20), {"pause": {}})
    key = f"{PREFIX}/actions.old"
    entry = {names.MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [key]}), key: alb_action(web_canary=20, web_stable=80)}

    controller.edit(INGRESS, "inside", {"metadata": {"annotations": entry}})
    controller.cluster.advance(60)

    assert annotations(controller, "inside") == {key: alb_action(web_stable=100)}
