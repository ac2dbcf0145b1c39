"""Which ReplicaSet is stable, which is canary, which are left over?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tiphys.api import defaults, names, words
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Metadata
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import UNMARKED, Action, CreateReplicaSet, DeleteReplicaSet, Event, UpdateRollout
from tiphys.core.observed import Observed

_NOT_COPIED = frozenset(
    {
        names.LAST_APPLIED,
        names.REVISION,
        names.REVISION_HISTORY,
        names.DESIRED_REPLICAS,
        names.NOTIFIED,
        names.ROUTED_BY,
        names.RUNS_COUNT_AFTER,
        names.ON_DELETE,
        names.TEMPLATE_DIGEST,
        names.SCALE_DOWN_DEADLINE,
        names.EPHEMERAL_METADATA,
        names.HIDDEN_METADATA,
        names.PODS_METADATA,
    }
)
"""Annotations of a Rollout that its ReplicaSets do not get (lifecycle 3.6)."""

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """
    The Rollout's ReplicaSets by role.

    *new* carries the current pod template; *stable* the hash of `status.stableRS`; both can be the same object. *others* are the
    rest, newest revision first. *pod_hash* is the hash label of *new*, or what it will be.
    """

    new: ReplicaSet | None
    stable: ReplicaSet | None
    others: tuple[ReplicaSet, ...]
    pod_hash: str
    stable_hash: str
    revision: int

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        """Every ReplicaSet of the Rollout, once."""
        first = tuple(rs for rs in (self.new, self.stable) if rs is not None)
        return (*(first[:1] if self.new is self.stable else first), *self.others)


def find_revisions(seen: Observed) -> Revisions:
    """Give each ReplicaSet its role (lifecycle 3.4; S10: recognised, never renamed)."""
    status = seen.rollout.status
    new = _carrier(seen)
    pod_hash = hash_of(new) if new is not None else seen.identity.pod_hash
    stable = next((rs for rs in seen.replica_sets if status.stable_rs and hash_of(rs) == status.stable_rs), None)
    if new is not None and stable is not None and new.metadata.name == stable.metadata.name:
        stable = new
    others = [rs for rs in seen.replica_sets if rs is not new and rs is not stable]
    others.sort(key=lambda rs: (names.revision(rs.metadata.annotations), rs.metadata.name), reverse=True)
    return Revisions(
        new=new,
        stable=stable,
        others=tuple(others),
        pod_hash=pod_hash,
        stable_hash=status.stable_rs,
        revision=_revision(new, seen.replica_sets),
    )


def hash_of(replica_set: ReplicaSet) -> str:
    """Give a ReplicaSet's pod-template hash, an opaque label (12.1)."""
    return names.pod_hash(replica_set.metadata.labels)


def _carrier(seen: Observed) -> ReplicaSet | None:
    """Find the ReplicaSet of the current template: by any known hash form first, then by equal template."""
    known = {seen.identity.pod_hash, *seen.identity.known}
    by_hash = [rs for rs in seen.replica_sets if hash_of(rs) in known]
    found = by_hash or [rs for rs in seen.replica_sets if rs.metadata.name in seen.identity.equal]
    if len(found) < 2:
        return found[0] if found else None
    status = seen.rollout.status
    preferred = (status.current_pod_hash, status.stable_rs)
    return min(found, key=lambda rs: (_rank(hash_of(rs), preferred), _born(rs), rs.metadata.name))


def _rank(pod_hash: str, preferred: tuple[str, ...]) -> int:
    return preferred.index(pod_hash) if pod_hash in preferred else len(preferred)


def _revision(new: ReplicaSet | None, replica_sets: tuple[ReplicaSet, ...]) -> int:
    """One more than every older revision, and never lowered (lifecycle 3.3)."""
    older = max((names.revision(rs.metadata.annotations) for rs in replica_sets if rs is not new), default=0)
    own = names.revision(new.metadata.annotations) if new is not None else 0
    return max(own, older + 1)


