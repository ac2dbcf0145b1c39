"""What is told of, read from and written to ApisixRoutes?"""

from dataclasses import replace

import pytest

from builders import rollout
from routers import APISIX_ROUTE, MANAGED, apisix_rollout, apisix_route, router_for, strategy
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.traffic.apisix import apisix_router
from tiphys.traffic.router import Ref
from tiphys.traffic.settings import Settings

ROUTE = "spec.strategy.canary.trafficRouting.apisix.route"
MANAGED_FIELD = "spec.strategy.canary.trafficRouting.managedRoutes"
BOTH = "backends: [{serviceName: web-stable, servicePort: 80, weight: 100}, {serviceName: web-canary, servicePort: 80, weight: 0}]"
RULE = f"http: [{{name: web, match: {{paths: [/*]}}, {BOTH}}}]"
FIRST = replace(APISIX_ROUTE, name=MANAGED[0])

HEADER_STEP = {"setHeaderRoute": {"name": MANAGED[0], "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}}
MIRROR_STEP = {"setMirrorRoute": {"name": MANAGED[1], "match": [{"method": {"exact": "GET"}}]}}
BETA = HeaderRoute(name=MANAGED[0], any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value="1")),))
SHADOW = MirrorRoute(name=MANAGED[1], any_of=(RequestMatch(),), percent=25)


def wish(canary: int, **more: object) -> TrafficIntent:
    backends = (
        Backend(role=Role.STABLE, service="web-stable", weight=100 - canary),
        Backend(role=Role.CANARY, service="web-canary", weight=canary),
    )
    return TrafficIntent(**{"backends": backends, "managed": MANAGED, **more})  # type: ignore[arg-type]  # typed by the fields


def told(spec: str, route: Manifest | None = None, **fields: object) -> list[str]:
    return [str(problem) for problem in router_for(apisix_rollout(route, **fields)).problems({APISIX_ROUTE: apisix_route(spec)})]


def about(what: str) -> list[str]:
    return [f'{ROUTE}.name: Invalid value: "web": ApisixRoute default/web: {what}']


# --- problems -------------------------------------------------------------------------------------------------------------------


def test_a_rule_with_both_backends_is_enough_and_without_rules_the_route_names_its_own() -> None:
    assert told(RULE) == []
    assert told(RULE, {"name": "web", "rules": ["web"]}) == []


def test_a_missing_route_block_or_object_is_told() -> None:
    nameless = router_for(apisix_rollout(trafficRouting={"apisix": {}}))

    assert [str(problem) for problem in nameless.problems({})] == [f"{ROUTE}.name: Required value: needs the name of an ApisixRoute"]
    assert [str(problem) for problem in router_for(apisix_rollout()).problems({})] == [
        f'{ROUTE}.name: Invalid value: "web": must name an existing ApisixRoute (ApisixRoute default/web)'
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("http: []", f'spec.http: Invalid value: "none": needs the rule "web", as {ROUTE}.rules says'),
        (f"http: [{{name: other, {BOTH}}}]", f'spec.http: Invalid value: "other": needs the rule "web", as {ROUTE}.rules says'),
        (f"http: [{{{BOTH}}}]", "spec.http[0].name: Required value: needs a name"),
        ("http: [{name: web}]", 'spec.http[0].backends: Required value: needs the canary\'s (serviceName "web-canary")'),
        (
            f"http: [{{name: web, upstreams: [{{name: more}}], {BOTH}}}]",
            'spec.http[0].upstreams: Invalid value: "set": must be empty: they share the traffic beside the backends',
        ),
        ("http: [{name: web, backends: [{}]}]", "spec.http[0].backends[0].serviceName: Required value: must name a Service"),
    ],
)
def test_a_route_that_cannot_carry_the_weights_is_told_with_its_place(spec: str, problem: str) -> None:
    assert told(spec) == about(problem)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            RULE.replace("servicePort: 80", "servicePort: http"),
            'spec.http[0].backends[].servicePort: Invalid value: "http": must be a number',
        ),
        (
            RULE.replace("match:", "plugins: [{name: proxy-mirror}], match:"),
            'spec.http[0].plugins[0].name: Invalid value: "proxy-mirror": must not be there beside a mirror route',
        ),
        (RULE.replace("match:", "priority: high, match:"), 'spec.http[0].priority: Invalid value: "high": must be a whole number'),
    ],
)
def test_what_a_mirror_step_will_meet_is_told_before_it(spec: str, problem: str) -> None:
    assert told(spec) == []

    (found,) = told(spec, steps=[MIRROR_STEP])

    assert found.startswith(f'spec.strategy.steps[0].setMirrorRoute: Invalid value: "second": ApisixRoute default/web: {problem}')


def test_names_that_clash_are_told_and_nothing_is_written() -> None:
    own_name = {"apisix": {"route": {"name": "web"}}, "managedRoutes": [{"name": "web"}]}

    (clash,) = told(RULE, trafficRouting=own_name)
    assert clash == f'{MANAGED_FIELD}: Invalid value: "web": must not be the name of the ApisixRoute that carries the weights'
    with pytest.raises(SpecError, match="must not be the name"):
        router_for(apisix_rollout(trafficRouting=own_name)).render(wish(20), {APISIX_ROUTE: apisix_route(RULE)})


