"""How much does what a first pass would write matter to somebody whose cluster is taken over?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, assert_never

import msgspec

from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.api.words import Reason
from tiphys.controller.caches import ANALYSIS_RUN_KIND, REPLICA_SET_KIND, ROLLOUT_KIND, SERVICE_KIND
from tiphys.controller.cluster import Kind
from tiphys.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    EndRun,
    Event,
    EvictPod,
    LabelPod,
    Plan,
    RouteTraffic,
    ScaleWorkload,
    SwitchService,
    UpdateReplicaSet,
    UpdateRollout,
    Why,
)
from tiphys.core.intent import Role
from tiphys.core.observed import Observed
from tiphys.core.supported import unsupported_parts
from tiphys.kube.store import Key
from tiphys.traffic.router import Ref

POD_KIND: Final[Kind] = ("", "Pod")


class Weight(IntEnum):
    """How much a write matters to somebody whose cluster is taken over, in rising order."""

    NOTHING = 0
    NOTE = 1
    """Status, annotations, owners: nothing that serves changes."""
    STEP = 2
    """What the present step, a promotion or a restart asks for and is not there yet: sizes, selectors, routes."""
    STOP = 3
    """A new ReplicaSet, a spec that is refused, a pass that fails, objects that are missing: not to be taken over like this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that the pass would make: *what* in words, and the *body* that would be sent."""

    verb: str
    ref: Ref
    what: str
    body: Manifest

    @property
    def kind(self) -> Kind:
        """Group and kind of the object."""
        return self.ref.group, self.ref.kind

    @property
    def weight(self) -> Weight:
        """Tell whether what serves would change."""
        if self.verb not in {"patch", "patch status"}:
            return Weight.STEP
        annotations = (self.body.get("metadata") or {}).get("annotations") or {}
        if self.kind == REPLICA_SET_KIND and annotations.get(names.SCALE_DOWN_DEADLINE):
            return Weight.STEP
        return Weight.NOTE if self.kind in {ROLLOUT_KIND, POD_KIND} or self.body.keys() <= {"metadata"} else Weight.STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the first pass over the Rollout *key*, whose status says *phase*, would do."""

    key: Key
    phase: str
    weight: Weight
    writes: tuple[Write, ...]
    refusals: tuple[str, ...] = ()
    """What of the spec, or of an object that it names, is refused: field and what is wanted of it."""
    reasons: tuple[str, ...] = ()
    """Why it weighs what it does, one line each, the refusals first."""
    waits: tuple[str, ...] = ()
    """What is not happening, and why."""
    missing: tuple[str, ...] = ()
    """Kinds of which there is no object although this Rollout must have some: the objects given are not all."""
    empty: tuple[str, ...] = ()
    """Kinds that its routers read and of which there is no object: right only where the cluster has none either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What the pass saw, and what it decided from that."""

    seen: Observed
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Of which kinds no object was given: *missing* where that cannot be the whole cluster, *empty* where it may be."""

    missing: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def judge(key: Key, *, phase: str, writes: Sequence[Write], warnings: Sequence[Event], thought: Thought | None, given: Given) -> Rehearsal:
    """Give the verdict over a pass: what was written and warned of, what was thought, and what was given."""
    refusals = _refusals(thought)
    weighed = [(Weight.STOP, text) for text in refusals]
    weighed += [(Weight.STOP, f"no object of kind {kind} was given, and this Rollout has some") for kind in given.missing]
    weighed += [
        (Weight.STOP, f"{event.reason}: {event.message}") for event in warnings if event.reason != Reason.INVALID_SPEC or not refusals
    ]
    if thought is None and not weighed:
        weighed.append((Weight.STOP, "no pass could be made over it"))
    if thought is not None:
        weighed += _explained(thought, writes)
    heaviest = max((weight for weight, _ in weighed), default=Weight.NOTHING)
    return Rehearsal(
        key=key,
        phase=phase,
        weight=max(heaviest, *(write.weight for write in writes)) if writes else heaviest,
        writes=tuple(writes),
        refusals=refusals,
        reasons=tuple(dict.fromkeys(text for weight, text in weighed if weight >= Weight.STEP)),
        waits=() if thought is None or refusals else _waits(thought.plan),
        missing=given.missing,
        empty=given.empty,
    )


def _refusals(thought: Thought | None) -> tuple[str, ...]:
    if thought is None or not any(because.why is Why.INVALID_SPEC for because in thought.plan.because):
        return ()
    problems = (*thought.seen.problems, *unsupported_parts(thought.seen.rollout))
    return tuple(dict.fromkeys(f"{problem.field}: {problem.wanted}" for problem in problems))


def _waits(plan: Plan) -> tuple[str, ...]:
    return tuple(f"{because.object}: {because.why.value} (wanted {because.wanted}, found {because.found})" for because in plan.because)


def _explained(thought: Thought, writes: Sequence[Write]) -> list[tuple[Weight, str]]:
    """Say what each action means, and then what is written beside the plan: for objects that the Rollout does not name any more."""
    weighed = [_weigh(action, thought.seen, writes) for action in thought.plan.actions]
    weighed += [(Weight.STEP, text) for text in _moves(thought)]
    moved = {action.name for action in thought.plan.actions if isinstance(action, SwitchService)}
    routed = any(isinstance(action, RouteTraffic) for action in thought.plan.actions)
    for write in writes:
        beside = write.ref.name not in moved if write.kind == SERVICE_KIND else _is_route(write) and not routed
        if beside and write.weight >= Weight.STEP:
            weighed.append((write.weight, f"{write.ref}: {write.what}"))
    return weighed


def _moves(thought: Thought) -> Iterator[str]:
    """Say how far the update itself would come: after that the next pass asks for more."""
    before, after = thought.seen.rollout.status, thought.plan.status
    if before.current_step_index != after.current_step_index and before.current_step_index is not None:
        yield f"status.currentStepIndex would go from {before.current_step_index} to {after.current_step_index}"
    if before.stable_rs != after.stable_rs:
        yield f"status.stableRS would be {after.stable_rs or 'nothing'} instead of {before.stable_rs or 'nothing'}"
    if before.abort != after.abort:
        yield f"the update would {'' if after.abort else 'no longer '}be aborted"
    paused, pausing = ({pause.reason: None for pause in status.pause_conditions} for status in (before, after))
    yield from (f"the pause {reason} would begin" for reason in pausing if reason not in paused)
    yield from (f"the pause {reason} would be over" for reason in paused if reason not in pausing)


def _is_route(write: Write) -> bool:
    return write.kind not in {ROLLOUT_KIND, REPLICA_SET_KIND, SERVICE_KIND, POD_KIND, ("apps", "Deployment"), ANALYSIS_RUN_KIND}


def _weigh(action: Action, seen: Observed, writes: Sequence[Write]) -> tuple[Weight, str]:
    match action:
        case CreateReplicaSet(name=name):
            text = f"no ReplicaSet is recognised as carrying the present template: {name} would be created, and its pods started"
            return Weight.STOP, f"{text}{_edited(seen)}"
        case EvictPod(name=name):
            return (
                Weight.STEP,
                f"Pod {name} would be restarted: spec.restartAt asks for it, and status.restartedAt does not say that it is done",
            )
        case DeleteReplicaSet(name=name):
            return Weight.STEP, f"ReplicaSet {name}, which is empty, would go: it is beyond revisionHistoryLimit"
        case UpdateReplicaSet():
            return _weigh_update(action)
        case SwitchService(name=name, before=before, pod_hash=pod_hash):
            if before == pod_hash:
                return Weight.NOTE, ""
            return Weight.STEP, f"Service {name} would select {pod_hash} instead of {before or 'every version'}"
        case RouteTraffic():
            return _weigh_routes(action, seen, writes)
        case ScaleWorkload(kind=kind, name=name, before=before, replicas=replicas):
            return Weight.STEP, f"{kind} {name} would go from {before} to {replicas} pods"
        case EndRun(name=name):
            return Weight.STEP, f"AnalysisRun {name}, on which nobody rests any more, would be asked to end"
        case UpdateRollout() | LabelPod():
            return Weight.NOTE, ""
        case _:
            assert_never(action)


def _edited(seen: Observed) -> str:
    """Say that the template may be new for everybody, where the spec is newer than the last pass over it."""
    generation, observed = seen.rollout.metadata.generation, seen.rollout.status.observed_generation
    if not observed or observed == str(generation):
        return ""
    return f"; the spec is of generation {generation} and {observed} was looked at last, so this may be an update that nobody has begun yet"


def _weigh_update(action: UpdateReplicaSet) -> tuple[Weight, str]:
    if action.replicas is not None:
        return Weight.STEP, f"ReplicaSet {action.name} would go from {action.before} to {action.replicas} pods"
    deadline = action.annotations.get(names.SCALE_DOWN_DEADLINE)
    if deadline:
        return Weight.STEP, f"ReplicaSet {action.name} would lose its {action.before} pods at {deadline}"
    return Weight.NOTE, ""


def _weigh_routes(action: RouteTraffic, seen: Observed, writes: Sequence[Write]) -> tuple[Weight, str]:
    router, wanted = seen.router, action.wish.weight(Role.CANARY)
    said = None if router is None or router.routed is None else router.routed.canary
    if said == wanted and not any(_is_route(write) and write.weight >= Weight.STEP for write in writes):
        return Weight.NOTE, ""
    if said == wanted:
        return Weight.STEP, f"routes would be written anew; the canary keeps weight {wanted}"
    return (
        Weight.STEP,
        f"routes would say weight {wanted} for the canary; they say {'nothing readable' if said is None else f'weight {said}'}",
    )


def shown(rehearsal: Rehearsal) -> Mapping[str, Any]:
    """Give a rehearsal as plain JSON."""
    return {
        "namespace": rehearsal.key.namespace,
        "name": rehearsal.key.name,
        "phase": rehearsal.phase,
        "verdict": rehearsal.weight.name.lower(),
        "refusals": list(rehearsal.refusals),
        "missing": list(rehearsal.missing),
        "empty": list(rehearsal.empty),
        "reasons": list(rehearsal.reasons),
        "waits": list(rehearsal.waits),
        "writes": [
            {"verb": write.verb, "object": str(write.ref), "what": write.what, "body": msgspec.to_builtins(write.body)}
            for write in rehearsal.writes
        ],
    }
