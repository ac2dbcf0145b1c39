"""How does the cluster live under a virtual clock, without HTTP and without sockets? (For scenario tests.)"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tiphys.devcluster.addresses import VirtualAddresses
from tiphys.devcluster.assembly import assemble, install_definitions
from tiphys.devcluster.autoscalers import Autoscalers
from tiphys.devcluster.engine import Kind, Loop
from tiphys.devcluster.kinds import PODS
from tiphys.devcluster.podindex import labels_of
from tiphys.devcluster.pods import Kubelet
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store

START = datetime(2030, 1, 1, tzinfo=UTC)


class VirtualClock:
    """A clock that moves only when told."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Give the virtual time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Participant(Protocol):
    """Somebody else who lives by the virtual clock, such as a controller under test."""

    def step(self) -> bool:
        """Do one thing; False when there is nothing to do at this moment."""

    def wakes_at(self) -> datetime | None:
        """When it wants to look again by itself."""


class NotSettledError(AssertionError):
    """What was waited for did not come."""


class VirtualCluster:
    """
    The same storage and the same loops as `DevCluster`, step by step.

    Equal *seed*, equal calls: equal run. Pods become ready *ready_after* virtual seconds after their start, plus what
    their image tag or annotations ask for.
    """

    def __init__(
        self, *, definitions: Iterable[Manifest] = (), seed: int = 1, ready_after: float = 0.0, drain_seconds: float = 2.0
    ) -> None:
        self.clock = VirtualClock()
        self.store = Store(clock=self.clock, names=Names(seed))
        install_definitions(self.store, definitions)
        self._assembly = assemble(self.store, addresses=VirtualAddresses(), serve=False)
        self.engine = self._assembly.engine
        self._participants: list[Participant] = [self.engine]
        self._barred: list[Mapping[str, str]] = []
        kubelet = self.kubelet
        kubelet.ready_after = ready_after
        kubelet.drain_seconds = drain_seconds
        kubelet.never_ready = self._is_barred

    @property
    def kubelet(self) -> Kubelet:
        """What runs the pods."""
        if self._assembly.kubelet is None:
            raise RuntimeError("a virtual cluster always has a kubelet")
        return self._assembly.kubelet

    @property
    def autoscalers(self) -> Autoscalers:
        """What scales by load; its `usage` measures pods."""
        return self._assembly.autoscalers

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.clock.now

    def join(self, participant: Participant) -> None:
        """Let *participant* take its steps together with the loops."""
        self._participants.append(participant)

    def install(self, definitions: Iterable[Manifest]) -> None:
        """Install CustomResourceDefinitions."""
        install_definitions(self.store, definitions)

    def hear(self, loop: Loop[Any], wants: Callable[[Kind], bool]) -> None:
        """Let a loop of one's own hear of the kinds it *wants*, also of those that are installed later."""
        self._assembly.served.tell(loop, wants)

    # -- time ----------------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Let one participant do one thing, in turn; False when nobody has anything to do at this moment."""
        for index, participant in enumerate(self._participants):
            if participant.step():
                self._participants.append(self._participants.pop(index))
                return True
        return False

    def rest(self, *, limit: int = 1_000_000) -> None:
        """
        Step until nobody has anything to do at this moment; time stands still.

        Raises: NotSettledError after *limit* steps.
        """
        for _ in range(limit):
            if not self.step():
                return
        raise NotSettledError(f"still busy after {limit} steps at {self.now.isoformat()}")

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass; whatever becomes due in between happens at its time."""
        end = self.clock.now + timedelta(seconds=seconds)
        while True:
            self.rest()
            wake_at = self.wakes_at()
            if wake_at is None or wake_at > end:
                self.clock.now = end
                self.rest()
                return
            self.clock.now = max(wake_at, self.clock.now)

    def settle(self, until: Callable[[], bool] | None = None, *, within: float = 3600.0) -> float:
        """
        Run until *until* holds, or without it until nothing will ever happen by itself; give the seconds that passed.

        Raises: NotSettledError when *within* virtual seconds were not enough, or nothing more happens and *until* does not hold.
        """
        start = self.clock.now
        end = start + timedelta(seconds=within)
        while True:
            while not (until is not None and until()):
                if not self.step():
                    break
            else:
                return (self.clock.now - start).total_seconds()
            wake_at = self.wakes_at()
            if wake_at is None and until is None:
                return (self.clock.now - start).total_seconds()
            if wake_at is None:
                raise NotSettledError(f"nothing more happens at {self.now.isoformat()}, and what was waited for is not so")
            if wake_at > end:
                raise NotSettledError(f"{within:g} s passed, and what was waited for is not so")
            self.clock.now = max(wake_at, self.clock.now)

    def wakes_at(self) -> datetime | None:
        """When the next participant wants to look again by itself."""
        return min((at for each in self._participants if (at := each.wakes_at()) is not None), default=None)

    # -- what happens to pods --------------------------------------------------------------------------------------------

    def pods(self, labels: Mapping[str, str] | None = None, *, namespace: str = "default") -> list[Manifest]:
        """Give the pods that have all *labels*; shared, not to be changed."""
        return [stored.manifest for stored in self.store.scan(PODS, namespace=namespace, labels=labels)]

    def kill(self, name: str, *, namespace: str = "default") -> None:
        """Take a pod away without any grace."""
        self.kubelet.kill(namespace, name)

    def evict(self, name: str, *, namespace: str = "default") -> None:
        """Delete a pod: it drains first."""
        self.store.delete(PODS, name, namespace=namespace)

    def set_ready(self, name: str, *, ready: bool | None, namespace: str = "default") -> None:
        """Overrule a pod's readiness; None gives the decision back to the pod."""
        self.kubelet.set_ready(namespace, name, ready=ready)

    def bar(self, labels: Mapping[str, str]) -> None:
        """Tell every pod with these labels, present and future, never to be ready."""
        self._barred.append(dict(labels))
        self.kubelet.look_again()

    def unbar(self, labels: Mapping[str, str]) -> None:
        """Take `bar` back."""
        self._barred.remove(dict(labels))
        self.kubelet.look_again()

    def _is_barred(self, pod: Mapping[str, Any]) -> bool:
        return any(labels.items() <= labels_of(pod).items() for labels in self._barred)
