"""
Would this action break a promise to a blue-green Rollout?

S3, S4 and S10 of the design for a cut-over by selector, as predicates over what we write, given a picture. As for canaries they read
the picture again by themselves, so that a mistake of the decision is not their mistake too.
"""

from tiphys.api import defaults
from tiphys.api.rollout import BlueGreenStrategy
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Action, Plan, SwitchService, UpdateReplicaSet
from tiphys.core.observed import Observed, Verification
from tiphys.core.revisions import find_revisions, hash_of
from tiphys.core.slots import find_service, selects


def violated_blue_green(seen: Observed, strategy: BlueGreenStrategy, plan: Plan, action: Action) -> str | None:
    """Name the invariant that *action* (a part of *plan*) would break, and how; nothing if it is safe."""
    if isinstance(action, SwitchService) and action.name == strategy.active_service:
        return _switches_too_early(seen, strategy, action)
    if isinstance(action, UpdateReplicaSet) and action.replicas is not None and action.replicas < action.before:
        return _takes_pods_from_under_traffic(seen, strategy, plan, action)
    return None


def plan_violation_blue_green(seen: Observed, strategy: BlueGreenStrategy, plan: Plan) -> str | None:
    """Judge the plan as a whole: a version becomes stable only behind the active Service, and never one that was aborted."""
    before, after = seen.rollout.status, plan.status
    if after.stable_rs == before.stable_rs:
        return None
    held = _active_after(seen, strategy, plan)
    if held != after.stable_rs:
        return f"S4: {after.stable_rs} would become stable while the active Service selects {held or 'no version'}"
    if before.abort and before.current_pod_hash == after.current_pod_hash and before.stable_rs:
        return f"S4: {after.stable_rs} would become stable although it was aborted"
    unsure = seen.router is not None and seen.router.verified is Verification.NOT_YET
    if unsure and before.stable_rs:
        return f"S3: {after.stable_rs} would become stable before the load balancer knows its pods"
    return None


def _switches_too_early(seen: Observed, strategy: BlueGreenStrategy, action: SwitchService) -> str | None:
    """S4: forward only to a whole version that the preview Service lists; back to a stable one with a pod; nowhere else."""
    service = find_service(seen, strategy.active_service)
    held = "" if service is None else selects(service)
    if action.pod_hash == held:
        return None
    revisions = find_revisions(seen)
    target = _of_hash(seen, action.pod_hash)
    ready = 0 if target is None else min(target.status.available_replicas, target.spec.replicas)
    if target is not None and action.pod_hash == revisions.stable_hash:
        need = max(1, target.spec.replicas) if not held else 1
        return None if ready >= need else f"S4: the active Service would go back to {action.pod_hash} with {ready} of {need} pods"
    if target is None or action.pod_hash != revisions.pod_hash:
        return f"S4: the active Service would select {action.pod_hash}, which is neither the new version nor the stable one"
    status = seen.rollout.status
    if status.abort and status.current_pod_hash == action.pod_hash and revisions.stable_hash:
        return f"S4: the active Service would go forward to {action.pod_hash}, which was aborted"
    wanted = defaults.replicas(seen.rollout.spec)
    if target.spec.replicas != wanted or ready < wanted:
        return f"S4: the active Service would go forward to {action.pod_hash} with {ready} of {wanted} pods"
    return _unlisted(seen, strategy, action.pod_hash, wanted)


def _unlisted(seen: Observed, strategy: BlueGreenStrategy, pod_hash: str, wanted: int) -> str | None:
    preview = find_service(seen, strategy.preview_service)
    listed = seen.endpoints.get(strategy.preview_service)
    if preview is None or listed is None or wanted == 0:
        return None
    if selects(preview) == pod_hash and listed.get(pod_hash, 0) >= wanted:
        return None
    return (
        f"S4: the active Service would go forward to {pod_hash}, of which the preview Service lists {listed.get(pod_hash, 0)} of {wanted}"
    )


def _takes_pods_from_under_traffic(seen: Observed, strategy: BlueGreenStrategy, plan: Plan, action: UpdateReplicaSet) -> str | None:
    """S3: the version behind the active Service, and the one it leaves in this pass, keep their pods."""
    rs = next((one for one in seen.replica_sets if one.metadata.name == action.name), None)
    if rs is None or action.replicas is None:
        return None
    service = find_service(seen, strategy.active_service)
    held = "" if service is None else selects(service)
    floor = min(action.before, defaults.replicas(seen.rollout.spec))
    if hash_of(rs) in {held, _active_after(seen, strategy, plan)} - {""} and action.replicas < floor:
        return f"S3: {action.name} would have {action.replicas} pods while the active Service selects it"
    return None


def _active_after(seen: Observed, strategy: BlueGreenStrategy, plan: Plan) -> str:
    moved = [action.pod_hash for action in plan.actions if isinstance(action, SwitchService) and action.name == strategy.active_service]
    service = find_service(seen, strategy.active_service)
    return moved[-1] if moved else "" if service is None else selects(service)


def _of_hash(seen: Observed, pod_hash: str) -> ReplicaSet | None:
    return next((rs for rs in seen.replica_sets if hash_of(rs) == pod_hash), None)
