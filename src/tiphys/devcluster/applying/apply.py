"""
What does the cluster hold, and who owns which of its fields, after somebody has applied a configuration?

The applier owns exactly the fields that the configuration names. What another one owns with another value is a
conflict, unless the applier takes it by force; what the applier named last time and nobody names now goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tiphys.devcluster import managed
from tiphys.devcluster.applying import conflicts
from tiphys.devcluster.applying.merging import laid_over, without_unwanted
from tiphys.devcluster.applying.typed import fields_of, problems
from tiphys.devcluster.errors import StatusError, bad_request, conflict, not_found
from tiphys.devcluster.fieldsets import Fields, union, without
from tiphys.devcluster.pod_shapes import OBJECT_METADATA
from tiphys.devcluster.shapes import Shape, struct
from tiphys.devcluster.subresources import ScalePaths, scale_of

if TYPE_CHECKING:
    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.managed import Entries
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.wire import Json

_KUBECTL = "kubectl"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BEFORE = "before-first-apply"
_TEXT = Shape(scalar=("string", str))
_SCALE = struct("Scale", "apiVersion:s kind:s status:o", metadata=OBJECT_METADATA, spec=struct("ScaleSpec", "replicas:i"))
_decode = msgspec.json.decode
_sorted_json = msgspec.json.Encoder(order="sorted").encode


class Cluster(Protocol):
    """Where objects are kept."""

    def read(self, resource: ResourceType, name: str, namespace: str = "") -> Stored | None:
        """Give one object, or None."""

    def insert(self, manifest: Manifest, write: Admission, *, namespace: str = "") -> Stored:
        """Create an object."""

    def exchange(self, manifest: Manifest, write: Admission, there: Stored, *, by_patch: bool = False) -> Stored:
        """Replace an object."""


def apply(cluster: Cluster, name: str, config: Json, write: Admission, *, namespace: str = "", force: bool = False) -> tuple[Stored, bool]:
    """
    Apply *config*, which is given away, to the object of that name, and give it, and whether it is new.

    *write.manager* is the applier. With *force* it takes the fields that others own.

    Raises:
        StatusError: 409 for a conflict, 500 for a configuration that is not of its kind's fields and types (as the real
            server has it), 404 for a subresource of nothing, and whatever a create or an update is refused for.

    """
    resource = write.resource
    there = cluster.read(resource, name, namespace)
    if there is None and write.subresource:
        raise not_found(resource, name)
    live: Manifest = there.copy() if there is not None else {"metadata": {}}
    config = _own_part(_checked(config, write), write)
    entries: Entries = live["metadata"].pop("managedFields", None) or []
    if there is not None and not entries:
        entries = _before_first(live, write)
    manifest, write.owners = _applied(live, config, entries, write, force=force)
    if there is not None:
        stored = cluster.exchange(manifest, write, there, by_patch=True)
        return (scale_of(resource, stored) if write.subresource == "scale" else stored), False
    _check_new(config, name, write)
    return cluster.insert(manifest, write, namespace=namespace), True


def _checked(config: Json, write: Admission) -> Manifest:
    """Give what is applied to the object itself, or refuse what is no configuration of this kind, or of its Scale."""
    resource = write.resource
    if write.subresource != "scale":
        return _of_kind(config, resource.group, resource.version, resource.kind, _root(write))
    scale = _of_kind(config, "autoscaling", "v1", "Scale", _SCALE)
    out: Manifest = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": scale.get("metadata") or {}}
    replicas = (scale.get("spec") or {}).get("replicas")
    if replicas is not None:
        *parents, last = (resource.scale or ScalePaths()).replicas.strip(".").split(".")
        place = out
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = replicas
    return out


def _of_kind(config: Json, group: str, version: str, kind: str, shape: Shape) -> Manifest:
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: error unmarshaling JSON: the configuration is not an object")
    said_group, _, said_version = str(config.get("apiVersion") or "").rpartition("/")
    said_kind = config.get("kind") or ""
    if (said_group, said_version, said_kind) != (group, version, kind):
        raise bad_request(f"invalid object type: {said_group}/{said_version}, Kind={said_kind}")
    metadata = config.get("metadata") or {}
    found = problems(config, shape)
    if found:
        said = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {each}" for each in found)])
        space, name = (metadata.get(key) or "" for key in ("namespace", "name")) if isinstance(metadata, dict) else ("", "")
        raise StatusError(500, f"failed to create typed patch object ({space}/{name}; {group}/{version}, Kind={kind}): {said}", reason="")
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return config


def _root(write: Admission) -> Shape:
    """Give the shape of a whole object."""
    typed = write.resource.rules.typed
    fields = {**typed.fields, "apiVersion": _TEXT, "kind": _TEXT, "metadata": OBJECT_METADATA}
    return Shape(fields=fields, items=typed.items, go_name=typed.go_name)


def _own_part(config: Manifest, write: Admission) -> Manifest:
    """Leave the part that this request writes: status is written through its subresource only, and all else is not."""
    if write.subresource_is_status:
        metadata = config.get("metadata") or {}
        kept = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in metadata}
        return {**{key: config[key] for key in ("apiVersion", "kind", "status") if key in config}, "metadata": kept}
    if write.resource.rules.status_apart:
        config.pop("status", None)
    return config


def _before_first(live: Manifest, write: Admission) -> Entries:
    """Let somebody own what was there before anybody kept an account of it."""
    fields = managed.changed(live, {}, write)
    return [{**managed.entry_of(write, fields), "manager": _BEFORE}] if fields else []


def _applied(live: Manifest, config: Manifest, entries: Entries, write: Admission, *, force: bool) -> tuple[Manifest, Entries]:
    """Give the object, and the entries of all who own fields of it, after the apply."""
    mine = next((entry for entry in entries if _is_ours(entry, write)), None)
    others = [entry for entry in entries if entry is not mine]
    shape = _root(write)
    named = fields_of(_without_identity(config), shape)
    before = _decode(msgspec.json.encode(live))
    new = laid_over(live, config, shape)
    if mine is not None:
        owned = named
        for entry in others:
            owned = union(owned, entry["fieldsV1"])
        without_unwanted(new, mine["fieldsV1"], owned, shape)
        if new.get("metadata") is None:
            new["metadata"] = {}
    differs = new != before
    if others and differs:
        changed = managed.changed(new, before, write)
        found = conflicts.found_between(others, changed)
        if found and not force:
            allowed = _from_client_side(before, write, shape) if write.manager == _KUBECTL else {}
            found = conflicts.beyond(found, allowed)
            if found:
                raise conflicts.refusal(found)
        others = managed.reduced(others, changed, managed.lost(new, before, write))
    _follow_client_side(new, config, write)
    return new, managed.in_order([*others, *_entry(named, mine, write, differs=differs)])


def _is_ours(entry: dict[str, Any], write: Admission) -> bool:
    return entry["operation"] == "Apply" and entry["manager"] == write.manager and (entry.get("subresource") or "") == write.subresource


def _without_identity(config: Manifest) -> Manifest:
    """Leave out what says which object is meant: nobody owns that."""
    out = {key: value for key, value in config.items() if key not in ("apiVersion", "kind")}
    metadata = {key: value for key, value in (config.get("metadata") or {}).items() if key not in managed.SERVERS}
    out.pop("metadata", None)
    return {**out, "metadata": metadata} if metadata else out


def _entry(fields: Fields, before: dict[str, Any] | None, write: Admission, *, differs: bool) -> Entries:
    """Give the applier's entry; its time is when the object last changed by its hand."""
    if not fields:
        return []
    entry = managed.entry_of(write, fields, operation="Apply")
    if not differs:
        entry.pop("time", None)
        if before is not None and "time" in before:
            entry["time"] = before["time"]
    return [entry]


