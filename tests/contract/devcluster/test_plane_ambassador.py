"""Are Mappings read as Emissary reads them?"""

from typing import Any

import pytest

from devcluster_objects import Manifest, service
from envoy_reader import copies, shares
from plane_objects import HOST, mapping
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import translate


def emissary(*mappings: Manifest) -> ProxyConfig:
    services = [service(name) for name in ("stable", "canary", "third")]
    return translate(["ambassador"], {SERVICES: services, ("getambassador.io", "mappings"): mappings})


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"stable": None}, {"stable": 100}),
        ({"stable": None, "canary": 0}, {"stable": 100}),
        ({"stable": None, "canary": 20}, {"stable": 80, "canary": 20}),
        ({"stable": None, "canary": 100}, {"canary": 100}),
        ({"stable": None, "canary": 20, "third": 30}, {"stable": 50, "canary": 20, "third": 30}),
        ({"stable": None, "canary": None, "third": 10}, {"stable": 45, "canary": 45, "third": 10}),
        ({"stable": 60, "canary": 40}, {"stable": 60, "canary": 40}),
        ({"stable": 60, "canary": 10}, {"stable": 60, "canary": 10, "404": 30}),
        ({"stable": 0}, {"404": 100}),
    ],
)
def test_weights_are_percentages_and_mappings_without_one_share_the_rest(weights: dict[str, int | None], wanted: dict[str, float]) -> None:
    config = emissary(*[mapping(name, name, **({} if weight is None else {"weight": weight})) for name, weight in weights.items()])

    assert shares(config, HOST) == wanted
    assert config.problems == ()


@pytest.mark.parametrize(
    ("spec", "request_", "fits"),
    [
        ({"headers": {"x-beta": "1"}}, {"x_beta": "1"}, True),
        ({"headers": {"x-beta": "1"}}, {"x_beta": "11"}, False),
        ({"headers": {"x-beta": "1"}}, {}, False),
        ({"headers": {"x-beta": True}}, {"x_beta": "anything"}, True),
        ({"headers": {"x-beta": True}}, {}, False),
        ({"headers": {"x-beta": "1", "x-two": "2"}}, {"x_beta": "1"}, False),
        ({"regex_headers": {"x-agent": "QA/1[.].*"}}, {"x_agent": "QA/1.5"}, True),
        ({"regex_headers": {"x-agent": "QA"}}, {"x_agent": "QA/1.5"}, False),
        ({"headers": {"x-beta": "1"}, "regex_headers": {"x-agent": "Q.*"}}, {"x_beta": "1", "x_agent": "QA"}, True),
        ({"method": "PUT"}, {"method": "PUT"}, True),
        ({"method": "PUT"}, {}, False),
        ({"method": "PUT|POST", "method_regex": True}, {"method": "POST"}, True),
        ({"prefix": "/api/"}, {"path": "/api/x"}, True),
        ({"prefix": "/api/"}, {"path": "/api"}, False),
        ({"prefix": "/api", "prefix_exact": True}, {"path": "/api"}, True),
        ({"prefix": "/api", "prefix_exact": True}, {"path": "/api/x"}, False),
        ({"prefix": "/v[0-9]+/.*", "prefix_regex": True}, {"path": "/v12/x"}, True),
        ({"prefix": "/Api/", "case_sensitive": False}, {"path": "/API/x"}, True),
    ],
)
def test_all_conditions_of_a_mapping_hold_together_and_the_more_specific_one_wins(
    spec: dict[str, Any], request_: dict[str, str], *, fits: bool
) -> None:
    config = emissary(mapping("a", "stable"), mapping("b", "canary", **spec))

    assert shares(config, HOST, **request_) == {"canary" if fits else "stable": 100}
    assert config.problems == ()


def test_precedence_comes_before_the_length_of_the_prefix() -> None:
    long, high = mapping("a", "stable", prefix="/very/long/"), mapping("b", "canary", headers={"x-beta": "1"}, precedence=1)

    config = emissary(long, high)

    assert shares(config, HOST, "/very/long/x", x_beta="1") == {"canary": 100}
    assert shares(config, HOST, "/very/long/x") == {"stable": 100}
    assert shares(emissary(long, mapping("b", "canary")), HOST, "/very/long/x") == {"stable": 100}


@pytest.mark.parametrize(
    ("spec", "hosts", "others"),
    [
        ({"hostname": "shop.example"}, ["shop.example"], ["other.example"]),
        ({"hostname": "*.example"}, ["shop.example", "a.b.example"], ["example"]),
        ({"hostname": "*"}, ["shop.example", "ambassador"], ["stable"]),
        ({"hostname": None}, ["shop.example", "ambassador"], ["stable"]),
        ({"hostname": None, "host": "shop.example"}, ["shop.example"], ["other.example"]),
        ({"hostname": None, "host": "shop[.].*", "host_regex": True}, ["shop.example"], ["other.example"]),
    ],
)
def test_the_host_is_a_name_a_pattern_or_all(spec: dict[str, Any], hosts: list[str], others: list[str]) -> None:
    config = emissary(mapping("a", "canary", **spec))

    assert {host: shares(config, host) for host in hosts} == {host: {"canary": 100} for host in hosts}
    assert all(shares(config, host) != {"canary": 100} for host in others)


