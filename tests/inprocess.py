"""The controller and the development cluster in one process, step by step, under one virtual clock and without HTTP."""

import builtins
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from tiphys.api.codec import decode_rollout
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.controller.apply import Gate
from tiphys.controller.caches import Mirror
from tiphys.controller.cluster import Kind, Request
from tiphys.controller.inquiries import Answered, Desk, Inquiries
from tiphys.controller.kinds import KNOWN, Kinds
from tiphys.controller.kubecluster import ApiCluster
from tiphys.controller.loop import Decide, Passes
from tiphys.controller.named import Naming
from tiphys.controller.outside import ApiWithRouters, Feeds, resources
from tiphys.controller.queue import WorkQueue
from tiphys.controller.telemetry import Telemetry
from tiphys.core.actions import Action, Event, Plan
from tiphys.core.decide import decide as decide_rollout
from tiphys.core.decide import standstill
from tiphys.core.invariants import violated
from tiphys.core.observed import Observed
from tiphys.devcluster import errors as devcluster_errors
from tiphys.devcluster.disruption import evict
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.history import DELETED, Subscription
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.storage import Store as ClusterStore
from tiphys.devcluster.virtual import VirtualClock, VirtualCluster
from tiphys.kube.codec import decode
from tiphys.kube.errors import DecodeError, KubeError, UnreachableError, api_error
from tiphys.kube.events import About
from tiphys.kube.resources import PODS, Resource
from tiphys.kube.store import Key, Store, Unreadable
from tiphys.plugins.client import RouterApi
from tiphys.plugins.outposts import Outposts
from tiphys.plugins.router import external_router
from tiphys.traffic.router import Question, Router
from tiphys.traffic.settings import Settings as RouterSettings
from tiphys.traffic.table import routers_of

T = TypeVar("T")


class Death(BaseException):
    """The controller's process ended here, between two writes."""


