"""How is a scenario told: given manifests, when the image changes, then what does the cluster look like?"""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from balancer import Balancer
from inprocess import InProcessController, pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from onlooker import Onlooker
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus
from tiphys.cli.patches import ABORT, PAUSE, RESUME, RETRY, Skip, promotion
from tiphys.controller.cluster import Kind
from tiphys.core.actions import Plan, Why
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.core.observed import Observed, Verification
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import ENDPOINT_SLICES
from tiphys.devcluster.virtual import VirtualCluster

Routing = Literal["istio", "ping-pong", "subsets", "empty", "none"]
T = TypeVar("T")

ROLLOUT: Final[Kind] = ("argoproj.io", "Rollout")
REPLICA_SET: Final[Kind] = ("apps", "ReplicaSet")
VIRTUAL_SERVICE: Final[Kind] = ("networking.istio.io", "VirtualService")
DESTINATION_RULE: Final[Kind] = ("networking.istio.io", "DestinationRule")
SERVICE: Final[Kind] = ("", "Service")
POD: Final[Kind] = ("", "Pod")

STABLE_SERVICE: Final = "web-stable"
CANARY_SERVICE: Final = "web-canary"
ACTIVE_SERVICE: Final = "web-active"
PREVIEW_SERVICE: Final = "web-preview"
QUIET_SECONDS: Final = 700.0
"""Longer than every delay and deadline that nobody set; what happens later is asked for by name."""

PAUSE_STEP: Final[Manifest] = {"pause": {}}
BETA: Final[Manifest] = {"name": "beta", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}
SHADOW: Final[Manifest] = {"name": "shadow", "percentage": 35, "match": [{"method": {"exact": "GET"}}]}


def weight(percent: int) -> Manifest:
    """Give a `setWeight` step."""
    return {"setWeight": percent}


def pause(duration: int | str) -> Manifest:
    """Give a `pause` step that ends by itself."""
    return {"pause": {"duration": duration}}


def scale(**fields: int | bool) -> Manifest:
    """Give a `setCanaryScale` step."""
    return {"setCanaryScale": fields}


def app(
    *steps: Manifest,
    replicas: int | None = 5,
    image: str = "1",
    routing: Routing = "istio",
    spec: Mapping[str, Any] | None = None,
    **canary: Any,  # noqa: ANN401 - any JSON
) -> list[Manifest]:
    """Give the manifests of the Rollout `web` and of all it names; *canary* and *spec* are further fields of its strategy and spec."""
    strategy: Manifest = {"istio": {"trafficRouting": _istio(), "canaryService": CANARY_SERVICE, "stableService": STABLE_SERVICE}}.get(
        routing, {}
    )
    if routing == "subsets":
        rule = {"name": "web", "stableSubsetName": "stable", "canarySubsetName": "canary"}
        strategy = {"trafficRouting": _istio(destinationRule=rule)}
    if routing == "ping-pong":
        strategy = {"trafficRouting": _istio(), "pingPong": {"pingService": "web-ping", "pongService": "web-pong"}}
    if routing == "empty":
        strategy = {"trafficRouting": {}}
    strategy = {**strategy, **canary}
    rollout = rollout_manifest("web", *steps, istio=False, **strategy)
    rollout["spec"] |= {"template": template(image), **(spec or {})}
    if replicas is None:
        del rollout["spec"]["replicas"]
    else:
        rollout["spec"]["replicas"] = replicas
    services = [service_manifest(name) for key in ("stableService", "canaryService") if (name := strategy.get(key))]
    services += [service_manifest(name) for name in (strategy.get("pingPong") or {}).values()]
    return [*services, *_routes(routing), rollout]


def blue_green_app(
    *,
    replicas: int | None = 3,
    image: str = "1",
    preview: bool = True,
    spec: Mapping[str, Any] | None = None,
    **strategy: Any,  # noqa: ANN401 - any JSON
) -> list[Manifest]:
    """Give the manifests of a blue-green Rollout `web` and its Services; *strategy* and *spec* are further fields."""
    named = {"activeService": ACTIVE_SERVICE, **({"previewService": PREVIEW_SERVICE} if preview else {})}
    rollout = rollout_manifest("web", istio=False)
    rollout["spec"] |= {"strategy": {"blueGreen": {**named, **strategy}}, "template": template(image), **(spec or {})}
    if replicas is None:
        del rollout["spec"]["replicas"]
    else:
        rollout["spec"]["replicas"] = replicas
    return [*(service_manifest(name) for name in named.values()), rollout]


def _istio(**fields: Any) -> Manifest:  # noqa: ANN401 - any JSON
    return {"istio": {"virtualService": {"name": "web"}, **fields}, "managedRoutes": [{"name": "beta"}, {"name": "shadow"}]}


