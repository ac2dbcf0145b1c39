"""In which states can the reference be stopped, and what is the one right thing to do next?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from inprocess import InProcessController
from routed_apps import Read
from scenarios import Story
from takeover.leaving import Labelled, Leaving

if TYPE_CHECKING:
    from tiphys.api.meta import Manifest

Writes = Mapping[str, Mapping[str, Any]]
"""What a first pass writes, by verb and object: every field by its path. Versions stand for hashes, seconds from now for times."""


DEADLINE_RUNS: Final = "ProgressDeadline is True, DeadlineRuns: times out at +600s unless the update moves"
"""The condition that only Tiphys writes (decision 0028)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """
    A state of one Rollout `web`.

    *leave* makes its objects. *first* is all that a first pass writes, and *verdict* what `tiphys adopt --check` calls that. *goes_on* is
    what people and pods do next; *end* is how it ends: phase, stable version, pods of each version.
    """

    leave: Callable[[Leaving], None]
    first: Writes = field(default_factory=dict)
    verdict: str = "nothing"
    goes_on: Callable[[Story], None] = Story.rest
    end: tuple[str, str, Mapping[str, int]]
    groups: tuple[str, ...] = ()
    """API groups of its router, beside Istio's."""
    carries: Callable[[Read], int] | None = None
    """Reads the canary's weight from the objects of its router, where that is not Istio."""


class Handed(Story):
    """A story that keeps what Tiphys would leave behind, were it stopped: whenever somebody has waited."""

    def __init__(self, *given: Any, **more: Any) -> None:  # noqa: ANN401 - see `Story`
        super().__init__(*given, **more)
        self.left: list[list[Manifest]] = []

    def rest(self) -> None:
        super().rest()
        self.left.append(self.small_dump())

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.left.append(self.small_dump())


def arrive(state: State, label: Labelled) -> Handed:
    """Give the cluster in which the reference was stopped, before the first pass of a controller of ours."""

    def leave(controller: InProcessController) -> None:
        state.leave(Leaving(controller, label))

    return Handed([], prepare=leave, groups=state.groups)


def promoted(story: Story) -> None:
    """A person promotes each pause, to the end."""
    for _ in range(6):
        story.rest()
        if story.phase != "Paused":
            return
        story.promote()
    story.rest()
