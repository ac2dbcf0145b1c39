"""Are HTTPRoutes of a mesh read as the Gateway API's specification says?"""

import pytest

from devcluster_objects import Manifest, service
from envoy_reader import copies, shares
from plane_objects import http_route, http_rule, mesh_route
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import translate


def gamma(*routes: Manifest) -> ProxyConfig:
    services = [service(name) for name in ("stable", "canary", "web")]
    return translate(["gamma"], {SERVICES: services, ("gateway.networking.k8s.io", "httproutes"): routes})


def matching(match: Manifest, **weights: int) -> Manifest:
    return {**http_rule(path="/", **weights), "matches": [match]}


def header(name: str, value: str, kind: str = "Exact") -> Manifest:
    return {"type": kind, "name": name, "value": value}


def test_a_service_is_split_by_weight_under_every_name_it_has() -> None:
    config = gamma(mesh_route(http_rule(stable=3, canary=1)))

    for host in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local"):
        assert shares(config, host) == {"stable": 75, "canary": 25}
    assert shares(config, "canary") == {"canary": 100}
    assert config.problems == ()


def test_a_rule_without_matches_takes_everything_and_a_weight_left_out_is_one() -> None:
    listed = [{"name": name, "port": 80} for name in ("stable", "canary")]

    assert shares(gamma(mesh_route({"backendRefs": listed})), "web", "/any") == {"stable": 50, "canary": 50}


def test_the_more_specific_match_comes_first_whatever_the_order() -> None:
    config = gamma(
        mesh_route(
            http_rule(stable=1),
            matching({"path": {"value": "/api"}}, canary=1),
            matching({"path": {"value": "/api/v2"}}, stable=1),
            matching({"path": {"value": "/api"}, "headers": [header("x-old", "1")]}, stable=1),
            matching({"path": {"type": "Exact", "value": "/api/v2/new"}}, canary=1),
        )
    )

    assert shares(config, "web", "/") == shares(config, "web", "/apis") == {"stable": 100}
    assert shares(config, "web", "/api") == shares(config, "web", "/api/v1") == {"canary": 100}
    assert shares(config, "web", "/api/v2/x") == {"stable": 100}
    assert shares(config, "web", "/api/v1", x_old="1") == {"stable": 100}
    assert shares(config, "web", "/api/v2/new") == {"canary": 100}


def test_all_conditions_of_a_match_hold_and_a_regular_expression_means_the_whole_value() -> None:
    match = {"method": "PUT", "headers": [header("X-Tier", "gold|silver", "RegularExpression")], "queryParams": [header("v", "2")]}
    config = gamma(mesh_route(matching(match, canary=1), http_rule(stable=1)))

    assert shares(config, "web", "/?v=2", method="PUT", x_tier="silver") == {"canary": 100}
    assert shares(config, "web", "/?v=2", method="PUT", x_tier="silvery") == {"stable": 100}
    assert shares(config, "web", "/?v=2", x_tier="silver") == {"stable": 100}
    assert shares(config, "web", "/", method="PUT", x_tier="silver") == {"stable": 100}


def test_of_two_conditions_on_one_header_the_first_counts() -> None:
    config = gamma(mesh_route(matching({"headers": [header("x-beta", "1"), header("X-Beta", "2")]}, canary=1)))

    assert shares(config, "web", x_beta="1") == {"canary": 100}


def test_what_no_rule_takes_is_not_found() -> None:
    assert shares(gamma(mesh_route(matching({"path": {"value": "/api"}}, canary=1))), "web", "/") == {"404": 100}


@pytest.mark.parametrize(
    ("share", "wanted"),
    [({}, 100), ({"percent": 25}, 25), ({"fraction": {"numerator": 1}}, 1), ({"fraction": {"numerator": 1, "denominator": 8}}, 12.5)],
)
def test_a_filter_copies_a_share_of_the_requests(share: Manifest, wanted: float) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "canary", "port": 80}, **share}}
    config = gamma(mesh_route(http_rule(stable=1) | {"filters": [mirror]}))

    assert shares(config, "web") == {"stable": 100}
    assert copies(config, "web") == {"canary": wanted}


def test_routes_below_a_gateway_are_not_the_meshs_business() -> None:
    assert gamma(http_route(http_rule(canary=1))) == gamma()


def test_the_share_of_a_service_that_is_not_there_fails_and_no_weight_at_all_is_an_error() -> None:
    assert shares(config := gamma(mesh_route(http_rule(stable=3, gone=1))), "web") == {"stable": 75, "503": 25}
    assert config.problems == ("HTTPRoute default/web: rules[0]: no Service default/gone; its share is answered with 503",)
    assert shares(gamma(mesh_route(http_rule(stable=0))), "web") == {"500": 100}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (matching({"path": {"value": "api"}}, canary=1), "path: found 'api', wanted one that begins with /"),
        (
            matching({"path": {"type": "Glob", "value": "/a"}}, canary=1),
            "path.type: found 'Glob', wanted Exact, PathPrefix or RegularExpression",
        ),
        (matching({"headers": [header("a", "((", "RegularExpression")]}, canary=1), "'((' is not a regular expression"),
        (http_rule(canary=1) | {"filters": [{"type": "URLRewrite"}]}, "filters: found URLRewrite, wanted RequestMirror"),
        (http_rule(canary=-1, stable=2), "a weight is negative"),
    ],
)
def test_a_rule_that_cannot_be_done_is_left_out_and_the_others_hold(rule: Manifest, said: str) -> None:
    config = gamma(mesh_route(rule, matching({"method": "GET"}, stable=1)))

    assert shares(config, "web", "/a") == {"stable": 100}
    (problem,) = config.problems
    assert problem.startswith("HTTPRoute default/web: rules[0] is left out: ")
    assert said in problem
