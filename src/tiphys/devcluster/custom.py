"""What is admission for custom resources, and how does a CustomResourceDefinition bring a kind into being?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from tiphys.devcluster import schema_checks
from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause, StatusError, bad_request, invalid
from tiphys.devcluster.metadata import quoted
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Admission, Manifest, Rules
from tiphys.devcluster.schema import fill, prune, read_schema, shape_of, typed_shape_of
from tiphys.devcluster.shapes import TEXT_LIST, Shape, always, listed, struct
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.subresources import ScalePaths, dig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiphys.devcluster.history import Change
    from tiphys.devcluster.storage import Store
    from tiphys.devcluster.wire import Json

_ALWAYS_KNOWN = ("apiVersion", "kind", "metadata")


class CustomRules(Rules):
    """The admission of one version of a custom resource, by its structural schema."""

    strategic = False
    allows_unconditional_update = False

    def __init__(self, version: Mapping[str, Any]) -> None:
        source = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        subresources = version.get("subresources") or {}
        self.source = source
        self.schema = read_schema(source)
        self.schema.properties = {key: value for key, value in self.schema.properties.items() if key not in _ALWAYS_KNOWN}
        self.schema.required = tuple(key for key in self.schema.required if key not in _ALWAYS_KNOWN)
        self.shape = shape_of(self.schema)
        self._typed: Shape | None = None
        self.status_apart = "status" in subresources
        self.scale = _scale_paths(subresources.get("scale"))
        self.columns: Sequence[Mapping[str, Any]] = version.get("additionalPrinterColumns") or ()
        self._selectable = {item["jsonPath"].lstrip("."): item["jsonPath"] for item in version.get("selectableFields") or ()}
        self.selectable = frozenset(self._selectable)

    @property
    def typed(self) -> Shape:
        """The shape with the types of all fields; made when somebody applies for the first time."""
        if self._typed is None:
            self._typed = typed_shape_of(self.schema)
        return self._typed

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Prune and default."""
        metadata = manifest.pop("metadata")
        api_version, kind = manifest.pop("apiVersion"), manifest.pop("kind")
        unknown: list[str] = []
        prune(manifest, self.schema, None, unknown)
        fill(manifest, self.schema)
        manifest["apiVersion"], manifest["kind"], manifest["metadata"] = api_version, kind, metadata
        if unknown:
            write.unknown_fields.extend(sorted(unknown))

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check against the schema; writes of a status are checked on the status alone."""
        checked = {key: value for key, value in manifest.items() if key not in _ALWAYS_KNOWN}
        causes: list[Cause] = []
        if write.subresource_is_status:
            only = {"status": checked["status"]} if "status" in checked else {}
            found = schema_checks.check(only, self.schema, hidden="status.")
            causes += [cause for cause in found if cause.field.startswith("status") or cause.field == "<nil>"]
        else:
            causes += self._scale_causes(manifest)
            causes += schema_checks.check(checked, self.schema)
        if write.old is not None and not causes:
            schema_checks.check_unchanged(checked, write.old, self.schema, None, causes)
        return causes

    def verdict(self, causes: Sequence[Cause], write: Admission) -> Sequence[Cause]:
        """Add what was not checked; updates check metadata twice, as the real server does."""
        out = list(causes)
        if write.old is not None:
            out += [cause for cause in causes if cause.field.startswith("metadata.")]
        if any(cause.reason in schema_checks.BLOCKING for cause in out):
            out.append(schema_checks.NOT_ALL_CHECKED)
        return sorted(out, key=lambda cause: (cause.field, cause.message))

    def _scale_causes(self, manifest: Manifest) -> list[Cause]:
        if self.scale is None:
            return []
        path = self.scale.replicas
        *parents, last = path.strip(".").split(".")
        value: Any = manifest
        for part in (*parents, last):
            if not isinstance(value, dict):
                return [_inaccessible(path, value, "map[string]interface{}")]
            if part not in value:
                return []
            value = value[part]
        if isinstance(value, bool) or not isinstance(value, int):
            return [_inaccessible(path, value, "int64")]
        if value < 0:
            return [Cause(path, f"Invalid value: {value}: should be a non-negative integer")]
        if value >= schema_checks.INT32:
            return [Cause(path, f"Invalid value: {value}: should be less than or equal to 2147483647")]
        return []

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Everything counts but metadata, and status where it is apart."""
        apart = ("metadata", "status") if self.status_apart else ("metadata",)
        return any(new.get(key) != old.get(key) for key in {**old, **new} if key not in apart)

    def wrong_kind(self, kind: str, name: str, write: Admission) -> StatusError:
        """Refuse another kind the way custom resources do: as an invalid field."""
        return invalid(write.resource.group, kind, name, [Cause("kind", f"Invalid value: {quoted(kind)}: must be {write.resource.kind}")])

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give the values of selectableFields."""
        return {key: _plain(value) for key, path in self._selectable.items() if (value := dig(manifest, path)) is not None}


def _scale_paths(scale: Mapping[str, Any] | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(
        replicas=scale["specReplicasPath"], status_replicas=scale["statusReplicasPath"], selector=scale.get("labelSelectorPath") or None
    )


def _inaccessible(path: str, value: Json, wanted: str) -> Cause:
    found = f"{_plain(value)} is of the type {_go_type(value)}"
    return Cause(path, f"Invalid value: 0: {path} accessor error: {found}, expected {wanted}")


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _go_type(value: Json) -> str:
    names = {str: "string", float: "float64", int: "int64", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}
    return names.get(type(value), "<nil>")


_COLUMN = struct("CustomResourceColumnDefinition", "name:s type:s format:s description:s priority:i jsonPath:s")
_SCALE = struct("CustomResourceSubresourceScale", "specReplicasPath:s statusReplicasPath:s labelSelectorPath:s")
_VERSION = struct(
    "CustomResourceDefinitionVersion",
    "name:s served:b storage:b deprecated:b deprecationWarning:s",
    schema=struct("CustomResourceValidation", "openAPIV3Schema:o"),
    subresources=struct("CustomResourceSubresources", "status:o", scale=_SCALE),
    additionalPrinterColumns=listed(_COLUMN),
    selectableFields=listed(struct("SelectableField", "jsonPath:s")),
)
_NAMES = struct("CustomResourceDefinitionNames", "plural:s singular:s kind:s listKind:s", shortNames=TEXT_LIST, categories=TEXT_LIST)
_SPEC = struct(
    "CustomResourceDefinitionSpec",
    "group:s scope:s conversion:o preserveUnknownFields:b",
    names=always(_NAMES),
    versions=listed(_VERSION),
)


def rules_of(version: Mapping[str, Any]) -> CustomRules:
    """
    Give the admission of one version of a definition; versions that say the same share it, in every cluster of this process.

    Raises:
        AttributeError, TypeError, KeyError, ValueError: the version cannot be read.

    """
    return _rules(msgspec.json.encode(version))


@lru_cache(maxsize=256)
def _rules(version: bytes) -> CustomRules:
    return CustomRules(msgspec.json.decode(version))


class DefinitionRules(Rules):
    """The admission of CustomResourceDefinitions themselves."""

    status_apart = True
    shape = Shape(
        fields={
            "spec": always(_SPEC),
            "status": Shape(fields={"acceptedNames": Shape(always=True), "conditions": Shape(keys=("type",), always=True)}, always=True),
        }
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in names."""
        decode(manifest, self.shape, write)
        spec = manifest.get("spec")
        if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict) or not isinstance(spec.get("versions"), list):
            raise bad_request("CustomResourceDefinition: spec.names and spec.versions are wanted")
        names = spec["names"]
        kind = names.get("kind") or ""
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List" if kind else "")
        spec.setdefault("conversion", {"strategy": "None"})
        for version in spec["versions"]:
            for column in version.get("additionalPrinterColumns") or ():
                if not column.get("priority"):
                    column.pop("priority", None)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin with a status in which nothing is accepted yet."""
        spec = manifest["spec"]
        if write.old is None:
            stored = [version.get("name", "") for version in spec["versions"] if version.get("storage")]
            manifest["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check what a kind cannot be served without."""
        spec, name = manifest["spec"], manifest["metadata"]["name"]
        causes = []
        if name != f"{spec['names'].get('plural')}.{spec.get('group')}":
            causes.append(Cause("metadata.name", f'Invalid value: {quoted(name)}: must be spec.names.plural+"."+spec.group'))
        if not spec["names"].get("kind"):
            causes.append(Cause("spec.names.kind", "Required value", "FieldValueRequired"))
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            found = quoted(spec.get("scope") or "")
            words = f'Unsupported value: {found}: supported values: "Cluster", "Namespaced"'
            causes.append(Cause("spec.scope", words, "FieldValueNotSupported"))
        if sum(bool(version.get("storage")) for version in spec["versions"]) != 1:
            words = "Invalid value: must have exactly one version marked as storage version"
            causes.append(Cause("spec.versions", words))
        for place, version in enumerate(spec["versions"]):
            if not version.get("name"):
                causes.append(Cause(f"spec.versions[{place}].name", "Required value", "FieldValueRequired"))
            if not (version.get("schema") or {}).get("openAPIV3Schema"):
                where = f"spec.versions[{place}].schema.openAPIV3Schema"
                causes.append(Cause(where, "Required value: schemas are required", "FieldValueRequired"))
                continue
            try:
                rules_of(version)
            except (AttributeError, TypeError, KeyError, ValueError) as error:
                where = f"spec.versions[{place}]"
                causes.append(Cause(where, f"Invalid value: {quoted(version.get('name'))}: it cannot be read as a version: {error}"))
        del write
        return causes


