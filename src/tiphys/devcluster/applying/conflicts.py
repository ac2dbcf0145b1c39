"""Who else owns what an apply would change, and how is that refused?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import Cause, StatusError
from tiphys.devcluster.fieldsets import Fields, common, paths, without

if TYPE_CHECKING:
    from tiphys.devcluster.managed import Entries

Conflicts = list[tuple[dict[str, Any], Fields]]


def found_between(others: Entries, changed: Fields) -> Conflicts:
    """Give which of the *others* own which of the *changed* fields."""
    found = ((entry, common(entry["fieldsV1"], changed)) for entry in others)
    return [(entry, fields) for entry, fields in found if fields]


def beyond(conflicts: Conflicts, allowed: Fields) -> Conflicts:
    """Give the conflicts about other fields than the *allowed* ones."""
    left = ((entry, without(fields, allowed)) for entry, fields in conflicts)
    return [(entry, fields) for entry, fields in left if fields]


def refusal(conflicts: Conflicts) -> StatusError:
    """Refuse an apply (409), naming every field and its owner."""
    causes, said = [], []
    for owner, entry, fields in sorted((_said(entry), number, fields) for number, (entry, fields) in enumerate(conflicts)):
        del entry
        found = paths(fields)
        causes += [Cause(path, f"conflict with {owner}", "FieldManagerConflict").wire() for path in found]
        said.append("\n".join([f"conflicts with {owner}:", *(f"- {path}" for path in found)]))
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(said)
    return StatusError(409, message, details={"causes": causes})


def _said(entry: dict[str, Any]) -> str:
    """Name an owner: appliers by their name alone, updaters with the version they wrote in and when."""
    said = f'"{entry["manager"]}"'
    if entry.get("subresource"):
        said += f' with subresource "{entry["subresource"]}"'
    return f"{said} using {entry['apiVersion']}" if entry["operation"] == "Update" else said
