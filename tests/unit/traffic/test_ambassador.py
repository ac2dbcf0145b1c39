"""What is told of, read from and written to Mappings?"""

from dataclasses import replace

import pytest

from builders import rollout
from routers import MANAGED, MAPPING, ambassador_rollout, mapping, router_for, strategy
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.traffic.ambassador import ambassador_router
from tiphys.traffic.ambassador_copies import MOST_ALTERNATIVES, redirected
from tiphys.traffic.settings import Settings

FIELD = "spec.strategy.canary.trafficRouting.ambassador.mappings"
BASE = "{prefix: /web/, service: 'web-stable:80'}"
CANARY_MAPPING = replace(MAPPING, name="web-canary")
FIRST_HEADER = replace(MAPPING, name="web-first-0")
SHADOW_MAPPING = replace(MAPPING, name="web-second-shadow")

BETA = HeaderRoute(name=MANAGED[0], any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value="1")),))
SHADOW = MirrorRoute(name=MANAGED[1], any_of=(RequestMatch(),), percent=25)


def wish(canary: int, **more: object) -> TrafficIntent:
    backends = (
        Backend(role=Role.STABLE, service="web-stable", weight=100 - canary),
        Backend(role=Role.CANARY, service="web-canary", weight=canary),
    )
    return TrafficIntent(**{"backends": backends, "managed": MANAGED, **more})  # type: ignore[arg-type]  # typed by the fields


def told(spec: str, *mappings: str, **fields: object) -> list[str]:
    return [str(problem) for problem in router_for(ambassador_rollout(*mappings, **fields)).problems({MAPPING: mapping(spec)})]


def about(what: str) -> list[str]:
    return [f'{FIELD}: Invalid value: "web": Mapping default/web: {what}']


def header_step(*values: str) -> Manifest:
    match = [{"headerName": "x-beta", "headerValue": {"exact": value}} for value in values]
    return {"setHeaderRoute": {"name": MANAGED[0], "match": match}}


def mirror_step(name: str = MANAGED[1], **fields: object) -> Manifest:
    return {"setMirrorRoute": {"name": name, "match": [{}], **fields}}


# --- problems -------------------------------------------------------------------------------------------------------------------


def test_a_mapping_that_leads_to_the_stable_service_is_enough() -> None:
    assert told(BASE) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{prefix: /}", 'spec.service: Required value: must lead to the stable Service "web-stable" in default'),
        ("{service: other}", 'spec.service: Invalid value: "other": must lead to the stable Service "web-stable" in default'),
        ("{service: web-stable-2}", 'spec.service: Invalid value: "web-stable-2": must lead to the stable Service "web-stable" in default'),
        (
            "{service: web-stable, weight: 10}",
            "spec.weight: Invalid value: 10: must not be set: the base gets what its canary leaves",
        ),
        ("[]", 'spec: Invalid value: "[]": must be a map'),
    ],
)
def test_a_base_that_cannot_have_a_canary_is_told(spec: str, problem: str) -> None:
    assert told(spec) == about(problem)


@pytest.mark.parametrize(
    ("mappings", "problems"),
    [
        ([], [f"{FIELD}: Required value: needs the name of at least one Mapping"]),
        ([""], [f"{FIELD}[0]: Required value: needs the name of a Mapping"]),
        (["web", "web"], [f'{FIELD}[1]: Invalid value: "web": must be listed once']),
    ],
)
def test_a_list_of_mappings_that_says_nothing_is_told_and_nothing_is_written(mappings: list[str], problems: list[str]) -> None:
    router = router_for(ambassador_rollout(trafficRouting={"ambassador": {"mappings": mappings}}))

    assert [str(problem) for problem in router.problems({MAPPING: mapping(BASE)})] == problems
    with pytest.raises(SpecError):
        router.render(wish(20), {MAPPING: mapping(BASE)})


def test_names_of_copies_that_clash_are_told() -> None:
    (problem, *_) = told(BASE, "web", "web-canary")

    assert problem == f'{FIELD}: Invalid value: "web-canary": is the name of two Mappings, listed here or made by Tiphys: rename one'


