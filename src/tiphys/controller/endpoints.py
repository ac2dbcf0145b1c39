"""How many ready addresses does each ReplicaSet have behind a Service?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.api import names
from tiphys.api.workloads import Endpoint, EndpointSlice, ReplicaSet

_RANDOM_LETTERS = 5
_LONGEST_BASE = 58
"""A pod is named after its ReplicaSet and a dash, cut off here, and five random letters."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """Names of the ready pods by what stands before the random letters; *complete* unless some address is no pod's."""

    version: str
    ready: Mapping[str, frozenset[str]]
    complete: bool


@dataclass(slots=True)
class EndpointCounts:
    """
    Counts ready addresses per pod hash, and remembers each EndpointSlice's part by its resourceVersion.

    What is remembered only saves time: losing it changes no answer.
    """

    _slices: dict[str, _Slice] = field(default_factory=dict)

    def of_service(self, slices: Sequence[EndpointSlice], replica_sets: Sequence[ReplicaSet]) -> Mapping[str, int] | None:
        """
        Count the ready, not terminating pods per hash of *replica_sets*.

        Gives nothing where the slices do not tell whose pods they list: an address without a pod, or two ReplicaSets whose long names
        give their pods the same beginning.
        """
        owners = {pod_base(found.metadata.name): names.pod_hash(found.metadata.labels) for found in replica_sets if _has_pods(found)}
        if len(owners) < sum(map(_has_pods, replica_sets)):
            return None
        parts = [self._part(found) for found in slices]
        if len(self._slices) > len(slices):
            self._keep_only({found.metadata.uid for found in slices})
        if not all(part.complete for part in parts):
            return None
        return {pod_hash: _together(part.ready.get(base, frozenset()) for part in parts) for base, pod_hash in owners.items()}

    def _keep_only(self, uids: set[str]) -> None:
        """Forget the slices that are gone: names of slices change as a Service grows and shrinks."""
        self._slices = {uid: part for uid, part in self._slices.items() if uid in uids}

    def _part(self, found: EndpointSlice) -> _Slice:
        uid, version = found.metadata.uid, found.metadata.resource_version
        known = self._slices.get(uid)
        if known is not None and known.version == version and version:
            return known
        made = _read(found)
        self._slices[uid] = made
        return made


def ready_addresses(slices: Iterable[EndpointSlice]) -> frozenset[str]:
    """Give the addresses that take traffic."""
    return frozenset(
        address for found in slices for endpoint in found.endpoints if _takes_traffic(endpoint) for address in endpoint.addresses
    )


def pod_base(replica_set: str) -> str:
    """Give the beginning that the names of a ReplicaSet's pods have in common."""
    return f"{replica_set}-"[:_LONGEST_BASE]


def _has_pods(found: ReplicaSet) -> bool:
    return found.spec.replicas > 0 or found.status.replicas > 0


def _read(found: EndpointSlice) -> _Slice:
    ready: dict[str, set[str]] = {}
    complete = True
    for endpoint in found.endpoints:
        if not _takes_traffic(endpoint):
            continue
        target = endpoint.target_ref
        if target is None or target.kind != "Pod":
            complete = False
        else:
            ready.setdefault(target.name[:-_RANDOM_LETTERS], set()).add(target.name)
    return _Slice(found.metadata.resource_version, {base: frozenset(pods) for base, pods in ready.items()}, complete)


def _takes_traffic(endpoint: Endpoint) -> bool:
    return endpoint.conditions.ready is not False and not endpoint.conditions.terminating


def _together(parts: Iterable[frozenset[str]]) -> int:
    """Count pods once, also where they have an address in several slices (two address families)."""
    found = [part for part in parts if part]
    return len(found[0]) if len(found) == 1 else len(frozenset().union(*found))
