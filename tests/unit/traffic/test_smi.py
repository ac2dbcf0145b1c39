"""What do TrafficSplits and HTTPRouteGroups say, and what is told of them?"""

import re
from dataclasses import replace

import pytest

from routers import CANARY, MANAGED, MATCHED_SPLIT, ROUTE_GROUP, SPLIT, STABLE, router_for, smi_rollout
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, Role, TextMatch, TrafficIntent
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import lacking

SMI = "spec.strategy.canary.trafficRouting.smi"


def wish(canary: int = 20, *routes: HeaderRoute, **experiments: int) -> TrafficIntent:
    beside = tuple(Backend(role=Role.EXPERIMENT, service=name, weight=weight) for name, weight in experiments.items())
    return TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=STABLE, weight=100 - canary - sum(experiments.values())),
            Backend(role=Role.CANARY, service=CANARY, weight=canary),
            *beside,
        ),
        header_routes=routes,
        managed=MANAGED,
    )


def route(kind: MatchKind, value: str, name: str = "first") -> HeaderRoute:
    return HeaderRoute(name=name, any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=kind, value=value)),))


def router(smi: Manifest | None = None, version: str = "v1alpha4", **fields: object) -> Router:
    return router_for(smi_rollout(smi, **fields), Settings(smi_version=version))


def written(version: str = "v1alpha4", *, wanted: TrafficIntent | None = None, smi: Manifest | None = None) -> dict[Ref, Manifest]:
    return dict(router(smi, version).render(wanted or wish(), {}).apply)


@pytest.mark.parametrize(
    ("version", "weights"),
    [("v1alpha1", ["20", "10", "70"]), ("v1alpha2", [20, 10, 70]), ("v1alpha3", [20, 10, 70]), ("v1alpha4", [20, 10, 70])],
)
def test_each_version_has_its_form_of_weights_and_experiments_stand_between(version: str, weights: list[object]) -> None:
    made = written(version, wanted=wish(20, expa=10))[SPLIT]

    assert made["apiVersion"] == f"split.smi-spec.io/{version}"
    assert made["spec"] == {
        "service": STABLE,
        "backends": [{"service": name, "weight": weight} for name, weight in zip((CANARY, "expa", STABLE), weights, strict=True)],
    }


def test_the_names_come_from_the_block_or_from_the_rollout() -> None:
    named = replace(SPLIT, name="shop")

    made = written(smi={"rootService": "web", "trafficSplitName": "shop"})

    assert list(made) == [named]
    assert made[named]["spec"]["service"] == "web"
    assert list(written()) == [SPLIT]


def test_a_long_name_leaves_room_for_the_header_routes() -> None:
    names = [ref.name for ref in router({"trafficSplitName": "s" * 253}).reads()]

    assert [len(name) for name in names] == [253, 253, 253]
    assert names[1].endswith("-header-routes")


def test_an_existing_split_keeps_its_version_and_what_others_wrote() -> None:
    old = written("v1alpha1")[SPLIT]
    old = {**old, "metadata": {**old["metadata"], "labels": {"team": "shop"}}, "spec": {**old["spec"], "note": "theirs"}}

    now = router(version="v1alpha4").render(wish(50), {SPLIT: old}).apply[SPLIT]

    assert now["apiVersion"] == "split.smi-spec.io/v1alpha1"
    assert now["metadata"] == old["metadata"]
    assert now["spec"]["note"] == "theirs"
    assert [backend["weight"] for backend in now["spec"]["backends"]] == ["50", "50"]


