"""What do Ingresses say for ingress-nginx, and what is told that they cannot say?"""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from routers import (
    CANARY,
    CANARY_INGRESS,
    INGRESS,
    MANAGED,
    SETUPS,
    STABLE,
    ingress,
    nginx_rollout,
    router_for,
)
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, WRITTEN_ANNOTATIONS
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.traffic.nginx_says import by_header

NGINX = "spec.strategy.canary.trafficRouting.nginx"
PREFIX = "nginx.ingress.kubernetes.io"
SPEC = """
ingressClassName: nginx
rules:
- {host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}}
"""
WISH = TrafficIntent(
    backends=(
        Backend(role=Role.STABLE, service=STABLE, weight=80),
        Backend(role=Role.CANARY, service=CANARY, weight=20),
    ),
    managed=MANAGED,
)


def route(*values: tuple[str, MatchKind, str], name: str = "first") -> HeaderRoute:
    return HeaderRoute(
        name=name, any_of=tuple(HeaderMatch(header=header, value=TextMatch(kind=kind, value=value)) for header, kind, value in values)
    )


def header_step(*matches: tuple[str, str, str], name: str = "first") -> Manifest:
    listed = [{"headerName": header, "headerValue": {form: value}} for header, form, value in matches]
    return {"setHeaderRoute": {"name": name, "match": listed}}


def mirror_step(*matches: Manifest, name: str = "second", **more: object) -> Manifest:
    return {"setMirrorRoute": {"name": name, "match": list(matches), **more}}


def told(*steps: Manifest, nginx: Manifest | None = None, spec: str = SPEC, **annotations: Any) -> list[str]:  # noqa: ANN401 - texts; the name of one could be *ref*
    router = router_for(nginx_rollout(nginx, steps=list(steps)))
    return [str(problem) for problem in router.problems({INGRESS: ingress(spec, **annotations)})]


def canary_ingress(nginx: Manifest | None = None, wish: TrafficIntent = WISH, **more: Manifest) -> Manifest:
    """Give the canary Ingress that is written; *more* are the Ingresses found, `stable` and `canary`."""
    found = {INGRESS: more.get("stable", ingress(SPEC)), **({CANARY_INGRESS: more["canary"]} if "canary" in more else {})}
    return router_for(nginx_rollout(nginx)).render(wish, found).apply[CANARY_INGRESS]


# --- what is copied -------------------------------------------------------------------------------------------------------------


