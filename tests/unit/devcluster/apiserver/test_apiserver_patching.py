"""What an object looks like after a patch of each kind."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.patching import PatchKind, merge, patched
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store
from tiphys.devcluster.strategic import strategic_merge
from tiphys.devcluster.wire import Json

leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
documents = st.recursive(
    leaves, lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abc"), below, max_size=3), max_leaves=8
)
maps = st.dictionaries(st.sampled_from("abc"), documents, max_size=3)


@given(document=maps, change=maps)
def test_a_merge_patch_applied_twice_changes_no_more_than_once(document: dict[str, Any], change: dict[str, Any]) -> None:
    once = merge(copy.deepcopy(document), copy.deepcopy(change))

    assert merge(copy.deepcopy(once), copy.deepcopy(change)) == once


@given(document=maps)
def test_an_empty_merge_patch_changes_nothing(document: dict[str, Any]) -> None:
    assert merge(copy.deepcopy(document), {}) == document


def test_a_merge_patch_removes_with_null_and_replaces_lists() -> None:
    document = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]}

    assert merge(document, {"a": None, "b": {"c": None}, "e": [3]}) == {"b": {"d": 3}, "e": [3]}


def json_patched(operations: Json) -> dict[str, Any]:
    manifest = {"metadata": {"name": "a"}, "spec": {"tags": ["a", "b"], "size": 1}}
    write = Store(names=Names(1)).admission(PODS)
    return patched(manifest, PatchKind.JSON, operations, write)


def test_a_json_patch_does_one_thing_after_another() -> None:
    operations = [
        {"op": "test", "path": "/spec/size", "value": 1},
        {"op": "add", "path": "/spec/tags/-", "value": "c"},
        {"op": "remove", "path": "/spec/tags/0"},
        {"op": "copy", "from": "/spec/tags/0", "path": "/spec/first"},
        {"op": "move", "from": "/spec/size", "path": "/spec/amount~1kind"},
        {"op": "replace", "path": "/metadata/name", "value": "b"},
    ]

    assert json_patched(operations) == {"metadata": {"name": "b"}, "spec": {"tags": ["b", "c"], "first": "b", "amount/kind": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/size", "value": 2},
        {"op": "remove", "path": "/spec/absent"},
        {"op": "replace", "path": "/spec/tags/7", "value": 1},
        {"op": "add", "path": "/spec/size/deeper", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
    ],
)
def test_a_json_patch_that_cannot_be_carried_out_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as error:
        json_patched([operation])

    assert error.value.code == 422


@pytest.mark.parametrize("operations", [[{"op": "frob", "path": "/a"}], {"op": "test"}])
def test_a_json_patch_that_cannot_be_read_is_a_bad_request(operations: Json) -> None:
    with pytest.raises(StatusError) as error:
        json_patched(operations)

    assert error.value.code == 400


def strategic(resource: ResourceType, document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return strategic_merge(copy.deepcopy(document), change, resource.rules.shape)


def test_containers_merge_by_name_and_new_ones_come_first() -> None:
    template = {"containers": [{"name": "main", "image": "i:1", "args": ["x"]}, {"name": "side", "image": "s:1"}]}
    change = {"containers": [{"name": "new", "image": "n:1"}, {"name": "main", "image": "i:2"}]}

    result = strategic(PODS, {"spec": template}, {"spec": change})

    new, main, side = result["spec"]["containers"]
    assert (new["name"], main, side["name"]) == ("new", {"name": "main", "image": "i:2", "args": ["x"]}, "side")


def test_environment_variables_merge_inside_containers_of_a_template() -> None:
    def variables(*values: dict[str, Any]) -> dict[str, Any]:
        return {"spec": {"template": {"spec": {"containers": [{"name": "m", "env": list(values)}]}}}}

    there = variables({"name": "A", "value": "1"}, {"name": "B", "value": "2"})
    change = variables({"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"})

    assert strategic(REPLICA_SETS, there, change) == variables({"name": "B", "value": "3"})


def test_ports_merge_by_port_unless_the_whole_list_is_replaced() -> None:
    service = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}

    merged = strategic(SERVICES, service, {"spec": {"ports": [{"port": 81, "targetPort": 8081}]}})
    replaced = strategic(SERVICES, service, {"spec": {"ports": [{"$patch": "replace"}, {"port": 9}]}})

    assert merged["spec"]["ports"] == [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "targetPort": 8081}]
    assert replaced["spec"]["ports"] == [{"port": 9}]


def test_the_order_of_a_list_can_be_asked_for() -> None:
    service = {"spec": {"ports": [{"port": 80}, {"port": 81}, {"port": 82}]}}

    result = strategic(SERVICES, service, {"spec": {"$setElementOrder/ports": [{"port": 82}, {"port": 80}, {"port": 81}]}, "x": 1})
    reordered = strategic(
        SERVICES, service, {"spec": {"$setElementOrder/ports": [{"port": 82}, {"port": 80}, {"port": 81}], "ports": [{"port": 82}]}}
    )

    assert result["spec"]["ports"] == service["spec"]["ports"]
    assert [port["port"] for port in reordered["spec"]["ports"]] == [82, 80, 81]


def test_maps_merge_lists_of_values_are_replaced_and_null_removes() -> None:
    there = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"name": "m", "args": ["x"]}]}}
    change = {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"containers": [{"name": "m", "args": ["y", "z"]}]}}

    result = strategic(PODS, there, change)

    assert result == {"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"containers": [{"name": "m", "args": ["y", "z"]}]}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"containers": [{"image": "noname"}]}}, "map: map[image:noname] does not contain declared merge key: name"),
        ({"spec": {"$patch": "frob"}}, "unknown patch type: frob in map: map[$patch:frob]"),
    ],
)
def test_a_strategic_patch_that_makes_no_sense_says_why(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as error:
        strategic(PODS, {"spec": {"containers": []}}, change)

    assert error.value.message == message
