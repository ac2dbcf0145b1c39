from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from builders import NOW, canary, rollout
from fakeapi import FakeApi
from tiphys.api.rollout import BlueGreenStrategy, Rollout, Strategy
from tiphys.api.status import PauseCondition, RolloutStatus
from tiphys.cli import standing as view
from tiphys.cli.kinds import ROLLOUTS
from tiphys.cli.listing import Printer, rows_of
from tiphys.cli.patches import RefusedError
from tiphys.cli.rows import row
from tiphys.cli.standing import Standing, standing
from tiphys.cli.watch import once_text, tell_once, tell_until_done


def with_status(generation: int = 2, **fields: Any) -> Rollout:  # noqa: ANN401 - the fields have types
    return rollout(10, 50, generation=generation, status=RolloutStatus(**{"observed_generation": "2", **fields}))


PAUSES = (PauseCondition(reason="CanaryPauseStep", start_time=NOW),)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (with_status(generation=3, phase="Healthy"), Standing("Progressing", "waiting for rollout spec update to be observed")),
        (with_status(generation=1, phase="Healthy"), Standing("Healthy", "")),
        (with_status(generation=3, observed_generation="a7f", phase="Healthy"), Standing("Healthy", "")),
        (with_status(controller_pause=True, phase="Paused"), Standing("Progressing", "waiting for rollout to unpause")),
        (with_status(controller_pause=True, pause_conditions=PAUSES, phase="Paused", message="m"), Standing("Paused", "m")),
        (with_status(phase="Degraded", message="why"), Standing("Degraded", "why")),
        (with_status(), Standing("Progressing", "more replicas need to be updated")),
        (with_status(updated_replicas=5, available_replicas=5, pause_conditions=PAUSES), Standing("Paused", "CanaryPauseStep")),
    ],
)
def test_the_first_test_that_holds_says_how_a_rollout_is(found: Rollout, expected: Standing) -> None:
    assert standing(found) == expected


@pytest.mark.parametrize(
    ("fields", "weight"),
    [
        ({}, 100),
        ({"stable_rs": "one", "current_pod_hash": "one"}, 100),
        ({"stable_rs": "one", "current_pod_hash": "two"}, 10),
        ({"stable_rs": "one", "current_pod_hash": "two", "current_step_index": 1}, 50),
        ({"stable_rs": "one", "current_pod_hash": "two", "current_step_index": 2}, 100),
        ({"stable_rs": "one", "current_pod_hash": "two", "current_step_index": 1, "abort": True}, 0),
        ({"stable_rs": "one", "current_pod_hash": "two", "promote_full": True}, 100),
    ],
)
def test_the_weight_that_is_set_comes_from_the_steps(fields: dict[str, Any], weight: int) -> None:
    assert view.set_weight(with_status(**fields)) == weight


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Standing("Healthy", "ignored"), "Healthy"),
        (Standing("Degraded", "ignored"), "Degraded"),
        (Standing("Paused", "CanaryPauseStep"), "Paused - CanaryPauseStep"),
        (Standing("Progressing", ""), "Progressing - "),
    ],
)
def test_a_status_that_is_not_waited_for_has_a_dash_unless_it_is_final(found: Standing, text: str) -> None:
    assert once_text(found) == text


@pytest.mark.parametrize(("phase", "code"), [("Healthy", 0), ("Progressing", 0), ("Paused", 0), ("Degraded", 1)])
async def test_only_degraded_fails_a_status_that_is_not_waited_for(phase: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi((ROLLOUTS, {"metadata": {"name": "web"}, "status": {"phase": phase}}))

    assert await tell_once(api, "web") == code
    assert capsys.readouterr().out.startswith(phase)


async def each(*found: Rollout | None) -> AsyncIterator[Rollout | None]:
    for item in found:
        yield item


async def test_a_watched_status_is_told_at_each_change_and_ends_when_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    moving = with_status(phase="Progressing", message="on its way")
    healthy = with_status(phase="Healthy")

    await tell_until_done(each(moving, moving, with_status(phase="Paused"), healthy, moving), "web")

    assert capsys.readouterr().out.splitlines() == ["Progressing - on its way", "Paused", "Healthy"]


async def test_a_watched_status_fails_when_degraded_or_gone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RefusedError, match="The rollout is in a degraded state with message: broken"):
        await tell_until_done(each(with_status(phase="Degraded", message="broken")), "web")
    with pytest.raises(RefusedError, match='rollout "web" was deleted'):
        await tell_until_done(each(None), "web")
    assert capsys.readouterr().out.splitlines() == ["Degraded - broken"]


def named(name: str, namespace: str = "default", **fields: Any) -> Rollout:  # noqa: ANN401 - the fields have types
    status = RolloutStatus(phase="Paused", ready_replicas=4, replicas=5, updated_replicas=1, available_replicas=3, **fields)
    return rollout(10, 50, name=name, namespace=namespace, status=status)


def test_a_rollout_is_told_in_one_line() -> None:
    assert row(named("web", stable_rs="a")).values == ("web", "Canary", "Paused", "0/2", "10", "4/5", "5", "1", "3")
    assert row(rollout(strategy=canary())).values[3:5] == ("-", "100")
    assert row(rollout(strategy=Strategy(blue_green=BlueGreenStrategy()))).values[1:5] == ("BlueGreen", "Progressing", "-", "-")
    assert row(rollout(strategy=Strategy())).values[1] == "unknown"


class Lines(list[str]):
    """What was printed."""


def printer(lines: Lines, *, namespace: bool = False, timestamp: bool = False, always: bool = False) -> Printer:
    return Printer(with_namespace=namespace, with_timestamp=timestamp, header_always=always, echo=lines.append)


def test_columns_are_as_wide_as_their_longest_value_and_never_narrower_than_usual() -> None:
    lines = Lines()

    printer(lines).print(rows_of([named("web", stable_rs="a"), named("a-rather-long-name")]), NOW)

    assert lines == [
        "NAME                STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
        "a-rather-long-name  Canary     Paused        0/2   100         4/5    5        1           3        ",
        "web                 Canary     Paused        0/2   10          4/5    5        1           3        ",
    ]


def test_a_watched_list_adds_what_looks_different_and_says_nothing_of_what_is_gone() -> None:
    lines = Lines()
    shown = printer(lines, namespace=True, timestamp=True, always=True)

    shown.print({}, NOW)
    shown.print(rows_of([named("web", "shop"), named("api")]), NOW)
    shown.print(rows_of([named("web", "shop")]), NOW)
    changed = named("web", "shop")
    shown.print(rows_of([msgspec.structs.replace(changed, status=msgspec.structs.replace(changed.status, phase="Healthy"))]), NOW)

    assert [line.split()[:4] for line in lines] == [
        ["TIMESTAMP", "NAMESPACE", "NAME", "STRATEGY"],
        ["2026-05-04T12:00:00Z", "default", "api", "Canary"],
        ["2026-05-04T12:00:00Z", "shop", "web", "Canary"],
        ["2026-05-04T12:00:00Z", "shop", "web", "Canary"],
    ]


def test_a_list_may_be_of_one_name() -> None:
    assert list(rows_of([named("web"), named("api")], "api")) == [("default", "api")]


def test_nothing_is_printed_for_no_rollouts_unless_watched() -> None:
    lines = Lines()

    printer(lines).print({}, NOW)

    assert lines == []
