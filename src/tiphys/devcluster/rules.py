"""What does admission of one kind consist of?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.metadata import quoted
from tiphys.devcluster.shapes import ANY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tiphys.devcluster.errors import Cause
    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.shapes import Shape
    from tiphys.devcluster.sources import Names

Manifest = dict[str, Any]


class Reader(Protocol):
    """What rules may ask of the rest of the cluster."""

    def read(self, resource: ResourceType, name: str, namespace: str = "") -> Stored | None:
        """Give one object, or None."""

    def scan(self, resource: ResourceType, *, namespace: str | None = None) -> list[Stored]:
        """Give all objects of a kind."""


@dataclass(slots=True, kw_only=True)
class Admission:
    """
    One write on its way in: who writes, when, and what happened so far.

    *old* is None for a create. *warnings* goes back to the client. *subresource* is "" for the main resource.
    *unversioned* marks a full update that names no resourceVersion. *service_network* is where cluster IPs come from.
    *pods_on_loopback*: pods listen on this machine's loopback addresses, which are thus no mistake in endpoints.
    *owners* are the managedFields after a server-side apply, which knows them already; None for all other writes.
    """

    resource: ResourceType
    now: datetime
    names: Names
    service_network: str
    pods_on_loopback: bool
    cluster: Reader
    old: Manifest | None = None
    subresource: str = ""
    unversioned: bool = False
    manager: str = "unknown"
    field_validation: str = "Warn"
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    unknown_fields: list[str] = field(default_factory=list)
    duplicate_fields: list[str] = field(default_factory=list)
    owners: list[dict[str, Any]] | None = None

    @property
    def subresource_is_status(self) -> bool:
        """Whether only the status is written."""
        return self.subresource == "status"


class Rules:
    """
    The admission of one kind: every write of an object, in process or over HTTP, passes through it.

    The manifest given to `admit` belongs to the write and may be changed in place.
    """

    #: status exists and is written only through its subresource
    status_apart = False
    #: a write of the status may change annotations too
    status_annotates = False
    #: the kind counts changes of its spec in metadata.generation
    counts_generations = True
    #: names allowed: a DNS label instead of a subdomain, and so on; see `metadata.py`
    name_format = "subdomain"
    #: fields beyond metadata.name and metadata.namespace that a field selector may name
    selectable: frozenset[str] = frozenset()
    #: a delete marks the object first, even if it then goes at once (pods)
    graceful = False
    #: a delete that is done at once answers the object instead of a Status
    answers_deleted = False
    #: strategic merge patches are understood
    strategic = True
    #: an update without resourceVersion is taken as "whatever is there"
    allows_unconditional_update = True

    #: how lists and maps of this kind merge and are owned
    shape = ANY

    @property
    def typed(self) -> Shape:
        """The shape with the types of all fields, as server-side apply needs it."""
        return self.shape

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Prune, default and prepare *manifest* in place; may raise StatusError."""

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Put in, in place, what the server itself decides and no client owns."""

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Say all that is wrong with the complete *manifest*."""
        del manifest, write
        return ()

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Say whether an update counts as a new generation."""
        return bool(new.get("spec") != old.get("spec"))

    def verdict(self, causes: Sequence[Cause], write: Admission) -> Sequence[Cause]:
        """Give all that is wrong the way this kind's answers say it."""
        del write
        return causes

    def wrong_kind(self, kind: str, name: str, write: Admission) -> StatusError:
        """Refuse a manifest of another kind than the URL's."""
        del name
        wanted = write.resource
        message = (
            f"{kind} in version {quoted(wanted.version)} cannot be handled as a {wanted.kind}: converting ({wanted.api_version}.{kind})"
        )
        return StatusError(400, message)

    def marked(self, manifest: Manifest) -> Manifest:
        """Give *manifest* as it looks while it waits for its end."""
        return manifest

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give the values of field selectors beyond metadata.name and metadata.namespace."""
        del manifest
        return {}

    def grace_seconds(self, manifest: Manifest, asked: int | None) -> int:
        """How long a graceful delete of *manifest* waits for somebody (a kubelet) to finish it; 0: it goes at once."""
        del manifest, asked
        return 0
