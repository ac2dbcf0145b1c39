from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.core.counts import Counts, OldSize, Size, next_counts, other_sizes, wanted_counts

WEIGHTS = (1, 10, 25, 33, 50, 60, 75, 90, 99)
TABLE = {
    1: "0/1, 1/1 | 0/1, 1/1 | 0/1, 1/1 | 0/1, 1/1 | 1/0, 1/1 | 1/0, 1/1 | 1/0, 1/1 | 1/0, 1/1 | 1/0, 1/1",
    2: "1/1, 1/2 | 1/1, 1/2 | 1/1, 1/2 | 1/1, 1/2 | 1/1, 1/1 | 1/1, 2/1 | 1/1, 2/1 | 1/1, 2/1 | 1/1, 2/1",
    3: "1/2, 1/3 | 1/2, 1/3 | 1/2, 1/3 | 1/2, 1/2 | 2/1, 2/2 | 2/1, 2/1 | 2/1, 3/1 | 2/1, 3/1 | 2/1, 3/1",
    4: "1/3, 1/4 | 1/3, 1/4 | 1/3, 1/3 | 1/3, 2/3 | 2/2, 2/2 | 2/2, 3/2 | 3/1, 3/1 | 3/1, 4/1 | 3/1, 4/1",
    5: "1/4, 1/5 | 1/4, 1/5 | 1/4, 1/4 | 2/3, 2/4 | 3/2, 3/3 | 3/2, 3/2 | 4/1, 4/1 | 4/1, 5/1 | 4/1, 5/1",
    10: "1/9, 1/10 | 1/9, 1/9 | 3/7, 3/8 | 3/7, 3/7 | 5/5, 5/5 | 6/4, 6/4 | 8/2, 8/3 | 9/1, 9/1 | 9/1, 10/1",
}


def counts(text: str) -> Counts:
    canary, stable = text.strip().split("/")
    return Counts(canary=int(canary), stable=int(stable))


def table() -> Iterator[tuple[int, int, int, Counts]]:
    for replicas, row in TABLE.items():
        for weight, cell in zip(WEIGHTS, row.split("|"), strict=True):
            without, with_surge = cell.split(",")
            yield replicas, weight, 0, counts(without)
            yield replicas, weight, 1, counts(with_surge)
            yield replicas, weight, 7, counts(with_surge)


@pytest.mark.parametrize(("replicas", "weight", "surge", "expected"), list(table()))
def test_wanted_counts_are_those_of_the_reference(replicas: int, weight: int, surge: int, expected: Counts) -> None:
    assert wanted_counts(replicas=replicas, weight=weight, surge=surge) == expected


@pytest.mark.parametrize(
    ("weight", "surge", "expected"),
    [(14, 0, "1/9"), (15, 0, "2/8"), (20, 0, "2/8"), (18, 1, "2/9"), (19, 3, "2/9"), (20, 1, "2/8"), (23, 1, "2/8"), (24, 1, "3/8")],
)
def test_ten_replicas_round_to_the_closest_ratio(weight: int, surge: int, expected: str) -> None:
    assert wanted_counts(replicas=10, weight=weight, surge=surge) == counts(expected)


@pytest.mark.parametrize(("replicas", "weight"), [(2, 75), (5, 90), (10, 95), (25, 98), (50, 99)])
def test_stable_keeps_one_pod_where_rounding_leaves_no_candidate(replicas: int, weight: int) -> None:
    assert wanted_counts(replicas=replicas, weight=weight, surge=0) == Counts(canary=replicas - 1, stable=1)


def test_wanted_counts_survive_numbers_beyond_32_bits() -> None:
    assert wanted_counts(replicas=2_000_000, weight=500_000, surge=0, maximum=1_000_000) == Counts(canary=1_000_000, stable=1_000_000)


sizes_of_rollouts = st.integers(0, 40)
weights = st.integers(0, 100)


