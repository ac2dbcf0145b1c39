"""How do annotations of ingress-nginx say weights, header routes and mirrors, and what can they not say? (Reference 4.3, 7.2.)"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderRoute, MatchKind, MirrorRoute, RequestMatch, Role, TextMatch, TrafficIntent
from tiphys.traffic.manifests import entries, mapping, text

CLASS: Final = "kubernetes.io/ingress.class"
STATIC_HEADER: Final = "canary-by-header"
MIRROR: Final = "mirror-target"

_PLAIN: Final = re.compile(r"[-._~a-zA-Z0-9/: ]+")
"""The values that the validation of ingress-nginx lets through; a value it does not like counts as none, which means "always"."""
_PATTERN: Final = re.compile(r"[-._~a-zA-Z0-9/:^$\[\](){}*+?|&=\\]+")
"""The same for patterns."""
_LITERAL: Final = re.compile(r"[-_~a-zA-Z0-9/:&=]")
_EVERYTHING: Final = (
    RequestMatch(),
    *(RequestMatch(path=TextMatch(kind=MatchKind.PREFIX, value=value)) for value in ("/", "")),
)


def split(wish: TrafficIntent, *, total: bool) -> dict[str, str]:
    """Give the annotations, without prefix, that say the canary's weight and header routes; *total* says of what the weight is a part."""
    said = {"canary": "true", "canary-weight": str(wish.weight(Role.CANARY))}
    if total:
        said["canary-weight-total"] = str(wish.maximum)
    return said | by_header(wish.header_routes)


def by_header(routes: Sequence[HeaderRoute]) -> dict[str, str]:
    """
    Give the annotations, without prefix, by which requests of any of *routes* go to the canary.

    A regular expression stands for the whole value, as with the other products.

    Raises:
        SpecError: ingress-nginx cannot say this; the field is `canary-by-header`.

    """
    matches = [match for route in routes for match in route.any_of]
    if not matches:
        return {}
    names = {match.header.lower(): match.header for match in reversed(matches)}
    if len(names) > 1:
        raise _cannot(", ".join(sorted(names)), "one header name for all header routes that stand at a time: ingress-nginx knows no second")
    (name,) = names.values()
    if not _PLAIN.fullmatch(name):
        raise _cannot(name, "a header name of letters, digits and -")
    said = {STATIC_HEADER: name}
    values = list(dict.fromkeys((match.value.kind, match.value.value) for match in matches))
    kind, value = values[0]
    if len(values) == 1 and kind is MatchKind.EXACT and _PLAIN.fullmatch(value):
        return said | {f"{STATIC_HEADER}-value": value}
    return said | {f"{STATIC_HEADER}-pattern": f"^(?:{'|'.join(_alternative(kind, value) for kind, value in values)})"}


def check_mirrors(mirrors: Sequence[MirrorRoute]) -> None:
    """
    Make sure that ingress-nginx can mirror as *mirrors* want.

    Raises:
        SpecError: it cannot; the field is `mirror-target`.

    """
    if len(mirrors) > 1:
        names = ", ".join(mirror.name for mirror in mirrors)
        raise SpecError(field=MIRROR, found=names, wanted="one mirror route at a time: ingress-nginx copies to one place")
    for mirror in mirrors:
        if not any(match in _EVERYTHING for match in mirror.any_of):
            wanted = "a match of every request (path with the prefix /): ingress-nginx copies whole locations"
            raise SpecError(field=MIRROR, found=mirror.name, wanted=wanted)
        if mirror.percent != 100:
            raise SpecError(field=MIRROR, found=mirror.percent, wanted="a percentage of 100: ingress-nginx copies every request")


def mirror_target(spec: Mapping[str, Any], *, stable: str, canary: str, namespace: str) -> str:
    """
    Give the address to which requests of the stable Ingress with *spec* are copied.

    Raises:
        SpecError: the annotation would copy what is not the stable Service's, or the port has no number.

    """
    wanted = f"a mirror route needs every backend of the Ingress to be the Service {stable} at one port with a number"
    if spec.get("defaultBackend") is not None:
        raise SpecError(field="spec.defaultBackend", found="set", wanted=wanted)
    ports: set[int] = set()
    for at, path in paths(spec):
        service = service_of(path, at)
        port = mapping(service.get("port"), f"{at}.backend.service.port").get("number")
        if service.get("name") != stable or isinstance(port, bool) or not isinstance(port, int):
            raise SpecError(field=f"{at}.backend", found=service.get("name"), wanted=wanted)
        ports.add(port)
    if len(ports) != 1:
        raise SpecError(field="spec.rules", found=f"ports {', '.join(map(str, sorted(ports)))}", wanted=wanted)
    (port,) = ports
    return f"http://{canary}.{namespace}.svc.cluster.local{'' if port == _HTTP else f':{port}'}$request_uri"


def paths(spec: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """
    Give every path of an Ingress's *spec*, with its place.

    Raises:
        SpecError: a part is malformed.

    """
    return [each for index, rule in enumerate(entries(spec.get("rules"), "spec.rules")) for each in paths_of(rule, f"spec.rules[{index}]")]


def paths_of(rule: Mapping[str, Any], at: str) -> list[tuple[str, Mapping[str, Any]]]:
    """
    Give every path of *rule*, which stands at the place *at*, with its place.

    Raises:
        SpecError: a part is malformed.

    """
    listed = entries(mapping(rule.get("http"), f"{at}.http").get("paths"), f"{at}.http.paths")
    return [(f"{at}.http.paths[{index}]", path) for index, path in enumerate(listed)]


def service_of(path: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    """
    Give the Service in the backend of *path*; an empty map where the backend is something else.

    Raises:
        SpecError: the backend is malformed.

    """
    service = mapping(mapping(path.get("backend"), f"{at}.backend").get("service"), f"{at}.backend.service")
    text(service.get("name"), f"{at}.backend.service.name")
    return service


def _alternative(kind: MatchKind, value: str) -> str:
    match kind:
        case MatchKind.EXACT:
            return f"{_escaped(value)}$"
        case MatchKind.PREFIX:
            return _escaped(value)
        case MatchKind.REGEX:
            if not _PATTERN.fullmatch(value):
                wanted = "a regular expression of letters, digits and -._~/:^$[](){}*+?|&=\\ : ingress-nginx takes no other characters"
                raise _cannot(value, f"{wanted} (\\x20 is a space, \\x2c a comma)")
            return f"(?:{value})$"


def _escaped(value: str) -> str:
    """Escape *value* with the characters that ingress-nginx takes in a pattern."""
    return "".join(char if _LITERAL.fullmatch(char) else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in value)


def _cannot(found: str, wanted: str) -> SpecError:
    return SpecError(field=STATIC_HEADER, found=found, wanted=wanted)


_HTTP: Final = 80
