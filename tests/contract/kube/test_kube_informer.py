"""Does following a server work over real connections? (the names carry the numbers of the rules)"""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from kube_fakes import WIDGETS, status
from kube_server import Fault, KubeServer
from tiphys.api.meta import ObjectMeta
from tiphys.kube.client import Client
from tiphys.kube.clock import SystemClock
from tiphys.kube.connection import Connection
from tiphys.kube.informer import Informer
from tiphys.kube.store import Key, Store
from tiphys.kube.transport import Limits
from tiphys.kube.watch import Reflector, State


class Widget(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    size: int = 0


class Hasty(SystemClock):
    """The real time, in which waiting goes faster."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 50)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, as long as a patient person would."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for is far away and rings no bell
            await asyncio.sleep(0.005)


def sizes(informer: Informer[Widget]) -> dict[str, int]:
    return {each.metadata.name: each.size for each in informer.store.values()}


async def test_a_store_follows_creations_changes_and_deletions() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.objects.put("a", size=1)
        async with Informer(kube, WIDGETS, Widget, indexes={"size": lambda each: [each.size]}) as informer:
            await informer.wait_synced()
            assert sizes(informer) == {"a": 1}

            server.objects.put("a", size=2)
            server.objects.put("b", size=3)
            await until(lambda: sizes(informer) == {"a": 2, "b": 3})
            server.objects.delete("a")
            await until(lambda: sizes(informer) == {"b": 3})

            assert [each.metadata.name for each in informer.store.by_index("size", 3)] == ["b"]
            assert informer.state is State.FOLLOWING


async def test_rule_1_pages_and_a_token_that_expires_between_them() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.page_size = 10
        for number in range(35):
            server.objects.put(f"w{number:02}", size=number)
        server.faults.extend([None, None, Fault(code=410, body=status(410, "Expired"))])

        async with Informer(kube, WIDGETS, Widget) as informer:
            await informer.wait_synced()

            assert len(informer.store) == 35
            assert server.times("GET") == 3 + 4


async def test_rule_3_a_half_open_stream_is_noticed_and_replaced() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        store = Store(Widget)
        reflector = Reflector(kube, WIDGETS, store, silence=0.1)
        server.half_open = True
        following = asyncio.create_task(reflector.run())
        await store.synced.wait()
        await until(lambda: server.times("GET", watch=True) >= 1)
        server.objects.streams.clear()
        server.objects.put("missed", size=1)

        server.half_open = False
        await until(lambda: len(store) == 1)

        assert server.times("GET") == 1
        following.cancel()
        await asyncio.wait({following})


async def test_rule_3_only_silence_ends_a_stream_not_the_time_limit_of_requests() -> None:
    limits = Limits(request_timeout=0.2)
    async with KubeServer().running() as server, Client(Connection(server=server.url), limits=limits) as kube:
        async with Informer(kube, WIDGETS, Widget) as informer:
            await informer.wait_synced()
            await until(lambda: len(server.objects.streams) == 1)
            time = asyncio.get_running_loop().time
            opened = time()
            await until(lambda: time() > opened + 0.5)
            server.objects.put("a", size=5)
            await until(lambda: sizes(informer) == {"a": 5})

        assert server.times("GET", watch=True) == 1


async def test_rule_4_an_expired_watch_lists_again() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.objects.put("a", size=1)
        async with Informer(kube, WIDGETS, Widget, clock=Hasty()) as informer:
            await informer.wait_synced()
            await until(lambda: len(server.objects.streams) == 1)
            (stream,) = server.objects.streams
            server.objects.streams.clear()
            server.objects.delete("a")
            server.objects.put("b", size=2)
            server.objects.forget_history()
            server.objects.streams.append(stream)
            server.objects.say(None)

            await until(lambda: sizes(informer) == {"b": 2})

            assert server.times("GET") == 2


async def test_rule_4_a_kind_that_is_not_served_blocks_nobody() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.faults.append(Fault(code=404, body="404 page not found\n"))
        async with Informer(kube, WIDGETS, Widget) as absent:
            assert await absent.wait_answered() is State.ABSENT
        async with Informer(kube, WIDGETS, Widget) as present:
            assert await present.wait_answered() is State.FOLLOWING


async def test_rule_6_a_malformed_object_is_named_and_the_others_go_on() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.objects.put("bad", size="big")
        server.objects.put("good", size=1)
        async with Informer(kube, WIDGETS, Widget) as informer:
            await informer.wait_synced()
            server.objects.put("good", size="huge")
            server.objects.put("later", size=2)
            await until(lambda: len(informer.store) == 2)

            assert set(informer.store.broken) == {Key("ns", "bad"), Key("ns", "good")}
            assert sizes(informer) == {"good": 1, "later": 2}


async def test_rule_7_the_reply_to_a_patch_is_in_the_store_at_once_and_comes_once() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.objects.put("a", size=1)
        async with Informer(kube, WIDGETS, Widget) as informer:
            await informer.wait_synced()
            await until(lambda: len(server.objects.streams) == 1)
            told: list[int | None] = []
            informer.store.subscribe(lambda _key, _old, new: told.append(new.size if new else None), replay=False)

            informer.store.accept(await kube.patch(WIDGETS, "a", {"size": 2}, namespace="ns", into=Widget))
            assert sizes(informer) == {"a": 2}
            server.objects.put("z", size=9)
            await until(lambda: len(informer.store) == 2)

            assert told == [2, 9]


async def test_rule_5_a_huge_object_arrives_whole() -> None:
    async with (
        KubeServer().running() as server,
        Client(Connection(server=server.url)) as kube,
        Informer(kube, WIDGETS, dict) as informer,
    ):
        await informer.wait_synced()
        server.objects.put("huge", blob="x" * 3_000_000)
        await until(lambda: len(informer.store) == 1)

        huge = informer.store.get("ns", "huge")
        assert huge is not None
        assert len(huge["blob"]) == 3_000_000


async def test_a_server_that_comes_back_is_followed_again() -> None:
    server = KubeServer()
    server.objects.put("a", size=1)
    async with server.running():
        kube = Client(Connection(server=server.url))
        informer = Informer(kube, WIDGETS, Widget, clock=Hasty())
        informer.start()
        await informer.wait_synced()
        await until(lambda: len(server.objects.streams) == 1)
    server.objects.put("a", size=2)
    await until(lambda: "cannot reach the API server" in informer.problem)
    assert informer.state is State.FAILING

    async with server.running(port=int(server.url.rsplit(":", 1)[1])):
        await until(lambda: sizes(informer) == {"a": 2})
        assert informer.problem == ""
        await informer.stop()
        await kube.close()


async def test_who_waits_for_an_informer_that_broke_is_told() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        server.objects.put("a", size=1)
        informer = Informer(kube, WIDGETS, Widget)

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        informer.store.subscribe(broken)
        informer.start()

        with pytest.raises(ZeroDivisionError):
            await informer.wait_synced()
        await informer.stop()
