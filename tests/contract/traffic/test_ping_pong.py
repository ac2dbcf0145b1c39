"""With ping-pong a promotion exchanges roles, and no object changes for it (traffic-routing reference 2.4)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from routers import (
    PING_PONG,
    SETUPS,
    Objects,
    Setup,
    apisix_rollout,
    gateway_rollout,
    istio_rollout,
    nginx_rollout,
    router_for,
    smi_rollout,
    traefik_rollout,
)
from routers_alb import alb_rollout
from tiphys.api.rollout import Rollout
from tiphys.api.status import CanaryStatus, RolloutStatus
from tiphys.core.intent import Backend, Feature, Role, TrafficIntent
from tiphys.traffic.router import Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import ROUTERS, unsupported

_ROLLOUTS: dict[str, Callable[[], Rollout]] = {
    "istio with ping-pong and inheritance": lambda: istio_rollout({"virtualService": {"name": "web"}}, **PING_PONG),
    "traefik with ping-pong": lambda: traefik_rollout(**PING_PONG),
    "apisix with ping-pong": lambda: apisix_rollout(**PING_PONG),
    "smi with ping-pong": lambda: smi_rollout({"rootService": "web"}, **PING_PONG),
    "alb with ping-pong": lambda: alb_rollout({"rootService": "web-root", "annotationPrefix": "lb.example"}, **PING_PONG),
    "gateway with ping-pong": lambda: gateway_rollout({"httpRoutes": [{"name": "web-mesh"}]}, **PING_PONG),
}


def router(name: str, stable: str) -> Router:
    """Give the router of a Rollout whose *stable* Service is `ping` or `pong`."""
    status = RolloutStatus(canary=CanaryStatus(stable_ping_pong=stable))
    return router_for(msgspec.structs.replace(_ROLLOUTS[name](), status=status), Settings(istio_inherit=True, smi_version="v1alpha4"))


def wish(stable: str, weight: int) -> TrafficIntent:
    """Give *weight* to the canary, which is whatever is not *stable*."""
    canary = {"ping": "pong", "pong": "ping"}[stable]
    return TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=f"web-{stable}", pod_hash="55c4", weight=100 - weight),
            Backend(role=Role.CANARY, service=f"web-{canary}", pod_hash="7d9f", weight=weight),
        )
    )


def written(asked: Router, wished: TrafficIntent, found: Objects) -> Objects:
    rendered = asked.render(wished, found)
    return {ref: manifest for ref, manifest in {**found, **rendered.apply}.items() if ref not in rendered.absent}


@pytest.mark.parametrize("name", _ROLLOUTS)
def test_three_promotions_exchange_roles_and_change_no_object(name: str) -> None:
    setup: Setup = SETUPS[name]
    found: Objects = setup.start
    for stable, then in (("pong", "ping"), ("ping", "pong"), ("pong", "ping")):
        for weight in (0, 20, 100):
            found = written(router(name, stable), wish(stable, weight), found)
            said = router(name, stable).routed(found)
            assert said is not None
            assert said.says(wish(stable, weight))

        after = router(name, then).routed(found)

        assert after is not None
        assert after.says(wish(then, 0))
        assert written(router(name, then), wish(then, 0), found) == found
        assert not router(name, then).problems(found)


@pytest.mark.parametrize("name", _ROLLOUTS)
def test_a_wish_whose_roles_the_status_does_not_know_yet_is_written_by_its_own(name: str) -> None:
    found = written(router(name, "pong"), wish("pong", 0), SETUPS[name].start)

    ahead = written(router(name, "pong"), wish("ping", 30), found)

    assert ahead == written(router(name, "ping"), wish("ping", 30), found)


def test_every_router_that_claims_ping_pong_is_here() -> None:
    products = {SETUPS[name].product for name in _ROLLOUTS}

    assert products == {product.name for product in ROUTERS if Feature.PING_PONG in product.supports}


def test_a_router_whose_main_object_names_one_service_for_ever_refuses_ping_pong() -> None:
    (error,) = unsupported(nginx_rollout(**PING_PONG))

    assert (error.field, error.wanted) == ("spec.strategy.pingPong", 'the router "nginx" cannot do this: ping-pong')


@pytest.mark.parametrize("beside", [{"rootService": ""}, {"rootService": "web-ping"}, {"rootService": "web-pong"}])
def test_smi_needs_a_third_service_to_be_split(beside: dict[str, Any]) -> None:
    (problem,) = router_for(smi_rollout(beside, **PING_PONG)).problems({})

    assert problem.field == "spec.strategy.canary.trafficRouting.smi.rootService"


def test_istio_refuses_subsets_beside_ping_pong() -> None:
    rule = {"name": "web", "stableSubsetName": "stable", "canarySubsetName": "canary"}
    (problem, *_) = router_for(istio_rollout({"virtualService": {"name": "web"}, "destinationRule": rule}, **PING_PONG)).problems({})

    assert problem.field == "spec.strategy.canary.trafficRouting.istio.destinationRule"
    assert "beside pingPong" in problem.wanted
