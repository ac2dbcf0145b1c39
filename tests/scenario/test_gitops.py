"""What becomes of a rollout while a tool keeps the cluster equal to a repository, once a second? (docs/gitops.md)"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gitops_tool import Repository, keep
from ignore_rules import Rule, rules
from inprocess import InProcessController
from routed_apps import APPS, App, at_rest, reader
from scenarios import ROLLOUT, SERVICE, STABLE_SERVICE, VIRTUAL_SERVICE, template
from tiphys.api.meta import Manifest
from tiphys.traffic.table import ROUTERS

PAUSE: Manifest = {"pause": {"duration": "5s"}}
SECONDS = 70

every_app = pytest.mark.parametrize("app", APPS.values(), ids=APPS)
overwritten = pytest.mark.parametrize("name", sorted(name for name in APPS if "ping" not in name))


@dataclass(slots=True)
class Watch:
    """Looks at the canary's weight after every write of anybody: what it is, and what the step of that moment asks for at most."""

    controller: InProcessController
    app: App
    weights: list[int] = field(default_factory=list)
    excess: list[str] = field(default_factory=list)

    def before(self) -> None:
        """Wait for the write."""

    def after(self, verb: str, plural: str, body: str) -> None:
        self.look(f"{verb} {plural} {body}")

    def look(self, what: str = "the tool") -> None:
        weight = self.app.weight(reader(self.controller))
        if not self.weights or weight != self.weights[-1]:
            self.weights.append(weight)
        if weight > self._asked():
            self.excess.append(f"{weight} after {what} where at most {self._asked()} is asked")

    def _asked(self) -> int:
        rollout = self.controller.rollout()
        canary = rollout.spec.strategy.canary
        assert canary is not None
        index = rollout.status.current_step_index or 0
        if rollout.metadata.generation != int(rollout.status.observed_generation or 0):
            return 100  # nobody has looked at the change yet
        if index == len(canary.steps):
            return 100
        return max([step.set_weight for step in canary.steps[: index + 1] if step.set_weight is not None], default=0)


def of_the_page(app: App) -> list[Rule]:
    """Give the rules that the page has for *app*."""
    pair = (app.canary.get("pingPong") or {}).values() or ("web-stable", "web-canary")
    subsets = app.canary.get("stableService") == "" and "pingPong" not in app.canary
    names = ["stable", "canary"] if subsets or app.product == "appMesh" else list(pair)
    return [*rules(""), *rules(app.product, texts={"parcel-root": "web-root"}, stable=names[:1], canary=names[1:], managed=["beta"])]


def updated(app: App, *, heeding: bool, whole: bool = False, seconds: int = SECONDS) -> tuple[InProcessController, Repository, Watch]:
    """Change the image in the repository of *app*, and let the tool apply everything once a second until the rollout is long over."""
    steps = app.steps(PAUSE)
    controller = at_rest(app, *steps)
    manifests = app.manifests(*steps)
    repository = Repository(controller, manifests, of_the_page(app) if heeding else [], whole=whole)
    watch = Watch(controller, app)
    controller.api.witness = watch
    watch.look()
    if heeding:
        keep(controller, repository, 3, watch.look)
        assert (repository.writes, controller.api.done) == ([], [])
    repository.commit(with_image(manifests[-1], "2"))
    keep(controller, repository, seconds, watch.look)
    return controller, repository, watch


def with_image(rollout: Manifest, image: str) -> Manifest:
    return {**rollout, "spec": {**rollout["spec"], "template": template(image)}}


def undisturbed(app: App) -> tuple[InProcessController, Watch]:
    """Change the image by hand, with no tool around."""
    controller = at_rest(app, *app.steps(PAUSE))
    watch = Watch(controller, app)
    controller.api.witness = watch
    watch.look()
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(SECONDS)
    return controller, watch


def finished(controller: InProcessController) -> bool:
    status = controller.rollout().status
    return status.phase == "Healthy" and status.stable_rs == status.current_pod_hash != ""


def test_every_router_of_the_table_is_met_here() -> None:
    assert {app.product for app in APPS.values()} == {product.name for product in ROUTERS}


@every_app
def test_a_tool_with_the_documented_rules_and_a_rollout_do_not_notice_each_other(app: App) -> None:
    plain, alone = undisturbed(app)

    controller, repository, watch = updated(app, heeding=True)

    assert finished(plain)
    assert finished(controller)
    assert watch.weights == alone.weights
    assert len(set(watch.weights)) == 4
    assert [(verb, plural) for verb, plural, _ in controller.api.done] == [(verb, plural) for verb, plural, _ in plain.api.done]
    assert repository.writes == ["Rollout web"]