def inside_window(seen: Observed, revisions: Revisions) -> bool:
    """
    Tell whether the current template goes back to a version inside `rollbackWindow` (lifecycle 6.8).

    Fewer than `revisions` ReplicaSets stand strictly between it and stable, by their revision numbers and by their creation: a version
    that came back stands where it came back (12.3), and one that was tried again and given up does not move closer.
    """
    window = seen.rollout.spec.rollback_window
    new, stable = revisions.new, revisions.stable
    if window is None or window.revisions <= 0 or new is None or stable is None or not goes_back(revisions):
        return False
    since, until = _born(new), _born(stable)
    created = sum(1 for rs in seen.replica_sets if since < _born(rs) < until)
    low, high = sorted((_revision_before(new, revisions), names.revision(stable.metadata.annotations)))
    revised = sum(1 for rs in seen.replica_sets if rs is not new and low < names.revision(rs.metadata.annotations) < high)
    return max(created, revised) < window.revisions


def _revision_before(new: ReplicaSet, revisions: Revisions) -> int:
    """Give the revision that the ReplicaSet of the current template had before this attempt gave it the highest."""
    own = names.revision(new.metadata.annotations)
    return own if own != revisions.revision else names.earlier_revision(new.metadata.annotations)


def goes_back(revisions: Revisions) -> bool:
    """Tell whether the current template is an older one than stable (lifecycle 6.8)."""
    new, stable = revisions.new, revisions.stable
    return new is not None and stable is not None and _born(new) < _born(stable)


def _born(replica_set: ReplicaSet) -> datetime:
    return replica_set.metadata.creation_timestamp or _EARLIEST


def create_new(
    seen: Observed,
    revisions: Revisions,
    replicas: int,
    *,
    metadata: Metadata = UNMARKED,
    recorded: Mapping[str, str] | None = None,
    affinity: Manifest | None = None,
) -> CreateReplicaSet:
    """
    Order the ReplicaSet of a template nobody has yet, with 0 pods (lifecycle 3.5).

    *metadata* and *affinity* go into its template (3.9, 3.12), *recorded* tells of the former in its annotations.
    """
    rollout = seen.rollout
    name = names.replica_set(rollout.metadata.name, revisions.pod_hash)
    return CreateReplicaSet(
        name=name,
        pod_hash=revisions.pod_hash,
        annotations={
            **_copied(rollout.metadata.annotations),
            names.REVISION: str(revisions.revision),
            names.DESIRED_REPLICAS: str(replicas),
            names.TEMPLATE_DIGEST: seen.identity.digest,
            **(recorded or {}),
        },
        metadata=metadata,
        affinity=affinity,
        min_ready_seconds=rollout.spec.min_ready_seconds,
        event=Event(reason=words.Reason.NEW_REPLICA_SET_CREATED, message=words.created_event(name, revisions.revision)),
    )


def new_annotations(seen: Observed, revisions: Revisions) -> dict[str, str | None]:
    """Name the annotations of the new ReplicaSet that have to change (lifecycle 3.6)."""
    new = revisions.new
    if new is None:
        return {}
    have = new.metadata.annotations
    want = _copied(seen.rollout.metadata.annotations)
    had = names.revision(have)
    if had != revisions.revision:
        want[names.REVISION] = str(revisions.revision)
        if had:
            want[names.REVISION_HISTORY] = ",".join(part for part in (have.get(names.REVISION_HISTORY, ""), str(had)) if part)
    return {key: value for key, value in want.items() if have.get(key) != value}


def note_revision(seen: Observed, revisions: Revisions) -> UpdateRollout | None:
    """Copy the new ReplicaSet's revision to the Rollout, where it differs."""
    if names.revision(seen.rollout.metadata.annotations) == revisions.revision:
        return None
    return UpdateRollout(
        annotations={names.REVISION: str(revisions.revision)},
        event=Event(reason=words.Reason.ROLLOUT_UPDATED, message=words.updated_to(revisions.revision)),
    )


def forget_old(seen: Observed, revisions: Revisions) -> tuple[Action, ...]:
    """Delete empty ReplicaSets beyond the history limit, oldest first (lifecycle 3.8)."""
    limit = defaults.revision_history_limit(seen.rollout.spec)
    candidates = [rs for rs in revisions.others if rs.metadata.deletion_timestamp is None]
    surplus = len(candidates) - limit
    if surplus <= 0:
        return ()
    candidates.sort(key=lambda rs: (_born(rs), rs.metadata.name))
    return tuple(DeleteReplicaSet(name=rs.metadata.name) for rs in candidates[:surplus] if _empty(rs))


def _empty(replica_set: ReplicaSet) -> bool:
    return (
        replica_set.spec.replicas == 0
        and replica_set.status.replicas == 0
        and replica_set.status.observed_generation >= replica_set.metadata.generation
    )


def _copied(annotations: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key not in _NOT_COPIED}
