"""How is a plan carried out?"""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

import msgspec

from tiphys.api import names
from tiphys.api.codec import status_patch
from tiphys.api.equality import same_template
from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.words import GROUP, EventType, Reason
from tiphys.api.workloads import ReplicaSet
from tiphys.controller import purposes
from tiphys.controller.cluster import ANALYSIS_RUN, Cluster, about, key_of, replica_set_ref, rollout_ref, service_ref
from tiphys.controller.contention import Said
from tiphys.controller.manifests import new_replica_set
from tiphys.controller.named import SOURCES
from tiphys.controller.observe import Sight
from tiphys.controller.trouble import CreationError, RefusedError, RoutingError, TakenNameError
from tiphys.core.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    EndRun,
    Event,
    EvictPod,
    LabelPod,
    Plan,
    RouteTraffic,
    ScaleWorkload,
    SwitchService,
    UpdateReplicaSet,
    UpdateRollout,
)
from tiphys.core.intent import TrafficIntent
from tiphys.core.observed import Observed
from tiphys.kube.diff import merge_patch
from tiphys.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    CredentialError,
    KubeError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.together import render_all

Gate = Callable[[Observed, Plan, Action], str | None]
"""Names the invariant that an action would break; nothing if it is safe."""


async def carry_out(plan: Plan, sight: Sight, cluster: Cluster, gate: Gate) -> Sequence[tuple[Ref, Said]]:
    """
    Carry out *plan* in order, then write the status, then tell the events; the first failing action ends it.

    Gives what of other people's objects was changed, and what it was made to say.

    All routers are rendered before the first write. After a failure the status stays as it is, because it would report what did not
    happen: only the loop writes what stays true (a ReplicaSet that cannot be created, a taken name). Every write is conditional on the
    version that the decision saw, so a decision from an old picture changes nothing.

    Raises:
        RefusedError: the gate stopped an action.
        RoutingError: some routers failed; all were tried.
        CreationError, TakenNameError: the new ReplicaSet could not be made.
        ConflictError: somebody wrote first.
        KubeError: anything else the server said, or nobody answered.

    """
    attempt = _Pass(plan, sight, cluster, gate)
    await attempt.run()
    return attempt.written


