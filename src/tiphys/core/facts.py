"""What does a report start from?"""

from dataclasses import dataclass
from datetime import datetime

from tiphys.api import names
from tiphys.api.errors import SpecError
from tiphys.api.rollout import BlueGreenStrategy, Rollout
from tiphys.api.status import RolloutStatus
from tiphys.api.workloads import ReplicaSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    One pass as it was decided, for telling people about it.

    *rollout* is as observed, its status the stored one; *draft* is the new status without conditions, phase, message, duration and
    observedGeneration, which the report adds (and `abortedAt`, where it is missing). *new* carries the current template and has
    *revision* (0 if unknown). *routed* says that `trafficRouting` is present, *indefinite* that the current step has no deadline
    (pause, experiment, analysis). *abort_cause* is set when the controller itself aborts in this pass; *created* names the
    ReplicaSet made in this pass; *found* says that an existing one fits and nobody has said so yet. *completion* is the
    `completionStatus` of an attempt that ends, *attempt_started* says that one begins. *unverified* is the last answer of a verifier that
    has not confirmed what the routes say. *spare* is how many pods a restart may add to those wanted while it lasts, *ailing* names the
    first pod of the new version that says why it does not run.
    """

    now: datetime
    rollout: Rollout
    draft: RolloutStatus
    new: ReplicaSet | None
    revision: int
    replica_sets: tuple[ReplicaSet, ...]
    routed: bool
    indefinite: bool
    abort_cause: str = ""
    created: str = ""
    found: bool = False
    problems: tuple[SpecError, ...] = ()
    completion: str = ""
    attempt_started: bool = False
    unverified: str = ""
    spare: int = 0
    ailing: str = ""

    @property
    def stored(self) -> RolloutStatus:
        """The status before this pass."""
        return self.rollout.status

    @property
    def replicas(self) -> int:
        """The pods wanted."""
        replicas = self.rollout.spec.replicas
        return 1 if replicas is None else replicas

    @property
    def blue_green(self) -> BlueGreenStrategy | None:
        """The blue-green strategy, if that is the one."""
        return self.rollout.spec.strategy.blue_green

    @property
    def completed(self) -> bool:
        """Whether the current template is the stable one."""
        return bool(self.draft.stable_rs) and self.draft.stable_rs == self.draft.current_pod_hash

    @property
    def paused(self) -> bool:
        """Whether a person or the controller holds the Rollout."""
        return self.rollout.spec.paused or bool(self.draft.pause_conditions)

    @property
    def subject(self) -> tuple[str, str]:
        """Whom progress is told of, as kind and name: the new ReplicaSet, or without one the Rollout."""
        name = self.created or (self.new.metadata.name if self.new is not None else "")
        return ("ReplicaSet", name) if name else ("Rollout", self.rollout.metadata.name)

    @property
    def old_ones_wait(self) -> bool:
        """Whether a ReplicaSet that is neither new nor stable waits for its scale-down deadline."""
        new = self.new.metadata.name if self.new is not None else ""
        return any(
            names.SCALE_DOWN_DEADLINE in one.metadata.annotations
            and one.metadata.name != new
            and names.pod_hash(one.metadata.labels) != self.draft.stable_rs
            for one in self.replica_sets
        )
