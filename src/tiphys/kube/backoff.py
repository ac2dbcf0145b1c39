"""How long do we wait after a failure?"""

from random import Random

from tiphys.kube.clock import Clock

FIRST = 0.8
LONGEST = 30.0
FORGOTTEN_AFTER = 120.0


class Backoff:
    """
    Waiting times that double from 0.8 s to 30 s, and begin again after two minutes without a failure.

    Each is somewhere between the half and the whole, so that the clients of a server that comes back do not all come at once.
    """

    def __init__(self, clock: Clock, random: Random, *, first: float = FIRST, longest: float = LONGEST) -> None:
        self._clock = clock
        self._random = random
        self._first = first
        self._longest = longest
        self._failures = 0
        self._failed_at = 0.0

    def after_failure(self) -> float:
        """Give the seconds to wait after the failure that is now."""
        now = self._clock.monotonic()
        if now - self._failed_at > FORGOTTEN_AFTER:
            self._failures = 0
        whole = min(self._longest, self._first * 2.0 ** min(self._failures + 1, 30))
        self._failures += 1
        pause = max(self._first, whole * self._random.uniform(0.5, 1.0))
        # The wait itself is no time without failures.
        self._failed_at = now + pause
        return pause