class ClusterTime:
    """The cluster's virtual time as the controller's clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now

    def monotonic(self) -> float:
        return (self._clock.now - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody may sleep in a step, and somebody wanted {seconds} s")


class Witness(Protocol):
    """Looks at the cluster around every write of the controller."""

    def before(self) -> None:
        """A write is about to be carried out."""

    def after(self, verb: str, plural: str, body: str) -> None:
        """It was carried out."""


class StoreApi:
    """
    The requests of the controller, answered by a store instead of an API server.

    *refuse* may answer a write (verb, plural) with an error instead. *deaths* are the numbers of writes (from 1) after which the
    process dies, *deaths_before* those it does not live to make, *lost* those whose answer never comes although they were done.
    *deadly* names a write (verb, plural, body) after which it dies. With *one_write_a_life* it dies before every second write, and at the
    end of a pass that wrote. *done* lists what was written: verb, plural, body. *witness* is asked to look before and after every write
    that is carried out.
    """

    def __init__(self, store: ClusterStore) -> None:
        self.store = store
        self.writes = 0
        self.refuse: Callable[[str, str], KubeError | None] = _nobody_refuses
        self.deaths: set[int] = set()
        self.deaths_before: set[int] = set()
        self.deadly: Callable[[str, str, str], bool] = _nobody_dies
        self.one_write_a_life = False
        self.wrote = False
        self.witness: Witness | None = None
        self.lost: set[int] = set()
        self.done: list[tuple[str, str, str]] = []

    async def get(self, resource: Resource, name: str, *, namespace: str | None = None, into: type[T]) -> T:
        return self._answer(lambda: self.store.get(self._type(resource), name, namespace=namespace or ""), into)

    async def create(self, resource: Resource, body: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        return self._write(
            "create",
            resource,
            _shown(body),
            lambda: self.store.create(self._type(resource), body, namespace=namespace or "", manager="tiphys"),
            into,
        )

    async def patch(self, resource: Resource, name: str, patch: Manifest, *, namespace: str | None = None, into: type[T]) -> T:
        return await self.patch_subresource(resource, name, "", patch, namespace=namespace, into=into)

    async def patch_subresource(
        self, resource: Resource, name: str, subresource: str, patch: Manifest, *, namespace: str | None = None, into: type[T]
    ) -> T:
        kind = self._type(resource)
        return self._write(
            "patch",
            resource,
            _shown(patch),
            lambda: self.store.patch(
                kind, name, PatchKind.MERGE, patch, namespace=namespace or "", subresource=subresource, manager="tiphys"
            ),
            into,
        )

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None, resource_version: str | None = None
    ) -> Manifest:
        wanted = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}

        def delete() -> Manifest:
            return self.store.delete(self._type(resource), name, namespace=namespace or "", preconditions=wanted).stored.copy()

        return self._write("delete", resource, name, delete, Manifest)

    async def list(self, resource: Resource, *, namespace: str | None = None, label_selector: str = "", into: type[T]) -> builtins.list[T]:
        found = self.store.list(self._type(resource), namespace=namespace, labels=label_selector).manifests
        return [decode(msgspec.json.encode(each), into, where="an answer") for each in found]

    async def evict(self, name: str, *, namespace: str) -> Manifest:
        return self._write("create", PODS, name, lambda: _evicted(self.store, namespace, name), Manifest)

    def _write(self, verb: str, resource: Resource, what: str, write: Callable[[], Manifest], into: type[T]) -> T:
        lost = UnreachableError("the store", "the connection was closed in the middle of an answer")
        return self.through(verb, resource.plural, what, lambda: self._answer(write, into), lost=lost)

    def through(self, verb: str, plural: str, what: str, write: Callable[[], T], *, lost: Exception) -> T:
        """Let *write* happen, if the process lives; *lost* is raised where its answer never comes."""
        self.writes += 1
        if self.writes in self.deaths_before or (self.one_write_a_life and self.wrote):
            raise Death
        refusal = self.refuse(verb, plural)
        if refusal is not None:
            raise refusal
        if self.witness is not None:
            self.witness.before()
        answer = write()
        if self.witness is not None:
            self.witness.after(verb, plural, what)
        self.done.append((verb, plural, what))
        self.wrote = True
        if self.writes in self.lost:
            raise lost
        if self.writes in self.deaths or self.deadly(verb, plural, what):
            raise Death
        return answer

    def _answer(self, call: Callable[[], Manifest], into: type[T]) -> T:
        try:
            answer = call()
        except devcluster_errors.StatusError as error:
            raise api_error(error.code, error.wire()) from error
        # As over HTTP: bytes, decoded again.
        body = msgspec.json.encode(answer)
        return body if into is bytes else decode(body, into, where="an answer")  # type: ignore[return-value]

    def _type(self, resource: Resource) -> ResourceType:
        found = self.store.registry.resource(resource.group, resource.version, resource.plural)
        if found is None:
            raise api_error(404, {"reason": "NotFound", "message": f"the server does not serve {resource}"})
        return found


def _evicted(store: ClusterStore, namespace: str, name: str) -> Manifest:
    evict(store, name, namespace=namespace)
    return {}


def _nobody_refuses(_verb: str, _plural: str) -> None:
    return None


def _nobody_dies(_verb: str, _plural: str, _body: str) -> bool:
    return False


def _shown(body: Manifest) -> str:
    """Say what is written, without the version it is conditional on."""
    metadata = {key: value for key, value in body.get("metadata", {}).items() if key != "resourceVersion"}
    return msgspec.json.encode({**body, "metadata": metadata}, order="sorted").decode()


class StoreFeed:
    """
    Fills the controller's caches from a store's watches when `pump` is called.

    While *held* names a kind, its events wait: the caches are stale.
    """

    def __init__(self, store: ClusterStore, kinds: Kinds) -> None:
        self._store = store
        self._kinds = kinds
        self._fed: dict[Kind, tuple[Subscription, Store[Any], Callable[[], None]]] = {}
        self._absent: dict[Kind, tuple[Store[Any], Callable[[], None]]] = {}
        self.held: set[Kind] = set()

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        served = {Resource(each.group, each.version, each.plural, each.kind): each for each in self._store.registry}
        chosen = self._kinds.get(kind) or self._kinds.choose(kind, served)
        if chosen is None:
            self._absent[kind] = (store, answered)
            return
        self._kinds.learn(chosen)
        self._fed[kind] = (self._store.watch(served[chosen]), store, answered)

    def absent(self, kind: Kind) -> bool:
        return kind in self._absent

    def pump(self) -> bool:
        """Deliver what happened, and say whether anything did; kinds that were not served may be served by now."""
        news = False
        for kind, (store, answered) in list(self._absent.items()):
            del self._absent[kind]
            self.start(kind, store, answered)
        for kind, (subscription, store, answered) in list(self._fed.items()):
            if kind in self.held:
                continue
            for event in subscription.drain():
                news = True
                self._deliver(event.type, event.stored.encoded, store)
            if not store.synced.is_set():
                news = True
                store.synced.set()
                answered()
        return news

    def _deliver(self, event_type: str, encoded: bytes, store: Store[Any]) -> None:
        manifest = msgspec.json.decode(encoded)
        key = Key(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        version = manifest["metadata"]["resourceVersion"]
        if event_type == DELETED:
            store.remove(key, version)
            return
        try:
            store.upsert(decode(encoded, store.into, where=str(key)))
        except DecodeError as error:
            store.reached(version)
            store.spoil(Unreadable(key, version, error.problem))


class RouterFeed:
    """Asks routers in other processes when `pump` is called."""

    def __init__(self, outposts: Outposts) -> None:
        self._outposts = outposts
        self._news = False

    def start(self, kind: Kind, store: Store[Any], answered: Callable[[], None]) -> None:
        self._outposts.start(kind, store, answered)
        store.subscribe(self._changed)

    def absent(self, kind: Kind) -> bool:
        return self._outposts.absent(kind)

    def pump(self) -> bool:
        """Ask each router once, and say whether anything is new."""
        self._news = False
        for _, name in sorted(self._outposts.kinds):
            at_once(self._outposts.look(name))
        return self._news

    def _changed(self, _key: Key, _old: object, _new: object) -> None:
        self._news = True


class Told:
    """Takes events and remembers them."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def tell(self, about: About, event: Event) -> None:
        del about
        self.events.append((event.type.value, event.reason.value, event.message))

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]


