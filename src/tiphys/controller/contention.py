"""Does somebody keep changing back what we write?"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.names import FIELD_MANAGER
from tiphys.core.intent import TrafficIntent
from tiphys.kube.codec import Manifest
from tiphys.kube.store import Key
from tiphys.traffic.router import Ref

OFTEN: Final = 5
"""So many times the same within a minute is no accident..."""
WITHIN: Final = 60.0
HOLD: Final = 0.2
"""...and is written no more often than after so many seconds: a rival that answers every write at once would keep us busy for ever."""

Said = TrafficIntent | str
"""What an object was made to say: a traffic wish, or the hash that a Service selects."""


@dataclass(slots=True)
class _Streak:
    said: Said
    times: deque[float] = field(default_factory=lambda: deque(maxlen=OFTEN))
    told: bool = False

    def contested(self, now: float) -> bool:
        return len(self.times) == OFTEN and now - self.times[0] <= WITHIN


class Contention:
    """
    Notices objects to which the same is written again and again, because somebody else writes them, too.

    It tells and slows down, and no decision depends on it: forgetting everything costs a later warning.
    """

    def __init__(self) -> None:
        self._streaks: dict[Key, dict[Ref, _Streak]] = {}

    def wrote(self, key: Key, ref: Ref, said: Said, now: float) -> bool:
        """Note that *ref* was made to say *said* at *now* (seconds); true if that is to be told: once for as long as it says the same."""
        streaks = self._streaks.setdefault(key, {})
        streak = streaks.get(ref)
        if streak is None or streak.said != said:
            streak = streaks[ref] = _Streak(said)
        streak.times.append(now)
        if streak.told or not streak.contested(now):
            return False
        streak.told = True
        return True

    def hot(self, key: Key, now: float) -> bool:
        """Tell whether a contested object of *key* was written just now."""
        return any(streak.contested(now) and now - streak.times[-1] < HOLD for streak in self._streaks.get(key, {}).values())

    def forget(self, key: Key) -> None:
        """Drop what was noted of a Rollout that is gone."""
        self._streaks.pop(key, None)


def rival(found: Manifest | None) -> str:
    """Name who else wrote an object last, by its field manager; the empty text where nobody is known."""
    entries = (found or {}).get("metadata", {}).get("managedFields") or ()
    others = [entry for entry in entries if entry.get("manager") != FIELD_MANAGER and not entry.get("subresource")]
    return str(max(others, key=lambda entry: str(entry.get("time", "")))["manager"]) if others else ""
