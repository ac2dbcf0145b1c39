"""Do scenarios that are told twice show what depends on the life of a process?"""

import pytest

from mortality import told_twice
from scenarios import told, weight

pytestmark = pytest.mark.one_life("it tells twice by itself")


def test_an_end_that_is_not_the_same_is_named_by_its_field() -> None:
    def tell() -> None:
        story = told(weight(20))
        story.set_image("2")
        story.rest()
        if story.controller.deaths:
            story.edit_spec(revisionHistoryLimit=3)

    with pytest.raises(AssertionError, match=r"Rollout web\.spec\.revisionHistoryLimit: 3 instead of None"):
        told_twice(tell)


def test_what_holds_in_one_life_only_says_in_which_it_does_not() -> None:
    def tell() -> None:
        story = told(weight(20))
        assert story.controller.deaths == 0

    with pytest.raises(AssertionError) as caught:
        told_twice(tell)

    assert caught.value.__notes__ == ["with a controller that dies after every write"]


def test_no_write_is_made_by_the_process_that_made_the_one_before() -> None:
    deaths: list[tuple[int, int]] = []

    def tell() -> None:
        story = told(weight(20))
        story.set_image("2")
        story.rest()
        deaths.append((story.controller.api.writes, story.controller.deaths))

    told_twice(tell)

    (_, none), (tried, all_of_them) = deaths
    assert none == 0
    assert all_of_them >= 10
    assert tried > all_of_them
