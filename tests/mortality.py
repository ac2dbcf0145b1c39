"""Does a story end the same way if the controller dies after every write?"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from inprocess import InProcessController
from scenarios import QUIET_SECONDS
from settling.world import FIGURES
from tiphys.devcluster.virtual import VirtualCluster

_ROUNDS: Final = 4
_COMES_AND_GOES: Final = frozenset({"Endpoints", "EndpointSlice", "Event", "Lease", "Pod"})
"""Kinds whose objects have names and addresses by chance."""
_OF_THE_MOMENT: Final = frozenset(
    {
        "resourceVersion",
        "uid",
        "generation",
        "observedGeneration",
        "creationTimestamp",
        "managedFields",
        "lastTransitionTime",
        "lastUpdateTime",
        "abortedAt",
        "rolloutStartedAt",
        "finishedAt",
        "startTime",
        "manualPauseStartedAt",
        "totalManualPauseDurationSeconds",
    }
)


def fingerprint(cluster: VirtualCluster) -> Mapping[str, Any]:
    """Give everything that is there at the end, without times and versions."""
    kinds = [each for each in cluster.store.registry if each.kind not in _COMES_AND_GOES and each.namespaced]
    found = [(each.kind, stored.manifest) for each in kinds for stored in cluster.store.scan(each, namespace="default")]
    return {f"{kind} {manifest['metadata']['name']}": _lasting(manifest) for kind, manifest in found}


def _lasting(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case dict():
            lasting = {key: _lasting(item) for key, item in value.items() if key not in _OF_THE_MOMENT}
            if isinstance(lasting.get("conditions"), list):
                lasting["conditions"] = {str(each["type"]): each for each in lasting["conditions"]}
            return lasting
        case list():
            return [_lasting(item) for item in value]
        case _:
            return value


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Name every place where *other* is not as *one* is."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif one != other:
        yield f"{path}: {other!r} instead of {one!r}"


def told_twice(tell: Callable[[], object]) -> None:
    """
    Tell a story as it is, and again with a controller that dies after every write; what it asserts has to hold in both.

    Where both come to rest, everything that is there then has to be the same. What nobody writes in is told once.
    """
    with _noted() as whole:
        tell()
    if not any(each.api.writes for each in whole):
        return
    with _noted(mortal=True) as mortal:
        try:
            tell()
        except BaseException as error:
            error.add_note("with a controller that dies after every write")
            raise
    assert len(whole) == len(mortal)
    for one, other in zip(whole, mortal, strict=True):
        if _rests(one):
            assert _rests(other), "no rest with a controller that dies after every write"
            differences = list(_differences(fingerprint(one.cluster), fingerprint(other.cluster)))
            assert not differences, "\n".join(["with a controller that dies after every write", *differences])
        FIGURES["deaths in scenarios"] += other.deaths
    FIGURES["scenarios in which the controller dies after every write"] += bool(mortal)


@contextmanager
def _noted(*, mortal: bool = False) -> Iterator[list[InProcessController]]:
    """Note every controller that begins; a *mortal* one dies after every write."""
    noted: list[InProcessController] = []

    def born(controller: InProcessController) -> None:
        noted.append(controller)
        if mortal:
            controller.api.one_write_a_life = True

    before = InProcessController.born
    InProcessController.born = staticmethod(born)
    try:
        yield noted
    finally:
        InProcessController.born = staticmethod(before)


def _rests(controller: InProcessController) -> bool:
    """Let time pass until nothing is written any more, and say whether that moment came."""
    store = controller.cluster.store
    for _ in range(_ROUNDS):
        before = store.version
        controller.cluster.advance(QUIET_SECONDS)
        if store.version == before:
            return True
    return False
