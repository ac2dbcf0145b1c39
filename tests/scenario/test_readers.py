"""Do Argo CD and the reference's kubectl plugin read of our Rollouts what is the case? (Lifecycle 2.5, user interfaces 1.5 and 7.1.)"""

from collections.abc import Mapping
from typing import Final

import msgspec
import pytest

from lives import LIVES
from readers import Reading, argo_cd, kubectl_plugin
from scenarios import PAUSE_STEP, ROLLOUT, Story, told, weight
from tiphys.api.codec import decode_rollout
from tiphys.api.meta import Manifest
from tiphys.cli.standing import standing

pytestmark = pytest.mark.one_life("moments that one process passes through")

UNSEEN: Final = "Waiting for rollout spec update to be observed"
ABORTED: Final = "RolloutAborted: Rollout aborted update to revision"
LATE: Final = 'ReplicaSet "web-<2-never-ready>" has timed out progressing.'
UNPAUSING: Final = {("routed", "promotion asked for"), ("blue-green", "promotion asked for")}

EXPECTED: Final = {
    ("plain", "deployed"): ("Healthy", ""),
    ("plain", "edited"): ("Progressing", UNSEEN),
    ("plain", "paused"): ("Suspended", "CanaryPauseStep"),
    ("plain", "aborted"): ("Degraded", f"{ABORTED} 2"),
    ("plain", "retry asked for"): ("Degraded", f"{ABORTED} 2"),
    ("plain", "updated"): ("Healthy", ""),
    ("plain", "ill"): ("Progressing", "updated replicas are still becoming available"),
    ("plain", "well"): ("Healthy", ""),
    ("routed", "canary starts"): ("Progressing", "more replicas need to be updated"),
    ("routed", "held"): ("Suspended", "manually paused"),
    ("routed", "paused"): ("Suspended", "CanaryPauseStep"),
    ("routed", "promotion asked for"): ("Suspended", "CanaryPauseStep"),
    ("routed", "updated"): ("Healthy", ""),
    ("routed", "restarting"): ("Progressing", "rollout is restarting"),
    ("routed", "scaled"): ("Progressing", UNSEEN),
    ("routed", "growing"): ("Progressing", "updated replicas are still becoming available"),
    ("routed", "grown"): ("Healthy", ""),
    ("superseded", "older"): ("Suspended", "CanaryPauseStep"),
    ("superseded", "rolled back"): ("Healthy", ""),
    ("superseded", "back at stable"): ("Healthy", ""),
    ("blue-green", "deployed"): ("Healthy", ""),
    ("blue-green", "preview starts"): ("Progressing", "active service cutover pending"),
    ("blue-green", "paused"): ("Suspended", "BlueGreenPause"),
    ("blue-green", "promotion asked for"): ("Suspended", "BlueGreenPause"),
    ("blue-green", "updated"): ("Healthy", ""),
    ("blue-green", "back"): ("Healthy", ""),
    ("blue-green", "aborted"): ("Degraded", f"{ABORTED} 4"),
    ("blue-green", "fully promoted"): ("Healthy", ""),
    ("late", "late"): ("Degraded", f"ProgressDeadlineExceeded: {LATE}"),
    ("late", "given up"): ("Degraded", f"{ABORTED} 2: {LATE}"),
    ("wrong", "wrong"): (
        "Degraded",
        'InvalidSpec: The Rollout "web" is invalid: spec.minReadySeconds: Invalid value: -1: must be 0 or more',
    ),
    ("wrong", "right"): ("Healthy", ""),
    ("wrong", "not created"): ("Progressing", "more replicas need to be updated"),
    ("wrong", "created"): ("Healthy", ""),
    ("found", "found"): ("Progressing", "updated replicas are still becoming available"),
    ("refused", "given up"): ("Degraded", f'{ABORTED} 2: ReplicaSet "web-<2>" has timed out progressing.'),
    ("workload", "deployed"): ("Healthy", ""),
    ("workload", "updated"): ("Healthy", ""),
}
"""Health and message that Argo CD shows, by life and moment."""


@pytest.mark.parametrize("where", EXPECTED, ids=": ".join)
def test_argo_cd_shows_how_a_rollout_is(where: tuple[str, str]) -> None:
    life, moment = where

    assert argo_cd(LIVES[life]().moments[moment]) == EXPECTED[where]


