"""What do Ingresses say for a load balancer of AWS, and what is told that it cannot do?"""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from builders import template
from router_setup import CANARY, MANAGED, STABLE, router_for
from routers_alb import ACTIONS, ALB_INGRESS, ALB_SPEC, CONDITIONS, alb_action, alb_ingress, alb_rollout
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import MANAGED_ALB_ACTIONS, MANAGED_ALB_ANNOTATIONS
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, Role, TextMatch, TrafficIntent
from tiphys.traffic.alb_conditions import conditions_of, matches_of
from tiphys.traffic.alb_reset import marked_for, released

ALB = "spec.strategy.canary.trafficRouting.alb"
STEP = "spec.strategy.steps[0].setHeaderRoute"
ROOT = f"{ACTIONS}{STABLE}"


def wish(canary: int, *headers: HeaderRoute) -> TrafficIntent:
    backends = (
        Backend(role=Role.STABLE, service=STABLE, weight=100 - canary),
        Backend(role=Role.CANARY, service=CANARY, weight=canary),
    )
    return TrafficIntent(backends=backends, header_routes=headers, managed=MANAGED)


def header(*values: tuple[str, MatchKind, str], name: str = "first") -> HeaderRoute:
    return HeaderRoute(
        name=name, any_of=tuple(HeaderMatch(header=header, value=TextMatch(kind=kind, value=value)) for header, kind, value in values)
    )


def header_step(*matches: tuple[str, str, str], name: str = "first") -> Manifest:
    listed = [{"headerName": header, "headerValue": {form: value}} for header, form, value in matches]
    return {"setHeaderRoute": {"name": name, "match": listed}}


def told(*steps: Manifest, alb: Manifest | None = None, spec: str = ALB_SPEC, annotations: Any = None, **fields: Any) -> list[str]:  # noqa: ANN401  any JSON value
    router = router_for(alb_rollout(alb, steps=list(steps), **fields))
    return [str(problem) for problem in router.problems({ALB_INGRESS: alb_ingress(spec, annotations)})]


def written(canary: int, found: Manifest, *headers: HeaderRoute, alb: Manifest | None = None) -> Manifest:
    return router_for(alb_rollout(alb)).render(wish(canary, *headers), {ALB_INGRESS: found}).apply[ALB_INGRESS]


# --- reading --------------------------------------------------------------------------------------------------------------------


def test_an_ingress_without_an_action_gives_the_canary_nothing_and_does_not_say_so_yet() -> None:
    routed = router_for(alb_rollout()).routed({ALB_INGRESS: alb_ingress(ALB_SPEC)})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (0, 100, False)


@pytest.mark.parametrize(
    ("text", "canary", "experiments"),
    [
        (alb_action(web_canary=20, web_stable=80), 20, {}),
        (alb_action(web_canary=1, web_stable=2), 34, {}),
        (alb_action(web_canary=0, web_stable=0), 0, {}),
        (alb_action(web_canary=20, exp_a=10, web_stable=70), 20, {"exp-a": 10}),
        ('{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web-canary","servicePort":80}]}}', 100, {}),
    ],
)
def test_weights_are_read_whoever_wrote_them(text: str, canary: int, experiments: dict[str, int]) -> None:
    routed = router_for(alb_rollout()).routed({ALB_INGRESS: alb_ingress(ALB_SPEC, {ROOT: text})})

    assert routed is not None
    assert routed.canary == canary
    assert {backend.service: backend.weight for backend in routed.experiments} == experiments
    assert not routed.uniform


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "{}", '{"type":"redirect"}', '{"type":"forward","forwardConfig":{}}'])
def test_an_action_that_splits_nothing_cannot_be_told(text: str) -> None:
    found = {ALB_INGRESS: alb_ingress(ALB_SPEC, {ROOT: text})}

    assert router_for(alb_rollout()).routed(found) is None
    assert not router_for(alb_rollout()).problems(found)
    assert written(20, found[ALB_INGRESS])["metadata"]["annotations"][ROOT] == alb_action(web_canary=20, web_stable=80)


def test_a_route_is_read_back_in_the_order_of_the_step_that_set_it() -> None:
    listed = (("x-beta", "exact", "1"), ("tier", "exact", "gold"), ("X-Beta", "exact", "2"), ("tier", "regex", "^s"))
    router = router_for(alb_rollout(steps=[header_step(*listed)]))
    wished = wish(20, header(*((name, MatchKind(form), value) for name, form, value in listed)))

    found = router.render(wished, {ALB_INGRESS: alb_ingress(ALB_SPEC)}).apply

    routed = router.routed(found)
    assert routed is not None
    assert routed.says(wished)


