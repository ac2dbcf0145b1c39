"""Do the built-in loops do in virtual time what their real counterparts do?"""

from collections.abc import Mapping
from typing import Any

import pytest

from devcluster_objects import Manifest, replica_set, service
from tiphys.devcluster.disruption import evict
from tiphys.devcluster.endpoints import SLICE_SIZE
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import CONFIG_MAPS, ENDPOINT_SLICES, NAMESPACES, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.virtual import NotSettledError, VirtualCluster


def status(cluster: VirtualCluster, name: str = "web") -> Manifest:
    found: Manifest = cluster.store.get(REPLICA_SETS, name, namespace="default")["status"]
    return found


def merge(cluster: VirtualCluster, resource: ResourceType, name: str, body: Mapping[str, Any], *, subresource: str = "") -> None:
    cluster.store.patch(resource, name, PatchKind.MERGE, dict(body), namespace="default", subresource=subresource)


def scale(cluster: VirtualCluster, replicas: int, *, name: str = "web") -> None:
    merge(cluster, REPLICA_SETS, name, {"spec": {"replicas": replicas}})


def names(cluster: VirtualCluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods()]


def conditions(cluster: VirtualCluster, name: str = "web") -> list[tuple[bool, bool, bool]]:
    slices = cluster.store.scan(ENDPOINT_SLICES, namespace="default", labels={"kubernetes.io/service-name": name})
    found = [each["conditions"] for stored in slices for each in stored.manifest["endpoints"]]
    return sorted((each["ready"], each["serving"], each["terminating"]) for each in found)


# -- ReplicaSets ---------------------------------------------------------------------------------------------------------


def test_a_replica_set_gets_its_pods_and_counts_them() -> None:
    cluster = VirtualCluster(ready_after=3)
    cluster.store.create(REPLICA_SETS, replica_set(replicas=3, minReadySeconds=5))

    cluster.rest()
    at_first = status(cluster)
    cluster.advance(3)
    when_ready = status(cluster)
    cluster.advance(5)

    assert at_first == {"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}
    assert when_ready == at_first | {"readyReplicas": 3}
    assert status(cluster) == when_ready | {"availableReplicas": 3}
    assert all(name.startswith("web-") and len(name) == len("web-") + 5 for name in names(cluster))


def test_a_pod_that_is_gone_is_replaced() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2))
    cluster.settle()
    before = names(cluster)

    cluster.kill(before[0])
    cluster.settle()

    assert len(names(cluster)) == 2
    assert before[0] not in names(cluster)
    assert before[1] in names(cluster)


def test_not_ready_pods_go_first_then_the_newest() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2))
    cluster.settle()
    oldest = set(names(cluster))
    cluster.advance(10)
    scale(cluster, 4)
    cluster.settle()
    ill = min(oldest)
    cluster.set_ready(ill, ready=False)
    cluster.settle()

    scale(cluster, 3)
    cluster.settle()
    assert ill not in names(cluster)

    scale(cluster, 1)
    cluster.settle()
    assert set(names(cluster)) == oldest - {ill}


def test_a_pod_with_a_low_deletion_cost_goes_before_a_newer_one() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=1))
    cluster.settle()
    (cheap,) = names(cluster)
    cluster.advance(10)
    scale(cluster, 2)
    cluster.settle()
    merge(cluster, PODS, cheap, {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}})

    scale(cluster, 1)
    cluster.settle()

    assert cheap not in names(cluster)


def test_pods_nobody_controls_are_adopted_and_relabelled_ones_let_go() -> None:
    cluster = VirtualCluster()
    template = replica_set()["spec"]["template"]
    orphan = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orphan", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    cluster.store.create(PODS, orphan, namespace="default")
    cluster.store.create(REPLICA_SETS, replica_set(replicas=1))
    cluster.settle()

    assert names(cluster) == ["orphan"]
    assert cluster.pods()[0]["metadata"]["ownerReferences"][0]["name"] == "web"

    merge(cluster, PODS, "orphan", {"metadata": {"labels": {"app": "other"}}})
    cluster.settle()

    assert len(names(cluster)) == 2
    assert "ownerReferences" not in cluster.pods({"app": "other"})[0]["metadata"]


