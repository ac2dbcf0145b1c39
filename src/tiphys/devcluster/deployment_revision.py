"""How does a Deployment's newest revision come into being?"""

from collections.abc import Sequence
from datetime import datetime

from tiphys.devcluster import deployment_status as words
from tiphys.devcluster import revisions
from tiphys.devcluster.claims import MANAGER, Claims
from tiphys.devcluster.conditions import condition_of
from tiphys.devcluster.deployment_sizes import Bounds, Fleet, grown
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Stored
from tiphys.devcluster.kinds import DEPLOYMENTS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import controller_of
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.storage import Store


class RevisionWriter:
    """Finds or makes the ReplicaSet of a Deployment's template, and numbers it."""

    def __init__(self, store: Store, claims: Claims) -> None:
        self._store = store
        self._claims = claims

    def ensure(
        self, deployment: Stored, sets: Sequence[Stored], bounds: Bounds, now: datetime, *, create: bool = True
    ) -> tuple[Stored, Stored | None]:
        """
        Give *deployment* as it stands now and the ReplicaSet of its template; None where there is none and none could be made.

        Raises: StatusError, it could not be made; the Deployment's conditions say so.
        """
        newest = revisions.newest(deployment.manifest, sets)
        former = [each for each in sets if newest is None or each.name != newest.name]
        revision = max((revisions.revision_of(each.manifest) for each in former), default=0) + 1
        if newest is not None:
            newest = self._renumbered(deployment, newest, revision)
            told = f'Found new replica set "{newest.name}"'
            found = words.Condition(type=words.PROGRESSING, status="True", reason="FoundNewReplicaSet", message=told)
            known = condition_of(deployment.manifest.get("status") or {}, words.PROGRESSING) is not None
            return self._note(deployment, newest, None if known else found, now), newest
        if not create:
            return deployment, None
        return self._create(deployment, former, revision, bounds, now)

    def _renumbered(self, deployment: Stored, newest: Stored, revision: int) -> Stored:
        """A template that came back is the newest revision again."""
        wanted = revisions.inherited(deployment.manifest, newest.manifest, revision)
        patience = deployment.manifest["spec"].get("minReadySeconds", 0)
        if wanted == revisions.annotations_of(newest.manifest) and newest.manifest["spec"].get("minReadySeconds", 0) == patience:
            return newest
        body = {"metadata": {"annotations": wanted}, "spec": {"minReadySeconds": patience or None}}
        self._store.patch(REPLICA_SETS, newest.name, PatchKind.MERGE, body, namespace=newest.namespace, manager=MANAGER)
        return self._store.fetch(REPLICA_SETS, newest.name, namespace=newest.namespace)

    def _create(
        self, deployment: Stored, former: Sequence[Stored], revision: int, bounds: Bounds, now: datetime
    ) -> tuple[Stored, Stored | None]:
        manifest = self._replica_set(deployment, former, revision, bounds)
        name = manifest["metadata"]["name"]
        there = self._store.read(REPLICA_SETS, name, deployment.namespace)
        if there is not None:
            return self._collided(deployment, there)
        try:
            self._store.create(REPLICA_SETS, manifest, namespace=deployment.namespace, manager=MANAGER)
        except StatusError as error:
            told = f'Failed to create new replica set "{name}": {error.message}'
            failure = words.Condition(type=words.PROGRESSING, status="False", reason="ReplicaSetCreateError", message=told)
            self._note(deployment, None, failure, now)
            raise
        newest = self._store.fetch(REPLICA_SETS, name, namespace=deployment.namespace)
        told = f'Created new replica set "{name}"'
        made = words.Condition(type=words.PROGRESSING, status="True", reason="NewReplicaSetCreated", message=told)
        return self._note(deployment, newest, made, now), newest

    def _collided(self, deployment: Stored, there: Stored) -> tuple[Stored, Stored | None]:
        """Somebody else has the name: the next look tries another hash. What was made by ourselves is not seen twice."""
        owner = controller_of(there.manifest)
        ours = owner is not None and owner["uid"] == deployment.manifest["metadata"]["uid"]
        if ours and revisions.same_template(there.manifest["spec"]["template"], deployment.manifest["spec"]["template"]):
            return deployment, there
        status = deployment.manifest.get("status") or {}
        counted = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        return self.write_status(deployment, counted, revisions.annotations_of(deployment.manifest)), None

    def _replica_set(self, deployment: Stored, former: Sequence[Stored], revision: int, bounds: Bounds) -> Manifest:
        copied = deployment.copy()
        spec, template = copied["spec"], copied["spec"]["template"]
        mark = revisions.template_hash(template, (copied.get("status") or {}).get("collisionCount"))
        name = f"{deployment.name}-{mark}"
        template["metadata"].pop("creationTimestamp", None)
        template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), revisions.HASH_LABEL: mark}
        selector = spec["selector"]
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), revisions.HASH_LABEL: mark}
        fleets = [_wanted(each) for each in former]
        size = grown(Fleet(name=name, wanted=0, available=0, created="", most=0), fleets, bounds)
        manifest: Manifest = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}}
        sized = {revisions.DESIRED: str(bounds.size), revisions.MOST: str(bounds.most)}
        manifest["metadata"] |= {
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {**revisions.inherited(copied, manifest, revision), **sized},
            "ownerReferences": [self._claims.reference(deployment)],
        }
        manifest["spec"] = {"replicas": size, "selector": selector, "template": template}
        if spec.get("minReadySeconds"):
            manifest["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        return manifest

    def _note(self, deployment: Stored, newest: Stored | None, condition: words.Condition | None, now: datetime) -> Stored:
        """Mark the Deployment with the revision of its newest, and say *condition* where somebody waits for progress."""
        status: Manifest = dict(deployment.manifest.get("status") or {})
        if condition is not None and words.deadline_of(deployment.manifest) is not None:
            status = words.said(status, condition, now)
        marked = dict(revisions.annotations_of(deployment.manifest))
        if newest is not None:
            marked[revisions.REVISION] = revisions.annotations_of(newest.manifest).get(revisions.REVISION, "")
        return self.write_status(deployment, status, marked)

    def write_status(self, deployment: Stored, status: Manifest, annotations: object) -> Stored:
        """Write *status* and *annotations* if they differ from what is there; gives the Deployment as it then is."""
        before = deployment.manifest
        if status == (before.get("status") or {}) and annotations == revisions.annotations_of(before):
            return deployment
        metadata = {**before["metadata"], "annotations": annotations}
        del metadata["resourceVersion"]
        changed: Manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "status": status}
        self._store.update(DEPLOYMENTS, changed, subresource="status", manager=MANAGER)
        return self._store.fetch(DEPLOYMENTS, deployment.name, namespace=deployment.namespace)


def _wanted(replica_set: Stored) -> Fleet:
    return Fleet(name=replica_set.name, wanted=replica_set.manifest["spec"]["replicas"], available=0, created="", most=0)
