"""Which routers does a Rollout get, and what is refused?"""

import pytest

from builders import rollout
from routers import MANAGED, istio_rollout, strategy
from tiphys.api.rollout import Rollout
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import ROUTERS, routers_of, unsupported

NOT_YET: dict[str, dict[str, object]] = {
    "plugins[example/router]": {"plugins": {"example/router": {}}},
}


def routed(**routing: object) -> Rollout:
    return rollout(strategy=strategy(canaryService="c", stableService="s", trafficRouting=routing))


@pytest.mark.parametrize(("field", "routing"), NOT_YET.items(), ids=NOT_YET)
def test_a_product_that_is_not_in_the_table_is_refused_by_name(field: str, routing: dict[str, object]) -> None:
    subject = routed(istio={"virtualService": {"name": "web"}}, **routing)

    (refused,) = unsupported(subject)

    assert [router.name for router in routers_of(subject, settings=Settings())] == ["istio"]
    assert str(refused) == (
        f'spec.strategy.canary.trafficRouting.{field}: Invalid value: "{field}": '
        "this version of Tiphys does not support this router; it supports: " + ", ".join(sorted(product.field for product in ROUTERS))
    )


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
