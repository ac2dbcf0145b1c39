"""Does a router in another process steer a Rollout like every other one, whatever becomes of it on the way?"""

from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from fake_router import ROUTER, FakeRouter
from inprocess import InProcessController, rollout_manifest, service_manifest, virtual_service_manifest
from scenarios import BETA, CANARY_SERVICE, ROLLOUT, SHADOW, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.words import Reason
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.kube.store import Key
from tiphys.plugins.contract import Problem
from tiphys.plugins.errors import SilentError

PAUSE: Manifest = {"pause": {}}
SHORT: Manifest = {"pause": {"duration": "10s"}}
STEPS = (weight(20), SHORT, {"setHeaderRoute": BETA}, SHORT, {"setMirrorRoute": SHADOW}, SHORT, weight(60), SHORT)
CONFIG = {"entrance": "shop"}


@cache
def _definitions() -> list[Manifest]:
    found = [*foreign_definitions("networking.istio.io"), *crd_manifests()]
    return [each for each in found if each["spec"]["names"]["kind"] in {"Rollout", "VirtualService", "DestinationRule"}]


class World:
    """A Rollout `web` behind the router, and another, `calm`, behind nothing of the kind."""

    def __init__(self, *steps: Manifest, config: Manifest | None = None, routing: Manifest | None = None, started: bool = True) -> None:
        self.router = FakeRouter()
        cluster = VirtualCluster(definitions=_definitions())
        self.controller = InProcessController(cluster, decide=decide, gate=violated, outside={ROUTER: self.router})
        self.router.api = self.controller.api
        cluster.join(self.controller)
        self.cluster = cluster
        for name in (STABLE_SERVICE, CANARY_SERVICE, "calm-stable", "calm-canary"):
            self.controller.create(service_manifest(name))
        routing = routing or {"plugins": {ROUTER: config or CONFIG}}
        self.manifest = rollout_manifest(
            "web",
            *(steps or STEPS),
            istio=False,
            trafficRouting={"managedRoutes": [{"name": "beta"}, {"name": "shadow"}], **routing},
            canaryService=CANARY_SERVICE,
            stableService=STABLE_SERVICE,
        )
        self.manifest["spec"]["template"] = template("1")
        if started:
            self.start()

    def start(self) -> None:
        self.controller.create(self.manifest)
        self.cluster.advance(60)

    def update(self, image: str = "2") -> None:
        self.controller.edit(ROLLOUT, "web", {"spec": {"template": template(image)}})

    def advance(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    @property
    def status(self) -> Any:  # noqa: ANN401 - a status
        return self.controller.rollout().status

    @property
    def events(self) -> list[str]:
        return [message for _, reason, message in self.controller.told.events if reason == Reason.TRAFFIC_ROUTING_ERROR]

    def condition(self, kind: str) -> str:
        return next((found.message for found in self.status.conditions if found.type == kind and found.status == "True"), "")

    def seen(self, seconds: int) -> list[Any]:
        """Give what the router says, each time that it says something else."""
        said: list[Any] = []
        for _ in range(seconds):
            now = (self.router.weights(), self.router.routes())
            if not said or said[-1] != now:
                said.append(now)
            self.advance(1)
        return said


def test_from_the_image_change_to_the_promotion() -> None:
    world = World()

    world.update()
    said = world.seen(200)

    assert said == [
        ((100, 0), []),
        ((80, 20), []),
        ((80, 20), ["beta"]),
        ((80, 20), ["beta", "shadow"]),
        ((40, 60), ["beta", "shadow"]),
        ((100, 0), []),
    ]
    assert [share.weight for wish in world.router.asked[-2:] for share in wish.traffic.backends] == [0, 100, 100, 0]
    assert (world.status.phase, world.status.stable_rs) == ("Healthy", world.status.current_pod_hash)
    assert world.status.canary.weights.verified is True
    assert world.events == []


def test_a_router_is_told_what_it_needs_and_nothing_else() -> None:
    world = World(weight(20), PAUSE)
    world.update()
    world.advance(60)

    (wish,) = [each for each in world.router.asked if {share.weight for share in each.traffic.backends} == {80, 20}]

    assert wish.rollout.uid == world.controller.rollout().metadata.uid
    assert (wish.config, wish.managed_routes) == (CONFIG, ("beta", "shadow"))
    assert [(share.role, share.service, share.pod_hash) for share in wish.traffic.backends] == [
        ("stable", STABLE_SERVICE, ""),
        ("canary", CANARY_SERVICE, ""),
    ]


def test_nothing_is_said_to_a_router_at_rest() -> None:
    world = World()
    told, writes = len(world.router.asked), len(world.controller.api.done)

    world.advance(3000)

    assert (len(world.router.asked), len(world.controller.api.done)) == (told, writes)


def test_a_changed_config_is_told_although_no_weight_changes() -> None:
    world = World(weight(20), PAUSE)

    patch = {"spec": {"strategy": {"canary": {"trafficRouting": {"plugins": {ROUTER: {"entrance": "side door"}}}}}}}
    world.controller.edit(ROLLOUT, "web", patch)
    world.advance(30)

    assert world.router.asked[-1].config == {"entrance": "side door"}


def test_no_step_is_done_before_the_router_confirms_it() -> None:
    world = World(weight(20), weight(60), PAUSE)
    world.router.slow = True

    world.update()
    world.advance(120)
    held = (world.router.weights(), world.status.current_step_index, world.status.canary.weights.verified)
    world.router.slow = False
    world.router.unverified.clear()
    world.advance(30)

    assert held == ((80, 20), 0, False)
    assert (world.router.weights(), world.status.current_step_index) == ((40, 60), 2)


@pytest.mark.one_life("what one process says while a router is away")
def test_a_router_that_is_away_mid_way_holds_this_rollout_only_and_nobody_has_to_help() -> None:
    world = World(weight(20), SHORT, weight(60), PAUSE)
    for manifest in (virtual_service_manifest("calm"), rollout_manifest("calm", weight(50), SHORT)):
        world.controller.create(manifest)
    world.advance(60)
    world.update()
    world.advance(3)
    assert world.router.weights() == (80, 20)

    world.router.go_away()
    world.controller.edit(ROLLOUT, "calm", {"spec": {"template": template("2")}})
    world.advance(120)
    held = (world.router.weights(), world.status.phase, world.controller.rollout("calm").status.phase)
    events = list(world.events)
    world.router.come_back()
    world.advance(60)

    assert held == ((80, 20), "Progressing", "Healthy")
    assert len(events) == 1
    assert "cannot reach http://router.test: connection refused" in events[0]
    assert (world.router.weights(), world.status.phase) == ((40, 60), "Paused")


@pytest.mark.one_life("how often one process tells the same")
def test_a_router_that_is_away_from_the_start_is_named_and_then_taken_up() -> None:
    world = World(weight(20), PAUSE, started=False)
    world.router.go_away()
    world.controller.restart()

    world.start()
    events = list(world.events)
    sizes = world.status.replicas
    world.router.come_back()
    world.advance(60)

    assert len(events) == 1
    assert f"router {ROUTER}: cannot reach" in events[0]
    assert not sizes
    assert (world.status.phase, world.router.weights()) == ("Healthy", (100, 0))


@pytest.mark.one_life("how often one process tells the same")
def test_a_controller_that_starts_while_the_router_is_away_moves_nothing() -> None:
    world = World(weight(20), PAUSE)
    world.update()
    world.advance(60)
    world.controller.told.events.clear()
    before = sorted(rs.spec.replicas for rs in world.controller.caches.replica_sets.values())

    world.router.go_away()
    world.controller.restart()
    world.update("3")
    world.advance(600)
    sizes = sorted(rs.spec.replicas for rs in world.controller.caches.replica_sets.values())
    world.router.come_back()
    world.advance(60)

    assert sizes == before
    assert len(world.events) == 1
    assert (world.status.phase, world.router.weights()) == ("Paused", (80, 20))


def test_a_router_that_comes_back_empty_is_told_again() -> None:
    world = World(weight(20), {"setHeaderRoute": BETA}, PAUSE)
    world.update()
    world.advance(60)
    assert (world.router.weights(), world.router.routes()) == ((80, 20), ["beta"])

    world.router.come_back(empty=True)
    world.advance(5)

    assert (world.router.weights(), world.router.routes()) == ((80, 20), ["beta"])


@pytest.mark.parametrize("name", ["unknown/router", "argoproj-labs/other"])
def test_an_unknown_name_is_refused_and_says_what_to_do(name: str) -> None:
    world = World(weight(20), PAUSE, routing={"plugins": {name: {}}})

    told = world.condition("InvalidSpec")

    assert f'spec.strategy.canary.trafficRouting.plugins[{name}]: Invalid value: "{name}"' in told
    assert "Binaries of the ConfigMap argo-rollouts-config are not run" in told
    assert "--router-plugin NAME=URL" in told
    assert world.router.asked == []


def test_another_version_of_the_contract_is_refused_until_the_router_keeps_ours() -> None:
    world = World(weight(20), PAUSE, started=False)
    world.router.contracts = ("v7",)

    world.start()
    told = world.condition("InvalidSpec")
    world.router.contracts = ("v1", "v7")
    world.advance(30)

    assert "wants a router that keeps contract v1".replace("wants ", "") in told
    assert "fake keeps: v7" in told
    assert (world.condition("InvalidSpec"), world.status.phase) == ("", "Healthy")


def test_what_the_router_cannot_do_is_refused_by_field() -> None:
    world = World(weight(20), {"setMirrorRoute": SHADOW}, started=False)
    world.router.features = ("weights", "header exact", "something of tomorrow")
    world.controller.restart()

    world.start()

    told = world.condition("InvalidSpec")
    assert f'spec.strategy.steps[1].setMirrorRoute: Invalid value: "shadow": the router "{ROUTER}" cannot do this: mirror' in told
    assert world.router.asked == []


def test_what_the_router_says_is_wrong_is_shown_with_its_field() -> None:
    world = World(weight(20), PAUSE)

    world.router.problems = (Problem(field="entrance", found="shop", wanted="must name an existing entrance"),)
    world.advance(30)
    told = world.condition("InvalidSpec")
    world.router.problems = ()
    world.advance(30)

    wanted = f'spec.strategy.canary.trafficRouting.plugins[{ROUTER}].entrance: Invalid value: "shop": must name an existing entrance'
    assert wanted in told
    assert world.condition("InvalidSpec") == ""


def test_a_wish_that_the_router_refuses_is_told_by_field() -> None:
    world = World(weight(20), PAUSE)
    field = f"spec.strategy.canary.trafficRouting.plugins[{ROUTER}].entrance"
    world.router.refused = SpecError(field=field, found="shop", wanted="must be open")

    world.update()
    world.advance(30)

    assert len(world.events) == 1
    assert f'{field}: Invalid value: "shop": must be open' in world.events[0]
    assert world.router.weights() == (100, 0)


def test_a_state_that_is_garbage_holds_its_rollout_and_no_other() -> None:
    world = World(weight(20), SHORT, weight(60), PAUSE)
    uid = world.controller.rollout().metadata.uid
    world.update()
    world.advance(3)
    about = f'"rollout":{{"namespace":"default","name":"web","uid":"{uid}"}}'

    world.router.garbage[Key("default", "web")] = f'{{{about},"version":"v","traffic":{{"backends":[]}}}}'.encode()
    world.advance(60)
    held = (world.router.weights(), world.status.canary.weights.verified, list(world.events))
    world.router.garbage.clear()
    world.advance(60)

    assert held[:2] == ((80, 20), False)
    assert "its state is none of contract v1" in held[2][0]
    assert len(held[2]) <= 2
    assert world.router.weights() == (40, 60)


@pytest.mark.one_life("how often one process asks")
def test_a_router_that_does_not_do_what_it_says_is_named_and_not_asked_in_a_hurry() -> None:
    world = World(weight(20), PAUSE)
    asked = len(world.router.asked)
    world.router.deaf = True

    world.update()
    world.advance(60)

    assert len(world.events) == 1
    assert "does not say afterwards what was wished" in world.events[0]
    assert len(world.router.asked) - asked < 20


def test_a_rollout_that_is_deleted_is_forgotten_by_the_router() -> None:
    world = World(weight(20), PAUSE)
    uid = world.controller.rollout().metadata.uid
    kind = next(each for each in world.cluster.store.registry if (each.group, each.kind) == ROLLOUT)

    world.cluster.store.delete(kind, "web", namespace="default")
    world.advance(60)

    assert [about.uid for about in world.router.forgotten] == [uid]
    assert world.router.held == {}


def test_a_rollout_that_was_deleted_while_the_controller_was_away_is_forgotten_too() -> None:
    world = World(weight(20), PAUSE)
    kind = next(each for each in world.cluster.store.registry if (each.group, each.kind) == ROLLOUT)

    world.router.go_away()
    world.cluster.store.delete(kind, "web", namespace="default")
    world.advance(60)
    world.controller.restart()
    world.router.come_back()
    world.advance(60)

    assert world.router.held == {}


@pytest.mark.one_life("which of two ReplicaSets of a name is there first")
def test_a_rollout_that_is_made_anew_under_its_name_begins_anew() -> None:
    world = World(weight(20), PAUSE)
    kind = next(each for each in world.cluster.store.registry if (each.group, each.kind) == ROLLOUT)

    world.cluster.store.delete(kind, "web", namespace="default")
    world.start()

    (state,) = world.router.held.values()
    assert state.rollout.uid == world.controller.rollout().metadata.uid
    assert (world.status.phase, len(world.router.forgotten)) == ("Healthy", 1)


def test_what_belongs_to_a_rollout_of_another_controller_stays() -> None:
    world = World(weight(20), PAUSE)
    kind = next(each for each in world.cluster.store.registry if (each.group, each.kind) == ROLLOUT)
    key = Key("default", "web")

    found = world.controller.caches.rollouts.get(*key)
    assert found is not None
    world.cluster.advance(5)
    world.controller.caches.rollouts.remove(key, "999999999")  # as if our selector did not show it any more
    world.cluster.advance(60)

    assert world.cluster.store.get(kind, "web", namespace="default")
    assert list(world.router.held) == [key]


def test_a_rollout_that_changes_its_router_is_forgotten_by_the_earlier_one() -> None:
    world = World(weight(20), PAUSE)
    world.controller.create(virtual_service_manifest())
    world.update()
    world.advance(60)
    assert world.router.weights() == (80, 20)

    routing = {"plugins": None, "istio": {"virtualService": {"name": "web"}}}
    world.controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": routing}}}})
    world.advance(60)

    assert world.router.held == {}
    http = world.controller.manifest(("networking.istio.io", "VirtualService"), "web")["spec"]["http"]
    assert [each["weight"] for each in http[0]["route"]] == [80, 20]


def test_an_earlier_router_that_is_away_is_not_forgotten_before_it_has_forgotten() -> None:
    world = World(weight(20), PAUSE)
    world.controller.create(virtual_service_manifest())
    world.update()
    world.advance(60)

    world.router.go_away()
    routing = {"plugins": None, "istio": {"virtualService": {"name": "web"}}}
    world.controller.edit(ROLLOUT, "web", {"spec": {"strategy": {"canary": {"trafficRouting": routing}}}})
    world.controller.restart()
    world.advance(300)
    held = list(world.router.held)
    world.router.come_back()
    world.advance(60)

    assert held == [Key("default", "web")]
    assert world.router.held == {}


def test_beside_another_router_both_get_the_wish_and_one_that_is_away_keeps_nobody_from_the_way_back() -> None:
    world = World(weight(20), PAUSE, started=False)
    canary = world.manifest["spec"]["strategy"]["canary"]
    canary["trafficRouting"]["istio"] = {"virtualService": {"name": "web"}}
    world.controller.create(virtual_service_manifest())
    world.start()
    world.update()
    world.advance(60)

    def mesh() -> tuple[int, ...]:
        http = world.controller.manifest(("networking.istio.io", "VirtualService"), "web")["spec"]["http"]
        return tuple(each["weight"] for each in http[0]["route"])

    both = (mesh(), world.router.weights())
    world.router.go_away()
    world.controller.edit(ROLLOUT, "web", {"status": {"abort": True}}, subresource="status")
    world.advance(60)
    alone = (mesh(), world.router.weights())
    world.router.come_back()
    world.advance(60)

    assert both == ((80, 20), (80, 20))
    assert alone == ((100, 0), (80, 20))
    assert (mesh(), world.router.weights()) == ((100, 0), (100, 0))


def test_an_abort_takes_weight_and_routes_back() -> None:
    world = World(weight(20), {"setHeaderRoute": BETA}, PAUSE)
    world.update()
    world.advance(60)

    world.controller.edit(ROLLOUT, "web", {"status": {"abort": True}}, subresource="status")
    world.advance(60)

    assert (world.router.weights(), world.router.routes()) == ((100, 0), [])


_CRASHED = (weight(20), {"setHeaderRoute": BETA}, SHORT, weight(60))


def test_without_services_the_router_tells_pods_apart_by_hash_and_never_exchanges_pods_under_weight() -> None:
    world = World(weight(20), SHORT, weight(60), SHORT, started=False)
    canary = world.manifest["spec"]["strategy"]["canary"]
    del canary["canaryService"], canary["stableService"]
    world.start()
    first = world.status.stable_rs

    world.update()
    world.advance(400)

    assert (world.status.phase, world.status.stable_rs != first) == ("Healthy", True)
    sides = [{share.role.value: (share.pod_hash, share.weight) for share in wish.traffic.backends} for wish in world.router.asked]
    assert (first, 80) in [each["stable"] for each in sides]
    assert sides[-1]["stable"] == (world.status.stable_rs, 100)
    for before, after in pairwise(each for each in sides if each["stable"][0]):
        for role in ("stable", "canary"):
            (was, had), (now, has) = before[role], after[role]
            assert was == now or (had, has) == (0, 0), (before, after)


def test_ping_and_pong_change_places_at_every_promotion() -> None:
    world = World(weight(20), SHORT, started=False)
    canary = world.manifest["spec"]["strategy"]["canary"]
    del canary["canaryService"], canary["stableService"]
    canary["pingPong"] = {"pingService": "web-ping", "pongService": "web-pong"}
    for name in ("web-ping", "web-pong"):
        world.controller.create(service_manifest(name))
    world.start()

    def serving() -> list[str]:
        (state,) = world.router.held.values()
        return [share.service for share in state.traffic.backends if share.weight == 100]

    served = [serving()]
    for image in ("2", "3"):
        world.update(image)
        world.advance(300)
        served.append(serving())

    assert served == [["web-ping"], ["web-pong"], ["web-ping"]]
    assert world.status.phase == "Healthy"
    asked = [{share.role.value: (share.service, share.weight) for share in wish.traffic.backends} for wish in world.router.asked]
    assert {"stable": ("web-ping", 80), "canary": ("web-pong", 20)} in asked
    assert {"stable": ("web-pong", 80), "canary": ("web-ping", 20)} in asked


def _whole_story(world: World) -> None:
    world.update()
    world.advance(400)
    kind = next(each for each in world.cluster.store.registry if (each.group, each.kind) == ROLLOUT)
    assert (world.router.weights(), world.router.routes(), world.status.phase) == ((100, 0), [], "Healthy")
    assert world.status.stable_rs == world.status.current_pod_hash
    world.cluster.store.delete(kind, "web", namespace="default")
    world.advance(60)
    assert world.router.held == {}


@pytest.mark.one_life("deaths of its own")
@pytest.mark.parametrize("how", ["deaths", "deaths_before", "lost"])
def test_the_end_does_not_depend_on_when_the_controller_dies_around_a_word_to_the_router_or_which_answer_is_lost(how: str) -> None:
    undisturbed = World(*_CRASHED)
    before = undisturbed.controller.api.writes
    _whole_story(undisturbed)
    done = undisturbed.controller.api.done
    words = [at for at, (_, plural, _) in enumerate(done, start=1) if plural == "routers" and at > before]
    assert [done[at - 1][0] for at in words] == ["put"] * (len(words) - 1) + ["delete"]
    assert len(words) > 5

    for at in words:
        world = World(*_CRASHED)
        getattr(world.controller.api, how).add(at)
        _whole_story(world)
        assert how == "lost" or world.controller.deaths == 1


def test_every_look_may_fail_once() -> None:
    """A router that fails every other question slows things down and changes nothing."""
    world = World(weight(20), SHORT, weight(60))

    world.update()
    for second in range(300):
        world.router.trouble = SilentError(ROUTER, "no answer") if second % 2 else None
        world.advance(1)

    assert (world.router.weights(), world.status.phase) == ((100, 0), "Healthy")
