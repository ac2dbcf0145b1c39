"""Does a pod's process run, wait for its next start, or has it ended for good? (pure)"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tiphys.devcluster.behaviour import Behaviour

_FIRST_WAIT, _LONGEST_WAIT = 10.0, 300.0
"""Seconds before the second and before a late start anew, as a kubelet waits; the first start anew is at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    Where a process is in its life.

    *restarts* counts its starts after the first. It runs, or waits, since *since*; *until* is when that changes by itself, None for never.
    """

    since: datetime
    until: datetime | None
    restarts: int = 0
    waits: bool = False
    ended: bool = False
    """It is over: nobody starts it again."""


def stage_of(behaviour: Behaviour, policy: str, started: datetime, now: datetime) -> Stage:
    """Give the stage at *now* of a process that first started at *started*; *policy* is the pod's restartPolicy."""
    if behaviour.ends_after is None:
        return Stage(since=started, until=None)
    life, begun, restarts = timedelta(seconds=behaviour.ends_after), started, 0
    again = policy == "Always" or (policy == "OnFailure" and behaviour.exit_code != 0)
    while True:
        end = begun + life
        if now < end:
            return Stage(since=begun, until=end, restarts=restarts)
        if not again:
            return Stage(since=end, until=None, restarts=restarts, ended=True)
        next_start = end + _wait(restarts)
        if now < next_start:
            return Stage(since=end, until=next_start, restarts=restarts, waits=True)
        begun, restarts = next_start, restarts + 1


def _wait(restarts: int) -> timedelta:
    if restarts == 0:
        return timedelta(0)
    return timedelta(seconds=min(_FIRST_WAIT * 2.0 ** min(restarts - 1, 10), _LONGEST_WAIT))
