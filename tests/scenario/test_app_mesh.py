"""Does a canary behind App Mesh go from the image change to its promotion, and do its VirtualNodes keep their pods under weight?"""

from typing import Any

from inprocess import InProcessController, rollout_manifest, service_manifest
from routers_appmesh import CANARY_NODE, MESH_ROUTER, ROUTES, STABLE_NODE, app_mesh_block, mesh_objects
from scenarios import CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL
from tiphys.cli.patches import ABORT
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

PAUSE: Manifest = {"pause": {"duration": "10s"}}


def at_rest(*steps: Manifest) -> InProcessController:
    """Give a controller whose Rollout `web` rests on its first version behind a mesh."""
    cluster = VirtualCluster(definitions=[*foreign_definitions("appmesh.k8s.aws"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), *mesh_objects(ROUTES).values()):
        controller.create({**manifest, "metadata": {"name": manifest["metadata"]["name"], "namespace": "default"}})
    routing = {"appMesh": app_mesh_block()}
    rollout = rollout_manifest(
        "web", *steps, istio=False, trafficRouting=routing, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    return controller


def said(controller: InProcessController) -> tuple[Any, ...]:
    """Give the canary's weight, and what the stable and the canary's node select; hashes by their order in the history."""
    (route,) = controller.manifest((MESH_ROUTER.group, MESH_ROUTER.kind), MESH_ROUTER.name)["spec"]["routes"]
    weights = {each["virtualNodeRef"]["name"]: each["weight"] for each in route["httpRoute"]["action"]["weightedTargets"]}
    assert sum(weights.values()) == 100
    nodes = [controller.manifest((node.group, node.kind), node.name) for node in (STABLE_NODE, CANARY_NODE)]
    selected = (node["spec"]["podSelector"]["matchLabels"].get(HASH_LABEL) for node in nodes)
    known = sorted(controller.caches.owned(controller.rollout().metadata.uid), key=lambda found: found.metadata.creation_timestamp or "")
    hashes = {found.metadata.labels[HASH_LABEL]: f"v{number}" for number, found in enumerate(known, start=1)}
    return (weights[CANARY_NODE.name], *(hashes.get(each, each) for each in selected))


class Watching:
    """Looks after every write, and remembers what is said each time that it changed."""

    def __init__(self, controller: InProcessController) -> None:
        self._controller = controller
        self.seen = [said(controller)]

    def before(self) -> None:
        pass

    def after(self, _verb: str, _plural: str, _body: str) -> None:
        if (now := said(self._controller)) != self.seen[-1]:
            self.seen.append(now)


def seen_on_the_way(controller: InProcessController) -> list[tuple[Any, ...]]:
    """Give what is said, each time that a write changed it, until nothing more happens."""
    watching = controller.api.witness = Watching(controller)
    controller.cluster.advance(120)
    return watching.seen


def test_weights_and_pods_never_change_together() -> None:
    controller = at_rest(weight(20), PAUSE, weight(100), PAUSE)

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    seen = seen_on_the_way(controller)

    assert controller.rollout().status.phase == "Healthy"
    assert seen == [
        (0, "v1", "canary-hash"),
        (0, "v1", "v2"),
        (20, "v1", "v2"),
        (100, "v1", "v2"),
        (100, "v2", "v2"),
        (0, "v2", "v2"),
        (0, "v2", "canary-hash"),
    ]
    writes = {plural for _, plural, _ in controller.api.done if plural.startswith("virtual")}
    assert writes == {"virtualrouters", "virtualnodes"}


def test_an_abort_takes_the_weight_away_and_then_the_pods() -> None:
    controller = at_rest(weight(50), {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    before = said(controller)

    controller.edit(ROLLOUT, "web", ABORT, subresource="status")
    seen = seen_on_the_way(controller)

    assert before == (50, "v1", "v2")
    assert [each[0] for each in seen[:2]] == [50, 0]
    assert seen[-1] == (0, "v1", "canary-hash")
    assert controller.rollout().status.phase == "Degraded"


def test_a_router_that_somebody_changes_is_put_right_at_once() -> None:
    controller = at_rest(weight(20), {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    kind = (MESH_ROUTER.group, MESH_ROUTER.kind)
    spec = controller.manifest(kind, MESH_ROUTER.name)["spec"]

    for each in spec["routes"][0]["httpRoute"]["action"]["weightedTargets"]:
        each["weight"] = 50
    controller.edit(kind, MESH_ROUTER.name, {"spec": {"routes": spec["routes"]}})
    controller.cluster.advance(1)

    assert said(controller) == (20, "v1", "v2")


def test_a_rollout_that_names_a_route_of_the_same_router_does_not_leave_that_router() -> None:
    controller = at_rest(weight(20), {"pause": {}})
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)

    routing = {"appMesh": {"virtualService": {"routes": ["main"]}}}
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": routing}}}})
    seen = seen_on_the_way(controller)

    assert seen == [(20, "v1", "v2")]


def test_a_router_that_leads_elsewhere_is_told_by_name_and_taken_up_again_when_it_comes_back() -> None:
    controller = at_rest(weight(20), {"pause": {}})
    kind = (MESH_ROUTER.group, MESH_ROUTER.kind)
    routes = controller.manifest(kind, MESH_ROUTER.name)["spec"]["routes"]

    controller.edit(kind, MESH_ROUTER.name, {"spec": {"routes": []}})
    controller.cluster.advance(30)
    told = controller.rollout().status.message
    controller.edit(kind, MESH_ROUTER.name, {"spec": {"routes": routes}})
    controller.cluster.advance(30)

    assert "spec.strategy.canary.trafficRouting.appMesh.virtualService.name" in told
    assert f"(VirtualRouter default/{MESH_ROUTER.name})" in told
    assert controller.rollout().status.phase == "Healthy"
