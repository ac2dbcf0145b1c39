"""Which part does a ReplicaSet play, and which images does that put where?"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from tiphys.api import names
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli import standing
from tiphys.cli.family import Family, images, owned
from tiphys.cli.text import short_duration

EXPERIMENT_TEMPLATE: Final = "experiment.argoproj.io/template-name"
_TAG_ORDER: Final = ("canary", "stable", "active", "preview", "ping", "pong")


def roles(rollout: Rollout, replica_set: ReplicaSet) -> list[str]:
    """Name the parts that *replica_set* plays, in the order of the INFO column."""
    pod_hash = names.pod_hash(replica_set.metadata.labels)
    if not pod_hash:
        return []
    stable = pod_hash == rollout.status.stable_rs
    found = ["stable"] if stable else []
    found += _second(rollout, pod_hash, stable=stable)
    return found + _ping_pong(rollout, pod_hash, stable=stable)


def _second(rollout: Rollout, pod_hash: str, *, stable: bool) -> list[str]:
    if rollout.spec.strategy.blue_green is not None:
        selectors = rollout.status.blue_green
        if pod_hash == selectors.active_selector:
            return ["active"]
        return ["preview"] if pod_hash == selectors.preview_selector else []
    return ["canary"] if not stable and pod_hash == rollout.status.current_pod_hash else []


def _ping_pong(rollout: Rollout, pod_hash: str, *, stable: bool) -> list[str]:
    at_stable = rollout.status.canary.stable_ping_pong
    other = {"ping": "pong", "pong": "ping"}.get(at_stable)
    if other is None:
        return []
    if stable:
        return [at_stable]
    return [other] if pod_hash == rollout.status.current_pod_hash else []


def delay(replica_set: ReplicaSet, now: datetime) -> list[str]:
    """Say how long the ReplicaSet is still kept, if it is on its way out."""
    deadline = names.scale_down_deadline(replica_set.metadata.annotations)
    if deadline is None:
        return []
    left = (deadline - now).total_seconds()
    return ["delay:passed" if left < 0 else f"delay:{short_duration(left)}"]


def replica_set_status(replica_set: ReplicaSet) -> str:
    """Give the word for *replica_set*; the first case that holds wins."""
    status = replica_set.status
    if status.observed_generation < replica_set.metadata.generation:
        return "Progressing"
    if any(found.type == "ReplicaFailure" and found.status == "True" for found in status.conditions):
        return "ReplicaFailure"
    if status.available_replicas < replica_set.spec.replicas:
        return "Progressing"
    return "ScaledDown" if replica_set.spec.replicas == 0 else "Healthy"


def tagged_images(family: Family) -> dict[str, list[str]]:
    """Give the images that run, sorted, with the parts they play."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for replica_set in _running(owned(family.replica_sets, family.rollout)):
        for image in images(replica_set):
            found[image].update(roles(family.rollout, replica_set))
    for experiment in owned(family.experiments, family.rollout):
        for replica_set in _running(owned(family.replica_sets, experiment)):
            template = replica_set.metadata.annotations.get(EXPERIMENT_TEMPLATE)
            for image in images(replica_set):
                found[image].update({f"Σ:{template}"} if template else ())
    return {image: sorted(tags, key=_tag_key) for image, tags in sorted(found.items())}


def actual_weight(family: Family) -> int:
    """Tell which share the canary really has, as far as the objects say (user interfaces 1.6)."""
    rollout = family.rollout
    canary, status = rollout.spec.strategy.canary, rollout.status
    if canary is None or standing.current_step(rollout) is None:
        return standing.maximum_weight(rollout)
    if status.available_replicas == 0:
        return 0
    if canary.traffic_routing is None:
        own = [found for found in owned(family.replica_sets, rollout) if "canary" in roles(rollout, found)]
        available = sum(found.status.available_replicas for found in own)
        return available * standing.maximum_weight(rollout) // status.available_replicas
    weights = status.canary.weights
    return standing.set_weight(rollout) if weights is None else weights.canary.weight


def _running(replica_sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    return [found for found in replica_sets if found.status.replicas > 0]


def _tag_key(tag: str) -> tuple[int, str]:
    return (_TAG_ORDER.index(tag) if tag in _TAG_ORDER else len(_TAG_ORDER), tag)
