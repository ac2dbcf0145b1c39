"""What stands on the stage: a cluster, its proxies, the controller, and somebody who does what people do with kubectl."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from tiphys.api.crds import crd_manifests
from tiphys.api.names import FIELD_MANAGER
from tiphys.controller.manager import Controller
from tiphys.controller.settings import Settings
from tiphys.demo import app
from tiphys.demo.entrances import DEFAULT, Entrance, chosen
from tiphys.demo.routing import SETTINGS, Routing
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import PODS
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.envoy import Envoy
from tiphys.devcluster.resources import ResourceType
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection

Manifest = dict[str, Any]


class Stage:
    """
    Everything the demo needs, in this process but for the proxies; `async with Stage() as stage`.

    *routers* are names of entrances, unless *entrances* are given. Envoy acts upon changes *proxy_delay* seconds late.
    """

    def __init__(self, routers: Sequence[str] = DEFAULT, *, entrances: Sequence[Entrance] = (), proxy_delay: float = 0.0) -> None:
        self.entrances = tuple(entrances) or chosen(routers)
        groups = {group for entrance in self.entrances for group in entrance.groups}
        definitions = (*crd_manifests(), *(foreign_definitions(*groups) if groups else ()))
        planes = [entrance.name for entrance in self.entrances]
        self.cluster = DevCluster(definitions=definitions, api=ApiServer, planes=planes, proxy_delay=proxy_delay)
        self.folder = tempfile.TemporaryDirectory(prefix="tiphys-demo-")
        self._stack = AsyncExitStack()

    @property
    def envoy(self) -> Envoy:
        """The Envoy, where one of the routers' planes needs it."""
        return self.cluster.mesh.envoy

    @property
    def kubeconfig(self) -> Path:
        """Where kubectl finds this cluster."""
        return Path(self.folder.name) / "kubeconfig"

    @property
    def log(self) -> Path:
        """Where the controller's log lines go."""
        return Path(self.folder.name) / "controller.log"

    async def __aenter__(self) -> Self:
        """Start the cluster, then the controller as a client of its API server."""
        try:
            self._log_to_a_file()
            await self._stack.enter_async_context(self.cluster)
            write_kubeconfig(self.kubeconfig, self.cluster.url)
            connection = load_connection(Overrides(kubeconfig=str(self.kubeconfig)))
            client = await self._stack.enter_async_context(Client(connection, field_manager=FIELD_MANAGER))
            controller = Controller(client, Settings(leader_elect=False, metrics_port=None, health_port=None, routers=SETTINGS))
            await controller.start()
            self._stack.push_async_callback(controller.stop)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop everything, the controller first."""
        await self.close()

    async def close(self) -> None:
        """Stop what was started, and remove the files."""
        await self._stack.aclose()
        self.folder.cleanup()

    def kind(self, api_version: str, kind: str) -> ResourceType:
        """Find a served kind."""
        found = self.cluster.store.registry.kind(api_version, kind)
        if found is None:
            raise LookupError(f"the development cluster serves no {kind} of {api_version}")
        return found

    @property
    def rollouts(self) -> ResourceType:
        """The Rollout kind."""
        return self.kind("argoproj.io/v1alpha1", "Rollout")

    @property
    def virtual_services(self) -> ResourceType:
        """The VirtualService kind."""
        return self.kind("networking.istio.io/v1", "VirtualService")

    def apply(self, manifest: Manifest) -> None:
        """Create *manifest*."""
        resource = self.cluster.store.registry.of_manifest(manifest)
        self.cluster.store.create(resource, manifest, namespace=app.NAMESPACE, manager="kubectl")

    def rollout(self) -> Manifest:
        """Read the Rollout as it is now."""
        return self.cluster.store.get(self.rollouts, app.NAME, namespace=app.NAMESPACE)

    @cached_property
    def routings(self) -> tuple[Routing, ...]:
        """The routers of the Rollout, in the order in which they were named; for the first time after the Rollout was applied."""
        return tuple(Routing.of(entrance, self.cluster.store, self.rollout()) for entrance in self.entrances)

    def set_image(self, version: str) -> None:
        """Do what `tiphys set image` does."""
        container = {"name": app.CONTAINER, "image": app.image(version), "ports": [{"containerPort": 8080}]}
        self._patch({"spec": {"template": {"spec": {"containers": [container]}}}})

    def patch_status(self, **fields: object) -> None:
        """Do what `tiphys abort`, `retry` and `promote` do."""
        self._patch({"status": fields}, subresource="status")

    def evict_canary(self, pod_hash: str) -> int:
        """Delete every pod of *pod_hash* at once, and tell how many there were."""
        labels = {"rollouts-pod-template-hash": pod_hash}
        victims = self.cluster.store.scan(PODS, namespace=app.NAMESPACE, labels=labels)
        for victim in victims:
            self.cluster.store.delete(PODS, victim.manifest["metadata"]["name"], namespace=app.NAMESPACE)
        return len(victims)

    async def until(self, holds: Callable[[Manifest], bool], *, within: float) -> Manifest:
        """
        Wait until the Rollout fulfils *holds*.

        Raises:
            TimeoutError: it did not in time (seconds).

        """
        subscription = self.cluster.store.watch(self.rollouts, namespace=app.NAMESPACE)
        try:
            async with asyncio.timeout(within):
                async for event in subscription:
                    if holds(event.manifest):
                        return dict(event.manifest)
        finally:
            subscription.close()
        raise TimeoutError

    def _patch(self, body: Manifest, *, subresource: str = "") -> None:
        store = self.cluster.store
        store.patch(self.rollouts, app.NAME, PatchKind.MERGE, body, namespace=app.NAMESPACE, subresource=subresource, manager="kubectl")

    def _log_to_a_file(self) -> None:
        """Keep the controller's log lines off the screen, but keep them."""
        file = self._stack.enter_context(self.log.open("w", encoding="utf-8"))
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.PrintLoggerFactory(file=file),
        )
        self._stack.callback(structlog.reset_defaults)
