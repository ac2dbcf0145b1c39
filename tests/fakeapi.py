"""An API server in a dictionary, which keeps the promises that commands rely on."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tiphys.api.meta import Manifest
from tiphys.kube.client import PatchKind
from tiphys.kube.errors import ConflictError, NotFoundError
from tiphys.kube.resources import Resource

T = TypeVar("T")
Place = tuple[str, str | None, str]


class FakeApi:
    """
    Objects by resource, namespace and name.

    Every write gives a new resourceVersion, and a replacement that carries an old one is refused. *writes* tells what was written;
    *status_subresource* says whether the CRD has one; *rivals* is how many writers come in between a read and the write after it.
    """

    def __init__(self, *objects: tuple[Resource, Manifest], status_subresource: bool = True, rivals: int = 0) -> None:
        self.namespace = "shop"
        self.writes: list[tuple[str, str, Any]] = []
        self.absent: set[str] = set()
        self._status = status_subresource
        self._rivals = rivals
        self._version = 0
        self._objects: dict[Place, Manifest] = {}
        for resource, manifest in objects:
            self._store(resource, manifest["metadata"]["name"], self.namespace, copy.deepcopy(manifest))

    def raw(self, resource: Resource, name: str) -> Manifest:
        return self._find(resource, name, self.namespace)

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        return _as(self._find(resource, name, namespace), into)

    async def list(self, resource: Resource, *, namespace: str | None = None, field_selector: str = "", into: type[T]) -> list[T]:
        if resource.plural in self.absent:
            raise NotFoundError(404, "NotFound", "the server could not find the requested resource")
        here = [
            found
            for (plural, place, _), found in self._objects.items()
            if plural == resource.plural and (namespace is None or place == namespace) and _selected(found, field_selector)
        ]
        return [_as(found, into) for found in here]

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None) -> Manifest:
        made = copy.deepcopy(body)
        metadata = made.setdefault("metadata", {})
        if namespace is not None:
            metadata["namespace"] = namespace
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}x7k2p"
        self._store(resource, metadata["name"], namespace, made)
        self.writes.append(("create", f"{resource}/{metadata['name']}", body))
        return made

    async def update(self, resource: Resource, name: str, body: Manifest, *, namespace: str | None = None) -> Manifest:
        found = self._find(resource, name, namespace)
        if self._rivals:
            self._rivals -= 1
            self._store(resource, name, namespace, found)
        if body["metadata"].get("resourceVersion") not in {None, self._find(resource, name, namespace)["metadata"]["resourceVersion"]}:
            raise ConflictError(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified')
        self.writes.append(("update", f"{resource}/{name}", body))
        return self._store(resource, name, namespace, copy.deepcopy(body))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,  # noqa: ANN401 - any JSON
        *,
        namespace: str | None = None,
        kind: PatchKind = PatchKind.MERGE,
    ) -> Manifest:
        found = copy.deepcopy(self._find(resource, name, namespace))
        self.writes.append(("patch", f"{resource}/{name}", patch))
        if kind is PatchKind.JSON:
            for operation in patch:
                assert operation["op"] == "replace"
                *path, last = operation["path"].strip("/").split("/")
                target = found
                for part in path:
                    target = target[part]
                target[last] = operation["value"]
            return self._store(resource, name, namespace, found)
        merged = _merged(found, {key: value for key, value in patch.items() if not (self._status and key == "status")})
        return self._store(resource, name, namespace, merged)

    async def patch_subresource(
        self,
        resource: Resource,
        name: str,
        subresource: str,
        patch: Any,  # noqa: ANN401 - any JSON
        *,
        namespace: str | None = None,
    ) -> Manifest:
        found = self._find(resource, name, namespace)
        if not self._status:
            raise NotFoundError(404, "NotFound", "the server could not find the requested resource")
        self.writes.append((f"patch {subresource}", f"{resource}/{name}", patch))
        merged = _merged(found, {key: value for key, value in patch.items() if key == subresource})
        return self._store(resource, name, namespace, merged)

    def _find(self, resource: Resource, name: str, namespace: str | None) -> Manifest:
        found = self._objects.get((resource.plural, namespace, name))
        if found is None:
            raise NotFoundError(404, "NotFound", f'{resource} "{name}" not found')
        return found

    def _store(self, resource: Resource, name: str, namespace: str | None, manifest: Manifest) -> Manifest:
        self._version += 1
        manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(self._version)}}
        self._objects[resource.plural, namespace, name] = manifest
        return manifest


def _merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _selected(manifest: Manifest, field_selector: str) -> bool:
    """Tell whether a selector of one field, `path=value`, picks *manifest*."""
    path, _, wanted = field_selector.partition("=")
    value: Any = manifest
    for part in filter(None, path.split(".")):
        value = value.get(part, {})
    return not path or value == wanted


def _as(manifest: Manifest, into: type[T]) -> T:
    return msgspec.json.decode(msgspec.json.encode(manifest), type=into)
