"""Given this picture, what should happen next, and why?"""

from dataclasses import replace

from tiphys.api import words
from tiphys.api.errors import SpecError
from tiphys.api.rollout import BlueGreenStrategy, Rollout
from tiphys.api.specwarnings import spec_warnings
from tiphys.api.validation import listed
from tiphys.api.words import EventType, Reason, accepted_but
from tiphys.core.actions import Because, Event, Plan, UpdateRollout, Why
from tiphys.core.bluegreen import decide_blue_green, report_blue_green_standstill
from tiphys.core.canary import decide_canary, report_standstill
from tiphys.core.farewell import decide_farewell, farewell_problems, with_finalizer
from tiphys.core.mending import mended
from tiphys.core.observed import Observed
from tiphys.core.report import Report, invalid
from tiphys.core.retreat import retreat
from tiphys.core.supported import unsupported_parts


def decide(seen: Observed, *, analysed: bool = False) -> Plan:
    """
    Decide the next move of a Rollout; every wait is named.

    *analysed* says that somebody makes and runs the AnalysisRuns that its spec asks for; as long as nobody does, such a spec is refused.
    An object on its way out is left alone, and what it owned goes by owner references (lifecycle 0.1), unless its owner wants something
    put back first.
    """
    rollout = seen.rollout
    if rollout.metadata.deletion_timestamp is not None:
        return decide_farewell(seen)
    return with_finalizer(_decide_living(seen, analysed=analysed), rollout)


def _decide_living(seen: Observed, *, analysed: bool) -> Plan:
    """A status that cannot be right is put right first, in a pass of its own."""
    rollout = seen.rollout
    status, wrong = mended(seen)
    if wrong:
        event = Event(reason=Reason.STATUS_MENDED, message=words.status_mended(listed(wrong)), type=EventType.WARNING)
        return Plan(actions=(), status=status, events=(event,), wake_at=seen.now)
    problems = (*seen.problems, *unsupported_parts(rollout, analysed=analysed), *farewell_problems(rollout))
    canary = rollout.spec.strategy.canary
    blue_green = rollout.spec.strategy.blue_green
    if problems or (canary is None and blue_green is None):
        return _decide_invalid(seen, problems)
    if rollout.spec.replicas is None:
        counted = None if seen.workload is None else seen.workload.replicas  # 12.5 #4110
        return Plan(actions=(UpdateRollout(replicas=1 if counted is None else counted),), status=rollout.status)
    plan = decide_blue_green(seen, blue_green or BlueGreenStrategy()) if canary is None else decide_canary(seen, canary)
    return replace(plan, events=(*plan.events, *_warned(rollout)))


def standstill(seen: Observed, *, analysed: bool = False) -> Report | None:
    """
    Give what stays true although the pass from this picture failed; nothing where there is nothing to say beside what is stored.

    The shell writes it once for a failed pass (architecture 1), so that a write that never succeeds ends in `ProgressDeadlineExceeded`
    and not in silence. *analysed* is as for `decide`.
    """
    rollout = seen.rollout
    canary, blue_green = rollout.spec.strategy.canary, rollout.spec.strategy.blue_green
    leaving = rollout.metadata.deletion_timestamp is not None
    if leaving or rollout.spec.replicas is None or seen.problems or unsupported_parts(rollout, analysed=analysed):
        return None
    if blue_green is not None and canary is None:
        return report_blue_green_standstill(seen, blue_green)
    return None if canary is None else report_standstill(seen, canary)


def _warned(rollout: Rollout) -> tuple[Event, ...]:
    """Warn, in the first pass over an edit, of what was accepted although it is hardly meant (12.4)."""
    if rollout.status.observed_generation == str(rollout.metadata.generation):
        return ()
    warnings = spec_warnings(rollout)
    return (Event(reason=Reason.SPEC_WARNING, message=accepted_but(warnings), type=EventType.WARNING),) if warnings else ()


def _decide_invalid(seen: Observed, problems: tuple[SpecError, ...]) -> Plan:
    """While the spec is invalid nothing moves forward; the way back stays open (lifecycle 1.8)."""
    told = invalid(seen.rollout, problems, seen.now)
    name = f"Rollout {seen.rollout.metadata.name}"
    because = tuple(Because(why=Why.INVALID_SPEC, object=name, wanted=error.wanted, found=str(error.found)) for error in problems)
    back = retreat(seen)
    return Plan(actions=() if back is None else (back,), status=told.status, events=told.events, because=because, wake_at=told.wake_at)
