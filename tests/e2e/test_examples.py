"""Do the two examples do with kubectl, tiphys and a real Envoy what their first lines promise?"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from terminal import Terminal
from tiphys.demo import app
from tiphys.demo.stage import Stage

Manifest = dict[str, Any]

HEADERS = {"Custom-Header1": "Mozilla", "Custom-Header2": "MozillaXY", "Custom-Header3": "Mozilla(anything)"}
NEAR_MISSES = {"Custom-Header1": "MozillaX", "Custom-Header2": "xMozilla", "Custom-Header3": "Mozill", "Custom-Header4": "Mozilla"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One of the examples, deployed by kubectl, and a person in front of it."""

    name: str
    stage: Stage
    terminal: Terminal
    session: aiohttp.ClientSession

    @property
    def host(self) -> str:
        return f"{self.name}.local"

    async def until(self, holds: Callable[[Manifest], bool]) -> Manifest:
        """Wait for a state of the Rollout, and for Envoy to act upon what is written by then."""
        subscription = self.stage.cluster.store.watch(self.stage.rollouts, namespace=app.NAMESPACE)
        try:
            async with asyncio.timeout(30):
                async for event in subscription:
                    if event.manifest["metadata"]["name"] == self.name and holds(event.manifest.get("status", {})):
                        await self.stage.cluster.mesh.applied()
                        return dict(event.manifest)
        finally:
            subscription.close()
        raise AssertionError("the watch has ended")

    async def paused(self, step: int) -> Manifest:
        return await self.until(lambda status: status.get("phase") == "Paused" and status.get("currentStepIndex") == step)

    async def healthy(self) -> Manifest:
        return await self.until(lambda status: status.get("phase") == "Healthy")

    async def routes(self) -> list[Manifest]:
        found: Manifest = json.loads(await self.terminal.says("kubectl", "get", "virtualservice", f"{self.name}-vsvc", "-o", "json"))
        routes: list[Manifest] = found["spec"]["http"]
        return routes

    async def foreign(self) -> Manifest:
        """Give all of the VirtualService but its http routes and what the API server counts."""
        found: Manifest = json.loads(await self.terminal.says("kubectl", "get", "virtualservice", f"{self.name}-vsvc", "-o", "json"))
        counted = {"resourceVersion", "generation", "managedFields"}
        metadata = {name: value for name, value in found["metadata"].items() if name not in counted}
        return {**found, "metadata": metadata, "spec": {name: value for name, value in found["spec"].items() if name != "http"}}

    async def ask(self, count: int, *, method: str = "GET", **headers: str) -> Counter[str]:
        """Count which versions answer *count* requests through Envoy."""
        answers: Counter[str] = Counter()
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                async with self.session.request(method, self.stage.envoy.url, headers={"Host": self.host, **headers}) as answer:
                    await answer.read()
                    answers[answer.headers["x-version"] if answer.status == 200 else str(answer.status)] += 1

        await asyncio.gather(*[work() for _ in range(8)])
        return answers

    async def mirrored(self) -> dict[str, int]:
        """Give the copies that the pods of each version counted, once they have counted all that Envoy sent."""
        async with asyncio.timeout(20):
            while True:
                arrived: Counter[str] = Counter()
                for pod in self.stage.cluster.counts():
                    arrived[pod.version] += pod.mirrored
                sent = sum(each.mirrored for each in (await self.stage.envoy.cluster_counts()).values())
                if sent == arrived.total():
                    return {version: number for version, number in arrived.items() if number}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as running:
        yield running


@pytest.fixture
async def example(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path) -> AsyncIterator[Example]:
    """Apply an example as its page says, and give fields of one's own to its VirtualService."""
    async with aiohttp.ClientSession() as session:
        terminal = Terminal(home=tmp_path, kubeconfig=stage.kubeconfig)
        given = Example(name=request.param, stage=stage, terminal=terminal, session=session)
        applied = await terminal.says("kubectl", "apply", "-f", f"examples/{given.name}.yaml")
        assert applied.splitlines() == [
            f"service/{given.name}-stable created",
            f"service/{given.name}-canary created",
            f"virtualservice.networking.istio.io/{given.name}-vsvc created",
            f"rollout.argoproj.io/{given.name} created",
        ]
        own = {
            "metadata": {"labels": {"team": "checkout"}, "annotations": {"example.com/owner": "them"}},
            "spec": {"hosts": [given.host], "gateways": ["mesh"], "http": [_primary(given.name, 0), OWN_ROUTE]},
        }
        await terminal.says("kubectl", "patch", "virtualservice", f"{given.name}-vsvc", "--type=merge", "-p", json.dumps(own))
        await given.healthy()
        yield given


OWN_ROUTE: Manifest = {
    "name": "theirs",
    "match": [{"uri": {"prefix": "/status"}}],
    "fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}},
    "route": [{"destination": {"host": "elsewhere"}}],
}


def _primary(name: str, canary: int) -> Manifest:
    return {
        "name": "primary",
        "timeout": "5s",
        "headers": {"response": {"set": {"x-shop": "harbour"}}},
        "route": [
            {"destination": {"host": f"{name}-stable"}, "weight": 100 - canary},
            {"destination": {"host": f"{name}-canary"}, "weight": canary},
        ],
    }


