"""What would the first pass over each Rollout write, if a controller started on these objects now?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

import msgspec

from tiphys.api.meta import Manifest
from tiphys.api.words import EventType
from tiphys.api.workloads import Pod
from tiphys.controller.caches import REPLICA_SET_KIND, ROLLOUT_KIND, SERVICE_KIND, SLICE_KIND, Mirror
from tiphys.controller.cluster import Kind
from tiphys.controller.inquiries import Answered, Inquiries
from tiphys.controller.loop import Passes
from tiphys.controller.named import Naming
from tiphys.controller.queue import WorkQueue
from tiphys.controller.telemetry import Telemetry
from tiphys.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    Event,
    EvictPod,
    Plan,
    RouteTraffic,
    SwitchService,
    UpdateReplicaSet,
)
from tiphys.core.decide import decide
from tiphys.core.intent import Role
from tiphys.core.invariants import violated
from tiphys.core.observed import Observed
from tiphys.kube.codec import decode, encode
from tiphys.kube.diff import apply_merge_patch
from tiphys.kube.errors import DecodeError
from tiphys.kube.events import About
from tiphys.kube.store import Key, Store, Unreadable
from tiphys.traffic.router import Question, Ref
from tiphys.traffic.settings import Settings as RouterSettings
from tiphys.traffic.table import routers_of

FIRST_KINDS: Final = (ROLLOUT_KIND, REPLICA_SET_KIND, SERVICE_KIND, SLICE_KIND)
"""What every Rollout is decided from; which kinds its routers need, its spec says."""
_ROUNDS: Final = 3
"""Passes until ReplicaSets without an owner are adopted: that alone ends a pass."""


class Weight(IntEnum):
    """How much a write matters to somebody whose cluster is taken over, in rising order."""

    NOTHING = 0
    NOTE = 1
    """Status and annotations."""
    STEP = 2
    """What the present step asks for and is not there yet: sizes, selectors, routes."""
    STOP = 3
    """A new ReplicaSet, a restarted pod, a spec that is refused, a pass that fails: not to be taken over like this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that the pass would make: *what* in words, and the *body* that would be sent."""

    verb: str
    ref: Ref
    what: str
    body: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the first pass over the Rollout *key* would do."""

    key: Key
    weight: Weight
    writes: tuple[Write, ...]
    reasons: tuple[str, ...] = ()
    """Why it weighs what it does, one line each."""
    waits: tuple[str, ...] = ()
    """What is not happening, and why."""


