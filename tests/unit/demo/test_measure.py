"""Shares are measured, and a run that went wrong says so."""

from dataclasses import replace

import pytest

from tiphys.demo.app import SCRIPTS
from tiphys.demo.gate import asking_step
from tiphys.demo.load import Answer
from tiphys.demo.measure import Share, Window, rolling, share
from tiphys.demo.scenarios import unmet_steps
from tiphys.demo.summary import EntryCount, PodCount, ProxyCount, Summary

WINDOW = Window(step=2, wanted=40, stable="v1", begin=10.0, end=20.0)
ENTRY = EntryCount(router="istio", host="demo.local", requests=100, failed=0)
PROXY = ProxyCount(name="Envoy", routers=("istio",), requests=100, failed=0)
FINE = Summary(
    scenario="promote",
    seconds=12.0,
    entries=(ENTRY,),
    steps=(Share(index=0, wanted=20, measured=21.0, requests=400, router="istio"),),
    proxies=(PROXY,),
    pods=(PodCount(name="a", hash="v1", served=60), PodCount(name="b", hash="v2", served=40)),
    phase="Healthy",
    message="",
    stable="v2",
    happened=(),
)


def test_only_requests_wholly_inside_the_window_count() -> None:
    answers = [Answer(9.9, 10.1, "v2", 200), Answer(11, 11.1, "v2", 200), Answer(12, 12.1, "v1", 200), Answer(19.9, 20.1, "v2", 200)]

    assert share(WINDOW, answers) == Share(index=2, wanted=40, measured=50.0, requests=2)


def test_an_exact_share_may_be_off_by_one_and_by_what_began_anew_or_was_under_way() -> None:
    answers = [Answer(9.9, 10.1, "v2", 200), Answer(11, 11.1, "v2", 200), Answer(19.9, 20.1, "v2", 200), Answer(19.8, 20.2, "v1", 200)]

    measured = share(replace(WINDOW, reloads=2), answers, router="traefik")

    assert measured == Share(index=2, wanted=40, measured=100.0, requests=1, router="traefik", slack=6)


@pytest.mark.parametrize(("measured", "fine"), [(20.0, True), (20.5, True), (20.6, False), (19.5, True), (19.4, False)])
def test_an_exact_share_may_be_off_by_its_slack(measured: float, *, fine: bool) -> None:
    assert Share(index=0, wanted=20, measured=measured, requests=400, slack=2).within_bounds is fine


def test_failed_requests_have_no_share() -> None:
    assert share(WINDOW, [Answer(11, 11.1, "", 503)]).requests == 0


@pytest.mark.parametrize(("measured", "fine"), [(20.0, True), (27.9, True), (28.1, False), (12.1, True), (11.9, False)])
def test_a_share_may_be_off_by_four_standard_deviations(measured: float, *, fine: bool) -> None:
    assert Share(index=0, wanted=20, measured=measured, requests=400).within_bounds is fine


def test_all_or_nothing_must_be_exact() -> None:
    assert not Share(index=0, wanted=100, measured=99.9, requests=1000).within_bounds
    assert not Share(index=0, wanted=0, measured=0.1, requests=1000).within_bounds
    assert not Share(index=0, wanted=0, measured=0.1, requests=1000, slack=3).within_bounds


def test_the_curve_is_measured_in_slices() -> None:
    answers = [Answer(10.1, 10.2, "v1", 200), Answer(10.2, 10.3, "v2", 200), Answer(11.1, 11.2, "v2", 200)]

    assert rolling(answers, [WINDOW], since=10.0, width=1.0) == [(0.5, 50.0), (1.5, 100.0)]


def test_a_fine_run_has_no_problems() -> None:
    assert FINE.problems() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entries": (replace(ENTRY, failed=1),), "failures": ("HTTP 503",)}, "1 of 100 requests failed: 1 x HTTP 503"),
        ({"proxies": (replace(PROXY, failed=2),)}, "Envoy counted 2 failed requests"),
        ({"proxies": (replace(PROXY, requests=99),)}, "the counts differ: client 100, Envoy of istio 99"),
        ({"pods": ()}, "the counts differ: client 100, pods 0"),
        (
            {"steps": (Share(index=0, wanted=20, measured=40.0, requests=400, router="istio"),)},
            "step 0 behind istio: 40.0 % measured where 20 % was wanted (± 8.0)",
        ),
        ({"broken": ("aborted at weight 0",)}, "aborted at weight 0"),
    ],
)
def test_whatever_went_wrong_is_named(change: dict[str, object], words: str) -> None:
    assert words in replace(FINE, **change).problems()  # type: ignore[arg-type] # the fields are drawn from a table


def test_a_step_that_was_never_measured_is_named() -> None:
    everything = [Share(index=index, wanted=20, measured=20.0, requests=100, router="istio") for index in (0, 2, 4, 6)]
    half = [replace(share, router="nginx") for share in everything[:2]]

    assert unmet_steps(SCRIPTS["promote"], [*everything, *half], routers=["istio", "nginx"]) == [
        "step 4 (setWeight 60) was never measured behind nginx",
        "step 6 (setWeight 80) was never measured behind nginx",
    ]


def test_two_proxies_are_counted_each_by_its_own_requests() -> None:
    other = EntryCount(router="nginx", host="nginx.demo.local", requests=50, failed=0)
    traefik = ProxyCount(name="Traefik", routers=("nginx",), requests=50, failed=0)
    pods = (PodCount(name="a", hash="v1", served=150),)
    both = replace(FINE, entries=(ENTRY, other), proxies=(PROXY, traefik), pods=pods)

    assert both.problems() == []
    assert replace(both, entries=(replace(ENTRY, requests=101), replace(other, requests=49))).problems() == [
        "the counts differ: client 101, Envoy of istio 100",
        "the counts differ: client 49, Traefik of nginx 50",
    ]


@pytest.mark.parametrize(("index", "step"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4)])
def test_a_weight_belongs_to_the_step_that_asked_for_it(index: int, step: int) -> None:
    steps = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}]

    assert asking_step({"spec": {"strategy": {"canary": {"steps": steps}}}, "status": {"currentStepIndex": index}}) == step
