"""By what are the objects of the caches found, and whose business are they?"""

from collections.abc import Callable, Iterable
from typing import Final

from tiphys.api import names
from tiphys.api.analysis import AnalysisRun
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import EndpointSlice, ReplicaSet, Service
from tiphys.controller.cluster import ROLLOUT, Kind
from tiphys.kube.store import Key
from tiphys.traffic.router import Ref
from tiphys.traffic.table import MARKS, MENTIONS

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"


def owner_uid(found: ReplicaSet | AnalysisRun) -> Iterable[str]:
    """Give the uid of an object's controller, if it has one."""
    controller = found.metadata.controller
    return () if controller is None else (controller.uid,)


def stray_in(found: ReplicaSet) -> Iterable[str]:
    """Give the namespace of a ReplicaSet with a hash label and without a controller."""
    bare = found.metadata.controller is None and names.pod_hash(found.metadata.labels) and found.metadata.deletion_timestamp is None
    return (found.metadata.namespace,) if bare else ()


def manifest_owner(found: Manifest) -> Iterable[str]:
    """Give the uid of an object's controller, if it has one."""
    owners = found["metadata"].get("ownerReferences") or ()
    return [owner.get("uid", "") for owner in owners if owner.get("controller")]


def mentions_of(kind: Kind) -> Callable[[Manifest], Iterable[tuple[str, str]]]:
    """Give what tells the names, with their namespaces, that an object of *kind* mentions."""
    mentioned = MENTIONS.get(kind)

    def places(found: Manifest) -> Iterable[tuple[str, str]]:
        space = found["metadata"].get("namespace", "")
        return () if mentioned is None else {each if isinstance(each, tuple) else (space, each) for each in mentioned(found)}

    return places


def marks_of(kind: Kind) -> Callable[[Manifest], Iterable[Key]]:
    """Give what tells the Rollouts whose marks an object of *kind* carries."""
    marked = MARKS.get(kind)

    def rollouts(found: Manifest) -> Iterable[Key]:
        space = found["metadata"].get("namespace", "")
        return () if marked is None else [Key(space, name) for name in marked.marked_for(found)]

    return rollouts


def ref_to(group: str, kind: str, found: Manifest) -> Ref:
    """Name an object of a kind."""
    return Ref(group=group, kind=kind, namespace=found["metadata"].get("namespace", ""), name=found["metadata"]["name"])


def owner_key(found: ReplicaSet) -> Key | None:
    """Name the Rollout that is a ReplicaSet's controller, if one is."""
    controller = found.metadata.controller
    if controller is None or controller.kind != ROLLOUT:
        return None
    return Key(found.metadata.namespace, controller.name)


def managers_of(service: Service) -> Iterable[Key]:
    """Name the Rollout that a Service's annotation names, whether that exists or not."""
    name = service.metadata.annotations.get(names.MANAGED_BY)
    return (Key(service.metadata.namespace, name),) if name else ()


def version_in(found: ReplicaSet) -> Iterable[str]:
    """Give the namespace of a ReplicaSet with a hash label."""
    return (found.metadata.namespace,) if names.pod_hash(found.metadata.labels) else ()


def namespace_of(rollout: Rollout) -> Iterable[str]:
    """Give a Rollout's namespace."""
    return (rollout.metadata.namespace,)


def uid_of(rollout: Rollout) -> Iterable[str]:
    """Give a Rollout's uid."""
    return (rollout.metadata.uid,)


def sliced_service(found: EndpointSlice) -> Iterable[tuple[str, str]]:
    """Give the Service (with its namespace) whose endpoints a slice lists."""
    service = found.metadata.labels.get(SERVICE_NAME_LABEL)
    return () if service is None else ((found.metadata.namespace, service),)