@given(sizes_of_rollouts, weights, st.integers(0, 3))
def test_wanted_counts_use_at_most_one_pod_more_and_leave_no_side_empty(replicas: int, weight: int, surge: int) -> None:
    wanted = wanted_counts(replicas=replicas, weight=weight, surge=surge)

    total = wanted.canary + wanted.stable
    assert replicas <= total <= replicas + min(surge, 1 if replicas else 0)
    if weight == 0:
        assert wanted == Counts(canary=0, stable=replicas)
    elif weight == 100:
        assert wanted == Counts(canary=replicas, stable=0)
    elif replicas > 1:
        assert min(wanted.canary, wanted.stable) >= 1


@pytest.mark.parametrize(
    ("given_numbers", "stable", "canary", "others", "expected_stable", "expected_canary"),
    [
        ((10, 100, 3, 0), (7, 8), (6, 3), (), 7, 6),
        ((10, 30, 2, 0), (10, 10), (0, 0), (), 10, 2),
        ((10, 20, 0, 2), (10, 10), (0, 0), (), 8, 0),
        ((10, 50, 2, 1), (10, 10), (0, 0), (), 9, 2),
        ((10, 0, 1, 1), (10, 10), (1, 1), (), 10, 0),
        ((10, 30, 1, 0), (1, 1), (0, 0), ((3, 3),), 7, 1),
        ((10, 30, 0, 3), (8, 5), (4, 4), (), 7, 3),
        ((10, 100, 1, 0), (10, 2), (10, 8), (), 2, 9),
        ((10, 30, 0, 1), (8, 6), (4, 2), ((3, 3),), 8, 4),
        ((10, 10, 0, 1), (10, 10), (0, 0), (), 9, 0),
        ((3, 99, 0, 2), (3, 3), (0, 0), (), 1, 0),
        ((3, 99, 0, 2), (1, 1), (0, 0), (), 1, 2),
        ((1, 51, 0, 1), (1, 1), (0, 0), (), 0, 0),
        ((4, 100, 1, 0), (4, 1), (0, 0), (), 4, 1),
        ((4, 100, 1, 0), (4, 1), (1, 1), (), 3, 1),
        ((4, 0, 1, 0), (0, 0), (4, 4), (), 1, 4),
        ((4, 0, 1, 0), (1, 1), (4, 4), (), 1, 3),
        ((10, 100, 3, 0), (9, 9), (4, 4), (), 6, 4),
    ],
)
def test_next_counts_are_those_of_the_reference(
    given_numbers: tuple[int, int, int, int],
    stable: tuple[int, int],
    canary: tuple[int, int],
    others: tuple[tuple[int, int], ...],
    expected_stable: int,
    expected_canary: int,
) -> None:
    replicas, weight, surge, unavailable = given_numbers

    answer = next_counts(
        replicas=replicas,
        weight=weight,
        surge=surge,
        unavailable=unavailable,
        canary=size(*canary),
        stable=size(*stable),
        others=tuple(size(*other) for other in others),
        same=False,
    )

    assert answer == Counts(canary=expected_canary, stable=expected_stable)


def size(spec: int, available: int) -> Size:
    return Size(spec=spec, available=available)


def old(name: str, revision: int, spec: int, available: int) -> OldSize:
    return OldSize(name=name, revision=revision, spec=spec, available=available)


