"""What does the API server fill into pods and pod templates, and what does it refuse about them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster import quantities
from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause, StatusError
from tiphys.devcluster.metadata import label_causes, name_problems, quoted
from tiphys.devcluster.pod_shapes import POD
from tiphys.devcluster.rules import Admission, Manifest, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REQUIRED = "FieldValueRequired"
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_GRACE_SECONDS = 30
_MODE = 0o644
_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_SECONDS = 300
MAY_CHANGE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow "
    "it to be set to 1 if it was previously negative)"
)


def default_template(template: dict[str, Any], write: Admission) -> None:
    """Fill in a pod template, in place."""
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}), write)


def default_spec(spec: dict[str, Any], write: Admission) -> None:
    """Fill in a pod's spec, in place; quantities get their canonical form."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", _GRACE_SECONDS)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    if spec.get("hostNetwork") is False:
        del spec["hostNetwork"]
    for name in _CONTAINER_LISTS:
        for container in spec.get(name) or ():
            _default_container(container, write)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _default_container(container: dict[str, Any], write: Admission) -> None:
    resources = container.setdefault("resources", {})
    for part in ("limits", "requests"):
        for name, amount in (resources.get(part) or {}).items():
            written = quantities.canonical(amount, smallest=-3)
            if written is None:
                kind, version = write.resource.kind, write.resource.version
                raise StatusError(400, f'{kind} in version "{version}" cannot be handled as a {kind}: {quantities.RULE}')
            resources[part][name] = written
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = container.get("image") or ""
    tag = "" if "@" in image else image.rpartition("/")[2].partition(":")[2]
    container.setdefault("imagePullPolicy", "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _default_handler(probe)
            for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
                probe.setdefault(key, value)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_handler(handler)


def _default_handler(handler: dict[str, Any]) -> None:
    request = handler.get("httpGet")
    if request is not None:
        request.setdefault("path", "/")
        request.setdefault("scheme", "HTTP")


def _default_volume(volume: dict[str, Any]) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", _MODE)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        if isinstance(item.get("fieldRef"), dict):
            item["fieldRef"].setdefault("apiVersion", "v1")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if isinstance(source.get("serviceAccountToken"), dict):
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def show_template(template: dict[str, Any]) -> None:
    """Write a template's metadata as the real server does, with an empty time of creation."""
    template["metadata"] = {"creationTimestamp": None, **template["metadata"]}


def spec_causes(spec: Mapping[str, Any], where: str) -> list[Cause]:
    """Say what is wrong with a pod's spec; *where* is its path."""
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(Cause(f"{where}.containers", "Required value", _REQUIRED))
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    seen: set[str] = set()
    for name in _CONTAINER_LISTS:
        for place, container in enumerate(spec.get(name) or ()):
            path = f"{where}.{name}[{place}]"
            causes += _container_causes(container, path, volumes)
            if container.get("name") in seen:
                causes.append(Cause(f"{path}.name", f"Duplicate value: {quoted(container['name'])}", "FieldValueDuplicate"))
            seen.add(container.get("name") or "")
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        known = '"Always", "OnFailure", "Never"'
        words = f"Unsupported value: {quoted(spec.get('restartPolicy'))}: supported values: {known}"
        causes.append(Cause(f"{where}.restartPolicy", words, "FieldValueNotSupported"))
    return causes


def _container_causes(container: Mapping[str, Any], where: str, volumes: set[str | None]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name") or ""
    if not name:
        causes.append(Cause(f"{where}.name", "Required value", _REQUIRED))
    else:
        causes += [Cause(f"{where}.name", f"Invalid value: {quoted(name)}: {words}") for words in name_problems(name, "label")]
    if not container.get("image"):
        causes.append(Cause(f"{where}.image", "Required value", _REQUIRED))
    for place, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort")
        if number is None:
            causes.append(Cause(f"{where}.ports[{place}].containerPort", "Required value", _REQUIRED))
        elif not 0 < number < 65536:
            words = f"Invalid value: {number}: must be between 1 and 65535, inclusive"
            causes.append(Cause(f"{where}.ports[{place}].containerPort", words))
    for place, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            causes.append(Cause(f"{where}.volumeMounts[{place}].name", f"Not found: {quoted(mount.get('name'))}", "FieldValueNotFound"))
    resources = container.get("resources") or {}
    for resource, amount in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(resource)
        wanted, most = quantities.parsed(amount), quantities.parsed(limit) if limit is not None else None
        if wanted is not None and most is not None and wanted > most:
            words = f"Invalid value: {quoted(amount)}: must be less than or equal to {resource} limit"
            causes.append(Cause(f"{where}.resources.requests", words))
    return causes


def template_causes(template: Mapping[str, Any], where: str, *, only_always: bool) -> list[Cause]:
    """Say what is wrong with a pod template; *only_always*: its pods have to be restarted forever."""
    causes = label_causes(template["metadata"].get("labels") or {}, f"{where}.metadata.labels")
    causes += spec_causes(template["spec"], f"{where}.spec")
    policy = template["spec"].get("restartPolicy")
    if only_always and policy != "Always" and policy in ("OnFailure", "Never"):
        words = f'Unsupported value: {quoted(policy)}: supported values: "Always"'
        causes.append(Cause(f"{where}.spec.restartPolicy", words, "FieldValueNotSupported"))
    return causes


class PodRules(Rules):
    """The admission of pods, with what the usual admission plugins add."""

    shape = POD
    status_apart = True
    counts_generations = False
    graceful = True
    answers_deleted = True
    selectable = frozenset(("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase"))
    selectable |= frozenset(("status.podIP", "status.nominatedNodeName"))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in the spec; requests follow limits."""
        decode(manifest, self.shape, write)
        spec = manifest.setdefault("spec", {})
        default_spec(spec, write)
        spec.setdefault("enableServiceLinks", True)
        for name in _CONTAINER_LISTS:
            for container in spec.get(name) or ():
                resources = container["resources"]
                for resource, amount in (resources.get("limits") or {}).items():
                    resources.setdefault("requests", {}).setdefault(resource, amount)
        for condition in (manifest.get("status") or {}).get("conditions") or ():
            condition.setdefault("lastProbeTime", None)
            condition.setdefault("lastTransitionTime", None)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Add tolerations, priority and the first status of a new pod."""
        if write.old is not None:
            return
        spec = manifest["spec"]
        tolerations = spec.get("tolerations") or []
        for key in _TOLERATIONS:
            if not any(there.get("key") in (key, None) and there.get("effect") in ("NoExecute", None) for there in tolerations):
                added = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS}
                tolerations = [*tolerations, added]
        spec["tolerations"] = tolerations
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        manifest["status"] = {"phase": "Pending", "qosClass": _quality(spec)}

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check the spec, and that an update changes only what may change."""
        if write.subresource_is_status:
            return ()
        causes = spec_causes(manifest["spec"], "spec")
        if write.old is not None and write.subresource != "binding" and _fixed_part(manifest["spec"]) != _fixed_part(write.old["spec"]):
            causes.append(Cause("spec", MAY_CHANGE, "FieldValueForbidden"))
        return causes

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what pods are selected by."""
        spec, status = manifest["spec"], manifest.get("status") or {}
        found = {f"spec.{key}": spec.get(key, "") for key in ("nodeName", "restartPolicy", "schedulerName", "serviceAccountName")}
        return found | {f"status.{key}": status.get(key, "") for key in ("phase", "podIP", "nominatedNodeName")}

    def grace_seconds(self, manifest: Manifest, asked: int | None) -> int:
        """A pod that no node has, or that is over, waits for nobody."""
        spec = manifest["spec"]
        if not spec.get("nodeName") or (manifest.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        return int(spec.get("terminationGracePeriodSeconds", _GRACE_SECONDS) if asked is None else asked)


def _quality(spec: Mapping[str, Any]) -> str:
    """Name the quality class: Guaranteed if every container limits what it requests, BestEffort if none asks for anything."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(found.get("requests") or found.get("limits") for found in resources):
        return "BestEffort"
    complete = all({"cpu", "memory"} <= set(found.get("limits") or {}) for found in resources)
    return "Guaranteed" if complete and all(found.get("requests") == found.get("limits") for found in resources) else "Burstable"


def _fixed_part(spec: Mapping[str, Any]) -> dict[str, Any]:
    fixed = {key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations", *_CONTAINER_LISTS)}
    for name in _CONTAINER_LISTS:
        fixed[name] = [{key: value for key, value in container.items() if key != "image"} for container in spec.get(name) or ()]
    return fixed
