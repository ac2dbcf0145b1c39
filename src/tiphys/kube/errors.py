"""What can go wrong when talking to an API server, and what may a caller do about it?"""

from collections.abc import Mapping
from typing import Any

from tiphys.api import errors as base


class KubeError(base.TiphysError):
    """Anything this package raises on purpose."""


class ConfigError(KubeError):
    """
    The configuration does not say how to reach a server; the user has to act.

    *file* is a path, an environment variable or a command line option; the value itself is never in the text, because it may be a secret.
    """

    def __init__(self, *, file: str, field: str, found: str, wanted: str) -> None:
        self.file = file
        self.field = field
        self.found = found
        self.wanted = wanted
        where = f"{file}: {field}" if field else file
        super().__init__(f"{where}: found {found}, wanted {wanted}")


class CredentialError(KubeError):
    """No credentials could be had right now: a token file cannot be read, an exec plugin failed."""


class UnreachableError(KubeError, base.UnreachableError):
    """Nobody answered; try again later. The text is one sentence that names the server."""

    def __init__(self, server: str, problem: str) -> None:
        self.server = server
        self.problem = problem
        super().__init__(f"cannot reach the API server {server}: {problem}")


class SilenceError(UnreachableError):
    """A stream was open but said nothing for longer than a living one ever does."""


class DecodeError(KubeError):
    """The server's answer does not have the form that was asked for."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"cannot read {where}: {problem}")


class ApiError(KubeError):
    """
    The server answered with an error.

    *status* is the HTTP code, *reason* the machine-readable word of the Status object (may be empty), *details* its details as they came,
    and *retry_after* the seconds the server asks us to wait, if it does.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after
        super().__init__(message or reason or f"the API server answered {status}")


class NotFoundError(ApiError):
    """404: there is no such object, or the server does not serve the kind."""


class ConflictError(ApiError, base.ConflictError):
    """409 Conflict: somebody wrote first; look again."""


class AlreadyExistsError(ApiError):
    """409 AlreadyExists: an object of this name is there."""


class GoneError(ApiError):
    """410 Gone or Expired: the server no longer remembers that version; list again."""


class ThrottledError(ApiError):
    """429: too many requests, or a disruption budget that allows no eviction now; *retry_after* may say when."""


class UnauthorizedError(ApiError):
    """401: the credentials are not accepted, also after they were renewed."""


class ForbiddenError(ApiError):
    """403: we are known and may not."""


class InvalidError(ApiError):
    """422: the object breaks a rule of its schema or of admission."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: ThrottledError,
}


def api_error(status: int, body: Mapping[str, Any], *, retry_after: float | None = None) -> ApiError:
    """
    Make the right kind of error from a Status object.

    *status* is the code to use where *body* has none; *retry_after* is the HTTP header, which outranks the body's `retryAfterSeconds`.
    """
    code = body.get("code")
    status = code if isinstance(code, int) and not isinstance(code, bool) and code else status
    reason = _text(body.get("reason"))
    details = body.get("details")
    details = details if isinstance(details, Mapping) else {}
    if retry_after is None:
        seconds = details.get("retryAfterSeconds")
        retry_after = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
    kind = AlreadyExistsError if reason == "AlreadyExists" else _BY_STATUS.get(status, ApiError)
    return kind(status, reason, _text(body.get("message")), details=details, retry_after=retry_after)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
