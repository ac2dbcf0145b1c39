"""What does the shell need of a cluster: to read from caches, and to write?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from tiphys.api.analysis import AnalysisRun
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.words import GROUP
from tiphys.api.workloads import EndpointSlice, Pod, ReplicaSet, Service
from tiphys.core.actions import Event
from tiphys.kube.events import About
from tiphys.kube.store import Key, Unreadable
from tiphys.traffic.router import Ref, Search

ROLLOUT: Final = "Rollout"
REPLICA_SET: Final = "ReplicaSet"
SERVICE: Final = "Service"
ENDPOINT_SLICE: Final = "EndpointSlice"
ANALYSIS_RUN: Final = "AnalysisRun"

Kind = tuple[str, str]
"""Group and kind."""


class Watched(Enum):
    """How far a kind's cache is."""

    READY = "ready"
    LOADING = "loading"
    ABSENT = "absent"
    """The server does not serve the kind, or does not let us read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request the controller made by itself (not a watch, an event or a lease), and the reason it gave."""

    verb: str
    kind: str
    namespace: str
    name: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.namespace}/{self.name}: {self.purpose}"


Ledger = Callable[[Request], None]
"""Is told of every request right before it is made."""


class Caches(Protocol):
    """
    What we know of the cluster without asking it.

    Objects are shared and must not be changed. What we wrote ourselves is in here before the write returns.
    """

    def rollout(self, key: Key) -> Rollout | None:
        """Give a Rollout, if it exists; one that does not decode as it was last readable."""

    def broken(self, key: Key) -> Unreadable | None:
        """Say which version of a Rollout does not decode, and why, if it does not."""

    def owned(self, uid: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets whose controller is the owner *uid*, in no particular order."""

    def runs(self, uid: str) -> Sequence[AnalysisRun]:
        """Give the AnalysisRuns whose controller is the owner *uid*, by name."""

    def strays(self, namespace: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets with a hash label and without a controller."""

    def service(self, namespace: str, name: str) -> Service | None:
        """Give a Service, if it exists."""

    def managed(self, key: Key) -> Sequence[Service]:
        """Give the Services whose annotation names the Rollout *key*, whether that exists or not."""

    def marked(self, key: Key) -> Mapping[Ref, Manifest]:
        """Give the route objects whose mark names the Rollout *key*, whether that exists or not."""

    def versions(self, namespace: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets with a hash label in *namespace*, whosever they are."""

    def slices(self, namespace: str, service: str) -> Sequence[EndpointSlice] | None:
        """Give the EndpointSlices of a Service; nothing where they cannot be read."""

    def manifest(self, ref: Ref) -> Manifest | None:
        """Give an object of a kind that some router needs, if it exists."""

    def made_for(self, uid: str, kinds: Iterable[Kind]) -> Mapping[Ref, Manifest]:
        """Give the objects of *kinds* that some router needs whose controller is the owner *uid*, in the order of their names."""

    def mentioning(self, searches: Iterable[Search]) -> Mapping[Ref, Manifest]:
        """Give the objects that any of *searches* is for, in the order of their names."""

    def mind(self, key: Key, refs: Iterable[Ref]) -> None:
        """Wake the Rollout *key* by changes of *refs* as well, which it does not name, and of no others that were minded before."""

    def demand(self, kind: Kind) -> Watched:
        """Say how far the cache of a kind is, and begin to fill it where nobody asked for it so far."""

    def behind(self, key: Key) -> bool:
        """Tell whether the caches have not yet seen everything that was written for the Rollout *key*."""


class Cluster(Protocol):
    """
    The writes, and the few reads that must not come from a cache.

    Every method tells the ledger before it asks, and takes the server's answer into the caches before it returns. *key* is the
    Rollout on whose behalf it happens. The errors are those of `tiphys.kube.errors`.
    """

    async def create(self, key: Key, ref: Ref, manifest: Manifest, *, purpose: str) -> None:
        """Create an object."""

    async def patch(self, key: Key, ref: Ref, patch: Manifest, *, subresource: str = "", purpose: str) -> str:
        """Merge *patch* into an object, and give its new resourceVersion."""

    async def delete(self, key: Key, ref: Ref, *, uid: str, resource_version: str, purpose: str) -> None:
        """Delete an object if it is still the one meant; one that is gone is no error."""

    async def reread(self, key: Key, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read an object from the server itself, into the caches too; nothing where it does not exist."""

    async def find(self, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read an object from the server itself and keep it out of the caches; nothing where it does not exist."""

    async def pods(self, key: Key, selector: str, *, purpose: str) -> Sequence[Pod]:
        """List the pods of a namespace that *selector* names, from the server itself."""

    async def mark_pod(self, key: Key, name: str, patch: Manifest, *, purpose: str) -> None:
        """Merge *patch*, labels and annotations with the uid they are for, into a pod; one that is gone, or another one, is no error."""

    async def evict(self, key: Key, name: str, *, purpose: str) -> bool:
        """Ask for a pod to go; false where its disruption budget allows none now. One that is gone is no error."""

    def tell(self, about: About, event: Event) -> None:
        """Record an event, soon; where that fails, nobody waits for it."""


def rollout_ref(key: Key) -> Ref:
    """Name a Rollout."""
    return Ref(group=GROUP, kind=ROLLOUT, namespace=key.namespace, name=key.name)


def replica_set_ref(namespace: str, name: str) -> Ref:
    """Name a ReplicaSet."""
    return Ref(group="apps", kind=REPLICA_SET, namespace=namespace, name=name)


def service_ref(namespace: str, name: str) -> Ref:
    """Name a Service."""
    return Ref(group="", kind=SERVICE, namespace=namespace, name=name)


def key_of(rollout: Rollout) -> Key:
    """Give the key of a Rollout."""
    return Key(rollout.metadata.namespace, rollout.metadata.name)


def about(rollout: Rollout) -> About:
    """Name a Rollout as what an event is about."""
    metadata = rollout.metadata
    return About(
        api_version=rollout.api_version,
        kind=ROLLOUT,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )
