import pytest

from tiphys.core.routed_counts import canary_pods, floor_ha, stable_share


@pytest.mark.parametrize(
    ("replicas", "weight", "maximum", "minimum", "expected"),
    [
        (10, 5, 100, None, 1),
        (10, 5, 100, 2, 2),
        (3, 34, 100, None, 2),
        (1, 1, 100, 5, 1),
        (4, 50, 100, None, 2),
        (4, 90, 100, None, 4),
        (10, 5, 1000, None, 1),
        (10, 0, 100, 5, 0),
        (0, 100, 100, 2, 0),
    ],
)
def test_the_canary_gets_the_pods_of_its_share(replicas: int, weight: int, maximum: int, minimum: int | None, expected: int) -> None:
    pods = canary_pods(weight, replicas, maximum)

    assert floor_ha(pods, replicas=replicas, minimum=minimum) == expected


@pytest.mark.parametrize(
    ("canary", "stable", "recorded_canary", "recorded_stable", "weight"),
    [(2, 10, 0, 100, 20), (2, 8, 20, 80, 20), (5, 8, 20, 80, 50), (5, 5, 50, 50, 50), (10, 0, 100, 0, 100)],
)
def test_a_dynamic_stable_side_follows_the_recorded_weights(
    canary: int, stable: int, recorded_canary: int, recorded_stable: int, weight: int
) -> None:
    assert recorded_canary + recorded_stable == 100
    assert canary_pods(weight, 10) == canary
    assert max(canary_pods(100 - weight, 10), canary_pods(recorded_stable, 10)) == stable


def test_an_aborted_dynamic_canary_keeps_the_pods_of_its_recorded_weight() -> None:
    assert max(canary_pods(50, 10), canary_pods(75, 10)) == 8
    assert max(canary_pods(50, 10), canary_pods(25, 10)) == 5


@pytest.mark.parametrize(("weight", "replicas", "expected"), [(20, 5, 4), (34, 3, 1), (100, 10, 0), (0, 7, 7), (1, 1, 0)])
def test_stable_must_have_its_share_rounded_down(weight: int, replicas: int, expected: int) -> None:
    assert stable_share(weight, replicas) == expected


def test_shares_survive_numbers_beyond_32_bits() -> None:
    assert canary_pods(1_999_999_999, 2_000_000_000, 2_000_000_000) == 1_999_999_999
