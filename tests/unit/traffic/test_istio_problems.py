"""What is told of VirtualServices and DestinationRules that do not have what the Rollout needs?"""

import pytest

from routers import AWAY, RULE, VIRTUAL_SERVICE, istio_rollout, router_for, virtual_service
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import (
    Backend,
    Role,
    TrafficIntent,
)
from tiphys.traffic.istio import place

ISTIO = "spec.strategy.canary.trafficRouting.istio"
NAME = f"{ISTIO}.virtualService.name"

BOTH = "route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]"
SPLIT = f"http:\n- {BOTH}"


def told(istio: Manifest, *specs: str, **fields: object) -> list[str]:
    found = {ref: virtual_service(spec, ref=ref) for ref, spec in zip((VIRTUAL_SERVICE, RULE), specs, strict=False)}
    return [str(problem) for problem in router_for(istio_rollout(istio, **fields)).problems(found)]


def one(spec: str, *rule: str, **more: object) -> list[str]:
    return told({"virtualService": {"name": "web", **more}}, spec, *rule)


def about(what: str) -> list[str]:
    return [f'{NAME}: Invalid value: "web": VirtualService default/web: {what}']


def test_a_virtual_service_with_both_destinations_is_enough() -> None:
    assert one(SPLIT) == []


def test_a_missing_virtual_service_is_told() -> None:
    assert told({"virtualService": {"name": "web"}}) == [
        f'{NAME}: Invalid value: "web": must name an existing VirtualService (VirtualService default/web)'
    ]


@pytest.mark.parametrize(
    ("istio", "problem"),
    [
        ({}, f"{ISTIO}: Required value: needs exactly one of virtualService and virtualServices"),
        (
            {"virtualService": {"name": "web"}, "virtualServices": [{"name": "web.default"}]},
            f'{ISTIO}: Invalid value: "both": needs exactly one of virtualService and virtualServices',
        ),
        ({"virtualService": {"routes": ["main"]}}, f"{NAME}: Required value: needs the name of a VirtualService"),
        ({"virtualServices": [{"name": "web"}, {}]}, f"{ISTIO}.virtualServices.name: Required value: needs the name of a VirtualService"),
        (
            {"virtualServices": [{"name": "web"}, {"name": "web.default"}]},
            f'{ISTIO}.virtualServices.name: Invalid value: "web": must be listed once',
        ),
    ],
)
def test_the_block_names_its_virtual_services_in_one_way_and_once(istio: Manifest, problem: str) -> None:
    router = router_for(istio_rollout(istio))

    problems = [str(told) for told in router.problems({VIRTUAL_SERVICE: virtual_service(SPLIT)})]

    assert problem in problems
    with pytest.raises(SpecError):
        router.render(TrafficIntent(backends=(Backend(role=Role.STABLE, service="web-stable", weight=100),)), {})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("hosts: [web]", "spec: Required value: needs routes in http, tls or tcp"),
        ("http: null", "spec: Required value: needs routes in http, tls or tcp"),
        ("http: main", 'spec.http: Invalid value: "main": must be a list'),
        ("http: [null]", 'spec.http[0]: Invalid value: "null": must be a map'),
        ("http: [{name: [main]}]", "spec.http[0].name: Invalid value: \"['main']\": must be a text"),
        ("http: [{redirect: {uri: /}}]", 'spec.http[0].route: Required value: needs the canary destination (host "web-canary")'),
        (
            "http: [{route: [{destination: {host: web-stable}}]}]",
            'spec.http[0].route: Required value: needs the canary destination (host "web-canary")',
        ),
        (
            "http: [{route: [{destination: {host: web-canary}}]}]",
            'spec.http[0].route: Required value: needs the stable destination (host "web-stable")',
        ),
        (
            "http: [{route: [{destination: {host: web-canary}}, {destination: {host: web-canary.x}}, {destination: {host: web-stable}}]}]",
            'spec.http[0].route: Invalid value: "2 destinations": must have exactly one that is the canary destination (host "web-canary")',
        ),
        ("http: [{route: {}}]", 'spec.http[0].route: Invalid value: "{}": must be a list'),
        ("http: [{route: [null]}]", 'spec.http[0].route[0]: Invalid value: "null": must be a map'),
        ("http: [{route: [{destination: web}]}]", 'spec.http[0].route[0].destination: Invalid value: "web": must be a map'),
        ("http: [{route: [{destination: {host: 5}}]}]", 'spec.http[0].route[0].destination.host: Invalid value: "5": must be a text'),
        (
            "http: [{route: [{destination: {host: web-canary}, weight: -1}, {destination: {host: web-stable}}]}]",
            'spec.http[0].route[0].weight: Invalid value: "-1": must be a whole number, at least 0',
        ),
        (
            "http: [{route: [{destination: {host: web-canary}, weight: true}, {destination: {host: web-stable}}]}]",
            'spec.http[0].route[0].weight: Invalid value: "True": must be a whole number, at least 0',
        ),
        (
            f"http: [{{{BOTH}}}, {{{BOTH}}}]",
            'spec.http: Invalid value: "spec.http[0], spec.http[1]": several entries carry both services: name the ones meant in routes',
        ),
        (
            "http: [{route: [{destination: {host: cdn}}]}, {redirect: {uri: /}}]",
            'spec: Invalid value: "2 entries": needs one entry with a canary and a stable destination, or its name in the Rollout',
        ),
        (
            "http: [{name: first, route: [{destination: {host: cdn}}]}]",
            "spec: Required value: needs one entry with a canary and a stable destination, or its name in the Rollout",
        ),
    ],
)
def test_what_a_virtual_service_lacks_is_told_with_its_place(spec: str, problem: str) -> None:
    assert one(spec) == about(problem)


