"""Which addresses stand behind a Service, and in which state?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from tiphys.devcluster.history import Event, Stored
from tiphys.devcluster.kinds import ENDPOINT_SLICES, PODS, SERVICES
from tiphys.devcluster.podindex import Key, PodIndex, has_ended, is_leaving, is_ready, labels_of, telling_pair
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.storage import Store

MANAGER = "kube-controller-manager"
SLICE_SIZE = 100
"""Endpoints in one slice, as in a real cluster: a big Service has several slices."""

SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
Ports = tuple[tuple[str, int, str], ...]
"""Name, number and protocol of each port, the same for all endpoints of a slice."""


class EndpointSlices:
    """The EndpointSlice controller."""

    def __init__(self, store: Store, pods: PodIndex) -> None:
        self._store = store
        self._pods = pods
        self._filed: dict[tuple[str, str, str], set[Key]] = defaultdict(set)
        self._selectors: dict[Key, tuple[str, str]] = {}
        self._seen: dict[Key, dict[str, str]] = {}
        self._slices: dict[Key, dict[str, Stored]] = defaultdict(dict)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """A Service, those that a pod's labels mean or meant, or the one that a slice belongs to."""
        stored = event.stored
        if resource is PODS:
            return self._services_of(stored, gone=event.type == "DELETED")
        if resource is SERVICES:
            return self._file(stored, gone=event.type == "DELETED")
        labels = labels_of(stored.manifest)
        if labels.get(_MANAGED_BY) != _CONTROLLER or SERVICE_NAME not in labels:
            return ()
        key = (stored.namespace, labels[SERVICE_NAME])
        if event.type == "DELETED":
            self._slices[key].pop(stored.name, None)
        else:
            self._slices[key][stored.name] = stored
        return (key,)

    def _services_of(self, pod: Stored, *, gone: bool) -> set[Key]:
        key = (pod.namespace, pod.name)
        labels = dict(labels_of(pod.manifest))
        before = self._seen.pop(key, {})
        if not gone:
            self._seen[key] = labels
        found: set[Key] = set()
        for pair in {*labels.items(), *before.items()}:
            found |= self._filed.get((pod.namespace, *pair), set())
        return found

    def _file(self, service: Stored, *, gone: bool) -> tuple[Key]:
        key = (service.namespace, service.name)
        filed = self._selectors.pop(key, None)
        if filed is not None:
            self._filed[service.namespace, *filed].discard(key)
        selector = (service.manifest.get("spec") or {}).get("selector")
        if selector and not gone:
            pair = self._selectors[key] = telling_pair(selector)
            self._filed[service.namespace, *pair].add(key)
        return (key,)

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Write the slices of one Service as its pods are now; slices that stay the same are not written."""
        del now
        service = self._store.read(SERVICES, key[1], key[0])
        slices = self._slices.get(key, {})
        spec = service.manifest.get("spec") or {} if service is not None else {}
        if service is None or is_leaving(service.manifest) or not spec.get("selector") or spec.get("type") == "ExternalName":
            if service is None:
                for name in list(slices):
                    self._delete(key[0], name)
            return None
        wanted: dict[Ports, dict[str, Manifest]] = defaultdict(dict)
        for pod in self._pods.selected(key[0], spec["selector"]):
            if (pod.manifest.get("status") or {}).get("podIP") and not has_ended(pod.manifest):
                ports = tuple(_ports(spec, pod.manifest))
                wanted[ports][pod.manifest["metadata"]["uid"]] = _endpoint(pod, publish=bool(spec.get("publishNotReadyAddresses")))
        if not wanted:
            wanted[tuple(_ports(spec, {}))] = {}
        self._write(service, wanted, slices)
        return None

    def _write(self, service: Stored, wanted: dict[Ports, dict[str, Manifest]], slices: dict[str, Stored]) -> None:
        """Keep endpoints in the slice they are in, fill slices up, then begin new ones; empty ones go."""
        left = {ports: dict(endpoints) for ports, endpoints in wanted.items()}
        layout: dict[str, tuple[Ports, list[Manifest]]] = {}
        for name, stored in sorted(slices.items()):
            ports = _ports_of(stored.manifest)
            unplaced = left.get(ports, {})
            uids = [each.get("targetRef", {}).get("uid") for each in stored.manifest.get("endpoints") or ()]
            layout[name] = (ports, [unplaced.pop(uid) for uid in uids if uid in unplaced])
        unused = []
        for name, (ports, endpoints) in layout.items():
            unplaced = left.get(ports, {})
            for uid in list(unplaced)[: SLICE_SIZE - len(endpoints)]:
                endpoints.append(unplaced.pop(uid))
            keep = bool(endpoints) or (ports in wanted and not wanted[ports] and name == min(layout))
            if not keep:
                unused.append(name)
            elif endpoints != list(slices[name].manifest.get("endpoints") or ()):
                changed = slices[name].copy()
                changed["endpoints"] = endpoints
                changed["metadata"].pop("resourceVersion", None)
                self._store.update(ENDPOINT_SLICES, changed, manager=MANAGER)
        for ports, unplaced in left.items():
            rest = list(unplaced.values())
            if not rest and not wanted[ports] and not any(ports == there for there, _ in layout.values()):
                self._create(service, ports, [])
            for start in range(0, len(rest), SLICE_SIZE):
                self._create(service, ports, rest[start : start + SLICE_SIZE])
        for name in unused:
            self._delete(service.namespace, name)

    def _create(self, service: Stored, ports: Ports, endpoints: list[Manifest]) -> None:
        metadata = service.manifest["metadata"]
        owner = {"apiVersion": "v1", "kind": "Service", "name": service.name, "uid": metadata["uid"]}
        inherited = {key: value for key, value in labels_of(service.manifest).items() if not key.startswith("endpointslice.kubernetes.io/")}
        manifest: Manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{service.name}-",
                "namespace": service.namespace,
                "labels": {**inherited, _MANAGED_BY: _CONTROLLER, SERVICE_NAME: service.name},
                "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": name, "port": number, "protocol": protocol} for name, number, protocol in ports],
        }
        self._store.create(ENDPOINT_SLICES, manifest, manager=MANAGER)

    def _delete(self, namespace: str, name: str) -> None:
        if self._store.read(ENDPOINT_SLICES, name, namespace) is not None:
            self._store.delete(ENDPOINT_SLICES, name, namespace=namespace)


def _endpoint(pod: Stored, *, publish: bool) -> Manifest:
    manifest = pod.manifest
    ready, leaving = is_ready(manifest), is_leaving(manifest)
    endpoint: Manifest = {
        "addresses": [manifest["status"]["podIP"]],
        "conditions": {"ready": publish or (ready and not leaving), "serving": publish or ready, "terminating": leaving},
    }
    if node := (manifest.get("spec") or {}).get("nodeName"):
        endpoint["nodeName"] = node
    reference = {"kind": "Pod", "name": pod.name, "namespace": pod.namespace, "uid": manifest["metadata"]["uid"]}
    return endpoint | {"targetRef": reference}


def _ports(spec: Manifest, pod: Manifest) -> Iterator[tuple[str, int, str]]:
    """Give the Service's ports as *pod* serves them; a name that the pod does not know is left out."""
    for port in spec.get("ports") or ():
        target: Any = port.get("targetPort") or port["port"]
        protocol = port.get("protocol") or "TCP"
        if isinstance(target, str) and not target.isdigit():
            containers = (pod.get("spec") or {}).get("containers") or ()
            named = (each for container in containers for each in container.get("ports") or ())
            target = next(
                (each["containerPort"] for each in named if each.get("name") == target and (each.get("protocol") or "TCP") == protocol),
                None,
            )
        if target is not None:
            yield (port.get("name") or "", int(target), protocol)


def _ports_of(endpoint_slice: Manifest) -> Ports:
    return tuple((each.get("name") or "", int(each["port"]), each.get("protocol") or "TCP") for each in endpoint_slice.get("ports") or ())
