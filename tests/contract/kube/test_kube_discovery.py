"""Is it known what a server serves, whichever way it says so?"""

import pytest

from kube_fakes import WIDGETS
from kube_server import KubeServer
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection
from tiphys.kube.discovery import Served, discover, serves
from tiphys.kube.resources import PODS, Resource

GROUP = WIDGETS.group


def legacy(server: KubeServer) -> None:
    """Let the server speak as old ones do."""
    server.documents |= {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {
            "kind": "APIResourceList",
            "resources": [
                {"name": "pods", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"], "shortNames": ["po"]},
                {"name": "pods/eviction", "namespaced": True, "kind": "Eviction", "verbs": ["create"]},
            ],
        },
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {"name": GROUP, "versions": [{"version": "v1alpha1"}, {"version": "v1"}], "preferredVersion": {"version": "v1"}},
                {"name": "down.example", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
            ],
        },
    }
    for version in ("v1", "v1alpha1"):
        server.documents[f"/apis/{GROUP}/{version}"] = {
            "kind": "APIResourceList",
            "resources": [
                {"name": "widgets", "singularName": "widget", "namespaced": True, "kind": "Widget", "shortNames": ["wi"]},
                {"name": "widgets/status", "namespaced": True, "kind": "Widget"},
            ],
        }


def aggregated(server: KubeServer) -> None:
    """Let the server speak as new ones do."""

    def group(name: str, versions: list[dict[str, object]]) -> dict[str, object]:
        return {"metadata": {"name": name} if name else {}, "versions": versions}

    pods: dict[str, object] = {
        "resource": "pods",
        "responseKind": {"kind": "Pod"},
        "scope": "Namespaced",
        "singularResource": "pod",
        "verbs": ["get"],
    }
    pods |= {"shortNames": ["po"], "subresources": [{"subresource": "eviction"}]}
    widgets: dict[str, object] = {
        "resource": "widgets",
        "responseKind": {"kind": "Widget"},
        "scope": "Namespaced",
        "singularResource": "widget",
    }
    widgets |= {"shortNames": ["wi"], "subresources": [{"subresource": "status"}]}
    groups = [
        group(GROUP, [{"version": version, "resources": [widgets], "freshness": "Current"} for version in ("v1", "v1alpha1")]),
        group("down.example", [{"version": "v1", "freshness": "Stale"}]),
    ]
    server.documents |= {
        "/api": {"kind": "APIGroupDiscoveryList", "items": [group("", [{"version": "v1", "resources": [pods]}])]},
        "/apis": {"kind": "APIGroupDiscoveryList", "items": groups},
    }


async def seen(kind: str) -> tuple[Served, int]:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        (legacy if kind == "legacy" else aggregated)(server)
        return await discover(kube), len(server.asked)


@pytest.mark.parametrize(("kind", "requests"), [("legacy", 6), ("aggregated", 2)])
async def test_both_ways_say_the_same(kind: str, requests: int) -> None:
    served, asked = await seen(kind)

    assert asked == requests
    assert PODS in served
    assert Resource(GROUP, "v2", "widgets", "Widget") not in served
    widgets = served.find(GROUP, "widgets")
    assert widgets is not None
    assert (widgets.resource, widgets.short_names, widgets.subresources) == (WIDGETS, ("wi",), ("status",))
    assert [problem.partition(":")[0] for problem in served.problems] == ["down.example/v1"]


@pytest.mark.parametrize("word", ["widgets", "widget", "wi", "Widget", f"widgets.{GROUP}", f"widgets.v1.{GROUP}"])
async def test_a_user_may_name_a_kind_in_many_ways(word: str) -> None:
    served, _ = await seen("aggregated")
    found = served.named(word)

    assert found is not None
    assert found.resource == WIDGETS
    assert served.named("gadgets") is None
    assert served.named("widgets.other.example") is None


async def test_an_objects_own_words_find_its_kind() -> None:
    served, _ = await seen("legacy")
    older = served.of_kind(f"{GROUP}/v1alpha1", "Widget")

    assert older is not None
    assert older.resource.version == "v1alpha1"
    assert served.of_kind("v1", "Widget") is None


async def test_one_request_tells_whether_a_kind_is_served() -> None:
    async with KubeServer().running() as server, Client(Connection(server=server.url)) as kube:
        legacy(server)

        assert await serves(kube, WIDGETS)
        assert await serves(kube, PODS)
        assert not await serves(kube, Resource(GROUP, "v1", "gadgets", "Gadget"))
        assert not await serves(kube, Resource("nobody.example", "v1", "things", "Thing"))
