"""What do the analyses of a canary say: the one of its step, and the one beside its steps? (Analysis reference 10.)"""

from dataclasses import dataclass, replace
from datetime import datetime

from tiphys.api.rollout import CanaryStrategy
from tiphys.core.observed import Observed
from tiphys.core.position import Position
from tiphys.core.revisions import Revisions
from tiphys.core.runs import Gate, Purpose, counting_from, inconclusive, open_gate, read_gate, taken_back, with_inconclusive_pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyses:
    """Both gates of a canary, and the time up to which its runs count no more (see `tiphys.core.runs.counting_from`)."""

    step: Gate
    background: Gate
    since: datetime | None = None

    @property
    def cause(self) -> str:
        """Say why an abort follows, or nothing."""
        return self.background.cause or self.step.cause

    @property
    def gates(self) -> tuple[Gate, Gate]:
        """Give both."""
        return self.step, self.background


def read_analyses(seen: Observed, canary: CanaryStrategy, revisions: Revisions, position: Position) -> Analyses:
    """
    Read the runs of the step that is executed and, from `startingStep` on, of the analysis beside the steps.

    Nobody asks an attempt that is over, that a person promotes in full, or whose way leads back inside `rollbackWindow`.
    """
    anew = position.started or taken_back(seen.rollout.status)
    since = counting_from(seen, revisions.pod_hash, anew=anew)
    step, background = open_gate(Purpose.STEP), open_gate(Purpose.BACKGROUND)
    if position.promoted or position.fresh or position.aborted or position.fast or position.promote_full:
        return Analyses(step=step, background=background, since=since)
    told, pod_hash = seen.rollout.status.canary, revisions.pod_hash
    if position.step is not None:
        step = read_gate(
            seen,
            position.step.analysis,
            Purpose.STEP,
            pod_hash=pod_hash,
            since=since,
            known=told.current_step_analysis_run_status,
            step=position.index,
        )
    if canary.analysis is not None and position.index >= (canary.analysis.starting_step or 0):
        known = told.current_background_analysis_run_status
        background = read_gate(seen, canary.analysis, Purpose.BACKGROUND, pod_hash=pod_hash, since=since, known=known)
    return Analyses(step=step, background=background, since=since)


def judged(position: Position, analyses: Analyses, at: datetime) -> Position:
    """Give *position* as the analyses leave it: a failed one aborts the attempt, one without a verdict pauses it (10.3)."""
    if analyses.cause:
        return replace(position, index=0, aborted=True, pauses=(), controller_pause=False)
    pauses = with_inconclusive_pause(position.pauses, analyses.gates, at)
    return replace(position, pauses=pauses, controller_pause=position.controller_pause or inconclusive(pauses))
