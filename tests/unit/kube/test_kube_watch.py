"""Does a reflector keep its store equal to the server, whatever happens? (the names carry the numbers of the rules)"""

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from clocks import VirtualClock, let_run
from kube_fakes import WIDGETS, FakeObjects, FakeSource, line, refusal, status
from tiphys.api.meta import ObjectMeta
from tiphys.kube.errors import CredentialError, SilenceError, UnreachableError
from tiphys.kube.store import Key, Store
from tiphys.kube.watch import PAGE_SIZE, Reflector, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Widget(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    size: int = 0


class Setup:
    """A reflector between objects and a store, in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects()
        self.source = FakeSource(self.objects)
        self.store = Store(Widget, settle=lambda: None)
        self.reflector = Reflector(self.source, WIDGETS, self.store, label_selector="app=x", clock=self.clock, random=Random(7))  # noqa: S311 - jitter
        self.told: list[tuple[str, int | None, int | None]] = []
        self.store.subscribe(self._hear)

    def _hear(self, key: Key, old: Widget | None, new: Widget | None) -> None:
        self.told.append((key.name, old.size if old else None, new.size if new else None))

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[asyncio.Task[None]]":
        task = asyncio.create_task(self.reflector.run())
        await let_run(200)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    @property
    def sizes(self) -> dict[str, int]:
        return {each.metadata.name: each.size for each in self.store.values()}

    @property
    def truth(self) -> dict[str, int]:
        return {name: thing["size"] for (_, name), thing in self.objects.objects.items()}

    async def waits(self, at_least: float, at_most: float, *, requests: int = 1) -> None:
        """Assert that the next request comes after *at_least* and until *at_most* seconds."""
        before = self.requests
        await self.clock.advance(at_least)
        assert self.requests == before
        await self.clock.advance(at_most - at_least)
        await let_run(200)
        assert self.requests >= before + requests

    @property
    def requests(self) -> int:
        return len(self.source.lists) + len(self.source.watches)


async def test_rule_1_a_list_is_read_in_pages_of_500() -> None:
    setup = Setup()
    for number in range(1201):
        setup.objects.put(f"w{number:04}", size=number)

    async with setup.running():
        assert [query["limit"] for query in setup.source.lists] == [str(PAGE_SIZE)] * 3 == ["500"] * 3
        assert [query.get("continue") for query in setup.source.lists] == [None, "token-0", "token-1"]
        assert setup.sizes == setup.truth
        assert setup.reflector.answered.is_set()


async def test_rule_1_a_continue_token_that_expired_starts_a_fresh_list() -> None:
    setup = Setup()
    for number in range(501):
        setup.objects.put(f"w{number:04}", size=number)
    setup.source.list_faults.extend([None, refusal(410, "Expired")])

    async with setup.running():
        assert [query.get("continue") for query in setup.source.lists] == [None, "token-0", None, "token-1"]
        assert setup.sizes == setup.truth


async def test_rule_1_the_cache_changes_only_when_the_list_is_complete() -> None:
    setup = Setup()
    setup.objects.put("old", size=1)
    async with setup.running():
        setup.objects.delete("old")
        for stream in setup.objects.streams:
            while not stream.empty():
                stream.get_nowait()
        for number in range(501):
            setup.objects.objects[("ns", f"w{number:04}")] = {"metadata": {"namespace": "ns", "name": f"w{number:04}"}, "size": 0}
        setup.source.list_faults.extend([None, UnreachableError("s", "reset")])
        setup.told.clear()

        setup.objects.say(refusal(410, "Expired"))
        await let_run(200)

        assert setup.told == []
        assert setup.sizes == {"old": 1}

        await setup.clock.advance(2)
        await let_run(200)

        assert len(setup.store) == 501
        assert ("old", 1, None) in setup.told


async def test_rule_1_a_relist_finds_missed_deletions_and_skips_what_is_unchanged() -> None:
    setup = Setup()
    for name in ("same", "gone", "changed"):
        setup.objects.put(name, size=1)
    async with setup.running():
        streams, setup.objects.streams = setup.objects.streams, []
        setup.objects.delete("gone")
        setup.objects.put("changed", size=2)
        setup.objects.put("new", size=3)
        setup.told.clear()

        for stream in streams:
            setup.objects.streams.append(stream)
            stream.put_nowait(line("ERROR", status(410, "Expired")))
        await let_run(200)

        assert sorted(setup.told) == [("changed", 1, 2), ("gone", 1, None), ("new", None, 3)]
        assert setup.sizes == setup.truth


async def test_rule_2_a_watch_begins_at_the_lists_version_with_bookmarks_and_a_random_end() -> None:
    setup = Setup()
    setup.objects.put("a", size=1)

    async with setup.running():
        for _ in range(20):
            setup.objects.put("a", size=2)
            setup.objects.say(None)
            await let_run(100)

    first = setup.source.watches[0]
    assert (first["watch"], first["allowWatchBookmarks"], first["resourceVersion"]) == ("true", "true", "101")
    assert first["labelSelector"] == "app=x"
    ends = [int(query["timeoutSeconds"]) for query in setup.source.watches]
    assert len(set(ends)) > 10
    assert 300 <= min(ends) <= max(ends) <= 600


async def test_rule_2_a_clean_end_resumes_at_once_from_the_last_event_or_bookmark() -> None:
    setup = Setup()
    async with setup.running():
        setup.objects.put("a", size=1)
        setup.objects.say(None)
        await let_run(200)
        setup.objects.version = 150
        setup.objects.bookmark()
        setup.objects.say(None)
        await let_run(200)

        assert [query["resourceVersion"] for query in setup.source.watches] == ["100", "101", "150"]
        assert len(setup.source.lists) == 1
        assert setup.clock.monotonic() == 0
        assert setup.store.version == "150"


async def test_rule_2_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_circle() -> None:
    setup = Setup()
    async with setup.running():
        setup.objects.say(None)
        await let_run(200)

        assert len(setup.source.watches) == 1
        await setup.waits(0.7, 1.7)


async def test_rule_3_a_silent_watch_is_given_up_after_70_seconds_and_resumed_at_once() -> None:
    setup = Setup()
    async with setup.running():
        setup.objects.put("a", size=1)
        setup.objects.say(SilenceError("s", "silent"))
        await let_run(200)

        assert setup.source.asked_silence == [70.0, 70.0]
        assert setup.source.watches[-1]["resourceVersion"] == "101"
        assert setup.clock.monotonic() == 0


@pytest.mark.parametrize("how", ["event", "answer"])
async def test_rule_4_an_expired_version_lists_again_at_once(how: str) -> None:
    setup = Setup()
    setup.objects.put("a", size=1)
    async with setup.running():
        if how == "answer":
            setup.source.watch_faults.append(refusal(410, "Gone"))
        setup.objects.put("b", size=2)
        setup.objects.forget_history()
        setup.objects.say(line("ERROR", status(410, "Expired")) if how == "event" else None)
        await let_run(300)

        assert len(setup.source.lists) == 2
        assert setup.sizes == setup.truth
        assert setup.clock.monotonic() == 0


async def test_rule_4_versions_that_always_expire_are_not_asked_in_a_circle() -> None:
    setup = Setup()
    setup.source.watch_faults.extend([refusal(410, "Expired")] * 3)
    async with setup.running():
        assert (len(setup.source.lists), len(setup.source.watches)) == (2, 2)
        assert setup.reflector.state is State.FAILING
        await setup.waits(0.7, 1.7)


async def test_rule_4_too_many_requests_wait_as_long_as_the_server_says() -> None:
    setup = Setup()
    setup.source.watch_faults.append(refusal(429, "TooManyRequests", details={"retryAfterSeconds": 17}))
    async with setup.running():
        await setup.waits(16.9, 17.1)
        assert len(setup.source.lists) == 1


@pytest.mark.parametrize(("code", "state"), [(404, State.ABSENT), (403, State.FORBIDDEN)])
async def test_rule_4_a_kind_that_is_not_there_is_looked_for_slowly(code: int, state: State) -> None:
    setup = Setup()
    setup.source.list_faults.extend([refusal(code)] * 2)
    async with setup.running():
        assert setup.reflector.answered.is_set()
        assert (setup.reflector.state, setup.store.synced.is_set()) == (state, False)
        await setup.waits(47, 73)
        await setup.waits(20, 73)
        assert (setup.reflector.state, setup.store.synced.is_set()) == (State.FOLLOWING, True)


async def test_rule_4_a_kind_that_was_removed_takes_its_objects_along_only_when_that_is_certain() -> None:
    setup = Setup()
    setup.objects.put("a", size=1)
    setup.source.list_faults.extend([None, refusal(404), refusal(404)])
    async with setup.running():
        setup.objects.say(refusal(404, "NotFound"))
        await let_run(200)

        assert setup.sizes == {"a": 1}

        await setup.clock.advance(73)
        await let_run(200)

        assert setup.sizes == {}
        assert setup.told[-1] == ("a", 1, None)


async def test_rule_4_anything_else_resumes_with_growing_jittered_pauses() -> None:
    setup = Setup()
    setup.source.watch_faults.extend([UnreachableError("s", "refused")] * 12)
    pauses: list[float] = []
    async with setup.running():
        before, at = setup.requests, 0.0
        while len(pauses) < 12:
            await setup.clock.advance(0.1)
            await let_run(50)
            if setup.requests > before:
                pauses.append(setup.clock.monotonic() - at)
                before, at = setup.requests, setup.clock.monotonic()

        assert len(setup.source.lists) == 1
    assert 0.8 <= pauses[0] <= 1.7
    assert max(pauses) <= 30.1
    assert min(pauses[6:]) >= 15
    assert len({round(pause, 1) for pause in pauses[6:]}) > 2


async def test_rule_4_pauses_begin_small_again_after_two_minutes_of_peace() -> None:
    setup = Setup()
    setup.source.watch_faults.extend([UnreachableError("s", "refused")] * 8)
    async with setup.running():
        await setup.clock.advance(200)
        await let_run(200)
        assert setup.reflector.state is State.FOLLOWING
        await setup.clock.advance(121)

        setup.objects.say(UnreachableError("s", "reset"))
        await let_run(200)

        await setup.waits(0.7, 1.7)


async def test_rule_4_a_version_the_server_keeps_refusing_is_doubted() -> None:
    setup = Setup()
    setup.source.watch_faults.extend([refusal(500, "InternalError")] * 3)
    async with setup.running():
        await setup.clock.advance(20)
        await let_run(200)

        assert (len(setup.source.lists), len(setup.source.watches)) == (2, 4)
        assert setup.reflector.state is State.FOLLOWING


@pytest.mark.parametrize("error", [refusal(401, "Unauthorized"), CredentialError("the plugin failed")])
async def test_rule_4_refused_credentials_are_tried_again_later(error: Exception) -> None:
    setup = Setup()
    setup.source.list_faults.append(error)
    async with setup.running():
        assert setup.reflector.state is State.FAILING
        assert setup.reflector.problem == str(error)
        await setup.waits(0.7, 1.7)
        assert (setup.reflector.state, setup.reflector.problem) == (State.FOLLOWING, "")


async def test_rule_5_the_loop_gets_its_turn_during_a_long_chunk() -> None:
    setup = Setup()
    turns = 0
    async with setup.running():
        tick, setup.clock.monotonic = setup.clock.monotonic, lambda: next(steps)  # type: ignore[method-assign]
        steps = (tick() + count * 0.0004 for count in range(100_000))
        chunk = b"".join(
            line("ADDED", {"metadata": {"namespace": "ns", "name": f"w{number}", "resourceVersion": str(200 + number)}})
            for number in range(300)
        )

        setup.objects.say(chunk)
        while len(setup.store) < 300:
            await asyncio.sleep(0)
            turns += 1

    assert turns >= 100


async def test_rule_5_an_object_may_come_in_many_chunks() -> None:
    setup = Setup()
    async with setup.running():
        whole = line("ADDED", {"metadata": {"namespace": "ns", "name": "a", "resourceVersion": "200"}, "size": 5})
        for start in range(0, len(whole), 7):
            setup.objects.say(whole[start : start + 7])
        await let_run(200)

        assert setup.sizes == {"a": 5}


async def test_rule_6_an_unreadable_object_stops_neither_the_stream_nor_the_list() -> None:
    setup = Setup()
    setup.objects.put("listed", size="big")
    setup.objects.put("fine", size=1)
    async with setup.running():
        setup.objects.put("fine", size="huge")
        setup.objects.put("after", size=3)
        await let_run(200)

        assert set(setup.store.broken) == {Key("ns", "listed"), Key("ns", "fine")}
        assert "Expected `int`, got `str`" in setup.store.broken[Key("ns", "fine")]
        assert setup.sizes == {"fine": 1, "after": 3}
        assert len(setup.source.watches) == 1

        setup.objects.put("fine", size=2)
        setup.objects.delete("listed")
        await let_run(200)

        assert (setup.sizes, dict(setup.store.broken)) == ({"fine": 2, "after": 3}, {})


async def test_rule_6_a_line_that_is_no_event_resumes_after_what_was_good() -> None:
    setup = Setup()
    async with setup.running():
        setup.objects.put("a", size=1)
        setup.objects.say(b"<html>gateway\n")
        await let_run(200)

        await setup.waits(0.7, 1.7)
        assert setup.source.watches[-1]["resourceVersion"] == "101"


async def test_rule_7_a_reply_to_an_own_write_is_seen_before_its_event() -> None:
    setup = Setup()
    setup.objects.put("a", size=1)
    async with setup.running():
        meta = ObjectMeta(namespace="ns", name="a", uid="uid-1", resource_version="102")
        setup.store.accept(Widget(meta, size=2))
        setup.objects.put("a", size=2)
        await let_run(200)

        assert setup.told == [("a", None, 1), ("a", 1, 2)]


async def test_what_a_handler_raises_is_a_bug_and_surfaces() -> None:
    setup = Setup()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    setup.store.subscribe(broken)
    async with setup.running() as task:
        setup.objects.put("a", size=1)
        await asyncio.wait({task})

        with pytest.raises(ZeroDivisionError):
            task.result()
