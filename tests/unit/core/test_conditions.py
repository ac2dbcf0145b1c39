from dataclasses import replace

import pytest
from msgspec import structs

from builders import canary, replica_set
from reports import LATER, draft, facts, find, midway, progressing, said
from tiphys.api import names
from tiphys.api.rollout import BlueGreenStrategy, Strategy
from tiphys.api.status import BlueGreenStatus, RolloutStatus
from tiphys.api.workloads import ReplicaSet, WorkloadCondition
from tiphys.core.conditions import read_conditions, with_condition
from tiphys.core.report import Facts, report

AVAILABLE = said("Available", "True", "AvailableReason")
HEALTHY = said("Healthy", "True", "RolloutHealthy")


def stored(*conditions: object) -> RolloutStatus:
    return structs.replace(draft(), conditions=conditions)


def kinds(one: Facts) -> list[str]:
    return [cond.type for cond in report(one).status.conditions]


def test_what_is_said_already_keeps_its_message_and_its_times() -> None:
    before = read_conditions(stored(AVAILABLE, progressing()))

    after = with_condition(before, "Available", status="True", reason="AvailableReason", message="another", now=LATER)

    assert after is before


def test_another_reason_goes_to_the_end_and_keeps_the_transition_time() -> None:
    before = read_conditions(stored(progressing(), AVAILABLE))

    after = with_condition(before, "Progressing", status="True", reason="NewReplicaSetAvailable", message="done", now=LATER)

    assert tuple(after.values()) == (AVAILABLE, progressing("NewReplicaSetAvailable", message="done", updated=LATER))


def test_another_status_has_its_own_transition_time() -> None:
    after = with_condition(
        read_conditions(stored(AVAILABLE)), "Available", status="False", reason="AvailableReason", message="few", now=LATER
    )

    assert tuple(after.values()) == (said("Available", "False", "AvailableReason", "few", updated=LATER, since=LATER),)


def test_conditions_given_to_a_rule_stay_as_they_are() -> None:
    before = read_conditions(stored(progressing(), AVAILABLE))

    with_condition(before, "Progressing", status="False", reason="RolloutAborted", message="no", now=LATER)

    assert tuple(before.values()) == (progressing(), AVAILABLE)


def test_an_update_that_begins_tells_no_ill_health_of_a_rollout_that_never_was_healthy() -> None:
    assert kinds(facts(draft=midway())) == ["Progressing", "Available", "Completed", "ProgressDeadline"]


@pytest.mark.parametrize(
    "change",
    [
        {"updated_replicas": 4},
        {"available_replicas": 4},
        {"replicas": 6},
        {"stable_rs": "a"},
        {"current_step_index": 2},
        {"current_step_index": None},
        {"stable_rs": "", "current_pod_hash": ""},
    ],
)
def test_a_rollout_that_misses_anything_is_not_healthy_any_more(change: dict[str, object]) -> None:
    status = report(facts(stored=stored(HEALTHY), draft=draft(**change), now=LATER)).status

    assert find(status, "Healthy") == said("Healthy", "False", "RolloutHealthy", "Rollout is not healthy", since=LATER, updated=LATER)


def test_a_paused_rollout_is_not_called_healthy() -> None:
    status = report(facts(stored=stored(HEALTHY), paused=True)).status

    assert find(status, "Healthy").status == "False"
    assert find(status, "Progressing").reason == "NewReplicaSetAvailable"


def test_a_canary_without_steps_can_be_healthy() -> None:
    status = report(facts(strategy=canary(), draft=draft(current_step_index=None))).status

    assert find(status, "Healthy").status == "True"


def test_a_rollout_of_no_pods_is_healthy() -> None:
    empty = {"replicas": 0, "updated_replicas": 0, "available_replicas": 0, "ready_replicas": 0}
    one = facts(draft=draft(**empty))
    none_wanted = structs.replace(one.rollout, spec=structs.replace(one.rollout.spec, replicas=0))

    status = report(replace(one, rollout=none_wanted)).status

    assert find(status, "Healthy").status == "True"
    assert find(status, "Available").status == "True"


