"""What does the API server fill in where a pod template says nothing? (Lifecycle reference 3.4, rule 3.)"""

from collections.abc import Iterator
from typing import Any, Final

from tiphys.api.meta import Manifest

_POD: Final[Manifest] = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
}
_CONTAINER: Final[Manifest] = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE: Final[Manifest] = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP: Final[Manifest] = {"path": "/", "scheme": "HTTP"}
_FIELD_REF: Final[Manifest] = {"apiVersion": "v1"}
_FILE_MODE: Final = 0o644
_VOLUMES: Final[dict[str, Manifest]] = {
    "secret": {"defaultMode": _FILE_MODE},
    "configMap": {"defaultMode": _FILE_MODE},
    "downwardAPI": {"defaultMode": _FILE_MODE},
    "projected": {"defaultMode": _FILE_MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def fill_in(template: Manifest) -> None:
    """Fill in *template*, changing it, as the API server does when a ReplicaSet is stored."""
    spec = template.setdefault("spec", {})
    _complete(spec, _POD)
    spec.setdefault("securityContext", {})
    _same_account(spec)
    for volume in _items(spec, "volumes"):
        _fill_in_volume(volume)
    for group in ("containers", "initContainers"):
        for container in _items(spec, group):
            _fill_in_container(container, host_network=bool(spec.get("hostNetwork")))


def pull_policy(image: str) -> str:
    """Give when *image* is pulled: always where it means the latest one."""
    if "@" in image:
        return "IfNotPresent"
    name, colon, tag = image.rpartition("/")[2].partition(":")
    return "Always" if name and (not colon or tag == "latest") else "IfNotPresent"


def _same_account(spec: Manifest) -> None:
    """Use the name of the service account that is not deprecated; both mean the same."""
    twin = spec.pop("serviceAccount", None)
    if twin and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = twin


def _fill_in_container(container: Manifest, *, host_network: bool) -> None:
    _complete(container, _CONTAINER)
    _complete(container, {"imagePullPolicy": pull_policy(container.get("image") or "")})
    for port in _items(container, "ports"):
        _complete(port, {"protocol": "TCP"})
        if host_network and port.get("containerPort"):
            _complete(port, {"hostPort": port["containerPort"]})
    for variable in _items(container, "env"):
        source = variable.get("valueFrom") or {}
        if source.get("fieldRef") is not None:
            _complete(source["fieldRef"], _FIELD_REF)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _complete(probe, _PROBE)
            _fill_in_handler(probe)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _fill_in_handler(handler)


def _fill_in_handler(handler: Manifest) -> None:
    if handler.get("httpGet") is not None:
        _complete(handler["httpGet"], _HTTP)
    if handler.get("grpc") is not None and handler["grpc"].get("service") is None:
        handler["grpc"]["service"] = ""


def _fill_in_volume(volume: Manifest) -> None:
    if not any(value is not None for key, value in volume.items() if key != "name"):
        volume["emptyDir"] = {}
    for kind, defaults in _VOLUMES.items():
        if volume.get(kind) is not None:
            for key, value in defaults.items():
                if volume[kind].get(key) is None:
                    volume[kind][key] = value
    if volume.get("downwardAPI") is not None:
        _fill_in_files(volume["downwardAPI"])
    for source in _items(volume.get("projected") or {}, "sources"):
        if source.get("downwardAPI") is not None:
            _fill_in_files(source["downwardAPI"])
        if source.get("serviceAccountToken") is not None:
            _complete(source["serviceAccountToken"], {"expirationSeconds": 3600})
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None:
        _complete(claim.setdefault("spec", {}), {"volumeMode": "Filesystem"})
    if volume.get("image") is not None:
        _complete(volume["image"], {"pullPolicy": pull_policy(volume["image"].get("reference") or "")})


def _fill_in_files(source: Manifest) -> None:
    for item in _items(source, "items"):
        if item.get("fieldRef") is not None:
            _complete(item["fieldRef"], _FIELD_REF)


def _complete(thing: Manifest, defaults: Manifest) -> None:
    """Set what is missing or empty; a zero that was typed stays where zero has a meaning of its own."""
    for key, value in defaults.items():
        found = thing.get(key)
        if found is None or found == "" or (found == 0 and key in _PROBE):
            thing[key] = value


def _items(thing: Manifest, key: str) -> Iterator[Any]:
    found = thing.get(key)
    yield from found if isinstance(found, list) else ()
