"""Which version should the active and the preview Service select? (Lifecycle reference 7.1, 7.7; S4 cut-over by selector.)"""

from dataclasses import dataclass

from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Because, SwitchService, Why
from tiphys.core.bluegreen_gates import Passage
from tiphys.core.bluegreen_situation import BlueGreen, saturated
from tiphys.core.revisions import hash_of
from tiphys.core.selectors import fully_available, move_service
from tiphys.core.situation import available


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """
    What the active Service selects after this pass.

    *selected* is a pod hash: empty where it selects none, nothing where there is no such Service.
    """

    selected: str | None
    move: SwitchService | None = None
    because: Because | None = None


def point_preview(now: BlueGreen) -> SwitchService | None:
    """Point the preview Service at the new version at once, whether it has pods or not; a halt freezes it."""
    if now.preview is None or now.revisions.new is None or now.halted:
        return None
    return move_service(now.seen, now.strategy.preview_service, hash_of(now.revisions.new))


def point_active(now: BlueGreen, passage: Passage) -> Switch:
    """
    Point the active Service at the version that should serve.

    Forward only to a whole version that may pass, and that the preview Service (if there is one) lists. Back as soon as stable has one
    available pod: good pods that are too few beat bad ones (S2). A selector that somebody took away is put back to stable (12.3 #4750).
    """
    new = now.revisions.new
    if now.active is None or (now.halted and not now.aborted):
        return Switch(selected=now.active)
    if not now.fresh and (not now.forward or not now.active):
        return _back(now, now.revisions.stable)
    if new is None or now.cut_over or not passage.free:
        return _stay(now)
    return _forward(now, new)


def _back(now: BlueGreen, stable: ReplicaSet | None) -> Switch:
    if now.active == now.revisions.stable_hash:
        return _stay(now)
    name = f"Service {now.strategy.active_service}"
    if stable is None:
        because = Because(why=Why.NO_STABLE, object=name, wanted=f"to select {now.revisions.stable_hash}", found="no such ReplicaSet")
        return Switch(selected=now.active, because=because)
    first = not now.active
    if available(stable) < 1 or (first and not fully_available(stable)):
        wanted = "all its pods available, as the Service selects no version yet" if first else "one available pod"
        found = f"{available(stable)} available"
        because = Because(why=Why.STABLE_NOT_READY, object=f"ReplicaSet {stable.metadata.name}", wanted=wanted, found=found)
        return Switch(selected=now.active, because=because)
    return _switched(now, stable)


def _forward(now: BlueGreen, new: ReplicaSet) -> Switch:
    name = f"ReplicaSet {new.metadata.name}"
    if not saturated(new, now.replicas):
        found = f"{new.spec.replicas} wanted, {available(new)} available"
        because = Because(why=Why.CANARY_NOT_READY, object=name, wanted=f"{now.replicas} available pods", found=found)
        return Switch(selected=now.active, because=because)
    listed = _listed_by_preview(now, new)
    if listed < now.replicas:
        service = f"Service {now.strategy.preview_service}"
        because = Because(
            why=Why.NO_READY_ENDPOINTS, object=service, wanted=f"{now.replicas} ready endpoints of {hash_of(new)}", found=f"{listed}"
        )
        return Switch(selected=now.active, because=because)
    return _switched(now, new)


def _listed_by_preview(now: BlueGreen, new: ReplicaSet) -> int:
    """Count the new pods that the preview Service's slices list; without a preview Service, or slices, only the pods themselves tell."""
    if now.preview is None or now.halted:
        return available(new)
    if now.preview != hash_of(new):
        return 0
    listed = now.seen.endpoints.get(now.strategy.preview_service)
    return available(new) if listed is None else listed.get(hash_of(new), 0)


def _stay(now: BlueGreen) -> Switch:
    """Leave the selector as it is; the annotation is added where only that is missing."""
    keeps = move_service(now.seen, now.strategy.active_service, now.active) if now.active else None
    return Switch(selected=now.active, move=keeps)


def _switched(now: BlueGreen, target: ReplicaSet) -> Switch:
    pod_hash = hash_of(target)
    return Switch(selected=pod_hash, move=move_service(now.seen, now.strategy.active_service, pod_hash))
