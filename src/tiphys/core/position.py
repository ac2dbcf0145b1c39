"""Which step are we on; was it reset, skipped, aborted, promoted?"""

from dataclasses import dataclass

from tiphys.api import words
from tiphys.api.rollout import CanaryStrategy, SetCanaryScale, Step
from tiphys.api.status import PauseCondition
from tiphys.core.actions import Event
from tiphys.core.observed import Observed
from tiphys.core.revisions import Revisions, inside_window
from tiphys.core.runs import inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    Where the Rollout stands in its steps, after what changed since the last pass was taken into account.

    *index* counts from 0 to `len(steps)`; *promoted* means that the current template is the stable one; *fresh* that there is no
    stable version yet, so steps do not apply (a first version that never became available is no stable version, 12.3 #1774).
    *fast* tells that the way leads back to a version inside `rollbackWindow`, past all steps; *started* that an attempt begins in
    this pass.
    """

    steps: tuple[Step, ...]
    index: int
    promoted: bool
    fresh: bool
    aborted: bool
    promote_full: bool
    paused: bool
    pauses: tuple[PauseCondition, ...]
    controller_pause: bool
    fast: bool = False
    started: bool = False
    superseded: bool = False
    events: tuple[Event, ...] = ()

    @property
    def step(self) -> Step | None:
        """The step being executed, if any."""
        return self.steps[self.index] if self.index < len(self.steps) and not self.promoted and not self.fresh else None

    @property
    def halted(self) -> bool:
        """Whether a person or an analysis without a verdict stopped all progress; promote-full and an abort outrank it (12.3 #2648)."""
        stopped = self.paused or inconclusive(self.pauses)
        return stopped and not (self.promote_full or self.aborted or self.promoted)

    @property
    def finished(self) -> bool:
        """Whether every step is done or none counts any more."""
        return self.promote_full or self.index >= len(self.steps)


def find_position(seen: Observed, canary: CanaryStrategy, revisions: Revisions) -> Position:
    """Take reset (lifecycle 6.6), abort, retry and promote into account; an abort outranks promote-full (12.3 #4461)."""
    status = seen.rollout.status
    count = len(canary.steps)
    promoted = bool(revisions.stable_hash) and revisions.stable_hash == revisions.pod_hash
    template_changed = bool(status.current_pod_hash) and status.current_pod_hash != revisions.pod_hash
    steps_changed = status.current_step_hash != seen.steps_hash
    reset = template_changed or steps_changed
    fresh = not revisions.stable_hash
    aborted = status.abort and not reset and not promoted and not fresh
    fast = not aborted and not promoted and not fresh and inside_window(seen, revisions)
    if promoted or fresh or fast:
        index = count
    elif reset or aborted:
        index = 0
    else:
        index = min(max(status.current_step_index or 0, 0), count)
    return Position(
        steps=canary.steps,
        index=index,
        promoted=promoted,
        fresh=fresh,
        aborted=aborted,
        promote_full=status.promote_full and not reset and not aborted and not promoted and not fresh,
        paused=seen.rollout.spec.paused,
        pauses=() if reset or aborted or promoted or fast or status.promote_full else status.pause_conditions,
        controller_pause=status.controller_pause and not reset and not aborted and not promoted and not fast,
        fast=fast,
        started=template_changed or (steps_changed and not promoted),
        superseded=template_changed and bool(status.stable_rs) and status.stable_rs != status.current_pod_hash and not promoted,
        events=_skipped(promoted=promoted, fast=fast) if template_changed and count else (),
    )


def _skipped(*, promoted: bool, fast: bool) -> tuple[Event, ...]:
    if not (promoted or fast):
        return ()
    return (Event(reason=words.Reason.SKIP_STEPS, message=words.ROLLBACK_TO_STABLE if promoted else words.ROLLBACK_WITHIN_WINDOW),)


def stepped_weight(steps: tuple[Step, ...], index: int, *, maximum: int) -> int:
    """Give the weight that the steps ask for at *index*: the last `setWeight` at or before it; past the end, everything."""
    if index >= len(steps):
        return maximum
    for step in reversed(steps[: index + 1]):
        if step.set_weight is not None:
            return step.set_weight
    return 0


def scale_in_force(steps: tuple[Step, ...], index: int) -> SetCanaryScale | None:
    """Find the `setCanaryScale` that counts at *index* (lifecycle 5.1), nothing where traffic weight decides."""
    if index >= len(steps):
        return None
    for step in reversed(steps[: index + 1]):
        scale = step.set_canary_scale
        if scale is not None:
            return None if scale.match_traffic_weight or (scale.replicas is None and scale.weight is None) else scale
    return None


def describe(step: Step) -> str:
    """Name a step in the words of the event `RolloutStepCompleted` (lifecycle 10.1)."""
    texts: list[str] = []
    if step.set_weight is not None:
        texts.append(f"setWeight: {step.set_weight}")
    if step.pause is not None:
        texts.append("pause" if step.pause.duration is None else f"pause: {step.pause.duration}")
    if step.experiment is not None:
        texts.append("experiment")
    if step.analysis is not None:
        texts.append("analysis")
    if step.set_canary_scale is not None:
        texts.append(f"setCanaryScale{{{_scale_text(step.set_canary_scale)}}}")
    if step.plugin is not None:
        texts.append(f"plugin: {step.plugin.name}")
    if step.set_header_route is not None:
        texts.append(f"setHeaderRoute: {step.set_header_route.name}")
    if step.set_mirror_route is not None:
        texts.append(f"setMirrorRoute: {step.set_mirror_route.name}")
    return ", ".join(texts)


def _scale_text(scale: SetCanaryScale) -> str:
    if scale.match_traffic_weight:
        return "matchTrafficWeight: true"
    return f"replicas: {scale.replicas}" if scale.replicas is not None else f"weight: {scale.weight}"
