"""Does a pass stay short when the input is big?"""

import json
import statistics
import time
from collections.abc import Awaitable, Collection, Sequence
from typing import Any, TypeVar

import structlog

from benchmarks import storms
from benchmarks.figures import Figure, median_time
from inprocess import InProcessController, StoreApi, pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.kube.resources import Resource

T = TypeVar("T")
AT_MOST = 50.0
DECIDED_FROM = frozenset({"Rollout", "ReplicaSet", "Service", "EndpointSlice", "VirtualService"})
ROLLOUT = ("argoproj.io", "Rollout")
SHORT: tuple[Manifest, ...] = ({"setWeight": 1}, {"pause": {}})


class TimedApi(StoreApi):
    """Adds up the seconds that the server takes to answer: they are no part of a pass's own work."""

    seconds = 0.0

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        return await self._timed(super().get(resource, name, namespace=namespace, into=into))

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        return await self._timed(super().create(resource, body, namespace=namespace, into=into))

    async def patch_subresource(
        self, resource: Resource, name: str, subresource: str, patch: Manifest, *, namespace: str | None = None, into: type[T]
    ) -> T:
        return await self._timed(super().patch_subresource(resource, name, subresource, patch, namespace=namespace, into=into))

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None, resource_version: str | None = None
    ) -> Manifest:
        return await self._timed(super().delete(resource, name, namespace=namespace, uid=uid, resource_version=resource_version))

    async def _timed(self, answer: Awaitable[T]) -> T:
        began = time.process_time()
        try:
            return await answer
        finally:
            self.seconds += time.process_time() - began


class Timed(InProcessController):
    """Keeps the seconds of CPU of every pass: observe, decide, render, compare, without the server's part."""

    def __init__(self, cluster: VirtualCluster) -> None:
        self.passes_took: list[float] = []
        super().__init__(cluster, decide=decide, gate=violated)
        self.timed_api = TimedApi(cluster.store)
        self.api = self.timed_api
        self.restart()

    def restart(self, *, held: Collection[Kind] = ()) -> None:
        super().restart(held=held)
        look = self.loop.look

        async def timed(key: Any) -> None:  # noqa: ANN401 - the queue's key
            elsewhere, began = self.timed_api.seconds, time.process_time()
            await look(key)
            self.passes_took.append(time.process_time() - began - (self.timed_api.seconds - elsewhere))

        self.loop.look = timed  # type: ignore[method-assign]


def run() -> list[Figure]:
    """Update a Rollout that is big in one way each; then meet refusals of every write for ten seconds."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    return [_steps(), _routes(), _megabyte(), _pods(), *storms.run()]


def _steps() -> Figure:
    steps = [step for number in range(250) for step in ({"setWeight": number * 100 // 250}, {"pause": {"duration": 1}})]
    return _updated("500 steps", rollout_manifest("web", *steps), virtual_service_manifest())


def _routes() -> Figure:
    routes = virtual_service_manifest()
    (route,) = routes["spec"]["http"]
    names = [f"route-{number}" for number in range(1_000)]
    routes["spec"]["http"] = [{"name": name, "match": [{"uri": {"prefix": f"/{name}"}}], **route} for name in names]
    rollout = rollout_manifest("web", *SHORT)
    rollout["spec"]["strategy"]["canary"]["trafficRouting"]["istio"]["virtualService"]["routes"] = names
    return _updated("a VirtualService with 1,000 routes, all ours", rollout, routes)


def _megabyte() -> Figure:
    rollout = rollout_manifest("web", *SHORT)
    env = [{"name": f"SETTING_{number}", "value": "v" * 1_000} for number in range(1_000)]
    return _updated("a Rollout of 1 MB", rollout, virtual_service_manifest(), env=env)


def _pods() -> Figure:
    return _updated("5,000 pods behind a Service", rollout_manifest("web", *SHORT, replicas=5_000), virtual_service_manifest())


def _updated(name: str, rollout: Manifest, routes: Manifest, *, env: Sequence[Manifest] = ()) -> Figure:
    """Deploy *rollout* and update it, with a new process of the controller in between; give the longest pass."""
    controller = Timed(VirtualCluster(definitions=[*foreign_definitions("networking.istio.io"), *crd_manifests()]))
    controller.cluster.join(controller)
    for manifest in (service_manifest("web-stable"), service_manifest("web-canary"), routes):
        controller.create(manifest)
    rollout["spec"]["template"] = _template(1, env)
    controller.create(rollout)
    controller.cluster.advance(60)
    controller.restart()
    controller.edit(ROLLOUT, "web", {"spec": {"template": _template(2, env)}})
    controller.cluster.advance(30)
    status = controller.rollout().status
    assert status.stable_rs not in {"", status.current_pod_hash}
    assert status.current_step_index
    took = sorted(each * 1000 for each in controller.passes_took)
    longest = ", ".join(f"{each:.1f}" for each in took[-3:])
    print(f"{name}: {len(took)} passes, median {statistics.median(took):.1f} ms, longest {longest} ms")
    bodies = _bodies(controller)
    yardstick = median_time(lambda: [json.loads(body) for body in bodies], rounds=20) * 1000
    return Figure(
        name=f"longest pass, {name}",
        value=took[-1],
        unit="ms",
        at_most=AT_MOST,
        yardstick=yardstick,
        beside="json.loads of all that it is decided from",
    )


def _bodies(controller: InProcessController) -> list[bytes]:
    """Give every object that a pass is decided from, as JSON."""
    store = controller.cluster.store
    kinds = [found for found in store.registry if found.kind in DECIDED_FROM and found.version in {"v1", "v1alpha1"}]
    return [stored.encoded for kind in kinds for stored in store.scan(kind)]


def _template(version: int, env: Sequence[Manifest]) -> Manifest:
    template = pod_template(image=f"registry.example/web:{version}")
    template["spec"]["containers"][0] |= {"env": list(env)} if env else {}
    return template
