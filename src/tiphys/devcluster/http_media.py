"""In which form does a request come, and in which form is it answered?"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from tiphys.devcluster import protobuf
from tiphys.devcluster.errors import StatusError, bad_request

if TYPE_CHECKING:
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.wire import Json

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_KNOWN = f"{JSON}, {YAML}, {PROTOBUF}"
_NO_PROTOBUF = (
    "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
)
_decode = msgspec.json.Decoder().decode


class _Yaml11(yaml.CSafeLoader):
    """YAML 1.1 as the Kubernetes tools read it: times stay text."""


_Yaml11.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Yaml11.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:y|Y|n|N)$"), list("yYnN"))
_Yaml11.bool_values = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer: *media* type, and *shown_as* "" (the object itself), Table or PartialObjectMetadata(List)."""

    media: str = JSON
    shown_as: str = ""
    version: str = "v1"

    @property
    def content_type(self) -> str:
        """What the Content-Type header says."""
        return self.media


PLAIN = Answer()


def accepted(header: str) -> Answer:
    """
    Choose among the forms that an Accept header names, the first that can be had.

    Raises:
        StatusError: 406, none can.

    """
    if not header or header in ("*/*", JSON):
        return PLAIN
    for clause in sorted(header.split(","), key=_quality):
        media, *parameters = (part.strip() for part in clause.split(";"))
        asked = dict(part.split("=", 1) for part in parameters if "=" in part)
        shown_as = asked.get("as", "")
        if media in ("*/*", "application/*", JSON):
            version = asked.get("v", "v1")
            if shown_as not in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
                continue
            if shown_as and version not in ("v1", "v1beta1"):
                continue
            return Answer(JSON, shown_as, version)
        if media == YAML and not shown_as:
            return Answer(YAML)
    known = f"{JSON}, {YAML}" if PROTOBUF in header else _KNOWN  # nobody is told to ask for what was asked for in vain
    raise StatusError(406, f"only the following media types are accepted: {known}")


def _quality(clause: str) -> float:
    """Order clauses by their q, the highest first; equal ones stay as they came."""
    found = re.search(r";\s*q=([0-9.]+)", clause)
    return -float(found[1]) if found else -1.0


def decoded(raw: bytes, media: str, resource: ResourceType) -> Json:
    """
    Read a manifest.

    Raises:
        StatusError: 415 for its media type, 400 if it cannot be read or does not say what it is.

    """
    if media == PROTOBUF:
        return from_protobuf(raw, resource)
    if media not in ("", JSON, YAML, "application/x-www-form-urlencoded"):
        raise StatusError(415, f"the body of the request was in an unknown format - accepted media types include: {_KNOWN}")
    if media == YAML:
        body = from_yaml(raw)
    else:
        try:
            body = _decode(raw)
        except msgspec.DecodeError as error:
            raise _unreadable(resource, f"couldn't get version/kind; json parse error: {go_words(raw)} ({_glimpse(raw)})") from error
    if not isinstance(body, dict):
        found = "array" if isinstance(body, list) else _go_type(body)
        wanted = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
        why = f"json: cannot unmarshal {found} into Go value of type {wanted}"
        raise _unreadable(resource, f"couldn't get version/kind; json parse error: {why} ({raw.hex()})")
    if not body.get("kind") and not resource.rules.strategic:
        text = raw.decode(errors="replace")
        raise _unreadable(resource, f"Object 'Kind' is missing in '{text}' ({_glimpse(raw)})")
    return body


def from_yaml(raw: bytes) -> Json:
    """Read YAML; 400 if that is impossible."""
    try:
        return yaml.load(raw, _Yaml11)  # noqa: S506 - a safe loader without timestamps
    except yaml.YAMLError as error:
        raise bad_request(f"error converting YAML to JSON: yaml: {error}") from error


def from_protobuf(raw: bytes, resource: ResourceType, kind: str = "") -> Json:
    """
    Read a manifest in protobuf; what does not say what it is, is a *kind*, by default that of *resource*.

    Raises:
        StatusError: 400, it cannot be read, or its kind has no protobuf.

    """
    try:
        found = protobuf.opened(raw)
    except protobuf.WireError as error:
        raise _unreadable(resource, f"{error} ({_glimpse(raw)})") from error
    named = replace(found, api_version=found.api_version or resource.api_version, kind=found.kind or kind or resource.kind)
    if not resource.rules.strategic and (named.api_version, named.kind) == (resource.api_version, resource.kind):
        raise _mistaken(named, resource, _NO_PROTOBUF)
    try:
        return protobuf.manifest(named)
    except protobuf.WireError as error:
        raise _mistaken(named, resource, str(error)) from error


def _mistaken(said: protobuf.Envelope, resource: ResourceType, why: str) -> StatusError:
    version = said.api_version.rpartition("/")[2]
    return bad_request(f'{said.kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def from_json_or_yaml(raw: bytes) -> Json:
    """Read what may be either; 400 if it is neither. Most of it is JSON, which is much faster to read."""
    try:
        return _decode(raw)
    except msgspec.DecodeError:
        return from_yaml(raw)


def _unreadable(resource: ResourceType, why: str) -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {why}")


def _glimpse(raw: bytes) -> str:
    """Show how a body begins: what may be JSON as text, all else as hexadecimal digits."""
    if not raw:
        return "<empty>"
    shown = raw[:30].decode(errors="replace") if raw.startswith(b"{") else raw[:30].hex()
    return shown if len(raw) <= 30 else f"{shown} ..."


def go_words(raw: bytes) -> str:
    """Say why JSON cannot be read, as Go's decoder says it."""
    text = raw.decode(errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text):
            return "unexpected end of JSON input"
        letter = text[error.pos]
        if error.msg.startswith("Expecting property name"):
            return f"invalid character {letter!r} looking for beginning of object key string"
        if error.msg == "Extra data":
            return f"invalid character {letter!r} after top-level value"
        if "delimiter" in error.msg:
            place = "object key" if "':'" in error.msg else "object key:value pair"
            return f"invalid character {letter!r} after {place}"
        return f"invalid character {letter!r} looking for beginning of value"
    return "invalid JSON"


def _go_type(value: Json) -> str:
    names = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def duplicates(raw: bytes) -> list[str]:
    """Give the paths of fields that a JSON body says twice, in the order of their first repetition."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> Json:
        out: dict[str, Any] = {}
        for key, value in items:
            if key in out:
                out.setdefault(_TWICE, []).append(key)
            out[key] = value
        return out

    def collect(value: Json, path: str) -> None:
        if isinstance(value, dict):
            found.extend(f"{path}.{key}".lstrip(".") for key in value.get(_TWICE, ()))
            for key, item in value.items():
                if key != _TWICE:
                    collect(item, f"{path}.{key}")
        elif isinstance(value, list):
            for place, item in enumerate(value):
                collect(item, f"{path}[{place}]")

    collect(json.loads(raw, object_pairs_hook=pairs), "")
    return found


_TWICE = "\0twice"


def as_yaml(value: Json) -> bytes:
    """Write an answer as YAML."""
    return yaml.safe_dump(value, sort_keys=True).encode()