@pytest.mark.parametrize(
    ("backends", "canary", "stable"),
    [
        ([{"service": CANARY, "weight": 20}, {"service": STABLE, "weight": 80}], 20, 80),
        ([{"service": CANARY, "weight": "20"}, {"service": STABLE, "weight": "80"}], 20, 80),
        ([{"service": CANARY, "weight": 1}, {"service": STABLE, "weight": 3}], 25, 75),
        ([{"service": CANARY, "weight": 1}, {"service": STABLE, "weight": 2}], 34, 66),
        ([{"service": CANARY, "weight": "many"}, {"service": STABLE, "weight": 100}], 0, 100),
        ([{"service": CANARY, "weight": 5}], 100, 0),
        ([{"service": CANARY, "weight": 20}, {"service": "old", "weight": 30}, {"service": STABLE, "weight": 50}], 20, 50),
        ([None, 5], 0, 100),
        ([{"weight": 50}, {"service": CANARY, "weight": 50}, {"service": STABLE, "weight": 50}], 50, 50),
        ("both", 0, 100),
        (None, 0, 100),
    ],
)
def test_weights_are_read_as_shares_and_the_canarys_rounded_up(backends: object, canary: int, stable: int) -> None:
    split = written()[SPLIT]
    split["spec"]["backends"] = backends

    routed = router().routed({SPLIT: split})

    assert routed is not None
    assert (routed.canary, routed.stable) == (canary, stable)


def test_only_what_we_would_write_agrees() -> None:
    found = written(wanted=wish(20, route(MatchKind.EXACT, "1")))
    say = router()
    changes: list[tuple[Ref, Manifest]] = [
        (SPLIT, {"service": "other"}),
        (SPLIT, {"matches": [{"kind": "HTTPRouteGroup", "name": "theirs"}]}),
        (MATCHED_SPLIT, {"backends": [{"service": CANARY, "weight": 1}]}),
        (ROUTE_GROUP, {"matches": []}),
    ]

    whole = say.routed(found)

    assert whole is not None
    assert whole.says(wish(20, route(MatchKind.EXACT, "1")))
    for ref, change in changes:
        routed = say.routed({**found, ref: {**found[ref], "spec": {**found[ref]["spec"], **change}}})
        assert routed is not None
        assert not routed.uniform
    for ref in found:
        routed = say.routed({known: manifest for known, manifest in found.items() if known != ref})
        assert routed is not None
        assert not routed.uniform


def test_header_routes_that_are_left_over_are_seen_and_go() -> None:
    found = written(wanted=wish(20, route(MatchKind.EXACT, "1")))
    forgotten = {**found[ROUTE_GROUP]["metadata"], "annotations": {}}
    found[ROUTE_GROUP] = {**found[ROUTE_GROUP], "metadata": forgotten}

    routed, rendered = router().routed(found), router().render(wish(), found)

    assert routed is not None
    assert (routed.header_routes, routed.uniform) == ((), False)
    assert rendered.absent == {MATCHED_SPLIT, ROUTE_GROUP}
    assert list(rendered.apply) == [SPLIT]


def test_objects_of_an_earlier_name_go_and_the_group_only_when_nothing_refers_to_it() -> None:
    old = {
        replace(ref, name=f"old-{ref.name}"): manifest for ref, manifest in written(wanted=wish(20, route(MatchKind.EXACT, "1"))).items()
    }
    splits = {ref for ref in old if ref.kind == "TrafficSplit"}
    group = {ref: manifest for ref, manifest in old.items() if ref not in splits}

    routed, first, second = router().routed({**written(), **old}), router().render(wish(), old), router().render(wish(), group)

    assert routed is not None
    assert not routed.uniform
    assert first.absent == splits
    assert second.absent == group.keys()


