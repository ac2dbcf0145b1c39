"""What does the path of a request name?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from tiphys.devcluster.resources import Registry, ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind, an object or a subresource; *namespace* None means all namespaces (or none, for cluster-wide kinds)."""

    resource: ResourceType
    namespace: str | None = None
    name: str = ""
    subresource: str = ""
    watches: bool = False


def read_path(path: str, registry: Registry) -> Target | None:
    """Find what *path* (as sent) names; None where no kind is served there."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watches = rest[0] == "watch" and len(rest) > 1
    if watches:
        rest = rest[1:]
    namespace = None
    if rest[0] == "namespaces" and len(rest) >= 3:
        inner = registry.resource(group, version, rest[2])
        if inner is not None and inner.namespaced:
            namespace, rest = rest[1], rest[2:]
        elif group or rest[2] not in ("status", "finalize"):
            return None
    resource = registry.resource(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace is None and resource.namespaced and len(rest) > 1):
        return None
    name = rest[1] if len(rest) > 1 else ""
    return Target(resource=resource, namespace=namespace, name=name, subresource=rest[2] if len(rest) > 2 else "", watches=watches)
