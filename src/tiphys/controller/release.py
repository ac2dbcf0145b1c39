"""Which Services may select every pod again? (Traffic-routing reference 2.7)"""

from collections.abc import Sequence

from tiphys.api import names
from tiphys.api.codec import decode_rollout
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet, Service
from tiphys.controller.cluster import Caches, Cluster, rollout_ref, service_ref
from tiphys.controller.named import services_of
from tiphys.kube.codec import encode
from tiphys.kube.store import Key


async def release(key: Key, rollout: Rollout | None, caches: Caches, cluster: Cluster) -> bool:
    """
    Take hash and annotation from the Services that carry the name of *key* although it is gone, or does not name them any more.

    Gives whether some still wait: a Service without a hash selects the pods of all versions, so it waits until only one version is left.
    That the Rollout is gone, or does not name the Service, must be proven by the server itself: an error proves nothing, and neither
    does a cache, which may be old or show only a part of the Rollouts. A Service without our annotation is somebody else's.
    """
    spare = [found for found in caches.managed(key) if rollout is None or found.metadata.name not in services_of(rollout)]
    if not spare:
        return False
    ready = [found for found in spare if _selects_one_version(found, caches)]
    if not ready:
        return True
    there = await cluster.find(rollout_ref(key), purpose=f"see that the Rollout does not need {_listed(ready)} any more")
    if there is not None and _is_for_others(there, rollout):
        return False
    needed = () if there is None else services_of(decode_rollout(encode(there)))
    why = "is gone" if there is None else "does not name it any more"
    for service in ready:
        name = service.metadata.name
        if name in needed:
            continue
        patch = {
            "metadata": {"resourceVersion": service.metadata.resource_version, "annotations": {names.MANAGED_BY: None}},
            "spec": {"selector": {names.HASH_LABEL: None}},
        }
        purpose = f"Service {name} selects every version again: the Rollout {key.name} {why}"
        await cluster.patch(key, service_ref(key.namespace, name), patch, purpose=purpose)
    return len(ready) < len(spare)


def _selects_one_version(service: Service, caches: Caches) -> bool:
    """Whether no more than one version has pods that *service* would select without its hash."""
    wanted = {name: value for name, value in service.spec.selector.items() if name != names.HASH_LABEL}
    return sum(1 for found in caches.versions(service.metadata.namespace) if _has_pods(found) and _fits(found, wanted)) <= 1


def _has_pods(found: ReplicaSet) -> bool:
    return found.spec.replicas > 0 or found.status.replicas > 0


def _fits(found: ReplicaSet, wanted: dict[str, str]) -> bool:
    return all(found.metadata.labels.get(name) == value for name, value in wanted.items())


def _is_for_others(there: Manifest, rollout: Rollout | None) -> bool:
    """Whether a Rollout that exists is one that we do not see: another controller's, or one that was made anew just now."""
    return rollout is None or there["metadata"].get("uid") != rollout.metadata.uid


def _listed(services: Sequence[Service]) -> str:
    return ", ".join(f"Service {found.metadata.name}" for found in services)
