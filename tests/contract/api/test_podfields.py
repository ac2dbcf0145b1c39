"""The field table behind the pod-template hash knows every field of a pod, and no field by another shape."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tiphys.api import wireform
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.podfields import POD_FIELDS
from tiphys.api.podtypes import type_problems

CRD = Path(__file__).parents[3].parent / "shared" / "crds" / "argoproj" / "rollout-crd.yaml"
POD_TYPES = tuple(line.partition(":")[0] for line in POD_FIELDS.strip().splitlines() if not line.startswith(" "))
SAMPLES: dict[str, tuple[object, object]] = {"integer": (1, "1"), "string": ("1", 1), "boolean": (True, 1)}


def differences(schema: Manifest, type_name: str, path: str) -> Iterator[str]:
    fields = {field.name: field for field in wireform.since_1_9().types[type_name]}
    known = schema.get("properties", {})
    if known and type_name != "ObjectMeta":
        yield from (f"{path}.{name}: only in the table" for name in fields.keys() - known.keys())
    for name, found in known.items():
        if name not in fields:
            yield f"{path}.{name}: not in the table"
            continue
        field = fields[name]
        inner = found["additionalProperties"] if field.many == "{}" else found.get("items", found)
        if field.type in wireform.since_1_9().types:
            if (found.get("type") == "array") != (field.many == "[]") and not found.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{path}.{name}: one and many differ"
            yield from differences(inner, field.type, f"{path}.{name}")
        elif inner.get("properties"):
            yield f"{path}.{name}: an object, and the table does not know its type"
        elif type_name in POD_TYPES and not field.type and field.name != "values":
            sample, wrong = SAMPLES[inner["type"]]
            many = found["type"] == "array"
            if list(type_problems({name: [sample] if many else sample}, type_name, path)):
                yield f"{path}.{name}: is refused as {found['type']} of {inner['type']}"
            if not list(type_problems({name: [wrong] if many else wrong}, type_name, path)):
                yield f"{path}.{name}: takes what is no {inner['type']}"


@pytest.mark.skipif(not CRD.is_file(), reason="the definitions of other controllers are not on this machine")
@pytest.mark.parametrize(
    ("steps", "type_name"),
    [(("template",), "PodTemplateSpec"), (("strategy", "canary", "steps"), "CanaryStep")],
)
def test_the_table_and_the_definition_know_the_same_fields(steps: tuple[str, ...], type_name: str) -> None:
    schema = yaml.load(CRD.read_text(), yaml.CSafeLoader)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in ("spec", *steps):
        schema = schema["properties"][name]

    assert list(differences(schema.get("items", schema), type_name, type_name)) == []


def nodes(schema: Manifest, path: str) -> Iterator[tuple[str, Manifest]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}.{key}")


@pytest.mark.parametrize("crd", [pytest.param(crd, id=crd["metadata"]["name"]) for crd in crd_manifests()])
def test_our_definitions_are_structural(crd: Manifest) -> None:
    for path, schema in nodes(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], crd["spec"]["names"]["kind"]):
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert set(schema.get("required", ())) <= set(schema.get("properties", {})), path
        assert schema.get("type") != "array" or "items" in schema, path
