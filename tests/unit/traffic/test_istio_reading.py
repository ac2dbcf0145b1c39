"""What do VirtualServices and DestinationRules say now?"""

import pytest

from builders import rollout
from routers import RULE, VIRTUAL_SERVICE, destination_rule, istio_rollout, router_for, strategy, virtual_service
from tiphys.api.names import HASH_LABEL
from tiphys.api.status import CanaryStatus, RolloutStatus
from tiphys.core.intent import (
    Backend,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    MirrorRoute,
    RequestMatch,
    Role,
    TextMatch,
    TrafficIntent,
)

BOTH = "route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]"
SPLIT = f"http:\n- {BOTH}"


SUBSETS = "http: [{route: [{destination: {host: web, subset: stable}, weight: 100}, {destination: {host: web, subset: canary}}]}]"
RULE_BLOCK = {"name": "web", "canarySubsetName": "canary", "stableSubsetName": "stable"}


def header(name: str = "first", value: str = "1") -> HeaderRoute:
    return HeaderRoute(name=name, any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value=value)),))


def wish(canary: int, **more: object) -> TrafficIntent:
    backends = (
        Backend(role=Role.STABLE, service="web-stable", weight=100 - canary),
        Backend(role=Role.CANARY, service="web-canary", weight=canary),
    )
    return TrafficIntent(**{"backends": backends, "managed": ("first", "second", "third"), **more})  # type: ignore[arg-type]  # typed by the fields


@pytest.mark.parametrize(
    ("weights", "canary", "stable", "uniform"),
    [
        ((80, 20), 20, 80, True),
        ((4, 1), 20, 80, True),
        ((2, 1), 34, 66, False),
        ((None, None), 0, 100, False),
        ((70, 20, 10), 20, 80, True),
        ((0, 100, 10), 100, 0, True),
    ],
)
def test_weights_are_read_as_shares(weights: tuple[int | None, ...], canary: int, stable: int, uniform: bool) -> None:  # noqa: FBT001  a table's column
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    found = virtual_service("http: [{}]")
    found["spec"]["http"][0]["route"] = [
        {"destination": {"host": host}} if weight is None else {"destination": {"host": host}, "weight": weight}
        for host, weight in zip(("web-stable", "web-canary", "stranger"), weights, strict=False)
    ]

    routed = router.routed({VIRTUAL_SERVICE: found})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (canary, stable, uniform)


def test_entries_with_other_weights_are_not_uniform_and_the_largest_count() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web", "routes": ["a", "b"]}}))
    one, other = BOTH.replace("100", "90").replace("0}]", "10}]"), BOTH.replace("100", "70").replace("0}]", "30}]")

    routed = router.routed({VIRTUAL_SERVICE: virtual_service(f"http: [{{name: a, {one}}}, {{name: b, {other}}}]")})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (30, 90, False)


@pytest.mark.parametrize(
    "entry",
    [
        "{name: first, route: [{destination: {host: web-canary}, weight: 100}]}",
        "{name: first, match: [], route: [{destination: {host: web-canary}}]}",
        "{name: first, match: [{headers: {x: {exact: '1'}, y: {exact: '1'}}}], route: [{destination: {host: web-canary}}]}",
        "{name: first, match: [{uri: {exact: /}}], route: [{destination: {host: web-canary}}]}",
        "{name: first, match: [{headers: {x: {ignoreCase: true}}}], route: [{destination: {host: web-canary}}]}",
        "{name: first, match: [{headers: {x: {exact: '1'}}}], route: [{destination: {host: web-stable}}]}",
        "{name: first, match: [{headers: {x: {exact: '1'}}}], route: [{destination: {host: web-canary}, weight: 50}]}",
        "{name: first, match: [{headers: {x: {exact: '1'}}}], timeout: 5s, route: [{destination: {host: web-canary}}]}",
        f"{{name: first, match: [{{headers: {{x: null}}}}], {BOTH}, mirror: {{host: web-canary}}}}",
        f"{{name: first, match: [{{}}], {BOTH}, mirror: {{host: elsewhere}}}}",
        f"{{name: first, match: [{{}}], {BOTH}, mirror: {{host: web-canary}}, mirrorPercentage: {{value: 0.5}}}}",
        f"{{name: first, match: [{{}}], {BOTH.replace('100', '90').replace('weight: 0', 'weight: 10')}, mirror: {{host: web-canary}}}}",
        "{name: first, match: [{}], route: null, mirror: {host: web-canary}}",
        "{name: first, redirect: {uri: /}}",
    ],
)
def test_a_managed_entry_that_says_no_wish_is_not_uniform(entry: str) -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))

    routed = router.routed({VIRTUAL_SERVICE: virtual_service(f"http: [{entry}, {{{BOTH}}}]")})

    assert routed is not None
    assert (routed.header_routes, routed.mirrors, routed.uniform) == ((), (), False)


