"""What is the next move of a blue-green rollout?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tiphys.api import values, words
from tiphys.api.meta import LabelSelector, whole_seconds
from tiphys.api.names import HASH_LABEL
from tiphys.api.rollout import BlueGreenStrategy
from tiphys.api.status import BlueGreenStatus, CanaryStatus, RolloutStatus
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Action, Because, CreateReplicaSet, Event, Plan, SwitchService, UpdateReplicaSet, Why
from tiphys.core.ailing import first_reason, look_at_pods
from tiphys.core.bluegreen_gates import (
    Passage,
    pass_gates,
    post_promotion,
    pre_promotion,
    with_verdicts,
)
from tiphys.core.bluegreen_situation import BlueGreen, find_blue_green, saturated
from tiphys.core.bluegreen_sizes import size_all
from tiphys.core.bluegreen_switch import Switch, point_active, point_preview
from tiphys.core.bluegreen_targets import doubt, unplaced
from tiphys.core.endings import completion_of, given_up, soonest, timeout_text
from tiphys.core.metadata import Marks
from tiphys.core.observed import Observed, Verification
from tiphys.core.report import Facts, Report, report, timed_out
from tiphys.core.resizing import growing_first, resize
from tiphys.core.restart import restart_pods
from tiphys.core.revisions import forget_old, hash_of, inside_window, note_revision
from tiphys.core.runs import Gate, Purpose, Verdict, end_runs, note_runs, open_gate
from tiphys.core.templates import change_templates
from tiphys.core.workload import note_workload, observed_generation, scale_workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far the update is after this pass: both analysis gates, the pause, the active Service, and whether the version is stable now."""

    before: Gate
    after: Gate
    passage: Passage
    switch: Switch
    promoted: bool = False
    abort_cause: str = ""
    because: tuple[Because, ...] = ()


def decide_blue_green(seen: Observed, strategy: BlueGreenStrategy) -> Plan:
    """
    Decide the next move of a blue-green rollout.

    Each line answers one question from *seen* and from the answers above it.
    """
    now = find_blue_green(seen, strategy)
    preview = point_preview(now)
    end = _outcome(now)
    sizings = size_all(now, selected=end.switch.selected)
    marks = Marks.of(strategy.preview_metadata, strategy.active_metadata)
    changes = change_templates(seen, now.revisions, replicas=now.replicas, marks=marks, apart=strategy.anti_affinity)
    resizing = resize(seen, now.revisions, sizings, replicas=now.replicas, changes=changes)
    restart = restart_pods(
        seen,
        now.revisions,
        replicas=now.replicas,
        unavailable=values.blue_green_unavailable(strategy, now.replicas),
        started=now.started,
    )
    draft = _draft(now, end, preview, restarted_at=restart.restarted_at)
    told = _report(now, end, draft, created="" if changes.create is None else changes.create.name)
    retired = scale_workload(seen, now.revisions, phase=told.status.phase, replicas=now.replicas)
    ordered = (*_ordered(now, changes.create, preview, end.switch.move, resizing), *((retired,) if retired is not None else ()))
    held = [sizing.because for sizing in sizings if sizing.because is not None]
    reasons = (end.passage.because, end.switch.because, restart.because, *end.because, *held)
    because = tuple(dict.fromkeys(reason for reason in reasons if reason is not None))
    return Plan(
        actions=(*ordered, *restart.evictions, *changes.marking.pods, *end_runs(seen, (end.before, end.after))),
        status=told.status,
        events=(*told.events, *_promotion_event(now, end)),
        because=because,
        wake_at=soonest(
            end.passage.wake_at,
            told.wake_at,
            restart.wake_at,
            changes.marking.look_at(seen.now),
            look_at_pods(seen),
            *(reason.look_at for reason in because),
        ),
    )


