"""May somebody do something? In a development cluster: always."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import Cause, invalid
from tiphys.devcluster.managed import record_create
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Rules
from tiphys.devcluster.shapes import Shape

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Admission

_GROUP = "authorization.k8s.io"
# (group, version, plural, kind, namespaced): asked with a create, answered at once, never stored.
REVIEWS: tuple[tuple[str, str, str, str, bool], ...] = (
    (_GROUP, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
    (_GROUP, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    (_GROUP, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    (_GROUP, "v1", "subjectaccessreviews", "SubjectAccessReview", False),
)


class _ReviewRules(Rules):
    """A review is never stored; this only says how its fields are owned."""

    shape = Shape(fields={"spec": Shape(always=True)})


_RULES = _ReviewRules()


_TYPES = {
    (group, version, plural): ResourceType(group=group, version=version, plural=plural, kind=kind, rules=_RULES, namespaced=namespaced)
    for group, version, plural, kind, namespaced in REVIEWS
}


def review_type(group: str, version: str, plural: str) -> ResourceType | None:
    """Give the kind of review that a URL names, or None."""
    return _TYPES.get((group, version, plural))


def answered(body: dict[str, Any], write: Admission) -> dict[str, Any]:
    """
    Answer a review.

    Raises:
        StatusError: 422, it does not say what it asks about.

    """
    kind, spec = write.resource.kind, body.get("spec") or {}
    if kind == "SelfSubjectRulesReview":
        rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        status: dict[str, Any] = {
            "resourceRules": rules,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
    else:
        if bool(spec.get("resourceAttributes")) == bool(spec.get("nonResourceAttributes")):
            words = 'Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified'
            raise invalid(_GROUP, "", "", [Cause("spec.resourceAttributes", words)])
        if not kind.startswith("Self") and not spec.get("user") and not spec.get("groups"):
            words = 'Invalid value: "": at least one of user or group must be specified'
            raise invalid(_GROUP, "", "", [Cause("spec.user", words)])
        status = {"allowed": True}
    metadata = {**(body.get("metadata") or {}), "creationTimestamp": None}
    review = {"kind": kind, "apiVersion": f"{_GROUP}/v1", "metadata": metadata, "spec": spec}
    record_create(review, write)
    return {**review, "status": status}
