"""What did the products answer that have to be asked, and when is each of them asked again?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final, Protocol
from zlib import crc32

from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.kube.clock import Clock
from tiphys.kube.store import Key
from tiphys.traffic.router import Question

INTERVAL: Final = 10.0
AFRESH: Final = 0.2
"""Part of the interval that lies between two questions where the second is about objects that were written in between."""
LONGEST: Final = 12.0
"""The longest back-off after errors, in intervals."""
IDLE: Final = 60.0
"""Intervals after which an answer that nobody waits for is dropped."""


class AskError(TiphysError):
    """A product could not be asked, or its answer is none."""


Outcome = Manifest | AskError
Answered = Callable[[Outcome], None]


class Desk(Protocol):
    """Takes questions to whoever can answer them, in the background."""

    def begin(self, question: Question, answered: Answered) -> None:
        """Begin to ask, and call *answered* once, later: with the answer or with what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """
    What there is to judge from.

    *answers* are those that came to questions asked since the moment in question, by key; *missing* says, per question without one, who
    has not answered or what went wrong; *errors* are of these what went wrong. *at* is when the oldest of *answers* came.
    """

    answers: Mapping[str, Manifest]
    missing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(slots=True)
class _Asked:
    """One question: the last answer, how often it failed since, whether it is on its way, and which Rollouts wait for it."""

    waiting: set[Key] = field(default_factory=set)
    on_its_way: bool = False
    moment: int = 0
    ended: float = 0.0
    times: int = 0
    answer: Manifest | None = None
    answered: datetime | None = None
    error: str = ""
    failures: int = 0


class Inquiries:
    """
    Keeps the answers of products, by question, and asks what somebody waits for.

    A question is on its way at most once, whoever waits for it. Between two of them lies *interval* (seconds, with a spread that differs
    from question to question), less where objects were written in between, more after errors. Moments are counted, not measured: an
    answer speaks of what was written before its question began, and of nothing later. Losing all this only means to ask again.
    """

    def __init__(self, desk: Desk, clock: Clock, *, interval: float = INTERVAL) -> None:
        self._desk = desk
        self._clock = clock
        self._interval = interval
        self._moments = count(1)
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._waits_for: dict[Key, list[_Asked]] = {}
        self._tidied = clock.monotonic()
        self._tell: Callable[[Key], None] = _nobody

    def inform(self, tell: Callable[[Key], None]) -> None:
        """Call *tell* with each Rollout that an answer came for."""
        self._tell = tell

    def moment(self) -> int:
        """Give the present moment: later than every question that has begun so far."""
        return next(self._moments)

    def heard(self, questions: Iterable[Question], since: int) -> Heard:
        """Give the answers to those of *questions* that were asked after *since*."""
        answers: dict[str, Manifest] = {}
        missing: list[str] = []
        errors: list[str] = []
        times: list[datetime] = []
        for question in questions:
            known = self._asked.get(_identity(question), _Asked())
            if known.error:
                errors.append(f"{question.via}: {known.error}")
                missing.append(errors[-1])
            elif known.answer is None or known.answered is None or known.moment < since:
                missing.append(f"{question.via} has not answered yet")
            else:
                answers[question.key] = known.answer
                times.append(known.answered)
        return Heard(answers=answers, missing=tuple(missing), errors=tuple(errors), at=min(times, default=None))

    def want(self, key: Key, questions: Sequence[Question], since: int, *, patience: float = 1.0) -> datetime | None:
        """
        Let the Rollout *key* wait for new answers to *questions*, begin those that are due, and say when the next one is.

        *patience* stretches the interval. Nothing is given where all are on their way: their answers wake the Rollout.
        """
        self.rest(key)
        self._tidy()
        now = self._clock.monotonic()
        waits: list[float] = []
        for question in questions:
            asked = self._asked.setdefault(_identity(question), _Asked())
            asked.waiting.add(key)
            self._waits_for.setdefault(key, []).append(asked)
            if asked.on_its_way:
                continue
            due = asked.ended + self._pause(question, asked, since, patience)
            if asked.times and now < due:
                waits.append(due - now)
            else:
                self._begin(question, asked)
        return self._clock.now() + timedelta(seconds=min(waits)) if waits else None

    def rest(self, key: Key) -> None:
        """Let the Rollout *key* wait for nothing any more."""
        for asked in self._waits_for.pop(key, ()):
            asked.waiting.discard(key)

    def _begin(self, question: Question, asked: _Asked) -> None:
        asked.on_its_way = True
        begun = self.moment()

        def answered(outcome: Outcome) -> None:
            self._take(asked, begun, outcome)

        self._desk.begin(question, answered)

    def _take(self, asked: _Asked, begun: int, outcome: Outcome) -> None:
        asked.on_its_way = False
        asked.moment = begun
        asked.ended = self._clock.monotonic()
        asked.times += 1
        if isinstance(outcome, AskError):
            asked.error = str(outcome)
            asked.failures += 1
        else:
            asked.answer, asked.answered, asked.error, asked.failures = outcome, self._clock.now(), "", 0
        for key in sorted(asked.waiting):
            self._tell(key)

    def _pause(self, question: Question, asked: _Asked, since: int, patience: float) -> float:
        """Give the seconds between the end of the last question and the next one."""
        spread = 0.8 + 0.4 * (crc32(f"{question.key} {asked.times}".encode()) % 1000) / 1000
        written_since = asked.moment < since
        if asked.failures:
            longer = min(2.0 ** min(asked.failures - 1, 10), LONGEST)
            return spread * self._interval * (longer if written_since else max(longer, patience))
        return spread * self._interval * (AFRESH if written_since else patience)

    def _tidy(self) -> None:
        """Drop, now and then, what nobody has waited for in a long time."""
        now = self._clock.monotonic()
        if now - self._tidied < IDLE * self._interval:
            return
        self._tidied = now
        self._asked = {
            identity: asked
            for identity, asked in self._asked.items()
            if asked.on_its_way or asked.waiting or now - asked.ended < IDLE * self._interval
        }


def _identity(question: Question) -> tuple[str, str]:
    return (question.via, question.key)


def _nobody(_key: Key) -> None:
    return None