def _within_four_deviations(measured: int, of: int, share: float) -> bool:
    return abs(measured - of * share) <= 4 * math.sqrt(of * share * (1 - share))


@pytest.mark.parametrize("example", ["header-route"], indirect=True)
async def test_requests_with_one_of_three_headers_go_to_the_canary_whatever_the_weight(example: Example) -> None:
    people, name = example.terminal, example.name
    foreign, before = await example.foreign(), await example.routes()

    assert await people.says("tiphys", "set", "image", name, f"web={app.image('2')}") == f'rollout "{name}" image updated\n'
    await example.paused(step=2)
    during = await example.routes()
    with_a_header = {header: await example.ask(50, **{header: value}) for header, value in HEADERS.items()}
    without = await example.ask(400)
    missed = await example.ask(100, **NEAR_MISSES)

    assert before == [_primary(name, 0), OWN_ROUTE]
    assert [route["name"] for route in during] == ["set-header-1", "primary", "theirs"]
    assert during[1:] == [_primary(name, 20), OWN_ROUTE]
    assert during[0]["route"] == [{"destination": {"host": f"{name}-canary"}, "weight": 100}]
    assert during[0]["match"] == [
        {"headers": {"Custom-Header1": {"exact": "Mozilla"}}},
        {"headers": {"Custom-Header2": {"prefix": "Mozilla"}}},
        {"headers": {"Custom-Header3": {"regex": "Mozilla(.*)"}}},
    ]
    assert with_a_header == {header: Counter({"2": 50}) for header in HEADERS}
    assert set(without) == set(missed) == {"1", "2"}
    assert _within_four_deviations(without["2"], 400, 0.2)
    assert _within_four_deviations(missed["2"], 100, 0.2)

    assert await people.says("tiphys", "promote", name) == f"rollout '{name}' promoted\n"
    await example.paused(step=4)
    assert await example.routes() == [_primary(name, 20), OWN_ROUTE]
    assert set(await example.ask(100, **HEADERS)) == {"1", "2"}

    await people.says("tiphys", "promote", name)
    ended = await example.healthy()
    assert ended["status"]["stableRS"] == ended["status"]["currentPodHash"]
    assert await example.ask(20) == Counter({"2": 20})
    assert await example.routes() == [_primary(name, 0), OWN_ROUTE]
    assert await example.foreign() == foreign


@pytest.mark.parametrize("example", ["mirror-route"], indirect=True)
async def test_a_third_of_the_get_requests_is_copied_to_a_canary_that_answers_nobody(example: Example) -> None:
    people, name = example.terminal, example.name
    foreign, before = await example.foreign(), await example.routes()

    await people.says("tiphys", "set", "image", name, f"web={app.image('2')}")
    held = await example.paused(step=2)
    during = await example.routes()
    answered = await example.ask(400)
    mirrored = await example.mirrored()
    posted = await example.ask(100, method="POST")
    mirrored_after_posts = await example.mirrored()

    assert before == [_primary(name, 0), OWN_ROUTE]
    assert held["status"]["canary"]["weights"]["canary"]["weight"] == 0
    assert held["status"]["updatedReplicas"] == 1
    assert [route["name"] for route in during] == ["mirror-route", "primary", "theirs"]
    assert during[1:] == [_primary(name, 0), OWN_ROUTE]
    assert during[0]["match"] == [{"method": {"exact": "GET"}, "uri": {"prefix": "/"}}]
    assert during[0]["mirror"] == {"host": f"{name}-canary"}
    assert during[0]["mirrorPercentage"] == {"value": 35.0}
    assert [(each["destination"]["host"], each.get("weight", 0)) for each in during[0]["route"]] == [
        (f"{name}-stable", 100),
        (f"{name}-canary", 0),
    ]
    assert answered == Counter({"1": 400})
    assert posted == Counter({"1": 100})
    assert set(mirrored) == {"2"}
    assert _within_four_deviations(mirrored["2"], 400, 0.35)
    assert mirrored_after_posts == mirrored

    await people.says("tiphys", "promote", name)
    await example.paused(step=4)
    assert await example.routes() == [_primary(name, 0), OWN_ROUTE]
    await example.ask(50)
    assert await example.mirrored() == mirrored

    await people.says("tiphys", "promote", name)
    ended = await example.healthy()
    assert ended["status"]["stableRS"] == ended["status"]["currentPodHash"]
    assert await example.ask(20) == Counter({"2": 20})
    assert await example.routes() == [_primary(name, 0), OWN_ROUTE]
    assert await example.foreign() == foreign


@pytest.mark.parametrize("example", ["header-route"], indirect=True)
async def test_kubectl_shows_and_describes_a_rollout(example: Example) -> None:
    people = example.terminal

    head, *rows = (await people.says("kubectl", "get", "rollouts")).splitlines()
    described = await people.says("kubectl", "describe", "rollout", "header-route")
    again = await people.says("kubectl", "apply", "-f", "examples/header-route.yaml")

    assert head.split() == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert [row.split()[:5] for row in rows] == [["header-route", "4", "4", "4", "4"]]
    assert "Phase:" in described
    assert "RolloutCompleted" in described.partition("Events:")[2]
    assert "rollout.argoproj.io/header-route unchanged" in again