def _routes(routing: Routing) -> list[Manifest]:
    if routing == "istio":
        return [virtual_service_manifest()]
    if routing == "ping-pong":
        virtual_service = virtual_service_manifest()
        split = [{"destination": {"host": "web-pong"}, "weight": 100}, {"destination": {"host": "web-ping"}, "weight": 0}]
        virtual_service["spec"]["http"] = [{"route": split}]
        return [virtual_service]
    if routing != "subsets":
        return []
    virtual_service = virtual_service_manifest()
    virtual_service["spec"]["http"] = [
        {
            "route": [
                {"destination": {"host": "web", "subset": "stable"}, "weight": 100},
                {"destination": {"host": "web", "subset": "canary"}, "weight": 0},
            ]
        }
    ]
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"host": "web", "subsets": [{"name": name, "labels": {"app": "web"}} for name in ("stable", "canary")]},
    }
    return [service_manifest("web"), virtual_service, rule]


def template(image: str) -> Manifest:
    """Give the pod template of a version; *image* is its tag, whose words tell how its pods behave."""
    return pod_template(f"registry.example/web:{image}")


class Story:
    """
    A Rollout `web` in a cluster of its own, whose time stands still until somebody waits.

    A *version* is an image tag. Every write of the controller is looked at by an `Onlooker`. *analysed* says that a test plays those
    who make AnalysisRuns (see `analyst`): only then a Rollout may ask for them. *lax* is a cluster whose definition of Rollouts lets
    everything pass.
    """

    def __init__(
        self,
        manifests: Iterable[Manifest],
        *,
        prepare: Callable[[InProcessController], None] | None = None,
        product: Balancer | None = None,
        analysed: bool = False,
        groups: Iterable[str] = (),
        lax: bool = False,
    ) -> None:
        """Give the cluster of *manifests*; *groups* are the API groups of further products that it serves."""
        further = [found for group in groups for found in foreign_definitions(group)]
        needed = _definitions(analysed=analysed)
        self.cluster = VirtualCluster(definitions=[*(_lax(needed) if lax else needed), *further])
        self.analysed = analysed
        self.controller = InProcessController(self.cluster, decide=self._decide, gate=violated, product=product, analysed=analysed)
        if product is not None:
            product.join(self.cluster, says=lambda _router: self.weights[1])
        self.onlooker = Onlooker(self.controller)
        self.controller.api.witness = self.onlooker
        self.verification: Verification | None = None
        self.last: Plan | None = None
        if prepare is not None:
            prepare(self.controller)
        self.cluster.join(self.controller)
        for manifest in manifests:
            self.controller.create(manifest)

    def _decide(self, seen: Observed) -> Plan:
        """Decide as the controller does; *verification*, where set, is what a verifier would say of the routes."""
        if self.verification is not None and seen.router is not None:
            picture = dataclasses.replace(seen.router, verified=self.verification, detail="a verifier that was put in its place")
            seen = dataclasses.replace(seen, router=picture)
        self.last = decide(seen, analysed=self.analysed)
        return self.last

    # What people do

    def set_image(self, image: str) -> None:
        self.edit_spec(template=template(image))

    def edit_spec(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        self.controller.edit(ROLLOUT, "web", {"spec": fields})

    def edit_canary(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        self.edit_spec(strategy={"canary": fields})

    def edit_blue_green(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        self.edit_spec(strategy={"blueGreen": fields})

    def edit_status(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        self.controller.edit(ROLLOUT, "web", {"status": fields}, subresource="status")

    def abort(self) -> None:
        self.controller.edit(ROLLOUT, "web", ABORT, subresource="status")

    def retry(self) -> None:
        self.controller.edit(ROLLOUT, "web", RETRY, subresource="status")

    def pause(self) -> None:
        self.controller.edit(ROLLOUT, "web", PAUSE)

    def resume(self) -> None:
        self.controller.edit(ROLLOUT, "web", RESUME)

    def promote(self, skip: Skip = Skip.NO) -> None:
        """Send what the command `promote` sends."""
        asked = promotion(self.rollout, skip)
        if asked.status is not None:
            self.controller.edit(ROLLOUT, "web", asked.status, subresource="status")
        if asked.spec is not None:
            self.controller.edit(ROLLOUT, "web", asked.spec)

    def promote_full(self) -> None:
        self.promote(Skip.FULL)

    # What happens to pods and to the controller

    def pods(self, version: str) -> list[str]:
        """Name the pods of a version that are not on their way out."""
        found = self.cluster.pods({names.HASH_LABEL: self.hash_of(version)})
        return sorted(pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"])

    def make_ill(self, version: str, count: int) -> None:
        """Let *count* pods of a version stop being ready, for ever."""
        for name in self.pods(version)[:count]:
            self.cluster.set_ready(name, ready=False)

    def make_well(self, version: str) -> None:
        for name in self.pods(version):
            self.cluster.set_ready(name, ready=None)

    def bar(self, version: str) -> None:
        """Let no pod of a version be ready, those that come included."""
        self.cluster.bar({names.HASH_LABEL: self.hash_of(version)})

    def unbar(self, version: str) -> None:
        self.cluster.unbar({names.HASH_LABEL: self.hash_of(version)})

    # Time

    def rest(self) -> None:
        """Let time pass until nothing is written any more."""
        for _ in range(20):
            before = self.cluster.store.version
            self.cluster.advance(QUIET_SECONDS)
            if self.cluster.store.version == before:
                return
        raise AssertionError(f"no rest: {self.status.phase} {self.status.message!r}")

    def advance(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    def until(self, so: Callable[[], bool], within: float = 3600.0) -> None:
        """Let time pass until *so* holds; an error if it never does."""
        self.cluster.settle(so, within=within)

    def until_phase(self, phase: str, message: str | None = None) -> None:
        """Wait for what clients show: the phase of the present generation."""
        self.until(lambda: self.phase == phase and (message is None or self.status.message == message))

    def until_weight(self, percent: int) -> None:
        self.until(lambda: self.weights[1] == percent)

    # What is seen

    def dump(self) -> list[Manifest]:
        """Give every object of the cluster, as `kubectl get -o yaml` shows it."""
        store = self.cluster.store
        return [stored.copy() for kind in store.registry for stored in store.scan(kind)]

    def small_dump(self) -> list[Manifest]:
        """Give what kubectl gets of a namespace: no definitions, which are most of the bytes."""
        store = self.cluster.store
        return [stored.copy() for kind in store.registry if kind.namespaced for stored in store.scan(kind)]

    @property
    def rollout(self) -> Rollout:
        return self.controller.rollout()

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status

    @property
    def phase(self) -> str:
        """The phase, once the present generation was looked at."""
        rollout = self.rollout
        return rollout.status.phase if rollout.status.observed_generation == str(rollout.metadata.generation) else ""

    @property
    def stable(self) -> str:
        """The version that is stable; empty before the first."""
        return self.version_of(self.status.stable_rs)

    def condition(self, kind: str) -> tuple[str, str]:
        """Give status and reason of a condition; two empty texts where it is not there."""
        return next(((found.status, found.reason) for found in self.status.conditions if found.type == kind), ("", ""))

    def message(self, kind: str) -> str:
        return next((found.message for found in self.status.conditions if found.type == kind), "")

    @property
    def weights(self) -> tuple[int, int]:
        """What the VirtualService gives stable and canary."""
        found = self.onlooker.weights()
        return found[self.onlooker.side("stable")], found[self.onlooker.side("canary")]

    @property
    def recorded(self) -> tuple[int, int] | None:
        """What the status says it gives them."""
        recorded = self.status.canary.weights
        return None if recorded is None else (recorded.stable.weight, recorded.canary.weight)

    @property
    def managed_routes(self) -> list[str]:
        """Name the header and mirror routes that stand in the VirtualService, in order."""
        http = self.controller.manifest(VIRTUAL_SERVICE, "web")["spec"]["http"]
        return [route["name"] for route in http if route.get("name") in {"beta", "shadow"}]

    @property
    def selectors(self) -> tuple[str, str]:
        """Which versions the stable and the canary Service select; empty where they select any."""
        return self.selected(STABLE_SERVICE), self.selected(CANARY_SERVICE)

    def selected(self, service: str) -> str:
        """Name the version that a Service selects; empty where it selects any."""
        selector = self.controller.manifest(SERVICE, service)["spec"]["selector"]
        return self.version_of(selector.get(names.HASH_LABEL, ""))

    @property
    def subsets(self) -> tuple[str, str]:
        """Which versions the stable and the canary subset select."""
        found = self.controller.manifest(DESTINATION_RULE, "web")["spec"]["subsets"]
        labels = {subset["name"]: subset["labels"].get(names.HASH_LABEL, "") for subset in found}
        return self.version_of(labels["stable"]), self.version_of(labels["canary"])

    @property
    def replica_sets(self) -> dict[str, Manifest]:
        """Give the ReplicaSets of the Rollout by version."""
        found = self.onlooker.replica_sets()
        return {_version(each): each for each in found if names.HASH_LABEL in each["metadata"].get("labels", {})}

    @property
    def sizes(self) -> dict[str, int]:
        """How many pods each version is to have; those with none left out."""
        return {version: size for version, found in sorted(self.replica_sets.items()) if (size := found["spec"]["replicas"])}

    def available(self, version: str) -> int:
        return int(self.replica_sets[version]["status"].get("availableReplicas", 0))

    def annotations(self, version: str) -> Mapping[str, str]:
        return dict(self.replica_sets[version]["metadata"].get("annotations", {}))

    def revision(self, version: str) -> int:
        return names.revision(self.annotations(version))

    def hash_of(self, version: str) -> str:
        return str(self.replica_sets[version]["metadata"]["labels"][names.HASH_LABEL])

    def version_of(self, pod_hash: str) -> str:
        """Name the version behind a hash; a hash whose ReplicaSet is gone names itself."""
        named = {found["metadata"]["labels"][names.HASH_LABEL]: version for version, found in self.replica_sets.items()}
        return named.get(pod_hash, pod_hash)

    @property
    def events(self) -> list[str]:
        return self.controller.told.reasons

    def forget(self) -> None:
        """Begin a new list of events, writes and weights."""
        self.controller.told.events.clear()
        self.controller.api.done.clear()
        self.onlooker.gained.clear()

    @property
    def gained(self) -> list[int]:
        """The canary weights that were written, in order."""
        return list(self.onlooker.gained)

    @property
    def reasons(self) -> set[Why]:
        """Why the last pass waits."""
        return set() if self.last is None else {because.why for because in self.last.because}


@cache
def _definitions(*, analysed: bool) -> tuple[Manifest, ...]:
    """Give the definitions that a story needs; the store keeps copies."""
    needed = {"Rollout", "VirtualService", "DestinationRule", *(("AnalysisRun",) if analysed else ())}
    return tuple(
        found for found in (*foreign_definitions("networking.istio.io"), *crd_manifests()) if found["spec"]["names"]["kind"] in needed
    )


def _lax(definitions: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """Give *definitions*, but that of Rollouts without a schema."""
    found = copy.deepcopy(definitions)
    for definition in found:
        if definition["spec"]["names"]["kind"] == "Rollout":
            anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            for version in definition["spec"]["versions"]:
                version["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    return found


def told(*steps: Manifest, image: str = "1", product: Balancer | None = None, analysed: bool = False, **given: Any) -> Story:  # noqa: ANN401 - see `app`
    """Give a story at rest on its first version."""
    return at_rest(app(*steps, image=image, **given), product=product, analysed=analysed)


def at_rest(manifests: Iterable[Manifest], *, product: Balancer | None = None, analysed: bool = False) -> Story:
    """Give a story of *manifests* at rest on its first version."""
    story = Story(manifests, product=product, analysed=analysed)
    story.rest()
    story.forget()
    return story


def answering(story: Story, service: str) -> int:
    """Count the ready endpoints of a Service."""
    slices = story.cluster.store.scan(ENDPOINT_SLICES, namespace="default", labels={"kubernetes.io/service-name": service})
    endpoints = [each for stored in slices for each in stored.manifest.get("endpoints") or ()]
    return sum(1 for each in endpoints if each["conditions"].get("ready") and not each["conditions"].get("terminating"))


def subsequence(wanted: Sequence[T], found: Sequence[T]) -> bool:
    """Tell whether *found* holds all of *wanted* in this order, with others in between."""
    rest = iter(found)
    return all(any(item == each for each in rest) for item in wanted)


def _version(replica_set: Manifest) -> str:
    image = replica_set["spec"]["template"]["spec"]["containers"][0]["image"]
    return str(image.rpartition(":")[2])


def scaled(story: Story) -> list[tuple[str, int]]:
    """Give version and new size of every ReplicaSet that the controller scaled, in order."""
    messages = [message for _, reason, message in story.controller.told.events if reason == "ScalingReplicaSet"]
    by_name = {found["metadata"]["name"]: version for version, found in story.replica_sets.items()}
    return [(by_name[message.split(" ReplicaSet ")[1].split(" ")[0]], int(message.rpartition(" ")[2])) for message in messages]


def ended(story: Story) -> dict[str, int]:
    """Count the updates that ended, by how they did, as the metrics of this controller tell."""
    families = text_string_to_metric_families(story.controller.telemetry.page().decode())
    samples = (sample for family in families for sample in family.samples)
    return {each.labels["status"]: int(each.value) for each in samples if each.name == "rollout_duration_seconds_count"}


def old_dump(story: Story) -> list[Manifest]:
    """Give what kubectl gets of a namespace, some years before a command looks at it: stories are told in the future."""
    return list(json.loads(json.dumps(story.small_dump()).replace('"2030-', '"2020-').replace('"2029-', '"2019-')))
