"""How long does a pass take where objects are big? (CPU time, so that a loud machine does not matter.)"""

import time

from inprocess import InProcessController, at_once, pod_template, virtual_service_manifest, world
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

ROLLOUT: Kind = ("argoproj.io", "Rollout")
VIRTUAL_SERVICE: Kind = ("networking.istio.io", "VirtualService")
LIMIT = 0.05


def seconds_of_a_pass(controller: InProcessController) -> float:
    """Give the CPU time of the best of three passes that change nothing."""
    key = controller.caches.rollouts.keys()[0]
    taken = []
    for _ in range(3):
        controller.queue.add(key)
        assert controller.queue.take() == key
        began = time.process_time()
        at_once(controller.loop.look(key))
        taken.append(time.process_time() - began)
    return min(taken)


def big_slice(number: int, pods: int, pod_hash: str) -> Manifest:
    endpoints = [
        {
            "addresses": [f"10.{number}.{pod // 250}.{pod % 250}"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": f"web-{pod_hash}-{number:02d}{pod:03d}"},
        }
        for pod in range(pods)
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"big-{number}", "namespace": "default", "labels": {"kubernetes.io/service-name": "web-stable"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [],
    }


def test_five_thousand_pods_behind_a_service() -> None:
    controller = world({"setWeight": 20}, {"pause": {}})
    pod_hash = controller.rollout().status.stable_rs
    for number in range(50):
        controller.create(big_slice(number, 100, pod_hash))
    controller.cluster.advance(60)
    counted = controller.caches.slices("default", "web-stable")
    assert counted is not None
    assert sum(len(each.endpoints) for each in counted) >= 5000

    assert seconds_of_a_pass(controller) < LIMIT


def test_a_virtual_service_with_a_thousand_routes() -> None:
    controller = world({"setWeight": 20}, {"pause": {}}, settled=False)
    foreign = [
        {
            "name": f"foreign-{at}",
            "match": [{"uri": {"prefix": f"/{at}"}}],
            "route": [{"destination": {"host": f"other-{at}"}, "weight": 100}],
        }
        for at in range(1000)
    ]
    ours = virtual_service_manifest()["spec"]["http"][0]
    controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": [*foreign, {**ours, "name": "ours"}]}})
    routed = {"virtualService": {"name": "web", "routes": ["ours"]}}
    controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": {"istio": routed}}}}})
    controller.cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"spec": {"template": pod_template("registry.example/web:2")}})
    controller.cluster.advance(60)
    http = controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
    assert [destination["weight"] for destination in http[-1]["route"]] == [80, 20]
    assert http[:1000] == foreign

    assert seconds_of_a_pass(controller) < LIMIT


def test_five_hundred_steps() -> None:
    steps = [{"setWeight": at % 90 + 1} if at % 2 else {"pause": {"duration": "1h"}} for at in range(500)]
    controller = world(*steps)
    controller.edit(ROLLOUT, "web", {"spec": {"template": pod_template("registry.example/web:2")}})
    controller.cluster.advance(600)
    assert controller.rollout().status.phase == "Paused"

    assert seconds_of_a_pass(controller) < LIMIT


def test_a_rollout_of_a_megabyte() -> None:
    controller = world({"setWeight": 20}, {"pause": {}}, settled=False)
    big = pod_template("registry.example/web:2")
    big["spec"]["containers"][0]["env"] = [{"name": f"VARIABLE_{at}", "value": "x" * 1000} for at in range(1000)]
    controller.edit(ROLLOUT, "web", {"spec": {"template": big}})
    controller.cluster.advance(60)
    assert controller.rollout().status.phase == "Healthy"

    assert seconds_of_a_pass(controller) < LIMIT