class _Pass:
    """One plan on its way, with the versions that its own writes made."""

    def __init__(self, plan: Plan, sight: Sight, cluster: Cluster, gate: Gate) -> None:
        self._plan = plan
        self._sight = sight
        self._seen = sight.seen
        self._rollout = sight.seen.rollout
        self._key = key_of(sight.seen.rollout)
        self._cluster = cluster
        self._gate = gate
        self._versions: dict[Ref, str] = {}
        self.written: list[tuple[Ref, Said]] = []

    async def run(self) -> None:
        """Do everything in order."""
        renderings = {
            at: render_all(self._sight.named.routers, action.wish, self._sight.found)
            for at, action in enumerate(self._plan.actions)
            if isinstance(action, RouteTraffic)
        }
        for at, action in enumerate(self._plan.actions):
            refusal = self._gate(self._seen, self._plan, action)
            if refusal is not None:
                raise RefusedError(purposes.of_action(action, self._seen), refusal)
            if isinstance(action, RouteTraffic):
                await self._route(action, *renderings[at])
                event = action.event
            else:
                event = await self._obey(action)
            if event is not None:
                self._tell(event)
        await self._write_status()
        for event in self._plan.events:
            self._tell(event)

    async def _obey(
        self,
        action: CreateReplicaSet
        | UpdateReplicaSet
        | DeleteReplicaSet
        | UpdateRollout
        | SwitchService
        | ScaleWorkload
        | LabelPod
        | EvictPod
        | EndRun,
    ) -> Event | None:
        """Do what *action* says, and give the event that is to be told of it."""
        purpose = purposes.of_action(action, self._seen)
        match action:
            case CreateReplicaSet():
                return action.event if await self._create(action, purpose) else None
            case UpdateReplicaSet(name=name, annotations=annotations):
                ref = replica_set_ref(self._key.namespace, name)
                version = self._replica_set(name).metadata.resource_version
                await self._patch(ref, version, purpose, annotations=annotations, spec=_replica_set_spec(action))
            case DeleteReplicaSet(name=name):
                metadata = self._replica_set(name).metadata
                ref = replica_set_ref(self._key.namespace, name)
                await self._cluster.delete(self._key, ref, uid=metadata.uid, resource_version=metadata.resource_version, purpose=purpose)
                return None
            case UpdateRollout(annotations=annotations, replicas=replicas, finalizers=finalizers):
                version = self._rollout.metadata.resource_version
                spec = _given(replicas=replicas)
                await self._patch(rollout_ref(self._key), version, purpose, annotations=annotations, spec=spec, finalizers=finalizers)
            case ScaleWorkload(kind=kind, name=name, replicas=replicas, resource_version=version):
                ref = Ref(group=SOURCES[kind][0], kind=kind, namespace=self._key.namespace, name=name)
                await self._patch(ref, version, purpose, annotations={}, spec=_given(replicas=replicas))
            case LabelPod(name=name, uid=uid, change=change):
                await self._cluster.mark_pod(self._key, name, {"metadata": {"uid": uid, **msgspec.to_builtins(change)}}, purpose=purpose)
            case EvictPod(name=name):
                await self._cluster.evict(self._key, name, purpose=purpose)
            case EndRun(name=name):
                version = next(run for run in self._seen.runs if run.metadata.name == name).metadata.resource_version
                ref = Ref(group=GROUP, kind=ANALYSIS_RUN, namespace=self._key.namespace, name=name)
                await self._patch(ref, version, purpose, annotations={}, spec={"terminate": True})
            case SwitchService(name=name, pod_hash=pod_hash, annotate=annotate):
                version = self._seen.services[name].metadata.resource_version
                annotations = {names.MANAGED_BY: self._key.name} if annotate else {}
                spec = {"selector": {names.HASH_LABEL: pod_hash}}
                ref = service_ref(self._key.namespace, name)
                await self._patch(ref, version, purpose, annotations=annotations, spec=spec)
                self.written.append((ref, pod_hash))
            case _:
                assert_never(action)
        return action.event

    async def _patch(
        self,
        ref: Ref,
        seen_version: str,
        purpose: str,
        *,
        annotations: Mapping[str, str | None],
        spec: Manifest,
        finalizers: Sequence[str] | None = None,
    ) -> None:
        """Change annotations, finalizers and fields of the spec in one write, if the object is still as the decision saw it."""
        metadata: Manifest = {"resourceVersion": self._versions.get(ref, seen_version)}
        if annotations:
            metadata["annotations"] = dict(annotations)
        if finalizers is not None:
            metadata["finalizers"] = list(finalizers)
        patch: Manifest = {"metadata": metadata}
        if spec:
            patch["spec"] = spec
        if annotations or spec or finalizers is not None:
            self._versions[ref] = await self._cluster.patch(self._key, ref, patch, purpose=purpose)

    async def _create(self, action: CreateReplicaSet, purpose: str) -> bool:
        """Create the ReplicaSet; gives False where it was there already, as ours and with this template (lifecycle 3.5)."""
        ref = replica_set_ref(self._key.namespace, action.name)
        manifest = new_replica_set(self._rollout, action, digest=self._seen.identity.digest)
        try:
            await self._cluster.create(self._key, ref, manifest, purpose=purpose)
        except AlreadyExistsError as error:
            there = await self._cluster.reread(self._key, ref, purpose="see who has the name of the new ReplicaSet")
            if there is None:
                raise ConflictError(error.status, error.reason, str(error)) from error
            if not _is_ours(there, self._rollout):
                raise TakenNameError(action.name, (self._rollout.status.collision_count or 0) + 1) from error
            return False
        except (ConflictError, CredentialError, ThrottledError, UnauthorizedError, UnreachableError):
            raise
        except KubeError as error:
            raise CreationError(action.name, error) from error
        return True

    async def _route(self, action: RouteTraffic, rendered: Mapping[str, Rendered], spec_errors: Sequence[TiphysError]) -> None:
        errors: list[Exception] = [*spec_errors]
        for wanted in rendered.values():
            try:
                changed = await self._make_say(wanted, action.wish)
            except TiphysError as error:
                errors.append(error)
                continue
            if changed and wanted.event is not None:
                self._tell(wanted.event)
            if changed:
                for warning in wanted.warnings:
                    self._tell(Event(reason=Reason.FOREIGN_ROUTE_REMOVED, message=warning, type=EventType.WARNING))
        if errors:
            raise RoutingError(errors)

    async def _make_say(self, wanted: Rendered, wish: TrafficIntent) -> bool:
        """Write what differs of one router's objects, and tell whether anything did; its first error ends it."""
        purpose = purposes.of_wish(wish)
        changed = False
        for ref, manifest in wanted.apply.items():
            found = self._sight.found.get(ref)
            if found is None:
                await self._cluster.create(self._key, ref, manifest, purpose=purpose)
                changed = True
                continue
            patch = merge_patch(found, manifest)
            if patch is not None:
                version = found.get("metadata", {}).get("resourceVersion", "")
                patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}
                await self._cluster.patch(self._key, ref, patch, purpose=purpose)
                self.written.append((ref, wish))
                changed = True
        for ref in dict.fromkeys((*self._sight.named.refs, *self._sight.found)):
            gone = self._sight.found.get(ref)
            if gone is not None and ref in wanted.absent:
                metadata = gone["metadata"]
                version = metadata.get("resourceVersion", "")
                await self._cluster.delete(self._key, ref, uid=metadata.get("uid", ""), resource_version=version, purpose=purpose)
                changed = True
        return changed

    async def _write_status(self) -> None:
        patch = status_patch(self._rollout.status, self._plan.status)
        if not patch:
            return
        ref = rollout_ref(self._key)
        version = self._versions.get(ref, self._rollout.metadata.resource_version)
        purpose = purposes.of_status(self._rollout.status, self._plan.status)
        await self._cluster.patch(
            self._key, ref, {**patch, "metadata": {"resourceVersion": version}}, subresource="status", purpose=purpose
        )

    def _tell(self, event: Event) -> None:
        self._cluster.tell(about(self._rollout), event)

    def _replica_set(self, name: str) -> ReplicaSet:
        return next(found for found in self._seen.replica_sets if found.metadata.name == name)


def _replica_set_spec(action: UpdateReplicaSet) -> Manifest:
    """Give the part of a ReplicaSet's spec that changes; an affinity is one value, because its terms are lists."""
    template: Manifest = {}
    if action.metadata is not None:
        template["metadata"] = msgspec.to_builtins(action.metadata)
    if action.affinity is not None:
        template["spec"] = {"affinity": action.affinity}
    spec = _given(replicas=action.replicas, minReadySeconds=action.min_ready_seconds)
    return {**spec, "template": template} if template else spec


def _given(**fields: int | None) -> Manifest:
    return {name: value for name, value in fields.items() if value is not None}


def _is_ours(there: Manifest, rollout: Rollout) -> bool:
    """Whether a ReplicaSet under the name that we wanted is the one we wanted (lifecycle 3.5)."""
    owners = there.get("metadata", {}).get("ownerReferences") or []
    controller = next((owner.get("uid") for owner in owners if owner.get("controller")), None)
    template = msgspec.json.encode(there.get("spec", {}).get("template") or {})
    return controller == rollout.metadata.uid and same_template(template, bytes(rollout.spec.template))
