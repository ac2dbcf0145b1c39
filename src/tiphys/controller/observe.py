"""What does the cluster look like around one Rollout, right now?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tiphys.api import names, podhash
from tiphys.api.equality import meaning_digest, recorded_metadata, same_template
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.validation import reference_problems, spec_problems, template_labels
from tiphys.api.workloads import Pod, ReplicaSet, Service
from tiphys.controller.cluster import Caches, key_of
from tiphys.controller.endpoints import EndpointCounts, ready_addresses
from tiphys.controller.found import found_by, made_beside
from tiphys.controller.named import Named, Naming
from tiphys.controller.verify import Verifier
from tiphys.controller.workload import Resolved
from tiphys.core.observed import Identity, Observed, RouterPicture
from tiphys.kube.clock import Clock
from tiphys.kube.store import identity
from tiphys.traffic.router import Placing, Ref
from tiphys.traffic.table import unsupported
from tiphys.traffic.together import combine, reported_by_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """
    The picture, and what it was drawn from: apply writes with the versions that the decision saw.

    *errors* are what went wrong in asking products what the traffic really does.
    """

    seen: Observed
    named: Named
    found: Mapping[Ref, Manifest]
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Template:
    """
    What a pod template came to, and which ReplicaSets (by uid and resourceVersion) were found to be equal to it.

    *complete* says that every hash form and the digest are there; they take long for a large template, and nobody needs them while a
    ReplicaSet has the present form.
    """

    template: bytes
    collision_count: int | None
    forms: frozenset[str]
    pod_hash: str
    digest: str
    labels: Mapping[str, str]
    complete: bool
    compared: dict[str, tuple[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Routes:
    """What the routers said of objects at these versions."""

    generation: int
    roles: str
    versions: tuple[tuple[Ref, str], ...]
    picture: RouterPicture | None
    problems: tuple[SpecError, ...]


@dataclass(slots=True)
class _Memory:
    """What is remembered of one Rollout, to save time only."""

    endpoints: dict[str, EndpointCounts] = field(default_factory=dict)
    template: _Template | None = None
    spec: tuple[int, tuple[SpecError, ...], str] | None = None
    routes: _Routes | None = None


class Eye:
    """
    Draws the picture from the caches.

    It judges nothing and waits for nobody. What it remembers between two looks (by resourceVersion, generation or content) is only what
    takes long to compute again.
    """

    def __init__(self, caches: Caches, clock: Clock, naming: Naming, verifier: Verifier) -> None:
        self._caches = caches
        self._clock = clock
        self._naming = naming
        self._verifier = verifier
        self._memory: dict[str, _Memory] = {}

    def look(self, written: Rollout, resolved: Resolved, pods: Sequence[Pod] | None = None) -> Sight:
        """
        Give the picture of the Rollout *written*, which means *resolved*; the time is taken once, here.

        *pods* are those its selector names, where they were asked for.
        """
        now, rollout = self._clock.now(), resolved.rollout
        memory = self._memory.setdefault(rollout.metadata.uid, _Memory())
        named = self._naming.of(rollout)
        replica_sets = tuple(sorted(self._replica_sets(rollout), key=lambda found: found.metadata.name))
        services = self._services(rollout, named)
        found = found_by(named.routers, rollout.metadata.uid, self._caches)
        self._caches.mind(key_of(rollout), made_beside(named.routers, found))
        wrong, steps_hash = self._spec(written, memory)
        who, template_problems = self._identity(rollout, replica_sets, memory)
        picture, router_problems = self._routes(rollout, named, found, memory)
        references = reference_problems(rollout, who.labels, services)
        seen = Observed(
            now=now,
            rollout=rollout,
            identity=who,
            steps_hash=steps_hash,
            replica_sets=replica_sets,
            services=services,
            endpoints=self._endpoints(rollout, services, replica_sets, memory),
            router=picture,
            problems=_each_once(
                (*wrong, *resolved.problems, *template_problems, *references, *router_problems, *self._verifier.problems(rollout))
            ),
            pods=None if pods is None else _owned_pods(pods, replica_sets),
            runs=tuple(self._caches.runs(rollout.metadata.uid)) if named.analysed else (),
            workload=resolved.workload,
        )
        verified = self._verifier.look(seen, named.routers, found, self._serving(rollout, named))
        return Sight(seen=replace(seen, router=verified.picture), named=named, found=found, errors=verified.errors)

    def forget(self, rollout: Rollout) -> None:
        """Drop what is remembered of a Rollout that is gone."""
        self._memory.pop(rollout.metadata.uid, None)
        self._naming.forget(rollout.metadata.uid)
        self._verifier.forget(key_of(rollout))

    def _replica_sets(self, rollout: Rollout) -> Sequence[ReplicaSet]:
        """Give its ReplicaSets; of one that is being deleted those too that the garbage collector has orphaned, as was asked for."""
        owned, selector = self._caches.owned(rollout.metadata.uid), rollout.spec.selector
        if rollout.metadata.deletion_timestamp is None or selector is None:
            return owned
        return [*owned, *(stray for stray in self._caches.strays(rollout.metadata.namespace) if selector.matches(stray.metadata.labels))]

    def _services(self, rollout: Rollout, named: Named) -> Mapping[str, Service]:
        space = rollout.metadata.namespace
        return {name: service for name in named.services if (service := self._caches.service(space, name)) is not None}

    def _endpoints(
        self, rollout: Rollout, services: Mapping[str, Service], replica_sets: Sequence[ReplicaSet], memory: _Memory
    ) -> Mapping[str, Mapping[str, int]]:
        counted = {}
        for name in services:
            slices = self._caches.slices(rollout.metadata.namespace, name)
            if slices is None:
                continue
            counts = memory.endpoints.setdefault(name, EndpointCounts()).of_service(slices, replica_sets)
            if counts is not None:
                counted[name] = counts
        return counted

    def _serving(self, rollout: Rollout, named: Named) -> Mapping[str, frozenset[str]]:
        """Give the ready addresses of each Service, where a router's product can say whether it knows them."""
        if not any(isinstance(router, Placing) for router in named.routers):
            return {}
        listed = {name: self._caches.slices(rollout.metadata.namespace, name) for name in named.services}
        return {name: ready_addresses(slices) for name, slices in listed.items() if slices is not None}

    def _spec(self, rollout: Rollout, memory: _Memory) -> tuple[tuple[SpecError, ...], str]:
        """Give what is wrong with the spec, and the hash of its steps; both change with the generation only."""
        generation = rollout.metadata.generation
        if memory.spec is None or not generation or memory.spec[0] != generation:
            memory.spec = (generation, spec_problems(rollout), _steps_hash(rollout))
        return memory.spec[1], memory.spec[2]

    def _identity(self, rollout: Rollout, replica_sets: Sequence[ReplicaSet], memory: _Memory) -> tuple[Identity, tuple[SpecError, ...]]:
        template = bytes(rollout.spec.template)
        count = rollout.status.collision_count
        known = memory.template
        labels = {names.pod_hash(found.metadata.labels) for found in replica_sets}
        fits = known is not None and (known.template, known.collision_count) == (template, count)
        if known is None or not fits or not (known.complete or labels & known.forms):
            try:
                known = memory.template = _read_template(template, count, labels)
            except SpecError as error:
                return Identity(pod_hash=""), (error,)
        equal = frozenset(found.metadata.name for found in replica_sets if _is_equal(found, known))
        who = Identity(pod_hash=known.pod_hash, known=known.forms, equal=equal, digest=known.digest, labels=known.labels)
        return who, ()

    def _routes(
        self, rollout: Rollout, named: Named, found: Mapping[Ref, Manifest], memory: _Memory
    ) -> tuple[RouterPicture | None, tuple[SpecError, ...]]:
        if not named.routers:
            return None, unsupported(rollout)
        generation, roles = rollout.metadata.generation, rollout.status.canary.stable_ping_pong
        versions = tuple((ref, identity(manifest).version) for ref, manifest in found.items())
        known = memory.routes
        if known is None or not generation or (known.generation, known.roles, known.versions) != (generation, roles, versions):
            problems = [problem for router in named.routers for problem in router.problems(found)]
            problems += unsupported(rollout, named.routers)
            told = reported_by_all(named.routers, found)
            routed = combine([router.routed(found) for router in named.routers])
            picture = RouterPicture(routed=routed, verified=told.verified, detail=told.detail)
            known = memory.routes = _Routes(generation, roles, versions, picture, tuple(problems))
        return known.picture, known.problems


