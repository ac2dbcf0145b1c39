"""What a watcher sees, in virtual time and as things happen."""

import asyncio

import pytest

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Channel, Event
from tiphys.devcluster.kinds import CONFIG_MAPS, NAMESPACES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store


def create(cluster: Store, name: str, namespace: str = "default", **labels: str) -> None:
    cluster.create(CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}}, namespace=namespace)


def relabel(cluster: Store, name: str, **labels: str) -> None:
    cluster.patch(CONFIG_MAPS, name, PatchKind.MERGE, {"metadata": {"labels": labels}}, namespace="default")


def said(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.stored.name) for event in events]


def test_a_watch_begins_with_what_is_there_and_goes_on_with_what_happens() -> None:
    cluster = Store(names=Names(1))
    create(cluster, "old")

    watch = cluster.watch(CONFIG_MAPS, namespace="default")
    create(cluster, "new")
    relabel(cluster, "old", x="y")
    cluster.delete(CONFIG_MAPS, "new", namespace="default")

    assert said(watch.drain()) == [("ADDED", "old"), ("ADDED", "new"), ("MODIFIED", "old"), ("DELETED", "new")]
    assert watch.drain() == []


def test_a_watch_from_a_version_sees_only_what_came_after_it() -> None:
    cluster = Store(names=Names(1))
    create(cluster, "a")
    since = cluster.version
    create(cluster, "b")

    assert said(cluster.watch(CONFIG_MAPS, since=since).drain()) == [("ADDED", "b")]
    assert said(cluster.watch(CONFIG_MAPS, since=cluster.version).drain()) == []


def test_objects_come_into_and_go_out_of_the_sight_of_a_selector() -> None:
    cluster = Store(names=Names(1))
    watch = cluster.watch(CONFIG_MAPS, labels="app=x", since=cluster.version)

    create(cluster, "a", app="x")
    relabel(cluster, "a", app="y")
    left = cluster.version
    relabel(cluster, "a", more="1")
    relabel(cluster, "a", app="x")
    cluster.delete(CONFIG_MAPS, "a", namespace="default")

    events = watch.drain()
    assert said(events) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert events[1].manifest["metadata"]["labels"] == {"app": "x"}
    assert events[1].manifest["metadata"]["resourceVersion"] == str(left)


def test_a_deleted_object_has_a_version_newer_than_its_last_write() -> None:
    cluster = Store(names=Names(1))
    create(cluster, "a")
    written = cluster.version
    watch = cluster.watch(CONFIG_MAPS, since=written)

    cluster.delete(CONFIG_MAPS, "a", namespace="default")

    assert [int(event.manifest["metadata"]["resourceVersion"]) for event in watch.drain()] == [written + 1]


def test_a_watch_of_one_namespace_hears_nothing_of_the_others() -> None:
    cluster = Store(names=Names(1))
    cluster.create(NAMESPACES, {"metadata": {"name": "other"}})
    watch = cluster.watch(CONFIG_MAPS, namespace="default", since=cluster.version)

    create(cluster, "a", namespace="other")
    create(cluster, "b")

    assert said(watch.drain()) == [("ADDED", "b")]


def test_watchers_share_the_encoding_of_an_event() -> None:
    cluster = Store(names=Names(1))
    watches = [cluster.watch(CONFIG_MAPS, since=cluster.version) for _ in range(3)]

    create(cluster, "a")

    lines = [watch.drain()[0].line for watch in watches]
    assert lines[0] is lines[1] is lines[2]
    assert lines[0].startswith(b'{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap",')


def test_a_version_that_is_no_longer_remembered_is_gone() -> None:
    cluster = Store(names=Names(1))
    since = cluster.version
    create(cluster, "a")
    cluster.compact()

    with pytest.raises(StatusError) as error:
        cluster.watch(CONFIG_MAPS, since=since)

    assert (error.value.code, error.value.reason) == (410, "Expired")


def test_a_watcher_that_was_away_for_too_long_is_told_so() -> None:
    cluster = Store(names=Names(1), kept_events=3)
    watch = cluster.watch(CONFIG_MAPS, since=cluster.version)

    for name in "abcde":
        create(cluster, name)

    with pytest.raises(StatusError) as error:
        watch.drain()
    assert error.value.code == 410


def test_a_batch_leaves_the_rest_for_the_next_time() -> None:
    cluster = Store(names=Names(1))
    watch = cluster.watch(CONFIG_MAPS, since=cluster.version)
    for name in "abc":
        create(cluster, name)

    assert said(watch.drain(2)) == [("ADDED", "a"), ("ADDED", "b")]
    assert said(watch.drain(2)) == [("ADDED", "c")]


async def test_an_iterator_wakes_up_for_every_event_and_ends_when_closed() -> None:
    cluster = Store(names=Names(1))
    watch = cluster.watch(CONFIG_MAPS, since=cluster.version)
    seen: list[str] = []

    async def follow() -> None:
        async for event in watch:
            seen.append(event.stored.name)
            if event.stored.name == "b":
                watch.close()

    following = asyncio.create_task(follow())
    create(cluster, "a")
    await asyncio.sleep(0)
    create(cluster, "b")
    async with asyncio.timeout(5):
        await following

    assert seen == ["a", "b"]


async def test_waiting_ends_with_the_next_change_only() -> None:
    channel = Channel()
    waiting = asyncio.create_task(channel.news(0))
    await asyncio.sleep(0)
    assert not waiting.done()

    channel.wake()

    async with asyncio.timeout(5):
        await waiting
