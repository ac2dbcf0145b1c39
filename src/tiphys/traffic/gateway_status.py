"""What do the implementations of the Gateway API say about a route they were given? (Traffic-routing reference 7.2.)"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.observed import Verification
from tiphys.traffic.gateway_spec import GROUP
from tiphys.traffic.manifests import entries, mapping
from tiphys.traffic.router import Confirmation, Ref
from tiphys.traffic.together import combine_verified

WITHOUT_MIRRORS: Final = {"linkerd.io/policy-controller": "Linkerd", "traefik.io/gateway-controller": "Traefik"}
"""Implementations, by the name under which they report, that accept a RequestMirror filter and do not do it, or answer with errors."""

_ASKED: Final = ("Accepted", "ResolvedRefs")


def reported(ref: Ref, manifest: Manifest) -> Confirmation:
    """
    Judge the status of the route *ref*: has every implementation that answers for a parent taken the route as it is now?

    An answer counts for the generation that it names. Parents that nobody answers for tell nothing: there may be no implementation.
    """
    try:
        spec, status = mapping(manifest.get("spec"), "spec"), mapping(manifest.get("status"), "status")
        wanted = [_parent(parent, ref) for parent in entries(spec.get("parentRefs"), "spec.parentRefs")]
        answers = entries(status.get("parents"), "status.parents")
        told = [
            _of_parent(ref, answer, manifest)
            for index, answer in enumerate(answers)
            if _parent(mapping(answer.get("parentRef"), f"status.parents[{index}].parentRef"), ref) in wanted
        ]
    except SpecError as error:
        return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{ref}: {error}")
    if not told:
        return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{ref}: no implementation has reported on it")
    return combine_verified(told)


def cannot_mirror(manifest: Manifest) -> str | None:
    """Name the implementation that has reported on a route and knows no mirroring, if there is one."""
    try:
        answers = entries(mapping(manifest.get("status"), "status").get("parents"), "status.parents")
    except SpecError:
        return None
    names = [WITHOUT_MIRRORS.get(str(answer.get("controllerName"))) for answer in answers]
    return next((name for name in names if name is not None), None)


def _of_parent(ref: Ref, answer: Mapping[str, Any], manifest: Manifest) -> Confirmation:
    generation = mapping(manifest.get("metadata"), "metadata").get("generation")
    conditions = {str(condition.get("type")): condition for condition in entries(answer.get("conditions"), "status.parents.conditions")}
    return combine_verified([_of_condition(kind, conditions.get(kind), generation, f"{ref}, {_name(answer)}") for kind in _ASKED])


def _of_condition(kind: str, found: Mapping[str, Any] | None, generation: object, about: str) -> Confirmation:
    seen = None if found is None else found.get("observedGeneration")
    if found is None or not _is_count(seen) or not _is_count(generation):
        return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{about}: no {kind} condition that names a generation")
    if seen != generation:
        return Confirmation(verified=Verification.NOT_YET, detail=f"{about}: {kind} is about generation {seen}, wanted {generation}")
    if found.get("status") != "True":
        words = ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))
        return Confirmation(
            verified=Verification.NOT_YET, detail=f"{about}: {kind} is {found.get('status')} ({words or 'no reason given'})"
        )
    return Confirmation(verified=Verification.YES, detail=f"{about}: {kind} for generation {generation}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parent(parent: Mapping[str, Any], ref: Ref) -> Sequence[object]:
    """Give what identifies a parent, with the defaults filled in."""
    return (
        parent.get("group", GROUP),
        parent.get("kind") or "Gateway",
        parent.get("namespace") or ref.namespace,
        parent.get("name"),
        parent.get("sectionName") or "",
        parent.get("port") or 0,
    )


def _name(answer: Mapping[str, Any]) -> str:
    parent = mapping(answer.get("parentRef"), "status.parents.parentRef")
    return f"{parent.get('kind') or 'Gateway'} {parent.get('name')}"
