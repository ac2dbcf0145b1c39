"""What do all questions about a blue-green Rollout share?"""

from dataclasses import dataclass
from datetime import datetime

from tiphys.api import defaults, names
from tiphys.api.rollout import BlueGreenStrategy
from tiphys.api.status import PauseCondition
from tiphys.api.workloads import ReplicaSet
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions, find_revisions, hash_of, inside_window
from tiphys.core.runs import counting_from, inconclusive, taken_back
from tiphys.core.slots import find_service, selects


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueGreen:
    """
    The picture with the first questions answered: who is who, what the Services select, how the update stands.

    *active* and *preview* are the hashes that the two Services select: empty where one selects none, nothing where there is no such
    Service. *promoted* means that the current template is the stable one, *fresh* that there is no stable version yet. *fast* tells
    that the way leads back to a version that needs no pause and no analysis (lifecycle 6.8); *started* that an attempt begins in this
    pass, *superseded* that it replaces one that had not ended. Of an abort and a promote-full the abort counts (12.3). AnalysisRuns that
    were made up to *runs_since* count no more.
    """

    seen: Observed
    strategy: BlueGreenStrategy
    revisions: Revisions
    replicas: int
    active: str | None
    preview: str | None
    promoted: bool
    fresh: bool
    aborted: bool
    promote_full: bool
    fast: bool
    started: bool
    superseded: bool
    checkpoint: bool
    pauses: tuple[PauseCondition, ...]
    controller_pause: bool
    runs_since: datetime | None = None

    @property
    def forward(self) -> bool:
        """Whether an update is on its way: neither aborted nor promoted nor before a first stable version."""
        return not (self.promoted or self.fresh or self.aborted)

    @property
    def halted(self) -> bool:
        """Whether a person or an inconclusive analysis stopped all progress; promote-full outranks it (12.3 #2648)."""
        return (self.seen.rollout.spec.paused or inconclusive(self.pauses)) and not self.promote_full

    @property
    def cut_over(self) -> bool:
        """Whether the active Service selects the new version."""
        return bool(self.active) and self.active == self.revisions.pod_hash

    @property
    def gated(self) -> bool:
        """Whether the new version has to pass the pause and the analysis before the active Service moves."""
        return self.forward and not (self.fast or self.promote_full or self.cut_over)

    @property
    def new_size(self) -> int:
        """Give the pods that the new version should have, aborts aside (lifecycle 7.2)."""
        preview = self.strategy.preview_replica_count
        nobody_active = not any(self.active and hash_of(rs) == self.active for rs in self.revisions.all)
        if preview is None or not self.gated or nobody_active:
            return self.replicas
        if self.checkpoint and not self.pauses and not self.seen.rollout.spec.paused:
            return self.replicas
        return preview


def find_blue_green(seen: Observed, strategy: BlueGreenStrategy) -> BlueGreen:
    """Answer the first questions of a blue-green pass; a new template resets what the last attempt left (lifecycle 6.6, 3.11)."""
    status = seen.rollout.status
    revisions = find_revisions(seen)
    changed = bool(status.current_pod_hash) and status.current_pod_hash != revisions.pod_hash
    promoted = bool(revisions.stable_hash) and revisions.stable_hash == revisions.pod_hash
    fresh = not revisions.stable_hash
    aborted = status.abort and not (changed or promoted or fresh)
    under_way = not (changed or aborted or promoted or fresh)
    return BlueGreen(
        seen=seen,
        strategy=strategy,
        revisions=revisions,
        replicas=defaults.replicas(seen.rollout.spec),
        active=_selected(seen, strategy.active_service),
        preview=_selected(seen, strategy.preview_service),
        promoted=promoted,
        fresh=fresh,
        aborted=aborted,
        promote_full=status.promote_full and under_way,
        fast=not (aborted or promoted or fresh) and _goes_back(seen, revisions),
        started=changed,
        superseded=changed and bool(status.stable_rs) and status.stable_rs != status.current_pod_hash and not promoted,
        checkpoint=status.blue_green.scale_up_preview_check_point and under_way,
        pauses=status.pause_conditions if under_way and not status.promote_full else (),
        controller_pause=status.controller_pause and under_way,
        runs_since=counting_from(seen, revisions.pod_hash, anew=changed or taken_back(status)),
    )


def saturated(replica_set: ReplicaSet | None, pods: int) -> bool:
    """Tell whether a ReplicaSet has exactly *pods*, all of them available."""
    return replica_set is not None and replica_set.spec.replicas == pods and replica_set.status.available_replicas >= pods


def _goes_back(seen: Observed, revisions: Revisions) -> bool:
    """Whether the way leads back to a version inside `rollbackWindow`, or to an older one whose pods are kept by their delay (6.8)."""
    if inside_window(seen, revisions):
        return True
    new, stable = revisions.new, revisions.stable
    if new is None or stable is None or new.metadata.creation_timestamp is None or stable.metadata.creation_timestamp is None:
        return False
    deadline = names.scale_down_deadline(new.metadata.annotations)
    older = new.metadata.creation_timestamp < stable.metadata.creation_timestamp
    return older and deadline is not None and deadline > seen.now


def _selected(seen: Observed, service: str) -> str | None:
    found = find_service(seen, service)
    return None if found is None else selects(found)
