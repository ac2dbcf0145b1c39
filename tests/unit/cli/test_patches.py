from typing import Any

import msgspec
import pytest

from builders import NOW, canary, replica_set, rollout, template
from tiphys.api.rollout import BlueGreenStrategy, Rollout, Strategy
from tiphys.api.status import CanaryStatus, PauseCondition, RolloutStatus, RunStatus
from tiphys.cli.patches import Promotion, RefusedError, Skip, promotion, restart_patch, undo, with_images

PAUSED = (PauseCondition(reason="CanaryPauseStep", start_time=NOW),)
INCONCLUSIVE = CanaryStatus(current_step_analysis_run_status=RunStatus(name="run", status="Inconclusive"))
BLUE_GREEN = Strategy(blue_green=BlueGreenStrategy(active_service="web"))


def status(**fields: Any) -> RolloutStatus:  # noqa: ANN401 - the fields have types
    return RolloutStatus(**{"current_pod_hash": "new", "stable_rs": "old", **fields})


def three_steps(*, paused: bool = False, **fields: Any) -> Rollout:  # noqa: ANN401 - the fields have types
    return rollout(10, {"pause": {}}, 50, status=status(**fields), paused=paused)


@pytest.mark.parametrize(
    ("found", "skip", "expected"),
    [
        (three_steps(current_step_index=1), Skip.STEP, {"currentStepIndex": 2}),
        (three_steps(current_step_index=3), Skip.STEP, {"currentStepIndex": 3}),
        (three_steps(), Skip.ALL_STEPS, {"currentStepIndex": 3}),
        (three_steps(current_step_index=1), Skip.FULL, {"promoteFull": True}),
        (three_steps(stable_rs="new"), Skip.FULL, None),
        (
            three_steps(canary=INCONCLUSIVE, pause_conditions=PAUSED, controller_pause=True, current_step_index=1),
            Skip.NO,
            {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2},
        ),
        (three_steps(canary=INCONCLUSIVE, pause_conditions=PAUSED, current_step_index=1), Skip.NO, {"pauseConditions": None}),
        (three_steps(pause_conditions=PAUSED, controller_pause=True, current_step_index=1), Skip.NO, {"pauseConditions": None}),
        (three_steps(current_step_index=2), Skip.NO, {"pauseConditions": None, "currentStepIndex": 3}),
        (three_steps(current_step_index=3), Skip.NO, {"pauseConditions": None, "currentStepIndex": 3}),
        (three_steps(), Skip.NO, {"pauseConditions": None, "currentStepIndex": 1}),
        (rollout(status=status(), strategy=canary()), Skip.NO, None),
        (rollout(status=status(), strategy=BLUE_GREEN), Skip.NO, None),
        (rollout(status=status(pause_conditions=PAUSED), strategy=BLUE_GREEN), Skip.NO, {"pauseConditions": None}),
    ],
)
def test_promote_patches_the_status_by_what_holds_the_rollout(found: Rollout, skip: Skip, expected: dict[str, Any] | None) -> None:
    assert promotion(found, skip) == Promotion(status=None if expected is None else {"status": expected})


@pytest.mark.parametrize(("skip", "unpauses"), [(Skip.NO, True), (Skip.FULL, True), (Skip.STEP, False), (Skip.ALL_STEPS, False)])
def test_promote_lifts_a_pause_by_hand_unless_steps_are_skipped(skip: Skip, *, unpauses: bool) -> None:
    assert promotion(three_steps(paused=True), skip).spec == ({"spec": {"paused": False}} if unpauses else None)


def test_both_halves_fit_in_one_patch() -> None:
    assert promotion(three_steps(paused=True), Skip.FULL).together == {"spec": {"paused": False}, "status": {"promoteFull": True}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (rollout(strategy=BLUE_GREEN), "Cannot skip steps of a bluegreen rollout. Run without a flags"),
        (rollout(strategy=canary()), "Cannot skip steps of a rollout without steps"),
    ],
)
def test_steps_cannot_be_skipped_where_there_are_none(found: Rollout, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        promotion(found, Skip.STEP)


def test_a_restart_is_asked_for_in_utc_and_whole_seconds() -> None:
    assert restart_patch(NOW.replace(microsecond=999)) == {"spec": {"restartAt": "2026-05-04T12:00:00Z"}}


OLD, NEW = template(image="web:1"), template(image="web:2")
HISTORY = [
    replica_set("new", revision=4, pod_template=template(image="web:2", labels={"app": "web", "rollouts-pod-template-hash": "new"})),
    replica_set("old", revision=3, pod_template=template(image="web:1", labels={"app": "web", "rollouts-pod-template-hash": "old"})),
    replica_set("older", revision=1, pod_template=template(image="web:0")),
    replica_set("other", revision=9, rollout="another"),
]


def plain(raw: msgspec.Raw) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(bytes(raw))
    return found


def test_undo_goes_to_the_second_highest_revision_without_the_hash_label() -> None:
    found = undo(rollout(), plain(NEW), HISTORY, 0)

    assert (found.revision, found.patch) == (3, [{"op": "replace", "path": "/spec/template", "value": plain(OLD)}])


def test_undo_goes_to_any_revision_that_is_kept() -> None:
    assert undo(rollout(), plain(NEW), HISTORY, 1).patch[0]["value"] == plain(template(image="web:0"))


def test_undo_has_nothing_to_do_where_the_template_is_in_use() -> None:
    written_otherwise = {**plain(OLD), "spec": {**plain(OLD)["spec"], "volumes": []}}

    assert undo(rollout(), written_otherwise, HISTORY, 3).patch == []


def test_undo_has_nothing_to_do_where_the_controller_found_that_template_to_be_the_current_one() -> None:
    defaulted = rollout(status=RolloutStatus(current_pod_hash="old", observed_generation="1"))

    assert undo(defaulted, {"as": "a person wrote it"}, HISTORY, 3).patch == []
    assert undo(rollout(generation=2, status=defaulted.status), {"changed": "since"}, HISTORY, 3).patch != []


def test_undo_needs_the_revision() -> None:
    with pytest.raises(RefusedError, match="unable to find specified revision 7 in history"):
        undo(rollout(), {}, HISTORY, 7)
    with pytest.raises(RefusedError, match='no revision found for rollout "web"'):
        undo(rollout(), {}, HISTORY[:1], 0)


POD = {
    "spec": {
        "template": {
            "spec": {"initContainers": [{"name": "first", "image": "i:1"}], "containers": [{"name": "web", "image": "w:1"}], "x": 1}
        }
    }
}


def test_images_are_set_by_container_and_nothing_else_changes() -> None:
    changed = with_images(POD, {"first": "i:2"})

    assert changed["spec"]["template"]["spec"] == {**POD["spec"]["template"]["spec"], "initContainers": [{"name": "first", "image": "i:2"}]}
    assert POD["spec"]["template"]["spec"]["initContainers"] == [{"name": "first", "image": "i:1"}]


def test_a_star_means_every_container() -> None:
    spec = with_images(POD, {"*": "n:9"})["spec"]["template"]["spec"]

    assert [item["image"] for item in (*spec["initContainers"], *spec["containers"])] == ["n:9", "n:9"]


def test_an_image_needs_its_container() -> None:
    with pytest.raises(RefusedError, match='unable to find container named "db"'):
        with_images(POD, {"db": "n:9"})
