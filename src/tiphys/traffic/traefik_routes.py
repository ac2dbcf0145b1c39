"""How do header and mirror routes stand in IngressRoutes and a TraefikService of their own? (Traffic-routing reference 7.2.)"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.core.intent import HeaderRoute, MirrorRoute
from tiphys.traffic.manifests import entries, mapping, text
from tiphys.traffic.traefik_rules import Syntax, condition, narrowed, priority_above

INGRESS_ROUTE: Final = "IngressRoute"
TRAEFIK_SERVICE: Final = "TraefikService"

_CLASS: Final = "kubernetes.io/ingress.class"
"""The annotation by which Traefik chooses its objects; there may be no other reason to copy one."""
_LONGEST: Final = 253
_HASHED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """Which TraefikService is used, from which namespace, and in which syntax rules are written that do not say it."""

    service: str
    namespace: str
    syntax: Syntax

    def uses(self, route: object) -> bool:
        """Tell whether a route of an IngressRoute uses the TraefikService; a malformed one does not."""
        return self.service in _names_of(route, self.namespace)


def mentioned(manifest: Manifest) -> frozenset[str]:
    """Name the TraefikServices that an IngressRoute uses; what is malformed of it uses none."""
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else ""
    routes = spec.get("routes") if isinstance(spec, dict) else None
    return frozenset(name for route in routes for name in _names_of(route, namespace)) if isinstance(routes, list) else frozenset()


def header_spec(source: Manifest, using: Using, route: HeaderRoute, canary: Mapping[str, Any], above: int) -> Manifest:
    """
    Give the spec of the IngressRoute that leads what *route* is for to *canary*, out of what *source* leads to the TraefikService.

    Raises:
        SpecError: *source* is malformed, or its syntax cannot say *route*.

    """
    return _spec(source, using, route, canary, above)


def mirror_spec(source: Manifest, using: Using, route: MirrorRoute, mirroring: str, above: int) -> Manifest:
    """
    Give the spec of the IngressRoute that leads what *route* is for to the TraefikService *mirroring*, likewise.

    Raises:
        SpecError: *source* is malformed, shares its requests with others, or its syntax cannot say *route*.

    """
    for at, found in _rules(source, using):
        if len(found["services"]) > 1:
            wanted = f'must be the TraefikService "{using.service}" alone for its requests to be mirrored'
            raise SpecError(field=f"{at}.services", found=f"{len(found['services'])} services", wanted=wanted)
    return _spec(source, using, route, {"name": mirroring, "kind": TRAEFIK_SERVICE}, above)


def mirroring_spec(service: str, canary: Mapping[str, Any], percent: int) -> Manifest:
    """
    Give the spec of the TraefikService that lets *service* answer and copies *percent* of the requests to *canary*.

    Raises:
        SpecError: there is no such percentage.

    """
    if not 0 <= percent <= 100:
        raise SpecError(field="percentage", found=percent, wanted="must be 0 to 100")
    return {"mirroring": {"kind": TRAEFIK_SERVICE, "name": service, "mirrors": [{**canary, "percent": percent}]}}


def followed(source: Manifest, metadata: Mapping[str, Any]) -> Manifest:
    """
    Give *metadata* of ours with what Traefik chooses its objects by, as *source* has it: all labels and the class.

    Raises:
        SpecError: one of the two is malformed.

    """
    theirs = mapping(source.get("metadata"), "metadata")
    chosen = {key: value for key, value in mapping(theirs.get("annotations"), "metadata.annotations").items() if key == _CLASS}
    both = {
        "labels": {**mapping(metadata.get("labels"), "metadata.labels"), **mapping(theirs.get("labels"), "metadata.labels")},
        "annotations": {**mapping(metadata.get("annotations"), "metadata.annotations"), **chosen},
    }
    return {**metadata, **{key: value for key, value in both.items() if value}}


def name_of(*parts: str) -> str:
    """Give a name that tells *parts*, as far as it can, and is another one for other parts."""
    mark = sha256("\0".join(parts).encode()).hexdigest()[:_HASHED]
    told = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return f"{told[: _LONGEST - _HASHED - 1].rstrip('-')}-{mark}"


def _spec(source: Manifest, using: Using, route: HeaderRoute | MirrorRoute, service: Mapping[str, Any], above: int) -> Manifest:
    rules = []
    for at, found in _rules(source, using):
        match = text(found.get("match"), f"{at}.match")
        if not match.strip():
            raise SpecError(field=f"{at}.match", found=None, wanted="needs a rule")
        kept = {key: value for key, value in found.items() if key not in {"match", "priority", "services"}}
        extra = condition(route, _syntax(found, using, at))
        priority = priority_above(found.get("priority"), match, above, f"{at}.priority")
        rules.append({"kind": "Rule", **kept, "match": narrowed(match, extra), "priority": priority, "services": [dict(service)]})
    return {**mapping(source.get("spec"), "spec"), "routes": rules}


def _rules(source: Manifest, using: Using) -> Iterator[tuple[str, Mapping[str, Any]]]:
    routes = entries(mapping(source.get("spec"), "spec").get("routes"), "spec.routes")
    return ((f"spec.routes[{index}]", route) for index, route in enumerate(routes) if using.uses(route))


def _syntax(route: Mapping[str, Any], using: Using, at: str) -> Syntax:
    written = text(route.get("syntax"), f"{at}.syntax")
    try:
        return Syntax(written) if written else using.syntax
    except ValueError:
        raise SpecError(field=f"{at}.syntax", found=written, wanted=f"must be one of {', '.join(Syntax)}") from None


def _names_of(route: object, namespace: str) -> list[str]:
    found: list[str] = []
    services = route.get("services") if isinstance(route, dict) else None
    for service in services if isinstance(services, list) else ():
        if not isinstance(service, dict) or service.get("kind") != TRAEFIK_SERVICE:
            continue
        name = service.get("name")
        # Not looked up in a set: what is malformed may not be hashable.
        if isinstance(name, str) and service.get("namespace") in (None, "", namespace):
            found.append(name)
    return found
