"""Which kinds does a server serve, and under which names?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.kube.client import Client
from tiphys.kube.codec import Manifest
from tiphys.kube.errors import ApiError, DecodeError, NotFoundError
from tiphys.kube.resources import Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class ServedResource:
    """One kind in one version as the server describes it."""

    resource: Resource
    verbs: frozenset[str] = frozenset()
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """Everything a server serves, the preferred version of each group first; *problems* names the groups that did not answer."""

    resources: tuple[ServedResource, ...] = ()
    problems: tuple[str, ...] = ()

    def __contains__(self, resource: object) -> bool:
        return any(served.resource == resource for served in self.resources)

    def find(self, group: str, plural: str) -> ServedResource | None:
        """Give the kind in the version the server prefers."""
        return next((each for each in self.resources if (each.resource.group, each.resource.plural) == (group, plural)), None)

    def of_kind(self, api_version: str, kind: str) -> ServedResource | None:
        """Give the kind that an object's `apiVersion` and `kind` mean."""
        return next((each for each in self.resources if (each.resource.api_version, each.resource.kind) == (api_version, kind)), None)

    def named(self, word: str) -> ServedResource | None:
        """Give the kind a user means by *word*: plural, singular, short name or kind, with or without `.group`."""
        name, _, group = word.lower().partition(".")
        return next((each for each in self.resources if _answers_to(each, name, group)), None)


async def discover(client: Client) -> Served:
    """
    Ask what the server serves: two requests where it knows aggregated discovery, one per version where it does not.

    A group whose own server is down is left out and named in `problems`, as the others work all the same.
    """
    core = await client.request("GET", "/api", accept=f"{AGGREGATED},application/json")
    named = await client.request("GET", "/apis", accept=f"{AGGREGATED},application/json")
    found: list[ServedResource] = []
    problems: list[str] = []
    for document in (core, named):
        if document.get("kind") == "APIGroupDiscoveryList":
            resources, stale = _aggregated(document)
        else:
            resources, stale = await _legacy(client, document)
        found += resources
        problems += stale
    return Served(tuple(found), tuple(problems))


async def serves(client: Client, resource: Resource) -> bool:
    """Say whether the server serves *resource*, in one request."""
    path = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    try:
        document = await client.request("GET", path)
    except NotFoundError:
        return False
    return any(entry.get("name") == resource.plural for entry in document.get("resources") or ())


def _aggregated(document: Manifest) -> tuple[list[ServedResource], list[str]]:
    found: list[ServedResource] = []
    stale: list[str] = []
    for item in document.get("items") or ():
        group = item.get("metadata", {}).get("name", "")
        for version in item.get("versions") or ():
            if version.get("freshness") == "Stale":
                stale.append(f"{group}/{version['version']}: its server does not answer")
            for entry in version.get("resources") or ():
                kind = entry.get("responseKind") or {}
                found.append(
                    ServedResource(
                        Resource(group, version["version"], entry["resource"], kind.get("kind", ""), entry.get("scope") == "Namespaced"),
                        verbs=frozenset(entry.get("verbs") or ()),
                        singular=entry.get("singularResource", ""),
                        short_names=tuple(entry.get("shortNames") or ()),
                        categories=tuple(entry.get("categories") or ()),
                        subresources=tuple(sub["subresource"] for sub in entry.get("subresources") or ()),
                    )
                )
    return found, stale


async def _legacy(client: Client, document: Manifest) -> tuple[list[ServedResource], list[str]]:
    found: list[ServedResource] = []
    problems: list[str] = []
    for group, version, path in _versions(document):
        try:
            entries = await client.request("GET", path)
        except (ApiError, DecodeError) as error:
            problems.append(f"{path.removeprefix('/apis/')}: {error}")
        else:
            found += _legacy_resources(group, version, entries.get("resources") or ())
    return found, problems


def _versions(document: Manifest) -> list[tuple[str, str, str]]:
    """Give group, version and path of each document to read, the preferred version of a group first."""
    if document.get("kind") == "APIVersions":
        return [("", version, f"/api/{version}") for version in document.get("versions") or ()]
    wanted = []
    for group in document.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = sorted((each["version"] for each in group.get("versions") or ()), key=lambda version: version != preferred)
        wanted += [(group["name"], version, f"/apis/{group['name']}/{version}") for version in versions]
    return wanted


def _legacy_resources(group: str, version: str, entries: Iterable[Mapping[str, Any]]) -> list[ServedResource]:
    entries = list(entries)
    return [
        ServedResource(
            Resource(group, version, entry["name"], entry.get("kind", ""), bool(entry.get("namespaced"))),
            verbs=frozenset(entry.get("verbs") or ()),
            singular=entry.get("singularName", ""),
            short_names=tuple(entry.get("shortNames") or ()),
            categories=tuple(entry.get("categories") or ()),
            subresources=tuple(other["name"].partition("/")[2] for other in entries if other["name"].startswith(f"{entry['name']}/")),
        )
        for entry in entries
        if "/" not in entry["name"]
    ]


def _answers_to(served: ServedResource, name: str, group: str) -> bool:
    resource = served.resource
    if group and group not in {resource.group, f"{resource.version}.{resource.group}"}:
        return False
    return name in {resource.plural, served.singular, resource.kind.lower(), *served.short_names}
