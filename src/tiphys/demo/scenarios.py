"""What do people (and accidents) do in each scenario, and what must come of it?"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tiphys.demo import app
from tiphys.demo.measure import Share
from tiphys.demo.stage import Stage
from tiphys.demo.witness import Witness

Manifest = dict[str, Any]
PATIENCE = 30.0


async def promote(stage: Stage, witness: Witness) -> list[str]:
    """Change the image and let every step pass."""
    stage.set_image("2")
    witness.note("image changed to version 2")
    new = await _hash_of_update(stage)
    await stage.until(lambda rollout: _healthy_on(rollout, new), within=PATIENCE * 2)
    return []


async def abort(stage: Stage, witness: Witness) -> list[str]:
    """Change the image, and abort while the canary has weight and a header route."""
    stage.set_image("2")
    witness.note("image changed to version 2")
    await stage.until(_paused_by_hand, within=PATIENCE)
    await witness.measured(seconds=3)
    by_header = _routes_headers(stage)
    broken = []
    for routing in stage.routings:
        broken += [] if routing.weight() > 0 else [f"aborted at weight 0 of {routing.entrance.name}"]
        broken += [] if routing.header_routes() or not by_header else [f"{routing.entrance.name} had no header route to remove"]
    witness.note(f"aborted at weight {_lowest(stage)}")
    stage.patch_status(abort=True)
    await stage.until(_given_up, within=PATIENCE)
    for routing in stage.routings:
        if routing.weight() != 0:
            broken.append(f"the weight of {routing.entrance.name} is not 0 after the abort")
        if routing.header_routes():
            broken.append(f"the header route of {routing.entrance.name} is still there after the abort")
    return broken


async def supersede(stage: Stage, witness: Witness) -> list[str]:
    """Change the image again while the second version has half of the traffic."""
    stage.set_image("2")
    witness.note("image changed to version 2")
    await stage.until(lambda rollout: _at_weight(rollout, 50), within=PATIENCE)
    await witness.measured(seconds=2)
    second = str(stage.rollout()["status"]["currentPodHash"])
    broken = [] if _lowest(stage) > 0 else ["the second version had no weight"]
    stage.set_image("3")
    witness.note("image changed to version 3")
    await stage.until(lambda rollout: rollout["status"]["currentPodHash"] != second, within=PATIENCE)
    third = str(stage.rollout()["status"]["currentPodHash"])
    await stage.until(lambda rollout: _healthy_on(rollout, third), within=PATIENCE)
    if not any(count.hash == second and count.requests for count in stage.cluster.counts()):
        broken.append("the second version served nobody")
    return broken


async def evict(stage: Stage, witness: Witness) -> list[str]:
    """Delete every canary pod while they have half of the traffic, wait for the weight to come back, and finish."""
    stage.set_image("2")
    witness.note("image changed to version 2")
    await stage.until(_paused_by_hand, within=PATIENCE)
    await witness.measured(seconds=3)
    new = str(stage.rollout()["status"]["currentPodHash"])
    before = _lowest(stage)
    gone = stage.evict_canary(new)
    witness.note(f"all {gone} canary pods deleted at weight {before}")
    broken = [] if gone and before > 0 else ["there was no canary with weight to evict"]
    await stage.until(lambda rollout: _recorded(rollout) == 0, within=PATIENCE)
    await stage.until(lambda rollout: _recorded(rollout) == before, within=PATIENCE)
    witness.note(f"the weight is back at {before}")
    await witness.measured(seconds=3)
    stage.patch_status(pauseConditions=None)
    await stage.until(lambda rollout: _healthy_on(rollout, new), within=PATIENCE)
    return broken


PLOTS: dict[str, Callable[[Stage, Witness], Awaitable[list[str]]]] = {
    "promote": promote,
    "abort": abort,
    "supersede": supersede,
    "evict": evict,
}


def unmet_steps(script: app.Script, shares: Sequence[Share], *, routers: Sequence[str]) -> list[str]:
    """Name the weight steps of *script* for which nothing was measured behind one of *routers*."""
    met = {(share.router, share.index) for share in shares if share.requests}
    return [
        f"step {index} (setWeight {step['setWeight']}) was never measured behind {router}"
        for router in routers
        for index, step in enumerate(script.steps)
        if "setWeight" in step and (router, index) not in met
    ]


async def _hash_of_update(stage: Stage) -> str:
    stable = stage.rollout()["status"]["stableRS"]
    rollout = await stage.until(lambda seen: seen["status"]["currentPodHash"] != stable, within=PATIENCE)
    return str(rollout["status"]["currentPodHash"])


def _healthy_on(rollout: Manifest, pod_hash: str) -> bool:
    status = rollout.get("status", {})
    return bool(
        status.get("phase") == "Healthy" and status.get("stableRS") == pod_hash == status.get("currentPodHash") and _recorded(rollout) == 0
    )


def _given_up(rollout: Manifest) -> bool:
    status = rollout.get("status", {})
    return bool(status.get("phase") == "Degraded" and status.get("abort") and _recorded(rollout) == 0)


def _paused_by_hand(rollout: Manifest) -> bool:
    status = rollout.get("status", {})
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    return bool(status.get("pauseConditions")) and status.get("currentStepIndex") == len(steps) - 1


def _at_weight(rollout: Manifest, weight: int) -> bool:
    return _recorded(rollout) == weight and bool(rollout["status"].get("pauseConditions"))


def _recorded(rollout: Manifest) -> int | None:
    weights = rollout.get("status", {}).get("canary", {}).get("weights")
    return None if weights is None else int(weights["canary"]["weight"])


def _lowest(stage: Stage) -> int:
    """Give the lowest weight that any of the routers says."""
    return min(routing.weight() for routing in stage.routings)


def _routes_headers(stage: Stage) -> bool:
    steps = stage.rollout()["spec"]["strategy"]["canary"]["steps"]
    return any("setHeaderRoute" in step for step in steps)