@pytest.mark.one_life("what one process remembers of a fight")
@overwritten
def test_a_tool_that_overwrites_everything_gets_no_canary_more_than_its_step_asks(name: str) -> None:
    controller, repository, watch = updated(APPS[name], heeding=False)

    assert watch.excess == []
    assert finished(controller)
    assert [weight for weight in dict.fromkeys(watch.weights) if weight] == [20, 50, 100]
    assert len(controller.api.done) <= 40 + 3 * len(repository.writes)


@pytest.mark.parametrize("name", ["istio", "ambassador", "gatewayAPI"])
def test_a_tool_that_even_takes_the_hash_from_selectors_cannot_stop_a_rollout(name: str) -> None:
    controller, repository, watch = updated(APPS[name], heeding=False, whole=True)

    assert watch.excess == []
    assert finished(controller)
    assert len(controller.api.done) <= 40 + 3 * len(repository.writes)


@pytest.mark.one_life("what one process remembers of a fight")
def test_whoever_keeps_changing_an_object_back_is_told_of_and_named() -> None:
    controller, repository, _ = updated(APPS["istio"], heeding=False)
    quiet, _, _ = updated(APPS["istio"], heeding=True)

    told = [message for _, reason, message in controller.told.events if reason == "ObjectOverwritten"]
    assert len(repository.writes) > len(told) > 0
    assert set(told) == {
        "VirtualService default/web: the same was written 5 times within a minute, because somebody "
        '(by its field manager: "gitops") keeps changing it back; see docs/gitops.md'
    }
    assert "ObjectOverwritten" not in quiet.told.reasons


class Rival:
    """Another controller, which answers every write to the VirtualService at once."""

    def __init__(self, controller: InProcessController) -> None:
        self._controller = controller

    def step(self) -> bool:
        http = self._controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
        if http[-1]["route"][1]["weight"] == 0:
            return False
        weights = [{**route, "weight": weight} for route, weight in zip(http[-1]["route"], (100, 0), strict=True)]
        self._controller.edit(VIRTUAL_SERVICE, "web", {"spec": {"http": [{**http[-1], "route": weights}]}})
        return True

    def wakes_at(self) -> None:
        """Nothing but what others write wakes it."""


@pytest.mark.one_life("what one process remembers of a fight")
def test_a_rival_that_answers_every_write_at_once_does_not_keep_the_controller_busy() -> None:
    controller = at_rest(APPS["istio"], {"setWeight": 20}, {"pause": {}})
    controller.cluster.join(Rival(controller))
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})

    controller.cluster.advance(60)

    writes = [body for _, plural, body in controller.api.done if plural == "virtualservices"]
    assert 60 < len(writes) < 60 * 6
    assert controller.told.reasons.count("ObjectOverwritten") == 1


@pytest.mark.one_life("what one process remembers of a fight")
def test_once_the_tool_stops_everything_is_at_rest() -> None:
    controller, _, _ = updated(APPS["istio"], heeding=False, whole=True)
    controller.cluster.advance(1)
    before = len(controller.api.done)

    controller.cluster.advance(2000)

    assert controller.api.done[before:] == []
    assert controller.manifest(SERVICE, STABLE_SERVICE)["spec"]["selector"]["rollouts-pod-template-hash"]


@pytest.mark.parametrize(
    ("change", "arrives"),
    [
        (lambda manifest: {**manifest, "metadata": {**manifest["metadata"], "labels": {"team": "cart"}}}, True),
        (lambda manifest: {**manifest, "spec": {**manifest["spec"], "hosts": ["web", "shop"]}}, True),
        (lambda manifest: {**manifest, "spec": {**manifest["spec"], "http": [{**manifest["spec"]["http"][0], "timeout": "9s"}]}}, False),
    ],
    ids=["a label", "another field of the spec", "a field in the list that holds the weights"],
)
def test_what_else_the_user_changes_in_a_route_arrives_unless_it_shares_a_list_with_a_weight(
    change: Callable[[Manifest], Manifest], *, arrives: bool
) -> None:
    """As the page says of Argo CD."""
    app = APPS["istio"]
    steps = app.steps({"pause": {}})
    controller = at_rest(app, *steps)
    manifests = app.manifests(*steps)
    (route,) = (manifest for manifest in manifests if manifest["kind"] == "VirtualService")
    repository = Repository(controller, manifests, of_the_page(app))
    watch = Watch(controller, app)
    watch.look()
    repository.commit(with_image(manifests[-1], "2"))
    keep(controller, repository, 30, watch.look)

    repository.commit(change(route))
    keep(controller, repository, 10, watch.look)

    live = controller.manifest(("networking.istio.io", "VirtualService"), "web")
    wanted = change(route)
    there = live["metadata"].get("labels") == wanted["metadata"].get("labels") and live["spec"]["hosts"] == wanted["spec"]["hosts"]
    assert (there and live["spec"]["http"][0]["timeout"] == wanted["spec"]["http"][0]["timeout"]) is arrives
    assert watch.weights == [0, 20]
    assert watch.excess == []