def _check_new(config: Manifest, name: str, write: Admission) -> None:
    """Refuse to create something else than the URL names."""
    metadata = config.get("metadata") or {}
    said, uid = metadata.get("name"), metadata.get("uid")
    if not said:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if said != name:
        raise bad_request(f"the name of the object ({said}) does not match the name on the URL ({name})")
    if uid:
        raise conflict(write.resource, name, f"uid mismatch: the provided object specified uid {uid}, and no existing object was found")


# -- moving from client-side apply --------------------------------------------------------------------------------------


def _from_client_side(live: Manifest, write: Admission, shape: Shape) -> Fields:
    """Give the fields that kubectl applied from the client's side before and that nobody changed since: it may take those."""
    text = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if text is None:
        return {}
    try:
        last = _decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != write.resource.api_version or problems(last, shape):
        return {}
    last = {"metadata": {}, **_without_identity(last)}
    return without(fields_of(last, shape), managed.changed(last, live, write))


def _follow_client_side(new: Manifest, config: Manifest, write: Admission) -> None:
    """Keep kubectl's note of what it applied last true, where there is one."""
    annotations = new["metadata"].get("annotations") or {}
    if write.manager != _KUBECTL or _LAST_APPLIED not in annotations:
        return
    kept = {key: value for key, value in ((config.get("metadata") or {}).get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata = {**(config.get("metadata") or {}), "annotations": kept}
    if not kept:
        del metadata["annotations"]
    annotations[_LAST_APPLIED] = _sorted_json({**config, "metadata": metadata}).decode() + "\n"