def test_the_class_is_copied_from_where_the_stable_ingress_names_it_and_never_named_twice() -> None:
    by_annotation, both = ingress(SPEC.replace("ingressClassName: nginx", "")), ingress(SPEC)
    for one in (by_annotation, both):
        one["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "inner"}

    for stable in (by_annotation, both):
        made = canary_ingress(stable=stable)

        assert made["metadata"]["annotations"]["kubernetes.io/ingress.class"] == "inner"
        assert "ingressClassName" not in made["spec"]
    assert canary_ingress()["spec"]["ingressClassName"] == "nginx"
    assert "kubernetes.io/ingress.class" not in canary_ingress()["metadata"]["annotations"]


@pytest.mark.parametrize(("maximum", "said"), [(None, None), (100, "100"), (1000, "1000")])
def test_of_what_a_weight_is_a_part_is_said_where_the_rollout_says_it(maximum: int | None, said: str | None) -> None:
    routing = {} if maximum is None else {"maxTrafficWeight": maximum}
    wish = replace(WISH, maximum=maximum or 100)

    written = router_for(nginx_rollout(trafficRouting=routing)).render(wish, {INGRESS: ingress(SPEC)}).apply

    assert written[CANARY_INGRESS]["metadata"]["annotations"].get("nginx.ingress.kubernetes.io/canary-weight-total") == said


def test_a_long_name_is_cut_so_that_the_canary_ingress_has_a_valid_one() -> None:
    name = "s" * 250

    router = router_for(nginx_rollout({"stableIngress": name}))

    assert [ref.name for ref in router.reads()] == [name, f"web-{'s' * 242}-canary"]
    assert len(router.reads()[1].name) == 253


def test_annotations_of_the_user_get_the_prefix_where_they_lack_it_and_ours_win() -> None:
    made = canary_ingress(
        {
            "stableIngress": "shop",
            "annotationPrefix": "edge.example",
            "additionalIngressAnnotations": {"canary-by-cookie": "a", "edge.example/proxy-body-size": "8m", "canary-weight": "99"},
            "canaryIngressAnnotations": {"team.example/owner": "shop", "edge.example/canary-by-cookie": "b"},
        }
    )

    ours = {key: value for key, value in made["metadata"]["annotations"].items() if key != WRITTEN_ANNOTATIONS}
    assert ours == {
        "edge.example/canary": "true",
        "edge.example/canary-weight": "20",
        "edge.example/canary-by-cookie": "b",
        "edge.example/proxy-body-size": "8m",
        "team.example/owner": "shop",
    }


def test_an_annotation_that_the_user_takes_out_of_the_rollout_goes_and_those_of_others_stay() -> None:
    first = canary_ingress({"stableIngress": "shop", "annotationPrefix": "edge.example", "canaryIngressAnnotations": {"a": "1", "b": "2"}})
    first["metadata"]["annotations"]["somebody/else"] = "yes"
    first["metadata"]["labels"] = {"somebody": "else"}
    first["spec"]["defaultBackend"] = {"service": {"name": "errors", "port": {"number": 80}}}

    second = canary_ingress({"stableIngress": "shop", "canaryIngressAnnotations": {"a": "1"}}, canary=first)

    assert second["metadata"]["annotations"] == {
        f"{PREFIX}/canary": "true",
        f"{PREFIX}/canary-weight": "20",
        "a": "1",
        "somebody/else": "yes",
        WRITTEN_ANNOTATIONS: f"a,{PREFIX}/canary,{PREFIX}/canary-weight",
    }
    assert second["metadata"]["labels"] == {"somebody": "else"}
    assert second["spec"]["defaultBackend"] == first["spec"]["defaultBackend"]


def test_a_canary_ingress_of_the_reference_is_taken_over_and_only_completed() -> None:
    router = router_for(nginx_rollout())
    theirs = {key: value for key, value in canary_ingress().items() if key != "metadata"}
    metadata = {**canary_ingress()["metadata"], "resourceVersion": "7"}
    metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key != WRITTEN_ANNOTATIONS}
    found = {INGRESS: ingress(SPEC), CANARY_INGRESS: {**theirs, "metadata": metadata}}

    routed, written = router.routed(found), router.render(WISH, found).apply[CANARY_INGRESS]

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (20, 80, False)
    del written["metadata"]["annotations"][WRITTEN_ANNOTATIONS]
    assert written == found[CANARY_INGRESS]


# --- reading --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "weight"),
    [
        ({"canary": "true", "canary-weight": "20"}, 20),
        ({"canary": "true", "canary-weight": "200", "canary-weight-total": "1000"}, 20),
        ({"canary": "true", "canary-weight": "1", "canary-weight-total": "1000"}, 1),
        ({"canary": "true", "canary-weight": "300"}, 100),
        ({"canary": "true", "canary-weight": "much"}, 0),
        ({"canary": "true", "canary-weight": "20", "canary-weight-total": "0"}, 20),
        ({"canary": "false", "canary-weight": "20"}, 0),
        ({}, 0),
    ],
)
def test_a_weight_is_read_as_ingress_nginx_reads_it_and_rounded_up(annotations: dict[str, str], weight: int) -> None:
    found = canary_ingress()
    found["metadata"]["annotations"] = {f"{PREFIX}/{key}": value for key, value in annotations.items()}

    routed = router_for(nginx_rollout()).routed({INGRESS: ingress(SPEC), CANARY_INGRESS: found})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (weight, 100 - weight, False)


@pytest.mark.parametrize("record", ["", "[", "[{}]", '{"name": "x"}', json.dumps([{"name": "a", "any_of": "x"}])])
def test_header_annotations_whose_record_is_gone_or_broken_are_no_wish_and_are_written_again(record: str) -> None:
    wish = replace(WISH, header_routes=(route(("x-beta", MatchKind.EXACT, "1")),))
    router, made = router_for(nginx_rollout()), canary_ingress(wish=wish)
    found = {INGRESS: ingress(SPEC), CANARY_INGRESS: made}
    whole = router.routed(found)
    made["metadata"]["annotations"][HEADER_ROUTES] = record

    broken = router.routed(found)

    assert whole is not None
    assert whole.says(wish)
    assert broken is not None
    assert (broken.header_routes, broken.uniform) == ((), False)
    assert f"{PREFIX}/canary-by-header" not in router.render(WISH, found).apply[CANARY_INGRESS]["metadata"]["annotations"]


