"""How does a client learn which kinds are served?"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.reviews import REVIEWS

if TYPE_CHECKING:
    from tiphys.devcluster.resources import Registry, ResourceType

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+tiphys",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_STATUS_VERBS = ["get", "patch", "update"]
_PREFERRED = ("v1", "v2", "v1beta1", "v1alpha1")


def versions(registry: Registry, group: str) -> list[str]:
    """Give the versions of a group, the preferred one first."""
    found = {resource.version for resource in registry if resource.group == group}
    found |= {version for of, version, *_ in REVIEWS if of == group}
    return sorted(found, key=_rank)


def _rank(version: str) -> tuple[int, int, str]:
    kinds = 2 if "alpha" in version else 1 if "beta" in version else 0
    digits = "".join(letter if letter.isdigit() else " " for letter in version).split()
    return kinds, -int(digits[0]) if digits else 0, version


def groups(registry: Registry) -> list[str]:
    """Give the names of all groups but the core one."""
    found = {resource.group for resource in registry} | {group for group, *_ in REVIEWS}
    return sorted(found - {""})


def _group(registry: Registry, name: str) -> dict[str, Any]:
    known = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions(registry, name)]
    return {"name": name, "versions": known, "preferredVersion": known[0]}


def api_versions() -> dict[str, Any]:
    """Give `/api`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group_list(registry: Registry) -> dict[str, Any]:
    """Give `/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(registry, name) for name in groups(registry)]}


def group(registry: Registry, name: str) -> dict[str, Any] | None:
    """Give `/apis/GROUP`; None for one that is not served."""
    if name not in groups(registry):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, name)}


def resource_list(registry: Registry, name: str, version: str) -> dict[str, Any] | None:
    """Give `/api/v1` or `/apis/GROUP/VERSION`; None for one that is not served."""
    found = [resource for resource in registry if (resource.group, resource.version) == (name, version)]
    reviews = [review for review in REVIEWS if review[:2] == (name, version)]
    if not found and not reviews:
        return None
    entries = [entry for resource in sorted(found, key=lambda one: one.plural) for entry in _legacy(resource)]
    for _, _, plural, kind, namespaced in reviews:
        entries.append({"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": ["create"]})
    group_version = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _legacy(resource: ResourceType) -> list[dict[str, Any]]:
    custom = not resource.rules.strategic
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(_CUSTOM_VERBS if custom else resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entry["storageVersionHash"] = _storage_hash(resource)
    return [entry, *(_legacy_subresource(resource, name) for name in _subresources(resource))]


def _subresources(resource: ResourceType) -> list[str]:
    return sorted(resource.subresources, key=lambda name: (name != "status", name) if not resource.rules.strategic else (False, name))


def _legacy_subresource(resource: ResourceType, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    group_of, version, kind = _subresource_kind(resource, name)
    if (group_of, version) != (resource.group, resource.version):
        entry |= {"group": group_of, "version": version}
    return entry | {"kind": kind, "verbs": _subresource_verbs(name)}


def _subresource_kind(resource: ResourceType, name: str) -> tuple[str, str, str]:
    if name == "scale":
        return "autoscaling", "v1", "Scale"
    if name == "eviction":
        return "policy", "v1", "Eviction"
    return resource.group, resource.version, resource.kind


def _subresource_verbs(name: str) -> list[str]:
    return {"eviction": ["create"], "finalize": ["update"], "binding": ["create"]}.get(name, _STATUS_VERBS)


def _storage_hash(resource: ResourceType) -> str:
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(registry: Registry, *, core: bool) -> dict[str, Any]:
    """Give all groups with all their resources at once: the core group for `/api`, the others for `/apis`."""
    names = [""] if core else groups(registry)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_aggregated_group(registry, name) for name in names],
    }


def _aggregated_group(registry: Registry, name: str) -> dict[str, Any]:
    out = []
    for version in versions(registry, name):
        found = sorted((r for r in registry if (r.group, r.version) == (name, version)), key=lambda one: one.plural)
        entries = [_aggregated(resource) for resource in found]
        entries += [_aggregated_review(*review) for review in REVIEWS if review[:2] == (name, version)]
        out.append({"version": version, "resources": entries, "freshness": "Current"})
    return {"metadata": {"name": name, "creationTimestamp": None}, "versions": out}


def _kind(group_of: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group_of, "version": version, "kind": kind}


def _aggregated(resource: ResourceType) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    below = [
        {"subresource": name, "responseKind": _kind(*_subresource_kind(resource, name)), "verbs": _subresource_verbs(name)}
        for name in _subresources(resource)
    ]
    if below:
        entry["subresources"] = below
    return entry


def _aggregated_review(group_of: str, version: str, plural: str, kind: str, namespaced: bool) -> dict[str, Any]:  # noqa: FBT001 - a table row
    scope = "Namespaced" if namespaced else "Cluster"
    return {
        "resource": plural,
        "responseKind": _kind(group_of, version, kind),
        "scope": scope,
        "singularResource": kind.lower(),
        "verbs": ["create"],
    }
