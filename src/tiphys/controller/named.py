"""Which other objects does a Rollout name, and so, whose changes concern it?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.rollout import Rollout
from tiphys.api.validation import named_services
from tiphys.api.words import GROUP
from tiphys.controller.cluster import ANALYSIS_RUN
from tiphys.controller.kinds import PLAIN_REPLICA_SET
from tiphys.core.runs import needs_runs
from tiphys.traffic.router import Ref, Router, Search, Searching

SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "Deployment": ("apps", "Deployment"),
    "ReplicaSet": ("apps", PLAIN_REPLICA_SET),
    "PodTemplate": ("", "PodTemplate"),
}
"""The kinds that a Rollout may take its template from, and by which group and kind the shell knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """
    The Services a Rollout names (without empty names, each once), its routers, the objects these read and what they look for.

    *analysed* tells that it rests on AnalysisRuns.
    """

    services: tuple[str, ...]
    routers: tuple[Router, ...]
    refs: tuple[Ref, ...]
    searches: tuple[Search, ...] = ()
    workload: Ref | None = None
    analysed: bool = False

    @property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """Groups and kinds that must be watched for the routers, for what the template comes from, and for analyses."""
        found = kinds_of((*self.refs, *((self.workload,) if self.workload is not None else ())), self.searches)
        return found | {(GROUP, ANALYSIS_RUN)} if self.analysed else found


@dataclass(slots=True)
class Naming:
    """
    Answers what a Rollout names, and remembers it per generation of the spec (and what else of its status that depends on).

    *routers_of* makes the routers of a Rollout (`tiphys.traffic.table`).
    """

    routers_of: Callable[[Rollout], Sequence[Router]]
    _known: dict[str, tuple[int, str, bool, Named]] = field(default_factory=dict)

    def of(self, rollout: Rollout) -> Named:
        """Give what *rollout* names."""
        uid, generation, stable = rollout.metadata.uid, rollout.metadata.generation, rollout.status.canary.stable_ping_pong
        analysed = needs_runs(rollout)
        known = self._known.get(uid)
        if known is not None and generation and known[:3] == (generation, stable, analysed):
            return known[3]
        routers = tuple(self.routers_of(rollout))
        named = Named(
            services=services_of(rollout),
            routers=routers,
            refs=refs_of(routers),
            searches=searches_of(routers),
            workload=workload_of(rollout),
            analysed=analysed,
        )
        self._known[uid] = (generation, stable, analysed, named)
        return named

    def or_nothing(self, rollout: Rollout) -> Named | None:
        """
        Give what *rollout* names, or nothing where a router cannot even be made of it.

        For the indexes: they run while a watch is read, and one poisoned object must not end it. The pass over that Rollout meets
        the same error and tells it.
        """
        try:
            return self.of(rollout)
        except Exception:  # noqa: BLE001 - see above
            return None

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a Rollout that is gone."""
        self._known.pop(uid, None)


def services_of(rollout: Rollout) -> tuple[str, ...]:
    """Give the Services that the strategy names, each once."""
    return tuple(dict.fromkeys(named_services(rollout).values()))


def refs_of(routers: Sequence[Router]) -> tuple[Ref, ...]:
    """Give the objects that *routers* read or make, each once."""
    return tuple(dict.fromkeys(ref for router in routers for ref in router.reads()))


def searches_of(routers: Sequence[Router]) -> tuple[Search, ...]:
    """Give what *routers* look for, each once."""
    return tuple(dict.fromkeys(search for router in routers if isinstance(router, Searching) for search in router.searches()))


def kinds_of(refs: Iterable[Ref], searches: Iterable[Search]) -> frozenset[tuple[str, str]]:
    """Give groups and kinds of what is read and what is looked for."""
    return frozenset((ref.group, ref.kind) for ref in refs) | {(search.group, search.kind) for search in searches}


def workload_of(rollout: Rollout) -> Ref | None:
    """Name the workload that *rollout* takes its template from; nothing where there is none, or of a kind that has no template."""
    reference = rollout.spec.workload_ref
    if reference is None or reference.kind not in SOURCES:
        return None
    group, kind = SOURCES[reference.kind]
    return Ref(group=group, kind=kind, namespace=rollout.metadata.namespace, name=reference.name)
