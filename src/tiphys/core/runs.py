"""What do the AnalysisRuns say that a Rollout rests on, and which of them count no more? (Analysis reference 10.)"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final

from tiphys.api import names, words
from tiphys.api.analysis import AnalysisRun
from tiphys.api.meta import read_time, whole_seconds, wire_time
from tiphys.api.rollout import Rollout, RolloutAnalysis
from tiphys.api.status import PauseCondition, RolloutStatus, RunStatus
from tiphys.core.actions import Because, EndRun, UpdateRollout, Why
from tiphys.core.observed import Observed


class Purpose(StrEnum):
    """What a run is for: the value of its label `rollout-type`."""

    STEP = "Step"
    BACKGROUND = "Background"
    PRE_PROMOTION = "PrePromotion"
    POST_PROMOTION = "PostPromotion"


_TITLES: Final = {
    Purpose.STEP: "Step-based analysis",
    Purpose.BACKGROUND: "Background analysis",
    Purpose.PRE_PROMOTION: "Blue/green pre-promotion analysis",
    Purpose.POST_PROMOTION: "Blue/green post-promotion analysis",
}
"""What the cause of an abort calls them (lifecycle 2.2)."""


class Verdict(Enum):
    """What an analysis says."""

    OPEN = "open"
    """Passed, or there is none."""
    SHUT = "shut"
    """No result yet."""
    INCONCLUSIVE = "inconclusive"
    """It ended without a verdict, and people have to look at it."""
    ANSWERED = "answered"
    """It ended without a verdict, and people have looked at it: another run has to answer."""
    FAILED = "failed"


_VERDICTS: Final = {"Successful": Verdict.OPEN, "Failed": Verdict.FAILED, "Error": Verdict.FAILED, "Inconclusive": Verdict.INCONCLUSIVE}
"""What the phase of a run comes to; every other one has no result yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One analysis: its verdict, and the run that it rests on."""

    verdict: Verdict
    purpose: Purpose
    run: AnalysisRun | None = None

    @property
    def status(self) -> RunStatus | None:
        """Give what the Rollout's status says of the run."""
        if self.run is None:
            return None
        phase, message = ("", "") if self.run.status is None else (self.run.status.phase, self.run.status.message)
        return RunStatus(name=self.run.metadata.name, status=phase, message=message)

    @property
    def cause(self) -> str:
        """Say why an abort follows (lifecycle 2.2); the empty text where none does."""
        status = self.status
        if self.verdict is not Verdict.FAILED or status is None:
            return ""
        text = f"{_TITLES[self.purpose]} phase {'error' if status.status == 'Error' else 'failed'}"
        return f"{text}: {status.message}" if status.message else text

    def waits(self, name: str) -> Because:
        """Say that *name* waits for the analysis, and how far that is."""
        run = self.status
        found = "none" if run is None else f"{run.name} {run.status or 'Pending'}"
        wanted = "another" if self.verdict is Verdict.ANSWERED else "a successful"
        return Because(why=Why.ANALYSIS, object=name, wanted=f"{wanted} {_TITLES[self.purpose]}", found=found)


def open_gate(purpose: Purpose) -> Gate:
    """Give the gate of an analysis that nobody asks for."""
    return Gate(verdict=Verdict.OPEN, purpose=purpose)


def read_gate(
    seen: Observed,
    analysis: RolloutAnalysis | None,
    purpose: Purpose,
    *,
    pod_hash: str,
    since: datetime | None,
    known: RunStatus | None,
    step: int | None = None,
) -> Gate:
    """
    Read the newest run for *purpose*, *pod_hash* and *step* (counted from 0) that was made after *since*.

    *known* is what the status says of the last run: an inconclusive one that it tells of already is answered once its pause is gone.
    """
    if analysis is None or not analysis.templates:
        return open_gate(purpose)
    runs = [run for run in seen.runs if _is_for(run, purpose, pod_hash, step) and _counts(run, since)]
    if not runs:
        return Gate(verdict=Verdict.SHUT, purpose=purpose)
    run = max(runs, key=_age)
    verdict = _VERDICTS.get("" if run.status is None else run.status.phase, Verdict.SHUT)
    told = known is not None and (known.name, known.status) == (run.metadata.name, "Inconclusive")
    if verdict is Verdict.INCONCLUSIVE and told and not inconclusive(seen.rollout.status.pause_conditions):
        verdict = Verdict.ANSWERED
    return Gate(verdict=verdict, purpose=purpose, run=run)


