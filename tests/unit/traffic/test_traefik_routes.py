"""How do header and mirror routes stand beside an IngressRoute, and what is refused?"""

from dataclasses import replace
from typing import Any

import pytest

from router_setup import MANAGED, Objects, router_for
from routers_traefik import API, INGRESS_ROUTE, SHOP, TRAEFIK_SERVICE, WEIGHTED, ingress_route, made_by, traefik_rollout, traefik_service
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.traffic.router import Ref, Router, Search, Searching
from tiphys.traffic.settings import TRAEFIK_2, Settings
from tiphys.traffic.table import MENTIONS
from tiphys.traffic.traefik_routes import name_of
from tiphys.traffic.traefik_rules import MOST_PRIORITY

FOUND: Objects = {TRAEFIK_SERVICE: traefik_service(WEIGHTED), INGRESS_ROUTE: ingress_route(SHOP)}
HEADER_STEP = {"setHeaderRoute": {"name": MANAGED[0], "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}}
MIRROR_STEP: Manifest = {"setMirrorRoute": {"name": MANAGED[1], "match": [{"path": {"prefix": "/api"}}], "percentage": 25}}


def text(value: str, kind: MatchKind = MatchKind.EXACT) -> TextMatch:
    return TextMatch(kind=kind, value=value)


def header(*values: TextMatch, name: str = MANAGED[0], header: str = "x-beta") -> HeaderRoute:
    return HeaderRoute(name=name, any_of=tuple(HeaderMatch(header=header, value=value) for value in values))


BETA = header(text("1"))
SHADOW = MirrorRoute(name=MANAGED[1], any_of=(RequestMatch(path=text("/api", MatchKind.PREFIX)),), percent=25)


def wish(*headers: HeaderRoute, mirrors: tuple[MirrorRoute, ...] = ()) -> TrafficIntent:
    backends = (Backend(role=Role.STABLE, service="web-stable", weight=80), Backend(role=Role.CANARY, service="web-canary", weight=20))
    return TrafficIntent(backends=backends, header_routes=headers, mirrors=mirrors, managed=MANAGED)


def router(*steps: Manifest, settings: Settings | None = None) -> Router:
    return router_for(traefik_rollout(steps=list(steps)), settings)


def with_routes(*routes: Manifest) -> Objects:
    return {**FOUND, INGRESS_ROUTE: {**FOUND[INGRESS_ROUTE], "spec": {"routes": list(routes)}}}


def rule(match: str = "Host(`a`)", **fields: Any) -> Manifest:  # noqa: ANN401  any JSON value
    return {"match": match, "kind": "Rule", "services": [{"name": "web", "kind": "TraefikService"}], **fields}


def made(asked: TrafficIntent, found: Objects = FOUND, settings: Settings | None = None) -> dict[str, Any]:
    """Give the specs of what is made for *asked*, by kind and the parts of the name."""
    rendered = router(settings=settings).render(asked, found)
    assert not rendered.errors
    return {f"{ref.kind} {ref.name[:-9]}": manifest["spec"] for ref, manifest in rendered.apply.items() if ref not in found}


def matches(asked: TrafficIntent, *routes: Manifest, settings: Settings | None = None) -> list[tuple[str, int]]:
    """Give rule and priority of each route made beside *routes*."""
    specs = made(asked, with_routes(*routes), settings)
    return [(route["match"], route["priority"]) for spec in specs.values() for route in spec.get("routes", ())]


def told(*steps: Manifest, found: Objects = FOUND, settings: Settings | None = None) -> list[str]:
    return [str(problem) for problem in router(*steps, settings=settings).problems(found)]


def mirror_step(**fields: Any) -> Manifest:  # noqa: ANN401  any JSON value
    return {"setMirrorRoute": {"name": MANAGED[1], "match": [{}], **fields}}


def header_step(form: str, value: str, name: str = "x-beta") -> Manifest:
    return {"setHeaderRoute": {"name": MANAGED[0], "match": [{"headerName": name, "headerValue": {form: value}}]}}


# --- what is made ---------------------------------------------------------------------------------------------------------------


def test_a_header_route_is_a_copy_that_leads_to_the_canary_as_the_weighted_list_does() -> None:
    assert made(wish(BETA)) == {
        "IngressRoute web-first-shop": {
            "entryPoints": ["web", "websecure"],
            "routes": [
                {
                    "kind": "Rule",
                    "match": "(Host(`shop.example`)) && (Header(`x-beta`, `1`))",
                    "priority": 23,
                    "middlewares": [{"name": "compress"}],
                    "services": [{"name": "web-canary", "port": 80, "scheme": "h2c"}],
                }
            ],
            "tls": {"secretName": "shop"},
        }
    }


def test_a_mirror_route_leads_to_a_service_that_copies_and_lets_the_weighted_one_answer() -> None:
    specs = made(wish(mirrors=(SHADOW,)))
    assert list(specs) == ["TraefikService web-second", "IngressRoute web-second-shop"]
    assert specs["TraefikService web-second"] == {
        "mirroring": {
            "kind": "TraefikService",
            "name": "web",
            "mirrors": [{"name": "web-canary", "port": 80, "scheme": "h2c", "percent": 25}],
        }
    }
    (route,) = specs["IngressRoute web-second-shop"]["routes"]
    assert route["services"] == [{"name": name_of("web", "second"), "kind": "TraefikService"}]
    assert route["match"] == "(Host(`shop.example`)) && (PathPrefix(`/api`))"


def test_the_first_of_the_managed_routes_stands_highest_and_all_above_their_source() -> None:
    asked = wish(header(text("1")), header(text("2"), name=MANAGED[2]), mirrors=(SHADOW,))

    assert matches(asked, rule(priority=50)) == [
        ("(Host(`a`)) && (Header(`x-beta`, `1`))", 53),
        ("(Host(`a`)) && (Header(`x-beta`, `2`))", 51),
        ("(Host(`a`)) && (PathPrefix(`/api`))", 52),
    ]


@pytest.mark.parametrize(
    ("given", "priority"),
    [({}, 12), ({"priority": 0}, 12), ({"priority": 7}, 10), ({"priority": -9}, -6), ({"priority": -3}, 1), ({"priority": -1}, 3)],
)
def test_without_a_priority_it_is_the_rules_length_and_never_0(given: Manifest, priority: int) -> None:
    ((_, written),) = matches(wish(BETA), rule(**given))

    assert written == priority


def test_a_rule_that_ends_in_a_new_line_keeps_its_meaning_within_brackets() -> None:
    assert matches(wish(BETA), rule("Host(`a`)\n")) == [("(Host(`a`)) && (Header(`x-beta`, `1`))", 13)]


def test_each_rule_that_uses_the_service_has_one_in_the_copy_and_no_other() -> None:
    api = replace(INGRESS_ROUTE, name="api")
    specs = made(wish(BETA), {**FOUND, api: ingress_route(API, ref=api)})

    assert {name: len(spec["routes"]) for name, spec in specs.items()} == {
        "IngressRoute web-first-api": 2,
        "IngressRoute web-first-shop": 1,
    }


def test_a_header_route_takes_all_requests_also_where_the_rule_shares_them_with_others() -> None:
    found = with_routes(rule(services=[{"name": "web", "kind": "TraefikService", "weight": 3}, {"name": "cdn", "port": 80}]))

    (spec,) = made(wish(BETA), found).values()

    assert spec["routes"][0]["services"] == [{"name": "web-canary", "port": 80, "scheme": "h2c"}]


def test_what_traefik_chooses_objects_by_is_copied_and_other_annotations_are_not() -> None:
    chosen = {"kubernetes.io/ingress.class": "inner", "team.example/owner": "shop"}
    source = FOUND[INGRESS_ROUTE]
    found = {**FOUND, INGRESS_ROUTE: {**source, "metadata": {**source["metadata"], "annotations": chosen}}}

    (made_one,) = (manifest for ref, manifest in router().render(wish(BETA), found).apply.items() if ref not in found)

    assert made_one["metadata"]["labels"] == {"team": "shop"}
    assert set(made_one["metadata"]["annotations"]) == {"kubernetes.io/ingress.class", HEADER_ROUTES}


def test_an_edit_of_the_source_is_followed_and_what_others_put_on_ours_stays() -> None:
    written = {**FOUND, **router().render(wish(BETA), FOUND).apply}
    (ours,) = written.keys() - FOUND.keys()
    labelled = {**written[ours], "metadata": {**written[ours]["metadata"], "labels": {"team": "shop", "by": "policy"}}}
    edited = {**written, ours: labelled, INGRESS_ROUTE: ingress_route(SHOP.replace("shop.example", "new.example"))}

    said = router().routed(edited)
    followed = router().render(wish(BETA), edited).apply[ours]

    assert said is not None
    assert not said.uniform
    assert followed["spec"]["routes"][0]["match"] == "(Host(`new.example`)) && (Header(`x-beta`, `1`))"
    assert followed["metadata"]["labels"] == {"team": "shop", "by": "policy"}


def test_what_stood_beside_a_source_that_is_gone_goes_and_the_lack_is_told() -> None:
    written = {**FOUND, **router().render(wish(BETA, mirrors=(SHADOW,)), FOUND).apply}
    left = {ref: manifest for ref, manifest in written.items() if ref != INGRESS_ROUTE}

    rendered = router().render(wish(BETA, mirrors=(SHADOW,)), left)

    assert rendered.absent == left.keys() - {TRAEFIK_SERVICE}
    assert rendered.apply.keys() == {TRAEFIK_SERVICE}
    assert ["needs an IngressRoute in default that uses" in str(error) for error in rendered.errors] == [True]


def test_without_the_weighted_service_the_way_back_still_takes_our_routes_away() -> None:
    written = {**FOUND, **router().render(wish(BETA, mirrors=(SHADOW,)), FOUND).apply}
    left = {ref: manifest for ref, manifest in written.items() if ref != TRAEFIK_SERVICE}

    assert router().render(wish(), left).absent == left.keys() - {INGRESS_ROUTE}


# --- rules ----------------------------------------------------------------------------------------------------------------------

PREFIX, REGEX = MatchKind.PREFIX, MatchKind.REGEX


@pytest.mark.parametrize(
    ("syntax", "value", "written"),
    [
        ("v3", text("1"), "Header(`x-beta`, `1`)"),
        ("v3", text("a.b c", PREFIX), r"HeaderRegexp(`x-beta`, `^a\.b\ c`)"),
        ("v3", text("^(a|b)[(]$", REGEX), "HeaderRegexp(`x-beta`, `^(a|b)[(]$`)"),
        ("v2", text("1"), "Headers(`x-beta`, `1`)"),
        ("v2", text("a.b", PREFIX), r"HeadersRegexp(`x-beta`, `^a\.b`)"),
        ("v3", text("tick ` and \\"), 'Header(`x-beta`, "tick ` and \\\\")'),
        ("v3", text('tab\tand "`"'), 'Header(`x-beta`, "tab\\U00000009and \\"`\\"")'),
        ("v3", text("häufig"), "Header(`x-beta`, `häufig`)"),
    ],
)
def test_values_are_written_so_that_they_mean_themselves(syntax: str, value: TextMatch, written: str) -> None:
    assert matches(wish(header(value)), rule(priority=1, syntax=syntax)) == [(f"(Host(`a`)) && ({written})", 4)]


def test_entries_are_alternatives_and_the_conditions_of_one_hold_together() -> None:
    both = RequestMatch(method=text("P", PREFIX), path=text("^/a", REGEX), headers=(HeaderMatch(header="x-tier", value=text("gold")),))
    mirror = MirrorRoute(name=MANAGED[1], any_of=(both, RequestMatch(path=text("/b"))))

    ((match, _),) = matches(wish(mirrors=(mirror,)), rule())

    methods = "(Method(`POST`) || Method(`PUT`) || Method(`PATCH`))"
    assert match == f"(Host(`a`)) && (({methods} && PathRegexp(`^/a`) && Header(`x-tier`, `gold`)) || Path(`/b`))"


def test_an_entry_without_conditions_means_all_that_the_rule_means() -> None:
    mirror = MirrorRoute(name=MANAGED[1], any_of=(RequestMatch(path=text("/b")), RequestMatch()))

    assert matches(wish(mirrors=(mirror,)), rule("Host(`a`) ")) == [("Host(`a`)", 12)]


@pytest.mark.parametrize(
    ("settings", "field", "matcher"),
    [
        (Settings(), "", "Header"),
        (Settings(), "v2", "Headers"),
        (Settings(traefik_syntax="v2"), "", "Headers"),
        (Settings(traefik_syntax="v2"), "v3", "Header"),
    ],
)
def test_the_syntax_is_the_rules_own_and_else_the_operators(settings: Settings, field: str, matcher: str) -> None:
    given = rule(syntax=field) if field else rule()

    assert matches(wish(BETA), given, settings=settings)[0][0] == f"(Host(`a`)) && ({matcher}(`x-beta`, `1`))"


def test_traefik_2_has_the_older_syntax() -> None:
    assert (Settings(traefik_group=TRAEFIK_2).traefik_rules, Settings().traefik_rules) == ("v2", "v3")
    assert Settings(traefik_group=TRAEFIK_2, traefik_syntax="v3").traefik_rules == "v3"


# --- what is refused ------------------------------------------------------------------------------------------------------------

AT_HEADER, AT_MIRROR = "spec.strategy.steps[0].setHeaderRoute", "spec.strategy.steps[0].setMirrorRoute"


def refused(field: str, name: str, wanted: str) -> list[str]:
    return [f'{field}: Invalid value: "{name}": the router "traefik": {wanted}']


def test_everything_sayable_is_accepted() -> None:
    assert told(HEADER_STEP, MIRROR_STEP) == []
    assert told() == []


def test_routes_need_an_ingress_route_and_weights_do_not() -> None:
    alone = {TRAEFIK_SERVICE: FOUND[TRAEFIK_SERVICE]}

    assert told(found=alone) == []
    assert told(HEADER_STEP, found=alone) == refused(
        AT_HEADER, "first", 'needs an IngressRoute in default that uses the TraefikService "web"'
    )


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (
            header_step("exact", "x", name="Host"),
            "must be the name of a header other than Host, which Traefik keeps apart from the headers",
        ),
        (header_step("regex", "(?=a)"), "must be a regular expression as Go has them, without (?="),
        (header_step("regex", r"(a)\1"), r"must be a regular expression as Go has them, without \1"),
        (header_step("regex", "a++"), "must be a regular expression as Go has them, without ++"),
        (header_step("regex", "[a"), "must be a regular expression as Go has them, without ["),
        (header_step("regex", "(a"), "must be a regular expression: its brackets do not match"),
        (header_step("regex", "a)("), "must be a regular expression: its brackets do not match"),
        (header_step("regex", "a\\"), "must be a regular expression as Go has them, without \\"),
        (mirror_step(match=[{"path": {"exact": "api"}}]), "must begin with /"),
        (mirror_step(match=[{"method": {"exact": "get"}}]), "must fit one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH"),
        (mirror_step(percentage=101), "must be 0 to 100"),
    ],
)
def test_a_condition_that_no_rule_can_say_is_told_with_its_step(step: Manifest, wanted: str) -> None:
    (problem,) = told(step)

    assert problem.startswith("spec.strategy.steps[0].set")
    assert problem.endswith(wanted)


