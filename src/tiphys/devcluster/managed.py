"""Who set which field of an object?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster.shapes import Shape
from tiphys.devcluster.sources import wire_time

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Admission, Manifest

Fields = dict[str, Any]  # FieldsV1: a member is `{}` or has "."; everything else is only a way to members

_STRIPPED = frozenset(
    ("apiVersion", "kind"),
)
_STRIPPED_METADATA = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    )
)
_OWNERS = Shape(keys=("uid",))
_METADATA = Shape(fields={"finalizers": Shape(as_set=True), "ownerReferences": _OWNERS})
_text = msgspec.json.Encoder(order="sorted").encode


def record_create(manifest: Manifest, write: Admission) -> None:
    """Make the writer the owner of every field of a new object."""
    fields = _all_fields(manifest, write)
    if fields:
        manifest["metadata"]["managedFields"] = [_entry(write, fields)]


def record_update(manifest: Manifest, write: Admission, *, reset: bool) -> None:
    """Make the writer the owner of what it changes; *reset* forgets all owners first."""
    old = write.old or {}
    entries: list[dict[str, Any]] = [] if reset else list(old["metadata"].get("managedFields") or [])
    added, removed = _compare(manifest, old, write)
    if added or removed:
        entries = _taken_over(entries, added, removed, write)
    if entries:
        manifest["metadata"]["managedFields"] = entries


def _taken_over(entries: list[dict[str, Any]], added: Fields, removed: Fields, write: Admission) -> list[dict[str, Any]]:
    out, mine = [], None
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
        del entry["time"]
    return entry


def _all_fields(manifest: Manifest, write: Admission) -> Fields:
    return _compare(manifest, {}, write)[0]


def _compare(new: Manifest, old: Manifest, write: Admission) -> tuple[Fields, Fields]:
    """Give the fields that *new* adds or changes, and those it no longer has."""
    shape = write.resource.rules.shape
    added: Fields = {}
    removed: Fields = {}
    for key in {**old, **new}:
        if key in _STRIPPED:
            continue
        if key == "metadata":
            one, two = _bare(old.get(key) or {}), _bare(new.get(key) or {})
            _compare_map(two, one, _METADATA, _sub(added, "f:metadata"), _sub(removed, "f:metadata"))
        else:
            _compare_value(new.get(key), old.get(key), shape.child(key), "f:" + key, added, removed)
    return _pruned(added), _pruned(removed)


def _bare(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key not in _STRIPPED_METADATA}


def _sub(fields: Fields, key: str) -> Fields:
    return fields.setdefault(key, {"?": None})  # type: ignore[no-any-return]


def _compare_value(new: Any, old: Any, shape: Shape, key: str, added: Fields, removed: Fields) -> None:
    """Compare one field; "?" marks a node that is not itself a member."""
    if new is None and old is None:
        return
    if isinstance(new or old, dict) and not shape.atomic and (new or old):
        if isinstance(new or {}, dict) and isinstance(old or {}, dict):
            here_added, here_removed = _sub(added, key), _sub(removed, key)
            if old is None and not shape.always:
                here_added["."] = {}
            if new is None and not shape.always:
                here_removed["."] = {}
            _compare_map(new or {}, old or {}, shape, here_added, here_removed)
            return
    elif isinstance(new or old, list) and (shape.keys or shape.as_set) and (new or old):
        here_added, here_removed = _sub(added, key), _sub(removed, key)
        if old is None and not shape.always:
            here_added["."] = {}
        if new is None and not shape.always:
            here_removed["."] = {}
        _compare_map(_by_key(new or [], shape), _by_key(old or [], shape), _ITEMS_OF(shape), here_added, here_removed)
        return
    if new == old and type(new) is type(old):
        return
    if new is None:
        removed[key] = {}
    else:
        added[key] = {}


def _compare_map(new: dict[str, Any], old: dict[str, Any], shape: Shape, added: Fields, removed: Fields) -> None:
    for key, value in new.items():
        name = key if key[1:2] == ":" and shape.items is not None and shape.atomic else "f:" + key
        _compare_value(value, old.get(key), shape.child(key), name, added, removed)
    for key, value in old.items():
        if key not in new:
            name = key if key[1:2] == ":" and shape.items is not None and shape.atomic else "f:" + key
            _compare_value(None, value, shape.child(key), name, added, removed)


def _ITEMS_OF(shape: Shape) -> Shape:  # noqa: N802
    return Shape(items=shape.item, atomic=True)


def _by_key(items: list[Any], shape: Shape) -> dict[str, Any]:
    """Give list items under the names that FieldsV1 gives them."""
    if shape.as_set:
        return {"v:" + _text(item).decode(): item for item in items}
    named = {}
    for item in items:
        key = {name: item.get(name, shape.key_defaults.get(name)) for name in shape.keys if name in item or name in shape.key_defaults}
        named["k:" + _text(key).decode()] = item
    return named


def _pruned(fields: Fields) -> Fields:
    """Drop ways that lead to no member."""
    out: Fields = {}
    for key, value in fields.items():
        if key == "?":
            continue
        if key == ".":
            out[key] = value
            continue
        kept = _pruned(value)
        if kept or not value or "?" not in value:
            out[key] = {} if kept == {".": {}} else kept
    return out


def _member(fields: Fields) -> bool:
    return not fields or "." in fields


def union(one: Fields, two: Fields) -> Fields:
    """Give the fields that are in either."""
    out = dict(one)
    for key, value in two.items():
        if key in out and key != ".":
            both = union(out[key], value)
            if both and (_member(out[key]) or _member(value)):
                both["."] = {}
            out[key] = {} if both == {".": {}} else both
        else:
            out[key] = value
    return out


def without(one: Fields, two: Fields) -> Fields:
    """Give the fields of *one* that are not in *two*."""
    out: Fields = {}
    for key, value in one.items():
        if key == ".":
            continue
        if key not in two:
            out[key] = value
            continue
        left = without(value, two[key])
        member = _member(value) and not _member(two[key])
        if left and member:
            left["."] = {}
        if left or member:
            out[key] = left
    if "." in one and "." not in two:
        out["."] = {}
    return out
