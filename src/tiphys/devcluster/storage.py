"""
What objects are there, and who may change them how?

The store is the cluster without HTTP: in memory, synchronous, with an injected clock. The HTTP server is one of its
callers, the built-in loops and virtual-time tests are others, so all of them meet the same admission and the same
refusals (`StatusError`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from tiphys.devcluster import deleting, paging, selectors
from tiphys.devcluster.deleting import Deleted
from tiphys.devcluster.errors import already_exists, not_found
from tiphys.devcluster.history import ADDED, KEPT_EVENTS, Change, Event, Stored, Subscription, ordered
from tiphys.devcluster.kinds import CRDS, NAMESPACES, install
from tiphys.devcluster.objects import Found, Journal, Objects
from tiphys.devcluster.paging import Page
from tiphys.devcluster.patching import patched
from tiphys.devcluster.resources import Registry, ResourceType
from tiphys.devcluster.rules import Admission, Manifest
from tiphys.devcluster.sources import Names, wall_clock
from tiphys.devcluster.subresources import Scaling, merged_into, scale_of
from tiphys.devcluster.writing import no_change, prepare_create, prepare_update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiphys.devcluster.patching import PatchKind
    from tiphys.devcluster.sources import Clock
    from tiphys.devcluster.wire import Json

Warnings = list[str]
IN_PROCESS = "binding"  # how the scheduler places a pod; not served over HTTP
P = ParamSpec("P")
T = TypeVar("T")
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def _kept(write: Callable[Concatenate[Store, P], T]) -> Callable[Concatenate[Store, P], T]:
    """Let all that *write* wrote, in one piece, outlive this process before its caller has the answer."""

    @functools.wraps(write)
    def kept(self: Store, /, *args: P.args, **options: P.kwargs) -> T:
        try:
            return write(self, *args, **options)
        finally:
            self.objects.settle()

    return kept


class Store:
    """
    All objects of a cluster, their history, and the operations of its API.

    *names* gives uids and suffixes: seed it and a whole run repeats itself. *service_network* is where cluster IPs
    come from; `pods_on_loopback` says whether endpoints may be loopback addresses. Of each kind the last *kept_events*
    changes are remembered; who needs older ones gets 410. `read` and `scan` give shared objects that must not be
    changed; `get`, `create`, `update` and `patch` give manifests of the caller's own. With a *journal* the objects are
    those it has kept, and an operation that has returned is kept.
    """

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        names: Names | None = None,
        service_network: str = "10.96.0.0/16",
        kept_events: int = KEPT_EVENTS,
        journal: Journal | None = None,
    ) -> None:
        self.clock = clock
        self.names = names or Names()
        self.service_network = service_network
        self.pods_on_loopback = True
        self.registry = Registry()
        self.objects = Objects(kept_events=kept_events, journal=journal)
        install(self)
        self.objects.restore(CRDS.key)
        for name in FIRST_NAMESPACES:
            if self.read(NAMESPACES, name) is None:
                self.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="tiphys-devcluster")

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The resourceVersion of the last write."""
        return self.objects.version

    def read(self, resource: ResourceType, name: str, namespace: str = "") -> Stored | None:
        """Give the shared state of one object, or None."""
        return self.objects.read(resource, name, namespace)

    def scan(self, resource: ResourceType, *, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> Found:
        """Give the shared states of all objects of a kind that have all *labels*, by namespace and name."""
        return self.objects.scan(resource, namespace, labels)

    def get(self, resource: ResourceType, name: str, *, namespace: str = "", subresource: str = "") -> Manifest:
        """
        Give a copy of one object, or of its scale.

        Raises:
            StatusError: 404, it is not there.

        """
        return self.fetch(resource, name, namespace=namespace, subresource=subresource).copy()

    def fetch(self, resource: ResourceType, name: str, *, namespace: str = "", subresource: str = "") -> Stored:
        """Give one object, or its scale, without copying; 404 if it is not there."""
        found = self.read(resource, name, namespace)
        if found is None:
            raise not_found(resource, name, subresource)
        return scale_of(resource, found) if subresource == "scale" else found

    def list(
        self,
        resource: ResourceType,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str = "",
        at: int | None = None,
    ) -> Page:
        """
        List objects by namespace and name; *labels* and *fields* are selectors as kubectl takes them.

        *limit* 0 means all. *at* asks for the state at an older version. Pages of one list show one version.

        Raises:
            StatusError: 400 for a selector or token that cannot be read, 410 for a version no longer kept.

        """
        start, version = paging.read_token(continue_, at if at is not None else self.version)
        matches = selectors.matcher(resource, namespace="", labels=labels, fields=fields)
        found = self.scan(resource, namespace=namespace) if version == self.version else self.objects.as_of(resource, version, namespace)
        if start is not None:
            found = [stored for stored in found if (stored.namespace, stored.name) > start]
        if matches is not None:
            found = [stored for stored in found if matches(stored)]
        if not limit or len(found) <= limit:
            return Page(items=found, version=version)
        token = paging.token(version, found[limit - 1])
        remaining = None if labels or fields else len(found) - limit
        return Page(items=found[:limit], version=version, continue_=token, remaining=remaining)

    # -- writing ----------------------------------------------------------------------------------------------------

    def create(
        self,
        resource: ResourceType,
        manifest: Manifest,
        *,
        namespace: str = "",
        manager: str = "unknown",
        field_validation: str = "Warn",
        dry_run: bool = False,
        warnings: Warnings | None = None,
    ) -> Manifest:
        """
        Create an object and give it as stored; *manifest* itself stays as it is.

        *namespace* may be left out where the manifest names it. What is odd but allowed is added to *warnings*.

        Raises:
            StatusError: 409 the name is taken, 422 the object is not valid, 403 or 404 its namespace takes none.

        """
        write = self._write(resource, manager=manager, field_validation=field_validation, dry_run=dry_run, warnings=warnings)
        return self.insert(_own(manifest), write, namespace=namespace).copy()

    @_kept
    def insert(self, manifest: Manifest, write: Admission, *, namespace: str = "") -> Stored:
        """Create from a manifest that is given away, without copying; see `create`."""
        resource = write.resource
        prepare_create(manifest, write, namespace)
        metadata = manifest["metadata"]
        name, space = metadata["name"], metadata.get("namespace", "")
        there = self.read(resource, name, space)
        if there is not None:
            raise already_exists(resource, name, being_deleted="deletionTimestamp" in there.manifest["metadata"])
        if write.dry_run:
            return Stored(ordered(manifest), self.version)
        return self.objects.put(resource, manifest, None)

    def update(  # noqa: PLR0913 - the options of the API, all but two by keyword
        self,
        resource: ResourceType,
        manifest: Manifest,
        *,
        name: str = "",
        namespace: str = "",
        subresource: str = "",
        manager: str = "unknown",
        field_validation: str = "Warn",
        dry_run: bool = False,
        warnings: Warnings | None = None,
    ) -> Manifest:
        """
        Replace an object (or its status, or its scale) and give it as stored; *manifest* itself stays as it is.

        A resourceVersion in the manifest is a precondition. An update that changes nothing makes no new version.

        Raises:
            StatusError: 404 it is not there, 409 somebody wrote first, 422 the object is not valid.

        """
        write = self._write(resource, manager=manager, field_validation=field_validation, dry_run=dry_run, warnings=warnings)
        write.subresource = self._served(resource, name, subresource)
        name = name or manifest.get("metadata", {}).get("name", "")
        namespace = namespace or manifest.get("metadata", {}).get("namespace", "")
        return self.replace(_own(manifest), write, name=name, namespace=namespace).copy()

    def replace(self, manifest: Manifest, write: Admission, *, name: str, namespace: str = "") -> Stored:
        """Update from a manifest that is given away, without copying; see `update`."""
        resource = write.resource
        there = self.read(resource, name, namespace)
        if there is None:
            raise not_found(resource, name)
        if write.subresource == "scale":
            scaling = Scaling.of_manifest(manifest, resource, there)
            return self._rescale(scaling, write, there)
        return self.exchange(manifest, write, there)

    def patch(  # noqa: PLR0913 - the options of the API, all but four by keyword
        self,
        resource: ResourceType,
        name: str,
        kind: PatchKind,
        body: Json,
        *,
        namespace: str = "",
        subresource: str = "",
        manager: str = "unknown",
        field_validation: str = "Warn",
        dry_run: bool = False,
        warnings: Warnings | None = None,
    ) -> Manifest:
        """
        Change parts of an object (or of its status, or scale) and give it as stored.

        *body* is a dict, or for a JSON patch a list of operations. `metadata.resourceVersion` in it is a precondition.

        Raises:
            StatusError: 404, 409, 422 as for `update`; 415 for a strategic patch of a custom resource.

        """
        write = self._write(resource, manager=manager, field_validation=field_validation, dry_run=dry_run, warnings=warnings)
        write.subresource = self._served(resource, name, subresource)
        return self.amend(name, kind, body, write, namespace=namespace).copy()

    def amend(self, name: str, kind: PatchKind, body: Json, write: Admission, *, namespace: str = "") -> Stored:
        """Patch without copying the answer; see `patch`."""
        resource = write.resource
        there = self.read(resource, name, namespace)
        if there is None:
            raise not_found(resource, name)
        if write.subresource == "scale":
            before = scale_of(resource, there, lenient=True)
            changed = patched(before.copy(), kind, body, write)
            return self._rescale(Scaling.of_manifest(changed, resource, there), write, there)
        changed = patched(there.copy(), kind, body, write)
        return self.exchange(changed, write, there, by_patch=True)

    def _rescale(self, scaling: Scaling, write: Admission, there: Stored) -> Stored:
        changed = merged_into(there.copy(), scaling, write.resource)
        return scale_of(write.resource, self.exchange(changed, write, there, by_patch=True))

    @_kept
    def exchange(self, manifest: Manifest, write: Admission, there: Stored, *, by_patch: bool = False) -> Stored:
        """Put *manifest*, which is given away, in the place of *there*; *by_patch*: made out of it."""
        resource = write.resource
        write.old = there.manifest
        prepare_update(manifest, write, by_patch=by_patch)
        if no_change(manifest, there.manifest) and not deleting.is_finished(manifest):
            return there
        if deleting.is_finished(manifest):
            return self._finish(resource, manifest, there, write)
        if write.dry_run:
            return Stored(manifest, there.version)
        return self.objects.put(resource, manifest, there)

    def _finish(self, resource: ResourceType, manifest: Manifest, there: Stored, write: Admission) -> Stored:
        """Remove an object whose last finalizer went; the answer shows it as it would have been stored."""
        manifest["metadata"]["resourceVersion"] = str(there.version)
        if not write.dry_run:
            self.objects.remove(resource, there)
        return Stored(manifest, there.version)

    # -- deleting ---------------------------------------------------------------------------------------------------

    @_kept
    def delete(
        self,
        resource: ResourceType,
        name: str,
        *,
        namespace: str = "",
        propagation: str | None = None,
        preconditions: Mapping[str, str] | None = None,
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Deleted:
        """
        Delete an object, or mark it for deletion while finalizers or a kubelet hold it.

        *propagation* is Background (the default), Foreground or Orphan; *preconditions* may hold uid and
        resourceVersion. A pod on a node waits for *grace_seconds*; delete it with 0 to end that.

        Raises:
            StatusError: 404 it is not there, 409 a precondition does not hold.

        """
        there = self.read(resource, name, namespace)
        if there is None:
            raise not_found(resource, name)
        deleting.check(resource, there, preconditions or {})
        grace = resource.rules.grace_seconds(there.manifest, grace_seconds)
        marked = deleting.marked(resource, there, propagation=propagation, grace=grace, now=self.clock())
        if dry_run:
            return Deleted(stored=Stored(marked, there.version) if marked else there, gone=marked is None or deleting.is_finished(marked))
        if marked is not None and marked != there.manifest:
            there = self.objects.put(resource, marked, there)
        if marked is not None and not deleting.is_finished(marked):
            return Deleted(stored=there, gone=False)
        self.objects.remove(resource, there)
        return Deleted(stored=there, gone=True)

    def delete_collection(
        self,
        resource: ResourceType,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        propagation: str | None = None,
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Sequence[Stored]:
        """Delete all objects that the selectors match, and give them as they were."""
        found = self.list(resource, namespace=namespace, labels=labels, fields=fields).items
        for stored in found:
            self.delete(
                resource, stored.name, namespace=stored.namespace, propagation=propagation, grace_seconds=grace_seconds, dry_run=dry_run
            )
        return found

    # -- watching ---------------------------------------------------------------------------------------------------

    def watch(
        self,
        resource: ResourceType,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Subscription:
        """
        Follow a kind: first an ADDED for every object there is, or, with *since*, only what happened after it.

        Raises:
            StatusError: 410, what happened since then is no longer kept.

        """
        channel = self.objects.channel(resource)
        matches = selectors.matcher(resource, namespace=namespace or "", labels=labels, fields=fields)
        initial: list[Event] = []
        position = channel.end
        if since is None:
            there = self.scan(resource, namespace=namespace)
            initial = [Event(ADDED, stored) for stored in there if matches is None or matches(stored)]
        else:
            position = channel.position_after(since)
        return Subscription(
            channel, api_version=resource.api_version, position=position, after=since or 0, matches=matches, initial=initial
        )

    def compact(self) -> None:
        """Forget all history: watches and pages that need it get 410 from now on."""
        self.objects.compact()

    # -- inside -----------------------------------------------------------------------------------------------------

    def react(self, resource: ResourceType, reaction: Callable[[Change], None]) -> None:
        """Call *reaction* right after every write of a kind, before the writer has its answer."""
        self.objects.react(resource, reaction)

    @_kept
    def purge(self, resource: ResourceType) -> None:
        """Remove all objects of a kind at once, whatever holds them."""
        for stored in self.scan(resource):
            self.objects.remove(resource, stored)

    def admission(self, resource: ResourceType, *, manager: str = "unknown") -> Admission:
        """Begin a write, for callers of `insert`, `replace` and `amend`."""
        return self._write(resource, manager=manager)

    def _write(
        self,
        resource: ResourceType,
        *,
        manager: str,
        field_validation: str = "Warn",
        dry_run: bool = False,
        warnings: Warnings | None = None,
    ) -> Admission:
        return Admission(
            resource=resource,
            now=self.clock(),
            names=self.names,
            service_network=self.service_network,
            pods_on_loopback=self.pods_on_loopback,
            cluster=self,
            manager=manager,
            field_validation=field_validation,
            dry_run=dry_run,
            warnings=warnings if warnings is not None else [],
        )

    @staticmethod
    def _served(resource: ResourceType, name: str, subresource: str) -> str:
        if subresource and subresource not in (*resource.subresources, IN_PROCESS):
            raise not_found(resource, name)
        return subresource


def _own(manifest: Manifest) -> Manifest:
    """Copy a manifest so far that admission may change it in place."""
    return _deep(manifest)  # type: ignore[no-any-return]


def _deep(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _deep(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item) for item in value]
    return value
