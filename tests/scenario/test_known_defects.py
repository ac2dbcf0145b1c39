"""Are the known defects of the reference none of ours? (Lifecycle reference 12.1 to 12.3, 12.6; `docs/reference-defects.md` has all.)"""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scenarios import PAUSE_STEP, REPLICA_SET, ROLLOUT, Routing, Story, at_rest, blue_green_app, old_dump, scale, scaled, told, weight
from tiphys.api import names
from tiphys.cli.main import root
from tiphys.core.actions import Why
from tiphys.core.observed import Verification
from tiphys.kube.errors import ConflictError, ForbiddenError


def paused_at(*steps: dict[str, Any], version: str = "2", **given: Any) -> Story:  # noqa: ANN401 - see `told`
    """Give a story whose *version* waits at its first pause step."""
    story = told(*steps, **given)
    story.set_image(version)
    story.until_phase("Paused", "CanaryPauseStep")
    return story


# 12.1


def test_the_revision_history_grows_with_revisions_and_with_nothing_else() -> None:
    story = told(routing="none")
    story.set_image("2")
    story.rest()
    story.set_image("1")
    story.rest()
    for value in ("a", "b", "c"):
        story.controller.edit(ROLLOUT, "web", {"metadata": {"annotations": {"team.example/note": value}}})
        story.rest()

    assert story.annotations("1")["team.example/note"] == "c"
    assert (story.revision("1"), story.annotations("1")[names.REVISION_HISTORY]) == (3, "1")


def test_conflicts_are_looked_at_again_at_once_and_nothing_is_told_twice() -> None:
    quiet, story = told(weight(20), PAUSE_STEP), told(weight(20), PAUSE_STEP)
    quiet.set_image("2")
    quiet.until_phase("Paused", "CanaryPauseStep")
    answers = iter(range(1000))
    conflict = ConflictError(409, "Conflict", "the object has been modified")
    story.controller.api.refuse = lambda verb, _plural: conflict if verb == "patch" and next(answers) % 3 == 0 else None

    began = story.cluster.now
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    assert sorted(story.events) == sorted(quiet.events)
    others = [[write for write in each.controller.api.done if write[1] != "rollouts"] for each in (story, quiet)]
    assert others[0] == others[1]
    assert (story.cluster.now - began).total_seconds() < 15


# 12.2


def test_a_weight_that_rounds_to_nobody_leaves_both_sides_a_pod_and_the_step_goes_on() -> None:
    story = paused_at(weight(75), PAUSE_STEP, routing="none", replicas=2, maxSurge=0, maxUnavailable=1)

    assert story.sizes == {"1": 1, "2": 1}
    assert story.status.current_step_index == 1


@pytest.mark.parametrize(("routing", "sizes"), [("none", {"1": 6, "2": 4}), ("istio", {"1": 10, "2": 4})])
def test_a_rollout_that_its_owner_paused_follows_a_change_of_replicas_in_its_ratio(routing: Routing, sizes: dict[str, int]) -> None:
    story = paused_at(weight(40), PAUSE_STEP, routing=routing)
    story.pause()
    story.rest()

    story.edit_spec(replicas=10)
    story.rest()
    grown = story.sizes
    story.edit_spec(replicas=5)
    story.rest()

    assert grown == sizes
    assert story.sizes["2"] == 2
    assert (story.phase, story.status.current_step_index) == ("Paused", 1)


def test_an_old_version_in_its_delay_counts_for_nothing_and_has_its_size_at_once_when_it_comes_back() -> None:
    story = told(weight(20), scaleDownDelaySeconds=6000)
    story.set_image("2")
    story.until(lambda: story.stable == "2" and story.weights == (100, 0))
    story.edit_spec(replicas=3)
    story.advance(60)
    meanwhile = (story.phase, story.status.updated_replicas, story.sizes["1"])
    story.edit_canary(steps=[weight(60), PAUSE_STEP])
    story.forget()

    story.set_image("1")
    story.until_phase("Paused", "CanaryPauseStep")

    assert meanwhile == ("Healthy", 3, 5)
    assert scaled(story)[0] == ("1", 2)
    assert story.sizes == {"1": 2, "2": 3}
    assert story.status.updated_replicas == 2


