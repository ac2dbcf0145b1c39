"""What do we know of the cluster without asking it, and whose business is a change?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from tiphys.api import names
from tiphys.api.analysis import AnalysisRun
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.words import Phase
from tiphys.api.workloads import EndpointSlice, ReplicaSet, Service
from tiphys.controller.cluster import ANALYSIS_RUN, ENDPOINT_SLICE, REPLICA_SET, ROLLOUT, SERVICE, Kind, Watched
from tiphys.controller.indexes import (
    managers_of,
    manifest_owner,
    marks_of,
    mentions_of,
    namespace_of,
    owner_key,
    owner_uid,
    ref_to,
    sliced_service,
    stray_in,
    uid_of,
    version_in,
)
from tiphys.controller.keeping import own_replica_set, own_rollout, own_run
from tiphys.controller.minding import Minding
from tiphys.controller.named import Naming, services_of
from tiphys.kube.store import Key, Store, Unreadable, identity, newer
from tiphys.traffic.router import Ref, Search
from tiphys.traffic.table import MARKS

ROLLOUT_KIND: Final[Kind] = ("argoproj.io", ROLLOUT)
REPLICA_SET_KIND: Final[Kind] = ("apps", REPLICA_SET)
SERVICE_KIND: Final[Kind] = ("", SERVICE)
_AT_REST: Final = frozenset({Phase.HEALTHY, Phase.DEGRADED})
SLICE_KIND: Final[Kind] = ("discovery.k8s.io", ENDPOINT_SLICE)
ANALYSIS_RUN_KIND: Final[Kind] = ("argoproj.io", ANALYSIS_RUN)


class Feed(Protocol):
    """Fills stores from a cluster: by watches over HTTP, or in one process."""

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        """Begin to keep *store* equal to the cluster's objects of *kind*; call *answered* once it is complete, or known to be absent."""

    def absent(self, kind: Kind) -> bool:
        """Tell whether the server does not serve *kind* or does not let us read it."""


class Listener(Protocol):
    """Is told which Rollouts a change concerns."""

    def changed(self, key: Key) -> None:
        """Something that the Rollout *key* is decided from changed."""

    def edited(self, key: Key) -> None:
        """A person changed the Rollout itself, or it is new."""

    def gone(self, key: Key, last: Rollout | None) -> None:
        """The Rollout is gone; *last* is how it was."""