class AskedProduct(Protocol):
    """A product that can be asked, beside its objects, what it really does."""

    def asked(self, router: Router) -> Router:
        """Give *router* as one whose product is asked, or as it is."""

    def desk(self) -> Desk:
        """Give a new controller's way to it; answers to the one before are lost."""


class NobodyAtTheDesk:
    """Is asked nothing."""

    def begin(self, question: Question, answered: Answered) -> None:
        del answered
        raise AssertionError(f"nobody can be asked here, and somebody asked {question}")


class InProcessController:
    """
    A participant of a virtual cluster: `cluster.join(controller)`.

    One step is one pass over one Rollout, whole. `restart` is a new process: it knows nothing of the old one.
    """

    born: "Callable[[InProcessController], None]" = staticmethod(lambda _controller: None)
    """Hears of every controller that begins."""

    def __init__(
        self,
        cluster: VirtualCluster,
        *,
        decide: Decide,
        gate: Gate = lambda _seen, _plan, _action: None,
        routers: RouterSettings | None = None,
        product: "AskedProduct | None" = None,
        probes: bool = True,
        outside: Mapping[str, RouterApi] | None = None,
        analysed: bool = False,
    ) -> None:
        self.cluster = cluster
        self.probes = probes
        self.product = product
        self.analysed = analysed
        self.outside = outside or {}
        external = {name: partial(external_router, name) for name in self.outside}
        self.routers = replace(routers or RouterSettings(), external=external)
        self.api = StoreApi(cluster.store)
        self.told = Told()
        self.requests: list[Request] = []
        self.passes = 0
        self.deaths = 0
        self.decide = decide
        self.gate = gate
        self.born(self)
        self.restart()

    def restart(self, *, held: Collection[Kind] = ()) -> None:
        """Begin anew with empty caches; those of the kinds *held* stay empty until `feed.held` lets go of them."""
        self.api.wrote = False
        clock = ClusterTime(self.cluster.clock)
        kinds = Kinds(self.routers.versions)
        naming = Naming(self._routers_of)
        self.feed = StoreFeed(self.cluster.store, kinds)
        self.feed.held.update(held)
        outposts = Outposts(self.outside, clock)
        for resource in resources(outposts):
            kinds.learn(resource)
        self.router_feed = RouterFeed(outposts)
        self.caches = Mirror(Feeds(self.feed, self.router_feed), naming, outside=outposts.kinds)
        self.queue: WorkQueue[Key] = WorkQueue(clock)
        self.telemetry = Telemetry(clock.monotonic)
        writer = ApiCluster(ApiWithRouters(self.api, outposts), self.caches, kinds, self.told, ledger=self.requests.append)
        self.loop = Passes(
            caches=self.caches,
            cluster=writer,
            queue=self.queue,
            clock=clock,
            naming=naming,
            inquiries=Inquiries(self.product.desk() if self.product is not None else NobodyAtTheDesk(), clock),
            telemetry=self.telemetry,
            decide=self._decide,
            gate=self._gate,
            standstill=partial(standstill, analysed=self.analysed),
            probes=self.probes,
        )
        self.caches.start(self.loop)
        self.feed.pump()
        self.router_feed.pump()

    def _routers_of(self, rollout: Rollout) -> Sequence[Router]:
        routers = routers_of(rollout, settings=self.routers)
        return routers if self.product is None else [self.product.asked(router) for router in routers]

    def _decide(self, seen: Observed) -> Plan:
        return self.decide(seen)

    def _gate(self, seen: Observed, plan: Plan, action: Action) -> str | None:
        return self.gate(seen, plan, action)

    def step(self) -> bool:
        """Hear the news and do one pass, if one is due."""
        news = self.feed.pump() | self.router_feed.pump()
        self.queue.ring()
        key = self.queue.take()
        if key is None:
            return news
        self.passes += 1
        try:
            at_once(self.loop.look(key))
            dies = self.api.one_write_a_life and self.api.wrote
        except Death:
            dies = True
        if dies:
            self.deaths += 1
            self.restart()
        return True

    def wakes_at(self) -> datetime | None:
        at = self.queue.next_alarm
        if at is None:
            return None
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=at, microseconds=1)  # rounding never makes it early

    def rollout(self, name: str = "web", namespace: str = "default") -> Rollout:
        """Give a Rollout as the cluster has it."""
        body = self.cluster.store.get(_resource(self.cluster.store, ("argoproj.io", "Rollout")), name, namespace=namespace)
        return decode_rollout(msgspec.json.encode(body))

    def manifest(self, kind: Kind, name: str, namespace: str = "default") -> Manifest:
        """Give any object as the cluster has it."""
        return self.cluster.store.get(_resource(self.cluster.store, kind), name, namespace=namespace)

    def edit(self, kind: Kind, name: str, patch: Mapping[str, Any], *, namespace: str = "default", subresource: str = "") -> Manifest:
        """Change an object as somebody else would."""
        resource = _resource(self.cluster.store, kind)
        return self.cluster.store.patch(
            resource, name, PatchKind.MERGE, dict(patch), namespace=namespace, subresource=subresource, manager="somebody"
        )

    def delete(self, kind: Kind, name: str, *, namespace: str = "default") -> None:
        """Delete an object as somebody else would."""
        self.cluster.store.delete(_resource(self.cluster.store, kind), name, namespace=namespace)

    def create(self, manifest: Manifest, *, namespace: str = "default") -> Manifest:
        """Create an object as somebody else would."""
        resource = self.cluster.store.registry.of_manifest(manifest)
        return self.cluster.store.create(resource, manifest, namespace=namespace, manager="somebody")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    work.close()
    raise AssertionError("a pass waited for something, and in one process there is nothing to wait for")


