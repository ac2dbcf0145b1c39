"""Which transition does a request serve, in a few words for the ledger?"""

from typing import assert_never

from tiphys.api.status import RolloutStatus
from tiphys.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    EndRun,
    EvictPod,
    LabelPod,
    RouteTraffic,
    ScaleWorkload,
    SwitchService,
    UpdateReplicaSet,
    UpdateRollout,
)
from tiphys.core.intent import Role, TrafficIntent
from tiphys.core.observed import Observed

_MOST_NAMED = 4


def of_action(action: Action, seen: Observed) -> str:
    """Say what *action* is for, and at which step of the Rollout."""
    at = _where(seen.rollout.status)
    match action:
        case CreateReplicaSet(name=name):
            return f"create ReplicaSet {name}{at}"
        case UpdateReplicaSet():
            return f"ReplicaSet {action.name}: {_changed(action)}{at}"
        case DeleteReplicaSet(name=name):
            return f"delete ReplicaSet {name} beyond the history limit{at}"
        case UpdateRollout(annotations=annotations, replicas=replicas, finalizers=finalizers):
            parts = [f"{key.rpartition('/')[2]} {value}" for key, value in annotations.items()]
            parts += [f"replicas {replicas}"] if replicas is not None else []
            parts += [f"finalizers {', '.join(finalizers) or 'none'}"] if finalizers is not None else []
            return f"Rollout: {', '.join(parts)}{at}"
        case SwitchService(name=name, before=before, pod_hash=pod_hash):
            return f"Service {name} from {before or 'no hash'} to {pod_hash}{at}"
        case ScaleWorkload(kind=kind, name=name, before=before, replicas=replicas):
            why = "which the Rollout's own replace" if replicas < before else "because the Rollout is being deleted"
            return f"{kind} {name}: from {before} to {replicas} pods, {why}"
        case LabelPod(name=name, change=change):
            return f"pod {name}: {', '.join([*change.labels, *change.annotations])}{at}"
        case EvictPod(name=name):
            return f"restart pod {name}"
        case EndRun(name=name):
            return f"end AnalysisRun {name}, which nobody rests on any more{at}"
        case RouteTraffic(wish=wish):
            return f"{of_wish(wish)}{at}"
        case _:
            assert_never(action)


def _changed(action: UpdateReplicaSet) -> str:
    before, replicas = action.before, action.replicas
    parts = [f"from {before} to {replicas} pods"] if replicas is not None and replicas != before else []
    parts += [key.rpartition("/")[2] for key in action.annotations]
    parts += ["minReadySeconds"] if action.min_ready_seconds is not None else []
    parts += ["metadata of its pods"] if action.metadata is not None else []
    parts += ["affinity of its pods"] if action.affinity is not None else []
    return ", ".join(parts)


def of_wish(wish: TrafficIntent) -> str:
    """Say what *wish* wants, in a few words."""
    routes = [route.name for route in wish.header_routes] + [route.name for route in wish.mirrors]
    extra = f" and routes {', '.join(routes)}" if routes else ""
    return f"route {wish.weight(Role.CANARY)} of {wish.maximum} to the canary{extra}"


def of_status(before: RolloutStatus, after: RolloutStatus) -> str:
    """Say what a status write tells: the step and the phase if they change, else the names of the fields."""
    parts = []
    if before.current_step_index != after.current_step_index:
        parts.append(f"step {_shown(before.current_step_index)} to {_shown(after.current_step_index)}")
    if before.phase != after.phase:
        parts.append(f"phase {_shown(before.phase)} to {_shown(after.phase)}")
    if before.stable_rs != after.stable_rs:
        parts.append(f"stable {_shown(before.stable_rs)} to {_shown(after.stable_rs)}")
    rest = [
        name
        for name in before.__struct_fields__
        if name not in {"current_step_index", "phase", "stable_rs"} and getattr(before, name) != getattr(after, name)
    ]
    shown = rest if len(rest) <= _MOST_NAMED else [*rest[:_MOST_NAMED], f"{len(rest) - _MOST_NAMED} more"]
    return f"status: {', '.join([*parts, *shown])}"


def _where(status: RolloutStatus) -> str:
    return "" if status.current_step_index is None else f" (at step {status.current_step_index})"


def _shown(value: object) -> str:
    return "none" if value in {None, ""} else str(value)
