"""Shares are measured, and a run that went wrong says so."""

from dataclasses import replace

import pytest

from tiphys.demo.app import SCRIPTS
from tiphys.demo.load import Answer
from tiphys.demo.measure import Share, Window, rolling, share
from tiphys.demo.scenarios import unmet_steps
from tiphys.demo.summary import PodCount, Summary
from tiphys.demo.witness import asking_step, canary_weight

WINDOW = Window(step=2, wanted=40, stable="v1", begin=10.0, end=20.0)
FINE = Summary(
    scenario="promote",
    seconds=12.0,
    requests=100,
    failed=0,
    steps=(Share(index=0, wanted=20, measured=21.0, requests=400),),
    proxy_requests=100,
    proxy_failed=0,
    pods=(PodCount(name="a", hash="v1", served=60), PodCount(name="b", hash="v2", served=40)),
    phase="Healthy",
    message="",
    stable="v2",
    happened=(),
)


def test_only_requests_wholly_inside_the_window_count() -> None:
    answers = [Answer(9.9, 10.1, "v2", 200), Answer(11, 11.1, "v2", 200), Answer(12, 12.1, "v1", 200), Answer(19.9, 20.1, "v2", 200)]

    assert share(WINDOW, answers) == Share(index=2, wanted=40, measured=50.0, requests=2)


def test_failed_requests_have_no_share() -> None:
    assert share(WINDOW, [Answer(11, 11.1, "", 503)]).requests == 0


@pytest.mark.parametrize(("measured", "fine"), [(20.0, True), (27.9, True), (28.1, False), (12.1, True), (11.9, False)])
def test_a_share_may_be_off_by_four_standard_deviations(measured: float, *, fine: bool) -> None:
    assert Share(index=0, wanted=20, measured=measured, requests=400).within_bounds is fine


def test_all_or_nothing_must_be_exact() -> None:
    assert not Share(index=0, wanted=100, measured=99.9, requests=1000).within_bounds
    assert not Share(index=0, wanted=0, measured=0.1, requests=1000).within_bounds


def test_the_curve_is_measured_in_slices() -> None:
    answers = [Answer(10.1, 10.2, "v1", 200), Answer(10.2, 10.3, "v2", 200), Answer(11.1, 11.2, "v2", 200)]

    assert rolling(answers, [WINDOW], since=10.0, width=1.0) == [(0.5, 50.0), (1.5, 100.0)]


def test_a_fine_run_has_no_problems() -> None:
    assert FINE.problems() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failed": 1, "failures": ("HTTP 503",)}, "1 of 100 requests failed: 1 x HTTP 503"),
        ({"proxy_failed": 2}, "Envoy counted 2 failed requests"),
        ({"proxy_requests": 99}, "the counts differ: client 100, Envoy 99, pods 100"),
        ({"pods": ()}, "the counts differ: client 100, Envoy 100, pods 0"),
        ({"steps": (Share(index=0, wanted=20, measured=40.0, requests=400),)}, "step 0: 40.0 % measured where 20 % was wanted (± 8.0)"),
        ({"broken": ("aborted at weight 0",)}, "aborted at weight 0"),
    ],
)
def test_whatever_went_wrong_is_named(change: dict[str, object], words: str) -> None:
    assert words in replace(FINE, **change).problems()  # type: ignore[arg-type] # the fields are drawn from a table


def test_a_step_that_was_never_measured_is_named() -> None:
    measured = (Share(index=0, wanted=20, measured=20.0, requests=100), Share(index=2, wanted=40, measured=40.0, requests=100))

    assert unmet_steps(SCRIPTS["promote"], measured) == [
        "step 4 (setWeight 60) was never measured",
        "step 6 (setWeight 80) was never measured",
    ]


def test_the_weight_is_read_from_the_demo_s_own_route() -> None:
    def destination(name: str, weight: int) -> dict[str, object]:
        return {"destination": {"host": f"rollouts-demo-{name}"}, "weight": weight}

    entries = [
        {"name": "set-header-1", "route": [destination("canary", 100)]},
        {"name": "primary", "route": [destination("stable", 70), destination("canary", 30)]},
    ]

    assert canary_weight({"spec": {"http": entries}}) == 30


@pytest.mark.parametrize(("index", "step"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4)])
def test_a_weight_belongs_to_the_step_that_asked_for_it(index: int, step: int) -> None:
    steps = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}]

    assert asking_step({"spec": {"strategy": {"canary": {"steps": steps}}}, "status": {"currentStepIndex": index}}) == step
