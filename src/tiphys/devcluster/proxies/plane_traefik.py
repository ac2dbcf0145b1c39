"""
What do IngressRoutes and TraefikServices ask of Traefik, and does it say the same? (pure)

The real Traefik serves them. Awaited are rules with their priorities, weights, mirrors and pods; not middlewares, TLS and TCP.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Found, namespace_of
from tiphys.devcluster.proxies.traefik_says import (
    Key,
    Raw,
    TraefikPlane,
    addresses_in,
    described,
    described_services,
    gather,
    listed,
    made_from,
    members,
    one_word,
    services_say,
    serving,
    spec_of,
)

_ROUTES, _SPLITS = ("traefik.io", "ingressroutes"), ("traefik.io", "traefikservices")
_ROUTE, _SPLIT = "IngressRoute", "TraefikService"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Objects:
    """What can be referred to, by namespace and name."""

    services: frozenset[tuple[str, str]]

    def member(self, reference: Mapping[str, Any], namespace: str) -> str | None:
        """Name a member as Traefik does, or nothing where it refers to no Service: then Traefik leaves out the whole object."""
        name = (str(reference.get("namespace") or namespace), str(reference.get("name") or ""))
        if reference.get("kind") == _SPLIT:
            return one_word(*name)
        return one_word(*name, str(reference.get("port"))) if name in self.services else None

    def weighted(self, references: object, namespace: str) -> tuple[tuple[str, int], ...] | None:
        """Give the members of a list with their weights, or nothing where one is missing."""
        found = []
        for reference in listed(references):
            name, weight = self.member(reference, namespace), reference.get("weight")
            if name is None:
                return None
            found.append((name, 1 if weight is None else int(weight)))
        return tuple(found)


def _objects_say(found: Found) -> dict[Key, Hashable]:
    objects = _Objects(services=frozenset(serving(found)))
    return services_say(found) | dict(_splits(found, objects)) | gather(_routes(found, objects))


def _splits(found: Found, objects: _Objects) -> Iterator[tuple[Key, Hashable]]:
    for manifest in found.get(_SPLITS, ()):
        namespace, spec = namespace_of(manifest), spec_of(manifest)
        key = (_SPLIT, one_word(namespace, str(manifest["metadata"]["name"])))
        if (weighted := spec.get("weighted")) is not None:
            said: Hashable = objects.weighted(weighted.get("services"), namespace)
        elif (mirroring := spec.get("mirroring")) is not None:
            copies = tuple((objects.member(each, namespace), int(each.get("percent") or 0)) for each in listed(mirroring.get("mirrors")))
            main = objects.member(mirroring, namespace)
            said = (main, copies) if main is not None and all(name is not None for name, _ in copies) else None
        else:
            continue
        if said is not None:
            yield key, said


def _routes(found: Found, objects: _Objects) -> Iterator[tuple[Key, Hashable]]:
    for manifest in found.get(_ROUTES, ()):
        namespace = namespace_of(manifest)
        key = (_ROUTE, one_word(namespace, str(manifest["metadata"]["name"])))
        by_rule: dict[str, Hashable] = {}
        for route in listed(spec_of(manifest).get("routes")):
            rule = str(route.get("match"))
            target = _target(route, objects, namespace)
            if target is not None:
                # The same rule twice has one name in Traefik: the last one holds.
                by_rule[rule] = (rule, int(route.get("priority") or len(rule)), target)
        for said in by_rule.values():
            yield key, said


def _target(route: Mapping[str, Any], objects: _Objects, namespace: str) -> Hashable | None:
    """Say where a rule sends: to a TraefikService by its name, to one Service, or to several by weight."""
    references = listed(route.get("services"))
    if len(references) != 1:
        return objects.weighted(references, namespace)
    (reference,) = references
    if reference.get("kind") == _SPLIT:
        return objects.member(reference, namespace)
    name = (str(reference.get("namespace") or namespace), str(reference.get("name") or ""))
    return name if name in objects.services else None


def _traefik_says(raw: Raw) -> dict[Key, Hashable]:
    own = {str(router.get("service")) for name, router in raw.routers.items() if router.get("service") == name}
    splits = {(_SPLIT, name): said for name, service in raw.services.items() if name not in own and (said := _split(service)) is not None}
    return described_services(raw) | splits | gather(_routers(raw))


def _split(service: Mapping[str, Any]) -> Hashable | None:
    mirroring = service.get("mirroring")
    if mirroring is None:
        return members(dict(service))
    return (mirroring["service"], tuple((each["name"], int(each.get("percent") or 0)) for each in mirroring.get("mirrors") or ()))


def _routers(raw: Raw) -> Iterator[tuple[Key, Hashable]]:
    for name, router in raw.routers.items():
        source = made_from(router, _ROUTE)
        if source is None:
            continue
        target: Hashable = router["service"]
        if target == name:
            service = raw.services.get(name, {})
            target = members(service) or described(service) or frozenset(addresses_in(service))
        yield (_ROUTE, one_word(*source)), (router["rule"], int(router["priority"]), target)


TRAEFIK = TraefikPlane(
    provider="kubernetescrd",
    # Without it Traefik drops a whole weighted service as soon as one member has no pod, whatever its weight.
    flags=("kubernetescrd.allowemptyservices=true",),
    watches=("traefik.io",),
    kinds=frozenset({SERVICES, SLICES, _ROUTES, _SPLITS}),
    objects_say=_objects_say,
    traefik_says=_traefik_says,
)
