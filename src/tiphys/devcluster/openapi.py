"""
What do clients read of the API's description?

Enough for kubectl to leave validation to the server, and for `kubectl explain` of custom resources: every kind has
its paths, custom resources have their schemas, built-in ones are described as objects without details.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.custom import CustomRules

if TYPE_CHECKING:
    from tiphys.devcluster.resources import Registry, ResourceType

_INFO = {"title": "Kubernetes", "version": "v1.36.0+tiphys"}
_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")


def _prefix(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(registry: Registry) -> dict[str, Any]:
    """Give `/openapi/v3`: where each group version is described."""
    found = sorted({(resource.group, resource.version) for resource in registry})
    paths = {}
    for group, version in found:
        path = _prefix(group, version)
        digest = hashlib.sha256(f"{path} {registry.generation}".encode()).hexdigest()[:32].upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def version_2() -> dict[str, Any]:
    """Give `/openapi/v2`: a valid document that describes nothing."""
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}


PROTO = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def version_2_in_proto() -> bytes:
    """
    Give the same as protobuf, the only form in which kubectl reads it.

    kubectl checks the items of a List itself, by this document; what it does not find there it leaves to the server.
    """
    info = _proto(1, _INFO["title"].encode()) + _proto(2, _INFO["version"].encode())
    paths = definitions = b""
    return _proto(1, b"2.0") + _proto(2, info) + _proto(8, paths) + _proto(9, definitions)


def _proto(number: int, value: bytes) -> bytes:
    """Write one field of a protobuf message, shorter than 128 bytes and thus with one byte of length."""
    return bytes([number << 3 | 2, len(value)]) + value


def describe(registry: Registry, group: str, version: str) -> dict[str, Any] | None:
    """Give `/openapi/v3/apis/GROUP/VERSION`; None for one that is not served."""
    found = [resource for resource in registry if (resource.group, resource.version) == (group, version)]
    if not found:
        return None
    paths: dict[str, Any] = {}
    for resource in found:
        paths |= _paths(resource)
    schemas = {_schema_name(resource): _schema(resource) for resource in found}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _schema_name(resource: ResourceType) -> str:
    group = ".".join(reversed(resource.group.split("."))) if resource.group else "io.k8s.api.core"
    return f"{group}.{resource.version}.{resource.kind}"


def _schema(resource: ResourceType) -> dict[str, Any]:
    source: dict[str, Any] = {"type": "object"}
    if isinstance(resource.rules, CustomRules):
        source |= dict(resource.rules.source)
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **(source.get("properties") or {}),
        "metadata": {"type": "object"},
    }
    return {**source, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(resource)]}


def _gvk(resource: ResourceType) -> dict[str, str]:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _paths(resource: ResourceType) -> dict[str, Any]:
    base = f"/{_prefix(resource.group, resource.version)}"
    if resource.namespaced:
        base += "/namespaces/{namespace}"
    collection = f"{base}/{resource.plural}"
    reference = {"schema": {"$ref": f"#/components/schemas/{_schema_name(resource)}"}}
    return {
        collection: {"get": _operation(resource, "list", reference), "post": _operation(resource, "post", reference)},
        f"{collection}/{{name}}": {
            "get": _operation(resource, "get", reference),
            "put": _operation(resource, "put", reference),
            "patch": _operation(resource, "patch", reference),
            "delete": _operation(resource, "delete", reference),
        },
    }


def _operation(resource: ResourceType, action: str, reference: dict[str, Any]) -> dict[str, Any]:
    options = _OPTIONS if action in ("post", "put", "patch") else ()
    return {
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in options],
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(resource),
    }
