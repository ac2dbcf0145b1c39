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
class EntryCount:
    """What the client says of the requests that it sent to one router's entry."""

    router: str
    host: str
    requests: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCount:
    """What one proxy says of the requests that came in; several routers may share it."""

    name: str
    routers: tuple[str, ...]
    requests: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One run: the client's counts, the proxies', the pods', and the shares in between."""

    scenario: str
    seconds: float
    entries: tuple[EntryCount, ...]
    steps: tuple[Share, ...]
    proxies: tuple[ProxyCount, ...]
    pods: tuple[PodCount, ...]
    phase: str
    message: str
    stable: str
    happened: tuple[str, ...]
    failures: tuple[str, ...] = ()
    broken: tuple[str, ...] = field(default=())
    """What the scenario promised and did not keep, in words."""

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(entry.requests for entry in self.entries)

    @property
    def failed(self) -> int:
        """How many of them got no good answer."""
        return sum(entry.failed for entry in self.entries)

    @property
    def served(self) -> int:
        """How many requests the pods say they have served."""
        return sum(pod.served for pod in self.pods)

    def problems(self) -> list[str]:
        """Name everything that makes this run a failure."""
        found = list(self.broken)
        if self.failed:
            kinds = ", ".join(f"{count} x {text}" for text, count in Counter(self.failures).most_common(3))
            found.append(f"{self.failed} of {self.requests} requests failed: {kinds}")
        found += [f"{proxy.name} counted {proxy.failed} failed requests" for proxy in self.proxies if proxy.failed]
        found += [
            f"step {share.index} behind {share.router}: {share.measured:.1f} % measured where {share.wanted} % was wanted "
            f"(± {share.allowed:.1f})"
            for share in self.steps
            if not share.within_bounds
        ]
        for proxy in self.proxies:
            sent = sum(entry.requests for entry in self.entries if entry.router in proxy.routers)
            if sent != proxy.requests:
                found.append(f"the counts differ: client {sent}, {proxy.name} of {', '.join(proxy.routers)} {proxy.requests}")
        if self.requests != self.served:
            found.append(f"the counts differ: client {self.requests}, pods {self.served}")
        return found

    def as_json(self) -> str:
        """Give one object on one line, for programs."""
        return json.dumps(
            {
                "scenario": self.scenario,
                "routers": [entry.router for entry in self.entries],
                "seconds": round(self.seconds, 1),
                "requests": self.requests,
                "failed": self.failed,
                "steps": [
                    {
                        "index": share.index,
                        "wanted": share.wanted,
                        "measured": round(share.measured, 2),
                        "requests": share.requests,
                        "router": share.router,
                        "allowed": round(share.allowed, 2),
                        "exact": share.slack is not None,
                    }
                    for share in self.steps
                ],
                "entries": [asdict(entry) for entry in self.entries],
                "proxy": {
                    "requests": sum(proxy.requests for proxy in self.proxies),
                    "failed": sum(proxy.failed for proxy in self.proxies),
                },
                "proxies": [asdict(proxy) for proxy in self.proxies],
                "pods": [asdict(pod) for pod in self.pods],
                "rollout": {"phase": self.phase, "message": self.message, "stable": self.stable},
                "happened": list(self.happened),
            }
        )