def report_blue_green_standstill(seen: Observed, strategy: BlueGreenStrategy) -> Report:
    """Report a blue-green Rollout whose pass failed: what was found and where it stands, but nothing that the pass wanted to reach."""
    now = find_blue_green(seen, strategy)
    here = Passage(free=False, pauses=now.pauses, controller_pause=now.controller_pause, checkpoint=now.checkpoint)
    before, after = open_gate(Purpose.PRE_PROMOTION), open_gate(Purpose.POST_PROMOTION)
    end = Outcome(before=before, after=after, passage=here, switch=Switch(selected=now.active))
    return _report(now, end, _draft(now, end, None, restarted_at=seen.rollout.status.restarted_at), created="")


def _outcome(now: BlueGreen) -> Outcome:
    """Answer whether the traffic moves, and whether the version it moves to is stable then (7.7, 7.8)."""
    before = pre_promotion(now)
    passage = pass_gates(now, before)
    switch = point_active(now, passage)
    arrived = bool(switch.selected) and switch.selected == now.revisions.pod_hash
    known = now.seen.rollout.status.blue_green.post_promotion_analysis_run_status
    after = post_promotion(now, cut_over=arrived and (known is not None or unplaced(now) is None))
    if arrived:
        passage = with_verdicts(replace(passage, controller_pause=bool(passage.pauses)), (after,), now.seen.now)
    cause = before.cause or after.cause
    held = _not_promoted(now, after, arrived=arrived)
    return Outcome(
        before=before,
        after=after,
        passage=passage,
        switch=switch,
        promoted=held is None and not (now.promoted or now.aborted or cause),
        abort_cause=cause,
        because=() if held is None or now.aborted else (held,),
    )


def _not_promoted(now: BlueGreen, after: Gate, *, arrived: bool) -> Because | None:
    """Name what keeps the version from being stable and whole; nothing when it is (7.8)."""
    new = now.revisions.new
    name = f"ReplicaSet {new.metadata.name}" if new is not None else f"ReplicaSet of hash {now.revisions.pod_hash}"
    if now.promoted:
        if new is not None and saturated(new, now.replicas):
            return None
        found = "none" if new is None else f"{new.spec.replicas} wanted, {new.status.available_replicas} available"
        return Because(why=Why.STABLE_NOT_READY, object=name, wanted=f"{now.replicas} available pods", found=found)
    if not arrived:
        wanted = f"to select {now.revisions.pod_hash}"
        return Because(
            why=Why.SERVICE_NOT_SWITCHED, object=f"Service {now.strategy.active_service}", wanted=wanted, found=now.active or "no hash"
        )
    if now.fresh and not saturated(new, now.replicas):
        return Because(why=Why.CANARY_NOT_READY, object=name, wanted=f"{now.replicas} available pods", found="fewer")
    unknown = unplaced(now)
    if unknown is not None:
        return unknown
    return None if after.verdict is Verdict.OPEN else after.waits(name)


def _ordered(
    now: BlueGreen,
    create: CreateReplicaSet | None,
    preview: SwitchService | None,
    active: SwitchService | None,
    resizing: Sequence[UpdateReplicaSet],
) -> tuple[Action, ...]:
    """Put pods first, then the selector under traffic, then what may shrink: each leaves the cluster serving if the next one fails."""
    growing, rest = growing_first(resizing)
    note = note_runs(now.seen, note_workload(now.seen, note_revision(now.seen, now.revisions)), now.runs_since)
    ordered = (note, create, preview, *growing, active, *rest, *forget_old(now.seen, now.revisions))
    return tuple(action for action in ordered if action is not None)


