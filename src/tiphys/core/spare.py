"""Where may a pod be added before another one goes? (Lifecycle reference 8.1, 12.5 #1583.)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tiphys.api import values
from tiphys.core.dynamic import stable_size
from tiphys.core.progress import wanted_now
from tiphys.core.revisions import Revisions
from tiphys.core.situation import Situation
from tiphys.core.sizing import Sizing, serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """
    How a pod is replaced before it goes, where none may be missing and more than wanted may exist.

    *wanted* are the pods that each serving ReplicaSet has at rest, by name, in the order in which they are restarted; *least* is how many
    of all stay available, *most* how many there may be, nothing where only each ReplicaSet counts.
    """

    wanted: Mapping[str, int]
    least: int = 0
    most: int | None = None


def find_spare(now: Situation, *, granted: int) -> Spare | None:
    """Tell how pods are replaced before they go; *granted* is the canary's weight. Nothing where the spec lets some be missing."""
    surge = values.max_surge(now.canary, now.replicas)
    if surge == 0 or values.max_unavailable(now.canary, now.replicas) > 0:
        return None
    most, least = (None, 0) if now.routed else (now.replicas + surge, now.replicas)
    return Spare(wanted=_at_rest(now, granted=granted), least=least, most=most)


def with_spare(sizings: Sequence[Sizing], added: tuple[str, int] | None, revisions: Revisions) -> tuple[Sizing, ...]:
    """Let the ReplicaSet that *added* names have at least as many pods as it says."""
    if added is None:
        return tuple(sizings)
    name, pods = added
    found = next(rs for rs in revisions.all if rs.metadata.name == name)
    return tuple(replace(serving(found, max(pods, each.pods)), because=each.because) if each.name == name else each for each in sizings)


def _at_rest(now: Situation, *, granted: int) -> dict[str, int]:
    """Give the pods that each serving ReplicaSet has once this position is reached, stable first."""
    new, stable = now.revisions.new, now.revisions.stable
    if not now.forward:
        whole = new if now.position.fresh else stable
        return {} if whole is None else {whole.metadata.name: now.replicas}
    wanted = wanted_now(now)
    ours = stable_size(now, now.slots, granted=granted) if now.routed else wanted.stable
    return {rs.metadata.name: pods for rs, pods in ((stable, ours), (new, wanted.canary)) if rs is not None}
