"""How many ready addresses does each ReplicaSet have behind a Service?"""

from builders import replica_set
from tiphys.api.meta import ObjectMeta
from tiphys.api.workloads import Endpoint, EndpointConditions, EndpointSlice, ObjectReference
from tiphys.controller.endpoints import EndpointCounts, pod_base


def pod(name: str, *, ready: bool | None = True, terminating: bool | None = None) -> Endpoint:
    return Endpoint(
        addresses=("10.0.0.1",),
        conditions=EndpointConditions(ready=ready, terminating=terminating),
        target_ref=ObjectReference(kind="Pod", name=name),
    )


def endpoint_slice(*endpoints: Endpoint, uid: str = "slice", version: str = "1") -> EndpointSlice:
    return EndpointSlice(metadata=ObjectMeta(name=uid, uid=uid, resource_version=version), endpoints=endpoints)


def test_counts_ready_pods_per_hash() -> None:
    slices = [endpoint_slice(pod("web-aaa-11111"), pod("web-aaa-22222"), pod("web-bbb-33333"))]

    counted = EndpointCounts().of_service(slices, [replica_set("aaa", replicas=2), replica_set("bbb")])

    assert counted == {"aaa": 2, "bbb": 1}


def test_counts_neither_unready_nor_terminating_pods_and_takes_absent_readiness_for_ready() -> None:
    endpoints = (pod("web-aaa-11111", ready=False), pod("web-aaa-22222", terminating=True), pod("web-aaa-33333", ready=None))

    assert EndpointCounts().of_service([endpoint_slice(*endpoints)], [replica_set("aaa", replicas=3)]) == {"aaa": 1}


def test_a_service_without_slices_has_nobody_ready() -> None:
    assert EndpointCounts().of_service([], [replica_set("aaa")]) == {"aaa": 0}


def test_a_pod_with_addresses_of_two_families_counts_once() -> None:
    slices = [endpoint_slice(pod("web-aaa-11111"), uid="v4"), endpoint_slice(pod("web-aaa-11111"), pod("web-aaa-22222"), uid="v6")]

    assert EndpointCounts().of_service(slices, [replica_set("aaa", replicas=2)]) == {"aaa": 2}


def test_says_nothing_where_an_address_is_no_pods() -> None:
    slices = [endpoint_slice(pod("web-aaa-11111"), Endpoint(addresses=("192.0.2.1",)))]

    assert EndpointCounts().of_service(slices, [replica_set("aaa")]) is None


def test_recognises_pods_of_a_replica_set_whose_name_is_cut_off() -> None:
    long = "a" * 60
    base = pod_base(f"{long}-aaa")

    counted = EndpointCounts().of_service([endpoint_slice(pod(f"{base}x7k2p"))], [replica_set("aaa", rollout=long)])

    assert len(base) == 58
    assert counted == {"aaa": 1}


def test_says_nothing_where_two_replica_sets_give_their_pods_the_same_beginning() -> None:
    long = "a" * 60
    sets = [replica_set("aaa", rollout=long), replica_set("bbb", rollout=long)]

    assert EndpointCounts().of_service([endpoint_slice(pod(f"{'a' * 58}x7k2p"))], sets) is None


def test_an_empty_replica_set_makes_nothing_ambiguous() -> None:
    long = "a" * 60
    sets = [replica_set("aaa", rollout=long), replica_set("bbb", rollout=long, replicas=0)]

    assert EndpointCounts().of_service([endpoint_slice(pod(f"{'a' * 58}x7k2p"))], sets) == {"aaa": 1}


def test_looks_again_at_a_slice_that_changed() -> None:
    counts = EndpointCounts()
    sets = [replica_set("aaa", replicas=2)]
    before = counts.of_service([endpoint_slice(pod("web-aaa-11111"))], sets)

    after = counts.of_service([endpoint_slice(pod("web-aaa-11111"), pod("web-aaa-22222"), version="2")], sets)

    assert (before, after) == ({"aaa": 1}, {"aaa": 2})


def test_slices_that_are_gone_are_forgotten() -> None:
    counts = EndpointCounts()
    first, second = endpoint_slice(uid="u1"), endpoint_slice(uid="u2")

    counts.of_service([first, second], [replica_set("aaa")])
    counts.of_service([second], [replica_set("aaa")])

    assert set(counts._slices) == {"u2"}
