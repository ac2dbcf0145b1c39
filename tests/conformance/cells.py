"""What does each cell of the matrix promise, and how is one put to the test?"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec

from conformance.columns import COLUMNS, Column
from conformance.rows import ROWS, SHOP, Row
from conformance.scene import BrokenPromiseError, Scene
from conformance.world import SMI_VERSION, World
from tiphys.api.codec import decode_rollout
from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.api.names import INSTANCE_ID_LABEL
from tiphys.api.rollout import Rollout
from tiphys.api.validation import spec_problems
from tiphys.core.intent import Feature
from tiphys.devcluster.kinds import NAMESPACES
from tiphys.traffic.router import Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import routers_of

REPLICAS: Final = 3


class Promise(StrEnum):
    """What a cell is about; `OBJECTS` is `HELD` as far as that can be told without a data plane."""

    HELD = "held"
    REFUSED = "refused"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row and one column."""

    row: Row
    column: Column

    @property
    def name(self) -> str:
        return f"{self.row.name}, {self.column.name}"

    @property
    def namespace(self) -> str:
        return "-".join(f"{self.row.name} {self.column.name}".lower().replace(",", " ").split())

    @property
    def promise(self) -> Promise:
        """Read from the routers' own `supports` and from validation what has to happen; what those cannot tell says the row."""
        if not self.column.needs <= self.supports or self.column.name in self.row.lacks or spec_problems(_typed(self)):
            return Promise.REFUSED
        return Promise.HELD if self.row.entrances and self.column.name not in self.row.unseen else Promise.OBJECTS

    @property
    def supports(self) -> frozenset[Feature]:
        """What all routers of the row can do, as the row configures them."""
        return frozenset(Feature).intersection(*(router.supports for router in self.routers)) if self.routers else frozenset()

    @property
    def routers(self) -> Sequence[Router]:
        """The routers of the row, as it configures them."""
        return routers_of(_typed(self), settings=Settings(smi_version=SMI_VERSION))


