"""Which kinds are served now, and which loops have to hear of them?"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from tiphys.devcluster.engine import Engine, Loop
from tiphys.devcluster.history import Event
from tiphys.devcluster.kinds import CRDS
from tiphys.devcluster.resources import ResourceType

Kind = tuple[str, str]
"""Group and plural: what all versions of a kind have in common."""


class ServedKinds:
    """Keeps one resource type per kind, and lets loops hear of kinds that are installed later."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._audience: list[tuple[Loop[Any], Callable[[Kind], bool]]] = []
        self.kinds: dict[Kind, ResourceType] = {}
        engine.listen(self, CRDS)

    def tell(self, loop: Loop[Any], wants: Callable[[Kind], bool] = lambda _: True) -> None:
        """Let *loop* hear of every kind that it *wants*, now and later."""
        self._audience.append((loop, wants))
        for kind, resource in self.kinds.items():
            if wants(kind):
                self._engine.listen(loop, resource)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        """A definition came, changed or went."""
        del event, resource
        return ("kinds",)

    def sync(self, key: str, now: datetime) -> datetime | None:
        """Compare with what the registry serves now."""
        del key, now
        self.look()
        return None

    def look(self) -> None:
        """Compare with what the registry serves now."""
        served: dict[Kind, ResourceType] = {}
        for resource in self._engine.store.registry:
            served.setdefault(resource.key, resource)
        for kind in set(self.kinds) - set(served):
            self._engine.deafen(self.kinds[kind])
        for kind, resource in served.items():
            for loop, wants in self._audience if kind not in self.kinds else ():
                if wants(kind):
                    self._engine.listen(loop, resource)
        self.kinds.clear()
        self.kinds.update(served)