@pytest.mark.parametrize(
    ("spec", "steps", "at", "wanted"),
    [
        (BASE, [header_step(*map(str, range(MOST_ALTERNATIVES + 1)))], "steps[0].setHeaderRoute", "must have at most 8 entries"),
        (
            BASE,
            [mirror_step(match=[{"path": {"exact": "/api/"}}])],
            "steps[0].setMirrorRoute",
            'Mapping default/web: spec.prefix: Invalid value: "/web/": must be the beginning of the path /api/, or no request is both',
        ),
        (
            BASE,
            [mirror_step(match=[{"path": {"regex": "/web/.*"}}])],
            "steps[0].setMirrorRoute",
            'Mapping default/web: spec.prefix: Invalid value: "/web/": must be / and not be rewritten beside a regex on the path',
        ),
        (
            "{service: web-stable, prefix: '/v[12]/', prefix_regex: true}",
            [mirror_step(match=[{"path": {"prefix": "/v1/"}}])],
            "steps[0].setMirrorRoute",
            "must be a plain prefix beside a route on the path",
        ),
        (
            "{service: web-stable, method: GET}",
            [mirror_step(match=[{"method": {"exact": "GET"}}])],
            "steps[0].setMirrorRoute",
            'Mapping default/web: spec.method: Invalid value: "GET": must not be there beside a route on the method',
        ),
        (BASE, [mirror_step(percentage=0)], "steps[0].setMirrorRoute", "must be 1 to 100"),
        (BASE, [mirror_step(), mirror_step(MANAGED[2])], "steps[1].setMirrorRoute", "must not stand together"),
        (
            "{service: web-stable, headers: {X-Beta: '2'}}",
            [header_step("1")],
            "steps[0].setHeaderRoute",
            'Mapping default/web: spec.headers.X-Beta: Invalid value: "2": must not be there beside a route on this header',
        ),
        (
            "{service: web-stable, precedence: high}",
            [header_step("1")],
            "steps[0].setHeaderRoute",
            'Mapping default/web: spec.precedence: Invalid value: "high": must be a whole number',
        ),
    ],
)
def test_a_route_that_no_mapping_can_say_is_told_with_its_step(spec: str, steps: list[Manifest], at: str, wanted: str) -> None:
    assert told(spec) == []

    (problem,) = told(spec, steps=steps)

    assert problem.startswith(f"spec.strategy.{at}: Invalid value: ")
    assert wanted in problem
    assert 'the router "ambassador"' in problem


def test_a_rollout_without_the_block_has_no_such_router() -> None:
    with pytest.raises(ValueError, match="no Ambassador router"):
        ambassador_router(rollout(strategy=strategy()), Settings())


# --- reading --------------------------------------------------------------------------------------------------------------------


def test_without_a_copy_everything_goes_to_stable() -> None:
    routed = router_for(ambassador_rollout()).routed({MAPPING: mapping(BASE)})

    assert routed is not None
    assert routed.says(wish(0))


@pytest.mark.parametrize(("weight", "canary"), [(35, 35), (None, 50), (250, 100)])
def test_a_canary_mapping_is_read_by_its_weight_whoever_made_it_but_is_only_ours_as_we_write_it(weight: int | None, canary: int) -> None:
    copy = mapping("{prefix: /web/, service: 'web-canary:80'}", ref=CANARY_MAPPING)
    if weight is not None:
        copy["spec"]["weight"] = weight

    routed = router_for(ambassador_rollout()).routed({MAPPING: mapping(BASE), CANARY_MAPPING: copy})

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (canary, 100 - canary, False)


@pytest.mark.parametrize(
    ("spec", "owners"),
    [
        ("{prefix: /web/, service: 'web-canary:80'}", []),
        ("{prefix: /web/, service: 'web-stable:80', weight: 20}", []),
        ("{prefix: /web/, service: 'web-canary.shop:80', weight: 20}", []),
        ("{prefix: /web/, service: 'web-canary:80', weight: 20}", [{"kind": "Deployment", "name": "web", "uid": "another"}]),
    ],
)
def test_only_a_mapping_without_an_owner_that_gives_the_canary_a_share_is_taken_over_from_the_reference(
    spec: str, owners: list[Manifest]
) -> None:
    router = router_for(ambassador_rollout("web"))
    base, theirs = mapping(BASE), mapping(spec, ref=CANARY_MAPPING)
    theirs["metadata"]["ownerReferences"] = owners

    found = {MAPPING: base, CANARY_MAPPING: theirs}

    assert [problem for problem in router.problems(found) if "is not controlled by" in str(problem)]
    assert CANARY_MAPPING not in router.render(wish(40), found).apply


def test_bases_that_differ_are_not_uniform_and_the_larger_weight_counts() -> None:
    api = replace(MAPPING, name="api")
    router = router_for(ambassador_rollout("web", "api"))
    found = {MAPPING: mapping(BASE), api: mapping(BASE, ref=api)}
    made = dict(router.render(wish(20), found).apply)
    del made[replace(MAPPING, name="api-canary")]

    routed = router.routed(made)

    assert routed is not None
    assert (routed.canary, routed.stable, routed.uniform) == (20, 100, False)


# --- writing --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "written"),
    [
        ("web-stable", "web-canary"),
        ("web-stable:8080", "web-canary:8080"),
        ("https://web-stable.default:443", "https://web-canary.default:443"),
        ("http://web-stable.default.svc.cluster.local", "http://web-canary.default.svc.cluster.local"),
        ("http://web-stable/", "http://web-canary/"),
    ],
)
def test_only_the_name_of_the_service_changes(service: str, written: str) -> None:
    turned = redirected({"service": service, "prefix": "/"}, stable="web-stable", canary="web-canary", namespace="default")

    assert turned == {"service": written, "prefix": "/"}


