"""Does a router keep the contract? For those who write one: `tiphys router-check URL`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from tiphys.api.errors import ConflictError, TiphysError
from tiphys.core.intent import Feature, Role
from tiphys.kube.errors import NotFoundError
from tiphys.plugins.client import HttpRouter
from tiphys.plugins.contract import (
    VERSION,
    About,
    Header,
    HeaderRouting,
    Match,
    Mirroring,
    Self,
    Share,
    State,
    Text,
    Traffic,
    Wish,
    canonical,
    features_of,
    routed_of,
)

STABLE: Final = Share(role=Role.STABLE, service="tiphys-check-stable", weight=100)
_FORMS: Final = {Feature.HEADER_EXACT: "exact", Feature.HEADER_PREFIX: "prefix", Feature.HEADER_REGEX: "regex"}


class BrokenPromiseError(TiphysError):
    """A promise of the contract that a router does not keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise, and what is wrong with how it is kept; nothing where it is."""

    promise: str
    problem: str = ""


async def check(router: HttpRouter, about: About, config: Any) -> AsyncIterator[Finding]:  # noqa: ANN401 - any JSON
    """
    Ask *router* for everything that the contract promises, with wishes for the Rollout *about*, which it must not know yet.

    The wishes name Services that do not exist; *config* is what a Rollout of yours would say. Whatever happens, the router is told in the
    end to forget it all.
    """
    visit = _Visit(router, about, config)
    try:
        for promise, keep in visit.promises():
            problem = ""
            try:
                await keep()
            except (TiphysError, msgspec.MsgspecError) as error:
                problem = str(error)
            yield Finding(promise=promise, problem=problem)
            if problem and visit.said is None:
                return
    finally:
        await visit.leave()


class _Visit:
    """One course of questions, each of which builds on the answers before."""

    def __init__(self, router: HttpRouter, about: About, config: Any) -> None:  # noqa: ANN401 - any JSON
        self._router = router
        self._about = about
        self._config = config
        self._version: str | None = None
        self.said: Self | None = None

    def promises(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Give every promise with what shows that it is kept, in order."""
        return [
            ("GET /v1/router names the contract and the features", self._introduces_itself),
            ("GET /healthz answers", self._router.health),
            ("a Rollout that was never heard of has no state", self._knows_nothing),
            ("a wish is taken, and the answer says what was wished", self._takes_a_wish),
            ("the state is found again, by itself and among all", self._remembers),
            ("the same wish again changes nothing", self._takes_it_twice),
            ("a wish from an old version is refused with 409", self._refuses_old_wishes),
            ("weights from 0 to the maximum come out as they went in", self._takes_weights),
            ("header routes come out as they went in, in their order", self._takes_headers),
            ("mirror routes come out as they went in", self._takes_mirrors),
            ("a wish without a canary takes it all back", self._takes_all_back),
            ("a field that only a later version knows harms nothing", self._ignores_the_unknown),
            ("a state is forgotten only at the version that was seen", self._forgets_what_was_seen),
            ("forgetting twice is no error", self._forgets_twice),
        ]

    async def leave(self) -> None:
        """Let the router forget everything about us, if it will."""
        try:
            state = await self._router.state(self._about.namespace, self._about.name)
            await self._router.forget(state.rollout, version=state.version)
        except TiphysError:
            return

    async def _introduces_itself(self) -> None:
        said = await self._router.introduce()
        if VERSION not in said.contracts:
            _broken("contracts", ", ".join(said.contracts), VERSION)
        if Feature.WEIGHTS not in features_of(said):
            _broken("features", ", ".join(said.features), "weights among them")
        self.said = said

    async def _knows_nothing(self) -> None:
        try:
            state = await self._router.state(self._about.namespace, self._about.name)
        except NotFoundError:
            return
        _broken("the answer", f"a state at version {state.version}", "404")

    async def _takes_a_wish(self) -> None:
        await self._wish(_traffic(20))

    async def _remembers(self) -> None:
        alone = await self._router.state(self._about.namespace, self._about.name)
        listed = [msgspec.json.decode(raw, type=State) for raw in await self._router.states()]
        if alone not in listed:
            _broken("GET /v1/states", "no such state", "the one that is found by itself")
        self._is_wished(alone, _traffic(20))
        if alone.version != self._version:
            _broken("version", alone.version, f"{self._version}, that of the answer to the wish")

    async def _takes_it_twice(self) -> None:
        before = self._version
        await self._wish(_traffic(20))
        if self._version != before:
            _broken("version", str(self._version), f"{before}, because nothing changed")

    async def _refuses_old_wishes(self) -> None:
        before = self._version
        await self._wish(_traffic(30))
        for version in (before, None):
            try:
                await self._router.wish(self._wished(_traffic(40), version))
            except ConflictError:
                continue
            _broken("the answer", "200", f"409 for {'an old' if version else 'no'} version")
        self._is_wished(await self._router.state(self._about.namespace, self._about.name), _traffic(30))

    async def _takes_weights(self) -> None:
        most = self.said.max_traffic_weight if self.said is not None and self._can(Feature.MAX_WEIGHT) else None
        for canary in (0, 1, 50, 99, 100):
            await self._wish(_traffic(canary))
        if self._can(Feature.MAX_WEIGHT):
            maximum = most or 1000
            await self._wish(_traffic(1, maximum=maximum))
            await self._wish(_traffic(maximum, maximum=maximum))
        if self._can(Feature.EXPERIMENTS):
            extra = Share(role=Role.EXPERIMENT, service="tiphys-check-experiment", weight=10)
            plain = _traffic(20)
            stable = msgspec.structs.replace(STABLE, weight=70)
            await self._wish(msgspec.structs.replace(plain, backends=(stable, plain.backends[1], extra)))

    async def _takes_headers(self) -> None:
        for feature, form in _FORMS.items():
            if self._can(feature):
                routes = tuple(HeaderRouting(name=name, any_of=(_header(name, form), _header("x-other", form))) for name in ("b", "a"))
                await self._wish(msgspec.structs.replace(_traffic(20), header_routes=routes))

    async def _takes_mirrors(self) -> None:
        if self._can(Feature.MIRROR):
            match = Match(method=Text(exact="GET"), path=Text(prefix="/api"), headers=(_header("x-beta", "exact"),))
            await self._wish(msgspec.structs.replace(_traffic(20), mirrors=(Mirroring(name="a", any_of=(match, Match()), percent=35),)))

    async def _takes_all_back(self) -> None:
        await self._wish(Traffic(backends=(STABLE,)))

    async def _ignores_the_unknown(self) -> None:
        state = await self._router.send(
            {**msgspec.to_builtins(self._wished(_traffic(5), self._version)), "ofTomorrow": {"a": 1}}, self._about
        )
        self._is_wished(state, _traffic(5))
        self._version = state.version

    async def _forgets_what_was_seen(self) -> None:
        try:
            await self._router.forget(self._about, version=f"{self._version}-no-more")
        except ConflictError:
            await self._router.forget(self._about, version=self._version)
            await self._knows_nothing()
            return
        _broken("the answer", "200", "409 for another version")

    async def _forgets_twice(self) -> None:
        await self._router.forget(self._about, version=self._version)

    async def _wish(self, traffic: Traffic) -> None:
        state = await self._router.wish(self._wished(traffic, self._version))
        self._is_wished(state, traffic)
        self._version = state.version

    def _wished(self, traffic: Traffic, version: str | None) -> Wish:
        return Wish(rollout=self._about, config=self._config, traffic=traffic, managed_routes=("a", "b"), version=version)

    def _is_wished(self, state: State, traffic: Traffic) -> None:
        if state.rollout != self._about:
            _broken("rollout", str(state.rollout), str(self._about))
        if routed_of(state.traffic) != routed_of(traffic) or not state.uniform:
            _broken("traffic", canonical(state.traffic), canonical(traffic))
        if canonical(state.config) != canonical(self._config):
            _broken("config", canonical(state.config), canonical(self._config))

    def _can(self, feature: Feature) -> bool:
        return self.said is not None and feature in features_of(self.said)


def _traffic(canary: int, *, maximum: int = 100) -> Traffic:
    return Traffic(
        maximum=maximum,
        backends=(
            msgspec.structs.replace(STABLE, weight=maximum - canary),
            Share(role=Role.CANARY, service="tiphys-check-canary", weight=canary),
        ),
    )


def _header(name: str, form: str) -> Header:
    return Header(header=name, value=Text(**{form: "1"}))


def _broken(what: str, found: str, wanted: str) -> NoReturn:
    raise BrokenPromiseError(f"{what}: found {found}, wanted {wanted}")
