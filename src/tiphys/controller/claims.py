"""Whose are the ReplicaSets around a Rollout? (Lifecycle reference 3.7)"""

from tiphys.api.codec import plain
from tiphys.api.meta import Manifest, OwnerReference
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.controller.cluster import Caches, Cluster, key_of, replica_set_ref, rollout_ref
from tiphys.controller.manifests import owner_of


async def claim(rollout: Rollout, caches: Caches, cluster: Cluster) -> bool:
    """
    Adopt ReplicaSets with a hash label that match the selector and have no controller; release owned ones that no longer match.

    Gives whether anything was written: then the picture has to be taken afresh. Before an adoption the Rollout is read from the server
    itself, because the cache may hold one that was deleted and made again.
    """
    selector = rollout.spec.selector
    if selector is None or not (selector.match_labels or selector.match_expressions):
        return False
    key = key_of(rollout)
    orphans = [found for found in caches.strays(key.namespace) if selector.matches(found.metadata.labels)]
    misfits = [found for found in caches.owned(rollout.metadata.uid) if not selector.matches(found.metadata.labels)]
    if orphans and not await _still_there(rollout, cluster):
        orphans = []
    for found in orphans:
        owners = (*found.metadata.owner_references, owner_of(rollout))
        await _own(found, owners, rollout, cluster, purpose=f"adopt ReplicaSet {found.metadata.name}")
    for found in misfits:
        owners = tuple(owner for owner in found.metadata.owner_references if owner.uid != rollout.metadata.uid)
        await _own(found, owners, rollout, cluster, purpose=f"release ReplicaSet {found.metadata.name}: the selector no longer matches it")
    return bool(orphans or misfits)


async def _still_there(rollout: Rollout, cluster: Cluster) -> bool:
    key = key_of(rollout)
    fresh = await cluster.reread(key, rollout_ref(key), purpose="see that the Rollout still exists before it adopts ReplicaSets")
    metadata: Manifest = {} if fresh is None else fresh.get("metadata", {})
    return metadata.get("uid") == rollout.metadata.uid and not metadata.get("deletionTimestamp")


async def _own(found: ReplicaSet, owners: tuple[OwnerReference, ...], rollout: Rollout, cluster: Cluster, *, purpose: str) -> None:
    ref = replica_set_ref(found.metadata.namespace, found.metadata.name)
    references = [plain(owner) for owner in owners]
    patch = {"metadata": {"resourceVersion": found.metadata.resource_version, "ownerReferences": references}}
    await cluster.patch(key_of(rollout), ref, patch, purpose=purpose)
