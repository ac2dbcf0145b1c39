"""Does a real Envoy between real pods do what the objects of SMI, Ambassador, APISIX and the AWS Load Balancer Controller say?"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest

from devcluster_objects import Manifest, service
from envoy_client import Client, deploy, eventually, ready, within_four_deviations
from plane_objects import (
    HOST,
    alb_path,
    apisix_route,
    backends,
    expr,
    forward,
    header_condition,
    ingress,
    mapping,
    route_group,
    rule,
    traffic_split,
)
from router_setup import MANAGED, router_for
from routers_alb import ALB_INGRESS, alb_rollout
from tiphys.core.intent import Backend, HeaderMatch, HeaderRoute, MatchKind, Role, TextMatch, TrafficIntent
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import ENDPOINT_SLICES, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.planes import PlaneError

REQUESTS = 500
PLANES = ("smi", "ambassador", "apisix", "alb")


@dataclass(frozen=True)
class World:
    """A cluster whose Service `web` means the pods of `stable` and `canary`, with one plane in front."""

    plane: str
    cluster: DevCluster
    client: Client

    @property
    def host(self) -> str:
        """The Host header that reaches the routes under test."""
        return "web" if self.plane == "smi" else HOST

    async def put(self, *manifests: Manifest) -> None:
        """Create or replace, and wait until Envoy acts upon it."""
        store = self.cluster.store
        for manifest in manifests:
            resource, name = store.registry.of_manifest(manifest), manifest["metadata"]["name"]
            if store.read(resource, name, "default") is None:
                store.create(resource, manifest)
            else:
                change = {"metadata": manifest["metadata"], "spec": manifest["spec"]}
                store.patch(resource, name, PatchKind.MERGE, change, namespace="default")
        await self.cluster.mesh.applied()

    async def ask(self, **headers: str) -> str:
        """Say which version answers."""
        status, version = await self.client.ask(host=self.host, **headers)
        assert status == 200, version
        return version


@asynccontextmanager
async def running(*planes: str) -> AsyncIterator[World]:
    async with (
        DevCluster(definitions=foreign_definitions(), planes=planes, drain_seconds=0.3) as cluster,
        aiohttp.ClientSession() as session,
    ):
        await deploy(cluster, stable=1, canary=1)
        cluster.store.create(SERVICES, service("web", {"app": "web"}))
        await eventually(cluster, lambda: ready(cluster, "web") == 2, ENDPOINT_SLICES)
        await cluster.mesh.applied()
        yield World(planes[0], cluster, Client(cluster, session))


def split(plane: str, weight: int) -> list[Manifest]:
    """What sends *weight* percent to the canary."""
    match plane:
        case "smi":
            return [traffic_split(stable=100 - weight, canary=weight)]
        case "ambassador":
            return [mapping("web", "stable"), mapping("web-canary", "canary.default:80", weight=weight)]
        case "apisix":
            return [apisix_route(rule(backends=backends(stable=100 - weight, canary=weight)))]
        case _:
            return [ingress(alb_path("root"), actions={"root": forward(canary=weight, stable=100 - weight)})]


def header_routes(plane: str) -> list[Manifest]:
    """What sends three kinds of requests to the canary: x-beta is 1, x-agent begins with QA/1. and x-tier is gold or silver."""
    match plane:
        case "smi":
            matches = [{"name": "a", "headers": [{"x-beta": "^1$"}]}, {"name": "b", "headers": [{"x-agent": r"^QA/1\..*$"}]}]
            matches.append({"name": "c", "headers": [{"x-tier": "^(?:gold|silver)$"}]})
            return [route_group(*matches), traffic_split("web-beta", matches="beta", canary=100), traffic_split(stable=100, canary=0)]
        case "ambassador":
            regexes = [{"x-agent": r"QA/1\..*"}, {"x-tier": "gold|silver"}]
            more = [mapping(f"web-beta-{each}", "canary", regex_headers=wanted, precedence=1) for each, wanted in enumerate(regexes)]
            return [mapping("web", "stable"), mapping("web-beta", "canary", headers={"x-beta": "1"}, precedence=1), *more]
        case "apisix":
            wanted = [
                expr("x-beta", "Equal", "1"),
                expr("x-agent", "RegexMatch", r"^QA/1\."),
                expr("x-tier", "RegexMatch", "^(?:gold|silver)$"),
            ]
            rules = [rule(f"main-{at}", exprs=(each,), priority=1, backends=backends(canary=100)) for at, each in enumerate(wanted)]
            return [apisix_route(rule(backends=backends(stable=100, canary=0))), apisix_route(*rules, name="beta")]
        case _:
            names = ("beta", "beta-1", "beta-2")
            actions = {"root": forward(canary=0, stable=100)} | {name: forward(canary=100) for name in names}
            conditions = {
                "beta": [header_condition("x-beta", values=["1"])],
                "beta-1": [header_condition("x-agent", values=["QA/1.*"])],
                "beta-2": [header_condition("x-tier", regexValues=["^(gold|silver)$"])],
            }
            return [ingress(*[alb_path(name) for name in (*names, "root")], actions=actions, conditions=conditions)]


def mirror(plane: str, percent: int) -> list[Manifest]:
    """What copies *percent* of the requests to the canary."""
    if plane == "ambassador":
        return [mapping("web", "stable"), mapping("web-shadow", "canary", shadow=True, weight=percent)]
    plugin = {"name": "proxy-mirror", "enable": True, "config": {"host": "http://canary.default.svc:80", "sample_ratio": percent / 100}}
    stable = backends(stable=100, canary=0)
    return [apisix_route(rule(backends=stable)), apisix_route(rule(backends=stable, priority=1, plugins=[plugin]), name="shadow")]


@pytest.mark.parametrize("plane", PLANES)
async def test_shares_follow_the_weights_within_four_standard_deviations(plane: str) -> None:
    async with running(plane) as world:
        for weight in (0, 20, 50, 100):
            await world.put(*split(plane, weight))
            found = await world.client.many(REQUESTS, host=world.host)
            assert within_four_deviations(found["canary"], REQUESTS, weight / 100), (weight, found)

        assert world.client.failures == []
        assert world.cluster.mesh.problems == ()


@pytest.mark.parametrize("plane", PLANES)
async def test_headers_pick_the_canary_and_everything_else_stays(plane: str) -> None:
    async with running(plane) as world:
        await world.put(*header_routes(plane))

        assert world.cluster.mesh.problems == ()
        assert await world.ask(x_beta="1") == "canary"
        assert await world.ask(x_agent="QA/1.7") == "canary"
        assert await world.ask(x_tier="silver") == "canary"
        assert await world.ask(x_tier="silvery") == "stable"
        assert await world.ask(x_agent="QA/2.0") == "stable"
        assert await world.ask(x_beta="11") == "stable"
        assert {await world.ask() for _ in range(10)} == {"stable"}


@pytest.mark.parametrize("plane", ["ambassador", "apisix"])
async def test_a_share_of_requests_is_mirrored_and_nobody_waits_for_the_copies(plane: str) -> None:
    async with running(plane) as world:
        await world.put(*mirror(plane, 25))

        found = await world.client.many(REQUESTS, host=world.host)

        copies = (await world.cluster.mesh.envoy.cluster_counts())["outbound|80||canary.default.svc.cluster.local"]
        assert found == {"stable": REQUESTS}
        assert copies.requests == 0
        assert abs(copies.mirrored - REQUESTS * 0.25) <= 4 * math.sqrt(REQUESTS * 0.25 * 0.75)


@pytest.mark.parametrize("plane", PLANES)
async def test_no_request_fails_while_routes_change_under_load(plane: str) -> None:
    async with running(plane) as world:
        await world.put(*split(plane, 0))
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await world.client.ask(host=world.host)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for weight in (20, 50, 100, 50, 0):
            await world.put(*split(plane, weight))
        await world.put(*header_routes(plane))
        await world.put(*split(plane, 100))
        stop.set()
        await asyncio.gather(*loads)

        assert world.client.failures == []
        assert (await world.cluster.mesh.envoy.counts()).failed == 0
        assert world.client.answers["canary"] > 0
        assert world.client.answers["stable"] > 0


async def test_what_is_rendered_for_a_load_balancer_does_what_the_wish_says() -> None:
    matches = (
        HeaderMatch(header="X-Beta", value=TextMatch(kind=MatchKind.EXACT, value="1")),
        HeaderMatch(header="x-tier", value=TextMatch(kind=MatchKind.REGEX, value="gold|sil.er")),
        HeaderMatch(header="x-agent", value=TextMatch(kind=MatchKind.PREFIX, value="QA/1.")),
        HeaderMatch(header="x-beta", value=TextMatch(kind=MatchKind.EXACT, value="2")),
    )
    subject = alb_rollout({"ingress": "web", "rootService": "root"}, canaryService="canary", stableService="stable")
    router, ref = router_for(subject), replace(ALB_INGRESS, name="web")
    found = ingress(alb_path("canary", path="/straight", port={"number": 80}), alb_path("root"))

    def wished(canary: int, *any_of: HeaderMatch) -> Manifest:
        routes = (HeaderRoute(name=MANAGED[0], any_of=any_of),) if any_of else ()
        sides = (
            Backend(role=Role.STABLE, service="stable", weight=100 - canary),
            Backend(role=Role.CANARY, service="canary", weight=canary),
        )
        return router.render(TrafficIntent(backends=sides, header_routes=routes, managed=MANAGED), {ref: found}).apply[ref]

    async with running("alb") as world:
        await world.put(wished(0, *matches))

        assert world.cluster.mesh.problems == ()
        asked = {"x_beta": ("1", "2"), "x_tier": ("gold", "silver"), "x_agent": ("QA/1.", "QA/1.7")}
        assert {await world.ask(**{name: value}) for name, values in asked.items() for value in values} == {"canary"}
        others = {"x_beta": ("12", "3"), "x_tier": ("golden", "old gold"), "x_agent": ("QA/17", "my QA/1.7"), "accept": ("1",)}
        assert {await world.ask(**{name: value}) for name, values in others.items() for value in values} == {"stable"}

        await world.put(wished(30))
        shares = await world.client.many(REQUESTS, host=world.host)
        assert within_four_deviations(shares["canary"], REQUESTS, 0.3), shares


async def test_several_planes_feed_one_envoy() -> None:
    async with running("apisix", "smi", "istio") as world:
        await world.put(*split("apisix", 100), traffic_split(stable=100))

        assert await world.client.ask(host=HOST) == (200, "canary")
        assert {await world.client.ask(host="web") for _ in range(10)} == {(200, "stable")}
        assert await world.client.ask(host="canary") == (200, "canary")


def test_a_plane_that_does_not_exist_is_named() -> None:
    with pytest.raises(PlaneError, match=r"found 'linkerd', wanted one or several of istio, smi, .*, traefik, gateway, nginx"):
        DevCluster(planes=("istio", "linkerd"))
