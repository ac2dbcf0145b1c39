"""How do header and mirror routes stand in an ApisixRoute of their own? (Traffic-routing reference 4.7 and 7.2.)"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch
from tiphys.traffic.manifests import entries, mapping, text
from tiphys.traffic.shares import Weighted

Entry = Mapping[str, Any]

MIRROR_PLUGIN: Final = "proxy-mirror"
_ALL: Final = 100
"""The weight of the only backend of a header rule, as the reference writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    One of the Rollout's rules: *entry* as it stands at the path *at*, *backends* as they will be.

    *canary* is the canary's backend, *namespace* where its Service is.
    """

    entry: Entry
    at: str
    backends: Weighted
    canary: Entry
    namespace: str


def rules(route: HeaderRoute | MirrorRoute, sources: Sequence[Source], above: int) -> list[Entry]:
    """
    Give the rules that say *route*: one for each of *sources* and each of its alternatives, *above* priorities above their source.

    Raises:
        SpecError: a source is malformed, or cannot be mirrored.

    """
    made = [rule for source in sources for rule in _rules_of(route, source, above)]
    if len(made) == len(sources):
        return made
    # Rules are told apart by name: with several alternatives each gets a number of its own.
    return [{**rule, "name": f"{rule['name']}-{number}"} for number, rule in enumerate(made)]


def _rules_of(route: HeaderRoute | MirrorRoute, source: Source, above: int) -> Iterable[Entry]:
    match = mapping(source.entry.get("match"), f"{source.at}.match")
    own = entries(match.get("exprs"), f"{source.at}.match.exprs")
    changes = _to_canary(source) if isinstance(route, HeaderRoute) else _mirrored(source, route.percent)
    base = {**source.entry, **changes, "priority": _priority(source) + above}
    if isinstance(route, HeaderRoute):
        # Weighted members of another kind stand beside the backends; a header route is for the canary alone.
        base.pop("upstreams", None)
        conditions = [[_header(one)] for one in route.any_of]
    else:
        conditions = [_request(one) for one in route.any_of]
    return [{**base, "match": {**match, "exprs": [*own, *condition]} if own or condition else match} for condition in conditions]


def _to_canary(source: Source) -> Entry:
    return {"backends": [{**source.canary, "weight": _ALL}]}


def _mirrored(source: Source, percent: int) -> Entry:
    """
    Give what makes a copy of *source* mirror *percent* of its requests; the plugin takes no ratio of 0, so that is one not enabled.

    Raises:
        SpecError: the source mirrors already, or the canary's port has no number.

    """
    at = f"{source.at}.plugins"
    plugins = entries(source.entry.get("plugins"), at)
    for index, plugin in enumerate(plugins):
        if plugin.get("name") == MIRROR_PLUGIN:
            raise SpecError(field=f"{at}[{index}].name", found=MIRROR_PLUGIN, wanted="must not be there beside a mirror route")
    port = source.canary.get("servicePort")
    if not isinstance(port, int):
        wanted = "must be a number for the canary's Service to be mirrored to"
        raise SpecError(field=f"{source.at}.backends[].servicePort", found=port, wanted=wanted)
    host = f"http://{source.canary['serviceName']}.{source.namespace}.svc:{port}"
    config = {"host": host, **({"sample_ratio": percent / 100} if 0 < percent < _ALL else {})}
    mirror = {"name": MIRROR_PLUGIN, "enable": percent > 0, "config": config}
    return {"backends": list(source.backends), "plugins": [*plugins, mirror]}


def _priority(source: Source) -> int:
    priority = source.entry.get("priority")
    if priority is None:
        return 0
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise SpecError(field=f"{source.at}.priority", found=priority, wanted="must be a whole number")
    return priority


def _request(match: RequestMatch) -> list[Entry]:
    conditions = [] if match.method is None else [_expression({"scope": "Variable", "name": "request_method"}, match.method)]
    conditions += [] if match.path is None else [_expression({"scope": "Path"}, match.path)]
    return conditions + [_header(header) for header in match.headers]


def _header(match: HeaderMatch) -> Entry:
    return _expression({"scope": "Header", "name": match.header}, match.value)


def _expression(subject: Entry, match: TextMatch) -> Entry:
    if match.kind is MatchKind.EXACT:
        return {"subject": dict(subject), "op": "Equal", "value": match.value}
    pattern = f"^{re.escape(match.value)}" if match.kind is MatchKind.PREFIX else match.value
    return {"subject": dict(subject), "op": "RegexMatch", "value": pattern}


def rule_name(entry: Entry, at: str) -> str:
    """
    Give the name of a rule, which stands at the path *at*.

    Raises:
        SpecError: it has none.

    """
    name = text(entry.get("name"), f"{at}.name")
    if not name:
        raise SpecError(field=f"{at}.name", found=None, wanted="needs a name")
    return name