@pytest.mark.parametrize(("available", "expected"), [(5, "True"), (6, "True"), (4, "False")])
def test_enough_pods_of_any_revision_are_minimum_availability(available: int, expected: str) -> None:
    status = report(facts(draft=midway(available_replicas=available))).status

    assert find(status, "Available").status == expected


def blue_green(*, active: str, preview: str = "", preview_service: str = "", new: ReplicaSet | None = None) -> Facts:
    strategy = Strategy(blue_green=BlueGreenStrategy(active_service="active", preview_service=preview_service))
    shown = BlueGreenStatus(active_selector=active, preview_selector=preview)
    return facts(strategy=strategy, draft=draft(current_step_index=None, blue_green=shown), new=new or sized())


def sized(*, replicas: int = 5, available: int = 5, sized_for: str = "5") -> ReplicaSet:
    return replica_set("b", replicas=replicas, available=available, annotations={names.DESIRED_REPLICAS: sized_for})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (blue_green(active="b"), "True"),
        (blue_green(active=""), "False"),
        (blue_green(active="a"), "False"),
        (blue_green(active="b", new=sized(available=4)), "False"),
        (blue_green(active="b", new=sized(sized_for="3")), "False"),
        (blue_green(active="b", new=sized(replicas=6, available=5)), "False"),
    ],
)
def test_blue_green_is_available_when_the_active_pods_are_saturated(one: Facts, expected: str) -> None:
    assert find(report(one).status, "Available").status == expected


@pytest.mark.parametrize(
    ("one", "healthy"),
    [
        (blue_green(active="b"), True),
        (blue_green(active="a"), False),
        (blue_green(active="b", preview_service="preview", preview="b"), True),
        (blue_green(active="b", preview_service="preview", preview="a"), False),
    ],
)
def test_blue_green_is_healthy_when_its_services_select_the_new_pods(one: Facts, healthy: bool) -> None:  # noqa: FBT001 - a test's table
    assert ("Healthy" in kinds(one)) is healthy


def failing(pod_hash: str, reason: str) -> ReplicaSet:
    bad = WorkloadCondition(type="ReplicaFailure", status="True", reason=reason, message="no quota")
    made = replica_set(pod_hash, replicas=1)
    return structs.replace(made, status=structs.replace(made.status, conditions=(bad,)))


def test_what_the_new_replica_set_cannot_do_is_passed_on_first() -> None:
    new, old = failing("b", "FailedCreate"), failing("a", "FailedDelete")

    status = report(facts(new=new, replica_sets=(old, new), draft=midway())).status

    assert find(status, "ReplicaFailure") == said("ReplicaFailure", "True", "FailedCreate", "no quota")


def test_what_any_replica_set_cannot_do_is_passed_on_until_it_can() -> None:
    one = facts(replica_sets=(failing("a", "FailedDelete"),), draft=midway())
    failed = report(one).status

    assert find(failed, "ReplicaFailure").reason == "FailedDelete"
    assert "ReplicaFailure" not in kinds(facts(stored=failed, draft=midway()))


def test_a_pause_is_a_condition_from_the_first_one_on() -> None:
    paused = report(facts(paused=True, draft=midway())).status

    resumed = report(facts(stored=paused, draft=midway(), now=LATER)).status

    assert find(paused, "Paused") == said("Paused", "True", "RolloutPaused", "Rollout is paused")
    assert find(resumed, "Paused") == said("Paused", "False", "RolloutPaused", "Rollout is paused", since=LATER, updated=LATER)


def test_an_abort_leaves_the_paused_condition_until_the_retry() -> None:
    paused = structs.replace(midway(), conditions=(progressing("RolloutPaused", "Unknown"), said("Paused", "True", "RolloutPaused")))

    aborted = report(facts(stored=paused, draft=midway(abort=True))).status
    retried = report(facts(stored=structs.replace(aborted, abort=False), draft=midway())).status

    assert find(aborted, "Paused").status == "True"
    assert find(retried, "Paused").status == "False"
