"""Which columns do the built-in kinds have?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiphys.devcluster.wire import Json

from tiphys.devcluster.subresources import selector_text

Cell = Callable[[dict[str, Any], datetime], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it is called, and what an object shows in it. *priority* 1 is for wide output."""

    name: str
    type: str = "string"
    priority: int = 0
    description: str = ""
    cell: Cell


def age(since: str, now: datetime) -> str:
    """Say how long ago *since* (a wire time) was, the way kubectl does."""
    try:
        seconds = int((now - datetime.fromisoformat(since)).total_seconds())
    except ValueError:
        return "<invalid>"
    if seconds < -1:
        return "<invalid>"
    return duration(max(seconds, 0))


def duration(seconds: int) -> str:
    """Write a duration with at most two units: 45s, 3m20s, 15m, 2h5m, 10h, 3d4h, 40d, 2y10d."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years, left = divmod(days, 365)
    return f"{years}y{left}d" if years < 8 and left else f"{years}y"


def _created(manifest: dict[str, Any], now: datetime) -> str:
    return age(manifest["metadata"].get("creationTimestamp", ""), now)


AGE = Column(name="Age", description="How long ago the object was created.", cell=_created)


def _text(name: str, cell: Callable[[dict[str, Any]], Any], **more: Json) -> Column:
    return Column(name=name, cell=lambda manifest, _: cell(manifest), **more)


def _spec(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest.get("spec") or {}


def _status(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest.get("status") or {}


def _number(name: str, cell: Callable[[dict[str, Any]], Any]) -> Column:
    return Column(name=name, type="integer", cell=lambda manifest, _: cell(manifest) or 0)


def _template_containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = (_spec(manifest).get("template") or {}).get("spec") or {}
    return found.get("containers") or []


def _joined(items: list[str]) -> str:
    return ",".join(items) or "<none>"


_WORKLOAD = (
    _text("Containers", lambda m: _joined([c["name"] for c in _template_containers(m)]), priority=1),
    _text("Images", lambda m: _joined([c.get("image", "") for c in _template_containers(m)]), priority=1),
    _text("Selector", lambda m: selector_text(_spec(m).get("selector")) or "<none>", priority=1),
)


def _pod_status(pod: dict[str, Any]) -> str:
    status = _status(pod)
    shown = status.get("reason") or status.get("phase") or "Unknown"
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        for word in ("waiting", "terminated"):
            reason = (state.get(word) or {}).get("reason")
            if reason:
                shown = reason
    return "Terminating" if "deletionTimestamp" in pod["metadata"] else shown


def _pod_ready(pod: dict[str, Any]) -> str:
    states = _status(pod).get("containerStatuses") or []
    return f"{sum(bool(state.get('ready')) for state in states)}/{len(_spec(pod).get('containers') or [])}"


def _pod_restarts(pod: dict[str, Any]) -> str:
    return str(sum(state.get("restartCount", 0) for state in _status(pod).get("containerStatuses") or []))


def _service_ports(service: dict[str, Any]) -> str:
    out = []
    for port in _spec(service).get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        out.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return _joined(out)


def _slice_ports(piece: dict[str, Any]) -> str:
    ports = piece.get("ports")
    return _joined([str(port.get("port", "*")) for port in ports]) if ports else "<unset>"


def _slice_addresses(piece: dict[str, Any]) -> str:
    found = [address for endpoint in piece.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    return _joined(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


def _endpoints(endpoints: dict[str, Any]) -> str:
    out = []
    for subset in endpoints.get("subsets") or []:
        for address in subset.get("addresses") or []:
            out += [f"{address['ip']}:{port['port']}" for port in subset.get("ports") or [{"port": 0}]]
    return _joined(out)


def _ingress_hosts(ingress: dict[str, Any]) -> str:
    hosts = [rule["host"] for rule in _spec(ingress).get("rules") or [] if rule.get("host")]
    return ",".join(hosts) or "*"


def _addresses(manifest: dict[str, Any]) -> str:
    found = (_status(manifest).get("loadBalancer") or {}).get("ingress") or []
    return ",".join(item.get("ip") or item.get("hostname") or "" for item in found)


def _event_object(event: dict[str, Any]) -> str:
    about = event.get("involvedObject") or event.get("regarding") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _last_seen(event: dict[str, Any], now: datetime) -> str:
    series = event.get("series") or {}
    seen = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or event.get("deprecatedLastTimestamp")
    return age(seen or event["metadata"].get("creationTimestamp", ""), now)


_EVENT = (
    Column(name="Last Seen", cell=_last_seen),
    _text("Type", lambda m: m.get("type", "")),
    _text("Reason", lambda m: m.get("reason", "")),
    _text("Object", _event_object),
    _text("Message", lambda m: (m.get("message") or m.get("note") or "").strip()),
)
_POD = (
    _text("Ready", _pod_ready),
    _text("Status", _pod_status),
    _text("Restarts", _pod_restarts),
    AGE,
    _text("IP", lambda m: _status(m).get("podIP") or "<none>", priority=1),
    _text("Node", lambda m: _spec(m).get("nodeName") or "<none>", priority=1),
)
_SERVICE = (
    _text("Type", lambda m: _spec(m).get("type", "")),
    _text("Cluster-IP", lambda m: _spec(m).get("clusterIP") or "<none>"),
    _text("External-IP", lambda m: _spec(m).get("externalName") or _addresses(m) or "<none>"),
    _text("Port(s)", _service_ports),
    AGE,
    _text("Selector", lambda m: selector_text(_spec(m).get("selector")) or "<none>", priority=1),
)
_REPLICA_SET = (
    _number("Desired", lambda m: _spec(m).get("replicas")),
    _number("Current", lambda m: _status(m).get("replicas")),
    _number("Ready", lambda m: _status(m).get("readyReplicas")),
    AGE,
    *_WORKLOAD,
)
_DEPLOYMENT = (
    _text("Ready", lambda m: f"{_status(m).get('readyReplicas', 0)}/{_spec(m).get('replicas', 0)}"),
    _number("Up-to-date", lambda m: _status(m).get("updatedReplicas")),
    _number("Available", lambda m: _status(m).get("availableReplicas")),
    AGE,
    *_WORKLOAD,
)
_JOB_WORDS = ("Complete", "Failed", "Terminating", "Suspended", "FailureTarget", "SuccessCriteriaMet")


def _job_status(job: dict[str, Any]) -> str:
    true = {each["type"] for each in _status(job).get("conditions") or [] if each.get("status") == "True"}
    if "deletionTimestamp" in job["metadata"]:
        true.add("Terminating")
    return next((word for word in _JOB_WORDS if word in true), "Running")


def _job_completions(job: dict[str, Any]) -> str:
    done, wanted, parallelism = _status(job).get("succeeded", 0), _spec(job).get("completions"), _spec(job).get("parallelism", 1)
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_duration(job: dict[str, Any], now: datetime) -> str:
    begun, ended = _status(job).get("startTime"), _status(job).get("completionTime")
    return age(begun, datetime.fromisoformat(ended) if ended else now) if begun else ""


_JOB = (
    _text("Status", _job_status),
    _text("Completions", _job_completions),
    Column(name="Duration", cell=_job_duration),
    AGE,
    *_WORKLOAD,
)
_INGRESS = (
    _text("Class", lambda m: _spec(m).get("ingressClassName") or "<none>"),
    _text("Hosts", _ingress_hosts),
    _text("Address", _addresses),
    _text("Ports", lambda m: "80, 443" if _spec(m).get("tls") else "80"),
    AGE,
)
_BUDGET = (
    _text("Min Available", lambda m: str(_spec(m).get("minAvailable", "N/A"))),
    _text("Max Unavailable", lambda m: str(_spec(m).get("maxUnavailable", "N/A"))),
    _number("Allowed Disruptions", lambda m: _status(m).get("disruptionsAllowed")),
    AGE,
)


def _load(autoscaler: dict[str, Any]) -> str:
    measured = {
        (each.get("resource") or {}).get("name"): (each["resource"].get("current") or {}).get("averageUtilization")
        for each in _status(autoscaler).get("currentMetrics") or []
    }
    shown = []
    for metric in _spec(autoscaler).get("metrics") or []:
        resource = metric.get("resource") or {}
        target, found = (resource.get("target") or {}).get("averageUtilization"), measured.get(resource.get("name"))
        if target is not None:
            shown.append(f"{resource['name']}: {'<unknown>' if found is None else f'{found}%'}/{target}%")
    return ", ".join(shown) or "<none>"


_AUTOSCALER = (
    _text("Reference", lambda m: "/".join((_spec(m).get("scaleTargetRef") or {}).get(key, "") for key in ("kind", "name"))),
    _text("Targets", _load),
    _text("MinPods", lambda m: str(_spec(m).get("minReplicas", 1))),
    _number("MaxPods", lambda m: _spec(m).get("maxReplicas")),
    _number("Replicas", lambda m: _status(m).get("currentReplicas")),
    AGE,
)
_BINDING = (_text("Role", lambda m: "/".join((m.get("roleRef") or {}).get(key, "") for key in ("kind", "name"))), AGE)
_CREATED = (_text("Created At", lambda m: m["metadata"].get("creationTimestamp", "")),)
_RBAC = "rbac.authorization.k8s.io"


def _node_status(node: dict[str, Any]) -> str:
    found = next((c["status"] for c in _status(node).get("conditions") or [] if c["type"] == "Ready"), "Unknown")
    return {"True": "Ready", "False": "NotReady"}.get(found, "Unknown")


COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "pods"): _POD,
    ("", "services"): _SERVICE,
    ("", "endpoints"): (_text("Endpoints", _endpoints), AGE),
    ("", "events"): _EVENT,
    ("events.k8s.io", "events"): _EVENT,
    ("", "configmaps"): (_number("Data", lambda m: len(m.get("data") or {}) + len(m.get("binaryData") or {})), AGE),
    ("", "secrets"): (_text("Type", lambda m: m.get("type", "")), _number("Data", lambda m: len(m.get("data") or {})), AGE),
    ("", "namespaces"): (_text("Status", lambda m: _status(m).get("phase", "")), AGE),
    ("", "nodes"): (_text("Status", _node_status), AGE),
    ("apps", "replicasets"): _REPLICA_SET,
    ("apps", "deployments"): _DEPLOYMENT,
    ("batch", "jobs"): _JOB,
    ("discovery.k8s.io", "endpointslices"): (
        _text("AddressType", lambda m: m.get("addressType", "")),
        _text("Ports", _slice_ports),
        _text("Endpoints", _slice_addresses),
        AGE,
    ),
    ("coordination.k8s.io", "leases"): (_text("Holder", lambda m: _spec(m).get("holderIdentity") or ""), AGE),
    ("networking.k8s.io", "ingresses"): _INGRESS,
    ("networking.k8s.io", "ingressclasses"): (_text("Controller", lambda m: _spec(m).get("controller", "")), AGE),
    ("policy", "poddisruptionbudgets"): _BUDGET,
    ("autoscaling", "horizontalpodautoscalers"): _AUTOSCALER,
    (_RBAC, "roles"): _CREATED,
    (_RBAC, "clusterroles"): _CREATED,
    (_RBAC, "rolebindings"): _BINDING,
    (_RBAC, "clusterrolebindings"): _BINDING,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _CREATED,
}
