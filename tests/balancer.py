"""A load balancer between the route objects and the traffic: it can be asked what it does, and it may be slow, wrong, ill or silent."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.controller.desk import PATIENCE
from tiphys.controller.inquiries import Answered, AskError, Desk, Outcome
from tiphys.core.intent import Feature, Routed, TrafficIntent
from tiphys.core.observed import Verification
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.router import Confirmation, Question, Ref, Rendered, Router

VIA: Final = "balancer"
Answer = Callable[[str], Outcome | None]
"""Answers for a router, by name; nothing means never."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A router whose product is asked, around one whose product is not."""

    inner: Router

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def supports(self) -> frozenset[Feature]:
        return self.inner.supports

    def reads(self) -> Sequence[Ref]:
        return self.inner.reads()

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        return self.inner.problems(found)

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        return self.inner.routed(found)

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        return self.inner.render(wish, found)

    def questions(self, found: Mapping[Ref, Manifest]) -> Sequence[Question]:
        routed = self.inner.routed(found)
        if routed is None:
            return ()
        return [Question(key=self.name, via=VIA, request={"router": self.name})]

    def confirmed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest]) -> Confirmation:
        routed = self.inner.routed(found)
        if routed is None or not answers:
            return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{self.name}: nothing to ask about")
        given = answers[self.name]["canary"]
        if given == routed.canary:
            return Confirmation(verified=Verification.YES, detail=f"{self.name} gives the canary {given}")
        return Confirmation(verified=Verification.NOT_YET, detail=f"{self.name} gives the canary {given}, and {routed.canary} is wanted")


class Balancer:
    """
    Obeys the objects only after it answered *noes* questions as before, each answer taking *seconds*.

    *answer*, where set, says something else. *does* is what it gives the canary, by router; *asked* lists when somebody asked for which.
    A controller that dies hears no answer to what it asked.
    """

    def __init__(self, *, noes: int = 0, seconds: float = 1.0, routers: Collection[str] = ("istio",)) -> None:
        self.noes = noes
        self.seconds = seconds
        self.routers = routers
        self.answer: Answer | None = None
        self.does: dict[str, int] = {}
        self.asks: list[tuple[datetime, str]] = []
        self._noes_left: dict[str, int] = {}
        self._pending: list[tuple[datetime, str, Answered, _Desk]] = []
        self._silent: list[tuple[datetime, str, Answered, _Desk]] = []
        self._desk: _Desk | None = None
        self._joined: tuple[VirtualCluster, Callable[[str], int]] | None = None

    def join(self, cluster: VirtualCluster, says: Callable[[str], int]) -> None:
        """Take part in *cluster*; *says* gives the canary weight in the objects of a router."""
        self._joined = (cluster, says)
        cluster.join(self)

    # For the controller in process

    def asked(self, router: Router) -> Router:
        return Asked(router) if router.name in self.routers else router

    def desk(self) -> Desk:
        self._desk = _Desk(self)
        return self._desk

    def begin(self, desk: "_Desk", question: Question, answered: Answered) -> None:
        name = question.request.get("router", question.via)
        assert not any(each is desk and pending == name for _, pending, _, each in self._pending), f"{name} is asked twice at once"
        self.asks.append((self._now, name))
        self._pending.append((self._now + timedelta(seconds=self.seconds), name, answered, desk))

    # For the cluster

    def step(self) -> bool:
        due = next((each for each in self._pending if each[0] <= self._now), None)
        if due is None:
            return False
        _, name, answered, desk = due
        outcome = self._outcome(name) if self.answer is None else self.answer(name)
        if outcome is None:
            if due not in self._silent:
                self._pending.remove(due)
                late = (self._now + timedelta(seconds=PATIENCE - self.seconds), name, answered, desk)
                self._pending.append(late)
                self._silent.append(late)
                return True
            self._silent.remove(due)
            outcome = AskError(f"no answer within {PATIENCE:g} s")
        self._pending.remove(due)
        if desk is self._desk:
            answered(outcome)
        return True

    def wakes_at(self) -> datetime | None:
        return min((at for at, _, _, _ in self._pending), default=None)

    @property
    def _now(self) -> datetime:
        assert self._joined is not None, "join a cluster first"
        return self._joined[0].now

    def _outcome(self, name: str) -> Outcome:
        assert self._joined is not None, "join a cluster first"
        wanted = self._joined[1](name)
        if self.does.get(name) != wanted:
            left = self._noes_left.setdefault(name, self.noes)
            if left == 0 or name not in self.does:
                self.does[name] = wanted
                self._noes_left.pop(name)
            else:
                self._noes_left[name] = left - 1
        return {"canary": self.does[name]}


class _Desk:
    """One controller's way to the balancer."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer

    def begin(self, question: Question, answered: Answered) -> None:
        self._balancer.begin(self, question, answered)
