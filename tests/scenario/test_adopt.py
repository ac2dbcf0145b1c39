"""What the first pass would write is told before a controller starts; a dump of the cluster is enough."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from scenarios import PAUSE_STEP, Story, at_rest, blue_green_app, told, weight
from tiphys.api.meta import Manifest
from tiphys.controller.rehearsal import Rehearsal, Weight, rehearse
from tiphys.traffic.settings import Settings

STEPS = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)


def dump(story: Story) -> list[Manifest]:
    """Give every object of the cluster, as `kubectl get -o yaml` shows it."""
    store = story.cluster.store
    return [msgspec.json.decode(msgspec.json.encode(stored.manifest)) for kind in store.registry for stored in store.scan(kind)]


def rehearsed(story: Story, objects: list[Manifest] | None = None) -> Rehearsal:
    found = dump(story) if objects is None else objects
    (only,) = asyncio.run(rehearse(found, now=story.cluster.now, routers=Settings()))
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
    objects = dump(story)
    for each in objects:
        if each["kind"] == "Rollout":
            each["status"] |= {"currentStepIndex": 2, "pauseConditions": [], "controllerPause": False}

    found = rehearsed(story, objects)

    assert found.weight is Weight.STEP
    assert [reason for reason in found.reasons if "pods" in reason] == [f"ReplicaSet web-{story.hash_of('2')} would go from 1 to 3 pods"]
    assert ("patch", "ReplicaSet") in [(write.verb, write.ref.kind) for write in found.writes]


def test_a_template_that_no_replica_set_carries_stops_the_takeover() -> None:
    story = told(*STEPS)
    objects = dump(story)
    for each in objects:
        if each["kind"] == "Rollout":
            each["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "1"}]

    found = rehearsed(story, objects)

    assert found.weight is Weight.STOP
    assert any("would be created" in reason for reason in found.reasons)
    assert ("create", "ReplicaSet") in [(write.verb, write.ref.kind) for write in found.writes]


def test_a_spec_that_would_be_refused_stops_the_takeover_and_names_the_field() -> None:
    story = told(*STEPS)
    objects = [each for each in dump(story) if (each["kind"], each["metadata"]["name"]) != ("Service", "web-canary")]

    found = rehearsed(story, objects)

    assert found.weight is Weight.STOP
    assert any("canaryService" in reason for reason in found.reasons)


def test_replica_sets_without_an_owner_are_adopted_first_and_the_pass_goes_on() -> None:
    story = told(*STEPS)
    objects = dump(story)
    for each in objects:
        if each["kind"] == "ReplicaSet":
            del each["metadata"]["ownerReferences"]

    found = rehearsed(story, objects)

    assert found.weight is Weight.NOTE
    assert [write.what for write in found.writes] == [f"adopt ReplicaSet web-{story.hash_of('1')}"]


def test_nothing_of_the_dump_is_changed() -> None:
    story = told(*STEPS)
    story.set_image("2")
    objects = dump(story)
    before = msgspec.json.encode(objects)

    rehearsed(story, objects)

    assert msgspec.json.encode(objects) == before


def test_the_command_reads_a_dump_and_fails_where_a_pod_would_be_started(tmp_path: Path) -> None:
    story = told(*STEPS)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": dump(story)}))
    bad.write_text(yaml.safe_dump_all([each for each in dump(story) if each["kind"] != "ReplicaSet"]))
    command = [str(Path(sys.executable).with_name("tiphys")), "adopt", "--check", "-f"]

    fine = subprocess.run([*command, str(good)], capture_output=True, text=True, check=False)
    stopped = subprocess.run([*command, str(bad), "--json"], capture_output=True, text=True, check=False)

    assert (fine.returncode, fine.stdout) == (0, "✔ default/web: nothing to write\n"), fine.stderr
    assert stopped.returncode == 1
    (told_of,) = msgspec.json.decode(stopped.stdout)
    assert told_of["verdict"] == "stop"
    assert {write["verb"] for write in told_of["writes"]} >= {"create"}
    assert "not to be taken over like this: default/web" in stopped.stderr


def test_a_fleet_is_judged_one_by_one() -> None:
    story = told(*STEPS)
    objects = dump(story)
    other = [
        {**each, "metadata": {**each["metadata"], "namespace": "shop", "uid": "another"}}
        for each in objects
        if each["kind"] in {"Rollout", "Service"}
    ]

    found = asyncio.run(rehearse([*objects, *other], now=story.cluster.now, routers=Settings()))

    assert [(each.key.namespace, each.weight) for each in found] == [("default", Weight.NOTHING), ("shop", Weight.STOP)]
