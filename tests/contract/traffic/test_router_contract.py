import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routers import CRDS, EVERY_SETUP, MANAGED, SETUPS, Setup, after, crd_schema, istio_rollout, wishes
from routers_external import EXTERNAL
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import (
    Feature,
    Routed,
    TrafficIntent,
)
from tiphys.plugins.router import SUPPORTS
from tiphys.traffic.router import Ref, Rendered, Router
from tiphys.traffic.table import ROUTERS, lacking
from tiphys.traffic.together import combine, render_all

every_setup = pytest.mark.parametrize("setup", EVERY_SETUP.values(), ids=EVERY_SETUP)
many = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def test_every_product_of_the_table_is_met_here_and_shows_all_it_supports() -> None:
    shown: dict[str, set[Feature]] = {}
    for setup in EVERY_SETUP.values():
        shown.setdefault(setup.product, set()).update(setup.shows)

    assert shown == {product.name: set(product.supports) for product in ROUTERS} | {"external": set(SUPPORTS)}


@every_setup
@given(data=st.data())
@many
def test_what_is_written_reads_back_as_the_wish(setup: Setup, data: st.DataObject) -> None:
    found = after(setup, data.draw(wishes(setup)), setup.start)
    wish = data.draw(wishes(setup))

    written = after(setup, wish, found)

    routed = setup.router.routed(written)
    assert routed is not None
    assert routed.says(wish), routed
    assert routed.canary + routed.stable + sum(backend.weight for backend in routed.experiments) == wish.maximum
    assert not setup.router.problems(written)


@every_setup
@given(data=st.data())
@many
def test_rendering_twice_changes_nothing(setup: Setup, data: st.DataObject) -> None:
    wish = data.draw(wishes(setup))

    once = after(setup, wish, setup.start)

    again = setup.router.render(wish, once)
    assert {**once, **again.apply} == once
    assert not again.absent & once.keys()


@every_setup
@given(data=st.data())
@many
def test_inputs_stay_as_they_were(setup: Setup, data: st.DataObject) -> None:
    found = after(setup, data.draw(wishes(setup)), setup.disturbed(data.draw(_json)))
    before = copy.deepcopy(found)

    setup.router.render(data.draw(wishes(setup)), found)
    setup.router.routed(found)
    setup.router.problems(found)

    assert found == before


@every_setup
@given(data=st.data())
@many
def test_somebody_elses_fields_survive_every_wish(setup: Setup, data: st.DataObject) -> None:
    noise = {"by": "somebody else", "value": data.draw(_json)}
    found = setup.disturbed(noise)

    written = after(setup, data.draw(wishes(setup)), found)

    assert _count(list(written.values()), noise) == _count(list(found.values()), noise) == len(setup.places)


@every_setup
@given(data=st.data())
@many
def test_a_wish_without_a_canary_restores_the_start(setup: Setup, data: st.DataObject) -> None:
    start = setup.disturbed(data.draw(_json))
    found = start
    for wish in data.draw(st.lists(wishes(setup), min_size=1, max_size=3)):
        found = after(setup, wish, found)

    rest = after(setup, setup.start_wish(), found)

    assert {ref: setup.without_ours(manifest) for ref, manifest in rest.items()} == {
        ref: setup.without_ours(manifest) for ref, manifest in start.items()
    }


@every_setup
def test_a_start_that_already_says_the_wish_stays_as_it_is(setup: Setup) -> None:
    written = after(setup, setup.start_wish(), setup.start)

    assert {ref: setup.without_ours(manifest) for ref, manifest in written.items()} == {
        ref: setup.without_ours(manifest) for ref, manifest in setup.start.items()
    }
    assert setup.router.render(setup.start_wish(), setup.start).warnings == ()


@every_setup
def test_missing_objects_are_told_by_name_and_never_guessed(setup: Setup) -> None:
    for ref in {*setup.router.reads(), *setup.start} - setup.creates - setup.unnamed:
        found = {known: manifest for known, manifest in setup.start.items() if known != ref}

        problems = setup.router.problems(found)

        assert [problem for problem in problems if str(ref) in str(problem)], problems
        routed = setup.router.routed(found)
        assert routed is None or not routed.uniform
        rendered, errors = render_all([setup.router], setup.wish(20), found)
        assert [error for error in errors if str(ref) in str(error)], errors
        written = [known for one in rendered.values() for known in one.apply if known not in setup.creates]
        unfound = setup.beyond.get(ref, frozenset()) | setup.only_read
        assert written == [known for known in setup.start if known in found and known not in unfound]


