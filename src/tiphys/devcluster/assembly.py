"""Which loops make a store a cluster?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tiphys.devcluster.autoscalers import Autoscalers
from tiphys.devcluster.deployments import Deployments
from tiphys.devcluster.disruption import DisruptionBudgets
from tiphys.devcluster.endpoints import EndpointSlices
from tiphys.devcluster.engine import Engine
from tiphys.devcluster.garbage import GarbageCollector
from tiphys.devcluster.history import Event
from tiphys.devcluster.jobs import Jobs
from tiphys.devcluster.kinds import (
    AUTOSCALERS,
    CRDS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
)
from tiphys.devcluster.namespaces import Namespaces
from tiphys.devcluster.podindex import PodIndex
from tiphys.devcluster.pods import Addresses, Kubelet
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.served import ServedKinds
from tiphys.devcluster.storage import Store
from tiphys.devcluster.workloads import ReplicaSets


@dataclass(frozen=True, slots=True)
class _Indexing:
    """Feeds the pod index before any loop hears of the pod."""

    index: PodIndex

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        del resource
        self.index.hear(event)
        return ()

    def sync(self, key: str, now: datetime) -> datetime | None:
        del key, now
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A store and the loops that give it life."""

    store: Store
    engine: Engine
    served: ServedKinds
    kubelet: Kubelet | None
    autoscalers: Autoscalers


def assemble(store: Store, *, addresses: Addresses | None, serve: bool) -> Assembly:
    """Build all loops around *store*; without *addresses* there is no kubelet, and pods stay pending."""
    engine = Engine(store)
    index = PodIndex()
    engine.listen(_Indexing(index), PODS)
    kubelet = None
    if addresses is not None:
        kubelet = Kubelet(store=store, addresses=addresses, serve=serve, mark=engine.mark)
        kubelet.announce_node()
        engine.listen(kubelet, PODS)
    engine.listen(ReplicaSets(store, index), REPLICA_SETS, PODS)
    engine.listen(Deployments(store, index), DEPLOYMENTS, REPLICA_SETS, PODS)
    engine.listen(Jobs(store, index), JOBS, PODS)
    autoscalers = Autoscalers(store, index)
    engine.listen(autoscalers, AUTOSCALERS)
    engine.listen(EndpointSlices(store, index), SERVICES, PODS, ENDPOINT_SLICES)
    engine.listen(DisruptionBudgets(store), POD_DISRUPTION_BUDGETS, PODS)
    served = ServedKinds(engine)
    served.look()
    served.tell(GarbageCollector(store, served.kinds))
    served.tell(Namespaces(store, served.kinds))
    return Assembly(store=store, engine=engine, served=served, kubelet=kubelet, autoscalers=autoscalers)


def install_definitions(store: Store, definitions: Iterable[Manifest]) -> None:
    """Install CustomResourceDefinitions; those that are there stay as they are."""
    for definition in definitions:
        if store.read(CRDS, definition["metadata"]["name"]) is None:
            store.create(CRDS, definition, manager="tiphys-devcluster")