def test_an_abort_delay_of_zero_keeps_the_canary_at_its_size() -> None:
    story = paused_at(weight(40), PAUSE_STEP, abortScaleDownDelaySeconds=0)

    story.abort()
    story.rest()

    assert (story.weights, story.sizes) == ((100, 0), {"1": 5, "2": 2})


def test_an_abort_delay_longer_than_the_resync_is_kept_to_its_end() -> None:
    story = paused_at(weight(40), PAUSE_STEP, abortScaleDownDelaySeconds=2000)
    story.abort()

    story.advance(1990)
    inside = story.sizes
    story.advance(20)

    assert inside == {"1": 5, "2": 2}
    assert story.sizes == {"1": 5}


def test_the_abort_delay_begins_when_the_data_plane_does_not_deny_that_the_weight_is_gone() -> None:
    story = paused_at(weight(40), PAUSE_STEP)
    story.verification = Verification.NOT_YET
    story.abort()

    story.advance(300)
    denied = (story.weights, story.sizes, names.SCALE_DOWN_DEADLINE in story.annotations("2"))
    story.verification = None
    story.rest()

    assert denied == ((100, 0), {"1": 5, "2": 2}, False)
    assert story.sizes == {"1": 5}


@pytest.mark.parametrize("seconds", [3, 600], ids=["while it goes back", "afterwards"])
def test_with_dynamic_stable_scale_an_aborted_canary_does_not_grow_with_replicas(seconds: int) -> None:
    story = paused_at(weight(50), PAUSE_STEP, image="1-slow-10s", replicas=4, dynamicStableScale=True)
    story.advance(60)
    before = story.sizes
    story.forget()

    story.abort()
    story.advance(seconds)
    story.edit_spec(replicas=10)
    story.rest()

    assert before == {"1-slow-10s": 2, "2": 2}
    assert all(size <= 2 for version, size in scaled(story) if version == "2")
    assert "UnsafeActionRefused" not in story.events
    assert (story.sizes, story.weights, story.selectors[0]) == ({"1-slow-10s": 10}, (100, 0), "1-slow-10s")
    assert story.onlooker.problems == []


def test_between_a_count_of_pods_and_a_weight_no_pod_goes_that_comes_again() -> None:
    story = paused_at(scale(replicas=2), PAUSE_STEP, scale(matchTrafficWeight=True), weight(40), PAUSE_STEP)
    before = story.pods("2")
    story.forget()

    story.promote()
    story.rest()

    assert (story.status.current_step_index, story.weights) == (4, (60, 40))
    assert (story.pods("2"), scaled(story)) == (before, [])


def test_a_pause_at_fewer_pods_takes_the_others_although_a_later_step_wants_them() -> None:
    story = paused_at(scale(replicas=2), PAUSE_STEP, scale(replicas=1), PAUSE_STEP, weight(40))

    story.promote()
    story.rest()

    assert (story.status.current_step_index, story.sizes) == (3, {"1": 5, "2": 1})


# 12.3


def test_an_abort_outranks_a_full_promotion() -> None:
    story = paused_at(weight(20), PAUSE_STEP)
    story.bar("2")
    story.promote_full()
    story.advance(30)

    story.abort()
    story.rest()

    assert (story.status.abort, story.status.promote_full, story.stable) == (True, False, "1")
    assert (story.weights, story.sizes, story.phase) == ((100, 0), {"1": 5}, "Degraded")


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_a_full_promotion_is_carried_out_although_the_owner_pauses(routing: Routing) -> None:
    story = paused_at(weight(20), PAUSE_STEP, routing=routing)
    story.pause()
    story.rest()

    story.edit_status(promoteFull=True)
    story.rest()

    assert (story.stable, story.sizes, story.status.promote_full) == ("2", {"2": 5}, False)


