"""What can be done about a Rollout that does not decode?"""

from collections.abc import Sequence

from tiphys.api import names, words
from tiphys.api.codec import decode_rollout, merge_patch
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.misfits import type_problems, without_misfits
from tiphys.api.rollout import Rollout
from tiphys.api.validation import listed
from tiphys.api.wireform import compact
from tiphys.api.words import EventType, Reason
from tiphys.controller.cluster import Cluster, rollout_ref
from tiphys.core.actions import Event
from tiphys.core.mending import readable_part
from tiphys.kube.store import Key


async def let_go_unread(key: Key, rollout: Rollout, cluster: Cluster) -> None:
    """Take our finalizer from a Rollout of which only the metadata is known."""
    metadata = rollout.metadata
    if names.ON_DELETE in metadata.finalizers:
        others = [name for name in metadata.finalizers if name != names.ON_DELETE]
        patch = {"metadata": {"resourceVersion": metadata.resource_version, "finalizers": others}}
        await cluster.patch(key, rollout_ref(key), patch, purpose="let go of a Rollout that is being deleted and does not decode")


def as_far_as_readable(key: Key, raw: Manifest) -> tuple[Rollout, tuple[SpecError, ...]]:
    """Give the metadata and status of a Rollout that does not decode, and all that is wrong with it."""
    try:
        return decode_rollout(compact(raw).encode()), ()
    except SpecError as error:
        errors = type_problems(raw, Rollout) or (error,)
    readable = without_misfits({field: raw.get(field) for field in ("metadata", "status")}, Rollout)
    metadata = {"name": key.name, "namespace": key.namespace, **(readable.get("metadata") or {})}
    return decode_rollout(compact({**readable, "metadata": metadata}).encode()), errors


def repair_of(rollout: Rollout, raw: Manifest, errors: Sequence[SpecError]) -> tuple[Manifest, Event] | None:
    """
    Give the patch that takes from the status what somebody else wrote there and nobody can read, and what to tell of it.

    Nothing where the status is in order, or where too much of it is lost.
    """
    lost = [error for error in errors if error.field.startswith("status")]
    whole = readable_part(raw.get("status")) if lost else None
    if whole is None:
        return None
    patch = {"status": merge_patch(raw["status"], whole), "metadata": {"resourceVersion": rollout.metadata.resource_version}}
    return patch, Event(reason=Reason.STATUS_MENDED, message=words.status_mended(listed(lost)), type=EventType.WARNING)
