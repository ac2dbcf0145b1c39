"""Is everything that validation lets through really rendered, and everything else refused by name?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest

from router_setup import MANAGED, Setup, after, made_of, router_for, strategy
from routers import EVERY_SETUP, istio_rollout
from tiphys.api.codec import plain
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import (
    Backend,
    Feature,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    MirrorRoute,
    RequestMatch,
    Role,
    TextMatch,
    TrafficIntent,
)
from tiphys.traffic.table import lacking

_BY_SHOWS = frozenset({Feature.PING_PONG, Feature.MAX_WEIGHT, Feature.SUBSETS})
"""What a setup has to be made for: two Services that alternate, another maximum, versions without Services."""

_BY_STEPS = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR})
_ABLE = [(name, feature) for name, setup in EVERY_SETUP.items() for feature in setup.router.supports - _BY_SHOWS | setup.shows & _BY_SHOWS]
_UNABLE = [(name, feature) for name, setup in EVERY_SETUP.items() for feature in set(Feature) - setup.router.supports]


def _header(kind: MatchKind) -> HeaderRoute:
    return HeaderRoute(name=MANAGED[0], any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=kind, value="1")),))


def _showing(feature: Feature, setup: Setup) -> tuple[TrafficIntent, TrafficIntent]:
    """Give two wishes of which only the second needs *feature*, or needs it in another way."""
    plain = setup.wish(20)
    stable, canary = plain.backends
    match feature:
        case Feature.WEIGHTS:
            return setup.wish(0), plain
        case Feature.HEADER_EXACT:
            return plain, replace(plain, header_routes=(_header(MatchKind.EXACT),))
        case Feature.HEADER_PREFIX:
            return replace(plain, header_routes=(_header(MatchKind.EXACT),)), replace(plain, header_routes=(_header(MatchKind.PREFIX),))
        case Feature.HEADER_REGEX:
            return replace(plain, header_routes=(_header(MatchKind.EXACT),)), replace(plain, header_routes=(_header(MatchKind.REGEX),))
        case Feature.MIRROR:
            return plain, replace(plain, mirrors=(MirrorRoute(name=MANAGED[0], any_of=(RequestMatch(),)),))
        case Feature.EXPERIMENTS:
            experiment = Backend(role=Role.EXPERIMENT, service="exp-a", weight=10)
            return plain, replace(plain, backends=(replace(stable, weight=stable.weight - 10), canary, experiment))
        case Feature.PING_PONG:
            return plain, replace(plain, backends=(replace(stable, service=canary.service), replace(canary, service=stable.service)))
        case Feature.MAX_WEIGHT:
            return plain, setup.wish(21)
        case Feature.SUBSETS:
            return plain, replace(plain, backends=(stable, replace(canary, pod_hash="6b1c9d4f2")))


def _header_step(form: str) -> Manifest:
    return {"setHeaderRoute": {"name": MANAGED[0], "match": [{"headerName": "x-beta", "headerValue": {form: "1"}}]}}


def _asked_for(feature: Feature, setup: Setup) -> Sequence[SpecError]:
    """Tell what is wrong when the Rollout of *setup* asks for *feature* in a step."""
    made = made_of(setup.router)
    if made is None:
        return ()
    subject, settings = made
    canary = subject.spec.strategy.canary
    assert canary is not None
    asking = strategy(**{**plain(canary), **_ASKING[feature][0]})
    changed = msgspec.structs.replace(subject, spec=msgspec.structs.replace(subject.spec, strategy=asking))
    return router_for(changed, settings).problems(setup.start)


_ASKING: Mapping[Feature, tuple[Manifest, str]] = {
    Feature.HEADER_EXACT: ({"steps": [{"setWeight": 5}, _header_step("exact")]}, "spec.strategy.steps[1].setHeaderRoute.match[0]"),
    Feature.HEADER_PREFIX: ({"steps": [_header_step("prefix")]}, "spec.strategy.steps[0].setHeaderRoute.match[0]"),
    Feature.HEADER_REGEX: ({"steps": [_header_step("regex")]}, "spec.strategy.steps[0].setHeaderRoute.match[0]"),
    Feature.MIRROR: ({"steps": [{"setMirrorRoute": {"name": MANAGED[0], "match": [{}]}}]}, "spec.strategy.steps[0].setMirrorRoute"),
    Feature.EXPERIMENTS: (
        {"steps": [{"experiment": {"templates": [{"name": "a", "specRef": "canary"}, {"name": "b", "specRef": "canary", "weight": 5}]}}]},
        "spec.strategy.steps[0].experiment.templates[1].weight",
    ),
    Feature.PING_PONG: (
        {"pingPong": {"pingService": "ping", "pongService": "pong"}, "canaryService": "", "stableService": ""},
        "spec.strategy.pingPong",
    ),
    Feature.MAX_WEIGHT: ({"trafficRouting": {"maxTrafficWeight": 1000}}, "spec.strategy.trafficRouting.maxTrafficWeight"),
    Feature.SUBSETS: ({"canaryService": "", "stableService": ""}, "spec.strategy.stableService"),
}


@pytest.mark.parametrize(("name", "feature"), sorted(_ABLE))
def test_what_a_router_lets_through_changes_its_objects_and_reads_back(name: str, feature: Feature) -> None:
    setup = EVERY_SETUP[name]
    without, wanting = _showing(feature, setup)
    if feature in _BY_STEPS and any(problem.field.startswith("spec.strategy.steps[") for problem in _asked_for(feature, setup)):
        return  # the product can, but not with these objects: that is told, with the step that asks for it

    before, written = after(setup, without, setup.start), after(setup, wanting, setup.start)

    assert before != written
    routed = setup.router.routed(written)
    assert routed is not None
    if feature is not Feature.PING_PONG:  # what alternates is read by the roles of the next status (test_ping_pong)
        assert routed.says(wanting), routed
        assert not routed.says(without)


@pytest.mark.parametrize(("name", "feature"), sorted(_UNABLE))
def test_what_a_router_cannot_do_is_refused_with_the_field_that_asks_for_it_and_the_router(name: str, feature: Feature) -> None:
    router = EVERY_SETUP[name].router
    fields, path = _ASKING[feature]

    (refused,) = lacking(router, istio_rollout({"virtualService": {"name": "web"}}, **fields))

    assert (refused.field, refused.wanted) == (path, f'the router "{router.name}" cannot do this: {feature}')


def test_every_feature_beside_weights_is_refused_by_some_setup() -> None:
    assert {feature for _, feature in _UNABLE} == set(Feature) - {Feature.WEIGHTS}
