"""Events of both groups are one object."""

import pytest

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.kinds import EVENTS, NEW_EVENTS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store

ABOUT = {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default"}
WHO = {"reportingInstance": "me-1", "action": "Look", "reason": "Seen", "type": "Normal", "eventTime": "2026-01-02T03:04:05.000000Z"}
NEW: Manifest = {"metadata": {"name": "new"}, "regarding": ABOUT, "note": "hello", "reportingController": "example.com/me", **WHO}
OLD: Manifest = {"metadata": {"name": "old"}, "involvedObject": ABOUT, "message": "hello", "count": 2, "source": {"component": "me"}}


@pytest.fixture
def cluster() -> Store:
    store = Store(names=Names(1))
    store.create(NEW_EVENTS, NEW, namespace="default")
    store.create(EVENTS, OLD, namespace="default")
    return store


def test_each_group_shows_the_events_of_both(cluster: Store) -> None:
    core = {each["metadata"]["name"]: each for each in cluster.list(EVENTS, namespace="default").manifests}
    new = {each["metadata"]["name"]: each for each in cluster.list(NEW_EVENTS, namespace="default").manifests}

    assert set(core) == set(new) == {"old", "new"}
    assert (core["new"]["apiVersion"], core["new"]["message"], core["new"]["involvedObject"]["name"]) == ("v1", "hello", "p")
    assert core["new"]["reportingComponent"] == "example.com/me"
    shown = {key: new["old"].get(key) for key in ("apiVersion", "note", "deprecatedCount", "deprecatedSource", "reportingController")}
    assert shown == {
        "apiVersion": "events.k8s.io/v1",
        "note": "hello",
        "deprecatedCount": 2,
        "deprecatedSource": {"component": "me"},
        "reportingController": None,
    }


def test_an_event_is_changed_and_removed_in_either_form(cluster: Store) -> None:
    changed = cluster.patch(EVENTS, "new", PatchKind.MERGE, {"message": "changed"}, namespace="default")

    assert cluster.get(NEW_EVENTS, "new", namespace="default")["note"] == "changed"
    assert cluster.get(NEW_EVENTS, "new", namespace="default")["metadata"] == changed["metadata"]
    cluster.delete(NEW_EVENTS, "new", namespace="default")
    with pytest.raises(StatusError, match='events "new" not found'):
        cluster.get(EVENTS, "new", namespace="default")


def test_watches_with_selectors_see_events_of_the_other_form(cluster: Store) -> None:
    about_pod = cluster.watch(EVENTS, fields="involvedObject.name=p", since=cluster.version)
    about_other = cluster.watch(NEW_EVENTS, fields="regarding.name=q", since=cluster.version)

    cluster.create(NEW_EVENTS, {**NEW, "metadata": {"name": "next"}}, namespace="default")
    cluster.create(EVENTS, {**OLD, "metadata": {"name": "other"}, "involvedObject": {**ABOUT, "name": "q"}}, namespace="default")

    assert [(event.type, event.manifest["message"]) for event in about_pod.drain()] == [("ADDED", "hello")]
    assert [event.manifest["regarding"]["name"] for event in about_other.drain()] == ["q"]
