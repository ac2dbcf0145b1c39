"""Do other programs read the documented events, conditions and phases in the lives of Rollouts? (Lifecycle reference 2 and 10.1.)"""

import pytest

from lives import LIVES
from rows import CONDITIONS, CONDITIONS_OF_OURS, EVENTS, FIELDS, PHASES, Event, Field, Said, Shown

pytestmark = pytest.mark.one_life("moments that one process passes through")


@pytest.mark.parametrize("row", EVENTS, ids=lambda row: f"{row.life}: {row.message}")
def test_an_event_is_told_in_its_words_and_as_often_as_it_happens(row: Event) -> None:
    told = LIVES[row.life]().events

    assert told.count((row.type, row.reason, row.message)) == row.times, [each for each in told if each[1] == row.reason]


@pytest.mark.parametrize("row", CONDITIONS, ids=lambda row: f"{row.type} {row.status} {row.reason}")
def test_a_condition_is_read_as_documented(row: Said) -> None:
    assert row[1:] in LIVES[row.life]().conditions


@pytest.mark.parametrize("row", PHASES, ids=lambda row: f"{row.phase} {row.message}")
def test_a_phase_and_its_message_are_read_as_documented(row: Shown) -> None:
    assert row[1:] in LIVES[row.life]().phases


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: f"{row.path} of {row.life} {row.moment}")
def test_a_field_of_the_status_has_the_documented_value(row: Field) -> None:
    value: object = LIVES[row.life]().moments[row.moment]["status"]

    for part in row.path.split("."):
        value = value.get(part) if isinstance(value, dict) else None

    assert value == row.value


@pytest.mark.parametrize(
    ("life", "ended"),
    [
        ("plain", {"Promoted": 2, "Aborted": 1}),
        ("superseded", {"Promoted": 1, "FastPromoted": 3, "Superseded": 1, "RolledBack": 1, "FastRolledBack": 2}),
        ("blue-green", {"Promoted": 2, "Aborted": 1, "FastPromoted": 1, "FastRolledBack": 1}),
        ("late", {"Promoted": 1, "Aborted": 1}),
        ("refused", {"Promoted": 1, "Aborted": 1}),
    ],
)
def test_every_update_is_measured_once_by_how_it_ends(life: str, ended: dict[str, int]) -> None:
    assert LIVES[life]().ended == ended


@pytest.mark.parametrize(
    ("life", "labels", "pods"),
    [
        ("routed", {"strategy": "canary", "traffic_router": "Istio", "phase": "Completed"}, (6, 0, 6, 6)),
        ("blue-green", {"strategy": "blueGreen", "traffic_router": "", "phase": "Completed"}, (2, 0, 2, 2)),
        ("late", {"strategy": "canary", "traffic_router": "", "phase": "Abort"}, (2, 0, 2, 0)),
    ],
)
def test_a_scrape_tells_how_a_rollout_is(life: str, labels: dict[str, str], pods: tuple[int, ...]) -> None:
    """The pods are those available, unavailable, desired and updated."""
    who = {"namespace": "default", "name": "web"}
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in LIVES[life]().samples}

    assert [set(key[1]) for key in found if key[0] == "rollout_info"] == [set({**who, **labels}.items())]
    counted = ("available", "unavailable", "desired", "updated")
    assert tuple(found[f"rollout_info_replicas_{word}", frozenset(who.items())] for word in counted) == pods
    phase = {**who, "strategy": labels["strategy"], "phase": labels["phase"]}
    assert found["rollout_phase", frozenset(phase.items())] == 1
    assert sum(value for (name, _), value in found.items() if name == "rollout_phase") == 1


@pytest.mark.parametrize("life", LIVES)
def test_no_version_of_a_rollout_says_anything_else(life: str) -> None:
    """Statuses, types and reasons of conditions are documented ones, each type once; whoever has a status has a phase and a generation."""
    documented = {row[1:4] for row in CONDITIONS} | CONDITIONS_OF_OURS

    for version in LIVES[life]().versions:
        status = version.get("status")
        if not status:
            continue
        said = [(cond["type"], cond["status"], cond["reason"]) for cond in status["conditions"]]
        assert set(said) <= documented
        assert len({kind for kind, _, _ in said}) == len(said)
        assert all(cond["lastUpdateTime"] >= cond["lastTransitionTime"] for cond in status["conditions"])
        assert status["phase"] in {"Healthy", "Degraded", "Progressing", "Paused"}
        assert 0 < int(status["observedGeneration"]) <= version["metadata"]["generation"]
