"""Do rules of the Gateway API say what was wished, and is everything else told by name?"""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routers import (
    CANARY,
    CRDS,
    MANAGED,
    SETUPS,
    STABLE,
    after,
    crd_schema,
    gateway_plugin_rollout,
    gateway_ref,
    gateway_rollout,
    gateway_route,
    router_for,
    wishes,
)
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch, TrafficIntent
from tiphys.core.observed import Verification
from tiphys.traffic.gateway_match import beginning
from tiphys.traffic.gateway_status import reported
from tiphys.traffic.router import Searching
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import MENTIONS, routers_of, unsupported
from tiphys.traffic.together import render_all, reported_by_all

HTTP = gateway_ref("HTTPRoute")
GRPC = gateway_ref("GRPCRoute")
TCP = gateway_ref("TCPRoute")
NATIVE = "spec.strategy.canary.trafficRouting.gatewayAPI"
PLUGIN = "spec.strategy.canary.trafficRouting.plugins[argoproj-labs/gatewayAPI]"

_BACKENDS = f"""
  - {{name: {STABLE}, port: 80, weight: 100}}
  - {{name: {CANARY}, port: 80, weight: 0}}
"""


def http(rules: str) -> Manifest:
    return gateway_route(f"parentRefs: [{{name: entrance}}]\nrules:\n{rules}", ref=HTTP)


PLAIN = http(f"- backendRefs:{_BACKENDS}")


# --- which rule answers a request -------------------------------------------------------------------------------------------------

Request = tuple[str, str, Mapping[str, str]]

_headers = st.dictionaries(st.sampled_from(["x-a", "x-b", "x-region"]), st.sampled_from(["1", "eu", "2"]), max_size=3)
_requests = st.tuples(st.sampled_from(["/", "/api", "/api/v1", "/cart", "/cart/1", "/apis"]), st.sampled_from(["GET", "PUT"]), _headers)
_values = st.builds(TextMatch, kind=st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX]), value=st.sampled_from(["1", "e", "eu", "2"]))
_header_routes = st.lists(st.builds(HeaderMatch, header=st.sampled_from(["x-a", "x-b"]), value=_values), min_size=1, max_size=2).map(tuple)
_paths = st.builds(TextMatch, kind=st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX]), value=st.sampled_from(["/", "/api", "/cart/1"]))
_mirror = st.builds(
    RequestMatch,
    path=st.none() | _paths,
    method=st.none() | st.just(TextMatch(kind=MatchKind.REGEX, value="GET|HEAD")),
    headers=st.lists(
        st.builds(HeaderMatch, header=st.sampled_from(["x-a", "x-b"]), value=_values), max_size=2, unique_by=lambda match: match.header
    ).map(tuple),
)
_routes = st.tuples(
    st.builds(HeaderRoute, name=st.just("first"), any_of=_header_routes)
    | st.builds(MirrorRoute, name=st.just("first"), any_of=st.tuples(_mirror)),
    st.builds(MirrorRoute, name=st.just("second"), any_of=st.lists(_mirror, min_size=1, max_size=2).map(tuple)),
    st.builds(HeaderRoute, name=st.just("third"), any_of=_header_routes),
)

_TWO_RULES = http(
    f"- name: cart\n  matches: [{{path: {{type: PathPrefix, value: /cart}}, headers: [{{type: Exact, name: x-region, value: eu}}]}}]\n"
    f"  backendRefs:{_BACKENDS}- name: rest\n  backendRefs:{_BACKENDS}"
)


