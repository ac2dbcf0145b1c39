"""What is wrong with a pod template? (Lifecycle reference 1.7, row 5: what the API server would refuse in a ReplicaSet.)"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import msgspec

from tiphys.api import quantities, wireform
from tiphys.api.errors import SpecError
from tiphys.api.meta import LabelSelector, Manifest
from tiphys.api.podhash import canonical_template
from tiphys.api.podtypes import type_problems
from tiphys.api.syntax import DNS_LABEL_WANTED, annotation_problems, is_dns_label, label_problems

FIELD: Final = "spec.template"
_CACHED: Final = 256
_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
}
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_DNS_POLICIES: Final = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBE_NUMBERS: Final = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


@lru_cache(maxsize=_CACHED)
def template_labels(template: bytes) -> Mapping[str, str]:
    """Give the labels of *template*; none where it has another shape (`template_problems` names that)."""
    try:
        found = msgspec.json.decode(template)["metadata"]["labels"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def has_metadata(template: bytes) -> bool:
    """Tell whether *template* has labels or annotations."""
    if template_labels(template):
        return True
    try:
        return bool(msgspec.json.decode(template)["metadata"]["annotations"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return False


def template_problems(template: bytes, selector: LabelSelector | None) -> tuple[SpecError, ...]:
    """Name all that is wrong with *template*, whose labels must match *selector* where there is one."""
    return _problems(template, msgspec.json.encode(selector))


@lru_cache(maxsize=_CACHED)
def _problems(template: bytes, selector: bytes) -> tuple[SpecError, ...]:
    if not template:
        return (SpecError(field=FIELD, found=None, wanted="a pod template, or workloadRef beside it"),)
    try:
        wrong = tuple(type_problems(wireform.read(template, field=FIELD), wireform.POD_TEMPLATE, FIELD))
        body = msgspec.json.decode(canonical_template(template)) if not wrong else {}
    except SpecError as error:
        return (error,)
    return wrong or tuple(_all_problems(body, msgspec.json.decode(selector, type=LabelSelector | None)))


def _all_problems(body: Manifest, selector: LabelSelector | None) -> Iterator[SpecError]:
    metadata, spec = body["metadata"], body["spec"]
    labels = metadata.get("labels", {})
    if selector is not None and not selector.matches(labels):
        shown = ",".join(f"{key}={value}" for key, value in labels.items())
        yield SpecError(field=f"{FIELD}.metadata.labels", found=shown, wanted=f"must match the selector {selector.text() or '{}'}")
    yield from label_problems(labels, f"{FIELD}.metadata.labels")
    yield from annotation_problems(metadata.get("annotations", {}), f"{FIELD}.metadata.annotations")
    yield from _spec_problems(spec, f"{FIELD}.spec")


def _spec_problems(spec: Manifest, field: str) -> Iterator[SpecError]:
    if spec.get("restartPolicy", "Always") != "Always":
        yield SpecError(field=f"{field}.restartPolicy", found=spec["restartPolicy"], wanted="must be Always")
    if spec.get("activeDeadlineSeconds") is not None:
        yield SpecError(field=f"{field}.activeDeadlineSeconds", found=spec["activeDeadlineSeconds"], wanted="must not be set: pods run on")
    if spec.get("ephemeralContainers"):
        yield SpecError(field=f"{field}.ephemeralContainers", found="[...]", wanted="must not be set in a pod template")
    if spec.get("dnsPolicy", "ClusterFirst") not in _DNS_POLICIES:
        yield SpecError(field=f"{field}.dnsPolicy", found=spec["dnsPolicy"], wanted=f"must be one of {', '.join(_DNS_POLICIES)}")
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if grace < 0:
        yield SpecError(field=f"{field}.terminationGracePeriodSeconds", found=grace, wanted="must be 0 or more")
    volumes = spec.get("volumes", [])
    yield from _name_problems(volumes, f"{field}.volumes", "volume")
    volume_names = {volume["name"] for volume in volumes}
    containers, first = spec["containers"] or [], spec.get("initContainers", [])
    if not containers:
        yield SpecError(field=f"{field}.containers", found=None, wanted="at least one container")
    yield from _name_problems(containers, f"{field}.containers", "container", also={container["name"] for container in first})
    yield from _name_problems(first, f"{field}.initContainers", "container")
    for name, group in (("containers", containers), ("initContainers", first)):
        for at, container in enumerate(group):
            yield from _container_problems(container, f"{field}.{name}[{at}]", volume_names)


def _name_problems(items: Iterable[Manifest], field: str, what: str, *, also: Iterable[str] = ()) -> Iterator[SpecError]:
    """Check that every item has a good name of its own; names in *also* are taken by others."""
    taken = set(also)
    for at, item in enumerate(items):
        name, here = item["name"], f"{field}[{at}].name"
        if not name:
            yield SpecError(field=here, found=None, wanted=f"the name of the {what}")
        elif not is_dns_label(name):
            yield SpecError(field=here, found=name, wanted=DNS_LABEL_WANTED)
        elif name in taken:
            yield SpecError(field=here, found=name, wanted=f"must differ from the names of other {what}s")
        taken.add(name)


def _container_problems(container: Manifest, field: str, volumes: set[str]) -> Iterator[SpecError]:
    if not container.get("image", "").strip():
        yield SpecError(field=f"{field}.image", found=None, wanted="the image to run")
    for key, allowed in _CHOICES.items():
        if container.get(key, allowed[0]) not in allowed:
            yield SpecError(field=f"{field}.{key}", found=container[key], wanted=f"must be one of {', '.join(allowed)}")
    yield from _port_problems(container.get("ports", []), f"{field}.ports")
    for at, variable in enumerate(container.get("env", [])):
        if not variable["name"]:
            yield SpecError(field=f"{field}.env[{at}].name", found=None, wanted="the name of the variable")
        if variable.get("value") and variable.get("valueFrom"):
            yield SpecError(field=f"{field}.env[{at}].valueFrom", found="{...}", wanted="must not be set beside value")
    yield from _mount_problems(container.get("volumeMounts", []), f"{field}.volumeMounts", volumes)
    yield from _resource_problems(container["resources"], f"{field}.resources")
    for key in _PROBES:
        if container.get(key) is not None:
            yield from _probe_problems(container[key], f"{field}.{key}")


def _port_problems(ports: Sequence[Manifest], field: str) -> Iterator[SpecError]:
    names: set[str] = set()
    for at, port in enumerate(ports):
        number, name = port["containerPort"], port.get("name", "")
        if not 1 <= number <= 65535:
            yield SpecError(field=f"{field}[{at}].containerPort", found=number, wanted="must be 1 to 65535")
        if port.get("protocol", "TCP") not in _PROTOCOLS:
            yield SpecError(field=f"{field}[{at}].protocol", found=port["protocol"], wanted=f"must be one of {', '.join(_PROTOCOLS)}")
        if name and name in names:
            yield SpecError(field=f"{field}[{at}].name", found=name, wanted="must differ from the names of other ports")
        names.add(name)


def _mount_problems(mounts: Sequence[Manifest], field: str, volumes: set[str]) -> Iterator[SpecError]:
    paths: set[str] = set()
    for at, mount in enumerate(mounts):
        name, path = mount["name"], mount["mountPath"]
        if name not in volumes:
            yield SpecError(field=f"{field}[{at}].name", found=name, wanted="must be the name of a volume of the pod")
        if not path:
            yield SpecError(field=f"{field}[{at}].mountPath", found=None, wanted="where to mount the volume")
        elif path in paths:
            yield SpecError(field=f"{field}[{at}].mountPath", found=path, wanted="must differ from the paths of other mounts")
        paths.add(path)


def _resource_problems(resources: Manifest, field: str) -> Iterator[SpecError]:
    limits = resources.get("limits", {})
    for kind in ("limits", "requests"):
        for name, text in resources.get(kind, {}).items():
            if text.startswith("-"):
                yield SpecError(field=f"{field}.{kind}.{name}", found=text, wanted="must be 0 or more")
    for name, text in resources.get("requests", {}).items():
        if name in limits and Fraction(quantities.amount(text)) > Fraction(quantities.amount(limits[name])):
            yield SpecError(field=f"{field}.requests.{name}", found=text, wanted=f"must be at most the limit, {limits[name]}")


def _probe_problems(probe: Mapping[str, Any], field: str) -> Iterator[SpecError]:
    handlers = [name for name in _PROBE_HANDLERS if probe.get(name) is not None]
    if len(handlers) != 1:
        found = ", ".join(handlers) or None
        yield SpecError(field=field, found=found, wanted=f"exactly one of {', '.join(_PROBE_HANDLERS)}")
    for name in _PROBE_NUMBERS:
        if probe.get(name, 0) < 0:
            yield SpecError(field=f"{field}.{name}", found=probe[name], wanted="must be 0 or more")
