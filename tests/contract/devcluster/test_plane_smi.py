"""Are TrafficSplits read as their specification says?"""

from typing import Any

import pytest

from devcluster_objects import Manifest, service
from envoy_reader import shares
from plane_objects import route_group, traffic_split
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import translate


def smi(*manifests: Manifest) -> ProxyConfig:
    return translate(
        ["smi"],
        {
            SERVICES: [service(name) for name in ("stable", "canary", "web")],
            ("split.smi-spec.io", "trafficsplits"): [each for each in manifests if each["kind"] == "TrafficSplit"],
            ("specs.smi-spec.io", "httproutegroups"): [each for each in manifests if each["kind"] == "HTTPRouteGroup"],
        },
    )


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"stable": 80, "canary": 20}, {"stable": 80, "canary": 20}),
        ({"stable": "80", "canary": "20"}, {"stable": 80, "canary": 20}),
        ({"stable": "1500m", "canary": "500m"}, {"stable": 75, "canary": 25}),
        ({"stable": "1k", "canary": 1000}, {"stable": 50, "canary": 50}),
        ({"stable": 2, "canary": 1}, {"stable": 66.67, "canary": 33.33}),
        ({"stable": 100, "canary": 0}, {"stable": 100}),
        ({"web": 1, "canary": 1}, {"web": 50, "canary": 50}),
        ({"stable": "9P", "canary": "1P"}, {"stable": 90, "canary": 10}),
    ],
)
def test_weights_are_relative_to_each_other(weights: dict[str, Any], wanted: dict[str, float]) -> None:
    config = smi(traffic_split(**weights))

    assert shares(config, "web") == wanted
    assert config.problems == ()


@pytest.mark.parametrize("root", ["web", "web.default", "web.default.svc.cluster.local"])
def test_the_root_is_named_as_callers_do(root: str) -> None:
    config = smi(traffic_split(root=root, canary=1))

    assert shares(config, "web") == shares(config, "web.default.svc.cluster.local") == {"canary": 100}
    assert shares(config, "stable") == {"stable": 100}


@pytest.mark.parametrize("headers", [[{"x-beta": "^1$"}, {"x-more": "a|b"}], {"X-Beta": "^1$", "x-more": "a|b"}])
def test_all_of_a_match_has_to_hold_and_what_no_split_takes_goes_to_the_root(headers: object) -> None:
    group = route_group(
        {"name": "a", "pathRegex": "/api/.*", "methods": ["GET", "PUT"], "headers": headers}, {"name": "b", "headers": [{"x-all": ".*"}]}
    )

    config = smi(group, traffic_split("beta", matches="beta", canary=1))

    assert shares(config, "web", "/api/x", x_beta="1", x_more="b") == {"canary": 100}
    assert shares(config, "web", "/other", x_all="x") == {"canary": 100}
    assert shares(config, "web", "/api/x", x_beta="12", x_more="b") == {"web": 100}
    assert shares(config, "web", "/api/x", x_beta="1", x_more="b", method="POST") == {"web": 100}
    assert shares(config, "web", "/x", x_beta="1", x_more="b") == {"web": 100}


def test_a_split_with_matches_comes_before_the_one_without() -> None:
    group = route_group({"name": "a", "headers": [{"x-beta": "1"}]})

    config = smi(traffic_split("a", stable=80, canary=20), group, traffic_split("z", matches="beta", canary=100))

    assert shares(config, "web", x_beta="1") == {"canary": 100}
    assert shares(config, "web") == {"stable": 80, "canary": 20}


def test_of_two_splits_of_one_service_the_older_holds() -> None:
    older, younger = traffic_split("b", canary=1), traffic_split("a", stable=1)
    older["metadata"]["creationTimestamp"], younger["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

    config = smi(younger, older)

    assert shares(config, "web") == {"canary": 100}
    assert config.problems == ("TrafficSplit default/a is left out: TrafficSplit default/b splits the same Service already",)


@pytest.mark.parametrize(
    ("manifests", "said"),
    [
        ([traffic_split(root="gone", canary=1)], "TrafficSplit default/web is left out: no Service default/gone"),
        ([traffic_split(stable=0, canary=0)], "is left out: the weights of its backends add up to 0"),
        ([traffic_split(stable=1, canary="some")], "is left out: backends.weight: found 'some', wanted a number of 0 or more"),
        ([traffic_split(stable=1, canary=-1)], "is left out: backends.weight: found -1"),
        ([traffic_split(matches="beta", canary=1)], "is left out: matches: there is no HTTPRouteGroup beta"),
        ([route_group({"headers": [{"a": "(("}]}), traffic_split(matches="beta", canary=1)], "'((' is not a regular expression"),
    ],
)
def test_a_split_that_cannot_be_done_is_left_out_and_the_service_keeps_its_pods(manifests: list[Manifest], said: str) -> None:
    config = smi(*manifests)

    assert shares(config, "web") == {"web": 100}
    (problem,) = config.problems
    assert said in problem


def test_the_share_of_a_service_that_is_not_there_fails() -> None:
    config = smi(traffic_split(stable=3, gone=1))

    assert shares(config, "web") == {"stable": 75, "503": 25}
    assert config.problems == ("TrafficSplit default/web: backend gone: no such Service; its share is answered with 503",)
