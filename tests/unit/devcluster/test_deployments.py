"""Does a Deployment of the development cluster live as one of a real cluster does? (In virtual time)"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster_objects import Manifest, deployment, pod_template, replica_set
from tiphys.devcluster.deployment_sizes import Bounds, Fleet, spread
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import has_ended, is_leaving, is_ready
from tiphys.devcluster.virtual import VirtualCluster

RECREATE = {"type": "Recreate"}
REVISION = "deployment.kubernetes.io/revision"


def rolling(surge: int | str, unavailable: int | str) -> Manifest:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


class World:
    """A Deployment `web` in a cluster of its own, at rest on its first version."""

    def __init__(self, *, ready_after: float = 3.0, **given: Any) -> None:  # noqa: ANN401 (any JSON value)
        self.cluster = VirtualCluster(ready_after=ready_after)
        self.cluster.store.create(DEPLOYMENTS, deployment(**given))
        self.cluster.settle()

    def edit(self, body: Manifest) -> None:
        self.cluster.store.patch(DEPLOYMENTS, "web", PatchKind.MERGE, body, namespace="default")

    def update(self, version: str) -> None:
        self.edit({"spec": {"template": pod_template(version)}})

    @property
    def manifest(self) -> Manifest:
        return self.cluster.store.get(DEPLOYMENTS, "web", namespace="default")

    @property
    def counts(self) -> Manifest:
        return {key: value for key, value in self.manifest["status"].items() if key != "conditions"}

    def condition(self, kind: str) -> tuple[str, str]:
        return next((each["status"], each["reason"]) for each in self.manifest["status"]["conditions"] if each["type"] == kind)

    @property
    def sets(self) -> dict[str, Manifest]:
        """Give the ReplicaSets by version."""
        return {_version(each.manifest["spec"]["template"]): each.manifest for each in self.cluster.store.scan(REPLICA_SETS)}

    @property
    def sizes(self) -> dict[str, int]:
        return {version: each["spec"]["replicas"] for version, each in sorted(self.sets.items())}

    def revision(self, version: str) -> str:
        return str(self.sets[version]["metadata"]["annotations"][REVISION])

    def pods(self, holds: Callable[[Manifest], bool]) -> list[str]:
        """Give the versions of the pods for which *holds* says yes."""
        return [_version(pod) for pod in self.cluster.pods() if holds(pod)]

    def each_moment(self, seconds: float, look: Callable[[], None]) -> None:
        """Let time pass, and *look* after every step of a loop."""
        end = self.cluster.now.timestamp() + seconds
        while True:
            while self.cluster.step():
                look()
            at = self.cluster.wakes_at()
            if at is None or at.timestamp() > end:
                return
            self.cluster.clock.now = max(at, self.cluster.now)


def _version(template: Manifest) -> str:
    return str(template["spec"]["containers"][0]["image"].rpartition(":")[2])


def test_a_deployment_gets_a_numbered_replica_set_and_counts_its_pods() -> None:
    world = World(replicas=3)

    (found,) = world.cluster.store.scan(REPLICA_SETS)
    mark = found.manifest["metadata"]["labels"]["pod-template-hash"]
    assert found.name == f"web-{mark}"
    assert found.manifest["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": mark}
    assert found.manifest["metadata"]["annotations"] == {
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert world.counts == {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert world.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert world.manifest["metadata"]["annotations"][REVISION] == "1"
    assert world.manifest["metadata"]["generation"] == 1, "the mark of the revision is no change of what is wanted"


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        (5, "25%", "25%", 7, 4),
        (4, 1, 0, 5, 4),
        (3, 0, 1, 3, 2),
        (3, "10%", "10%", 4, 3),
        (2, "100%", "100%", 4, 0),
        (1, "25%", "25%", 2, 1),
    ],
)
def test_a_rolling_update_stays_within_its_bounds_at_every_moment(
    replicas: int, surge: int | str, unavailable: int | str, most: int, least: int
) -> None:
    world = World(replicas=replicas, strategy=rolling(surge, unavailable))
    there, ready = [], []

    def look() -> None:
        there.append(len(world.pods(lambda pod: not is_leaving(pod))))
        ready.append(len(world.pods(lambda pod: is_ready(pod) and not is_leaving(pod))))

    world.update("v2")
    world.each_moment(100, look)

    assert (max(there), min(ready)) == (most, least)
    assert world.sizes == {"v1": 0, "v2": replicas}
    assert world.counts["updatedReplicas"] == replicas
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_recreate_begins_the_new_version_when_the_last_pod_of_the_old_has_ended() -> None:
    world = World(replicas=3, strategy=RECREATE)
    seen: list[set[str]] = []

    world.update("v2")
    world.each_moment(100, lambda: seen.append(set(world.pods(lambda pod: not has_ended(pod)))))

    assert {"v1", "v2"} not in seen
    assert set() in seen
    assert (world.sizes, world.counts["availableReplicas"]) == ({"v1": 0, "v2": 3}, 3)


def test_pods_that_never_get_ready_stop_an_update_and_the_deadline_is_told() -> None:
    world = World(replicas=4, progressDeadlineSeconds=60)

    world.update("never-ready")
    world.cluster.advance(59)
    before = world.condition("Progressing")
    world.cluster.advance(10)

    assert before == ("True", "ReplicaSetUpdated")
    assert world.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert world.sizes == {"never-ready": 2, "v1": 3}
    world.update("v2")
    world.cluster.settle()
    assert (world.condition("Progressing"), world.sizes) == (("True", "NewReplicaSetAvailable"), {"never-ready": 0, "v1": 0, "v2": 4})


def test_a_template_that_comes_back_is_its_former_replica_set_with_the_next_revision() -> None:
    world = World(replicas=2)
    first = world.sets["v1"]["metadata"]["uid"]
    world.update("v2")
    world.cluster.settle()

    world.update("v1")
    world.cluster.settle()

    assert world.sets["v1"]["metadata"]["uid"] == first
    assert (world.revision("v1"), world.revision("v2"), world.manifest["metadata"]["annotations"][REVISION]) == ("3", "2", "3")
    assert world.sets["v1"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert world.sizes == {"v1": 2, "v2": 0}


def test_a_paused_deployment_begins_no_version_but_is_resized() -> None:
    world = World(replicas=2)

    world.edit({"spec": {"paused": True, "replicas": 4, "template": pod_template("v2")}})
    world.cluster.settle()
    while_paused = (world.sizes, world.condition("Progressing"))
    world.edit({"spec": {"paused": False}})
    world.cluster.rest()
    resumed = world.sizes
    world.cluster.settle()

    assert while_paused == ({"v1": 4}, ("Unknown", "DeploymentPaused"))
    assert set(resumed) == {"v1", "v2"}
    assert world.sizes == {"v1": 0, "v2": 4}


def test_a_deployment_that_is_resized_amid_an_update_keeps_its_proportions() -> None:
    world = World(replicas=10, strategy=rolling(3, 2))
    world.update("never-ready")
    world.cluster.settle(lambda: world.sizes == {"never-ready": 5, "v1": 8}, within=100)

    world.edit({"spec": {"replicas": 15}})
    world.cluster.rest()

    assert world.sizes == {"never-ready": 7, "v1": 11}


@pytest.mark.parametrize(
    ("size", "sizes", "wanted"),
    [
        (15, (8, 5), (11, 7)),
        (5, (8, 5), (5, 3)),
        (20, (5, 5, 3), (9, 9, 5)),
        (10, (8, 5), (8, 5)),
        (0, (8, 5), (0, 0)),
    ],
)
def test_the_largest_takes_what_rounding_leaves_over(size: int, sizes: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    fleets = [Fleet(name=str(place), wanted=each, available=each, created=str(place), most=13) for place, each in enumerate(sizes)]

    found = spread(fleets, Bounds(size=size, surge=3, missing=2, rolling=True), present=13)

    assert tuple(found[each.name] for each in fleets) == wanted
    assert sum(wanted) == (size + 3 if size else 0)


@given(
    wanted=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    size=st.integers(0, 60),
    surge=st.integers(0, 20),
)
def test_a_changed_size_is_shared_out_whole(wanted: list[int], size: int, surge: int) -> None:
    fleets = [
        Fleet(name=str(place), wanted=each, available=each, created=str(place), most=sum(wanted)) for place, each in enumerate(wanted)
    ]

    found = spread(fleets, Bounds(size=size, surge=surge, missing=1, rolling=True), present=sum(wanted))

    assert sum(found.values()) == (size + surge if size else 0)
    assert all(each >= 0 for each in found.values())
    assert not size or all((found[each.name] - each.wanted) * (size + surge - sum(wanted)) >= 0 for each in fleets), "all go one way"


def test_a_name_that_somebody_else_has_taken_is_a_collision_and_another_is_found() -> None:
    first = World()
    (taken,) = first.cluster.store.scan(REPLICA_SETS)
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(taken.name, app="other"))

    cluster.store.create(DEPLOYMENTS, deployment())
    cluster.settle()

    found = cluster.store.get(DEPLOYMENTS, "web", namespace="default")["status"]
    assert (found["collisionCount"], found["availableReplicas"]) == (1, 1)
    assert len(cluster.store.scan(REPLICA_SETS)) == 2


def test_the_history_keeps_as_many_revisions_as_it_is_told() -> None:
    world = World(revisionHistoryLimit=1)

    for version in ("v2", "v3", "v4"):
        world.update(version)
        world.cluster.settle()

    assert sorted(world.sizes.items()) == [("v3", 0), ("v4", 1)]


def test_an_orphan_that_the_selector_means_is_taken_in_and_what_it_no_longer_means_is_let_go() -> None:
    cluster = VirtualCluster()
    orphan = replica_set("old")
    orphan["metadata"]["labels"] = {"app": "web"}
    cluster.store.create(REPLICA_SETS, orphan)
    cluster.store.create(DEPLOYMENTS, deployment(version="v2"))

    cluster.settle()
    taken = cluster.store.get(REPLICA_SETS, "old", namespace="default")
    cluster.store.patch(REPLICA_SETS, "old", PatchKind.MERGE, {"metadata": {"labels": {"app": "x"}}}, namespace="default")
    cluster.settle()

    assert (taken["metadata"]["ownerReferences"][0]["kind"], taken["spec"]["replicas"]) == ("Deployment", 0)
    assert "ownerReferences" not in cluster.store.get(REPLICA_SETS, "old", namespace="default")["metadata"]


def test_a_deployment_takes_its_replica_sets_and_pods_along() -> None:
    world = World(replicas=2)

    world.cluster.store.delete(DEPLOYMENTS, "web", namespace="default")
    world.cluster.settle()

    assert (world.cluster.store.scan(REPLICA_SETS), world.cluster.store.scan(PODS)) == ([], [])


def test_min_ready_seconds_reaches_the_replica_set_and_counts() -> None:
    world = World(replicas=1, minReadySeconds=20)
    world.update("v2")

    world.cluster.advance(15)
    early = world.counts.get("updatedReplicas"), world.sizes
    world.cluster.settle()

    assert early == (1, {"v1": 1, "v2": 1})
    assert world.sizes == {"v1": 0, "v2": 1}
    world.edit({"spec": {"minReadySeconds": 5}})
    world.cluster.settle()
    assert world.sets["v2"]["spec"]["minReadySeconds"] == 5


def test_a_deployment_at_rest_writes_nothing() -> None:
    world = World(replicas=2)
    before = world.cluster.store.version

    world.cluster.advance(10_000)

    assert world.cluster.store.version == before


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"revisionHistoryLimit": -1}, "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": 600}, "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"),
        ({"strategy": rolling(1, "101%")}, "must not be greater than 100%"),
        ({"strategy": rolling(0, 0)}, "may not be 0 when `maxSurge` is 0"),
    ],
)
def test_what_a_deployment_may_not_ask_for(spec: Manifest, said: str) -> None:
    with pytest.raises(StatusError) as error:
        VirtualCluster().store.create(DEPLOYMENTS, deployment(**spec))

    assert said in error.value.message
