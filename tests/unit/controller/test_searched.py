"""Are objects that Rollouts look for found by an index, and are these woken by their changes?"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from router_setup import router_for
from routers_traefik import INGRESS_ROUTE, SHOP, TRAEFIK_SERVICE, WEIGHTED, ingress_route, made_by, traefik_rollout, traefik_service
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.controller.caches import Mirror
from tiphys.controller.cluster import Kind
from tiphys.controller.found import found_by
from tiphys.controller.named import Naming
from tiphys.kube.store import Key, Store
from tiphys.traffic.router import Search
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import routers_of

KIND: Kind = ("traefik.io", "IngressRoute")
WEB = Key("default", "web")


class Quiet:
    """A feed whose stores the tests fill themselves."""

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        del kind, answered
        store.synced.set()

    def absent(self, kind: Kind) -> bool:
        del kind
        return False


@dataclass(slots=True)
class Woken:
    """Remembers who was woken."""

    keys: list[Key] = field(default_factory=list)

    def changed(self, key: Key) -> None:
        self.keys.append(key)

    def edited(self, key: Key) -> None:
        """A Rollout came, which the tests put there themselves."""

    def gone(self, key: Key, last: Rollout | None) -> None:
        del key, last
        raise AssertionError("no Rollout goes in these tests")


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def caches(woken: Woken) -> Mirror:
    mirror = Mirror(Quiet(), Naming(lambda rollout: routers_of(rollout, settings=Settings())))
    mirror.start(woken)
    for kind in (KIND, (TRAEFIK_SERVICE.group, TRAEFIK_SERVICE.kind)):
        mirror.demand(kind)
    mirror.rollouts.accept(traefik_rollout())
    woken.keys.clear()
    return mirror


def using(service: str, name: str = "shop", *, version: str = "41", namespace: str = "default", owner: str = "") -> Manifest:
    """Give an IngressRoute that uses the TraefikService *service*."""
    found = ingress_route(SHOP.replace("name: web,", f"name: {service},"))
    owners = {"ownerReferences": [{"uid": owner, "controller": True}]} if owner else {}
    return {**found, "metadata": {"name": name, "namespace": namespace, "resourceVersion": version, **owners}}


def put(caches: Mirror, manifest: Manifest) -> None:
    caches.store(KIND).accept(json.loads(json.dumps(manifest)))


def search(name: str = "web") -> Search:
    return Search(group=KIND[0], kind=KIND[1], namespace="default", name=name)


def test_only_what_mentions_the_name_in_the_namespace_is_found(caches: Mirror) -> None:
    for manifest in (using("web"), using("other", "away"), using("web", "b"), using("web", "foreign", namespace="elsewhere")):
        put(caches, manifest)

    found = caches.mentioning([search()])

    assert [ref.name for ref in found] == ["b", "shop"]
    assert caches.mentioning([search("nobody")]) == {}


def test_an_object_that_mentions_another_name_from_now_on_is_no_longer_found(caches: Mirror) -> None:
    put(caches, using("web"))
    put(caches, using("other", version="42"))

    assert caches.mentioning([search()]) == {}
    assert [ref.name for ref in caches.mentioning([search("other")])] == ["shop"]


def test_a_rollout_is_woken_by_what_comes_to_use_its_service_and_by_what_ceases_to(caches: Mirror, woken: Woken) -> None:
    put(caches, using("other"))
    unconcerned = list(woken.keys)
    put(caches, using("web", version="42"))
    comes = list(woken.keys)
    put(caches, using("other", version="43"))

    assert (unconcerned, comes, woken.keys) == ([], [WEB], [WEB, WEB])


def test_a_rollout_is_woken_by_what_it_owns_whatever_that_mentions(caches: Mirror, woken: Woken) -> None:
    put(caches, using("other", "made", owner="uid-web"))
    put(caches, using("other", "of-another", owner="uid-else"))

    assert woken.keys == [WEB]


def test_a_rollout_is_woken_by_what_it_minds_until_it_minds_something_else(caches: Mirror, woken: Woken) -> None:
    first, second = replace(INGRESS_ROUTE, name="first"), replace(INGRESS_ROUTE, name="second")
    caches.mind(WEB, [first, second])
    put(caches, using("other", "first"))
    caches.mind(WEB, [second])
    put(caches, using("other", "first", version="42"))
    put(caches, using("other", "second"))
    caches.forget(WEB)
    put(caches, using("other", "second", version="42"))

    assert woken.keys == [WEB, WEB]


def test_malformed_objects_mention_nothing_and_end_no_watch(caches: Mirror, woken: Woken) -> None:
    put(caches, {**using("web"), "spec": {"routes": [7, {"services": {"name": "web"}}]}})
    put(caches, {**using("web", "b"), "spec": None})

    assert caches.mentioning([search()]) == {}
    assert woken.keys == []


def test_routers_see_what_they_name_look_for_and_make_even_where_it_is_somebody_elses(caches: Mirror) -> None:
    step = {"setHeaderRoute": {"name": "first", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}}
    subject = traefik_rollout(steps=[step])
    router = router_for(subject)
    source = using("web")
    (made,) = made_by(router, {INGRESS_ROUTE: source})
    service = traefik_service(WEIGHTED)
    caches.store((TRAEFIK_SERVICE.group, TRAEFIK_SERVICE.kind)).accept(service)
    for manifest in (source, using("other", made.name), using("other", "old", owner="uid-web"), using("other", "of-nobody")):
        put(caches, manifest)

    found = found_by([router], subject.metadata.uid, caches)

    assert sorted(ref.name for ref in found) == sorted([made.name, "old", "shop", "web"])
    assert found[TRAEFIK_SERVICE] == service
