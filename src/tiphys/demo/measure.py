"""What share did each weight really get? (pure)"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.demo.load import Answer

DEVIATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    A time in which the proxy acted upon one weight (percent): from *begin* to *end*, monotonic seconds.

    *step* is the index of the step that asked for it, nothing while no update is under way; *stable* the hash that counts as not
    canary. *reloads* says how often a proxy whose shares are exact began to count anew meanwhile; nothing where each request is a
    random choice.
    """

    step: int | None
    wanted: int
    stable: str
    begin: float
    end: float
    reloads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    What the canary got of the *requests* that began and ended inside one window (percent).

    *slack* is by how many requests an exact share may be off; nothing where each request was a random choice.
    """

    index: int
    wanted: int
    measured: float
    requests: int
    router: str = ""
    slack: int | None = None

    @property
    def allowed(self) -> float:
        """How far (in points) the share may be off: by the slack, or by four standard deviations of a random choice."""
        if not self.requests or self.wanted in {0, 100}:
            return 0.0
        if self.slack is not None:
            return 100 * self.slack / self.requests
        chance = self.wanted / 100
        return DEVIATIONS * math.sqrt(chance * (1 - chance) / self.requests) * 100

    @property
    def within_bounds(self) -> bool:
        """Whether the share can be what was wanted."""
        return abs(self.measured - self.wanted) <= self.allowed + 1e-9


def share(window: Window, answers: Sequence[Answer], *, router: str = "") -> Share:
    """
    Measure one window: only requests that lie wholly inside it count.

    An exact proxy deals requests out in turn. The count of requests in a row is off by less than one; each reload may cost another one, and
    so does each request that was under way when the window began or ended: it took somebody's turn and does not count.
    """
    inside = [answer for answer in answers if answer.pod_hash and answer.sent >= window.begin and answer.answered <= window.end]
    canary = sum(1 for answer in inside if answer.pod_hash != window.stable)
    measured = 100 * canary / len(inside) if inside else 0.0
    slack = None
    if window.reloads is not None:
        slack = 1 + window.reloads + sum(_under_way(answers, at) for at in (window.begin, window.end))
    return Share(index=window.step or 0, wanted=window.wanted, measured=measured, requests=len(inside), router=router, slack=slack)


def _under_way(answers: Sequence[Answer], at: float) -> int:
    return sum(answer.sent < at < answer.answered for answer in answers)


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
