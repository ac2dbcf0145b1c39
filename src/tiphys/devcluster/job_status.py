"""Is a Job done, has it failed, and how many pods does it want now? (pure)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tiphys.devcluster.conditions import condition_of, holds, with_last
from tiphys.devcluster.history import Stored
from tiphys.devcluster.job_indexes import index_of, is_indexed, read_indexes, written
from tiphys.devcluster.podindex import has_ended, is_leaving, is_ready
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import wire_time

FINALIZER = "batch.kubernetes.io/job-tracking"
"""Holds a pod until its end is counted, so that each end is counted once."""

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
WILL_COMPLETE, WILL_FAIL = "SuccessCriteriaMet", "FailureTarget"
_FINALLY = {WILL_COMPLETE: COMPLETE, WILL_FAIL: FAILED}
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 600.0
"""Seconds before a pod is made after the first failure in a row, and after many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a Job's pods are: those counted for good, and those whose end is noted but may be counted again."""

    active: Sequence[Stored]
    terminating: int
    succeeded: int
    failed: int
    noted: Mapping[str, Sequence[str]]
    """Under `succeeded` and `failed`: uids that still have the finalizer."""
    done: frozenset[int] | None
    """The indexes that have succeeded, which need no note: each counts once anyway. None: the Job has no indexes."""
    ended: frozenset[str]
    """Uids of pods that can be let go once this is written."""

    @property
    def all_succeeded(self) -> int:
        """How many pods have succeeded, noted ones included."""
        return self.succeeded + len(self.noted["succeeded"])

    @property
    def all_failed(self) -> int:
        """How many pods have failed, noted ones included."""
        return self.failed + len(self.noted["failed"])


def tally(job: Mapping[str, Any], pods: Sequence[Stored]) -> Tally:
    """Count *pods*: an end that is noted counts for good once its pod is let go, a new end is noted."""
    status = job.get("status") or {}
    known = status.get("uncountedTerminatedPods") or {}
    held = {each.manifest["metadata"]["uid"]: each for each in pods if FINALIZER in (each.manifest["metadata"].get("finalizers") or ())}
    noted = {outcome: [uid for uid in known.get(outcome) or () if uid in held] for outcome in ("succeeded", "failed")}
    counted = {outcome: status.get(outcome, 0) + len(known.get(outcome) or ()) - len(uids) for outcome, uids in noted.items()}
    ended = {uid for uids in noted.values() for uid in uids}
    done = read_indexes(status.get("completedIndexes", "")) if is_indexed(job) else None
    for uid, pod in held.items():
        outcome = _outcome(job, pod.manifest)
        if outcome == "succeeded" and done is not None:
            done.add(index_of(pod.manifest))
        elif outcome and uid not in ended:
            noted[outcome].append(uid)
        if outcome:
            ended.add(uid)
    return Tally(
        active=[each for each in pods if not has_ended(each.manifest) and not is_leaving(each.manifest)],
        terminating=sum(is_leaving(each.manifest) and not has_ended(each.manifest) for each in pods),
        succeeded=counted["succeeded"] if done is None else len(done),
        failed=counted["failed"],
        noted=noted,
        done=None if done is None else frozenset(done),
        ended=frozenset(ended),
    )


