"""What happens when somebody else writes the status of a Rollout, or the labels and annotations of its ReplicaSets?"""

from collections.abc import Iterator
from typing import Any

import pytest

from scenarios import PAUSE_STEP, REPLICA_SET, ROLLOUT, Story, app, blue_green_app, pause, told, weight
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.schema import object_schema
from tiphys.api.words import Reason

OURS = {Reason.RECONCILIATION_ERROR, Reason.UNSAFE_ACTION, Reason.TRAFFIC_ROUTING_ERROR}
STEPS = (weight(20), PAUSE_STEP, weight(60), pause(60), weight(80), PAUSE_STEP)
LATE, EARLY = "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"
PING_PONG_SERVICES = ("web-ping", "web-pong")


def midway(routing: Any = "istio", *, lax: bool = False) -> Story:  # noqa: ANN401 - see `app`
    """Give a story in the first of its pauses, or before a cut-over."""
    manifests = blue_green_app(autoPromotionEnabled=False) if routing == "blue-green" else app(*STEPS, routing=routing)
    story = Story(manifests, lax=lax)
    story.until_phase("Healthy")
    story.set_image("2")
    story.until_phase("Paused")
    story.forget()
    return story


def at_sixty() -> Story:
    """Give a story in its second pause, which ends by itself."""
    story = midway()
    story.promote()
    story.until_weight(60)
    story.advance(1)
    story.forget()
    return story


def view(story: Story) -> Manifest:
    """Give what must not be moved by somebody else's words."""
    status = story.status
    return {
        "phase": status.phase,
        "step": status.current_step_index,
        "stable": story.stable,
        "sizes": story.sizes,
        "weights": story.onlooker.weights(),
        "active": story.version_of(status.blue_green.active_selector),
        "pauses": [each.reason for each in status.pause_conditions],
        "held": status.controller_pause,
        "aborted": status.abort,
    }


def own_mistakes(story: Story) -> list[str]:
    told = [f"{reason}: {message}" for _, reason, message in story.controller.told.events if reason in OURS]
    return told + story.onlooker.problems


def mendings(story: Story) -> str:
    return "\n".join(message for _, reason, message in story.controller.told.events if reason == Reason.STATUS_MENDED)


def leaves(schema: Manifest, at: str = "") -> Iterator[tuple[str, Any]]:
    """Give the path of every field below *schema*, and the smallest object in which it has a type that it does not want."""
    for name, field in schema.get("properties", {}).items():
        below = field.get("items", field)
        wrong: Any = 7 if field.get("type") in {"string", "boolean", "array", "object"} else "seven"
        yield f"{at}.{name}", {name: wrong}
        for path, value in leaves(below, f"{at}.{name}"):
            yield path, {name: [value] if below is not field else value}


FIELDS = [(path, value) for path, value in leaves(object_schema(Rollout)["properties"]["status"]) if not path.endswith("Statuses.status")]


CUT_OVER = (".blueGreen", ".pauseConditions", ".controllerPause", ".stableRS", ".abort", ".promoteFull", ".current")


@pytest.mark.parametrize("routing", ["istio", "blue-green"])
def test_a_field_of_the_status_that_cannot_be_read_is_dropped_and_told_and_moves_nothing(routing: str) -> None:
    story = midway(routing, lax=True)
    before = view(story)

    for path, value in FIELDS:
        if routing == "blue-green" and not path.startswith(CUT_OVER):
            continue
        story.forget()
        story.edit_status(**value)
        story.advance(1)
        assert view(story) == before, path
        assert not own_mistakes(story), path
        assert f"{path.rpartition('.')[2]}: Invalid value: " in mendings(story), path
    assert len(FIELDS) > 100


def test_a_stable_version_that_is_recorded_nowhere_else_is_asked_for_and_nothing_moves() -> None:
    story = midway("none", lax=True)
    stable, sizes = story.status.stable_rs, story.sizes
    story.controller.api.witness = None  # it reads the status, too

    story.edit_status(stableRS=7, abort="no")
    story.advance(60)

    raw = story.controller.manifest(ROLLOUT, "web")["status"]
    assert raw["phase"] == "Degraded"
    assert "status.stableRS: Invalid value: 7: must be text" in raw["message"]
    assert "status.abort: Invalid value" in raw["message"]
    assert story.sizes == sizes

    story.edit_status(stableRS=stable)
    story.advance(60)

    assert (story.phase, story.stable, story.sizes) == ("Paused", "1", sizes)
    assert not own_mistakes(story)


