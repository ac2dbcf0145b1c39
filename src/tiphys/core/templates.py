"""What changes on the pod templates of ReplicaSets that are there, and what is a new one made from?"""

from dataclasses import dataclass, field

from tiphys.api.meta import Manifest
from tiphys.api.rollout import AntiAffinity
from tiphys.core.actions import CreateReplicaSet
from tiphys.core.antiaffinity import kept_apart
from tiphys.core.metadata import Marking, Marks, first_annotations, is_under_way, mark_versions
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions, create_new


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Ephemeral metadata, the affinity of the new version's pods where it has to change, and the ReplicaSet to make if there is none."""

    marking: Marking = field(default_factory=Marking)
    affinity: Manifest | None = None
    create: CreateReplicaSet | None = None


def change_templates(seen: Observed, revisions: Revisions, *, replicas: int, marks: Marks, apart: AntiAffinity | None) -> Changes:
    """Decide what pods to come are like: *marks* are what versions carry for a while, *apart* is how they keep away from each other."""
    marking = mark_versions(seen, revisions, marks)
    if revisions.new is not None:
        return Changes(marking=marking, affinity=kept_apart(seen, revisions, apart, bytes(revisions.new.spec.template)))
    template = bytes(seen.rollout.spec.template)
    carried = marks.of_new(under_way=is_under_way(revisions))
    create = create_new(
        seen,
        revisions,
        replicas,
        metadata=carried,
        recorded=first_annotations(carried, template),
        affinity=kept_apart(seen, revisions, apart, template),
    )
    return Changes(marking=marking, create=create)
