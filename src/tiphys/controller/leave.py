"""What becomes of the route objects of a router that the spec does not name any more? (Decision 0014)"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tiphys.api import names
from tiphys.api.defaults import max_traffic_weight
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout, Strategy
from tiphys.controller.caches import Mirror, loading
from tiphys.controller.cluster import Cluster, key_of, rollout_ref
from tiphys.controller.found import found_by, made_beside
from tiphys.controller.named import kinds_of, refs_of, searches_of
from tiphys.controller.observe import Sight
from tiphys.controller.outside import silences
from tiphys.core.actions import Plan, RouteTraffic
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.core.observed import Observed, Verification
from tiphys.core.pairs import backends
from tiphys.core.revisions import hash_of
from tiphys.core.routed_by import earlier_routers, present_routers, record
from tiphys.kube.diff import merge_patch
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.together import combine, render_all

Routers = Callable[[Rollout], Sequence[Router]]
"""Makes the routers that a Rollout names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    """The routers of an earlier spec, what they were told to tell apart, and the objects that are not the present routers' as well."""

    canary: CanaryStrategy
    routers: Sequence[Router]
    found: Mapping[Ref, Manifest]
    kept: frozenset[Ref]


async def leave(rollout: Rollout, sight: Sight, plan: Plan, caches: Mirror, cluster: Cluster, routers_of: Routers) -> None:
    """
    Give everything back to stable in the objects of earlier routers, delete those of them that we made, and forget the routers.

    Not before the present routers say the wish, and not while stable has nobody to answer: until then the old objects serve.
    """
    parts = earlier_routers(rollout)
    if not parts or not _in_place(sight.seen, plan) or not _stable_answers(sight.seen):
        return
    earlier = [_read(rollout, part, sight, caches, routers_of) for part in parts]
    if any(each is None for each in earlier):
        return  # whoever fills the caches wakes this Rollout
    for each in earlier:
        if each is not None:
            await _give_back(rollout, each, cluster)
            await _delete(rollout, each, cluster)
    key = key_of(rollout)
    fresh = caches.rollout(key)
    if fresh is None or fresh.metadata.generation != rollout.metadata.generation:
        return
    present = present_routers(rollout)
    said = record([] if present is None else [present])
    patch = {"metadata": {"resourceVersion": fresh.metadata.resource_version, "annotations": {names.ROUTED_BY: said}}}
    await cluster.patch(key, rollout_ref(key), patch, purpose="Rollout: nothing is left of its earlier routers")


def _in_place(seen: Observed, plan: Plan) -> bool:
    if any(isinstance(action, RouteTraffic) for action in plan.actions) or seen.problems:
        return False
    if seen.rollout.spec.strategy.canary is None:
        return True
    return seen.router is None or (seen.router.routed is not None and seen.router.verified is not Verification.NOT_YET)


def _stable_answers(seen: Observed) -> bool:
    stable = seen.rollout.status.stable_rs
    ready = any(hash_of(found) == stable and found.status.ready_replicas for found in seen.replica_sets)
    return ready or seen.rollout.spec.replicas == 0


def _read(rollout: Rollout, part: Manifest, sight: Sight, caches: Mirror, routers_of: Routers) -> _Earlier | None:
    """Make the routers of *part* and find their objects; nothing while a cache of theirs is being filled, or one does not answer."""
    try:
        # Through bytes: specs of plugins are kept as such.
        canary = msgspec.json.decode(msgspec.json.encode(part), type=CanaryStrategy)
    except msgspec.ValidationError:
        canary = CanaryStrategy()
    before = msgspec.structs.replace(rollout, spec=msgspec.structs.replace(rollout.spec, strategy=Strategy(canary=canary)))
    routers = routers_of(before)
    if loading(caches, kinds_of(refs_of(routers), searches_of(routers))):
        return None
    found = found_by(routers, rollout.metadata.uid, caches)
    if silences(routers, found) is not None:
        return None
    present = sight.named.routers
    chosen = caches.mentioning(sight.named.searches)
    kept = frozenset((*sight.named.refs, *chosen, *made_beside(present, sight.found)))
    return _Earlier(canary=canary, routers=routers, found=found, kept=kept)


async def _give_back(rollout: Rollout, earlier: _Earlier, cluster: Cluster) -> None:
    """Let the user's objects say what they say at rest: everything to stable, no managed routes; what cannot be said stays as it is."""
    rendered, _ = render_all(earlier.routers, _at_rest(rollout, earlier), earlier.found)
    for ref, manifest in ((ref, manifest) for each in rendered.values() for ref, manifest in each.apply.items()):
        found = earlier.found.get(ref)
        if found is None or ref in earlier.kept or _is_made(found, rollout):
            continue
        patch = merge_patch(found, manifest)
        if patch is not None:
            version = found["metadata"].get("resourceVersion", "")
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}
            await cluster.patch(key_of(rollout), ref, patch, purpose="everything to stable: the Rollout names another router")


async def _delete(rollout: Rollout, earlier: _Earlier, cluster: Cluster) -> None:
    """Delete what we made; of these, one that refers to another comes first (`Router.reads`)."""
    for ref, manifest in earlier.found.items():
        if ref not in earlier.kept and _is_made(manifest, rollout):
            metadata = manifest["metadata"]
            version = metadata.get("resourceVersion", "")
            purpose = f"delete {ref}: the Rollout names another router"
            await cluster.delete(key_of(rollout), ref, uid=metadata.get("uid", ""), resource_version=version, purpose=purpose)


def _at_rest(rollout: Rollout, earlier: _Earlier) -> TrafficIntent:
    """
    Give the wish without a canary, so that nothing of ours is left.

    Subsets keep their pods, for their weight is only now taken away (S4): where route objects select pods, the canary stays with nothing.
    """
    canary, stable = earlier.canary, rollout.status.stable_rs
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    said = combine([router.routed(earlier.found) for router in earlier.routers])
    hashes = (None, None) if said is None else (said.stable_hash, said.canary_hash)
    maximum = max_traffic_weight(canary)
    managed = dict.fromkeys((*_managed(canary), *_managed(rollout.spec.strategy.canary)))
    rest = Backend(role=Role.STABLE, service=pair.stable, pod_hash=hashes[0] or stable, weight=maximum)
    none = Backend(role=Role.CANARY, service=pair.canary, pod_hash=hashes[1] or stable, weight=0)
    return TrafficIntent(
        backends=(rest,) if said is not None and hashes == (None, None) else (rest, none),
        managed=tuple(managed),
        maximum=maximum,
    )


def _managed(canary: CanaryStrategy | None) -> Iterable[str]:
    routing = None if canary is None else canary.traffic_routing
    return () if routing is None else (route.name for route in routing.managed_routes)


def _is_made(manifest: Manifest, rollout: Rollout) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") is True and owner.get("uid") == rollout.metadata.uid for owner in owners)