def _outcome(job: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """Say how a pod counts; a pod that is deleted before its end has failed, at once or when it ends (podReplacementPolicy)."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return "succeeded"
    lost = is_leaving(pod) and job["spec"].get("podReplacementPolicy") != "Failed"
    return "failed" if phase == "Failed" or lost else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is decided of a Job: SuccessCriteriaMet or FailureTarget, and why."""

    type: str
    reason: str
    message: str

    @property
    def finally_(self) -> "Verdict":
        """What is said when the last pod has ended."""
        return Verdict(type=_FINALLY[self.type], reason=self.reason, message=self.message)


def is_finished(job: Mapping[str, Any]) -> bool:
    """Whether a Job is over."""
    status = job.get("status") or {}
    return any(holds(status, kind) for kind in (COMPLETE, FAILED))


def judge(job: Mapping[str, Any], count: Tally, now: datetime) -> Verdict | None:
    """Decide whether a Job is to end; what was decided once stays."""
    spec, status = job["spec"], job.get("status") or {}
    for kind in (WILL_FAIL, WILL_COMPLETE):
        if (known := condition_of(status, kind)) is not None and holds(status, kind):
            return Verdict(type=kind, reason=known["reason"], message=known["message"])
    if count.all_failed > spec["backoffLimit"] or _restarts_too_often(spec, count.active):
        return Verdict(type=WILL_FAIL, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
    ends_at = deadline(job)
    if ends_at is not None and ends_at <= now:
        return Verdict(type=WILL_FAIL, reason="DeadlineExceeded", message="Job was active longer than specified deadline")
    completions = spec.get("completions")
    enough = count.all_succeeded > 0 and not count.active if completions is None else count.all_succeeded >= completions
    if enough:
        return Verdict(type=WILL_COMPLETE, reason="CompletionsReached", message="Reached expected number of succeeded pods")
    return None


def _restarts_too_often(spec: Mapping[str, Any], active: Sequence[Stored]) -> bool:
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    statuses = (each for pod in active for each in (pod.manifest.get("status") or {}).get("containerStatuses") or ())
    restarts = sum(int(each.get("restartCount", 0)) for each in statuses)
    return restarts >= max(1, int(spec["backoffLimit"]))


def deadline(job: Mapping[str, Any]) -> datetime | None:
    """Give when a Job has been active for too long; while it is suspended, and when it goes on, its time does not run."""
    spec, status = job["spec"], job.get("status") or {}
    seconds, started = spec.get("activeDeadlineSeconds"), status.get("startTime")
    if seconds is None or not started or spec.get("suspend") or holds(status, SUSPENDED):
        return None
    return datetime.fromisoformat(started) + timedelta(seconds=seconds)


def wanted(job: Mapping[str, Any], count: Tally) -> int:
    """Give how many pods should run at once; without a number of completions the first success ends the making of pods."""
    spec = job["spec"]
    completions, parallelism = spec.get("completions"), int(spec.get("parallelism", 1))
    if completions is None:
        return len(count.active) if count.all_succeeded else parallelism
    return max(0, min(parallelism, int(completions) - count.all_succeeded))


def next_pod_at(pods: Sequence[Stored]) -> datetime | None:
    """Give when the next pod may be made after pods have failed one after another; None: at once."""
    ends = sorted((at, each.manifest["status"]["phase"]) for each in pods if (at := _ended_at(each.manifest)) is not None)
    failures = 0
    for _, phase in reversed(ends):
        if phase != "Failed":
            break
        failures += 1
    if not failures:
        return None
    return ends[-1][0] + timedelta(seconds=min(_FIRST_WAIT * 2.0 ** min(failures - 1, 10), _LONGEST_WAIT))


def _ended_at(pod: Mapping[str, Any]) -> datetime | None:
    if not has_ended(pod):
        return None
    states = ((each.get("state") or {}).get("terminated") or {} for each in pod["status"].get("containerStatuses") or ())
    times = [each["finishedAt"] for each in states if each.get("finishedAt")]
    return datetime.fromisoformat(max(times) if times else pod["metadata"]["creationTimestamp"])


def reported(job: Mapping[str, Any], count: Tally, active: Sequence[Stored], now: datetime) -> Manifest:
    """Give the status with its counts; *active* are the pods after this look's work."""
    before = job.get("status") or {}
    status = {key: value for key, value in before.items() if key not in ("active", "succeeded", "failed")}
    if not status.get("startTime") and not job["spec"].get("suspend"):
        status["startTime"] = wire_time(now)
    counts = {"active": len(active), "succeeded": count.succeeded, "failed": count.failed}
    status |= {key: number for key, number in counts.items() if number}
    if count.done:
        status["completedIndexes"] = written(count.done)
    status |= {"ready": sum(is_ready(each.manifest) for each in active), "terminating": count.terminating}
    return status | {"uncountedTerminatedPods": {outcome: list(uids) for outcome, uids in count.noted.items() if uids}}


def said(status: Manifest, verdict: Verdict, now: datetime, *, true: bool = True) -> Manifest:
    """Give *status* with the condition of *verdict*, which keeps its times while it says the same."""
    word = "True" if true else "False"
    before = condition_of(status, verdict.type)
    if before is not None and before["status"] == word:
        return status
    moment = wire_time(now)
    told = {"type": verdict.type, "status": word, "lastProbeTime": moment, "lastTransitionTime": moment}
    told |= {"reason": verdict.reason, "message": verdict.message}
    return with_last(status, told)


def suspended(job: Mapping[str, Any], status: Manifest, now: datetime) -> Manifest:
    """Add to *status* that the Job was suspended, or goes on: its time begins anew."""
    known = holds(status, SUSPENDED)
    if job["spec"].get("suspend"):
        return said(status, Verdict(type=SUSPENDED, reason="JobSuspended", message="Job suspended"), now)
    if known:
        resumed = Verdict(type=SUSPENDED, reason="JobResumed", message="Job resumed")
        return said({**status, "startTime": wire_time(now)}, resumed, now, true=False)
    return status


def forgotten_at(job: Mapping[str, Any]) -> datetime | None:
    """Give when a finished Job is to be deleted (ttlSecondsAfterFinished)."""
    seconds, status = job["spec"].get("ttlSecondsAfterFinished"), job.get("status") or {}
    ended = condition_of(status, COMPLETE) or condition_of(status, FAILED)
    return None if seconds is None or ended is None else datetime.fromisoformat(ended["lastTransitionTime"]) + timedelta(seconds=seconds)