def test_objects_of_others_beside_a_wish_that_does_not_need_their_names_are_left_alone() -> None:
    theirs: Manifest = {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": {"name": "web-header-routes"}}

    rendered = router().render(wish(), {MATCHED_SPLIT: theirs})

    assert rendered.absent == frozenset()
    with pytest.raises(SpecError, match=r"web-header-routes exists and is not controlled by"):
        router().render(wish(20, route(MatchKind.EXACT, "1")), {MATCHED_SPLIT: theirs})


@pytest.mark.parametrize(
    ("kind", "value", "matching", "others"),
    [
        (MatchKind.EXACT, "a.b*(1)", ["a.b*(1)"], ["axb*(1)", "a.b*(1)x", ""]),
        (MatchKind.PREFIX, "QA/", ["QA/", "QA/7"], ["xQA/", "qa/"]),
        (MatchKind.REGEX, "a|b", ["a", "b"], ["ab", "xb"]),
    ],
)
def test_a_pattern_means_the_same_to_meshes_that_search_and_to_those_that_compare_whole_values(
    kind: MatchKind, value: str, matching: list[str], others: list[str]
) -> None:
    group = written(wanted=wish(20, route(kind, value)))[ROUTE_GROUP]

    ((match,),) = ([entry["headers"][0]["x-beta"] for entry in group["spec"]["matches"]],)

    for compare in (re.search, re.fullmatch):
        assert [text for text in (*matching, *others) if compare(match, text)] == matching


def test_all_header_routes_are_alternatives_of_one_group() -> None:
    beta, testers = route(MatchKind.EXACT, "1"), route(MatchKind.EXACT, "2", name="second")

    made = written(wanted=wish(20, beta, testers))

    assert made[ROUTE_GROUP]["spec"]["matches"] == [
        {"name": "first-0", "headers": [{"x-beta": "^1$"}]},
        {"name": "second-0", "headers": [{"x-beta": "^2$"}]},
    ]
    assert HEADER_ROUTES in made[ROUTE_GROUP]["metadata"]["annotations"]
    assert made[MATCHED_SPLIT]["spec"] == {
        "service": STABLE,
        "backends": [{"service": CANARY, "weight": 100}],
        "matches": [{"kind": "HTTPRouteGroup", "name": "web-header-routes"}],
    }


@pytest.mark.parametrize(("version", "refused"), [("v1alpha1", True), ("v1alpha2", True), ("v1alpha3", False), ("v1alpha4", False)])
def test_header_steps_are_refused_where_the_version_has_no_matches(version: str, refused: bool) -> None:  # noqa: FBT001 - a case
    match = [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]
    subject = smi_rollout(steps=[{"setHeaderRoute": {"name": "first", "match": match}}])
    with_version = router_for(subject, Settings(smi_version=version))

    told = [str(error) for error in lacking(with_version, subject)]

    place = "spec.strategy.steps[0].setHeaderRoute.match[0]"
    assert told == ([f'{place}: Invalid value: "x-beta": the router "smi" cannot do this: header exact'] if refused else [])
    assert len(with_version.reads()) == (1 if refused else 3)
    if refused:
        with pytest.raises(SpecError, match="v1alpha3 or v1alpha4"):
            with_version.render(wish(20, route(MatchKind.EXACT, "1")), {})


def test_a_mirror_step_is_refused() -> None:
    subject = smi_rollout(steps=[{"setMirrorRoute": {"name": "first", "match": [{}]}}])

    assert [error.field for error in lacking(router(), subject)] == ["spec.strategy.steps[0].setMirrorRoute"]


def test_what_is_wrong_with_the_block_or_the_choice_of_version_is_told_and_nothing_is_written() -> None:
    root, version = router({"rootService": CANARY}), router(version="v2")

    assert [str(problem) for problem in root.problems({})] == [
        f'{SMI}.rootService: Invalid value: "web-canary": must not be the canary Service: '
        "requests to the root Service are the ones that are split"
    ]
    assert [str(problem) for problem in version.problems({})] == [
        f'{SMI}: Invalid value: "v2": the controller must be started with one of v1alpha1, v1alpha2, v1alpha3, v1alpha4 '
        "as version of TrafficSplits"
    ]
    for one in (root, version):
        with pytest.raises(SpecError):
            one.render(wish(), {})


def test_a_split_of_somebody_else_is_told_by_the_field_that_leads_to_it() -> None:
    theirs: Manifest = {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": {"name": "shop"}}
    shop = replace(SPLIT, name="shop")

    assert [str(problem) for problem in router({"trafficSplitName": "shop"}).problems({shop: theirs})] == [
        f'{SMI}.trafficSplitName: Invalid value: "shop": TrafficSplit default/shop exists and is not controlled by '
        'the Rollout "web": remove it, or rename one of the two'
    ]
