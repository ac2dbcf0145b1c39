"""Is a proxy believed to act upon exactly those states of the objects that it says?"""

from tiphys.devcluster.proxies.progress import PATIENCE, Progress

WEB, OTHER = ("Route", "default-web"), ("Route", "default-other")
PODS = ("Service", "default-web")


def test_a_state_is_reached_when_the_proxy_says_the_same() -> None:
    progress = Progress()
    progress.note({WEB: 1}, version=5, now=0)

    assert progress.reached({}, version=5, now=1) == (0, ())
    assert progress.reached({WEB: 1}, version=5, now=1) == (5, ())


def test_an_older_word_reaches_just_before_the_next_one() -> None:
    progress = Progress()
    for version, value in ((5, 1), (9, 2), (12, 3)):
        progress.note({WEB: value}, version=version, now=0)

    assert progress.reached({WEB: 1}, version=12, now=1) == (5, ())
    assert progress.reached({WEB: 2}, version=12, now=1) == (9, ())
    assert progress.reached({WEB: 3}, version=12, now=1) == (12, ())


def test_a_change_counts_from_right_after_the_look_before_it() -> None:
    progress = Progress()
    progress.note({}, version=5, now=0)
    progress.note({WEB: 1}, version=9, now=0)

    assert progress.reached({}, version=9, now=1) == (5, ())


def test_all_objects_have_to_be_there() -> None:
    progress = Progress()
    progress.note({WEB: 1, OTHER: 1}, version=5, now=0)
    progress.note({WEB: 2, OTHER: 1}, version=7, now=0)
    progress.note({WEB: 2, OTHER: 2}, version=9, now=0)

    assert progress.reached({WEB: 1, OTHER: 2}, version=9, now=1) == (5, ())
    assert progress.reached({WEB: 2, OTHER: 1}, version=9, now=1) == (7, ())
    assert progress.reached({WEB: 2, OTHER: 2}, version=9, now=1) == (9, ())


def test_an_object_that_is_gone_has_to_be_gone_from_the_proxy() -> None:
    progress = Progress()
    progress.note({WEB: 1}, version=5, now=0)
    progress.note({}, version=7, now=0)

    assert progress.reached({WEB: 1}, version=7, now=1) == (5, ())
    assert progress.reached({}, version=7, now=1) == (7, ())


def test_a_service_that_no_route_speaks_of_is_not_awaited() -> None:
    progress = Progress()
    progress.note({PODS: frozenset({"10.0.0.1"})}, version=5, now=0)

    assert progress.reached({}, version=5, now=1) == (5, ())
    assert progress.reached({PODS: frozenset()}, version=5, now=1) == (0, ())


def test_addresses_count_until_the_proxy_has_let_go_of_them() -> None:
    progress = Progress()
    progress.note({PODS: frozenset({"10.0.0.1"})}, version=5, now=0)
    progress.note({PODS: frozenset({"10.0.0.2"})}, version=7, now=0)
    assert progress.addresses() == {"10.0.0.1", "10.0.0.2"}

    progress.reached({PODS: frozenset({"10.0.0.2"})}, version=7, now=1)

    assert progress.addresses() == {"10.0.0.2"}


def test_an_object_that_is_never_acted_upon_is_told_and_holds_up_the_others_no_longer() -> None:
    progress = Progress()
    progress.note({WEB: 1, OTHER: 1}, version=5, now=0)

    assert progress.reached({OTHER: 1}, version=5, now=PATIENCE) == (0, ())
    late = progress.reached({OTHER: 1}, version=5, now=PATIENCE + 1)

    assert late == (5, ("Route default-web is not acted upon: found None, wanted 1",))
    progress.note({WEB: 2, OTHER: 1}, version=8, now=PATIENCE + 2)
    assert progress.reached({OTHER: 1}, version=8, now=PATIENCE + 3) == (0, ())
