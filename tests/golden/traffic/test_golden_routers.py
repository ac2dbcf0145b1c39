from typing import Any

import msgspec
import pytest

from goldens import Case, Golden, cases
from routers import router_for
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import TrafficIntent
from tiphys.traffic.istio import GROUP
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings


@pytest.mark.parametrize("case", cases("traffic/istio"), ids=str)
def test_istio(case: Case, golden: Golden) -> None:
    """Each input is a Rollout, the objects it finds, and the wishes that are written one after the other."""
    first, *objects, asked = case.given()
    rollout = msgspec.convert(first, Rollout)
    router = router_for(rollout, Settings(istio_inherit=bool(_map(asked).get("inherit"))))
    found = {_ref(_map(manifest), rollout.metadata.namespace): _map(manifest) for manifest in objects}
    told: list[str] = []

    for wish in _map(asked)["wishes"]:
        rendered = router.render(_intent(wish, router, rollout), found)
        found |= rendered.apply
        told += rendered.warnings

    golden(case, {"objects": list(found.values()), "warnings": told, "problems": [str(problem) for problem in router.problems(found)]})


def _intent(wish: Manifest, router: Router, rollout: Rollout) -> TrafficIntent:
    canary = rollout.spec.strategy.canary
    routing = None if canary is None else canary.traffic_routing
    managed = [] if routing is None else [route.name for route in routing.managed_routes]
    assert router.name == "istio"
    return msgspec.convert({"managed": managed, **wish}, TrafficIntent)


def _ref(manifest: Manifest, namespace: str) -> Ref:
    metadata = manifest["metadata"]
    return Ref(group=GROUP, kind=manifest["kind"], namespace=metadata.get("namespace", namespace), name=metadata["name"])


def _map(value: object) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value