def test_a_route_that_lost_its_path_stands_no_longer_as_it_should() -> None:
    router = router_for(alb_rollout())
    wished = wish(20, header(("x-beta", MatchKind.EXACT, "1")))
    whole = written(20, alb_ingress(ALB_SPEC), *wished.header_routes)
    torn = {**whole, "spec": alb_ingress(ALB_SPEC)["spec"]}

    routed = router.routed({ALB_INGRESS: torn})

    assert routed is not None
    assert not routed.says(wished)
    assert router.render(wished, {ALB_INGRESS: torn}).apply[ALB_INGRESS] == whole


def test_what_the_reference_joined_to_one_rule_becomes_one_rule_for_each_header() -> None:
    conditions = [conditions_of(header((name, MatchKind.EXACT, "1")))[0].written() for name in ("x-beta", "tier")]
    annotations = {
        f"{ACTIONS}first": alb_action(web_canary=100),
        f"{CONDITIONS}first": json.dumps(conditions),
        MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [f"{ACTIONS}first", f"{CONDITIONS}first"]}),
    }
    wished = header(("x-beta", MatchKind.EXACT, "1"), ("tier", MatchKind.EXACT, "1"))
    found = alb_ingress(ALB_SPEC, annotations)

    assert not router_for(alb_rollout()).routed({ALB_INGRESS: found}).says(wish(0, wished))  # type: ignore[union-attr]  # it is read
    said = written(0, found, wished)["metadata"]["annotations"]
    assert [json.loads(said[f"{CONDITIONS}{name}"]) for name in ("first", "first-1")] == [[each] for each in conditions]


@pytest.mark.parametrize("value", ["QA/", "a.b*c", "(x", "\\d", "^$"])
@pytest.mark.parametrize("kind", [MatchKind.PREFIX, MatchKind.REGEX])
def test_a_prefix_and_an_expression_are_told_apart(kind: MatchKind, value: str) -> None:
    route = header(("agent", kind, value))

    (condition,) = conditions_of(route)

    assert tuple(matches_of(condition)) == route.any_of


# --- writing --------------------------------------------------------------------------------------------------------------------


def test_header_paths_keep_the_path_and_its_type_once_for_each_path_and_in_no_other_rule() -> None:
    spec = """
    rules:
    - http:
        paths:
        - {path: /a, pathType: Exact, backend: {service: {name: web-stable, port: {name: use-annotation}}}}
        - {path: /pages, pathType: Prefix, backend: {service: {name: pages, port: {name: use-annotation}}}}
        - {pathType: ImplementationSpecific, backend: {service: {name: web-stable, port: {name: use-annotation}}}}
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: pages, port: {number: 80}}}}]}
    """
    routes = (header(("x", MatchKind.EXACT, "1")), header(("y", MatchKind.EXACT, "1"), ("z", MatchKind.EXACT, "1"), name="second"))

    rules = written(20, alb_ingress(spec), *routes)["spec"]["rules"]

    said = [(path.get("path"), path["pathType"], path["backend"]["service"]["name"]) for rule in rules for path in rule["http"]["paths"]]
    assert said == [
        *(
            (path, kind, name)
            for name in ("first", "second", "second-1")
            for path, kind in (("/a", "Exact"), (None, "ImplementationSpecific"))
        ),
        ("/a", "Exact", STABLE),
        ("/pages", "Prefix", "pages"),
        (None, "ImplementationSpecific", STABLE),
        ("/", "Prefix", "pages"),
    ]


def test_conditions_of_the_weights_hold_for_header_routes_as_well() -> None:
    own = {"field": "http-request-method", "httpRequestMethodConfig": {"values": ["GET"]}}
    found = alb_ingress(ALB_SPEC, {f"{CONDITIONS}{STABLE}": json.dumps([own])})
    route = header(("x-beta", MatchKind.EXACT, "1"))

    said = written(20, found, route)

    assert json.loads(said["metadata"]["annotations"][f"{CONDITIONS}first"]) == [own, conditions_of(route)[0].written()]
    routed = router_for(alb_rollout()).routed({ALB_INGRESS: said})
    assert routed is not None
    assert routed.says(wish(20, route))


