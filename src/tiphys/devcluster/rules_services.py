"""Which addresses does a Service get, and what is refused about Services and their endpoints?"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause
from tiphys.devcluster.metadata import label_causes, name_problems, quoted
from tiphys.devcluster.pod_shapes import CONDITIONS, METADATA
from tiphys.devcluster.rules import Admission, Manifest, Rules
from tiphys.devcluster.shapes import ANY, OBJECT, TEXT_LIST, TEXT_MAP, always, atomic, keyed, listed, struct

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUIRED = "FieldValueRequired"
_NODE_PORTS = range(30000, 32768)
_PORT = struct("ServicePort", "name:s protocol:s appProtocol:s port:i targetPort nodePort:i")


class ServiceRules(Rules):
    """The admission of Services."""

    status_apart = True
    counts_generations = False
    answers_deleted = True
    name_format = "service"
    shape = struct(
        "Service",
        "",
        metadata=METADATA,
        spec=always(
            struct(
                "ServiceSpec",
                "clusterIP:s type:s externalIPs sessionAffinity:s loadBalancerIP:s loadBalancerSourceRanges externalName:s "
                "externalTrafficPolicy:s healthCheckNodePort:i publishNotReadyAddresses:b sessionAffinityConfig ipFamilyPolicy:s "
                "allocateLoadBalancerNodePorts:b loadBalancerClass:s internalTrafficPolicy:s topologyKeys trafficDistribution:s",
                ports=keyed(_PORT, "port", "protocol", protocol="TCP"),
                selector=atomic(TEXT_MAP),
                clusterIPs=TEXT_LIST,
                ipFamilies=TEXT_LIST,
            )
        ),
        status=always(struct("ServiceStatus", "", conditions=CONDITIONS, loadBalancer=always(ANY))),
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in what does not need an address."""
        decode(manifest, self.shape, write)
        spec = manifest.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if not spec.get("selector"):
            spec.pop("selector", None)
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Give a cluster IP and node ports to who needs them."""
        spec = manifest["spec"]
        manifest.setdefault("status", {}).setdefault("loadBalancer", {})
        if spec["type"] == "ExternalName":
            spec.pop("clusterIPs", None)
            spec.pop("clusterIP", None)
            return
        if write.old is None or write.old["spec"].get("type") == "ExternalName":
            if not spec.get("clusterIP"):
                spec["clusterIP"] = self._free_address(write)
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif spec.get("clusterIP") and spec["clusterIP"] != write.old["spec"].get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif not spec.get("clusterIP"):
            spec.pop("clusterIPs", None)
        if spec["type"] in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = self._free_node_port(write)

    @staticmethod
    def _free_address(write: Admission) -> str:
        taken = {stored.manifest["spec"].get("clusterIP") for stored in write.cluster.scan(write.resource)}
        addresses = ipaddress.ip_network(write.service_network)
        size = addresses.num_addresses - 2
        start = write.names.below(size)
        for step in range(size):
            address = str(addresses[1 + (start + step) % size])
            if address not in taken:
                return address
        raise RuntimeError(f"service network {addresses}: all addresses are taken")

    @staticmethod
    def _free_node_port(write: Admission) -> int:
        taken = {
            port.get("nodePort") for stored in write.cluster.scan(write.resource) for port in stored.manifest["spec"].get("ports") or ()
        }
        start = write.names.below(len(_NODE_PORTS))
        for step in range(len(_NODE_PORTS)):
            port = _NODE_PORTS[(start + step) % len(_NODE_PORTS)]
            if port not in taken:
                return port
        raise RuntimeError("node ports: all are taken")

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check ports, selector and that the cluster IP stays."""
        spec = manifest["spec"]
        causes: list[Cause] = []
        if write.unversioned:
            causes += [Cause("metadata.resourceVersion", 'Invalid value: "": must be specified for an update')] * 2
        ports = spec.get("ports") or []
        if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
            causes.append(Cause("spec.ports", "Required value", _REQUIRED))
        for place, port in enumerate(ports):
            causes += _port_causes(port, f"spec.ports[{place}]", named=len(ports) > 1)
        causes += label_causes(spec.get("selector") or {}, "spec.selector")
        if spec["type"] == "ExternalName" and not spec.get("externalName"):
            causes.append(Cause("spec.externalName", "Required value", _REQUIRED))
        if write.old is not None and spec["type"] != "ExternalName":
            causes += _kept_address(spec, write.old["spec"])
        return causes


