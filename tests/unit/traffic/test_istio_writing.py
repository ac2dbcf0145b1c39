"""How is a wish written, and what is refused?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers import RULE, VIRTUAL_SERVICE, destination_rule, istio_rollout, router_for, virtual_service
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import (
    Backend,
    Feature,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    Role,
    TextMatch,
    TrafficIntent,
)
from tiphys.traffic.settings import Settings

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


def test_weights_in_every_form_of_the_start_are_written_so_that_they_add_up() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    found = {VIRTUAL_SERVICE: virtual_service("http: [{route: [{destination: {host: web-stable}}, {destination: {host: web-canary}}]}]")}

    written = router.render(wish(33), found).apply[VIRTUAL_SERVICE]

    assert [item["weight"] for item in written["spec"]["http"][0]["route"]] == [67, 33]


def test_what_does_not_change_is_not_copied() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web", "routes": ["main"]}}))
    found = virtual_service(f"http: [{{name: other, route: [{{destination: {{host: x}}}}]}}, {{name: main, {BOTH}}}]")

    written = router.render(wish(20, header_routes=(header(),)), {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE]

    assert written["spec"]["http"][1] is found["spec"]["http"][0]
    assert written["metadata"] is found["metadata"]
    assert router.render(wish(0), {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE] is found


def test_a_route_of_ours_goes_without_a_warning() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    found = {VIRTUAL_SERVICE: virtual_service(SPLIT)}
    written = router.render(wish(20, header_routes=(header(),)), found)

    other = router.render(wish(20, header_routes=(header(value="2"),)), written.apply)
    gone = router.render(wish(20), other.apply)

    assert (written.warnings, other.warnings, gone.warnings) == ((), (), ())
    assert [entry.get("name") for entry in gone.apply[VIRTUAL_SERVICE]["spec"]["http"]] == [None]


def test_inherited_conditions_that_contradict_are_refused() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}), Settings(istio_inherit=True))
    found = {VIRTUAL_SERVICE: virtual_service(f"http: [{{match: [{{headers: {{x-beta: {{exact: '0'}}}}}}], {BOTH}}}]")}

    with pytest.raises(SpecError, match=r'"first": its condition on x-beta and the one inherited .* cannot both be written'):
        router.render(wish(20, header_routes=(header(),)), found)


def test_thousandths_are_refused_where_strangers_count_in_hundredths() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}, trafficRouting={"maxTrafficWeight": 1000}))
    route = BOTH.replace("100", "90").replace("}]", "}, {destination: {host: x}, weight: 10}]")
    asked = TrafficIntent(
        backends=(Backend(role=Role.STABLE, service="web-stable", weight=800), Backend(role=Role.CANARY, service="web-canary", weight=200)),
        maximum=1000,
    )

    with pytest.raises(SpecError, match="weights must add up to maxTrafficWeight, 1000"):
        router.render(asked, {VIRTUAL_SERVICE: virtual_service(f"http: [{{{route}}}]")})


def test_an_experiment_without_a_service_is_refused() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    asked = wish(20)
    asked = TrafficIntent(backends=(*asked.backends, Backend(role=Role.EXPERIMENT, weight=0)))

    with pytest.raises(SpecError, match="a Service for every experiment template"):
        router.render(asked, {VIRTUAL_SERVICE: virtual_service(SPLIT)})


def test_header_routes_cannot_be_written_where_no_http_entry_carries_weights() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web", "tcpRoutes": [{"port": 0}]}}))
    asked = wish(20, header_routes=(header(),))

    for http in ("", "\nhttp: [{route: [{destination: {host: cdn}}]}]"):
        with pytest.raises(SpecError, match="need an http entry that carries the weights"):
            router.render(asked, {VIRTUAL_SERVICE: virtual_service(f"tcp: [{{{BOTH}}}]{http}")})


def test_subsets_stand_for_services_only_with_a_destination_rule() -> None:
    by_host = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    by_subset = router_for(istio_rollout({"virtualService": {"name": "web"}, "destinationRule": RULE_BLOCK}))

    assert by_subset.supports - by_host.supports == {Feature.SUBSETS}


def test_an_object_that_is_gone_does_not_hold_back_the_others() -> None:
    router = router_for(istio_rollout({"virtualServices": [{"name": "web"}, {"name": "entrance.mesh"}]}))

    rendered = router.render(wish(0), {VIRTUAL_SERVICE: virtual_service(SPLIT.replace("100", "80").replace("weight: 0", "weight: 20"))})

    assert [item["weight"] for item in rendered.apply[VIRTUAL_SERVICE]["spec"]["http"][0]["route"]] == [100, 0]
    assert [str(error) for error in rendered.errors] == [
        'spec.strategy.canary.trafficRouting.istio.virtualServices.name: Invalid value: "entrance.mesh": '
        "must name an existing VirtualService (VirtualService mesh/entrance)"
    ]


_entries = st.lists(
    st.fixed_dictionaries(
        {"route": st.just([{"destination": {"host": "stranger"}}])},
        optional={
            "name": st.sampled_from(["a", "b", "main"]),
            "match": st.just([{"uri": {"prefix": "/"}}]),
            "fault": st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=2),
        },
    ),
    max_size=6,
)


@given(above=_entries, below=_entries, weights=st.lists(st.integers(0, 100), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_routes_of_others_keep_their_place_and_their_content(above: list[Manifest], below: list[Manifest], weights: list[int]) -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    start = virtual_service(SPLIT)
    start["spec"]["http"] = [*above, *start["spec"]["http"], *below]
    found = start

    for weight in weights:
        found = router.render(wish(weight, header_routes=(header(),)), {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE]
        own, *rest = found["spec"]["http"]
        assert own["name"] == "first"
        assert [*rest[: len(above)], *rest[len(above) + 1 :]] == [*above, *below]
        assert [item["weight"] for item in rest[len(above)]["route"]] == [100 - weight, weight]

    assert router.render(wish(0), {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE] == start


def written_route(route: str, asked: TrafficIntent, **found_more: object) -> Manifest:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    found = virtual_service(f"http: [{{route: {route}}}]")
    found["metadata"] |= found_more
    written: Manifest = router.render(asked, {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE]
    return written


@pytest.mark.parametrize(
    "theirs", ["weight: 0, destination: {host: exp-a}, headers: {}", "weight: 0, destination: {host: exp-a, port: {number: 80}}"]
)
def test_a_destination_that_has_more_than_we_write_is_not_our_experiment(theirs: str) -> None:
    route = f"[{{destination: {{host: web-stable}}, weight: 100}}, {{destination: {{host: web-canary}}}}, {{{theirs}}}]"

    written = written_route(route, wish(20), annotations={"tiphys.dev/routed-experiments": "exp-a"})

    assert [item["destination"]["host"] for item in written["spec"]["http"][0]["route"]] == ["web-stable", "web-canary", "exp-a"]
    assert "annotations" not in written["metadata"]


def test_a_canary_without_a_port_is_reached_by_the_first_destinations_port() -> None:
    route = "[{destination: {host: web-stable, port: {number: 8080}}, weight: 100}, {destination: {host: web-canary}, weight: 0}]"

    written = written_route(route, wish(0, header_routes=(header(),)))

    assert written["spec"]["http"][0]["route"] == [{"weight": 100, "destination": {"host": "web-canary", "port": {"number": 8080}}}]


def test_a_subset_of_another_host_is_another_subset() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}, "destinationRule": RULE_BLOCK}))
    theirs = "{destination: {host: other, subset: canary}, weight: 5}"
    found = {
        VIRTUAL_SERVICE: virtual_service(SUBSETS.replace("]}]", f", {theirs}]}}]").replace("100", "95")),
        RULE: destination_rule("{host: web.default.svc.cluster.local, subsets: [{name: stable}, {name: canary}]}"),
    }

    written = router.render(wish(20), found).apply[VIRTUAL_SERVICE]

    assert [item["weight"] for item in written["spec"]["http"][0]["route"]] == [75, 20, 5]


def test_a_rule_that_says_it_already_stays_the_very_same() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}, "destinationRule": RULE_BLOCK}))
    rule = destination_rule(
        "{host: web, subsets: [{name: stable, labels: {rollouts-pod-template-hash: 55c4}}, {name: canary, labels: {}}]}"
    )
    rule["metadata"]["annotations"] = {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}
    stable = Backend(role=Role.STABLE, service="web-stable", pod_hash="55c4", weight=100)

    rendered = router.render(TrafficIntent(backends=(stable,)), {VIRTUAL_SERVICE: virtual_service(SUBSETS), RULE: rule})

    assert rendered.apply[RULE] is rule


@pytest.mark.parametrize(("stable", "other"), [("ping", "pong"), ("pong", "ping")])
def test_without_a_canary_the_other_of_the_two_services_stands_for_it(stable: str, other: str) -> None:
    ping_pong = {"pingService": "ping", "pongService": "pong"}
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}, canaryService="", stableService="", pingPong=ping_pong))
    found = virtual_service("http: [{route: [{destination: {host: ping}, weight: 50}, {destination: {host: pong}, weight: 50}]}]")

    rest = TrafficIntent(backends=(Backend(role=Role.STABLE, service=stable, weight=100),))
    route = router.render(rest, {VIRTUAL_SERVICE: found}).apply[VIRTUAL_SERVICE]["spec"]["http"][0]["route"]

    assert {item["destination"]["host"]: item["weight"] for item in route} == {stable: 100, other: 0}


def test_a_mirror_of_somebody_else_under_a_managed_name_goes_with_a_warning() -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web"}}))
    theirs = "{name: first, match: [{}], route: [{destination: {host: elsewhere}}], mirror: {host: recorder}}"

    rendered = router.render(wish(0), {VIRTUAL_SERVICE: virtual_service(f"http: [{theirs}, {{{BOTH}}}]")})

    assert len(rendered.apply[VIRTUAL_SERVICE]["spec"]["http"]) == 1
    assert rendered.warnings == (
        'VirtualService default/web: managedRoutes claims the name of the http route "first", which Tiphys did not write: it is removed',
    )
