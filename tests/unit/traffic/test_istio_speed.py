"""Is a wish rendered fast enough for a VirtualService with many routes? (Measured against reading the same object.)"""

import json
import timeit
from collections.abc import Callable

import pytest

from routers import CANARY, STABLE, VIRTUAL_SERVICE, istio_rollout, router_for, virtual_service
from tiphys.api.meta import Manifest
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, Role, TextMatch, TrafficIntent


def big(routes: int) -> Manifest:
    found = virtual_service("hosts: [web]")
    found["spec"]["http"] = [
        {
            "name": f"route-{index}",
            "match": [{"uri": {"prefix": f"/{index}"}}],
            "timeout": "5s",
            "route": [{"destination": {"host": f"service-{index}-{side}", "port": {"number": 80}}, "weight": 50} for side in "ab"],
        }
        for index in range(routes - 1)
    ]
    ours = [{"destination": {"host": host}, "weight": weight} for host, weight in ((STABLE, 100), (CANARY, 0))]
    found["spec"]["http"].insert(routes // 2, {"name": "main", "route": ours})
    return found


def seconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=3, repeat=15)) / 3


@pytest.mark.parametrize("named", [{"routes": ["main"]}, {}], ids=["named", "inferred"])
@pytest.mark.parametrize("routes", [200, 1000])
def test_rendering_costs_no_more_than_reading_the_object_twice(routes: int, named: Manifest) -> None:
    router = router_for(istio_rollout({"virtualService": {"name": "web", **named}}))
    found = {VIRTUAL_SERVICE: big(routes)}
    text = json.dumps(found[VIRTUAL_SERVICE])
    beta = HeaderRoute(name="first", any_of=(HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value="1")),))
    stable, canary = Backend(role=Role.STABLE, service=STABLE, weight=80), Backend(role=Role.CANARY, service=CANARY, weight=20)
    wish = TrafficIntent(backends=(stable, canary), header_routes=(beta,), managed=("first",))

    assert seconds(lambda: router.render(wish, found)) < 2 * seconds(lambda: json.loads(text))
