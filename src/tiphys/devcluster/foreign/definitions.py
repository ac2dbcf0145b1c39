"""How does a line of the table become a CustomResourceDefinition? (pure)"""

from collections.abc import Iterable, Iterator

from tiphys.devcluster.foreign.table import FAMILIES, Family
from tiphys.devcluster.rules import Manifest


def foreign_definitions(*groups: str) -> Iterator[Manifest]:
    """Give the definitions of the products' kinds, of all groups or of those named."""
    for family in FAMILIES:
        if not groups or family.group in groups:
            yield from _definitions(family)


def _definitions(family: Family) -> Iterable[Manifest]:
    for kind, plural in family.kinds.items():
        names: Manifest = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
        if short := [name for owner, name in family.short_names if owner == kind]:
            names["shortNames"] = short
        if family.categories:
            names["categories"] = list(family.categories)
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{family.group}", "annotations": _annotations(family.group)},
            "spec": {
                "group": family.group,
                "names": names,
                "scope": "Cluster" if kind in family.cluster_scoped else "Namespaced",
                "versions": [_version(family, version) for version in (*family.versions, *family.unserved)],
            },
        }


def _version(family: Family, version: str) -> Manifest:
    described: Manifest = {
        "name": version,
        "served": version not in family.unserved,
        "storage": version == family.storage,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return described | ({"subresources": {"status": {}}} if family.status else {})


def _annotations(group: str) -> Manifest:
    """Groups below k8s.io are protected: a definition there has to say who approved it, or that nobody did."""
    protected = group.endswith((".k8s.io", ".kubernetes.io"))
    return {"api-approved.kubernetes.io": "unapproved, a development cluster's own definition"} if protected else {}
