"""Are ApisixRoutes read as APISIX and its controller read them?"""

from typing import Any

import pytest

from devcluster_objects import Manifest, service
from envoy_reader import copies, shares
from plane_objects import HOST, apisix_route, backends, expr, rule
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import translate

STABLE, CANARY = backends(stable=100), backends(canary=100)


def apisix(*routes: Manifest) -> ProxyConfig:
    services = [service(name) for name in ("stable", "canary", "third")]
    return translate(["apisix"], {SERVICES: services, ("apisix.apache.org", "apisixroutes"): routes})


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"stable": 80, "canary": 20}, {"stable": 80, "canary": 20}),
        ({"stable": 100, "canary": 0}, {"stable": 100}),
        ({"stable": 2, "canary": 1, "third": 1}, {"stable": 50, "canary": 25, "third": 25}),
        ({"stable": None, "canary": 100}, {"stable": 50, "canary": 50}),
        ({"canary": 0}, {"canary": 100}),
    ],
)
def test_weights_are_relative_and_100_unless_given(weights: dict[str, int | None], wanted: dict[str, float]) -> None:
    config = apisix(apisix_route(rule(backends=backends(**weights))))

    assert shares(config, HOST) == wanted
    assert config.problems == ()


@pytest.mark.parametrize(
    ("wanted", "request_", "fits"),
    [
        (expr("x-beta", "Equal", "1"), {"x_beta": "1"}, True),
        (expr("X-Beta", "Equal", "1"), {"x_beta": "1"}, True),
        (expr("x-beta", "Equal", "1"), {"x_beta": "11"}, False),
        (expr("x-beta", "Equal", "1"), {}, False),
        (expr("x-beta", "NotEqual", "1"), {"x_beta": "2"}, True),
        (expr("x-beta", "NotEqual", "1"), {}, True),
        (expr("x-beta", "NotEqual", "1"), {"x_beta": "1"}, False),
        (expr("x-agent", "RegexMatch", r"^QA/1\."), {"x_agent": "QA/1.5"}, True),
        (expr("x-agent", "RegexMatch", r"^QA/1\."), {"x_agent": "not QA/1.5"}, False),
        (expr("x-agent", "RegexMatch", "gold|silver"), {"x_agent": "some silvery"}, True),
        (expr("x-agent", "RegexMatch", "gold"), {"x_agent": "GOLD"}, False),
        (expr("x-agent", "RegexMatchCaseInsensitive", "gold"), {"x_agent": "GOLD"}, True),
        (expr("x-agent", "RegexNotMatch", "gold"), {"x_agent": "silver"}, True),
        (expr("x-agent", "RegexNotMatch", "gold"), {}, True),
        ({"subject": {"scope": "Header", "name": "x-a"}, "op": "In", "set": ["1", "2"]}, {"x_a": "2"}, True),
        ({"subject": {"scope": "Header", "name": "x-a"}, "op": "NotIn", "set": ["1", "2"]}, {"x_a": "2"}, False),
        (expr("x-a", "GreaterThan", "5"), {"x_a": "6"}, True),
        (expr("x-a", "GreaterThan", "5"), {"x_a": "5"}, False),
        (expr("x-a", "LessThanEqual", "5"), {"x_a": "5"}, True),
        (expr("request_method", "Equal", "PUT", scope="Variable"), {"method": "PUT"}, True),
        (expr("http_x_beta", "Equal", "1", scope="Variable"), {"x_beta": "1"}, True),
        (expr("", "RegexMatch", "^/api", scope="Path"), {"path": "/api/x"}, True),
        (expr("", "RegexMatch", "^/api", scope="Path"), {"path": "/x?a=/api"}, False),
        (expr("uri", "Equal", "/api", scope="Variable"), {"path": "/api?a=1"}, True),
        (expr("v", "Equal", "2", scope="Query"), {"path": "/?v=2"}, True),
        (expr("v", "Equal", "2", scope="Query"), {"path": "/?v=3"}, False),
        (expr("user", "Equal", "me", scope="Cookie"), {"cookie": "a=b; user=me; c=d"}, True),
        (expr("user", "Equal", "me", scope="Cookie"), {"cookie": "user=men"}, False),
    ],
)
def test_an_expression_is_judged_as_the_gateway_does(wanted: Manifest, request_: dict[str, str], *, fits: bool) -> None:
    config = apisix(apisix_route(rule(backends=STABLE)), apisix_route(rule(exprs=(wanted,), priority=1, backends=CANARY), name="beta"))

    assert shares(config, HOST, **request_) == {"canary" if fits else "stable": 100}
    assert config.problems == ()


def test_all_expressions_and_methods_hold_together() -> None:
    exprs = (expr("x-beta", "Equal", "1"), expr("", "RegexMatch", "^/parcel/api", scope="Path"))
    match = {"paths": ["/parcel/*"], "methods": ["GET", "PUT"]}
    config = apisix(apisix_route(rule(exprs=exprs, match=match, backends=CANARY)))

    assert shares(config, HOST, "/parcel/api/x?y=z", x_beta="1") == {"canary": 100}
    assert shares(config, HOST, "/parcel/api/x", x_beta="1", method="POST") == {"404": 100}
    assert shares(config, HOST, "/parcel/other", x_beta="1") == {"404": 100}
    assert shares(config, HOST, "/parcel/api/x") == {"404": 100}


