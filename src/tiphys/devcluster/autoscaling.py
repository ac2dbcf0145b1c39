"""How many pods does a load ask for? (pure; autoscaling/v2, the utilisation of requested CPU)"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tiphys.devcluster import quantities

TOLERANCE = Fraction(1, 10)
"""A load this near to its target changes nothing."""

DEFAULT_TARGET = 80
_LEAST_LIMIT, _DOUBLE = 4, 2
"""One look may go up to four pods, or to twice as many as there are."""


class NoMetricError(Exception):
    """The load cannot be told; *reason* is the condition's."""

    reason = "FailedGetResourceMetric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One pod: what it asks for and what it uses, in thousandths of a core; *used* is None where nobody knows."""

    requested: int
    used: int | None
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How many pods the load asks for, and the load itself: percent of what is requested, and thousandths of a core for each pod."""

    replicas: int
    utilization: int
    average: int


def target_of(spec: Mapping[str, Any]) -> int | None:
    """Give the wanted utilisation of CPU in percent; None where the autoscaler goes by other metrics."""
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            target = (resource.get("target") or {}).get("averageUtilization")
            return int(target) if target is not None else None
    return None


def requested_by(pod: Mapping[str, Any]) -> int:
    """
    Give what a pod's containers request, in thousandths of a core.

    Raises: NoMetricError, one of them requests none.
    """
    total = 0
    for container in pod["spec"].get("containers") or ():
        asked = ((container.get("resources") or {}).get("requests") or {}).get("cpu")
        amount = quantities.parsed(str(asked)) if asked is not None else None
        if amount is None:
            raise NoMetricError(f"missing request for cpu in container {container.get('name')} of Pod {pod['metadata']['name']}")
        total += math.ceil(amount * 1000)
    return total


def propose(samples: Sequence[Sample], current: int, target: int) -> Proposal:
    """
    Give the size at which pods are as busy as *target* percent, now that there are *current*.

    Before pods are added, those that are not ready or that nobody measured count as idle; before pods are taken away, those that nobody
    measured count as fully busy.

    Raises: NoMetricError, no ready pod was measured.
    """
    measured = [each for each in samples if each.ready and each.used is not None]
    missing = [each for each in samples if each.ready and each.used is None]
    unready = [each for each in samples if not each.ready]
    if not measured:
        raise NoMetricError("did not receive metrics for targeted pods (pods might be unready)")
    used, requested = sum(each.used or 0 for each in measured), sum(each.requested for each in measured)
    utilization = used * 100 // requested if requested else 0
    average = used // len(measured)
    ratio = Fraction(utilization, target)
    idle = unready if ratio > 1 else []
    if not idle and not missing:
        replicas = current if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * len(measured))
        return Proposal(replicas=replicas, utilization=utilization, average=average)
    if ratio < 1:
        used += sum(each.requested * max(100, target) // 100 for each in missing)
    requested += sum(each.requested for each in (*missing, *idle))
    again = Fraction(used * 100 // requested if requested else 0, target)
    replicas = math.ceil(again * (len(measured) + len(missing) + len(idle)))
    turned = (ratio < 1 < again) or (again < 1 < ratio) or (again < 1 and replicas > current) or (again > 1 and replicas < current)
    if abs(again - 1) <= TOLERANCE or turned:
        replicas = current
    return Proposal(replicas=replicas, utilization=utilization, average=average)


def limited(wanted: int, current: int, spec: Mapping[str, Any]) -> tuple[int, str, str]:
    """Give *wanted* within what may be, and why it is not what was wanted: reason and message of the condition ScalingLimited."""
    least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
    step = max(_DOUBLE * current, _LEAST_LIMIT)
    if wanted > min(step, most):
        if step < most:
            return step, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
        return most, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
    if wanted < least:
        return least, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
    return wanted, "DesiredWithinRange", "the desired count is within the acceptable range"


def patience(spec: Mapping[str, Any]) -> int:
    """Give how many seconds fewer pods have to be enough before they are taken away."""
    seconds = ((spec.get("behavior") or {}).get("scaleDown") or {}).get("stabilizationWindowSeconds")
    return 300 if seconds is None else int(seconds)
