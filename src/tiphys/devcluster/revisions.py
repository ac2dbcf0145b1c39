"""Which revision of its Deployment is a ReplicaSet? (pure)"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.api.podhash import hash_of_text
from tiphys.devcluster.history import Stored
from tiphys.devcluster.rules import Manifest

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
FORMER = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
_NOT_INHERITED = {"kubectl.kubernetes.io/last-applied-configuration", REVISION, FORMER, DESIRED, MOST, "deprecated.deployment.rollback.to"}
_LONGEST_HISTORY = 2000


def annotations_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the annotations, empty if there are none."""
    return manifest["metadata"].get("annotations") or {}


def revision_of(manifest: Mapping[str, Any]) -> int:
    """Give the revision that an object is marked with, 0 for none."""
    return number(annotations_of(manifest).get(REVISION))


def number(text: str | None) -> int:
    """Read a count from an annotation, 0 where there is none."""
    return int(text) if text and text.isdigit() else 0


def template_hash(template: Mapping[str, Any], collisions: int | None) -> str:
    """
    Give the hash that names the ReplicaSet of *template*.

    A real Deployment controller hashes what its own Go structures print, which changes with its version, and Rollouts' controller hashes
    JSON. This is neither: equal templates of a Rollout and a Deployment never make up the same name, as in a real cluster.
    """
    return hash_of_text(b"PodTemplateSpec " + msgspec.json.encode(template, order="sorted"), collisions)


def newest(deployment: Mapping[str, Any], sets: Iterable[Stored]) -> Stored | None:
    """Give the oldest ReplicaSet that has the template of *deployment*: a template that comes back finds its former one."""
    wanted = _without_hash(deployment["spec"]["template"])
    alike = [each for each in sets if _without_hash(each.manifest["spec"]["template"]) == wanted]
    return min(alike, key=lambda each: (each.manifest["metadata"]["creationTimestamp"], each.name), default=None)


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two templates differ in their hash labels only."""
    return _without_hash(one) == _without_hash(other)


def inherited(deployment: Mapping[str, Any], replica_set: Mapping[str, Any], revision: int) -> dict[str, str]:
    """Give the annotations of *replica_set* as its Deployment's newest revision; one that it had before goes into its history."""
    before = annotations_of(replica_set)
    given = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_INHERITED}
    wanted = {**before, **given}
    had = number(before.get(REVISION))
    if had < revision:
        wanted[REVISION] = str(revision)
        if had:
            wanted[FORMER] = _shortened([*filter(None, before.get(FORMER, "").split(",")), str(had)])
    return wanted


def _shortened(former: Sequence[str]) -> str:
    kept = list(former)
    while len(",".join(kept)) > _LONGEST_HISTORY and len(kept) > 1:
        kept.pop(0)
    return ",".join(kept)


def _without_hash(template: Mapping[str, Any]) -> Manifest:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}
