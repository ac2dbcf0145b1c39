"""Does every story come to rest, whatever people do, whatever happens to pods and however often the controller dies?"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from balancer import Balancer
from scenarios import BETA, PAUSE_STEP, REPLICA_SET, ROLLOUT, SERVICE, SHADOW, VIRTUAL_SERVICE, Routing, Story, app, pause, scale, weight
from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import AskError
from tiphys.core.actions import Why
from tiphys.core.observed import Verification

pytestmark = pytest.mark.one_life("deaths of its own")

OURS = {"ReconciliationError", "UnsafeAction", "TrafficRoutingError"}
"""Events that tell of a mistake of our own: nothing in these stories makes them."""
ILL = AskError("balancer is ill: HTTP 503")

WITHOUT_ANY_PODS = 219
"""Both subsets still name the first version, which has pods, when a later one becomes stable with `replicas: 0`."""


class Fate:
    """What a seed decides: the Rollout, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a story that can be told again, not a secret
        self.routing: Routing = self.dice.choice(("istio", "istio", "subsets", "none", "empty"))
        self.versions = 1
        asked = self.routing in {"istio", "subsets"} and self.dice.random() < 0.5
        self.balancer = Balancer(noes=self.dice.choice((0, 0, 2)), seconds=self.dice.choice((0.2, 5.0))) if asked else None

    def steps(self) -> list[Manifest]:
        return [self._step() for _ in range(self.dice.randint(0, 5))]

    def _step(self) -> Manifest:
        basic = [weight(self.dice.choice((0, 1, 10, 20, 50, 80, 99, 100))), PAUSE_STEP, pause(self.dice.choice((0, 5, 60)))]
        sized = [scale(replicas=self.dice.choice((0, 1, 5))), scale(weight=self.dice.choice((0, 50, 100))), scale(matchTrafficWeight=True)]
        routes = [{"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}]
        allowed = {"none": basic, "empty": [*basic, *sized]}.get(self.routing, [*basic, *sized, *routes])
        return self.dice.choice([*basic, *allowed])

    def manifests(self) -> list[Manifest]:
        delays: dict[str, Any] = {} if self.routing == "none" else {"scaleDownDelaySeconds": self.dice.choice((0, 5, 60))}
        return app(*self.steps(), routing=self.routing, replicas=self.dice.choice((0, 1, 2, 5)), **delays)

    def strike(self, story: Story) -> None:
        """Let one thing happen."""
        deeds: list[Callable[[Story], None]] = [
            self._release,
            self._release,
            lambda told: told.set_image("1"),
            lambda told: told.abort(),
            lambda told: told.retry(),
            lambda told: told.promote(),
            lambda told: told.promote(),
            lambda told: told.promote_full(),
            lambda told: told.pause(),
            lambda told: told.resume(),
            lambda told: told.edit_spec(replicas=self.dice.choice((0, 1, 2, 4, 8))),
            lambda told: told.edit_canary(steps=self.steps()),
            lambda told: told.controller.restart(),
            self._hold_news,
            self._hurt_a_pod,
            self._hurt_a_version,
            self._doubt,
            self._trouble_the_balancer,
        ]
        self.dice.choice(deeds)(story)

    def _release(self, story: Story) -> None:
        self.versions += 1
        story.set_image(f"{self.versions}{self.dice.choice(('', '', '-slow-5s', '-never-ready'))}")

    def _hold_news(self, story: Story) -> None:
        story.controller.feed.held = {self.dice.choice((ROLLOUT, REPLICA_SET, SERVICE, VIRTUAL_SERVICE))}

    def _hurt_a_pod(self, story: Story) -> None:
        pods = [pod for version in sorted(story.replica_sets) for pod in story.pods(version)]
        if pods:
            self.dice.choice((story.cluster.kill, story.cluster.evict, self._never_again(story)))(self.dice.choice(pods))

    def _never_again(self, story: Story) -> Callable[[str], None]:
        return lambda pod: story.cluster.set_ready(pod, ready=False)

    def _hurt_a_version(self, story: Story) -> None:
        if story.replica_sets:
            version = self.dice.choice(sorted(story.replica_sets))
            story.bar(version)
            story.advance(self.dice.choice((0, 1, 5)))
            story.unbar(version)

    def _doubt(self, story: Story) -> None:
        story.verification = self.dice.choice((None, Verification.NOT_YET, Verification.YES))

    def _trouble_the_balancer(self, _story: Story) -> None:
        if self.balancer is not None:
            self.balancer.answer = self.dice.choice((None, lambda _router: ILL, lambda _router: None, lambda _router: {"canary": 50}))


def live(seed: int) -> Story:
    """Let everything happen, then let the cluster rest."""
    fate = Fate(seed)
    story = Story(fate.manifests(), product=fate.balancer)
    if fate.dice.random() < 0.3:
        story.controller.api.deadly = lambda _verb, _plural, _body: fate.dice.random() < 0.15
    story.advance(fate.dice.choice((0, 0.5, 3, 100)))
    for _ in range(fate.dice.randint(2, 10)):
        fate.strike(story)
        story.advance(fate.dice.choice((0, 0, 0.01, 0.5, 3, 40)))
    story.controller.feed.held = set()
    story.verification = None
    if fate.balancer is not None:
        fate.balancer.answer = None
    story.resume()
    story.rest()
    return story


@pytest.mark.parametrize("seed", [*range(40), WITHOUT_ANY_PODS])
def test_any_story_rests_at_its_goal_or_at_a_named_reason_and_a_good_version_ends_it(seed: int) -> None:
    story = live(seed)

    assert story.onlooker.problems == []
    assert not OURS & set(story.events)
    assert story.last is not None
    assert story.last.actions == ()
    assert story.last.because or story.status.abort or story.phase == "Healthy"

    story.set_image("1000")
    story.advance(1)
    story.promote_full()
    story.rest()

    assert story.onlooker.problems == []
    if Why.STABLE_NOT_READY in story.reasons:  # a canary that serves is not exchanged for another while no stable pod can take over
        side = story.onlooker.glance().sides["canary"]
        assert side.weight > 0
        assert side.ready > 0
        return
    assert story.phase == "Healthy"
    assert story.stable == "1000"
    assert story.sizes == ({"1000": story.rollout.spec.replicas} if story.rollout.spec.replicas else {})