def test_an_experiment_is_reached_under_its_containers_port() -> None:
    subject = alb_rollout(steps=[{"experiment": {"templates": [{"name": "a", "specRef": "canary", "weight": 5}]}}])
    container = {"name": "web", "image": "web:1", "ports": [{"containerPort": 8080}]}
    spec = msgspec.structs.replace(subject.spec, template=template(containers=[container]))
    subject = msgspec.structs.replace(subject, spec=spec)
    backends = (*wish(20).backends, Backend(role=Role.EXPERIMENT, service="exp-a", weight=0))

    said = router_for(subject).render(replace(wish(20), backends=backends), {ALB_INGRESS: alb_ingress(ALB_SPEC)}).apply[ALB_INGRESS]

    groups = json.loads(said["metadata"]["annotations"][ROOT])["ForwardConfig"]["TargetGroups"]
    assert [(group["ServiceName"], group["ServicePort"]) for group in groups] == [(CANARY, "80"), ("exp-a", "8080"), (STABLE, "80")]


def test_the_managed_annotation_keeps_its_order_and_everybody_elses_entry() -> None:
    entry = {"web": [f"{ACTIONS}first", f"{CONDITIONS}first", ROOT], "zoo": ["b", "a"], "app": ["c"]}
    found = alb_ingress(ALB_SPEC, {MANAGED_ALB_ANNOTATIONS: json.dumps(entry)})

    said = written(20, found, header(("x", MatchKind.EXACT, "1")))["metadata"]["annotations"][MANAGED_ALB_ANNOTATIONS]

    assert said == json.dumps({name: entry[name] for name in ("app", "web", "zoo")}, separators=(",", ":"))


@pytest.mark.parametrize(("canary", "kept"), [(0, True), (100, True), (20, False)])
def test_another_order_stays_only_while_one_service_has_everything(canary: int, *, kept: bool) -> None:
    other = alb_action(web_stable=100 - canary, web_canary=canary)

    said = written(canary, alb_ingress(ALB_SPEC, {ROOT: other}))["metadata"]["annotations"][ROOT]

    assert said == (other if kept else alb_action(web_canary=canary, web_stable=100 - canary))


def test_an_action_under_an_earlier_name_goes_to_stable() -> None:
    old = f"{ACTIONS}web-root"
    entry = {MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [old]})}
    found = alb_ingress(ALB_SPEC, {old: alb_action(web_canary=20, web_stable=80, sticky=9), **entry})

    said = written(20, found)["metadata"]["annotations"]

    assert said[old] == alb_action(web_stable=100, sticky=9)
    assert json.loads(said[MANAGED_ALB_ANNOTATIONS]) == {"web": [ROOT]}


def test_annotations_under_an_earlier_prefix_are_not_left_behind() -> None:
    route = header(("x", MatchKind.EXACT, "1"))
    before = written(20, alb_ingress(ALB_SPEC), route, alb={"annotationPrefix": "lb.example"})

    after = written(50, before, route)

    said = after["metadata"]["annotations"]
    assert said.pop(f"lb.example/actions.{STABLE}") == alb_action(web_stable=100)
    assert after == written(50, alb_ingress(ALB_SPEC), route)


# --- what is told ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alb", "problem"),
    [
        ({"ingress": ""}, f"{ALB}: Required value: needs exactly one of ingress and ingresses"),
        ({"ingresses": ["shop"]}, f'{ALB}: Invalid value: "both": needs exactly one of ingress and ingresses'),
        (
            {"ingress": "", "ingresses": ["shop", "shop"]},
            f'{ALB}.ingresses[1]: Invalid value: "shop": needs the name of another Ingress',
        ),
        ({"servicePort": 0}, f"{ALB}.servicePort: Invalid value: 0: must be 1 to 65535"),
        (
            {"stickinessConfig": {"enabled": True, "durationSeconds": 604801}},
            f"{ALB}.stickinessConfig.durationSeconds: Invalid value: 604801: must be 1 to 604800 while stickiness is enabled",
        ),
        (
            {"stickinessConfig": {"enabled": True}},
            f"{ALB}.stickinessConfig.durationSeconds: Invalid value: 0: must be 1 to 604800 while stickiness is enabled",
        ),
        (
            {"rootService": "web"},
            f'{ALB}.ingress: Invalid value: "shop": Ingress default/shop: spec.rules: Required value: '
            'needs a path whose backend is the Service "web"',
        ),
        (
            {"rootService": "first"},
            'spec.strategy.canary.trafficRouting.managedRoutes: Invalid value: "first": must not be the name under which the weights stand',
        ),
    ],
)
def test_a_block_that_cannot_be_carried_out_is_told(alb: Manifest, problem: str) -> None:
    assert problem in told(alb=alb)


