"""Does the check for those who write routers find what is broken, and nothing else?"""

from collections.abc import Callable

import msgspec
import pytest

from router_server import Chosen, RouterServer
from tiphys.core.intent import Feature
from tiphys.plugins.check import Finding, check
from tiphys.plugins.client import HttpRouter
from tiphys.plugins.contract import About
from tiphys.plugins.partner import Partner

ABOUT = About(namespace="tiphys-check", name="check", uid="1")


async def found(break_it: Callable[[RouterServer], None]) -> list[Finding]:
    async with RouterServer().serve() as server:
        break_it(server)
        router = HttpRouter(Partner(name="checked", url=server.url))
        findings = [finding async for finding in check(router, ABOUT, {"host": "check.example"})]
        await router.close()
        assert server.chosen is not None or server.router.held == {}, "something was left behind"
    return findings


def _keep(_: RouterServer) -> None:
    return


async def test_a_router_that_keeps_the_contract_is_told_so() -> None:
    findings = await found(_keep)

    assert len(findings) == 14
    assert [finding for finding in findings if finding.problem] == []


async def test_a_router_is_asked_only_for_what_it_says_it_can_do() -> None:
    def modest(server: RouterServer) -> None:
        server.router.features = (Feature.WEIGHTS.value,)

    assert [finding for finding in await found(modest) if finding.problem] == []


def _away(server: RouterServer) -> None:
    server.chosen = Chosen(503)


def _old(server: RouterServer) -> None:
    server.router.contracts = ("v0",)


def _deaf(server: RouterServer) -> None:
    server.router.deaf = True


def _careless(server: RouterServer) -> None:
    server.forgetful_of_versions = True


@pytest.mark.parametrize(
    ("break_it", "promise", "says"),
    [
        (_away, "GET /v1/router names the contract and the features", "answered 503"),
        (_old, "GET /v1/router names the contract and the features", "contracts: found v0, wanted v1"),
        (_deaf, "a wish from an old version is refused with 409", "traffic: found"),
        (_careless, "a wish from an old version is refused with 409", "found 200, wanted 409"),
    ],
    ids=["away", "old", "deaf", "careless"],
)
async def test_a_broken_promise_is_named(break_it: Callable[[RouterServer], None], promise: str, says: str) -> None:
    (first, *_) = [finding for finding in await found(break_it) if finding.problem]

    assert first.promise == promise
    assert says in first.problem


def test_findings_are_plain_values() -> None:
    assert msgspec.to_builtins(Finding(promise="p", problem="q")) == {"promise": "p", "problem": "q"}
