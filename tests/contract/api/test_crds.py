"""Our definitions accept whatever those of other controllers accept, and our types lose none of it."""

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import NOW, rollout
from tiphys.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tiphys.api.codec import decode, encode, plain
from tiphys.api.crds import crd_manifests
from tiphys.api.experiment import Experiment
from tiphys.api.meta import Manifest, Wire
from tiphys.api.rollout import Rollout
from tiphys.api.status import Condition, PauseCondition, RolloutStatus

SHARED = Path(__file__).parents[3].parent / "shared"
TYPES: dict[str, type[Wire]] = {
    kind.__name__: kind for kind in (Rollout, AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun, Experiment)
}
OURS = {crd["spec"]["names"]["kind"]: crd for crd in crd_manifests()}

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the definitions of other controllers are not on this machine")


def read_theirs() -> dict[str, Manifest]:
    found = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted((SHARED / "crds" / "argoproj").glob("*.yaml"))]
    return {crd["spec"]["names"]["kind"]: crd for crd in found}


THEIRS = read_theirs() if SHARED.is_dir() else {}


def schema_of(crd: Manifest) -> Manifest:
    schema: Manifest = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def narrower(ours: Manifest, theirs: Manifest, path: str) -> Iterator[str]:
    """Give the places where *ours* would refuse, or drop, what *theirs* takes."""
    if ours.get("x-kubernetes-int-or-string") != theirs.get("x-kubernetes-int-or-string"):
        yield f"{path}: int-or-string differs"
        return
    yield from narrower_here(ours, theirs, path)
    keeps_all = ours.get("x-kubernetes-preserve-unknown-fields") is True
    if theirs.get("x-kubernetes-preserve-unknown-fields") and not keeps_all:
        yield f"{path}: drops unknown fields"
    mine = ours.get("properties", {})
    for name, schema in theirs.get("properties", {}).items():
        if name in mine:
            yield from narrower(mine[name], schema, f"{path}.{name}")
        elif not keeps_all:
            yield f"{path}.{name}: is missing"
    for key in ("items", "additionalProperties"):
        if isinstance(theirs.get(key), dict) and not keeps_all:
            yield from narrower(ours.get(key, {}), theirs[key], f"{path}[]")


