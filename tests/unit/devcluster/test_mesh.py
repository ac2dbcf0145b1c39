"""Is a VirtualService translated as its documentation says?"""

from collections.abc import Sequence
from typing import Any

import pytest

from devcluster_objects import Manifest, destination_rule, endpoint, endpoint_slice, route, service, virtual_service
from tiphys.devcluster.proxies.builder import PODS, SLICES, ProxyConfig, cluster_name
from tiphys.devcluster.proxies.builder import SERVICES as SERVICE_KIND
from tiphys.devcluster.proxies.mesh_match import duration
from tiphys.devcluster.proxies.planes import translate

STABLE = "outbound|80||stable.default.svc.cluster.local"
CANARY = "outbound|80||canary.default.svc.cluster.local"
SERVICES = (service("canary"), service("stable"), service("web"))


def mesh_config(
    *,
    services: Sequence[Manifest] = (),
    endpoint_slices: Sequence[Manifest] = (),
    pods: Sequence[Manifest] = (),
    virtual_services: Sequence[Manifest] = (),
    destination_rules: Sequence[Manifest] = (),
) -> ProxyConfig:
    found = {
        SERVICE_KIND: services,
        SLICES: endpoint_slices,
        PODS: pods,
        ("networking.istio.io", "virtualservices"): virtual_services,
        ("networking.istio.io", "destinationrules"): destination_rules,
    }
    return translate(["istio"], found)


def routes_of(*http: dict[str, Any], host: str = "web.default.svc.cluster.local") -> list[dict[str, Any]]:
    config = mesh_config(services=SERVICES, virtual_services=[virtual_service(*http)])
    found: list[dict[str, Any]] = next(each["routes"] for each in config.virtual_hosts if each["name"] == host)
    return found


def addresses(config: ProxyConfig, name: str) -> list[str]:
    localities = config.endpoints[name]["endpoints"]
    return [each["endpoint"]["address"]["socket_address"]["address"] for locality in localities for each in locality["lb_endpoints"]]


def test_weights_become_weighted_clusters_without_timeout_and_retries() -> None:
    (made,) = routes_of(route(("stable", 80), ("canary", 20), name="primary"))

    assert made == {
        "name": "primary",
        "match": {"prefix": "/"},
        "route": {
            "weighted_clusters": {"clusters": [{"name": STABLE, "weight": 80}, {"name": CANARY, "weight": 20}]},
            "timeout": "0s",
        },
    }


def test_a_single_destination_takes_everything_whatever_its_weight() -> None:
    (made,) = routes_of(route(("stable", 0)))

    assert made["route"] == {"cluster": STABLE, "timeout": "0s"}


def test_conditions_of_one_match_hold_together_and_several_matches_make_several_routes() -> None:
    match = [
        {
            "uri": {"prefix": "/api"},
            "method": {"exact": "GET"},
            "authority": {"exact": "web"},
            "headers": {"agent": {"regex": "Mozilla(.*)"}, "any": {}, "kind": {"prefix": "a"}},
            "withoutHeaders": {"old": {"exact": "yes"}, "gone": {}},
            "queryParams": {"v": {"exact": "2"}},
            "ignoreUriCase": True,
        },
        {"uri": {"exact": "/one"}},
        {"uri": {"regex": "/v[0-9]+"}},
    ]

    first, second, third = routes_of(route(("canary", 100), match=match))

    assert first["match"] == {
        "prefix": "/api",
        "case_sensitive": False,
        "headers": [
            {"name": ":method", "string_match": {"exact": "GET"}},
            {"name": ":authority", "string_match": {"exact": "web"}},
            {"name": "agent", "string_match": {"safe_regex": {"regex": "Mozilla(.*)"}}},
            {"name": "any", "present_match": True},
            {"name": "kind", "string_match": {"prefix": "a"}},
            {"name": "gone", "present_match": True, "invert_match": True},
            {"name": "old", "string_match": {"exact": "yes"}, "invert_match": True, "treat_missing_header_as_empty": True},
        ],
        "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}],
    }
    assert second["match"] == {"path": "/one"}
    assert third["match"] == {"safe_regex": {"regex": "/v[0-9]+"}}


def test_routes_keep_their_order_since_the_first_that_matches_wins() -> None:
    made = routes_of(route(("canary", 1), name="header"), route(("stable", 1), name="primary"))

    assert [each["name"] for each in made] == ["header", "primary"]