def _resource(store: ClusterStore, kind: Kind) -> ResourceType:
    known = KNOWN.get(kind)
    found = next((each for each in store.registry if (each.group, each.kind) == kind), None)
    if found is None:
        raise LookupError(f"{kind}: not served{'' if known is None else ', although every cluster serves it'}")
    return found


def pod_template(image: str = "registry.example/web:1") -> Manifest:
    """A pod template with one container, and one field that nobody here knows."""
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def rollout_manifest(name: str = "web", *steps: Manifest, replicas: int = 2, istio: bool = True, **canary: Any) -> Manifest:  # noqa: ANN401 - any JSON
    """A canary Rollout; with *istio* its traffic goes through the VirtualService of its name."""
    strategy: Manifest = {"steps": list(steps), **canary}
    if istio:
        strategy |= {
            "canaryService": f"{name}-canary",
            "stableService": f"{name}-stable",
            "trafficRouting": {"istio": {"virtualService": {"name": name}}},
        }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template(),
            "strategy": {"canary": strategy},
        },
    }


def service_manifest(name: str) -> Manifest:
    """A Service over the pods of the template."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }


def virtual_service_manifest(name: str = "web", **http: Any) -> Manifest:  # noqa: ANN401 - any JSON
    """A VirtualService that splits between the two Services of *name*; keywords are further fields of its route."""
    route = [
        {"destination": {"host": f"{name}-stable"}, "weight": 100},
        {"destination": {"host": f"{name}-canary"}, "weight": 0},
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hosts": [name], "http": [{"route": route, **http}]},
    }


def world(
    *steps: Manifest,
    decide: Decide = decide_rollout,
    gate: Gate = violated,
    replicas: int = 2,
    istio: bool = True,
    settled: bool = True,
    definitions: Sequence[Manifest] = (),
    **canary: Any,  # noqa: ANN401 - any JSON
) -> InProcessController:
    """Give a controller beside a virtual cluster with the Rollout `web`, at rest on its first version unless not *settled*."""
    cluster = VirtualCluster(definitions=definitions or [*foreign_definitions("networking.istio.io"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=gate)
    cluster.join(controller)
    if istio:
        for manifest in (service_manifest("web-stable"), service_manifest("web-canary"), virtual_service_manifest()):
            controller.create(manifest)
    controller.create(rollout_manifest("web", *steps, replicas=replicas, istio=istio, **canary))
    if settled:
        cluster.advance(60)
        controller.requests.clear()
        controller.told.events.clear()
    return controller
