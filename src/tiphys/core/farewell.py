"""What is put back before a Rollout goes, where its owner asks for that? (Lifecycle 12.5 #3855; decision 0029.)"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tiphys.api import defaults, names
from tiphys.api.errors import SpecError
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.api.words import EventType, Reason
from tiphys.core.actions import Action, Because, Event, Plan, RouteTraffic, ScaleWorkload, UpdateReplicaSet, UpdateRollout, Why
from tiphys.core.canary import decide_canary
from tiphys.core.endings import soonest
from tiphys.core.observed import Observed, Verification
from tiphys.core.retreat import retreat
from tiphys.core.revisions import find_revisions
from tiphys.core.routed_by import earlier_routers
from tiphys.core.verified import not_verified
from tiphys.core.workload import gives_up_pods

PATIENCE: Final = timedelta(seconds=60)
"""How long a deletion waits for what may never come: a route that nobody can read or write, a stable version without pods."""
FIELD: Final = f"metadata.annotations[{names.ON_DELETE}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One thing that is put back: what has to be done for it, and what is missing; *patient* where that comes if one only waits."""

    actions: tuple[Action, ...] = ()
    missing: Because | None = None
    patient: bool = False


def farewell_problems(rollout: Rollout) -> tuple[SpecError, ...]:
    """Refuse a word that nobody knows: it would be skipped in silence when it is too late."""
    wanted = f"must be one of {', '.join(names.FAREWELLS)}, or several with commas between them"
    return tuple(SpecError(field=FIELD, found=word, wanted=wanted) for word in _asked(rollout) if word not in names.FAREWELLS)


def with_finalizer(plan: Plan, rollout: Rollout) -> Plan:
    """Let the API server keep a Rollout until everything is put back, for as long as its owner asks for that and no longer."""
    present = rollout.metadata.finalizers
    wanted = bool(_asked(rollout))
    if (names.ON_DELETE in present) == wanted:
        return plan
    finalizers = (*present, names.ON_DELETE) if wanted else _without_ours(rollout)
    known = next((action for action in plan.actions if isinstance(action, UpdateRollout)), None)
    if known is None:
        return replace(plan, actions=(UpdateRollout(finalizers=finalizers), *plan.actions))
    both = replace(known, finalizers=finalizers)
    return replace(plan, actions=tuple(both if action is known else action for action in plan.actions))


def decide_farewell(seen: Observed) -> Plan:
    """
    Decide what is still put back, and let the Rollout go when all is, or when it has taken too long.

    Everything goes the way of an abort, by its rules: nothing is given to pods that do not answer. What a person deletes is never held
    for ever: after `progressDeadlineSeconds` it goes, after a minute where nobody can say that waiting helps.
    """
    rollout = seen.rollout
    if names.ON_DELETE not in rollout.metadata.finalizers:
        return Plan(actions=(), status=rollout.status)
    if _overdue(seen, patient=True):
        return _let_go(rollout, _given_up("it took longer than the progress deadline"))
    parts = list(_parts(seen))
    missing = [part.missing for part in parts if part.missing is not None]
    actions = tuple(action for part in parts for action in part.actions)
    if not missing and not actions:
        done = f"put back before the end: {', '.join(_asked(rollout)) or 'nothing'}"
        return _let_go(rollout, Event(reason=Reason.PUT_BACK, message=done))
    if _overdue(seen, patient=False) and not actions and not any(part.patient for part in parts if part.missing is not None):
        said = [f"{each.object}: wanted {each.wanted}, found {each.found}" for each in missing]
        return _let_go(rollout, _given_up("; ".join([*said, *(str(problem) for problem in seen.problems)])))
    wake_at = soonest(_next_look(seen), *(each.look_at for each in missing))
    return Plan(actions=actions, status=rollout.status, because=tuple(missing), wake_at=wake_at)


def give_up(seen: Observed, problem: str) -> Plan | None:
    """Let a Rollout go whose last pass failed with *problem*, if that was tried for long enough; nothing where it is tried on."""
    rollout = seen.rollout
    if rollout.metadata.deletion_timestamp is None or names.ON_DELETE not in rollout.metadata.finalizers:
        return None
    return _let_go(rollout, _given_up(problem)) if _overdue(seen, patient=False) else None


