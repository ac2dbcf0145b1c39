"""Do loops hear of what happens, when it happens, and are they asked again when they fail?"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tiphys.devcluster.engine import Engine
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.history import Event
from tiphys.devcluster.kinds import CONFIG_MAPS, CRDS
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store
from tiphys.devcluster.virtual import START, VirtualClock, VirtualCluster


@dataclass(eq=False)
class Recorder:
    """A loop that writes down when it was asked about what."""

    clock: VirtualClock
    does: Callable[[str], datetime | None] = lambda _: None
    asked: list[tuple[str, float]] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[str]:
        del resource
        self.heard.append((event.type, event.stored.name))
        return (event.stored.name,)

    def sync(self, key: str, now: datetime) -> datetime | None:
        self.asked.append((key, (now - START).total_seconds()))
        return self.does(key)


@dataclass
class World:
    clock: VirtualClock
    store: Store
    engine: Engine

    def config_map(self, name: str) -> None:
        self.store.create(CONFIG_MAPS, {"metadata": {"name": name}}, namespace="default")

    def pass_time(self, seconds: float) -> None:
        """Let alarms ring at their times."""
        end = self.clock.now + timedelta(seconds=seconds)
        self.engine.settle()
        while (at := self.engine.wakes_at()) is not None and at <= end:
            self.clock.now = at
            self.engine.settle()
        self.clock.now = end


@pytest.fixture
def world() -> World:
    clock = VirtualClock()
    store = Store(clock=clock, names=Names(1))
    return World(clock, store, Engine(store))


def test_a_loop_hears_of_what_is_there_and_of_what_comes(world: World) -> None:
    world.config_map("first")
    recorder = Recorder(world.clock)

    world.engine.listen(recorder, CONFIG_MAPS)
    world.config_map("second")
    world.engine.settle()
    world.store.delete(CONFIG_MAPS, "first", namespace="default")
    world.engine.settle()

    assert recorder.heard == [("ADDED", "first"), ("ADDED", "second"), ("DELETED", "first")]


def test_a_second_loop_on_a_kind_hears_of_what_is_there_too(world: World) -> None:
    world.config_map("first")
    early, late = Recorder(world.clock), Recorder(world.clock)
    world.engine.listen(early, CONFIG_MAPS)
    world.engine.settle()

    world.engine.listen(late, CONFIG_MAPS)
    world.config_map("second")
    world.engine.settle()

    assert late.heard == early.heard == [("ADDED", "first"), ("ADDED", "second")]


def test_changes_before_a_look_are_one_look(world: World) -> None:
    recorder = Recorder(world.clock)
    world.engine.listen(recorder, CONFIG_MAPS)

    world.config_map("a")
    world.store.update(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "default", "labels": {"x": "y"}}})
    world.engine.settle()

    assert recorder.asked == [("a", 0.0)]


def test_a_loop_is_asked_again_at_the_time_it_names(world: World) -> None:
    times = iter([START + timedelta(seconds=5), START + timedelta(seconds=7), None])
    recorder = Recorder(world.clock, does=lambda _: next(times))
    world.engine.listen(recorder, CONFIG_MAPS)
    world.config_map("a")

    world.pass_time(60)

    assert recorder.asked == [("a", 0.0), ("a", 5.0), ("a", 7.0)]


def test_a_refused_write_is_tried_again_ever_more_slowly(world: World) -> None:
    def refuse(_: str) -> None:
        raise StatusError(409, "somebody wrote first")

    recorder = Recorder(world.clock, does=refuse)
    world.engine.listen(recorder, CONFIG_MAPS)
    world.config_map("a")

    world.pass_time(120)

    times = [at for _, at in recorder.asked]
    pauses = [round(later - earlier, 6) for earlier, later in itertools.pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.1
    assert pauses[-1] == 10
    assert len(times) < 25


def test_two_loops_that_undo_each_other_are_found_out(world: World) -> None:
    recorder = Recorder(world.clock)
    recorder.does = lambda key: world.engine.mark(recorder, key)
    world.engine.listen(recorder, CONFIG_MAPS)
    world.config_map("a")

    with pytest.raises(RuntimeError, match="did not come to rest"):
        world.engine.settle(limit=1000)


def test_dropped_history_is_made_up_for(world: World) -> None:
    recorder = Recorder(world.clock)
    world.engine.listen(recorder, CONFIG_MAPS)
    world.config_map("stays")
    world.config_map("goes")
    world.engine.settle()
    recorder.heard.clear()

    world.store.delete(CONFIG_MAPS, "goes", namespace="default")
    world.config_map("comes")
    world.store.compact()
    world.engine.settle()

    assert recorder.heard == [("DELETED", "goes"), ("ADDED", "comes"), ("ADDED", "stays")]


def test_kinds_that_are_installed_later_are_heard_of_until_they_go() -> None:
    cluster = VirtualCluster()
    cluster.settle()
    recorder = Recorder(cluster.clock)
    cluster.hear(recorder, lambda kind: kind == ("networking.istio.io", "virtualservices"))

    cluster.install(foreign_definitions("networking.istio.io"))
    resource = cluster.store.registry.resource("networking.istio.io", "v1", "virtualservices")
    assert resource is not None
    cluster.store.create(resource, {"metadata": {"name": "web"}, "spec": {}}, namespace="default")
    cluster.settle()
    cluster.store.delete(CRDS, "virtualservices.networking.istio.io")
    cluster.settle()

    assert recorder.heard == [("ADDED", "web"), ("DELETED", "web")]
    assert cluster.store.registry.resource("networking.istio.io", "v1", "virtualservices") is None
