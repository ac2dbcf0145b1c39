"""How does an attempt end, whatever the strategy?"""

from datetime import datetime
from typing import Protocol

import msgspec

from tiphys.api import words
from tiphys.api.meta import whole_seconds
from tiphys.api.status import RolloutStatus
from tiphys.api.workloads import ReplicaSet
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions, goes_back


class Attempt(Protocol):
    """What is known of an update: see `tiphys.core.position.Position` and `tiphys.core.bluegreen_situation.BlueGreen`."""

    @property
    def promoted(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def promote_full(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def fast(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def aborted(self) -> bool: ...  # noqa: D102 - see the class
    @property
    def superseded(self) -> bool: ...  # noqa: D102 - see the class


def completion_of(seen: Observed, revisions: Revisions, attempt: Attempt, *, becomes_stable: bool) -> str:
    """Name how *attempt* ends in this pass (lifecycle 2.6), or nothing while it goes on."""
    stored = seen.rollout.status
    if becomes_stable:
        if attempt.fast:
            return "FastRolledBack"
        return "FastPromoted" if attempt.promote_full else "Promoted"
    if attempt.aborted and stored.aborted_at is None:
        return "Aborted"
    if attempt.promoted and stored.current_pod_hash != revisions.pod_hash:
        return "FastRolledBack"
    running = stored.duration is not None and stored.duration.finished_at is None
    if attempt.superseded and running and goes_back(revisions):
        return "FastRolledBack" if attempt.fast else "RolledBack"
    return "Superseded" if attempt.superseded else ""


def given_up(draft: RolloutStatus, at: datetime, *, step: int | None) -> RolloutStatus:
    """Give *draft* as the controller aborts: back at *step*, without a pause and without a person's promotion."""
    return msgspec.structs.replace(
        draft,
        abort=True,
        aborted_at=whole_seconds(at),
        current_step_index=step,
        pause_conditions=(),
        controller_pause=False,
        promote_full=False,
    )


def timeout_text(seen: Observed, new: ReplicaSet | None, *, unverified: str = "") -> str:
    """Say what has stood still for too long; *unverified* is what the verifier said last, where it has not confirmed."""
    kind, name = ("Rollout", seen.rollout.metadata.name) if new is None else ("ReplicaSet", new.metadata.name)
    return words.timed_out(kind, name, unverified=unverified)


def soonest(*times: datetime | None) -> datetime | None:
    """Give the first of *times*, if there is any."""
    return min((time for time in times if time is not None), default=None)
