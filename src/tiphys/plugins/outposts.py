"""What do routers in other processes say now, and how are they told what is wanted?"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from tiphys.api.errors import ConflictError, SpecError, TiphysError
from tiphys.api.meta import Manifest
from tiphys.kube import errors as kube
from tiphys.kube.clock import Clock
from tiphys.kube.diff import apply_merge_patch
from tiphys.kube.store import Key, Store
from tiphys.plugins.client import RouterApi, at
from tiphys.plugins.contract import VERSION, About, Addressed, Self, State, canonical, routed_of
from tiphys.plugins.documents import (
    GROUP,
    read_state,
    self_document,
    self_ref,
    silent_document,
    state_document,
    wish_of,
)
from tiphys.plugins.errors import AnswerError

MOVING: Final = 2.0
"""Seconds between looks while a Rollout of the router is on its way."""
RESTING: Final = 30.0
"""Seconds between looks while none is."""
FAILING: Final = (0.5, 1.0, 2.0, 5.0)
"""Seconds after the first failed look, the second, and so on."""
PATIENCE: Final = 2
"""Failed looks in a row after which a router counts as silent: one is what a restart costs."""
ASK_AGAIN: Final = 60.0
"""Seconds after which a router is asked again what it can do."""

Moving = Callable[[str], bool]
"""Tells whether a Rollout that names the router is on its way."""

log = structlog.get_logger("tiphys.controller")


@dataclass(slots=True)
class _Outpost:
    """One router, and what is known of it."""

    api: RouterApi
    store: Store[Manifest] | None = None
    answered: Callable[[], None] | None = None
    said: Self | None = None
    said_at: float = 0.0
    listed: bool = False
    failures: int = 0
    silence: str = ""
    tried: bool = False
    kick: asyncio.Event = field(default_factory=asyncio.Event)


class Outposts:
    """
    Keeps documents equal to what routers say, by asking them, and sends wishes.

    A router is asked for everything it holds at once: every two seconds while one of its Rollouts is on its way, else every half minute,
    and at once after a wish. What is remembered only saves questions. The documents carry versions of our own; the router's version
    goes with each wish, so that a wish from an old picture changes nothing.
    """

    def __init__(self, apis: Mapping[str, RouterApi], clock: Clock) -> None:
        self._clock = clock
        self._outposts = {name: _Outpost(api) for name, api in apis.items()}
        self._version = 0
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._moving: Moving = lambda _name: True

    @property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """Group and kind of the documents of each router."""
        return frozenset((GROUP, name) for name in self._outposts)

    def use(self, group: asyncio.TaskGroup, moving: Moving) -> None:
        """Look at the routers by themselves, in tasks of *group*, as often as *moving* makes it worth while."""
        self._group, self._moving = group, moving

    def stop(self) -> None:
        """End all looking."""
        for task in self._tasks:
            task.cancel()

    def start(self, kind: tuple[str, str], store: Store[Any], answered: Callable[[], None]) -> None:
        """Begin to keep *store* equal to what the router says; call *answered* once it was asked, whatever came of it."""
        outpost = self._outposts.get(kind[1])
        if outpost is None:
            return
        outpost.store, outpost.answered = store, answered
        if self._group is not None:
            task = self._group.create_task(self._follow(kind[1], outpost), name=f"router {kind[1]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def absent(self, kind: tuple[str, str]) -> bool:
        """Tell whether nothing could be read so far, although it was tried; what to do then is said by the router's own document."""
        outpost = self._outposts.get(kind[1])
        return outpost is None or (outpost.tried and not outpost.listed)

    # Looking

    async def _follow(self, name: str, outpost: _Outpost) -> None:
        while True:
            outpost.kick.clear()
            try:
                wait = await self.look(name)
            except Exception:  # a bug of ours degrades one router and not the process
                log.exception("error of our own", router=name)
                wait = FAILING[-1]
            sleeping = asyncio.ensure_future(self._clock.sleep(wait))
            kicked = asyncio.ensure_future(outpost.kick.wait())
            try:
                await asyncio.wait({sleeping, kicked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                kicked.cancel()

    async def look(self, name: str) -> float:
        """Ask one router once, and give the seconds after which it is worth while to ask again."""
        outpost = self._outposts[name]
        store = outpost.store
        if store is None:
            return RESTING
        began = self._next()
        try:
            await self._introduce(name, outpost)
            if outpost.said is None or VERSION not in outpost.said.contracts:
                return self._misunderstood(name, outpost, store)
            found = await outpost.api.states()
        except TiphysError as error:
            return self._failed(name, outpost, store, error)
        self._take_all(name, outpost, store, found, began)
        return MOVING if self._moving(name) else RESTING

    async def _introduce(self, name: str, outpost: _Outpost) -> None:
        now = self._clock.monotonic()
        if outpost.said is None or outpost.failures or now - outpost.said_at >= ASK_AGAIN:
            said = await outpost.api.introduce()
            if outpost.said != said:
                log.info("router introduces itself", router=name, calls_itself=said.name, contracts=said.contracts, features=said.features)
            outpost.said, outpost.said_at = said, now

    def _misunderstood(self, name: str, outpost: _Outpost, store: Store[Manifest]) -> float:
        """Show a router that keeps another contract: what it says of itself is all that can be read."""
        outpost.failures, outpost.silence = outpost.failures + 1, ""
        self._show_self(name, outpost, store)
        self._answer(outpost)
        return FAILING[-1]

    def _failed(self, name: str, outpost: _Outpost, store: Store[Manifest], error: TiphysError) -> float:
        outpost.failures += 1
        if not outpost.listed or outpost.failures >= PATIENCE:
            if not outpost.silence:
                log.warning("router does not answer as it should", router=name, problem=str(error))
            outpost.silence = str(error)
            self._show_self(name, outpost, store)
        self._answer(outpost)
        return FAILING[min(outpost.failures, len(FAILING)) - 1]

    def _take_all(self, name: str, outpost: _Outpost, store: Store[Manifest], found: tuple[msgspec.Raw, ...], began: str) -> None:
        if outpost.silence:
            log.info("router answers again", router=name)
        outpost.failures, outpost.silence, outpost.listed = 0, "", True
        self._show_self(name, outpost, store)
        there = set()
        for raw in found:
            key = self._take(name, store, raw, began)
            there |= {key} if key is not None else set()
        for key in {key for key in store.keys() if key.namespace} - there:  # noqa: SIM118 - a store is no map
            store.remove(key, began)
        store.reached(began)
        store.synced.set()
        self._answer(outpost)

    def _take(self, name: str, store: Store[Manifest], raw: msgspec.Raw, version: str) -> Key | None:
        """Take in one state; one that is garbage leaves what was known, and says so."""
        try:
            about = msgspec.json.decode(raw, type=Addressed).rollout
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("router holds a state without a Rollout", router=name, problem=str(error))
            return None
        known = store.get(about.namespace, about.name)
        try:
            document = state_document(name, version, msgspec.json.decode(raw, type=State))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            document = silent_document(name, version, known, about, f"router {name}: its state is none of contract v1: {error}")
        if known is None or not _alike(known, document):
            store.upsert(document)
        return Key(about.namespace, about.name)

    def _show_self(self, name: str, outpost: _Outpost, store: Store[Manifest]) -> None:
        version = self._next()
        document = self_document(name, version, said=outpost.said, listed=outpost.listed, silence=outpost.silence)
        ref = self_ref(name)
        known = store.get(ref.namespace, ref.name)
        if known is None or not _alike(known, document):
            store.upsert(document)

    def _answer(self, outpost: _Outpost) -> None:
        if not outpost.tried:
            outpost.tried = True
            if outpost.answered is not None:
                outpost.answered()

    # Writing

    async def get(self, name: str, key: Key) -> Manifest:
        """
        Ask a router for one document.

        Raises:
            NotFoundError: it holds nothing for that Rollout.

        """
        state = await self._outpost(name).api.state(key.namespace, key.name)
        return state_document(name, self._next(), state)

    async def write(self, name: str, key: Key, document: Manifest, *, seen: str | None) -> Manifest:
        """
        Send the wish of *document* and give the document of what the router says then; *seen* is the version that was decided from.

        Raises:
            ConflictError: what is known is another one than was seen, or the router knows better.
            SpecError: the router wants something of the Rollout to be mended.
            RouterError: it does not answer, or does not say afterwards what it was asked to.

        """
        outpost = self._outpost(name)
        known = None if outpost.store is None else outpost.store.get(key.namespace, key.name)
        if seen != (None if known is None else known["metadata"]["resourceVersion"]):
            raise _changed(name, key)
        version = None if known is None else read_state(known).version
        wish = wish_of(document, version=version)
        try:
            state = await outpost.api.wish(wish)
        finally:
            outpost.kick.set()
        if state.rollout != wish.rollout:
            raise AnswerError(name, f"was asked about {wish.rollout.namespace}/{wish.rollout.name} and answered about another Rollout")
        same = canonical(state.config) == canonical(wish.config) and routed_of(state.traffic) == routed_of(wish.traffic)
        written = state_document(name, self._next(), state)
        if not same or not state.uniform:
            if outpost.store is not None:
                outpost.store.accept(written)
            raise AnswerError(
                name, "took a wish and does not say afterwards what was wished; what its product does later belongs into verified"
            )
        return written

    async def change(self, name: str, key: Key, patch: Manifest) -> Manifest:
        """Send the wish that the merge *patch* makes of the document that is known; the errors are those of `write`."""
        outpost = self._outpost(name)
        known = None if outpost.store is None else outpost.store.get(key.namespace, key.name)
        if known is None:
            raise _changed(name, key)
        seen = patch.get("metadata", {}).get("resourceVersion")
        return await self.write(name, key, apply_merge_patch(known, patch), seen=seen)

    async def delete(self, name: str, key: Key, *, uid: str, seen: str | None) -> None:
        """Let a router forget a Rollout, if it still holds what was seen."""
        outpost = self._outpost(name)
        known = None if outpost.store is None else outpost.store.get(key.namespace, key.name)
        if known is None:
            return
        if seen is not None and known["metadata"]["resourceVersion"] != seen:
            raise _changed(name, key)
        try:
            await outpost.api.forget(About(namespace=key.namespace, name=key.name, uid=uid), version=read_state(known).version)
        except ConflictError:
            await self.look(name)
            raise
        if outpost.store is not None:
            outpost.store.remove(key, self._next())

    def _outpost(self, name: str) -> _Outpost:
        found = self._outposts.get(name)
        if found is None:
            raise SpecError(field=at(name), found=name, wanted="a router that the controller knows")
        return found

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


def _changed(name: str, key: Key) -> kube.ConflictError:
    return kube.ConflictError(409, "Conflict", f"what router {name} says for {key.namespace}/{key.name} has changed meanwhile")


def _alike(one: Manifest, other: Manifest) -> bool:
    """Tell whether two documents differ in nothing but their version."""
    metadata = [{key: value for key, value in each["metadata"].items() if key != "resourceVersion"} for each in (one, other)]
    parts = [{key: value for key, value in each.items() if key != "metadata"} for each in (one, other)]
    return metadata[0] == metadata[1] and parts[0] == parts[1]
