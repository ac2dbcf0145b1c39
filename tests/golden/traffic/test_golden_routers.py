from typing import Any

import msgspec
import pytest

from goldens import Case, Golden, cases
from routers import router_for
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import TrafficIntent
from tiphys.traffic.router import Ref
from tiphys.traffic.settings import Settings


@pytest.mark.parametrize("case", cases("traffic/istio"), ids=str)
def test_istio(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/traefik"), ids=str)
def test_traefik(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/nginx"), ids=str)
def test_nginx(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/alb"), ids=str)
def test_alb(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/apisix"), ids=str)
def test_apisix(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/gateway"), ids=str)
def test_gateway(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/smi"), ids=str)
def test_smi(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/ambassador"), ids=str)
def test_ambassador(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


@pytest.mark.parametrize("case", cases("traffic/appmesh"), ids=str)
def test_app_mesh(case: Case, golden: Golden) -> None:
    golden(case, _written(case))


def _written(case: Case) -> Manifest:
    """Each input is a Rollout, the objects it finds, and the wishes that are written one after the other."""
    first, *objects, asked = case.given()
    rollout = msgspec.json.decode(msgspec.json.encode(first), type=Rollout)
    settings = Settings(istio_inherit=bool(_map(asked).get("inherit")), smi_version=_map(asked).get("smi_version", "v1alpha1"))
    router = router_for(rollout, settings)
    found = {_ref(_map(manifest), rollout.metadata.namespace): _map(manifest) for manifest in objects}
    told: list[str] = []

    for wish in _map(asked)["wishes"]:
        rendered = router.render(_intent(wish, rollout), found)
        found = {ref: manifest for ref, manifest in {**found, **rendered.apply}.items() if ref not in rendered.absent}
        told += rendered.warnings

    return {"objects": list(found.values()), "warnings": told, "problems": [str(problem) for problem in router.problems(found)]}


def _intent(wish: Manifest, rollout: Rollout) -> TrafficIntent:
    canary = rollout.spec.strategy.canary
    routing = None if canary is None else canary.traffic_routing
    managed = [] if routing is None else [route.name for route in routing.managed_routes]
    return msgspec.convert({"managed": managed, **wish}, TrafficIntent)


def _ref(manifest: Manifest, namespace: str) -> Ref:
    metadata = manifest["metadata"]
    return Ref(
        group=manifest["apiVersion"].partition("/")[0],
        kind=manifest["kind"],
        namespace=metadata.get("namespace", namespace),
        name=metadata["name"],
    )


def _map(value: object) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value
