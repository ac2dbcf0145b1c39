"""Which HorizontalPodAutoscaler changes which size, and what does it report?"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tiphys.devcluster import autoscaling, selectors
from tiphys.devcluster.autoscaling import NoMetricError, Proposal, Sample
from tiphys.devcluster.behaviour import behaviour_of
from tiphys.devcluster.claims import MANAGER
from tiphys.devcluster.conditions import condition_of
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import DELETED, Event, Stored
from tiphys.devcluster.kinds import AUTOSCALERS, PODS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podindex import Key, PodIndex, has_ended, is_leaving, is_ready, labels_of
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.sources import wire_time
from tiphys.devcluster.storage import Store

PERIOD = timedelta(seconds=15)
"""Between two looks at one autoscaler, as in a real cluster."""

Usage = Callable[[Mapping[str, Any]], int | None]
"""What a pod uses, in thousandths of a core; None: nobody knows."""


def said_usage(pod: Mapping[str, Any]) -> int | None:
    """Give what the pod's own words say that it uses."""
    return behaviour_of(pod).cpu


class Autoscalers:
    """The HorizontalPodAutoscaler controller; *usage* measures a pod."""

    def __init__(self, store: Store, pods: PodIndex) -> None:
        self.usage: Usage = said_usage
        self._store = store
        self._pods = pods
        self._asked: dict[Key, Any] = {}
        self._wanted: dict[Key, list[tuple[datetime, int]]] = defaultdict(list)
        """What the load asked for of late: fewer pods have to be enough for a while."""

    def hears(self, event: Event, resource: ResourceType) -> Iterable[Key]:
        """An autoscaler that asks for something else; whatever else happens, it looks when its time has come."""
        del resource
        key, spec = (event.stored.namespace, event.stored.name), event.manifest.get("spec")
        if event.type == DELETED:
            self._asked.pop(key, None)
            self._wanted.pop(key, None)
            return ()
        changed = self._asked.get(key) != spec
        self._asked[key] = spec
        return (key,) if changed else ()

    def sync(self, key: Key, now: datetime) -> datetime | None:
        """Compare one autoscaler's load with its target, and write the size."""
        found = self._store.read(AUTOSCALERS, key[1], key[0])
        if found is None:
            return None
        status = dict(found.manifest.get("status") or {})
        try:
            resource, scale = self._scale_of(found)
        except StatusError as error:
            told = f"the HPA controller was unable to get the target's current scale: {error.message}"
            self._write(found, _said(status, "AbleToScale", "False", "FailedGetScale", told, now))
            return now + PERIOD
        told = "the HPA controller was able to get the target's current scale"
        status = _said(status, "AbleToScale", "True", "SucceededGetScale", told, now)
        current = int(scale["spec"].get("replicas", 0))
        status["currentReplicas"] = int(scale["status"].get("replicas", 0))
        wanted, status = self._judge(found, scale, current, status, now)
        if wanted != current:
            body = {"spec": {"replicas": wanted}}
            name = found.manifest["spec"]["scaleTargetRef"]["name"]
            self._store.patch(resource, name, PatchKind.MERGE, body, namespace=key[0], subresource="scale", manager=MANAGER)
            told = f"the HPA controller was able to update the target scale to {wanted}"
            status = _said(status, "AbleToScale", "True", "SucceededRescale", told, now) | {"lastScaleTime": wire_time(now)}
        self._write(found, {**status, "desiredReplicas": wanted})
        return now + PERIOD

    def _scale_of(self, autoscaler: Stored) -> tuple[ResourceType, Manifest]:
        reference = autoscaler.manifest["spec"]["scaleTargetRef"]
        version, kind = str(reference.get("apiVersion")), str(reference.get("kind"))
        resource = self._store.registry.kind(version, kind)
        if resource is None or resource.scale is None:
            raise StatusError(404, f'no matches for kind "{kind}" in version "{version}" that has a scale')
        return resource, self._store.get(resource, str(reference.get("name")), namespace=autoscaler.namespace, subresource="scale")

    def _judge(self, autoscaler: Stored, scale: Manifest, current: int, status: Manifest, now: datetime) -> tuple[int, Manifest]:
        """Give the size that is to be, and the status that says why."""
        spec = autoscaler.manifest["spec"]
        least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
        if current == 0:
            told = "scaling is disabled since the replica count of the target is zero"
            return 0, _said(status, "ScalingActive", "False", "ScalingDisabled", told, now)
        if not least <= current <= most:
            return min(max(current, least), most), status
        try:
            proposal = self._proposal(autoscaler, scale, current)
        except NoMetricError as error:
            told = f"the HPA was unable to compute the replica count: failed to get cpu utilization: {error}"
            return current, _said({**status, "currentMetrics": None}, "ScalingActive", "False", error.reason, told, now)
        told = "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"
        status = _said(status, "ScalingActive", "True", "ValidMetricFound", told, now)
        measured = {"averageUtilization": proposal.utilization, "averageValue": f"{proposal.average}m"}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": measured}}]
        steady = self._steadied((autoscaler.namespace, autoscaler.name), proposal.replicas, autoscaling.patience(spec), now)
        if steady > proposal.replicas:
            told = "recent recommendations were higher than current one, applying the highest recent recommendation"
            status = _said(status, "AbleToScale", "True", "ScaleDownStabilized", told, now)
        else:
            told = "recommended size matches current size"
            status = _said(status, "AbleToScale", "True", "ReadyForNewScale", told, now)
        wanted, reason, told = autoscaling.limited(steady, current, spec)
        return wanted, _said(status, "ScalingLimited", "False" if wanted == steady else "True", reason, told, now)

    def _proposal(self, autoscaler: Stored, scale: Manifest, current: int) -> Proposal:
        target = autoscaling.target_of(autoscaler.manifest["spec"])
        if target is None:
            raise NoMetricError("the development cluster measures the utilization of cpu only")
        pods = self._selected(autoscaler.namespace, scale["status"].get("selector", ""))
        living = [each.manifest for each in pods if not is_leaving(each.manifest) and not has_ended(each.manifest)]
        samples = [Sample(requested=autoscaling.requested_by(pod), used=self.usage(pod), ready=is_ready(pod)) for pod in living]
        return autoscaling.propose(samples, current, target)

    def _selected(self, namespace: str, selector: str) -> list[Stored]:
        """Give the pods that *selector* means, by the labels it names outright where there are some."""
        if not selector:
            raise NoMetricError("selector is required")
        parts = [part.split("=") for part in selector.split(",")]
        outright = {part[0]: part[1] for part in parts if len(part) == 2 and " " not in part[0] and "!" not in part[0]}
        found = self._pods.selected(namespace, outright) if outright else self._store.scan(PODS, namespace=namespace)
        selects = selectors.label_selector(selector)
        return [each for each in found if selects(labels_of(each.manifest))]

    def _steadied(self, key: Key, wanted: int, seconds: int, now: datetime) -> int:
        """Give the most that the load asked for within the last *seconds*."""
        since = now - timedelta(seconds=seconds)
        self._wanted[key] = [(at, size) for at, size in self._wanted[key] if at > since] + [(now, wanted)]
        return max(size for _, size in self._wanted[key])

    def _write(self, autoscaler: Stored, status: Manifest) -> None:
        status = {key: value for key, value in status.items() if value is not None}
        if status == autoscaler.manifest.get("status"):
            return
        metadata = dict(autoscaler.manifest["metadata"])
        del metadata["resourceVersion"]
        changed: Manifest = {"apiVersion": AUTOSCALERS.api_version, "kind": AUTOSCALERS.kind, "metadata": metadata, "status": status}
        self._store.update(AUTOSCALERS, changed, subresource="status", manager=MANAGER)


def _said(status: Manifest, kind: str, word: str, reason: str, message: str, now: datetime) -> Manifest:
    conditions = list(status.get("conditions") or ())
    before = condition_of(status, kind) or {}
    since = before.get("lastTransitionTime") if before.get("status") == word else wire_time(now)
    told = {"type": kind, "status": word, "lastTransitionTime": since, "reason": reason, "message": message}
    places = [told if each["type"] == kind else each for each in conditions]
    return {**status, "conditions": places if before else [*conditions, told]}
