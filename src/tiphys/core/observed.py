"""What is there to decide from?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tiphys.api.analysis import AnalysisRun
from tiphys.api.errors import SpecError
from tiphys.api.meta import wire_time
from tiphys.api.rollout import Rollout
from tiphys.api.status import AlbStatus
from tiphys.api.workloads import Pod, ReplicaSet, Service
from tiphys.core.intent import Routed


class Verification(StrEnum):
    """Whether the data plane does what the routes say."""

    YES = "yes"
    NOT_YET = "not yet"
    CANNOT_KNOW = "cannot know"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Which ReplicaSets carry the Rollout's pod template.

    *pod_hash* names a ReplicaSet that would be created now; *known* are all hash forms that mean the same template (reference
    lifecycle 3.4, 12.1: since 1.9, up to 1.8, the Deployment controller's); *equal* are the names of ReplicaSets whose stored
    template is equal after defaulting; *digest* is the digest of the template that our own ReplicaSets carry.
    *labels* are the template's labels.
    """

    pod_hash: str
    known: frozenset[str] = frozenset()
    equal: frozenset[str] = frozenset()
    digest: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPicture:
    """
    What the routers' pure functions made of the route objects.

    *routed* is nothing where the objects are missing or cannot be read. *detail* names the verifier and its last answer or error, in the
    product's words, *heard_at* says when that came, and *ask_at* when somebody is asked next. *reason* is that of the event that tells
    it, where the product has one. *balancers* are the load balancers that the answers named; nothing where nobody answered lately.
    """

    routed: Routed | None
    verified: Verification = Verification.CANNOT_KNOW
    detail: str = ""
    heard_at: datetime | None = None
    ask_at: datetime | None = None
    reason: str = ""
    balancers: tuple[AlbStatus, ...] | None = None

    @property
    def last_answer(self) -> str:
        """Give what was said last, and when."""
        said = self.detail or "no confirmation"
        return said if self.heard_at is None else f"{said} (at {wire_time(self.heard_at)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """
    What `workloadRef` refers to; the Rollout in the picture has its template.

    *replicas* is nothing where the kind has no pods of its own, *available* counts those that are; *scale_down* is `never`, `onsuccess`,
    `progressively` or empty.
    """

    kind: str
    name: str
    generation: int
    replicas: int | None = None
    available: int = 0
    resource_version: str = ""
    scale_down: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    One frozen picture of a Rollout and everything around it that a rule needs.

    *replica_sets* are those the Rollout owns. *services* holds the Services it names, as far as they exist. *endpoints* says
    per Service, per pod hash, how many ready and not terminating addresses its EndpointSlices list; a Service whose slices
    cannot be read is missing there. *router* is nothing where the spec names no router (also with `trafficRouting: {}`); of a blue-green
    Rollout it says, if that can be asked, whether the load balancer knows the pods of the active Service.
    *problems* are all errors of the spec and of the objects it refers to. *pods* are those of all its ReplicaSets where a rule needs
    them (a restart that is due), else nothing. *runs* are the AnalysisRuns that the Rollout owns. *workload* is what it takes its template
    from, if that is another object.
    """

    now: datetime
    rollout: Rollout
    identity: Identity
    steps_hash: str
    replica_sets: tuple[ReplicaSet, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    router: RouterPicture | None = None
    problems: tuple[SpecError, ...] = ()
    pods: tuple[Pod, ...] | None = None
    runs: tuple[AnalysisRun, ...] = ()
    workload: Workload | None = None
