"""May the new version take the traffic, and then become stable? (Lifecycle reference 7.3, 7.5, 7.6.)"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from tiphys.api import names, words
from tiphys.api.analysis import AnalysisRun
from tiphys.api.meta import whole_seconds
from tiphys.api.rollout import RolloutAnalysis
from tiphys.api.status import PauseCondition, RunStatus
from tiphys.core.actions import Because, Why
from tiphys.core.bluegreen_situation import BlueGreen, saturated

PRE_PROMOTION: Final = "PrePromotion"
POST_PROMOTION: Final = "PostPromotion"


class Verdict(Enum):
    """What an analysis gate says."""

    OPEN = "open"
    """Passed, or there is none."""
    SHUT = "shut"
    """No result yet."""
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One analysis gate: its verdict, and the run that it rests on."""

    verdict: Verdict
    run: AnalysisRun | None = None

    @property
    def status(self) -> RunStatus | None:
        """Give what `status.blueGreen` says of the run."""
        if self.run is None:
            return None
        phase, message = ("", "") if self.run.status is None else (self.run.status.phase, self.run.status.message)
        return RunStatus(name=self.run.metadata.name, status=phase, message=message)

    def cause(self, kind: str) -> str:
        """Say why an abort follows (lifecycle 2.2)."""
        when = "pre" if kind == PRE_PROMOTION else "post"
        status = self.status
        phase = "error" if status is not None and status.status == "Error" else "failed"
        text = f"Blue/green {when}-promotion analysis phase {phase}"
        return f"{text}: {status.message}" if status is not None and status.message else text


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
    return _gate(now, now.strategy.pre_promotion_analysis, PRE_PROMOTION) if now.gated else Gate(verdict=Verdict.OPEN)


def post_promotion(now: BlueGreen, *, cut_over: bool) -> Gate:
    """Read the analysis after cut-over, which keeps the version from becoming stable."""
    asked = cut_over and now.forward and not (now.fast or now.promote_full)
    return _gate(now, now.strategy.post_promotion_analysis, POST_PROMOTION) if asked else Gate(verdict=Verdict.OPEN)


def _gate(now: BlueGreen, analysis: RolloutAnalysis | None, kind: str) -> Gate:
    if analysis is None or not analysis.templates:
        return Gate(verdict=Verdict.OPEN)
    runs = [run for run in now.seen.runs if _is_for(run, kind, now.revisions.pod_hash)]
    if not runs:
        return Gate(verdict=Verdict.SHUT)
    run = max(runs, key=lambda one: (one.metadata.creation_timestamp is not None, one.metadata.creation_timestamp, one.metadata.name))
    phase = "" if run.status is None else run.status.phase
    verdict = {
        "Successful": Verdict.OPEN,
        "Failed": Verdict.FAILED,
        "Error": Verdict.FAILED,
        "Inconclusive": Verdict.INCONCLUSIVE,
    }.get(phase, Verdict.SHUT)
    return Gate(verdict=verdict, run=run)


def _is_for(run: AnalysisRun, kind: str, pod_hash: str) -> bool:
    return run.metadata.labels.get(names.ROLLOUT_TYPE_LABEL) == kind and names.pod_hash(run.metadata.labels) == pod_hash


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
        return replace(with_inconclusive_pause(here, gate, now.seen.now), because=waits_for_analysis(name, gate, "pre-promotion"))
    return _pause(now, here)


def waits_for_analysis(name: str, gate: Gate, which: str) -> Because:
    """Say that *name* waits for an analysis, and how far that is."""
    run = gate.status
    found = "none" if run is None else f"{run.name} {run.status or 'Pending'}"
    return Because(why=Why.ANALYSIS, object=name, wanted=f"a successful {which} analysis", found=found)


def with_inconclusive_pause(passage: Passage, gate: Gate, at: datetime) -> Passage:
    """Let people look at an analysis that ended without a verdict; once they have, a new run has to answer (7.6)."""
    if gate.verdict is not Verdict.INCONCLUSIVE or passage.controller_pause:
        return passage
    condition = PauseCondition(reason=words.PauseReason.INCONCLUSIVE_ANALYSIS, start_time=whole_seconds(at))
    return replace(passage, pauses=(*passage.pauses, condition), controller_pause=True)


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
