"""Which routers can the demo use, and does it ask them only for what they can do?"""

import pytest

from tiphys.core.intent import Feature
from tiphys.demo.app import SCRIPTS, objects
from tiphys.demo.entrances import ENTRANCES, RouterError, chosen
from tiphys.demo.routing import fitting
from tiphys.devcluster.proxies.planes import PLANES
from tiphys.traffic.table import ROUTERS

ABORT = SCRIPTS["abort"]
KNOWN = {product.name: product for product in ROUTERS}


def test_every_entrance_has_a_plane_in_the_development_cluster() -> None:
    assert set(ENTRANCES) <= set(PLANES)


@pytest.mark.parametrize("name", ENTRANCES)
def test_a_router_routes_by_header_where_it_can_and_is_refused_where_there_is_none(name: str) -> None:
    entrance = ENTRANCES[name]
    if entrance.product not in KNOWN:
        with pytest.raises(RouterError, match=f"trafficRouting.{entrance.product}"):
            fitting(ABORT, [entrance])
        return

    can = Feature.HEADER_EXACT in KNOWN[entrance.product].supports

    assert fitting(ABORT, [entrance]).routes_headers is can


def test_two_routers_do_what_both_can() -> None:
    for name, entrance in ENTRANCES.items():
        if entrance.product in KNOWN and name != "istio":
            together = fitting(ABORT, chosen(["istio", name]))
            assert together.routes_headers is fitting(ABORT, [entrance]).routes_headers


def test_routers_share_what_both_need() -> None:
    made = objects(SCRIPTS["promote"], chosen(["smi", "alb", "istio"]))

    names = [(each["kind"], each["metadata"]["name"]) for each in made]
    assert len(names) == len(set(names))
    assert names.count(("Service", "rollouts-demo")) == 1
    assert set(made[-1]["spec"]["strategy"]["canary"]["trafficRouting"]) == {"smi", "alb", "istio"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("linkerd", "router: found 'linkerd', wanted one or several of istio, traefik, gateway, nginx, ambassador, apisix, smi, alb"),
        ("appMesh", "nothing that serves its objects runs outside of AWS"),
    ],
)
def test_a_router_that_the_demo_lacks_is_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(RouterError, match=words):
        chosen(["istio", name])
