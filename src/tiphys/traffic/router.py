"""What does every router promise?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.status import AlbStatus
from tiphys.core.actions import Event
from tiphys.core.intent import Feature, Routed, TrafficIntent
from tiphys.core.observed import Verification


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ref:
    """One object in the cluster."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """
    What a router's objects should become.

    *apply* holds whole objects: found ones with the change made in a copy, or new ones. *absent* names objects that must not
    exist. *warnings* are things a person should know, told as Warning events once (for example a route that stood there
    under a managed name before we ever wrote it, S6). *errors* are about objects of the router that could not be rendered: the
    others are written all the same, because a way back must not wait for an object that is gone. *event* is told once if anything was
    written, beside the one that tells of the weights.
    """

    apply: Mapping[Ref, Manifest] = field(default_factory=dict)
    absent: frozenset[Ref] = frozenset()
    warnings: tuple[str, ...] = ()
    errors: tuple[SpecError, ...] = ()
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Search:
    """
    All objects of a kind that mention *name* in *namespace*, which is their own unless they say otherwise.

    What an object of the kind mentions is told by the table (`tiphys.traffic.table.MENTIONS`), once for all Rollouts, so that the
    shell finds them by an index.
    """

    group: str
    kind: str
    namespace: str
    name: str


class Marked(Protocol):
    """How objects of a kind, which are the user's, say which Rollouts have put something into them, and what they are without."""

    def marked_for(self, found: Manifest) -> Collection[str]:
        """Name the Rollouts whose mark *found* carries; nobody where that cannot be read."""

    def selections(self, found: Manifest) -> Sequence[Mapping[str, str]]:
        """Give the labels, the hash among them, by which *found* selects pods."""

    def released(self, found: Manifest, rollout: str, kept: Collection[str]) -> Manifest:
        """Give *found* without the mark of *rollout* and what that stands for, but for the hashes of *kept*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One thing to ask a product about what it really does.

    *via* names who can ask it (an API of the product, a probe), *request* holds what that one needs to know, and *key* identifies
    the question among all others, so that an answer can serve several Rollouts. *trouble* is the reason of the event that tells that
    nobody could answer, where the product has one of its own.
    """

    key: str
    via: str
    request: Mapping[str, Any]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """
    What the answers amount to, and the product's own words.

    *reason* is that of the event by which it is told, where the product has one of its own. *balancers* are the load balancers that the
    answers named, for the status; nothing where they are not known now.
    """

    verified: Verification
    detail: str = ""
    reason: str = ""
    balancers: tuple[AlbStatus, ...] | None = ()


class Router(Protocol):
    """
    One product, spoken to through its Kubernetes objects.

    Pure: no weights are added up here, nobody is talked to, nothing is logged. *found* holds the objects of `reads()` that exist, as
    plain JSON, and beside them all others of these kinds that the Rollout owns, for those that an earlier spec asked for, and what
    its searches (see `Searching`) found; it is never changed in place. What a product cannot do is missing from `supports`.
    """

    @property
    def name(self) -> str:
        """Name the product, for messages."""

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what the product can do."""

    def reads(self) -> Sequence[Ref]:
        """Name the objects needed, and those that the router makes; of the latter one that refers to another comes first: so they go."""

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the objects."""

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """
        Read what the objects say now, or nothing where that cannot be told.

        Where only some of several objects can be read, those speak, and are not uniform.
        """

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the objects that say *wish*.

        Raises:
            SpecError: no object can be rendered; where only some cannot, `Rendered.errors` says why.

        """


@runtime_checkable
class Reporting(Protocol):
    """A router whose objects tell by themselves, in their status, what the product makes of them: nobody has to be asked."""

    def reported(self, found: Mapping[Ref, Manifest]) -> Confirmation:
        """Say whether the product has taken the objects as they are now; *found* as for the router."""


@runtime_checkable
class Asking(Protocol):
    """A router whose product can be asked, beside its objects, what it really does."""

    def questions(self, found: Mapping[Ref, Manifest]) -> Sequence[Question]:
        """Name what must be asked to verify what the objects say now; nothing where nothing has to be verified."""

    def confirmed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest]) -> Confirmation:
        """Judge the *answers*, by question key: there is one for every question about *found*."""


@runtime_checkable
class Placing(Protocol):
    """A router that asks, and that can tell from the answers which pods its product knows."""

    def placed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest], serving: Mapping[str, frozenset[str]]) -> Confirmation:
        """Judge the *answers* as `Asking.confirmed` does: *serving* are the ready addresses of each Service that the Rollout names."""


@runtime_checkable
class Distant(Protocol):
    """A router in another process: what is known of it is what it said last."""

    def silence(self, found: Mapping[Ref, Manifest]) -> str:
        """
        Say why what is known may be old; nothing while the router answers.

        Raises:
            SpecError: nothing can be read at all; `problems` says the same.

        """


@runtime_checkable
class Searching(Protocol):
    """A router that also needs objects whose names the Rollout does not tell: those that mention one of its own."""

    def searches(self) -> Sequence[Search]:
        """Name what to look for; the kinds may be among those of `reads`, too."""


@runtime_checkable
class Making(Protocol):
    """A router that makes objects whose names `reads` cannot tell, because they are named after what it finds."""

    def makes(self, found: Mapping[Ref, Manifest]) -> Sequence[Ref]:
        """Name these objects: so the router gets to see, and claims, what stands under their names."""
