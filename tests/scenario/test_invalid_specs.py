"""Does a Rollout whose spec or whose objects are wrong say so, stand still, leave others alone and go on once it is mended?"""

import pytest

from inprocess import rollout_manifest
from scenarios import PAUSE_STEP, ROLLOUT, SERVICE, VIRTUAL_SERVICE, Story, app, blue_green_app, template, weight
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind


def midway(*, lax: bool = False, blue_green: bool = False) -> Story:
    """Give a story that waits for people in the middle of an update."""
    story = Story(blue_green_app(autoPromotionEnabled=False) if blue_green else app(weight(20), PAUSE_STEP, weight(60)), lax=lax)
    story.until_phase("Healthy")
    story.set_image("2")
    story.until_phase("Paused")
    story.forget()
    return story


def stands_invalid(story: Story, text: str) -> None:
    """Assert that the Rollout says that it is invalid as documented: condition, phase, message, event, generation (1.9)."""
    status = story.status
    said = f'The Rollout "web" is invalid: {text}'
    assert story.condition("InvalidSpec") == ("True", "InvalidSpec")
    assert story.message("InvalidSpec").startswith(said), story.message("InvalidSpec")
    assert (status.phase, status.message) == ("Degraded", f"InvalidSpec: {story.message('InvalidSpec')}")
    assert status.observed_generation == str(story.rollout.metadata.generation)
    assert story.events.count("InvalidSpec") == 1


SPECS: list[tuple[Manifest, Manifest, str]] = [
    ({"revisionHistoryLimit": -1}, {"revisionHistoryLimit": None}, "spec.revisionHistoryLimit: Invalid value: -1: must be 0 or more"),
    ({"minReadySeconds": 600}, {"minReadySeconds": 0}, "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than"),
    (
        {"template": {"spec": {"restartPolicy": "Never"}}},
        {"template": {"spec": {"restartPolicy": None}}},
        'spec.template.spec.restartPolicy: Invalid value: "Never": must be Always',
    ),
    (
        {"strategy": {"canary": {"stableService": "web-canary"}}},
        {"strategy": {"canary": {"stableService": "web-stable"}}},
        'spec.strategy.stableService: Invalid value: "web-canary": must differ from canaryService',
    ),
    (
        {"strategy": {"canary": {"maxSurge": 0, "maxUnavailable": 0}}},
        {"strategy": {"canary": {"maxSurge": None, "maxUnavailable": None}}},
        "spec.strategy.maxSurge: Invalid value: 0: must not be 0 beside maxUnavailable 0",
    ),
]


@pytest.mark.parametrize(("wrong", "right", "text"), SPECS, ids=[text.split(":")[0] for _, _, text in SPECS])
def test_a_wrong_spec_is_told_nothing_moves_and_a_mended_one_goes_on(wrong: Manifest, right: Manifest, text: str) -> None:
    story = midway()
    sizes, weights, others = story.sizes, story.weights, [each for each in story.status.conditions if each.type != "InvalidSpec"]

    story.edit_spec(**wrong)
    story.advance(60)
    stands_invalid(story, text)
    kept = [each for each in story.status.conditions if each.type != "InvalidSpec"]
    here = (story.sizes, story.weights, kept)
    story.edit_spec(**right)
    story.advance(60)

    assert here == (sizes, weights, others)
    assert (story.condition("InvalidSpec"), story.phase, story.sizes, story.weights) == (("", ""), "Paused", sizes, weights)
    story.promote()
    story.until_phase("Healthy")
    assert story.stable == "2"


def test_all_that_is_wrong_is_told_in_one_message_and_another_message_is_another_condition() -> None:
    story = midway()

    story.edit_spec(minReadySeconds=-1, revisionHistoryLimit=-1)
    story.advance(5)
    first = story.message("InvalidSpec")
    since = next(each.last_transition_time for each in story.status.conditions if each.type == "InvalidSpec")
    story.edit_spec(minReadySeconds=0)
    story.advance(5)

    assert first == (
        'The Rollout "web" is invalid: spec.minReadySeconds: Invalid value: -1: must be 0 or more; '
        "spec.revisionHistoryLimit: Invalid value: -1: must be 0 or more"
    )
    assert story.message("InvalidSpec") == 'The Rollout "web" is invalid: spec.revisionHistoryLimit: Invalid value: -1: must be 0 or more'
    assert next(each.last_transition_time for each in story.status.conditions if each.type == "InvalidSpec") != since


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (SERVICE, "web-canary", 'spec.strategy.canary.canaryService: Invalid value: "web-canary": must be a Service in namespace'),
        (SERVICE, "web-stable", 'spec.strategy.canary.stableService: Invalid value: "web-stable": must be a Service in namespace'),
        (
            VIRTUAL_SERVICE,
            "web",
            'spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: "web": must name an existing',
        ),
    ],
)
def test_an_object_that_goes_is_told_and_one_that_comes_back_goes_on(kind: Kind, name: str, text: str) -> None:
    story = midway()
    sizes, found = story.sizes, story.controller.manifest(kind, name)

    story.controller.delete(kind, name)
    story.advance(60)
    stands_invalid(story, text)
    here = story.sizes
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "annotations", "labels") if key in found["metadata"]}
    story.controller.create({**found, "metadata": metadata})
    story.advance(60)

    assert here == sizes
    assert (story.condition("InvalidSpec"), story.phase, story.weights) == (("", ""), "Paused", (80, 20))


