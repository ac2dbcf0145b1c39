"""May somebody do something? In a development cluster: always."""

from __future__ import annotations

from typing import Any

from tiphys.devcluster.errors import Cause, invalid

_GROUP = "authorization.k8s.io"
# (group, version, plural, kind, namespaced): asked with a create, answered at once, never stored.
REVIEWS: tuple[tuple[str, str, str, str, bool], ...] = (
    (_GROUP, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
    (_GROUP, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    (_GROUP, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    (_GROUP, "v1", "subjectaccessreviews", "SubjectAccessReview", False),
)


def review_kind(group: str, version: str, plural: str) -> str | None:
    """Give the kind of review that a URL names, or None."""
    return next((kind for of, in_, name, kind, _ in REVIEWS if (of, in_, name) == (group, version, plural)), None)


def answered(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """
    Answer a review.

    Raises:
        StatusError: 422, it does not say what it asks about.

    """
    spec = body.get("spec") or {}
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
    return {"kind": kind, "apiVersion": f"{_GROUP}/v1", "metadata": metadata, "spec": spec, "status": status}
