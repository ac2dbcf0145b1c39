"""What should become of the size of one ReplicaSet, and how long does one stay that nobody wants any more?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tiphys.api import names
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Because, Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """
    What one ReplicaSet should have after this pass.

    *deadline* is the time to write as `scale-down-deadline`, *clear* says that a written one goes away; *because* tells why pods that
    are not wanted any more stay, and until when.
    """

    name: str
    pods: int
    deadline: datetime | None = None
    clear: bool = False
    because: Because | None = None


def serving(replica_set: ReplicaSet, pods: int) -> Sizing:
    """Give a ReplicaSet that is wanted *pods*, and no deadline."""
    return Sizing(name=replica_set.metadata.name, pods=pods, clear=names.SCALE_DOWN_DEADLINE in replica_set.metadata.annotations)


def by_deadline(replica_set: ReplicaSet, at: datetime, delay: int, *, to: int = 0, doubt: Because | None = None) -> Sizing:
    """
    Write a deadline *delay* seconds from *at*, wait for it, or let go of all pods above *to*: in that order (lifecycle 3.13).

    A deadline that cannot be read has passed. Nothing goes while there is a *doubt* that the data plane has let go (S3).
    """
    name, size = replica_set.metadata.name, replica_set.spec.replicas
    annotations = replica_set.metadata.annotations
    deadline = names.scale_down_deadline(annotations)
    if names.SCALE_DOWN_DEADLINE not in annotations and delay > 0:
        until = at + timedelta(seconds=delay)
        until = until.replace(microsecond=0) + (timedelta(seconds=1) if until.microsecond else timedelta())
        return Sizing(name=name, pods=size, deadline=until, because=keeps(name, Why.SCALE_DOWN_DELAY, f"{to} pods", f"{size}", until))
    if deadline is not None and deadline > at:
        return Sizing(name=name, pods=size, because=keeps(name, Why.SCALE_DOWN_DELAY, f"{to} pods", f"{size}", deadline))
    if doubt is not None:
        return Sizing(name=name, pods=size, because=doubt)
    return Sizing(name=name, pods=to, clear=True)


def keeps(name: str, why: Why, wanted: str, found: str, look_at: datetime | None = None) -> Because:
    """Say why the ReplicaSet *name* keeps its pods."""
    return Because(why=why, object=f"ReplicaSet {name}", wanted=wanted, found=found, look_at=look_at)
