"""Which Services and route objects may select every pod again? (Traffic-routing reference 2.7, 4.1.9, 4.2.8)"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiphys.api import names
from tiphys.api.codec import decode_rollout
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.controller.cluster import Caches, Cluster, rollout_ref, service_ref
from tiphys.controller.named import Naming
from tiphys.kube.codec import encode
from tiphys.kube.diff import merge_patch
from tiphys.kube.store import Key
from tiphys.traffic.router import Ref
from tiphys.traffic.table import MARKS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """An object that carries our mark: by which labels it selects pods, and what lets go of it."""

    ref: Ref
    selections: Sequence[Mapping[str, str]]
    patch: Manifest


async def release(key: Key, rollout: Rollout | None, caches: Caches, cluster: Cluster, naming: Naming) -> bool:
    """
    Take hash and annotation from what carries the name of *key* although that is gone, or does not name it any more.

    Gives whether some still wait: without a hash the pods of all versions are selected, so that waits until only one version is left.
    That the Rollout is gone, or does not name the object, must be proven by the server itself: an error proves nothing, and neither
    does a cache, which may be old or show only a part of the Rollouts. What does not carry our annotation is somebody else's.
    """
    needed = _needed(key, rollout, naming)
    spare = list(_spare(key, caches, needed))
    if not spare:
        return False
    ready = [held for held in spare if _selects_one_version(held, caches)]
    if not ready:
        return True
    there = await cluster.find(rollout_ref(key), purpose=f"see that the Rollout does not need {_listed(ready)} any more")
    if there is not None and _is_for_others(there, rollout):
        return False
    needed = _needed(key, None if there is None else decode_rollout(encode(there)), naming)
    why = "is gone" if there is None else "does not name it any more"
    for held in ready:
        if held.ref not in needed:
            what = "selects every version again" if held.selections else "is the user's alone again"
            purpose = f"{_shown(held.ref)} {what}: the Rollout {key.name} {why}"
            await cluster.patch(key, held.ref, held.patch, purpose=purpose)
    return len(ready) < len(spare)


def _needed(key: Key, rollout: Rollout | None, naming: Naming) -> set[Ref]:
    if rollout is None:
        return set()
    named = naming.of(rollout)
    return {*(service_ref(key.namespace, name) for name in named.services), *named.refs}


def _spare(key: Key, caches: Caches, needed: Collection[Ref]) -> Iterator[_Held]:
    for service in caches.managed(key):
        ref = service_ref(key.namespace, service.metadata.name)
        if ref in needed:
            continue
        metadata = {"resourceVersion": service.metadata.resource_version, "annotations": {names.MANAGED_BY: None}}
        patch = {"metadata": metadata, "spec": {"selector": {names.HASH_LABEL: None}}}
        yield _Held(ref=ref, selections=(service.spec.selector,), patch=patch)
    for ref, found in caches.marked(key).items():
        if ref in needed:
            continue
        kept = {names.pod_hash(other.metadata.labels) for other in caches.versions(key.namespace) if _is_of_another(other, key)}
        marked = MARKS[ref.group, ref.kind]
        changed = merge_patch(found, marked.released(found, key.name, kept)) or {}
        metadata = {**changed.get("metadata", {}), "resourceVersion": found["metadata"].get("resourceVersion", "")}
        selections = [labels for labels in marked.selections(found) if names.pod_hash(labels) not in kept]
        yield _Held(ref=ref, selections=selections, patch={**changed, "metadata": metadata})


def _is_of_another(found: ReplicaSet, key: Key) -> bool:
    controller = found.metadata.controller
    return controller is not None and controller.name != key.name


def _selects_one_version(held: _Held, caches: Caches) -> bool:
    """Whether by no selection, were it without its hash, pods of more than one version would be selected."""
    versions = [found for found in caches.versions(held.ref.namespace) if _has_pods(found)]
    return all(sum(1 for found in versions if _fits(found, labels)) <= 1 for labels in held.selections)


def _has_pods(found: ReplicaSet) -> bool:
    return found.spec.replicas > 0 or found.status.replicas > 0


def _fits(found: ReplicaSet, labels: Mapping[str, str]) -> bool:
    return all(found.metadata.labels.get(name) == value for name, value in labels.items() if name != names.HASH_LABEL)


def _is_for_others(there: Manifest, rollout: Rollout | None) -> bool:
    """Whether a Rollout that exists is one that we do not see: another controller's, or one that was made anew just now."""
    return rollout is None or there["metadata"].get("uid") != rollout.metadata.uid


def _listed(held: Sequence[_Held]) -> str:
    return ", ".join(_shown(each.ref) for each in held)


def _shown(ref: Ref) -> str:
    return f"{ref.kind} {ref.name}"
