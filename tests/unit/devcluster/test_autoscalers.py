"""Does an autoscaler of the development cluster size by load as one of a real cluster does? (In virtual time)"""

from typing import Any

import pytest

from devcluster_objects import Manifest, autoscaler, deployment, pod_template, replica_set, requesting
from tiphys.devcluster.autoscaling import NoMetricError, Sample, propose
from tiphys.devcluster.behaviour import behaviour_of
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import AUTOSCALERS, DEPLOYMENTS, REPLICA_SETS
from tiphys.devcluster.podindex import is_ready
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.virtual import VirtualCluster


class World:
    """A load in thousandths of a core that the ready pods of `web` share; each of them requests 100."""

    def __init__(self, *, load: int, kind: ResourceType = DEPLOYMENTS, replicas: int = 2, **spec: Any) -> None:  # noqa: ANN401 (any JSON value)
        self.cluster, self.kind, self.load = VirtualCluster(), kind, load
        self.cluster.autoscalers.usage = lambda _: self.load // max(1, sum(is_ready(pod) for pod in self.cluster.pods()))
        if kind is DEPLOYMENTS:
            manifest = deployment(replicas=replicas, template=requesting(pod_template()))
        else:
            manifest = replica_set(replicas=replicas)
            manifest["spec"]["template"] = requesting(manifest["spec"]["template"])
        self.cluster.store.create(kind, manifest)
        self.cluster.advance(1)
        self.cluster.store.create(AUTOSCALERS, autoscaler(kind.kind, **spec))
        self.cluster.rest()

    @property
    def size(self) -> int:
        return int(self.cluster.store.get(self.kind, "web", namespace="default")["spec"]["replicas"])

    @property
    def status(self) -> Manifest:
        found: Manifest = self.cluster.store.get(AUTOSCALERS, "web", namespace="default")["status"]
        return found

    def condition(self, kind: str) -> tuple[str, str]:
        return next((each["status"], each["reason"]) for each in self.status["conditions"] if each["type"] == kind)

    def sizes(self, looks: int) -> list[int]:
        found = []
        for _ in range(looks):
            self.cluster.advance(15)
            found.append(self.size)
        return found


@pytest.mark.parametrize("kind", [DEPLOYMENTS, REPLICA_SETS], ids=lambda kind: kind.kind)
def test_pods_are_added_until_the_load_is_at_its_target(kind: ResourceType) -> None:
    world = World(load=300, kind=kind)

    sizes = [world.size, *world.sizes(3)]

    assert sizes == [4, 6, 6, 6], "no more than four, or twice as many, at one look"
    assert world.status["currentReplicas"] == world.status["desiredReplicas"] == 6
    assert world.status["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 50, "averageValue": "50m"}
    assert world.condition("ScalingActive") == ("True", "ValidMetricFound")
    assert world.condition("ScalingLimited") == ("False", "DesiredWithinRange")


def test_fewer_pods_have_to_be_enough_for_five_minutes() -> None:
    world = World(load=300, replicas=6)

    world.load = 100
    sizes = world.sizes(22)

    assert sizes[:19] == [6] * 19
    assert sizes[-1] == 2
    assert World(load=100, replicas=6, behavior={"scaleDown": {"stabilizationWindowSeconds": 0}}).size == 2


def test_a_load_near_its_target_changes_nothing() -> None:
    world = World(load=217, replicas=4)

    assert world.sizes(3) == [4, 4, 4]
    before = world.cluster.store.version
    world.cluster.advance(1000)
    assert world.cluster.store.version == before


def test_the_size_stays_between_its_bounds() -> None:
    assert World(load=10_000, most=3).sizes(2) == [3, 3]
    world = World(load=1000, most=5, minReplicas=3)
    assert world.sizes(2) == [5, 5]
    assert world.condition("ScalingLimited") == ("True", "TooManyReplicas")
    assert World(load=0, minReplicas=3).size == 3


def test_a_target_at_zero_is_left_there() -> None:
    world = World(load=1000, replicas=0)

    assert world.sizes(2) == [0, 0]
    assert world.condition("ScalingActive") == ("False", "ScalingDisabled")


def test_why_a_load_cannot_be_told_is_said() -> None:
    cluster = VirtualCluster()
    cluster.store.create(DEPLOYMENTS, deployment(replicas=2))
    cluster.store.create(AUTOSCALERS, autoscaler("Deployment"))
    cluster.store.create(AUTOSCALERS, autoscaler("Nothing", name="lost"))
    cluster.advance(20)

    web, lost = (cluster.store.get(AUTOSCALERS, name, namespace="default")["status"]["conditions"] for name in ("web", "lost"))
    assert [(each["type"], each["status"], each["reason"]) for each in web][-1] == ("ScalingActive", "False", "FailedGetResourceMetric")
    assert "missing request for cpu in container main" in web[-1]["message"]
    assert [(each["type"], each["status"], each["reason"]) for each in lost] == [("AbleToScale", "False", "FailedGetScale")]


def test_a_pods_own_words_say_what_it_uses() -> None:
    cluster = VirtualCluster()
    cluster.store.create(DEPLOYMENTS, deployment(replicas=2, template=requesting(pod_template("v1-cpu-90m"))))
    cluster.advance(1)
    cluster.store.create(AUTOSCALERS, autoscaler("Deployment", target=60))
    cluster.advance(1)

    assert cluster.store.get(DEPLOYMENTS, "web", namespace="default")["spec"]["replicas"] == 3
    assert behaviour_of({"metadata": {}, "spec": {"containers": [{"image": "x:cpu-1.5"}]}}).cpu == 1500


def sample(used: int | None, *, ready: bool = True) -> Sample:
    return Sample(requested=100, used=used, ready=ready)


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        ([sample(100), sample(100)], 4),
        ([sample(54), sample(54)], 2),
        ([sample(100), sample(100), sample(0, ready=False)], 4),
        ([sample(60), sample(60), sample(0, ready=False)], 2),
        ([sample(10), sample(None)], 2),
        ([sample(100), sample(None)], 2),
        ([sample(10), sample(10), sample(0, ready=False)], 1),
    ],
)
def test_pods_that_are_not_measured_are_taken_for_what_changes_least(samples: list[Sample], wanted: int) -> None:
    assert propose(samples, 2, 50).replicas == wanted


def test_without_a_measured_pod_there_is_no_load() -> None:
    with pytest.raises(NoMetricError):
        propose([sample(None), sample(50, ready=False)], 2, 50)


def test_what_an_autoscaler_is_given_and_what_it_may_not_ask_for() -> None:
    store = VirtualCluster().store
    made = store.create(AUTOSCALERS, autoscaler("Deployment", metrics=[]))
    with pytest.raises(StatusError) as error:
        store.create(AUTOSCALERS, autoscaler("", name="bad", most=2, minReplicas=3))

    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"][0]["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`" in error.value.message
    assert "spec.scaleTargetRef.kind: Required value" in error.value.message
