"""How do new pods keep away from the nodes of stable ones? (Lifecycle reference 3.12.)"""

from typing import Any, Final

import msgspec

from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.api.rollout import AntiAffinity
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def kept_apart(seen: Observed, revisions: Revisions, wish: AntiAffinity | None, template: bytes) -> Manifest | None:
    """
    Give the `affinity` of the new version's pods with one term that keeps them apart from stable pods; nothing where *template* is right.

    *template* is the one the ReplicaSet has, or will be made from. The user's own terms stay, ours comes last, and one that names another
    stable version is replaced. A promoted version keeps its term: to take it away would restart its pods.
    """
    if wish is None or not revisions.stable_hash or revisions.stable_hash == revisions.pod_hash:
        return None
    if _names(template, revisions.stable_hash):
        return None
    spec = msgspec.json.decode(template).get("spec") or {}
    affinity = dict(spec.get("affinity") or {})
    apart = dict(affinity.get("podAntiAffinity") or {})
    for key in (_REQUIRED, _PREFERRED):
        if apart.get(key):
            apart[key] = [term for term in apart[key] if not _between_versions(term.get("podAffinityTerm") or term)]
    term = _term(revisions.stable_hash, seen.rollout.metadata.namespace)
    if wish.preferred is not None:
        apart[_PREFERRED] = [*apart.get(_PREFERRED, []), {"weight": wish.preferred.weight, "podAffinityTerm": term}]
    else:
        apart[_REQUIRED] = [*apart.get(_REQUIRED, []), term]
    return {**affinity, "podAntiAffinity": {key: value for key, value in apart.items() if value}}


def _names(template: bytes, stable_hash: str) -> bool:
    """Whether a term between versions may name *stable_hash* already: only then the template has to be read."""
    if stable_hash.encode() not in template:
        return False
    apart = ((msgspec.json.decode(template).get("spec") or {}).get("affinity") or {}).get("podAntiAffinity") or {}
    terms = [*(apart.get(_REQUIRED) or []), *(each.get("podAffinityTerm") or {} for each in apart.get(_PREFERRED) or [])]
    return any(_between_versions(term) and stable_hash in term["labelSelector"]["matchExpressions"][0].get("values", ()) for term in terms)


def _term(stable_hash: str, namespace: str) -> Manifest:
    condition = {"key": names.HASH_LABEL, "operator": "In", "values": [stable_hash]}
    return {"labelSelector": {"matchExpressions": [condition]}, "namespaces": [namespace], "topologyKey": "kubernetes.io/hostname"}


def _between_versions(term: dict[str, Any]) -> bool:
    conditions = (term.get("labelSelector") or {}).get("matchExpressions") or []
    return [condition.get("key") for condition in conditions] == [names.HASH_LABEL]