def test_a_full_promotion_of_no_pods_with_dynamic_stable_scale_comes_to_its_end() -> None:
    story = paused_at(weight(20), PAUSE_STEP, replicas=4, dynamicStableScale=True)
    story.edit_spec(replicas=0)

    story.promote_full()
    story.rest()

    assert (story.stable, story.sizes) == ("2", {})
    assert all(0 <= given <= 100 for given in story.gained)
    assert "ReconciliationError" not in story.events


@pytest.mark.parametrize("routing", ["istio", "none"])
def test_deleting_the_replica_set_of_stable_promotes_nothing_and_is_told(routing: Routing) -> None:
    story = paused_at(weight(20), PAUSE_STEP, routing=routing)
    lost = story.replica_sets["1"]["metadata"]["name"]
    pod_hash = story.hash_of("1")

    story.controller.delete(REPLICA_SET, lost)
    story.rest()

    assert (story.status.stable_rs, story.status.current_step_index) == (pod_hash, 1)
    assert (story.phase, story.status.message) == ("Degraded", f"the ReplicaSet of the stable version ({pod_hash}) does not exist")
    story.promote_full()
    story.rest()
    assert (story.phase, story.stable) == ("Healthy", "2")


def test_blue_green_keeps_its_gate_when_the_replica_set_of_stable_is_deleted() -> None:
    story = at_rest(blue_green_app(autoPromotionEnabled=False))
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    pod_hash = story.hash_of("1")

    story.controller.delete(REPLICA_SET, story.replica_sets["1"]["metadata"]["name"])
    story.rest()

    assert (story.status.stable_rs, story.phase) == (pod_hash, "Degraded")
    assert story.selected("web-active") == pod_hash
    story.promote()
    story.rest()
    assert (story.phase, story.stable) == ("Healthy", "2")


def test_the_rollback_window_counts_revisions_and_a_version_that_came_back_stands_where_it_came_back() -> None:
    """Versions 1, 2, 3, then 2 again (revision 4): between 2 and 1 lies 3 now, although 2 was created right after 1."""
    story = told(weight(50), PAUSE_STEP, routing="none", replicas=4, spec={"rollbackWindow": {"revisions": 1}})
    for version in ("2", "3", "2"):
        story.set_image(version)
        story.until(lambda version=version: story.phase == "Paused" or story.stable == version)  # type: ignore[misc]
        if story.stable != version:
            story.promote_full()
        story.rest()
    assert (story.stable, story.revision("2")) == ("2", 4)

    story.set_image("1")
    story.rest()

    assert (story.phase, story.status.current_step_index, story.stable) == ("Paused", 1, "2")


def test_a_way_back_that_was_given_up_does_not_bring_the_old_version_closer() -> None:
    story = told(weight(50), PAUSE_STEP, routing="none", replicas=4, spec={"rollbackWindow": {"revisions": 1}})
    for version in ("2", "3"):
        story.set_image(version)
        story.until_phase("Paused", "CanaryPauseStep")
        story.promote_full()
        story.rest()
    story.set_image("1")
    story.until_phase("Paused", "CanaryPauseStep")
    story.set_image("3")
    story.rest()
    assert (story.phase, story.revision("1"), story.revision("3")) == ("Healthy", 4, 5)

    story.set_image("1")
    story.rest()

    assert (story.phase, story.stable) == ("Paused", "3")


def test_a_version_that_was_aborted_is_no_way_back_although_its_revision_is_lower() -> None:
    story = paused_at(weight(50), PAUSE_STEP, routing="none", replicas=4, spec={"rollbackWindow": {"revisions": 3}})
    story.abort()
    story.rest()
    story.set_image("1")
    story.rest()
    assert (story.revision("1"), story.revision("2")) == (3, 2)

    story.set_image("2")
    story.rest()

    assert (story.phase, story.stable, Why.PAUSE_STEP in story.reasons) == ("Paused", "1", True)