@pytest.mark.parametrize("pattern", [r"\Qa(\E", r"[)(]", r"[^]]", r"[[:alpha:]]+?", r"\(", r"(?i)\d{2}", r"(?:a|b)*"])
def test_a_regular_expression_of_gos_is_accepted(pattern: str) -> None:
    assert told(header_step("regex", pattern)) == []


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ({"regex": "^/a"}, "must not be a regular expression: rules in the v2 syntax have none for paths"),
        ({"prefix": "/{id}"}, "must have no braces: in the v2 syntax they hold patterns"),
    ],
)
def test_the_older_syntax_says_less_about_paths(path: Manifest, wanted: str) -> None:
    step = mirror_step(match=[{"path": path}])

    assert told(step) == []
    (problem,) = told(step, settings=Settings(traefik_syntax="v2"))
    assert problem.endswith(wanted)


@pytest.mark.parametrize(
    ("route", "wanted"),
    [
        (rule(" "), "spec.routes[0].match: Required value: needs a rule"),
        (rule(priority="high"), 'spec.routes[0].priority: Invalid value: "high": must be a whole number'),
        (
            rule(priority=MOST_PRIORITY),
            f"spec.routes[0].priority: Invalid value: {MOST_PRIORITY}: "
            f"must be at most {MOST_PRIORITY - 3} for 3 managed routes to stand above it",
        ),
        (rule(syntax="v4"), 'spec.routes[0].syntax: Invalid value: "v4": must be one of v2, v3'),
    ],
)
def test_a_source_that_cannot_be_copied_is_told_with_its_place(route: Manifest, wanted: str) -> None:
    assert told(HEADER_STEP, found=with_routes(route)) == refused(AT_HEADER, "first", f"IngressRoute default/shop: {wanted}")
    assert told(found=with_routes(route)) == []


