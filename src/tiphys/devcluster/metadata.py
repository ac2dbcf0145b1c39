"""Which names, labels and other metadata may an object have?"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import Cause, StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiphys.devcluster.rules import Admission, Manifest
    from tiphys.devcluster.wire import Json

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_WORDS = "consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE = r"[a-z]([-a-z0-9]*[a-z0-9])?"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_service_name = re.compile(_SERVICE).fullmatch
_is_qualified = re.compile(_QUALIFIED).fullmatch
_is_value = re.compile(_VALUE).fullmatch

SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
LABEL_WORDS = f"a lowercase RFC 1123 label must {_LABEL_WORDS} (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
SERVICE_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
    f"alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE}')"
)
NAME_PART_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
PATH_SEGMENT_WORDS = {"/": "may not contain '/'", "%": "may not contain '%'"}


def quoted(value: Json) -> str:
    """Write a value as messages quote it."""
    return json.dumps(value, ensure_ascii=False)


def name_problems(name: str, name_format: str) -> list[str]:
    """Say what is wrong with a name of *name_format*: subdomain, label, service or path."""
    if name_format == "path":
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [words for letter, words in PATH_SEGMENT_WORDS.items() if letter in name]
    limit = 253 if name_format == "subdomain" else 63
    problems = [f"must be no more than {limit} characters"] if len(name) > limit else []
    fits, words = {
        "subdomain": (_is_subdomain, SUBDOMAIN_WORDS),
        "label": (_is_label, LABEL_WORDS),
        "service": (_is_service_name, SERVICE_WORDS),
    }[name_format]
    if not fits(name):
        problems.append(words)
    return problems


@functools.lru_cache(maxsize=4096)
def key_problems(key: str) -> tuple[str, ...]:
    """Say what is wrong with the key of a label, an annotation or a finalizer."""
    prefix, slash, name = key.rpartition("/")
    problems = []
    if slash:
        if key.count("/") > 1:
            return (
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}') with an optional "
                "DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            )
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {words}" for words in name_problems(prefix, "subdomain")]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _is_qualified(name):
        problems.append(NAME_PART_WORDS)
    return tuple(problems)


@functools.lru_cache(maxsize=4096)
def value_problems(value: str) -> tuple[str, ...]:
    """Say what is wrong with the value of a label."""
    problems = ["must be no more than 63 bytes"] if len(value) > 63 else []
    if not _is_value(value):
        problems.append(VALUE_WORDS)
    return tuple(problems)


def label_causes(labels: Mapping[str, str], field: str) -> list[Cause]:
    """Say what is wrong with a map of labels."""
    causes = []
    for key, value in labels.items():
        causes += [Cause(field, f"Invalid value: {quoted(key)}: {words}") for words in key_problems(key)]
        causes += [Cause(field, f"Invalid value: {quoted(value)}: {words}") for words in value_problems(value)]
    return causes


_TYPES: dict[str, tuple[type, str]] = {
    "name": (str, "string"),
    "generateName": (str, "string"),
    "namespace": (str, "string"),
    "selfLink": (str, "string"),
    "uid": (str, "types.UID"),
    "resourceVersion": (str, "string"),
    "generation": (int, "int64"),
    "creationTimestamp": (str, "v1.Time"),
    "deletionTimestamp": (str, "v1.Time"),
    "deletionGracePeriodSeconds": (int, "int64"),
    "labels": (dict, "map[string]string"),
    "annotations": (dict, "map[string]string"),
    "ownerReferences": (list, "[]v1.OwnerReference"),
    "finalizers": (list, "[]string"),
    "managedFields": (list, "[]v1.ManagedFieldsEntry"),
}
_GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def decoded_metadata(metadata: Json, write: Admission) -> dict[str, Any]:
    """
    Give the known fields of *metadata*, and note the unknown ones.

    Raises:
        StatusError: 400, a field has the wrong type.

    """
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise _undecodable(write, metadata, "metadata", "v1.ObjectMeta")
    value: Json
    for key, value in metadata.items():
        known = _TYPES.get(key)
        if known is None:
            write.unknown_fields.append(f"metadata.{key}")
        elif value is not None and (not isinstance(value, known[0]) or value is True or value is False):
            raise _undecodable(write, value, key, known[1])
        elif isinstance(value, list):
            _check_list(key, value, write)
        elif isinstance(value, dict):
            wrong = [item for item in value.values() if item.__class__ is not str]
            if wrong:
                raise _undecodable(write, wrong[0], key, "string")
    return {key: value for key, value in metadata.items() if value is not None and key in _TYPES}


_OWNER_TEXTS = ("apiVersion", "kind", "name", "uid")


def _check_list(key: str, items: list[Json], write: Admission) -> None:
    """Check finalizers and owner references down to their last field."""
    wanted = str if key == "finalizers" else dict
    wrong = [item for item in items if not isinstance(item, wanted)]
    if wrong:
        raise _undecodable(write, wrong[0], key, "string" if wanted is str else "object")
    if key == "ownerReferences":
        for owner in items:
            for field in _OWNER_TEXTS:
                if not isinstance(owner.get(field) or "", str):
                    raise _undecodable(write, owner[field], f"{key}.{field}", "string")


def _undecodable(write: Admission, value: Json, key: str, wanted: str) -> StatusError:
    resource = write.resource
    found = _GO_NAMES.get(type(value), "null")
    why = f"json: cannot unmarshal {found} into Go struct field ObjectMeta.{key} of type {wanted}"
    return StatusError(400, f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}')


def metadata_causes(manifest: Manifest, name_format: str, *, generated: bool = False) -> list[Cause]:
    """Say what is wrong with the metadata of a new object."""
    metadata = manifest["metadata"]
    name = metadata.get("name", "")
    causes = []
    if not name:
        causes.append(Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired"))
    else:
        if generated:
            base = metadata["generateName"]
            masked = base[:-1] + "a" if base.endswith("-") else base
            problems = name_problems(masked, name_format)
            causes += [Cause("metadata.generateName", f"Invalid value: {quoted(base)}: {words}") for words in problems]
        causes += [Cause("metadata.name", f"Invalid value: {quoted(name)}: {words}") for words in name_problems(name, name_format)]
    return causes + common_causes(metadata)


def common_causes(metadata: Mapping[str, Any]) -> list[Cause]:
    """Say what is wrong with labels, annotations, finalizers and owner references."""
    causes = label_causes(metadata.get("labels") or {}, "metadata.labels")
    for key in metadata.get("annotations") or {}:
        problems = key_problems(key.lower())
        causes += [Cause("metadata.annotations", f"Invalid value: {quoted(key)}: {words}") for words in problems]
    for owner in metadata.get("ownerReferences") or []:
        causes += _owner_causes(owner, "metadata.ownerReferences")
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            words = "/v1, Kind=Event is disallowed from being an owner"
            causes.append(Cause("metadata.ownerReferences", f"Invalid value: {_go_owner(owner)}: {words}"))
    controllers = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    if len(controllers) > 1:
        names = f"{controllers[0].get('name')} and {controllers[1].get('name')}"
        shown = ", ".join(_go_owner(owner) for owner in metadata["ownerReferences"])
        words = f'Only one reference can have Controller set to true. Found "true" in references for {names}'
        causes.append(Cause("metadata.ownerReferences", f"Invalid value: []v1.OwnerReference{{{shown}}}: {words}"))
    for name in metadata.get("finalizers") or []:
        causes += [Cause("metadata.finalizers", f"Invalid value: {quoted(name)}: {words}") for words in key_problems(name)]
    return causes


def _owner_causes(owner: Mapping[str, Any], field: str) -> list[Cause]:
    causes = []
    group_version = owner.get("apiVersion") or ""
    if not group_version.rpartition("/")[2]:
        causes.append(Cause(f"{field}.apiVersion", f"Invalid value: {quoted(group_version)}: version must not be empty"))
    empty = [key for key in ("kind", "name", "uid") if not owner.get(key)]
    return causes + [Cause(f"{field}.{key}", 'Invalid value: "": must not be empty') for key in empty]


def _go_owner(owner: Mapping[str, Any]) -> str:
    """Write an owner reference as Go prints it (it would print addresses where there are booleans)."""
    parts = [f"{go}:{quoted(owner.get(key) or '')}" for go, key in (("APIVersion", "apiVersion"), ("Kind", "kind"), ("Name", "name"))]
    parts.append(f"UID:{quoted(owner.get('uid') or '')}")
    for go, key in (("Controller", "controller"), ("BlockOwnerDeletion", "blockOwnerDeletion")):
        parts.append(f"{go}:(*bool)({'nil' if owner.get(key) is None else str(owner[key]).lower()})")
    return "v1.OwnerReference{" + ", ".join(parts) + "}"


def update_causes(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Cause]:
    """Say what may not change in the metadata of an object."""
    causes = []
    if new.get("uid") != old.get("uid"):
        causes.append(Cause("metadata.uid", f"Invalid value: {quoted(new.get('uid'))}: field is immutable"))
    if "deletionTimestamp" in old:
        added = sorted(set(new.get("finalizers") or []) - set(old.get("finalizers") or []))
        if added:
            shown = ", ".join(quoted(name) for name in added)
            message = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
            causes.append(Cause("metadata.finalizers", message, "FieldValueForbidden"))
    return causes + common_causes(new)