def test_a_rule_that_the_stable_ingress_gained_is_not_yet_said() -> None:
    router = router_for(nginx_rollout())
    found = {INGRESS: ingress(SPEC.replace("shop.example", "next.example")), CANARY_INGRESS: canary_ingress()}

    routed = router.routed(found)

    assert routed is not None
    assert (routed.canary, routed.uniform) == (20, False)


def test_a_route_that_can_be_said_no_longer_is_seen_and_goes() -> None:
    wish = replace(
        WISH,
        header_routes=(route(("x-beta", MatchKind.EXACT, "1")),),
        mirrors=(MirrorRoute(name="second", any_of=(RequestMatch(),)),),
    )
    found = dict(router_for(nginx_rollout()).render(wish, {INGRESS: ingress(SPEC)}).apply)
    beside = "{path: /cdn, pathType: Prefix, backend: {service: {name: cdn, port: {number: 80}}}}"
    found[INGRESS]["spec"] = ingress(SPEC.replace("[{path: /,", f"[{beside}, {{path: /,"))["spec"]
    router = router_for(nginx_rollout({"stableIngress": "shop", "additionalIngressAnnotations": {"canary-by-header": "x-mine"}}))

    routed, written = router.routed(found), router.render(WISH, found).apply

    assert routed is not None
    assert (routed.canary, routed.header_routes, routed.mirrors, routed.uniform) == (20, wish.header_routes, wish.mirrors, False)
    assert not router.problems(found)
    assert written[CANARY_INGRESS]["metadata"]["annotations"][f"{PREFIX}/canary-by-header"] == "x-mine"
    assert f"{PREFIX}/mirror-target" not in written[INGRESS]["metadata"].get("annotations", {})


def test_a_canary_ingress_left_over_from_an_earlier_spec_counts_until_it_is_gone() -> None:
    router = router_for(nginx_rollout())
    old = replace(CANARY_INGRESS, name="web-old-canary")
    theirs = replace(CANARY_INGRESS, name="their-canary")
    found = {INGRESS: ingress(SPEC), CANARY_INGRESS: canary_ingress()}
    left = {**found, old: canary_ingress(), theirs: ingress(SPEC, ref=theirs, canary="true", canary_weight="70")}
    left[old]["metadata"]["annotations"][f"{PREFIX}/canary-weight"] = "30"

    before, routed, rendered = router.routed(found), router.routed(left), router.render(WISH, left)

    assert before is not None
    assert before.says(WISH)
    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (30, 80, False)
    assert rendered.absent == {old}
    assert rendered.apply.keys() == {INGRESS, CANARY_INGRESS}


# --- header routes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "matching", "others"),
    [
        ([("exact", "1"), ("exact", "2")], ["1", "2"], ["12", "3", "", "01"]),
        ([("prefix", "QA/")], ["QA/", "QA/7"], ["qa/", "xQA/"]),
        ([("regex", "a|b")], ["a", "b"], ["ab", "xa", "bx"]),
        ([("exact", "a b,c"), ("prefix", "ü*")], ["a b,c", "ü*?"], ["a b", "a b,cd", "u*"]),
        ([("exact", "1.5")], ["1.5"], ["1x5"]),
        ([("exact", "a=b")], ["a=b"], ["a=bc"]),
        ([("regex", "(a|b)\\x20[0-9]+"), ("exact", "x")], ["a 12", "x"], ["c 1", "xx"]),
    ],
)
def test_a_pattern_matches_what_any_entry_means_and_nothing_else(
    values: list[tuple[str, str]], matching: list[str], others: list[str]
) -> None:
    said = by_header([route(*(("x-beta", MatchKind(kind), value) for kind, value in values))])

    if "canary-by-header-value" in said:
        assert [said["canary-by-header-value"]] == matching
        assert "canary-by-header-pattern" not in said
        return
    pattern = said["canary-by-header-pattern"]
    assert re.fullmatch(r"[-._~a-zA-Z0-9/:^$\[\](){}*+?|&=\\]+", pattern)
    assert [value for value in (*matching, *others) if re.search(pattern.encode(), value.encode())] == matching


