"""How does the API server say no, in the words of the real one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiphys.devcluster.resources import ResourceType

_REASONS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 406: "NotAcceptable", 409: "Conflict"}
_REASONS |= {410: "Expired", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests"}
_REASONS |= {500: "InternalError", 504: "Timeout"}


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with one field of an object; *message* already names what was found."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def wire(self) -> dict[str, str]:
        """Give the cause as a metav1.StatusCause."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class StatusError(Exception):
    """A refusal that reaches the client as a metav1.Status; *code* is the HTTP status."""

    def __init__(self, code: int, message: str, *, reason: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = _REASONS.get(code, "") if reason is None else reason
        self.details = details
        self.warnings: list[str] = []

    def wire(self) -> dict[str, Any]:
        """Give the refusal as a metav1.Status."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def details_of(resource: ResourceType, name: str) -> dict[str, Any]:
    """Name one object the way a Status does: empty parts are left out."""
    group, plural = resource.key
    parts = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in parts.items() if value}


def bad_request(message: str) -> StatusError:
    """Refuse a request that cannot be understood (400)."""
    return StatusError(400, message)


def not_found(resource: ResourceType, name: str, subresource: str = "") -> StatusError:
    """Say that an object is not there (404); the scale of a built-in kind is missed under its own name."""
    if subresource == "scale" and resource.scale is not None and resource.scale.built_in:
        plural = f"{resource.plural}/scale"
        return StatusError(404, f'{plural}.{resource.group} "{name}" not found', details={**details_of(resource, name), "kind": plural})
    return StatusError(404, f'{resource.qualified} "{name}" not found', details=details_of(resource, name))


def already_exists(resource: ResourceType, name: str, *, being_deleted: bool = False) -> StatusError:
    """Say that the name is taken (409 AlreadyExists)."""
    message = f'{resource.qualified} "{name}" already exists'
    if being_deleted:
        message = f"object is being deleted: {message}"
    return StatusError(409, message, reason="AlreadyExists", details=details_of(resource, name))


def conflict(resource: ResourceType, name: str, why: str | None = None) -> StatusError:
    """Say that somebody wrote first (409 Conflict)."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, message, details=details_of(resource, name))


def forbidden(resource: ResourceType, name: str, why: str, causes: Sequence[dict[str, Any]] = ()) -> StatusError:
    """Say that this is not allowed (403)."""
    details = details_of(resource, name)
    if causes:
        details["causes"] = list(causes)
    return StatusError(403, f'{resource.qualified} "{name}" is forbidden: {why}', details=details)


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """Refuse an object for what its fields hold (422), all causes at once."""
    parts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    said = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value}
    details["causes"] = [cause.wire() for cause in causes]
    qualified = f"{kind}.{group}" if group else kind
    return StatusError(422, f'{qualified} "{name}" is invalid: {said}', details=details)


def invalid_options(kind: str, field: str, message: str, reason: str = "FieldValueInvalid") -> StatusError:
    """Refuse request options, for example *kind* ListOptions (422)."""
    return invalid("meta.k8s.io", kind, "", [Cause(field, message, reason)])


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> StatusError:
    """Say that the history asked for is gone (410)."""
    return StatusError(410, message, reason="Expired")
