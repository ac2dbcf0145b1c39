"""
Is each field that has another JSON type than its schema wants refused by its path, with what was found and what is wanted?

The cases come from the definitions: each field of each kind, ours and those of the reference controller, gets each kind of JSON.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from tiphys.api.analysis import AnalysisRun, AnalysisTemplate
from tiphys.api.codec import decode_rollout
from tiphys.api.crds import crd_manifests
from tiphys.api.errors import SpecError
from tiphys.api.experiment import Experiment
from tiphys.api.meta import Manifest, Wire
from tiphys.api.misfits import type_problems
from tiphys.api.rollout import Rollout
from tiphys.api.validation import spec_problems

Steps = tuple[str | int, ...]

TYPES: Final[Mapping[str, type[Wire]]] = {kind.__name__: kind for kind in (Rollout, AnalysisTemplate, AnalysisRun, Experiment)}
SHARED: Final = Path(__file__).parents[3].parent / "shared" / "crds" / "argoproj"
JSON: Final[Mapping[str, Any]] = {
    "a flag": True,
    "an integer": 7,
    "a long integer": 2**40,
    "an endless integer": 2**70,
    "a fraction": 1.5,
    "text": "text",
    "no text": "",
    "an empty list": [],
    "a list": [1],
    "an object": {"key": 1},
    "an empty object": {},
}
MAP_KEY: Final = "key"
FREE: Final = (
    ".plugin.config.",
    ".stepPluginStatuses[0].status.",
    ".jsonBody.",
    ".provider.plugin.",
    ".job.spec.",
    "spec.templates[0].template.",
)
"""What is kept as it was typed: whoever reads it says what it can use. A Rollout's own pod template is judged by its rules."""


def schemas(definitions: list[Manifest]) -> dict[str, Manifest]:
    return {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for crd in definitions
        if crd["spec"]["names"]["kind"] in TYPES
    }


@cache
def reference() -> dict[str, Manifest]:
    return schemas([yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted(SHARED.glob("*.yaml"))])


