"""Which objects concern a Rollout although it does not name them?"""

from collections.abc import Iterable, Sequence

from tiphys.kube.store import Key
from tiphys.traffic.router import Ref


class Minding:
    """Remembers, both ways round, which objects each Rollout minded last."""

    def __init__(self) -> None:
        self._minded: dict[Key, frozenset[Ref]] = {}
        self._by: dict[Ref, set[Key]] = {}

    def mind(self, key: Key, refs: Iterable[Ref]) -> None:
        """Let the Rollout *key* mind *refs*, and no others that it minded before."""
        minded = frozenset(refs)
        for ref in self._minded.pop(key, frozenset()) - minded:
            self._by[ref].discard(key)
            if not self._by[ref]:
                del self._by[ref]
        for ref in minded:
            self._by.setdefault(ref, set()).add(key)
        if minded:
            self._minded[key] = minded

    def by(self, ref: Ref) -> Sequence[Key]:
        """Name the Rollouts that mind *ref*."""
        return sorted(self._by.get(ref, ()))
