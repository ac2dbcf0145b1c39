"""What happens to an object between the request and the store?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster import managed
from tiphys.devcluster.errors import Cause, StatusError, bad_request, conflict, forbidden, invalid, not_found
from tiphys.devcluster.metadata import decoded_metadata, metadata_causes, update_causes
from tiphys.devcluster.sources import wire_time

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Admission, Manifest

_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
KNOWN_FINALIZERS = ("foregroundDeletion", "orphan", "kubernetes")
_TRIES = 8
_MAX_GENERATED_BASE = 58  # 63 minus the five letters that are added


def prepare_create(manifest: Manifest, write: Admission, namespace: str) -> None:
    """
    Turn what a client wants created into what is stored, in place.

    Raises:
        StatusError: the object, its name or its namespace is refused.

    """
    resource = write.resource
    _check_type(manifest, write)
    metadata = manifest["metadata"] = decoded_metadata(manifest.get("metadata"), write)
    _place(metadata, write, namespace)
    if metadata.get("resourceVersion"):
        raise StatusError(500, "resourceVersion should not be set on objects to be created", details={})
    for key in (*_SERVER_OWNED, "selfLink", "resourceVersion"):
        metadata.pop(key, None)
    metadata.setdefault("name", "")
    generated = not metadata.get("name") and bool(metadata.get("generateName"))
    if generated:
        metadata["name"] = _generated_name(metadata, write)
    metadata.pop("managedFields", None)
    _tidy(metadata)
    if resource.namespaced:
        _check_namespace(metadata, write)
    rules = resource.rules
    metadata["uid"] = write.names.uid()
    metadata["creationTimestamp"] = wire_time(write.now)
    if rules.counts_generations:
        metadata["generation"] = 1
    if rules.status_apart:
        manifest.pop("status", None)
    rules.admit(manifest, write)
    _settle_unknown_fields(write)
    if write.owners is None:
        managed.record_create(manifest, write)
    else:
        managed.record(manifest, write.owners)
    rules.complete(manifest, write)
    causes = [*metadata_causes(manifest, rules.name_format, generated=generated), *rules.validate(manifest, write)]
    if causes:
        raise invalid(resource.key[0], resource.kind, metadata.get("name") or "", rules.verdict(causes, write))
    _advise(metadata, write)


def prepare_update(manifest: Manifest, write: Admission, *, by_patch: bool) -> None:
    """
    Turn the object a client wants, or a patch gave, into what is stored, in place.

    Raises:
        StatusError: 400 it is another object, 409 somebody wrote first, 422 it is refused.

    """
    resource, old = write.resource, write.old
    if old is None:
        raise not_found(resource, "")
    _check_type(manifest, write)
    metadata, before = decoded_metadata(manifest.get("metadata"), write), old["metadata"]
    manifest["metadata"] = metadata
    name = metadata.get("name")
    if name != before["name"]:
        raise (
            bad_request(f"the name of the object ({name or ''}) does not match the name on the URL ({before['name']})")
            if name
            else bad_request("name must be provided")
        )
    _place(metadata, write, before.get("namespace", ""))
    _check_version(metadata, write, by_patch=by_patch)
    for key in _SERVER_OWNED:
        if key == "uid" and metadata.get("uid"):
            continue
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    metadata.pop("selfLink", None)
    metadata["resourceVersion"] = before["resourceVersion"]
    given = metadata.pop("managedFields", None)
    rules = resource.rules
    rules.admit(manifest, write)
    _keep_the_other_half(manifest, old, write)
    metadata = manifest["metadata"]
    _tidy(metadata)
    _settle_unknown_fields(write, by_patch=by_patch)
    if write.owners is None:
        managed.record_update(manifest, write, given=given)
    else:
        managed.record(manifest, write.owners)
    rules.complete(manifest, write)
    if rules.counts_generations and not write.subresource_is_status and rules.changed(manifest, old):
        metadata["generation"] = before.get("generation", 0) + 1
    causes = [*update_causes(metadata, before), *rules.validate(manifest, write)]
    if causes:
        raise invalid(resource.key[0], resource.kind, before["name"], rules.verdict(causes, write))
    _advise(metadata, write)


def _generated_name(metadata: dict[str, Any], write: Admission) -> str:
    """Make up a name; one that is taken is tried again a few times, as the real server does."""
    base, name = metadata["generateName"][:_MAX_GENERATED_BASE], ""
    for _ in range(_TRIES):
        name = base + write.names.suffix()
        if write.cluster.read(write.resource, name, metadata.get("namespace", "")) is None:
            break
    return name


def _advise(metadata: dict[str, Any], write: Admission) -> None:
    """Warn of what is allowed and yet unwise."""
    for name in metadata.get("finalizers") or ():
        if "/" not in name and name not in KNOWN_FINALIZERS:
            advice = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
            write.warnings.append(f'metadata.finalizers: "{name}": {advice}')


def _settle_unknown_fields(write: Admission, *, by_patch: bool = False) -> None:
    """Unknown fields are gone already; say so as loudly as the client asked for."""
    if not (write.unknown_fields or write.duplicate_fields) or write.field_validation == "Ignore":
        return
    said = [f'duplicate field "{path}"' for path in write.duplicate_fields]
    said += [f'unknown field "{path}"' for path in write.unknown_fields]
    if write.field_validation == "Strict":
        resource = write.resource
        if by_patch:
            causes = [Cause("patch", f"Invalid value: strict decoding error: {', '.join(said)}")]
            raise invalid(resource.key[0], resource.kind, (write.old or {})["metadata"]["name"], causes)
        message = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict decoding error: '
        raise bad_request(message + ", ".join(said))
    write.warnings.extend(said)


def no_change(manifest: Manifest, old: Manifest) -> bool:
    """Say whether an update would store what is there already."""
    return manifest == old


def _check_type(manifest: Manifest, write: Admission) -> None:
    resource = write.resource
    api_version = manifest.get("apiVersion") or resource.api_version
    kind = manifest.get("kind") or resource.kind
    if api_version != resource.api_version:
        if not resource.rules.strategic:
            unknown = [key for key in manifest if key not in ("apiVersion", "kind", "metadata")]
            write.warnings.extend(f'unknown field "{key}"' for key in unknown)
        message = f"the API version in the data ({api_version}) does not match the expected API version ({resource.api_version})"
        raise bad_request(message)
    if kind != resource.kind:
        name = str((manifest.get("metadata") or {}).get("name") or "")
        raise resource.rules.wrong_kind(kind, name, write)
    manifest["apiVersion"], manifest["kind"] = api_version, kind


def _place(metadata: dict[str, Any], write: Admission, namespace: str) -> None:
    """Settle which namespace is meant."""
    if not write.resource.namespaced:
        metadata.pop("namespace", None)
        return
    said = metadata.get("namespace") or namespace
    if namespace and said != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if not said:
        raise bad_request(f"an empty namespace may not be set during creation of {write.resource.plural}: wanted metadata.namespace")
    metadata["namespace"] = said


def _check_namespace(metadata: dict[str, Any], write: Admission) -> None:
    """New objects need a namespace that is there and not on its way out."""
    from tiphys.devcluster.kinds import NAMESPACES  # noqa: PLC0415 - the kinds' rules are written in terms of this module

    space = metadata["namespace"]
    found = write.cluster.read(NAMESPACES, space)
    if found is None:
        raise not_found(NAMESPACES, space)
    if "deletionTimestamp" in found.manifest["metadata"]:
        why = f"unable to create new content in namespace {space} because it is being terminated"
        cause = {"reason": "NamespaceTerminating", "message": f"namespace {space} is being terminated", "field": "metadata.namespace"}
        raise forbidden(write.resource, metadata.get("name") or "", why, [cause])


def _check_version(metadata: dict[str, Any], write: Admission, *, by_patch: bool) -> None:
    resource, before = write.resource, (write.old or {})["metadata"]
    name, said = before["name"], metadata.get("resourceVersion")
    write.unversioned = not said and not by_patch
    if write.unversioned and not resource.rules.allows_unconditional_update:
        cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise invalid(resource.group, resource.plural, name, [cause])
    uid = metadata.get("uid")
    if uid and uid != before["uid"] and not by_patch:
        key = "/".join(part for part in ("registry", resource.group, resource.plural, before.get("namespace", ""), name) if part)
        why = (
            f"StorageError: invalid object, Code: 4, Key: /{key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
            f"UID in precondition: {uid}, UID in object meta: {before['uid']}"
        )
        raise conflict(resource, name, why)
    if said and said != before["resourceVersion"]:
        raise conflict(resource, name)


def _tidy(metadata: dict[str, Any]) -> None:
    """Leave out what is empty, as the real server's encoder does."""
    for key in ("labels", "annotations", "finalizers", "ownerReferences", "generateName"):
        if key in metadata and not metadata[key]:
            del metadata[key]


def _keep_the_other_half(manifest: Manifest, old: Manifest, write: Admission) -> None:
    """Status is written through its subresource only, and everything else is not."""
    if not write.resource.rules.status_apart:
        return
    if write.subresource_is_status:
        for key in [*manifest]:
            if key not in ("metadata", "status"):
                del manifest[key]
        for key, value in old.items():
            if key not in ("metadata", "status"):
                manifest[key] = value
        given, kept = manifest["metadata"], old["metadata"]
        manifest["metadata"] = {**kept, "uid": given.get("uid", kept["uid"])}
        if write.resource.rules.status_annotates:
            manifest["metadata"]["annotations"] = given.get("annotations") or {}
        return
    manifest.pop("status", None)
    if "status" in old:
        manifest["status"] = old["status"]
