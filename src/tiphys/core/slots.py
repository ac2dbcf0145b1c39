"""Which pods are behind the stable and the canary backend now, and how much do they get?"""

from dataclasses import dataclass

from tiphys.api import names
from tiphys.api.rollout import CanaryStrategy
from tiphys.api.workloads import ReplicaSet, Service
from tiphys.core.intent import Role, Routed
from tiphys.core.observed import Observed, Verification
from tiphys.core.pairs import backends
from tiphys.core.revisions import hash_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """
    One backend as found: the pods behind it can be exchanged, the name stays.

    *holds* is the pod hash selected now: empty where the selection does not name one yet, nothing where it cannot be told (a missing
    Service). *carries* is the weight the objects give it now, the largest if they differ. *managed* tells that its Service
    already carries our annotation.
    """

    role: Role
    service: str
    holds: str | None
    carries: int
    managed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Both backends, and whether the data plane has let go of everything the objects do not say any more."""

    stable: Slot
    canary: Slot
    routed: Routed
    confirmed: bool

    def drained(self, slot: Slot) -> bool:
        """Tell whether *slot* gets nothing, confirmed: its pods may be exchanged (S4)."""
        routes = self.routed.header_routes or self.routed.mirrors
        return self.confirmed and slot.carries == 0 and not (slot.role is Role.CANARY and routes)


def find_slots(seen: Observed, canary: CanaryStrategy) -> Slots | None:
    """Read both backends; nothing where no router steers (or its objects cannot be read)."""
    if seen.router is None or seen.router.routed is None:
        return None
    routed = seen.router.routed
    pair = backends(canary, seen.rollout.status.canary.stable_ping_pong)
    return Slots(
        stable=_slot(seen, Role.STABLE, pair.stable, routed.stable, routed.stable_hash),
        canary=_slot(seen, Role.CANARY, pair.canary, routed.canary, routed.canary_hash),
        routed=routed,
        confirmed=routed.uniform and seen.router.verified is not Verification.NOT_YET,
    )


def _slot(seen: Observed, role: Role, service: str, carries: int, subset: str | None) -> Slot:
    found = find_service(seen, service)
    holds: str | None = subset
    if service:
        selected = None if found is None else selects(found)
        holds = selected if subset is None or subset == selected else ""
    return Slot(
        role=role,
        service=service,
        holds=holds,
        carries=carries,
        managed=not service or (found is not None and is_managed(found)),
    )


def find_service(seen: Observed, name: str) -> Service | None:
    """Find a Service the Rollout names, if it names one and that exists."""
    return seen.services.get(name) if name else None


def is_managed(service: Service) -> bool:
    """Tell whether a Service already carries our annotation."""
    return names.MANAGED_BY in service.metadata.annotations


def selects(service: Service) -> str:
    """Give the pod hash a Service selects, or the empty text."""
    return names.pod_hash(service.spec.selector)


def ready_behind(seen: Observed, slot: Slot, replica_set: ReplicaSet | None) -> int:
    """
    Count the ready endpoints that *replica_set* has behind *slot*.

    Read from the EndpointSlices of the slot's Service; where no Service selects it by hash, `status.readyReplicas` (architecture 3).
    """
    if replica_set is None:
        return 0
    pod_hash = hash_of(replica_set)
    if slot.holds:
        if slot.holds != pod_hash:
            return 0
        listed = seen.endpoints.get(slot.service) if slot.service else None
        if listed is not None:
            return listed.get(pod_hash, 0)
    return replica_set.status.ready_replicas


def anybody_behind(seen: Observed, slot: Slot) -> bool:
    """Tell whether anything at all answers behind *slot*, whosever pods they are."""
    listed = seen.endpoints.get(slot.service) if slot.service else None
    if listed is not None:
        return any(count > 0 for count in listed.values())
    return any(rs.status.ready_replicas > 0 for rs in seen.replica_sets if not slot.holds or hash_of(rs) == slot.holds)
