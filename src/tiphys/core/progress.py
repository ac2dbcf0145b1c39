"""Is the step complete, may the version be promoted, and when should we look again?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tiphys.api import values, words
from tiphys.api.meta import whole_seconds
from tiphys.api.rollout import Pause, Step
from tiphys.api.status import PauseCondition
from tiphys.core.actions import Because, Event, Why
from tiphys.core.counts import Counts, wanted_counts
from tiphys.core.dynamic import is_dynamic
from tiphys.core.intent import TrafficIntent
from tiphys.core.observed import Verification
from tiphys.core.position import describe
from tiphys.core.runs import Verdict, inconclusive
from tiphys.core.situation import Situation, asked_weight, available, canary_size, enough
from tiphys.core.slots import Slots
from tiphys.core.verified import not_verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The position after this pass, and what holds it."""

    index: int
    pauses: tuple[PauseCondition, ...]
    controller_pause: bool
    promoted: bool = False
    why_promoted: str = ""
    events: tuple[Event, ...] = ()
    because: tuple[Because, ...] = ()
    wake_at: datetime | None = None


def progress(now: Situation, slots: Slots | None, wish: TrafficIntent | None) -> Progress:
    """Decide whether the version is promoted, else whether the step is complete; at most one step a pass (lifecycle 6)."""
    position = now.position
    here = Progress(index=position.index, pauses=position.pauses, controller_pause=position.controller_pause)
    if position.promoted or position.aborted:
        unwell = _unwell(now)
        return replace(here, pauses=(), controller_pause=False, because=() if unwell is None else (unwell,))
    held = _not_promoted(now, slots)
    if held is None:
        count = len(position.steps)
        return replace(here, index=count, pauses=(), controller_pause=False, promoted=True, why_promoted=_promotion_reason(now))
    step = position.step
    if position.finished or step is None:
        return replace(here, because=(held,))
    stopped = _stopped(now)
    if stopped is not None:
        return replace(here, because=(stopped,))
    return _execute(now, slots, wish, step, here)


def _stopped(now: Situation) -> Because | None:
    """Name what a person has to do before any step goes on."""
    name = f"Rollout {now.seen.rollout.metadata.name}"
    if now.position.paused:
        return _because(Why.PAUSED_BY_USER, name, "spec.paused: false", "spec.paused: true")
    if inconclusive(now.position.pauses):
        return _because(Why.ANALYSIS, name, "a person's word on the inconclusive analysis", "none")
    return None


def _unwell(now: Situation) -> Because | None:
    """Name what a promoted or aborted Rollout still lacks: its pods, all of them, and nobody else's."""
    serving = now.revisions.stable
    if serving is None:
        return _because(Why.NO_STABLE, f"ReplicaSet of hash {now.revisions.stable_hash}", f"{now.replicas} pods", "no such ReplicaSet")
    name, have = f"ReplicaSet {serving.metadata.name}", available(serving)
    if serving.spec.replicas != now.replicas or have < now.replicas:
        return _because(Why.STABLE_NOT_READY, name, f"{now.replicas} available pods", f"{serving.spec.replicas} wanted, {have} available")
    left = None if now.routed else next((rs for rs in now.revisions.all if rs is not serving and rs.spec.replicas > 0), None)
    if left is not None:
        return _because(Why.SURGE_LIMIT, f"ReplicaSet {left.metadata.name}", "0 pods", f"{left.spec.replicas}")
    return None


def _execute(now: Situation, slots: Slots | None, wish: TrafficIntent | None, step: Step, here: Progress) -> Progress:
    """Complete *step* when every key of it is in place (S9); its pause begins when the others are."""
    missing = _missing(now, slots, wish, step)
    if missing is not None:
        # What a person said of an earlier pause is used up, unless this step has a pause of its own.
        said = here.controller_pause and (step.pause is not None or bool(here.pauses))
        return replace(here, because=(missing,), controller_pause=said)
    if step.pause is not None:
        waiting = _wait(now, step.pause, here)
        if waiting is not None:
            return waiting
    events = [Event(reason=words.Reason.STEP_COMPLETED, message=_completed(now, step))]
    if _places_nothing(now, step):
        events.insert(0, Event(reason=words.Reason.NOTHING_TO_PLACE, message=_nothing_to_place(step)))
    pauses = tuple(pause for pause in here.pauses if pause.reason != words.PauseReason.CANARY_PAUSE_STEP)
    return replace(here, index=here.index + 1, pauses=pauses, controller_pause=here.controller_pause and bool(pauses), events=tuple(events))


