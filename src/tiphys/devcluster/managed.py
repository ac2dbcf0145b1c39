"""
Who set which field of an object?

The answer is metadata.managedFields. Sets of fields are kept in its own notation (FieldsV1): `{}` is a member, a
dict with "." a member that has members below it, any other dict only the way to members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster.shapes import ANY, Shape
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.subresources import dig

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.wire import Json

Fields = dict[str, Any]

_SERVERS = frozenset(("name", "namespace", "creationTimestamp", "selfLink", "uid", "resourceVersion", "generation", "managedFields"))
_SERVERS |= frozenset(("deletionTimestamp", "deletionGracePeriodSeconds"))
_METADATA = Shape(fields={"finalizers": Shape(as_set=True), "ownerReferences": Shape(keys=("uid",))}, always=True)
_EMPTY: dict[str, Any] = {}
_sorted_text = msgspec.json.Encoder(order="sorted").encode


def record_create(manifest: Manifest, write: Admission) -> None:
    """Make the writer the owner of every field of a new object."""
    fields = _changed(manifest, _EMPTY, write)
    if fields:
        manifest["metadata"]["managedFields"] = [_entry(write, fields)]


def record_update(manifest: Manifest, write: Admission, *, reset: bool) -> None:
    """Make the writer the owner of what it changes; *reset* forgets all owners first."""
    old = write.old or _EMPTY
    entries: list[dict[str, Any]] = [] if reset else old["metadata"].get("managedFields") or []
    added, removed = _changed(manifest, old, write), _lost(manifest, old, write)
    scale = write.resource.scale if write.subresource == "scale" else None
    if scale is not None and not (dig(manifest, scale.replicas) and dig(old, scale.replicas)):
        added, removed = {}, added  # a Scale leaves out a size of 0, before or after, so that nobody owns it
    if added or removed:
        entries = _taken_over(entries, added, removed, write)
    if entries:
        manifest["metadata"]["managedFields"] = entries


def _taken_over(entries: list[dict[str, Any]], added: Fields, removed: Fields, write: Admission) -> list[dict[str, Any]]:
    """Give the entries after the writer took *added* from everybody and nobody has *removed* any more."""
    out: list[dict[str, Any]] = []
    mine = None
    for entry in entries:
        if entry["operation"] == "Update" and entry["manager"] == write.manager and entry.get("subresource", "") == write.subresource:
            mine = entry
            continue
        left = without(without(entry["fieldsV1"], added), removed)
        if left == entry["fieldsV1"]:
            out.append(entry)
        elif left:
            out.append({**entry, "fieldsV1": left})
    held = union(without(mine["fieldsV1"], removed) if mine else {}, added)
    if mine is not None and held == mine["fieldsV1"] and mine["apiVersion"] == write.resource.api_version:
        out.append(mine)
    elif held:
        out.append(_entry(write, held))
    return out


def _entry(write: Admission, fields: Fields) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": write.manager,
        "operation": "Update",
        "apiVersion": write.resource.api_version,
        "time": wire_time(write.now),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if write.subresource:
        entry["subresource"] = write.subresource
    if write.subresource == "scale" and not write.resource.rules.strategic:
        del entry["time"]  # the scale of a custom resource is written without one
    return entry


def _changed(new: Manifest, old: Manifest, write: Admission) -> Fields:
    """Give the fields that *new* has and *old* has not, or has otherwise."""
    return _compared(new, old, write.resource.rules.shape)


def _lost(new: Manifest, old: Manifest, write: Admission) -> Fields:
    """Give the fields that *old* has and *new* has not."""
    return _compared(old, new, write.resource.rules.shape, presence=True)


def _compared(new: Manifest, old: Manifest, shape: Shape, *, presence: bool = False) -> Fields:
    out: Fields = {}
    for key, value in new.items():
        if key in ("apiVersion", "kind"):
            continue
        before = old.get(key)
        if value is before or value is None:
            continue
        if key == "metadata":
            value = {name: item for name, item in value.items() if name not in _SERVERS}  # noqa: PLW2901 - the part that has owners
            found = _compare(value, before or {}, _METADATA, presence=presence) if value else None
        else:
            found = _compare(value, before, shape.child(key), presence=presence)
        if found is not None:
            out["f:" + key] = found
    return out


def _compare(new: Json, old: Json, shape: Shape, *, presence: bool) -> Fields | None:
    """Give the fields below *new* that are not the same (with *presence*: not there at all) below *old*."""
    kind = new.__class__
    if kind is not dict and kind is not list:  # the most common case by far
        if presence:
            return {} if old is None else None
        return None if new == old and kind is old.__class__ else {}
    if shape.always and not new and old is None:
        return None
    if kind is dict and new and not shape.atomic and (old is None or old.__class__ is dict):
        return _compare_items(new, old, shape, "f:", presence=presence)
    if kind is list and new and (shape.keys or shape.as_set) and (old is None or old.__class__ is list):
        before = None if old is None else named(old, shape)
        return _compare_items(named(new, shape), before, Shape(items=shape.item, always=shape.always), "", presence=presence)
    if presence:
        return {} if old is None else None
    return None if new == old and new.__class__ is old.__class__ else {}


def _compare_items(new: dict[str, Any], old: dict[str, Any] | None, shape: Shape, prefix: str, *, presence: bool) -> Fields | None:
    out: Fields = {}
    before = _EMPTY if old is None else old
    fields, other = shape.fields, shape.items or ANY
    for key, value in new.items():
        there = before.get(key)
        if value is None:
            if key not in before:
                out[prefix + key] = {}
        elif value is not there:
            found = _compare(value, there, fields.get(key) or other, presence=presence)
            if found is not None:
                out[prefix + key] = found
    if old is None and not shape.always:
        if out:
            out["."] = {}
        return out
    return out or None


def named(items: list[Any], shape: Shape) -> dict[str, Any]:
    """Give list items under the names that FieldsV1 gives them."""
    if shape.as_set:
        return {"v:" + _sorted_text(item).decode(): item for item in items}
    out = {}
    for item in items:
        key = {name: item.get(name, shape.key_defaults.get(name)) for name in shape.keys if name in item or name in shape.key_defaults}
        out["k:" + _sorted_text(key).decode()] = item
    return out


def is_member(fields: Fields) -> bool:
    """Say whether a node of FieldsV1 is itself in the set."""
    return not fields or "." in fields


def union(one: Fields, two: Fields) -> Fields:
    """Give the fields that are in either."""
    out = dict(one)
    for key, value in two.items():
        if key not in out or key == ".":
            out[key] = value
            continue
        both = union(out[key], value)
        if both and "." not in both and (is_member(out[key]) or is_member(value)):
            both["."] = {}
        out[key] = {} if both == {".": {}} else both
    return out


def without(one: Fields, two: Fields) -> Fields:
    """Give the fields of *one* that are not in *two*."""
    out: Fields = {}
    for key, value in one.items():
        other = two.get(key)
        if other is None:
            out[key] = value
        elif key != ".":
            left = without(value, other)
            left.pop(".", None)
            if is_member(value) and not is_member(other):
                if left:
                    left["."] = {}
                out[key] = left
            elif left:
                out[key] = left
    return out
