"""Does a canary behind Traefik, APISIX or Ambassador go from the image change to its promotion, by its objects alone?"""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from inprocess import InProcessController, rollout_manifest, service_manifest
from scenarios import BETA, CANARY_SERVICE, ROLLOUT, SHADOW, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.cli.patches import ABORT
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

T = TypeVar("T")
PAUSE: Manifest = {"pause": {"duration": "10s"}}
STEPS = (weight(20), PAUSE, weight(50), PAUSE, weight(100), PAUSE)


def at_rest(group: str, routing: Manifest, *objects: Manifest, steps: tuple[Manifest, ...] = STEPS) -> InProcessController:
    """Give a controller whose Rollout `web`, behind *objects* of the API group *group*, rests on its first version."""
    cluster = VirtualCluster(definitions=[*foreign_definitions(group), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), *objects):
        controller.create(manifest)
    rollout = rollout_manifest(
        "web", *steps, istio=False, canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE, trafficRouting=routing
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
    assert controller.rollout().status.phase == "Healthy"
    assert controller.rollout().status.current_step_index == len(controller.rollout().spec.strategy.canary.steps)  # type: ignore[union-attr]
    return seen


def test_traefik() -> None:
    services = [
        {"name": CANARY_SERVICE, "port": 80, "weight": 0, "scheme": "h2c"},
        {"name": "audit", "kind": "TraefikService", "weight": 0},
        {"name": STABLE_SERVICE, "port": 80},
    ]
    traefik_service = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "TraefikService",
        "metadata": {"name": "web", "namespace": "default", "labels": {"team": "shop"}},
        "spec": {"weighted": {"sticky": {"cookie": {"name": "lvl"}}, "services": services}},
    }
    controller = at_rest("traefik.io", {"traefik": {"weightedTraefikServiceName": "web"}}, traefik_service)

    def spec() -> Any:  # noqa: ANN401 - any JSON
        return controller.manifest(("traefik.io", "TraefikService"), "web")["spec"]

    def weights() -> tuple[int, ...]:
        return tuple(service.get("weight", 1) for service in spec()["weighted"]["services"])

    before = spec()
    seen = seen_on_the_way(controller, weights)

    assert before == traefik_service["spec"]
    assert seen == [(0, 0, 1), (20, 0, 80), (50, 0, 50), (100, 0, 0), (0, 0, 100)]
    assert spec() == {
        "weighted": {
            "sticky": {"cookie": {"name": "lvl"}},
            "services": [services[0], services[1], {**services[2], "weight": 100}],
        }
    }
    writes = [body for verb, plural, body in controller.api.done if plural == "traefikservices"]
    assert len(writes) == 4


