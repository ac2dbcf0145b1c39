"""
What does a Rollout say of objects that are missing, malformed, somebody else's or not served, and does it recover by itself?

The routers are those of the contract tests: one that is added there is met here.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence

import pytest

from inprocess import InProcessController, rollout_manifest, service_manifest
from router_setup import Setup, made_of
from routers import SETUPS
from scenarios import ROLLOUT, template, weight
from tiphys.api.codec import plain
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.assembly import install_definitions
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.foreign.table import FAMILIES
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import ROUTERS, routers_of

STEPS: Sequence[Manifest] = (weight(20), {"pause": {}})
SERVICES = ("web", "web-stable", "web-canary", "web-ping", "web-pong")
BUILT_IN = frozenset({"networking.k8s.io", ""})
SERVED = BUILT_IN | {family.group for family in FAMILIES}
RUINED: Mapping[str, Manifest] = {"Ingress": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}
"""What is left of the spec of a kind that the API server does not take without one."""


def _told_apart(setups: Iterable[tuple[str, Setup]]) -> dict[str, Setup]:
    """Leave one setup for each product and set of kinds; kinds have to be among those of the development cluster."""
    chosen: dict[object, str] = {}
    for name, setup in setups:
        if not {ref.group for ref in (*setup.start, *setup.creates)} <= SERVED:
            continue
        chosen.setdefault((setup.product, frozenset((ref.group, ref.kind) for ref in (*setup.start, *setup.creates))), name)
    return {name: SETUPS[name] for name in chosen.values()}


def _made(setup: Setup) -> tuple[Rollout, Settings]:
    made = made_of(setup.router)
    assert made is not None, "router_for makes the routers of the table"
    return made


def _plain_first(entry: tuple[str, Setup]) -> tuple[bool, bool]:
    return "ping" in entry[1].canary, entry[1].maximum != 100


CHOSEN = _told_apart(sorted(SETUPS.items(), key=_plain_first))
MAKING = {name: setup for name, setup in CHOSEN.items() if setup.creates}
every_router = pytest.mark.parametrize("setup", CHOSEN.values(), ids=CHOSEN)
every_router_with_objects_of_its_own = pytest.mark.parametrize("setup", MAKING.values(), ids=MAKING)


def test_every_product_of_the_table_is_met_here() -> None:
    assert {setup.product for setup in CHOSEN.values()} == {product.name for product in ROUTERS}


class World:
    """A cluster with a Rollout as *setup* has it, and none of its objects so far."""

    def __init__(self, setup: Setup, *, definitions: Iterable[Manifest]) -> None:
        subject, settings = _made(setup)
        self.setup = setup
        self.cluster = VirtualCluster(definitions=[*definitions, *crd_manifests()])
        self.controller = InProcessController(self.cluster, decide=decide, gate=violated, routers=settings)
        self.cluster.join(self.controller)
        for name in SERVICES:
            self.controller.create(service_manifest(name))
        assert subject.spec.strategy.canary is not None
        rollout = rollout_manifest("web", *STEPS, istio=False, **{**plain(subject.spec.strategy.canary), "steps": list(STEPS)})
        rollout["spec"]["template"] = template("1")
        self.controller.create(rollout)
        self.rest()

    def rest(self) -> None:
        self.cluster.advance(120)

    def put(self, refs: Iterable[Ref]) -> None:
        """Let people apply the objects *refs* as they have them."""
        for ref in refs:
            manifest = copy.deepcopy(self.setup.start[ref])
            manifest["metadata"].pop("resourceVersion", None)
            self.controller.create(manifest, namespace=ref.namespace)
        self.rest()

    def take(self, ref: Ref) -> None:
        """Let people delete the object *ref*."""
        self.cluster.store.delete(self._type(ref), ref.name, namespace=ref.namespace)
        self.rest()

    def spoil(self, ref: Ref) -> Manifest:
        """Let people ruin the spec of *ref*, and give the one that it had."""
        before: Manifest = self.controller.manifest((ref.group, ref.kind), ref.name, ref.namespace)["spec"]
        ruin = {"spec": {**dict.fromkeys(before), **RUINED.get(ref.kind, {})}}
        self.controller.edit((ref.group, ref.kind), ref.name, ruin, namespace=ref.namespace)
        self.rest()
        return {**dict.fromkeys(RUINED.get(ref.kind, {})), **before}

    def mend(self, ref: Ref, spec: Manifest) -> None:
        self.controller.edit((ref.group, ref.kind), ref.name, {"spec": spec}, namespace=ref.namespace)
        self.rest()

    def update(self) -> None:
        self.controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
        self.rest()

    @property
    def phase(self) -> str:
        return self.controller.rollout().status.phase

    @property
    def told(self) -> str:
        """Give all that the Rollout and its Warning events say."""
        events = [message for kind, _, message in self.controller.told.events if kind == "Warning"]
        return "\n".join((self.controller.rollout().status.message, *events))

    def canary_weight(self) -> int | None:
        """Read what the objects say, as the router does."""
        routed = self._router.routed(self._found())
        return None if routed is None else routed.canary

    def wrong(self) -> bool:
        """Tell whether the router finds anything wrong with the objects as they are."""
        return bool(self._router.problems(self._found()))

    @property
    def _router(self) -> Router:
        (router,) = routers_of(self.controller.rollout(), settings=self.controller.routers)
        return router

    def _found(self) -> dict[Ref, Manifest]:
        refs = (*self._router.reads(), *self.setup.start)
        return {ref: manifest for ref in refs if (manifest := self.stands(ref)) is not None}

    def stands(self, ref: Ref) -> Manifest | None:
        try:
            return self.controller.manifest((ref.group, ref.kind), ref.name, ref.namespace)
        except (LookupError, StatusError):
            return None

    def written(self) -> list[str]:
        """Give the kinds of route objects that the controller wrote."""
        plurals = {self._type(ref).plural for ref in (*self.setup.start, *self.setup.creates) if self._served(ref)}
        return [plural for _, plural, _ in self.controller.api.done if plural in plurals]

    def _served(self, ref: Ref) -> bool:
        return any((each.group, each.kind) == (ref.group, ref.kind) for each in self.cluster.store.registry)

    def _type(self, ref: Ref) -> ResourceType:
        return next(each for each in self.cluster.store.registry if (each.group, each.kind) == (ref.group, ref.kind))


def _groups(setup: Setup) -> list[str]:
    return sorted({ref.group for ref in (*setup.start, *setup.creates)} - BUILT_IN)


def _definitions(setup: Setup) -> list[Manifest]:
    return [definition for group in _groups(setup) for definition in foreign_definitions(group)]


@every_router
def test_a_product_that_is_not_installed_and_objects_that_are_not_there_are_told_and_taken_up_when_they_come(setup: Setup) -> None:
    world = World(setup, definitions=())
    bare = world.told

    install_definitions(world.cluster.store, _definitions(setup))
    world.rest()
    missing = []
    world.put(ref for ref in setup.start if ref in setup.unnamed)
    for ref in (ref for ref in setup.start if ref not in setup.unnamed):
        missing.append((ref, world.told, world.phase, world.written()))
        world.put([ref])

    if _groups(setup):
        assert setup.product in bare or any(ref.kind in bare for ref in (*setup.start, *setup.creates)), bare
    for ref, told, phase, written in missing:
        assert ref.kind in told, told
        assert f"{ref.namespace}/{ref.name}" in told or setup.beyond, told
        assert phase == "Degraded"
        assert written == []
    assert world.phase == "Healthy", world.told
    world.update()
    assert world.phase == "Paused", world.told
    assert world.canary_weight() == 20


@every_router
def test_an_object_that_goes_or_is_ruined_in_the_middle_is_told_by_name_and_gets_its_weight_when_it_is_back(setup: Setup) -> None:
    world = World(setup, definitions=_definitions(setup))
    world.put(setup.start)
    world.update()
    before = world.canary_weight()
    bad: list[tuple[Ref, str, str]] = []
    good: list[tuple[Ref, str, int | None]] = []

    for ref in (ref for ref in setup.start if ref not in setup.unnamed):
        world.take(ref)
        bad.append((ref, world.phase, world.told))
        world.put([ref])
        good.append((ref, world.phase, world.canary_weight()))
        spec = world.spoil(ref)
        if world.wrong():
            bad.append((ref, world.phase, world.told))
        world.mend(ref, spec)
        good.append((ref, world.phase, world.canary_weight()))

    assert before == 20
    for ref, phase, told in bad:
        assert (phase, str(ref) in told) == ("Degraded", True), (str(ref), told)
    for ref, phase, canary in good:
        assert (phase, canary) == ("Paused", 20), str(ref)


@pytest.mark.one_life("what one process says while an object is in its way")
@every_router_with_objects_of_its_own
def test_an_object_of_somebody_else_under_our_name_is_told_left_alone_and_made_when_it_is_gone(setup: Setup) -> None:
    world = World(setup, definitions=_definitions(setup))
    world.put(setup.start)
    world.update()
    ours = [ref for ref in setup.creates if world.stands(ref) is not None]
    somebody = world.controller.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "somebody", "namespace": "default"}})
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "somebody", "uid": somebody["metadata"]["uid"], "controller": True}

    for ref in ours:
        mine = world.stands(ref)
        assert mine is not None
        metadata = {key: mine["metadata"][key] for key in ("name", "namespace")}
        world.controller.edit((ref.group, ref.kind), ref.name, {"metadata": {"ownerReferences": [owner]}}, namespace=ref.namespace)
        world.rest()
        theirs = world.stands(ref)
        assert str(ref) in world.told
        assert world.phase == "Degraded"
        world.rest()
        assert world.stands(ref) == theirs
        world.take(ref)
        made = world.stands(ref)
        assert made is not None
        assert metadata.items() <= made["metadata"].items()
        assert made["metadata"]["ownerReferences"][0]["uid"] == world.controller.rollout().metadata.uid
        assert (world.phase, world.canary_weight()) == ("Paused", 20)


def _in_fixed_versions() -> dict[str, Setup]:
    fixed = {name: _made(setup)[1].versions for name, setup in CHOSEN.items()}
    return {
        name: setup for name, setup in CHOSEN.items() if any((ref.group, ref.kind) in fixed[name] for ref in (*setup.start, *setup.creates))
    }


@pytest.mark.parametrize("setup", _in_fixed_versions().values(), ids=_in_fixed_versions())
def test_a_cluster_that_serves_another_version_is_told_which_one_is_wanted(setup: Setup) -> None:
    definitions = copy.deepcopy(_definitions(setup))
    for definition in definitions:
        (*_, version) = definition["spec"]["versions"]
        definition["spec"]["versions"] = [{**version, "name": "v9", "served": True, "storage": True}]

    world = World(setup, definitions=definitions)
    world.update()

    versions = _made(setup)[1].versions
    assert world.written() == []
    wanted = {f"{ref.group}/{versions[ref.group, ref.kind]}" for ref in (*setup.start, *setup.creates) if (ref.group, ref.kind) in versions}
    assert any(each in world.told for each in wanted) or "must name an existing" in world.told, world.told
