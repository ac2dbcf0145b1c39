"""How long does a decision about a 10-step routed canary take, and where does the time go?"""

import cProfile
import json
import pstats
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.figures import Figure, median_time
from inprocess import InProcessController, pod_template, world
from tiphys.core.actions import Plan, RouteTraffic
from tiphys.core.decide import decide
from tiphys.core.observed import Observed

AT_MOST = 300.0
STEPS: tuple[dict[str, Any], ...] = tuple(
    step for weight in (10, 20, 40, 60, 80) for step in ({"setWeight": weight}, {"pause": {"duration": 3600}})
)
ROLLOUT = ("argoproj.io", "Rollout")


def run() -> list[Figure]:
    """Measure `decide` at a step that waits, and in the pass that changes the weight; with its profile."""
    controller, pictures = _pictures()
    waiting = pictures[-1]
    acting = next(seen for seen in pictures if any(isinstance(action, RouteTraffic) for action in decide(seen).actions))
    assert not decide(waiting).actions
    body = msgspec.json.encode(controller.manifest(ROLLOUT, "web"))
    yardstick = median_time(lambda: json.loads(body), rounds=2000) * 1e6
    print(f"{len(STEPS)} steps, Istio; the Rollout has {len(body)} bytes")
    figures = []
    for name, seen in (("paused at a step", waiting), ("changing the weight", acting)):
        value = median_time(lambda seen=seen: decide(seen), rounds=2000) * 1e6  # type: ignore[misc]
        figures.append(
            Figure(name=f"decide, {name}", value=value, unit="µs", at_most=AT_MOST, yardstick=yardstick, beside="json.loads of the Rollout")
        )
        _profile(name, seen)
    return figures


def _pictures() -> tuple[InProcessController, list[Observed]]:
    """Let a real update run up to the pause in its middle, and keep every picture that was decided on."""
    pictures: list[Observed] = []

    def keeping(seen: Observed) -> Plan:
        pictures.append(seen)
        return decide(seen)

    controller = world(*STEPS, decide=keeping, replicas=10)
    controller.edit(ROLLOUT, "web", {"spec": {"template": pod_template(image="registry.example/web:2")}})
    controller.cluster.advance(2 * 3600 + 600)
    assert controller.rollout().status.current_step_index == 5
    return controller, pictures


def _profile(name: str, seen: Observed, *, calls: int = 300, shown: int = 8) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(calls):
        decide(seen)
    profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    print(f"profile of decide, {name} (own time; the profiler itself makes everything slower):")
    for (file, line, function), (_, times, own, _, _) in sorted(stats.items(), key=lambda item: -item[1][2])[:shown]:
        place = f"{Path(file).name}:{line} {function}" if line else function
        print(f"  {own / total:6.1%}  {times // calls:4d} calls  {place}")
