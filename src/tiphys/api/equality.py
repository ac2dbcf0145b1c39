"""Do a ReplicaSet and a Rollout have the same pod template, whatever was added on the way? (Lifecycle reference 3.4, rule 3.)"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec

from tiphys.api import names, wireform
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.podrules import fill_in
from tiphys.api.rollout import Metadata

_CACHED: Final = 256
_DIGEST_LENGTH: Final = 32
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def same_template(replica_set_template: bytes, rollout_template: bytes, ephemeral: Metadata | None = None) -> bool:
    """
    Tell whether both templates, as JSON, mean the same pods.

    The pod-template hash, the keys of *ephemeral* (what `recorded_metadata` gives for the ReplicaSet), anti-affinity to other
    versions and the deprecated name of the service account make no difference, and neither do defaults that one of them spells
    out. A template that nobody can read is the same as nothing.
    """
    one = meaning_digest(replica_set_template, ephemeral)
    return bool(one) and one == meaning_digest(rollout_template, ephemeral)


def meaning_digest(template: bytes, ephemeral: Metadata | None = None) -> str:
    """
    Give a digest of what a template means: equal for all templates that are the same (`same_template`), empty where nobody can read it.

    A ReplicaSet of ours carries it from its creation on; where its template gives another one now, somebody changed that by hand (12.1).
    """
    labels = frozenset(ephemeral.labels) if ephemeral is not None else frozenset()
    annotations = frozenset(ephemeral.annotations) if ephemeral is not None else frozenset()
    return _meaning(template, labels, annotations)[:_DIGEST_LENGTH]


def recorded_metadata(annotations: Mapping[str, str]) -> Metadata | None:
    """Read from a ReplicaSet's *annotations* which labels and annotations were put on its pods for a while."""
    text = annotations.get(names.EPHEMERAL_METADATA)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Metadata)
    except msgspec.DecodeError:
        return None


@lru_cache(maxsize=_CACHED)
def _meaning(template: bytes, labels: frozenset[str], annotations: frozenset[str]) -> str:
    """Give a digest of what *template* means without those *labels* and *annotations*; empty where nobody can read it."""
    try:
        body = wireform.read(template, field="spec.template") or {}
        _forget(body, "labels", labels | {names.HASH_LABEL})
        _forget(body, "annotations", annotations)
        fill_in(body)
        _forget_anti_affinity(body["spec"])
        text = wireform.by_value().write(wireform.POD_TEMPLATE, body, field="spec.template")
    except (SpecError, AttributeError, TypeError, KeyError):
        return ""
    return sha256(text.encode()).hexdigest()


def _forget(template: Manifest, kind: str, keys: frozenset[str]) -> None:
    metadata = template.get("metadata") or {}
    metadata[kind] = {key: value for key, value in (metadata.get(kind) or {}).items() if key not in keys}


def _forget_anti_affinity(spec: Manifest) -> None:
    """Take out the terms that keep versions apart, and what is empty without them."""
    affinity = spec.get("affinity")
    if affinity is None:
        return
    apart = affinity.get("podAntiAffinity") or {}
    apart[_REQUIRED] = [term for term in apart.get(_REQUIRED) or [] if not _between_versions(term)]
    apart[_PREFERRED] = [term for term in apart.get(_PREFERRED) or [] if not _between_versions(term.get("podAffinityTerm") or {})]
    affinity["podAntiAffinity"] = apart if apart[_REQUIRED] or apart[_PREFERRED] else None
    if not any(affinity.values()):
        del spec["affinity"]


def _between_versions(term: Mapping[str, Any]) -> bool:
    conditions = (term.get("labelSelector") or {}).get("matchExpressions") or []
    return [condition.get("key") for condition in conditions] == [names.HASH_LABEL]
