"""Who is said to have set which field."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tiphys.devcluster.fieldsets import Fields, common, is_member, paths, union, without
from tiphys.devcluster.kinds import CONFIG_MAPS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store

names = st.sampled_from(["f:a", "f:b", "f:c"])


def sets(depth: int = 3) -> st.SearchStrategy[Fields]:
    if depth == 0:
        return st.just({})
    return st.dictionaries(names, sets(depth - 1), max_size=3).flatmap(
        lambda found: st.sampled_from([found, {**found, ".": {}}]) if found else st.just(found)
    )


fields = st.dictionaries(names, sets(), max_size=3)


def members(found: Fields, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    out = set()
    for key, value in found.items():
        if key == ".":
            continue
        if is_member(value):
            out.add((*path, key))
        out |= members(value, (*path, key))
    return out


@given(one=fields, two=fields)
def test_sets_of_fields_unite_and_subtract_like_sets(one: Fields, two: Fields) -> None:
    assert members(union(one, two)) == members(one) | members(two)
    assert members(without(one, two)) == members(one) - members(two)
    assert members(common(one, two)) == members(one) & members(two)
    assert set(paths(one)) == {"".join(step.replace("f:", ".") for step in path) for path in members(one)}


def owners(manifest: dict[str, Any]) -> dict[tuple[str, str], Fields]:
    found = manifest["metadata"]["managedFields"]
    return {(entry["manager"], entry.get("subresource", "")): entry["fieldsV1"] for entry in found}


def test_who_changes_a_field_owns_it_and_the_others_keep_theirs() -> None:
    cluster = Store(names=Names(1))
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}}, namespace="default", manager="one")

    changed = cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"data": {"y": "3", "z": "4"}}, namespace="default", manager="two")

    assert owners(changed) == {
        ("one", ""): {"f:data": {".": {}, "f:x": {}}},
        ("two", ""): {"f:data": {"f:y": {}, "f:z": {}}},
    }


def test_nobody_owns_what_is_gone() -> None:
    cluster = Store(names=Names(1))
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"x": "1"}}, namespace="default", manager="one")

    patch = {"metadata": {"labels": None}}
    changed = cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, patch, namespace="default", manager="two")

    assert owners(changed) == {("one", ""): {"f:data": {".": {}, "f:x": {}}}}


def test_status_and_scale_are_owned_apart() -> None:
    cluster = Store(names=Names(1))
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "m", "image": "i:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    cluster.create(REPLICA_SETS, {"metadata": {"name": "a"}, "spec": spec}, namespace="default", manager="user")

    for subresource, body in (("status", {"status": {"replicas": 1}}), ("scale", {"spec": {"replicas": 4}})):
        cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, body, namespace="default", subresource=subresource, manager="loop")

    found = owners(cluster.get(REPLICA_SETS, "a", namespace="default"))
    assert found["loop", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert found["loop", "status"] == {"f:status": {"f:replicas": {}}}
    assert "f:replicas" not in found["user", ""]["f:spec"]
