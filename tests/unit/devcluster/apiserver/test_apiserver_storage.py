"""What the store promises to those who use it in process."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import CONFIG_MAPS, ENDPOINT_SLICES, ENDPOINTS, NAMESPACES, NODES, PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def store(clock: Clock | None = None) -> Store:
    return Store(clock=clock or Clock(), names=Names(7))


def config_map(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, *, node: str = "") -> Manifest:
    spec: Manifest = {"containers": [{"name": "main", "image": "example.com/app:1"}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def replica_set(name: str, replicas: int = 2) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "example.com/app:1"}]}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}}


def refusal(error: pytest.ExceptionInfo[StatusError]) -> tuple[int, str]:
    return error.value.code, error.value.reason


def test_a_created_object_carries_the_injected_time_and_a_seeded_uid() -> None:
    one, two = store(), store()

    created = one.create(CONFIG_MAPS, config_map("a"), namespace="default")

    assert created["metadata"]["creationTimestamp"] == "2026-01-02T12:00:00Z"
    assert created["metadata"]["uid"] == two.create(CONFIG_MAPS, config_map("a"), namespace="default")["metadata"]["uid"]


def test_what_a_caller_gives_or_gets_is_not_what_is_stored() -> None:
    cluster = store()
    given = config_map("a", k="v")

    got = cluster.create(CONFIG_MAPS, given, namespace="default")
    given["data"]["k"] = got["data"]["k"] = "changed"

    assert cluster.get(CONFIG_MAPS, "a", namespace="default")["data"] == {"k": "v"}
    assert given["metadata"] == {"name": "a"}


def test_versions_are_one_counter_for_all_kinds() -> None:
    cluster = store()

    first = int(cluster.create(CONFIG_MAPS, config_map("a"), namespace="default")["metadata"]["resourceVersion"])
    second = int(cluster.create(PODS, pod("a"), namespace="default")["metadata"]["resourceVersion"])

    assert second == first + 1 == cluster.version


def test_a_stale_update_is_a_conflict_and_changes_nothing() -> None:
    cluster = store()
    seen = cluster.create(CONFIG_MAPS, config_map("a", k="1"), namespace="default")
    cluster.update(CONFIG_MAPS, {**seen, "data": {"k": "2"}})

    with pytest.raises(StatusError, match="the object has been modified") as error:
        cluster.update(CONFIG_MAPS, {**seen, "data": {"k": "3"}})

    assert refusal(error) == (409, "Conflict")
    assert cluster.get(CONFIG_MAPS, "a", namespace="default")["data"] == {"k": "2"}


def test_an_update_that_changes_nothing_makes_no_version_and_no_event() -> None:
    cluster = store()
    seen = cluster.create(CONFIG_MAPS, config_map("a", k="1"), namespace="default")
    watch = cluster.watch(CONFIG_MAPS, since=cluster.version)

    again = cluster.update(CONFIG_MAPS, seen)

    assert again == seen
    assert watch.drain() == []


def test_only_a_changed_spec_counts_as_a_generation() -> None:
    cluster = store()
    cluster.create(REPLICA_SETS, replica_set("a"), namespace="default")

    def generation(kind: PatchKind, body: Manifest, subresource: str = "") -> int:
        changed = cluster.patch(REPLICA_SETS, "a", kind, body, namespace="default", subresource=subresource)
        return int(changed["metadata"]["generation"])

    assert generation(PatchKind.MERGE, {"metadata": {"labels": {"x": "y"}}}) == 1
    assert generation(PatchKind.MERGE, {"status": {"replicas": 1}}, "status") == 1
    assert generation(PatchKind.STRATEGIC, {"spec": {"minReadySeconds": 5}}) == 2


def test_status_and_spec_are_written_through_their_own_doors() -> None:
    cluster = store()
    cluster.create(REPLICA_SETS, replica_set("a") | {"status": {"replicas": 9}}, namespace="default")

    by_status = {"spec": {"replicas": 7}, "metadata": {"labels": {"x": "y"}}, "status": {"replicas": 1}}
    cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, by_status, namespace="default", subresource="status")
    seen = cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, {"status": {"replicas": 5}}, namespace="default")

    assert (seen["spec"]["replicas"], seen["status"], seen["metadata"].get("labels")) == (2, {"replicas": 1}, None)


def test_scale_changes_the_size_and_nothing_else() -> None:
    cluster = store()
    before = cluster.create(REPLICA_SETS, replica_set("a"), namespace="default")

    scale = cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, {"spec": {"replicas": 5}}, namespace="default", subresource="scale")
    after = cluster.get(REPLICA_SETS, "a", namespace="default")

    assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 5}, {"replicas": 0, "selector": "app=a"})
    assert after["spec"] == {**before["spec"], "replicas": 5}


def test_an_object_with_finalizers_waits_and_goes_with_the_last_one() -> None:
    cluster = store()
    manifest = config_map("a")
    manifest["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.create(CONFIG_MAPS, manifest, namespace="default")
    watch = cluster.watch(CONFIG_MAPS, namespace="default", since=cluster.version)

    outcome = cluster.delete(CONFIG_MAPS, "a", namespace="default")
    waiting = cluster.get(CONFIG_MAPS, "a", namespace="default")
    cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"metadata": {"finalizers": None}}, namespace="default")

    assert not outcome.gone
    assert waiting["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:00Z"
    assert cluster.read(CONFIG_MAPS, "a", "default") is None
    assert [event.type for event in watch.drain()] == ["MODIFIED", "DELETED"]


def test_a_pod_on_a_node_ends_gracefully_and_a_pending_one_at_once() -> None:
    cluster = store()
    cluster.create(PODS, pod("pending"), namespace="default")
    cluster.create(PODS, pod("placed", node="n"), namespace="default")

    at_once = cluster.delete(PODS, "pending", namespace="default")
    later = cluster.delete(PODS, "placed", namespace="default", grace_seconds=5)
    ended = cluster.delete(PODS, "placed", namespace="default", grace_seconds=0)

    assert (at_once.gone, later.gone, ended.gone) == (True, False, True)
    assert later.stored.manifest["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:05Z"
    assert cluster.scan(PODS) == []


def test_a_second_delete_can_only_shorten_the_wait() -> None:
    clock = Clock()
    cluster = store(clock)
    cluster.create(PODS, pod("a", node="n"), namespace="default")
    cluster.delete(PODS, "a", namespace="default", grace_seconds=30)
    clock.now = NOON + timedelta(seconds=3)

    longer = cluster.delete(PODS, "a", namespace="default", grace_seconds=60)
    shorter = cluster.delete(PODS, "a", namespace="default", grace_seconds=10)

    assert longer.stored.manifest["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:30Z"
    assert shorter.stored.manifest["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:10Z"


@pytest.mark.parametrize(("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_a_delete_that_concerns_dependents_waits_for_the_collector(propagation: str, finalizer: str) -> None:
    cluster = store()
    cluster.create(REPLICA_SETS, replica_set("a"), namespace="default")

    outcome = cluster.delete(REPLICA_SETS, "a", namespace="default", propagation=propagation)

    assert not outcome.gone
    assert outcome.stored.manifest["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize("precondition", [{"uid": "another"}, {"resourceVersion": "1"}])
def test_a_delete_keeps_to_its_preconditions(precondition: dict[str, str]) -> None:
    cluster = store()
    cluster.create(CONFIG_MAPS, config_map("a"), namespace="default")

    with pytest.raises(StatusError, match="in the precondition") as error:
        cluster.delete(CONFIG_MAPS, "a", namespace="default", preconditions=precondition)

    assert refusal(error) == (409, "Conflict")
    assert cluster.read(CONFIG_MAPS, "a", "default") is not None


def test_a_dry_run_answers_as_if_and_stores_nothing() -> None:
    cluster = store()
    cluster.create(CONFIG_MAPS, config_map("a", k="1"), namespace="default")
    version = cluster.version

    created = cluster.create(CONFIG_MAPS, config_map("b"), namespace="default", dry_run=True)
    patched = cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"data": {"k": "2"}}, namespace="default", dry_run=True)
    deleted = cluster.delete(CONFIG_MAPS, "a", namespace="default", dry_run=True)

    assert ("resourceVersion" in created["metadata"], patched["data"], deleted.gone) == (False, {"k": "2"}, True)
    assert cluster.version == version
    assert [stored.manifest["data"] for stored in cluster.scan(CONFIG_MAPS, namespace="default")] == [{"k": "1"}]


def test_pages_show_the_version_of_the_first_one() -> None:
    cluster = store()
    for name in "abcde":
        cluster.create(CONFIG_MAPS, config_map(name), namespace="default")

    first = cluster.list(CONFIG_MAPS, namespace="default", limit=2)
    cluster.delete(CONFIG_MAPS, "c", namespace="default")
    cluster.create(CONFIG_MAPS, config_map("d2"), namespace="default")
    second = cluster.list(CONFIG_MAPS, namespace="default", limit=10, continue_=first.continue_)

    assert [stored.name for stored in first.items] == ["a", "b"]
    assert first.remaining == 3
    assert [stored.name for stored in second.items] == ["c", "d", "e"]
    assert (second.version, second.continue_) == (first.version, "")


def test_a_page_of_a_forgotten_version_is_gone() -> None:
    cluster = store()
    for name in "abc":
        cluster.create(CONFIG_MAPS, config_map(name), namespace="default")
    first = cluster.list(CONFIG_MAPS, namespace="default", limit=1)
    cluster.delete(CONFIG_MAPS, "c", namespace="default")

    cluster.compact()

    with pytest.raises(StatusError) as error:
        cluster.list(CONFIG_MAPS, namespace="default", continue_=first.continue_)
    assert refusal(error) == (410, "Expired")


def test_nothing_is_created_in_a_namespace_that_is_not_there_or_ends() -> None:
    cluster = store()
    cluster.create(NAMESPACES, {"metadata": {"name": "ending"}})
    cluster.delete(NAMESPACES, "ending")

    with pytest.raises(StatusError) as absent:
        cluster.create(CONFIG_MAPS, config_map("a"), namespace="absent")
    with pytest.raises(StatusError, match="because it is being terminated") as ending:
        cluster.create(CONFIG_MAPS, config_map("a"), namespace="ending")

    assert absent.value.message == 'namespaces "absent" not found'
    assert refusal(ending) == (403, "Forbidden")


def test_a_namespace_ends_when_it_is_finalized() -> None:
    cluster = store()
    cluster.create(NAMESPACES, {"metadata": {"name": "n"}})
    cluster.delete(NAMESPACES, "n")
    ending = cluster.get(NAMESPACES, "n")

    cluster.update(NAMESPACES, {**ending, "spec": {}}, subresource="finalize")

    assert ending["status"] == {"phase": "Terminating"}
    assert cluster.read(NAMESPACES, "n") is None


def test_services_get_addresses_of_the_network_and_keep_them() -> None:
    cluster = Store(names=Names(3), service_network="127.96.0.0/29")
    port = {"ports": [{"port": 80}]}

    given = [
        cluster.create(SERVICES, {"metadata": {"name": name}, "spec": dict(port)}, namespace="default")["spec"]["clusterIP"]
        for name in ("a", "b", "c", "d", "e", "f")
    ]
    kept = cluster.patch(SERVICES, "a", PatchKind.MERGE, {"spec": {"selector": {"x": "y"}}}, namespace="default")

    assert sorted(given) == [f"127.96.0.{number}" for number in range(1, 7)]
    assert kept["spec"]["clusterIP"] == given[0]


def test_a_generated_name_that_is_taken_is_made_up_again() -> None:
    class Stubborn(Names):
        def __init__(self) -> None:
            super().__init__(1)
            self.endings = iter(["aaaaa", "aaaaa", "bbbbb"])

        def suffix(self, length: int = 5) -> str:
            return next(self.endings)[:length]

    cluster = Store(names=Stubborn())
    manifest: Manifest = {"metadata": {"generateName": "a-"}}

    names = [cluster.create(CONFIG_MAPS, manifest, namespace="default")["metadata"]["name"] for _ in range(2)]

    assert names == ["a-aaaaa", "a-bbbbb"]


def test_a_node_is_tainted_until_it_is_ready() -> None:
    cluster = Store(names=Names(1))
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    mine = {"key": "mine", "effect": "NoSchedule"}
    created = cluster.create(NODES, {"metadata": {"name": "n"}, "spec": {"taints": [mine]}})
    assert created["spec"]["taints"] == [mine, taint]

    for status, taints in (("True", [mine]), ("False", [mine, taint])):
        body = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
        assert cluster.patch(NODES, "n", PatchKind.MERGE, body, subresource="status")["spec"]["taints"] == taints
    kept = cluster.patch(NODES, "n", PatchKind.MERGE, {"spec": {"unschedulable": True}})
    assert kept["spec"] == {"taints": [mine, taint], "unschedulable": True}


@pytest.mark.parametrize(
    ("resource", "manifest"),
    [
        (ENDPOINTS, {"subsets": [{"addresses": [{"ip": "ADDRESS"}]}]}),
        (ENDPOINT_SLICES, {"addressType": "IPv4", "endpoints": [{"addresses": ["ADDRESS"]}]}),
    ],
)
def test_loopback_is_an_endpoint_only_where_pods_live_there(resource: ResourceType, manifest: Manifest) -> None:
    cluster = Store(names=Names(1))

    def create(address: str) -> None:
        body = json.loads(json.dumps(manifest).replace("ADDRESS", address))
        cluster.create(resource, {"metadata": {"generateName": "a-"}, **body}, namespace="default")

    create("127.0.0.2")
    create("10.1.2.3")
    for address in ("0.0.0.0", "169.254.1.1", "x"):  # noqa: S104 - nobody listens
        with pytest.raises(StatusError, match="is invalid"):
            create(address)
    cluster.pods_on_loopback = False
    with pytest.raises(StatusError, match="may not be in the loopback range"):
        create("127.0.0.2")
