"""How does AWS App Mesh say this traffic wish? (Traffic-routing reference 4.8.)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL, pod_hash
from tiphys.api.rollout import AppMeshRouting, CanaryStrategy, NamedRef, Rollout
from tiphys.core.intent import Feature, Role, Routed, TrafficIntent
from tiphys.traffic.about import about
from tiphys.traffic.appmesh_routes import Carrier, Node, carriers, router_of, weighing
from tiphys.traffic.manifests import mapping, text
from tiphys.traffic.router import Ref, Rendered, Search
from tiphys.traffic.settings import APP_MESH, Settings
from tiphys.traffic.shares import shares
from tiphys.traffic.together import combine

SUPPORTS: Final = frozenset({Feature.WEIGHTS})
NO_STABLE: Final = "stable-hash"
NO_CANARY: Final = "canary-hash"
"""What a node's selector says instead of a hash: no pod has it. A pod that two nodes select is refused by the mesh."""

_FIELD: Final = "spec.strategy.canary.trafficRouting.appMesh"
_SERVICE: Final = f"{_FIELD}.virtualService.name"
_NODES: Final = f"{_FIELD}.virtualNodeGroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppMeshRouter:
    """
    A VirtualService whose VirtualRouter splits between two VirtualNodes, and the pods that these select.

    The Rollout names the service and the nodes; which router is meant stands in the service, and it is found by the node that it
    leads to. *routes* are the names of its routes that are meant; without any, all. *malformed* is what is wrong with the block.
    """

    namespace: str
    service: str
    routes: tuple[str, ...]
    canary: str
    stable: str
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "appMesh"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what is done for a product that has ended: weights."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the VirtualService and the VirtualNodes."""
        named = (("VirtualService", self.service), ("VirtualNode", self.canary), ("VirtualNode", self.stable))
        return [self._ref(kind, name) for kind, name in named if name]

    def searches(self) -> Sequence[Search]:
        """Look for VirtualRouters that lead to the canary's VirtualNode."""
        return [Search(group=APP_MESH, kind="VirtualRouter", namespace=self.namespace, name=self.canary)] if self.canary else []

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the objects."""
        if self.malformed:
            return self.malformed
        problems: list[SpecError] = []
        try:
            self._carriers(found)
        except SpecError as error:
            problems.append(error)
        for role in (Role.STABLE, Role.CANARY):
            try:
                self._label(role, found)
            except SpecError as error:
                problems.append(error)
        return problems

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the VirtualRouter and the VirtualNodes say now, or nothing where that cannot be told."""
        if self.malformed:
            return None
        try:
            _, _, carrying = self._carriers(found)
            stable, canary = self._label(Role.STABLE, found), self._label(Role.CANARY, found)
        except SpecError:
            return None
        stable_hash = "" if stable == NO_STABLE else stable
        said = [shares(carrier.parted, _WHOLE) for carrier in carrying]
        # Both nodes select the same pods: right while the canary's carries weight, and to be undone as soon as it does not.
        both = bool(stable_hash) and canary == stable_hash and not any(share.canary for share in said)
        return combine(
            [
                Routed(
                    canary=share.canary,
                    stable=share.stable,
                    canary_hash=stable_hash if canary == NO_CANARY else canary,
                    stable_hash=stable_hash,
                    uniform=share.exact and not both,
                )
                for share in said
            ]
        )

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the objects that say *wish*.

        The router comes before the nodes: a way back to stable does not wait for what pods are called.

        Raises:
            SpecError: the `appMesh` block is malformed.

        """
        if self.malformed:
            raise self.malformed[0]
        apply: dict[Ref, Manifest] = {}
        errors: list[SpecError] = []
        drained: bool | None = None
        try:
            ref, router, carrying = self._carriers(found)
        except SpecError as error:
            errors.append(error)
        else:
            apply[ref] = weighing(router, carrying, wish)
            drained = not any(shares(carrier.parted, _WHOLE).canary for carrier in carrying)
        for role in (Role.STABLE, Role.CANARY):
            try:
                label = self._wanted(role, wish, self._label(role, found), drained=drained)
                apply[self._node(role)] = _selecting(found[self._node(role)], label)
            except SpecError as error:
                errors.append(error)
        return Rendered(apply=apply, errors=tuple(errors))

    def _wanted(self, role: Role, wish: TrafficIntent, label: str, *, drained: bool | None) -> str:
        """
        Say what the node of *role* should select; *label* is what it does, *drained* tells whether the canary's gets nothing now.

        A node is not emptied in the wish that takes its weight away, but in the next one; where weights cannot be read, none moves (S4).
        """
        if drained is None:
            return label
        hashes = {backend.role: backend.pod_hash for backend in wish.backends}
        stable = hashes.get(Role.STABLE, "")
        if role is Role.STABLE:
            return stable or NO_STABLE
        canary = hashes.get(Role.CANARY, "")
        if canary and (canary != stable or wish.weight(Role.CANARY)):
            return canary
        return NO_CANARY if drained else label

    def _carriers(self, found: Mapping[Ref, Manifest]) -> tuple[Ref, Manifest, Sequence[Carrier]]:
        """Give the VirtualRouter and those of its routes that are meant."""
        service = self._ref("VirtualService", self.service)
        manifest = found.get(service)
        if manifest is None:
            raise SpecError(field=_SERVICE, found=self.service, wanted=f"must name an existing VirtualService ({service})")
        with about(_SERVICE, self.service, service):
            name, space = router_of(manifest)
        ref = Ref(group=APP_MESH, kind="VirtualRouter", namespace=space or self.namespace, name=name)
        router = found.get(ref)
        if router is None:
            wanted = f"{service} must lead to a VirtualRouter that exists and has the VirtualNode {self.canary} among its targets ({ref})"
            raise SpecError(field=_SERVICE, found=self.service, wanted=wanted)
        nodes = {role: Node(namespace=self.namespace, name=name) for role, name in ((Role.CANARY, self.canary), (Role.STABLE, self.stable))}
        with about(_SERVICE, self.service, ref):
            return ref, router, carriers(router, self.routes, nodes, ref.namespace)

    def _label(self, role: Role, found: Mapping[Ref, Manifest]) -> str:
        """Give the hash, or what stands for none, that the node of *role* selects."""
        ref, field = self._node(role), f"{_NODES}.{role}VirtualNodeRef.name"
        manifest = found.get(ref)
        if manifest is None:
            raise SpecError(field=field, found=ref.name, wanted=f"must name an existing VirtualNode ({ref})")
        with about(field, ref.name, ref):
            return text(_labels(manifest).get(HASH_LABEL), f"{_LABELS}[{HASH_LABEL}]")

    def _node(self, role: Role) -> Ref:
        return self._ref("VirtualNode", self.stable if role is Role.STABLE else self.canary)

    def _ref(self, kind: str, name: str) -> Ref:
        return Ref(group=APP_MESH, kind=kind, namespace=self.namespace, name=name)


def app_mesh_router(rollout: Rollout, settings: Settings) -> AppMeshRouter:  # noqa: ARG001  every product's factory takes them
    """Give the router for the `appMesh` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.app_mesh is None:
        raise ValueError("a Rollout without an appMesh block has no App Mesh router")
    service, nodes = routing.app_mesh.virtual_service, routing.app_mesh.virtual_node_group
    return AppMeshRouter(
        namespace=rollout.metadata.namespace,
        service="" if service is None else service.name,
        routes=() if service is None else tuple(dict.fromkeys(service.routes)),
        canary=_name(None if nodes is None else nodes.canary_virtual_node_ref),
        stable=_name(None if nodes is None else nodes.stable_virtual_node_ref),
        malformed=tuple(_malformed(routing.app_mesh)),
    )


