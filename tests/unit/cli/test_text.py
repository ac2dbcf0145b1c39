from datetime import UTC, datetime, timedelta

import pytest

from tiphys.cli.text import Cell, Colour, age, cells, short_duration, table

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (45.9, "45s"),
        (119, "119s"),
        (120, "2m"),
        (372, "6m12s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (4 * 3600 - 60, "3h59m"),
        (8 * 3600, "8h"),
        (2 * 86400 - 1, "47h"),
        (2 * 86400, "2d"),
        (2 * 86400 + 3600, "2d1h"),
        (8 * 86400, "8d"),
        (730 * 86400, "2y"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations_have_kubectls_short_form(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text


def test_an_age_that_nobody_knows_is_said_to_be_unknown() -> None:
    assert age(None, NOW) == "<unknown>"
    assert age(NOW - timedelta(days=9), NOW) == "9d"


def test_colours_take_no_room_in_a_table() -> None:
    rows = [(cells(Cell("⟳", Colour.RED), " a"), cells("end")), (cells("longer"), cells("x", Cell("y", Colour.GREEN)))]

    assert table(rows, colour=False) == "⟳ a     end\nlonger  xy\n"
    assert table(rows, colour=True) == "\x1b[31m⟳\x1b[0m a     end\nlonger  x\x1b[32my\x1b[0m\n"
