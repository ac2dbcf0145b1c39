"""Which routers does a Rollout get, and what is refused?"""

from functools import partial

from builders import rollout
from routers import MANAGED, istio_rollout, strategy
from tiphys.api.rollout import Rollout
from tiphys.plugins.router import external_router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import ROUTERS, routers_of, unsupported


def routed(**routing: object) -> Rollout:
    return rollout(strategy=strategy(canaryService="c", stableService="s", trafficRouting=routing))


def test_a_plugin_that_nobody_knows_is_refused_with_what_to_do() -> None:
    (refused,) = unsupported(routed(plugins={"example/router": {}}))

    assert str(refused) == (
        'spec.strategy.canary.trafficRouting.plugins[example/router]: Invalid value: "example/router": '
        "no router of this name is known to the controller. Binaries of the ConfigMap argo-rollouts-config are not run: let the router "
        "run as a service and start the controller with --router-plugin NAME=URL (docs/external-routers.md); "
        "known here: argoproj-labs/gatewayAPI"
    )


def test_a_plugin_of_the_operator_is_known_and_comes_after_the_built_in_routers() -> None:
    subject = routed(istio={"virtualService": {"name": "web"}}, plugins={"z/router": {}, "a/router": {}})
    external = {name: partial(external_router, name) for name in ("a/router", "z/router", "never/named")}

    routers = routers_of(subject, settings=Settings(external=external))

    assert [router.name for router in routers] == ["istio", "a/router", "z/router"]
    assert unsupported(subject, routers) == ()


def test_no_router_needs_nothing() -> None:
    for subject in (rollout(20), routed(), rollout(strategy=strategy())):
        assert routers_of(subject, settings=Settings()) == ()
        assert unsupported(subject) == ()


def test_every_field_that_a_router_cannot_serve_is_named() -> None:
    subject = istio_rollout({"virtualService": {"name": "web"}}, canaryService="", stableService="")

    assert [str(error) for error in unsupported(subject)] == [
        'spec.strategy.stableService: Required value: the router "istio" cannot do this: subsets without Services'
    ]


def test_what_a_router_can_do_is_not_refused() -> None:
    value = {"headerName": "x-beta", "headerValue": {"regex": ".*"}}
    steps = [
        {"setHeaderRoute": {"name": MANAGED[0], "match": [value]}},
        {"setHeaderRoute": {"name": MANAGED[0]}},
        {"setMirrorRoute": {"name": MANAGED[1], "match": [{}]}},
        {"experiment": {"templates": [{"name": "a", "specRef": "canary", "weight": 5}]}},
        {"setHeaderRoute": {"name": MANAGED[2], "match": [{"headerName": "x"}]}},
    ]

    assert unsupported(istio_rollout({"virtualService": {"name": "web"}}, steps=steps)) == ()


def test_the_table_names_each_product_once_and_a_router_never_claims_more_than_its_line() -> None:
    names = [product.name for product in ROUTERS]
    (router,) = routers_of(istio_rollout({"virtualService": {"name": "web"}}), settings=Settings())

    assert len(set(names)) == len(names)
    assert router.supports <= next(product.supports for product in ROUTERS if product.name == router.name)
