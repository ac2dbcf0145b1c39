"""Does a canary behind the Gateway API go from the image change to its promotion, no faster than its implementation follows?"""

from collections.abc import Iterable
from typing import Any

from inprocess import InProcessController, rollout_manifest, service_manifest
from scenarios import BETA, CANARY_SERVICE, ROLLOUT, SHADOW, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

GROUP = "gateway.networking.k8s.io"
HTTP: Kind = (GROUP, "HTTPRoute")
TCP: Kind = (GROUP, "TCPRoute")
PAUSE: Manifest = {"pause": {"duration": "10s"}}
STEPS = (weight(20), PAUSE, {"setHeaderRoute": BETA}, PAUSE, {"setMirrorRoute": SHADOW}, PAUSE, weight(100), PAUSE)
NATIVE = {"gatewayAPI": {"httpRoutes": [{"name": "web"}], "tcpRoutes": [{"name": "web"}]}}
ENTRANCE = {"name": "entrance"}


def route(kind: str, *, rules: list[Manifest] | None = None, parent: Manifest = ENTRANCE) -> Manifest:
    """Give a route `web` to both Services; its last rule carries the weights."""
    backends = [{"name": STABLE_SERVICE, "port": 80}, {"name": CANARY_SERVICE, "port": 80, "weight": 0}]
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"parentRefs": [parent], "rules": [*(rules or ()), {"backendRefs": backends}]},
    }


STATIC = {"name": "static", "matches": [{"path": {"type": "PathPrefix", "value": "/static"}}], "backendRefs": [{"name": "cdn", "port": 80}]}


