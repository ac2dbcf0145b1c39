"""Which Service plays which part now? (Traffic-routing reference 2.4)"""

from dataclasses import dataclass
from typing import Final

from tiphys.api.rollout import CanaryStrategy

PING: Final = "ping"
PONG: Final = "pong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The names of two Services by role; empty where the Rollout names none."""

    stable: str
    canary: str


def alternates(canary: CanaryStrategy) -> bool:
    """
    Tell whether the routers' backends are the ping-pong Services, which exchange their roles at every promotion.

    That is so where neither `canaryService` nor `stableService` is named, and with ALB always.
    """
    if canary.ping_pong is None:
        return False
    routing = canary.traffic_routing
    return (routing is not None and routing.alb is not None) or not (canary.canary_service or canary.stable_service)


def backends(canary: CanaryStrategy, stable_ping_pong: str) -> Pair:
    """Name the Services that the routers send traffic to; *stable_ping_pong* is the value of the status."""
    if alternates(canary):
        return ping_pong_pair(canary, stable_ping_pong)
    return Pair(stable=canary.stable_service, canary=canary.canary_service)


def exchanged(stable_ping_pong: str) -> str:
    """Give the value of the status after a promotion: what was the canary's Service is the stable one."""
    return PONG if stable_ping_pong == PING else PING


def ping_pong_pair(canary: CanaryStrategy, stable_ping_pong: str) -> Pair:
    """Name the ping-pong Services, whoever uses them: anything but `ping` in the status means that pong is stable."""
    if canary.ping_pong is None:
        return Pair(stable="", canary="")
    ping, pong = canary.ping_pong.ping_service, canary.ping_pong.pong_service
    return Pair(stable=ping, canary=pong) if stable_ping_pong == PING else Pair(stable=pong, canary=ping)
