"""Who set which field of an object? The answer is metadata.managedFields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.fieldsets import Fields, named, union, without
from tiphys.devcluster.shapes import ANY, Shape
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.subresources import dig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.wire import Json

SERVERS = frozenset(("name", "namespace", "creationTimestamp", "selfLink", "uid", "resourceVersion", "generation", "managedFields"))
SERVERS |= frozenset(("deletionTimestamp", "deletionGracePeriodSeconds"))
_METADATA = Shape(fields={"finalizers": Shape(as_set=True), "ownerReferences": Shape(keys=("uid",), items=Shape(atomic=True))}, always=True)
_EMPTY: dict[str, Any] = {}
Entries = list[dict[str, Any]]
MOST_UPDATERS = 10
ANCIENT = "ancient-changes"


def record(manifest: Manifest, entries: Entries) -> None:
    """Say in *manifest* whose its fields are."""
    manifest["metadata"].pop("managedFields", None)
    if entries:
        manifest["metadata"]["managedFields"] = entries


def record_create(manifest: Manifest, write: Admission) -> None:
    """Make the writer the owner of every field of a new object."""
    fields = changed(manifest, _EMPTY, write)
    if fields:
        manifest["metadata"]["managedFields"] = [entry_of(write, fields)]


def record_update(manifest: Manifest, write: Admission, *, given: Json = None) -> None:
    """
    Make the writer the owner of what it changes.

    *given* are the entries that the client sent: `[]` and `[{}]` forget all owners, others replace those there were
    (that is how owners are corrected). An object that nobody is known to own stays so until it is applied.
    """
    old = write.old or _EMPTY
    entries = _before(old["metadata"].get("managedFields") or [], given, write)
    if not entries:
        return
    added, removed = changed(manifest, old, write), lost(manifest, old, write)
    scale = write.resource.scale if write.subresource == "scale" else None
    if scale is not None and not (dig(manifest, scale.replicas) and dig(old, scale.replicas)):
        added, removed = {}, added  # a Scale leaves out a size of 0, before or after, so that nobody owns it
    if added or removed:
        entries = in_order(_capped(_taken_over(entries, added, removed, write)))
    if entries:
        manifest["metadata"]["managedFields"] = entries


def _before(entries: Entries, given: Json, write: Admission) -> Entries:
    """Give the entries that count as those before the write."""
    if given is None or write.subresource or given == entries:
        return entries
    if given in ([], [{}]):
        return []
    return given if all(_is_entry(entry) for entry in given) else entries


def _is_entry(entry: dict[str, Any]) -> bool:
    return (
        entry.get("operation") in ("Apply", "Update")
        and entry.get("fieldsType") == "FieldsV1"
        and isinstance(entry.get("fieldsV1"), dict)
        and all(isinstance(entry.get(key, ""), str) for key in ("manager", "apiVersion", "time", "subresource"))
    )


def _taken_over(entries: Entries, added: Fields, removed: Fields, write: Admission) -> Entries:
    """Give the entries after the writer took *added* from everybody and nobody has *removed* any more."""
    mine, others = None, []
    for entry in entries:
        if _is_of(entry, write):
            mine = entry
        else:
            others.append(entry)
    out = reduced(others, added, removed)
    held = union(without(mine["fieldsV1"], removed) if mine else {}, added)
    if mine is not None and not added:
        mine = {**mine, "fieldsV1": held}
    elif held:
        mine = entry_of(write, held)
    return [*out, mine] if held and mine is not None else out


def reduced(entries: Entries, *parts: Fields) -> Entries:
    """Give *entries* without the fields of *parts*; those that own nothing any more are gone."""
    out: Entries = []
    for entry in entries:
        left = held = entry["fieldsV1"]
        for part in parts:
            if part:
                left = without(left, part)
        if left is held or left == held:
            out.append(entry)
        elif left:
            out.append({**entry, "fieldsV1": left})
    return out


def _is_of(entry: dict[str, Any], write: Admission) -> bool:
    return bool(
        entry["manager"] == write.manager
        and entry["operation"] == "Update"
        and entry["apiVersion"] == write.resource.api_version
        and entry.get("subresource", "") == write.subresource
    )


def in_order(entries: Entries) -> Entries:
    """Sort entries as the real server does: who applied comes first, then the oldest."""
    if len(entries) < 2:
        return entries
    return sorted(entries, key=lambda entry: (entry["operation"], entry.get("time", ""), entry["manager"], entry["apiVersion"]))


def _capped(entries: Entries) -> Entries:
    """Let the oldest of too many updaters become one, so that entries do not grow without end."""
    if len(entries) <= MOST_UPDATERS:
        return entries
    updaters = in_order([entry for entry in entries if entry["operation"] == "Update"])
    out = [entry for entry in entries if entry["operation"] != "Update"]
    while len(updaters) > MOST_UPDATERS:
        first = updaters.pop(0)
        place = next((place for place, entry in enumerate(updaters) if entry["apiVersion"] == first["apiVersion"]), None)
        if place is None:
            out.append(first)
            continue
        second = updaters.pop(place)
        both = {**second, "manager": ANCIENT, "fieldsV1": union(first["fieldsV1"], second["fieldsV1"])}
        both.pop("subresource", None)
        updaters.insert(0, both)
    return [*out, *updaters]


def entry_of(write: Admission, fields: Fields, *, operation: str = "Update") -> dict[str, Any]:
    """Give the entry of the writer, as of now."""
    entry: dict[str, Any] = {
        "manager": write.manager,
        "operation": operation,
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


def changed(new: Manifest, old: Manifest, write: Admission) -> Fields:
    """Give the fields that *new* has and *old* has not, or has otherwise."""
    return _compared(new, old, write.resource.rules.shape)


def lost(new: Manifest, old: Manifest, write: Admission) -> Fields:
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
            value = {name: item for name, item in value.items() if name not in SERVERS}  # noqa: PLW2901 - the part that has owners
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
        return _compare_items(new, old, shape.fields, shape, "f:", presence=presence)
    if kind is list and new and (shape.keys or shape.as_set) and (old is None or old.__class__ is list):
        before = None if old is None else named(old, shape)
        return _compare_items(named(new, shape), before, _EMPTY, shape, "", presence=presence)
    if presence:
        return {} if old is None else None
    return None if new == old and new.__class__ is old.__class__ else {}


def _compare_items(
    new: dict[str, Any], old: dict[str, Any] | None, fields: Mapping[str, Shape], shape: Shape, prefix: str, *, presence: bool
) -> Fields | None:
    """Compare what is below a map, or a list whose items are *new* by name; *fields* are those with shapes of their own."""
    out: Fields = {}
    before = _EMPTY if old is None else old
    other = shape.items or ANY
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
