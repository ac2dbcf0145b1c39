"""Which kinds of object does the cluster serve, and under which names?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiphys.devcluster.rules import Rules
    from tiphys.devcluster.subresources import ScalePaths

NO_SUBRESOURCES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourceType:
    """
    One kind in one API version; *plural* is its name in URLs.

    All versions of a kind share one storage (`key`), and so do kinds of two groups where one is *stored_as* the other's
    (group, plural). Two resource types are the same only if they are the same object.
    """

    group: str
    version: str
    plural: str
    kind: str
    rules: Rules
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = NO_SUBRESOURCES
    scale: ScalePaths | None = None
    stored_as: tuple[str, str] | None = None
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

    @property
    def key(self) -> tuple[str, str]:
        """What all versions of this kind have in common: (group, plural)."""
        return self.stored_as or (self.group, self.plural)

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1` and so on, as a manifest says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`replicasets.apps`, as messages say it; core kinds stand alone."""
        group, plural = self.key
        return f"{plural}.{group}" if group else plural


class Registry:
    """The resource types that are served now: the built-in ones and those of installed CustomResourceDefinitions."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], ResourceType] = {}
        self._by_kind: dict[tuple[str, str], ResourceType] = {}
        self.generation = 0

    def __iter__(self) -> Iterator[ResourceType]:
        """All resource types in the order in which they were added."""
        return iter(list(self._by_path.values()))

    def add(self, resource: ResourceType) -> None:
        """Serve *resource* from now on; one with the same group, version and plural is replaced."""
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_kind[resource.api_version, resource.kind] = resource
        self.generation += 1

    def remove(self, resource: ResourceType) -> None:
        """Serve *resource* no longer; its objects are the caller's business."""
        self._by_path.pop((resource.group, resource.version, resource.plural), None)
        self._by_kind.pop((resource.api_version, resource.kind), None)
        self.generation += 1

    def resource(self, group: str, version: str, plural: str) -> ResourceType | None:
        """Find a resource type by its place in a URL."""
        return self._by_path.get((group, version, plural))

    def kind(self, api_version: str, kind: str) -> ResourceType | None:
        """Find a resource type by what a manifest says of itself."""
        return self._by_kind.get((api_version, kind))

    def of_manifest(self, manifest: dict[str, object]) -> ResourceType:
        """
        Find the resource type of *manifest*.

        Raises:
            LookupError: no such kind is served; the message says what to install.

        """
        api_version, kind = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
        found = self.kind(api_version, kind)
        if found is None:
            raise LookupError(f"{api_version} {kind}: no such kind is served, wanted a built-in one or one of an installed CRD")
        return found