def _owned_pods(pods: Sequence[Pod], replica_sets: Sequence[ReplicaSet]) -> tuple[Pod, ...]:
    owners = {found.metadata.uid for found in replica_sets}
    return tuple(pod for pod in pods if pod.metadata.controller is not None and pod.metadata.controller.uid in owners)


def _read_template(template: bytes, count: int | None, labels: set[str]) -> _Template:
    counts = {None, count}
    forms = frozenset(podhash.template_hash(template, each) for each in counts)
    complete = not labels & forms
    if complete:
        forms |= {podhash.legacy_template_hash(template, each) for each in counts}
    return _Template(
        template=template,
        collision_count=count,
        forms=forms,
        pod_hash=podhash.template_hash(template, count),
        digest=meaning_digest(template) if complete else "",
        labels=template_labels(template),
        complete=complete,
    )


def _is_equal(found: ReplicaSet, known: _Template) -> bool:
    """
    Whether a ReplicaSet has the template, whatever its hash.

    One of ours carries the digest of what it was made from: if its template means something else now, people changed it by hand, and pods
    that it made before are not what the Rollout asks for (12.1).
    """
    if names.pod_hash(found.metadata.labels) in known.forms:
        return True
    version, answer = known.compared.get(found.metadata.uid, ("", False))
    if not version or version != found.metadata.resource_version:
        answer = _means_the_same(found, known.template)
        known.compared[found.metadata.uid] = (found.metadata.resource_version, answer)
    return answer


def _means_the_same(found: ReplicaSet, template: bytes) -> bool:
    annotations = found.metadata.annotations
    ephemeral, present = recorded_metadata(annotations), bytes(found.spec.template)
    made_from = annotations.get(names.TEMPLATE_DIGEST)
    hidden = names.HIDDEN_METADATA in annotations  # then keys of the template itself were recorded too, and the digest would miss them
    if made_from is not None and not hidden and made_from != meaning_digest(present, ephemeral):
        return False
    return same_template(present, template, ephemeral)


def _steps_hash(rollout: Rollout) -> str:
    canary = rollout.spec.strategy.canary
    return podhash.steps_hash(canary.steps) if canary is not None else ""


def _each_once(problems: Sequence[SpecError]) -> tuple[SpecError, ...]:
    return tuple(dict.fromkeys(problems))