def test_a_mirror_route_needs_rules_that_share_their_requests_with_nobody() -> None:
    found = with_routes(rule(services=[{"name": "web", "kind": "TraefikService"}, {"name": "cdn", "port": 80}]))

    assert told(mirror_step(), found=found) == refused(
        AT_MIRROR,
        "second",
        'IngressRoute default/shop: spec.routes[0].services: Invalid value: "2 services": '
        'must be the TraefikService "web" alone for its requests to be mirrored',
    )


def test_one_bad_source_keeps_no_other_from_its_routes() -> None:
    api = replace(INGRESS_ROUTE, name="api")
    found = {**with_routes(rule(" ")), api: ingress_route(API, ref=api)}

    rendered = router().render(wish(BETA), found)

    assert [ref.name[:-9] for ref in rendered.apply if ref not in found] == ["web-first-api"]
    assert len(rendered.errors) == 1


@pytest.mark.parametrize("step", [HEADER_STEP, MIRROR_STEP])
def test_a_foreign_object_under_a_name_of_ours_is_told_and_left_alone(step: Manifest) -> None:
    asking = router(step)
    ours = made_by(asking, FOUND)
    asked = wish(BETA) if "setHeaderRoute" in step else wish(mirrors=(SHADOW,))

    assert {ref for ref in asking.render(asked, FOUND).apply if ref not in FOUND} == set(ours)
    for ref in ours:
        found = {**FOUND, ref: {"apiVersion": "traefik.io/v1alpha1", "kind": ref.kind, "metadata": {"name": ref.name}, "spec": {}}}
        assert [f"{ref} exists and is not controlled" in str(problem) for problem in asking.problems(found)] == [True]
        rendered = asking.render(asked, found)
        assert ref not in rendered.apply
        assert [f"{ref} exists and is not controlled" in str(error) for error in rendered.errors] == [True]
        assert not [made for made in rendered.apply.values() if ref.name in str(made["spec"])]
        assert ref not in asking.render(wish(), found).absent