def fields(schema: Manifest, at: Steps) -> Iterator[tuple[Steps, Manifest]]:
    """Give every field below *at*; a list and a map stand for one item of theirs."""
    yield at, schema
    for name, below in schema.get("properties", {}).items():
        yield from fields(below, (*at, name))
    if "items" in schema:
        yield from fields(schema["items"], (*at, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields(schema["additionalProperties"], (*at, MAP_KEY))


def holding(value: object, at: Steps) -> Manifest:
    """Give the smallest object that has *value* in the place *at*."""
    for step in reversed(at):
        value = [value] if step == 0 else {step: value}
    assert isinstance(value, dict)
    return value


def path_of(at: Steps) -> str:
    text = "".join("[0]" if step == 0 else f".{step}" for step in at)
    return text.removeprefix(".")


def quantity(schema: Manifest) -> bool:
    return "pattern" in schema and bool(schema.get("x-kubernetes-int-or-string"))


def wanted(schema: Manifest, value: object) -> tuple[str, ...]:
    """Give the words for what *schema* wants; there are two for an object whose fields nobody lists."""
    too_long = isinstance(value, int) and not isinstance(value, bool)
    if quantity(schema):
        return ("must be a quantity such as 100m, 2 or 1Gi",)
    if schema.get("x-kubernetes-int-or-string"):
        return tuple(f"must be an integer of {bits} bits or text" for bits in (32, 64)) if too_long else ("must be an integer or text",)
    if schema.get("format") == "date-time":
        return ("must be an RFC 3339 time such as 2026-01-31T08:00:00Z",)
    match schema["type"]:
        case "integer":
            bits = 64 if schema.get("format") == "int64" else 32
            return (f"must be an integer of {bits} bits",) if too_long else ("must be an integer",)
        case "object" if "properties" in schema:
            return ("must be an object",)
        case "object":
            return ("must be a map", "must be an object")
        case "string" if "enum" in schema:
            return (f"must be one of {', '.join(sorted(schema['enum']))}",)
        case known:
            return (
                {"number": "must be a number", "boolean": "must be true or false", "string": "must be text", "array": "must be a list"}[
                    known
                ],
            )


def fits(value: object, schema: Manifest) -> bool:
    """Say whether *value* itself has the type that *schema* wants; what is inside it is another field's business."""
    flag = isinstance(value, bool)
    whole = value if isinstance(value, int) and not flag else None
    if quantity(schema):
        return not flag and isinstance(value, str | int | float)
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or (whole is not None and abs(whole) < 2**63)
    match schema.get("type"):
        case "integer":
            return whole is not None and abs(whole) < 2 ** (63 if schema.get("format") == "int64" else 31)
        case "number":
            return whole is not None or isinstance(value, float)
        case "boolean":
            return flag
        case "string" if "enum" in schema:
            return value in schema["enum"]
        case "string":
            return isinstance(value, str) and schema.get("format") != "date-time"
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def cases(schema: Manifest) -> Iterator[tuple[Steps, Manifest, object]]:
    for part in ("spec", "status"):
        for at, field in fields(schema.get(part, {}), (part,)):
            if not any(free in f"{path_of(at)}." for free in FREE):
                yield from ((at, field, value) for value in JSON.values() if not fits(value, field))


def problems(body: Manifest, kind: type[Wire]) -> tuple[SpecError, ...]:
    """Name what is wrong with *body*, as a pass over it would; a pod template is judged by its own rules."""
    found = type_problems(body, kind)
    if found or kind is not Rollout:
        return found
    return spec_problems(decode_rollout(json.dumps(body).encode()))


def said(value: object) -> object:
    return value if isinstance(value, int | float | str) else msgspec.json.encode(value).decode()


def misjudged(kind: str, schema: Manifest) -> tuple[int, list[str]]:
    """Count the cases of *kind*, and tell those whose answer is not the one that a user needs."""
    count, wrong = 0, []
    for at, field, value in cases(schema):
        count += 1
        found = problems(holding(value, at), TYPES[kind])
        words = wanted(field, value)
        right = [each for each in found if (each.field, each.found) == (path_of(at), said(value)) and each.wanted in words]
        if not right:
            wrong.append(f"{path_of(at)} = {value!r}: {[str(each) for each in found]}")
    return count, wrong


@pytest.mark.parametrize("kind", ["Rollout", "AnalysisTemplate", "AnalysisRun", "Experiment"])
def test_each_wrong_type_is_refused_by_path_found_and_wanted(kind: str) -> None:
    count, wrong = misjudged(kind, schemas(crd_manifests())[kind])

    assert not wrong, "\n".join(wrong)
    assert count > 500


@pytest.mark.skipif(not SHARED.is_dir(), reason="the definitions of other controllers are not on this machine")
@pytest.mark.parametrize("kind", ["Rollout", "AnalysisTemplate"])
def test_each_wrong_type_by_the_definitions_of_the_reference_is_too(kind: str) -> None:
    count, wrong = misjudged(kind, reference()[kind])

    assert not wrong, "\n".join(wrong)
    assert count > 500


def all_wrong(schema: Manifest, at: str = "") -> tuple[Any, list[str]]:
    """Give a value whose every leaf is a fraction, which no field wants, and the paths of the leaves."""
    if any(free in f"{at}." for free in FREE):
        return {}, []
    if "properties" in schema:
        below = {name: all_wrong(field, f"{at}.{name}") for name, field in schema["properties"].items()}
        return {name: value for name, (value, _) in below.items()}, [path for _, paths in below.values() for path in paths]
    if "items" in schema:
        value, paths = all_wrong(schema["items"], f"{at}[0]")
        return [value], paths
    if isinstance(schema.get("additionalProperties"), dict):
        value, paths = all_wrong(schema["additionalProperties"], f"{at}.{MAP_KEY}")
        return {MAP_KEY: value}, paths
    return 1.5, [at.removeprefix(".")]


@pytest.mark.parametrize("part", ["spec", "status"])
def test_all_wrong_fields_are_named_at_once(part: str) -> None:
    schema: Manifest = schemas(crd_manifests())["Rollout"][part]
    value, paths = all_wrong(
        {"properties": {name: field for name, field in schema["properties"].items() if name != "template"}}, f".{part}"
    )

    found = type_problems({part: value}, Rollout)

    assert sorted(problem.field for problem in found) == sorted(paths)
    assert len(paths) > 50
    assert not [problem for problem in found if problem.found != 1.5 or not problem.wanted.startswith("must be ")]


def nulls(schema: Manifest) -> Iterator[tuple[Manifest, Manifest | None]]:
    """Give objects with one null in them, and what each means; nothing where it is an item of a list."""
    for part in ("spec", "status"):
        for at, _ in fields(schema[part], (part,)):
            if not any(free in f"{path_of(at)}." for free in (*FREE, ".template.")):
                yield holding(None, at), None if at[-1] == 0 else holding({}, at[:-1]) if len(at) > 1 else {}


def test_a_null_means_the_same_as_no_field_and_is_no_item_of_a_list() -> None:
    there = list(nulls(schemas(crd_manifests())["Rollout"]))

    for body, meaning in there:
        if meaning is None:
            (problem,) = type_problems(body, Rollout)
            assert problem.found == "null", str(problem)
        else:
            assert decode_rollout(json.dumps(body).encode()) == decode_rollout(json.dumps(meaning).encode())
    assert len(there) > 300


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"spec":{"strategy":{"canary":{"steps":[{"setMirrorRoute":{"match":[{"headers":{"a":{"exact":"b"},"x":{"exact":7}}}]}}]}}}}',
            "spec.strategy.canary.steps[0].setMirrorRoute.match[0].headers.x.exact: Invalid value: 7: must be text",
        ),
        (
            b'{"spec":{"selector":null,"replicas":99999999999999999999}}',
            "spec.replicas: Invalid value: 99999999999999999999: must be an integer of 32 bits",
        ),
        (b'{"spec":{"replicas":3000000000}}', "spec.replicas: Invalid value: 3000000000: must be an integer of 32 bits"),
        (
            b'{"spec":{"restartAt":"2026-01-31T08:00:00"}}',
            'spec.restartAt: Invalid value: "2026-01-31T08:00:00": must be an RFC 3339 time such as 2026-01-31T08:00:00Z',
        ),
    ],
)
def test_some_that_were_not_told_by_their_field(body: bytes, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode_rollout(body)

    assert str(caught.value) == text
