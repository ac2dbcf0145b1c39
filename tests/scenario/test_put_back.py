"""What its owner wants put back before a Rollout goes. (docs/gitops.md; lifecycle reference 12.5 #3855)"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import pytest

from balancer import Balancer
from deaths import crash_points
from inprocess import InProcessController
from referring import DEPLOYMENT, deployment, pods_of_deployment, referring
from routed_apps import APPS, App, reader
from routed_apps import at_rest as routed_at_rest
from scenarios import (
    BETA,
    PAUSE_STEP,
    ROLLOUT,
    SHADOW,
    VIRTUAL_SERVICE,
    Routing,
    Story,
    answering,
    app,
    blue_green_app,
    scale,
    template,
    told,
    weight,
)
from settling.world import FIGURES
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.core.observed import Verification
from tiphys.kube.errors import ForbiddenError

T = TypeVar("T")

LASTING: Final = frozenset({"Rollout", "ReplicaSet", "Service", "VirtualService", "DestinationRule", "Pod"})
ASKED: Final[Mapping[str, str | None]] = {names.ON_DELETE: names.RESET_TRAFFIC}
BOTH: Final[Mapping[str, str | None]] = {names.ON_DELETE: f"{names.RESET_TRAFFIC}, {names.RESTORE_WORKLOAD}"}
NOT_ROUTES: Final = {"Service", "DestinationRule", "VirtualNode"}
"""Kinds that select pods: their hash is no weight."""
CHOSEN: Final = ("ambassador", "appMesh", "gatewayAPI", "smi", "traefik with ping-pong")
"""Products whose objects are ours, or the user's, or both."""
STEPS: Final = (scale(replicas=2), {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}, weight(60), PAUSE_STEP)


def ask(controller: InProcessController, annotations: Mapping[str, str | None] = ASKED) -> None:
    controller.edit(ROLLOUT, "web", {"metadata": {"annotations": dict(annotations)}})


def halfway(*steps: Manifest, asked: Mapping[str, str | None] = ASKED, product: Balancer | None = None, **given: Any) -> Story:  # noqa: ANN401 - see `app`
    """Give a Rollout in mid-update whose owner asks for something before its end."""
    story = told(*(steps or STEPS), product=product, **given)
    ask(story.controller, asked)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.advance(60)
    return story


def delete(controller: InProcessController, propagation: str | None = None) -> None:
    resource = next(each for each in controller.cluster.store.registry if each.kind == "Rollout")
    controller.cluster.store.delete(resource, "web", namespace="default", propagation=propagation)


def is_there(controller: InProcessController) -> bool:
    resource = next(each for each in controller.cluster.store.registry if each.kind == "Rollout")
    return bool(list(controller.cluster.store.scan(resource, namespace="default")))


def gone(story: Story, within: float = 3600.0) -> float:
    """Delete the Rollout, wait until it is gone, and tell how many seconds that takes."""
    began = story.cluster.now
    delete(story.controller)
    story.until(lambda: not is_there(story.controller), within=within)
    return (story.cluster.now - began).total_seconds()


def routes(story: Story) -> Any:  # noqa: ANN401 - any JSON
    return story.controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]


def warnings(story: Story) -> list[str]:
    return [message for kind, reason, message in story.controller.told.events if (kind, reason) == ("Warning", "NotPutBackOnDelete")]


def noted(story: Story, note: Callable[[], T]) -> list[T]:
    """Collect what *note* gives right after every write to the VirtualService."""
    found: list[T] = []

    def look(_verb: str, plural: str, _body: str) -> bool:
        if plural == "virtualservices":
            found.append(note())
        return False

    story.controller.api.deadly = look
    return found


# Traffic


def test_nobody_has_a_finalizer_who_did_not_ask_for_it() -> None:
    story = told(*STEPS)
    before = story.rollout.metadata.finalizers

    ask(story.controller)
    story.advance(1)
    asked = story.rollout.metadata.finalizers
    ask(story.controller, {names.ON_DELETE: None})
    story.advance(1)

    assert (before, asked, story.rollout.metadata.finalizers) == ((), (names.ON_DELETE,), ())


@pytest.mark.parametrize("routing", ["istio", "subsets", "ping-pong"])
def test_routes_are_as_they_were_before_the_pods_go(routing: Routing) -> None:
    story = told(*STEPS, routing=routing)
    before = routes(story)
    ask(story.controller)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert (story.weights, story.managed_routes) == ((40, 60), ["beta", "shadow"])
    pods = noted(story, lambda: story.sizes)

    delete(story.controller)
    story.advance(300)

    assert routes(story) == before
    assert pods == [{"1": 5, "2": 2}]
    assert not is_there(story.controller)
    assert story.replica_sets == {}
    assert story.onlooker.problems == []
    assert "PutBackOnDelete" in story.events


def test_without_being_asked_nothing_is_reset() -> None:
    story = halfway(asked={})
    before = routes(story)

    assert gone(story) == 0
    story.rest()

    assert routes(story) == before


