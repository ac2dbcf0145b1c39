"""What is the next move of a canary rollout?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from tiphys.api import values, words
from tiphys.api.meta import whole_seconds
from tiphys.api.rollout import CanaryStrategy
from tiphys.api.status import AlbStatus, CanaryStatus, RolloutStatus
from tiphys.core.actions import Action, Because, CreateReplicaSet, Event, Plan, RouteTraffic, SwitchService, UpdateReplicaSet
from tiphys.core.ailing import first_reason, look_at_pods
from tiphys.core.endings import completion_of, given_up, soonest, timeout_text
from tiphys.core.intent import Role, TrafficIntent
from tiphys.core.metadata import Marks
from tiphys.core.observed import Observed, Verification
from tiphys.core.pairs import alternates, exchanged
from tiphys.core.progress import Progress, progress
from tiphys.core.report import Facts, Report, report, timed_out
from tiphys.core.resizing import growing_first, resize, timed_first
from tiphys.core.restart import restart_pods
from tiphys.core.revisions import forget_old, note_revision
from tiphys.core.routed_by import with_routers
from tiphys.core.runs import end_runs, note_runs
from tiphys.core.selectors import exchange_pods, point_services
from tiphys.core.situation import Situation, situation
from tiphys.core.sizes import size_all
from tiphys.core.sizing import Sizing
from tiphys.core.slots import Slots
from tiphys.core.spare import find_spare, with_spare
from tiphys.core.templates import change_templates
from tiphys.core.verified import not_verified
from tiphys.core.weights import grant_weight, look_behind
from tiphys.core.wish import build_wish, recorded_weights
from tiphys.core.workload import note_workload, observed_generation, scale_workload


def decide_canary(seen: Observed, canary: CanaryStrategy) -> Plan:
    """
    Decide the next move of a canary rollout.

    Each line answers one question from *seen* and from the answers above it.
    """
    now = situation(seen, canary)
    routing = _route(now)
    restart = restart_pods(
        seen,
        now.revisions,
        replicas=now.replicas,
        unavailable=values.max_unavailable(canary, now.replicas),
        started=now.position.started,
        spare=find_spare(now, granted=routing.granted),
    )
    sizings = with_spare(size_all(now, now.slots, granted=routing.granted), restart.spare, now.revisions)
    step = progress(now, now.slots, routing.wish)
    marks = Marks.of(canary.canary_metadata, canary.stable_metadata)
    changes = change_templates(seen, now.revisions, replicas=now.replicas, marks=marks, apart=canary.anti_affinity)
    resizing = resize(seen, now.revisions, sizings, replicas=now.replicas, changes=changes)
    draft = _draft(now, step, routing, restarted_at=restart.restarted_at)
    created = "" if changes.create is None else changes.create.name
    told = _report(now, step, draft, created=created, spare=0 if restart.spare is None else 1)
    unheard = _not_confirmed(now)
    return Plan(
        actions=(
            *_ordered(now, changes.create, routing, resizing),
            *_retired(now, told),
            *restart.evictions,
            *changes.marking.pods,
            *end_runs(seen, now.analyses.gates),
        ),
        status=told.status,
        events=(*now.position.events, *step.events, *told.events, *_promotion_event(now, step)),
        because=_reasons(routing.because, restart.because, *step.because, *(sizing.because for sizing in sizings), unheard),
        wake_at=soonest(
            step.wake_at,
            told.wake_at,
            restart.wake_at,
            changes.marking.look_at(seen.now),
            None if unheard is None else unheard.look_at,
            look_at_pods(seen),
            _deadline(routing),
            *(_deadline(sizing) for sizing in sizings),
        ),
    )


def report_standstill(seen: Observed, canary: CanaryStrategy) -> Report:
    """
    Report a canary whose pass failed: what was found, and where it stands, but nothing that the pass wanted to reach.

    So conditions, phase and the progress deadline go on while a write fails again and again.
    """
    now = situation(seen, canary)
    position = now.position
    here = Progress(index=position.index, pauses=position.pauses, controller_pause=position.controller_pause)
    return _report(now, here, _draft(now, here, Routing(granted=0), restarted_at=seen.rollout.status.restarted_at), created="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The traffic's part of the answer: the complete wish, what of it has to be written, which Services move."""

    granted: int
    wish: TrafficIntent | None = None
    write: RouteTraffic | None = None
    moves: tuple[SwitchService, ...] = ()
    because: Because | None = None


