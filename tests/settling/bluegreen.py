"""A toy cluster for blue-green Rollouts, and what must hold at rest."""

from dataclasses import dataclass

import msgspec

from settling.world import FIGURES, World
from tiphys.api.meta import LabelSelector, ObjectMeta
from tiphys.api.rollout import BlueGreenStrategy, Rollout, RolloutSpec, Strategy
from tiphys.core.actions import SwitchService

ACTIVE, PREVIEW = "web-active", "web-preview"


@dataclass
class BlueGreenWorld(World):
    """A blue-green Rollout and all that surrounds it."""

    @property
    def strategy(self) -> BlueGreenStrategy:
        strategy = self.rollout.spec.strategy.blue_green
        assert strategy is not None
        return strategy

    @property
    def routed(self) -> bool:
        return False

    @property
    def steps_hash(self) -> str:
        return ""

    def _assert_not_live(self, action: SwitchService) -> None:
        """While anybody at all can answer, the active Service moves only to somebody who can."""
        answers = sum(self.slices.get(ACTIVE, {}).values())
        ready = sum(pods.ready for pods in self.pods.values() if pods.pod_hash == action.pod_hash)
        nobody_wanted = not self.rollout.spec.replicas
        assert action.name != ACTIVE or ready or not answers or nobody_wanted, f"{action} would leave nobody to answer: {self.describe()}"

    def patch_strategy(self, **fields: object) -> None:
        self.patch_spec(strategy=Strategy(blue_green=msgspec.structs.replace(self.strategy, **fields)))

    def promote(self) -> None:
        """Do what the kubectl plugin does: lift the pause."""
        if self.rollout.status.pause_conditions:
            self.patch_status(pause_conditions=())

    def strip(self) -> None:
        """Do what a GitOps tool does that knows nothing of our selector: put back the one of the repository."""
        self.selectors[ACTIVE] = ""
        self.refresh_slices()


def blue_green_world(strategy: BlueGreenStrategy | None = None, *, replicas: int = 3, settled: bool = True) -> BlueGreenWorld:
    """Give a world; *settled* has version v1 deployed and at rest."""
    blue_green = strategy or BlueGreenStrategy(active_service=ACTIVE)
    spec = RolloutSpec(
        replicas=replicas,
        selector=LabelSelector(match_labels={"app": "web"}),
        template=msgspec.Raw(b'{"metadata":{"labels":{"app":"web"}}}'),
        strategy=Strategy(blue_green=blue_green),
    )
    made = BlueGreenWorld(rollout=Rollout(metadata=ObjectMeta(name="web", namespace="shop", generation=1), spec=spec))
    FIGURES["worlds lived"] += 1
    made.selectors = {name: "" for name in (blue_green.active_service, blue_green.preview_service) if name}
    if settled:
        made.settle()
    return made


def assert_blue_green_rest(toy: BlueGreenWorld) -> None:
    """The goal, or a named reason."""
    plan = toy.last
    assert plan is not None
    status = toy.rollout.status
    done = status.stable_rs == toy.version and not status.abort
    if plan.because:
        return
    assert done or status.abort, toy.describe()
    replicas = toy.rollout.spec.replicas
    assert toy.selectors[ACTIVE] == status.stable_rs or toy.rollout.spec.paused, toy.describe()
    assert toy.size(status.stable_rs) == replicas, toy.describe()
    if done:
        assert sum(pods.wanted for pods in toy.pods.values()) == replicas, toy.describe()
