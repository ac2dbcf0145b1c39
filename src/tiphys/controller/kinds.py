"""Which kinds does the controller know by heart, and which must it ask the server about?"""

from collections.abc import Iterable, Mapping
from typing import Final

from tiphys.api.words import GROUP, VERSION
from tiphys.controller.cluster import Kind
from tiphys.kube.errors import KubeError
from tiphys.kube.resources import Resource

ROLLOUTS: Final = Resource(GROUP, VERSION, "rollouts", "Rollout")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
SERVICES: Final = Resource("", "v1", "services", "Service")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

PLAIN_REPLICA_SET: Final = "PlainReplicaSet"
"""
How ReplicaSets without a hash label are called here, which are nobody's version.

They are watched by themselves, and only where a Rollout takes its template from one: a cluster has many of them.
"""

KNOWN: Final[Mapping[Kind, Resource]] = {
    **{(each.group, each.kind): each for each in (ROLLOUTS, REPLICA_SETS, SERVICES, ENDPOINT_SLICES)},
    ("apps", PLAIN_REPLICA_SET): REPLICA_SETS,
}


class UnservedError(KubeError):
    """An object of a kind that the server does not serve has to be written; its definition may be installed later."""

    def __init__(self, group: str, kind: str, version: str) -> None:
        where = f"{group}/{version}" if version else group
        super().__init__(f"the API server does not serve {kind} of {where}: install its definition, or choose the version that is served")


class Kinds:
    """
    The kinds in use, as the server serves them.

    Foreign kinds (route objects) are learned by discovery: which of their versions exists differs from cluster to cluster. *versions*
    names those that are used in one version only.
    """

    def __init__(self, versions: Mapping[Kind, str] | None = None) -> None:
        self._known: dict[Kind, Resource] = dict(KNOWN)
        self._versions = dict(versions or {})

    def choose(self, kind: Kind, served: Iterable[Resource]) -> Resource | None:
        """Find *kind* among *served*, the server's favourite first, in the version that is used."""
        wanted = self._versions.get(kind, "")
        found = (each for each in served if (each.group, each.kind) == kind)
        return next((each for each in found if wanted in {"", each.version}), None)

    def learn(self, resource: Resource) -> None:
        """Remember how a kind is served."""
        self._known[resource.group, resource.kind] = resource

    def get(self, kind: Kind) -> Resource | None:
        """Give a kind's resource if it is known."""
        return self._known.get(kind)

    def __getitem__(self, kind: Kind) -> Resource:
        """
        Give a kind's resource.

        Raises:
            UnservedError: the server does not serve it.

        """
        known = self._known.get(kind)
        if known is None:
            raise UnservedError(*kind, self._versions.get(kind, ""))
        return known
