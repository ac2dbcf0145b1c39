"""
Would this action break a promise?

The promises S0 to S5 and S8 to S11 of the design, as predicates over what we write, given a picture. Settle tests ask them after every
decision, and *apply* asks them before every action. They read the picture again by themselves: a mistake of the decision must not
be their mistake too. Pods die without asking us, so actions are judged, never pictures; and what takes traffic away from pods that
do not answer is never stopped.
"""

from collections.abc import Callable
from typing import Final

from tiphys.api import defaults, values
from tiphys.api.defaults import max_traffic_weight
from tiphys.api.rollout import CanaryStrategy
from tiphys.api.workloads import ReplicaSet
from tiphys.core.actions import Action, CreateReplicaSet, EvictPod, Plan, RouteTraffic, SwitchService, UpdateReplicaSet
from tiphys.core.bluegreen_invariants import plan_violation_blue_green, violated_blue_green
from tiphys.core.intent import HeaderRoute, MirrorRoute, Role, TrafficIntent
from tiphys.core.mending import mended
from tiphys.core.observed import Observed
from tiphys.core.pairs import alternates
from tiphys.core.position import scale_in_force, stepped_weight
from tiphys.core.restart import is_available
from tiphys.core.revisions import find_revisions, hash_of, inside_window
from tiphys.core.routed_counts import canary_pods
from tiphys.core.slots import Slot, Slots, anybody_behind, find_service, find_slots, ready_behind, selects
from tiphys.core.wish import fold_routes

Check = Callable[[Observed, CanaryStrategy, Plan, Action], str | None]


def violated(seen: Observed, plan: Plan, action: Action) -> str | None:
    """
    Name the invariant that *action* (a part of *plan*) would break in the picture *seen*, and how; nothing if it is safe.

    Invariants over the plan as a whole are judged by `plan_violations`.
    """
    canary, blue_green = seen.rollout.spec.strategy.canary, seen.rollout.spec.strategy.blue_green
    if canary is None:
        return _twice(seen, action) or (None if blue_green is None else violated_blue_green(seen, blue_green, plan, action))
    for check in _CHECKS:
        broken = check(seen, canary, plan, action)
        if broken is not None:
            return broken
    return None


def plan_violations(seen: Observed, plan: Plan) -> tuple[str, ...]:
    """Name everything in *plan* that breaks an invariant, its status included."""
    canary, blue_green = seen.rollout.spec.strategy.canary, seen.rollout.spec.strategy.blue_green
    found = [broken for action in plan.actions if (broken := violated(seen, plan, action)) is not None]
    if canary is None:
        broken = None if blue_green is None else plan_violation_blue_green(seen, blue_green, plan)
        return (*found, broken) if broken else tuple(found)
    for check in (_promotes_too_early, _exchanges_roles_alone, _skips_steps):
        broken = check(seen, canary, plan)
        if broken is not None:
            found.append(broken)
    return tuple(found)


def ceiling(seen: Observed, canary: CanaryStrategy) -> int:
    """Give the most that the steps and people allow the canary at the stored position (S0)."""
    status, maximum = seen.rollout.status, max_traffic_weight(canary)
    revisions = find_revisions(seen)
    new = revisions.pod_hash
    if not status.stable_rs or status.stable_rs == new:
        return 0
    changed = (status.current_pod_hash and status.current_pod_hash != new) or status.current_step_hash != seen.steps_hash
    if status.abort and not changed:
        return 0
    if inside_window(seen, revisions):
        return maximum
    if changed:
        return stepped_weight(canary.steps, 0, maximum=maximum)
    if status.promote_full:
        return maximum
    return stepped_weight(canary.steps, status.current_step_index or 0, maximum=maximum)


def _adds_up(_seen: Observed, canary: CanaryStrategy, _plan: Plan, action: Action) -> str | None:
    if not isinstance(action, RouteTraffic):
        return None
    weights = [backend.weight for backend in action.wish.backends]
    if min(weights, default=0) < 0 or sum(weights) != max_traffic_weight(canary):
        return f"S0: weights {weights} are not parts of {max_traffic_weight(canary)}"
    return None