def test_names_of_one_header_in_other_letters_are_one_name() -> None:
    said = by_header([route(("X-Beta", MatchKind.EXACT, "1")), route(("x-beta", MatchKind.EXACT, "1"), name="second")])

    assert said == {"canary-by-header": "X-Beta", "canary-by-header-value": "1"}


def test_a_step_that_brings_a_second_header_name_is_refused_by_its_number() -> None:
    problems = told(
        header_step(("x-beta", "exact", "1")),
        {"pause": {}},
        header_step(("x-beta", "exact", "1"), ("user-agent", "prefix", "QA/"), name="second"),
        {"setHeaderRoute": {"name": "second"}},
        header_step(("X-Beta", "exact", "2"), name="third"),
    )

    assert problems == [
        'spec.strategy.steps[2].setHeaderRoute: Invalid value: "user-agent, x-beta": the router "nginx" needs one header name for all '
        "header routes that stand at a time: ingress-nginx knows no second"
    ]


def test_names_that_never_stand_together_are_fine() -> None:
    assert not told(
        header_step(("x-beta", "exact", "1")),
        {"setHeaderRoute": {"name": "first"}},
        header_step(("cookie", "regex", ".*beta.*"), name="second"),
    )


def test_a_regular_expression_with_characters_that_ingress_nginx_drops_is_refused() -> None:
    (problem,) = told(header_step(("x-beta", "regex", "[0-9]{1,3}")))

    assert problem.startswith('spec.strategy.steps[0].setHeaderRoute: Invalid value: "[0-9]{1,3}": the router "nginx" needs a regular')


def test_a_header_step_beside_a_header_of_the_users_own_is_refused() -> None:
    nginx = {"stableIngress": "shop", "additionalIngressAnnotations": {"canary-by-header": "x-mine"}}

    (problem,) = told(header_step(("x-beta", "exact", "1")), nginx=nginx)

    assert problem == (
        'spec.strategy.steps[0].setHeaderRoute: Invalid value: "first": the router "nginx" needs the annotation '
        f"{PREFIX}/canary-by-header, which the nginx block sets, for itself"
    )
    assert told(nginx=nginx) == []


# --- mirrors --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([mirror_step({"path": {"prefix": "/"}})], None),
        ([mirror_step({"method": {"exact": "GET"}}, {})], None),
        ([mirror_step({"path": {"prefix": "/api"}})], 'Invalid value: "second": the router "nginx" needs a match of every request'),
        ([mirror_step({"method": {"exact": "GET"}})], 'Invalid value: "second": the router "nginx" needs a match of every request'),
        ([mirror_step({}, percentage=25)], 'Invalid value: 25: the router "nginx" needs a percentage of 100'),
        (
            [mirror_step({}, name="third"), mirror_step({})],
            'Invalid value: "second, third": the router "nginx" needs one mirror route at a time',
        ),
    ],
)
def test_a_mirror_is_refused_unless_it_copies_everything_once(steps: list[Manifest], problem: str | None) -> None:
    problems = told(*steps)

    if problem is None:
        assert problems == []
    else:
        (found,) = problems
        assert found.startswith(f"spec.strategy.steps[{len(steps) - 1}].setMirrorRoute: {problem}")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (SPEC.replace("number: 80", "name: http"), "spec.rules[0].http.paths[0].backend"),
        (SPEC + "defaultBackend: {service: {name: errors, port: {number: 80}}}", "spec.defaultBackend"),
        (
            SPEC + "- {http: {paths: [{path: /cdn, pathType: Prefix, backend: {service: {name: cdn, port: {number: 80}}}}]}}",
            "spec.rules[1].http.paths[0].backend",
        ),
    ],
)
def test_a_mirror_step_needs_an_ingress_that_leads_to_the_stable_service_alone(spec: str, found: str) -> None:
    (problem,) = told(mirror_step({}), spec=spec)

    assert problem.startswith(f'spec.strategy.steps[0].setMirrorRoute: Invalid value: "shop": Ingress default/shop: {found}: ')
    assert told(spec=spec) == []