def _route(now: Situation) -> Routing:
    """Answer where the traffic goes: granted weight, pods behind each backend, complete wish."""
    slots = now.slots
    if slots is None:
        return Routing(granted=0, moves=() if now.seen.router is not None else point_services(now))
    behind = look_behind(now, slots)
    grant = grant_weight(now, slots, behind)
    exchange = exchange_pods(now, slots, weight=grant.weight)
    wish = build_wish(now, slots, behind, weight=grant.weight, exchange=exchange)
    nobody = now.replicas > 0 and behind.stable == 0 and behind.canary == 0 and not _only_pods_change(slots, wish)
    write = None if nobody or slots.routed.says(wish) else RouteTraffic(wish=wish, event=_weight_event(now, wish))
    return Routing(granted=grant.weight, wish=wish, write=write, moves=exchange.moves, because=grant.because)


def _only_pods_change(slots: Slots, wish: TrafficIntent) -> bool:
    """Whether the wish leaves every weight and route as it stands: then it harms nobody while no pod answers."""
    return (
        slots.routed.uniform
        and slots.routed.canary == wish.weight(Role.CANARY)
        and slots.routed.stable == wish.weight(Role.STABLE)
        and slots.routed.header_routes == wish.header_routes
        and slots.routed.mirrors == wish.mirrors
    )


def _weight_event(now: Situation, wish: TrafficIntent) -> Event | None:
    recorded = now.seen.rollout.status.canary.weights
    before = None if recorded is None else recorded.canary.weight
    after = wish.weight(Role.CANARY)
    if before == after:
        return None
    return Event(reason=words.Reason.TRAFFIC_WEIGHT_UPDATED, message=words.weight_updated(after, before))


def _ordered(now: Situation, create: CreateReplicaSet | None, routing: Routing, resizing: Sequence[UpdateReplicaSet]) -> tuple[Action, ...]:
    """
    Put pods first, then selectors, then routes, then what may shrink: each leaves the cluster serving if the next one fails.

    With ping-pong the selectors come first: the canary's may name pods that do not exist yet, so that each is known from its start.
    The revision is noted before its ReplicaSet is created, so that the events come in the documented order (lifecycle 10.1). A canary that
    is abandoned gets its deadline while its Service still tells whoever comes after us that it was one.
    """
    noted = note_runs(now.seen, note_workload(now.seen, note_revision(now.seen, now.revisions)), now.analyses.since)
    note = with_routers(now.seen.rollout, noted, routes=routing.write is not None)
    growing, rest = growing_first(resizing)
    timed, rest = ([], rest) if now.position.promoted else timed_first(rest)
    early, late = (routing.moves, ()) if alternates(now.canary) else ((), routing.moves)
    ordered = (note, create, *early, *growing, *timed, *late, routing.write, *rest, *forget_old(now.seen, now.revisions))
    return tuple(action for action in ordered if action is not None)


def _retired(now: Situation, told: Report) -> tuple[Action, ...]:
    """Take away pods of the workload that the template comes from."""
    action = scale_workload(now.seen, now.revisions, phase=told.status.phase, replicas=now.replicas)
    return () if action is None else (action,)


def _draft(now: Situation, step: Progress, routing: Routing, *, restarted_at: datetime | None) -> RolloutStatus:
    """Write down everything of the new status that is not a condition, a phase or a duration."""
    stored, revisions, position = now.seen.rollout.status, now.revisions, now.position
    everything = revisions.all
    replicas = sum(rs.status.replicas for rs in everything)
    new = revisions.new
    selector = now.seen.rollout.spec.selector
    balancers = _balancers(now)
    return RolloutStatus(
        abort=position.aborted,
        aborted_at=(stored.aborted_at or whole_seconds(now.seen.now)) if position.aborted else None,
        alb=balancers[-1] if balancers else None,
        albs=balancers,
        available_replicas=sum(rs.status.available_replicas for rs in everything),
        canary=_exchanged(now, step, _analysed(now, step, _canary_status(now, stored.canary, routing))),
        collision_count=stored.collision_count,
        controller_pause=step.controller_pause,
        current_pod_hash=revisions.pod_hash,
        current_step_hash=now.seen.steps_hash,
        current_step_index=_index(now, step),
        hpa_replicas=replicas,
        observed_generation=str(now.seen.rollout.metadata.generation),
        pause_conditions=step.pauses,
        promote_full=position.promote_full and not step.promoted,
        ready_replicas=sum(rs.status.ready_replicas for rs in everything),
        replicas=replicas,
        restarted_at=restarted_at,
        selector=selector.text() if selector is not None else "",
        stable_rs=revisions.pod_hash if step.promoted else revisions.stable_hash,
        updated_replicas=new.status.replicas if new is not None else 0,
        workload_observed_generation=observed_generation(now.seen),
        conditions=stored.conditions,
        duration=stored.duration,
    )


