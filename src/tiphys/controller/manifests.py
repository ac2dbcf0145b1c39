"""What does a ReplicaSet of ours look like when it is made? (Lifecycle reference 3.1)"""

from typing import Any

import msgspec

from tiphys.api import names
from tiphys.api.codec import plain
from tiphys.api.meta import Manifest, OwnerReference
from tiphys.api.rollout import Metadata, Rollout
from tiphys.api.words import GROUP_VERSION
from tiphys.controller.cluster import ROLLOUT
from tiphys.core.actions import CreateReplicaSet


def new_replica_set(rollout: Rollout, action: CreateReplicaSet, *, digest: str) -> Manifest:
    """
    Build the ReplicaSet that *action* orders, from the raw template of *rollout*, so that fields nobody here knows survive.

    *digest* is the digest of the template, which it carries unless *action* says so already.
    """
    template: Manifest = msgspec.json.decode(rollout.spec.template)
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), names.HASH_LABEL: action.pod_hash}
    template = {**template, "metadata": _marked(metadata, labels, action.metadata)}
    if action.affinity is not None:
        template["spec"] = {**(template.get("spec") or {}), "affinity": action.affinity}
    annotations = {names.TEMPLATE_DIGEST: digest, **action.annotations} if digest else dict(action.annotations)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [plain(owner_of(rollout))],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": action.min_ready_seconds,
            "selector": _selector(rollout, action.pod_hash),
            "template": template,
        },
    }


def _marked(metadata: Manifest, labels: dict[str, str], marks: Metadata) -> Manifest:
    """Give the metadata of a template with what its version carries for a while (3.9)."""
    marked = {**metadata, "labels": {**labels, **marks.labels}}
    return {**marked, "annotations": {**(metadata.get("annotations") or {}), **marks.annotations}} if marks.annotations else marked


def owner_of(rollout: Rollout) -> OwnerReference:
    """Give the reference by which *rollout* owns its ReplicaSets."""
    return OwnerReference(
        api_version=GROUP_VERSION,
        kind=ROLLOUT,
        name=rollout.metadata.name,
        uid=rollout.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def _selector(rollout: Rollout, pod_hash: str) -> dict[str, Any]:
    selector = rollout.spec.selector
    wanted: dict[str, Any] = {} if selector is None else plain(selector)
    return {**wanted, "matchLabels": {**wanted.get("matchLabels", {}), names.HASH_LABEL: pod_hash}}
