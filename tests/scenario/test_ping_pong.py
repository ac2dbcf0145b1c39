"""Do ping and pong exchange their roles, and nothing under traffic its pods? (Traffic-routing reference 2.4, 10.6)"""

import pytest

from inprocess import service_manifest
from scenarios import BETA, CANARY_SERVICE, PAUSE_STEP, STABLE_SERVICE, VIRTUAL_SERVICE, Story, app, pause, told, weight
from tiphys.core.observed import Verification
from tiphys.devcluster.kinds import SERVICES

STEPS = (weight(20), PAUSE_STEP, weight(60))


def roles(story: Story) -> tuple[str, dict[str, str]]:
    """Which Service is stable, and which versions both select."""
    return story.status.canary.stable_ping_pong, {name: story.selected(f"web-{name}") for name in ("ping", "pong")}


def written(story: Story, plural: str) -> list[str]:
    return [body for verb, kind, body in story.controller.api.done if kind == plural and verb == "patch"]


def update(story: Story, image: str) -> None:
    story.set_image(image)
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.rest()


def test_three_promotions_give_ping_pong_ping_and_no_service_under_weight_changes_its_pods() -> None:
    story = told(*STEPS, routing="ping-pong")
    first = roles(story)

    update(story, "2")
    second = roles(story)
    update(story, "3")
    third = roles(story)

    assert first == ("ping", {"ping": "1", "pong": "1"})
    assert second == ("pong", {"ping": "1", "pong": "2"})
    assert third == ("ping", {"ping": "3", "pong": "2"})
    assert story.weights == (100, 0)
    assert story.sizes == {"3": 5}
    assert story.onlooker.problems == []


def test_a_promotion_writes_neither_route_nor_service() -> None:
    story = told(*STEPS, routing="ping-pong")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.until_weight(100)
    story.controller.api.done.clear()

    story.rest()

    assert story.stable == "2"
    assert (written(story, "virtualservices"), written(story, "services")) == ([], [])
    assert story.recorded == (100, 0)


def test_the_pods_of_the_retired_service_have_their_delay_and_go() -> None:
    story = told(weight(50), routing="ping-pong", scaleDownDelaySeconds=90)

    story.set_image("2")
    story.until(lambda: story.stable == "2")
    story.advance(80)
    kept = story.sizes
    story.rest()

    assert kept == {"1": 5, "2": 5}
    assert story.sizes == {"2": 5}
    assert story.selected("web-ping") == "1", "the retired Service is not pointed anew"


def test_a_retired_service_that_is_not_confirmed_to_be_drained_keeps_its_pods() -> None:
    story = told(weight(50), routing="ping-pong")
    story.set_image("2")
    story.until(lambda: story.stable == "2")
    story.verification = Verification.NOT_YET
    story.advance(600)
    doubtful = story.sizes
    story.verification = None
    story.rest()

    assert doubtful == {"1": 5, "2": 5}
    assert story.sizes == {"2": 5}


def test_the_canarys_service_names_a_version_before_it_has_pods() -> None:
    """A load balancer that gates readiness has to know each pod from its start."""
    story = told(*STEPS, routing="ping-pong")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    switched = next(at for at, (_, kind, _) in enumerate(story.controller.api.done) if kind == "services")
    grown = next(
        at
        for at, (verb, kind, body) in enumerate(story.controller.api.done)
        if kind == "replicasets" and verb == "patch" and "replicas" in body
    )
    assert switched < grown


def test_an_abort_takes_the_weight_back_and_a_retry_gives_it_again_without_a_switch() -> None:
    story = told(*STEPS, routing="ping-pong")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.abort()
    story.rest()
    aborted = (story.weights, roles(story), story.sizes)
    story.controller.api.done.clear()
    story.retry()
    story.until_phase("Paused", "CanaryPauseStep")
    retried = (story.weights, roles(story))
    story.promote_full()
    story.rest()

    assert aborted == ((100, 0), ("ping", {"ping": "1", "pong": "2"}), {"1": 5})
    assert retried == ((80, 20), ("ping", {"ping": "1", "pong": "2"}))
    assert written(story, "services") == []
    assert roles(story) == ("pong", {"ping": "1", "pong": "2"})
    assert story.onlooker.problems == []


def test_a_superseding_version_waits_until_the_canarys_service_is_drained() -> None:
    story = told(*STEPS, routing="ping-pong")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("3")
    story.until(lambda: story.phase == "Paused" and story.selected("web-pong") == "3")
    story.promote()
    story.rest()

    assert story.onlooker.gained == [20, 0, 20, 60, 100]
    assert roles(story) == ("pong", {"ping": "1", "pong": "3"})
    assert story.sizes == {"3": 5}
    assert story.onlooker.problems == []


def test_a_rollback_by_template_leaves_the_roles_as_they_are() -> None:
    story = told(*STEPS, routing="ping-pong")
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.set_image("1")
    story.rest()

    assert (story.stable, story.weights, story.sizes) == ("1", (100, 0), {"1": 5})
    assert roles(story)[0] == "ping"
    assert story.onlooker.problems == []


