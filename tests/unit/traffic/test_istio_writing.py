"""How is a wish written, and what is refused?"""

import pytest

from routers import VIRTUAL_SERVICE, istio_rollout, router_for, virtual_service
from tiphys.api.errors import SpecError
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