def test_stickiness_that_is_off_needs_no_duration() -> None:
    assert told(alb={"stickinessConfig": {"enabled": False, "durationSeconds": -1}}) == []


def test_a_path_past_the_annotation_is_told_because_the_weights_would_have_no_effect() -> None:
    (problem,) = told(spec=ALB_SPEC.replace("{name: use-annotation}", "{number: 80}"))

    assert problem == (
        f'{ALB}.ingress: Invalid value: "shop": Ingress default/shop: spec.rules[0].http.paths[0].backend.service.port.name: '
        "Required value: must be use-annotation, or the weights of web-stable have no effect"
    )


@pytest.mark.parametrize("text", ["[", "[]", '{"web":"x"}', '{"web":[1]}', "[" * 100_000])
def test_a_managed_annotation_that_cannot_be_read_is_told_and_not_overwritten(text: str) -> None:
    annotations = {MANAGED_ALB_ANNOTATIONS: text}

    (problem,) = told(annotations=annotations)

    assert "must be a JSON map of Rollouts to lists of annotation keys" in problem
    with pytest.raises(SpecError, match="must be a JSON map"):
        written(20, alb_ingress(ALB_SPEC, annotations))


def test_an_annotation_that_another_rollout_manages_is_not_taken() -> None:
    annotations = {MANAGED_ALB_ANNOTATIONS: json.dumps({"shop": [ROOT]})}

    (problem,) = told(annotations=annotations)

    assert problem.endswith('Invalid value: "shop": must not be managed by another Rollout ("shop"): choose another name')


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (("x-beta", "exact", "a*"), "without * and ?"),
        (("x-beta", "exact", "a?"), "without * and ?"),
        (("Host", "exact", "a"), "another header than Host"),
        (("x beta", "exact", "a"), "a header name of at most 40"),
        (("x" * 41, "exact", "a"), "a header name of at most 40"),
        (("x-beta", "exact", "ä"), "visible ASCII"),
        (("x-beta", "exact", "a" * 129), "a shorter value"),
        (("x-beta", "prefix", "a" * 126), "a shorter value"),
        (("x-beta", "regex", "(?=a)"), "an expression without (?="),
        (("x-beta", "regex", "(?<!a)"), "an expression without (?<"),
        (("x-beta", "regex", r"(a)\1"), r"an expression without \1"),
        (("x-beta", "regex", r"\pL"), r"an expression without \p"),
        (("x-beta", "regex", "a++"), "an expression without ++"),
    ],
)
def test_a_value_that_no_load_balancer_can_compare_is_refused_with_its_field(match: tuple[str, str, str], words: str) -> None:
    problems = told(header_step(("x-beta", "exact", "1"), match))

    assert [problem.partition(": ")[0] for problem in problems if words in problem] == [f"{STEP}.match[1]"], problems


def test_what_a_load_balancer_can_compare_is_not_refused() -> None:
    assert told(header_step(("x-beta", "regex", r"(?:gold|silver)[*?+]{1,2}\*+"), ("x-tier", "exact", "a.b"))) == []


def test_more_than_three_values_of_one_header_are_refused() -> None:
    problems = told(header_step(*(("x-beta", "exact", value) for value in "1234")))

    assert problems[0] == (
        f'{STEP}: Invalid value: "4 values": the router "alb" needs at most 3 values of one header: '
        "a load balancer takes no more in one condition (x-beta)"
    )


@pytest.mark.parametrize(("path", "values", "fits"), [("/", 3, True), ("/api", 2, True), ("/api", 3, False)])
def test_a_rule_has_room_for_five_values_of_host_path_and_header(path: str, values: int, *, fits: bool) -> None:
    spec = ALB_SPEC.replace(
        "{path: /, pathType: Prefix, backend: {service: {name: web", f"{{path: {path}, pathType: Prefix, backend: {{service: {{name: web"
    )

    problems = told(header_step(*(("x-beta", "exact", str(value)) for value in range(values))), spec=spec)

    assert (
        not problems
        if fits
        else [problem.startswith(f'{STEP}: Invalid value: "first": Ingress default/shop: ') for problem in problems] == [True]
    )


