"""What does the controller measure?"""

from datetime import timedelta

import pytest

from builders import NOW, canary, rollout
from clocks import VirtualClock
from rows import BUCKETS, METRICS
from scrapes import read
from tiphys.api.status import Condition, RolloutDuration, RolloutStatus
from tiphys.api.words import EventType, Reason
from tiphys.controller.scrape import phase_of, router_of
from tiphys.controller.telemetry import QueueMetrics, Telemetry
from tiphys.core.actions import Event
from tiphys.kube.resources import PODS
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


def busy() -> Telemetry:
    """Give telemetry to which everything has happened once."""
    telemetry = Telemetry()
    telemetry.watch_rollouts(lambda: [rollout(20)])
    queue = QueueMetrics(telemetry.registry, "Rollouts", lambda: 3, lambda: [1.5, 2.0])
    queue.added()
    queue.started(0.1)
    queue.finished(0.2)
    queue.retried()
    telemetry.passed(WEB, 0.01)
    telemetry.failed(WEB)
    telemetry.broke(WEB)
    telemetry.refused(WEB, "S1: nobody there")
    telemetry.stale()
    telemetry.conflicted()
    telemetry.asked("probe", answered=True, seconds=0.1)
    telemetry.told(*WEB, Event(reason=Reason.ROLLOUT_ABORTED, message="", type=EventType.WARNING))
    telemetry.requested("list", PODS, "default", None, 200, 0.1)
    telemetry.finished(RolloutDuration(rollout_started_at=NOW, finished_at=NOW, completion_status="Aborted"))
    return telemetry


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_the_name_the_type_and_the_labels_that_dashboards_ask_for(name: str) -> None:
    kind, labels = METRICS[name]

    found = read(busy().page().decode())[name]

    assert (found.type, found.labels) == (kind, {frozenset(labels)})
    assert found.buckets >= set(BUCKETS.get(name, ()))
    assert name not in BUCKETS or len(found.buckets) == len(BUCKETS[name])


def test_what_only_we_measure_is_called_ours() -> None:
    found = read(busy().page().decode())

    others = set(found) - set(METRICS)
    assert len(others) == 5
    assert all(name.startswith("tiphys_") for name in others), others


def test_a_request_is_counted_in_the_words_of_clients_in_go() -> None:
    telemetry = Telemetry()
    telemetry.requested("list", PODS, "default", None, 200, 0.1)
    telemetry.requested("patch", None, None, None, 0, 0.1)

    lines = [line for line in telemetry.page().decode().splitlines() if line.startswith("controller_clientset")]

    assert lines == [
        'controller_clientset_k8s_request_total{kind="pods",name="N/A",namespace="default",status_code="200",verb="List"} 1.0',
        'controller_clientset_k8s_request_total{kind="Unknown",name="N/A",namespace="",status_code="0",verb="Patch"} 1.0',
    ]


def test_the_work_that_workers_have_in_hand_is_shown_while_they_have_it() -> None:
    value = busy().registry.get_sample_value

    assert value("workqueue_depth", {"name": "Rollouts"}) == 3
    assert value("workqueue_unfinished_work_seconds", {"name": "Rollouts"}) == 3.5
    assert value("workqueue_longest_running_processor_seconds", {"name": "Rollouts"}) == 2.0


def test_of_all_phases_one_is_shown_as_the_present_one() -> None:
    page = busy().page().decode().splitlines()

    phases = {line.partition('phase="')[2].partition('"')[0]: line.endswith(" 1.0") for line in page if line.startswith("rollout_phase{")}
    assert phases == {
        "Completed": False, "Progressing": True, "Paused": False, "Timeout": False, "Error": False, "Abort": False, "InvalidSpec": False,
    }  # fmt: skip


def test_the_series_of_a_rollout_go_after_it_and_stay_if_it_comes_back() -> None:
    clock = VirtualClock()
    telemetry = Telemetry(clock.monotonic)
    telemetry.passed(WEB, 0.01)
    telemetry.failed(WEB)
    telemetry.refused(WEB, "S1: nobody there")
    telemetry.told(*WEB, Event(reason=Reason.ROLLOUT_ABORTED, message="", type=EventType.WARNING))

    telemetry.forget(WEB)
    clock.jump(64)
    telemetry.present(WEB)
    clock.jump(10)
    back = of_web(telemetry)
    telemetry.forget(WEB)
    clock.jump(64)
    gone = of_web(telemetry)
    clock.jump(1)

    assert back == gone != []
    assert of_web(telemetry) == []


def of_web(telemetry: Telemetry) -> list[str]:
    return [line for line in telemetry.page().decode().splitlines() if 'name="web"' in line]


def test_nobody_has_to_scrape_for_series_to_go() -> None:
    clock = VirtualClock()
    telemetry = Telemetry(clock.monotonic)
    for number in range(3):
        telemetry.passed(Key("default", f"web-{number}"), 0.01)
        telemetry.forget(Key("default", f"web-{number}"))
        clock.jump(65)

    assert telemetry.registry.get_sample_value("rollout_reconcile_count", {"namespace": "default", "name": "web-1"}) is None
    assert telemetry.registry.get_sample_value("rollout_reconcile_count", {"namespace": "default", "name": "web-2"}) == 1


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
