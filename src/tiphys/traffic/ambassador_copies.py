"""What do the copies of a Mapping look like that send traffic to the canary? (Traffic-routing reference 4.6 and 7.2.)"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch
from tiphys.traffic.manifests import mapping, text
from tiphys.traffic.named_members import experiment_port

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
    if parts is None or not leads_to(spec, stable, namespace):
        raise SpecError(field="spec.service", found=service or None, wanted=f'must lead to the stable Service "{stable}" in {namespace}')
    if spec.get("weight"):
        raise SpecError(field="spec.weight", found=spec["weight"], wanted="must not be set: the base gets what its canary leaves")
    return {**spec, "service": f"{parts['scheme'] or ''}{canary}{service[parts.end('name') :]}"}


def leads_to(spec: Spec, service: str, namespace: str) -> bool:
    """
    Tell whether *spec*, a Mapping's, leads to *service* in *namespace*.

    Raises:
        SpecError: its service is no text.

    """
    parts = _SERVICE.fullmatch(text(spec.get("service"), "spec.service"))
    return parts is not None and parts["name"] == service and (parts["namespace"] or namespace) == namespace


def to_experiment(spec: Spec, service: str, ports: Mapping[str, int]) -> Spec:
    """
    Give *spec*, which leads to another Service, so that it leads to the *service* of an experiment; *ports* are the containers'.

    Raises:
        SpecError: which of the ports is meant cannot be told.

    """
    led = text(spec.get("service"), "spec.service")
    parts = _SERVICE.fullmatch(led)
    if parts is None:
        raise SpecError(field="spec.service", found=led or None, wanted="must be a Service")
    known = int(parts["port"]) if parts["port"] else (_HTTPS if (parts["scheme"] or "").lower() == "https://" else _HTTP)
    port = experiment_port(known, ports, "spec.service")
    where = led[parts.end("name") :].rstrip("/").removesuffix(f":{parts['port']}")
    written = f":{port}" if parts["port"] or port != known else ""
    return {**spec, "service": f"{parts['scheme'] or ''}{service}{where}{written}"}


def weighted(spec: Spec, weight: int) -> Spec:
    """Give the Mapping that answers *weight* percent of its base's requests; *spec* leads where they go."""
    return {**spec, "weight": weight}


def by_header(spec: Spec, match: HeaderMatch, above: int) -> Spec:
    """
    Give the Mapping for what fulfils *match*, *above* precedences above the base; *spec* leads to the canary.

    Raises:
        SpecError: the base has a condition on the same header, or is malformed.

    """
    return narrowed(spec, RequestMatch(headers=(match,)), above)


def narrowed(spec: Spec, match: RequestMatch, above: int) -> Spec:
    """
    Give the Mapping like *spec* for what fulfils *match* as well, *above* precedences above.

    Raises:
        SpecError: the base has a condition on the same header or method, no Mapping can say the path, or it is malformed.

    """
    precedence = spec.get("precedence") or 0
    if isinstance(precedence, bool) or not isinstance(precedence, int):
        raise SpecError(field="spec.precedence", found=precedence, wanted="must be a whole number")
    changed = dict(spec)
    for header in match.headers:
        changed |= _on_header(changed, header)
    if match.method is not None:
        changed |= _on_method(spec, match.method)
    if match.path is not None:
        changed |= _on_path(spec, match.path)
    return {**changed, "precedence": precedence + above}


def mirrored(spec: Spec, route: MirrorRoute) -> Spec:
    """Give the Mapping that *route* copies requests to; *spec* leads to the canary."""
    return {**spec, "shadow": True, "weight": route.percent}


def is_of_everything(route: MirrorRoute) -> bool:
    """Tell whether *route* copies whatever comes."""
    return RequestMatch() in route.any_of


def _on_header(spec: Spec, match: HeaderMatch) -> dict[str, Any]:
    exact = mapping(spec.get("headers"), "spec.headers")
    regex = mapping(spec.get("regex_headers"), "spec.regex_headers")
    for at, conditions in (("headers", exact), ("regex_headers", regex)):
        for name in conditions:
            if name.lower() == match.header.lower():
                raise SpecError(
                    field=f"spec.{at}.{name}", found=str(conditions[name]), wanted="must not be there beside a route on this header"
                )
    key, known = ("headers", exact) if match.value.kind is MatchKind.EXACT else ("regex_headers", regex)
    return {key: {**known, match.header: _written(match.value)}}


def _on_method(spec: Spec, match: TextMatch) -> dict[str, Any]:
    if spec.get("method"):
        raise SpecError(field="spec.method", found=str(spec["method"]), wanted="must not be there beside a route on the method")
    return {"method": _written(match), **({} if match.kind is MatchKind.EXACT else {"method_regex": True})}


def _on_path(spec: Spec, match: TextMatch) -> dict[str, Any]:
    """Narrow the prefix; what replaces it grows by the same, so that the Service sees the same path."""
    prefix = text(spec.get("prefix"), "spec.prefix")
    rewrite = text(spec.get("rewrite", "/"), "spec.rewrite")
    if spec.get("prefix_regex") or spec.get("prefix_exact"):
        raise SpecError(field="spec.prefix", found=prefix, wanted="must be a plain prefix beside a route on the path")
    if match.kind is MatchKind.REGEX:
        if prefix != "/" or rewrite not in {"", "/"}:
            raise SpecError(field="spec.prefix", found=prefix, wanted="must be / and not be rewritten beside a regex on the path")
        return {"prefix": match.value, "prefix_regex": True}
    if match.kind is MatchKind.PREFIX and prefix.startswith(match.value):
        return {}
    if not match.value.startswith(prefix):
        raise SpecError(field="spec.prefix", found=prefix, wanted=f"must be the beginning of the path {match.value}, or no request is both")
    replaced = {} if not rewrite or spec.get("regex_rewrite") else {"rewrite": f"{rewrite}{match.value[len(prefix) :]}"}
    return {"prefix": match.value, **replaced, **({"prefix_exact": True} if match.kind is MatchKind.EXACT else {})}


def check(headers: Sequence[HeaderRoute], mirrors: Sequence[MirrorRoute]) -> None:
    """
    Make sure that Mappings can say routes that stand together.

    Raises:
        SpecError: they cannot; the field is empty, because the caller knows the step.

    """
    routes: list[HeaderRoute | MirrorRoute] = [*headers, *mirrors]
    for route in routes:
        if len(route.any_of) > MOST_ALTERNATIVES:
            wanted = f"must have at most {MOST_ALTERNATIVES} entries: each is a Mapping of its own"
            raise SpecError(field="match", found=len(route.any_of), wanted=wanted)
    whole = [route.name for route in mirrors if is_of_everything(route)]
    if len(whole) > 1:
        wanted = "must not stand together: both copy everything, and a group of Mappings has one shadow"
        raise SpecError(field="name", found=" and ".join(whole), wanted=wanted)
    for mirror in mirrors:
        if not 1 <= mirror.percent <= 100:
            raise SpecError(field="percentage", found=mirror.percent, wanted="must be 1 to 100")


def _written(match: TextMatch) -> str:
    """Give the value of a condition; a regular expression has to match the whole text."""
    return f"{re.escape(match.value)}.*" if match.kind is MatchKind.PREFIX else match.value


_SERVICE: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+://)?(?P<name>[^.:/]+)(?:\.(?P<namespace>[^.:/]+)(?:\.[^:/]*)?)?(?::(?P<port>[0-9]+))?/?"
)
_HTTP, _HTTPS = 80, 443
