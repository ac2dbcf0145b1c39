"""
What is put right in a status that somebody else wrote, before anything is decided from it?

Nothing that is put right here lets an update go further than it was.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from tiphys.api.codec import decode
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest, wire_time
from tiphys.api.misfits import without_misfits
from tiphys.api.status import RolloutStatus
from tiphys.api.wireform import compact
from tiphys.api.words import PauseReason
from tiphys.core.observed import Observed
from tiphys.core.pairs import alternates, exchanged, ping_pong_pair
from tiphys.core.revisions import Revisions, find_revisions, hash_of
from tiphys.core.slots import find_service, find_slots, selects

SKEW: Final = timedelta(minutes=1)
"""How far the clock of whoever wrote a time may be ahead."""
_INCONCLUSIVE: Final = frozenset({PauseReason.INCONCLUSIVE_ANALYSIS, PauseReason.INCONCLUSIVE_EXPERIMENT})
_PAUSES: Final = ("pauseConditions", "controllerPause")


def readable_part(status: object) -> Manifest | None:
    """
    Give *status*, as it stands on the wire, without what cannot be read.

    A pause of which anything is lost begins anew. What was aborted stays so. The stable version is looked up in what else is recorded of
    it; nothing is given where it cannot be found, because without it any version would be the first one, which needs no steps.
    """
    if not isinstance(status, dict):
        return None
    kept = without_misfits(status, RolloutStatus)
    if any(kept.get(field) != status.get(field) for field in _PAUSES):
        kept = {field: value for field, value in kept.items() if field not in _PAUSES}
    if "abort" in status and "abort" not in kept and "abortedAt" in status:
        kept["abort"] = True
    if "stableRS" in status and "stableRS" not in kept:
        stable = _recorded_stable(kept)
        if not stable:
            return None
        kept["stableRS"] = stable
    return kept


def _recorded_stable(status: Manifest) -> str:
    """Give the hash of the stable version from what is recorded of its traffic, or the empty text."""
    read = decode(compact(status).encode(), RolloutStatus)
    weights = read.canary.weights
    return read.blue_green.active_selector if weights is None else weights.stable.pod_template_hash


def mended(seen: Observed) -> tuple[RolloutStatus, tuple[SpecError, ...]]:
    """Give the stored status with what cannot be right put right, and what that was."""
    status = seen.rollout.status
    wrong: list[SpecError] = []
    for error in _impossible_step(seen):
        wrong.append(error)
        status = replace(status, current_step_index=0, pause_conditions=(), controller_pause=False)
    for error in _impossible_pauses(seen):
        wrong.append(error)
        status = replace(status, pause_conditions=(), controller_pause=False)
    revisions = find_revisions(seen)
    stable = _held_as_stable(seen, revisions) if revisions.stable is None else ""
    if stable and stable != status.stable_rs:
        wanted = f"must be the hash of a version that is there; {stable} has the traffic of the stable one"
        wrong.append(SpecError(field="status.stableRS", found=status.stable_rs, wanted=wanted))
        status = replace(status, stable_rs=stable)
    for error in _impossible_roles(seen):
        wrong.append(error)
        status = replace(status, canary=replace(status.canary, stable_ping_pong=exchanged(status.canary.stable_ping_pong)))
    return status, tuple(wrong)


def _impossible_step(seen: Observed) -> Iterator[SpecError]:
    """
    Name a step before the first one.

    One beyond the last means that all are done: clients skip steps so (lifecycle 6.1). Where the steps have just been changed, they begin
    anew anyway.
    """
    status, canary = seen.rollout.status, seen.rollout.spec.strategy.canary
    if canary is None or status.current_step_index is None or status.current_step_hash != seen.steps_hash:
        return
    if status.current_step_index < 0:
        wanted = f"must be 0 to {len(canary.steps)} (the number of steps); begins anew"
        yield SpecError(field="status.currentStepIndex", found=status.current_step_index, wanted=wanted)


def _impossible_pauses(seen: Observed) -> Iterator[SpecError]:
    """Name pauses that this strategy does not make, and those that begin never or in the future."""
    strategy = seen.rollout.spec.strategy
    ours = PauseReason.BLUE_GREEN_PAUSE if strategy.canary is None else PauseReason.CANARY_PAUSE_STEP
    known = {ours, *_INCONCLUSIVE}
    for at, pause in enumerate(seen.rollout.status.pause_conditions):
        field = f"status.pauseConditions[{at}]"
        if pause.reason not in known:
            wanted = f"must be one of {', '.join(sorted(known))}; the pause begins anew"
            yield SpecError(field=f"{field}.reason", found=pause.reason, wanted=wanted)
        elif pause.start_time is None:
            yield SpecError(field=f"{field}.startTime", found=None, wanted="when the pause began; it begins anew")
        elif pause.start_time > seen.now + SKEW:
            found = wire_time(pause.start_time)
            yield SpecError(field=f"{field}.startTime", found=found, wanted="must be in the past; the pause begins anew")


def _impossible_roles(seen: Observed) -> Iterator[SpecError]:
    """Name roles of the ping-pong Services that are the other way round: it is the other one that selects the stable version."""
    status, canary = seen.rollout.status, seen.rollout.spec.strategy.canary
    if canary is None or not status.stable_rs or not alternates(canary):
        return
    pair = ping_pong_pair(canary, status.canary.stable_ping_pong)
    claimed, other = (find_service(seen, name) for name in (pair.stable, pair.canary))
    if claimed is not None and other is not None and selects(other) == status.stable_rs and selects(claimed) not in {"", status.stable_rs}:
        wanted = f"must be {exchanged(status.canary.stable_ping_pong)}: Service {pair.canary} selects the stable version"
        yield SpecError(field="status.canary.stablePingPong", found=status.canary.stable_ping_pong, wanted=wanted)


def _held_as_stable(seen: Observed, revisions: Revisions) -> str:
    """
    Give the version that has the traffic of the stable one, or the empty text where none has, or where that proves nothing.

    The new version proves nothing while another one has pods. Where no version is recorded at all, only one that is whole counts: the first
    version is behind the Services before it is stable. Where neither routes nor Services tell versions apart, pods do.
    """
    selected = _selected_as_stable(seen)
    others = [rs for rs in revisions.all if rs is not revisions.new and rs.spec.replicas]
    held = others[0] if selected is None and len(others) == 1 else next((rs for rs in revisions.all if hash_of(rs) == selected), None)
    if held is None or held.status.available_replicas == 0:
        return ""
    if held is revisions.new and (not revisions.stable_hash or bool(others)):
        return ""
    whole = held.status.available_replicas >= (seen.rollout.spec.replicas or 0)
    return hash_of(held) if revisions.stable_hash or whole else ""


def _selected_as_stable(seen: Observed) -> str | None:
    """Give the hash that the stable backend selects: empty where it selects none, nothing where there is no backend."""
    canary, blue_green = seen.rollout.spec.strategy.canary, seen.rollout.spec.strategy.blue_green
    slots = None if canary is None else find_slots(seen, canary)
    if slots is not None:
        return slots.stable.holds or ""
    name = canary.stable_service if canary is not None else "" if blue_green is None else blue_green.active_service
    service = find_service(seen, name)
    return None if service is None else selects(service)
