"""Every state in which the reference can be stopped is taken over: nothing is written first, or exactly the continuing step."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pytest

from scenarios import ROLLOUT, Story
from takeover.leaving import NEW_FORM, OLD_FORM, Labelled
from takeover.readable import unreadable
from takeover.states import State, arrive
from takeover.table import STATES
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.rehearsal import Choices, rehearse
from tiphys.controller.verdicts import Rehearsal

pytestmark = pytest.mark.one_life("what the first pass writes")

FORMS: Final = (NEW_FORM, OLD_FORM)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_UID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_POD: Final = re.compile(r"(Pod web-\d)-\w+")


def rehearsed(story: Story) -> Rehearsal:
    (only,) = asyncio.run(rehearse(story.dump(), now=story.cluster.now, choices=Choices()))
    return only


def written(story: Story, rehearsal: Rehearsal) -> dict[str, dict[str, Any]]:
    """
    Give what is written, by verb and object: every field by its path, with versions for hashes and seconds from now for times.

    Of conditions, which are a list and so written whole, those that are not there yet.
    """
    stored = story.controller.manifest(ROLLOUT, "web")["status"].get("conditions", [])
    found: dict[str, dict[str, Any]] = {}
    for write in rehearsal.writes:
        body = msgspec.json.decode(msgspec.json.encode(write.body))
        status = body.get("status", {})
        if "conditions" in status:
            status["conditions"] = [condition(each) for each in status["conditions"] if each not in stored]
        about = _POD.sub(r"\1", readable(story, f"{write.verb} {write.ref.kind} {write.ref.name}"))
        found[about] = dict(fields(msgspec.json.decode(readable(story, msgspec.json.encode(body).decode()))))
    return found


def readable(story: Story, text: str) -> str:
    for version in story.replica_sets:
        text = text.replace(story.hash_of(version), version)

    def relative(found: re.Match[str]) -> str:
        at = datetime.strptime(found[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return f"{(at - story.cluster.now).total_seconds():+.0f}s"

    return _UID.sub("uid", _TIME.sub(relative, text))


def fields(body: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    """Give each field by its path; of what Tiphys notes of routers only that it does."""
    if path == f"metadata.annotations.{names.ROUTED_BY}":
        yield path, "set"
    elif isinstance(body, dict) and body:
        for key, value in body.items():
            yield from fields(value, f"{path}.{key}" if path else key)
    else:
        yield path, body


def condition(said: Manifest) -> str:
    return f"{said['type']} is {said['status']}, {said['reason']}: {said['message']}"


def served_by(story: Story) -> dict[str, str]:
    """Give the pods by uid, with the version of each."""
    return {pod["metadata"]["uid"]: pod["metadata"]["labels"].get(names.HASH_LABEL, "") for pod in story.cluster.pods({"app": "web"})}


def said(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Give verb and resource of what is written, as requests have them; an eviction creates something below a pod."""
    verbs = {"evict": "create", "patch status": "patch"}
    plurals = {"Ingress": "ingresses"}
    return [(verbs.get(each.verb, each.verb), plurals.get(each.ref.kind, f"{each.ref.kind.lower()}s")) for each in rehearsal.writes]


def first_pass(story: Story) -> list[tuple[str, str]]:
    """Let the controller decide once; gives verb and resource of what it wrote."""
    while story.last is None:
        assert story.controller.step()
    return [(verb, plural) for verb, plural, _ in story.controller.api.done]


def check_first_pass(story: Story, state: State) -> None:
    told = rehearsed(story)
    assert written(story, told) == state.first
    assert told.weight.name.lower() == state.verdict
    assert first_pass(story) == said(told)


ONE_FORM: Final = [(state, FORMS[at % 2]) for at, state in enumerate(STATES.values())]
THE_OTHER: Final = [(state, FORMS[(at + 1) % 2]) for at, state in enumerate(STATES.values())]


@pytest.mark.parametrize(("state", "label"), THE_OTHER, ids=STATES)
def test_the_first_pass_writes_nothing_or_exactly_the_continuing_step(state: State, label: Labelled) -> None:
    check_first_pass(arrive(state, label), state)


@pytest.mark.parametrize(("state", "label"), ONE_FORM, ids=STATES)
def test_after_such_a_first_pass_it_is_carried_on_to_its_end_with_the_pods_that_were_there(state: State, label: Labelled) -> None:
    story = arrive(state, label)
    versions, before = set(story.replica_sets), served_by(story)
    check_first_pass(story, state)

    story.advance(1)
    state.goes_on(story)

    assert (story.phase, story.stable, story.sizes) == state.end
    assert set(story.replica_sets) == versions
    assert story.onlooker.problems == []
    if story.rollout.spec.restart_at is None:
        wanted = story.hash_of(story.stable)
        assert {uid for uid, pod_hash in before.items() if pod_hash == wanted} <= served_by(story).keys()
    assert [problem for left in story.left for problem in unreadable(left, state.carries)] == []