def _under(path: str, prefix: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{prefix.rstrip('/')}/")


def _fits(match: Mapping[str, Any], request: Request) -> bool:
    path, method, headers = request
    wanted = match.get("path", {"type": "PathPrefix", "value": "/"})
    return (
        (path == wanted["value"] if wanted["type"] == "Exact" else _under(path, wanted["value"]))
        and match.get("method", method) == method
        and all(
            header["name"] in headers
            and (
                headers[header["name"]] == header["value"]
                if header["type"] == "Exact"
                else re.search(header["value"], headers[header["name"]]) is not None
            )
            for header in match.get("headers", ())
        )
    )


def _precedence(match: Mapping[str, Any]) -> tuple[bool, int, bool, int]:
    """Rank as the specification of the Gateway API does: exact path, longest prefix, method, most headers."""
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    return path["type"] == "Exact", len(path["value"]), "method" in match, len(match.get("headers", ()))


def _answering(route: Manifest, request: Request) -> str:
    """Say which rule a conforming gateway chooses: the best match, and among equals the first rule."""
    best: tuple[Any, str] | None = None
    for rule in route["spec"]["rules"]:
        for match in rule.get("matches", ({},)):
            if _fits(match, request) and (best is None or _precedence(match) > best[0]):
                best = (_precedence(match), rule["name"])
    assert best is not None
    return best[1]


def _text_fits(text: TextMatch, value: str | None) -> bool:
    if value is None:
        return False
    return {
        MatchKind.EXACT: value == text.value,
        MatchKind.PREFIX: value.startswith(text.value),
        MatchKind.REGEX: re.fullmatch(text.value, value) is not None,
    }[text.kind]


def _asked(route: HeaderRoute | MirrorRoute, request: Request) -> bool:
    path, method, headers = request
    if isinstance(route, HeaderRoute):
        return any(_text_fits(match.value, headers.get(match.header)) for match in route.any_of)
    return any(
        (match.path is None or (path == match.path.value if match.path.kind is MatchKind.EXACT else _under(path, match.path.value)))
        and (match.method is None or _text_fits(match.method, method))
        and all(_text_fits(header.value, headers.get(header.header)) for header in match.headers)
        for match in route.any_of
    )


@given(routes=_routes, requests=st.lists(_requests, min_size=1, max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_first_managed_route_whose_condition_holds_gets_the_request_whatever_is_more_specific(
    routes: tuple[HeaderRoute | MirrorRoute, ...], requests: list[Request]
) -> None:
    router = router_for(gateway_rollout({"httpRoutes": [{"name": "web"}]}))
    wish = replace(
        SETUPS["gateway http"].wish(20),
        header_routes=tuple(route for route in routes if isinstance(route, HeaderRoute)),
        mirrors=tuple(route for route in routes if isinstance(route, MirrorRoute)),
    )

    rendered, errors = render_all([router], wish, {HTTP: _TWO_RULES})

    if errors:  # one route asks for what no request can have
        assert "can fulfil its conditions" in str(errors[0])
        return
    written = rendered["gatewayAPI"].apply[HTTP]

    for request in requests:
        wanted = next((route.name for route in routes if _asked(route, request)), None)
        got = _answering(written, request)
        assert got.removesuffix("-1") == wanted if wanted else got == _answering(_TWO_RULES, request)


@given(prefix=st.text(min_size=1, max_size=8), value=st.text(max_size=12))
def test_a_prefix_as_a_regular_expression_means_the_same_searched_for_or_matched_whole(prefix: str, value: str) -> None:
    expression = re.compile(beginning(prefix), re.DOTALL)

    for text in (value, prefix + value):
        assert (expression.search(text) is not None) == text.startswith(prefix)
        assert (expression.fullmatch(text) is not None) == text.startswith(prefix)


# --- what is wrong ----------------------------------------------------------------------------------------------------------------


def problems(gateway: Manifest, found: Manifest = PLAIN, **fields: object) -> list[str]:
    router = router_for(gateway_rollout(gateway, **fields))
    return [str(problem) for problem in router.problems({ref: {**found, "kind": ref.kind} for ref in router.reads()})]


def plugin_problems(spec: Manifest) -> list[str]:
    router = router_for(gateway_plugin_rollout(spec))
    return [str(problem) for problem in router.problems(dict.fromkeys(router.reads(), PLAIN))]


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({}, "httpRouteSelector: Required value: must ask for a label that routes have"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, 'Selector: Invalid value: "!a": must ask for a label'),
        (
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Has"}]},
            'httpRouteSelector.matchExpressions.operator: Invalid value: "Has": must have one of In, NotIn, Exists, DoesNotExist',
        ),
    ],
)
def test_a_selector_that_cannot_be_looked_for_is_told(selector: Manifest, said: str) -> None:
    told = plugin_problems({"httpRouteSelector": selector})

    assert [problem for problem in told if said in problem], told


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"matchLabels": {"team": "shop", "app": "web"}}, ["app=web"]),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, ["app=web", "app=api"]),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, ["app"]),
    ],
)
def test_routes_are_looked_for_by_a_label_that_they_must_have(selector: Manifest, names: list[str]) -> None:
    router = router_for(gateway_plugin_rollout({"grpcRouteSelector": selector, "namespace": "edge"}))
    assert isinstance(router, Searching)

    searches = router.searches()

    assert [search.name for search in searches] == names
    assert {(search.kind, search.namespace) for search in searches} == {("GRPCRoute", "edge")}
    mentioned = set(MENTIONS["gateway.networking.k8s.io", "GRPCRoute"]({"metadata": {"labels": {"app": "web", "team": "shop"}}}))
    assert mentioned & set(names)


