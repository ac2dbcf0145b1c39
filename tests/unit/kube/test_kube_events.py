"""Do users hear what happened, without a flood and without anybody waiting?"""

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from clocks import VirtualClock, let_run
from kube_fakes import refusal
from tiphys.kube.client import Client
from tiphys.kube.errors import UnreachableError
from tiphys.kube.events import BURST, QUEUE, REFILL, About, EventApi, Recorder
from tiphys.kube.resources import EVENTS, Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Manifest = dict[str, Any]
WEB = About(api_version="apps/v1", kind="ReplicaSet", name="web", namespace="shop", uid="u1", resource_version="7")


class FakeEvents:
    """The events of a server that sometimes does not work."""

    def __init__(self) -> None:
        self.events: dict[str, Manifest] = {}
        self.error: Exception | None = None
        self.requests = 0

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        self._arrive(resource)
        assert namespace == body["metadata"]["namespace"]
        self.events[body["metadata"]["name"]] = dict(body)
        return body

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None) -> Manifest:
        self._arrive(resource)
        if name not in self.events:
            raise refusal(404, "NotFound")
        assert namespace == self.events[name]["metadata"]["namespace"]
        self.events[name].update(patch)
        return self.events[name]

    def _arrive(self, resource: Resource) -> None:
        assert resource == EVENTS
        self.requests += 1
        if self.error:
            raise self.error

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(event["message"], event["count"]) for event in self.events.values()]


class Setup:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeEvents()
        self.recorder = Recorder(
            self.api,
            component="helm",
            host="node-1",
            clock=self.clock,
            random=Random(3),  # noqa: S311 - names
        )

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[None]":
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def record(self, message: str, about: About = WEB) -> None:
        self.recorder.record(about, "Normal", "Scaled", message)
        await self.recorder.flush()


def test_a_client_is_an_event_api() -> None:
    api: type[EventApi] = Client

    assert api is Client


async def test_an_event_says_who_saw_what_on_which_object() -> None:
    setup = Setup()
    async with setup.running():
        await setup.record("from 1 to 2")

    (event,) = setup.api.events.values()
    name = event["metadata"]["name"]
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
        },
        "type": "Normal",
        "reason": "Scaled",
        "message": "from 1 to 2",
        "count": 1,
        "firstTimestamp": "2026-05-04T12:00:00Z",
        "lastTimestamp": "2026-05-04T12:00:00Z",
        "source": {"component": "helm", "host": "node-1"},
        "reportingComponent": "helm",
        "reportingInstance": "node-1",
    }
    assert name.startswith("web.")


async def test_events_of_cluster_wide_objects_are_in_the_default_namespace() -> None:
    setup = Setup()
    async with setup.running():
        await setup.record("hello", About(api_version="v1", kind="Namespace", name="shop"))

    (event,) = setup.api.events.values()
    assert event["metadata"]["namespace"] == "default"


async def test_the_same_words_again_count_the_event_up() -> None:
    setup = Setup()
    async with setup.running():
        await setup.record("again")
        setup.clock.jump(60)
        await setup.record("again")
        await setup.record("other")

    assert setup.api.told == [("again", 2), ("other", 1)]
    first, _ = setup.api.events.values()
    assert (first["firstTimestamp"], first["lastTimestamp"]) == ("2026-05-04T12:00:00Z", "2026-05-04T12:01:00Z")


async def test_repetitions_that_wait_are_one_request() -> None:
    setup = Setup()
    for _ in range(100):
        setup.recorder.record(WEB, "Warning", "Failed", "the same")
    async with setup.running():
        await setup.recorder.flush()

    assert (setup.api.told, setup.api.requests) == ([("the same", 100)], 1)


async def test_an_event_that_the_server_forgot_is_written_anew() -> None:
    setup = Setup()
    async with setup.running():
        await setup.record("again")
        setup.api.events.clear()
        await setup.record("again")

    assert setup.api.told == [("again", 1)]


async def test_an_object_that_goes_round_in_circles_does_not_flood_the_cluster() -> None:
    setup = Setup()
    other = About(api_version="v1", kind="Service", name="web", namespace="shop", uid="u2")
    async with setup.running():
        for number in range(BURST + 10):
            await setup.record(f"message {number}")
        await setup.record("of another", other)

        assert (len(setup.api.events), setup.recorder.dropped) == (BURST + 1, 10)

        setup.clock.jump(REFILL)
        await setup.record("later")
        await setup.record("too early")

        assert (len(setup.api.events), setup.recorder.dropped) == (BURST + 2, 11)


async def test_a_failing_server_fails_nobody() -> None:
    setup = Setup()
    async with setup.running():
        setup.api.error = UnreachableError("s", "refused")
        await setup.record("lost")
        setup.api.error = refusal(403, "Forbidden")
        await setup.record("lost too")
        setup.api.error = None
        await setup.record("written")

    assert (setup.api.told, setup.recorder.dropped) == ([("written", 1)], 2)


async def test_recording_never_waits_and_the_oldest_go_first() -> None:
    setup = Setup()
    for number in range(QUEUE + 3):
        about = About(api_version="v1", kind="Pod", name=f"p{number}", namespace="shop", uid=str(number))
        setup.recorder.record(about, "Normal", "Seen", f"message {number}")

    async with setup.running():
        await setup.recorder.flush()
        await let_run()

    assert (len(setup.api.events), setup.recorder.dropped) == (QUEUE, 3)
    assert setup.api.told[0] == ("message 3", 1)


async def test_an_endless_message_is_cut_between_letters() -> None:
    setup = Setup()
    async with setup.running():
        await setup.record("ä" * 600 + "x")

    assert setup.api.told == [("ä" * 512, 1)]
