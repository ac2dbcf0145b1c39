"""What is a Rollout put through, and what has to hold meanwhile?"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from conformance.rows import Row
from conformance.scene import BrokenPromiseError, Scene
from tiphys.api.meta import Manifest
from tiphys.cli.patches import Skip
from tiphys.core.intent import Feature

WEIGHTS: Final = (0, 1, 20, 50, 99, 100)
BETA: Final = {"x-beta": "yes"}
"""What the header route wants in columns that are about something else."""
SETTLED: Final[Manifest] = {"setCanaryScale": {"replicas": 2}}
"""Header and mirror routes are for canaries that have pods already."""
PAUSE: Final[Manifest] = {"pause": {}}

Steps = Callable[[Row, frozenset[Feature]], Sequence[Manifest]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """
    One behaviour: the *steps* for a row and what its routers can do, what they must be able to do for it, and the *story*.

    *says* is the promise in words. *managed* are the names of `managedRoutes`. *asks* is the end of the field that a refusal names.
    With *own_controller* the Rollout has a controller to itself, which can be killed.
    """

    name: str
    says: str
    story: Callable[[Scene], Awaitable[None]]
    steps: Steps
    needs: frozenset[Feature] = frozenset({Feature.WEIGHTS})
    managed: tuple[str, ...] = ("beta",)
    asks: str = ""
    maximum: int = 100
    ping_pong: bool = False
    own_controller: bool = False


def header_step(name: str, header: str, **value: str) -> Manifest:
    """Give a step that sends requests with this header to the canary."""
    return {"setHeaderRoute": {"name": name, "match": [{"headerName": header, "headerValue": value}]}}


def by_steps(*weights: int) -> Steps:
    """Give a pause after each of *weights*."""
    return lambda _row, _supports: [step for weight in weights for step in ({"setWeight": weight}, PAUSE)]


def half_way(row: Row, supports: frozenset[Feature]) -> list[Manifest]:
    """Give a pause at 50, with a header route where the product has them."""
    return [{"setWeight": 50}, *([header_step("beta", "x-beta", exact="yes")] if headed(row, supports) else []), PAUSE]


def headed(row: Row, supports: frozenset[Feature]) -> bool:
    """Tell whether the Rollout of `half_way` has a header route."""
    return Feature.HEADER_EXACT in supports and "header exact" not in row.lacks


async def weights(scene: Scene) -> None:
    stable = scene.stable
    scene.set_version("2")
    for index, weight in enumerate(WEIGHTS):
        await scene.paused(at=2 * index + 1, weight=weight, before=stable)
        await scene.shares({scene.canary: weight / 100, stable: 1 - weight / 100})
        scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary)


async def thousandths(scene: Scene) -> None:
    stable = scene.stable
    scene.set_version("2")
    await scene.paused(at=1, weight=125, before=stable)
    await scene.shares({scene.canary: 0.125, stable: 0.875})
    scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary)


async def one_header(scene: Scene, *, header: str, fits: str, near: Sequence[str]) -> None:
    stable = scene.stable
    for prober in scene.probers.values():
        prober.also = {header: fits}
    scene.set_version("2")
    await scene.paused(at=2, weight=0, before=stable)
    await scene.all_to(scene.canary, {header: fits})
    for value in near:
        await scene.all_to(stable, {header: value})
    await scene.all_to(stable)
    scene.promote()
    await scene.paused(at=4, weight=0, before=stable)
    await scene.all_to(stable, {header: fits})
    scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary, {header: fits})


def header_steps(header: str, **value: str) -> Steps:
    """Give the steps of `one_header`: the route comes, and goes again."""
    return lambda _row, _supports: [SETTLED, header_step("beta", header, **value), PAUSE, {"setHeaderRoute": {"name": "beta"}}, PAUSE]


async def two_headers(scene: Scene) -> None:
    stable, both = scene.stable, {"x-first": "1", "x-second": "2"}
    for prober in scene.probers.values():
        prober.also = both
    scene.set_version("2")
    await scene.paused(at=3, weight=0, before=stable)
    for headers in ({"x-first": "1"}, {"x-second": "2"}, both):
        await scene.all_to(scene.canary, headers)
    await scene.all_to(stable)
    await scene.in_order("x-first", "x-second")
    scene.promote()
    await scene.paused(at=5, weight=0, before=stable)
    await scene.all_to(stable, {"x-first": "1"})
    await scene.all_to(scene.canary, {"x-second": "2"})
    scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary)


def two_header_steps(_row: Row, _supports: frozenset[Feature]) -> list[Manifest]:
    """Give the second of the managed routes before the first one: their order is that of `managedRoutes`, and not of the steps."""
    second, first = header_step("second", "x-second", exact="2"), header_step("first", "x-first", exact="1")
    return [SETTLED, second, first, PAUSE, {"setHeaderRoute": {"name": "first"}}, PAUSE]


async def mirror(scene: Scene) -> None:
    stable = scene.stable
    scene.set_version("2")
    await scene.paused(at=2, weight=0, before=stable)
    await scene.copied(scene.row.mirror)
    scene.promote()
    await scene.paused(at=4, weight=0, before=stable)
    await scene.copied(0)
    scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary)


def mirror_steps(row: Row, _supports: frozenset[Feature]) -> list[Manifest]:
    """Give a mirror route that comes, and goes again."""
    route = {"name": "beta", "percentage": row.mirror, "match": [{}]}
    return [SETTLED, {"setMirrorRoute": route}, PAUSE, {"setMirrorRoute": {"name": "beta"}}, PAUSE]


async def abort(scene: Scene) -> None:
    stable, canary = await to_half_way(scene)
    scene.abort()
    await scene.aborted()
    await scene.all_to(stable)
    await scene.all_to(stable, BETA)
    await scene.gone(canary)


async def promote(scene: Scene) -> None:
    stable, canary = await to_half_way(scene)
    scene.promote(Skip.FULL)
    await scene.healthy()
    await scene.all_to(canary)
    await scene.all_to(canary, BETA)
    await scene.gone(stable)


async def supersede(scene: Scene) -> None:
    stable, second = await to_half_way(scene)
    scene.set_version("3")
    await scene.paused(at=scene.last_step, weight=50, before=second)
    await expect_half_way(scene, stable)
    await scene.gone(second)
    scene.promote()
    await scene.healthy()
    await scene.all_to(scene.canary)


async def evict(scene: Scene) -> None:
    stable, canary = await to_half_way(scene)
    async with scene.without_pods():
        if not scene.evict(canary):
            raise BrokenPromiseError("evict", wanted="pods of the canary", found="none")
    await scene.paused(at=scene.last_step, weight=50, before=stable)
    await expect_half_way(scene, stable)
    scene.promote()
    await scene.healthy()
    await scene.all_to(canary)


async def restart(scene: Scene) -> None:
    stable = scene.stable
    scene.set_version("2")
    await scene.kill_the_controller(lambda rollout: rollout["status"].get("phase") == "Paused" and scene.canary != stable)
    await scene.start_a_controller()
    await scene.paused(at=scene.last_step, weight=50, before=stable)
    await expect_half_way(scene, stable)
    scene.promote()
    await scene.kill_the_controller(lambda _rollout: scene.stable != stable)
    await scene.start_a_controller()
    await scene.healthy()
    await scene.all_to(scene.canary)


async def foreign(scene: Scene) -> None:
    stable, canary = await to_half_way(scene)
    scene.edit_foreign_fields()
    await scene.applied()
    await scene.shares({stable: 0.5, canary: 0.5})
    scene.promote()
    await scene.healthy()
    await scene.all_to(canary)


async def ping_pong(scene: Scene) -> None:
    for version in ("2", "3"):
        stable = scene.stable
        scene.set_version(version)
        await scene.paused(at=1, weight=20, before=stable)
        await scene.shares({scene.canary: 0.2, stable: 0.8})
        scene.promote()
        await scene.healthy()
        await scene.all_to(scene.canary)
        await scene.gone(stable)


async def to_half_way(scene: Scene) -> tuple[str, str]:
    """Change the image, wait for the pause at 50, and measure; gives the hashes of stable and canary."""
    stable = scene.stable
    if headed(scene.row, scene.supports):
        for prober in scene.probers.values():
            prober.also = BETA
    scene.set_version("2")
    await scene.paused(at=scene.last_step, weight=50, before=stable)
    await expect_half_way(scene, stable)
    return stable, scene.canary


async def expect_half_way(scene: Scene, stable: str) -> None:
    """Expect what `half_way` asks for."""
    await scene.shares({stable: 0.5, scene.canary: 0.5})
    if headed(scene.row, scene.supports):
        await scene.all_to(scene.canary, BETA)


def _headers(name: str, feature: Feature, header: str, *, fits: str, near: Sequence[str], **value: str) -> Column:
    return Column(
        name=f"header {name}",
        says=f"a header route with `{name}` sends every request that fits to the canary and no other; it goes when a step takes it away",
        story=partial(one_header, header=header, fits=fits, near=near),
        steps=header_steps(header, **value),
        needs=frozenset({feature}),
        asks=".setHeaderRoute",
    )


COLUMNS: Final[tuple[Column, ...]] = (
    Column(
        name="weights",
        says=f"at weight {', '.join(map(str, WEIGHTS))} the canary gets that share",
        story=weights,
        steps=by_steps(*WEIGHTS),
    ),
    Column(
        name="maxTrafficWeight",
        says="weights are parts of 1000",
        story=thousandths,
        steps=by_steps(125),
        needs=frozenset({Feature.MAX_WEIGHT}),
        asks="maxTrafficWeight",
        maximum=1000,
    ),
    _headers("exact", Feature.HEADER_EXACT, "x-beta", fits="yes", near=["yes!", "no"], exact="yes"),
    _headers("prefix", Feature.HEADER_PREFIX, "x-agent", fits="QA/1.7", near=["QA/1x7", "not QA/1.7"], prefix="QA/1."),
    _headers("regex", Feature.HEADER_REGEX, "x-tier", fits="silver", near=["silvery", "bronze"], regex="^(gold|silver)$"),
    Column(
        name="two headers",
        says="two header routes stand in the order of `managedRoutes`, and each goes by itself",
        story=two_headers,
        steps=two_header_steps,
        needs=frozenset({Feature.HEADER_EXACT}),
        managed=("first", "second"),
        asks=".setHeaderRoute",
    ),
    Column(
        name="mirror",
        says="the canary gets a copy of the wanted percentage of requests, stable answers all of them",
        story=mirror,
        steps=mirror_steps,
        needs=frozenset({Feature.MIRROR}),
        asks=".setMirrorRoute",
    ),
    Column(
        name="ping-pong",
        says="two promotions exchange the roles of the two Services",
        story=ping_pong,
        steps=by_steps(20),
        needs=frozenset({Feature.PING_PONG}),
        asks="pingPong",
        ping_pong=True,
    ),
    Column(name="abort", says="an abort at 50 sends everything to stable, and the canary's pods go", story=abort, steps=half_way),
    Column(
        name="promote", says="`promote --full` at 50 sends everything to the canary, and the old pods go", story=promote, steps=half_way
    ),
    Column(name="supersede", says="a third version takes the place of the second at 50", story=supersede, steps=half_way),
    Column(name="evict", says="all canary pods die at 50: weight and routes go, and come back with the pods", story=evict, steps=half_way),
    Column(
        name="restart",
        says="the controller is killed at a random moment of the release, and again while it promotes",
        story=restart,
        steps=half_way,
        own_controller=True,
    ),
    Column(name="foreign edit", says="somebody changes fields that are not ours at 50; the change stays", story=foreign, steps=half_way),
)
"""Every column of the matrix."""
