"""Does the traffic do what the routes say, and what was answered last?"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tiphys.api.rollout import Rollout
from tiphys.api.words import Reason
from tiphys.cli.family import Family, ShownEvent

_TELLING: Final = frozenset(
    {Reason.WEIGHT_VERIFY_ERROR, Reason.TARGET_GROUP_UNVERIFIED, Reason.TARGET_GROUP_VERIFY_ERROR, Reason.LOAD_BALANCER_NOT_FOUND}
)
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)


class Verdict(NamedTuple):
    """Whether it is verified, and why not, as far as an event tells."""

    verified: bool
    detail: str

    def __str__(self) -> str:
        if self.verified:
            return "yes"
        return f"no: {self.detail}" if self.detail else "no"


def unverified(rollout: Rollout) -> bool:
    """Tell whether somebody says *not yet*."""
    weights = rollout.status.canary.weights
    return weights is not None and weights.verified is False


def verdict(family: Family) -> Verdict | None:
    """Give what verification says of the traffic; nothing where nobody can know."""
    weights = family.rollout.status.canary.weights
    if weights is None or weights.verified is None:
        return None
    duration = family.rollout.status.duration
    since = duration.rollout_started_at if duration is not None else None
    return Verdict(weights.verified, "" if weights.verified else _last(family.events, since or _LONG_AGO))


def _last(events: Iterable[ShownEvent], since: datetime) -> str:
    """Give the last of the telling *events*, of this update: what was told before it is no answer any more."""
    told = [(event.last_timestamp or _LONG_AGO, event.message) for event in events if event.reason in _TELLING]
    return max((message for message in told if message[0] >= since), default=(since, ""))[1]