def test_every_edit_of_the_base_reaches_its_copies() -> None:
    router = router_for(ambassador_rollout())
    asked = wish(20, header_routes=(BETA,), mirrors=(SHADOW,))
    made = dict(router.render(asked, {MAPPING: mapping("{prefix: /web/, service: web-stable, timeout_ms: 5}")}).apply)
    edited = {**made, MAPPING: mapping("{prefix: /v2/, service: web-stable, retry_policy: {num_retries: 3}}")}

    before = router.routed(edited)
    again = router.render(asked, edited).apply

    assert before is not None
    assert not before.says(asked)
    for copy in (CANARY_MAPPING, FIRST_HEADER, SHADOW_MAPPING):
        assert again[copy]["spec"]["prefix"] == "/v2/"
        assert again[copy]["spec"]["retry_policy"] == {"num_retries": 3}
        assert "timeout_ms" not in again[copy]["spec"]
    after = router.routed(again)
    assert after is not None
    assert after.says(asked)


def test_what_others_note_on_a_copy_stays() -> None:
    router = router_for(ambassador_rollout())
    made = dict(router.render(wish(20), {MAPPING: mapping(BASE)}).apply)
    copy = made[CANARY_MAPPING]
    noted = {**copy, "metadata": {**copy["metadata"], "labels": {"seen": "yes"}}, "status": {"state": "Running"}}

    again = router.render(wish(50), {**made, CANARY_MAPPING: noted}).apply[CANARY_MAPPING]

    assert again == {**noted, "spec": {**copy["spec"], "weight": 50}}


def test_the_way_back_does_not_wait_for_a_base_that_is_gone() -> None:
    router = router_for(ambassador_rollout())
    made = dict(router.render(wish(20, header_routes=(BETA,)), {MAPPING: mapping(BASE)}).apply)
    del made[MAPPING]

    back, on = router.render(wish(0), made), router.render(wish(50), made)

    assert back.absent == {CANARY_MAPPING, FIRST_HEADER}
    assert on.absent == {FIRST_HEADER}
    assert on.apply == {}
    assert "must name an existing Mapping" in str(back.errors)


@pytest.mark.parametrize(
    ("base", "path", "said"),
    [
        ("prefix: /web/", {"prefix": "/web/api"}, {"prefix": "/web/api", "rewrite": "/api"}),
        ("prefix: /web/", {"exact": "/web/a"}, {"prefix": "/web/a", "prefix_exact": True, "rewrite": "/a"}),
        ("prefix: /web/, rewrite: /v1/", {"prefix": "/web/api"}, {"prefix": "/web/api", "rewrite": "/v1/api"}),
        ("prefix: /web/, rewrite: ''", {"prefix": "/web/api"}, {"prefix": "/web/api", "rewrite": ""}),
        ("prefix: /web/", {"prefix": "/"}, {"prefix": "/web/"}),
        ("prefix: /", {"regex": "/a.*"}, {"prefix": "/a.*", "prefix_regex": True}),
        (
            "prefix: /web/, regex_rewrite: {pattern: a, substitution: b}",
            {"prefix": "/web/a"},
            {"prefix": "/web/a", "regex_rewrite": {"pattern": "a", "substitution": "b"}},
        ),
    ],
)
def test_the_service_sees_the_same_path_whatever_a_mirror_route_compares(base: str, path: Manifest, said: Manifest) -> None:
    (kind, value) = next(iter(path.items()))
    mirror = MirrorRoute(name=MANAGED[0], any_of=(RequestMatch(path=TextMatch(kind=MatchKind(kind), value=value)),))

    rendered = router_for(ambassador_rollout()).render(
        wish(20, mirrors=(mirror,)), {MAPPING: mapping(f"{{service: 'web-stable:80', {base}}}")}
    )

    made = {ref.name: manifest["spec"] for ref, manifest in rendered.apply.items()}
    for end, beside in (
        ("", {"service": "web-stable:80"}),
        ("-canary", {"service": "web-canary:80", "weight": 20}),
        ("-shadow", {"service": "web-canary:80", "shadow": True, "weight": 100}),
    ):
        assert made[f"web-{MANAGED[0]}-0{end}"] == {**said, **beside, "precedence": 3}


def test_mappings_of_an_earlier_spec_are_seen_and_go() -> None:
    router = router_for(ambassador_rollout())
    found = {MAPPING: mapping(BASE)}
    found |= router.render(wish(20), found).apply
    left = replace(MAPPING, name="other-canary")
    copy = found[replace(MAPPING, name="web-canary")]
    found[left] = {**copy, "metadata": {**copy["metadata"], "name": left.name}}

    said, rendered = router.routed(found), router.render(wish(20), found)

    assert said is not None
    assert not said.uniform
    assert rendered.absent == {left}


def test_a_long_name_is_cut_as_the_reference_cuts_it() -> None:
    name = "w" * 253
    base = replace(MAPPING, name=name)

    made = router_for(ambassador_rollout(name)).render(wish(20), {base: mapping(BASE, ref=base)}).apply

    assert {ref.name for ref in made} == {name, f"{'w' * 246}-canary"}