def test_apisix() -> None:
    apisix_route: Manifest = {
        "apiVersion": "apisix.apache.org/v2",
        "kind": "ApisixRoute",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "http": [
                {
                    "name": "main",
                    "match": {"paths": ["/*"]},
                    "backends": [{"serviceName": STABLE_SERVICE, "servicePort": 80}, {"serviceName": CANARY_SERVICE, "servicePort": 80}],
                },
                {"name": "other", "match": {"paths": ["/other"]}, "backends": [{"serviceName": "other", "servicePort": 80}]},
            ]
        },
    }
    routing = {"apisix": {"route": {"name": "web", "rules": ["main"]}}, "managedRoutes": [{"name": "beta"}, {"name": "shadow"}]}
    beta, shadow = {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}
    controller = at_rest("apisix.apache.org", routing, apisix_route, steps=(weight(20), beta, PAUSE, shadow, PAUSE, weight(100), PAUSE))

    def routes() -> dict[str, Any]:
        stored = controller.cluster.store.scan(controller.cluster.store.registry.of_manifest(apisix_route), namespace="default")
        return {each.manifest["metadata"]["name"]: each.manifest for each in stored}

    def weights() -> tuple[object, ...]:
        """Give the weights of the main route, and those of the routes made for managed ones."""
        found = routes()
        shares = [[backend.get("weight") for backend in found[name]["spec"]["http"][0]["backends"]] for name in sorted(found)]
        return (sorted(found), shares)

    beside: dict[str, Any] = {}

    def look() -> tuple[object, ...]:
        beside.update(routes())
        return weights()

    seen = seen_on_the_way(controller, look)

    assert seen[0] == (["web"], [[None, 0]])
    assert (["beta", "web"], [[100], [80, 20]]) in seen
    assert (["beta", "shadow", "web"], [[100], [80, 20], [80, 20]]) in seen
    assert (["beta", "shadow", "web"], [[100], [0, 100], [0, 100]]) in seen
    assert seen[-1] == (["web"], [[100, 0]])
    assert beside["beta"]["metadata"]["ownerReferences"][0]["uid"] == controller.rollout().metadata.uid
    assert [rule["name"] for rule in beside["beta"]["spec"]["http"]] == ["main"]
    assert beside["shadow"]["spec"]["http"][0]["plugins"][0]["config"] == {"host": "http://web-canary.default.svc:80", "sample_ratio": 0.35}
    assert routes()["web"]["spec"]["http"][1] == apisix_route["spec"]["http"][1]


@pytest.mark.parametrize("version", ["v2", "v3alpha1"])
def test_ambassador(version: str) -> None:
    base: Manifest = {
        "apiVersion": f"getambassador.io/{version}",
        "kind": "Mapping",
        "metadata": {"name": "web", "namespace": "default", "labels": {"team": "shop"}},
        "spec": {"prefix": "/web/", "service": f"http://{STABLE_SERVICE}:80", "resolver": "endpoint"},
    }
    routing = {"ambassador": {"mappings": ["web"]}, "managedRoutes": [{"name": "beta"}, {"name": "shadow"}]}
    beta, shadow = {"setHeaderRoute": BETA}, {"setMirrorRoute": {"name": "shadow", "percentage": 35, "match": [{}]}}
    steps = (weight(20), beta, PAUSE, shadow, PAUSE, weight(100), PAUSE)
    controller = at_rest("getambassador.io", routing, base, steps=steps)

    def mappings() -> dict[str, Any]:
        stored = controller.cluster.store.scan(controller.cluster.store.registry.of_manifest(base), namespace="default")
        return {each.manifest["metadata"]["name"]: each.manifest for each in stored}

    def weights() -> dict[str, object]:
        return {name: found["spec"].get("weight") for name, found in sorted(mappings().items())}

    beside: dict[str, Any] = {}

    def look() -> dict[str, object]:
        beside.update(mappings())
        return weights()

    seen = seen_on_the_way(controller, look)

    assert seen[0] == seen[-1] == {"web": None}
    assert {"web": None, "web-beta-0": None, "web-canary": 20} in seen
    assert {"web": None, "web-beta-0": None, "web-canary": 20, "web-shadow-shadow": 35} in seen
    assert {"web": None, "web-beta-0": None, "web-canary": 100, "web-shadow-shadow": 35} in seen
    assert mappings()["web"]["spec"] == base["spec"]
    assert {found["spec"]["service"] for name, found in beside.items() if name != "web"} == {f"http://{CANARY_SERVICE}:80"}
    assert {found["metadata"]["ownerReferences"][0]["uid"] for name, found in beside.items() if name != "web"} == {
        controller.rollout().metadata.uid
    }


