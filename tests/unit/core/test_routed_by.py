"""Through which routers was a Rollout steered?"""

import msgspec
import pytest

from builders import rollout
from tiphys.api import names
from tiphys.api.rollout import CanaryStrategy, IstioRouting, IstioVirtualService, ManagedRoute, NginxRouting, Rollout, TrafficRouting
from tiphys.core.actions import UpdateRollout
from tiphys.core.routed_by import earlier_routers, present_routers, record, recorded_routers, with_routers

ISTIO = TrafficRouting(istio=IstioRouting(virtual_service=IstioVirtualService(name="web")))
NGINX = TrafficRouting(nginx=NginxRouting(stable_ingress="shop"))


def subject(routing: TrafficRouting | None, annotation: str | None = None) -> Rollout:
    strategy = CanaryStrategy(canary_service="canary", stable_service="stable", traffic_routing=routing)
    return rollout(strategy=strategy, annotations={} if annotation is None else {names.ROUTED_BY: annotation})


def said(*routings: TrafficRouting) -> str:
    parts = [present_routers(subject(routing)) for routing in routings]
    written = record([part for part in parts if part is not None])
    assert written is not None
    return written


def test_the_part_of_the_spec_that_leads_to_route_objects_is_remembered() -> None:
    assert present_routers(subject(ISTIO)) == {
        "canaryService": "canary",
        "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
    }


@pytest.mark.parametrize("routing", [None, TrafficRouting(), TrafficRouting(managed_routes=(ManagedRoute(name="beta"),))])
def test_without_a_router_there_is_nothing_to_remember(routing: TrafficRouting | None) -> None:
    assert present_routers(subject(routing)) is None
    assert with_routers(subject(routing), None, routes=True) is None


def test_it_is_written_with_the_revision_or_before_a_route_and_never_by_itself() -> None:
    there = subject(ISTIO)
    revision = UpdateRollout(annotations={names.REVISION: "1"})

    assert with_routers(there, None, routes=False) is None
    assert with_routers(there, None, routes=True) == UpdateRollout(annotations={names.ROUTED_BY: said(ISTIO)})
    assert with_routers(there, revision, routes=False) == UpdateRollout(annotations={names.REVISION: "1", names.ROUTED_BY: said(ISTIO)})
    assert with_routers(subject(ISTIO, said(ISTIO)), None, routes=True) is None


def test_an_earlier_router_stays_remembered_beside_the_present_one() -> None:
    there = subject(NGINX, said(ISTIO))

    note = with_routers(there, None, routes=True)

    assert earlier_routers(there) == tuple(msgspec.json.decode(said(ISTIO)))
    assert note == UpdateRollout(annotations={names.ROUTED_BY: said(NGINX, ISTIO)})


def test_other_managed_routes_are_no_other_router() -> None:
    named = msgspec.structs.replace(ISTIO, managed_routes=(ManagedRoute(name="beta"),))

    assert earlier_routers(subject(named, said(ISTIO))) == ()
    assert with_routers(subject(named, said(ISTIO)), None, routes=True) == UpdateRollout(annotations={names.ROUTED_BY: said(named)})


@pytest.mark.parametrize("written", ["", "nothing", "5", "[7]", "{}", '[{"trafficRouting": []}]'])
def test_what_is_no_record_says_nothing(written: str) -> None:
    assert recorded_routers(subject(ISTIO, written)) == ()
