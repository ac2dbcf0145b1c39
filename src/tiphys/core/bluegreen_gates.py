"""May the new version take the traffic, and then become stable? (Lifecycle reference 7.3, 7.5, 7.6.)"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tiphys.api import words
from tiphys.api.meta import whole_seconds
from tiphys.api.rollout import RolloutAnalysis
from tiphys.api.status import PauseCondition, RunStatus
from tiphys.core.actions import Because, Why
from tiphys.core.bluegreen_situation import BlueGreen, saturated
from tiphys.core.runs import Gate, Purpose, Verdict, inconclusive, open_gate, read_gate, with_inconclusive_pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """
    Whether the way to the active Service is free, and what the pause looks like after this pass.

    A person's promotion is remembered as `controllerPause` without a pause condition, until the Service has moved.
    """

    free: bool
    pauses: tuple[PauseCondition, ...] = ()
    controller_pause: bool = False
    checkpoint: bool = False
    because: Because | None = None
    wake_at: datetime | None = None


def pre_promotion(now: BlueGreen) -> Gate:
    """Read the analysis before cut-over; nothing is asked where the version is not gated."""
    known = now.seen.rollout.status.blue_green.pre_promotion_analysis_run_status
    return _gate(now, now.strategy.pre_promotion_analysis, Purpose.PRE_PROMOTION, asked=now.gated, known=known)


def post_promotion(now: BlueGreen, *, cut_over: bool) -> Gate:
    """Read the analysis after cut-over, which keeps the version from becoming stable."""
    asked = cut_over and now.forward and not (now.fast or now.promote_full)
    known = now.seen.rollout.status.blue_green.post_promotion_analysis_run_status
    return _gate(now, now.strategy.post_promotion_analysis, Purpose.POST_PROMOTION, asked=asked, known=known)


def _gate(now: BlueGreen, analysis: RolloutAnalysis | None, purpose: Purpose, *, asked: bool, known: RunStatus | None) -> Gate:
    if not asked:
        return open_gate(purpose)
    return read_gate(now.seen, analysis, purpose, pod_hash=now.revisions.pod_hash, since=now.runs_since, known=known)


def pass_gates(now: BlueGreen, gate: Gate) -> Passage:
    """Decide whether the new version may take the traffic, the safest case first (7.3); *gate* is the analysis before it."""
    if now.aborted:
        return Passage(free=False)
    if not now.gated:
        rest = _without_pause(now)
        return Passage(free=True, pauses=rest, controller_pause=bool(rest), checkpoint=now.checkpoint)
    here = Passage(free=False, pauses=now.pauses, controller_pause=now.controller_pause, checkpoint=now.checkpoint)
    new, size = now.revisions.new, now.new_size
    name = f"ReplicaSet {new.metadata.name}" if new is not None else f"ReplicaSet of hash {now.revisions.pod_hash}"
    if new is None or not saturated(new, size):
        found = "none" if new is None else f"{new.spec.replicas} wanted, {new.status.available_replicas} available"
        because = Because(why=Why.CANARY_NOT_READY, object=name, wanted=f"{size} available pods", found=found)
        return replace(here, because=because)
    if now.halted:
        return replace(here, because=_halted(now))
    if now.checkpoint:
        return _free(now)
    if gate.verdict is not Verdict.OPEN:
        # What a person said of an earlier pause is used up: the pause before the cut-over comes after the analysis.
        waiting = replace(here, controller_pause=bool(here.pauses), because=gate.waits(name))
        return with_verdicts(waiting, (gate,), now.seen.now)
    return _pause(now, here)


def with_verdicts(passage: Passage, gates: Iterable[Gate], at: datetime) -> Passage:
    """Let people look at an analysis that ended without a verdict; once they have, a new run has to answer (7.6)."""
    pauses = with_inconclusive_pause(passage.pauses, gates, at)
    return replace(passage, pauses=pauses, controller_pause=passage.controller_pause or inconclusive(pauses))


def _pause(now: BlueGreen, here: Passage) -> Passage:
    """Start, keep or end the pause before the cut-over."""
    manual = now.strategy.auto_promotion_enabled is False
    seconds = now.strategy.auto_promotion_seconds
    running = next((pause for pause in now.pauses if pause.reason == words.PauseReason.BLUE_GREEN_PAUSE), None)
    if running is None and now.controller_pause:
        return _free(now)
    if not manual and seconds <= 0:
        return _free(now)
    at = now.seen.now
    started = running.start_time if running is not None and running.start_time is not None else whole_seconds(at)
    end = None if manual else started + timedelta(seconds=seconds)
    if running is not None and end is not None and at > end:
        return _free(now)
    name = f"Rollout {now.seen.rollout.metadata.name}"
    because = Because(why=Why.PAUSED_BEFORE_CUT_OVER, object=name, wanted="to be promoted", found="paused", look_at=end)
    pauses = here.pauses if running is not None else (*here.pauses, _condition(started))
    wake_at = None if end is None else end + timedelta(milliseconds=1)
    return replace(here, pauses=pauses, controller_pause=True, because=because, wake_at=wake_at)


def _free(now: BlueGreen) -> Passage:
    """Let the version pass: with `previewReplicaCount` it grows first (7.5). That it may is remembered until the Service has moved."""
    checkpoint = now.strategy.preview_replica_count is not None
    return Passage(free=True, pauses=_without_pause(now), controller_pause=now.controller_pause and not checkpoint, checkpoint=checkpoint)


def _without_pause(now: BlueGreen) -> tuple[PauseCondition, ...]:
    return tuple(pause for pause in now.pauses if pause.reason != words.PauseReason.BLUE_GREEN_PAUSE)


def _condition(started: datetime) -> PauseCondition:
    return PauseCondition(reason=words.PauseReason.BLUE_GREEN_PAUSE, start_time=started)


def _halted(now: BlueGreen) -> Because:
    name = f"Rollout {now.seen.rollout.metadata.name}"
    if now.seen.rollout.spec.paused:
        return Because(why=Why.PAUSED_BY_USER, object=name, wanted="spec.paused: false", found="spec.paused: true")
    return Because(why=Why.ANALYSIS, object=name, wanted="a person's word on the inconclusive analysis", found="none")
