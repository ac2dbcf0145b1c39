"""How do users learn what we did? (core/v1 Events)"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal, Protocol

import structlog

from tiphys.kube.clock import Clock, SystemClock
from tiphys.kube.codec import Manifest
from tiphys.kube.errors import KubeError, NotFoundError
from tiphys.kube.resources import EVENTS, Resource

QUEUE = 1000
"""Events that wait to be written; more are dropped, oldest first."""
REMEMBERED = 4096
"""Events that may be counted up instead of being written again."""
BURST = 25
"""Events an object may have at once..."""
REFILL = 300.0
"""...and the seconds after which it may have one more."""
LONGEST_MESSAGE = 1024
"""Bytes the API server allows a message of the newer events API to have."""

log = structlog.get_logger("tiphys.kube")

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The object an event is about; the namespace of cluster-wide objects is empty."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class EventApi(Protocol):
    """The requests a recorder makes; `Client` is one."""

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        """Create an event."""
        ...

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None) -> Manifest:
        """Count an event up."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    """What makes two events the same."""

    namespace: str
    kind: str
    name: str
    uid: str
    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Pending:
    said: _Said
    about: About
    first: datetime
    last: datetime
    times: int


@dataclass(frozen=True, slots=True)
class _Written:
    namespace: str
    name: str
    count: int


class Recorder:
    """
    Writes events beside everything else: `record` neither waits nor fails, and what cannot be written is dropped and logged.

    The same words about the same object are one event with a count. An object has *burst* events at once and one more every *refill*
    seconds, so one that goes round in circles does not flood the cluster. *component* is the name users see as the source, *host*
    the machine.
    """

    def __init__(
        self,
        api: EventApi,
        *,
        component: str,
        host: str = "",
        burst: int = BURST,
        refill: float = REFILL,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self._api = api
        self._component = component
        self._host = host
        self._burst = burst
        self._refill = refill
        self._clock = clock or SystemClock()
        self._random = random or Random()  # noqa: S311 - names, no secret
        self._waiting: OrderedDict[_Said, _Pending] = OrderedDict()
        self._written: OrderedDict[_Said, _Written] = OrderedDict()
        self._allowances: OrderedDict[tuple[str, str, str], _Allowance] = OrderedDict()
        self._something = asyncio.Event()
        self._nothing = asyncio.Event()
        self._nothing.set()
        self.dropped = 0

    def record(self, about: About, type_: EventType, reason: str, message: str) -> None:
        """Have it written that *reason* happened to the object; *message* is one sentence for people."""
        now = self._clock.now()
        message = message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
        said = _Said(about.namespace, about.kind, about.name, about.uid, type_, reason, message)
        waiting = self._waiting.get(said)
        if waiting is not None:
            self._waiting[said] = replace(waiting, last=now, times=waiting.times + 1)
            return
        if not self._may(about):
            self._drop(said, "the object has too many")
            return
        if len(self._waiting) >= QUEUE:
            oldest, _ = self._waiting.popitem(last=False)
            self._drop(oldest, "too many wait")
        self._waiting[said] = _Pending(said, about, first=now, last=now, times=1)
        self._nothing.clear()
        self._something.set()

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self._something.wait()
            while self._waiting:
                _, pending = self._waiting.popitem(last=False)
                await self._write(pending)
            self._something.clear()
            self._nothing.set()

    async def flush(self) -> None:
        """Return when everything that was recorded has been written or dropped; `run` has to be running."""
        await self._nothing.wait()

    async def _write(self, pending: _Pending) -> None:
        try:
            if not await self._count_up(pending):
                await self._create(pending)
        except KubeError as error:
            self._drop(pending.said, str(error))

    async def _count_up(self, pending: _Pending) -> bool:
        """Raise the count of the event that says the same, and say whether there is one."""
        written = self._written.get(pending.said)
        if written is None:
            return False
        count = written.count + pending.times
        patch = {"count": count, "lastTimestamp": _wire(pending.last)}
        try:
            await self._api.patch(EVENTS, written.name, patch, namespace=written.namespace)
        except NotFoundError:
            # Servers forget events after an hour.
            del self._written[pending.said]
            return False
        self._remember(pending.said, replace(written, count=count))
        return True

    async def _create(self, pending: _Pending) -> None:
        about, said = pending.about, pending.said
        namespace = about.namespace or "default"
        name = f"{about.name[:230]}.{self._random.getrandbits(64):016x}"
        body: dict[str, Any] = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _reference(about),
            "type": said.type,
            "reason": said.reason,
            "message": said.message,
            "count": pending.times,
            "firstTimestamp": _wire(pending.first),
            "lastTimestamp": _wire(pending.last),
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        await self._api.create(EVENTS, body, namespace=namespace)
        self._remember(said, _Written(namespace, name, pending.times))

    def _remember(self, said: _Said, written: _Written) -> None:
        self._written[said] = written
        self._written.move_to_end(said)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    def _may(self, about: About) -> bool:
        who = (about.namespace, about.kind, about.uid or about.name)
        allowance = self._allowances.get(who)
        if allowance is None:
            allowance = self._allowances[who] = _Allowance(self._clock.monotonic(), self._burst, self._refill)
            if len(self._allowances) > REMEMBERED:
                self._allowances.popitem(last=False)
        return allowance.take(self._clock.monotonic())

    def _drop(self, said: _Said, problem: str) -> None:
        self.dropped += 1
        log.info("event dropped", kind=said.kind, namespace=said.namespace, name=said.name, reason=said.reason, problem=problem)


class _Allowance:
    """How many events an object may have now."""

    __slots__ = ("_at", "_burst", "_left", "_refill")

    def __init__(self, now: float, burst: int, refill: float) -> None:
        self._burst = float(burst)
        self._refill = refill
        self._left = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) / self._refill)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _reference(about: About) -> dict[str, str]:
    fields = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "name": about.name,
        "namespace": about.namespace,
        "uid": about.uid,
        "resourceVersion": about.resource_version,
    }
    return {key: value for key, value in fields.items() if value}


def _wire(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
