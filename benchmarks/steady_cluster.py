"""How does a cluster look in which 1,000 Rollouts have nothing to do? `python -m benchmarks.steady_cluster ROLLOUTS` serves it."""

import asyncio
import sys
from typing import Any

import msgspec
import uvloop

from benchmarks.server import SeeingServer
from inprocess import InProcessController, pod_template, world
from tiphys.api.crds import crd_manifests
from tiphys.devcluster.assembly import install_definitions
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store

Manifest = dict[str, Any]
STEPS: tuple[Manifest, ...] = ({"setWeight": 20}, {"pause": {"duration": 60}}, {"setWeight": 60}, {"pause": {"duration": 60}})
FILLED_IN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def settled() -> tuple[Manifest, list[Manifest]]:
    """Give a Rollout on its third version, as a controller left it, and its three ReplicaSets."""
    controller = world(*STEPS, replicas=1, istio=False)
    for version in (2, 3):
        controller.edit(("argoproj.io", "Rollout"), "web", {"spec": {"template": _template(version)}})
        controller.cluster.advance(900)
    rollout = controller.manifest(("argoproj.io", "Rollout"), "web")
    replica_sets = _replica_sets(controller)
    assert rollout["status"]["phase"] == "Healthy"
    assert sorted(found["spec"]["replicas"] for found in replica_sets) == [0, 0, 1]
    return rollout, replica_sets


def _template(version: int) -> Manifest:
    """Give a pod template of the size that people's have."""
    template = pod_template(image=f"registry.example/web:{version}")
    (container,) = template["spec"]["containers"]
    container["env"] = [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(12)]
    container["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5, "failureThreshold": 3}
    container |= {"readinessProbe": probe, "livenessProbe": probe}
    return template


def _replica_sets(controller: InProcessController) -> list[Manifest]:
    resource = controller.cluster.store.registry.kind("apps/v1", "ReplicaSet")
    assert resource is not None
    return [stored.copy() for stored in controller.cluster.store.scan(resource)]


def fill(store: Store, *, rollouts: int) -> None:
    """Put copies of the settled Rollout into *store*, with statuses; no loops run, so nothing moves."""
    rollout, replica_sets = settled()
    kinds = {manifest["kind"]: store.registry.of_manifest(manifest) for manifest in (rollout, *replica_sets)}
    for number in range(rollouts):
        name = f"web-{number:04d}"
        # A new object is of generation 1.
        status = {**rollout["status"], "observedGeneration": "1"}
        made = _insert(store, kinds["Rollout"], {**_named(rollout, name), "status": status})
        for replica_set in replica_sets:
            copy = _named(replica_set, f"{name}-{replica_set['metadata']['labels']['rollouts-pod-template-hash']}")
            owner = {**copy["metadata"]["ownerReferences"][0], "name": name, "uid": made["metadata"]["uid"]}
            copy["metadata"]["ownerReferences"] = [owner]
            copy["status"] = {**copy["status"], "observedGeneration": 1}
            _insert(store, kinds["ReplicaSet"], copy)


def _named(manifest: Manifest, name: str) -> Manifest:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in FILLED_IN}
    return {**manifest, "metadata": {**metadata, "name": name}}


def _insert(store: Store, resource: ResourceType, manifest: Manifest) -> Manifest:
    made = store.create(resource, manifest, namespace="default", manager="rollouts-controller")
    return store.update(resource, {**made, "status": manifest["status"]}, subresource="status", manager="rollouts-controller")


async def _serve(rollouts: int) -> None:
    store = Store()
    install_definitions(store, [*crd_manifests(), *foreign_definitions("networking.istio.io")])
    fill(store, rollouts=rollouts)
    server = SeeingServer(store)
    async with server:
        _say({"url": server.url})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        # Every line that comes in is the question what was seen so far.
        while await reader.readline():
            _say({"requests": [f"{each.method} {each.what}" for each in server.seen], "lists": server.lists, "others": server.others})


def _say(what: Manifest) -> None:
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
