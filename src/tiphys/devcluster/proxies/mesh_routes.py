"""What does one HTTP route of a VirtualService do with a request, in Envoy's words? (pure)"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tiphys.devcluster.proxies.mesh_match import Json, duration, route_matches, unknown_conditions

ClusterOf = Callable[[Mapping[str, Any]], str]
"""Gives the name of the cluster that a VirtualService's `destination` means."""

_TRANSLATED = {
    "corsPolicy", "directResponse", "fault", "headers", "match", "mirror", "mirrorPercent", "mirrorPercentage", "mirror_percent",
    "mirrors", "name", "redirect", "retries", "rewrite", "route", "timeout",
}  # fmt: skip
_MILLION = 1_000_000
_FAULT_FILTER = "envoy.filters.http.fault"
_FAULT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_REDIRECT_PARTS = {"uri": "path_redirect", "authority": "host_redirect", "scheme": "scheme_redirect", "port": "port_redirect"}
_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def envoy_routes(http: Mapping[str, Any], *, cluster_of: ClusterOf) -> Iterator[Json]:
    """Give one Envoy route for every match of *http*, in order: the first that holds takes the request."""
    for match in route_matches(http):
        route: Json = {"match": match}
        if name := http.get("name"):
            route["name"] = name
        if redirect := http.get("redirect"):
            route["redirect"] = _redirect(redirect)
        elif direct := http.get("directResponse"):
            route["direct_response"] = _direct_response(direct)
        else:
            route["route"] = _action(http, match=match, cluster_of=cluster_of)
        route |= _header_operations(http.get("headers") or {})
        if fault := http.get("fault"):
            route["typed_per_filter_config"] = {_FAULT_FILTER: {"@type": _FAULT_TYPE, **_fault(fault)}}
        yield route


