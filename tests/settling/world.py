"""A toy cluster that obeys plans: pods come and go, slices lag, writes get lost."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from tiphys.api import names
from tiphys.api.meta import LabelSelector, ObjectMeta
from tiphys.api.rollout import CanaryStrategy, IstioRouting, PingPong, Rollout, RolloutSpec, Strategy, TrafficRouting
from tiphys.api.workloads import ReplicaSet, ReplicaSetSpec, ReplicaSetStatus, Service, ServiceSpec
from tiphys.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    EndRun,
    EvictPod,
    LabelPod,
    Plan,
    RouteTraffic,
    ScaleWorkload,
    SwitchService,
    UpdateReplicaSet,
    UpdateRollout,
)
from tiphys.core.decide import decide
from tiphys.core.intent import HeaderRoute, MirrorRoute, Role, Routed
from tiphys.core.invariants import plan_violations
from tiphys.core.observed import Identity, Observed, RouterPicture, Verification
from tiphys.core.pairs import alternates, backends

FIGURES: Counter[str] = Counter()
"""What the settle tests did in this process: worlds lived, passes decided, answers (actions and statuses) judged."""

START = datetime(2026, 1, 1, tzinfo=UTC)
STABLE_SERVICE, CANARY_SERVICE = "web-stable", "web-canary"
PING_PONG = PingPong(ping_service="web-ping", pong_service="web-pong")


@dataclass
class Pods:
    """The pods of one ReplicaSet, counted."""

    name: str
    pod_hash: str
    annotations: dict[str, str]
    wanted: int = 0
    created: int = 0
    ready: int = 0
    born: datetime = START


@dataclass
class World:
    """
    A Rollout and all that surrounds it; *sick* hashes never get more ready pods than the number given.

    *weights* are those of stable and canary; with ping-pong *shares* are those of the Services, whatever their role.
    """

    rollout: Rollout
    version: str = "v1"
    now: datetime = START
    pods: dict[str, Pods] = field(default_factory=dict)
    selectors: dict[str, str] = field(default_factory=dict)
    managed: set[str] = field(default_factory=set)
    slices: dict[str, dict[str, int]] = field(default_factory=dict)
    weights: tuple[int, int] = (100, 0)
    subsets: tuple[str, str] | None = None
    shares: dict[str, int] = field(default_factory=dict)
    header_routes: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()
    sick: dict[str, int] = field(default_factory=dict)
    verification: Verification = Verification.CANNOT_KNOW
    last: Plan | None = None
    seen_events: list[str] = field(default_factory=list)
    gained: list[tuple[int, str]] = field(default_factory=list)
    passes: int = 0
    decide: Callable[[Observed], Plan] = decide

    @property
    def canary(self) -> CanaryStrategy:
        strategy = self.rollout.spec.strategy.canary
        assert strategy is not None
        return strategy

    @property
    def routed(self) -> bool:
        routing = self.canary.traffic_routing
        return routing is not None and routing.istio is not None

    @property
    def steps_hash(self) -> str:
        return f"steps-{hash(msgspec.json.encode(self.canary.steps))}"

    def observe(self) -> Observed:
        """Take the picture that a shell would take."""
        router = None
        if self.routed:
            router = RouterPicture(routed=self.read_routes(), verified=self.verification, detail="toy")
        return Observed(
            now=self.now,
            rollout=self.rollout,
            identity=Identity(pod_hash=self.version, digest=self.version, labels={"app": "web"}),
            steps_hash=self.steps_hash,
            replica_sets=tuple(self._replica_set(pods) for pods in self.pods.values()),
            services={name: self._service(name) for name in self.selectors},
            endpoints={name: dict(self.slices.get(name, {})) for name in self.selectors},
            router=router,
        )

    def read_routes(self) -> Routed:
        stable, canary = self.weights
        hashes = self.subsets
        return Routed(
            canary=canary,
            stable=stable,
            stable_hash=None if hashes is None else hashes[0],
            canary_hash=None if hashes is None else hashes[1],
            header_routes=self.header_routes,
            mirrors=self.mirrors,
        )

    def _service(self, name: str) -> Service:
        selector = {"app": "web"}
        if self.selectors[name]:
            selector[names.HASH_LABEL] = self.selectors[name]
        annotations = {names.MANAGED_BY: "web"} if name in self.managed else {}
        return Service(metadata=ObjectMeta(name=name, annotations=annotations), spec=ServiceSpec(selector=selector))

    def _replica_set(self, pods: Pods) -> ReplicaSet:
        return ReplicaSet(
            metadata=ObjectMeta(
                name=pods.name,
                labels={names.HASH_LABEL: pods.pod_hash},
                annotations=dict(pods.annotations),
                creation_timestamp=pods.born,
                generation=1,
            ),
            spec=ReplicaSetSpec(replicas=pods.wanted),
            status=ReplicaSetStatus(replicas=pods.created, ready_replicas=pods.ready, available_replicas=pods.ready, observed_generation=1),
        )

    def tick(self) -> bool:
        """Let the other controllers do their work once; tell whether anything changed."""
        before = (repr(self.pods), repr(self.slices))
        for pods in self.pods.values():
            pods.created = pods.wanted
            pods.ready = min(pods.wanted, self.sick.get(pods.pod_hash, pods.wanted))
        self.refresh_slices()
        return (repr(self.pods), repr(self.slices)) != before

    def refresh_slices(self) -> None:
        for name, selected in self.selectors.items():
            self.slices[name] = {pods.pod_hash: pods.ready for pods in self.pods.values() if pods.ready and selected in {"", pods.pod_hash}}

    def kill(self, pod_hash: str, count: int) -> None:
        """Let *count* ready pods of *pod_hash* die; they come back with the next tick."""
        for pods in self.pods.values():
            if pods.pod_hash == pod_hash:
                pods.ready = max(0, pods.ready - count)
        self.refresh_slices()

    def obey(self, plan: Plan, *, lost_after: int = 1000) -> None:
        """Carry out *plan*; every write after the first *lost_after* is lost, the status write too."""
        for number, action in enumerate(plan.actions):
            if number >= lost_after:
                return
            self._carry_out(action)
            event = getattr(action, "event", None)
            if event is not None:
                self.seen_events.append(event.reason)
        if lost_after < len(plan.actions) + 1:
            return
        self.rollout = msgspec.structs.replace(self.rollout, status=plan.status)
        if self.shares:
            pair = backends(self.canary, plan.status.canary.stable_ping_pong)
            self.weights = (self.shares[pair.stable], self.shares[pair.canary])
        self.seen_events.extend(event.reason for event in plan.events)

    def _carry_out(self, action: Action) -> None:
        match action:
            case CreateReplicaSet():
                assert action.name not in self.pods
                self.pods[action.name] = Pods(action.name, action.pod_hash, dict(action.annotations), born=self.now)
            case UpdateReplicaSet():
                self._update(self.pods[action.name], action)
            case DeleteReplicaSet():
                del self.pods[action.name]
            case UpdateRollout():
                metadata = self.rollout.metadata
                merged = {**metadata.annotations, **{key: value for key, value in action.annotations.items() if value is not None}}
                spec = self.rollout.spec
                if action.replicas is not None:
                    spec = msgspec.structs.replace(spec, replicas=action.replicas)
                metadata = msgspec.structs.replace(metadata, annotations=merged)
                self.rollout = msgspec.structs.replace(self.rollout, metadata=metadata, spec=spec)
            case SwitchService():
                self._assert_not_live(action)
                self.selectors[action.name] = action.pod_hash
                if action.annotate:
                    self.managed.add(action.name)
            case RouteTraffic():
                self._route(action)
            case LabelPod() | EvictPod() | ScaleWorkload() | EndRun():
                pass  # pods have no names here, and there is nothing beside the Rollout

    def _assert_not_live(self, action: SwitchService) -> None:
        """A ping-pong Service that gets traffic and has somebody to answer keeps its pods."""
        held = self.selectors[action.name]
        live = held and self.shares.get(action.name) and any(self.slices.get(action.name, {}).values())
        assert not live or held == action.pod_hash, f"{action} while it carries {self.shares}: {self.describe()}"

    def _update(self, pods: Pods, action: UpdateReplicaSet) -> None:
        if action.replicas is not None:
            assert action.before == pods.wanted
            pods.wanted = action.replicas
            pods.ready = min(pods.ready, pods.wanted)
            pods.created = min(pods.created, pods.wanted)
        for key, value in action.annotations.items():
            if value is None:
                pods.annotations.pop(key, None)
            else:
                pods.annotations[key] = value

    def _route(self, action: RouteTraffic) -> None:
        wish = action.wish
        self.weights = (wish.weight(Role.STABLE), wish.weight(Role.CANARY))
        if self.shares:
            self.shares = {backend.service: backend.weight for backend in wish.backends}
        self.gained.append((self.weights[1], self.version))
        self.header_routes, self.mirrors = wish.header_routes, wish.mirrors
        if self.subsets is not None:
            stable, canary = wish.backend(Role.STABLE), wish.backend(Role.CANARY)
            assert stable is not None
            assert canary is not None
            self.subsets = (stable.pod_hash, canary.pod_hash)

    def once(self, *, lost_after: int = 1000) -> Plan:
        """Make one pass: decide, check every promise, obey."""
        seen = self.observe()
        plan = self.decide(seen)
        broken = plan_violations(seen, plan)
        if broken:
            raise AssertionError("; ".join(broken))
        FIGURES["passes decided"] += 1
        FIGURES["answers judged by every invariant"] += len(plan.actions) + 1
        self.obey(plan, lost_after=lost_after)
        self.last = plan
        self.passes += 1
        return plan

    def settle(self, *, passes: int = 400, until: str = "") -> Plan:
        """Make passes until nothing happens any more, or the Rollout is in phase *until*; time passes only when nothing else does."""
        for _ in range(passes):
            stored = self.rollout.status
            plan = self.once()
            moved = self.tick()
            if until and self.rollout.status.phase == until:
                return plan
            if plan.actions or moved or self.rollout.status != stored:
                continue
            if plan.wake_at is None:
                return plan
            self.now = max(self.now + timedelta(seconds=1), plan.wake_at)
        raise AssertionError(f"no rest after {passes} passes: {self.describe()}")

    def describe(self) -> str:
        status = self.rollout.status
        sizes = {pods.name: (pods.wanted, pods.ready) for pods in self.pods.values()}
        actions = self.last.actions if self.last is not None else ()
        because = self.last.because if self.last is not None else ()
        return (
            f"{status.phase} step {status.current_step_index} stable {status.stable_rs} current {status.current_pod_hash} sizes {sizes} "
            f"weights {self.weights} {self.shares} selectors {self.selectors} slices {self.slices} subsets {self.subsets} "
            f"actions {actions} because {because}"
        )

    # What people do.

    def new_template(self, version: str) -> None:
        self.version = version
        self._touch()

    def patch_status(self, **fields: object) -> None:
        self.rollout = msgspec.structs.replace(self.rollout, status=msgspec.structs.replace(self.rollout.status, **fields))

    def patch_spec(self, **fields: object) -> None:
        self.rollout = msgspec.structs.replace(self.rollout, spec=msgspec.structs.replace(self.rollout.spec, **fields))
        self._touch()

    def patch_canary(self, **fields: object) -> None:
        self.patch_spec(strategy=Strategy(canary=msgspec.structs.replace(self.canary, **fields)))

    def _touch(self) -> None:
        metadata = self.rollout.metadata
        self.rollout = msgspec.structs.replace(self.rollout, metadata=msgspec.structs.replace(metadata, generation=metadata.generation + 1))

    def abort(self) -> None:
        self.patch_status(abort=True)

    def retry(self) -> None:
        self.patch_status(abort=False)

    def promote(self) -> None:
        """Do what the kubectl plugin does: lift the pause, or skip the step."""
        status = self.rollout.status
        if status.pause_conditions:
            self.patch_status(pause_conditions=())
        elif self.canary.steps:
            self.patch_status(current_step_index=min((status.current_step_index or 0) + 1, len(self.canary.steps)))

    def promote_full(self) -> None:
        if self.rollout.status.current_pod_hash != self.rollout.status.stable_rs:
            self.patch_status(promote_full=True)

    def size(self, version: str) -> int:
        return self.pods[f"web-{version}"].wanted if f"web-{version}" in self.pods else 0


def world(
    *,
    canary: CanaryStrategy | None = None,
    replicas: int | None = 5,
    services: bool = True,
    subsets: bool = False,
    settled: bool = True,
) -> World:
    """Give a world; *settled* has version v1 deployed and at rest."""
    strategy = canary if canary is not None else CanaryStrategy()
    if services and not strategy.stable_service and strategy.ping_pong is None:
        strategy = msgspec.structs.replace(strategy, stable_service=STABLE_SERVICE, canary_service=CANARY_SERVICE)
    spec = RolloutSpec(
        replicas=replicas,
        selector=LabelSelector(match_labels={"app": "web"}),
        template=msgspec.Raw(b'{"metadata":{"labels":{"app":"web"}}}'),
        strategy=Strategy(canary=strategy),
    )
    rollout = Rollout(metadata=ObjectMeta(name="web", namespace="shop", generation=1), spec=spec)
    made = World(rollout=rollout)
    FIGURES["worlds lived"] += 1
    if strategy.stable_service:
        made.selectors = {STABLE_SERVICE: "", CANARY_SERVICE: ""}
    if strategy.ping_pong is not None:
        ping, pong = strategy.ping_pong.ping_service, strategy.ping_pong.pong_service
        made.selectors |= {ping: "", pong: ""}
        made.shares = {ping: 0, pong: 100} if alternates(strategy) and strategy.traffic_routing is not None else {}
    if subsets:
        made.subsets = ("", "")
    if settled:
        made.settle()
    return made


def istio(**fields: object) -> TrafficRouting:
    return msgspec.structs.replace(TrafficRouting(istio=IstioRouting()), **fields)


__all__ = ["CANARY_SERVICE", "PING_PONG", "STABLE_SERVICE", "Pods", "World", "istio", "replace", "world"]