def _asked(rollout: Rollout) -> tuple[str, ...]:
    words = (word.strip() for word in rollout.metadata.annotations.get(names.ON_DELETE, "").split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _parts(seen: Observed) -> Iterator[_Part]:
    asked = _asked(seen.rollout)
    canary = seen.rollout.spec.strategy.canary
    if names.RESET_TRAFFIC in asked and canary is not None and canary.traffic_routing is not None:
        yield _traffic(seen, canary)
    if names.RESET_TRAFFIC in asked and earlier_routers(seen.rollout):
        yield _Part(missing=_because(seen, "routes of earlier routers given back to stable", "not yet"))
    if names.RESTORE_WORKLOAD in asked:
        yield _workload(seen)


def _traffic(seen: Observed, canary: CanaryStrategy) -> _Part:
    """Take weight and routes from the canary as an abort does; of that, only what serves the way back is done."""
    if seen.router is None:
        return _Part()
    routed = seen.router.routed
    if routed is not None and routed.uniform and not (routed.canary or routed.header_routes or routed.mirrors):
        if seen.router.verified is not Verification.NOT_YET:
            return _Part()
        missing = not_verified(seen.router, f"Rollout {seen.rollout.metadata.name}", "canary weight 0, confirmed")
        return _Part(missing=missing, patient=True)
    back = _as_aborted(seen)
    if seen.problems or not find_revisions(back).stable_hash:
        way = retreat(back)
        actions: tuple[Action, ...] = () if way is None else (way,)
    else:
        actions = tuple(action for action in decide_canary(back, canary).actions if _serves_the_way_back(action))
    found = "routes that cannot be read" if routed is None else f"canary weight {routed.canary}"
    growing = canary.dynamic_stable_scale and routed is not None
    return _Part(actions=actions, missing=_because(seen, "canary weight 0 and no routes", found), patient=growing)


def _as_aborted(seen: Observed) -> Observed:
    """Give the picture as if the update had been aborted, whatever of it nobody has looked at yet."""
    status = msgspec.structs.replace(
        seen.rollout.status,
        abort=True,
        aborted_at=seen.rollout.status.aborted_at or seen.rollout.metadata.deletion_timestamp,
        current_pod_hash=find_revisions(seen).pod_hash,
        current_step_hash=seen.steps_hash,
    )
    return replace(seen, rollout=msgspec.structs.replace(seen.rollout, status=status))


def _serves_the_way_back(action: Action) -> bool:
    grows = isinstance(action, UpdateReplicaSet) and action.replicas is not None and action.replicas > action.before
    return grows or isinstance(action, RouteTraffic)


def _workload(seen: Observed) -> _Part:
    """Give the Deployment the pods back that the Rollout's own replaced, and wait until they are available."""
    workload, wanted = seen.workload, defaults.replicas(seen.rollout.spec)
    if workload is None or workload.replicas is None or not gives_up_pods(workload):
        return _Part()
    name = f"{workload.kind} {workload.name}"
    if workload.replicas >= wanted <= workload.available:
        return _Part()
    missing = Because(why=Why.NOT_PUT_BACK, object=name, wanted=f"{wanted} available pods", found=f"{workload.available}")
    if workload.replicas >= wanted:
        return _Part(missing=missing, patient=True)
    scaled = ScaleWorkload(
        kind=workload.kind, name=workload.name, before=workload.replicas, replicas=wanted, resource_version=workload.resource_version
    )
    return _Part(actions=(scaled,), missing=missing, patient=True)


def _let_go(rollout: Rollout, event: Event) -> Plan:
    return Plan(actions=(UpdateRollout(finalizers=_without_ours(rollout), event=event),), status=rollout.status)


def _without_ours(rollout: Rollout) -> tuple[str, ...]:
    return tuple(name for name in rollout.metadata.finalizers if name != names.ON_DELETE)


def _given_up(why: str) -> Event:
    return Event(reason=Reason.NOT_PUT_BACK, message=f"not everything was put back before the end: {why}", type=EventType.WARNING)


def _overdue(seen: Observed, *, patient: bool) -> bool:
    return seen.now > _end(seen, patient=patient)


def _end(seen: Observed, *, patient: bool) -> datetime:
    asked_at = seen.rollout.metadata.deletion_timestamp or seen.now
    deadline = timedelta(seconds=defaults.progress_deadline_seconds(seen.rollout.spec))
    return asked_at + (deadline if patient else min(PATIENCE, deadline))


def _next_look(seen: Observed) -> datetime:
    """Look again when the patience ends, and when the deadline does; what is waited for is watched."""
    soon = _end(seen, patient=False)
    end = soon if seen.now <= soon else _end(seen, patient=True)
    return end + timedelta(milliseconds=1)


def _because(seen: Observed, wanted: str, found: str) -> Because:
    return Because(why=Why.NOT_PUT_BACK, object=f"Rollout {seen.rollout.metadata.name}", wanted=wanted, found=found)
