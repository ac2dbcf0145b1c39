"""What does the controller measure?"""

from datetime import timedelta

import pytest

from builders import NOW, canary, rollout
from tiphys.api.status import Condition, RolloutDuration, RolloutStatus
from tiphys.api.words import EventType, Reason
from tiphys.controller.telemetry import Telemetry, phase_of, router_of
from tiphys.core.actions import Event
from tiphys.kube.store import Key

WEB = Key("default", "web")


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("NewReplicaSetAvailable", "Completed"),
        ("RolloutPaused", "Paused"),
        ("ReplicaSetCreateError", "Error"),
        ("ProgressDeadlineExceeded", "Timeout"),
        ("RolloutAborted", "Abort"),
        ("ReplicaSetUpdated", "Progressing"),
        ("SomethingOfTheirs", "Progressing"),
    ],
)
def test_the_phase_is_the_reason_of_the_progressing_condition(reason: str, phase: str) -> None:
    status = RolloutStatus(conditions=(Condition(type="Progressing", status="True", reason=reason),))

    assert phase_of(rollout(status=status)) == phase


def test_an_invalid_spec_wins_over_every_other_phase() -> None:
    conditions = (Condition(type="Progressing", reason="RolloutPaused"), Condition(type="InvalidSpec", reason="InvalidSpec"))

    assert phase_of(rollout(status=RolloutStatus(conditions=conditions))) == "InvalidSpec"


def test_of_several_routers_the_last_in_the_documented_order_is_shown() -> None:
    routing = {"nginx": {"stableIngress": "web"}, "istio": {"virtualService": {"name": "web"}}}

    assert router_of(rollout(strategy=canary(20, routing=routing))) == "Nginx"


def test_the_page_shows_every_rollout_once() -> None:
    telemetry = Telemetry()
    telemetry.watch_rollouts(lambda: [rollout(20, replicas=3), rollout(20, name="api")])

    lines = telemetry.page().decode().splitlines()

    assert 'rollout_info_replicas_desired{name="web",namespace="default"} 3.0' in lines
    assert len([line for line in lines if line.startswith("rollout_info{")]) == 2


def test_the_series_of_a_rollout_go_with_it() -> None:
    telemetry = Telemetry()
    telemetry.passed(WEB, 0.01)
    telemetry.failed(WEB)
    telemetry.refused(WEB, "S1: nobody there")
    telemetry.told(*WEB, Event(reason=Reason.ROLLOUT_ABORTED, message="", type=EventType.WARNING))
    before = telemetry.page()

    telemetry.forget(WEB)

    assert b'name="web"' in before
    assert b'name="web"' not in telemetry.page()


def test_an_update_that_ended_is_measured_with_and_without_the_time_people_took() -> None:
    telemetry = Telemetry()
    telemetry.finished(
        RolloutDuration(
            rollout_started_at=NOW,
            finished_at=NOW + timedelta(seconds=100),
            total_manual_pause_duration_seconds=40,
            completion_status="Promoted",
        )
    )

    sums = {
        name: telemetry.registry.get_sample_value(f"rollout_{name}_seconds_sum", {"status": "Promoted"})
        for name in ("duration", "progression_duration", "manual_pause_duration")
    }
    assert sums == {"duration": 100.0, "progression_duration": 60.0, "manual_pause_duration": 40.0}