def test_a_mirror_of_the_users_own_stays_and_a_mirror_step_beside_it_is_refused() -> None:
    (problem,) = told(mirror_step({}), mirror_target="https://audit.example$request_uri")

    assert f"metadata.annotations.{PREFIX}/mirror-target" in problem
    stable = ingress(SPEC, mirror_target="https://audit.example$request_uri")
    assert router_for(nginx_rollout()).render(WISH, {INGRESS: stable}).apply[INGRESS] == stable


def test_a_mirror_copies_to_the_port_of_the_stable_backend() -> None:
    wish = replace(WISH, mirrors=(MirrorRoute(name="second", any_of=(RequestMatch(),)),))

    written = router_for(nginx_rollout()).render(wish, {INGRESS: ingress(SPEC.replace("number: 80", "number: 8080"))}).apply[INGRESS]

    target = written["metadata"]["annotations"][f"{PREFIX}/mirror-target"]
    assert target == "http://web-canary.default.svc.cluster.local:8080$request_uri"


# --- problems -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nginx", "problem"),
    [
        ({}, f"{NGINX}: Required value: needs exactly one of stableIngress and stableIngresses"),
        (
            {"stableIngress": "shop", "stableIngresses": ["shop-2"]},
            f'{NGINX}: Invalid value: "both": needs exactly one of stableIngress and stableIngresses',
        ),
        ({"stableIngresses": ["shop", ""]}, f"{NGINX}.stableIngresses[1]: Required value: needs the name of an Ingress"),
        (
            {"stableIngresses": ["shop", "shop"]},
            f'{NGINX}.stableIngresses[1]: Invalid value: "shop": must be listed once, and the name of its canary Ingress, '
            "web-shop-canary, must not be that of another",
        ),
        (
            {"stableIngresses": ["s" * 243, "s" * 244]},
            f'{NGINX}.stableIngresses[1]: Invalid value: "{"s" * 244}": must be listed once, and the name of its canary Ingress, '
            f"web-{'s' * 242}-canary, must not be that of another",
        ),
        (
            {"stableIngress": "gone"},
            f'{NGINX}.stableIngress: Invalid value: "gone": must name an existing Ingress (Ingress default/gone)',
        ),
    ],
)
def test_the_block_names_its_ingresses_in_one_way_and_once(nginx: Manifest, problem: str) -> None:
    assert problem in told(nginx=nginx)
    with pytest.raises(SpecError):
        router_for(nginx_rollout(nginx)).render(WISH, {})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{}", 'spec.rules: Required value: needs a path whose backend is the stable Service "web-stable"'),
        ("rules: [{host: a}]", 'spec.rules: Required value: needs a path whose backend is the stable Service "web-stable"'),
        (
            "rules: [{http: {paths: [{backend: {resource: {kind: Bucket, name: b}}}]}}]",
            'spec.rules: Required value: needs a path whose backend is the stable Service "web-stable"',
        ),
        ("rules: {}", 'spec.rules: Invalid value: "{}": must be a list'),
        ("rules: [{http: [1]}]", 'spec.rules[0].http: Invalid value: "[1]": must be a map'),
        (
            "rules: [{http: {paths: [{backend: {service: web}}]}}]",
            'spec.rules[0].http.paths[0].backend.service: Invalid value: "web": must be a map',
        ),
    ],
)
def test_what_an_ingress_lacks_is_told_with_its_place(spec: str, problem: str) -> None:
    assert told(spec=spec) == [f'{NGINX}.stableIngress: Invalid value: "shop": Ingress default/shop: {problem}']


def test_without_a_canary_in_the_wish_only_the_rollouts_own_canary_ingress_goes() -> None:
    setup = SETUPS["nginx"]

    rendered = setup.router.render(setup.start_wish(), {**setup.start, CANARY_INGRESS: canary_ingress()})

    assert rendered.absent == {CANARY_INGRESS}
    assert CANARY_INGRESS not in rendered.apply
