"""
How does what an external router says become an object like any other?

Two documents stand for a router: one for itself, and one for each Rollout that it holds a wish of. Only this module knows their form.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.plugins.contract import VERSION, About, Problem, Self, State, Traffic, Wish, canonical
from tiphys.traffic.owned import Owner
from tiphys.traffic.router import Ref

GROUP: Final = "routers.tiphys.dev"
API_VERSION: Final = f"{GROUP}/{VERSION}"
_SELF: Final = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The content of a state document; *silence* says why it may be old, and *traffic* is absent where nothing could ever be read."""

    uid: str
    version: str | None
    config: str
    traffic: Traffic | None
    uniform: bool = True
    verified: str = "cannotKnow"
    detail: str = ""
    problems: tuple[Problem, ...] = ()
    silence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The content of a router's own document; *silence* says why it cannot be asked now, *listed* whether it ever could be."""

    said: Self | None
    listed: bool
    silence: str = ""


def self_ref(plugin: str) -> Ref:
    """Name the document of the router itself."""
    return Ref(group=GROUP, kind=plugin, namespace="", name=_SELF)


def state_ref(plugin: str, namespace: str, name: str) -> Ref:
    """Name the document of one Rollout."""
    return Ref(group=GROUP, kind=plugin, namespace=namespace, name=name)


def self_document(plugin: str, version: str, *, said: Self | None, listed: bool, silence: str = "") -> Manifest:
    """Give the document of a router itself, at *version*."""
    status: Manifest = {"listed": listed}
    if said is not None:
        status["said"] = msgspec.to_builtins(said)
    if silence:
        status["silence"] = silence
    return {"apiVersion": API_VERSION, "kind": plugin, "metadata": {"name": _SELF, "resourceVersion": version}, "status": status}


def read_self(document: Manifest) -> Known:
    """
    Read the document of a router itself.

    Raises:
        SpecError: it has another form.

    """
    status = _part(document, "status")
    try:
        said = msgspec.convert(status["said"], Self) if "said" in status else None
    except msgspec.ValidationError as error:
        raise SpecError(field="status.said", found="another form", wanted=str(error)) from error
    return Known(said=said, listed=status.get("listed") is True, silence=str(status.get("silence") or ""))


def state_document(plugin: str, version: str, state: State) -> Manifest:
    """Give the document of what a router says for one Rollout, at *version*."""
    about = state.rollout
    status: Manifest = {"version": state.version, "uniform": state.uniform, "verified": state.verified, "detail": state.detail}
    if state.problems:
        status["problems"] = [msgspec.to_builtins(problem) for problem in state.problems]
    metadata = Owner(name=about.name, uid=about.uid).metadata(state_ref(plugin, about.namespace, about.name))
    return {
        "apiVersion": API_VERSION,
        "kind": plugin,
        "metadata": {**metadata, "uid": about.uid, "resourceVersion": version},
        "spec": {"config": canonical(state.config), "traffic": msgspec.to_builtins(state.traffic)},
        "status": status,
    }


def wished_document(found: Manifest | None, ref: Ref, owner: Owner, *, config: str, traffic: Traffic, managed: tuple[str, ...]) -> Manifest:
    """Give the document that asks for *traffic*: what is found with another spec, or a new one."""
    base = {"apiVersion": API_VERSION, "kind": ref.kind, "metadata": owner.metadata(ref)} if found is None else found
    spec = {"config": config, "traffic": msgspec.to_builtins(traffic), "managedRoutes": list(managed)}
    return {**base, "spec": spec}


def silent_document(plugin: str, version: str, found: Manifest | None, about: About, silence: str) -> Manifest:
    """Give the document of a Rollout about which nothing can be read just now: what was known last, and why it may be old."""
    if found is not None:
        metadata = {**found["metadata"], "resourceVersion": version}
        return {**found, "metadata": metadata, "status": {**found.get("status", {}), "silence": silence}}
    metadata = Owner(name=about.name, uid=about.uid).metadata(state_ref(plugin, about.namespace, about.name))
    metadata |= {"uid": about.uid, "resourceVersion": version}
    return {"apiVersion": API_VERSION, "kind": plugin, "metadata": metadata, "status": {"silence": silence}}


def read_state(document: Manifest) -> Held:
    """
    Read the document of one Rollout.

    Raises:
        SpecError: it has another form.

    """
    status, spec = _part(document, "status"), _part(document, "spec")
    metadata = _part(document, "metadata")
    try:
        version = msgspec.convert(status.get("version"), str | None)
        traffic = msgspec.convert(spec["traffic"], Traffic) if "traffic" in spec else None
        if traffic is None and not status.get("silence"):
            raise SpecError(field="spec.traffic", found=None, wanted="what the router says")
        return Held(
            uid=str(metadata.get("uid") or ""),
            version=version,
            config=msgspec.convert(spec.get("config", "null"), str),
            traffic=traffic,
            uniform=status.get("uniform", True) is True,
            verified=msgspec.convert(status.get("verified", "cannotKnow"), str),
            detail=str(status.get("detail") or ""),
            problems=msgspec.convert(status.get("problems") or (), tuple[Problem, ...]),
            silence=str(status.get("silence") or ""),
        )
    except msgspec.ValidationError as error:
        raise SpecError(field="spec", found="another form", wanted=str(error)) from error


def wish_of(document: Manifest, *, version: str | None) -> Wish:
    """
    Turn a document that was to be written into the wish to send.

    Raises:
        SpecError: it has another form.

    """
    held = read_state(document)
    metadata, spec = document["metadata"], document["spec"]
    if held.traffic is None:
        raise SpecError(field="spec.traffic", found=None, wanted="where the traffic shall go")
    (owner,) = [each["uid"] for each in metadata["ownerReferences"] if each.get("controller")]
    return Wish(
        rollout=About(namespace=metadata["namespace"], name=metadata["name"], uid=owner),
        config=msgspec.json.decode(held.config),
        traffic=held.traffic,
        managed_routes=tuple(spec.get("managedRoutes") or ()),
        version=version,
    )


def _part(document: Manifest, key: str) -> dict[str, Any]:
    found = document.get(key) or {}
    if not isinstance(found, dict):
        raise SpecError(field=key, found=type(found).__name__, wanted="must be a map")
    return found
