"""What does an object look like after a patch?"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster.errors import StatusError, bad_request, invalid
from tiphys.devcluster.strategic import strategic_merge

if TYPE_CHECKING:
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.wire import Json


class PatchKind(enum.Enum):
    """The kinds of patch, by their media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


APPLY = "application/apply-patch+yaml"
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


class _ImpossibleError(Exception):
    """An operation of a JSON patch cannot be carried out."""


def accepted(resource: ResourceType) -> list[str]:
    """Give the media types of patches that a kind takes, in the order in which a refusal names them."""
    kinds = [PatchKind.JSON.value, PatchKind.MERGE.value]
    return [*kinds, PatchKind.STRATEGIC.value, APPLY] if resource.rules.strategic else [*kinds, APPLY]


def unsupported_media_type(resource: ResourceType) -> StatusError:
    """Refuse a kind of patch, naming those that would do (415)."""
    media = ", ".join(accepted(resource))
    return StatusError(415, f"the body of the request was in an unknown format - accepted media types include: {media}")


def patched(manifest: Manifest, kind: PatchKind, body: Json, write: Admission) -> Manifest:
    """
    Apply *body* to *manifest*, which is given away, and give the result.

    Raises:
        StatusError: 400 the patch cannot be read, 415 its kind is not for this object, 422 it cannot be carried out.

    """
    resource = write.resource
    if kind is PatchKind.STRATEGIC and not resource.rules.strategic:
        raise unsupported_media_type(resource)
    if kind is PatchKind.JSON:
        return _json_patched(manifest, body)
    if not isinstance(body, dict):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_name(body)} into Go value of type map[string]interface {{}}")
    if kind is PatchKind.MERGE:
        result: Manifest = merge(manifest, body)
    else:
        shape = resource.rules.shape if write.subresource != "scale" else None
        result = strategic_merge(manifest, body, shape)
    if not isinstance(result.get("metadata"), dict):
        result["metadata"] = {}
    return result


def merge(target: Json, patch: Json) -> Json:
    """Apply a JSON merge patch (RFC 7386) to *target*, which may be changed in place."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge(target.get(key), value)
    return target


def _json_patched(manifest: Manifest, body: Json) -> Manifest:
    if not isinstance(body, list):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_name(body)} into Go value of type []handlers.jsonPatchOp")
    for operation in body:
        if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
            text = msgspec.json.encode(operation).decode()
            raise bad_request(f"invalid operation {text}: unsupported operation")
    document: Any = manifest
    try:
        for operation in body:
            document = _operate(document, operation)
    except _ImpossibleError as error:
        raise StatusError(422, "the server rejected our request due to an error in our request", details={}) from error
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise invalid("", "", "", [])
    return document


def _operate(document: Json, operation: dict[str, Any]) -> Json:
    op, path = operation["op"], _pointer(operation.get("path"))
    if op == "test":
        if _at(document, path) != operation.get("value"):
            raise _ImpossibleError
        return document
    if op == "remove":
        return _without(document, path)
    if op == "replace":
        _at(document, path)
        return _with(document, path, operation.get("value"), replace=True)
    if op == "add":
        return _with(document, path, operation.get("value"))
    source = _pointer(operation.get("from"))
    value = msgspec.json.decode(msgspec.json.encode(_at(document, source)))
    if op == "move":
        document = _without(document, source)
    return _with(document, path, value)


def _pointer(text: Json) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _ImpossibleError
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(items: list[Any], part: str, *, end: int) -> int:
    try:
        index = int(part)
    except ValueError as error:
        raise _ImpossibleError from error
    if index < 0:
        index += len(items)
    if not 0 <= index < end:
        raise _ImpossibleError
    return index


def _at(document: Json, path: list[str]) -> Json:
    for part in path:
        if isinstance(document, dict):
            if part not in document:
                raise _ImpossibleError
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part, end=len(document))]
        else:
            raise _ImpossibleError
    return document


def _with(document: Json, path: list[str], value: Json, *, replace: bool = False) -> Json:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        if last == "-":
            parent.append(value)
        elif replace:
            parent[_index(parent, last, end=len(parent))] = value
        else:
            parent.insert(_index(parent, last, end=len(parent) + 1), value)
    else:
        raise _ImpossibleError
    return document


def _without(document: Json, path: list[str]) -> Json:
    if not path:
        raise _ImpossibleError
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, dict) and last in parent:
        del parent[last]
    elif isinstance(parent, list):
        del parent[_index(parent, last, end=len(parent))]
    else:
        raise _ImpossibleError
    return document


def _go_name(value: Json) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return names.get(type(value), "null")
