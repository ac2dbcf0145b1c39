"""Which ReplicaSets does a Deployment have, how big is each now, and what does it report?"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tiphys.devcluster import deployment_status as words
from tiphys.devcluster import revisions
from tiphys.devcluster.claims import MANAGER, Claims
from tiphys.devcluster.deployment_revision import RevisionWriter
from tiphys.devcluster.deployment_sizes import Bounds, Fleet, Sizes, bounds_of, grown, shrunk, spread
from tiphys.devcluster.history import DELETED, Event, Stored
from tiphys.devcluster.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import Key, PodIndex, controller_of, has_ended, is_leaving, labels_of
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.storage import Store


class Deployments:
    """The Deployment controller: each look takes one step, and hears of it."""

    def __init__(self, store: Store, pods: PodIndex) -> None:
        self._store = store
        self._pods = pods
        self._sets = PodIndex()
        self._uids: dict[str, Key] = {}
        self._deployment_of: dict[str, str] = {}
        """Uid of a ReplicaSet to that of its Deployment."""
        self._claims = Claims(store=store, owner=DEPLOYMENTS, owned=REPLICA_SETS, index=self._sets)
        self._revisions = RevisionWriter(store, self._claims)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """A Deployment, the one that a ReplicaSet belongs (or belonged, or could belong) to, or the one that waits for a pod to go."""
        metadata = event.manifest["metadata"]
        if resource is DEPLOYMENTS:
            if event.type == DELETED:
                self._uids.pop(metadata["uid"], None)
                return ()
            self._uids[metadata["uid"]] = (event.stored.namespace, event.stored.name)
            return self._known(metadata["uid"])
        owner = controller_of(event.manifest)
        uid = owner["uid"] if owner is not None else ""
        if resource is PODS:
            ended = event.type == DELETED or has_ended(event.manifest)
            return [key for key in self._known(self._deployment_of.get(uid, "")) if self._waits_for_pods(key)] if ended else ()
        before = self._sets.hear(event)
        former = controller_of(before.manifest) if before is not None else None
        found = {*self._known(uid), *self._known(former["uid"] if former is not None else "")}
        if event.type == DELETED:
            self._deployment_of.pop(metadata["uid"], None)
            return found
        self._deployment_of[metadata["uid"]] = uid
        return found if owner is not None else {*found, *self._selecting(event.stored)}

    def _waits_for_pods(self, key: Key) -> bool:
        found = self._store.read(DEPLOYMENTS, key[1], key[0])
        return found is not None and found.manifest["spec"]["strategy"]["type"] == "Recreate"

    def _known(self, uid: str) -> Iterable[Key]:
        return (self._uids[uid],) if uid in self._uids else ()

    def _selecting(self, replica_set: Stored) -> Iterable[Key]:
        for each in self._store.scan(DEPLOYMENTS, namespace=replica_set.namespace):
            if from_label_selector(each.manifest["spec"].get("selector"))(labels_of(replica_set.manifest)):
                yield (each.namespace, each.name)

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Take the next step of one Deployment."""
        found = self._store.read(DEPLOYMENTS, key[1], key[0])
        if found is None:
            return None
        if (status := words.stopped(found.manifest, now)) is not None:
            found = self._write_status(found, status)
        sets = self._claims.of(found)
        bounds = bounds_of(found.manifest["spec"])
        if is_leaving(found.manifest):
            return self._report(found, sets, bounds, now)
        if found.manifest["spec"].get("paused") or self._is_resized(found, sets):
            return self._resize(found, sets, bounds, now)
        if bounds.rolling:
            return self._roll(found, sets, bounds, now)
        return self._recreate(found, sets, bounds, now)

    # -- the ways to go on -------------------------------------------------------------------------------------------

    def _roll(self, deployment: Stored, sets: Sequence[Stored], bounds: Bounds, now: datetime) -> datetime | None:
        """Let the newest grow as far as there is room, else the others shrink as far as pods can be spared."""
        deployment, newest = self._revisions.ensure(deployment, sets, bounds, now)
        if newest is None:
            return None
        old = _others(sets, newest)
        fleets = [_fleet(each) for each in old]
        wanted: Sizes = {newest.name: grown(_fleet(newest), fleets, bounds)}
        if wanted == {newest.name: newest.manifest["spec"]["replicas"]}:
            wanted = shrunk(_fleet(newest), fleets, bounds)
        return self._finish(deployment, newest, old, wanted, bounds, now)

    def _recreate(self, deployment: Stored, sets: Sequence[Stored], bounds: Bounds, now: datetime) -> datetime | None:
        """Let all others go, wait until their last pod has ended, and only then begin the newest."""
        deployment, newest = self._revisions.ensure(deployment, sets, bounds, now, create=False)
        old = _others(sets, newest)
        wanted: Sizes = {each.name: 0 for each in old if each.manifest["spec"]["replicas"]}
        if not wanted and not self._run(old):
            deployment, newest = self._revisions.ensure(deployment, sets, bounds, now)
            if newest is None:
                return None
            wanted = {newest.name: bounds.size}
        return self._finish(deployment, newest, old, wanted, bounds, now)

    def _run(self, sets: Sequence[Stored]) -> bool:
        """Whether a pod of *sets* has not ended yet, those on their way out included."""
        pods = (pod for each in sets for pod in self._pods.owned_by(each.manifest["metadata"]["uid"]))
        return any(not has_ended(pod.manifest) for pod in pods)

    def _resize(self, deployment: Stored, sets: Sequence[Stored], bounds: Bounds, now: datetime) -> datetime | None:
        """Bring the ReplicaSets to a size that changed, and begin nothing new: a paused Deployment, or one that was scaled."""
        deployment, newest = self._revisions.ensure(deployment, sets, bounds, now, create=False)
        old = _others(sets, newest)
        wanted = self._resized(deployment, newest, old, bounds)
        self._scale(deployment, [*old, *([newest] if newest else [])], wanted, bounds)
        if deployment.manifest["spec"].get("paused"):
            self._forget_oldest(deployment, old)
        return self._report(deployment, self._again([*old, *([newest] if newest else [])]), bounds, now)

    def _resized(self, deployment: Stored, newest: Stored | None, old: Sequence[Stored], bounds: Bounds) -> Sizes:
        every = [*old, *([newest] if newest is not None else [])]
        active = [each for each in every if each.manifest["spec"]["replicas"]]
        if len(active) < 2:
            latest = sorted(old, key=lambda each: _fleet(each).age)[-1:]
            one = active[0] if active else newest or next(iter(latest), None)
            return {one.name: bounds.size} if one is not None else {}
        if newest is not None and _is_saturated(newest, bounds.size):
            return {each.name: 0 for each in old}
        if not bounds.rolling:
            return {}
        return spread([_fleet(each) for each in active], bounds, (deployment.manifest.get("status") or {}).get("replicas", 0))

    def _is_resized(self, deployment: Stored, sets: Sequence[Stored]) -> bool:
        """Whether a ReplicaSet with pods was sized for another count than is wanted now."""
        size = deployment.manifest["spec"]["replicas"]
        noted = [
            revisions.annotations_of(each.manifest).get(revisions.DESIRED) for each in sets if each.manifest["spec"].get("replicas", 1)
        ]
        return any(each is not None and each != str(size) for each in noted)

    # -- writing -------------------------------------------------------------------------------------------------------

    def _finish(
        self, deployment: Stored, newest: Stored | None, old: Sequence[Stored], wanted: Sizes, bounds: Bounds, now: datetime
    ) -> datetime | None:
        every = [*old, *([newest] if newest is not None else [])]
        changed = self._scale(deployment, every, wanted, bounds)
        if changed:
            every = self._again(every)
            newest = revisions.newest(deployment.manifest, every)
            old = _others(every, newest)
        status = words.counted(deployment.manifest, newest, old, bounds, now)
        if not changed and words.is_complete(deployment.manifest, status):
            self._forget_oldest(deployment, old)
        status = words.failed(words.progressed(deployment.manifest, status, newest, now), [*([newest] if newest else []), *old])
        self._write_status(deployment, status)
        return words.late_at(deployment.manifest, status)

    def _report(self, deployment: Stored, sets: Sequence[Stored], bounds: Bounds, now: datetime) -> datetime | None:
        """Write what is counted, and judge nothing."""
        newest = revisions.newest(deployment.manifest, sets)
        self._write_status(deployment, words.counted(deployment.manifest, newest, _others(sets, newest), bounds, now))
        return None

    def _scale(self, deployment: Stored, sets: Sequence[Stored], wanted: Sizes, bounds: Bounds) -> bool:
        """Give ReplicaSets their *wanted* sizes and note what they were sized for; says whether a size changed."""
        noted = {revisions.DESIRED: str(bounds.size), revisions.MOST: str(bounds.most)}
        changed = False
        for each in sets:
            size = wanted.get(each.name)
            resized = size is not None and size != each.manifest["spec"]["replicas"]
            if size is not None and (resized or not noted.items() <= revisions.annotations_of(each.manifest).items()):
                body = {"metadata": {"annotations": noted}, "spec": {"replicas": size}}
                self._store.patch(REPLICA_SETS, each.name, PatchKind.MERGE, body, namespace=deployment.namespace, manager=MANAGER)
            changed = changed or resized
        return changed

    def _forget_oldest(self, deployment: Stored, old: Sequence[Stored]) -> None:
        """Delete the oldest revisions beyond the history's limit, if they are empty and know it."""
        limit = deployment.manifest["spec"].get("revisionHistoryLimit")
        if limit is None:
            return
        alive = [each for each in old if not is_leaving(each.manifest)]
        for each in sorted(alive, key=lambda each: revisions.revision_of(each.manifest))[: max(0, len(alive) - limit)]:
            status, metadata = each.manifest.get("status") or {}, each.manifest["metadata"]
            known = status.get("observedGeneration", 0) >= metadata.get("generation", 1)
            if known and not status.get("replicas") and not each.manifest["spec"]["replicas"]:
                self._store.delete(REPLICA_SETS, each.name, namespace=each.namespace, preconditions={"uid": metadata["uid"]})

    def _again(self, sets: Sequence[Stored]) -> list[Stored]:
        found = (self._store.read(REPLICA_SETS, each.name, each.namespace) for each in sets)
        return [each for each in found if each is not None]

    def _write_status(self, deployment: Stored, status: Manifest) -> Stored:
        return self._revisions.write_status(deployment, status, revisions.annotations_of(deployment.manifest))


def _others(sets: Sequence[Stored], newest: Stored | None) -> list[Stored]:
    return [each for each in sets if newest is None or each.name != newest.name]


def _fleet(replica_set: Stored) -> Fleet:
    manifest = replica_set.manifest
    return Fleet(
        name=replica_set.name,
        wanted=manifest["spec"]["replicas"],
        available=(manifest.get("status") or {}).get("availableReplicas", 0),
        created=manifest["metadata"]["creationTimestamp"],
        most=revisions.number(revisions.annotations_of(manifest).get(revisions.MOST)),
    )


def _is_saturated(newest: Stored, size: int) -> bool:
    fleet = _fleet(newest)
    return fleet.wanted == fleet.available == size and revisions.annotations_of(newest.manifest).get(revisions.DESIRED) == str(size)