def header_step(name: str = "first", header: str = "x-a", **value: str) -> Manifest:
    return {"setHeaderRoute": {"name": name, "match": [{"headerName": header, "headerValue": value or {"exact": "1"}}]}}


def mirror_step(name: str = "second", **match: object) -> Manifest:
    return {"setMirrorRoute": {"name": name, "match": [match]}}


WEB: Manifest = {"httpRoutes": [{"name": "web"}]}


@pytest.mark.parametrize(
    ("gateway", "found", "said"),
    [
        ({}, PLAIN, f"{NATIVE}: Required value: needs one of httpRoutes, grpcRoutes, tlsRoutes, tcpRoutes"),
        ({"httpRoutes": [{}]}, PLAIN, f"{NATIVE}.httpRoutes[0]: Required value: needs the name of a HTTPRoute"),
        ({"tcpRoutes": [{"name": "a"}, {"name": "a"}]}, PLAIN, f'{NATIVE}.tcpRoutes[1]: Invalid value: "a": must be listed once'),
        (
            WEB,
            http("- backendRefs: [{name: web-stable, port: 80}]"),
            f'{NATIVE}.httpRoutes[0]: Invalid value: "web": HTTPRoute default/web: spec.rules: Required value: '
            'needs a rule with a backend for Service "web-canary" and one for Service "web-stable"',
        ),
        (
            WEB,
            http(f"- backendRefs:{_BACKENDS}  - {{name: {CANARY}, port: 81}}"),
            f'{NATIVE}.httpRoutes[0]: Invalid value: "web": HTTPRoute default/web: spec.rules[0].backendRefs: Invalid value: '
            '"2 destinations": must have exactly one that is the canary backend (Service "web-canary")',
        ),
        (
            {"httpRoutes": [{"name": "web", "rules": ["shop", "cart"]}]},
            http(f"- name: shop\n  backendRefs:{_BACKENDS}"),
            f'{NATIVE}.httpRoutes[0]: Invalid value: "web": HTTPRoute default/web: rules: Invalid value: "cart": '
            "must be the name of a rule; there are: shop",
        ),
        (
            {"httpRoutes": [{"name": "web", "rules": ["shop"]}]},
            http("- name: shop\n  backendRefs: [{name: web-stable, port: 80}]"),
            f'{NATIVE}.httpRoutes[0]: Invalid value: "web": HTTPRoute default/web: spec.rules[0].backendRefs: Required value: '
            'needs the canary backend (Service "web-canary")',
        ),
    ],
)
def test_what_is_wrong_with_the_block_or_the_route_is_told(gateway: Manifest, found: Manifest, said: str) -> None:
    assert problems(gateway, found) == [said]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, f"{PLUGIN}: Required value: needs a route: one of httpRoute, grpcRoute, tlsRoute, tcpRoute, their lists or their selectors"),
        (
            {"httpRouteSelector": {"matchLabels": {"a": "b"}}},
            f'{PLUGIN}.httpRouteSelector: Invalid value: "a=b": must fit at least one HTTPRoute (HTTPRoute default/a=b)',
        ),
        (
            {"httpRoute": 5},
            f'{PLUGIN}: Invalid value: "argoproj-labs/gatewayAPI": must have the form that this plugin reads '
            "(Expected `str`, got `int` - at `$.httpRoute`)",
        ),
        ({"httpRoutes": [{"name": ""}]}, f"{PLUGIN}.httpRoutes[0]: Required value: needs the name of a HTTPRoute"),
    ],
)
def test_what_is_wrong_with_the_plugins_form_is_told(spec: Manifest, said: str) -> None:
    assert plugin_problems(spec) == [said]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"trafficRouting": {"maxTrafficWeight": 1_000_001}}, "maxTrafficWeight: Invalid value: 1000001: must be at most 1000000"),
        ({"trafficRouting": {"managedRoutes": [{"name": "Beta"}]}}, 'managedRoutes: Invalid value: "Beta": must be lower-case'),
        (
            {"trafficRouting": {"managedRoutes": [{"name": "b"}, {"name": "b-1"}]}},
            'managedRoutes: Invalid value: "b-1": must not be "b" with',
        ),
    ],
)
def test_what_no_route_can_hold_is_told(fields: Manifest, field: str) -> None:
    told = problems(WEB, **fields)

    assert [problem for problem in told if problem.startswith(f"spec.strategy.canary.trafficRouting.{field}")], told


