"""How often is a router asked, and what becomes known of it?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from clocks import VirtualClock, let_run
from fake_router import ROUTER, FakeRouter
from tiphys.api.meta import Manifest
from tiphys.core.intent import Role
from tiphys.kube.errors import ConflictError
from tiphys.kube.store import Key, Store
from tiphys.plugins.contract import About, Self, Share, Traffic
from tiphys.plugins.documents import GROUP, read_self, read_state, self_ref, state_ref, wished_document
from tiphys.plugins.outposts import FAILING, MOVING, PATIENCE, RESTING, Outposts
from tiphys.traffic.owned import Owner

KEY = Key("default", "web")
TRAFFIC = Traffic(backends=(Share(role=Role.STABLE, service="stable", weight=80), Share(role=Role.CANARY, service="canary", weight=20)))


class Counting(FakeRouter):
    """Counts how often it is asked for everything, and what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.introductions = 0

    async def introduce(self) -> Self:
        self.introductions += 1
        return await super().introduce()

    async def states(self) -> tuple[msgspec.Raw, ...]:
        self.looks += 1
        return await super().states()


class Post:
    """Outposts with one router, which look by themselves."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.router = Counting()
        self.outposts = Outposts({ROUTER: self.router}, self.clock)
        self.store: Store[Manifest] = Store(Manifest)
        self.moving = False
        self.answered = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Post"]:
        async with asyncio.TaskGroup() as group:
            self.outposts.use(group, lambda _: self.moving)
            self.outposts.start((GROUP, ROUTER), self.store, self._note)
            await let_run()
            try:
                yield self
            finally:
                self.outposts.stop()

    def _note(self) -> None:
        self.answered += 1

    @property
    def silence(self) -> str:
        ref = self_ref(ROUTER)
        document = self.store.get(ref.namespace, ref.name)
        assert document is not None
        return read_self(document).silence

    async def write(self, traffic: Traffic = TRAFFIC) -> Manifest:
        known = self.store.get(*KEY)
        owner = Owner(name=KEY.name, uid="1")
        document = wished_document(known, state_ref(ROUTER, *KEY), owner, config="{}", traffic=traffic, managed=())
        seen = None if known is None else known["metadata"]["resourceVersion"]
        written = await self.outposts.write(ROUTER, KEY, document, seen=seen)
        self.store.accept(written)
        return written


async def test_a_router_is_asked_rarely_at_rest_and_often_on_the_way() -> None:
    async with Post().watching() as post:
        await post.clock.advance(10 * RESTING)
        at_rest = post.router.looks
        post.moving = True
        await post.clock.advance(RESTING)
        before = post.router.looks
        await post.clock.advance(10 * MOVING)

    assert at_rest == 11
    assert post.router.looks - before == 10
    assert post.answered == 1


async def test_a_router_is_asked_at_once_after_a_wish() -> None:
    async with Post().watching() as post:
        before = post.router.looks
        await post.write()
        await let_run()

        assert post.router.looks == before + 1


async def test_one_failed_look_is_no_silence_and_the_next_comes_soon() -> None:
    async with Post().watching() as post:
        await post.write()
        await let_run()
        post.router.go_away()
        await post.clock.advance(RESTING)
        once = post.silence
        await post.clock.advance(sum(FAILING[: PATIENCE - 1]))
        twice = post.silence
        post.router.come_back()
        await post.clock.advance(FAILING[-1])

        assert (once, post.silence) == ("", "")
        assert "connection refused" in twice
        assert post.store.get(*KEY) is not None


async def test_a_router_that_is_silent_is_asked_on() -> None:
    async with Post().watching() as post:
        post.router.go_away()
        await post.clock.advance(600)
        post.router.come_back()
        await post.clock.advance(FAILING[-1])

        assert post.silence == ""


async def test_a_router_that_was_never_heard_is_answered_for_and_absent() -> None:
    post = Post()
    post.router.go_away()
    async with post.watching():
        assert post.answered == 1
        assert post.outposts.absent((GROUP, ROUTER))
        assert "connection refused" in post.silence
        assert not post.store.synced.is_set()

        post.router.come_back()
        await post.clock.advance(FAILING[-1])
        assert post.store.synced.is_set()
        assert post.silence == ""


async def test_a_look_that_began_before_a_wish_does_not_undo_it() -> None:
    post = Post()
    async with post.watching():
        await post.write()
        await let_run()
        old = dict(post.router.held)
        began = post.outposts._next()
        newer = Traffic(backends=(Share(role=Role.STABLE, service="stable", weight=100),))
        await post.write(newer)
        outpost = post.outposts._outposts[ROUTER]
        post.router.held, now = old, post.router.held
        post.outposts._take_all(ROUTER, outpost, post.store, await post.router.states(), began)
        post.router.held = now

        document = post.store.get(*KEY)
        assert document is not None
        assert read_state(document).traffic == newer


async def test_a_wish_from_another_picture_is_not_sent() -> None:
    async with Post().watching() as post:
        written = await post.write()
        asked = len(post.router.asked)
        stale = {**written, "metadata": {**written["metadata"], "resourceVersion": "0"}}

        with pytest.raises(ConflictError):
            await post.outposts.write(ROUTER, KEY, stale, seen="0")
        with pytest.raises(ConflictError):
            await post.outposts.write(ROUTER, KEY, stale, seen=None)
        with pytest.raises(ConflictError):
            await post.outposts.delete(ROUTER, KEY, uid="1", seen="0")

        assert len(post.router.asked) == asked


async def test_what_was_changed_behind_our_back_is_not_overwritten_and_then_seen() -> None:
    async with Post().watching() as post:
        await post.write()
        state = post.router.held[KEY]
        post.router.held[KEY] = type(state)(rollout=state.rollout, version="elsewhere", traffic=TRAFFIC, config={"b": 2})

        with pytest.raises(ConflictError):
            await post.write(Traffic(backends=(Share(role=Role.STABLE, service="stable", weight=100),)))
        await let_run()

        document = post.store.get(*KEY)
        assert document is not None
        assert read_state(document).config == '{"b":2}'


async def test_an_unchanged_answer_changes_no_document() -> None:
    async with Post().watching() as post:
        await post.write()
        await let_run()
        seen: list[Key] = []
        post.store.subscribe(lambda key, _old, _new: seen.append(key), replay=False)

        await post.clock.advance(10 * RESTING)

        assert seen == []


async def test_who_a_router_is_is_asked_now_and_then() -> None:
    async with Post().watching() as post:
        await post.clock.advance(10 * RESTING)

    assert post.router.introductions == 6


def test_about_names_a_whole_rollout() -> None:
    with pytest.raises(ValueError, match="namespace, name and uid"):
        About(namespace="", name="web", uid="1")
