"""How long does it take from a changed image to the first changed weight in the proxy?"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.figures import Figure
from tiphys.demo import app
from tiphys.demo.stage import Stage
from tiphys.devcluster.history import Subscription

AT_MOST = 300.0
RUNS = 9
KUBECTL = Path(sys.executable).parent / "kubectl"
SCRIPT = app.Script(steps=(app.weight(20), app.pause()))
BARE = "yardstick"


def run() -> list[Figure]:
    """Measure both in the demo's cluster: the whole way of the controller, and `kubectl patch` of a weight."""
    return uvloop.run(_run())


async def _run() -> list[Figure]:
    async with Stage() as stage:
        for manifest in app.objects(SCRIPT):
            stage.apply(manifest)
        stage.apply(_bare_route())
        await stage.until(lambda rollout: rollout.get("status", {}).get("phase") == "Healthy", within=30)
        await stage.cluster.mesh.applied()
        whole, parts, bare, wire = [], [], [], []
        for number in range(RUNS):
            seconds, split = await _one_update(stage, version=str(number + 2))
            whole.append(seconds)
            parts.append(split)
            seconds, active = await _one_patch(stage, weight=1 + number)
            bare.append(seconds)
            wire.append(active)
    print(f"ms from a changed image to the first weight in Envoy: {_shown(whole)}; until the VirtualService was written: {_shown(parts)}")
    print(f"ms from the start of kubectl to its weight in Envoy: {_shown(bare)}; from its write on: {_shown(wire)}")
    value, yardstick = statistics.median(whole) * 1000, statistics.median(bare) * 1000
    return [
        Figure(
            name="image changed to first weight in Envoy",
            value=value,
            unit="ms",
            at_most=AT_MOST,
            yardstick=yardstick,
            beside="kubectl patch of a weight, until in Envoy",
        )
    ]


def _shown(seconds: Sequence[float]) -> str:
    return ", ".join(f"{each * 1000:.0f}" for each in sorted(seconds))


async def _one_update(stage: Stage, *, version: str) -> tuple[float, float]:
    """Change the image; give the seconds until Envoy acts upon the canary's first weight, and until that was written."""
    routes = stage.cluster.store.watch(stage.virtual_services, namespace=app.NAMESPACE)
    began = time.monotonic()
    stage.set_image(version)
    async with asyncio.timeout(30):
        number = await _first_weight(stage, routes)
        written = time.monotonic() - began
        active = await stage.cluster.mesh.applied(number) - began
    stage.patch_status(promoteFull=True)
    await stage.until(_is_over, within=30)
    await stage.cluster.mesh.applied()
    return active, written


async def _first_weight(stage: Stage, routes: Subscription) -> int:
    try:
        async for event in routes:
            if event.manifest["metadata"]["name"] == app.VIRTUAL_SERVICE and stage.routings[0].weight() > 0:
                return event.stored.version
    finally:
        routes.close()
    raise LookupError("the watch of the VirtualService ended")


def _is_over(rollout: dict[str, Any]) -> bool:
    status = rollout["status"]
    return bool(status["phase"] == "Healthy" and status["stableRS"] == status["currentPodHash"])


async def _one_patch(stage: Stage, *, weight: int) -> tuple[float, float]:
    """Patch a weight with kubectl; give the seconds from its start, and from its write, until Envoy acts upon it."""
    patch = f'[{{"op":"replace","path":"/spec/http/0/route/0/weight","value":{100 - weight}}},'
    patch += f'{{"op":"replace","path":"/spec/http/0/route/1/weight","value":{weight}}}]'
    routes = stage.cluster.store.watch(stage.virtual_services, namespace=app.NAMESPACE, since=stage.cluster.store.version)
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        KUBECTL, "patch", "virtualservice", BARE, "--type=json", "-p", patch, "-n", app.NAMESPACE,
        env={**os.environ, "KUBECONFIG": str(stage.kubeconfig)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(30):
        event = await anext(aiter(routes))
        written = time.monotonic()
        active = await stage.cluster.mesh.applied(event.stored.version)
        status = await process.wait()
    routes.close()
    if status != 0:
        raise RuntimeError(f"kubectl patch: found status {status}, wanted 0")
    return active - began, active - written


def _bare_route() -> dict[str, Any]:
    """Give a second VirtualService over the same Services, which nobody manages."""
    (route,) = (each for each in app.objects(SCRIPT) if each["kind"] == "VirtualService")
    return {**route, "metadata": {**route["metadata"], "name": BARE}, "spec": {**route["spec"], "hosts": [f"{BARE}.local"]}}
