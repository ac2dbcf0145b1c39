"""Wherever Tiphys is stopped, the reference can go on: it finds what it needs, and needs nothing of ours."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest

from scenarios import ROLLOUT
from takeover.leaving import NEW_FORM
from takeover.readable import OURS, unreadable, without_ours
from takeover.states import arrive
from takeover.table import STATES
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.rehearsal import Choices, rehearse
from tiphys.controller.verdicts import Weight

Change = Callable[[list[Manifest]], Any]
PAUSED: Final = "paused until somebody promotes"


def of(objects: list[Manifest], kind: str) -> Manifest:
    return next(each for each in objects if each["kind"] == kind)


@pytest.fixture(scope="module")
def readable() -> list[Manifest]:
    story = arrive(STATES[PAUSED], NEW_FORM)
    story.rest()
    objects = story.small_dump()
    assert unreadable(objects) == []
    return objects


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: of(found, "Rollout")["metadata"].update(finalizers=["tiphys.dev/last-word"]), "has finalizers"),
        (lambda found: of(found, "ReplicaSet")["metadata"]["annotations"].pop(names.REVISION), "rollout.argoproj.io/revision is None"),
        (lambda found: of(found, "ReplicaSet")["metadata"]["annotations"].update({names.DESIRED_REPLICAS: "4"}), "sized for 4 pods"),
        (lambda found: of(found, "ReplicaSet")["metadata"]["annotations"].update({names.SCALE_DOWN_DEADLINE: "soon"}), "its deadline is"),
        (lambda found: of(found, "ReplicaSet")["metadata"].pop("ownerReferences"), "has no owner"),
        (lambda found: of(found, "ReplicaSet")["metadata"]["ownerReferences"][0].update(controller=False), "has the owners"),
        (lambda found: of(found, "Service")["metadata"].pop("annotations"), "is not annotated as managed"),
        (lambda found: of(found, "Rollout")["status"].update(currentPodHash="123"), "currentPodHash is 123"),
        (lambda found: of(found, "Rollout")["status"].update(currentStepHash="123"), "currentStepHash is 123"),
        (lambda found: of(found, "Rollout")["status"].update(currentStepIndex=9), "currentStepIndex is 9 of 4"),
        (lambda found: of(found, "Rollout")["status"].update(observedGeneration="9"), "9 is observed"),
        (lambda found: of(found, "Rollout")["status"].update(controllerPause=False), "controllerPause is False with the pauses"),
        (lambda found: of(found, "Rollout")["status"].update(abort=True), "an abort has pauses, or no time"),
        (lambda found: of(found, "Rollout")["status"].update(conditions=[]), "no Progressing condition"),
        (lambda found: of(found, "Rollout")["status"].update(replicas=9), "the status counts"),
        (lambda found: of(found, "Rollout")["status"]["canary"].pop("weights"), "no weights are recorded"),
        (lambda found: of(found, "Rollout")["status"].update(tiphys={}), "status has ['tiphys']"),
    ],
)
def test_what_the_reference_could_not_read_is_found(change: Change, problem: str, readable: list[Manifest]) -> None:
    objects = [_copied(each) for each in readable]

    change(objects)

    assert any(problem in found for found in unreadable(objects)), unreadable(objects)


def _copied(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def test_a_service_that_selects_nobody_is_found(readable: list[Manifest]) -> None:
    objects = [_copied(each) for each in readable]
    of(objects, "Service")["spec"]["selector"][names.HASH_LABEL] = "gone"

    assert any("selects gone, which no ReplicaSet has" in found for found in unreadable(objects))


def test_routes_that_say_another_weight_than_the_status_are_found() -> None:
    state = STATES["behind nginx"]
    objects = arrive(state, NEW_FORM).small_dump()
    assert unreadable(objects, state.carries) == []
    canary = next(each for each in objects if each["metadata"]["name"] == "web-web-canary")

    canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] = "50"

    assert any("the routes give the canary 50" in found for found in unreadable(objects, state.carries))


def test_a_finalizer_is_there_only_while_its_owner_asks_for_it() -> None:
    story = arrive(STATES[PAUSED], NEW_FORM)
    story.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.ON_DELETE: names.RESET_TRAFFIC}}})
    story.rest()
    asked = story.rollout.metadata.finalizers
    assert unreadable(story.small_dump()) == []

    story.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {names.ON_DELETE: None}}})
    story.rest()

    assert (asked, story.rollout.metadata.finalizers) == ((names.ON_DELETE,), ())
    assert unreadable(story.small_dump()) == []


HALF_WAY: Final = (
    PAUSED,
    "by subset",
    "ping-pong, ping is stable",
    "header and mirror routes",
    "canaryMetadata and stableMetadata",
    "without a router, paused",
    "blue-green, the preview waits",
    "behind nginx",
    "behind ambassador",
    "behind the Gateway API plugin",
)


@pytest.mark.parametrize("name", HALF_WAY)
def test_without_anything_of_ours_it_goes_on_from_the_same_place(name: str) -> None:
    """A version of Tiphys' own stands half-way; handed back and taken over again, nothing that Tiphys noted for itself is needed."""
    story = arrive(STATES[name], NEW_FORM)
    story.set_image("9")
    story.rest()
    objects = story.small_dump()
    assert (story.phase, "9" in story.sizes) == ("Paused", True)
    assert any(OURS in str(each["metadata"].get("annotations")) for each in objects)

    (again,) = asyncio.run(rehearse(without_ours(objects), now=story.cluster.now, choices=Choices()))

    assert again.weight <= Weight.NOTE, again.reasons
    assert unreadable(without_ours(objects)) == []
