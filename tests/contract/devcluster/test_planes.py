"""What do all planes promise, whatever objects they are given?"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from devcluster_objects import Manifest, destination_rule, endpoint, endpoint_slice, route, service, virtual_service
from envoy_reader import check, shares
from plane_objects import (
    HOST,
    alb_path,
    apisix_route,
    backends,
    expr,
    forward,
    header_condition,
    http_rule,
    ingress,
    mapping,
    mesh_route,
    route_group,
    rule,
    traffic_split,
)
from tiphys.devcluster.proxies.builder import SERVICES, SLICES, ProxyConfig
from tiphys.devcluster.proxies.planes import ENVOYS, chosen, kinds_of, translate

KINDS = {
    "TrafficSplit": ("split.smi-spec.io", "trafficsplits"),
    "HTTPRouteGroup": ("specs.smi-spec.io", "httproutegroups"),
    "Mapping": ("getambassador.io", "mappings"),
    "ApisixRoute": ("apisix.apache.org", "apisixroutes"),
    "VirtualService": ("networking.istio.io", "virtualservices"),
    "DestinationRule": ("networking.istio.io", "destinationrules"),
    "Ingress": ("networking.k8s.io", "ingresses"),
    "HTTPRoute": ("gateway.networking.k8s.io", "httproutes"),
}
MIRROR = {"name": "proxy-mirror", "enable": True, "config": {"host": "http://canary.default.svc:80", "sample_ratio": 0.25}}
COPY = {"type": "RequestMirror", "requestMirror": {"percent": 25, "backendRef": {"name": "canary", "port": 80}}}
OBJECTS: dict[str, list[Manifest]] = {
    "istio": [
        virtual_service(
            route(("canary", 100), match=[{"uri": {"prefix": "/x"}, "headers": {"x-beta": {"exact": "1"}}}], mirror={"host": "canary"}),
            route(("stable", 80), ("canary", 20), name="main", timeout="1s"),
            hosts=(HOST,),
        ),
        destination_rule("web", a={"x": "1"}),
    ],
    "smi": [
        traffic_split(stable=80, canary="20"),
        route_group({"name": "a", "pathRegex": "/x.*", "methods": ["GET"], "headers": [{"x-beta": "^1$"}]}),
        traffic_split("web-beta", matches="beta", canary=100),
    ],
    "gamma": [
        mesh_route(
            http_rule({"name": "x-beta", "value": "1"}, {"type": "RegularExpression", "name": "x-agent", "value": "QA.*"}, canary=100),
            http_rule(stable=80, canary=20) | {"filters": [COPY], "matches": [{"path": {"type": "Exact", "value": "/x"}, "method": "GET"}]},
            http_rule(stable=80, canary=20) | {"matches": [{"queryParams": [{"name": "v", "value": "2"}]}]},
        ),
    ],
    "ambassador": [
        mapping("web", "stable", timeout_ms=1000, labels={"a": []}),
        mapping("web-canary", "http://canary.default:80", weight=20, labels={"a": []}),
        mapping("web-beta", "canary", headers={"x-beta": "1"}, regex_headers={"x-agent": "QA.*"}, method="GET", precedence=1),
        mapping("web-shadow", "canary", shadow=True, weight=25, labels={"a": []}),
    ],
    "apisix": [
        apisix_route(rule(backends=backends(stable=80, canary=20))),
        apisix_route(
            rule(
                exprs=(expr("x-beta", "Equal", "1"), expr("", "RegexMatch", "^/x", scope="Path")),
                match={"methods": ["GET"]},
                priority=1,
                plugins=[MIRROR],
                backends=backends(canary=100),
            ),
            name="beta",
        ),
    ],
    "alb": [
        ingress(
            alb_path("beta"),
            alb_path("root"),
            actions={"beta": forward(canary=100), "root": forward(canary=20, stable=80)},
            conditions={"beta": [header_condition("x-beta", values=["1"])]},
        ),
    ],
}
OTHERS = {
    "istio": virtual_service(route(("canary", 1)), hosts=("other.example",), name="other"),
    "smi": traffic_split("other", root="other", canary=1),
    "gamma": mesh_route(http_rule(canary=1), name="other", service="other"),
    "ambassador": mapping("other", "canary", hostname="other.example"),
    "apisix": apisix_route(rule(match={"hosts": ["other.example"]}, backends=backends(canary=1)), name="other"),
    "alb": ingress(alb_path("canary", port={"number": 80}), name="other", host="other.example"),
}
ODD: tuple[Any, ...] = (None, "", "((", -1, True, 1e99, [], {}, [None], [7], {"x": None})


def translated(*manifests: Manifest, planes: tuple[str, ...] = tuple(ENVOYS), services: tuple[str, ...] = ()) -> ProxyConfig:
    found: dict[tuple[str, str], list[Manifest]] = {
        SERVICES: [service(name) for name in ("stable", "canary", "web", "other", *services)],
        SLICES: [endpoint_slice("stable", endpoint("10.0.0.1")), endpoint_slice("canary", endpoint("10.0.0.2"))],
    }
    for manifest in manifests:
        found.setdefault(KINDS[manifest["kind"]], []).append(manifest)
    return translate(planes, found)


def _places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 - any JSON value
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*at, key)
        yield from _places(each, (*at, key))


def _with(manifest: Manifest, place: tuple[str | int, ...], value: Any) -> Manifest:  # noqa: ANN401 - any JSON value
    changed = copy.deepcopy(manifest)
    target: Any = changed["spec"]
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return changed


@pytest.mark.parametrize("plane", OBJECTS)
def test_the_order_of_objects_does_not_matter_and_nothing_is_complained_about(plane: str) -> None:
    objects = [*OBJECTS[plane], OTHERS[plane]]

    config = translated(*objects)

    assert translated(*objects[::-1]) == config
    assert [problem for problem in config.problems if "labels is not emulated" not in problem] == []


@pytest.mark.parametrize("plane", OBJECTS)
def test_a_malformed_object_never_ends_the_translation_nor_touches_the_others(plane: str) -> None:
    other = "other" if plane in {"smi", "gamma"} else "other.example"
    assert shares(translated(OTHERS[plane]), other) == {"canary": 100}

    for index, manifest in enumerate(OBJECTS[plane]):
        for place in _places(manifest["spec"]):
            for value in ODD:
                rest = [each for at, each in enumerate(OBJECTS[plane]) if at != index]
                config = translated(*rest, _with(manifest, place, value), OTHERS[plane])
                assert shares(config, other) == {"canary": 100}, (place, value)
                check(config)


@pytest.mark.parametrize("plane", OBJECTS)
def test_a_plane_that_was_not_chosen_has_no_effect(plane: str) -> None:
    others = tuple(name for name in ENVOYS if name != plane)

    assert translated(*OBJECTS[plane], planes=others) == translated(planes=others)


def test_only_the_kinds_of_the_chosen_planes_are_watched() -> None:
    assert kinds_of(["smi"]) == {SERVICES, SLICES, KINDS["TrafficSplit"], KINDS["HTTPRouteGroup"]}
    assert kinds_of(["alb", "apisix"]) == {SERVICES, SLICES, KINDS["Ingress"], KINDS["ApisixRoute"]}


def test_a_plane_named_twice_counts_once() -> None:
    assert chosen(["smi", "smi"]) == ("smi",)


def test_for_one_host_the_earlier_plane_comes_first() -> None:
    objects = [mapping("web", "stable"), apisix_route(rule(backends=backends(canary=1)))]

    assert shares(translated(*objects, planes=("apisix", "ambassador")), HOST) == {"canary": 100}
    assert shares(translated(*objects, planes=("ambassador", "apisix")), HOST) == {"stable": 100}


def test_a_service_that_no_object_speaks_of_is_reached_by_its_names() -> None:
    config = translated(mapping("web", "stable", hostname="*"), planes=("ambassador",))

    assert shares(config, "canary.default.svc") == {"canary": 100}
    assert shares(config, "ambassador") == {"stable": 100}