def test_an_abort_that_cannot_be_read_stays_one() -> None:
    story = midway(lax=True)
    story.abort()
    story.rest()

    story.edit_status(abort="yes")
    story.rest()

    assert (story.status.abort, story.status.phase, story.weights) == (True, "Degraded", (100, 0))


def cond(**fields: str) -> Manifest:
    given = {"type": "Progressing", "status": "True", "reason": "x", "message": "m", "lastUpdateTime": EARLY, "lastTransitionTime": EARLY}
    return {**given, **fields}


def paused(**fields: str) -> Manifest:
    return {"reason": "CanaryPauseStep", "startTime": "2099-01-01T00:00:00Z", **fields}


HARMLESS: list[Manifest] = [
    {"stableRS": "unknown"},
    {"canary": {"weights": {"canary": {"weight": 77}, "stable": {"weight": 23}}}},
    {"canary": {"weights": {"canary": {"weight": -5, "podTemplateHash": "x", "serviceName": "x"}, "stable": {"weight": 200}}}},
    {"canary": None},
    {"canary": {"stablePingPong": "nonsense"}},
    {"blueGreen": {"activeSelector": "x", "previewSelector": "x"}},
    {"abortedAt": EARLY},
    {"controllerPause": False},
    {"controllerPause": False, "pauseConditions": None},
    {"collisionCount": -1},
    {"collisionCount": 2**31 - 1},
    {"observedGeneration": "x"},
    {"phase": "Nonsense", "message": "?"},
    {"replicas": -5, "readyReplicas": -5, "availableReplicas": 99, "updatedReplicas": -1, "HPAReplicas": -3},
    {"restartedAt": LATE},
    {"duration": {"rolloutStartedAt": LATE, "totalManualPauseDurationSeconds": -5}},
    {"duration": {"manualPauseStartedAt": EARLY, "finishedAt": EARLY, "completionStatus": "Nonsense"}},
    {"selector": "=,", "workloadObservedGeneration": "x"},
    {"conditions": []},
    {"conditions": [cond(), cond(status="False")]},
    {"conditions": [cond(type="Odd", status="Maybe"), cond(type="", status="", reason="", message="")]},
    {"conditions": [cond(lastUpdateTime=LATE, lastTransitionTime=LATE)]},
    {"conditions": [cond(type=each, status="?") for each in ("Paused", "InvalidSpec", "Completed", "Healthy", "Available")]},
    {"pauseConditions": [paused(reason="Because")]},
    {"pauseConditions": [paused(reason="BlueGreenPause")]},
    {"pauseConditions": [paused(reason="")]},
    {"pauseConditions": [paused()]},
    {"pauseConditions": [paused(startTime=LATE)]},
    {"pauseConditions": [paused(), paused()]},
    {"currentPodHash": None},
]


def test_a_status_that_cannot_be_right_is_put_right_and_the_pause_goes_on() -> None:
    story = at_sixty()
    before = view(story)

    for fields in HARMLESS:
        story.edit_status(**fields)
        story.advance(1)
        assert view(story) == before, fields
        assert not own_mistakes(story), fields

    story.until_weight(80)
    assert story.gained == [80]
    assert "status.stableRS" in mendings(story)


@pytest.mark.parametrize("fields", [{"currentStepIndex": -1}, {"currentPodHash": "x"}, {"currentStepHash": "x"}])
def test_a_place_that_cannot_be_is_the_first_step(fields: Manifest) -> None:
    story = at_sixty()

    story.edit_status(**fields)
    story.rest()

    assert (story.phase, story.status.current_step_index, story.weights) == ("Paused", 1, (80, 20))
    assert story.gained == [20]
    assert not own_mistakes(story)


def test_an_index_beyond_the_end_means_that_all_steps_are_done() -> None:
    story = at_sixty()

    story.edit_status(currentStepIndex=99, pauseConditions=None)
    story.rest()

    assert (story.phase, story.stable, story.status.current_step_index) == ("Healthy", "2", len(STEPS))
    assert not own_mistakes(story)


def test_an_inconclusive_analysis_that_somebody_recorded_holds_the_canary_until_people_go_on() -> None:
    story = at_sixty()

    story.edit_status(pauseConditions=[{"reason": "InconclusiveAnalysisRun", "startTime": EARLY}])
    story.advance(600)
    held = view(story)
    story.promote()
    story.rest()

    assert (held["step"], held["phase"], story.gained) == (3, "Paused", [80])
    assert not own_mistakes(story)