def untranslated(http: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the fields of *http* that this proxy does not act upon."""
    unknown = sorted(set(http) - _TRANSLATED)
    if "corsPolicy" in http:
        unknown.append("corsPolicy")
    return (*unknown, *(f"match.{key}" for key in unknown_conditions(http)))


def _action(http: Mapping[str, Any], *, match: Mapping[str, Any], cluster_of: ClusterOf) -> Json:
    action: Json = _destinations(http.get("route") or [], cluster_of=cluster_of)
    # Envoy gives up after 15 s unless told otherwise; a VirtualService without a timeout waits as long as it takes.
    action["timeout"] = duration(http["timeout"]) if http.get("timeout") else "0s"
    if mirrors := _mirrors(http, cluster_of=cluster_of):
        action["request_mirror_policies"] = mirrors
    if rewrite := http.get("rewrite"):
        action |= _rewrite(rewrite, match=match)
    if (retries := http.get("retries")) and int(retries.get("attempts") or 0) > 0:
        action["retry_policy"] = _retries(retries)
    return action


def _destinations(routes: Sequence[Mapping[str, Any]], *, cluster_of: ClusterOf) -> Json:
    """A single destination takes everything, whatever its weight; several share by weight."""
    if not routes:
        raise ValueError("a route has no destination")
    if len(routes) > 1 and not any(int(route.get("weight") or 0) for route in routes):
        raise ValueError("the weights of a route's destinations add up to 0, wanted more")
    if len(routes) == 1 and not routes[0].get("headers"):
        return {"cluster": cluster_of(routes[0].get("destination") or {})}
    return {
        "weighted_clusters": {
            "clusters": [
                {
                    "name": cluster_of(route.get("destination") or {}),
                    "weight": int(route.get("weight") or 0) if len(routes) > 1 else 1,
                    **_header_operations(route.get("headers") or {}),
                }
                for route in routes
            ]
        }
    }


def _mirrors(http: Mapping[str, Any], *, cluster_of: ClusterOf) -> list[Json]:
    found: list[tuple[Mapping[str, Any], float]] = []
    if mirror := http.get("mirror"):
        found.append((mirror, _mirrored_percent(http)))
    found += [
        (entry.get("destination") or {}, float((entry.get("percentage") or {"value": 100}).get("value", 0)))
        for entry in http.get("mirrors") or []
    ]
    return [
        {"cluster": cluster_of(destination), "runtime_fraction": {"default_value": _fraction(percent)}, "trace_sampled": False}
        for destination, percent in found
        if percent > 0
    ]


def _mirrored_percent(http: Mapping[str, Any]) -> float:
    if (percentage := http.get("mirrorPercentage")) is not None:
        return float(percentage.get("value") or 0)
    for older in ("mirrorPercent", "mirror_percent"):
        if http.get(older) is not None:
            return float(http[older])
    return 100.0


def _fraction(percent: float) -> Json:
    return {"numerator": round(percent * _MILLION / 100), "denominator": "MILLION"}


def _rewrite(rewrite: Mapping[str, Any], *, match: Mapping[str, Any]) -> Json:
    rewritten: Json = {}
    if authority := rewrite.get("authority"):
        rewritten["host_rewrite_literal"] = authority
    if regex := rewrite.get("uriRegexRewrite"):
        rewritten["regex_rewrite"] = {"pattern": {"regex": regex.get("match", "")}, "substitution": regex.get("rewrite", "")}
    elif (uri := rewrite.get("uri")) and "safe_regex" in match:
        rewritten["regex_rewrite"] = {"pattern": {"regex": "^[^?]*"}, "substitution": uri}
    elif uri := rewrite.get("uri"):
        rewritten["prefix_rewrite"] = uri
    return rewritten


def _retries(retries: Mapping[str, Any]) -> Json:
    policy: Json = {"num_retries": int(retries["attempts"]), "retry_on": retries.get("retryOn") or _RETRY_ON}
    if limit := retries.get("perTryTimeout"):
        policy["per_try_timeout"] = duration(limit)
    if "retry_on" in policy and "retriable-status-codes" in policy["retry_on"]:
        policy["retriable_status_codes"] = [503]
    return policy


def _redirect(redirect: Mapping[str, Any]) -> Json:
    answer: Json = {"response_code": _REDIRECT_CODES[int(redirect.get("redirectCode") or 301)]}
    for ours, theirs in _REDIRECT_PARTS.items():
        if redirect.get(ours):
            answer[theirs] = redirect[ours]
    return answer


def _direct_response(direct: Mapping[str, Any]) -> Json:
    answer: Json = {"status": int(direct.get("status") or 200)}
    body = direct.get("body") or {}
    if "string" in body:
        answer["body"] = {"inline_string": body["string"]}
    elif "bytes" in body:
        answer["body"] = {"inline_bytes": body["bytes"]}
    return answer


def _header_operations(headers: Mapping[str, Any]) -> Json:
    operations: Json = {}
    for side in ("request", "response"):
        wanted = headers.get(side) or {}
        changed = [_header_value(name, value, action="OVERWRITE_IF_EXISTS_OR_ADD") for name, value in (wanted.get("set") or {}).items()]
        changed += [_header_value(name, value, action="APPEND_IF_EXISTS_OR_ADD") for name, value in (wanted.get("add") or {}).items()]
        if changed:
            operations[f"{side}_headers_to_add"] = changed
        if wanted.get("remove"):
            operations[f"{side}_headers_to_remove"] = list(wanted["remove"])
    return operations


def _header_value(name: str, value: str, *, action: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": action}


def _fault(fault: Mapping[str, Any]) -> Json:
    injected: Json = {}
    if delay := fault.get("delay"):
        injected["delay"] = {"fixed_delay": duration(delay["fixedDelay"]), "percentage": _fault_share(delay)}
    if abort := fault.get("abort"):
        injected["abort"] = {"http_status": int(abort["httpStatus"]), "percentage": _fault_share(abort)}
    return injected


def _fault_share(fault: Mapping[str, Any]) -> Json:
    percentage = fault.get("percentage")
    return _fraction(100.0 if percentage is None else float(percentage.get("value") or 0))
