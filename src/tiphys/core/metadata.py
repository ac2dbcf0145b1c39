"""Which labels and annotations do the pods of a version carry for a while? (Lifecycle reference 3.9.)"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tiphys.api import names
from tiphys.api.codec import plain
from tiphys.api.equality import recorded_metadata
from tiphys.api.meta import ObjectMeta
from tiphys.api.rollout import Metadata
from tiphys.api.workloads import Pod, ReplicaSet
from tiphys.core.actions import UNMARKED, LabelPod, MetadataChange
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions

LOOK_AGAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """
    What the versions of a Rollout are marked with.

    *new* is for a version on its way (`canaryMetadata`, `previewMetadata`), *stable* for the one that serves (`stableMetadata`,
    `activeMetadata`).
    """

    new: Metadata = UNMARKED
    stable: Metadata = UNMARKED

    @classmethod
    def of(cls, new: Metadata | None, stable: Metadata | None) -> "Marks":
        """Read absent fields as nothing to carry."""
        return cls(new=new or UNMARKED, stable=stable or UNMARKED)

    def of_new(self, *, under_way: bool) -> Metadata:
        """Give what a version carries that is not stable yet; the first one carries what stable ones do."""
        return self.new if under_way else self.stable


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """What has to be written for it: annotations and the template of each ReplicaSet by name, and the pods that exist already."""

    annotations: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    templates: Mapping[str, MetadataChange] = field(default_factory=dict)
    pods: tuple[LabelPod, ...] = ()

    def look_at(self, now: datetime) -> datetime | None:
        """Say when to see whether the pods have it: no change of a pod is watched."""
        return now + LOOK_AGAIN if self.pods else None


def mark_versions(seen: Observed, revisions: Revisions, marks: Marks) -> Marking:
    """
    Decide what changes on ReplicaSets and on their pods.

    A ReplicaSet's template is first, so that pods to come are right; what the pods that exist still lack is noted on it in the same
    write, and taken away once they are seen to have it. So a death in between loses nothing, and nobody reads pods for nothing.
    """
    under_way = is_under_way(revisions)
    annotations: dict[str, Mapping[str, str | None]] = {}
    templates: dict[str, MetadataChange] = {}
    labelled: list[LabelPod] = []
    for rs in revisions.all:
        name = rs.metadata.name
        wanted = UNMARKED
        if rs is revisions.new:
            wanted = marks.of_new(under_way=under_way)
        elif rs is revisions.stable:
            wanted = marks.stable
        recorded = recorded_metadata(rs.metadata.annotations) or UNMARKED
        if recorded != wanted:
            annotations[name], templates[name] = _remark(seen, revisions, rs, before=recorded, after=wanted)
            continue
        missing = missing_on_pods(rs)
        if missing is not None and seen.pods is not None:
            lacking = _pods(seen.pods, rs, missing)
            labelled += lacking
            if not lacking:
                annotations[name] = {names.PODS_METADATA: None}
    return Marking(annotations=annotations, templates=templates, pods=tuple(labelled))


def is_under_way(revisions: Revisions) -> bool:
    """Tell whether a new version is on its way beside a stable one, aborted ones included."""
    return bool(revisions.stable_hash) and revisions.stable_hash != revisions.pod_hash


def missing_on_pods(rs: ReplicaSet) -> MetadataChange | None:
    """Read what the pods of *rs* that were there when its template changed still have to get; nothing where there is nothing to do."""
    text = rs.metadata.annotations.get(names.PODS_METADATA)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=MetadataChange)
    except msgspec.MsgspecError:
        return MetadataChange()


def first_annotations(marks: Metadata, template: bytes) -> dict[str, str]:
    """Give the annotations of a new ReplicaSet whose template carries *marks*: what they are, and what of *template* they hide."""
    if marks == UNMARKED:
        return {}
    hidden = _hidden(_metadata_of(template), UNMARKED, marks, UNMARKED)
    return {names.EPHEMERAL_METADATA: _text(marks), **({} if hidden == UNMARKED else {names.HIDDEN_METADATA: _text(hidden)})}


def _remark(
    seen: Observed, revisions: Revisions, rs: ReplicaSet, *, before: Metadata, after: Metadata
) -> tuple[Mapping[str, str | None], MetadataChange]:
    known = _read(rs.metadata.annotations.get(names.HIDDEN_METADATA))
    present = _metadata_of(bytes(rs.spec.template))
    own = _metadata_of(bytes(seen.rollout.spec.template)) if rs is revisions.new else ObjectMeta()
    change = MetadataChange(
        labels=_change(before.labels, after.labels, {**own.labels, **known.labels}),
        annotations=_change(before.annotations, after.annotations, {**own.annotations, **known.annotations}),
    )
    hidden = _hidden(present, before, after, known)
    annotations: dict[str, str | None] = {names.EPHEMERAL_METADATA: None if after == UNMARKED else _text(after)}
    if hidden != known:
        annotations[names.HIDDEN_METADATA] = None if hidden == UNMARKED else _text(hidden)
    if rs.spec.replicas or rs.status.replicas:
        earlier = missing_on_pods(rs) or MetadataChange()
        annotations[names.PODS_METADATA] = _text(
            MetadataChange(labels={**earlier.labels, **change.labels}, annotations={**earlier.annotations, **change.annotations})
        )
    return annotations, change


def _change(before: Mapping[str, str], after: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str | None]:
    """Set what is wanted; what is wanted no more gets the value of the template itself, or goes (12.5 #2916)."""
    gone: dict[str, str | None] = {key: own.get(key) for key in before if key not in after}
    return {**gone, **{key: value for key, value in after.items() if before.get(key) != value}}


def _hidden(present: ObjectMeta, before: Metadata, after: Metadata, known: Metadata) -> Metadata:
    """Tell which values of the template itself the marks *after* hide; those that *before* hides are *known*."""

    def one(there: Mapping[str, str], was: Mapping[str, str], now: Mapping[str, str], hidden: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in hidden.items() if key in now}
        return {**{key: there[key] for key in now if key in there and key not in was}, **kept}

    return Metadata(
        labels=one(present.labels, before.labels, after.labels, known.labels),
        annotations=one(present.annotations, before.annotations, after.annotations, known.annotations),
    )


def _pods(pods: tuple[Pod, ...], rs: ReplicaSet, missing: MetadataChange) -> list[LabelPod]:
    found: list[LabelPod] = []
    for pod in pods:
        controller = pod.metadata.controller
        if controller is None or controller.uid != rs.metadata.uid or pod.metadata.deletion_timestamp is not None:
            continue
        change = MetadataChange(
            labels={key: value for key, value in missing.labels.items() if pod.metadata.labels.get(key) != value},
            annotations={key: value for key, value in missing.annotations.items() if pod.metadata.annotations.get(key) != value},
        )
        if change.labels or change.annotations:
            found.append(LabelPod(name=pod.metadata.name, uid=pod.metadata.uid, change=change))
    return found


class _Templated(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


def _metadata_of(template: bytes) -> ObjectMeta:
    try:
        return msgspec.json.decode(template, type=_Templated).metadata if template else ObjectMeta()
    except msgspec.MsgspecError:
        return ObjectMeta()


def _read(text: str | None) -> Metadata:
    return recorded_metadata({names.EPHEMERAL_METADATA: text or ""}) or UNMARKED


def _text(value: Metadata | MetadataChange) -> str:
    """Write it as the reference does: compact, and without what is empty."""
    return msgspec.json.encode(plain(value) if isinstance(value, Metadata) else value, order="sorted").decode()