def _asks_no_more(seen: Observed, canary: CanaryStrategy, _plan: Plan, action: Action) -> str | None:
    """S0, S5: the canary gains no weight and no route that the steps do not ask for at this position."""
    slots = find_slots(seen, canary)
    if not isinstance(action, RouteTraffic) or slots is None:
        return None
    revisions = find_revisions(seen)
    same_pods = bool(revisions.stable_hash) and slots.canary.holds == revisions.stable_hash == revisions.pod_hash
    most = max(slots.canary.carries, max_traffic_weight(canary) if same_pods else ceiling(seen, canary))
    if action.wish.weight(Role.CANARY) > most:
        return f"S0: canary weight {action.wish.weight(Role.CANARY)} where at most {most} is asked for"
    wished: set[HeaderRoute | MirrorRoute] = {*action.wish.header_routes, *action.wish.mirrors}
    if wished and not wished <= _allowed_routes(seen, canary):
        return f"S5: routes {sorted(route.name for route in wished)} that the steps do not ask for here"
    return None


def _allowed_routes(seen: Observed, canary: CanaryStrategy) -> set[HeaderRoute | MirrorRoute]:
    status = seen.rollout.status
    revisions = find_revisions(seen)
    changed = status.current_pod_hash != revisions.pod_hash or status.current_step_hash != seen.steps_hash
    if not status.stable_rs or status.stable_rs == revisions.pod_hash or (not changed and (status.abort or status.promote_full)):
        return set()
    if inside_window(seen, revisions):
        return set()
    routing = canary.traffic_routing
    managed = tuple(route.name for route in routing.managed_routes) if routing is not None else ()
    headers, mirrors = fold_routes(canary.steps, 0 if changed else status.current_step_index or 0, managed)
    return {*headers, *mirrors}


def _adds_nothing_to_nobody(seen: Observed, canary: CanaryStrategy, _plan: Plan, action: Action) -> str | None:
    """S1, S2: what gains has the ready endpoints for it."""
    slots = find_slots(seen, canary)
    if not isinstance(action, RouteTraffic) or slots is None:
        return None
    wish = action.wish
    behind_canary, behind_stable = _ready(seen, slots.canary), _ready(seen, slots.stable)
    gains_routes = {*wish.header_routes, *wish.mirrors} - {*slots.routed.header_routes, *slots.routed.mirrors}
    if (wish.weight(Role.CANARY) > slots.routed.canary or gains_routes) and behind_canary == 0:
        return "S1: the canary would gain traffic without a ready endpoint"
    if wish.weight(Role.STABLE) > slots.routed.stable and behind_stable == 0 and behind_canary > 0:
        return "S1: stable would gain traffic without a ready endpoint"
    return _carries_forward(seen, canary, slots, wish, behind_canary)


def _carries_forward(seen: Observed, canary: CanaryStrategy, slots: Slots, wish: TrafficIntent, behind: int) -> str | None:
    if wish.weight(Role.CANARY) <= slots.routed.canary:
        return None
    replicas, maximum = _replicas(seen), max_traffic_weight(canary)
    stable = find_revisions(seen).stable
    rest = wish.weight(Role.STABLE) * replicas // maximum
    if (stable.status.available_replicas if stable is not None else 0) < rest:
        return f"S2: stable would carry {wish.weight(Role.STABLE)} with less than {rest} available pods"
    if canary.replica_progress_threshold is not None or _explicit(seen, canary) is not None:
        return None
    need = canary_pods(wish.weight(Role.CANARY), replicas, maximum)
    if behind < need:
        return f"S2: the canary would carry {wish.weight(Role.CANARY)} with {behind} of {need} ready endpoints"
    return None


def _ready(seen: Observed, slot: Slot) -> int:
    """Count who answers behind *slot*: the pods it selects; where it selects nobody by hash, those of its role."""
    revisions = find_revisions(seen)
    if slot.holds:
        return ready_behind(seen, slot, next((rs for rs in seen.replica_sets if hash_of(rs) == slot.holds), None))
    role = revisions.new if slot.role is Role.CANARY or not revisions.stable_hash else revisions.stable
    return ready_behind(seen, slot, role)


def _exchanges_pods_under_weight(seen: Observed, canary: CanaryStrategy, plan: Plan, action: Action) -> str | None:
    """S4: the pods behind a backend change only while it carries nothing, confirmed, before and after."""
    slots = find_slots(seen, canary)
    if slots is None:
        return None
    wish = next((planned.wish for planned in plan.actions if isinstance(planned, RouteTraffic)), None)
    for slot in (slots.stable, slots.canary):
        target = _exchanged_for(slot, action)
        if target is None:
            continue
        given = slot.carries if wish is None else wish.weight(slot.role)
        early = alternates(canary) and slot.role is Role.CANARY
        if _may_change(seen, slots, slot, target, given=given, early=early):
            continue
        return f"S4: the pods behind {slot.role} would change from {slot.holds} to {target} at weight {slot.carries} (then {given})"
    return None


