"""Which kinds does the controller know by heart, and which must it ask the server about?"""

from typing import Final

from tiphys.api.words import GROUP, VERSION
from tiphys.controller.cluster import Kind
from tiphys.kube.resources import Resource

ROLLOUTS: Final = Resource(GROUP, VERSION, "rollouts", "Rollout")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
SERVICES: Final = Resource("", "v1", "services", "Service")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

KNOWN: Final = {(each.group, each.kind): each for each in (ROLLOUTS, REPLICA_SETS, SERVICES, ENDPOINT_SLICES)}


class Kinds:
    """
    The kinds in use, as the server serves them.

    Foreign kinds (route objects) are learned by discovery: which of their versions exists differs from cluster to cluster.
    """

    def __init__(self) -> None:
        self._known: dict[Kind, Resource] = dict(KNOWN)

    def learn(self, resource: Resource) -> None:
        """Remember how a kind is served."""
        self._known[resource.group, resource.kind] = resource

    def get(self, kind: Kind) -> Resource | None:
        """Give a kind's resource if it is known."""
        return self._known.get(kind)

    def __getitem__(self, kind: Kind) -> Resource:
        return self._known[kind]