def test_a_mirror_route_is_read_with_its_conditions() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    entry = f"{{name: first, match: [{{uri: {{prefix: /api}}}}], {BOTH}, mirror: {{host: web-canary}}}}"

    routed = router.routed({VIRTUAL_SERVICE: virtual_service(f"http: [{entry}, {{{BOTH}}}]")})

    assert routed is not None
    assert routed.mirrors == (
        MirrorRoute(name="first", any_of=(RequestMatch(path=TextMatch(kind=MatchKind.PREFIX, value="/api")),), percent=100),
    )
    assert routed.uniform


@pytest.mark.parametrize("order", ["main, first, second", "second, first, main", "first, main, second", "first, first, second, main"])
def test_managed_entries_at_the_wrong_place_or_twice_are_not_uniform(order: str) -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    found = {VIRTUAL_SERVICE: virtual_service(SPLIT.replace("- ", "- name: main\n  "))}
    asked = wish(0, header_routes=(header("first"), header("second")))
    written = router.render(asked, found).apply[VIRTUAL_SERVICE]
    by_name = {entry["name"]: entry for entry in written["spec"]["http"]}

    moved = {**written, "spec": {**written["spec"], "http": [by_name[name] for name in order.split(", ")]}}

    read = router.routed({VIRTUAL_SERVICE: moved})
    assert read is not None
    assert not read.uniform
    assert router.render(asked, {VIRTUAL_SERVICE: moved}).apply[VIRTUAL_SERVICE] == written


def test_the_hashes_are_those_of_the_subsets_and_of_nobody_in_host_mode() -> None:
    by_subset = router_for(istio_rollout({"virtualService": {"name": "web"}, "destinationRule": RULE_BLOCK}))
    rule = f"{{host: web, subsets: [{{name: stable, labels: {{{HASH_LABEL}: 55c4}}}}, {{name: canary, labels: null}}]}}"

    read = by_subset.routed({VIRTUAL_SERVICE: virtual_service(SUBSETS), RULE: destination_rule(rule)})
    by_host = router_for(istio_rollout({"virtualService": {"name": "web"}})).routed({VIRTUAL_SERVICE: virtual_service(SPLIT)})

    assert read is not None
    assert (read.stable_hash, read.canary_hash) == ("55c4", "")
    assert by_host is not None
    assert (by_host.stable_hash, by_host.canary_hash) == (None, None)


@pytest.mark.parametrize(("status", "canary"), [("", 30), ("pong", 30), ("ping", 70)])
def test_ping_and_pong_are_read_by_the_role_the_status_gives_them(status: str, canary: int) -> None:
    subject = rollout(
        strategy=strategy(
            pingPong={"pingService": "ping", "pongService": "pong"}, trafficRouting={"istio": {"virtualService": {"name": "web"}}}
        ),
        status=RolloutStatus(canary=CanaryStatus(stable_ping_pong=status)),
    )
    spec = "http: [{route: [{destination: {host: ping}, weight: 30}, {destination: {host: pong}, weight: 70}]}]"

    routed = router_for(subject).routed({VIRTUAL_SERVICE: virtual_service(spec)})

    assert routed is not None
    assert (routed.canary, routed.stable) == (canary, 100 - canary)
