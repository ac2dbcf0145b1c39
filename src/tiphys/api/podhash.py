"""Which hash names the ReplicaSet of a pod template, and which says that the steps changed? (Reference pod-template-json.)"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from tiphys.api import wireform
from tiphys.api.rollout import Step

_OFFSET_BASIS: Final = 2166136261
_PRIME: Final = 16777619
_MASK: Final = 0xFFFFFFFF
_SAFE_DIGITS: Final = str.maketrans("0123456789", "456789bcdf")
_CACHED: Final = 256
_TEXTS_CACHED: Final = 32


@lru_cache(maxsize=_CACHED)
def template_hash(template: bytes, collision_count: int | None = None) -> str:
    """
    Give the pod-template hash of *template* as controllers since 1.9 compute it.

    *template* is JSON as stored, before anything is added to it.

    Raises:
        SpecError: *template* is no pod template.

    """
    return hash_of_text(canonical_template(template), collision_count)


@lru_cache(maxsize=_CACHED)
def legacy_template_hash(template: bytes, collision_count: int | None = None) -> str:
    """
    Give the pod-template hash of *template* as controllers from 1.2 to 1.8 computed it.

    Raises:
        SpecError: *template* is no pod template.

    """
    return hash_of_text(_written(wireform.up_to_1_8(), template), collision_count)


@lru_cache(maxsize=_TEXTS_CACHED)
def canonical_template(template: bytes) -> bytes:
    """
    Give the one JSON text of *template* that is hashed.

    Raises:
        SpecError: *template* is no pod template.

    """
    return _written(wireform.since_1_9(), template)


def steps_hash(steps: Sequence[Step]) -> str:
    """Give the hash of canary *steps*."""
    return _steps_hash(msgspec.json.encode(steps)) if steps else hash_of_text(b"null", None)


def hash_of_text(text: bytes, collision_count: int | None) -> str:
    """Give the 32-bit FNV-1a of *text* in digits that spell no words; a collision count goes in as eight bytes."""
    value = _OFFSET_BASIS
    for byte in text if collision_count is None else text + (collision_count & _MASK).to_bytes(8, "little"):
        value = ((value ^ byte) * _PRIME) & _MASK
    return str(value).translate(_SAFE_DIGITS)


@lru_cache(maxsize=_CACHED)
def _steps_hash(steps: bytes) -> str:
    field = "spec.strategy.canary.steps"
    found = wireform.read(steps, field=field)
    form = wireform.since_1_9()
    written = ",".join(form.write(wireform.STEP, step, field=f"{field}[{at}]") for at, step in enumerate(found))
    return hash_of_text(f"[{written}]".encode(), None)


def _written(form: wireform.Form, template: bytes) -> bytes:
    field = "spec.template"
    return form.write(wireform.POD_TEMPLATE, wireform.read(template, field=field), field=field).encode()
