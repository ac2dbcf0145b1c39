"""Whose turn is it to act? (leader election over coordination.k8s.io/v1 Leases)"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Protocol

import msgspec
import structlog

from tiphys.kube.clock import Clock, SystemClock, within
from tiphys.kube.codec import Manifest
from tiphys.kube.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from tiphys.kube.resources import LEASES, Resource

log = structlog.get_logger("tiphys.kube")


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """
    Seconds: how long a lease that is not renewed still counts, how long its holder tries to renew it, and how often anybody tries.

    The holder gives up before anybody else may take over, or there would be two.
    """

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew < self.lease:
            raise ValueError(f"lease durations: found {self}, wanted 0 < retry < renew < lease")


class LeaseApi(Protocol):
    """The requests an elector makes; `Client` is one."""

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Manifest:
        """Read the lease."""
        ...

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        """Create the lease."""
        ...

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None) -> Manifest:
        """Merge *patch* into the lease; its resourceVersion guards it."""
        ...


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    renew_time: str | None = None


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Lease(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()
    spec: _Spec = _Spec()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A state of the lease and when we first saw it: other machines' clocks are not trusted, only how long nothing changed."""

    lease: _Lease
    at: float


class Elector:
    """
    Takes part in the election for one lease.

    *identity* must differ between any two processes. Every write carries the resourceVersion it was decided on, so of two candidates one
    gets a conflict.
    """

    def __init__(
        self,
        api: LeaseApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        durations: Durations | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.identity = identity
        self._api = api
        self._namespace = namespace
        self._name = name
        self._durations = durations or Durations()
        self._clock = clock or SystemClock()
        self._random = random or Random()  # noqa: S311 - jitter, no secret
        self._seen: _Seen | None = None
        self._leading_until = 0.0
        self._must_look = False

    @property
    def leading(self) -> bool:
        """Whether the lease is ours and no other process can have taken it meanwhile."""
        return self._clock.monotonic() < self._leading_until

    @property
    def holder(self) -> str:
        """Who holds the lease as far as we have seen; empty if nobody."""
        return (self._seen.lease.spec.holder_identity or "") if self._seen else ""

    async def run(self, lead: Callable[[], Awaitable[None]], *, again: bool = False) -> None:
        """
        Wait for our turn and run *lead*; cancel it when the lease is lost, and release the lease when it is done or when we are cancelled.

        Returns when *lead* is done or was cut off; with *again*, a leader that was cut off goes back to waiting.
        """
        while True:
            await self.acquire()
            finished = await self._lead(lead)
            if finished or not again:
                return

    async def acquire(self) -> None:
        """Return as soon as the lease is ours."""
        while not await self._try():
            await self._clock.sleep(self._durations.retry * self._random.uniform(1.0, 1.2))
        log.info("lease acquired", lease=f"{self._namespace}/{self._name}", identity=self.identity)

    async def keep(self) -> None:
        """Renew the lease for as long as that works, and return when it is lost."""
        while True:
            await self._clock.sleep(self._durations.retry)
            left = self._leading_until - self._clock.monotonic()
            if left <= 0:
                break
            try:
                renewed = await within(self._clock, left, self._try())
            except TimeoutError:
                break
            if not renewed and self.holder != self.identity:
                break
        self._leading_until = 0.0
        log.warning("lease lost", lease=f"{self._namespace}/{self._name}", identity=self.identity, holder=self.holder)

    async def release(self) -> None:
        """Let others take over at once; only if the lease is ours, and without insisting."""
        self._leading_until = 0.0
        if self.holder != self.identity:
            return
        try:
            await within(self._clock, self._durations.retry, self._give_back())
        except (KubeError, TimeoutError) as error:
            log.info("lease not released", lease=f"{self._namespace}/{self._name}", problem=str(error) or "no answer in time")

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Run *lead* beside the renewal, and say whether it ended by itself; what it raises, we raise."""
        leading = asyncio.ensure_future(lead())
        keeping = asyncio.ensure_future(self.keep())
        try:
            await asyncio.wait({leading, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
                return True
            keeping.result()
            return False
        finally:
            for task in (leading, keeping):
                task.cancel()
            await asyncio.wait({leading, keeping})
            await self.release()

    async def _try(self) -> bool:
        """Take or renew the lease if it is free or ours, and say whether it is ours now."""
        asked_at = self._clock.monotonic()
        try:
            ours = await self._take(asked_at)
        except (ConflictError, AlreadyExistsError, NotFoundError):
            # Somebody wrote between our look and our write, or the lease was deleted; the next look tells.
            ours = False
            self._must_look = True
        except KubeError as error:
            log.warning("lease not reached", lease=f"{self._namespace}/{self._name}", problem=str(error))
            ours = False
        if ours:
            # Counted from before the request: that is the earliest moment others may count from.
            self._leading_until = asked_at + self._durations.renew
        return ours

    async def _take(self, asked_at: float) -> bool:
        known = self._seen
        if known is not None and known.lease.spec.holder_identity == self.identity and not self._must_look:
            # The usual case, one request: renew what we hold.
            await self._write(known.lease, {"renewTime": _micro(self._clock.now())})
            return True
        try:
            found = await self._look()
        except NotFoundError:
            await self._create()
            return True
        spec = found.lease.spec
        held = bool(spec.holder_identity) and spec.holder_identity != self.identity
        if held and asked_at < found.at + (spec.lease_duration_seconds or self._durations.lease):
            return False
        await self._write(found.lease, self._claim(spec))
        return True

    async def _look(self) -> _Seen:
        lease = _read(await self._api.get(LEASES, self._name, namespace=self._namespace))
        if self._seen is None or self._seen.lease != lease:
            self._seen = _Seen(lease, self._clock.monotonic())
        self._must_look = False
        return self._seen

    async def _give_back(self) -> None:
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro(self._clock.now())}
        try:
            await self._write((self._seen or await self._look()).lease, spec)
        except ConflictError:
            # Our own last renewal may have arrived without its answer.
            found = await self._look()
            if found.lease.spec.holder_identity == self.identity:
                await self._write(found.lease, spec)

    async def _create(self) -> None:
        body: dict[str, Any] = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._claim(_Spec(lease_transitions=-1)),
        }
        created = await self._api.create(LEASES, body, namespace=self._namespace)
        self._seen = _Seen(_read(created), self._clock.monotonic())

    async def _write(self, lease: _Lease, spec: dict[str, Any]) -> None:
        patch = {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": spec}
        written = await self._api.patch(LEASES, self._name, patch, namespace=self._namespace)
        self._seen = _Seen(_read(written), self._clock.monotonic())

    def _claim(self, before: _Spec) -> dict[str, Any]:
        moment = _micro(self._clock.now())
        changes_hands = before.holder_identity != self.identity
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": round(self._durations.lease),
            "renewTime": moment,
            **({"acquireTime": moment} if changes_hands else {}),
            "leaseTransitions": (before.lease_transitions or 0) + (1 if changes_hands else 0),
        }


def _read(manifest: Manifest) -> _Lease:
    return msgspec.convert(manifest, _Lease)


def _micro(moment: datetime) -> str:
    """Write a MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