def test_a_match_on_the_callers_labels_takes_no_request_from_outside() -> None:
    made = routes_of(route(("canary", 1), match=[{"sourceLabels": {"app": "a"}}], name="inner"), route(("stable", 1), name="primary"))

    assert [each["name"] for each in made] == ["primary"]


@pytest.mark.parametrize(
    ("mirror", "numerator"),
    [
        ({"mirror": {"host": "canary"}, "mirrorPercentage": {"value": 35.5}}, 355_000),
        ({"mirror": {"host": "canary"}}, 1_000_000),
        ({"mirrors": [{"destination": {"host": "canary"}, "percentage": {"value": 10}}]}, 100_000),
        ({"mirror": {"host": "canary"}, "mirrorPercent": 7}, 70_000),
    ],
)
def test_a_share_of_requests_is_mirrored(mirror: dict[str, Any], numerator: int) -> None:
    (made,) = routes_of(route(("stable", 1), **mirror))

    (policy,) = made["route"]["request_mirror_policies"]
    assert policy["cluster"] == CANARY
    assert policy["runtime_fraction"]["default_value"] == {"numerator": numerator, "denominator": "MILLION"}


def test_a_mirror_of_nothing_is_none() -> None:
    (made,) = routes_of(route(("stable", 1), mirror={"host": "canary"}, mirrorPercentage={"value": 0}))

    assert "request_mirror_policies" not in made["route"]


