"""What the first pass would write is told before a controller starts; a dump of the cluster is enough."""

import asyncio
from inspect import signature

import msgspec
import pytest

from scenarios import PAUSE_STEP, Story, at_rest, blue_green_app, told, weight
from tiphys.api.meta import Manifest
from tiphys.controller.manager import Controller
from tiphys.controller.rehearsal import Choices, Rehearsal, rehearse
from tiphys.controller.verdicts import Weight

STEPS = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)


def rehearsed(story: Story, objects: list[Manifest] | None = None) -> Rehearsal:
    found = story.dump() if objects is None else objects
    (only,) = asyncio.run(rehearse(found, now=story.cluster.now, choices=Choices()))
    return only


def edited(objects: list[Manifest], kind: str, **fields: object) -> list[Manifest]:
    return [{**each, **fields} if each["kind"] == kind else each for each in objects]


@pytest.mark.parametrize("routing", ["istio", "subsets", "none"])
def test_a_rollout_at_rest_or_in_a_pause_is_taken_over_without_a_write(routing: str) -> None:
    story = told(*STEPS, routing=routing)
    assert rehearsed(story).weight is Weight.NOTHING

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()

    found = rehearsed(story)
    assert (found.weight, found.writes) == (Weight.NOTHING, ())
    assert any("pause step" in wait for wait in found.waits)


def test_blue_green_is_taken_over_in_a_pause_without_a_write() -> None:
    story = at_rest(blue_green_app(autoPromotionEnabled=False))
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    story.rest()

    assert rehearsed(story).weight is Weight.NOTHING


def test_the_step_that_would_be_continued_is_told_with_every_write() -> None:
    story = told(*STEPS)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    objects = story.dump()
    for each in objects:
        if each["kind"] == "Rollout":
            each["status"] |= {"currentStepIndex": 2, "pauseConditions": [], "controllerPause": False}

    found = rehearsed(story, objects)

    assert found.weight is Weight.STEP
    assert [reason for reason in found.reasons if "pods" in reason] == [f"ReplicaSet web-{story.hash_of('2')} would go from 1 to 3 pods"]
    assert ("patch", "ReplicaSet") in [(write.verb, write.ref.kind) for write in found.writes]


def test_a_template_that_no_replica_set_carries_stops_the_takeover() -> None:
    story = told(*STEPS)
    objects = story.dump()
    for each in objects:
        if each["kind"] == "Rollout":
            each["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "1"}]

    found = rehearsed(story, objects)

    assert found.weight is Weight.STOP
    assert any("would be created" in reason for reason in found.reasons)
    assert ("create", "ReplicaSet") in [(write.verb, write.ref.kind) for write in found.writes]


def test_a_spec_that_would_be_refused_stops_the_takeover_and_names_the_field() -> None:
    story = told(*STEPS)
    objects = [each for each in story.dump() if (each["kind"], each["metadata"]["name"]) != ("Service", "web-canary")]

    found = rehearsed(story, objects)

    assert found.weight is Weight.STOP
    assert any("canaryService" in reason for reason in found.reasons)


def test_replica_sets_without_an_owner_are_adopted_first_and_the_pass_goes_on() -> None:
    story = told(*STEPS)
    objects = story.dump()
    for each in objects:
        if each["kind"] == "ReplicaSet":
            del each["metadata"]["ownerReferences"]

    found = rehearsed(story, objects)

    assert found.weight is Weight.NOTE
    assert [write.what for write in found.writes] == [f"adopt ReplicaSet web-{story.hash_of('1')}"]


def test_a_rehearsal_decides_and_is_gated_by_what_the_controller_is() -> None:
    controllers, rehearsals = signature(Controller.__init__).parameters, signature(rehearse).parameters

    assert [controllers[name].default for name in ("decide", "gate")] == [rehearsals[name].default for name in ("decide", "gate")]


def test_nothing_of_the_dump_is_changed() -> None:
    story = told(*STEPS)
    story.set_image("2")
    objects = story.dump()
    before = msgspec.json.encode(objects)

    rehearsed(story, objects)

    assert msgspec.json.encode(objects) == before


def test_a_fleet_is_judged_one_by_one() -> None:
    story = told(*STEPS)
    objects = story.dump()
    other = [
        {**each, "metadata": {**each["metadata"], "namespace": "shop", "uid": "another"}}
        for each in objects
        if each["kind"] in {"Rollout", "Service"}
    ]

    found = asyncio.run(rehearse([*objects, *other], now=story.cluster.now, choices=Choices()))

    assert [(each.key.namespace, each.weight) for each in found] == [("default", Weight.NOTHING), ("shop", Weight.STOP)]