def test_a_change_of_size_is_observed_by_generation() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=1))
    cluster.settle()

    scale(cluster, 0)
    cluster.settle()

    assert status(cluster) == {"replicas": 0, "observedGeneration": 2}


def test_at_rest_nothing_is_written() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2))
    cluster.store.create(SERVICES, service("web", {"app": "web"}))
    cluster.settle()
    version = cluster.store.version

    cluster.kubelet.look_again()
    cluster.advance(3600)

    assert cluster.store.version == version


# -- pods ----------------------------------------------------------------------------------------------------------------


def test_a_slow_pod_becomes_ready_when_its_tag_says() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(version="v2-slow-5s"))

    seconds = cluster.settle(lambda: status(cluster).get("readyReplicas") == 1)

    assert seconds == 5


@pytest.mark.parametrize(("version", "phase"), [("crashing", "Running"), ("never-ready", "Running")])
def test_some_pods_never_become_ready(version: str, phase: str) -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(version=version))

    cluster.settle()
    cluster.advance(600)

    (pod,) = cluster.pods()
    assert pod["status"]["phase"] == phase
    assert "readyReplicas" not in status(cluster)


def test_a_crashing_pod_says_so() -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(version="crashing"))

    cluster.settle()

    (container,) = cluster.pods()[0]["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_pods_can_be_barred_from_readiness_and_let_in_again() -> None:
    cluster = VirtualCluster()
    cluster.bar({"version": "v2"})
    cluster.store.create(REPLICA_SETS, replica_set(version="v2"))
    cluster.settle()
    assert "readyReplicas" not in status(cluster)

    with pytest.raises(NotSettledError):
        cluster.settle(lambda: "readyReplicas" in status(cluster))

    cluster.unbar({"version": "v2"})
    cluster.settle(lambda: status(cluster).get("readyReplicas") == 1)


def test_a_readiness_gate_waits_for_its_condition() -> None:
    cluster = VirtualCluster()
    given = replica_set()
    given["spec"]["template"]["spec"]["readinessGates"] = [{"conditionType": "example.com/target-health"}]
    cluster.store.create(REPLICA_SETS, given)
    cluster.settle()
    (pod,) = cluster.store.list(PODS, namespace="default").manifests
    assert "readyReplicas" not in status(cluster)

    pod["status"]["conditions"].append({"type": "example.com/target-health", "status": "True"})
    cluster.store.update(PODS, pod, subresource="status")
    cluster.settle()

    assert status(cluster)["readyReplicas"] == 1


def test_a_leaving_pod_serves_for_a_while_without_being_ready() -> None:
    cluster = VirtualCluster(drain_seconds=2)
    cluster.store.create(REPLICA_SETS, replica_set(replicas=1))
    cluster.store.create(SERVICES, service("web", {"app": "web"}))
    cluster.settle()
    (name,) = names(cluster)

    cluster.evict(name)
    cluster.rest()
    leaving = conditions(cluster)
    cluster.settle()

    assert leaving == [(False, True, True), (True, True, False)]
    assert conditions(cluster) == [(True, True, False)]
    assert name not in names(cluster)


def test_equal_runs_give_equal_histories() -> None:
    def run() -> list[Manifest]:
        cluster = VirtualCluster(ready_after=1)
        cluster.store.create(REPLICA_SETS, replica_set(replicas=3))
        cluster.settle()
        cluster.evict(names(cluster)[1])
        cluster.settle()
        return [dict(pod) for pod in cluster.pods()]

    assert run() == run()


# -- EndpointSlices --------------------------------------------------------------------------------------------------------


def test_a_service_lists_its_pods_with_their_readiness() -> None:
    cluster = VirtualCluster()
    cluster.store.create(SERVICES, service("web", {"app": "web"}))
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2))
    cluster.settle()
    cluster.set_ready(names(cluster)[0], ready=False)
    cluster.settle()

    (stored,) = cluster.store.scan(ENDPOINT_SLICES, namespace="default")
    endpoint_slice = stored.manifest
    assert endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert endpoint_slice["metadata"]["ownerReferences"][0]["name"] == "web"
    assert endpoint_slice["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert {each["targetRef"]["name"] for each in endpoint_slice["endpoints"]} == set(names(cluster))
    assert conditions(cluster) == [(False, False, False), (True, True, False)]


def test_a_changed_selector_changes_the_endpoints() -> None:
    cluster = VirtualCluster()
    cluster.store.create(SERVICES, service("web", {"app": "web", "version": "v1"}))
    cluster.store.create(REPLICA_SETS, replica_set("one", replicas=1, version="v1"))
    cluster.store.create(REPLICA_SETS, replica_set("two", replicas=2, version="v2"))
    cluster.settle()
    assert len(conditions(cluster)) == 1

    merge(cluster, SERVICES, "web", {"spec": {"selector": {"version": "v2"}}})
    cluster.settle()

    assert len(conditions(cluster)) == 2


def test_a_service_without_pods_keeps_one_empty_slice() -> None:
    cluster = VirtualCluster()
    cluster.store.create(SERVICES, service("web", {"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]))
    cluster.settle()

    (stored,) = cluster.store.scan(ENDPOINT_SLICES, namespace="default")
    assert not stored.manifest["endpoints"]


def test_a_big_service_has_several_slices_and_a_change_writes_one() -> None:
    cluster = VirtualCluster()
    cluster.store.create(SERVICES, service("web", {"app": "web"}))
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2 * SLICE_SIZE + 20))
    cluster.settle()
    before = {stored.name: stored.version for stored in cluster.store.scan(ENDPOINT_SLICES, namespace="default")}

    cluster.set_ready(names(cluster)[0], ready=False)
    cluster.settle()

    after = {stored.name: stored.version for stored in cluster.store.scan(ENDPOINT_SLICES, namespace="default")}
    sizes = [len(stored.manifest["endpoints"]) for stored in cluster.store.scan(ENDPOINT_SLICES, namespace="default")]
    assert sorted(sizes) == [20, SLICE_SIZE, SLICE_SIZE]
    assert before.keys() == after.keys()
    assert sum(before[name] != after[name] for name in before) == 1


def test_the_slices_go_with_their_service() -> None:
    cluster = VirtualCluster()
    cluster.store.create(SERVICES, service("web", {"app": "web"}))
    cluster.settle()

    cluster.store.delete(SERVICES, "web", namespace="default")
    cluster.settle()

    assert cluster.store.scan(ENDPOINT_SLICES, namespace="default") == []


# -- garbage and namespaces ------------------------------------------------------------------------------------------------


def owned(name: str, owner: Manifest, *, blocks: bool = False) -> Manifest:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {"name": name, "ownerReferences": [reference | ({"blockOwnerDeletion": True} if blocks else {})]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def config_map(cluster: VirtualCluster, name: str, owner: Manifest | None = None, *, blocks: bool = False) -> Manifest:
    manifest = owned(name, owner, blocks=blocks) if owner else {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    return cluster.store.create(CONFIG_MAPS, manifest, namespace="default")


def maps(cluster: VirtualCluster) -> set[str]:
    return {stored.name for stored in cluster.store.scan(CONFIG_MAPS, namespace="default") if not stored.name.startswith("kube-")}


def test_what_is_owned_goes_with_its_owner_down_the_line() -> None:
    cluster = VirtualCluster()
    top = config_map(cluster, "top")
    middle = config_map(cluster, "middle", top)
    config_map(cluster, "bottom", middle)
    config_map(cluster, "stranger")
    cluster.settle()

    cluster.store.delete(CONFIG_MAPS, "top", namespace="default")
    cluster.settle()

    assert maps(cluster) == {"stranger"}


def test_an_object_with_an_owner_left_stays_and_drops_the_other_reference() -> None:
    cluster = VirtualCluster()
    first, second = config_map(cluster, "first"), config_map(cluster, "second")
    both = owned("both", first)
    both["metadata"]["ownerReferences"] += owned("both", second)["metadata"]["ownerReferences"]
    cluster.store.create(CONFIG_MAPS, both, namespace="default")
    cluster.settle()

    cluster.store.delete(CONFIG_MAPS, "first", namespace="default")
    cluster.settle()

    references = cluster.store.get(CONFIG_MAPS, "both", namespace="default")["metadata"]["ownerReferences"]
    assert [each["name"] for each in references] == ["second"]


def test_an_owner_that_never_was_takes_its_dependents_along() -> None:
    cluster = VirtualCluster()
    owner = config_map(cluster, "owner")
    owner["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    config_map(cluster, "dependent", owner)

    cluster.settle()

    assert maps(cluster) == {"owner"}


def test_a_foreground_deletion_waits_for_what_blocks_it() -> None:
    cluster = VirtualCluster()
    owner = config_map(cluster, "owner")
    held = owned("held", owner, blocks=True)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.store.create(CONFIG_MAPS, held, namespace="default")
    cluster.settle()

    cluster.store.delete(CONFIG_MAPS, "owner", namespace="default", propagation="Foreground")
    cluster.settle()
    assert maps(cluster) == {"owner", "held"}

    merge(cluster, CONFIG_MAPS, "held", {"metadata": {"finalizers": None}})
    cluster.settle()
    assert maps(cluster) == set()


def test_an_orphaning_deletion_leaves_the_dependents_alone() -> None:
    cluster = VirtualCluster()
    config_map(cluster, "dependent", config_map(cluster, "owner"))
    cluster.settle()

    cluster.store.delete(CONFIG_MAPS, "owner", namespace="default", propagation="Orphan")
    cluster.settle()

    assert maps(cluster) == {"dependent"}
    assert "ownerReferences" not in cluster.store.get(CONFIG_MAPS, "dependent", namespace="default")["metadata"]


def test_a_namespace_takes_everything_in_it_along() -> None:
    cluster = VirtualCluster()
    cluster.store.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    given = replica_set(replicas=2)
    given["metadata"]["namespace"] = "shop"
    cluster.store.create(REPLICA_SETS, given)
    cluster.settle()

    cluster.store.delete(NAMESPACES, "shop")
    cluster.settle()

    assert cluster.pods(namespace="shop") == []
    assert cluster.store.scan(REPLICA_SETS, namespace="shop") == []
    assert cluster.store.read(NAMESPACES, "shop") is None


# -- disruption budgets ------------------------------------------------------------------------------------------------------


def budget(cluster: VirtualCluster, **spec: int | str) -> None:
    selector = {"selector": {"matchLabels": {"app": "web"}}}
    cluster.store.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "pdb"}, "spec": selector | spec}, namespace="default")
    cluster.settle()


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"minAvailable": 3}, 1),
        ({"minAvailable": "50%"}, 2),
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": "30%"}, 2),
        ({"minAvailable": 9}, 0),
    ],
)
def test_a_budget_counts_how_many_pods_may_go(spec: dict[str, int | str], allowed: int) -> None:
    cluster = VirtualCluster()
    cluster.store.create(REPLICA_SETS, replica_set(replicas=4))

    budget(cluster, **spec)

    found = cluster.store.get(POD_DISRUPTION_BUDGETS, "pdb", namespace="default")["status"]
    assert (found["disruptionsAllowed"], found["currentHealthy"], found["expectedPods"]) == (allowed, 4, 4)


def test_an_eviction_keeps_to_the_budget() -> None:
    cluster = VirtualCluster(ready_after=1)
    cluster.store.create(REPLICA_SETS, replica_set(replicas=2))
    budget(cluster, minAvailable=1)
    first, second = names(cluster)

    evict(cluster.store, first, namespace="default")
    with pytest.raises(StatusError, match="disruption budget") as refused:
        evict(cluster.store, second, namespace="default")
    cluster.settle()
    evict(cluster.store, second, namespace="default")
    cluster.settle()

    assert refused.value.code == 429
    assert not {first, second} & set(names(cluster))
    assert len(names(cluster)) == 2
