"""What share did each weight really get? (pure)"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tiphys.demo.load import Answer

DEVIATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    A time in which the proxy acted upon one weight (percent): from *begin* to *end*, monotonic seconds.

    *step* is the index of the step that asked for it, nothing while no update is under way; *stable* the hash that counts as not
    canary.
    """

    step: int | None
    wanted: int
    stable: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What the canary got of the *requests* that began and ended inside one window (percent)."""

    index: int
    wanted: int
    measured: float
    requests: int

    @property
    def allowed(self) -> float:
        """How far (in points) chance alone may take the share: four standard deviations of a random choice."""
        if not self.requests:
            return 0.0
        chance = self.wanted / 100
        return DEVIATIONS * math.sqrt(chance * (1 - chance) / self.requests) * 100

    @property
    def within_bounds(self) -> bool:
        """Whether the share can be what was wanted."""
        return abs(self.measured - self.wanted) <= self.allowed + 1e-9


def share(window: Window, answers: Iterable[Answer]) -> Share:
    """Measure one window: only requests that lie wholly inside it count."""
    inside = [answer for answer in answers if answer.pod_hash and answer.sent >= window.begin and answer.answered <= window.end]
    canary = sum(1 for answer in inside if answer.pod_hash != window.stable)
    measured = 100 * canary / len(inside) if inside else 0.0
    return Share(index=window.step or 0, wanted=window.wanted, measured=measured, requests=len(inside))


def rolling(answers: Sequence[Answer], windows: Sequence[Window], *, since: float, width: float) -> list[tuple[float, float]]:
    """Give the canary's share (percent) in slices of *width* seconds, as points of (seconds since *since*, share)."""
    points: list[tuple[float, float]] = []
    buckets: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.pod_hash:
            buckets.setdefault(int((answer.sent - since) / width), []).append(answer)
    for bucket, inside in sorted(buckets.items()):
        middle = since + (bucket + 0.5) * width
        window = next((window for window in windows if window.begin <= middle <= window.end), None)
        stable = window.stable if window is not None else inside[-1].pod_hash
        points.append((middle - since, 100 * sum(answer.pod_hash != stable for answer in inside) / len(inside)))
    return points
