"""
What becomes of a pod: where does it run, when is it ready, and how does it leave?

This is the kubelet. With real addresses each pod is an HTTP server; without, under a virtual clock, only its status moves.
A pod leaves in three steps, so that no request is lost: it is not *ready* at once but goes on *serving* for a short while; then
it is not serving either; and it closes when nobody sends to it any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any, Protocol

from tiphys.devcluster.behaviour import Behaviour, behaviour_of, hash_of, ports_of, version_of
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Event, Stored
from tiphys.devcluster.kinds import NODES, PODS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import Key, has_ended, is_leaving, is_ready
from tiphys.devcluster.podlife import Stage, stage_of
from tiphys.devcluster.podserver import Answer, PodServer, Served
from tiphys.devcluster.podstatus import KILLED, Life, pod_status, restarts_of
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.storage import Store

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Manifest

MANAGER = "kubelet"
NODE = "devcluster"
DRAIN_SECONDS = 2.0
"""How long a leaving pod goes on serving, if its own grace period is not shorter."""

_LET_GO_WITHIN = timedelta(seconds=10)
_LOOK_AGAIN = timedelta(milliseconds=20)


class Addresses(Protocol):
    """Where pods get their addresses from."""

    def take(self) -> str:
        """Give an address that nobody else has."""

    def give_back(self, address: str) -> None:
        """Say that *address* is not used any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCount:
    """What one pod has answered in its life; the pod may be gone."""

    namespace: str
    name: str
    version: str
    hash: str
    requests: int
    mirrored: int
    errors: int