def _malformed(block: AppMeshRouting) -> Iterator[SpecError]:
    if block.virtual_service is None or not block.virtual_service.name:
        yield SpecError(field=_SERVICE, found=None, wanted="needs the name of a VirtualService")
    group = block.virtual_node_group
    canary = _name(None if group is None else group.canary_virtual_node_ref)
    stable = _name(None if group is None else group.stable_virtual_node_ref)
    for role, name in ((Role.CANARY, canary), (Role.STABLE, stable)):
        if not name:
            yield SpecError(field=f"{_NODES}.{role}VirtualNodeRef.name", found=None, wanted="needs the name of a VirtualNode")
    if canary and canary == stable:
        yield SpecError(field=f"{_NODES}.stableVirtualNodeRef.name", found=stable, wanted="must differ from the canary's VirtualNode")


def _name(ref: NamedRef | None) -> str:
    return "" if ref is None else ref.name


def _labels(node: Manifest) -> Mapping[str, Any]:
    selector = mapping(mapping(node.get("spec"), "spec").get("podSelector"), "spec.podSelector")
    return mapping(selector.get("matchLabels"), _LABELS)


def _selecting(node: Manifest, label: str) -> Manifest:
    """Give *node* with *label* for a hash; the rest of its selector stays."""
    labels = _labels(node)
    if pod_hash(labels) == label:
        return node
    selector = {**(node["spec"].get("podSelector") or {}), "matchLabels": {**labels, HASH_LABEL: label}}
    return {**node, "spec": {**node["spec"], "podSelector": selector}}


_LABELS: Final = "spec.podSelector.matchLabels"
_WHOLE: Final = 100
