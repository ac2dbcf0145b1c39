"""Does a canary behind objects that the router makes itself go from the image change to its promotion?"""

from collections.abc import Callable
from typing import Any, TypeVar

from inprocess import InProcessController, rollout_manifest, service_manifest
from scenarios import CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.settings import Settings

T = TypeVar("T")
PAUSE: Manifest = {"pause": {"duration": "10s"}}
BETA: Manifest = {"name": "beta", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}
STEPS = (weight(20), PAUSE, {"setHeaderRoute": BETA}, PAUSE, weight(50), PAUSE)

INGRESS: Kind = ("networking.k8s.io", "Ingress")
SPLIT: Kind = ("split.smi-spec.io", "TrafficSplit")
ROUTE_GROUP: Kind = ("specs.smi-spec.io", "HTTPRouteGroup")
SMI: tuple[str, ...] = ("split.smi-spec.io", "specs.smi-spec.io")


def at_rest(
    groups: tuple[str, ...],
    routing: Manifest,
    *objects: Manifest,
    steps: tuple[Manifest, ...] = STEPS,
    settings: Settings | None = None,
) -> InProcessController:
    """Give a controller whose Rollout `web` rests on its first version, in a cluster that serves *groups* and has *objects*."""
    definitions = [definition for group in groups for definition in foreign_definitions(group)]
    cluster = VirtualCluster(definitions=[*definitions, *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated, routers=settings)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), *objects):
        controller.create(manifest)
    routing = {"managedRoutes": [{"name": "beta"}, {"name": "shadow"}], **routing}
    rollout = rollout_manifest(
        "web", *steps, istio=False, trafficRouting=routing, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE
    )
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    return controller


def seen_on_the_way(controller: InProcessController, look: Callable[[], T]) -> list[T]:
    """Change the image and give what *look* shows, each time that it changed, until nothing more happens."""
    seen = [look()]
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    for _ in range(300):
        controller.cluster.advance(1)
        now = look()
        if now != seen[-1]:
            seen.append(now)
    return seen


def stands(controller: InProcessController, kind: Kind, name: str) -> bool:
    try:
        controller.manifest(kind, name)
    except StatusError:
        return False
    return True


def ingress(**spec: Any) -> Manifest:  # noqa: ANN401 - any JSON
    backend = {"service": {"name": STABLE_SERVICE, "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": "default", "labels": {"team": "shop"}},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
            **spec,
        },
    }


def test_nginx() -> None:
    shadow = {"setMirrorRoute": {"name": "shadow", "match": [{"path": {"prefix": "/"}}]}}
    controller = at_rest((), {"nginx": {"stableIngress": "shop"}}, ingress(), steps=(*STEPS, shadow, PAUSE, weight(100), PAUSE))

    def canary() -> Manifest:
        return controller.manifest(INGRESS, "web-shop-canary")

    def said() -> tuple[object, ...]:
        annotations = canary()["metadata"]["annotations"]
        stable = controller.manifest(INGRESS, "shop")["metadata"].get("annotations", {})
        keys = ("canary", "canary-weight", "canary-by-header", "canary-by-header-value")
        return (
            *(annotations.get(f"nginx.ingress.kubernetes.io/{key}") for key in keys),
            stable.get("nginx.ingress.kubernetes.io/mirror-target"),
        )

    before = controller.manifest(INGRESS, "shop")
    made = canary()
    seen = seen_on_the_way(controller, said)

    assert controller.rollout().status.phase == "Healthy"
    assert controller.rollout().status.stable_rs == controller.rollout().status.current_pod_hash
    target = "http://web-canary.default.svc.cluster.local$request_uri"
    assert seen == [
        ("true", "0", None, None, None),
        ("true", "20", None, None, None),
        ("true", "20", "x-beta", "1", None),
        ("true", "50", "x-beta", "1", None),
        ("true", "50", "x-beta", "1", target),
        ("true", "100", "x-beta", "1", target),
        ("true", "0", None, None, None),
    ]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Rollout", controller.rollout().metadata.uid, True)
    backend = {"service": {"name": CANARY_SERVICE, "port": {"number": 80}}}
    assert (
        made["spec"]
        == ingress(rules=[{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}])["spec"]
    )
    assert controller.manifest(INGRESS, "shop")["spec"] == before["spec"]
    assert controller.manifest(INGRESS, "shop")["metadata"].get("annotations") == before["metadata"].get("annotations")


def test_a_canary_ingress_that_somebody_removes_comes_back_with_its_weight() -> None:
    controller = at_rest((), {"nginx": {"stableIngress": "shop"}}, ingress(), steps=(weight(20), {"pause": {}}))
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    kind = next(each for each in controller.cluster.store.registry if (each.group, each.kind) == INGRESS)

    controller.cluster.store.delete(kind, "web-shop-canary", namespace="default")
    controller.cluster.advance(60)

    annotations = controller.manifest(INGRESS, "web-shop-canary")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/canary-weight"] == "20"


def test_a_changed_rule_of_the_stable_ingress_reaches_the_canary_ingress() -> None:
    controller = at_rest((), {"nginx": {"stableIngress": "shop"}}, ingress())
    rules = [{**ingress()["spec"]["rules"][0], "host": "next.example"}]

    controller.edit(INGRESS, "shop", {"spec": {"rules": rules}})
    controller.cluster.advance(10)

    assert [rule["host"] for rule in controller.manifest(INGRESS, "web-shop-canary")["spec"]["rules"]] == ["next.example"]