def at_rest(
    routing: Manifest, *routes: Manifest, steps: tuple[Manifest, ...] = STEPS, definitions: Iterable[Manifest] = ()
) -> InProcessController:
    """Give a controller whose Rollout `web`, behind *routes*, rests on its first version; *definitions* are those of the routes."""
    cluster = VirtualCluster(definitions=[*(definitions or foreign_definitions(GROUP)), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), *routes):
        controller.create(manifest)
    routing = {"managedRoutes": [{"name": "beta"}, {"name": "shadow"}], **routing}
    rollout = rollout_manifest(
        "web", *steps, istio=False, trafficRouting=routing, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    return controller


def accept(controller: InProcessController, kind: Kind) -> None:
    """Do what an implementation does once it has configured its proxies: report on the present generation."""
    found = controller.manifest(kind, "web")
    conditions = [
        {"type": name, "status": "True", "reason": name, "message": "", "observedGeneration": found["metadata"]["generation"]}
        for name in ("Accepted", "ResolvedRefs")
    ]
    (parent,) = found["spec"]["parentRefs"]
    answer = {"parentRef": parent, "controllerName": "example.test/gateway", "conditions": conditions}
    if found.get("status") != {"parents": [answer]}:
        controller.edit(kind, "web", {"status": {"parents": [answer]}}, subresource="status")


def weights(controller: InProcessController, kind: Kind = HTTP) -> tuple[int, ...]:
    return tuple(backend.get("weight", 1) for backend in controller.manifest(kind, "web")["spec"]["rules"][-1]["backendRefs"])


def names(controller: InProcessController) -> list[str]:
    return [rule["name"] for rule in controller.manifest(HTTP, "web")["spec"]["rules"] if "name" in rule]


def verified(controller: InProcessController) -> bool | None:
    found = controller.rollout().status.canary.weights
    return None if found is None else found.verified


def test_from_the_image_change_to_the_promotion() -> None:
    controller = at_rest(NATIVE, route("HTTPRoute", rules=[STATIC]), route("TCPRoute"))
    before = {kind: controller.manifest(kind, "web") for kind in (HTTP, TCP)}
    seen: list[Any] = []

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    for _ in range(300):
        for kind in (HTTP, TCP):
            accept(controller, kind)
        now = (weights(controller), weights(controller, TCP), names(controller))
        if not seen or now != seen[-1]:
            seen.append(now)
        controller.cluster.advance(1)

    assert seen == [
        ((1, 0), (1, 0), ["static"]),
        ((80, 20), (80, 20), ["static"]),
        ((80, 20), (80, 20), ["beta", "static"]),
        ((80, 20), (80, 20), ["beta", "shadow", "static"]),
        ((0, 100), (0, 100), ["beta", "shadow", "static"]),
        ((100, 0), (100, 0), ["static"]),
    ]
    status = controller.rollout().status
    assert (status.phase, status.stable_rs) == ("Healthy", status.current_pod_hash)
    assert verified(controller) is True
    after = controller.manifest(HTTP, "web")
    assert after["spec"]["rules"][0] == before[HTTP]["spec"]["rules"][0]
    assert after["metadata"].get("annotations", {}) == {}


def test_no_step_is_done_before_the_implementation_has_followed() -> None:
    controller = at_rest(
        {"gatewayAPI": {"httpRoutes": [{"name": "web"}]}}, route("HTTPRoute"), steps=(weight(20), PAUSE, weight(60), PAUSE)
    )
    accept(controller, HTTP)
    controller.cluster.advance(60)
    assert verified(controller) is True

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(600)

    status = controller.rollout().status
    assert (weights(controller), status.current_step_index, verified(controller)) == ((80, 20), 0, False)

    accept(controller, HTTP)
    controller.cluster.advance(5)
    assert (weights(controller), controller.rollout().status.current_step_index, verified(controller)) == ((80, 20), 1, True)

    for _ in range(200):
        controller.cluster.advance(1)
        accept(controller, HTTP)
    assert (controller.rollout().status.phase, weights(controller)) == ("Healthy", (100, 0))


def test_routes_chosen_by_labels_join_when_they_get_the_label_and_stay_behind_when_they_lose_it() -> None:
    selector = {"matchExpressions": [{"key": "delivery", "operator": "In", "values": ["web"]}]}
    other = route("HTTPRoute")
    other["metadata"] = {"name": "other", "namespace": "default"}
    chosen = route("HTTPRoute")
    chosen["metadata"] = {"name": "web", "namespace": "default", "labels": {"delivery": "web"}}
    routing = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRouteSelector": selector}}}
    controller = at_rest(routing, chosen, other, steps=(weight(20), {"pause": {}}))

    def said() -> list[Any]:
        routes = (controller.manifest(HTTP, name) for name in ("web", "other"))
        return [[backend.get("weight", 1) for backend in each["spec"]["rules"][-1]["backendRefs"]] for each in routes]

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    before = said()
    controller.edit(HTTP, "other", {"metadata": {"labels": {"delivery": "web"}}})
    controller.cluster.advance(1)
    both = said()
    labels = controller.manifest(HTTP, "other")["metadata"]["labels"]
    controller.edit(HTTP, "web", {"metadata": {"labels": {"delivery": None}}})
    controller.edit(HTTP, "other", {"metadata": {"labels": {"delivery": None}}})
    controller.cluster.advance(1)
    told = controller.rollout().status.message
    controller.edit(HTTP, "other", {"metadata": {"labels": {"delivery": "web"}}})
    controller.cluster.advance(1)

    assert before == [[80, 20], [1, 0]]
    assert both == [[80, 20], [80, 20]]
    assert labels == {"delivery": "web", "rollouts.argoproj.io/gatewayapi-canary": "in-progress"}
    assert "httpRouteSelector" in told
    assert "must fit at least one HTTPRoute" in told
    assert controller.rollout().status.phase == "Paused"


def test_a_route_that_nobody_reports_on_holds_nothing_up() -> None:
    controller = at_rest({"gatewayAPI": {"httpRoutes": [{"name": "web"}]}}, route("HTTPRoute"))

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(300)

    assert (controller.rollout().status.phase, verified(controller)) == ("Healthy", None)


def test_a_mesh_reads_a_route_whose_parent_is_a_service() -> None:
    """As Linkerd wants it: group `core`, kind Service."""
    parent = {"group": "core", "kind": "Service", "name": "web", "port": 80}
    steps: tuple[Manifest, ...] = (weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
    controller = at_rest({"gatewayAPI": {"httpRoutes": [{"name": "web"}]}}, route("HTTPRoute", parent=parent), steps=steps)

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    for _ in range(60):
        accept(controller, HTTP)
        controller.cluster.advance(1)

    assert (weights(controller), names(controller), verified(controller)) == ((80, 20), ["beta"], True)


def test_a_route_that_is_deleted_and_comes_back_is_named_and_then_gets_the_wish() -> None:
    controller = at_rest(NATIVE, route("HTTPRoute"), route("TCPRoute"), steps=(weight(20), {"pause": {}}))
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    kind = next(each for each in controller.cluster.store.registry if (each.group, each.kind) == HTTP)

    controller.cluster.store.delete(kind, "web", namespace="default")
    controller.cluster.advance(60)
    told = [found.message for found in controller.rollout().status.conditions if found.type == "InvalidSpec"]
    controller.create(route("HTTPRoute"))
    controller.cluster.advance(60)

    assert len(told) == 1
    assert "must name an existing HTTPRoute (HTTPRoute default/web)" in told[0]
    assert (weights(controller), weights(controller, TCP)) == ((80, 20), (80, 20))
    assert [found.type for found in controller.rollout().status.conditions if found.type == "InvalidSpec"] == []


def test_a_route_at_rest_costs_no_write() -> None:
    controller = at_rest(NATIVE, route("HTTPRoute"), route("TCPRoute"))
    before = len(controller.api.done)

    for _ in range(3):
        accept(controller, HTTP)
        controller.cluster.advance(700)

    assert not [(verb, plural) for verb, plural, _ in controller.api.done[before:] if plural in {"httproutes", "tcproutes"}]


def test_a_kind_that_is_served_in_an_older_version_only_is_used_in_that_one() -> None:
    definitions = []
    for definition in foreign_definitions(GROUP):
        if definition["spec"]["names"]["kind"] == "TCPRoute":
            (old,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1alpha2")
            definition["spec"]["versions"] = [{**old, "storage": True}]
        definitions.append(definition)
    tcp = {**route("TCPRoute"), "apiVersion": "gateway.networking.k8s.io/v1alpha2"}
    controller = at_rest({"gatewayAPI": {"tcpRoutes": [{"name": "web"}]}}, tcp, steps=(weight(20), {"pause": {}}), definitions=definitions)

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)

    assert weights(controller, TCP) == (80, 20)
    assert controller.manifest(TCP, "web")["apiVersion"] == "gateway.networking.k8s.io/v1alpha2"
