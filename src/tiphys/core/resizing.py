"""Which writes give every ReplicaSet its size, its deadline and its annotations?"""

from collections.abc import Sequence

from tiphys.api import names, words
from tiphys.api.meta import wire_time
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Event, UpdateReplicaSet
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions, new_annotations
from tiphys.core.sizing import Sizing
from tiphys.core.templates import Changes


def resize(seen: Observed, revisions: Revisions, sizings: Sequence[Sizing], *, replicas: int, changes: Changes) -> list[UpdateReplicaSet]:
    """
    Fold size, deadline, annotations, minReadySeconds and *changes* of each ReplicaSet into at most one write.

    *replicas* is what the spec wants.
    """
    by_name = {sizing.name: sizing for sizing in sizings}
    writes: list[UpdateReplicaSet] = []
    for rs in revisions.all:
        sizing = by_name.get(rs.metadata.name, Sizing(name=rs.metadata.name, pods=rs.spec.replicas))
        write = _write(seen, revisions, rs, sizing, replicas=replicas, changes=changes)
        if write is not None:
            writes.append(write)
    return writes


def growing_first(resizing: Sequence[UpdateReplicaSet]) -> tuple[list[UpdateReplicaSet], list[UpdateReplicaSet]]:
    """Part what grows from everything else: pods come before selectors and routes move, and go after."""
    growing = [action for action in resizing if action.replicas is not None and action.replicas > action.before]
    return growing, [action for action in resizing if action not in growing]


def timed_first(resizing: Sequence[UpdateReplicaSet]) -> tuple[list[UpdateReplicaSet], list[UpdateReplicaSet]]:
    """Part what gets a deadline, and keeps its pods until then, from everything else."""
    timed = [action for action in resizing if action.replicas is None and action.annotations.get(names.SCALE_DOWN_DEADLINE) is not None]
    return timed, [action for action in resizing if action not in timed]


def _write(
    seen: Observed, revisions: Revisions, rs: ReplicaSet, sizing: Sizing, *, replicas: int, changes: Changes
) -> UpdateReplicaSet | None:
    marking = changes.marking
    annotations: dict[str, str | None] = dict(marking.annotations.get(rs.metadata.name, {}))
    metadata = marking.templates.get(rs.metadata.name)
    affinity = changes.affinity if rs is revisions.new else None
    if rs is revisions.new:
        annotations.update(new_annotations(seen, revisions))
    resized = sizing.pods != rs.spec.replicas
    current = rs is revisions.new or rs is revisions.stable
    if (current or resized) and names.desired_replicas(rs.metadata.annotations) != replicas:
        annotations[names.DESIRED_REPLICAS] = str(replicas)
    if sizing.deadline is not None:
        annotations[names.SCALE_DOWN_DEADLINE] = wire_time(sizing.deadline)
    elif sizing.clear and names.SCALE_DOWN_DEADLINE in rs.metadata.annotations:
        annotations[names.SCALE_DOWN_DEADLINE] = None
    wanted_ready = seen.rollout.spec.min_ready_seconds
    ready_changed = rs is revisions.new and rs.spec.min_ready_seconds != wanted_ready
    if not (annotations or resized or ready_changed or metadata or affinity):
        return None
    return UpdateReplicaSet(
        name=rs.metadata.name,
        before=rs.spec.replicas,
        replicas=sizing.pods if resized else None,
        annotations=annotations,
        min_ready_seconds=wanted_ready if ready_changed else None,
        metadata=metadata,
        affinity=affinity,
        event=_scaled_event(revisions, rs, sizing) if resized else None,
    )


def _scaled_event(revisions: Revisions, rs: ReplicaSet, sizing: Sizing) -> Event:
    revision = revisions.revision if rs is revisions.new else names.revision(rs.metadata.annotations)
    message = words.scaled(rs.metadata.name, revision, before=rs.spec.replicas, after=sizing.pods)
    return Event(reason=words.Reason.SCALING_REPLICA_SET, message=message)