# --- searching ------------------------------------------------------------------------------------------------------------------


def test_ingress_routes_are_searched_by_the_services_they_use() -> None:
    asking = router()
    assert isinstance(asking, Searching)

    assert asking.searches() == [Search(group="traefik.io", kind="IngressRoute", namespace="default", name="web")]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({"routes": [rule(), rule(services=[{"name": "other", "kind": "TraefikService"}, {"name": "cdn"}])]}, {"web", "other"}),
        ({"routes": [rule(services=[{"name": "web", "kind": "TraefikService", "namespace": "elsewhere"}])]}, set()),
        ({"routes": [rule(services=[{"name": "web", "kind": "TraefikService", "namespace": "default"}])]}, {"web"}),
        ({"routes": [None, {"services": "web"}, {"services": [7, {"kind": "TraefikService", "name": [], "namespace": {}}]}]}, set()),
        ({"routes": "none"}, set()),
        (None, set()),
    ],
)
def test_an_ingress_route_mentions_what_it_uses_and_nothing_where_it_is_malformed(spec: object, names: set[str]) -> None:
    for group in ("traefik.io", TRAEFIK_2):
        assert set(MENTIONS[group, "IngressRoute"]({"metadata": {"namespace": "default"}, "spec": spec})) == names


def test_names_are_short_valid_and_differ_where_parts_do() -> None:
    assert name_of("web", "Set A/B", "shop").startswith("web-set-a-b-shop-")
    assert name_of("web", "a-b", "c") != name_of("web", "a", "b-c")
    assert len(name_of("w" * 200, "r" * 200, "s")) == 253


def test_an_ingress_route_of_the_users_that_the_rollout_owns_stays() -> None:
    owned: Ref = INGRESS_ROUTE
    source = FOUND[owned]
    references = [{"uid": "uid-web", "controller": True}]
    found = {**FOUND, owned: {**source, "metadata": {**source["metadata"], "ownerReferences": references}}}

    assert router().render(wish(), found).absent == frozenset()