def _exchanged_for(slot: Slot, action: Action) -> str | None:
    """Give the hash that *action* puts behind *slot*, if it changes it."""
    target: str | None = None
    if isinstance(action, SwitchService) and action.name == slot.service and slot.service:
        target = action.pod_hash
    if isinstance(action, RouteTraffic) and not slot.service:
        backend = action.wish.backend(slot.role)
        target = backend.pod_hash if backend is not None else None
    return target if target and target != slot.holds else None


def _may_change(seen: Observed, slots: Slots, slot: Slot, target: str, *, given: int, early: bool) -> bool:
    """Judge one exchange; *early* is that of a ping-pong Service, which may name a version before it has pods (traffic-routing 2.4)."""
    replica_set = next((rs for rs in seen.replica_sets if hash_of(rs) == target), None)
    if replica_set is None or (replica_set.status.available_replicas < 1 and not early):
        return False
    routes = slot.role is Role.CANARY and bool(slots.routed.header_routes or slots.routed.mirrors)
    if slots.confirmed and slot.carries == 0 and given == 0 and not routes:
        return True
    if replica_set.status.available_replicas < 1:
        return False
    if not slot.holds:
        return 0 < replica_set.spec.replicas <= replica_set.status.available_replicas
    return not anybody_behind(seen, slot)


def _takes_pods_from_under_traffic(seen: Observed, canary: CanaryStrategy, plan: Plan, action: Action) -> str | None:
    """S3: no ReplicaSet gets smaller than its largest weight needs."""
    slots = find_slots(seen, canary)
    if not isinstance(action, UpdateReplicaSet) or action.replicas is None or action.replicas >= action.before or slots is None:
        return None
    replica_set = _by_name(seen, action.name)
    if replica_set is None:
        return None
    wish = next((planned.wish for planned in plan.actions if isinstance(planned, RouteTraffic)), None)
    held = [slot for slot in (slots.stable, slots.canary) if slot.holds == hash_of(replica_set)]
    carried = max((max(slot.carries, wish.weight(slot.role) if wish is not None else 0) for slot in held), default=0)
    floor = min(action.before, canary_pods(carried, _replicas(seen), max_traffic_weight(canary)))
    explicit = _explicit(seen, canary) if replica_set is find_revisions(seen).new else None
    if explicit is not None:
        floor = min(floor, max(explicit, 1))
    elif not slots.confirmed:
        floor = action.before
    if action.replicas < floor:
        return f"S3: {action.name} would have {action.replicas} pods where weight {carried} needs {floor}"
    return None


def _leaves_service_without_pods(seen: Observed, canary: CanaryStrategy, _plan: Plan, action: Action) -> str | None:
    """S11: without a router a Service keeps a ready pod until it has moved, and availability is not spent beyond maxUnavailable."""
    if not isinstance(action, UpdateReplicaSet) or action.replicas is None or seen.router is not None:
        return None
    replica_set = _by_name(seen, action.name)
    replicas = _replicas(seen)
    if replica_set is None or replicas == 0:
        return None
    for name in (canary.stable_service, canary.canary_service):
        service = find_service(seen, name)
        named = service is not None and selects(service) == hash_of(replica_set)
        if named and action.replicas == 0 and min(replica_set.status.available_replicas, action.before) > 0:
            return f"S11: Service {name} would lose its last ready pod"
    if canary.traffic_routing is not None:
        return None
    return _spends_too_much(seen, canary, action)


def _evicts_too_many(seen: Observed, canary: CanaryStrategy, plan: Plan, action: Action) -> str | None:
    """S11: a restart leaves as many pods available as the spec allows to be missing, or as there were."""
    if not isinstance(action, EvictPod) or canary.traffic_routing is not None or seen.pods is None:
        return None
    going = {planned.name for planned in plan.actions if isinstance(planned, EvictPod)}
    available = {pod.metadata.name for pod in seen.pods if is_available(pod, seen)}
    replicas = _replicas(seen)
    least = min(len(available), replicas - values.max_unavailable(canary, replicas))
    left = len(available - going)
    return f"S11: {left} pods would stay available in a restart where {least} have to" if left < least else None


