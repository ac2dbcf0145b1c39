"""What is told of, read from and written to a TraefikService?"""

from typing import Any

import pytest

from builders import rollout, template
from routers import TRAEFIK_SERVICE, router_for, strategy, traefik_rollout, traefik_service
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.core.intent import Backend, Role, Routed, TrafficIntent
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.traefik import traefik_router

FIELD = "spec.strategy.canary.trafficRouting.traefik.weightedTraefikServiceName"
BOTH = "[{name: web-stable, port: 80, weight: 100}, {name: web-canary, port: 80, weight: 0}]"
EXPERIMENT_STEP = {"experiment": {"templates": [{"name": "a", "specRef": "canary", "weight": 5}]}}


def wish(canary: int, *experiments: str) -> TrafficIntent:
    return TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service="web-stable", weight=100 - canary - 10 * len(experiments)),
            Backend(role=Role.CANARY, service="web-canary", weight=canary),
            *(Backend(role=Role.EXPERIMENT, service=name, weight=10) for name in experiments),
        )
    )


def with_ports(*ports: Manifest) -> Router:
    given = traefik_rollout()
    return router_for(rollout(strategy=given.spec.strategy, pod_template=template(containers=[{"name": "web", "ports": list(ports)}])))


def services_after(router: Router, asked: TrafficIntent, services: str = BOTH) -> Any:  # noqa: ANN401  any JSON value
    found = {TRAEFIK_SERVICE: traefik_service(services)}
    return router.render(asked, found).apply[TRAEFIK_SERVICE]["spec"]["weighted"]["services"]


# --- problems -------------------------------------------------------------------------------------------------------------------


def told(services: str, **fields: object) -> list[str]:
    return [str(problem) for problem in router_for(traefik_rollout(**fields)).problems({TRAEFIK_SERVICE: traefik_service(services)})]


def about(what: str) -> list[str]:
    return [f'{FIELD}: Invalid value: "web": TraefikService default/web: {what}']


def test_a_list_with_both_services_is_enough() -> None:
    assert told(BOTH) == []


def test_a_missing_traefik_service_is_told() -> None:
    assert [str(problem) for problem in router_for(traefik_rollout()).problems({})] == [
        f'{FIELD}: Invalid value: "web": must name an existing TraefikService (TraefikService default/web)'
    ]


def test_a_missing_name_is_told_and_nothing_is_read() -> None:
    router = router_for(traefik_rollout(trafficRouting={"traefik": {}}))

    assert router.reads() == []
    assert [str(problem) for problem in router.problems({})] == [f"{FIELD}: Required value: needs the name of a TraefikService"]
    assert [str(error) for error in router.render(wish(20), {}).errors] == [f"{FIELD}: Required value: needs the name of a TraefikService"]


@pytest.mark.parametrize(
    ("services", "problem"),
    [
        ("[{name: web-stable}]", 'spec.weighted.services: Required value: needs the canary\'s (name "web-canary")'),
        ("[{name: web-canary}]", 'spec.weighted.services: Required value: needs the stable one (name "web-stable")'),
        (
            "[{name: web-stable}, {name: web-canary}, {name: web-canary}]",
            'spec.weighted.services: Invalid value: "2 destinations": must have exactly one that is the canary\'s (name "web-canary")',
        ),
        ("[{port: 80}]", "spec.weighted.services[0].name: Required value: must name a Service"),
        (
            "[{name: web-stable, weight: heavy}]",
            'spec.weighted.services[0].weight: Invalid value: "heavy": must be a whole number, at least 0',
        ),
        ("{name: web-stable}", "spec.weighted.services: Invalid value: \"{'name': 'web-stable'}\": must be a list"),
        ("[web-stable]", 'spec.weighted.services[0]: Invalid value: "web-stable": must be a map'),
    ],
)
def test_a_list_that_cannot_carry_the_weights_is_told_with_its_place(services: str, problem: str) -> None:
    assert told(services) == about(problem)


def test_an_experiment_beside_nested_traefik_services_is_told_before_its_step() -> None:
    nested = "[{name: web-stable, port: 80}, {name: web-canary, kind: TraefikService}]"

    assert told(nested) == []
    assert told(nested, steps=[EXPERIMENT_STEP]) == about(
        'spec.weighted.services[1].kind: Invalid value: "TraefikService": must be a Service for experiments to be reached likewise'
    )


