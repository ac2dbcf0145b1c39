"""Does what the controller writes keep its promises, judged by the objects of the cluster alone?"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inprocess import InProcessController
from tiphys.api import names, values
from tiphys.api.meta import Manifest
from tiphys.devcluster.kinds import ENDPOINT_SLICES, REPLICA_SETS, SERVICES

if TYPE_CHECKING:
    from datetime import datetime

SIDES: Final = ("stable", "canary")
PING_PONG: Final = ("pong", "ping")
ACTIVE_SERVICE: Final = "web-active"
_OF_SERVICE: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the split: what it is given, which hash it selects, who answers there."""

    weight: int
    pod_hash: str
    ready: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The cluster at one moment; *active* is the hash that the active Service of a blue-green Rollout selects."""

    sides: dict[str, Side]
    total: int
    sizes: dict[str, int]
    available: dict[str, int]
    active: str = ""


class Onlooker:
    """
    Looks at the cluster before and after every write of the controller, and remembers what was wrong.

    It knows nothing of pictures, plans and intents: it reads VirtualServices, DestinationRules, Services, EndpointSlices and ReplicaSets
    as their own documentation says.
    """

    def __init__(self, controller: InProcessController) -> None:
        self._controller = controller
        self._before: Glance | None = None
        self.problems: list[str] = []
        self.gained: list[int] = []
        self.moments: list[tuple[int, datetime]] = []
        """The version of the store and the time before and after each write: before the first, after it, before the second, ..."""

    # The witness

    def before(self) -> None:
        self._before = self.glance()
        self._note_moment()

    def after(self, verb: str, plural: str, body: str) -> None:
        before, now = self._before, self.glance()
        self._note_moment()
        if before is None or not self._is_there():
            return
        canary = self.side("canary")
        if now.sides[canary].weight != before.sides[canary].weight:
            self.gained.append(now.sides[canary].weight)
        what = f"{verb} {plural} {body[:200]}"
        self.problems += [f"{problem} after {what}" for problem in self._wrong(before, now)]

    def _is_there(self) -> bool:
        """Whether the Rollout exists: of one that was let go only its own end was written."""
        return self._find("Rollout") is not None

    def _note_moment(self) -> None:
        cluster = self._controller.cluster
        self.moments.append((cluster.store.version, cluster.now))

    def _wrong(self, before: Glance, now: Glance) -> list[str]:
        rollout = self._controller.rollout()
        canary = rollout.spec.strategy.canary
        if canary is None:
            return _leaves_active_service(before, now, rollout.spec.replicas or 0)
        if canary.traffic_routing is None:
            replicas = rollout.spec.replicas or 0
            least, most = replicas - values.max_unavailable(canary, replicas), replicas + values.max_surge(canary, replicas)
            return _spends_availability(before, now, least=least, most=most)
        problems = [*_sum(now), *_weight_without_pods(before, now), *_pods_under_weight(before, now)]
        if any(step.set_canary_scale is not None for step in canary.steps):
            return problems  # how many pods carry the canary's weight is the user's word then
        return [*problems, *_too_few_pods(before, now, rollout.spec.replicas or 0)]

    # What there is

    def weights(self) -> dict[str, int]:
        return {name: side.weight for name, side in self.glance().sides.items()}

    def side(self, role: str) -> str:
        """Name the side that plays *role*, `stable` or `canary`: with ping-pong the status of the Rollout tells."""
        if "ping" not in self._sides():
            return role
        stable = "ping" if self._controller.rollout().status.canary.stable_ping_pong == "ping" else "pong"
        return stable if role == "stable" else {"ping": "pong", "pong": "ping"}[stable]

    def _sides(self) -> tuple[str, str]:
        services = self._controller.cluster.store.scan(SERVICES, namespace="default")
        return PING_PONG if any(stored.manifest["metadata"]["name"] == "web-ping" for stored in services) else SIDES

    def replica_sets(self) -> list[Manifest]:
        return [stored.manifest for stored in self._controller.cluster.store.scan(REPLICA_SETS, namespace="default")]

    def glance(self) -> Glance:
        """Read the cluster."""
        store = self._controller.cluster.store
        replica_sets = self.replica_sets()
        hashes = {found["metadata"].get("labels", {}).get(names.HASH_LABEL, ""): found for found in replica_sets}
        ready = {pod_hash: int(found.get("status", {}).get("readyReplicas", 0)) for pod_hash, found in hashes.items()}
        given = self._given()
        services = {stored.manifest["metadata"]["name"]: stored.manifest for stored in store.scan(SERVICES, namespace="default")}
        sides = {}
        for side in self._sides():
            share, service, pod_hash = given.get(side, (0, f"web-{side}", ""))
            if service in services:
                selector = services[service]["spec"].get("selector", {})
                sides[side] = Side(weight=share, pod_hash=selector.get(names.HASH_LABEL, ""), ready=self._endpoints(service))
            else:
                sides[side] = Side(weight=share, pod_hash=pod_hash, ready=ready.get(pod_hash, 0) if pod_hash else sum(ready.values()))
        sizes = {pod_hash: int(found["spec"]["replicas"]) for pod_hash, found in hashes.items()}
        available = {pod_hash: int(found.get("status", {}).get("availableReplicas", 0)) for pod_hash, found in hashes.items()}
        active = services.get(ACTIVE_SERVICE, {}).get("spec", {}).get("selector", {}).get(names.HASH_LABEL, "")
        total = sum(share for share, _, _ in given.values())
        return Glance(sides=sides, total=total, sizes=sizes, available=available, active=active)

    def _given(self) -> dict[str, tuple[int, str, str]]:
        """Give weight, Service (host-level splitting) and hash (subset-level) of each side."""
        virtual_service = self._find("VirtualService")
        if virtual_service is None:
            return {}
        route = next(each for each in virtual_service["spec"]["http"] if each.get("name") not in {"beta", "shadow"})
        given = {}
        for at in route["route"]:
            host, subset = at["destination"]["host"], at["destination"].get("subset", "")
            side = subset or host.removeprefix("web-")
            given[side] = (int(at.get("weight", 100)), "" if subset else host, self._labels(subset))
        return given

    def _labels(self, subset: str) -> str:
        rule = self._find("DestinationRule") if subset else None
        found = rule["spec"]["subsets"] if rule is not None else ()
        return next((str(each["labels"].get(names.HASH_LABEL, "")) for each in found if each["name"] == subset), "")

    def _find(self, kind: str) -> Manifest | None:
        store = self._controller.cluster.store
        resource = next((each for each in store.registry if each.kind == kind), None)
        if resource is None:
            return None
        return next((stored.manifest for stored in store.scan(resource, namespace="default")), None)

    def _endpoints(self, service: str) -> int:
        slices = self._controller.cluster.store.scan(ENDPOINT_SLICES, namespace="default", labels={_OF_SERVICE: service})
        endpoints = [each for stored in slices for each in stored.manifest.get("endpoints") or ()]
        return sum(1 for each in endpoints if each["conditions"].get("ready") and not each["conditions"].get("terminating"))


def _sum(now: Glance) -> list[str]:
    return [f"weights add up to {now.total}"] if now.total not in {0, 100} else []


def _weight_without_pods(before: Glance, now: Glance) -> list[str]:
    """Nothing is given to a side where nobody answers, while the other side could."""
    problems = []
    for name, side in now.sides.items():
        other = next(each for at, each in now.sides.items() if at != name)
        if side.weight > before.sides[name].weight and side.ready == 0 and other.ready > 0:
            problems.append(f"{name} was given {side.weight} and nobody answers there")
    return problems


def _pods_under_weight(before: Glance, now: Glance) -> list[str]:
    """The pods of a side are exchanged only while it carries nothing, or nobody answers there."""
    problems = []
    for name, side in now.sides.items():
        was = before.sides[name]
        exchanged = was.pod_hash and was.pod_hash != side.pod_hash
        if exchanged and was.ready and max(was.weight, side.weight):
            problems.append(f"{name} changed from {was.pod_hash} to {side.pod_hash} under weight {max(was.weight, side.weight)}")
    return problems


def _too_few_pods(before: Glance, now: Glance, replicas: int) -> list[str]:
    """A ReplicaSet never shrinks below what the weight of its side needs."""
    problems = []
    for pod_hash, size in now.sizes.items():
        share = max((side.weight for side in now.sides.values() if side.pod_hash == pod_hash), default=0)
        needed = min(before.sizes.get(pod_hash, 0), math.ceil(share * replicas / 100))
        if size < before.sizes.get(pod_hash, 0) and size < needed:
            problems.append(f"{pod_hash} shrank to {size} pods where weight {share} needs {needed}")
    return problems


def _spends_availability(before: Glance, now: Glance, *, least: int, most: int) -> list[str]:
    """Without a router no write of the controller leaves fewer available pods, or more pods, than the spec allows."""
    lasting = {pod_hash: min(size, now.available[pod_hash]) for pod_hash, size in now.sizes.items()}
    had = sum(min(size, before.available[pod_hash]) for pod_hash, size in before.sizes.items())
    problems = []
    if sum(lasting.values()) < min(had, least):
        problems.append(f"{sum(lasting.values())} of {had} available pods stay where {least} have to")
    if sum(now.sizes.values()) > max(sum(before.sizes.values()), most):
        problems.append(f"{sum(now.sizes.values())} pods where {most} are allowed")
    return problems


def _leaves_active_service(before: Glance, now: Glance, replicas: int) -> list[str]:
    """The active Service moves to a version that can answer, forward only to a whole one, and no version shrinks while it is selected."""
    problems = []
    there = now.available.get(now.active, 0)
    if before.active and now.active != before.active and there == 0 and before.available.get(before.active, 0):
        problems.append(f"the active Service moved from {before.active} to {now.active}, where nobody answers")
    size, was = now.sizes.get(now.active, 0), before.sizes.get(now.active, 0)
    if now.active and size < min(was, replicas):
        problems.append(f"{now.active} shrank from {was} to {size} pods while the active Service selects it")
    return problems
