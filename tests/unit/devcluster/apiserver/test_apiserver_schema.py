"""What the schema of a custom resource does to an object, and says about it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.devcluster.schema import fill, prune, read_schema
from tiphys.devcluster.schema_checks import check, check_unchanged

SOURCE: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "count": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 9, "default": 1},
        "note": {"type": "string", "nullable": True, "default": "none"},
        "options": {"type": "object", "default": {}, "properties": {"mode": {"type": "string", "default": "auto"}}},
        "surge": {"x-kubernetes-int-or-string": True},
        "label": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4, "minLength": 2},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}, "maxItems": 2},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}},
        },
        "settings": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "either": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "x-kubernetes-preserve-unknown-fields": True},
        "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is fixed"}]},
    },
}
SCHEMA = read_schema(SOURCE)
ONE_OF = "one and only one schema (oneOf)"


def test_unknown_fields_go_and_are_named_except_where_they_may_stay() -> None:
    value = {
        "size": "small",
        "odd": 1,
        "options": {"zip": 2},
        "ports": [{"name": "p", "bad": 3}],
        "free": {"any": [1]},
        "settings": {"k": "v"},
    }
    unknown: list[str] = []

    prune(value, SCHEMA, None, unknown)

    assert value == {"size": "small", "options": {}, "ports": [{"name": "p"}], "free": {"any": [1]}, "settings": {"k": "v"}}
    assert sorted(unknown) == ["odd", "options.zip", "ports[0].bad"]


def test_defaults_fill_what_is_absent_or_null_where_null_is_not_allowed() -> None:
    value = {"size": "small", "count": None, "note": None, "label": None}

    fill(value, SCHEMA)

    assert value == {"size": "small", "count": 1, "note": None, "options": {"mode": "auto"}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from(["small", "x", "UP"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from([*SOURCE["properties"], "name", "odd"]), below, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.sampled_from([*SOURCE["properties"], "odd"]), json_values, max_size=5))
def test_pruning_and_defaulting_come_to_rest(value: dict[str, Any]) -> None:
    def settled(given: dict[str, Any]) -> dict[str, Any]:
        given = copy.deepcopy(given)
        prune(given, SCHEMA, None, [])
        fill(given, SCHEMA)
        return given

    once = settled(value)

    assert settled(once) == once
    assert not {cause.field for cause in check(once, SCHEMA) if cause.field == "odd"}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"size": None}, "size", 'Invalid value: "null": size in body must be of type string: "null"'),
        ({"size": "huge"}, "size", 'Unsupported value: "huge": supported values: "small", "large"'),
        ({"count": -1}, "count", "Invalid value: -1: count in body should be greater than or equal to 0"),
        ({"count": 10}, "count", "Invalid value: 10: count in body should be less than or equal to 9"),
        ({"count": "x"}, "count", 'Invalid value: "string": count in body must be of type integer: "string"'),
        ({"surge": True}, "surge", 'Invalid value: "boolean": surge in body must be of type integer,string: "boolean"'),
        ({"label": "UP"}, "label", "Invalid value: \"UP\": label in body should match '^[a-z]+$'"),
        ({"label": "abcde"}, "label", "Too long: may not be more than 4 bytes"),
        ({"label": "a"}, "label", 'Invalid value: "a": label in body should be at least 2 chars long'),
        ({"tags": ["a", "b", "c"]}, "tags", "Too many: 3: must have at most 2 items"),
        ({"tags": ["a", "a"]}, "tags[1]", 'Duplicate value: "a"'),
        ({"ports": [{"name": "p"}, {"name": "p"}]}, "ports[1]", 'Duplicate value: {"name":"p"}'),
        ({"ports": [{"port": 1}]}, "ports[0].name", "Required value"),
        ({"settings": {"k": 1}}, "settings.k", 'Invalid value: "integer": settings.k in body must be of type string: "integer"'),
        ({"either": {"a": 1, "b": 2}}, "either", f'Invalid value: "": "either" must validate {ONE_OF}. Found 2 valid alternatives'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_real_servers_words(change: dict[str, Any], field: str, message: str) -> None:
    causes = check({"size": "small", **change}, SCHEMA)

    assert [(cause.field, cause.message) for cause in causes] == [(field, message)]


def test_all_that_is_wrong_is_said_at_once() -> None:
    causes = check({"count": -1, "label": "UP"}, SCHEMA)

    assert {cause.field for cause in causes} == {"size", "count", "label"}


def test_a_value_that_is_called_immutable_may_come_but_not_change() -> None:
    def said(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
        causes: list[Any] = []
        check_unchanged(new, old, SCHEMA, None, causes)
        return [f"{cause.field}: {cause.message}" for cause in causes]

    assert said({"fixed": "a"}, {}) == []
    assert said({"fixed": "a"}, {"fixed": "a"}) == []
    assert said({"fixed": "b"}, {"fixed": "a"}) == ["fixed: Invalid value: fixed is fixed"]