@dataclass(frozen=True, kw_only=True)
class World:
    """A Rollout whose ReplicaSets have *well* pods that can become available; nothing means all of them."""

    replicas: int
    weight: int
    surge: int
    unavailable: int
    stable: Size
    canary: Size
    others: tuple[OldSize, ...] = ()
    sick_canary: bool = False

    @property
    def everything(self) -> tuple[Size, ...]:
        return (self.stable, self.canary, *self.others)

    @property
    def pods(self) -> int:
        return sum(one.spec for one in self.everything)

    @property
    def available(self) -> int:
        return sum(one.lasting for one in self.everything)

    def wanted(self) -> Counts:
        return wanted_counts(replicas=self.replicas, weight=self.weight, surge=self.surge)

    def planned(self) -> Counts:
        return next_counts(
            replicas=self.replicas,
            weight=self.weight,
            surge=self.surge,
            unavailable=self.unavailable,
            canary=self.canary,
            stable=self.stable,
            others=self.others,
            same=False,
        )

    def counts(self) -> Counts:
        return Counts(canary=self.canary.spec, stable=self.stable.spec)

    def write(self) -> "World":
        """Give the world after one write (stable, else canary, else the others), before any pod reacts."""
        planned = self.planned()
        if planned.stable != self.stable.spec:
            return replace(self, stable=replace(self.stable, spec=planned.stable))
        if planned.canary != self.canary.spec:
            return replace(self, canary=replace(self.canary, spec=planned.canary))
        sizes = other_sizes(
            replicas=self.replicas, unavailable=self.unavailable, canary=self.canary, stable=self.stable, others=self.others
        )
        return replace(self, others=tuple(replace(one, spec=sizes[one.name]) for one in self.others))

    def write_both(self) -> "World":
        """Give the world after canary and stable were written from one picture."""
        planned = self.planned()
        return replace(self, stable=replace(self.stable, spec=planned.stable), canary=replace(self.canary, spec=planned.canary))

    def settle(self) -> "World":
        """Give the world once the pods have reacted."""
        canary_available = min(self.canary.available, self.canary.spec) if self.sick_canary else self.canary.spec
        return replace(
            self,
            stable=replace(self.stable, available=self.stable.spec),
            canary=replace(self.canary, available=canary_available),
            others=tuple(replace(one, available=min(one.spec, one.available)) for one in self.others),
        )


def trajectory(world: World) -> list[str]:
    seen: list[str] = []
    for _ in range(200):
        after = world.write().settle()
        if after == world:
            return seen
        world = after
        seen.append(f"{world.stable.spec}+{world.canary.spec}")
    raise AssertionError(f"no rest: {seen[-6:]}")


@pytest.mark.parametrize(
    ("world", "start", "weight", "expected"),
    [
        ((10, 3, 2), "10+0", 20, "8+0, 8+2"),
        ((10, 1, 0), "10+0", 20, "10+1, 9+1, 9+2, 8+2"),
        ((10, 0, 1), "10+0", 20, "9+0, 9+1, 8+1, 8+2"),
        ((10, 3, 2), "10+0", 100, "8+0, 8+5, 3+5, 3+10, 0+10"),
        ((5, 2, 1), "5+0", 40, "4+0, 4+2, 3+2"),
        ((4, 1, 0), "4+0", 100, "4+1, 3+1, 3+2, 2+2, 2+3, 1+3, 1+4, 0+4"),
        ((3, 1, 0), "3+0", 100, "3+1, 2+1, 2+2, 1+2, 1+3, 0+3"),
        ((3, 1, 0), "3+0", 50, "3+1, 2+1, 2+2"),
        ((1, 1, 0), "1+0", 10, "1+1"),
        ((1, 0, 1), "1+0", 10, ""),
        ((1, 1, 0), "1+0", 100, "1+1, 0+1"),
        ((10, 3, 2), "5+5", 0, "8+5, 8+0, 10+0"),
        ((10, 1, 0), "5+5", 0, "6+5, 6+4, 7+4, 7+3, 8+3, 8+2, 9+2, 9+1, 10+1, 10+0"),
    ],
)
def test_the_way_is_that_of_the_reference(world: tuple[int, int, int], start: str, weight: int, expected: str) -> None:
    replicas, surge, unavailable = world
    stable, canary = (int(number) for number in start.split("+"))

    way = trajectory(
        World(
            replicas=replicas,
            weight=weight,
            surge=surge,
            unavailable=unavailable,
            stable=size(stable, stable),
            canary=size(canary, canary),
        )
    )

    assert ", ".join(way) == expected


