"""Do the shares that a probe measured agree with the weights that the routes say?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tiphys.api.defaults import max_traffic_weight
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Probe
from tiphys.api.verificationvalidation import DEVIATIONS
from tiphys.core.observed import Observed, Verification
from tiphys.core.slots import Slots, find_slots
from tiphys.traffic.router import Confirmation, Question, Ref

VIA: Final = "probe"
LEFTOVERS: Final = 2
"""So many answers of a round may come from pods that should get nothing: requests that were on their way when the weight changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What the pods of one hash are to get: *weight* of *maximum*."""

    pod_hash: str
    weight: int
    maximum: int

    def problem(self, count: int, total: int, tolerance: int) -> str:
        """Say how *count* of *total* answers differs from this share; empty where it does not."""
        if self.weight == 0:
            fewest, most = 0, LEFTOVERS
        elif self.weight == self.maximum:
            fewest, most = total - LEFTOVERS, total
        else:
            part = self.weight / self.maximum
            width = DEVIATIONS * math.sqrt(total * part * (1 - part))
            fewest, most = math.ceil(total * part - width), math.floor(total * part + width)
        slack = total * tolerance / 100
        if fewest - slack <= count <= most + slack:
            return ""
        return f"{self.pod_hash} gave {count} of {total} answers, and {max(0, fewest)} to {min(total, most)} are wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareProbe:
    """
    Verifies by asking a URL many times which pods answer.

    *shares* are what the routes say now; without any of them *why* says what keeps anybody from knowing.
    """

    probe: Probe
    shares: tuple[Share, ...] = ()
    why: str = ""

    def questions(self, found: Mapping[Ref, Manifest]) -> Sequence[Question]:
        """Give the one question: how many answers does each hash give? Rollouts with the same probe share its answer."""
        del found
        if not self.shares:
            return ()
        request = {
            "url": self.probe.url,
            "method": self.probe.method or "GET",
            "headers": dict(sorted(self.probe.headers.items())),
            "hashHeader": self.probe.hash_header,
            "hashField": self.probe.hash_field,
            "requests": self.probe.requests,
        }
        return [Question(key=msgspec.json.encode(request, order="sorted").decode(), via=VIA, request=request)]

    def confirmed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest]) -> Confirmation:
        """Compare what was counted with the shares."""
        if not self.shares:
            return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"probe of {self.probe.url}: {self.why}")
        (question,) = self.questions(found)
        problems = _problems(self.shares, answers[question.key], self.probe.tolerance)
        detail = f"probe of {self.probe.url}: "
        if problems:
            return Confirmation(verified=Verification.NOT_YET, detail=detail + "; ".join(problems))
        return Confirmation(verified=Verification.YES, detail=detail + "the measured shares are those of the routes")


def share_probe(seen: Observed) -> ShareProbe | None:
    """Give the probe that the Rollout names, with the shares that its routes say now."""
    canary = seen.rollout.spec.strategy.canary
    routing = None if canary is None else canary.traffic_routing
    if canary is None or routing is None or routing.verification is None or routing.verification.probe is None:
        return None
    probe, slots = routing.verification.probe, find_slots(seen, canary)
    if seen.rollout.spec.replicas == 0:
        return ShareProbe(probe=probe, why="no pods are wanted")
    if slots is None or not slots.routed.uniform:
        return ShareProbe(probe=probe, why="the routes do not tell one share")
    shares = _shares(slots, max_traffic_weight(canary))
    return ShareProbe(probe=probe, shares=shares, why="" if shares else "what stands behind the routes is not told apart by pod hash")


def _shares(slots: Slots, maximum: int) -> tuple[Share, ...]:
    """Add up the weights by pod hash; nothing where one that carries something names no hash."""
    weights: dict[str, int] = {}
    for pod_hash, weight in (
        (slots.stable.holds, slots.stable.carries),
        (slots.canary.holds, slots.canary.carries),
        *((backend.pod_hash, backend.weight) for backend in slots.routed.experiments),
    ):
        if pod_hash:
            weights[pod_hash] = weights.get(pod_hash, 0) + weight
        elif weight:
            return ()
    return tuple(Share(pod_hash=pod_hash, weight=weight, maximum=maximum) for pod_hash, weight in sorted(weights.items()))


def _problems(shares: Sequence[Share], answer: Manifest, tolerance: int) -> list[str]:
    counts: Mapping[str, int] = answer["counts"]
    total: int = answer["requests"]
    problems = []
    if answer["failed"] > LEFTOVERS:
        problems.append(f"{answer['failed']} of {total} requests got no answer ({answer['error']})")
    if answer["unnamed"] > LEFTOVERS:
        problems.append(f"{answer['unnamed']} of {total} answers told no pod hash")
    known = {share.pod_hash for share in shares}
    strangers = {pod_hash: count for pod_hash, count in counts.items() if pod_hash not in known}
    if sum(strangers.values()) > LEFTOVERS:
        told = ", ".join(f"{pod_hash} {count}" for pod_hash, count in sorted(strangers.items()))
        problems.append(f"of {total} answers some came from pods that get nothing here: {told}")
    if problems:
        return problems
    counted = sum(counts.values())
    return [problem for share in shares if (problem := share.problem(counts.get(share.pod_hash, 0), counted, tolerance))]