def test_a_canary_mapping_follows_its_base_in_mid_update_and_comes_back_when_it_was_deleted() -> None:
    base: Manifest = {
        "apiVersion": "getambassador.io/v2",
        "kind": "Mapping",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"prefix": "/web/", "service": STABLE_SERVICE},
    }
    kind = ("getambassador.io", "Mapping")
    controller = at_rest("getambassador.io", {"ambassador": {"mappings": ["web"]}}, base, steps=(weight(20), {"pause": {}}))
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)

    controller.edit(kind, "web", {"spec": {"prefix": "/v2/"}})
    controller.cluster.advance(10)
    followed = controller.manifest(kind, "web-canary")["spec"]
    resource = controller.cluster.store.registry.of_manifest(base)
    controller.cluster.store.delete(resource, "web-canary", namespace="default")
    controller.cluster.advance(10)

    assert followed == {"prefix": "/v2/", "service": CANARY_SERVICE, "weight": 20}
    assert controller.manifest(kind, "web-canary")["spec"] == followed


WEIGHTED: Manifest = {
    "apiVersion": "traefik.io/v1alpha1",
    "kind": "TraefikService",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "weighted": {"services": [{"name": STABLE_SERVICE, "port": 80, "weight": 100}, {"name": CANARY_SERVICE, "port": 80, "weight": 0}]}
    },
}
RULES: Manifest = {
    "apiVersion": "apisix.apache.org/v2",
    "kind": "ApisixRoute",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "http": [
            {
                "name": "web",
                "match": {"paths": ["/*"]},
                "backends": [
                    {"serviceName": STABLE_SERVICE, "servicePort": 80, "weight": 100},
                    {"serviceName": CANARY_SERVICE, "servicePort": 80, "weight": 0},
                ],
            }
        ]
    },
}
BASE: Manifest = {
    "apiVersion": "getambassador.io/v2",
    "kind": "Mapping",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"prefix": "/web/", "service": STABLE_SERVICE},
}
MANAGED: Manifest = {"managedRoutes": [{"name": "beta"}]}


@pytest.mark.parametrize(
    ("given", "routing", "steps"),
    [
        (WEIGHTED, {"traefik": {"weightedTraefikServiceName": "web"}}, ()),
        (RULES, {"apisix": {"route": {"name": "web"}}, **MANAGED}, ({"setHeaderRoute": BETA},)),
        (BASE, {"ambassador": {"mappings": ["web"]}, **MANAGED}, ({"setHeaderRoute": BETA},)),
    ],
    ids=["traefik", "apisix", "ambassador"],
)
def test_an_abort_leaves_every_object_as_it_was_and_none_of_ours(given: Manifest, routing: Manifest, steps: tuple[Manifest, ...]) -> None:
    group = given["apiVersion"].partition("/")[0]
    controller = at_rest(group, routing, given, steps=(weight(50), *steps, {"pause": {}}))
    store = controller.cluster.store

    def specs() -> dict[str, Any]:
        stored = store.scan(store.registry.of_manifest(given), namespace="default")
        return {each.manifest["metadata"]["name"]: each.manifest["spec"] for each in stored}

    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    halfway = specs()
    controller.edit(ROLLOUT, "web", ABORT, subresource="status")
    controller.cluster.advance(60)

    assert halfway != {"web": given["spec"]}
    assert specs() == {"web": given["spec"]}
    assert controller.rollout().status.phase == "Degraded"


def test_an_object_deleted_in_mid_update_is_told_and_the_rollout_goes_on_when_it_is_back() -> None:
    routing = {"traefik": {"weightedTraefikServiceName": "web"}}
    controller = at_rest("traefik.io", routing, WEIGHTED, steps=(weight(50), PAUSE, weight(80), PAUSE))
    resource = controller.cluster.store.registry.of_manifest(WEIGHTED)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(3)

    controller.cluster.store.delete(resource, "web", namespace="default")
    controller.cluster.advance(60)
    (invalid,) = [each for each in controller.rollout().status.conditions if each.type == "InvalidSpec"]
    controller.create(WEIGHTED)
    controller.cluster.advance(200)

    assert "must name an existing TraefikService (TraefikService default/web)" in invalid.message
    assert controller.rollout().status.phase == "Healthy"
    assert controller.manifest(("traefik.io", "TraefikService"), "web")["spec"] == WEIGHTED["spec"]
