"""What can be done about a Rollout that does not decode?"""

from typing import TypeVar

import msgspec

from tiphys.api import names
from tiphys.api.codec import decode_rollout
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest, ObjectMeta, Wire
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus
from tiphys.controller.cluster import Cluster, rollout_ref
from tiphys.kube.store import Key

W = TypeVar("W", bound=Wire)


async def let_go_unread(key: Key, rollout: Rollout, cluster: Cluster) -> None:
    """Take our finalizer from a Rollout of which only the metadata is known."""
    metadata = rollout.metadata
    if names.ON_DELETE in metadata.finalizers:
        others = [name for name in metadata.finalizers if name != names.ON_DELETE]
        patch = {"metadata": {"resourceVersion": metadata.resource_version, "finalizers": others}}
        await cluster.patch(key, rollout_ref(key), patch, purpose="let go of a Rollout that is being deleted and does not decode")


def as_far_as_readable(key: Key, raw: Manifest, problem: str) -> tuple[Rollout, SpecError]:
    """Give the metadata and status of a Rollout whose spec does not decode, and what is wrong with it."""
    try:
        decode_rollout(msgspec.json.encode(raw))
        error = SpecError(field="spec", found=problem, wanted="a Rollout that can be read")
    except SpecError as found:
        error = found
    metadata = _converted(raw.get("metadata"), ObjectMeta) or ObjectMeta(name=key.name, namespace=key.namespace)
    status = _converted(raw.get("status"), RolloutStatus) or RolloutStatus()
    return Rollout(metadata=metadata, status=status), error


def _converted(raw: object, kind: type[W]) -> W | None:
    try:
        return msgspec.convert(raw or {}, kind)
    except msgspec.ValidationError:
        return None