def _wait(now: Situation, pause: Pause, here: Progress) -> Progress | None:
    """Start, keep or end a pause; nothing when it is over (lifecycle 6.4)."""
    running = next((cond for cond in here.pauses if cond.reason == words.PauseReason.CANARY_PAUSE_STEP), None)
    if running is None and here.controller_pause:
        return None
    seconds = values.pause_seconds(pause)
    started = whole_seconds(now.seen.now)
    if running is not None and running.start_time is not None:
        started = running.start_time
    end = None if seconds is None else started + timedelta(seconds=seconds)
    if running is not None and end is not None and now.seen.now > end:
        return None
    wanted = "to be promoted" if end is None else "to end"
    because = replace(_because(Why.PAUSE_STEP, f"step {here.index}", wanted, "running"), look_at=end)
    wake_at = None if end is None else end + timedelta(milliseconds=1)
    if running is not None:
        return replace(here, controller_pause=True, because=(because,), wake_at=wake_at)
    condition = PauseCondition(reason=words.PauseReason.CANARY_PAUSE_STEP, start_time=started)
    return replace(here, pauses=(*here.pauses, condition), controller_pause=True, because=(because,), wake_at=wake_at)


def _missing(now: Situation, slots: Slots | None, wish: TrafficIntent | None, step: Step) -> Because | None:
    """Name the first thing that *step* asks for and that is not in place."""
    if step.set_weight is not None or step.set_canary_scale is not None:
        counts = counts_missing(now)
        if counts is not None:
            return counts
    routes = step.set_header_route is not None or step.set_mirror_route is not None
    if (step.set_weight is not None or routes) and now.seen.router is not None:
        missing = _routing_missing(now, slots, wish)
        if missing is not None:
            return missing
    return None if now.analyses.step.verdict is Verdict.OPEN else now.analyses.step.waits(f"step {now.position.index}")


def _routing_missing(now: Situation, slots: Slots | None, wish: TrafficIntent | None) -> Because | None:
    name = f"Rollout {now.seen.rollout.metadata.name}"
    if slots is None or wish is None:
        return _because(Why.NOT_ROUTED, name, "route objects that can be read", "none")
    asked = asked_weight(now) if canary_size(now) > 0 else 0
    if slots.routed.canary != asked or not slots.routed.says(wish):
        return _because(Why.NOT_ROUTED, name, f"canary weight {asked} and its routes", f"canary weight {slots.routed.canary}")
    if now.seen.router is not None and now.seen.router.verified is Verification.NOT_YET:
        return not_verified(now.seen.router, name, f"canary weight {asked}, confirmed")
    if canary_size(now) > 0 and not _routes_placed(now, wish):
        return _because(Why.CANARY_NOT_READY, name, "a ready canary endpoint for its routes", "none")
    return None


def _routes_placed(now: Situation, wish: TrafficIntent) -> bool:
    """Tell whether the routes folded so far are part of the wish; they are left out while the canary has nobody."""
    step = now.position.step
    if step is None:
        return True
    names = {route.name for route in wish.header_routes} | {mirror.name for mirror in wish.mirrors}
    header, mirror = step.set_header_route, step.set_mirror_route
    wanted = {route.name for route in (header, mirror) if route is not None and route.match}
    return wanted <= names


