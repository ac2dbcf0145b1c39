"""What does a whole controller promise, over HTTP and in a process of its own?"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import structlog

from inprocess import pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from rows import METRICS
from scrapes import read
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Ledger, Request
from tiphys.controller.kinds import REPLICA_SETS, ROLLOUTS, SERVICES
from tiphys.controller.manager import Controller, RequestMeter
from tiphys.controller.settings import Settings
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.storage import Store
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection
from tiphys.kube.resources import EVENTS, LEASES, Resource

VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")
ANY_PORT = Settings(metrics_port=0, health_port=0)
PATIENCE = 20.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as something holds."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - what is waited for is behind HTTP
            await asyncio.sleep(0.01)


async def ready(running: Controller) -> None:
    await asyncio.wait_for(running.wait_ready(), PATIENCE)


@asynccontextmanager
async def cluster(*, port: int = 0) -> AsyncIterator[DevCluster]:
    definitions = [*foreign_definitions("networking.istio.io"), *crd_manifests()]

    def serve(store: Store) -> ApiServer:
        return ApiServer(store, port=port)

    async with DevCluster(definitions=definitions, api=serve, drain_seconds=0.1) as running:
        yield running


@asynccontextmanager
async def controller(url: str, settings: Settings = ANY_PORT, *, ledger: Ledger | None = None) -> AsyncIterator[Controller]:
    meter = RequestMeter(url)
    async with Client(Connection(server=url), observer=meter, field_manager="rollouts-controller") as client:
        running = Controller(client, settings, meter=meter, ledger=ledger)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


async def page(running: Controller, which: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{running.pages.ports[which]}{path}") as answer:
        return answer.status, await answer.text()


async def create_web(client: Client, *steps: Manifest, replicas: int = 2) -> None:
    for name in ("web-stable", "web-canary"):
        await client.create(SERVICES, service_manifest(name), namespace="default")
    await client.create(VIRTUAL_SERVICES, virtual_service_manifest(), namespace="default")
    await client.create(ROLLOUTS, rollout_manifest("web", *steps, replicas=replicas), namespace="default")


def shown(running: Controller, line: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return line in (await page(running, "metrics", "/metrics"))[1].splitlines()

    return holds


def at_rest(client: Client, revision: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        found = await client.get(ROLLOUTS, "web", namespace="default")
        said, status = found["metadata"].get("annotations", {}).get("rollout.argoproj.io/revision"), found.get("status", {})
        # The revision is noted before the status is written: the phase may still speak of the generation before.
        seen = status.get("observedGeneration") == str(found["metadata"]["generation"])
        return bool(said == revision and seen and status.get("phase") == "Healthy")

    return holds


async def test_a_release_through_http_makes_few_requests_and_then_none() -> None:
    ledger: list[Request] = []
    async with (
        cluster() as running,
        controller(running.url, ledger=ledger.append) as acting,
        Client(Connection(server=running.url)) as client,
    ):
        await ready(acting)
        await create_web(client, {"setWeight": 20}, {"pause": {"duration": 0}}, {"setWeight": 60}, {"pause": {"duration": 0}}, replicas=5)
        await until(at_rest(client, "1"))
        ledger.clear()
        await client.patch(ROLLOUTS, "web", {"spec": {"template": pod_template("registry.example/web:2")}}, namespace="default")
        await until(at_rest(client, "2"))
        await until(shown(acting, 'rollout_events_total{name="web",namespace="default",reason="RolloutCompleted",type="Normal"} 2.0'))
        _, metrics = await page(acting, "metrics", "/metrics")

    assert len(ledger) <= 40
    assert 'rollout_info_replicas_desired{name="web",namespace="default"} 5.0' in metrics
    assert (
        'controller_clientset_k8s_request_total{kind="rollouts",name="web",namespace="default",status_code="200",verb="Patch"}' in metrics
    )
    assert 'workqueue_depth{name="Rollouts"}' in metrics
    found = read(metrics)
    assert {name: series.type for name, series in found.items() if name in METRICS} == {name: kind for name, (kind, _) in METRICS.items()}
    assert all(series.labels <= {frozenset(METRICS[name][1])} for name, series in found.items() if name in METRICS)


async def test_events_reach_the_cluster_in_their_order() -> None:
    async with cluster() as running, controller(running.url) as acting, Client(Connection(server=running.url)) as client:
        await ready(acting)
        await create_web(client)
        await until(at_rest(client, "1"))
        await acting.stop()
        events = await client.list(Resource("", "v1", "events", "Event"), namespace="default")

    ours = [event for event in events if event["involvedObject"]["kind"] == "Rollout"]
    ours.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    reasons = [event["reason"] for event in ours]
    assert reasons[0] == "RolloutAddedToInformer"
    assert reasons.index("NewReplicaSetCreated") < reasons.index("ScalingReplicaSet") < reasons.index("RolloutCompleted")
    assert {event["source"]["component"] for event in ours} == {"rollouts-controller"}


async def test_an_api_server_that_is_not_there_yet_is_one_log_line_and_not_ready() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(metrics_port=0, health_port=0, leader_elect=False)
    with structlog.testing.capture_logs() as logs:
        async with controller(f"http://127.0.0.1:{port}", settings) as waiting:

            async def refused() -> bool:
                return any("cannot be reached" in problem for problem in waiting.problems())

            await until(refused)
            not_ready = await page(waiting, "health", "/readyz")
            alive = await page(waiting, "health", "/healthz")
            async with cluster(port=port):
                await ready(waiting)
                later = await page(waiting, "health", "/readyz")
                said = [line["event"] for line in logs if line["log_level"] == "error"]

    assert not_ready[0] == 503
    assert f"the API server http://127.0.0.1:{port} cannot be reached" in not_ready[1]
    assert alive == (200, "ok")
    assert later == (200, "ok")
    assert said == ["API server cannot be reached, trying on"]


async def test_one_of_two_acts_and_the_other_takes_over_at_once_when_it_ends() -> None:
    async with cluster() as running, Client(Connection(server=running.url)) as client, controller(running.url) as first_in_line:
        await ready(first_in_line)
        first = await client.get(LEASES, "argo-rollouts-controller-lock", namespace="default")
        async with controller(running.url) as other:

            async def stands_by() -> bool:
                return (await page(other, "health", "/readyz"))[0] == 200

            await until(stands_by)
            leads_too = other.leading
            await first_in_line.stop()
            await ready(other)
            then = await client.get(LEASES, "argo-rollouts-controller-lock", namespace="default")
            await create_web(client)
            await until(at_rest(client, "1"))

    assert not leads_too
    assert first["spec"]["holderIdentity"] != then["spec"]["holderIdentity"]


async def test_losing_the_lease_ends_the_controller() -> None:
    async with cluster() as running, Client(Connection(server=running.url)) as client:
        meter = RequestMeter(running.url)
        async with Client(Connection(server=running.url), observer=meter) as own:
            acting = Controller(own, ANY_PORT, meter=meter)
            ending = asyncio.create_task(acting.run())
            await ready(acting)

            stolen = {"spec": {"holderIdentity": "somebody else", "renewTime": "2999-01-01T00:00:00.000000Z"}}
            await client.patch(LEASES, "argo-rollouts-controller-lock", stolen, namespace="default")

            assert await asyncio.wait_for(ending, PATIENCE) is False


async def test_rollouts_of_another_instance_are_left_alone() -> None:
    async with cluster() as running, controller(running.url) as acting, Client(Connection(server=running.url)) as client:
        await ready(acting)
        other = rollout_manifest("other", istio=False)
        other["metadata"]["labels"] = {"argo-rollouts.argoproj.io/controller-instance-id": "green"}
        await client.create(ROLLOUTS, other, namespace="default")
        await create_web(client)
        await until(at_rest(client, "1"))
        found = await client.get(ROLLOUTS, "other", namespace="default")

    assert "status" not in found


@asynccontextmanager
async def process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a controller as `tiphys controller` does; what still runs at the end is killed."""
    script = (
        "import sys; from tiphys.controller.run import run_process; from tiphys.controller.settings import Settings;"
        "from tiphys.kube.config import Overrides;"
        "sys.exit(run_process(Settings(connection=Overrides(server=sys.argv[1]), metrics_port=0, health_port=0, log_format='json')))"
    )
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", script, url, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def test_a_process_serves_and_ends_well_on_sigterm() -> None:
    async with cluster() as running, Client(Connection(server=running.url)) as client, process(running.url) as acting:
        await create_web(client)
        await until(at_rest(client, "1"))
        acting.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(acting.communicate(), PATIENCE)
        lease = await client.get(LEASES, "argo-rollouts-controller-lock", namespace="default")

    lines = said.decode().splitlines()
    assert acting.returncode == 0, said.decode()
    assert all(line.startswith("{") for line in lines)
    assert not any("Traceback" in line for line in lines)
    assert not lease["spec"].get("holderIdentity")


