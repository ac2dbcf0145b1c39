"""Through which routers was the traffic of a Rollout ever steered? (Decision 0014)"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
from msgspec.structs import replace as restruct

from tiphys.api import names
from tiphys.api.codec import plain
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.actions import UpdateRollout

_LOOSE: Final = frozenset({"managedRoutes", "maxTrafficWeight"})
"""Fields of `trafficRouting` that say what is written, not where."""


def present_routers(rollout: Rollout) -> Manifest | None:
    """Give the part of the canary strategy that leads to route objects: its routers, and the Services that they tell apart."""
    canary = rollout.spec.strategy.canary
    if canary is None or canary.traffic_routing is None:
        return None
    part = CanaryStrategy(
        canary_service=canary.canary_service,
        stable_service=canary.stable_service,
        ping_pong=canary.ping_pong,
        traffic_routing=restruct(canary.traffic_routing, verification=None),
    )
    return plain(part) if _place(plain(part)) else None


def earlier_routers(rollout: Rollout) -> tuple[Manifest, ...]:
    """Give the parts of earlier specs, as `present_routers` gives them, whose objects nobody has looked after yet; the latest first."""
    known = recorded_routers(rollout)
    present = present_routers(rollout) if known else None
    return tuple(part for part in known if present is None or _place(part) != _place(present))


def recorded_routers(rollout: Rollout) -> tuple[Manifest, ...]:
    """Read what the annotation says; what is no such record says nothing."""
    try:
        found = msgspec.json.decode(rollout.metadata.annotations.get(names.ROUTED_BY, "[]"), type=list[Manifest])
    except msgspec.DecodeError:
        return ()
    return tuple(part for part in found if isinstance(part.get("trafficRouting"), dict))


def record(parts: Sequence[Manifest]) -> str | None:
    """Give the annotation that says *parts*; nothing where it should not be there."""
    return msgspec.json.encode(parts, order="sorted").decode() if parts else None


def with_routers(rollout: Rollout, note: UpdateRollout | None, *, routes: bool) -> UpdateRollout | None:
    """
    Let the Rollout remember its routers before one of them is written to (*routes*), so that no death in between loses the objects.

    It is added to *note*, the write that happens anyway; a Rollout that needs no write gets none for this (S10).
    """
    if not routes and note is None:
        return None
    present = present_routers(rollout)
    known = recorded_routers(rollout)
    if present is None or present in known:
        return note
    others = [part for part in known if _place(part) != _place(present)]
    annotation = {names.ROUTED_BY: record([present, *others])}
    return UpdateRollout(annotations=annotation) if note is None else replace(note, annotations={**note.annotations, **annotation})


def _place(part: Manifest) -> Manifest:
    return {key: value for key, value in part["trafficRouting"].items() if key not in _LOOSE}