def counts_missing(now: Situation) -> Because | None:
    """Compare the pods there are with those this position wants (lifecycle 6.3)."""
    new, stable = now.revisions.new, now.revisions.stable
    wanted = wanted_now(now)
    threshold = now.canary.replica_progress_threshold
    have = available(new)
    exact = new is not None and new.spec.replicas == wanted.canary and new.status.available_replicas == wanted.canary
    if new is None or not (exact if threshold is None or threshold.value < 0 else enough(threshold, wanted=wanted.canary, have=have)):
        name = new.metadata.name if new is not None else now.revisions.pod_hash
        found = "none" if new is None else f"{new.spec.replicas} wanted, {new.status.available_replicas} available"
        return _because(Why.CANARY_NOT_READY, f"ReplicaSet {name}", f"{wanted.canary} available pods", found)
    if stable is None:
        return _because(Why.STABLE_NOT_READY, f"stable ReplicaSet {now.revisions.stable_hash}", f"{wanted.stable} pods", "none")
    if not is_dynamic(now) and (stable.spec.replicas != wanted.stable or stable.status.replicas != wanted.stable):
        found = f"{stable.spec.replicas} wanted, {stable.status.replicas} created"
        return _because(Why.STABLE_NOT_READY, f"ReplicaSet {stable.metadata.name}", f"{wanted.stable} pods", found)
    if not now.routed:
        lasting = next((rs for rs in now.revisions.others if rs.status.available_replicas > 0), None)
        if lasting is not None:
            found = f"{lasting.status.available_replicas} available"
            return _because(Why.NOT_OBSERVED, f"ReplicaSet {lasting.metadata.name}", "0 pods", found)
    return None


def wanted_now(now: Situation) -> Counts:
    """Give the pods of both sides that this position wants."""
    if now.routed:
        return Counts(canary=canary_size(now), stable=now.replicas)
    surge = values.max_surge(now.canary, now.replicas)
    return wanted_counts(replicas=now.replicas, weight=asked_weight(now), surge=surge, maximum=now.maximum)


def _not_promoted(now: Situation, slots: Slots | None) -> Because | None:
    """Name what keeps the new version from becoming stable; nothing when it does now (lifecycle 6.7, S4)."""
    new = now.revisions.new
    name = f"ReplicaSet {new.metadata.name}" if new is not None else f"ReplicaSet {now.revisions.pod_hash}"
    have = available(new)
    threshold = now.canary.replica_progress_threshold
    if new is None or (have < now.replicas and not enough(threshold, wanted=now.replicas, have=have)):
        return _because(Why.CANARY_NOT_READY, name, f"{now.replicas} available pods", str(have))
    if now.position.fresh:
        return None
    if inconclusive(now.position.pauses) and not now.position.promote_full:
        return _stopped(now)
    if not now.position.finished:
        return _because(Why.NOT_ROUTED, f"Rollout {now.seen.rollout.metadata.name}", "every step complete", f"step {now.position.index}")
    if now.seen.router is None or now.replicas == 0:
        return None
    rollout = f"Rollout {now.seen.rollout.metadata.name}"
    carries_all = slots is not None and slots.canary.carries == now.maximum and slots.stable.carries == 0 and slots.routed.uniform
    if slots is None or not carries_all or slots.canary.holds != now.revisions.pod_hash:
        found = "unreadable routes" if slots is None else f"canary weight {slots.canary.carries}"
        return _because(Why.NOT_ROUTED, rollout, f"canary weight {now.maximum}", found)
    if not slots.confirmed:
        return not_verified(now.seen.router, rollout, f"canary weight {now.maximum}, confirmed")
    return None


def _promotion_reason(now: Situation) -> str:
    if now.position.fresh:
        return words.INITIAL_DEPLOY
    if now.position.promote_full:
        return words.FULL_PROMOTION
    if now.position.fast:
        return words.WITHIN_WINDOW
    return words.all_steps_completed(len(now.position.steps))


def _places_nothing(now: Situation, step: Step) -> bool:
    """Whether *step* asks for traffic to a canary that the spec itself wants without pods (S9)."""
    routes = (step.set_header_route, step.set_mirror_route)
    asks = bool(step.set_weight) or any(route is not None and route.match for route in routes)
    return asks and now.routed and (canary_size(now) == 0 or now.replicas == 0)


def _nothing_to_place(step: Step) -> str:
    return f"{describe(step)}: the spec wants no canary pods here, so nothing is placed until there are some"


def _completed(now: Situation, step: Step) -> str:
    return words.step_completed(now.position.index + 1, len(now.position.steps), describe(step))


def _because(why: Why, what: str, wanted: str, found: str) -> Because:
    return Because(why=why, object=what, wanted=wanted, found=found)
