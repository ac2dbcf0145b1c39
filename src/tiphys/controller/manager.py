"""What is a whole controller, and how does it start and end?"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from uuid import uuid4

import structlog

from tiphys.api.rollout import Rollout
from tiphys.controller.apply import Gate
from tiphys.controller.askers import askers_for
from tiphys.controller.caches import Mirror
from tiphys.controller.cluster import Ledger
from tiphys.controller.desk import Asker, Background
from tiphys.controller.health import Pages, Reachability
from tiphys.controller.inquiries import Inquiries
from tiphys.controller.kinds import KNOWN, Kinds
from tiphys.controller.kubecluster import ApiCluster
from tiphys.controller.loop import Decide, Passes
from tiphys.controller.named import Naming
from tiphys.controller.outside import ApiWithRouters, Feeds, resources
from tiphys.controller.queue import WorkQueue
from tiphys.controller.settings import Settings
from tiphys.controller.telemetry import QueueMetrics, Telemetry
from tiphys.controller.watches import Watches
from tiphys.core.actions import Event
from tiphys.core.decide import decide as decide_rollout
from tiphys.core.invariants import violated
from tiphys.kube.client import Client
from tiphys.kube.clock import Clock, SystemClock
from tiphys.kube.errors import KubeError
from tiphys.kube.events import About, Recorder
from tiphys.kube.lease import Elector
from tiphys.kube.resources import Resource
from tiphys.kube.store import Key
from tiphys.plugins.client import HttpRouter
from tiphys.plugins.documents import GROUP
from tiphys.plugins.outposts import Outposts
from tiphys.plugins.router import external_router
from tiphys.traffic.router import Router
from tiphys.traffic.table import routers_of

FLUSH_SECONDS = 2.0
DRAIN_SECONDS = 10.0
EVENT_BURST = 200
"""A release of ten steps tells about 45 events, and the last of them is the one that people wait for."""
EVENT_REFILL = 5.0

log = structlog.get_logger("tiphys.controller")


class RequestMeter:
    """
    What a client's requests tell: give it to the client as its observer before the controller is made.

    The client exists before the controller, and both the metrics and `/readyz` live on what its requests meet.
    """

    def __init__(self, server: str, telemetry: Telemetry | None = None) -> None:
        self.telemetry = telemetry or Telemetry()
        self.reachability = Reachability(server)

    def __call__(
        self, verb: str, resource: Resource | None, namespace: str | None, name: str | None, status: int, seconds: float, /
    ) -> None:
        """Take note of one attempt."""
        self.telemetry.requested(verb, resource, namespace, name, status, seconds)
        self.reachability.requested(verb, resource, namespace, name, status, seconds)


class EventSink:
    """Counts events, logs them, and hands them to the recorder."""

    def __init__(self, recorder: Recorder, telemetry: Telemetry) -> None:
        self._recorder = recorder
        self._telemetry = telemetry

    def tell(self, about: About, event: Event) -> None:
        """Record an event; never waits and never fails."""
        self._telemetry.told(about.namespace, about.name, event)
        log.info(event.message, rollout=about.name, namespace=about.namespace, event_reason=event.reason.value)
        self._recorder.record(about, event.type.value, event.reason.value, event.message)


class Controller:
    """
    A controller over one client: `await start()`, `await stop()`, or `await run()` until somebody calls `stop`.

    It may live in a process with others (the demo, a benchmark). With leader election only the leader watches and acts; the pages are
    served by all. *meter* is the client's observer; *ledger* is told of every request of a pass. *askers* ask products what the traffic
    really does, by the `via` of a question; without any, those of `tiphys.controller.askers`.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        *,
        meter: RequestMeter | None = None,
        clock: Clock | None = None,
        ledger: Ledger | None = None,
        askers: Mapping[str, Asker] | None = None,
        decide: Decide = decide_rollout,
        gate: Gate = violated,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock or SystemClock()
        self._meter = meter
        self.telemetry = meter.telemetry if meter is not None else Telemetry()
        kinds = Kinds(settings.routers.versions)
        naming = Naming(self._routers)
        external = {each.name: partial(external_router, each.name) for each in settings.partners}
        self._router_settings = replace(settings.routers, external={**settings.routers.external, **external})
        self._partners = {each.name: HttpRouter(each) for each in settings.partners}
        self._outposts = Outposts(self._partners, self._clock)
        for resource in resources(self._outposts):
            kinds.learn(resource)
        self._watches = Watches(client, kinds, self._clock, namespace=settings.namespace, instance_id=settings.instance_id)
        self.caches = Mirror(Feeds(self._watches, self._outposts), naming, outside=self._outposts.kinds)
        self.queue = WorkQueue[Key](self._clock, watcher=QueueMetrics(self.telemetry.registry, "Rollouts", self._depth, self._working))
        self._recorder = Recorder(
            client,
            component="rollouts-controller",
            host=socket.gethostname(),
            burst=EVENT_BURST,
            refill=EVENT_REFILL,
            clock=self._clock,
        )
        self._desk = Background(askers_for(self._clock) if askers is None else askers, self._clock, watcher=self.telemetry.asked)
        self._passes = Passes(
            caches=self.caches,
            cluster=ApiCluster(
                ApiWithRouters(client, self._outposts), self.caches, kinds, EventSink(self._recorder, self.telemetry), ledger=ledger
            ),
            queue=self.queue,
            clock=self._clock,
            naming=naming,
            inquiries=Inquiries(self._desk, self._clock, interval=settings.verify_interval),
            telemetry=self.telemetry,
            decide=decide,
            gate=gate,
            resync=settings.resync,
            probes=settings.probes,
        )
        self.telemetry.watch_rollouts(self.caches.rollouts.values)
        self.pages = Pages(host=settings.host, metrics=self.telemetry.page, problems=self.problems)
        self._stopping = asyncio.Event()
        self.leading = False
        self._running: asyncio.Task[bool] | None = None

    @property
    def ready(self) -> bool:
        """Tell whether nothing stands in the way of acting."""
        return not self.problems()

    def problems(self) -> tuple[str, ...]:
        """Say why the controller is not ready."""
        found = []
        if self._meter is not None and self._meter.reachability.problem:
            found.append(self._meter.reachability.problem)
        if self.leading and not self.caches.synced:
            found.append("the caches are not filled yet")
        if self.leading:
            found += [problem for kind, problem in self._watches.problems.items() if kind in KNOWN]
        return tuple(dict.fromkeys(found))

    async def start(self) -> None:
        """
        Begin to run beside the caller.

        Raises:
            PortError: a port is taken.

        """
        await self.pages.start(metrics_port=self._settings.metrics_port, health_port=self._settings.health_port)
        self._running = asyncio.create_task(self._serve(), name="controller")

    async def stop(self) -> None:
        """End: what was begun is finished, the last events are sent, the lease is given back."""
        self._stopping.set()
        try:
            if self._running is not None:
                await self._running
        finally:
            await self.pages.stop()

    async def run(self) -> bool:
        """
        Run until `stop` is called; gives False where it ended because the lease was lost.

        Raises:
            PortError: a port is taken.

        """
        await self.start()
        assert self._running is not None  # noqa: S101 - start made it
        try:
            return await asyncio.shield(self._running)
        finally:
            await self.stop()

    async def wait_ready(self) -> None:
        """Return when the controller leads and has filled its caches."""
        while not (self.leading and self.ready):
            if self._running is not None and self._running.done():
                await self._running
                raise RuntimeError("the controller has ended")
            await self._clock.sleep(0.01)

    async def _serve(self) -> bool:
        if not self._settings.leader_elect:
            await self._lead()
            return True
        elector = Elector(
            self._client,
            namespace=self._settings.lease_namespace or self._client.namespace,
            name=self._settings.lease_name,
            identity=f"{socket.gethostname()}_{uuid4()}",
            durations=self._settings.lease,
            clock=self._clock,
        )
        electing = asyncio.create_task(elector.run(self._lead), name="leader election")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({electing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not electing.done() and not self.leading:
                electing.cancel()
            await asyncio.wait({electing})
        finally:
            stopping.cancel()
            electing.cancel()
        if not electing.cancelled():
            electing.result()
        return self._stopping.is_set()

    async def _lead(self) -> None:
        """Watch and act until told to stop; being cancelled means that the lease was lost."""
        self.leading = True
        try:
            async with asyncio.TaskGroup() as group:
                self._watches.use(group)
                self._outposts.use(group, lambda name: self.caches.moving((GROUP, name)))
                recording = group.create_task(self._recorder.run(), name="events")
                working = group.create_task(self.queue.work(self._passes.look, workers=self._settings.workers), name="passes")
                self.caches.start(self._passes)
                log.info("controller leads", server=self._client.server, namespace=self._settings.namespace or "all")
                await self._stopping.wait()
                self.queue.close()
                await asyncio.wait({working}, timeout=DRAIN_SECONDS)
                working.cancel()
                self._watches.stop()
                self._outposts.stop()
                await self._flush()
                recording.cancel()
        finally:
            self.queue.close()
            await self._desk.stop()
            self.leading = False
            for partner in self._partners.values():
                await partner.close()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._recorder.flush()
        except (TimeoutError, KubeError) as error:
            log.info("last events not sent", problem=str(error) or "no answer in time")

    def _depth(self) -> int:
        return len(self.queue)

    def _working(self) -> list[float]:
        return self.queue.working

    def _routers(self, rollout: Rollout) -> tuple[Router, ...]:
        return routers_of(rollout, settings=self._router_settings)