def _balancers(now: Situation) -> tuple[AlbStatus, ...]:
    """Give the load balancers behind the Ingresses: what was heard last, and none where nobody is asked."""
    picture = now.seen.router
    if picture is None:
        return ()
    return now.seen.rollout.status.albs if picture.balancers is None else picture.balancers


def _index(now: Situation, step: Progress) -> int | None:
    if not now.position.steps:
        return None
    if now.position.aborted:
        return 0
    return len(now.position.steps) if now.position.promoted or step.promoted else step.index


def _exchanged(now: Situation, step: Progress, status: CanaryStatus) -> CanaryStatus:
    """Let the ping-pong Services change places in the same write that makes the new version stable."""
    if not step.promoted or now.canary.ping_pong is None:
        return status
    return msgspec.structs.replace(status, stable_ping_pong=exchanged(status.stable_ping_pong))


def _canary_status(now: Situation, stored: CanaryStatus, routing: Routing) -> CanaryStatus:
    if now.seen.router is None:
        return msgspec.structs.replace(stored, weights=None)
    if routing.wish is None:
        return stored
    known = {Verification.YES: True, Verification.NOT_YET: False, Verification.CANNOT_KNOW: None}[now.seen.router.verified]
    verified = known if routing.write is None else None
    return msgspec.structs.replace(stored, weights=recorded_weights(now, routing.wish, verified=verified))


def _analysed(now: Situation, step: Progress, status: CanaryStatus) -> CanaryStatus:
    """Say which runs the canary rests on; the run of a step goes with its step."""
    here = not step.promoted and step.index == now.position.index
    return msgspec.structs.replace(
        status,
        current_step_analysis_run_status=now.analyses.step.status if here and not now.position.aborted else None,
        current_background_analysis_run_status=None if step.promoted or now.position.aborted else now.analyses.background.status,
    )


def _report(now: Situation, step: Progress, draft: RolloutStatus, *, created: str, spare: int = 0) -> Report:
    facts = Facts(
        now=now.seen.now,
        rollout=now.seen.rollout,
        draft=draft,
        new=now.revisions.new,
        revision=now.revisions.revision,
        replica_sets=now.revisions.all,
        routed=now.routed,
        indefinite=_indefinite(now, step),
        created=created,
        abort_cause=now.analyses.cause,
        found=now.revisions.new is not None,
        completion=completion_of(now.seen, now.revisions, now.position, becomes_stable=step.promoted),
        attempt_started=now.position.started,
        unverified=_unverified(now),
        spare=spare,
        ailing=first_reason(now.seen, now.revisions.pod_hash),
    )
    in_flight = now.forward and not step.promoted
    if not (in_flight and now.seen.rollout.spec.progress_deadline_abort and timed_out(facts)):
        return report(facts)
    cause = timeout_text(now.seen, now.revisions.new, unverified=_unverified(now))
    draft = given_up(draft, now.seen.now, step=0 if now.position.steps else None)
    return report(replace(facts, draft=draft, abort_cause=cause, completion="Aborted"))


def _unverified(now: Situation) -> str:
    """Give the verifier's last answer where it is not *yes*, or the empty text."""
    router = now.seen.router
    return "" if router is None or router.verified is not Verification.NOT_YET else router.last_answer


def _indefinite(now: Situation, step: Progress) -> bool:
    """Whether the step being executed waits for people or clocks, so that no deadline counts (lifecycle 8.2)."""
    current = now.position.step
    if current is None or step.promoted:
        return False
    return current.pause is not None or current.experiment is not None or current.analysis is not None


def _promotion_event(now: Situation, step: Progress) -> tuple[Event, ...]:
    if not step.promoted:
        return ()
    message = words.completed(now.revisions.revision, now.revisions.pod_hash, step.why_promoted)
    return (Event(reason=words.Reason.ROLLOUT_COMPLETED, message=message),)


def _not_confirmed(now: Situation) -> Because | None:
    """Name the verifier that has not confirmed what the routes say: steps, selectors and pods wait for it together (S7)."""
    router = now.seen.router
    if router is None or router.verified is not Verification.NOT_YET:
        return None
    return not_verified(router, f"Rollout {now.seen.rollout.metadata.name}", "what its routes say, confirmed")


def _reasons(*reasons: Because | None) -> tuple[Because, ...]:
    return tuple(reason for reason in reasons if reason is not None)


def _deadline(part: Sizing | Routing) -> datetime | None:
    return part.because.look_at if part.because is not None else None
