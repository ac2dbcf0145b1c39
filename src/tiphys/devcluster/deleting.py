"""May an object go now, and what marks it if it has to wait?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import StatusError, invalid_options
from tiphys.devcluster.sources import wire_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.resources import ResourceType

FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
POLICIES = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The outcome of a delete: *gone*, or still there with a deletionTimestamp, waiting for finalizers or a kubelet."""

    stored: Stored
    gone: bool


def check(resource: ResourceType, there: Stored, preconditions: Mapping[str, str]) -> None:
    """
    Compare *preconditions* (uid, resourceVersion) with what is there.

    Raises:
        StatusError: 409, one does not hold.

    """
    uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
    found = there.manifest["metadata"]["uid"]
    if uid and uid != found:
        raise _failed(
            resource,
            there,
            f"the UID in the precondition ({uid}) does not match the UID in record ({found}). "
            "The object might have been deleted and then recreated",
        )
    if version and version != str(there.version):
        raise _failed(
            resource,
            there,
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({there.version}). "
            "The object might have been modified",
        )


def _failed(resource: ResourceType, there: Stored, why: str) -> StatusError:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {"name": there.name, "group": resource.group, "kind": resource.kind}
    message = f'Operation cannot be fulfilled on {kind} "{there.name}": {why}'
    return StatusError(409, message, details={key: value for key, value in details.items() if value})


def check_options(propagation: str | None, orphan_dependents: bool | None) -> None:  # noqa: FBT001 - two wire fields
    """
    Refuse delete options that make no sense.

    Raises:
        StatusError: 422, an unknown policy or two that contradict each other.

    """
    if orphan_dependents is not None and propagation is not None:
        message = f'Invalid value: "{propagation}": orphanDependents and deletionPropagation cannot be both set'
        raise invalid_options("DeleteOptions", "propagationPolicy", message)
    if propagation is not None and propagation not in POLICIES:
        message = f'Unsupported value: "{propagation}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise invalid_options("DeleteOptions", "propagationPolicy", message, "FieldValueNotSupported")


def marked(resource: ResourceType, there: Stored, *, propagation: str | None, grace: int, now: datetime) -> dict[str, Any] | None:
    """
    Give the object as it waits for its end, or None where nothing has to wait.

    A second delete can only shorten the grace period. Kinds with grace periods are always marked before they go.
    """
    metadata = there.manifest["metadata"]
    finalizers = _finalizers(metadata.get("finalizers") or [], propagation)
    graceful = resource.rules.graceful
    held = (there.manifest.get("spec") or {}).get("finalizers")
    if not (finalizers or grace or graceful or held):
        return None
    changed = dict(metadata)
    changed.pop("finalizers", None)
    if finalizers:
        changed["finalizers"] = finalizers
    if "deletionTimestamp" not in metadata or grace < metadata.get("deletionGracePeriodSeconds", 0):
        first = "deletionTimestamp" not in metadata
        start = now if first else _moment(metadata["deletionTimestamp"]) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
        changed["deletionTimestamp"] = wire_time(start + timedelta(seconds=grace))
        changed["deletionGracePeriodSeconds"] = grace
        if first and metadata.get("generation"):
            changed["generation"] = metadata["generation"] + 1
    return resource.rules.marked({**there.manifest, "metadata": changed})


def is_finished(manifest: Mapping[str, Any]) -> bool:
    """Say whether an object that is being deleted waits for nobody any more."""
    metadata = manifest["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not (manifest.get("spec") or {}).get("finalizers")
    )


def _finalizers(there: list[str], propagation: str | None) -> list[str]:
    if propagation is None:
        return there
    kept = [name for name in there if name not in FINALIZERS.values()]
    wanted = FINALIZERS.get(propagation)
    return [*kept, wanted] if wanted else kept


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