def test_a_route_name_that_does_not_exist_is_told_with_those_that_do() -> None:
    spec = f"http: [{{name: api, {BOTH}}}, {{name: main, {BOTH}}}, {{{BOTH}}}]"

    assert one(spec, routes=["main", "mian"]) == about(
        'routes: Invalid value: "mian": must be the name of an http entry; there are: api, main'
    )
    assert one(spec, routes=["main", "api", "main"]) == []


def test_a_managed_name_cannot_carry_the_weights() -> None:
    assert one(f"http: [{{name: first, {BOTH}}}]", routes=["first"]) == about(
        'routes: Invalid value: "first": must not also be listed in managedRoutes, whose entries come and go'
    )


@pytest.mark.parametrize(
    ("kind", "match", "wanted", "fits"),
    [
        ("tls", "[{port: 443, sniHosts: [a, b]}]", {"port": 443, "sniHosts": ["b", "a"]}, True),
        ("tls", "[{port: 443, sniHosts: [a]}, {port: 443, sniHosts: [b]}]", {"port": 443, "sniHosts": ["a", "b"]}, True),
        ("tls", "[{sniHosts: [a]}]", {"sniHosts": ["a"]}, True),
        ("tls", "[{port: 443, sniHosts: [a]}]", {"sniHosts": ["a"]}, False),
        ("tls", "[{port: 443, sniHosts: [a, b]}]", {"port": 443, "sniHosts": ["a"]}, False),
        ("tls", "[{port: 443, sniHosts: [a]}, {port: 444, sniHosts: [a]}]", {"port": 443, "sniHosts": ["a"]}, False),
        ("tcp", "[{port: 5432}]", {"port": 5432}, True),
        ("tcp", "[{port: 5432}, {port: 5432, gateways: [mesh]}]", {"port": 5432}, True),
        ("tcp", "[{port: 5432}, {port: 5433}]", {"port": 5432}, False),
    ],
)
def test_tls_and_tcp_entries_are_found_by_port_and_server_names(kind: str, match: str, wanted: Manifest, fits: bool) -> None:  # noqa: FBT001  a table's column
    problems = one(f"{kind}: [{{match: {match}, {BOTH}}}, {{match: [{{port: 9}}], {BOTH}}}]", **{f"{kind}Routes": [wanted]})

    assert (problems == []) == fits
    assert fits or f"must match an entry of spec.{kind}" in problems[0]