def narrower_here(ours: Manifest, theirs: Manifest, path: str) -> Iterator[str]:
    """Compare one place, without what is inside."""
    if ours.get("type") != theirs.get("type") or ours.get("format") not in {None, theirs.get("format")}:
        yield f"{path}: type {ours.get('type')} {ours.get('format')} is not {theirs.get('type')} {theirs.get('format')}"
    if not set(ours.get("required", ())) <= set(theirs.get("required", ())):
        yield f"{path}: requires more: {ours.get('required')}"
    if set(ours.get("enum", ())) != set(theirs.get("enum", ())):
        yield f"{path}: enum differs"
    for key in ("default", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-map-type", "nullable"):
        if ours.get(key) != theirs.get(key) and not (key.startswith("x-") and key not in ours):
            yield f"{path}: {key} differs"
    for key in (
        "minimum",
        "maximum",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "additionalItems",
        "not",
        "oneOf",
        "allOf",
    ):
        if key in ours:
            yield f"{path}: has {key}"


@needs_shared
@pytest.mark.parametrize("kind", TYPES)
def test_every_field_there_exists_here_and_nothing_more_is_demanded(kind: str) -> None:
    assert list(narrower(schema_of(OURS[kind]), schema_of(THEIRS[kind]), kind)) == []


def test_a_narrower_definition_would_be_noticed() -> None:
    theirs: Manifest = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer", "format": "int64"}}}
    ours: Manifest = {
        "type": "object",
        "required": ["a"],
        "properties": {"b": {"type": "integer", "format": "int32", "minimum": 0}},
    }

    assert list(narrower(ours, theirs, "x")) == [
        "x: requires more: ['a']",
        "x.a: is missing",
        "x.b: type integer int32 is not integer int64",
        "x.b: has minimum",
    ]


LOOSER = {"Rollout.spec.strategy.canary.trafficRouting.traefik"}
"""Where less is demanded here: a Rollout that splits connections alone names no TraefikService."""


@needs_shared
@pytest.mark.parametrize("kind", TYPES)
def test_required_fields_are_the_same(kind: str) -> None:
    def required(schema: Manifest, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        if schema.get("x-kubernetes-preserve-unknown-fields") or path.endswith((".template.spec", ".job.spec")):
            return
        if schema.get("required"):
            yield path, tuple(sorted(schema["required"]))
        for name, inner in schema.get("properties", {}).items():
            yield from required(inner, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield from required(schema[key], f"{path}[]")

    theirs = {path: names for path, names in required(schema_of(THEIRS[kind]), kind) if path not in LOOSER}
    assert dict(required(schema_of(OURS[kind]), kind)) == theirs


@needs_shared
@pytest.mark.parametrize("kind", TYPES)
def test_names_columns_and_subresources_are_the_same(kind: str) -> None:
    def shown(crd: Manifest) -> tuple[object, ...]:
        version = crd["spec"]["versions"][0]
        columns = [(one["name"], one["jsonPath"], one["type"]) for one in version["additionalPrinterColumns"]]
        names = {key: value for key, value in crd["spec"].items() if key != "versions"}
        return names, version["name"], version["served"], version["storage"], version["subresources"], columns, crd["metadata"]["name"]

    assert shown(OURS[kind]) == shown(THEIRS[kind])


def test_the_selector_cannot_change_and_templates_keep_what_is_new() -> None:
    spec = schema_of(OURS["Rollout"])["properties"]["spec"]["properties"]

    assert spec["selector"]["x-kubernetes-validations"] == [{"message": ".spec.selector is immutable", "rule": "self == oldSelf"}]
    assert spec["template"]["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"] is True
    assert set(spec["template"]["properties"]["metadata"]["properties"]) == {"labels", "annotations"}


def test_definitions_are_new_each_time() -> None:
    changed = crd_manifests()
    for crd in changed:
        crd["spec"]["versions"][0]["schema"].clear()
        crd["spec"]["versions"][0]["subresources"]["status"] = "changed"

    assert crd_manifests() == list(OURS.values())


TEXT = st.text(string.ascii_lowercase + "<&é", max_size=5)


@st.composite
def objects(draw: st.DrawFn, schema: Manifest) -> Any:  # noqa: ANN401 - JSON of any type
    """Give JSON that *schema* accepts: what is required, and a few of the rest."""
    if schema.get("x-kubernetes-int-or-string"):
        return draw(st.integers(-2, 200) | (st.sampled_from(["100m", "1Gi"]) if "pattern" in schema else TEXT))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            if "additionalProperties" in schema:
                return {key: draw(objects(schema["additionalProperties"])) for key in draw(st.lists(TEXT, max_size=2))}
            optional = sorted(set(properties) - set(schema.get("required", ())))
            chosen = draw(st.lists(st.sampled_from(optional), max_size=4, unique=True)) if optional else []
            return {key: draw(objects(properties[key])) for key in [*schema.get("required", ()), *chosen]}
        case "array":
            return [draw(objects(schema["items"])) for _ in range(draw(st.integers(0, 2)))]
        case "integer":
            return draw(st.integers(-(2**31), 2**31 - 1))
        case "boolean":
            return draw(st.booleans())
        case "string" if schema.get("format") == "date-time":
            return "2026-05-04T12:00:00Z"
        case _:
            return draw(TEXT)


def kept(value: Any, schema: Manifest) -> Any:  # noqa: ANN401 - JSON of any type
    """Give *value* without what means nothing: empty values and defaults."""
    if isinstance(value, dict):
        inner = {key: kept(item, schema.get("properties", {}).get(key, {})) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ("", 0, [], {}, None) and item is not False}
    if isinstance(value, list):
        return [kept(item, schema.get("items", {})) for item in value]
    return None if value == schema.get("default") else value


@needs_shared
@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_object_valid_there_is_valid_here_and_is_read_whole(kind: str, data: st.DataObject) -> None:
    theirs = schema_of(THEIRS[kind])
    there = {**data.draw(objects(theirs)), "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "web"}}
    jsonschema.Draft202012Validator(theirs).validate(there)

    jsonschema.Draft202012Validator(schema_of(OURS[kind])).validate(there)
    read = json.loads(encode(decode(json.dumps(there).encode(), TYPES[kind])))

    assert kept({**read, "apiVersion": "", "kind": ""}, theirs) == kept({**there, "apiVersion": "", "kind": ""}, theirs)


def test_what_we_write_is_valid() -> None:
    status = RolloutStatus(
        phase="Paused",
        conditions=(Condition(type="Progressing", status="True", last_update_time=NOW, last_transition_time=NOW),),
        pause_conditions=(PauseCondition(reason="CanaryPauseStep", start_time=NOW),),
    )
    there = rollout({"setWeight": 20}, {"pause": {}}, {"setCanaryScale": {"replicas": 0}})
    written = plain(msgspec.structs.replace(there, status=status))

    jsonschema.Draft202012Validator(schema_of(OURS["Rollout"])).validate(written)
