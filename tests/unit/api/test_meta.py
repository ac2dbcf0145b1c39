from datetime import UTC, datetime, timedelta, timezone

import pytest

from tiphys.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference, read_time, whole_seconds, wire_time


def condition(operator: str, *values: str) -> LabelSelector:
    return LabelSelector(match_expressions=(LabelSelectorRequirement(key="tier", operator=operator, values=values),))


@pytest.mark.parametrize(
    ("selector", "labels", "wanted"),
    [
        (LabelSelector(), {}, True),
        (LabelSelector(match_labels={"app": "web"}), {"app": "web", "tier": "1"}, True),
        (LabelSelector(match_labels={"app": "web"}), {"app": "db"}, False),
        (LabelSelector(match_labels={"app": ""}), {}, False),
        (condition("In", "1", "2"), {"tier": "2"}, True),
        (condition("In", "1", "2"), {}, False),
        (condition("NotIn", "1"), {}, True),
        (condition("NotIn", "1"), {"tier": "1"}, False),
        (condition("Exists"), {"tier": ""}, True),
        (condition("Exists"), {}, False),
        (condition("DoesNotExist"), {}, True),
        (condition("DoesNotExist"), {"tier": "1"}, False),
        (condition("Maybe"), {"tier": "1"}, False),
    ],
)
def test_a_selector_matches_labels_that_meet_all_it_says(selector: LabelSelector, labels: dict[str, str], *, wanted: bool) -> None:
    assert selector.matches(labels) is wanted


def test_a_selector_has_the_text_of_the_command_line() -> None:
    selector = LabelSelector(
        match_labels={"b": "1", "a": "2"},
        match_expressions=(
            LabelSelectorRequirement(key="c", operator="In", values=("y", "x")),
            LabelSelectorRequirement(key="d", operator="DoesNotExist"),
            LabelSelectorRequirement(key="e", operator="Exists"),
        ),
    )

    assert selector.text() == "a=2,b=1,c in (x,y),!d,e"


def test_times_lose_their_fractions_and_their_zone() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert wire_time(moment) == "2026-01-02T01:04:05Z"
    assert read_time("2026-01-02T01:04:05Z") == whole_seconds(moment) == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert read_time("yesterday") is None


def test_the_controller_among_the_owners_acts() -> None:
    owners = (OwnerReference(name="a"), OwnerReference(name="b", controller=True))

    assert ObjectMeta(owner_references=owners).controller == owners[1]
    assert ObjectMeta(owner_references=owners[:1]).controller is None
