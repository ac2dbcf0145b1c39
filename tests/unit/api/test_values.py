import pytest

from tiphys.api.meta import IntOrPercent
from tiphys.api.rollout import CanaryStrategy, Pause
from tiphys.api.values import max_surge, max_unavailable, pause_seconds, resolve_count


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"),
    [(0, 0, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 1), (5, 2, 1), (8, 2, 2), (10, 3, 2), (20, 5, 5)],
)
def test_a_quarter_may_be_more_or_missing_by_default(replicas: int, surge: int, unavailable: int) -> None:
    assert (max_surge(CanaryStrategy(), replicas), max_unavailable(CanaryStrategy(), replicas)) == (surge, unavailable)


@pytest.mark.parametrize(
    ("value", "up", "down"), [(3, 3, 3), ("25", 3, 2), ("25%", 3, 2), ("0%", 0, 0), ("100%", 10, 10), ("-5%", 0, -1), ("150%", 15, 15)]
)
def test_an_integer_is_a_count_and_text_a_percentage(value: IntOrPercent, up: int, down: int) -> None:
    assert (resolve_count(value, 10, round_up=True), resolve_count(value, 10, round_up=False)) == (up, down)


@pytest.mark.parametrize("value", ["", "%", "ten", "1.5%", "5 %", "5%%"])
def test_text_without_a_whole_percentage_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is neither a count nor a percentage"):
        resolve_count(value, 10, round_up=True)


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "wanted"),
    [(0, 0, 5, 1), ("0%", "0%", 5, 1), (0, 0, 0, 0), (0, 9, 5, 5), (1, 0, 5, 0), (0, "10%", 5, 1)],
)
def test_one_pod_may_be_missing_where_nothing_could_move(
    surge: IntOrPercent, unavailable: IntOrPercent, replicas: int, wanted: int
) -> None:
    assert max_unavailable(CanaryStrategy(max_surge=surge, max_unavailable=unavailable), replicas) == wanted


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (None, None),
        (0, 0),
        (10, 10),
        ("10", 10),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1m.5s", 60),
        ("1ms", 0),
        ("1.9s", 1),
        ("1500ms500us", 1),
        ("+5s", 5),
        ("-0s", 0),
        (-1, -1),
        ("-5", -1),
        ("-1m", -1),
        ("1 h", -1),
        ("1d", -1),
        ("", -1),
        ("soon", -1),
        ("5.5", -1),
        (2**31, -1),
        (2**31 - 1, 2**31 - 1),
        ("2147483648", -1),
        ("9999999h", -1),
        ("600000h", -1),
    ],
)
def test_a_pause_lasts_as_long_as_it_says(duration: IntOrPercent | None, seconds: int | None) -> None:
    assert pause_seconds(Pause(duration=duration)) == seconds
