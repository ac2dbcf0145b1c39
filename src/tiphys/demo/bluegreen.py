"""What does `tiphys demo --strategy bluegreen` do: updates that wait, go through, come back and are given up, behind real proxies?"""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from tiphys.demo import app
from tiphys.demo.entrances import HOST, NAME, NAMESPACE, Entrance, service
from tiphys.demo.load import Load
from tiphys.demo.stage import Stage
from tiphys.demo.summary import EntryCount, PodCount, ProxyCount, Summary

ACTIVE_SERVICE, PREVIEW_SERVICE = f"{NAME}-active", f"{NAME}-preview"
AUTO_PROMOTION = 2
SCALE_DOWN_DELAY = 8
PATIENCE = 40.0
LIMIT = 55.0
AFTERWARDS = 2.0
SAMPLE = 100
"""How many requests in a row, through each proxy, show where everything goes."""

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose; *rate* is in requests a second, over both proxies, *proxy_delay* in seconds."""

    json: bool = False
    rate: float = 200.0
    proxy_delay: float = 0.0


def entrances() -> tuple[Entrance, ...]:
    """Give the ways in: Envoy knows a Service by its name, Traefik by a route that the user writes."""
    host = f"traefik.{HOST}"
    rule = {"match": f"Host(`{host}`)", "kind": "Rule", "services": [{"name": ACTIVE_SERVICE, "port": 80}]}
    route = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"entryPoints": ["web"], "routes": [rule]},
    }
    return (
        Entrance(name="istio", product="", routing={}, routes=(), host=ACTIVE_SERVICE, groups=("networking.istio.io",)),
        Entrance(name="traefik", product="", routing={}, routes=(route,), host=host, groups=("traefik.io",)),
    )


def objects(*, scale_down_delay: int) -> list[Manifest]:
    """Give the whole app: two Services, the route of the proxy that needs one, and a Rollout."""
    rollout = app.rollout_of(app.Script(steps=()), ())
    rollout["spec"]["strategy"] = {
        "blueGreen": {
            "activeService": ACTIVE_SERVICE,
            "previewService": PREVIEW_SERVICE,
            "autoPromotionSeconds": AUTO_PROMOTION,
            "scaleDownDelaySeconds": scale_down_delay,
            "abortScaleDownDelaySeconds": 2,
        }
    }
    return [service(ACTIVE_SERVICE), service(PREVIEW_SERVICE), *(route for entrance in entrances() for route in entrance.routes), rollout]


async def run_blue_green(options: Options) -> int:
    """Tell the story under load; the exit status is 1 if a request failed, a count is off, or the story did not take place."""
    console = Console(stderr=options.json)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with Stage(entrances=entrances(), proxy_delay=options.proxy_delay) as stage:
        summary = await _Story(stage, options, console).tell()
    problems = summary.problems()
    if options.json:
        sys.stdout.write(summary.as_json() + "\n")
        sys.stdout.flush()
    else:
        counted = "".join(f"; {proxy.name} counted {proxy.requests} and {proxy.failed}" for proxy in summary.proxies)
        console.print(
            f"{summary.requests} requests, {summary.failed} failed{counted}, the pods {summary.served}. "
            f"The Rollout is {summary.phase} after {summary.seconds:.1f} s.",
            highlight=False,
            soft_wrap=True,
        )
    for problem in problems:
        console.print(f"✖ {problem}", style="red", highlight=False)
    return 1 if problems else 0


@dataclass(slots=True)
class _Story:
    """One run: what happens, and what the proxies and pods say of it."""

    stage: Stage
    options: Options
    console: Console
    began: float = field(default_factory=time.monotonic)
    happened: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def tell(self) -> Summary:
        """Deploy, send load through both proxies, and let it all happen."""
        stage, late = self.stage, self.options.proxy_delay
        for manifest in objects(scale_down_delay=SCALE_DOWN_DELAY + int(late)):
            stage.apply(manifest)
        await stage.until(lambda rollout: _phase(rollout) == "Healthy", within=PATIENCE)
        await stage.cluster.applied()
        rate = self.options.rate / len(stage.entrances)
        loads = [Load(url=stage.cluster.proxy(each.name).url, host=each.host, rate=rate) for each in stage.entrances]
        for load in loads:
            load.start()
        try:
            async with asyncio.timeout(LIMIT + 8 * late):
                await asyncio.gather(*[load.warm.wait() for load in loads])
                await self._happen(loads)
        except TimeoutError:
            status = stage.rollout().get("status", {})
            self.broken.append(f"the story did not take place: {status.get('phase')}, {status.get('message') or 'no message'}")
        finally:
            await asyncio.gather(*[load.stop() for load in loads])
        return await self._sum_up(loads)

    async def _happen(self, loads: list[Load]) -> None:
        first = self._stable()
        second = await self._update("2")
        await self._served_by(loads, second, "the second version")
        self.stage.set_image("1")
        self._note("image changed back to version 1, whose pods are still there")
        await self.stage.until(lambda rollout: _stable_of(rollout) == first, within=PATIENCE)
        self._note("version 1 is stable again, without a pause")
        await self._served_by(loads, first, "the first version, after the rollback")
        self.stage.set_image("3")
        self._note("image changed to version 3")
        await self.stage.until(lambda rollout: bool(rollout.get("status", {}).get("pauseConditions")), within=PATIENCE)
        third = str(self.stage.rollout()["status"]["currentPodHash"])
        self.stage.patch_status(abort=True)
        self._note("aborted while version 3 waits behind the preview Service")
        await self.stage.until(lambda rollout: _phase(rollout) == "Degraded", within=PATIENCE)
        await self._served_by(loads, first, "the first version, after the abort")
        if any(answer.pod_hash == third for load in loads for answer in load.answers):
            self.broken.append("the aborted version answered requests for the active Service")
        await asyncio.sleep(AFTERWARDS)

    async def _update(self, version: str) -> str:
        before = self._stable()
        self.stage.set_image(version)
        self._note(f"image changed to version {version}")
        await self.stage.until(lambda rollout: bool(rollout.get("status", {}).get("pauseConditions")), within=PATIENCE)
        self._note("the new version is whole and waits behind the preview Service")
        await self.stage.until(lambda rollout: _stable_of(rollout) not in {before, ""}, within=PATIENCE)
        self._note("the active Service has moved, and the new version is stable")
        return self._stable()

    async def _served_by(self, loads: list[Load], pod_hash: str, what: str) -> None:
        """Wait until every request through either proxy is answered by *pod_hash*."""
        moved = await self.stage.cluster.applied()
        for load in loads:
            answers = await load.answered(SAMPLE, since=moved)
            strangers = {answer.pod_hash for answer in answers} - {pod_hash}
            if strangers:
                self.broken.append(f"{load.host}: answered by {', '.join(sorted(strangers))} where {what} was wanted")
        self._note(f"both proxies send everything to {what}")

    async def _sum_up(self, loads: list[Load]) -> Summary:
        stage = self.stage
        entries = [
            EntryCount(router=entrance.name, host=entrance.host, requests=len(load.answers), failed=load.failed)
            for entrance, load in zip(stage.entrances, loads, strict=True)
        ]
        proxies = []
        for proxy in stage.cluster.proxies:
            counts = await proxy.counts()
            named = tuple(each.name for each in stage.entrances if each.name in proxy.planes)
            proxies.append(ProxyCount(name=proxy.name, routers=named, requests=counts.requests, failed=counts.failed))
        status = stage.rollout().get("status", {})
        return Summary(
            scenario="bluegreen",
            seconds=time.monotonic() - self.began,
            entries=tuple(entries),
            steps=(),
            proxies=tuple(proxies),
            pods=tuple(PodCount(name=count.name, hash=count.hash, served=count.requests) for count in stage.cluster.counts()),
            phase=_phase({"status": status}),
            message=str(status.get("message", "")),
            stable=_stable_of({"status": status}),
            happened=tuple(self.happened),
            failures=tuple(failure for load in loads for failure in load.failures),
            broken=tuple(self.broken),
        )

    def _stable(self) -> str:
        return _stable_of(self.stage.rollout())

    def _note(self, text: str) -> None:
        line = f"{time.monotonic() - self.began:5.1f} s  {text}"
        self.happened.append(line)
        if not self.options.json:
            self.console.print(line, highlight=False)


def _phase(rollout: Manifest) -> str:
    return str(rollout.get("status", {}).get("phase", ""))


def _stable_of(rollout: Manifest) -> str:
    return str(rollout.get("status", {}).get("stableRS", ""))