@every_setup
def test_an_object_that_the_router_makes_is_made_whenever_it_is_missing_and_is_the_rollouts(setup: Setup) -> None:
    complete = after(setup, setup.wish(20), setup.start)

    for ref in setup.creates & complete.keys():
        found = {known: manifest for known, manifest in complete.items() if known != ref}

        assert not setup.router.problems(found)
        routed = setup.router.routed(found)
        assert routed is not None
        assert not routed.says(setup.wish(20))
        assert after(setup, setup.wish(20), found) == complete
        (owner,) = complete[ref]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Rollout", "web", "uid-web", True)
        assert (complete[ref]["metadata"]["namespace"], complete[ref]["metadata"]["name"]) == (ref.namespace, ref.name)


@every_setup
def test_an_object_of_somebody_else_under_the_name_of_one_that_the_router_makes_is_told_and_left_alone(setup: Setup) -> None:
    complete = after(setup, setup.wish(20), setup.start)
    other = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "another", "controller": True}]
    owners = [(ref, found) for ref in setup.creates & complete.keys() for found in (other, []) if found or ref not in setup.orphans]

    for ref, owner in owners:
        found = {**complete, ref: {**complete[ref], "metadata": {**complete[ref]["metadata"], "ownerReferences": owner}}}

        assert [problem for problem in setup.router.problems(found) if str(ref) in str(problem)]
        rendered, errors = render_all([setup.router], setup.start_wish(), found)
        assert [error for error in errors if str(ref) in str(error)]
        assert all(ref not in one.apply and ref not in one.absent for one in rendered.values())


@pytest.mark.parametrize(
    "setup", [each for each in SETUPS.values() if each.orphans], ids=[name for name, each in SETUPS.items() if each.orphans]
)
def test_what_the_reference_made_without_an_owner_is_taken_over_as_it_stands_and_goes_in_the_end(setup: Setup) -> None:
    complete = after(setup, setup.wish(20), setup.start)

    for ref in setup.orphans & complete.keys():
        metadata = {key: value for key, value in complete[ref]["metadata"].items() if key != "ownerReferences"}
        found = {**complete, ref: {**complete[ref], "metadata": metadata}}

        assert not setup.router.problems(found)
        routed = setup.router.routed(found)
        assert routed is not None
        assert routed.canary == 20
        assert after(setup, setup.wish(20), found) == complete
        assert ref not in after(setup, setup.start_wish(), found)


@every_setup
@given(data=st.data())
@many
def test_malformed_objects_are_told_and_crash_nothing(setup: Setup, data: st.DataObject) -> None:
    complete = after(setup, setup.wish(20), setup.start)
    ref = data.draw(st.sampled_from(sorted(complete)))
    found = {**complete, ref: _broken(data, complete[ref])}

    setup.router.routed(found)
    problems = setup.router.problems(found)

    _, errors = render_all([setup.router], setup.wish(20), found)
    assert problems or not errors


# --- what a router cannot do ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesser:
    """A router that can do less: it promises the same otherwise."""

    whole: Router
    lacks: Feature

    @property
    def name(self) -> str:
        return "lesser"

    @property
    def supports(self) -> frozenset[Feature]:
        return self.whole.supports - {self.lacks}

    def reads(self) -> Sequence[Ref]:
        return self.whole.reads()

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        return self.whole.problems(found)

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        return self.whole.routed(found)

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        if self.lacks is Feature.WEIGHTS:
            raise SpecError(field="lesser", found=None, wanted="an object that is there")
        return self.whole.render(wish, found)


def test_taking_a_header_route_away_needs_a_router_that_could_add_one() -> None:
    subject = istio_rollout({"virtualService": {"name": "web"}}, steps=[{"setHeaderRoute": {"name": MANAGED[0]}}])
    headers = (Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX)
    lesser: Router = SETUPS["istio by subset"].router

    refused = []
    for feature in headers:
        lesser = Lesser(lesser, feature)
        refused.append([error.field for error in lacking(lesser, subject)])

    assert refused == [[], [], ["spec.strategy.steps[0].setHeaderRoute"]]


# --- several routers (S7) -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_every_router_is_asked_even_when_one_fails(order: int) -> None:
    setup = SETUPS["istio by host"]
    failing = Lesser(setup.router, Feature.WEIGHTS)
    wish = setup.wish(20)

    rendered, errors = render_all([failing, setup.router][::order], wish, setup.start)

    assert rendered == {"istio": setup.router.render(wish, setup.start)}
    assert errors == (SpecError(field="lesser", found=None, wanted="an object that is there"),)


@given(data=st.data())
@many
def test_routers_that_got_the_same_wish_say_it_together(data: st.DataObject) -> None:
    setup = SETUPS["istio by host"]
    wish, other = data.draw(wishes(setup)), data.draw(wishes(setup))
    written = setup.router.routed(after(setup, wish, setup.start))
    behind = setup.router.routed(after(setup, other, setup.start))
    assert written is not None
    assert behind is not None

    together, apart, unknown = combine([written, written]), combine([written, behind]), combine([None, written])

    assert together is not None
    assert together.says(wish)
    assert apart is not None
    assert apart.says(wish) == written.says(other)
    assert apart.canary == max(written.canary, behind.canary)
    assert apart.stable == max(written.stable, behind.stable)
    assert {route.name for route in apart.header_routes} == {route.name for one in (wish, other) for route in one.header_routes}
    assert unknown is not None
    assert not unknown.says(wish)
    assert combine([None]) is None


