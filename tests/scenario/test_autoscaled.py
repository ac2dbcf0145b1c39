"""A Rollout whose size an autoscaler writes. (Lifecycle reference 8.4)"""

from collections.abc import Mapping
from typing import Any

import pytest

from devcluster_objects import autoscaler, requesting
from scenarios import ACTIVE_SERVICE, app, at_rest, blue_green_app, template, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.devcluster.kinds import AUTOSCALERS
from tiphys.devcluster.podindex import is_ready

STEPS = (weight(20), {"pause": {"duration": "60s"}}, weight(60), {"pause": {"duration": "60s"}})
ROLLOUTS = "argoproj.io/v1alpha1"
BUSY = 50
"""What a pod uses at the autoscaler's target, in thousandths of a core: half of what it requests."""


class Loaded:
    """A story whose pods share a load as its routes say; an autoscaler keeps them at their target."""

    def __init__(self, manifests: list[Manifest], *, pods: int) -> None:
        *others, rollout = manifests
        rollout = {**rollout, "spec": {**rollout["spec"], "replicas": pods, "template": requesting(template("1"))}}
        self.story = at_rest([*others, rollout])
        self.load, self.most = pods * BUSY, pods
        self._routed = any(each["kind"] == "VirtualService" for each in others)
        self._blue_green = "blueGreen" in rollout["spec"]["strategy"]
        self.story.cluster.autoscalers.usage = self._usage
        self.story.cluster.store.create(AUTOSCALERS, autoscaler("Rollout", api_version=ROLLOUTS, most=100))
        self.story.advance(20)

    def _usage(self, pod: Mapping[str, Any]) -> int:
        """Give the part of the load that a pod has: of its version's share, or of all."""
        story = self.story
        ready = [each["metadata"]["labels"][names.HASH_LABEL] for each in story.cluster.pods({"app": "web"}) if is_ready(each)]
        mine = pod["metadata"]["labels"][names.HASH_LABEL]
        if mine not in ready:
            return 0
        if self._blue_green:
            return self.load // ready.count(mine) if story.version_of(mine) == story.selected(ACTIVE_SERVICE) else 0
        if not self._routed:
            return self.load // len(ready)
        stable, canary = story.weights
        percent = stable if story.version_of(mine) == story.stable else canary
        return self.load * percent // 100 // ready.count(mine)

    @property
    def size(self) -> int:
        return int(self.story.rollout.spec.replicas or 0)

    def live(self, seconds: int) -> None:
        """Let time pass, and note the most pods that were wanted."""
        for _ in range(seconds // 5):
            self.story.advance(5)
            self.most = max(self.most, self.size)

    def update(self) -> None:
        self.story.edit_spec(template=requesting(template("2-slow-20s")))


APPS = {
    "counts": app(*STEPS, routing="none"),
    "routed": app(*STEPS),
    "dynamic": app(*STEPS, dynamicStableScale=True),
    "blue-green": blue_green_app(autoPromotionSeconds=30),
    "preview": blue_green_app(autoPromotionSeconds=30, previewReplicaCount=1),
}


@pytest.mark.parametrize("kind", APPS)
def test_at_a_constant_load_an_update_never_grows_the_fleet(kind: str) -> None:
    pods = 6
    loaded = Loaded(APPS[kind], pods=pods)
    assert loaded.size == pods

    loaded.update()
    loaded.live(500)

    assert (loaded.story.phase, loaded.story.stable) == ("Healthy", "2-slow-20s")
    assert (loaded.most, loaded.size) == (pods, pods)


def test_a_load_that_grows_amid_an_update_grows_both_versions_and_the_update_goes_on() -> None:
    loaded = Loaded(app(weight(40), {"pause": {}}), pods=5)
    loaded.update()
    loaded.story.until_phase("Paused", "CanaryPauseStep")

    loaded.load *= 2
    loaded.live(120)

    assert (loaded.size, loaded.story.sizes) == (10, {"1": 10, "2-slow-20s": 4})
    loaded.story.promote_full()
    loaded.live(120)
    assert (loaded.story.phase, loaded.story.sizes) == ("Healthy", {"2-slow-20s": 10})
