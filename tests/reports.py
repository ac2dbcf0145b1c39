"""Facts, statuses and conditions for the tests of reports."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from builders import NOW, replica_set, rollout, step
from tiphys.api import names
from tiphys.api.status import Condition, RolloutStatus
from tiphys.api.workloads import ReplicaSet
from tiphys.core.report import Facts, report

LATER = NOW + timedelta(seconds=5)
_SPEC = ("strategy", "restart_at", "progress_deadline_seconds", "paused")


def facts(*, stored: RolloutStatus | None = None, **more: Any) -> Facts:  # noqa: ANN401 - the fields have types
    """A promoted canary with 5 of 5 pods and steps 20, pause, pause 10m, unless the keywords say otherwise."""
    spec = {key: more.pop(key) for key in _SPEC if key in more}
    made = rollout(20, step("pause"), step("pause", "10m"), status=stored or RolloutStatus(), generation=3, **spec)
    new = more.pop("new", replica_set("b", replicas=5, revision=2, annotations={names.DESIRED_REPLICAS: "5"}))
    usual: dict[str, Any] = {
        "now": NOW,
        "rollout": made,
        "draft": draft(),
        "new": new,
        "revision": 2,
        "replica_sets": (*((new,) if new is not None else ()), *_stable_beside(more.get("draft"))),
        "routed": False,
        "indefinite": False,
    }
    return Facts(**(usual | more))


def _stable_beside(shown: RolloutStatus | None) -> tuple[ReplicaSet, ...]:
    """Give the ReplicaSet of a stable version that is not the new one."""
    stable = "" if shown is None else shown.stable_rs
    return (replica_set(stable, replicas=5),) if stable not in {"", "b"} else ()


def draft(**fields: Any) -> RolloutStatus:  # noqa: ANN401 - the fields have types
    """What core computed for a promoted Rollout at full size."""
    usual: dict[str, Any] = {
        "current_pod_hash": "b",
        "stable_rs": "b",
        "current_step_index": 3,
        "current_step_hash": "s",
        "replicas": 5,
        "updated_replicas": 5,
        "ready_replicas": 5,
        "available_replicas": 5,
        "hpa_replicas": 5,
    }
    return RolloutStatus(**(usual | fields))


def midway(**fields: Any) -> RolloutStatus:  # noqa: ANN401 - the fields have types
    """At the first step of an update from a to b, without routing: 4 old pods, 1 new one."""
    usual: dict[str, Any] = {"stable_rs": "a", "current_step_index": 0, "updated_replicas": 1}
    return draft(**(usual | fields))


def said(kind: str, status: str, reason: str, message: str = "said before", *, updated: datetime = NOW, since: datetime = NOW) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, last_update_time=updated, last_transition_time=since)


def progressing(
    reason: str = "ReplicaSetUpdated", status: str = "True", message: str = "said before", *, updated: datetime = NOW, since: datetime = NOW
) -> Condition:
    return said("Progressing", status, reason, message, updated=updated, since=since)


def find(status: RolloutStatus, kind: str) -> Condition:
    return next(cond for cond in status.conditions if cond.type == kind)


def again(one: Facts, **more: Any) -> Facts:  # noqa: ANN401 - the fields have types
    """The same facts in the pass after *one* was written; nothing new is decided."""
    status = report(one).status
    settled = structs.replace(one.draft, aborted_at=status.aborted_at)
    once: dict[str, Any] = {"created": "", "found": False, "attempt_started": False, "completion": "", "abort_cause": ""}
    return replace(one, rollout=structs.replace(one.rollout, status=status), **({"draft": settled} | once | more))