def _spends_too_much(seen: Observed, canary: CanaryStrategy, action: UpdateReplicaSet) -> str | None:
    after = action.replicas or 0
    lasting = {rs.metadata.name: min(rs.spec.replicas, rs.status.available_replicas) for rs in seen.replica_sets}
    before = sum(lasting.values())
    left = before - lasting[action.name] + min(after, lasting[action.name])
    replicas = _replicas(seen)
    least = min(before, replicas - values.max_unavailable(canary, replicas))
    if after < action.before and left < least:
        return f"S11: {left} pods would stay available where {least} have to"
    total = sum(rs.spec.replicas for rs in seen.replica_sets)
    most = max(total, replicas + values.max_surge(canary, replicas))
    if total - action.before + after > most:
        return f"S11: {total - action.before + after} pods where at most {most} are allowed"
    return None


def _creates_twice(seen: Observed, _canary: CanaryStrategy, _plan: Plan, action: Action) -> str | None:
    return _twice(seen, action)


def _twice(seen: Observed, action: Action) -> str | None:
    """S10: a template that a ReplicaSet carries already gets no second one."""
    if not isinstance(action, CreateReplicaSet):
        return None
    known = {seen.identity.pod_hash, *seen.identity.known}
    twin = next((rs for rs in seen.replica_sets if hash_of(rs) in known or rs.metadata.name in seen.identity.equal), None)
    return None if twin is None else f"S10: {twin.metadata.name} carries this template already"


def _promotes_too_early(seen: Observed, canary: CanaryStrategy, plan: Plan) -> str | None:
    """S4: the stable version changes only after the canary carries everything, confirmed."""
    before, after = seen.rollout.status.stable_rs, plan.status.stable_rs
    if after == before or not before:
        return None
    slots = find_slots(seen, canary)
    if seen.router is None or _replicas(seen) == 0:
        return None
    if mended(seen)[0].stable_rs == after:
        return None  # it is the one that has the stable traffic, and what was recorded does not exist
    whole = slots is not None and slots.confirmed and slots.canary.carries == max_traffic_weight(canary) and slots.canary.holds == after
    return None if whole else f"S4: {after} would become stable before it carries everything"


def _exchanges_roles_alone(seen: Observed, canary: CanaryStrategy, plan: Plan) -> str | None:
    """S4: the ping-pong Services exchange their roles exactly when another version becomes stable."""
    before, after = seen.rollout.status, plan.status
    exchange = before.canary.stable_ping_pong != after.canary.stable_ping_pong
    if exchange and before.stable_rs == after.stable_rs and mended(seen)[0].canary == after.canary:
        return None  # they were the wrong way round
    if exchange == (canary.ping_pong is not None and before.stable_rs != after.stable_rs):
        return None
    return f"S4: stablePingPong would become {after.canary.stable_ping_pong!r} while {after.stable_rs} is stable after {before.stable_rs}"


def _skips_steps(seen: Observed, canary: CanaryStrategy, plan: Plan) -> str | None:
    """S9: at most one step completes in a pass, unless the whole update ends."""
    before, after = seen.rollout.status, plan.status
    if after.current_step_index is None or before.current_step_index is None or after.stable_rs == after.current_pod_hash:
        return None
    unchanged = before.current_pod_hash == after.current_pod_hash and before.current_step_hash == after.current_step_hash
    if unchanged and not inside_window(seen, find_revisions(seen)) and after.current_step_index > before.current_step_index + 1:
        return f"S9: step {before.current_step_index} would be followed by {after.current_step_index}"
    return None if after.current_step_index <= len(canary.steps) else "S9: there is no such step"


def _explicit(seen: Observed, canary: CanaryStrategy) -> int | None:
    """Give the canary size that a `setCanaryScale` asks for at the stored position (the user's word)."""
    status = seen.rollout.status
    changed = status.current_pod_hash != find_revisions(seen).pod_hash or status.current_step_hash != seen.steps_hash
    scale = scale_in_force(canary.steps, 0 if changed else status.current_step_index or 0)
    if scale is None or status.promote_full or (status.abort and not changed):
        return None
    if scale.replicas is not None:
        return scale.replicas
    return canary_pods(scale.weight or 0, _replicas(seen), max_traffic_weight(canary))


def _by_name(seen: Observed, name: str) -> ReplicaSet | None:
    return next((rs for rs in seen.replica_sets if rs.metadata.name == name), None)


def _replicas(seen: Observed) -> int:
    return defaults.replicas(seen.rollout.spec)


_CHECKS: Final[tuple[Check, ...]] = (
    _adds_up,
    _asks_no_more,
    _adds_nothing_to_nobody,
    _exchanges_pods_under_weight,
    _takes_pods_from_under_traffic,
    _leaves_service_without_pods,
    _evicts_too_many,
    _creates_twice,
)