def inconclusive(pauses: Iterable[PauseCondition]) -> bool:
    """Tell whether people have to look at an analysis that ended without a verdict."""
    return any(pause.reason == words.PauseReason.INCONCLUSIVE_ANALYSIS for pause in pauses)


def with_inconclusive_pause(pauses: tuple[PauseCondition, ...], gates: Iterable[Gate], at: datetime) -> tuple[PauseCondition, ...]:
    """Add the pause that lets people look at an analysis without a verdict, beside any other pause."""
    if inconclusive(pauses) or not any(gate.verdict is Verdict.INCONCLUSIVE for gate in gates):
        return pauses
    return (*pauses, PauseCondition(reason=words.PauseReason.INCONCLUSIVE_ANALYSIS, start_time=whole_seconds(at)))


def needs_runs(rollout: Rollout) -> bool:
    """Tell whether runs have to be looked at: the spec asks for an analysis, or one is on its way that an earlier spec asked for."""
    canary, blue_green, status = rollout.spec.strategy.canary, rollout.spec.strategy.blue_green, rollout.status
    asked: list[RolloutAnalysis | None] = [step.analysis for step in canary.steps] + [canary.analysis] if canary is not None else []
    if blue_green is not None:
        asked += [blue_green.pre_promotion_analysis, blue_green.post_promotion_analysis]
    told = (
        status.canary.current_step_analysis_run_status,
        status.canary.current_background_analysis_run_status,
        status.blue_green.pre_promotion_analysis_run_status,
        status.blue_green.post_promotion_analysis_run_status,
    )
    return any(each is not None and each.templates for each in asked) or any(each is not None for each in told)


def counting_from(seen: Observed, pod_hash: str, *, anew: bool) -> datetime | None:
    """
    Give the time (of the API server's clock) up to which runs of *pod_hash* count no more, because an earlier attempt made them.

    *anew* says that an attempt begins in this pass, by a change or a retry (12.3 #2824): then that is the newest run there is. Our own
    clock may differ from the server's, so runs are compared with runs only.
    """
    noted = read_time(seen.rollout.metadata.annotations.get(names.RUNS_COUNT_AFTER, ""))
    made = [run.metadata.creation_timestamp for run in seen.runs if anew and names.pod_hash(run.metadata.labels) == pod_hash]
    return max((time for time in (noted, *made) if time is not None), default=None)


def note_runs(seen: Observed, note: UpdateRollout | None, since: datetime | None) -> UpdateRollout | None:
    """Let the Rollout remember *since* (see `counting_from`) before its status says that the attempt has begun; added to *note*."""
    text = None if since is None else wire_time(since)
    if text is None or seen.rollout.metadata.annotations.get(names.RUNS_COUNT_AFTER) == text:
        return note
    annotation: Mapping[str, str | None] = {names.RUNS_COUNT_AFTER: text}
    return UpdateRollout(annotations=annotation) if note is None else replace(note, annotations={**note.annotations, **annotation})


def taken_back(status: RolloutStatus) -> bool:
    """Tell whether somebody took an abort back, and no pass has said so yet."""
    aborted = any(
        cond.type == words.ConditionType.PROGRESSING and cond.reason == words.Reason.ROLLOUT_ABORTED for cond in status.conditions
    )
    return aborted and not status.abort


def end_runs(seen: Observed, current: Iterable[Gate]) -> tuple[EndRun, ...]:
    """End the runs that nobody rests on any more and that have not ended (10.2)."""
    kept = {gate.run.metadata.name for gate in current if gate.run is not None}
    return tuple(
        EndRun(name=run.metadata.name)
        for run in seen.runs
        if run.metadata.name not in kept and not run.spec.terminate and not _ended(run) and run.metadata.deletion_timestamp is None
    )


def _ended(run: AnalysisRun) -> bool:
    return run.status is not None and run.status.phase in _VERDICTS


def _is_for(run: AnalysisRun, purpose: Purpose, pod_hash: str, step: int | None) -> bool:
    labels = run.metadata.labels
    here = step is None or labels.get(names.STEP_INDEX_LABEL) == str(step)
    return labels.get(names.ROLLOUT_TYPE_LABEL) == purpose and names.pod_hash(labels) == pod_hash and here


def _counts(run: AnalysisRun, since: datetime | None) -> bool:
    made = run.metadata.creation_timestamp
    return since is None or made is None or made > since


def _age(run: AnalysisRun) -> tuple[bool, float, str]:
    made = run.metadata.creation_timestamp
    return made is not None, 0.0 if made is None else made.timestamp(), run.metadata.name