_ROW = http(
    "- matches: [{path: {type: RegularExpression, value: '/v[0-9]'}, headers: [{type: RegularExpression, name: X-A, value: e.*}]}]\n"
    f"  backendRefs:{_BACKENDS}"
)


@pytest.mark.parametrize(
    ("step", "found", "said"),
    [
        (mirror_step(method={"exact": "FETCH"}), PLAIN, 'the method "FETCH" must fit one of GET'),
        (mirror_step(method={"regex": "("}), PLAIN, 'the method "(" is no regular expression'),
        (mirror_step(path={"prefix": "api"}), PLAIN, 'the path "api" must begin with /'),
        (mirror_step(headers={"x": {}}), PLAIN, "needs a name and a value for every header (x)"),
        (mirror_step(path={"prefix": "/api"}), _ROW, "its path /api and the rule's own path /v[0-9] cannot both be written"),
        (header_step(), _ROW, "its condition on the header x-a and another one on the same header cannot both be written"),
        (
            mirror_step(path={"exact": "/api"}),
            http(f"- matches: [{{path: {{type: PathPrefix, value: /cart}}}}]\n  backendRefs:{_BACKENDS}"),
            "no request that the weighted rules answer can fulfil its conditions",
        ),
    ],
)
def test_a_condition_that_no_rule_can_hold_is_told_with_its_step(step: Manifest, found: Manifest, said: str) -> None:
    (key,) = step

    (told,) = problems(WEB, found, steps=[{"setWeight": 5}, step])

    assert told.startswith(f'spec.strategy.steps[1].{key}: Invalid value: "{step[key]["name"]}": HTTPRoute default/web: ')
    assert said in told


def test_a_grpc_route_refuses_paths_and_methods_with_the_step() -> None:
    (told,) = problems({"grpcRoutes": [{"name": "web"}]}, steps=[mirror_step(path={"prefix": "/parcel"})])

    assert told == (
        'spec.strategy.steps[0].setMirrorRoute: Invalid value: "second": '
        "GRPCRoute default/web: in a GRPCRoute only conditions on headers can be written"
    )


@pytest.mark.parametrize("kind", ["tcpRoutes", "tlsRoutes"])
@pytest.mark.parametrize(("step", "path"), [(header_step(), "setHeaderRoute.match[0]"), (mirror_step(), "setMirrorRoute")])
def test_a_route_below_http_refuses_header_and_mirror_steps_by_name(kind: str, step: Manifest, path: str) -> None:
    (refused,) = unsupported(gateway_rollout({kind: [{"name": "web"}]}, steps=[{"setWeight": 5}, step]))

    assert refused.field == f"spec.strategy.steps[1].{path}"
    assert 'the router "gatewayAPI" cannot do this' in refused.wanted


