"""Do header and mirror routes through a real Traefik lead where they should, and go without a trace?"""

import asyncio
from pathlib import Path

import pytest

from tiphys.api.meta import Manifest
from traefik_shop import objects, shop_with, tcp_objects


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")


def header_step(name: str, *alternatives: tuple[str, str, str]) -> Manifest:
    match = [{"headerName": header, "headerValue": {form: value}} for header, form, value in alternatives]
    return {"setHeaderRoute": {"name": name, "match": match}}


async def test_requests_with_the_header_are_the_canarys_and_the_others_go_by_weight(tmp_path: Path) -> None:
    steps = [
        {"setWeight": 20},
        header_step("beta", ("x-beta", "exact", 'it\'s `quoted` \\ "twice"'), ("user-agent", "prefix", "QA/1.0 (")),
        header_step("staff", ("x-team", "regex", "^(blue|green)[0-9]+$")),
        {"pause": {}},
        {"setHeaderRoute": {"name": "beta"}},
        {"pause": {}},
    ]
    async with shop_with(tmp_path, objects(steps, "staff", "beta")) as shop:
        stable = shop.rollout()["status"]["stableRS"]
        shop.set_image("2")
        await shop.phase("Paused", step=3)
        canary = shop.rollout()["status"]["currentPodHash"]

        await shop.answered_by(canary, {"x-beta": 'it\'s `quoted` \\ "twice"'})
        await shop.answered_by(canary, {"user-agent": "QA/1.0 (bot)"})
        await shop.answered_by(canary, {"x-team": "green12"})
        await shop.share(20, canary)

        shop.promote()
        await shop.phase("Paused", step=5)
        await shop.answered_by(canary, {"x-team": "blue1", "x-beta": "1"})
        shop.abort()
        await shop.phase("Degraded")
        for headers in ({"x-team": "blue1"}, {"x-beta": "1"}, {"user-agent": "QA/1.0 ("}):
            await shop.answered_by(stable, headers)
        await shop.share(100, stable)
        await shop.load.stop()

        assert shop.load.failures == []
        assert shop.names("IngressRoute") == {"web"}
        assert shop.names("TraefikService") == {"web"}


@pytest.mark.parametrize("syntax", ["v2", "v3"])
async def test_a_part_of_what_matches_is_copied_exactly_and_answered_as_before(tmp_path: Path, syntax: str) -> None:
    copied = [{"method": {"exact": "GET"}, "path": {"prefix": "/api"}}, {"headers": {"x-copy": {"regex": "^y"}}}]
    steps: list[Manifest] = [
        {"setCanaryScale": {"replicas": 1}},
        {"setMirrorRoute": {"name": "shadow", "percentage": 25, "match": copied}},
        header_step("beta", ("x-beta", "exact", "1")),
        {"pause": {}},
    ]
    async with shop_with(tmp_path, objects(steps, "beta", "shadow", syntax=syntax)) as shop:
        stable = shop.rollout()["status"]["stableRS"]
        shop.set_image("2")
        await shop.phase("Paused", step=3)
        canary = shop.rollout()["status"]["currentPodHash"]
        await shop.answered_by(canary, {"x-beta": "1"}, path="/api/orders")
        async with asyncio.timeout(30):
            before = shop.served(canary)
            while shop.served(canary) == before:  # until the mirror route is there, too
                assert await shop.ask("/api", 4) == {stable: 4}
        await shop.until_served(canary, before + 1)
        start = shop.served(canary)

        assert await shop.ask("/api/orders", 100) == {stable: 100}
        await shop.until_served(canary, start + 25)
        assert await shop.ask("/", 40, {"x-copy": "yes"}) == {stable: 40}
        await shop.until_served(canary, start + 35)
        assert await shop.ask("/other", 40) == {stable: 40}
        # The header route stands before the mirror route: its requests reach the canary once.
        assert await shop.ask("/api/orders", 40, {"x-beta": "1"}) == {canary: 40}
        assert 0 <= shop.served(canary) - start - 75 <= 1

        shop.promote()
        await shop.phase("Healthy")
        await shop.share(100, canary)
        await shop.load.stop()
        assert shop.load.failures == []
        assert (shop.names("IngressRoute"), shop.names("TraefikService")) == ({"web"}, {"web"})


async def test_connections_are_split_as_the_steps_say(tmp_path: Path) -> None:
    steps: list[Manifest] = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
    async with shop_with(tmp_path, tcp_objects(steps), loaded=False) as shop:
        stable = shop.rollout()["status"]["stableRS"]
        assert await shop.ask("/", 20) == {stable: 20}

        shop.set_image("2")
        for step, weight in ((1, 20), (3, 50)):
            await shop.phase("Paused", step=step)
            canary = shop.rollout()["status"]["currentPodHash"]
            async with asyncio.timeout(30):
                while await shop.ask("/", 100) != {
                    stable: 100 - weight,
                    canary: weight,
                }:  # Traefik takes over what it reads when it likes to
                    pass
            shop.promote()

        await shop.phase("Healthy")
        await shop.answered_by(canary, {})