async def test_everything_that_a_process_writes_says_by_its_field_manager_that_it_is_ours() -> None:
    """So that ignore rules of GitOps tools find it."""
    async with cluster() as running, Client(Connection(server=running.url), field_manager="somebody") as client, process(running.url):
        await create_web(client, {"setWeight": 50}, {"pause": {"duration": 0}})
        await until(at_rest(client, "1"))
        await client.patch(ROLLOUTS, "web", {"spec": {"template": pod_template("registry.example/web:2")}}, namespace="default")
        await until(at_rest(client, "2"))
        written = {
            resource.kind: await client.list(resource, namespace="default")
            for resource in (ROLLOUTS, REPLICA_SETS, SERVICES, VIRTUAL_SERVICES, EVENTS, LEASES)
        }

    ours = {(kind, each["metadata"]["name"]): _managers(each) - OTHERS for kind, found in written.items() for each in found}
    assert {kind for kind, _ in ours} == set(written)
    assert {key: found for key, found in ours.items() if found != {("rollouts-controller", "Update")}} == {}
    (rollout,) = written["Rollout"]
    subresources = {
        entry.get("subresource", "") for entry in rollout["metadata"]["managedFields"] if entry["manager"] == "rollouts-controller"
    }
    assert subresources == {"", "status"}


OTHERS = {("somebody", "Update"), ("kube-controller-manager", "Update")}


def _managers(found: Manifest) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in found["metadata"].get("managedFields", ())}


async def test_a_wrong_configuration_is_one_sentence() -> None:
    script = (
        "import sys; from tiphys.controller.run import run_process; from tiphys.controller.settings import Settings;"
        "from tiphys.kube.config import Overrides; sys.exit(run_process(Settings(connection=Overrides(kubeconfig='/does/not/exist'))))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE)

    _, said = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert process.returncode == 1
    assert said.decode().startswith("Error: ")
    assert len(said.decode().splitlines()) == 1