def test_an_experiment_whose_port_cannot_be_told_is_told() -> None:
    router = with_ports({"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000})

    (error,) = router.render(wish(20, "exp"), {TRAEFIK_SERVICE: traefik_service(BOTH)}).errors

    assert "services[1].port: Invalid value: 80: must be one of the containers' ports (8080, 9000)" in str(error)


def test_a_rollout_without_the_block_has_no_such_router() -> None:
    with pytest.raises(ValueError, match="no Traefik router"):
        traefik_router(rollout(strategy=strategy()), Settings())


# --- reading --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "routed"),
    [
        ((80, 20), Routed(stable=80, canary=20)),
        ((4, 1), Routed(stable=80, canary=20)),
        ((2, 1), Routed(stable=66, canary=34, uniform=False)),
        ((None, None), Routed(stable=50, canary=50)),
        ((0, 0), Routed(stable=100, canary=0, uniform=False)),
        ((70, 20, 10), Routed(stable=80, canary=20)),
        ((100, None, 0), Routed(stable=98, canary=1, uniform=False)),
    ],
)
def test_weights_are_read_as_shares(weights: tuple[int | None, ...], routed: Routed) -> None:
    services = [
        {"name": name} if weight is None else {"name": name, "weight": weight}
        for name, weight in zip(("web-stable", "web-canary", "audit"), weights, strict=False)
    ]
    found = traefik_service("[]")
    found["spec"]["weighted"]["services"] = services

    said = router_for(traefik_rollout()).routed({TRAEFIK_SERVICE: found})

    assert said is not None
    assert (said.canary, said.uniform) == (routed.canary, routed.uniform)
    assert said.stable == 100 - said.canary


def test_what_cannot_be_read_is_nothing() -> None:
    assert router_for(traefik_rollout()).routed({TRAEFIK_SERVICE: traefik_service("[{name: web-stable}]")}) is None


def test_the_group_is_the_operators_choice() -> None:
    router = router_for(traefik_rollout(), Settings(traefik_group="traefik.containo.us"))

    assert router.reads() == [Ref(group="traefik.containo.us", kind="TraefikService", namespace="default", name="web")]


# --- writing --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "port", "written"),
    [
        ((), "http", "http"),
        ((), "80", 80),
        (({"name": "http", "containerPort": 8080},), "http", 8080),
        (({"containerPort": 8080},), "80", 8080),
        (({"name": "http", "containerPort": 80}, {"name": "admin", "containerPort": 9000}), "80", 80),
        (({"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000}), "admin", 9000),
    ],
)
def test_an_experiment_is_reached_at_its_containers_port(ports: tuple[Manifest, ...], port: str, written: object) -> None:
    services = f"[{{name: web-stable, port: 80}}, {{name: web-canary, port: {port}, scheme: h2c}}]"

    added = services_after(with_ports(*ports), wish(20, "exp"), services)[-1]

    assert added == {"name": "exp", "port": written, "scheme": "h2c", "weight": 10}


def test_experiments_are_remembered_in_the_object_while_they_are_there() -> None:
    router = router_for(traefik_rollout())

    with_two = router.render(wish(20, "exp-b", "exp-a"), {TRAEFIK_SERVICE: traefik_service(BOTH)}).apply[TRAEFIK_SERVICE]
    with_none = router.render(wish(20), {TRAEFIK_SERVICE: with_two}).apply[TRAEFIK_SERVICE]

    assert with_two["metadata"]["annotations"] == {ROUTED_EXPERIMENTS: "exp-a,exp-b"}
    assert "annotations" not in with_none["metadata"]
    assert [service["name"] for service in with_none["spec"]["weighted"]["services"]] == ["web-stable", "web-canary"]


def test_a_service_twice_recorded_goes_with_all_its_members() -> None:
    found = traefik_service(f"{BOTH[:-1]}, {{name: exp, weight: 3}}, {{name: exp, weight: 4}}]")
    found["metadata"]["annotations"] = {ROUTED_EXPERIMENTS: "exp", "team": "shop"}
    router = router_for(traefik_rollout())

    rest = router.render(wish(0), {TRAEFIK_SERVICE: found}).apply[TRAEFIK_SERVICE]

    assert [service["name"] for service in rest["spec"]["weighted"]["services"]] == ["web-stable", "web-canary"]
    assert rest["metadata"]["annotations"] == {"team": "shop"}


def test_roles_of_the_wish_come_before_those_of_the_rollout() -> None:
    swapped = TrafficIntent(
        backends=(Backend(role=Role.STABLE, service="web-canary", weight=80), Backend(role=Role.CANARY, service="web-stable", weight=20))
    )

    written = services_after(router_for(traefik_rollout()), swapped)

    assert {service["name"]: service["weight"] for service in written} == {"web-canary": 80, "web-stable": 20}
