"""Server-side apply: what becomes of the object, who owns what, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.devcluster.applying.apply import apply
from tiphys.devcluster.applying.merging import laid_over
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.fieldsets import Fields, without
from tiphys.devcluster.kinds import CONFIG_MAPS, CRDS, PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.managed import changed
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.shapes import Shape
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store
from tiphys.devcluster.wire import Json

LAST = "kubectl.kubernetes.io/last-applied-configuration"


def laid(cluster: Store, resource: ResourceType, manager: str, *, force: bool = False, subresource: str = "", **parts: Json) -> Manifest:
    """Apply a configuration of *parts* to the object `a`, as *manager*."""
    write = cluster.admission(resource, manager=manager)
    write.subresource = subresource
    metadata = {"name": "a", **parts.pop("metadata", {})}
    about = {"apiVersion": resource.api_version, "kind": resource.kind}
    config = {**about, "metadata": metadata, **parts}
    return apply(cluster, "a", config, write, namespace="default", force=force)[0].copy()


def owners(manifest: Manifest) -> dict[tuple[str, str], Fields]:
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in manifest["metadata"].get("managedFields", ())}


def app(**more: Json) -> dict[str, Any]:
    container = {"name": "main", "image": "i:1", **more}
    return {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}}


def containers(manifest: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifest["spec"]["template"]["spec"]["containers"]
    return found


def test_what_the_server_filled_in_belongs_to_nobody() -> None:
    cluster = Store(names=Names(1))
    laid(cluster, SERVICES, "me", spec={"ports": [{"port": 80}]})

    found = cluster.get(SERVICES, "a", namespace="default")
    assert found["spec"]["type"] == "ClusterIP"
    assert owners(found) == {("me", "Apply"): {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}}


def test_items_of_lists_are_owned_one_by_one_and_go_with_what_was_filled_in_below() -> None:
    cluster = Store(names=Names(1))
    env = [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]
    laid(cluster, REPLICA_SETS, "one", spec=app(env=env, ports=[{"containerPort": 80}, {"containerPort": 81}]))
    part = {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "C", "value": "3"}]}]}}}
    laid(cluster, REPLICA_SETS, "two", spec=part)

    after = laid(cluster, REPLICA_SETS, "one", spec=app(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 81}]))

    assert [each["name"] for each in containers(after)[0]["env"]] == ["A", "C"]
    assert containers(after)[0]["ports"] == [{"containerPort": 81, "protocol": "TCP"}]
    main = owners(after)["two", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert main == {".": {}, "f:name": {}, "f:env": {'k:{"name":"C"}': {".": {}, "f:name": {}, "f:value": {}}}}


def test_a_map_that_loses_its_last_entry_goes_with_it() -> None:
    cluster = Store(names=Names(1))
    laid(cluster, CONFIG_MAPS, "me", data={"x": "1"}, binaryData={})

    after = laid(cluster, CONFIG_MAPS, "me", data={}, binaryData={})

    assert {"data", "binaryData"} & set(after) == {"binaryData"}


def test_an_item_that_no_applier_names_any_more_goes_whoever_changed_a_part_of_it() -> None:
    cluster = Store(names=Names(1))
    laid(cluster, REPLICA_SETS, "one", spec=app(env=[{"name": "A", "value": "1"}]))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "9"}]}]}}}}
    cluster.patch(REPLICA_SETS, "a", PatchKind.STRATEGIC, body, namespace="default", manager="hand")

    after = laid(cluster, REPLICA_SETS, "one", spec=app())

    assert "env" not in containers(after)[0]
    assert ("hand", "Update") not in owners(after)


def test_the_size_that_a_scaler_set_is_a_conflict_until_it_is_left_out_or_taken() -> None:
    cluster = Store(names=Names(1))
    laid(cluster, REPLICA_SETS, "one", spec={**app(), "replicas": 1})
    scaled = {"spec": {"replicas": 4}}
    cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, scaled, namespace="default", subresource="scale", manager="scaler")

    with pytest.raises(StatusError) as refused:
        laid(cluster, REPLICA_SETS, "one", spec={**app(), "replicas": 1})
    assert refused.value.code == 409
    said = 'conflict with "scaler" with subresource "scale" using apps/v1'
    assert refused.value.message == f"Apply failed with 1 conflict: {said}: .spec.replicas"
    assert refused.value.details == {"causes": [{"reason": "FieldManagerConflict", "message": said, "field": ".spec.replicas"}]}

    left = laid(cluster, REPLICA_SETS, "one", spec=app())
    assert left["spec"]["replicas"] == 4
    taken = laid(cluster, REPLICA_SETS, "one", force=True, spec={**app(), "replicas": 1})
    assert taken["spec"]["replicas"] == 1
    assert set(owners(taken)) == {("one", "Apply")}


def test_a_selector_is_one_field_of_whoever_wrote_it_last() -> None:
    cluster = Store(names=Names(1))
    laid(cluster, SERVICES, "helm", spec={"ports": [{"port": 80}], "selector": {"app": "web"}})
    more = {"spec": {"selector": {"hash": "1"}}}
    seen = cluster.patch(SERVICES, "a", PatchKind.MERGE, more, namespace="default", manager="them")

    with pytest.raises(StatusError) as error:
        laid(cluster, SERVICES, "helm", spec={"ports": [{"port": 80}], "selector": {"app": "web"}})

    assert error.value.message == 'Apply failed with 1 conflict: conflict with "them" using v1: .spec.selector'
    assert owners(seen)["them", "Update"] == {"f:spec": {"f:selector": {}}}


def test_a_reference_to_a_key_is_one_field() -> None:
    cluster = Store(names=Names(1))
    reference = {"valueFrom": {"secretKeyRef": {"name": "hidden", "key": "a"}}}

    found = laid(cluster, REPLICA_SETS, "me", spec=app(env=[{"name": "A", **reference}]))

    template = owners(found)["me", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert template["f:env"]['k:{"name":"A"}'] == {".": {}, "f:name": {}, "f:valueFrom": {"f:secretKeyRef": {}}}


def test_a_scale_can_be_applied_too() -> None:
    cluster = Store(names=Names(1))
    cluster.create(REPLICA_SETS, {"metadata": {"name": "a"}, "spec": app()}, namespace="default", manager="user")
    write = cluster.admission(REPLICA_SETS, manager="scaler")
    write.subresource = "scale"
    config = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 3}}

    with pytest.raises(StatusError, match=r'conflict with "user" using apps/v1: \.spec\.replicas'):
        apply(cluster, "a", dict(config), write, namespace="default")
    shown = apply(cluster, "a", dict(config), write, namespace="default", force=True)[0].manifest

    assert (shown["kind"], shown["spec"]["replicas"]) == ("Scale", 3)
    entry = cluster.get(REPLICA_SETS, "a", namespace="default")["metadata"]["managedFields"][0]
    assert (entry["operation"], entry["subresource"], entry["fieldsV1"]) == ("Apply", "scale", {"f:spec": {"f:replicas": {}}})


def test_status_is_applied_through_its_subresource_alone() -> None:
    cluster = Store(names=Names(1))
    pod = {"containers": [{"name": "m", "image": "i:1"}]}
    before = laid(cluster, PODS, "me", spec=pod, status={"phase": "Running"})
    assert before["status"]["phase"] == "Pending"

    condition = {"type": "Ready", "status": "True"}
    after = laid(cluster, PODS, "me", subresource="status", spec={"nodeName": "n"}, status={"conditions": [condition]})

    assert "nodeName" not in after["spec"]
    assert [(each["type"], each["status"]) for each in after["status"]["conditions"]] == [("Ready", "True")]
    entries = after["metadata"]["managedFields"]
    assert {entry.get("subresource", ""): list(entry["fieldsV1"]) for entry in entries} == {"": ["f:spec"], "status": ["f:status"]}


def test_lists_and_structs_of_built_in_kinds_are_owned_as_kubernetes_marks_them() -> None:
    cluster = Store(names=Names(1))
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}
    reference = {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    spec: dict[str, Any] = {
        "containers": [
            {"name": "m", "image": "i:1", "env": [{"name": "E", **reference}], "args": ["a"], "resources": {"limits": {"cpu": "1"}}}
        ],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"a": "b"},
        "volumes": [{"name": "v", "emptyDir": {}}],
        "securityContext": {"runAsUser": 1, "supplementalGroups": [1]},
    }
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}

    after = laid(cluster, PODS, "me", metadata={"ownerReferences": [owner], "finalizers": ["example.com/f"]}, spec=spec)

    env: Fields = {'k:{"name":"E"}': {".": {}, "f:name": {}, "f:valueFrom": {"f:configMapKeyRef": {}}}}
    main: Fields = {".": {}, "f:name": {}, "f:image": {}, "f:args": {}, "f:env": env, "f:resources": {"f:limits": {"f:cpu": {}}}}
    assert owners(after)["me", "Apply"] == {
        "f:metadata": {"f:ownerReferences": {'k:{"uid":"u"}': {}}, "f:finalizers": {'v:"example.com/f"': {}}},
        "f:spec": {
            "f:containers": {'k:{"name":"m"}': main},
            "f:affinity": {"f:nodeAffinity": {"f:requiredDuringSchedulingIgnoredDuringExecution": {}}},
            "f:tolerations": {},
            "f:nodeSelector": {},
            "f:volumes": {'k:{"name":"v"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
            "f:securityContext": {"f:runAsUser": {}, "f:supplementalGroups": {}},
        },
    }


def test_what_was_there_before_any_account_was_kept_belongs_to_before_first_apply() -> None:
    cluster = Store(names=Names(1))
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}}, namespace="default", manager="one")
    cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"metadata": {"managedFields": [{}]}}, namespace="default")
    unknown = cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"data": {"y": "1"}}, namespace="default", manager="one")
    assert owners(unknown) == {}

    with pytest.raises(StatusError, match=r'conflict with "before-first-apply" using v1: .data.x'):
        laid(cluster, CONFIG_MAPS, "me", data={"x": "2"})


def test_kubectl_takes_over_from_its_own_client_side_apply_and_keeps_its_note_true() -> None:
    cluster = Store(names=Names(1))
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}}
    noted = {**config, "metadata": {"name": "a", "annotations": {LAST: json.dumps(config)}}}
    cluster.create(CONFIG_MAPS, noted, namespace="default", manager="kubectl-client-side-apply")
    cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, {"data": {"y": "by hand"}}, namespace="default", manager="hand")

    with pytest.raises(StatusError, match=r'1 conflict: conflict with "hand" using v1: .data.y'):
        laid(cluster, CONFIG_MAPS, "kubectl", data={"x": "2", "y": "2"})
    with pytest.raises(StatusError, match=r'conflict with "kubectl-client-side-apply" using v1: .data.x'):
        laid(cluster, CONFIG_MAPS, "argocd", data={"x": "2"})
    after = laid(cluster, CONFIG_MAPS, "kubectl", data={"x": "2"})

    assert after["data"] == {"x": "2", "y": "by hand"}
    assert json.loads(after["metadata"]["annotations"][LAST])["data"] == {"x": "2"}


def test_owners_can_be_corrected_by_whoever_writes_them_but_not_through_a_subresource() -> None:
    cluster = Store(names=Names(1))
    created = cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}}, namespace="default", manager="one")
    entry = {**created["metadata"]["managedFields"][0], "manager": "two", "operation": "Apply"}
    created["metadata"]["managedFields"] = [entry]

    assert owners(cluster.update(CONFIG_MAPS, created, namespace="default", manager="x")) == {("two", "Apply"): entry["fieldsV1"]}
    for nonsense in ({"manager": "me"}, {"manager": "me", "operation": "Update", "fieldsType": "FieldsV1"}):
        created["metadata"] |= {"managedFields": [nonsense], "resourceVersion": ""}
        kept = cluster.update(CONFIG_MAPS, created, namespace="default", manager="x")
        assert owners(kept) == {("two", "Apply"): entry["fieldsV1"]}

    app_of_one = cluster.create(REPLICA_SETS, {"metadata": {"name": "a"}, "spec": app()}, namespace="default", manager="one")
    forget: Manifest = {"metadata": {"managedFields": [{}]}}
    after = cluster.patch(REPLICA_SETS, "a", PatchKind.MERGE, forget, namespace="default", subresource="status", manager="x")
    assert owners(after) == owners(app_of_one) != {}


def test_the_oldest_of_too_many_updaters_become_one() -> None:
    cluster = Store(names=Names(1))
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}}, namespace="default", manager="first")
    for number in range(12):
        body = {"data": {f"k{number}": "1"}}
        after = cluster.patch(CONFIG_MAPS, "a", PatchKind.MERGE, body, namespace="default", manager=f"m{number:02}")

    found = owners(after)
    assert len(found) == 10
    assert set(found["ancient-changes", "Update"]["f:data"]) >= {".", "f:x"}
    held = {step for fields in found.values() for step in fields["f:data"]}
    assert held == {".", "f:x", *(f"f:k{number}" for number in range(12))}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"replicas": "x"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"selector": {"matchLabels": {"a": 1}}}, ".spec.selector.matchLabels.a: expected string, got &value.valueUnstructured{Value:1}"),
        ({"template": {"spec": {"containers": {}}}}, ".spec.template.spec.containers: expected list, got &{map[]}"),
        (
            {"template": {"spec": {"containers": [{"image": "i"}]}}},
            ".spec.template.spec.containers: element 0: associative list with keys has an element that omits all key fields "
            '["name"] (and doesn\'t have default values for any key fields)',
        ),
        (
            {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a", "tty": 1}]}}},
            'errors:\n  .spec.template.spec.containers: duplicate entries for key [name="a"]\n'
            '  .spec.template.spec.containers[name="a"].tty: expected boolean, got &{1}',
        ),
    ],
)
def test_a_configuration_of_other_fields_or_types_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(StatusError) as refused:
        laid(Store(names=Names(1)), REPLICA_SETS, "me", spec=spec)
    assert (refused.value.code, refused.value.message) == (
        500,
        f"failed to create typed patch object (/a; apps/v1, Kind=ReplicaSet): {said}",
    )


# -- any appliers, in any order -----------------------------------------------------------------------------------------

ITEMS: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "x": {"type": "string"}, "y": {"type": "string", "default": "of nobody"}},
    "required": ["name"],
}
SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "filled": {"type": "string", "default": "in"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": ITEMS},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
THINGS: Manifest = {
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
            }
        ],
    },
}

values = st.sampled_from(["1", "2"])
letters = st.sampled_from(["p", "q", "r"])
items = st.tuples(letters, st.dictionaries(st.sampled_from(["x", "y"]), values)).map(lambda pair: {"name": pair[0], **pair[1]})
item_lists = st.lists(items, unique_by=lambda item: item["name"])
configs = st.fixed_dictionaries(
    {},
    optional={
        "text": values,
        "filled": values,
        "map": st.dictionaries(letters, values, max_size=2),
        "whole": st.dictionaries(letters, values, max_size=2),
        "set": st.lists(letters, unique=True, max_size=3),
        "items": item_lists,
        "free": st.dictionaries(letters, st.dictionaries(letters, values, max_size=2), max_size=2),
    },
)
steps = st.lists(st.tuples(st.sampled_from(["one", "two", "hand"]), st.booleans(), configs), min_size=1, max_size=6)


def things() -> tuple[Store, ResourceType]:
    cluster = Store(names=Names(1))
    cluster.create(CRDS, THINGS)
    resource = cluster.registry.kind("example.com/v1", "Thing")
    assert resource is not None
    return cluster, resource


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_whoever_applies_gets_what_it_says_and_nobody_owns_what_is_not_there(steps: list[tuple[str, bool, dict[str, Any]]]) -> None:
    cluster, resource = things()
    for manager, force, config in steps:
        before = cluster.read(resource, "a", "default")
        if manager == "hand" and before is not None:
            cluster.patch(resource, "a", PatchKind.MERGE, {"spec": config}, namespace="default", manager=manager)
            continue
        try:
            mark = {"labels": {manager: "was-here"}}
            laid(cluster, resource, manager, force=force, metadata=mark, spec=json.loads(json.dumps(config)))
        except StatusError as refused:
            assert (refused.code, force) == (409, False)  # noqa: PT017 - most attempts are taken
            assert cluster.read(resource, "a", "default") is before
            continue
        # a map that just lost its last field is null, and null is dropped: only the next apply makes it empty
        after = laid(cluster, resource, manager, metadata=mark, spec=json.loads(json.dumps(config)))
        again = laid(cluster, resource, manager, metadata=mark, spec=json.loads(json.dumps(config)))
        assert again == after
        over = laid_over(json.loads(json.dumps(after)), {"spec": json.loads(json.dumps(config))}, resource.rules.typed)
        assert over == after
        there = changed(after, {}, cluster.admission(resource))
        for fields in owners(after).values():
            assert not without(fields, there)


def test_entries_of_maps_are_owned_too_and_fields_of_structs_are_not() -> None:
    cluster, resource = things()

    after = laid(cluster, resource, "me", spec={"free": {"p": {"q": {"r": "1"}}}, "items": [{"name": "n", "x": "1"}], "set": []})

    items: Fields = {'k:{"name":"n"}': {".": {}, "f:name": {}, "f:x": {}}}
    assert owners(after)["me", "Apply"] == {"f:spec": {"f:free": {"f:p": {".": {}, "f:q": {".": {}, "f:r": {}}}}, "f:items": items}}


def test_items_keep_the_order_of_the_configuration_and_others_stay_where_they_were() -> None:
    shape = Shape(as_set=True)
    assert laid_over(["a", "x", "b", "y"], ["b", "a", "c"], shape) == ["x", "b", "y", "a", "c"]
    assert laid_over(["a", "x", "b", "y"], ["a", "n", "b"], shape) == ["a", "x", "n", "b", "y"]
