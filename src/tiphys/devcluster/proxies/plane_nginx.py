"""
What do Ingresses with NGINX's canary annotations ask, and does Traefik, which reads them here, say the same? (pure)

Awaited are hosts and paths, weights, header routes and pods; not canaries by cookie. Traefik leaves out a canary Ingress whose Service
has no pod, or no path in common with another Ingress.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Found, Json, Manifest, namespace_of
from tiphys.devcluster.proxies.traefik_says import (
    Key,
    Raw,
    TraefikPlane,
    compared,
    described,
    described_services,
    gather,
    listed,
    made_from,
    members,
    one_word,
    quoted_in,
    services_say,
    serving,
    spec_of,
)

CLASS = "nginx"
_INGRESSES, _CLASSES = ("networking.k8s.io", "ingresses"), ("networking.k8s.io", "ingressclasses")
_CONTROLLER = "k8s.io/ingress-nginx"
_PREFIX = "nginx.ingress.kubernetes.io/"
_INGRESS = "Ingress"
_Place = tuple[str, str, str]
"""Namespace, host and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Canary:
    service: str
    annotations: Mapping[str, str]

    def shares(self, stable: str) -> tuple[tuple[str, int], ...]:
        total, weight = int(self._said("weight-total", "100")), int(self._said("weight", "0"))
        return ((stable, total - weight), (self.service, weight))

    def headers(self, stable: str) -> Iterator[tuple[tuple[str, str], str]]:
        """Give each header and value that picks a side, and the Service."""
        name = self._said("by-header", "")
        if not name:
            return
        wanted = self._said("by-header-value", "") or self._said("by-header-pattern", "")
        if wanted:
            yield (name, wanted), self.service
        else:
            yield (name, "always"), self.service
            yield (name, "never"), stable

    def _said(self, key: str, default: str) -> str:
        return self.annotations.get(f"{_PREFIX}canary-{key}") or default


def _objects_say(found: Found) -> dict[Key, Hashable]:
    classes = {each["metadata"]["name"] for each in found.get(_CLASSES, ()) if spec_of(each).get("controller") == _CONTROLLER}
    ours = [each for each in found.get(_INGRESSES, ()) if _class_of(each) in classes]
    pods = serving(found)
    canaries: dict[_Place, _Canary] = {}
    for ingress in ours:
        for host, path, service in _paths(ingress) if _is_canary(ingress) else ():
            if pods.get((namespace_of(ingress), service)):
                canaries[namespace_of(ingress), host, path] = _Canary(service=service, annotations=_annotations(ingress))
    stables = [each for each in ours if not _is_canary(each)]
    return services_say(found) | gather(said for ingress in stables for said in _said_by(ingress, canaries))


def _said_by(ingress: Manifest, canaries: Mapping[_Place, _Canary]) -> Iterator[tuple[Key, Hashable]]:
    key = (_INGRESS, one_word(namespace_of(ingress), str(ingress["metadata"]["name"])))
    for host, path, service in _paths(ingress):
        values = [path, *([host] if host and "*" not in host else [])]
        canary = canaries.get((namespace_of(ingress), host, path))
        if canary is None:
            yield key, (compared(values), service)
            continue
        yield key, (compared(values), canary.shares(service))
        for header, target in canary.headers(service):
            yield key, (compared([*values, *header]), target)


def _class_of(ingress: Manifest) -> object:
    return spec_of(ingress).get("ingressClassName") or _annotations(ingress).get("kubernetes.io/ingress.class")


def _annotations(ingress: Manifest) -> Mapping[str, str]:
    annotations: Mapping[str, str] = ingress["metadata"].get("annotations") or {}
    return annotations


def _is_canary(ingress: Manifest) -> bool:
    return _annotations(ingress).get(f"{_PREFIX}canary") == "true"


def _paths(ingress: Manifest) -> Iterator[tuple[str, str, str]]:
    """Give host, path and the Service's name of every path that has one."""
    for rule in listed(spec_of(ingress).get("rules")):
        for path in listed((rule.get("http") or {}).get("paths")):
            service: Mapping[str, Any] = (path.get("backend") or {}).get("service") or {}
            if service.get("name"):
                yield str(rule.get("host") or ""), str(path.get("path") or "/"), str(service["name"])


def _traefik_says(raw: Raw) -> dict[Key, Hashable]:
    return described_services(raw) | gather(_routers(raw))


def _routers(raw: Raw) -> Iterator[tuple[Key, Hashable]]:
    for router in raw.routers.values():
        source = made_from(router, _INGRESS)
        if source is None or "tls" in router:
            continue
        service = raw.services.get(str(router["service"]), {})
        shares = members(service)
        target: Hashable = (
            _name(service) if shares is None else tuple((_name(raw.services.get(each, {})), weight) for each, weight in shares)
        )
        yield (_INGRESS, one_word(*source)), (quoted_in(str(router["rule"])), target)


def _name(service: Json) -> str:
    named = described(service)
    return named[1] if named is not None else ""


NGINX = TraefikPlane(
    provider="kubernetesingressnginx",
    kinds=frozenset({SERVICES, SLICES, _INGRESSES, _CLASSES}),
    brings=(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": CLASS},
            "spec": {"controller": _CONTROLLER},
        },
    ),
    objects_say=_objects_say,
    traefik_says=_traefik_says,
)
