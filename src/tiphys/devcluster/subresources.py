"""What do the scale and status of an object show, and what does writing them change?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.errors import Cause, StatusError, invalid
from tiphys.devcluster.history import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.rules import Manifest
    from tiphys.devcluster.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePaths:
    """Where a kind keeps what its Scale shows: dotted paths with a leading dot; *selector* "" means spec.selector."""

    replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str | None = None
    built_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What a written Scale asks for."""

    replicas: int
    version: str
    uid: str

    @classmethod
    def of_manifest(cls, manifest: Manifest, resource: ResourceType, there: Stored) -> Scaling:
        """
        Read a Scale.

        Raises:
            StatusError: 400, it names another object; 422, its size is negative.

        """
        metadata = manifest.get("metadata") or {}
        name = metadata.get("name") or there.name
        if name != there.name:
            raise StatusError(400, f"the name of the object ({name}) does not match the name on the URL ({there.name})")
        replicas = (manifest.get("spec") or {}).get("replicas", 0) or 0
        paths = resource.scale
        if replicas < 0 and paths is not None and paths.built_in:
            cause = Cause("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
            raise invalid("autoscaling", "Scale", there.name, [cause])
        return cls(replicas=replicas, version=metadata.get("resourceVersion") or "", uid=metadata.get("uid") or "")


def dig(manifest: Mapping[str, Any], path: str) -> Json:
    """Follow a dotted path; None where it leads nowhere."""
    value: Any = manifest
    for part in path.strip(".").split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def scale_of(resource: ResourceType, stored: Stored, *, lenient: bool = False) -> Stored:
    """
    Give the Scale of an object; *lenient* takes a missing size for 0.

    Raises:
        StatusError: 404 the kind has none, 500 a custom resource does not say how many replicas it wants.

    """
    paths = resource.scale
    if paths is None:
        raise StatusError(404, "the server could not find the requested resource", details={})
    manifest = stored.manifest
    replicas = dig(manifest, paths.replicas)
    if replicas is None and not paths.built_in and not lenient:
        why = f'the spec replicas field "{paths.replicas}" does not exist'
        raise StatusError(500, f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
    metadata = {key: manifest["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    status: dict[str, Any] = {"replicas": dig(manifest, paths.status_replicas) or 0}
    selector = selector_text(manifest["spec"].get("selector")) if paths.built_in else dig(manifest, paths.selector or "")
    if selector:
        status["selector"] = selector
    return Stored(
        {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {key: value for key, value in metadata.items() if value},
            "spec": {"replicas": replicas} if replicas else {},
            "status": status,
        },
        stored.version,
    )


def merged_into(manifest: Manifest, scaling: Scaling, resource: ResourceType) -> Manifest:
    """Give *manifest* (given away) with the size that *scaling* asks for, and its preconditions."""
    paths = resource.scale or ScalePaths()
    *parents, last = paths.replicas.strip(".").split(".")
    place = manifest
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = scaling.replicas
    if scaling.version:
        manifest["metadata"]["resourceVersion"] = scaling.version
    if scaling.uid:
        manifest["metadata"]["uid"] = scaling.uid
    return manifest


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Write a label selector as one line, as Scale and EndpointSlices show it."""
    selector = selector or {}
    if selector and "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or []:
        key, values = item["key"], ",".join(sorted(item.get("values") or []))
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(words[item["operator"]])
    return ",".join(parts)