@st.composite
def worlds(draw: st.DrawFn, *, sick: bool = True) -> World:
    replicas = draw(st.integers(0, 12))
    surge = draw(st.integers(0, 5))
    unavailable = draw(st.integers(0, replicas))
    if surge == 0 and unavailable == 0:
        unavailable = min(1, replicas)

    def some() -> Size:
        spec = draw(st.integers(0, 12))
        return size(spec, draw(st.integers(0, spec + 2)) if sick else spec)

    others = tuple(old(f"r{number}", number, *_pair(some())) for number in range(1, draw(st.integers(0, 2)) + 1))
    return World(
        replicas=replicas,
        weight=draw(weights),
        surge=surge,
        unavailable=unavailable,
        stable=some(),
        canary=some(),
        others=others,
        sick_canary=draw(st.booleans()) if sick else False,
    )


def _pair(one: Size) -> tuple[int, int]:
    return one.spec, one.available


@given(worlds())
def test_no_write_takes_pods_that_are_needed_or_adds_more_than_fit(world: World) -> None:
    for after in (world.write(), world.write_both()):
        assert after.available >= min(world.available, world.replicas - world.unavailable)
        assert after.pods <= max(world.pods, world.replicas + world.surge)


@given(worlds(sick=False))
def test_healthy_pods_come_to_rest_at_the_wanted_counts(world: World) -> None:
    for _ in range(200):
        world = world.write().settle()

    assert world.write() == world
    assert world.counts() == world.wanted()
    assert all(one.spec == 0 for one in world.others)


@given(worlds())
def test_an_abort_comes_to_rest_however_sick_the_canary_is(world: World) -> None:
    world = replace(world, weight=0)
    for _ in range(200):
        world = world.write().settle()

    assert world.counts() == Counts(canary=0, stable=world.replicas)
    assert all(one.spec == 0 for one in world.others)


@given(worlds())
def test_every_rollout_comes_to_rest_whatever_its_pods_do(world: World) -> None:
    for _ in range(200):
        world = world.write().settle()

    assert world.write() == world


def test_a_sick_canary_does_not_block_the_way_back_beside_an_older_revision() -> None:
    world = World(
        replicas=4, weight=0, surge=1, unavailable=0, stable=size(3, 3), canary=size(1, 0), others=(old("r2", 2, 1, 1),), sick_canary=True
    )

    assert world.planned() == Counts(canary=0, stable=3)


@pytest.mark.parametrize("stable", [None, size(5, 5)])
def test_a_rollout_of_one_version_gets_all_its_pods_from_it(stable: Size | None) -> None:
    first = next_counts(
        replicas=5, weight=100, surge=1, unavailable=0, canary=size(0, 0), stable=stable, others=(), same=stable is not None
    )

    assert first == Counts(canary=5, stable=0)


def test_a_rollout_of_one_version_shrinks_at_once() -> None:
    answer = next_counts(replicas=2, weight=100, surge=1, unavailable=0, canary=size(7, 3), stable=None, others=(), same=True)

    assert answer == Counts(canary=2, stable=0)


def test_no_canary_replica_set_counts_as_an_empty_one() -> None:
    answer = next_counts(replicas=10, weight=20, surge=3, unavailable=2, canary=None, stable=size(10, 10), others=(), same=False)

    assert answer == Counts(canary=2, stable=8)


def test_older_revisions_lose_sick_pods_first() -> None:
    sizes = other_sizes(replicas=10, unavailable=0, canary=size(3, 3), stable=size(6, 6), others=[old("a", 1, 3, 1)])

    assert sizes == {"a": 1}


def test_the_newest_of_the_older_revisions_shrinks_first() -> None:
    others = [old("a", 1, 3, 3), old("b", 2, 3, 3)]

    assert other_sizes(replicas=10, unavailable=1, canary=size(2, 2), stable=size(5, 5), others=others) == {"a": 2, "b": 0}
    assert other_sizes(replicas=10, unavailable=2, canary=size(2, 2), stable=size(5, 5), others=others) == {"a": 1, "b": 0}


def test_older_revisions_keep_everything_while_availability_is_short() -> None:
    sizes = other_sizes(replicas=10, unavailable=0, canary=size(5, 0), stable=size(5, 5), others=[old("a", 1, 3, 3)])

    assert sizes == {"a": 3}