@cache
def _typed(cell: Cell) -> Rollout:
    return decode_rollout(msgspec.json.encode(rollout_of(cell.row, cell.column, namespace=cell.namespace)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What became of a cell: *problem* is empty where the promise was kept.

    *in_gap* are requests that failed while the product had nobody to send to (see `Row.gap`); they are no *failures*.
    """

    row: str
    column: str
    promise: Promise
    requests: int
    failures: int
    in_gap: int
    seconds: float
    problem: str = ""
    log: tuple[str, ...] = ()


def cells(rows: Iterable[Row] = ROWS, columns: Iterable[Column] = COLUMNS) -> list[Cell]:
    """Give every cell of these rows and columns."""
    listed = list(columns)
    return [Cell(row=row, column=column) for row in rows for column in listed]


def rollout_of(row: Row, column: Column, *, namespace: str) -> Manifest:
    """Give the Rollout of one cell, without its steps."""
    stable, canary = services_of(column)
    strategy: dict[str, Any] = {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}
    if column.ping_pong:
        strategy["pingPong"] = {"pingService": canary, "pongService": stable}
    elif not row.subsets:
        strategy |= {"canaryService": canary, "stableService": stable}
    routing = {**row.routing, "managedRoutes": [{"name": name} for name in column.managed]}
    if column.maximum != 100:
        routing["maxTrafficWeight"] = column.maximum
    strategy["trafficRouting"] = routing
    container = {"name": SHOP, "image": f"registry.example/{SHOP}:1", "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": SHOP,
            "namespace": namespace,
            "labels": {INSTANCE_ID_LABEL: namespace} if column.own_controller else {},
        },
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": SHOP}},
            "template": {"metadata": {"labels": {"app": SHOP}}, "spec": {"containers": [container]}},
            "strategy": {"canary": strategy},
        },
    }


def services_of(column: Column) -> tuple[str, str]:
    """Name the Services of stable and canary; with ping-pong, pong begins as stable."""
    return (f"{SHOP}-pong", f"{SHOP}-ping") if column.ping_pong else (f"{SHOP}-stable", f"{SHOP}-canary")


async def tried(cell: Cell, world: World, *, seed: int) -> Outcome:
    """Put *cell* to the test; whatever goes wrong is its outcome."""
    begun = time.monotonic()
    chance = random.Random(f"{seed} {cell.name}")  # noqa: S311 - no secret
    seen = cell.promise is not Promise.OBJECTS
    scene = Scene(world, cell.row, cell.namespace, supports=cell.supports, seen=seen, chance=chance)
    problems: list[str] = []
    try:
        await (_expect_refusal if cell.promise is Promise.REFUSED else _play)(cell, scene)
    except (BrokenPromiseError, TiphysError, TimeoutError) as error:
        problems.append(f"{type(error).__name__}: {error}; the Rollout: {scene.where()}")
    finally:
        await asyncio.gather(*(prober.stop() for prober in scene.probers.values()))
    failures, in_gap = scene.failures()
    if failures:
        problems.append(f"{len(failures)} requests failed, wanted none; the first: {failures[0]}")
    log = tuple(world.log_of(cell.namespace)) if problems else ()
    await _clear(scene)
    return Outcome(
        row=cell.row.name,
        column=cell.column.name,
        promise=cell.promise,
        requests=scene.requests,
        failures=len(failures),
        in_gap=in_gap,
        seconds=time.monotonic() - begun,
        problem="; ".join(problems),
        log=log,
    )


async def _play(cell: Cell, scene: Scene) -> None:
    _set_up(cell, scene)
    scene.keep()
    if cell.column.own_controller:
        await scene.start_a_controller()
    scene.create(_with_steps(cell))
    await scene.healthy()
    scene.keep()
    for prober in scene.probers.values():
        prober.start()
    await scene.all_to(scene.stable)
    await cell.column.story(scene)
    for prober in scene.probers.values():
        await prober.stop()
    scene.expect_kept(weights=not cell.column.ping_pong)


async def _expect_refusal(cell: Cell, scene: Scene) -> None:
    """Expect that the Rollout is refused by name before anything is written."""
    _set_up(cell, scene)
    scene.keep()
    rollout = _with_steps(cell)
    rollout["metadata"]["labels"] = {}
    scene.create(rollout)
    wanted = list(_words(cell))
    words = " and ".join(" or ".join(map(repr, each)) for each in wanted)

    def refused(found: Manifest) -> bool:
        # What was created in the same moment (a Service, the product's report on its route) may be seen a little later.
        told = refusal_of(found)
        return all(any(word in told for word in each) for each in wanted) and bool(told)

    await scene.until(refused, f"the condition InvalidSpec with {words}")
    scene.expect_kept(weights=True)


def _words(cell: Cell) -> Iterator[Sequence[str]]:
    """Give what a refusal has to name, each in one of several ways: the step or field, and the router or what it lacks."""
    steps = enumerate(cell.column.steps(cell.row, cell.supports))
    key = cell.column.asks.removeprefix(".")
    yield [f"steps[{index}].{key}" for index, step in steps if key in step] or [cell.column.asks]
    if cell.column.name in cell.row.lacks:
        yield [cell.row.lacks[cell.column.name]]
    elif lacking := [router.name for router in cell.routers if not cell.column.needs <= router.supports]:
        yield [f'"{name}"' for name in lacking]


def refusal_of(rollout: Manifest) -> str:
    """Give the text of the condition InvalidSpec; nothing where there is none."""
    conditions = rollout.get("status", {}).get("conditions", ())
    return next((str(each["message"]) for each in conditions if each["type"] == "InvalidSpec"), "")


def _set_up(cell: Cell, scene: Scene) -> None:
    """Create everything but the Rollout."""
    stable, canary = services_of(cell.column)
    scene.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cell.namespace}})
    for name in (SHOP, stable, canary):
        scene.create(_service(name))
    for manifest in cell.row.manifests(cell.namespace, stable=stable, canary=canary, full=cell.column.maximum):
        scene.create(manifest)


def _with_steps(cell: Cell) -> Manifest:
    rollout = rollout_of(cell.row, cell.column, namespace=cell.namespace)
    rollout["spec"]["strategy"]["canary"]["steps"] = list(cell.column.steps(cell.row, cell.supports))
    return rollout


def _service(name: str) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": SHOP}, "ports": ports}}


async def _clear(scene: Scene) -> None:
    """Delete everything, so that the cells still to come have the machine to themselves."""
    store = scene.world.cluster.store
    with contextlib.suppress(LookupError):
        store.delete(NAMESPACES, scene.namespace)