def test_a_kind_that_nobody_names_is_left_alone_where_another_is_named() -> None:
    spec = f"http: [{{name: main, {BOTH}}}]\ntls: [{{{BOTH}}}, {{{BOTH}}}]\ntcp: [{{route: [{{destination: {{host: database}}}}]}}]"

    assert one(spec, routes=["main"]) == []
    assert "several entries carry both services: name the ones meant in tlsRoutes" in one(spec)[0]


def test_a_host_in_another_namespace_is_another_service() -> None:
    spec = "http: [{route: [{destination: {host: web-stable.other.svc.cluster.local}}, {destination: {host: web-canary}}]}]"

    assert one(spec) == about('spec.http[0].route: Required value: needs the stable destination (host "web-stable")')


def test_header_and_mirror_steps_need_http() -> None:
    router = router_for(
        istio_rollout(
            {"virtualService": {"name": "web"}}, steps=[{"setMirrorRoute": {"name": "first", "match": [{"path": {"exact": "/"}}]}}]
        )
    )

    problems = router.problems({VIRTUAL_SERVICE: virtual_service(f"tcp: [{{{BOTH}}}]")})

    assert [str(problem) for problem in problems] == about(
        "the steps set header or mirror routes, which need an http entry that carries the weights"
    )


SUBSETS = "http: [{route: [{destination: {host: web, subset: stable}, weight: 100}, {destination: {host: web, subset: canary}}]}]"
RULE_BLOCK = {"name": "web", "canarySubsetName": "canary", "stableSubsetName": "stable"}


@pytest.mark.parametrize(
    ("block", "spec", "problem"),
    [
        (
            RULE_BLOCK,
            None,
            f'{ISTIO}.destinationRule.name: Invalid value: "web": must name an existing DestinationRule (DestinationRule default/web)',
        ),
        (
            RULE_BLOCK,
            "{host: web, subsets: [{name: stable}, {name: next}]}",
            f'{ISTIO}.destinationRule.canarySubsetName: Invalid value: "canary": DestinationRule default/web: '
            'spec.subsets: Invalid value: "canary": must be the name of a subset; there are: stable, next',
        ),
        (
            RULE_BLOCK,
            "{host: web, subsets: [{name: stable, labels: []}, {name: canary}]}",
            f'{ISTIO}.destinationRule.stableSubsetName: Invalid value: "stable": DestinationRule default/web: '
            'spec.subsets[0].labels: Invalid value: "[]": must be a map',
        ),
        (
            {**RULE_BLOCK, "stableSubsetName": "canary"},
            "{host: web, subsets: [{name: canary}]}",
            f'{ISTIO}.destinationRule.stableSubsetName: Invalid value: "canary": must differ from canarySubsetName',
        ),
        (
            {"name": "web", "stableSubsetName": "stable"},
            "{host: web}",
            f"{ISTIO}.destinationRule.canarySubsetName: Required value: needs a name",
        ),
    ],
)
def test_what_a_destination_rule_lacks_is_told(block: Manifest, spec: str | None, problem: str) -> None:
    rule = [] if spec is None else [spec]

    assert problem in told({"virtualService": {"name": "web"}, "destinationRule": block}, SUBSETS, *rule)


def test_every_problem_is_told_at_once() -> None:
    subject = istio_rollout({"virtualServices": [{"name": "web"}, {"name": "entrance.mesh"}], "destinationRule": RULE_BLOCK})

    problems = router_for(subject).problems({AWAY: virtual_service("http: []", ref=AWAY)})

    assert [problem.field for problem in problems] == [
        f"{ISTIO}.destinationRule.name",
        f"{ISTIO}.virtualServices.name",
        f"{ISTIO}.virtualServices.name",
    ]


@pytest.mark.parametrize(
    ("written", "namespace", "name"),
    [
        ("web", "default", "web"),
        ("web.mesh", "mesh", "web"),
        ("web.mesh.cluster.local", "mesh", "web"),
        ("web.v2.mesh", "mesh", "web.v2"),
    ],
)
def test_a_virtual_service_is_named_with_or_without_its_namespace(written: str, namespace: str, name: str) -> None:
    ref = place(written, "default")

    assert (ref.namespace, ref.name) == (namespace, name)