class Mirror:
    """
    The caches of a controller: one store per kind, found by index, and what was written for whom.

    Kinds that only some Rollouts need are watched from the first time on that one needs them. Watched from the start are those whose
    objects may carry our mark for a Rollout that is gone, and the kinds of *outside* routers.
    """

    def __init__(self, feed: Feed, naming: Naming, *, outside: Iterable[Kind] = ()) -> None:
        self._feed = feed
        self._outside = frozenset(outside)
        self._naming = naming
        self.rollouts: Store[Rollout] = Store(
            Rollout,
            own=own_rollout,
            indexes={
                "service": self._services_named,
                "ref": self._refs_named,
                "search": self._searches_named,
                "kind": self._kinds_named,
                "namespace": namespace_of,
                "uid": uid_of,
            },
        )
        self.replica_sets: Store[ReplicaSet] = Store(
            ReplicaSet, own=own_replica_set, indexes={"owner": owner_uid, "stray": stray_in, "version": version_in}
        )
        self.services: Store[Service] = Store(Service, indexes={"manager": managers_of})
        self._runs: Store[AnalysisRun] = Store(AnalysisRun, own=own_run, indexes={"owner": owner_uid})
        self._slices: Store[EndpointSlice] = Store(EndpointSlice, indexes={"service": sliced_service})
        self._manifests: dict[Kind, Store[Manifest]] = {}
        self._started: set[Kind] = set()
        self._written: dict[Key, dict[Ref, str]] = {}
        self._dead: set[str] = set()
        self._minding = Minding()
        self._listener: Listener | None = None

    def start(self, listener: Listener) -> None:
        """Watch the kinds that every controller needs, and tell *listener* of changes."""
        self._listener = listener
        self.rollouts.subscribe(self._rollout_changed)
        self.replica_sets.subscribe(self._replica_set_changed)
        for kind in (ROLLOUT_KIND, REPLICA_SET_KIND, SERVICE_KIND, *MARKS, *sorted(self._outside)):
            self.demand(kind)

    @property
    def synced(self) -> bool:
        """Tell whether everything that was asked for so far has been read once, or cannot be."""
        return bool(self._started) and all(self.demand(kind) is not Watched.LOADING for kind in self._started)

    @property
    def watched(self) -> frozenset[Kind]:
        """Name the kinds that were asked for."""
        return frozenset(self._started)

    # Reading

    def rollout(self, key: Key) -> Rollout | None:
        """Give a Rollout, if it exists; one that does not decode as it was last readable."""
        return self.rollouts.get(*key)

    def broken(self, key: Key) -> Unreadable | None:
        """Say which version of a Rollout does not decode, and why, if it does not."""
        return self.rollouts.unreadable(key)

    def owned(self, uid: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets whose controller is the owner *uid*, in no particular order."""
        return [found for found in self.replica_sets.by_index("owner", uid) if found.metadata.uid not in self._dead]

    def runs(self, uid: str) -> Sequence[AnalysisRun]:
        """Give the AnalysisRuns whose controller is the owner *uid*, by name."""
        return sorted(self._runs.by_index("owner", uid), key=lambda run: run.metadata.name)

    def strays(self, namespace: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets with a hash label and without a controller."""
        return self.replica_sets.by_index("stray", namespace)

    def service(self, namespace: str, name: str) -> Service | None:
        """Give a Service, if it exists."""
        return self.services.get(namespace, name)

    def managed(self, key: Key) -> Sequence[Service]:
        """Give the Services whose annotation names the Rollout *key*, whether that exists or not."""
        return self.services.by_index("manager", key)

    def marked(self, key: Key) -> Mapping[Ref, Manifest]:
        """Give the route objects whose mark names the Rollout *key*, whether that exists or not."""
        found = {
            ref_to(group, kind, manifest): manifest
            for group, kind in MARKS
            if (store := self._manifests.get((group, kind))) is not None
            for manifest in store.by_index("manager", key)
        }
        return {ref: found[ref] for ref in sorted(found)}

    def versions(self, namespace: str) -> Sequence[ReplicaSet]:
        """Give the ReplicaSets with a hash label in *namespace*, whosever they are."""
        return self.replica_sets.by_index("version", namespace)

    def slices(self, namespace: str, service: str) -> Sequence[EndpointSlice] | None:
        """Give the EndpointSlices of a Service; nothing where they cannot be read."""
        if self.demand(SLICE_KIND) is not Watched.READY:
            return None
        return self._slices.by_index("service", (namespace, service))

    def manifest(self, ref: Ref) -> Manifest | None:
        """Give an object of a kind that some router needs, if it exists."""
        store = self._manifests.get((ref.group, ref.kind))
        return store.get(ref.namespace, ref.name) if store is not None else None

    def documents(self, key: Key, group: str) -> Mapping[Ref, Manifest]:
        """Give the objects of *group* that have the place of the Rollout *key*."""
        found = {
            Ref(group=kind[0], kind=kind[1], namespace=key.namespace, name=key.name): store.get(key.namespace, key.name)
            for kind, store in self._manifests.items()
            if kind[0] == group
        }
        return {ref: manifest for ref, manifest in found.items() if manifest is not None}

    def moving(self, kind: Kind) -> bool:
        """Tell whether a Rollout that needs objects of *kind* is on its way."""
        return any(rollout.status.phase not in _AT_REST for rollout in self.rollouts.by_index("kind", kind))

    def made_for(self, uid: str, kinds: Iterable[Kind]) -> Mapping[Ref, Manifest]:
        """Give the objects of *kinds* that some router needs whose controller is the owner *uid*, in the order of their names."""
        found = {
            ref_to(group, kind, manifest): manifest
            for group, kind in kinds
            if (store := self._manifests.get((group, kind))) is not None
            for manifest in store.by_index("owner", uid)
        }
        return {ref: found[ref] for ref in sorted(found)}

    def mentioning(self, searches: Iterable[Search]) -> Mapping[Ref, Manifest]:
        """Give the objects that any of *searches* is for, in the order of their names."""
        found = {
            ref_to(search.group, search.kind, manifest): manifest
            for search in searches
            if (store := self._manifests.get((search.group, search.kind))) is not None
            for manifest in store.by_index("mention", (search.namespace, search.name))
        }
        return {ref: found[ref] for ref in sorted(found)}

    def mind(self, key: Key, refs: Iterable[Ref]) -> None:
        """Wake the Rollout *key* by changes of *refs* as well, which it does not name, and of no others that were minded before."""
        self._minding.mind(key, refs)

    def demand(self, kind: Kind) -> Watched:
        """Say how far the cache of a kind is, and begin to fill it where nobody asked for it so far."""
        store = self.store(kind)
        if kind not in self._started:
            self._started.add(kind)
            self._subscribe(kind)
            self._feed.start(kind, store, lambda: self._answered(kind))
        if store.synced.is_set():
            return Watched.READY
        return Watched.ABSENT if self._feed.absent(kind) else Watched.LOADING

    def store(self, kind: Kind) -> Store[Any]:
        """Give the store of a kind; a kind that is none of ours is kept as plain JSON."""
        match kind:
            case ("argoproj.io", "Rollout"):
                return self.rollouts
            case ("apps", "ReplicaSet"):
                return self.replica_sets
            case ("", "Service"):
                return self.services
            case ("discovery.k8s.io", "EndpointSlice"):
                return self._slices
            case ("argoproj.io", "AnalysisRun"):
                return self._runs
            case _:
                return self._manifests.setdefault(
                    kind, Store(Manifest, indexes={"owner": manifest_owner, "mention": mentions_of(kind), "manager": marks_of(kind)})
                )

    # Own writes

    def wrote(self, key: Key, ref: Ref, version: str) -> None:
        """Remember that *ref* was written for the Rollout *key*, and became *version*."""
        self._written.setdefault(key, {})[ref] = version

    def deleted(self, uid: str) -> None:
        """Remember that we deleted the ReplicaSet *uid*: no picture shows it again."""
        self._dead.add(uid)

    def behind(self, key: Key) -> bool:
        """Tell whether the caches have not yet seen everything that was written for the Rollout *key*."""
        waiting = {ref: version for ref, version in self._written.pop(key, {}).items() if not self._has_seen(ref, version)}
        if waiting:
            self._written[key] = waiting
        return bool(waiting)

    def forget(self, key: Key) -> None:
        """Drop what was remembered for a Rollout that is gone."""
        self._written.pop(key, None)
        self.mind(key, ())

    def _has_seen(self, ref: Ref, version: str) -> bool:
        store = self.store((ref.group, ref.kind))
        known = store.get(ref.namespace, ref.name)
        return not newer(version, store.version or "0") or (known is not None and not newer(version, _version(known)))

    # Whose business is it?

    def _subscribe(self, kind: Kind) -> None:
        match kind:
            case ("", "Service"):
                self.services.subscribe(self._service_changed)
            case ("discovery.k8s.io", "EndpointSlice"):
                self._slices.subscribe(self._slice_changed)
            case ("argoproj.io", "AnalysisRun"):
                self._runs.subscribe(self._run_changed)
            case ("argoproj.io", "Rollout") | ("apps", "ReplicaSet"):
                pass
            case _:
                self._manifests[kind].subscribe(self._manifest_handler(kind))

    def _answered(self, kind: Kind) -> None:
        """Look again at the Rollouts that waited for *kind*; they themselves are told of one by one."""
        if kind != ROLLOUT_KIND:
            self._tell(self.rollouts.values())

    def _rollout_changed(self, key: Key, old: Rollout | None, new: Rollout | None) -> None:
        if self._listener is None:
            return
        if new is None and key not in self.rollouts:
            self._listener.gone(key, old)
            if self.managed(key) or self.marked(key) or self._held_outside(key):
                self._changed(key)
        elif old is None or new is None or old is new or _by_a_person(old, new):
            self._listener.edited(key)
        else:
            self._listener.changed(key)

    def _replica_set_changed(self, _key: Key, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        if new is None and old is not None:
            self._dead.discard(old.metadata.uid)
        owners = {owner_key(each) for each in (old, new) if each is not None}
        for owner in owners - {None}:
            self._changed(owner)
        if new is not None and stray_in(new):
            self._tell(each for each in self.rollouts.by_index("namespace", new.metadata.namespace) if _wants(each, new))

    def _service_changed(self, key: Key, _old: Service | None, new: Service | None) -> None:
        self._tell(self.rollouts.by_index("service", tuple(key)))
        for manager in () if new is None else managers_of(new):
            self._changed(manager)

    def _slice_changed(self, _key: Key, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for place in {place for each in (old, new) if each is not None for place in sliced_service(each)}:
            self._tell(self.rollouts.by_index("service", place))

    def _run_changed(self, _key: Key, old: AnalysisRun | None, new: AnalysisRun | None) -> None:
        for uid in {uid for each in (old, new) if each is not None for uid in owner_uid(each)}:
            self._tell(self.rollouts.by_index("uid", uid))

    def _manifest_handler(self, kind: Kind) -> Callable[[Key, Manifest | None, Manifest | None], None]:
        group, name = kind

        mentions, marks = mentions_of(kind), marks_of(kind)
        outside = kind in self._outside

        def changed(key: Key, old: Manifest | None, new: Manifest | None) -> None:
            ref = Ref(group=group, kind=name, namespace=key.namespace, name=key.name)
            self._tell(self.rollouts.by_index("ref", ref))
            for mindful in self._minding.by(ref):
                self._changed(mindful)
            for marker in () if new is None else marks(new):
                self._changed(marker)
            for space, mentioned in {place for each in (old, new) if each is not None for place in mentions(each)}:
                self._tell(self.rollouts.by_index("search", Search(group=group, kind=name, namespace=space, name=mentioned)))
            for owner in {owner for each in (old, new) if each is not None for owner in manifest_owner(each)}:
                self._tell(self.rollouts.by_index("uid", owner))
            if outside:
                self._outside_changed(key, name, there=new is not None)

        return changed

    def _outside_changed(self, key: Key, router: str, *, there: bool) -> None:
        """Look at the Rollout that a router speaks of, even one that is gone, and at those that have left the router."""
        if key.namespace and (there or key in self.rollouts):
            self._changed(key)
        if not key.namespace:
            self._tell(each for each in self.rollouts.values() if router in each.metadata.annotations.get(names.ROUTED_BY, ""))

    def _held_outside(self, key: Key) -> bool:
        return any(self.documents(key, group) for group in {group for group, _ in self._outside})

    def _tell(self, rollouts: Iterable[Rollout]) -> None:
        for rollout in rollouts:
            self._changed(Key(rollout.metadata.namespace, rollout.metadata.name))

    def _changed(self, key: Key | None) -> None:
        if self._listener is not None and key is not None:
            self._listener.changed(key)

    def _services_named(self, rollout: Rollout) -> Iterable[tuple[str, str]]:
        return [(rollout.metadata.namespace, name) for name in services_of(rollout)]

    def _refs_named(self, rollout: Rollout) -> Iterable[Ref]:
        named = self._naming.or_nothing(rollout)
        if named is None:
            return ()
        return named.refs if named.workload is None else (*named.refs, named.workload)

    def _searches_named(self, rollout: Rollout) -> Iterable[Search]:
        named = self._naming.or_nothing(rollout)
        return named.searches if named is not None else ()

    def _kinds_named(self, rollout: Rollout) -> Iterable[Kind]:
        named = self._naming.or_nothing(rollout)
        return named.kinds if named is not None else ()


def loading(caches: Mirror, kinds: Iterable[Kind]) -> bool:
    """Begin to watch *kinds*, and tell whether one of them has not been read yet."""
    states = [caches.demand(kind) for kind in kinds]
    return Watched.LOADING in states


def _version(known: object) -> str:
    return identity(known).version


def _wants(rollout: Rollout, stray: ReplicaSet) -> bool:
    selector = rollout.spec.selector
    return selector is not None and selector.matches(stray.metadata.labels)


def _by_a_person(old: Rollout, new: Rollout) -> bool:
    """Whether the difference is more than what we write ourselves."""
    return (
        old.metadata.generation != new.metadata.generation
        or old.metadata.uid != new.metadata.uid
        or old.status.abort != new.status.abort
        or old.status.promote_full != new.status.promote_full
        or (bool(old.status.pause_conditions) and not new.status.pause_conditions)
    )
