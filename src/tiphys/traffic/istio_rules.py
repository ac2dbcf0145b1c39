"""Which pods do the subsets of a DestinationRule select, and how is that changed? (Traffic-routing reference 4.1.5.)"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL, MANAGED_BY
from tiphys.traffic.manifests import annotations, entries, mapping, text, with_annotation


def host(rule: Manifest) -> str:
    """
    Give the host that *rule* is about.

    Raises:
        SpecError: it is malformed.

    """
    return text(mapping(rule.get("spec"), "spec").get("host"), "spec.host")


def selected_hash(rule: Manifest, subset: str) -> str:
    """
    Give the pod hash that *subset* of *rule* selects, or the empty text where it does not look at the hash.

    Raises:
        SpecError: the subset is missing or malformed.

    """
    index, found = _subset(rule, subset)
    at = f"spec.subsets[{index}].labels"
    return text(mapping(found.get("labels"), at).get(HASH_LABEL), f"{at}[{HASH_LABEL}]")


def selecting(rule: Manifest, hashes: Mapping[str, str], *, rollout: str) -> Manifest:
    """
    Give *rule* with every subset named in *hashes* selecting that hash, marked as managed by *rollout*.

    An empty hash takes the key away. Nothing else in a subset, and no other subset, is touched.

    Raises:
        SpecError: a subset is missing or malformed.

    """
    changed: dict[int, Mapping[str, Any]] = {}
    for name, wanted in hashes.items():
        index, subset = _subset(rule, name)
        labels = mapping(subset.get("labels"), f"spec.subsets[{index}].labels")
        if labels.get(HASH_LABEL, "") == wanted:
            continue
        rest = {key: value for key, value in labels.items() if key != HASH_LABEL}
        changed[index] = _labelled(subset, {**rest, HASH_LABEL: wanted} if wanted else rest)
    marked = with_annotation(rule, MANAGED_BY, rollout)
    if not changed:
        return marked
    subsets = [changed.get(index, subset) for index, subset in enumerate(rule["spec"]["subsets"])]
    return {**marked, "spec": {**rule["spec"], "subsets": subsets}}


def marked_for(rule: Manifest) -> Collection[str]:
    """Name the Rollout whose mark *rule* carries; nobody where there is none, or it cannot be read."""
    try:
        name = text(annotations(rule).get(MANAGED_BY), "metadata.annotations")
    except SpecError:
        return ()
    return (name,) if name else ()


def selections(rule: Manifest) -> Sequence[Mapping[str, str]]:
    """Give the labels of every subset that looks at the hash; a malformed rule has none."""
    try:
        found = entries(mapping(rule.get("spec"), "spec").get("subsets"), "spec.subsets")
        labels = [mapping(subset.get("labels"), "spec.subsets") for subset in found]
    except SpecError:
        return ()
    return [each for each in labels if each.get(HASH_LABEL)]


def released(rule: Manifest, rollout: str, kept: Collection[str]) -> Manifest:  # noqa: ARG001  a rule carries the mark of one
    """Give *rule* without the mark, and without the hashes in its subsets but for those of *kept*, which are somebody else's."""
    bare = with_annotation(rule, MANAGED_BY, "")
    ours = [labels for labels in selections(rule) if labels[HASH_LABEL] not in kept]
    if not ours:
        return bare
    subsets = [
        _labelled(subset, {key: value for key, value in subset["labels"].items() if key != HASH_LABEL})
        if subset.get("labels") in ours
        else subset
        for subset in rule["spec"]["subsets"]
    ]
    return {**bare, "spec": {**rule["spec"], "subsets": subsets}}


def _labelled(subset: Mapping[str, Any], labels: Mapping[str, Any]) -> Mapping[str, Any]:
    if labels:
        return {**subset, "labels": labels}
    return {key: value for key, value in subset.items() if key != "labels"}


def _subset(rule: Manifest, name: str) -> tuple[int, Mapping[str, Any]]:
    found = entries(mapping(rule.get("spec"), "spec").get("subsets"), "spec.subsets")
    for index, subset in enumerate(found):
        if subset.get("name") == name:
            return index, subset
    known = ", ".join(str(subset.get("name")) for subset in found)
    raise SpecError(field="spec.subsets", found=name or None, wanted=f"must be the name of a subset; there are: {known or 'none'}")