class Definitions:
    """Serves the kinds of the CustomResourceDefinitions in a store, from the moment they are written."""

    def __init__(self, store: Store, crds: ResourceType) -> None:
        self._store = store
        self._crds = crds
        self._served: dict[str, list[ResourceType]] = {}
        self._seen: dict[str, Any] = {}
        store.react(crds, self.follow)

    def follow(self, change: Change) -> None:
        """Serve what a definition asks for now, and no longer what it does not."""
        name, spec = change.stored.name, change.stored.manifest["spec"]
        if change.type == "DELETED":
            for resource in self._served.pop(name, []):
                self._store.purge(resource)
                self._store.registry.remove(resource)
            self._seen.pop(name, None)
            return
        if self._seen.get(name) == spec:
            return
        self._seen[name] = spec
        old, self._served[name] = self._served.get(name, []), list(_resources(spec))
        for resource in old:
            self._store.registry.remove(resource)
        for resource in self._served[name]:
            self._store.registry.add(resource)
        self._establish(change.stored.copy())

    def _establish(self, manifest: Manifest) -> None:
        """Say in the status that the names are taken and served."""
        names = manifest["spec"]["names"]
        now = wire_time(self._store.clock())
        conditions = [
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
        status = manifest.setdefault("status", {})
        before = {condition["type"]: condition for condition in status.get("conditions") or ()}
        status["conditions"] = [
            before.get(kind) or {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
            for kind, reason, message in conditions
        ]
        status["acceptedNames"] = {key: value for key, value in names.items() if value}
        self._store.update(self._crds, manifest, subresource="status", manager="apiextensions-apiserver")


def _resources(spec: Mapping[str, Any]) -> list[ResourceType]:
    names = spec["names"]
    out = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        rules = rules_of(version)
        out.append(
            ResourceType(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                rules=rules,
                namespaced=spec["scope"] == "Namespaced",
                singular=names.get("singular") or names["kind"].lower(),
                list_kind=names.get("listKind") or f"{names['kind']}List",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=frozenset(version.get("subresources") or ()),
                scale=rules.scale,
            )
        )
    return out
