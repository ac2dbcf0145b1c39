"""
In which words can what the objects ask for be compared with what Traefik says it does? (pure)

Traefik reads the API server itself and tells its whole configuration at `/api/rawdata`. The objects and that configuration are both
brought into one form, a value per object, so that they are equal exactly when Traefik acts upon the object as it is. Nothing here
decides where a request goes: a mistake shows as an object that Traefik seems never to act upon, and is told as such.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Found, Json, Kind, Manifest, namespace_of

Key = tuple[str, str]
"""A kind, and namespace and name in the form in which Traefik writes both: `default-web`."""
Says = Mapping[Key, Hashable]

PORT = 8000
"""Where Traefik takes requests: the port that listeners of its Gateways must name."""
SERVICE = "Service"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
_HOST_PATTERN = re.compile(r'HostRegexp\((?:"(?:[^"\\]|\\.)*"|`[^`]*`)\)')


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikPlane:
    """
    One of Traefik's own readers of objects.

    *provider* is its name in Traefik's options, *flags* are further options of providers. *beside* names others that run with it,
    because its objects may refer to theirs. *watches* are the API groups whose definitions
    must be installed, or it never becomes ready; *kinds* those whose objects matter here. *brings* are objects without which no
    route would be accepted. *objects_say* and *traefik_says* give the two sides that are compared.
    """

    provider: str
    flags: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    kinds: frozenset[Kind]
    brings: tuple[Json, ...] = ()
    objects_say: Callable[[Found], dict[Key, Hashable]]
    traefik_says: Callable[["Raw"], dict[Key, Hashable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What one provider contributes to Traefik's configuration; names without `@provider`."""

    routers: Mapping[str, Json]
    services: Mapping[str, Json]

    @classmethod
    def of(cls, data: Json, provider: str) -> "Raw":
        """Take from the answer of `/api/rawdata` what *provider* made."""
        ending = f"@{provider}"

        def ours(section: str) -> dict[str, Json]:
            named: Mapping[str, Json] = data.get(section) or {}
            return {name.removesuffix(ending): value for name, value in named.items() if name.endswith(ending)}

        return cls(routers=ours("routers"), services=ours("services"))

    def addresses(self) -> frozenset[str]:
        """Every address that may get a request."""
        return frozenset(address for service in self.services.values() for address in addresses_in(service))


def one_word(*parts: str) -> str:
    """Join names as Traefik does: whatever is neither letter nor digit becomes a hyphen."""
    return re.sub(r"[^0-9A-Za-z]+", "-", "-".join(parts))


def addresses_in(service: Json) -> Iterator[str]:
    """Give the addresses of the servers of one of Traefik's services; none if it is of another kind."""
    for server in (service.get("loadBalancer") or {}).get("servers") or ():
        yield urlsplit(str(server.get("url") or server.get("address"))).hostname or ""


def quoted_in(rule: str) -> frozenset[str]:
    """Give the values that a rule compares with, without patterns for hosts; a path means the same with and without a last slash."""
    found = (text[1:-1] if text[0] == "`" else json.loads(text) for text in _QUOTED.findall(_HOST_PATTERN.sub("", rule)))
    return compared(found)


def compared(values: Iterable[str]) -> frozenset[str]:
    """Bring the values that are compared with into the form of `quoted_in`."""
    return frozenset(value.rstrip("/") if value.startswith("/") else value for value in values)


def service_names(found: Found) -> frozenset[tuple[str, str]]:
    """Give namespace and name of every Service."""
    return frozenset((namespace_of(service), str(service["metadata"]["name"])) for service in found.get(SERVICES, ()))


def serving(found: Found) -> dict[tuple[str, str], frozenset[str]]:
    """
    Give the addresses of every Service that may get requests: ready ones, and terminating ones that still serve.

    A Service that nobody has made an EndpointSlice for is as good as none.
    """
    there, addresses = service_names(found), dict[tuple[str, str], set[str]]()
    for piece in found.get(SLICES, ()):
        labels = piece["metadata"].get("labels") or {}
        name = (namespace_of(piece), str(labels.get("kubernetes.io/service-name")))
        if name not in there:
            continue
        of = addresses.setdefault(name, set())
        for endpoint in piece.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if conditions.get("serving", conditions.get("ready")) is not False:
                of.update(endpoint.get("addresses") or ())
    return {key: frozenset(each) for key, each in addresses.items()}


def services_say(found: Found) -> dict[Key, Hashable]:
    """Give the value of every Service: its addresses."""
    return {(SERVICE, one_word(*name)): addresses for name, addresses in serving(found).items()}


def described(service: Json) -> tuple[str, str] | None:
    """Give namespace and name of the Service that one of Traefik's services says it stands for."""
    told = ((service.get("observability") or {}).get("metadata") or {}).get("kubernetes")
    return (str(told["namespace"]), str(told["name"])) if told else None


def described_services(raw: Raw) -> dict[Key, Hashable]:
    """Give the value of every Service that Traefik sends to, where it says which one that is."""
    found: dict[Key, frozenset[str]] = {}
    for service in raw.services.values():
        name = described(service)
        if name is not None:
            key = (SERVICE, one_word(*name))
            found[key] = found.get(key, frozenset()) | frozenset(addresses_in(service))
    return dict(found)


def made_from(router: Json, kind: str) -> tuple[str, str] | None:
    """Give namespace and name of the object of *kind* that a router says it was made from."""
    told = ((router.get("observability") or {}).get("metadata") or {}).get("ingress") or {}
    return (str(told["namespace"]), str(told["name"])) if told.get("kind") == kind else None


def members(service: Json) -> tuple[tuple[str, int], ...] | None:
    """Give names and weights of a weighted service's members, or nothing if it is of another kind."""
    weighted = service.get("weighted")
    if weighted is None:
        return None
    return tuple((str(each["name"]), int(each.get("weight", 1))) for each in weighted.get("services") or ())


def spec_of(manifest: Manifest) -> Mapping[str, Any]:
    """Give an object's spec, empty if it has none."""
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    return spec


def gather(pairs: Iterable[tuple[Key, Hashable]]) -> dict[Key, Hashable]:
    """Put everything that is said of one object together."""
    found: dict[Key, set[Hashable]] = {}
    for key, value in pairs:
        found.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in found.items()}


def listed(value: object) -> Sequence[Mapping[str, Any]]:
    """Give a list of maps, empty if there is none."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
