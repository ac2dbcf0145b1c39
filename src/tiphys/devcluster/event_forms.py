"""How does an Event of the core group look as one of events.k8s.io, and the other way round? They are one object."""

from __future__ import annotations

from typing import Any

CORE, NEW = "v1", "events.k8s.io/v1"
_NEW_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_NAMES = {NEW: _NEW_NAMES, CORE: {new: core for core, new in _NEW_NAMES.items()}}
_ALWAYS_IN_CORE = ("reportingComponent", "reportingInstance")


def in_version(manifest: dict[str, Any], api_version: str) -> dict[str, Any]:
    """Give the same state as *api_version* shows it; the versions of all kinds but Events differ in name only."""
    if manifest["apiVersion"] == api_version:
        return manifest
    if manifest["kind"] != "Event" or api_version not in _NAMES or manifest["apiVersion"] not in _NAMES:
        return {**manifest, "apiVersion": api_version}
    names = _NAMES[api_version]
    out = {names.get(key, key): value for key, value in manifest.items()} | {"apiVersion": api_version}
    if api_version == CORE:
        return dict.fromkeys(_ALWAYS_IN_CORE, "") | out
    return {key: value for key, value in out.items() if value != ""}