@dataclass(slots=True, kw_only=True)
class _Running:
    uid: str
    name: str
    namespace: str
    version: str
    hash: str
    behaviour: Behaviour
    address: str
    started: datetime
    server: PodServer | None = None
    listening: bool = False
    crashes: bool = False
    """The process ends right after each start, and is started for ever."""
    policy: str = "Always"
    run: int = 0
    """Which start of the process the server belongs to."""
    former: int = 0
    """How often the process was started anew before this one took over: a cluster that starts again finds its pods without processes."""
    problem: str = ""
    wanted_ready: bool | None = None
    leaving_since: datetime | None = None
    stopped: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Kubelet:
    """Runs every pod of the cluster; *serve* false means: no sockets, status only."""

    store: Store
    addresses: Addresses
    serve: bool
    mark: Callable[["Kubelet", Key], None]
    """Asks for another look at a pod."""
    drain_seconds: float = DRAIN_SECONDS
    ready_after: float = 0.0
    """Added to what the pod itself asks for, in seconds."""
    never_ready: Callable[[Mapping[str, Any]], bool] = lambda _: False
    """Whether this pod is told never to become ready."""
    sends_to: Callable[[str], bool] = lambda _: False
    """Whether a proxy of ours may still send requests to an address."""
    _running: dict[Key, _Running] = field(default_factory=dict)
    _counted: list[tuple[_Running, Served]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def announce_node(self) -> None:
        """Register the one node that all pods run on."""
        if self.store.read(NODES, NODE) is not None:
            return
        now = wire_time(self.store.clock())
        node: Manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}}
        self.store.create(NODES, node, manager=MANAGER)
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "the development cluster runs",
            "lastTransitionTime": now,
        }
        status = {"conditions": [ready], "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
        self.store.patch(NODES, NODE, PatchKind.MERGE, {"status": status}, subresource="status", manager=MANAGER)

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """Every pod is ours: there is one node."""
        del resource
        return ((event.stored.namespace, event.stored.name),)

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Start, report or end one pod."""
        pod = self.store.read(PODS, key[1], key[0])
        running = self._running.get(key)
        if running is not None and (pod is None or pod.manifest["metadata"]["uid"] != running.uid):
            self._forget(key, running)
            running = None
        if pod is None:
            return None
        if is_leaving(pod.manifest):
            return self._leave(pod, running, now)
        if has_ended(pod.manifest):
            if running is not None:
                self._forget(key, running)
            return None
        if running is None:
            running = self._start(pod, now)
            pod = self.store.fetch(PODS, key[1], namespace=key[0])
        return self._report(pod, running, now)

    # -- what tests and demos do to pods ---------------------------------------------------------------------------

    def kill(self, namespace: str, name: str) -> None:
        """End a pod without any grace, as when its node is lost: open requests fail, the object is gone."""
        running = self._running.get((namespace, name))
        if running is not None and running.server is not None:
            running.server.abort()
        self.store.delete(PODS, name, namespace=namespace, grace_seconds=0)

    def set_ready(self, namespace: str, name: str, *, ready: bool | None) -> None:
        """
        Overrule a pod's readiness; None gives the decision back to the pod.

        Raises: LookupError when no such pod runs (yet).
        """
        running = self._running.get((namespace, name))
        if running is None:
            raise LookupError(f"pod {namespace}/{name}: does not run, wanted one that does")
        running.wanted_ready = ready
        self.mark(self, (namespace, name))

    def look_again(self) -> None:
        """Judge every pod anew: a rule given from outside has changed."""
        for key in self._running:
            self.mark(self, key)

    def counts(self) -> list[PodCount]:
        """Give what every pod has answered that ever ran here."""
        return [
            PodCount(
                namespace=running.namespace,
                name=running.name,
                version=running.version,
                hash=running.hash,
                requests=served.requests,
                mirrored=served.mirrored,
                errors=served.errors,
            )
            for running, served in self._counted
        ]

    async def stop(self) -> None:
        """Close every server, whatever it is doing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for running in self._running.values():
            if running.server is not None:
                running.server.abort()
        self._running.clear()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _start(self, pod: Stored, now: datetime) -> _Running:
        manifest = pod.manifest
        if not (manifest.get("spec") or {}).get("nodeName"):
            body = {"spec": {"nodeName": NODE}}
            self.store.patch(
                PODS, pod.name, PatchKind.MERGE, body, namespace=pod.namespace, subresource="binding", manager="kube-scheduler"
            )
        policy, behaviour = manifest["spec"].get("restartPolicy", "Always"), behaviour_of(manifest)
        former = restarts_of(manifest)
        if former and policy == "Never":
            behaviour = replace(behaviour, ends_after=0.0, exit_code=KILLED)
        running = _Running(
            uid=manifest["metadata"]["uid"],
            name=pod.name,
            namespace=pod.namespace,
            version=version_of(manifest),
            hash=hash_of(manifest),
            behaviour=behaviour,
            crashes=behaviour.crashes and policy == "Always",
            policy=policy,
            former=former,
            address=self.addresses.take(),
            started=now,
            listening=not self.serve,
        )
        self._running[pod.namespace, pod.name] = running
        if self.serve and not running.behaviour.crashes:
            answer = Answer(
                version=running.version,
                hash=running.hash,
                pod=pod.name,
                status=running.behaviour.status,
                latency=running.behaviour.latency,
            )
            running.server = PodServer(answer)
            self._counted.append((running, running.server.served))
            self._open(running, ports_of(manifest))
        elif self.serve:
            running.listening = True
        return running

    def _open(self, running: _Running, ports: tuple[int, ...]) -> None:
        task = asyncio.get_running_loop().create_task(self._listen(running, ports))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, running: _Running, ports: tuple[int, ...]) -> None:
        """Open the pod's ports; say in its status why that is not possible."""
        if running.server is None:
            return
        try:
            await running.server.listen(running.address, ports)
        except OSError as error:
            listed = ", ".join(str(port) for port in ports)
            in_the_way = "a program that listens on this port of all addresses is in the way"
            why = in_the_way if error.errno == EADDRINUSE else str(error.strerror)
            running.problem = f"cannot listen on {running.address} port {listed}: {why}; wanted a free port that needs no privilege"
        if running.stopped:
            running.server.abort()
        if not running.listening:
            running.listening, running.started = True, self.store.clock()
        self.mark(self, (running.namespace, running.name))

    def _report(self, pod: Stored, running: _Running, now: datetime) -> datetime | None:
        up = running.listening and not running.problem and not running.crashes
        stage = stage_of(running.behaviour, running.policy, running.started, now) if up else Stage(since=running.started, until=None)
        runs = up and not stage.waits and not stage.ended
        self._follow(pod, running, stage, runs=runs)
        ready, ready_at = self._readiness(pod, running, stage.since, now) if runs else (False, None)
        life = Life(
            address=running.address,
            started=stage.since if runs else running.started,
            runs=runs,
            ready=ready,
            problem=running.problem or ("the container's process ended right after its start" if running.crashes else ""),
            crashes=running.crashes,
            restarts=stage.restarts + (running.former if running.policy != "Never" else 0),
            waits=stage.waits,
            exit_code=running.behaviour.exit_code,
            ended=stage.since if stage.ended else None,
        )
        self._write(pod, life, now)
        return min((at for at in (ready_at, stage.until) if at is not None), default=None)

    def _follow(self, pod: Stored, running: _Running, stage: Stage, *, runs: bool) -> None:
        """Close the server with its process, and open it again with the next."""
        if running.server is None or not running.listening:
            return
        if not runs:
            running.server.abort()
        elif running.run != stage.restarts:
            running.server.abort()
            self._open(running, ports_of(pod.manifest))
        running.run = stage.restarts if runs else running.run

    def _readiness(self, pod: Stored, running: _Running, begun: datetime, now: datetime) -> tuple[bool, datetime | None]:
        if running.wanted_ready is not None:
            return running.wanted_ready, None
        delay = running.behaviour.ready_after
        if delay is None or self.never_ready(pod.manifest):
            return False, None
        ready_at = begun + timedelta(seconds=delay + self.ready_after)
        return (True, None) if ready_at <= now else (False, ready_at)

    def _write(self, pod: Stored, life: Life, now: datetime) -> None:
        status = pod_status(pod.manifest, life, now)
        if status != pod.manifest.get("status"):
            changed: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": dict(pod.manifest["metadata"]), "status": status}
            changed["metadata"].pop("resourceVersion")
            self.store.update(PODS, changed, subresource="status", manager=MANAGER)

    def _leave(self, pod: Stored, running: _Running | None, now: datetime) -> datetime | None:
        if running is None:
            self._finish(pod, now)
            return None
        if running.leaving_since is None:
            running.leaving_since = now
            if running.server is not None:
                running.server.drain()
        grace = float(pod.manifest["metadata"].get("deletionGracePeriodSeconds") or 0)
        serves_until = running.leaving_since + timedelta(seconds=min(grace, self.drain_seconds))
        if now < serves_until:
            return serves_until
        if is_ready(pod.manifest):
            life = Life(address=running.address, started=running.started, runs=True, ready=False, problem="", crashes=False)
            self._write(pod, life, now)
            return now
        if running.server is not None and now < serves_until + _LET_GO_WITHIN:
            if self.sends_to(running.address):
                return now + _LOOK_AGAIN
            running.server.close()
            if running.server.busy:
                return now + _LOOK_AGAIN
        self._forget((pod.namespace, pod.name), running)
        self._finish(pod, now)
        return None

    def _finish(self, pod: Stored, now: datetime) -> None:
        """Tell the API server that the pod's processes have ended; who holds the pod by a finalizer reads it in its phase."""
        if pod.manifest["metadata"].get("finalizers") and not has_ended(pod.manifest):
            address = (pod.manifest.get("status") or {}).get("podIP", "")
            life = Life(address=address, started=now, runs=False, ready=False, problem="", crashes=False, exit_code=KILLED, ended=now)
            self._write(pod, life, now)
        uid = pod.manifest["metadata"]["uid"]
        try:
            self.store.delete(PODS, pod.name, namespace=pod.namespace, grace_seconds=0, preconditions={"uid": uid})
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def _forget(self, key: Key, running: _Running) -> None:
        self._running.pop(key, None)
        running.stopped = True
        if running.server is not None:
            running.server.abort()
        self.addresses.give_back(running.address)