# --- real schemas ---------------------------------------------------------------------------------------------------------------

_SCHEMAS = {
    ("split.smi-spec.io", "TrafficSplit"): ("smi/split.yaml", "trafficsplits.split.smi-spec.io", "v1alpha4"),
    ("specs.smi-spec.io", "HTTPRouteGroup"): ("smi/httproutegroup.yaml", "httproutegroups.specs.smi-spec.io", "v1alpha4"),
    **{
        ("gateway.networking.k8s.io", f"{kind}Route"): (
            f"gateway-api/{kind.lower()}routes.yaml",
            f"{kind.lower()}routes.gateway.networking.k8s.io",
            "v1",
        )
        for kind in ("HTTP", "GRPC", "TLS", "TCP")
    },
    ("getambassador.io", "Mapping"): ("emissary/all.yaml", "mappings.getambassador.io", ""),
    ("apisix.apache.org", "ApisixRoute"): ("apisix/apisixroutes.yaml", "apisixroutes.apisix.apache.org", "v2"),
    ("networking.istio.io", "VirtualService"): ("istio/all.yaml", "virtualservices.networking.istio.io", "v1"),
    ("networking.istio.io", "DestinationRule"): ("istio/all.yaml", "destinationrules.networking.istio.io", "v1"),
    ("traefik.io", "TraefikService"): ("traefik/all.yaml", "traefikservices.traefik.io", "v1alpha1"),
    ("traefik.io", "IngressRoute"): ("traefik/all.yaml", "ingressroutes.traefik.io", "v1alpha1"),
    ("traefik.io", "IngressRouteTCP"): ("traefik/all.yaml", "ingressroutetcps.traefik.io", "v1alpha1"),
    # Traefik 2 is not described there; what we write in its group has the same form.
    ("traefik.containo.us", "TraefikService"): ("traefik/all.yaml", "traefikservices.traefik.io", "v1alpha1"),
    ("traefik.containo.us", "IngressRoute"): ("traefik/all.yaml", "ingressroutes.traefik.io", "v1alpha1"),
}

_UNDESCRIBED = {
    ("networking.k8s.io/v1", "Ingress"),
    ("split.smi-spec.io/v1alpha1", "TrafficSplit"),
    ("routers.tiphys.dev/v1", EXTERNAL),
    *(("appmesh.k8s.aws/v1beta2", kind) for kind in ("VirtualService", "VirtualRouter", "VirtualNode")),
}
"""
What no CRD describes: the development cluster judges Ingresses, in the scenarios; the first TrafficSplits had no schema; App Mesh's
definitions are not among the material.; what is said to routers in other processes is judged by `tests/contract/plugins`.
"""


@cache
def _validator(group: str, kind: str, written: str) -> jsonschema.Draft202012Validator:
    """Give the schema's validator; a kind without a version here is judged in the one that it is *written* in."""
    file, plural, version = _SCHEMAS[group, kind]
    return jsonschema.Draft202012Validator(crd_schema(file, plural, version or written))


@pytest.mark.skipif(not CRDS.exists(), reason="the products' own CRDs are not part of this repository")
@every_setup
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_everything_written_is_valid_against_the_products_own_schema(setup: Setup, data: st.DataObject) -> None:
    wish = data.draw(wishes(setup))

    for ref, manifest in after(setup, wish, setup.start).items():
        if (manifest["apiVersion"], manifest["kind"]) not in _UNDESCRIBED:
            _validator(ref.group, ref.kind, manifest["apiVersion"].partition("/")[2]).validate(manifest)


# --- looking into JSON ----------------------------------------------------------------------------------------------------------


def _count(value: object, wanted: object) -> int:
    if value == wanted:
        return 1
    if isinstance(value, dict):
        return sum(_count(inner, wanted) for inner in value.values())
    return sum(_count(inner, wanted) for inner in value) if isinstance(value, list) else 0


def _broken(data: st.DataObject, value: Manifest) -> Manifest:
    """Put any JSON value in the place of any other, below the kind and the name."""
    path = data.draw(st.sampled_from([path for path in _paths(value) if path[0] in {"spec", "metadata"}]))
    return _replaced(value, path, data.draw(_json))


def _paths(value: object) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, below in inner for path in ((key,), *((key, *rest) for rest in _paths(below)))]


def _replaced(value: Manifest, path: tuple[str | int, ...], new: object) -> Manifest:
    copied = copy.deepcopy(value)
    place: dict[str | int, object] = copied  # type: ignore[assignment]  # a list takes its indexes the same way
    for key in path[:-1]:
        place = place[key]  # type: ignore[assignment]  # the path exists
    place[path[-1]] = new
    return copied
