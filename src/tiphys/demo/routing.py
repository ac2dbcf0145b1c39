"""What can the chosen routers do, and what do their objects say?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tiphys.api.codec import decode_rollout
from tiphys.api.rollout import Rollout
from tiphys.controller.named import kinds_of, searches_of
from tiphys.core.intent import Feature, Routed
from tiphys.demo import app
from tiphys.demo.entrances import Entrance, Manifest, RouterError
from tiphys.devcluster.history import Stored
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import MENTIONS, ROUTERS, unsupported

SETTINGS = Settings(smi_version="v1alpha4")
"""The newest TrafficSplits: the only ones that clusters serve, and with header routes."""


def fitting(script: app.Script, entrances: Sequence[Entrance]) -> app.Script:
    """
    Give *script* as all of these routers together can carry it out.

    Raises: RouterError naming a router that this version does not have.
    """
    rollout = _decoded(app.rollout_of(script.without_headers(), entrances))
    if errors := unsupported(rollout):
        raise RouterError("; ".join(str(error) for error in errors))
    routers = [router_for(entrance, rollout) for entrance in entrances]
    return script if all(Feature.HEADER_EXACT in router.supports for router in routers) else script.without_headers()


def router_for(entrance: Entrance, rollout: Rollout) -> Router:
    """Give the router of *entrance* for *rollout*, as the controller makes it."""
    return next(product.router(rollout, SETTINGS) for product in ROUTERS if product.name == entrance.product)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """One router and where its objects are."""

    entrance: Entrance
    router: Router
    store: Store
    uid: str

    @classmethod
    def of(cls, entrance: Entrance, store: Store, rollout: Manifest) -> "Routing":
        """Read the router of *entrance* for the Rollout in *store*."""
        router = router_for(entrance, _decoded(rollout))
        return cls(entrance=entrance, router=router, store=store, uid=str(rollout["metadata"]["uid"]))

    def kinds(self) -> Mapping[tuple[str, str], ResourceType]:
        """Give a resource type for every kind that the router reads, by group and kind."""
        read = kinds_of(self.router.reads(), searches_of([self.router]))
        return {(each.group, each.kind): each for each in self.store.registry if (each.group, each.kind) in read}

    def says(self) -> Routed | None:
        """Read what the objects say now, as the router understands them; nothing where that cannot be told."""
        return self.router.routed(dict(self._found()))

    def weight(self) -> int:
        """Read the canary's weight (percent); where nothing can be told, nothing goes there."""
        said = self.says()
        return said.canary if said is not None else 0

    def header_routes(self) -> list[str]:
        """Name the header routes that stand."""
        said = self.says()
        return [route.name for route in said.header_routes] if said is not None else []

    def _found(self) -> Iterator[tuple[Ref, Manifest]]:
        kinds = self.kinds()
        for ref in self.router.reads():
            resource = kinds.get((ref.group, ref.kind))
            stored = self.store.read(resource, ref.name, ref.namespace) if resource is not None else None
            if stored is not None:
                yield ref, stored.copy()
        for (group, kind), resource in kinds.items():
            for stored in self.store.scan(resource, namespace=app.NAMESPACE):
                if self._made(stored) or self._sought(group, kind, stored):
                    yield Ref(group=group, kind=kind, namespace=stored.namespace, name=stored.name), stored.copy()

    def _made(self, stored: Stored) -> bool:
        return any(owner.get("uid") == self.uid for owner in stored.manifest["metadata"].get("ownerReferences") or ())

    def _sought(self, group: str, kind: str, stored: Stored) -> bool:
        names = {search.name for search in searches_of([self.router]) if (search.group, search.kind) == (group, kind)}
        if not names:
            return False
        mentioned = {each if isinstance(each, str) else each[1] for each in MENTIONS[group, kind](stored.copy())}
        return not names.isdisjoint(mentioned)


def _decoded(manifest: Manifest) -> Rollout:
    return decode_rollout(msgspec.json.encode(manifest))