@dataclass
class _Copy:
    """The objects, as copies that a rehearsal may change, by kind; it fills the caches as a watch would."""

    objects: dict[Kind, dict[Key, Manifest]] = field(default_factory=dict)
    stores: dict[Kind, Store[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> "_Copy":
        made = cls()
        for at, manifest in enumerate(manifests, start=1):
            metadata = manifest.get("metadata") or {}
            key = Key(metadata.get("namespace") or "default", metadata["name"])
            group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
            complete = {"namespace": key.namespace, "uid": f"uid-{at}", "resourceVersion": str(at), "generation": 1, **metadata}
            made.objects.setdefault((group, str(manifest.get("kind"))), {})[key] = {**manifest, "metadata": complete}
        return made

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        """Give the store all objects of its kind at once."""
        self.stores[kind] = store
        found, broken = [], []
        for key, manifest in self.objects.get(kind, {}).items():
            try:
                found.append(decode(encode(manifest), store.into, where=str(key)))
            except DecodeError as error:
                broken.append(Unreadable(key, manifest["metadata"]["resourceVersion"], error.problem))
        store.replace(found, broken, "1")
        answered()

    def absent(self, kind: Kind) -> bool:
        """Objects that are not there are simply not there."""
        del kind
        return False

    def change(self, ref: Ref, patch: Manifest) -> str:
        """Merge *patch* into an object, and give its version, as an API server would."""
        kind, key = (ref.group, ref.kind), Key(ref.namespace, ref.name)
        before = self.objects.get(kind, {}).get(key, {"metadata": {"name": ref.name, "namespace": ref.namespace}})
        version = str(int(before["metadata"].get("resourceVersion", "0")) + 1_000_000)
        after = apply_merge_patch(before, patch)
        after = {**after, "metadata": {**after["metadata"], "resourceVersion": version}}
        self.objects.setdefault(kind, {})[key] = after
        store = self.stores.get(kind)
        if store is not None:
            store.upsert(decode(encode(after), store.into, where=str(ref)))
        return version


class _Notebook:
    """Writes down what a pass would write, and changes the copies by it."""

    def __init__(self, copy: _Copy) -> None:
        self._copy = copy
        self.writes: dict[Key, list[Write]] = {}
        self.warnings: dict[Key, list[str]] = {}

    async def create(self, key: Key, ref: Ref, manifest: Manifest, *, purpose: str) -> None:
        """Note it."""
        self._note(key, "create", ref, purpose, manifest)
        self._copy.change(ref, manifest)

    async def patch(self, key: Key, ref: Ref, patch: Manifest, *, subresource: str = "", purpose: str) -> str:
        """Note it."""
        metadata = {name: value for name, value in (patch.get("metadata") or {}).items() if name != "resourceVersion"}
        body = {name: value for name, value in patch.items() if name != "metadata"} | ({"metadata": metadata} if metadata else {})
        self._note(key, f"patch {subresource}".strip(), ref, purpose, body)
        return self._copy.change(ref, body)

    async def delete(self, key: Key, ref: Ref, *, uid: str, resource_version: str, purpose: str) -> None:
        """Note it."""
        self._note(key, "delete", ref, purpose, {"uid": uid, "resourceVersion": resource_version})

    async def reread(self, key: Key, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read the copy."""
        del key, purpose
        return self._copy.objects.get((ref.group, ref.kind), {}).get(Key(ref.namespace, ref.name))

    async def find(self, ref: Ref, *, purpose: str) -> Manifest | None:
        """Read the copy."""
        return await self.reread(Key(ref.namespace, ref.name), ref, purpose=purpose)

    async def pods(self, key: Key, selector: str, *, purpose: str) -> Sequence[Pod]:
        """Read the copies; which of them are the Rollout's, their owners tell."""
        del selector, purpose
        found = self._copy.objects.get(("", "Pod"), {}).items()
        return [decode(encode(manifest), Pod, where=str(place)) for place, manifest in found if place.namespace == key.namespace]

    async def mark_pod(self, key: Key, name: str, patch: Manifest, *, purpose: str) -> None:
        """Note it."""
        self._note(key, "patch", Ref(group="", kind="Pod", namespace=key.namespace, name=name), purpose, patch)

    async def evict(self, key: Key, name: str, *, purpose: str) -> bool:
        """Note it."""
        self._note(key, "evict", Ref(group="", kind="Pod", namespace=key.namespace, name=name), purpose, {})
        return True

    def tell(self, about: About, event: Event) -> None:
        """Keep warnings: they say why a pass failed."""
        if event.type is EventType.WARNING:
            self.warnings.setdefault(Key(about.namespace, about.name), []).append(f"{event.reason}: {event.message}")

    def _note(self, key: Key, verb: str, ref: Ref, purpose: str, body: Manifest) -> None:
        self.writes.setdefault(key, []).append(Write(verb=verb, ref=ref, what=purpose, body=body))


class _Clock:
    """One moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Give the moment."""
        return self._now

    def monotonic(self) -> float:
        """Give no time: it stands still."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Nobody waits in a rehearsal."""
        raise AssertionError(f"a rehearsal does not wait, and somebody wanted {seconds} s")


class _NobodyAsks:
    """Products are not asked in a rehearsal: no answer is *not yet*, which holds everything that waits for one."""

    def begin(self, question: Question, answered: Answered) -> None:
        """Leave the question open."""


def kinds_needed(rollouts: Iterable[Manifest], routers: RouterSettings) -> frozenset[Kind]:
    """Name the kinds that the passes over *rollouts* read, so that somebody can fetch them."""
    copy = _Copy.of(rollouts)
    naming = Naming(lambda rollout: routers_of(rollout, settings=routers))
    mirror = Mirror(copy, naming)
    mirror.demand(ROLLOUT_KIND)
    named = (naming.or_nothing(rollout) for rollout in mirror.rollouts.values())
    return frozenset(FIRST_KINDS).union(*(each.kinds for each in named if each is not None))


async def rehearse(manifests: Iterable[Manifest], *, now: datetime, routers: RouterSettings) -> tuple[Rehearsal, ...]:
    """
    Make the first pass over every Rollout among *manifests*, on copies, and tell what it would write.

    It is the controller's own pass, with its gate. *manifests* are all objects of the kinds that it needs; one without a namespace is
    in `default`, and what an API server would have filled in (uid, versions) is made up where it is missing.
    """
    copy = _Copy.of(manifests)
    found = sorted(copy.objects.get(ROLLOUT_KIND, {}))
    book, thoughts = _Notebook(copy), dict[Key, tuple[Observed, Plan]]()
    clock = _Clock(now)

    def remember(seen: Observed) -> Plan:
        plan = decide(seen)
        metadata = seen.rollout.metadata
        thoughts.setdefault(Key(metadata.namespace, metadata.name), (seen, plan))
        return plan

    naming = Naming(lambda rollout: routers_of(rollout, settings=routers))
    caches, queue = Mirror(copy, naming), WorkQueue[Key](clock)
    passes = Passes(
        caches=caches,
        cluster=book,
        queue=queue,
        clock=clock,
        naming=naming,
        inquiries=Inquiries(_NobodyAsks(), clock),
        telemetry=Telemetry(),
        decide=remember,
        gate=violated,
    )
    caches.start(passes)
    for _ in range(_ROUNDS * len(found)):
        key = queue.take()
        if key is None:
            break
        if key in thoughts:
            queue.settle(key)
        else:
            await passes.look(key)
    return tuple(_judge(key, book, thoughts.get(key)) for key in found)


def _judge(key: Key, book: _Notebook, thought: tuple[Observed, Plan] | None) -> Rehearsal:
    writes = tuple(book.writes.get(key, ()))
    warnings = [(Weight.STOP, warning) for warning in book.warnings.get(key, ())]
    if thought is None:
        reasons = warnings or [(Weight.STOP, "no pass could be made over it")]
        return Rehearsal(key=key, weight=Weight.STOP, writes=writes, reasons=tuple(text for _, text in reasons))
    seen, plan = thought
    weighed = [*warnings, *(_weigh(action, seen) for action in plan.actions)]
    weighed += [(Weight.STOP, f"{problem.field}: {problem.wanted}") for problem in seen.problems]
    heaviest = max((weight for weight, _ in weighed), default=Weight.NOTE if writes else Weight.NOTHING)
    telling = dict.fromkeys(text for weight, text in weighed if weight >= Weight.STEP)
    waits = tuple(f"{because.object}: {because.why.value} (wanted {because.wanted}, found {because.found})" for because in plan.because)
    return Rehearsal(key=key, weight=heaviest, writes=writes, reasons=tuple(telling), waits=waits)


def _weigh(action: Action, seen: Observed) -> tuple[Weight, str]:
    match action:
        case CreateReplicaSet(name=name):
            return (
                Weight.STOP,
                f"no ReplicaSet is recognised as carrying the present template: {name} would be created, and its pods started",
            )
        case EvictPod(name=name):
            return Weight.STOP, f"pod {name} would be restarted"
        case DeleteReplicaSet(name=name):
            return Weight.STEP, f"ReplicaSet {name}, which is empty, would go: it is beyond revisionHistoryLimit"
        case UpdateReplicaSet(name=name, before=before, replicas=replicas) if replicas is not None:
            return Weight.STEP, f"ReplicaSet {name} would go from {before} to {replicas} pods"
        case SwitchService(name=name, before=before, pod_hash=pod_hash) if before != pod_hash:
            return Weight.STEP, f"Service {name} would select {pod_hash} instead of {before or 'every version'}"
        case RouteTraffic(wish=wish):
            router = seen.router
            said = "unreadable routes" if router is None or router.routed is None else f"weight {router.routed.canary}"
            return Weight.STEP, f"routes would say weight {wish.weight(Role.CANARY)} for the canary; they say {said}"
        case _:
            return Weight.NOTE, ""


def shown(rehearsal: Rehearsal) -> Mapping[str, Any]:
    """Give a rehearsal as plain JSON."""
    return {
        "namespace": rehearsal.key.namespace,
        "name": rehearsal.key.name,
        "verdict": rehearsal.weight.name.lower(),
        "reasons": list(rehearsal.reasons),
        "waits": list(rehearsal.waits),
        "writes": [
            {"verb": write.verb, "object": str(write.ref), "what": write.what, "body": msgspec.to_builtins(write.body)}
            for write in rehearsal.writes
        ],
    }


__all__ = ["FIRST_KINDS", "Rehearsal", "Weight", "Write", "kinds_needed", "rehearse", "shown"]
