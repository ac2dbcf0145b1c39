"""How is the Rollout, in one word and one line? (Lifecycle reference 2.4.)"""

from collections.abc import Iterable

from tiphys.api import names, words
from tiphys.api.status import Condition
from tiphys.api.words import ConditionType, Phase, Reason
from tiphys.core.facts import Facts

MANUALLY_PAUSED = "manually paused"
RESTARTING = "rollout is restarting"
MORE_TO_UPDATE = "more replicas need to be updated"
NOT_YET_AVAILABLE = "updated replicas are still becoming available"
CUT_OVER_PENDING = "active service cutover pending"
ANALYSIS_RUNS = "waiting for analysis to complete"
NOT_VERIFIED = "waiting for post-promotion verification to complete"
OLD_PENDING = "old replicas are pending termination"
STEPS_LEFT = "waiting for all steps to complete"

_DEGRADING = frozenset({Reason.ROLLOUT_ABORTED, Reason.PROGRESS_DEADLINE_EXCEEDED})
_COMPLETED_RUN = frozenset({"Successful", "Failed", "Error", "Inconclusive"})


def find_phase(facts: Facts, conditions: Iterable[Condition]) -> tuple[Phase, str]:
    """Give the phase and its message; a pod that says why it does not run is named behind the fixed text (12.6)."""
    phase, message = _phase(facts, conditions)
    late = phase is Phase.PROGRESSING or message.startswith(Reason.PROGRESS_DEADLINE_EXCEEDED)
    return phase, f"{message}: {facts.ailing}" if late and facts.ailing else message


def _phase(facts: Facts, conditions: Iterable[Condition]) -> tuple[Phase, str]:
    """Let the first rule that holds win."""
    trouble = find_trouble(conditions)
    if trouble:
        return Phase.DEGRADED, trouble
    if _stable_is_lost(facts):
        return Phase.DEGRADED, words.stable_lost(facts.draft.stable_rs)
    if facts.rollout.spec.paused:
        return Phase.PAUSED, MANUALLY_PAUSED
    if facts.draft.pause_conditions:
        return Phase.PAUSED, facts.draft.pause_conditions[0].reason
    missing = _missing(facts)
    return (Phase.PROGRESSING, missing) if missing else (Phase.HEALTHY, "")


def _stable_is_lost(facts: Facts) -> bool:
    """Whether an update is on its way from a version whose ReplicaSet somebody deleted: only people know what to do (12.3)."""
    stable = facts.draft.stable_rs
    return bool(stable) and not facts.completed and all(names.pod_hash(one.metadata.labels) != stable for one in facts.replica_sets)


def find_trouble(conditions: Iterable[Condition]) -> str:
    """Give the message of a degraded Rollout, or the empty text; the order of the conditions counts."""
    for cond in conditions:
        if cond.type == ConditionType.INVALID_SPEC:
            return f"{Reason.INVALID_SPEC}: {cond.message}"
        if cond.reason in _DEGRADING:
            return f"{cond.reason}: {cond.message}"
    return ""


def _missing(facts: Facts) -> str:
    """Name what is still to be done, or give the empty text."""
    draft, spec = facts.draft, facts.rollout.spec
    if spec.restart_at is not None and spec.restart_at != draft.restarted_at:
        return RESTARTING
    if draft.updated_replicas < facts.replicas:
        return MORE_TO_UPDATE
    if draft.available_replicas < draft.updated_replicas:
        return NOT_YET_AVAILABLE
    promoted = draft.stable_rs == draft.current_pod_hash
    if facts.blue_green is not None:
        return _missing_blue_green(facts, promoted=promoted)
    if not facts.routed and draft.replicas > draft.updated_replicas:
        return OLD_PENDING
    return "" if promoted else STEPS_LEFT


def _missing_blue_green(facts: Facts, *, promoted: bool) -> str:
    shown = facts.draft.blue_green
    if not shown.active_selector or shown.active_selector != facts.draft.current_pod_hash:
        return CUT_OVER_PENDING
    if promoted:
        return ""
    run = shown.post_promotion_analysis_run_status
    analysed = facts.blue_green is not None and facts.blue_green.post_promotion_analysis is not None
    if analysed and (run is None or run.status not in _COMPLETED_RUN):
        return ANALYSIS_RUNS
    return NOT_VERIFIED
