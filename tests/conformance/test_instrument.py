"""Does the matrix notice when a promise is broken? Cells that claim what does not happen, and what each of them has to say."""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from conformance.cells import Cell
from conformance.columns import Column, Steps, by_steps, header_steps, mirror_steps, two_header_steps
from conformance.matrix import play
from conformance.rows import ROWS
from conformance.scene import EVERYBODY, Scene, off
from tiphys.devcluster.patching import PatchKind

ISTIO = next(row for row in ROWS if row.name == "istio")


async def another_share(scene: Scene) -> None:
    stable = await at_first_pause(scene, at=1, weight=20)
    await scene.shares({scene.canary: 0.35, stable: 0.65})


async def another_header(scene: Scene) -> None:
    await at_first_pause(scene, at=2, weight=0)
    await scene.all_to(scene.canary, {"x-beta": "no"})


async def another_order(scene: Scene) -> None:
    await at_first_pause(scene, at=3, weight=0)
    await scene.in_order("x-second", "x-first")


async def more_copies(scene: Scene) -> None:
    await at_first_pause(scene, at=2, weight=0)
    await scene.copied(scene.row.mirror + 20)


async def pods_that_fail(scene: Scene) -> None:
    scene.set_version("2-failing")
    await scene.paused(at=1, weight=20)
    await scene.probers["istio"].count(60, EVERYBODY)


async def a_field_that_changes(scene: Scene) -> None:
    store, kind = scene.world.cluster.store, scene.kind("VirtualService")
    store.patch(kind, "shop", PatchKind.MERGE, {"metadata": {"labels": {"team": "others"}}}, namespace=scene.namespace)


async def an_object_that_stays(scene: Scene) -> None:
    scene.create({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "left"}, "spec": {}})


async def at_first_pause(scene: Scene, *, at: int, weight: int) -> str:
    stable = scene.stable
    scene.set_version("2")
    await scene.paused(at=at, weight=weight, before=stable)
    return stable


CLAIMS: dict[str, tuple[Callable[[Scene], Awaitable[None]], Steps, str]] = {
    "another share": (another_share, by_steps(20), "1200 requests through istio, ± 66: wanted canary"),
    "another header": (another_header, header_steps("x-beta", exact="yes"), "60 requests through istio with {'x-beta': 'no'}, ± 0: wanted"),
    "another order": (another_order, two_header_steps, "wanted ['x-second', 'x-first'], found ['x-first', 'x-second']"),
    "more copies": (more_copies, mirror_steps, "copies through istio: wanted"),
    "pods that fail": (pods_that_fail, by_steps(20), "requests failed, wanted none; the first: HTTP 500 from"),
    "a field that changes": (a_field_that_changes, by_steps(20), "shop afterwards, metadata.labels.team: wanted shop, found others"),
    "an object that stays": (
        an_object_that_stays,
        by_steps(20),
        "VirtualService objects afterwards: wanted no others than before, found left",
    ),
}


async def test_a_broken_promise_is_told_with_what_was_wanted_and_found() -> None:
    managed = ("first", "second", "beta")
    claims = [
        Cell(row=ISTIO, column=Column(name=name, says="", story=story, steps=steps, managed=managed))
        for name, (story, steps, _) in CLAIMS.items()
    ]

    outcomes = await play(claims, seed=0)

    told = {outcome.column: outcome.problem for outcome in outcomes}
    assert {name: words for name, (_, _, words) in CLAIMS.items() if words not in told[name]} == {}, told
    assert all(outcome.log for outcome in outcomes)


@pytest.mark.parametrize(
    ("wanted", "found", "edge", "seen", "allowed"),
    [
        ({"a": 0.2, "b": 0.8}, {"a": 112, "b": 288}, None, True, None),
        ({"a": 0.2, "b": 0.8}, {"a": 113, "b": 287}, None, True, 32.0),
        ({"a": 1.0}, {"a": 60}, None, True, None),
        ({"a": 1.0}, {"a": 59, "b": 1}, None, True, 0.0),
        ({"a": 1.0}, {"a": 59, "": 1}, 3, True, 0.0),
        ({"a": 0.2, "b": 0.8}, {"a": 23, "b": 77}, 3, True, None),
        ({"a": 0.2, "b": 0.8}, {"a": 24, "b": 76}, 3, True, 3),
        ({"a": 0.01, "b": 0.99}, {"b": 100}, 3, True, 3),
        ({"a": 0.01, "b": 0.99}, {"b": 100}, 3, False, None),
    ],
)
def test_a_share_may_be_off_by_chance_or_at_its_edges_and_by_no_more(
    wanted: dict[str, float],
    found: dict[str, int],
    edge: int | None,
    *,
    seen: bool,
    allowed: float | None,
) -> None:
    told = off(wanted, Counter(found), edge=edge, seen=seen)

    assert told == (None if allowed is None else pytest.approx(allowed))