def test_lists_of_the_plugin_take_header_routes_only_where_they_say_so() -> None:
    steps = [header_step()]

    def refused(**spec: object) -> list[str]:
        return [error.field for error in unsupported(gateway_plugin_rollout(spec, steps=steps))]

    assert refused(httpRoutes=[{"name": "web"}]) == ["spec.strategy.steps[0].setHeaderRoute.match[0]"]
    assert refused(httpRoutes=[{"name": "web"}, {"name": "open", "useHeaderRoutes": True}]) == []
    assert refused(httpRoute="web") == []


def test_both_forms_together_make_one_router_with_all_routes() -> None:
    subject = gateway_rollout(WEB, trafficRouting={"plugins": {"argoproj-labs/gatewayAPI": {"tcpRoute": "web"}}})

    (router,) = routers_of(subject, settings=Settings())

    assert list(router.reads()) == [HTTP, TCP]
    assert unsupported(subject) == ()


# --- what somebody else did to it -------------------------------------------------------------------------------------------------


def beta(value: str = "1") -> HeaderRoute:
    return HeaderRoute(name="first", any_of=(HeaderMatch(header="x-a", value=TextMatch(kind=MatchKind.EXACT, value=value)),))


def wished(**more: object) -> TrafficIntent:
    return SETUPS["gateway http"].wish(20, **more)


@pytest.mark.parametrize("change", ["weight", "match", "order", "gone", "twice", "note", "no note"])
def test_a_managed_rule_that_somebody_changed_is_not_taken_for_the_wish_and_is_put_right(change: str) -> None:
    setup = SETUPS["gateway http"]
    mirror = MirrorRoute(name="second", any_of=(RequestMatch(),))
    wish = wished(header_routes=(beta(),), mirrors=(mirror,))
    written = after(setup, wish, setup.start)
    spoilt = copy.deepcopy(dict(written))
    rules, note = spoilt[HTTP]["spec"]["rules"], spoilt[HTTP]["metadata"]["annotations"]
    match change:
        case "weight":
            next(rule for rule in rules if rule.get("name") == "second")["backendRefs"][0]["weight"] = 1
        case "match":
            rules[0]["matches"][0]["headers"][0]["value"] = "2"
        case "order":
            rules.insert(3, rules.pop(0))
        case "gone":
            del rules[0]
        case "twice":
            rules.append(rules[0])
        case "note":
            note["tiphys.dev/routed-routes"] = "{"
        case _:
            del note["tiphys.dev/routed-routes"]

    routed = setup.router.routed(spoilt)

    assert routed is not None
    assert not routed.uniform
    assert after(setup, wish, spoilt) == written


def test_rules_whose_names_an_older_api_server_takes_away_are_told_not_multiplied_and_removed_at_the_end() -> None:
    setup = SETUPS["gateway mesh and another namespace"]
    wish = wished(header_routes=(beta(),), mirrors=(MirrorRoute(name="second", any_of=(RequestMatch(),), percent=5),))
    (mesh, _) = setup.router.reads()
    pruned = copy.deepcopy(dict(after(setup, wish, setup.start)))
    for rule in pruned[mesh]["spec"]["rules"][:2]:
        del rule["name"]

    routed = setup.router.routed(pruned)
    (error,) = setup.router.render(wish, pruned).errors

    assert routed is not None
    assert not routed.uniform
    assert "spec.rules[0].name: Required value: needs Gateway API 1.4" in str(error)
    assert after(setup, setup.start_wish(), pruned) == setup.start


@pytest.mark.parametrize(
    ("controller", "name"), [("linkerd.io/policy-controller", "Linkerd"), ("traefik.io/gateway-controller", "Traefik"), ("x.example/y", "")]
)
def test_a_mirror_step_is_refused_once_an_implementation_that_cannot_mirror_has_reported_on_the_route(controller: str, name: str) -> None:
    status = {"parents": [{**_status(3)["parents"][0], "controllerName": controller}]}

    told = problems(WEB, {**PLAIN, "status": status}, steps=[header_step(), mirror_step()])

    refusal = (
        'spec.strategy.steps[1].setMirrorRoute: Invalid value: "second": '
        f"HTTPRoute default/web: {name}, which reads this route, cannot mirror"
    )
    assert told == ([refusal] if name else [])


