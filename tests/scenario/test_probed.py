"""Does a canary wait until the pods that answer are those that its weight says?"""

import pytest

from balancer import Balancer
from inprocess import InProcessController
from scenarios import PAUSE_STEP, ROLLOUT, Story, app, told, weight
from tiphys.api.meta import Manifest
from tiphys.core.actions import Why

pytestmark = pytest.mark.one_life("what one process measures")

ROUTING: Manifest = {
    "istio": {"virtualService": {"name": "web"}},
    "verification": {"probe": {"url": "http://shop.example/", "hashHeader": "x-pod-hash"}},
}


def measuring(counts: dict[str, int]) -> Balancer:
    """Give who answers the probe: *counts*, by pod hash, as it stands when somebody asks."""
    prober = Balancer(routers=())
    prober.answer = lambda _name: {"requests": 100, "counts": dict(counts), "unnamed": 0, "failed": 0, "error": ""}
    return prober


def verified(story: Story) -> bool | None:
    weights = story.status.canary.weights
    return None if weights is None else weights.verified


def test_a_step_waits_until_the_measured_share_is_that_of_the_routes() -> None:
    counts = {"unknown": 100}
    prober = measuring(counts)
    story = told(weight(20), PAUSE_STEP, product=prober, trafficRouting=ROUTING)
    counts.clear()
    counts[story.hash_of("1")] = 100
    story.advance(400)
    at_rest = (story.phase, verified(story))

    story.set_image("2")
    story.until_weight(20)
    story.advance(60)
    held = (story.status.current_step_index, verified(story))
    said = [because.found for because in ([] if story.last is None else story.last.because) if because.why is Why.NOT_VERIFIED]
    counts[story.hash_of("1")], counts[story.hash_of("2")] = 82, 18
    story.until_phase("Paused", "CanaryPauseStep")

    assert at_rest == ("Healthy", True)
    assert held == (0, False)
    assert said[0].startswith("probe of http://shop.example/: "), said
    assert "gave 0 of 100 answers, and 4 to 36 are wanted" in said[0]
    assert verified(story) is True
    prober.asks.clear()
    story.advance(3600)
    assert prober.asks == []


def test_old_pods_go_only_when_none_of_them_answers_any_more() -> None:
    counts: dict[str, int] = {}
    story = told(weight(20), product=measuring(counts), trafficRouting=ROUTING)
    counts[story.hash_of("1")] = 100
    story.set_image("2")
    story.until_weight(20)
    counts[story.hash_of("1")], counts[story.hash_of("2")] = 80, 20
    story.until_weight(100)
    story.advance(120)
    held = (story.stable, story.sizes)

    counts[story.hash_of("1")], counts[story.hash_of("2")] = 1, 99
    story.rest()

    assert held == ("1", {"1": 5, "2": 5})
    assert (story.stable, story.sizes, story.phase, verified(story)) == ("2", {"2": 5}, "Healthy", True)
    assert story.onlooker.problems == []


def test_where_the_operator_forbids_probes_a_rollout_that_names_one_is_refused_by_field() -> None:
    def forbid(controller: InProcessController) -> None:
        controller.probes = False
        controller.restart()

    story = Story(app(weight(20), PAUSE_STEP, trafficRouting=ROUTING), prepare=forbid)
    story.advance(30)

    assert story.phase == "Degraded"
    assert "spec.strategy.trafficRouting.verification.probe: " in story.message("InvalidSpec")
    assert "this controller was started with --no-probes" in story.message("InvalidSpec")
    without = {"spec": {"strategy": {"canary": {"trafficRouting": {"verification": None}}}}}
    story.controller.edit(ROLLOUT, "web", without)
    story.rest()
    assert story.phase == "Healthy"