def _port_causes(port: dict[str, Any], where: str, *, named: bool) -> list[Cause]:
    causes = []
    name, number = port.get("name"), port.get("port")
    if named and not name:
        causes.append(Cause(f"{where}.name", "Required value", _REQUIRED))
    elif name:
        causes += [Cause(f"{where}.name", f"Invalid value: {quoted(name)}: {words}") for words in name_problems(name, "label")]
    if number is None or not 0 < number < 65536:
        causes.append(Cause(f"{where}.port", f"Invalid value: {number or 0}: must be between 1 and 65535, inclusive"))
    target = port.get("targetPort")
    if isinstance(target, int) and not 0 < target < 65536 and number:
        causes.append(Cause(f"{where}.targetPort", f"Invalid value: {target}: must be between 1 and 65535, inclusive"))
    return causes


def _kept_address(new: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    before, after = old.get("clusterIP"), new.get("clusterIP")
    if not before or before == after:
        return []
    if not after:
        return [Cause("spec.clusterIPs[0]", "Invalid value: []string(nil): primary clusterIP can not be unset")]
    return [Cause("spec.clusterIPs[0]", f"Invalid value: []string{{{quoted(after)}}}: may not change once set")]


_ADDRESSES = {"addresses": listed(OBJECT), "notReadyAddresses": listed(OBJECT)}
_ENDPOINT = struct(
    "Endpoint",
    "conditions:o hostname:s targetRef:o deprecatedTopology:o nodeName:s zone:s hints:o",
    addresses=TEXT_LIST,
)


class EndpointsRules(Rules):
    """The admission of Endpoints; unlike the real server, loopback addresses are taken where pods live there."""

    counts_generations = False
    shape = struct("Endpoints", "", metadata=METADATA, subsets=listed(struct("EndpointSubset", "", **_ADDRESSES, ports=listed(OBJECT))))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in protocols."""
        decode(manifest, self.shape, write)
        for subset in manifest.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check that traffic can go to every address."""
        return [
            cause
            for place, subset in enumerate(manifest.get("subsets") or ())
            for part in _ADDRESSES
            for number, address in enumerate(subset.get(part) or ())
            for cause in _special_causes(address.get("ip") or "", f"subsets[{place}].{part}[{number}].ip", write)
        ]


class EndpointSliceRules(Rules):
    """The admission of EndpointSlices."""

    shape = struct("EndpointSlice", "addressType:s", metadata=METADATA, endpoints=listed(_ENDPOINT), ports=listed(OBJECT))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in conditions, port names and protocols."""
        decode(manifest, self.shape, write)
        manifest.setdefault("endpoints", [])
        for endpoint in manifest["endpoints"]:
            endpoint.setdefault("conditions", {})
        for port in manifest.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """There is no spec: everything but metadata counts."""
        return any(new.get(key) != old.get(key) for key in ("addressType", "endpoints", "ports")) or new["metadata"].get("labels") != old[
            "metadata"
        ].get("labels")

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check addresses against their type, which never changes."""
        kind = manifest.get("addressType")
        if not kind:
            return [Cause("addressType", "Required value", _REQUIRED)]
        causes = []
        if kind not in ("FQDN", "IPv4", "IPv6"):
            words = f'Unsupported value: {quoted(kind)}: supported values: "FQDN", "IPv4", "IPv6"'
            causes.append(Cause("addressType", words, "FieldValueNotSupported"))
        if write.old is not None and write.old.get("addressType") != kind:
            causes.append(Cause("addressType", f"Invalid value: {quoted(kind)}: field is immutable"))
        for place, endpoint in enumerate(manifest["endpoints"]):
            for number, address in enumerate(endpoint.get("addresses") or ()):
                where = f"endpoints[{place}].addresses[{number}]"
                if kind != "FQDN" and not _is_address(address, kind):
                    causes.append(Cause(where, f"Invalid value: {quoted(address)}: must be a valid {kind} address"))
                elif kind != "FQDN":
                    causes += _special_causes(address, where, write)
        return causes


def _is_address(text: str, kind: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == (4 if kind == "IPv4" else 6)
    except ValueError:
        return False


def _special_causes(text: str, where: str, write: Admission) -> list[Cause]:
    """Say why traffic from elsewhere cannot go to an address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return [Cause(where, f"Invalid value: {quoted(text)}: must be a valid IP address")]
    special = {
        f"may not be unspecified ({text})": address.is_unspecified,
        "may not be in the loopback range (127.0.0.0/8, ::1/128)": address.is_loopback and not write.pods_on_loopback,
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)": address.is_link_local,
    }
    return [Cause(where, f"Invalid value: {quoted(text)}: {words}") for words, found in special.items() if found]