def test_a_default_weight_of_one_each_is_read_as_a_half() -> None:
    router = router_for(gateway_rollout(WEB))
    even = http(f"- backendRefs: [{{name: {STABLE}, port: 80}}, {{name: {CANARY}, port: 80}}]")

    routed = router.routed({HTTP: even})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (50, 50, True)
    assert router.render(SETUPS["gateway http"].wish(50), {HTTP: even}).apply[HTTP] is even


def test_a_backend_of_the_same_name_in_another_namespace_or_of_another_kind_is_a_strangers() -> None:
    router = router_for(gateway_rollout(WEB))
    strangers = (
        f"  - {{name: {CANARY}, namespace: other, port: 80, weight: 3}}\n  - {{name: {STABLE}, kind: Bucket, group: x.example, weight: 7}}"
    )
    found = {HTTP: http(f"- backendRefs:{_BACKENDS}{strangers}")}

    written = router.render(wished(), found).apply[HTTP]

    assert [backend["weight"] for backend in written["spec"]["rules"][0]["backendRefs"]] == [70, 20, 3, 7]


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_in_a_route_makes_anything_raise_but_a_spec_error(data: st.DataObject) -> None:
    setup = SETUPS["gateway http"]
    mirror = MirrorRoute(name="second", any_of=(RequestMatch(path=TextMatch(kind=MatchKind.PREFIX, value="/cart")),))
    wish = wished(header_routes=(beta(), replace(beta("2"), name="third")), mirrors=(mirror,))
    found = {HTTP: {**after(setup, wish, setup.start)[HTTP], "status": _status(3)}}
    junk: st.SearchStrategy[Any] = st.sampled_from(
        [None, True, 7, -1, "", "x", [], [None], ["x"], [[]], {}, {"a": []}, [{"name": {}}], 1.5]
    )
    broken = _replaced(found[HTTP], data.draw(st.sampled_from(list(_paths_of(found[HTTP])))), data.draw(junk))
    steps = [header_step(), mirror_step(path={"prefix": "/cart"})]
    router = router_for(gateway_rollout({"httpRoutes": [{"name": "web"}]}, steps=steps))

    told = router.problems({HTTP: broken})
    router.routed({HTTP: broken})
    reported(HTTP, broken)

    try:
        router.render(wish, {HTTP: broken})
    except SpecError:
        assert told


def _paths_of(value: object) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, below in inner for path in ((key,), *((key, *rest) for rest in _paths_of(below)))]


def _replaced(value: Manifest, path: tuple[Any, ...], new: object) -> Manifest:
    copied = copy.deepcopy(value)
    place: Any = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return copied


# --- what the implementation says -------------------------------------------------------------------------------------------------


def _status(generation: int, accepted: str = "True", resolved: str = "True", **parent: object) -> Manifest:
    conditions = [
        {"type": "Accepted", "status": accepted, "observedGeneration": generation, "reason": "Accepted", "message": ""},
        {"type": "ResolvedRefs", "status": resolved, "observedGeneration": generation, "reason": "BackendNotFound", "message": "no such"},
    ]
    return {"parents": [{"parentRef": {"name": "entrance", **parent}, "controllerName": "x.example/gateway", "conditions": conditions}]}


@pytest.mark.parametrize(
    ("status", "verified", "detail"),
    [
        (_status(3), Verification.YES, "HTTPRoute default/web, Gateway entrance: Accepted for generation 3"),
        (_status(2), Verification.NOT_YET, "HTTPRoute default/web, Gateway entrance: Accepted is about generation 2, wanted 3"),
        (
            _status(3, resolved="False"),
            Verification.NOT_YET,
            "HTTPRoute default/web, Gateway entrance: ResolvedRefs is False (BackendNotFound: no such)",
        ),
        (_status(3, accepted="False"), Verification.NOT_YET, "HTTPRoute default/web, Gateway entrance: Accepted is False (Accepted)"),
        ({}, Verification.CANNOT_KNOW, "HTTPRoute default/web: no implementation has reported on it"),
        (_status(2, name="former"), Verification.CANNOT_KNOW, "HTTPRoute default/web: no implementation has reported on it"),
        (_status(3, namespace="default", sectionName=""), Verification.YES, "HTTPRoute default/web, Gateway entrance: Accepted for"),
        (_status(3, sectionName="web"), Verification.CANNOT_KNOW, "HTTPRoute default/web: no implementation has reported on it"),
        ({"parents": [{"parentRef": {"name": "entrance"}}]}, Verification.CANNOT_KNOW, "no Accepted condition that names a generation"),
    ],
)
def test_a_route_is_verified_by_what_each_parents_implementation_says_of_its_present_generation(
    status: Manifest, verified: Verification, detail: str
) -> None:
    told = reported(HTTP, {**PLAIN, "status": status})

    assert told.verified is verified
    assert detail in told.detail