@pytest.mark.parametrize(
    "fields",
    [
        {"pauseConditions": [paused()]},
        {"pauseConditions": [paused(reason="x")]},
        {"stableRS": "unknown"},
        {"blueGreen": {"activeSelector": "x", "previewSelector": None}},
    ],
)
def test_nobodys_words_cut_a_blue_green_rollout_over(fields: Manifest) -> None:
    story = midway("blue-green")
    before = view(story)

    story.edit_status(**fields)
    story.rest()

    assert view(story) == before
    assert not own_mistakes(story)


@pytest.mark.parametrize("fields", [{"canary": None}, {"canary": {"stablePingPong": "nonsense"}}, {"stableRS": "unknown"}])
def test_the_roles_of_ping_and_pong_are_told_by_what_they_select(fields: Manifest) -> None:
    story = midway("ping-pong")
    before, weights = view(story), story.weights

    story.edit_status(**fields)
    story.advance(60)

    assert (view(story), story.weights) == (before, weights)
    assert not own_mistakes(story)


def test_without_routes_and_services_pods_tell_the_stable_version() -> None:
    story = midway("none")
    before = view(story)

    story.edit_status(stableRS="unknown")
    story.advance(60)

    assert view(story) == before


GARBAGE = ("x", "", "-1", "9" * 30, "1.5", LATE, None)
KEYS = (
    names.REVISION,
    names.REVISION_HISTORY,
    names.DESIRED_REPLICAS,
    names.SCALE_DOWN_DEADLINE,
    names.EPHEMERAL_METADATA,
    names.HIDDEN_METADATA,
    names.PODS_METADATA,
    names.TEMPLATE_DIGEST,
)


def test_garbage_in_the_annotations_of_replica_sets_moves_nothing() -> None:
    story = midway()
    before = view(story)
    hashes = [story.hash_of(version) for version in ("1", "2")]

    for value in GARBAGE:
        for pod_hash in hashes:
            annotations = dict.fromkeys(KEYS, value)
            story.controller.edit(REPLICA_SET, names.replica_set("web", pod_hash), {"metadata": {"annotations": annotations}})
            story.advance(2)
            assert view(story) == before, value
            assert not own_mistakes(story), value

    story.promote_full()
    story.rest()
    assert (story.phase, story.stable, story.weights) == ("Healthy", "2", (100, 0))
    assert not own_mistakes(story)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("label", [None, "other"])
def test_a_replica_set_whose_hash_label_is_gone_is_known_by_its_selector(version: str, label: str | None) -> None:
    story = midway()
    status, weights, name = story.status, story.weights, names.replica_set("web", story.hash_of(version))

    story.controller.edit(REPLICA_SET, name, {"metadata": {"labels": {names.HASH_LABEL: label}}})
    story.advance(60)

    assert (story.status.stable_rs, story.status.current_pod_hash) == (status.stable_rs, status.current_pod_hash)
    assert (story.phase, story.weights) == ("Paused", weights)
    assert len(story.onlooker.replica_sets()) == 2
    assert not own_mistakes(story)


def test_fields_that_nobody_knows_stay_where_they_are() -> None:
    story = midway(lax=True)

    story.edit_status(foreign={"a": 1}, canary={"foreign": [1]}, currentStepIndex="one")
    story.edit_spec(foreign={"b": 2})
    story.advance(1)
    story.promote_full()
    story.rest()

    found = story.controller.manifest(ROLLOUT, "web")
    assert (found["spec"]["foreign"], found["status"]["foreign"], found["status"]["canary"]["foreign"]) == ({"b": 2}, {"a": 1}, [1])
    assert story.phase == "Healthy"


def test_a_deadline_at_the_end_of_the_calendar_ends_no_pass() -> None:
    story = told(weight(20), PAUSE_STEP)
    story.set_image("2-never-ready")
    story.advance(5)
    conditions = story.controller.manifest(ROLLOUT, "web")["status"]["conditions"]

    story.edit_status(conditions=[{**each, "lastUpdateTime": "9999-12-31T23:59:00Z"} for each in conditions])
    story.advance(30)

    assert "ReconciliationError" not in story.events
    assert story.weights == (100, 0)
