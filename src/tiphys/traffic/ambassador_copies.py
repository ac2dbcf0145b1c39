"""What do the copies of a Mapping look like that send traffic to the canary? (Traffic-routing reference 4.6 and 7.2.)"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch
from tiphys.traffic.manifests import mapping, text

Spec = Mapping[str, Any]

MOST_ALTERNATIVES: Final = 8
"""So many entries may one header route have: each is a Mapping whose name has to be known beforehand, or it could be left behind."""


def redirected(spec: Spec, *, stable: str, canary: str, namespace: str) -> dict[str, Any]:
    """
    Give *spec*, the base Mapping's, so that it leads to the Service *canary* instead of *stable*, both in *namespace*.

    A service is written as `[scheme://]name[.namespace...][:port]`; only the name changes.

    Raises:
        SpecError: the base does not lead to the stable Service, or has a weight of its own.

    """
    service = text(spec.get("service"), "spec.service")
    parts = _SERVICE.fullmatch(service)
    if parts is None or parts["name"] != stable or (parts["namespace"] or namespace) != namespace:
        raise SpecError(field="spec.service", found=service or None, wanted=f'must lead to the stable Service "{stable}" in {namespace}')
    if spec.get("weight"):
        raise SpecError(field="spec.weight", found=spec["weight"], wanted="must not be set: the base gets what its canary leaves")
    return {**spec, "service": f"{parts['scheme'] or ''}{canary}{service[parts.end('name') :]}"}


def weighted(spec: Spec, weight: int) -> Spec:
    """Give the Mapping of which *weight* percent of the base's requests are answered; *spec* leads to the canary."""
    return {**spec, "weight": weight}


def by_header(spec: Spec, match: HeaderMatch, above: int) -> Spec:
    """
    Give the Mapping for what fulfils *match*, *above* precedences above the base; *spec* leads to the canary.

    Raises:
        SpecError: the base has a condition on the same header, or is malformed.

    """
    exact = mapping(spec.get("headers"), "spec.headers")
    regex = mapping(spec.get("regex_headers"), "spec.regex_headers")
    for at, conditions in (("headers", exact), ("regex_headers", regex)):
        for name in conditions:
            if name.lower() == match.header.lower():
                raise SpecError(
                    field=f"spec.{at}.{name}", found=str(conditions[name]), wanted="must not be there beside a route on this header"
                )
    precedence = spec.get("precedence") or 0
    if isinstance(precedence, bool) or not isinstance(precedence, int):
        raise SpecError(field="spec.precedence", found=precedence, wanted="must be a whole number")
    rest = {key: value for key, value in spec.items() if key != "weight"}
    key, known = ("headers", exact) if match.value.kind is MatchKind.EXACT else ("regex_headers", regex)
    return {**rest, key: {**known, match.header: _written(match)}, "precedence": precedence + above}


def mirrored(spec: Spec, route: MirrorRoute) -> Spec:
    """Give the Mapping that *route* copies requests to; *spec* leads to the canary."""
    return {**spec, "shadow": True, "weight": route.percent}


def check(headers: Sequence[HeaderRoute], mirrors: Sequence[MirrorRoute]) -> None:
    """
    Make sure that Mappings can say routes that stand together.

    Raises:
        SpecError: they cannot; the field is empty, because the caller knows the step.

    """
    for route in headers:
        if len(route.any_of) > MOST_ALTERNATIVES:
            wanted = f"must have at most {MOST_ALTERNATIVES} entries: each is a Mapping of its own"
            raise SpecError(field="match", found=len(route.any_of), wanted=wanted)
    if len(mirrors) > 1:
        found = " and ".join(route.name for route in mirrors)
        raise SpecError(field="name", found=found, wanted="must not stand together: a group of Mappings has one shadow")
    for mirror in mirrors:
        if mirror.any_of != (RequestMatch(),):
            raise SpecError(field="match", found="conditions", wanted="must be one empty entry: a shadow gets what its base gets")
        if not 1 <= mirror.percent <= 100:
            raise SpecError(field="percentage", found=mirror.percent, wanted="must be 1 to 100")


def _written(match: HeaderMatch) -> str:
    """Give the value of a header condition; a regular expression has to match the whole header."""
    return f"{re.escape(match.value.value)}.*" if match.value.kind is MatchKind.PREFIX else match.value.value


_SERVICE: Final = re.compile(r"(?P<scheme>[A-Za-z]+://)?(?P<name>[^.:/]+)(?:\.(?P<namespace>[^.:/]+)(?:\.[^:/]*)?)?(?::[0-9]+)?/?")