# 12.6


@pytest.mark.one_life("what one process reads, and when")
@pytest.mark.parametrize("deadline", [600, 30], ids=["progressing", "degraded"])
def test_the_first_pod_that_says_why_it_does_not_run_is_named_behind_the_fixed_message(deadline: int) -> None:
    story = told(weight(40), PAUSE_STEP, spec={"progressDeadlineSeconds": deadline})
    story.set_image("2-crashing")
    story.advance(10)
    early = (story.status.message, [request for request in story.controller.requests if request.kind == "Pod"])

    story.advance(110)
    late = story.status.message
    lists = [request for request in story.controller.requests if request.kind == "Pod"]
    first = story.pods("2-crashing")[0]
    story.set_image("3")
    story.until_phase("Paused", "CanaryPauseStep")

    fixed = {
        600: "more replicas need to be updated",
        30: f'ProgressDeadlineExceeded: ReplicaSet "web-{first.split("-")[1]}" has timed out progressing.',
    }[deadline]
    assert early == ("more replicas need to be updated", [])
    assert late.startswith(f"{fixed}: pod {first}: CrashLoopBackOff")
    assert 1 <= len(lists) <= 8
    assert story.message("Progressing") == "Rollout is paused"


def test_an_update_that_may_not_read_pods_goes_on_without_their_reasons() -> None:
    story = told(weight(40), PAUSE_STEP)
    story.controller.api.list = forbidden  # type: ignore[method-assign, assignment]

    story.set_image("2-slow-60s")
    story.rest()

    assert [request.verb for request in story.controller.requests if request.kind == "Pod"]
    assert "ReconciliationError" not in story.events
    assert (story.phase, story.status.message) == ("Paused", "CanaryPauseStep")


async def forbidden(*_: object, **__: object) -> list[object]:
    raise ForbiddenError(403, "Forbidden", "no pods")


def test_all_errors_of_a_spec_are_told_the_first_one_first() -> None:
    story = told(routing="none")

    story.edit_spec(progressDeadlineSeconds=-1, minReadySeconds=-1, revisionHistoryLimit=-1)
    story.rest()

    message = story.message("InvalidSpec")
    assert message.startswith('The Rollout "web" is invalid: spec.')
    assert all(f"spec.{field}" in message for field in ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit"))


def test_the_owners_pause_is_told_once() -> None:
    story = told(weight(20), routing="none")

    story.pause()
    story.rest()
    story.advance(2000)
    story.resume()
    story.rest()

    told_of = [message for _, reason, message in story.controller.told.events if reason == "RolloutPaused"]
    assert told_of == ["Rollout is paused by its owner (spec.paused)"]


def explained(story: Story, folder: Path, name: str = "web") -> Result:
    """Give what `tiphys explain` says of everything there is."""
    dump = folder / "dump.json"
    dump.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": old_dump(story)}))
    return CliRunner().invoke(root, ["explain", name, "-f", str(dump)], obj={})


def test_whoever_asks_is_told_what_blocks_an_update(tmp_path: Path) -> None:
    story = told(weight(40), PAUSE_STEP)
    story.set_image("2-never-ready")
    story.advance(30)
    stuck = explained(story, tmp_path)
    story.set_image("3")
    story.until_phase("Paused", "CanaryPauseStep")
    paused = explained(story, tmp_path)
    story.promote()
    story.rest()

    at_rest, unknown = explained(story, tmp_path), explained(story, tmp_path, "other")

    assert "web: Progressing" in stuck.stdout
    assert "waits: ReplicaSet web-" in stuck.stdout
    assert "the canary does not have the pods it needs (wanted 2 " in stuck.stdout
    assert "waits: step 1: a pause step is running (wanted to be promoted, found running)" in paused.stdout.splitlines()
    assert at_rest.stdout.splitlines() == ["web: Healthy", "waits for nothing"]
    assert unknown.exit_code == 1