def test_headers_rewrite_timeout_and_retries_are_translated_when_asked_for() -> None:
    (made,) = routes_of(
        route(
            ("stable", 1),
            match=[{"uri": {"prefix": "/api/"}}],
            headers={"request": {"set": {"x": "1"}, "add": {"y": "2"}, "remove": ["z"]}, "response": {"remove": ["server"]}},
            rewrite={"uri": "/", "authority": "inner"},
            timeout="1m30s",
            retries={"attempts": 2, "perTryTimeout": "250ms", "retryOn": "5xx"},
        )
    )

    assert made["request_headers_to_add"] == [
        {"header": {"key": "x", "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        {"header": {"key": "y", "value": "2"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
    ]
    assert made["request_headers_to_remove"] == ["z"]
    assert made["response_headers_to_remove"] == ["server"]
    assert made["route"] == {
        "cluster": STABLE,
        "timeout": "90s",
        "host_rewrite_literal": "inner",
        "prefix_rewrite": "/",
        "retry_policy": {"num_retries": 2, "retry_on": "5xx", "per_try_timeout": "0.25s"},
    }


def test_redirects_and_direct_answers_need_no_destination() -> None:
    first, second = routes_of(
        {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new", "authority": "other", "redirectCode": 308}},
        {"directResponse": {"status": 418, "body": {"string": "tea"}}},
    )

    assert first["redirect"] == {"response_code": "PERMANENT_REDIRECT", "path_redirect": "/new", "host_redirect": "other"}
    assert second["direct_response"] == {"status": 418, "body": {"inline_string": "tea"}}


def test_a_service_answers_to_every_name_of_cluster_dns() -> None:
    config = mesh_config(services=[service("web")])

    (host,) = config.virtual_hosts
    assert host["domains"] == ["web.default.svc.cluster.local", "web.default.svc", "web.default", "web"]
    assert host["routes"] == [
        {"match": {"prefix": "/"}, "route": {"cluster": "outbound|80||web.default.svc.cluster.local", "timeout": "0s"}},
    ]


def test_a_bare_name_belongs_to_the_namespace_default_and_no_domain_is_given_twice() -> None:
    other = service("web")
    other["metadata"]["namespace"] = "another"

    config = mesh_config(services=[other, service("web")])

    domains = [domain for each in config.virtual_hosts for domain in each["domains"]]
    assert len(domains) == len(set(domains))
    assert next(each["name"] for each in config.virtual_hosts if "web" in each["domains"]) == "web.default.svc.cluster.local"


def test_hosts_may_be_short_full_or_foreign_names() -> None:
    config = mesh_config(
        services=SERVICES,
        virtual_services=[
            virtual_service(route(("stable.default.svc.cluster.local", 1)), hosts=("shop.example", "*.shop.example"), name="a"),
            virtual_service(route(("canary", 1)), hosts=("web.default.svc.cluster.local",), name="b"),
        ],
    )

    hosts = {each["name"]: each for each in config.virtual_hosts}

    assert hosts["shop.example"]["routes"][0]["route"]["cluster"] == STABLE
    assert hosts["*.shop.example"]["domains"] == ["*.shop.example"]
    assert hosts["web.default.svc.cluster.local"]["routes"][0]["route"]["cluster"] == CANARY


def test_subsets_are_the_endpoints_whose_pods_have_the_labels() -> None:
    pods = [
        {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web", "hash": value}}}
        for name, value in (("a", "one"), ("b", "two"), ("c", "two"))
    ]
    slices = [
        endpoint_slice("web", endpoint("10.0.0.1", pod="a"), endpoint("10.0.0.2", pod="b"), endpoint("10.0.0.3", pod="c", ready=False))
    ]
    rule = destination_rule("web", stable={"hash": "one"}, canary={"hash": "two"})
    destinations = [{"destination": {"host": "web", "subset": "canary"}, "weight": 100}]

    config = mesh_config(
        services=[service("web")],
        endpoint_slices=slices,
        pods=pods,
        destination_rules=[rule],
        virtual_services=[virtual_service({"route": destinations})],
    )

    host = "web.default.svc.cluster.local"
    assert addresses(config, cluster_name(host, port=80, subset="")) == ["10.0.0.1", "10.0.0.2"]
    assert addresses(config, cluster_name(host, port=80, subset="stable")) == ["10.0.0.1"]
    assert addresses(config, cluster_name(host, port=80, subset="canary")) == ["10.0.0.2"]
    assert config.virtual_hosts[0]["routes"][0]["route"]["cluster"] == f"outbound|80|canary|{host}"
    assert config.problems == ()


def test_leaving_pods_get_requests_only_while_nobody_else_is_ready() -> None:
    leaving = endpoint("10.0.0.1", ready=False, terminating=True)
    ended = endpoint("10.0.0.3", ready=False, serving=False, terminating=True)
    name = cluster_name("web.default.svc.cluster.local", port=80, subset="")

    alone = mesh_config(services=[service("web")], endpoint_slices=[endpoint_slice("web", leaving, ended)])
    together = mesh_config(services=[service("web")], endpoint_slices=[endpoint_slice("web", leaving, endpoint("10.0.0.2"))])

    assert addresses(alone, name) == ["10.0.0.1"]
    assert addresses(together, name) == ["10.0.0.2"]
    assert alone.addresses() == {"10.0.0.1"}


@pytest.mark.parametrize(
    ("http", "said"),
    [
        (route(("nowhere", 1)), "destination nowhere.default.svc.cluster.local: no such Service"),
        ({"route": [{"destination": {"host": "web", "subset": "blue"}}]}, "no DestinationRule has a subset 'blue'"),
        (route(("stable", 0), ("canary", 0)), "the weights of a route's destinations add up to 0"),
        (route(("stable", 1), timeout="soon"), "'soon' is not a duration"),
        (route(("stable", 1), delegate={"name": "x"}), "http[0].delegate is not emulated"),
    ],
)
def test_what_cannot_be_done_as_written_is_said(http: dict[str, Any], said: str) -> None:
    config = mesh_config(services=SERVICES, virtual_services=[virtual_service(http)])

    assert any(said in problem for problem in config.problems), config.problems


def test_the_order_of_objects_does_not_matter() -> None:
    slices = [endpoint_slice("stable", endpoint("10.0.0.1"), endpoint("10.0.0.2")), endpoint_slice("canary", endpoint("10.0.0.3"))]
    http = [virtual_service(route(("stable", 1)), name="a"), virtual_service(route(("canary", 1)), name="b", hosts=("canary",))]

    config = mesh_config(services=SERVICES, endpoint_slices=slices, virtual_services=http)

    reverse = mesh_config(services=SERVICES[::-1], endpoint_slices=slices[::-1], virtual_services=http[::-1])
    assert reverse == config


@pytest.mark.parametrize(("text", "wire"), [("5s", "5s"), ("250ms", "0.25s"), ("1h", "3600s"), ("1m0.5s", "60.5s")])
def test_durations_are_written_in_seconds(text: str, wire: str) -> None:
    assert duration(text) == wire