def test_at_rest_nothing_has_to_be_put_back() -> None:
    story = told(*STEPS)
    ask(story.controller)
    story.rest()
    story.forget()

    assert gone(story) == 0
    assert [(verb, plural) for verb, plural, _ in story.controller.api.done] == [("patch", "rollouts")]


@pytest.mark.parametrize("name", CHOSEN)
def test_every_router_is_reset(name: str) -> None:
    """Also where what Tiphys made goes with the Rollout: then the user's objects say what they said."""
    routed: App = APPS[name]
    controller = routed_at_rest(routed, *routed.steps({"pause": {"duration": 1}}, {"pause": {}}), {"pause": {}})
    before, weight_before = written(controller, routed), routed.weight(reader(controller))
    ask(controller)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert controller.rollout().status.phase == "Paused"

    delete(controller)
    controller.cluster.advance(300)

    assert not is_there(controller)
    assert routed.weight(reader(controller)) == weight_before
    assert written(controller, routed) == before


def written(controller: InProcessController, routed: App) -> dict[str, Any]:
    """Give the specs of the route objects that the user wrote."""
    read = reader(controller)
    named = [(each["kind"], each["metadata"]["name"]) for each in routed.objects if each["kind"] not in NOT_ROUTES]
    return {f"{kind} {name}": found["spec"] for kind, name in named if (found := read(kind, name)) is not None}


def test_the_pods_stay_until_the_balancer_has_followed() -> None:
    balancer = Balancer()
    story = halfway(product=balancer)
    balancer.noes = 6

    delete(story.controller)
    story.until(lambda: story.weights == (100, 0))
    story.advance(30)
    waits = (is_there(story.controller), story.sizes, balancer.does["istio"])
    story.until(lambda: not is_there(story.controller))

    assert waits == (True, {"1": 5, "2": 2}, 60)
    assert balancer.does["istio"] == 0
    assert warnings(story) == []


def test_a_balancer_that_never_follows_holds_it_for_the_progress_deadline_and_no_longer() -> None:
    story = halfway(spec={"progressDeadlineSeconds": 200})
    story.verification = Verification.NOT_YET

    assert 200 <= gone(story) <= 202
    assert story.weights == (100, 0)
    assert len(warnings(story)) == 1


def test_stable_grows_first_where_it_had_shrunk() -> None:
    story = halfway(weight(60), PAUSE_STEP, image="1-slow-5s", dynamicStableScale=True)
    assert story.sizes["1-slow-5s"] < 5
    grown = noted(story, lambda: story.available("1-slow-5s"))

    assert gone(story) >= 5

    assert grown[-1] >= 4
    assert story.weights == (100, 0)
    assert story.onlooker.problems == []


def test_nothing_is_given_to_a_stable_version_that_does_not_answer() -> None:
    story = halfway()
    story.make_ill("1", 5)
    story.advance(1)

    took = gone(story)
    story.advance(10)

    assert 60 <= took <= 62
    assert story.weights == (40, 60)
    assert "NotPutBackOnDelete" in story.events


def test_a_route_that_is_gone_holds_nothing_for_longer_than_a_minute() -> None:
    story = halfway()
    story.controller.delete(VIRTUAL_SERVICE, "web")

    assert 60 <= gone(story) <= 62
    (said,) = warnings(story)
    assert "must name an existing VirtualService" in said


def test_a_route_that_nobody_lets_us_write_holds_it_for_about_a_minute_and_is_named() -> None:
    story = halfway()
    story.controller.api.refuse = lambda _verb, plural: (
        ForbiddenError(403, "Forbidden", "virtualservices are not yours") if plural == "virtualservices" else None
    )

    assert 60 <= gone(story) <= 90
    (said,) = warnings(story)
    assert "virtualservices are not yours" in said


def test_orphaned_pods_get_everything_before_their_rollout_goes() -> None:
    story = halfway()

    delete(story.controller, "Orphan")
    story.advance(60)

    assert not is_there(story.controller)
    assert story.weights == (100, 0)
    assert story.sizes == {"1": 5, "2": 2}


def test_a_template_that_comes_with_the_deletion_changes_nothing() -> None:
    story = halfway()

    story.set_image("3")
    delete(story.controller)
    story.advance(60)

    assert not is_there(story.controller)
    assert (story.weights, story.replica_sets) == ((100, 0), {})


def test_a_word_that_nobody_knows_is_refused_while_there_is_time() -> None:
    story = told(*STEPS)

    ask(story.controller, {names.ON_DELETE: "reset-traffic, make-coffee"})
    story.rest()

    assert "make-coffee" in story.message("InvalidSpec")
    assert gone(story) == 0


# The Deployment


def replaced(**given: Any) -> Story:  # noqa: ANN401 - see `app`
    """Give a Rollout whose Deployment has no pods any more."""
    manifests = referring(app(weight(40), PAUSE_STEP, routing="none", **given), workload=deployment("1-slow-5s"), scaleDown="onsuccess")
    story = Story(manifests)
    story.rest()
    ask(story.controller, BOTH)
    story.rest()
    assert (pods_of_deployment(story), story.sizes) == (0, {"1-slow-5s": 5})
    return story


