"""Is there at most one leader, and soon a new one?"""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from clocks import VirtualClock, let_run
from kube_fakes import refusal
from tiphys.kube.client import Client
from tiphys.kube.diff import apply_merge_patch
from tiphys.kube.errors import UnreachableError
from tiphys.kube.lease import Durations, Elector, LeaseApi
from tiphys.kube.resources import LEASES, Resource

Manifest = dict[str, Any]


class FakeLease:
    """One lease, guarded by its resourceVersion."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.lease: Manifest | None = None
        self.version = 0
        self.writes: list[Manifest] = []
        self.requests = 0

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Manifest:
        await self._arrive(resource, name, namespace)
        if self.lease is None:
            raise refusal(404, "NotFound")
        return copy.deepcopy(self.lease)

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        await self._arrive(resource, body["metadata"]["name"], namespace)
        if self.lease is not None:
            raise refusal(409, "AlreadyExists")
        return self._store(body)

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None) -> Manifest:
        await self._arrive(resource, name, namespace)
        if self.lease is None:
            raise refusal(404, "NotFound")
        if patch["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise refusal(409, "Conflict")
        return self._store(apply_merge_patch(self.lease, patch))

    def edit(self, **spec: object) -> None:
        """Write as somebody else."""
        assert self.lease is not None
        self._store(apply_merge_patch(self.lease, {"spec": spec}))

    @property
    def spec(self) -> Manifest:
        assert self.lease is not None
        spec: Manifest = self.lease["spec"]
        return spec

    async def _arrive(self, resource: Resource, name: str, namespace: str | None) -> None:
        assert (resource, name, namespace) == (LEASES, "lock", "ns")
        self.requests += 1
        await asyncio.sleep(0)

    def _store(self, lease: Manifest) -> Manifest:
        self.version += 1
        self.lease = copy.deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        self.writes.append(self.lease)
        return copy.deepcopy(self.lease)


class Path:
    """The way of one candidate to the lease; may be cut, by silence or by an answer."""

    def __init__(self, lease: FakeLease) -> None:
        self._lease = lease
        self.silent = False
        self.error: Exception | None = None

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> Manifest:
        await self._pass()
        return await self._lease.get(resource, name, namespace=namespace)

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        await self._pass()
        return await self._lease.create(resource, body, namespace=namespace)

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None) -> Manifest:
        await self._pass()
        return await self._lease.patch(resource, name, patch, namespace=namespace)

    async def _pass(self) -> None:
        if self.silent:
            await asyncio.get_running_loop().create_future()
        if self.error:
            raise self.error


class Candidate:
    """A process that wants to lead, and when it did."""

    def __init__(self, name: str, lease: FakeLease, clock: VirtualClock) -> None:
        self.path = Path(lease)
        self.elector = Elector(
            self.path,
            namespace="ns",
            name="lock",
            identity=name,
            clock=clock,
            random=Random(1),  # noqa: S311 - jitter
        )
        self.working = False
        self.done = asyncio.Event()

    async def lead(self) -> None:
        self.working = True
        try:
            await self.done.wait()
        finally:
            self.working = False

    def start(self, *, again: bool = False) -> asyncio.Task[None]:
        return asyncio.create_task(self.elector.run(self.lead, again=again))


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.lease = FakeLease(self.clock)
        self.a = Candidate("a", self.lease, self.clock)
        self.b = Candidate("b", self.lease, self.clock)

    async def until(self, holds: Callable[[], bool], *, within: float, step: float = 0.25) -> None:
        end = self.clock.monotonic() + within
        while not holds():
            assert self.clock.monotonic() < end, "not in time"
            await self.clock.advance(step)
            await let_run()
            assert not (self.a.working and self.b.working)


async def stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_a_client_is_a_lease_api() -> None:
    api: type[LeaseApi] = Client

    assert api is Client


@pytest.mark.parametrize("durations", [{"retry": 10.0}, {"renew": 15.0}, {"retry": 0.0}])
def test_durations_that_allow_two_leaders_are_refused(durations: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="wanted 0 < retry < renew < lease"):
        Durations(**durations)


async def test_the_first_candidate_creates_the_lease_and_leads() -> None:
    world = World()
    task = world.a.start()
    await let_run()

    assert world.a.working
    assert world.a.elector.leading
    assert world.lease.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-05-04T12:00:00.000000Z",
        "renewTime": "2026-05-04T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    await stop(task)


async def test_a_leader_renews_every_two_seconds_with_one_request_each() -> None:
    world = World()
    task = world.a.start()
    await let_run()
    before = world.lease.requests

    await world.clock.advance(20)

    assert world.lease.requests == before + 10
    assert world.lease.spec["renewTime"] == "2026-05-04T12:00:20.000000Z"
    assert world.lease.spec["acquireTime"] == "2026-05-04T12:00:00.000000Z"
    await stop(task)


async def test_a_second_candidate_waits_while_the_first_renews() -> None:
    world = World()
    tasks = [world.a.start(), world.b.start()]

    await world.clock.advance(120)

    assert (world.a.working, world.b.working) == (True, False)
    assert world.b.elector.holder == "a"
    await stop(*tasks)


async def test_a_clean_end_hands_over_at_once() -> None:
    world = World()
    first = world.a.start()
    await let_run()
    second = world.b.start()
    await world.clock.advance(5)

    world.a.done.set()
    await let_run()

    assert first.done()
    assert (world.lease.spec["holderIdentity"], world.lease.spec["leaseDurationSeconds"]) == ("", 1)
    await world.until(lambda: world.b.working, within=3)
    assert world.lease.spec["leaseTransitions"] == 1
    await stop(second)


async def test_a_cancelled_leader_stops_its_work_and_hands_over() -> None:
    world = World()
    task = world.a.start()
    await let_run()

    await stop(task)

    assert not world.a.working
    assert world.lease.spec["holderIdentity"] == ""


@pytest.mark.parametrize("how", ["silent", "error"])
async def test_a_leader_without_connection_stops_before_another_begins(how: str) -> None:
    world = World()
    tasks = [world.a.start(), world.b.start()]
    await world.clock.advance(30)
    cut_at = world.clock.monotonic()

    world.a.path.silent = how == "silent"
    world.a.path.error = UnreachableError("s", "refused") if how == "error" else None
    await world.until(lambda: not world.a.working, within=10.5)
    stopped_at = world.clock.monotonic()
    await world.until(lambda: world.b.working, within=20)

    assert stopped_at - cut_at <= 10.25
    assert world.clock.monotonic() - stopped_at > 2
    await stop(*tasks)


async def test_a_short_interruption_costs_nobody_the_lead() -> None:
    world = World()
    tasks = [world.a.start(), world.b.start()]
    await world.clock.advance(30)

    world.a.path.error = UnreachableError("s", "refused")
    await world.clock.advance(6)
    world.a.path.error = None
    await world.clock.advance(30)

    assert (world.a.working, world.b.working) == (True, False)
    await stop(*tasks)


async def test_a_lease_that_somebody_else_took_is_lost_at_the_next_renewal() -> None:
    world = World()
    task = world.a.start()
    await let_run()

    world.lease.edit(holderIdentity="thief")
    await world.until(lambda: not world.a.working, within=4.5)

    assert task.done()
    assert world.lease.spec["holderIdentity"] == "thief"


async def test_a_lease_that_was_merely_edited_stays_ours() -> None:
    world = World()
    task = world.a.start()
    await let_run()

    world.lease.edit(someLabel="x")
    await world.clock.advance(30)

    assert world.a.working
    assert (world.lease.spec["holderIdentity"], world.lease.spec["leaseTransitions"]) == ("a", 0)
    await stop(task)


async def test_a_deleted_lease_is_made_again() -> None:
    world = World()
    task = world.a.start()
    await let_run()

    world.lease.lease = None
    await world.clock.advance(5)

    assert world.a.working
    assert world.lease.spec["holderIdentity"] == "a"
    await stop(task)


async def test_other_clocks_are_not_trusted_only_how_long_nothing_changed() -> None:
    world = World()
    task = world.a.start()
    await let_run()
    world.lease.edit(holderIdentity="other", renewTime="1999-01-01T00:00:00.000000Z", leaseDurationSeconds=40)
    await stop(task)
    second = world.b.start()

    await world.clock.advance(39)
    assert not world.b.working

    await world.until(lambda: world.b.working, within=6)
    await stop(second)


async def test_a_leader_that_was_cut_off_may_wait_for_its_next_turn() -> None:
    world = World()
    task = world.a.start(again=True)
    await let_run()

    world.a.path.error = UnreachableError("s", "refused")
    await world.until(lambda: not world.a.working, within=11)
    world.a.path.error = None
    await world.until(lambda: world.a.working, within=20)

    await stop(task)


async def test_two_that_begin_at_once_get_one_lease() -> None:
    world = World()
    tasks = [world.a.start(), world.b.start()]
    await let_run()

    assert [world.a.working, world.b.working].count(True) == 1
    assert len(world.lease.writes) == 1
    await stop(*tasks)


async def test_what_a_leader_raises_surfaces_and_the_lease_is_released() -> None:
    world = World()

    async def lead() -> None:
        raise ZeroDivisionError

    run: Awaitable[None] = world.a.elector.run(lead)

    with pytest.raises(ZeroDivisionError):
        await run
    assert world.lease.spec["holderIdentity"] == ""
