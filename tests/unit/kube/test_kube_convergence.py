"""Does a store come to rest at the truth, whatever happened on the way?"""

import asyncio
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clocks import VirtualClock, let_run
from kube_fakes import WIDGETS, FakeObjects, FakeSource, line, refusal, status
from tiphys.api.meta import ObjectMeta
from tiphys.kube.errors import SilenceError, UnreachableError
from tiphys.kube.store import Key, Store
from tiphys.kube.watch import Reflector

NAMES = ("a", "b", "c")
FAULTS = (None, 404, 410, 429, 500, 503)


class Widget(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    size: int = 0


class Ledger:
    """Replays what handlers are told; the store must agree, and no object may go back in time."""

    def __init__(self, store: Store[Widget]) -> None:
        self.seen: dict[Key, Widget] = {}
        store.subscribe(self)

    def __call__(self, key: Key, old: Widget | None, new: Widget | None) -> None:
        assert self.seen.get(key) == old
        if new is None:
            self.seen.pop(key, None)
            return
        if old is not None and old.metadata.uid == new.metadata.uid:
            assert int(new.metadata.resource_version) >= int(old.metadata.resource_version)
        self.seen[key] = new


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects()
        self.source = FakeSource(self.objects)
        self.store = Store(Widget, settle=lambda: None)
        self.ledger = Ledger(self.store)
        self.replies: list[Widget] = []
        self.reflector = Reflector(
            self.source,
            WIDGETS,
            self.store,
            clock=self.clock,
            random=Random(5),  # noqa: S311 - jitter
        )

    async def happen(self, what: str, name: str, number: int) -> None:
        objects = self.objects
        match what:
            case "put":
                objects.put(name, size=number)
            case "spoil":
                objects.put(name, size="big")
            case "delete" if ("ns", name) in objects.objects:
                objects.delete(name)
            case "write":
                # Our own write, whose reply comes sooner or later.
                self.replies.append(msgspec.convert(objects.put(name, size=number), Widget))
            case "reply" if self.replies:
                self.store.accept(self.replies.pop(number % len(self.replies)))
            case "miss":
                # A change while no stream is open.
                streams, objects.streams = objects.streams, []
                objects.put(name, size=number)
                objects.streams = streams
                objects.say(None)
            case "end":
                objects.say((None, UnreachableError("s", "reset"), SilenceError("s", "silent"))[number % 3])
            case "expire":
                objects.forget_history()
                objects.say(line("ERROR", status(410, "Expired")) if number % 2 else None)
            case "fault":
                code = FAULTS[number % len(FAULTS)]
                (self.source.list_faults if number % 2 else self.source.watch_faults).append(refusal(code) if code else None)
            case "bookmark":
                objects.bookmark()
            case "time":
                await self.clock.advance(number)
        await let_run(number)

    async def rest(self) -> None:
        self.source.list_faults.clear()
        self.source.watch_faults.clear()
        while self.replies:
            self.store.accept(self.replies.pop())
        await self.clock.advance(300)
        await let_run(100)


what = st.sampled_from(["put", "put", "delete", "write", "reply", "reply", "miss", "end", "expire", "fault", "bookmark", "spoil", "time"])
happenings = st.lists(st.tuples(what, st.sampled_from(NAMES), st.integers(0, 30)), max_size=30)


@settings(max_examples=100, deadline=None)
@given(happenings)
def test_a_store_comes_to_rest_at_the_truth(happened: list[tuple[str, str, int]]) -> None:
    async def live() -> None:
        world = World()
        following = asyncio.create_task(world.reflector.run())

        for each in happened:
            await world.happen(*each)
        await world.rest()

        truth = {name: thing for (_, name), thing in world.objects.objects.items()}
        assert sorted(world.store.keys()) == [Key("ns", name) for name in sorted(truth)]
        assert {key.name for key in world.store.broken} == {name for name, thing in truth.items() if thing["size"] == "big"}
        readable = {
            each.metadata.name: each.size for each in world.store.values() if Key("ns", each.metadata.name) not in world.store.broken
        }
        assert readable == {name: thing["size"] for name, thing in truth.items() if thing["size"] != "big"}
        assert dict(world.ledger.seen.items()) == {Key("ns", each.metadata.name): each for each in world.store.values()}
        following.cancel()
        await asyncio.wait({following})

    asyncio.run(live())
