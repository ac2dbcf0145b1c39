"""Which options does a request carry, and do they make sense?"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import StatusError, bad_request, invalid_options
from tiphys.devcluster.metadata import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

MANAGER_LENGTH = 128
_FORBIDDEN = "FieldValueForbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The options of a create, an update or a patch."""

    manager: str
    dry_run: bool
    field_validation: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of a list or a watch; *version* None means none was given."""

    labels: str
    fields: str
    limit: int
    continue_: str
    version: int | None
    match: str
    watch: bool
    timeout: float | None
    bookmarks: bool
    initial_events: bool


def is_true(text: str | None) -> bool:
    """Read a boolean of a query."""
    return text is not None and text.lower() in ("true", "1", "t", "")


def apply_options(query: Mapping[str, str], user_agent: str) -> WriteOptions:
    """
    Read the options of a server-side apply, which has to say who applies and may do so by force.

    Raises:
        StatusError: 422, one of them is not valid.

    """
    plain = {key: value for key, value in query.items() if key != "force"}
    options = write_options(plain, user_agent, "PatchOptions")
    if not query.get("fieldManager"):
        raise invalid_options("PatchOptions", "fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
    return replace(options, force="force" in query and is_true(query["force"]))


def write_options(query: Mapping[str, str], user_agent: str, kind: str) -> WriteOptions:
    """
    Read the options of a write; *kind* is CreateOptions, UpdateOptions or PatchOptions.

    Raises:
        StatusError: 422, one of them is not valid.

    """
    if not query:
        return WriteOptions(manager=_default_manager(user_agent), dry_run=False, field_validation="Warn")
    manager = query.get("fieldManager", "")
    if len(manager) > MANAGER_LENGTH:
        raise invalid_options(kind, "fieldManager", f"Too long: may not be more than {MANAGER_LENGTH} bytes", "FieldValueTooLong")
    for place, letter in enumerate(manager):
        if not letter.isprintable():
            shown = quoted(manager).replace("\\u0007", "\\a")
            message = f"Invalid value: {shown}: invalid character U+{ord(letter):04X} (at position {place})"
            raise invalid_options(kind, "fieldManager", message)
    if kind == "PatchOptions" and "force" in query:
        raise invalid_options(kind, "force", "Forbidden: may not be specified for non-apply patch", _FORBIDDEN)
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        message = f'Unsupported value: {quoted(validation)}: supported values: "", "Ignore", "Strict", "Warn"'
        raise invalid_options(kind, "fieldValidation", message, "FieldValueNotSupported")
    return WriteOptions(
        manager=manager or _default_manager(user_agent),
        dry_run=dry_run([query["dryRun"]] if "dryRun" in query else [], kind),
        field_validation=validation or "Warn",
    )


def dry_run(asked: list[str], kind: str) -> bool:
    """Read dryRun, a list whose only known item is All; 422 for another one."""
    if not asked or asked == [""]:
        return False
    if asked != ["All"]:
        message = f'Unsupported value: {quoted(asked)}: supported values: "All"'
        raise invalid_options(kind, "dryRun", message, "FieldValueNotSupported")
    return True


def _default_manager(user_agent: str) -> str:
    return user_agent.partition("/")[0] or "unknown"


def list_options(query: Mapping[str, str], *, watch: bool) -> ListOptions:
    """
    Read the options of a list or watch.

    Raises:
        StatusError: 400 or 422, one cannot be read or does not fit the others.

    """
    watch = watch or is_true(query.get("watch"))
    _check_combination(query, watch=watch)
    initial = is_true(query["sendInitialEvents"]) if "sendInitialEvents" in query else False
    return ListOptions(
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        limit=_number(query.get("limit", "") or "0"),
        continue_=query.get("continue", ""),
        version=_version(query.get("resourceVersion", ""), watch=watch),
        match=query.get("resourceVersionMatch", ""),
        watch=watch,
        timeout=float(_number(query["timeoutSeconds"])) if query.get("timeoutSeconds") else None,
        bookmarks=is_true(query.get("allowWatchBookmarks")) if "allowWatchBookmarks" in query else False,
        initial_events=initial,
    )


def _check_combination(query: Mapping[str, str], *, watch: bool) -> None:
    match, version, initial = query.get("resourceVersionMatch", ""), query.get("resourceVersion", ""), query.get("sendInitialEvents")
    if initial is not None and not watch:
        raise invalid_options("ListOptions", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list", _FORBIDDEN)
    if watch and initial is not None and match != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid_options("ListOptions", "resourceVersionMatch", message, _FORBIDDEN)
    if watch and match and initial is None:
        message = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise invalid_options("ListOptions", "resourceVersionMatch", message, _FORBIDDEN)
    if not watch and match and not version:
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid_options("ListOptions", "resourceVersionMatch", message, _FORBIDDEN)
    if not watch and match == "Exact" and version == "0":
        message = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise invalid_options("ListOptions", "resourceVersionMatch", message, _FORBIDDEN)
    if query.get("continue") and version and version != "0":
        raise bad_request("specifying resource version is not allowed when using continue")


def _number(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _version(text: str, *, watch: bool) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        if watch:
            raise StatusError(500, why, reason="")
        raise bad_request(f"invalid resource version: {why}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """The options of a delete, from its body and its query."""

    propagation: str | None
    preconditions: Mapping[str, str]
    grace_seconds: int | None
    dry_run: bool


def delete_options(query: Mapping[str, str], body: Mapping[str, Any]) -> DeleteOptions:
    """
    Read the options of a delete; a body outranks the query.

    Raises:
        StatusError: 422, they do not fit together.

    """
    from tiphys.devcluster.deleting import check_options  # noqa: PLC0415 - the table of policies lives with their meaning

    grace = body.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds"):
        grace = _number(query["gracePeriodSeconds"])
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in query:
        orphan = is_true(query["orphanDependents"])
    check_options(propagation, orphan)
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    asked = body.get("dryRun") or ([query["dryRun"]] if "dryRun" in query else [])
    return DeleteOptions(
        propagation=propagation,
        preconditions=body.get("preconditions") or {},
        grace_seconds=grace,
        dry_run=dry_run(list(asked), "DeleteOptions"),
    )