def test_a_mapping_of_any_host_holds_for_a_host_that_another_names() -> None:
    config = emissary(mapping("a", "stable", hostname="*", prefix="/old/"), mapping("b", "canary"))

    assert shares(config, HOST, "/old/x") == {"stable": 100}
    assert shares(config, HOST) == {"canary": 100}


@pytest.mark.parametrize(
    ("shadow", "wanted"),
    [({"weight": 25}, {"canary": 25}), ({}, {"canary": 100}), ({"weight": 0}, {"canary": 0}), ({"weight": 2.6}, {"canary": 3})],
)
def test_a_shadow_gets_copies_of_what_its_route_gets(shadow: dict[str, Any], wanted: dict[str, float]) -> None:
    config = emissary(mapping("a", "stable"), mapping("a-canary", "third", weight=30), mapping("a-shadow", "canary", shadow=True, **shadow))

    assert copies(config, HOST) == wanted
    assert shares(config, HOST) == {"stable": 70, "third": 30}


def test_only_one_shadow_counts_and_a_shadow_alone_takes_nothing() -> None:
    two = emissary(mapping("a", "stable"), mapping("b", "canary", shadow=True), mapping("c", "third", shadow=True))
    alone = emissary(mapping("b", "canary", shadow=True))

    assert copies(two, HOST) == {"canary": 100}
    assert two.problems == ("Mapping default/c is left out: Mapping default/b is the shadow of this route already",)
    assert shares(alone, HOST) == {"404": 100}


@pytest.mark.parametrize(
    ("address", "cluster"),
    [
        ("canary", "outbound|80||canary.default.svc.cluster.local"),
        ("canary.default", "outbound|80||canary.default.svc.cluster.local"),
        ("http://canary.default.svc.cluster.local:80", "outbound|80||canary.default.svc.cluster.local"),
    ],
)
def test_the_service_is_resolved_in_the_mappings_namespace(address: str, cluster: str) -> None:
    config = emissary(mapping("a", address))

    (route,) = next(each["routes"] for each in config.virtual_hosts if each["domains"] == [HOST])
    assert route["route"] == {"cluster": cluster, "timeout": "3.000s", "prefix_rewrite": "/"}


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        ({"rewrite": ""}, {}),
        ({"rewrite": "/new/"}, {"prefix_rewrite": "/new/"}),
        ({"timeout_ms": 0}, {"timeout": "0.000s", "prefix_rewrite": "/"}),
        ({"regex_rewrite": {"pattern": "/a", "substitution": "/b"}}, {"regex_rewrite": {"pattern": {"regex": "/a"}, "substitution": "/b"}}),
    ],
)
def test_rewrite_and_timeout_are_the_products_unless_given(spec: dict[str, Any], action: dict[str, Any]) -> None:
    config = emissary(mapping("a", "canary", **spec))

    (route,) = next(each["routes"] for each in config.virtual_hosts if each["domains"] == [HOST])
    assert route["route"] == {"cluster": "outbound|80||canary.default.svc.cluster.local", "timeout": "3.000s"} | action


@pytest.mark.parametrize(
    ("mappings", "wanted", "said"),
    [
        ([mapping("a", "gone")], {"503": 100}, "Mapping default/a: service: no Service default/gone; its share is answered with 503"),
        ([mapping("a", "stable:81")], {"503": 100}, "Service default/stable has no port 81 (its ports: 80)"),
        ([mapping("a", "stable:http")], {"404": 100}, "service: found 'stable:http', wanted [scheme://]name[.namespace][:port]"),
        (
            [mapping("a", "stable"), mapping("b", "canary", weight=101)],
            {"404": 100},
            "weight of Mapping default/b: found 101, wanted 0 to 100",
        ),
        ([mapping("a", "stable", weight=60), mapping("b", "canary", weight=60)], {"404": 100}, "the weights add up to 120"),
        ([mapping("a", "stable", prefix="")], {"404": 100}, "prefix: found '', wanted a path"),
        ([mapping("a", "stable", host="b")], {"404": 100}, "hostname and host: found both"),
        ([mapping("a", "stable", host_redirect=True)], {"404": 100}, "host_redirect: not emulated"),
        ([mapping("a", "stable", regex_headers={"a": "(?=b)"})], {"404": 100}, "looks around"),
        ([mapping("a", "stable", tls="x")], {"stable": 100}, "tls is not emulated and has no effect"),
        (
            [mapping("a", "stable"), mapping("b", "canary", weight=10, load_balancer={"policy": "round_robin"})],
            {"stable": 100},
            "Mapping default/b is left out: load_balancer: found another value than in Mapping default/a",
        ),
    ],
)
def test_what_emissary_refuses_is_said(mappings: list[Manifest], wanted: dict[str, float], said: str) -> None:
    config = emissary(*mappings)

    assert shares(config, HOST) == wanted
    assert any(said in problem for problem in config.problems), config.problems


def test_a_mapping_of_another_ambassador_is_not_read() -> None:
    config = emissary(mapping("a", "stable", ambassador_id=["another"]))

    assert (shares(config, HOST), config.problems) == ({"404": 100}, ())
