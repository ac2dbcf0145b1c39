"""A router in another process, as the controller meets it through the contract: a small product of its own that can be ill in many ways."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tiphys.core.intent import Feature
from tiphys.kube.errors import ConflictError, NotFoundError
from tiphys.kube.store import Key
from tiphys.plugins.contract import VERSION, About, Problem, Self, State, Wish
from tiphys.plugins.errors import AnswerError, SilentError

if TYPE_CHECKING:
    from inprocess import StoreApi
    from tiphys.api.errors import SpecError, TiphysError

T = TypeVar("T")
ROUTER = "example.com/router"


class FakeRouter:
    """
    Keeps the contract in memory.

    *api* counts its writes among those of the controller, so that it can die around each. *trouble* answers every call instead;
    *garbage* are states that are no states; of wishes that come while it is *slow* it says `notYet`, of others `yes`; *refused* answers
    every wish; a *deaf* one changes nothing.
    """

    def __init__(self) -> None:
        self.api: StoreApi | None = None
        self.held: dict[Key, State] = {}
        self.garbage: dict[Key, bytes] = {}
        self.features = tuple(feature.value for feature in Feature)
        self.contracts: tuple[str, ...] = (VERSION,)
        self.most: int | None = None
        self.trouble: TiphysError | None = None
        self.refused: SpecError | None = None
        self.slow = False
        self.unverified: set[str] = set()
        self.problems: tuple[Problem, ...] = ()
        self.deaf = False
        self.asked: list[Wish] = []
        self.forgotten: list[About] = []
        self._count = 0

    def go_away(self) -> None:
        self.trouble = SilentError(ROUTER, "cannot reach http://router.test: connection refused")

    def come_back(self, *, empty: bool = False) -> None:
        self.trouble = None
        if empty:
            self.held.clear()

    def weights(self, name: str = "web") -> tuple[int, int]:
        """Give what stable and canary get; a router without a wish gives everything to stable."""
        state = self.held.get(Key("default", name))
        if state is None:
            return 100, 0
        shares = {share.role.value: share.weight for share in state.traffic.backends}
        return shares["stable"], shares.get("canary", 0)

    def routes(self, name: str = "web") -> list[str]:
        state = self.held.get(Key("default", name))
        if state is None:
            return []
        return [*(route.name for route in state.traffic.header_routes), *(route.name for route in state.traffic.mirrors)]

    async def introduce(self) -> Self:
        self._answer()
        return Self(name="fake", contracts=self.contracts, features=self.features, max_traffic_weight=self.most)

    async def states(self) -> tuple[msgspec.Raw, ...]:
        self._answer()
        whole = [msgspec.json.encode(self._said(state)) for key, state in self.held.items() if key not in self.garbage]
        return tuple(msgspec.Raw(each) for each in (*whole, *self.garbage.values()))

    async def state(self, namespace: str, name: str) -> State:
        self._answer()
        found = self.held.get(Key(namespace, name))
        if found is None:
            raise NotFoundError(404, "NotFound", "no wish")
        return self._said(found)

    async def wish(self, wish: Wish) -> State:
        self._answer()
        key = Key(wish.rollout.namespace, wish.rollout.name)
        known = self.held.get(key)
        if wish.version != (None if known is None else known.version):
            raise ConflictError(409, "Conflict", "another version")
        if self.refused is not None:
            raise self.refused
        if key in self.garbage:
            raise AnswerError(ROUTER, "answered no state of contract v1")
        body = msgspec.json.encode(wish).decode()
        return self._write("put", body, lambda: self._obey(key, wish))

    async def forget(self, about: About, *, version: str | None) -> None:
        self._answer()
        key = Key(about.namespace, about.name)
        known = self.held.get(key)
        if known is None:
            return
        if known.version != version or known.rollout.uid != about.uid:
            raise ConflictError(409, "Conflict", "another version")

        def drop() -> None:
            self.held.pop(key)
            self.forgotten.append(about)

        self._write("delete", about.name, drop)

    def _obey(self, key: Key, wish: Wish) -> State:
        self.asked.append(wish)
        known = self.held.get(key)
        if known is not None and (known.config, known.traffic) == (wish.config, wish.traffic):
            return self._said(known)
        self._count += 1
        if self.slow:
            self.unverified.add(f"v{self._count}")
        state = State(rollout=wish.rollout, version=f"v{self._count}", config=wish.config, traffic=wish.traffic)
        if not self.deaf or key not in self.held:
            self.held[key] = state
        return self._said(self.held[key])

    def _said(self, state: State) -> State:
        verified = "notYet" if state.version in self.unverified else "yes"
        return msgspec.structs.replace(state, verified=verified, problems=self.problems)

    def _answer(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _write(self, verb: str, what: str, write: Callable[[], T]) -> T:
        if self.api is None:
            return write()
        return self.api.through(verb, "routers", what, write, lost=SilentError(ROUTER, "broke off in the middle of an answer"))