def test_one_parent_that_lags_behind_outweighs_all_others() -> None:
    found = {**PLAIN, "spec": {**PLAIN["spec"], "parentRefs": [{"name": "entrance"}, {"name": "back"}]}}
    status = {"parents": [*_status(3)["parents"], *_status(2, name="back")["parents"]]}

    assert reported(HTTP, {**found, "status": status}).verified is Verification.NOT_YET
    assert reported(HTTP, {**found, "status": _status(3)}).verified is Verification.YES


def test_the_names_of_the_managed_routes_are_those_of_the_wish() -> None:
    setup = SETUPS["gateway http"]

    (rule, *_) = after(setup, wished(header_routes=(beta(),)), setup.start)[HTTP]["spec"]["rules"]

    assert rule["name"] == MANAGED[0]


@pytest.mark.parametrize(("generation", "verified"), [(3, Verification.YES), (2, Verification.NOT_YET), (None, Verification.CANNOT_KNOW)])
def test_beside_a_router_that_cannot_know_the_report_decides(generation: int | None, verified: Verification) -> None:
    istio, gateway = SETUPS["istio by host"], SETUPS["gateway http"]
    status = {} if generation is None else _status(generation)
    found = {**istio.start, HTTP: {**gateway.start[HTTP], "status": status}}

    assert reported_by_all([istio.router, gateway.router], found).verified is verified
    assert reported_by_all([istio.router], found).verified is Verification.CANNOT_KNOW


def test_every_route_has_to_be_reported_on_and_one_that_is_missing_is_no_report() -> None:
    setup = SETUPS["gateway plugin with every kind"]
    (first, second, third) = setup.router.reads()
    parents = {first: _status(3), second: _status(3, sectionName="tls"), third: _status(2, sectionName="tls")}
    found = {ref: {**setup.start[ref], "status": parents[ref]} for ref in parents}

    assert reported_by_all([setup.router], found).verified is Verification.NOT_YET
    assert reported_by_all([setup.router], {first: found[first]}).verified is Verification.YES
    assert reported_by_all([setup.router], {}).verified is Verification.CANNOT_KNOW


# --- what the API server fills in -------------------------------------------------------------------------------------------------


def _filled(value: Any, schema: Manifest) -> Any:  # noqa: ANN401  any JSON value
    """Fill in defaults as an API server does: from the outside in."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        given = {key: part["default"] for key, part in properties.items() if "default" in part}
        return {key: _filled(inner, properties.get(key, {})) for key, inner in {**given, **value}.items()}
    if isinstance(value, list):
        return [_filled(inner, schema.get("items", {})) for inner in value]
    return value


@pytest.mark.skipif(not CRDS.exists(), reason="the products' own CRDs are not part of this repository")
@pytest.mark.parametrize("name", ["gateway http", "gateway grpc", "gateway tcp"])
@given(data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_defaults_that_the_api_server_fills_in_are_no_reason_to_write_again(name: str, data: st.DataObject) -> None:
    setup = SETUPS[name]
    ((ref, start),) = setup.start.items()
    plural = f"{ref.kind.lower()}s"
    schema = crd_schema(f"gateway-api/{plural}.yaml", f"{plural}.{ref.group}", "v1")
    wish = data.draw(wishes(setup))
    found = {ref: _filled(start, schema)}

    stored = {ref: _filled(manifest, schema) for ref, manifest in after(setup, wish, found).items()}

    routed = setup.router.routed(stored)
    assert routed is not None
    assert routed.says(wish)
    assert setup.router.render(wish, stored).apply == stored
