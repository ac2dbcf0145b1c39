"""Which Service plays which part?"""

import pytest

from tiphys.api.rollout import AlbRouting, CanaryStrategy, IstioRouting, PingPong, TrafficRouting
from tiphys.core.pairs import Pair, alternates, backends, exchanged, ping_pong_pair

PING_PONG = PingPong(ping_service="ping", pong_service="pong")
ISTIO = TrafficRouting(istio=IstioRouting())


@pytest.mark.parametrize(
    ("stored", "pair"),
    [
        ("ping", Pair(stable="ping", canary="pong")),
        ("pong", Pair(stable="pong", canary="ping")),
        ("", Pair(stable="pong", canary="ping")),
        ("Ping", Pair(stable="pong", canary="ping")),
    ],
)
def test_anything_but_ping_means_that_pong_is_stable(stored: str, pair: Pair) -> None:
    canary = CanaryStrategy(ping_pong=PING_PONG, traffic_routing=ISTIO)

    assert backends(canary, stored) == ping_pong_pair(canary, stored) == pair


@pytest.mark.parametrize(("stored", "then"), [("ping", "pong"), ("pong", "ping"), ("", "ping"), ("nonsense", "ping")])
def test_a_promotion_exchanges_the_roles_and_the_first_one_makes_ping_stable(stored: str, then: str) -> None:
    assert exchanged(stored) == then


@pytest.mark.parametrize(
    ("canary", "wanted"),
    [
        (CanaryStrategy(traffic_routing=ISTIO, stable_service="stable", canary_service="canary"), False),
        (CanaryStrategy(ping_pong=PING_PONG, traffic_routing=ISTIO), True),
        (CanaryStrategy(ping_pong=PING_PONG, traffic_routing=ISTIO, stable_service="stable", canary_service="canary"), False),
        (CanaryStrategy(ping_pong=PING_PONG, traffic_routing=ISTIO, stable_service="stable"), False),
        (CanaryStrategy(ping_pong=PING_PONG, traffic_routing=TrafficRouting(alb=AlbRouting()), stable_service="stable"), True),
    ],
    ids=["named only", "ping-pong only", "both", "one of both", "both with ALB"],
)
def test_ping_pong_are_the_backends_where_nothing_else_is_named_and_always_with_alb(canary: CanaryStrategy, *, wanted: bool) -> None:
    assert alternates(canary) is wanted
    assert backends(canary, "ping") == (
        Pair(stable="ping", canary="pong") if wanted else Pair(stable=canary.stable_service, canary=canary.canary_service)
    )
