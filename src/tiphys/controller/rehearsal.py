"""What would the first pass over each Rollout write, if a controller started on these objects now?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.words import EventType
from tiphys.api.workloads import Pod
from tiphys.controller.apply import Gate
from tiphys.controller.caches import REPLICA_SET_KIND, ROLLOUT_KIND, SERVICE_KIND, SLICE_KIND, Mirror
from tiphys.controller.cluster import Kind
from tiphys.controller.inquiries import Answered, Inquiries
from tiphys.controller.kinds import PLAIN_REPLICA_SET
from tiphys.controller.loop import Decide, Passes
from tiphys.controller.named import Naming
from tiphys.controller.outside import Feeds
from tiphys.controller.queue import WorkQueue
from tiphys.controller.telemetry import Telemetry
from tiphys.controller.verdicts import POD_KIND, Given, Rehearsal, Thought, Write, judge
from tiphys.core.actions import Event, Plan
from tiphys.core.decide import decide as decide_rollout
from tiphys.core.invariants import violated
from tiphys.core.observed import Observed
from tiphys.core.restart import restart_due
from tiphys.kube.codec import decode, encode
from tiphys.kube.diff import apply_merge_patch
from tiphys.kube.errors import DecodeError
from tiphys.kube.events import About
from tiphys.kube.store import Key, Store, Unreadable
from tiphys.plugins.client import RouterApi
from tiphys.plugins.documents import GROUP as OUTSIDE
from tiphys.plugins.outposts import Outposts
from tiphys.plugins.router import external_router
from tiphys.traffic.router import Question, Ref
from tiphys.traffic.settings import Settings as RouterSettings
from tiphys.traffic.table import routers_of

BESIDE: Final = (REPLICA_SET_KIND, SERVICE_KIND, SLICE_KIND)
"""What every Rollout is decided from, beside itself; which kinds its routers need, its spec says."""
_ROUNDS: Final = 3
"""Passes until ReplicaSets without an owner are adopted: that alone ends a pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """
    What the operator of the controller would choose, as far as a pass depends on it (`tiphys.controller.settings`).

    *outside* are the routers in other processes, by name: they are asked what they say now, and told nothing.
    """

    routers: RouterSettings = field(default_factory=RouterSettings)
    probes: bool = True
    outside: Mapping[str, RouterApi] = field(default_factory=dict)

    @property
    def all_routers(self) -> RouterSettings:
        """The choices about routers, with those in other processes among them."""
        external = {name: partial(external_router, name) for name in self.outside}
        return replace(self.routers, external={**self.routers.external, **external})


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
            kind, whole = (group, str(manifest.get("kind"))), {**manifest, "metadata": complete}
            made.objects.setdefault(kind, {})[key] = whole
            if kind == REPLICA_SET_KIND and names.HASH_LABEL not in (metadata.get("labels") or {}):
                made.objects.setdefault(("apps", PLAIN_REPLICA_SET), {})[key] = whole
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
        self.warnings: dict[Key, list[Event]] = {}

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
            self.warnings.setdefault(Key(about.namespace, about.name), []).append(event)

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


def needed(rollouts: Iterable[Manifest], choices: Choices) -> Mapping[Kind, frozenset[str]]:
    """Name what of the API server the passes over *rollouts* read, so that somebody can fetch it: kinds, and namespaces of each."""
    copy = _Copy.of(rollouts)
    naming = _naming(choices)
    mirror = Mirror(copy, naming)
    mirror.demand(ROLLOUT_KIND)
    spaces: dict[Kind, set[str]] = {}
    for rollout in mirror.rollouts.values():
        own, named = rollout.metadata.namespace, naming.or_nothing(rollout)
        restarts = rollout.spec.restart_at is not None and rollout.spec.restart_at != rollout.status.restarted_at
        for kind in (*BESIDE, *([POD_KIND] if restarts else []), *(() if named is None else named.kinds)):
            spaces.setdefault(kind, set()).add(own)
        for read in () if named is None else named.refs:
            spaces[read.group, read.kind].add(read.namespace)
    return {kind: frozenset(found) for kind, found in spaces.items() if kind[0] != OUTSIDE}


def _naming(choices: Choices) -> Naming:
    settings = choices.all_routers
    return Naming(lambda rollout: routers_of(rollout, settings=settings))


async def rehearse(
    manifests: Iterable[Manifest], *, now: datetime, choices: Choices, decide: Decide = decide_rollout, gate: Gate = violated
) -> tuple[Rehearsal, ...]:
    """
    Make the first pass over every Rollout among *manifests*, on copies, and tell what it would write.

    It is the controller's own pass: *decide* and *gate* are what a controller has, too. *manifests* are all objects of the kinds that it
    needs; one without a namespace is in `default`, and what an API server would have filled in (uid, versions) is made up where it is
    missing.
    """
    copy = _Copy.of(manifests)
    found = sorted(copy.objects.get(ROLLOUT_KIND, {}))
    phases = {key: _phase(copy.objects[ROLLOUT_KIND][key]) for key in found}
    book, thoughts = _Notebook(copy), dict[Key, Thought]()
    clock = _Clock(now)

    def remember(seen: Observed) -> Plan:
        plan = decide(seen)
        metadata = seen.rollout.metadata
        thoughts.setdefault(Key(metadata.namespace, metadata.name), Thought(seen=seen, plan=plan))
        return plan

    naming = _naming(choices)
    outposts = Outposts(choices.outside, clock)
    caches, queue = Mirror(Feeds(copy, outposts), naming, outside=outposts.kinds), WorkQueue[Key](clock)
    passes = Passes(
        caches=caches,
        cluster=book,
        queue=queue,
        clock=clock,
        naming=naming,
        inquiries=Inquiries(_NobodyAsks(), clock),
        telemetry=Telemetry(),
        decide=remember,
        gate=gate,
        probes=choices.probes,
    )
    caches.start(passes)
    for name in choices.outside:
        await outposts.look(name)
    given = {key: _given(caches.rollout(key), copy, naming, now) for key in found}
    for _ in range(_ROUNDS * len(found)):
        key = queue.take()
        if key is None:
            break
        if key in thoughts:
            queue.settle(key)
        else:
            await passes.look(key)
    return tuple(
        judge(
            key,
            phase=phases[key],
            writes=book.writes.get(key, ()),
            warnings=book.warnings.get(key, ()),
            thought=thoughts.get(key),
            given=given[key],
        )
        for key in found
    )


def _given(rollout: Rollout | None, copy: _Copy, naming: Naming, now: datetime) -> Given:
    """Name the kinds of which no object at all was given, although *rollout* is decided from some."""
    named = None if rollout is None else naming.or_nothing(rollout)
    if rollout is None or named is None:
        return Given()
    must = {
        REPLICA_SET_KIND: bool(rollout.status.current_pod_hash),
        SERVICE_KIND: bool(named.services),
        SLICE_KIND: bool(named.services),  # a Service with a selector has one even without pods
        POD_KIND: restart_due(rollout, now) and rollout.status.replicas > 0,
    }
    missing = tuple(kind[1] for kind, asked in must.items() if asked and not copy.objects.get(kind))
    empty = sorted(kind[1] for kind in named.kinds if kind[0] != OUTSIDE and not copy.objects.get(kind))
    return Given(missing=missing, empty=tuple(empty))


def _phase(rollout: Manifest) -> str:
    status = rollout.get("status")
    return str(status.get("phase", "")) if isinstance(status, dict) else ""


__all__ = ["Choices", "Rehearsal", "needed", "rehearse"]