def test_requests_without_a_rule_must_not_be_the_rollouts_where_a_header_route_is_to_see_them() -> None:
    spec = f"{ALB_SPEC}defaultBackend: {{service: {{name: web-stable, port: {{name: use-annotation}}}}}}"

    (problem,) = told(header_step(("x-beta", "exact", "1")), spec=spec)

    assert problem.startswith(
        f'{STEP}: Invalid value: "first": Ingress default/shop: spec.defaultBackend: Invalid value: "web-stable": must lead'
    )
    assert told(spec=spec) == []


def test_the_name_of_a_second_header_must_be_free() -> None:
    managed = {"managedRoutes": [{"name": "first"}, {"name": "first-1"}]}

    problems = told(header_step(("a", "exact", "1"), ("b", "exact", "1")), trafficRouting=managed)

    assert [problem.partition(": ")[0] for problem in problems] == [STEP]
    assert 'the managed route "first-1" has that name' in problems[0]


def test_more_targets_than_a_load_balancer_takes_are_refused() -> None:
    templates = [{"name": name, "specRef": "canary", "weight": 5} for name in "abcd"]

    problems = told({"experiment": {"templates": templates}})

    assert problems == [
        'spec.strategy.steps[0].experiment.templates: Invalid value: "a, b, c, d": '
        'the router "alb" takes at most 3 templates with a weight: 5 targets in all'
    ]


# --- an Ingress without its Rollout ---------------------------------------------------------------------------------------------


def managed_by_two(*headers: HeaderRoute, **weights: int) -> Manifest:
    """Give an Ingress that two Rollouts share; `web` gives *weights*."""
    other = {f"{ACTIONS}pages": alb_action(pages=100), MANAGED_ALB_ANNOTATIONS: json.dumps({"pages": [f"{ACTIONS}pages"]})}
    found = written(20, alb_ingress(ALB_SPEC, other), *headers)
    found["metadata"]["annotations"][ROOT] = alb_action(sticky=9, port="80", **weights)
    return found


def test_a_rollout_that_is_gone_leaves_its_action_at_stable_and_no_header_route_and_other_rollouts_alone() -> None:
    found = managed_by_two(header(("x", MatchKind.EXACT, "1"), ("y", MatchKind.EXACT, "1")), web_canary=20, web_stable=80)

    left = released(found, "web", ())

    assert marked_for(found) == ["pages", "web"]
    assert marked_for(left) == ["pages"]
    assert left["metadata"]["annotations"] == {
        f"{ACTIONS}pages": alb_action(pages=100),
        ROOT: alb_action(web_stable=100, sticky=9),
        MANAGED_ALB_ANNOTATIONS: json.dumps({"pages": [f"{ACTIONS}pages"]}, separators=(",", ":")),
    }
    assert left["spec"] == alb_ingress(ALB_SPEC)["spec"]
    assert released(left, "web", ()) == left


def test_the_last_rollout_takes_the_managed_annotations_with_it() -> None:
    found = written(20, alb_ingress(ALB_SPEC, {MANAGED_ALB_ACTIONS: "{}", "team": "shop"}))

    assert released(found, "web", ())["metadata"]["annotations"] == {"team": "shop", ROOT: alb_action(web_stable=100)}


@pytest.mark.parametrize(
    ("key", "weights", "chosen"),
    [
        (ROOT, {"web_canary": 20, "web_stable": 80}, "web_stable"),
        (ROOT, {"web_stable": 20, "web_canary": 80}, "web_stable"),
        (ROOT, {"web_canary": 100, "web_stable": 0}, "web_canary"),
        (f"{ACTIONS}web-root", {"web_pong": 20, "exp_a": 10, "web_ping": 70}, "web_ping"),
        (f"{ACTIONS}web-root", {"web_ping": 100, "web_pong": 0}, "web_ping"),
    ],
)
def test_who_carries_everything_keeps_it_and_else_it_goes_to_the_stable_service(key: str, weights: dict[str, int], chosen: str) -> None:
    entry = {key: alb_action(sticky=0, port="80", **weights), MANAGED_ALB_ANNOTATIONS: json.dumps({"web": [key]})}

    left = released(alb_ingress(ALB_SPEC, entry), "web", ())

    assert left["metadata"]["annotations"] == {key: alb_action(sticky=0, port="80", **{chosen: 100})}


def test_an_ingress_whose_managers_cannot_be_read_is_nobodys() -> None:
    assert marked_for(alb_ingress(ALB_SPEC, {MANAGED_ALB_ANNOTATIONS: "["})) == ()
