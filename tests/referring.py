"""What does a Rollout look like that takes its pod template from another workload?"""

from datetime import datetime
from typing import Final

from scenarios import Story, template
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.devcluster.kinds import DEPLOYMENTS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.virtual import VirtualCluster

DEPLOYMENT: Final[Kind] = ("apps", "Deployment")
REFERENCE: Final = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def deployment(image: str = "1", *, replicas: int = 5, name: str = "web") -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    }


def referring(
    manifests: list[Manifest], *, workload: Manifest | None = None, keep: tuple[str, ...] = (), **reference: str
) -> list[Manifest]:
    """Let the Rollout among *manifests* take its template, its selector and what is not in *keep* from *workload*."""
    *others, rollout = manifests
    spec = {key: value for key, value in rollout["spec"].items() if key not in {"template", "selector"} or key in keep}
    rollout = {**rollout, "spec": {**spec, "workloadRef": {**REFERENCE, **reference}}}
    return [*others, *([deployment()] if workload is None else [workload]), rollout]


def pods_of_deployment(story: Story) -> int:
    return int(story.controller.manifest(DEPLOYMENT, "web")["spec"]["replicas"])


class DeploymentLoop:
    """What a cluster does about Deployments, as far as one that is only scaled needs it: `cluster.join(DeploymentLoop(cluster))`."""

    def __init__(self, cluster: VirtualCluster) -> None:
        self._cluster = cluster
        self._store = cluster.store

    def step(self) -> bool:
        """Bring each Deployment's ReplicaSet and status up to date, and say whether anything had to be."""
        return sum(self._sync(stored.manifest) for stored in self._store.scan(DEPLOYMENTS, namespace="default")) > 0

    def wakes_at(self) -> datetime | None:
        return None

    def _sync(self, deployment: Manifest) -> bool:
        name, replicas = deployment["metadata"]["name"], deployment["spec"]["replicas"]
        made = self._store.read(REPLICA_SETS, f"{name}-deployed", "default")
        if made is None:
            self._store.create(REPLICA_SETS, _replica_set_of(deployment), namespace="default", manager="deployments")
            return True
        if made.manifest["spec"]["replicas"] != replicas:
            self._patch(REPLICA_SETS, f"{name}-deployed", {"spec": {"replicas": replicas}})
            return True
        available = made.manifest.get("status", {}).get("availableReplicas", 0)
        if deployment.get("status", {}).get("availableReplicas", 0) == available:
            return False
        self._patch(DEPLOYMENTS, name, {"status": {"availableReplicas": available}}, subresource="status")
        return True

    def _patch(self, kind: ResourceType, name: str, patch: Manifest, *, subresource: str = "") -> None:
        self._store.patch(kind, name, PatchKind.MERGE, patch, namespace="default", subresource=subresource, manager="deployments")


def _replica_set_of(deployment: Manifest) -> Manifest:
    metadata, spec = deployment["metadata"], deployment["spec"]
    labels = {**spec["selector"]["matchLabels"], "pod-template-hash": "deployed"}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    template = {**spec["template"], "metadata": {**spec["template"]["metadata"], "labels": labels}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"{metadata['name']}-deployed", "namespace": "default", "labels": labels, "ownerReferences": [owner]},
        "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": template},
    }
