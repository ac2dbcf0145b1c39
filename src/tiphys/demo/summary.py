"""What came of it, and did it take place as told?"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from tiphys.demo.measure import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCount:
    """What one pod says it served (without mirrored copies)."""

    name: str
    hash: str
    served: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One run: the client's counts, the proxy's, the pods', and the shares in between."""

    scenario: str
    seconds: float
    requests: int
    failed: int
    steps: tuple[Share, ...]
    proxy_requests: int
    proxy_failed: int
    pods: tuple[PodCount, ...]
    phase: str
    message: str
    stable: str
    happened: tuple[str, ...]
    failures: tuple[str, ...] = ()
    broken: tuple[str, ...] = field(default=())
    """What the scenario promised and did not keep, in words."""

    def problems(self) -> list[str]:
        """Name everything that makes this run a failure."""
        found = list(self.broken)
        if self.failed:
            kinds = ", ".join(f"{count} x {text}" for text, count in Counter(self.failures).most_common(3))
            found.append(f"{self.failed} of {self.requests} requests failed: {kinds}")
        if self.proxy_failed:
            found.append(f"Envoy counted {self.proxy_failed} failed requests")
        found += [
            f"step {share.index}: {share.measured:.1f} % measured where {share.wanted} % was wanted (± {share.allowed:.1f})"
            for share in self.steps
            if not share.within_bounds
        ]
        served = sum(pod.served for pod in self.pods)
        if not self.requests == self.proxy_requests == served:
            found.append(f"the counts differ: client {self.requests}, Envoy {self.proxy_requests}, pods {served}")
        return found

    def as_json(self) -> str:
        """Give one object on one line, for programs."""
        return json.dumps(
            {
                "scenario": self.scenario,
                "seconds": round(self.seconds, 1),
                "requests": self.requests,
                "failed": self.failed,
                "steps": [
                    {
                        "index": share.index,
                        "wanted": share.wanted,
                        "measured": round(share.measured, 2),
                        "requests": share.requests,
                    }
                    for share in self.steps
                ],
                "proxy": {"requests": self.proxy_requests, "failed": self.proxy_failed},
                "pods": [asdict(pod) for pod in self.pods],
                "rollout": {"phase": self.phase, "message": self.message, "stable": self.stable},
                "happened": list(self.happened),
            }
        )
