"""Is the patch right, and is it the smallest?"""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kube.diff import apply_merge_patch, json_patch, json_test, merge_patch, pointer, same

Json = Any

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~f"]), inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~f"]), values, max_size=4)


def without_nulls(value: Json) -> Json:
    """Give the value without keys that are null: what a merge patch can say."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def carried_out(document: Json, operations: list[dict[str, Any]]) -> Json:
    """Apply RFC 6902 operations: the few lines of the RFC that matter here."""
    document = copy.deepcopy(document)
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        if not parts:
            document = operation["value"]
            continue
        parent = document
        for part in parts[:-1]:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        last: Any = int(parts[-1]) if isinstance(parent, list) else parts[-1]
        if operation["op"] == "remove":
            del parent[last]
        else:
            parent[last] = operation["value"]
    return document


@given(objects, objects)
def test_a_merge_patch_leads_from_the_old_to_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch(old, new)

    result = old if patch is None else apply_merge_patch(old, patch)

    assert same(without_nulls(result), without_nulls(new))


@given(objects)
def test_there_is_no_patch_where_nothing_changed(old: dict[str, Any]) -> None:
    assert merge_patch(old, copy.deepcopy(old)) is None


@given(objects, objects)
def test_a_json_patch_leads_from_the_old_to_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert same(carried_out(old, json_patch(old, new)), new)


def test_a_merge_patch_names_only_what_differs() -> None:
    old = {"metadata": {"labels": {"a": "1", "b": "2"}, "name": "x"}, "spec": {"list": [1, 2], "same": {"deep": True}}}
    new = {"metadata": {"labels": {"a": "1", "c": "3"}, "name": "x"}, "spec": {"list": [1], "same": {"deep": True}}}

    assert merge_patch(old, new) == {"metadata": {"labels": {"c": "3", "b": None}}, "spec": {"list": [1]}}


def test_true_is_not_one() -> None:
    assert merge_patch({"a": True}, {"a": 1}) == {"a": 1}


def test_inputs_stay_as_they_were() -> None:
    old, patch = {"a": {"b": 1}}, {"a": {"c": 2}}

    assert apply_merge_patch(old, patch) == {"a": {"b": 1, "c": 2}}
    assert (old, patch) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(("parts", "wanted"), [(("a", 0), "/a/0"), (("x/y", "~"), "/x~1y/~0"), ((), "")])
def test_pointers_escape_what_has_a_meaning(parts: tuple[str | int, ...], wanted: str) -> None:
    assert pointer(*parts) == wanted


def test_a_guard_names_the_value_that_must_be_there() -> None:
    assert json_test("7", "metadata", "resourceVersion") == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