def test_a_service_of_other_pods_is_told_for_blue_green_too() -> None:
    story = midway(blue_green=True)

    story.controller.edit(SERVICE, "web-preview", {"spec": {"selector": {"tier": "front"}}})
    story.advance(60)
    stands_invalid(
        story, 'spec.strategy.blueGreen.previewService: Invalid value: "web-preview": must be a Service that selects the pod template'
    )
    story.controller.edit(SERVICE, "web-preview", {"spec": {"selector": {"tier": None}}})
    story.advance(60)

    assert (story.condition("InvalidSpec"), story.phase, story.stable) == (("", ""), "Paused", "1")


TYPES: list[tuple[Manifest, Manifest, str]] = [
    ({"minReadySeconds": "5"}, {"minReadySeconds": None}, 'spec.minReadySeconds: Invalid value: "5": must be an integer'),
    (
        {"progressDeadlineSeconds": 2**40},
        {"progressDeadlineSeconds": None},
        "spec.progressDeadlineSeconds: Invalid value: 1099511627776: must be an integer of 32 bits",
    ),
    ({"strategy": {"canary": {"steps": {}}}}, {}, 'spec.strategy.canary.steps: Invalid value: "{}": must be a list'),
    (
        {"strategy": {"canary": {"steps": [{"setMirrorRoute": {"name": "a", "match": [{"headers": {"x": {"exact": 7}}}]}}]}}},
        {},
        "spec.strategy.canary.steps[0].setMirrorRoute.match[0].headers.x.exact: Invalid value: 7: must be text",
    ),
    ({"restartAt": "2026-01-31T08:00:00"}, {"restartAt": None}, 'spec.restartAt: Invalid value: "2026-01-31T08:00:00": must be an RFC'),
]


def test_wrong_types_are_told_through_the_whole_controller_and_are_nobody_elses_business() -> None:
    story = midway(lax=True)
    steps, sizes = [weight(20), PAUSE_STEP, weight(60)], story.sizes
    story.controller.api.witness = None  # it reads the Rollout, too
    story.controller.create(rollout_manifest("shop", weight(50), PAUSE_STEP, istio=False, replicas=2))
    story.advance(60)

    for at, (wrong, right, text) in enumerate(TYPES):
        story.edit_spec(**wrong)
        story.controller.edit(ROLLOUT, "shop", {"spec": {"template": template(f"shop-{at}")}})
        story.advance(60)
        raw, shop = story.controller.manifest(ROLLOUT, "web")["status"], story.controller.rollout("shop").status
        assert (raw["phase"], shop.phase) == ("Degraded", "Paused"), text
        assert raw["message"].startswith(f'InvalidSpec: The Rollout "web" is invalid: {text}'), raw["message"]
        story.edit_spec(**{"strategy": {"canary": {"steps": steps}}, **right})
        story.advance(60)
        assert (story.condition("InvalidSpec"), story.phase, story.weights) == (("", ""), "Paused", (80, 20)), text
        assert {version: story.sizes[version] for version in sizes} == sizes


def test_all_wrong_types_are_told_in_one_message() -> None:
    story = midway(lax=True)
    story.controller.api.witness = None

    story.edit_spec(minReadySeconds="5", paused="no", strategy={"canary": {"maxSurge": 1.5}})
    story.advance(60)

    message = story.controller.manifest(ROLLOUT, "web")["status"]["message"]
    for text in ("spec.minReadySeconds: Invalid value", "spec.paused: Invalid value", "spec.strategy.canary.maxSurge: Invalid value: 1.5"):
        assert text in message


def test_nulls_that_a_lax_definition_keeps_are_missing_fields() -> None:
    story = Story([], lax=True)
    story.controller.api.witness = None  # there is nothing for it to look at
    shop = rollout_manifest("shop", weight(50), PAUSE_STEP, istio=False, replicas=2)
    shop["spec"] |= {"restartAt": None, "analysis": None, "minReadySeconds": None}
    shop["spec"]["strategy"]["canary"] |= {"maxSurge": None, "trafficRouting": None}

    story.controller.create(shop)
    story.advance(60)

    assert None in story.controller.manifest(ROLLOUT, "shop")["spec"].values()
    assert story.controller.rollout("shop").status.phase == "Healthy"