def test_with_dynamic_stable_scale_the_retired_version_follows_its_weight() -> None:
    story = told(weight(20), {"setHeaderRoute": BETA}, pause(5), weight(60), pause(5), routing="ping-pong", dynamicStableScale=True)

    update_by_itself(story, "2")

    assert story.sizes == {"2": 5}
    assert story.managed_routes == []
    assert story.onlooker.problems == []


def update_by_itself(story: Story, image: str) -> None:
    story.set_image(image)
    story.until(lambda: story.stable == image)
    story.rest()


def test_named_services_beside_ping_pong_carry_the_traffic_and_all_four_follow() -> None:
    story = told(*STEPS, pingPong={"pingService": "web-a", "pongService": "web-b"})

    update(story, "2")

    assert (story.stable, story.selectors, story.weights) == ("2", ("2", "2"), (100, 0))
    assert story.status.canary.stable_ping_pong == "pong"
    assert (story.selected("web-a"), story.selected("web-b")) == ("1", "2")
    assert story.sizes == {"2": 5}
    assert story.onlooker.problems == []


def test_ping_pong_without_a_router_exchanges_roles_all_the_same() -> None:
    story = told(weight(50), routing="none", pingPong={"pingService": "web-ping", "pongService": "web-pong"})

    update_by_itself(story, "2")
    second = story.status.canary.stable_ping_pong
    update_by_itself(story, "3")

    assert (second, story.status.canary.stable_ping_pong) == ("pong", "ping")
    assert story.selected("web-ping") == "3"
    assert story.sizes == {"3": 5}


def test_a_missing_ping_service_is_named_and_recovered_from() -> None:
    story = told(*STEPS, routing="ping-pong")
    story.cluster.store.delete(SERVICES, "web-ping", namespace="default")
    story.advance(30)
    told_of = story.message("InvalidSpec")
    story.controller.create(service_manifest("web-ping"))
    story.rest()

    assert "web-ping" in told_of
    assert story.phase == "Healthy"
    assert story.selected("web-ping") == "1"
    assert story.weights == (100, 0)


@pytest.mark.parametrize("stored", ["", "ping", "pong", "nonsense"])
def test_whatever_the_status_said_a_first_deployment_comes_to_rest(stored: str) -> None:
    story = Story(app(*STEPS, routing="ping-pong"))
    story.edit_status(canary={"stablePingPong": stored})
    story.rest()

    assert story.status.canary.stable_ping_pong == ("pong" if stored == "ping" else "ping")
    assert story.weights == (100, 0)
    assert story.onlooker.problems == []


def test_a_rollout_changes_to_ping_pong_and_back() -> None:
    story = told(*STEPS)
    update(story, "2")
    for name in ("web-ping", "web-pong"):
        story.controller.create(service_manifest(name))

    split = [{"destination": {"host": "web-pong"}, "weight": 100}, {"destination": {"host": "web-ping"}, "weight": 0}]
    story.controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": [{"route": split}]}})
    pair = {"pingService": "web-ping", "pongService": "web-pong"}
    story.edit_canary(canaryService=None, stableService=None, pingPong=pair)
    story.rest()
    let_go = story.selectors
    update(story, "3")
    alternated = (story.stable, story.weights, roles(story), story.sizes)
    split = [{"destination": {"host": STABLE_SERVICE}, "weight": 100}, {"destination": {"host": CANARY_SERVICE}, "weight": 0}]
    story.controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": [{"route": split}]}})
    story.edit_canary(canaryService=CANARY_SERVICE, stableService=STABLE_SERVICE, pingPong=None)
    story.rest()
    story.set_image("4")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.rest()

    assert let_go == ("", ""), "the Rollout does not name them any more"
    assert alternated == ("3", (100, 0), ("ping", {"ping": "3", "pong": "2"}), {"3": 5})
    assert (story.stable, story.selectors, story.sizes) == ("4", ("4", "4"), {"4": 5})
    assert (story.selected("web-ping"), story.selected("web-pong")) == ("", "")


def test_a_new_version_while_the_retired_one_still_has_its_delay_gives_it_the_rest_of_it() -> None:
    story = told(weight(50), routing="ping-pong", scaleDownDelaySeconds=90)
    story.set_image("2")
    story.until(lambda: story.stable == "2")
    story.advance(30)

    story.set_image("3")
    story.advance(40)
    kept = story.sizes.get("1")
    story.rest()

    assert kept == 5
    assert story.stable == "3"
    assert story.sizes == {"3": 5}
    assert story.onlooker.problems == []


def test_going_back_to_the_retired_version_needs_no_switch() -> None:
    story = told(weight(50), PAUSE_STEP, routing="ping-pong", scaleDownDelaySeconds=90)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.until(lambda: story.stable == "2")
    story.controller.api.done.clear()

    story.set_image("1")
    story.until_phase("Paused", "CanaryPauseStep")
    story.promote()
    story.rest()

    assert written(story, "services") == []
    assert (story.stable, roles(story)) == ("1", ("ping", {"ping": "1", "pong": "2"}))
    assert story.onlooker.problems == []