def test_a_canary_ingress_of_somebody_else_is_told_and_left_alone() -> None:
    theirs = ingress()
    theirs["metadata"] = {"name": "web-shop-canary", "namespace": "default"}

    controller = at_rest((), {"nginx": {"stableIngress": "shop"}}, ingress(), theirs)

    assert controller.rollout().status.phase == "Degraded"
    assert "web-shop-canary exists and is not controlled by" in controller.rollout().status.message
    assert "annotations" not in controller.manifest(INGRESS, "web-shop-canary")["metadata"]


def test_a_canary_ingress_beside_an_ingress_that_is_no_longer_named_goes() -> None:
    second = ingress()
    second["metadata"] = {"name": "shop-2", "namespace": "default"}
    controller = at_rest((), {"nginx": {"stableIngress": "shop"}}, ingress(), second, steps=(weight(20), {"pause": {}}))
    theirs = ingress()
    theirs["metadata"] = {"name": "their-canary", "namespace": "default"}
    controller.create(theirs)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)

    routing = {"nginx": {"stableIngress": "shop-2"}}
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": routing}}}})
    controller.cluster.advance(60)

    annotations = controller.manifest(INGRESS, "web-shop-2-canary")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/canary-weight"] == "20"
    assert not stands(controller, INGRESS, "web-shop-canary")
    assert stands(controller, INGRESS, "shop")
    assert stands(controller, INGRESS, "their-canary")
    assert [body for verb, _, body in controller.api.done if verb == "delete"] == ["web-shop-canary"]


def test_smi() -> None:
    steps = (weight(20), PAUSE, weight(50), PAUSE)
    controller = at_rest(SMI, {"smi": {"rootService": "web", "trafficSplitName": "shop"}}, service_manifest("web"), steps=steps)

    def split() -> Manifest:
        return controller.manifest(SPLIT, "shop")

    made = split()
    seen = seen_on_the_way(controller, lambda: split()["spec"]["backends"])

    assert controller.rollout().status.phase == "Healthy"
    assert controller.rollout().status.stable_rs == controller.rollout().status.current_pod_hash
    assert [[backend["service"] for backend in backends] for backends in seen] == [[CANARY_SERVICE, STABLE_SERVICE]] * len(seen)
    shares = [tuple(backend["weight"] for backend in backends) for backends in seen]
    assert shares[:3] == [("0", "100"), ("20", "80"), ("50", "50")]
    assert shares[-1] == ("0", "100")
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Rollout", controller.rollout().metadata.uid, True)
    assert made["spec"]["service"] == "web"
    writes = [body for _, plural, body in controller.api.done if plural == "trafficsplits"]
    assert '"apiVersion":"split.smi-spec.io/v1alpha1"' in writes[0]


def test_smi_with_header_routes() -> None:
    controller = at_rest(SMI, {"smi": {}}, settings=Settings(smi_version="v1alpha4"))

    def said() -> tuple[object, ...]:
        matched = stands(controller, SPLIT, "web-header-routes")
        assert matched == stands(controller, ROUTE_GROUP, "web-header-routes")
        main = controller.manifest(SPLIT, "web")["spec"]["backends"]
        return tuple(backend["weight"] for backend in main), controller.manifest(SPLIT, "web-header-routes")["spec"] if matched else None

    seen = seen_on_the_way(controller, said)

    assert controller.rollout().status.phase == "Healthy"
    header = {
        "service": STABLE_SERVICE,
        "backends": [{"service": CANARY_SERVICE, "weight": 100}],
        "matches": [{"kind": "HTTPRouteGroup", "name": "web-header-routes"}],
    }
    assert seen[:4] == [((0, 100), None), ((20, 80), None), ((20, 80), header), ((50, 50), header)]
    assert seen[-1] == ((0, 100), None)
    made = [(verb, plural) for verb, plural, _ in controller.api.done if plural in {"trafficsplits", "httproutegroups"} and verb != "patch"]
    split, group = "trafficsplits", "httproutegroups"
    assert made == [("create", split), ("create", group), ("create", split), ("delete", split), ("delete", group)]


def test_a_cluster_without_traffic_splits_is_told_and_the_pods_come_all_the_same() -> None:
    controller = at_rest((), {"smi": {}}, steps=(weight(20), {"pause": {}}))

    told = [message for _, reason, message in controller.told.events if reason == "TrafficRoutingError"]
    assert told
    assert "the API server does not serve TrafficSplit of split.smi-spec.io/v1alpha1: install its definition" in told[0]
    assert all(replica_set.status.available_replicas == 2 for replica_set in controller.caches.owned(controller.rollout().metadata.uid))
    assert "ReconciliationError" not in controller.told.reasons


def test_traffic_splits_of_an_earlier_name_go_before_the_route_groups_they_refer_to() -> None:
    steps: tuple[Manifest, ...] = (weight(20), {"setHeaderRoute": BETA}, {"pause": {}})
    controller = at_rest(SMI, {"smi": {}}, settings=Settings(smi_version="v1alpha4"), steps=steps)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    before = [stands(controller, kind, "web-header-routes") for kind in (SPLIT, ROUTE_GROUP)]

    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": {"smi": {"trafficSplitName": "shop"}}}}}})
    controller.cluster.advance(60)

    assert before == [True, True]
    standing = [(kind, name) for kind in (SPLIT, ROUTE_GROUP) for name in ("web", "web-header-routes") if stands(controller, kind, name)]
    assert standing == []
    assert stands(controller, SPLIT, "shop")
    assert stands(controller, ROUTE_GROUP, "shop-header-routes")
    gone = [(plural, name) for verb, plural, name in controller.api.done if verb == "delete"]
    assert gone == [("trafficsplits", "web"), ("trafficsplits", "web-header-routes"), ("httproutegroups", "web-header-routes")]