@pytest.mark.parametrize("where", EXPECTED, ids=": ".join)
def test_the_plugin_shows_the_same_in_its_own_words(where: tuple[str, str]) -> None:
    life, moment = where
    health, message = EXPECTED[where]
    wanted = Reading("Paused" if health == "Suspended" else health, message)
    if message == UNSEEN:
        wanted = Reading("Progressing", "waiting for rollout spec update to be observed")
    if where in UNPAUSING:
        wanted = Reading("Progressing", "waiting for rollout to unpause")

    assert kubectl_plugin(LIVES[life]().moments[moment]) == wanted


@pytest.mark.parametrize("life", LIVES)
def test_nobody_is_told_healthy_before_the_update_is_through_and_our_own_command_shows_what_theirs_does(life: str) -> None:
    for version in LIVES[life]().versions:
        health, shown = argo_cd(version), kubectl_plugin(version)
        assert health.word in {"Healthy", "Progressing", "Degraded", "Suspended"}
        assert (health.word == "Healthy") == (shown.word == "Healthy")
        status = version.get("status") or {}
        if health.word == "Healthy":
            assert status["currentPodHash"] == status["stableRS"]
            assert status["updatedReplicas"] == version["spec"]["replicas"] <= status["availableReplicas"]
        if status and "reference workload" not in shown.message:
            assert tuple(standing(decode_rollout(msgspec.json.encode(version)))) == shown


ACTIONS: Final[Mapping[str, tuple[Manifest, tuple[str, str, int]]]] = {
    "resume": ({"status": {"pauseConditions": None}, "spec": {"paused": False}}, ("Suspended", "CanaryPauseStep", 3)),
    "skip-current-step": ({"status": {"pauseConditions": None, "currentStepIndex": 2}}, ("Suspended", "CanaryPauseStep", 3)),
    "abort": ({"status": {"abort": True}}, ("Degraded", f"{ABORTED} 2", 0)),
    "pause": ({"spec": {"paused": True}}, ("Suspended", "manually paused", 1)),
    "promote-full": ({"status": {"promoteFull": True}}, ("Healthy", "", 4)),
    "restart": ({"spec": {"restartAt": "2030-01-01T00:23:25Z"}}, ("Suspended", "CanaryPauseStep", 1)),
}
"""What Argo CD's actions write at the first pause of steps 20, pause, 60, pause; and health, message and step half an hour later."""


@pytest.mark.parametrize("action", ACTIONS)
def test_the_actions_of_argo_cd_do_what_they_are_called(action: str) -> None:
    patch, (word, message, step) = ACTIONS[action]
    story = told(weight(20), PAUSE_STEP, weight(60), PAUSE_STEP, replicas=2)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    old = story.pods("1")

    _act(story, patch)
    story.advance(1800)

    assert argo_cd(story.controller.manifest(ROLLOUT, "web")) == Reading(word, message.replace("<2>", story.hash_of("2")))
    assert story.status.current_step_index == step
    assert (story.pods("1") == old) == (action not in {"restart", "promote-full"})


def test_argo_cds_retry_takes_the_abort_away() -> None:
    story = told(weight(20), PAUSE_STEP, replicas=2)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    _act(story, ACTIONS["abort"][0])
    story.until_phase("Degraded")

    _act(story, {"status": {"abort": None}})
    story.advance(60)

    assert argo_cd(story.controller.manifest(ROLLOUT, "web")) == Reading("Suspended", "CanaryPauseStep")


def _act(story: Story, patch: Manifest) -> None:
    """Write as Argo CD does: the status through its subresource, the rest apart."""
    if "status" in patch:
        story.controller.edit(ROLLOUT, "web", {"status": patch["status"]}, subresource="status")
    if "spec" in patch:
        story.controller.edit(ROLLOUT, "web", {"spec": patch["spec"]})


def test_a_template_from_elsewhere_is_not_called_seen_before_it_is() -> None:
    readings = [argo_cd(version) for version in LIVES["workload"]().versions]

    updating = readings[readings.index(Reading("Healthy", "")) :]
    assert Reading("Progressing", UNSEEN) in updating
    assert updating[-1] == Reading("Healthy", "")