def test_a_route_of_somebody_else_under_a_managed_name_is_told_and_left_alone_and_the_weights_are_written() -> None:
    router = router_for(apisix_rollout())
    stranger = apisix_route("http: []", ref=FIRST)
    found = {APISIX_ROUTE: apisix_route(RULE), FIRST: stranger}

    with_route = router.render(wish(20, header_routes=(BETA,)), found)
    without = router.render(wish(20), found)

    (problem,) = router.problems(found)
    assert str(problem).startswith(f'{MANAGED_FIELD}: Invalid value: "first": ApisixRoute default/first exists and is not controlled')
    for rendered in (with_route, without):
        assert rendered.errors == (problem,)
        assert list(rendered.apply) == [APISIX_ROUTE]
        assert rendered.absent == frozenset()
    routed = router.routed(found)
    assert routed is not None
    assert not routed.uniform


def test_managed_routes_go_even_when_the_main_route_is_gone() -> None:
    router = router_for(apisix_rollout())
    made = router.render(wish(20, header_routes=(BETA,)), {APISIX_ROUTE: apisix_route(RULE)}).apply

    rendered = router.render(wish(0), {FIRST: made[FIRST]})

    assert rendered.absent == {FIRST}
    assert rendered.apply == {}
    assert "must name an existing ApisixRoute" in str(rendered.errors)


def test_a_rollout_without_the_block_has_no_such_router() -> None:
    with pytest.raises(ValueError, match="no APISIX router"):
        apisix_router(rollout(strategy=strategy()), Settings())


# --- reading --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "canary", "uniform"),
    [((80, 20), 20, True), ((None, None), 50, True), ((4, 1), 20, True), ((100, None, 0), 50, True), ((2, 1), 34, False)],
)
def test_weights_are_read_as_shares(weights: tuple[int | None, ...], canary: int, uniform: bool) -> None:  # noqa: FBT001  a table's column
    found = apisix_route(RULE)
    found["spec"]["http"][0]["backends"] = [
        {"serviceName": name, "servicePort": 80, **({} if weight is None else {"weight": weight})}
        for name, weight in zip(("web-stable", "web-canary", "audit"), weights, strict=False)
    ]

    routed = router_for(apisix_rollout()).routed({APISIX_ROUTE: found})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (canary, 100 - canary, uniform)


@pytest.mark.parametrize(
    "edit",
    [
        {"priority": 9},
        {"match": {"paths": ["/*"]}},
        {"backends": [{"serviceName": "web-stable", "servicePort": 80, "weight": 100}]},
    ],
    ids=str,
)
def test_a_route_of_ours_that_somebody_changed_is_not_as_wished_and_is_made_again(edit: Manifest) -> None:
    router = router_for(apisix_rollout())
    asked = wish(20, header_routes=(BETA,))
    made = dict(router.render(asked, {APISIX_ROUTE: apisix_route(RULE)}).apply)
    rule = made[FIRST]["spec"]["http"][0]

    spoilt = {**made, FIRST: {**made[FIRST], "spec": {**made[FIRST]["spec"], "http": [{**rule, **edit}]}}}
    routed = router.routed(spoilt)

    assert routed is not None
    assert not routed.says(asked)
    assert routed.header_routes == (BETA,)
    assert router.render(asked, spoilt).apply == made


def test_an_edit_of_the_users_rule_reaches_the_routes_of_ours() -> None:
    router = router_for(apisix_rollout())
    asked = wish(20, header_routes=(BETA,), mirrors=(SHADOW,))
    made = dict(router.render(asked, {APISIX_ROUTE: apisix_route(RULE)}).apply)
    main = made[APISIX_ROUTE]
    edited = {**made, APISIX_ROUTE: {**main, "spec": {"http": [{**main["spec"]["http"][0], "timeout": {"read": "9s"}}]}}}

    before = router.routed(edited)
    after = router.render(asked, edited).apply

    assert before is not None
    assert not before.says(asked)
    assert [manifest["spec"]["http"][0]["timeout"] for manifest in after.values()] == [{"read": "9s"}] * 3


def test_a_note_that_cannot_be_read_is_not_as_wished() -> None:
    router = router_for(apisix_rollout())
    asked = wish(20, header_routes=(BETA,))
    made = dict(router.render(asked, {APISIX_ROUTE: apisix_route(RULE)}).apply)
    made[FIRST] = {**made[FIRST], "metadata": {**made[FIRST]["metadata"], "annotations": {"tiphys.dev/header-routes": "nonsense"}}}

    routed = router.routed(made)

    assert routed is not None
    assert (routed.header_routes, routed.uniform) == ((), False)


def test_the_main_route_and_those_of_the_managed_names_are_read() -> None:
    router = router_for(apisix_rollout())

    assert router.reads() == [
        Ref(group="apisix.apache.org", kind="ApisixRoute", namespace="default", name=name) for name in ("web", *MANAGED)
    ]


# --- writing --------------------------------------------------------------------------------------------------------------------


def test_labels_and_annotations_of_the_users_route_are_not_copied() -> None:
    found = apisix_route(RULE)
    found["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:web"}

    made = router_for(apisix_rollout()).render(wish(20, header_routes=(BETA,)), {APISIX_ROUTE: found}).apply[FIRST]

    assert made["metadata"].keys() == {"name", "namespace", "ownerReferences", "annotations"}
    assert made["metadata"]["annotations"].keys() == {"tiphys.dev/header-routes"}


def test_a_person_is_told_when_strangers_leave_no_room() -> None:
    crowded = RULE.replace("weight: 0}", "weight: 0}, {serviceName: audit, servicePort: 80, weight: 30}")

    rendered = router_for(apisix_rollout()).render(wish(90), {APISIX_ROUTE: apisix_route(crowded)})

    assert rendered.warnings == (
        "ApisixRoute default/web: the weights of spec.http[0].backends add up to 120: "
        "services that are not the Rollout's keep 30, so the canary gets less than asked",
    )
