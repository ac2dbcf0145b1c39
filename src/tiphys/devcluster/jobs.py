"""Which pods does a Job need, what has become of them, and when is it over?"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tiphys.devcluster import job_status as words
from tiphys.devcluster.claims import MANAGER, Claims
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Event, Stored
from tiphys.devcluster.job_indexes import index_of, indexed, next_indexes
from tiphys.devcluster.kinds import JOBS, PODS
from tiphys.devcluster.podindex import PodIndex, controller_of, is_leaving, is_ready, labels_of
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.storage import Store
from tiphys.devcluster.workloads import BURST, pod_of

JobKey = tuple[str, str, str]
"""Namespace, name and uid: the pods of a Job that is gone have to be let go."""


class Jobs:
    """The Job controller, and what deletes Jobs that are over for long enough."""

    def __init__(self, store: Store, pods: PodIndex) -> None:
        self._store = store
        self._pods = pods
        self._claims = Claims(store=store, owner=JOBS, owned=PODS, index=pods)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[JobKey]:
        """A Job, or the one that a pod belongs or could belong to."""
        stored = event.stored
        if resource is JOBS:
            return ((stored.namespace, stored.name, event.manifest["metadata"]["uid"]),)
        owner = controller_of(event.manifest)
        if owner is not None:
            return ((stored.namespace, owner["name"], owner["uid"]),) if owner["kind"] == JOBS.kind else ()
        jobs = self._store.scan(JOBS, namespace=stored.namespace)
        selecting = (each for each in jobs if from_label_selector(each.manifest["spec"].get("selector"))(labels_of(stored.manifest)))
        return [(each.namespace, each.name, each.manifest["metadata"]["uid"]) for each in selecting]

    def sync(self, key: JobKey, now: datetime) -> datetime | None:
        """Take the next step of one Job."""
        namespace, name, uid = key
        found = self._store.read(JOBS, name, namespace)
        if found is None or found.manifest["metadata"]["uid"] != uid:
            for pod in self._pods.owned_by(uid):
                self._let_go(pod)
            return None
        job = found.manifest
        if words.is_finished(job):
            return self._forget(found, now)
        pods = self._claims.of(found)
        count = words.tally(job, pods)
        verdict = words.judge(job, count, now)
        if verdict is not None:
            self._end(found, pods, count, verdict, now)
            return None
        active, wake_at = self._manage(found, pods, count, now)
        status = words.suspended(job, words.reported(job, count, active, now), now)
        self._write(found, status)
        self._let_go_ended(pods, count)
        ends_at = words.deadline({**job, "status": status})
        return min((at for at in (wake_at, ends_at) if at is not None), default=None)

    # -- the ways to go on -------------------------------------------------------------------------------------------

    def _manage(self, job: Stored, pods: Sequence[Stored], count: words.Tally, now: datetime) -> tuple[Sequence[Stored], datetime | None]:
        """Make the pods that are missing and end those that are too many; gives what is active then, and when to make more."""
        active = list(count.active)
        wanted = 0 if job.manifest["spec"].get("suspend") else words.wanted(job.manifest, count)
        if is_leaving(job.manifest):
            return active, None
        if len(active) > wanted:
            for pod in sorted(active, key=lambda each: is_ready(each.manifest))[: len(active) - wanted]:
                self._let_go(pod)
                self._delete(pod)
                active.remove(pod)
            return active, None
        leaving = count.terminating if job.manifest["spec"].get("podReplacementPolicy") == "Failed" else 0
        missing = min(wanted - len(active) - leaving, BURST)
        next_at = words.next_pod_at(pods)
        if missing > 0 and next_at is not None and next_at > now:
            return active, next_at
        if count.done is None:
            return [*active, *(self._create(job) for _ in range(missing))], None
        under_way = [index_of(each.manifest) for each in active]
        return [*active, *(self._create(job, each) for each in next_indexes(job.manifest, count.done, under_way, max(0, missing)))], None

    def _end(self, job: Stored, pods: Sequence[Stored], count: words.Tally, verdict: words.Verdict, now: datetime) -> None:
        """End what still runs, and say that the Job is over once nothing runs and every end is counted."""
        for pod in count.active:
            if verdict.type == words.WILL_COMPLETE:
                self._let_go(pod)
            self._delete(pod)
        status = words.said(words.reported(job.manifest, count, count.active, now), verdict, now)
        if not count.active and not count.terminating and not any(count.noted.values()):
            status = words.said(status, verdict.finally_, now)
            if verdict.type == words.WILL_COMPLETE:
                status["completionTime"] = wire_time(now)
        self._write(job, status)
        self._let_go_ended(pods, count)

    def _forget(self, job: Stored, now: datetime) -> datetime | None:
        """Delete a Job that has been over for as long as it asked for."""
        at = words.forgotten_at(job.manifest)
        if at is None or at > now:
            return at
        if not is_leaving(job.manifest):
            uid = job.manifest["metadata"]["uid"]
            self._store.delete(JOBS, job.name, namespace=job.namespace, propagation="Foreground", preconditions={"uid": uid})
        return None

    # -- writing -------------------------------------------------------------------------------------------------------

    def _create(self, job: Stored, index: int | None = None) -> Stored:
        manifest = pod_of(job, self._claims.reference(job))
        if index is not None:
            manifest = indexed(manifest, job.name, index)
        manifest["metadata"]["finalizers"] = [*manifest["metadata"].get("finalizers", ()), words.FINALIZER]
        made = self._store.create(PODS, manifest, namespace=job.namespace, manager=MANAGER)
        return self._store.fetch(PODS, made["metadata"]["name"], namespace=job.namespace)

    def _let_go_ended(self, pods: Sequence[Stored], count: words.Tally) -> None:
        for pod in pods:
            if pod.manifest["metadata"]["uid"] in count.ended:
                self._let_go(pod)

    def _let_go(self, pod: Stored) -> None:
        """Take the finalizer from a pod."""
        there = self._store.read(PODS, pod.name, pod.namespace)
        finalizers = there.manifest["metadata"].get("finalizers") or [] if there is not None else []
        if there is not None and words.FINALIZER in finalizers and there.manifest["metadata"]["uid"] == pod.manifest["metadata"]["uid"]:
            manifest = there.copy()
            manifest["metadata"]["finalizers"] = [each for each in finalizers if each != words.FINALIZER]
            self._store.update(PODS, manifest, manager=MANAGER)

    def _delete(self, pod: Stored) -> None:
        try:
            self._store.delete(PODS, pod.name, namespace=pod.namespace, preconditions={"uid": pod.manifest["metadata"]["uid"]})
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def _write(self, job: Stored, status: Manifest) -> None:
        if status == job.manifest.get("status"):
            return
        metadata = dict(job.manifest["metadata"])
        del metadata["resourceVersion"]
        changed: Manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": status}
        self._store.update(JOBS, changed, subresource="status", manager=MANAGER)