def _draft(now: BlueGreen, end: Outcome, preview: SwitchService | None, *, restarted_at: datetime | None) -> RolloutStatus:
    """Write down everything of the new status that is not a condition, a phase or a duration (2.1)."""
    stored, revisions = now.seen.rollout.status, now.revisions
    serving = next((rs for rs in revisions.all if end.switch.selected and hash_of(rs) == end.switch.selected), None)
    counted = revisions.all if serving is None else (serving,)
    new = revisions.new
    return RolloutStatus(
        abort=now.aborted,
        aborted_at=(stored.aborted_at or whole_seconds(now.seen.now)) if now.aborted else None,
        alb=stored.alb,
        albs=stored.albs,
        available_replicas=sum(rs.status.available_replicas for rs in counted),
        blue_green=_blue_green_status(now, end, preview),
        canary=CanaryStatus(),
        collision_count=stored.collision_count,
        controller_pause=end.passage.controller_pause and not end.promoted,
        current_pod_hash=revisions.pod_hash,
        hpa_replicas=sum(rs.status.replicas for rs in counted),
        observed_generation=str(now.seen.rollout.metadata.generation),
        pause_conditions=() if end.promoted else end.passage.pauses,
        promote_full=now.promote_full and not end.promoted,
        ready_replicas=sum(rs.status.ready_replicas for rs in counted),
        replicas=sum(rs.status.replicas for rs in revisions.all),
        restarted_at=restarted_at,
        selector=_selector(now, serving),
        stable_rs=revisions.pod_hash if end.promoted else revisions.stable_hash,
        updated_replicas=new.status.replicas if new is not None else 0,
        workload_observed_generation=observed_generation(now.seen),
        conditions=stored.conditions,
        duration=stored.duration,
    )


def _blue_green_status(now: BlueGreen, end: Outcome, preview: SwitchService | None) -> BlueGreenStatus:
    keeps_runs = now.forward and not end.promoted
    # What the analysis before the cut-over came to stays to be seen after it.
    before = end.before.status if now.gated or now.started else now.seen.rollout.status.blue_green.pre_promotion_analysis_run_status
    return BlueGreenStatus(
        active_selector=end.switch.selected or "",
        preview_selector=(now.preview or "") if preview is None else preview.pod_hash,
        scale_up_preview_check_point=end.passage.checkpoint and not end.promoted,
        pre_promotion_analysis_run_status=before if keeps_runs else None,
        post_promotion_analysis_run_status=end.after.status if keeps_runs else None,
    )


def _selector(now: BlueGreen, serving: ReplicaSet | None) -> str:
    """Give the text form of the selector whose pods an autoscaler should look at: those that serve (8.4)."""
    selector = now.seen.rollout.spec.selector
    if selector is None:
        return ""
    if serving is None:
        return selector.text()
    return LabelSelector(
        match_labels={**selector.match_labels, HASH_LABEL: hash_of(serving)}, match_expressions=selector.match_expressions
    ).text()


def _report(now: BlueGreen, end: Outcome, draft: RolloutStatus, *, created: str) -> Report:
    facts = Facts(
        now=now.seen.now,
        rollout=now.seen.rollout,
        draft=draft,
        new=now.revisions.new,
        revision=now.revisions.revision,
        replica_sets=now.revisions.all,
        routed=False,
        indefinite=False,
        created=created,
        found=now.revisions.new is not None,
        completion=completion_of(now.seen, now.revisions, now, becomes_stable=end.promoted),
        ailing=first_reason(now.seen, now.revisions.pod_hash),
        attempt_started=now.started,
        unverified=_unverified(now),
    )
    cause = end.abort_cause
    if not cause and now.forward and not end.promoted and now.seen.rollout.spec.progress_deadline_abort and timed_out(facts):
        cause = timeout_text(now.seen, now.revisions.new, unverified=_unverified(now))
    if not cause:
        return report(facts)
    return report(replace(facts, draft=given_up(draft, now.seen.now, step=None), abort_cause=cause, completion="Aborted"))


def _unverified(now: BlueGreen) -> str:
    """Give what the load balancer said last, while it does not know the pods that serve; or the empty text."""
    router = now.seen.router
    return "" if router is None or doubt(now) is None or router.verified is not Verification.NOT_YET else router.last_answer


def _promotion_event(now: BlueGreen, end: Outcome) -> tuple[Event, ...]:
    if not end.promoted:
        return ()
    message = words.completed(now.revisions.revision, now.revisions.pod_hash, _why_promoted(now))
    return (Event(reason=words.Reason.ROLLOUT_COMPLETED, message=message),)


def _why_promoted(now: BlueGreen) -> str:
    if now.fresh:
        return words.INITIAL_DEPLOY
    if now.promote_full:
        return words.FULL_PROMOTION
    if now.fast:
        return words.WITHIN_WINDOW if inside_window(now.seen, now.revisions) else words.FAST_ROLLBACK
    return words.BLUE_GREEN_COMPLETED