def test_the_host_comes_before_the_path_and_the_path_before_the_priority() -> None:
    config = apisix(
        apisix_route(
            rule("any", match={"hosts": [], "paths": ["/a/b"]}, priority=9, backends=backends(third=1)),
            rule("short", match={"paths": ["/a/*"]}, priority=5, backends=backends(stable=1)),
            rule("long", match={"paths": ["/a/b/*"]}, backends=backends(canary=1)),
            rule("exact", match={"paths": ["/a/b/c"]}, backends=backends(third=1)),
        )
    )

    assert shares(config, HOST, "/a/b/x") == {"canary": 100}
    assert shares(config, HOST, "/a/b/c") == {"third": 100}
    assert shares(config, HOST, "/a/b") == {"stable": 100}
    assert shares(config, "apisix", "/a/b") == {"third": 100}
    assert shares(config, "apisix", "/a/x") == {"404": 100}


def test_among_rules_of_one_path_the_higher_priority_wins() -> None:
    config = apisix(
        apisix_route(rule("a", priority=1, backends=STABLE), rule("b", priority=2, backends=CANARY), rule("c", backends=STABLE))
    )

    assert shares(config, HOST) == {"canary": 100}


@pytest.mark.parametrize(
    ("hosts", "asked", "fits"),
    [(["*.example"], "a.example", True), (["*.example"], "example", False), ([], "apisix", True), ([], "stable", False)],
)
def test_hosts_are_names_or_patterns_and_none_means_all(hosts: list[str], asked: str, *, fits: bool) -> None:
    config = apisix(apisix_route(rule(match={"hosts": hosts}, backends=CANARY)))

    assert (shares(config, asked) == {"canary": 100}) is fits


@pytest.mark.parametrize(
    ("plugin", "wanted"),
    [
        ({"config": {"host": "http://canary.default.svc:80", "sample_ratio": 0.25}}, {"canary": 25}),
        ({"enable": True, "config": {"host": "http://canary.default"}}, {"canary": 100}),
        ({"enable": False, "config": {"host": "http://canary.default:80", "sample_ratio": 0.25}}, {}),
        ({"config": {"host": "http://canary:80/", "sample_ratio": 0.00001}}, {"canary": 0.001}),
    ],
)
def test_proxy_mirror_copies_a_share_to_the_service_of_its_host(plugin: dict[str, Any], wanted: dict[str, float]) -> None:
    config = apisix(apisix_route(rule(backends=STABLE, plugins=[{"name": "proxy-mirror", **plugin}])))

    assert copies(config, HOST) == wanted
    assert shares(config, HOST) == {"stable": 100}


def _mirroring(**config: object) -> Manifest:
    return apisix_route(rule(backends=CANARY, plugins=[{"name": "proxy-mirror", "config": config}]), name="bad")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (apisix_route(rule(backends=backends(gone=1)), name="bad"), "ApisixRoute default/bad is left out: no Service default/gone"),
        (apisix_route(rule(backends=[{"serviceName": "canary", "servicePort": 81}]), name="bad"), "Service default/canary has no port 81"),
        (apisix_route(rule("ok", backends=CANARY), rule(backends=backends(gone=1)), name="bad"), "no Service default/gone"),
        (apisix_route(rule(backends=CANARY), rule(backends=CANARY), name="bad"), "http: the name 'main' is there twice"),
        (apisix_route(rule(backends=backends(stable=0, canary=0)), name="bad"), "the weights add up to 0"),
        (apisix_route(rule(backends=[]), name="bad"), "http rule main: found no backends"),
        (apisix_route(rule(match={"paths": []}, backends=CANARY), name="bad"), "match.paths: found [], wanted paths that begin with /"),
        (apisix_route(rule(match={"paths": ["x"]}, backends=CANARY), name="bad"), "match.paths: found ['x']"),
        (apisix_route(rule(exprs=(expr("a", "Like", "b"),), backends=CANARY), name="bad"), "op: found 'Like'"),
        (apisix_route(rule(exprs=(expr("a", "RegexMatch", "(("),), backends=CANARY), name="bad"), "'((' is not a regular expression"),
        (apisix_route(rule(exprs=(expr("", "Equal", "b"),), backends=CANARY), name="bad"), "wanted a scope such as Header, and a name"),
        (_mirroring(host="http://gone.default:80"), "no Service default/gone"),
        (_mirroring(host="canary"), "proxy-mirror.host: found 'canary'"),
        (_mirroring(host="http://canary", sample_ratio=0), "proxy-mirror.sample_ratio: found 0, wanted 0.00001 to 1"),
        (_mirroring(host="http://canary", sample_ratio=25), "proxy-mirror.sample_ratio: found 25"),
        (apisix_route(rule(match={"filter_func": "x"}, backends=CANARY), name="bad"), "left out: match.filter_func is not emulated"),
        (
            apisix_route(rule(exprs=(expr("nginx_x", "Equal", "1", scope="Variable"),), backends=CANARY), name="bad"),
            "variable nginx_x is not emulated",
        ),
    ],
)
def test_a_route_that_the_controller_refuses_is_left_out_as_a_whole(bad: Manifest, said: str) -> None:
    config = apisix(bad, apisix_route(rule(backends=STABLE)))

    assert shares(config, HOST) == {"stable": 100}
    assert any(said in problem for problem in config.problems), config.problems


def test_another_class_is_not_read() -> None:
    config = apisix(apisix_route(rule(backends=CANARY), ingressClassName="nginx"))

    assert (shares(config, HOST), config.problems) == ({"404": 100}, ())


def test_plugins_that_are_not_emulated_are_said() -> None:
    config = apisix(apisix_route(rule(backends=CANARY, plugins=[{"name": "limit-count", "enable": True}], websocket=True)))

    assert shares(config, HOST) == {"canary": 100}
    assert len(config.problems) == 2