def test_the_deployment_has_its_pods_back_before_the_rollouts_own_go() -> None:
    """There it stays at 0 (12.5 #3855)."""
    story = replaced()

    delete(story.controller)
    story.advance(2)
    half = (pods_of_deployment(story), is_there(story.controller), story.sizes)
    story.until(lambda: not is_there(story.controller))
    story.rest()

    assert half == (5, True, {"1-slow-5s": 5})
    there = story.controller.manifest(DEPLOYMENT, "web")
    assert (there["spec"]["replicas"], there["status"]["availableReplicas"]) == (5, 5)
    assert warnings(story) == []


def test_with_that_asked_for_somebody_always_answers() -> None:
    story = replaced(stableService="web-stable", canaryService="web-canary")
    least = {"web-stable": 5}

    delete(story.controller)
    for _ in range(300):
        story.advance(0.1)
        least["web-stable"] = min(least["web-stable"], answering(story, "web-stable"))
    story.rest()

    assert not is_there(story.controller)
    assert least["web-stable"] > 0


def test_a_deployment_that_kept_its_pods_is_left_alone() -> None:
    story = Story(referring(app(routing="none"), workload=deployment("1", replicas=2), scaleDown="never"))
    story.rest()
    ask(story.controller, BOTH)
    story.rest()

    assert gone(story) == 0
    story.rest()

    assert pods_of_deployment(story) == 2


def deployed_hash(story: Story) -> str:
    """Give the hash by which the Deployment knows its own pods."""
    (found,) = [each for each in story.onlooker.replica_sets() if "pod-template-hash" in each["metadata"]["labels"]]
    return str(found["metadata"]["labels"]["pod-template-hash"])


def test_a_deployment_that_is_gone_or_never_well_holds_nothing_for_ever() -> None:
    missing, ill = replaced(), replaced(spec={"progressDeadlineSeconds": 120})
    missing.controller.delete(DEPLOYMENT, "web")
    ill.cluster.bar({"pod-template-hash": deployed_hash(ill)})

    assert gone(missing) <= 62
    assert 120 <= gone(ill) <= 122
    assert len(warnings(ill)) == 1


def test_blue_green_gives_the_deployment_its_pods_back_too() -> None:
    story = Story(referring(blue_green_app(replicas=3), workload=deployment("1"), scaleDown="progressively"))
    story.rest()
    ask(story.controller, BOTH)
    story.rest()
    assert pods_of_deployment(story) == 0

    gone(story)
    story.rest()

    assert pods_of_deployment(story) == 3


# Deaths


@pytest.mark.one_life("deaths of its own")
@pytest.mark.parametrize("routing", ["istio", "subsets"])
def test_a_death_anywhere_changes_nothing_in_the_end(routing: Routing) -> None:
    manifests = app(*STEPS, routing=routing, replicas=4)
    plain = end_of(manifests)
    wanted = left(plain)
    first, last = written_at_the_end(plain)
    points = [(before, after) for before, after in crash_points(plain) if first <= before <= last or first <= after < last]
    assert len(points) >= 2

    for before, after in points:
        story = end_of(manifests, before=before, after=after)
        where = f"death before write {before}" if before else f"death after write {after}"
        assert story.controller.deaths == 1, where
        assert story.onlooker.problems == [], where
        assert left(story) == wanted, where
    FIGURES["crash points of whole stories"] += len(points)


def end_of(manifests: list[Manifest], *, before: int = 0, after: int = 0) -> Story:
    """Tell a life from the first deploy to the end, with a death *before* or *after* the write of that number."""

    def doom(controller: InProcessController) -> None:
        controller.api.deaths_before = {before} - {0}
        controller.api.deaths = {after} - {0}

    story = Story(manifests, prepare=doom)
    story.rest()
    ask(story.controller)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    delete(story.controller)
    story.rest()
    return story


def written_at_the_end(story: Story) -> tuple[int, int]:
    """Give the numbers of the first and the last write between the deletion and the end of the Rollout."""
    ends = [at for at, (_, plural, body) in enumerate(story.controller.api.done, 1) if plural == "rollouts" and '"finalizers":[]' in body]
    routes = [at for at, (_, plural, _) in enumerate(story.controller.api.done, 1) if plural == "virtualservices"]
    return routes[-1], ends[-1]


def left(story: Story) -> dict[str, Any]:
    """Give what is left: specs and annotations of what the user wrote, and nothing else."""
    store = story.cluster.store
    kinds = [
        each for each in store.registry if each.kind in {"Rollout", "ReplicaSet", "Service", "VirtualService", "DestinationRule", "Pod"}
    ]
    found = [(each.kind, stored.manifest) for each in kinds for stored in store.scan(each, namespace="default")]
    return {f"{kind} {each['metadata']['name']}": (each["spec"], each["metadata"].get("annotations")) for kind, each in found}
