"""Where would Envoy send a request, by a configuration that it was given? A reader of the part that the planes use."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.devcluster.proxies.builder import ProxyConfig

Json = Mapping[str, Any]


def shares(config: ProxyConfig, host: str, path: str = "/", *, method: str = "GET", **headers: str) -> dict[str, float]:
    """Give the share (percent) of each Service, or of a status such as `503`, among such requests."""
    found: dict[str, float] = defaultdict(float)
    taken = 0.0
    for route in _routes(config, host, path, {":method": method, **_named(headers)}):
        upto = float(((route["match"].get("runtime_fraction") or {}).get("default_value") or {"numerator": 100})["numerator"])
        for who, part in _targets(config, route):
            found[who] += max(0.0, upto - taken) * part
        taken = max(taken, upto)
    found["404"] += 100 - taken
    return {who: round(share, 2) for who, share in found.items() if share > 0}


def copies(config: ProxyConfig, host: str, path: str = "/", *, method: str = "GET", **headers: str) -> dict[str, float]:
    """Give the share (percent) of such requests that is copied to each Service."""
    route = next(iter(_routes(config, host, path, {":method": method, **_named(headers)})))
    policies = route["route"].get("request_mirror_policies") or []
    return {_service(each["cluster"]): each["runtime_fraction"]["default_value"]["numerator"] / 10_000 for each in policies}


def check(config: ProxyConfig) -> None:
    """Find what Envoy would refuse: one mistake, and it takes nothing of a configuration."""
    domains = [domain for each in config.virtual_hosts for domain in each["domains"]]
    assert len(set(domains)) == len(domains)
    assert all(isinstance(domain, str) and domain for domain in domains)
    for host in config.virtual_hosts:
        for route in host["routes"]:
            _check(route)
            weights = [each["weight"] for each in (route.get("route", {}).get("weighted_clusters") or {"clusters": []})["clusters"]]
            assert not weights or 0 < sum(weights) < 2**32


def _check(value: Any, key: str = "") -> None:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        for name, each in value.items():
            _check(each, name)
    elif isinstance(value, list):
        for each in value:
            _check(each, key)
    elif key in {"prefix", "path", "path_separated_prefix", "regex", "exact", "name", "cluster", "prefix_rewrite"}:
        assert isinstance(value, str), (key, value)
        assert value or key in {"exact", "prefix"}
        re.compile(value if key == "regex" else "")
    elif key in {"weight", "numerator", "status"}:
        assert isinstance(value, int), (key, value)
        assert not isinstance(value, bool), (key, value)
    elif key == "timeout":
        assert re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", value), value


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _routes(config: ProxyConfig, host: str, path: str, headers: Mapping[str, str]) -> Iterator[Json]:
    by_domain = {domain: each for each in config.virtual_hosts for domain in each["domains"]}
    suffixes = sorted((domain for domain in by_domain if domain.startswith("*.") and host.endswith(domain[1:])), key=len)
    prefixes = sorted((domain for domain in by_domain if domain.endswith(".*") and host.startswith(domain[:-1])), key=len)
    chosen = next((each for each in (host, *suffixes[::-1], *prefixes[::-1], "*") if each in by_domain), None)
    for route in by_domain[chosen]["routes"] if chosen else ():
        if _fits(route["match"], path, {":authority": host, ":path": path, **headers}):
            yield route
            if "runtime_fraction" not in route["match"]:
                return


def _targets(config: ProxyConfig, route: Json) -> Iterator[tuple[str, float]]:
    if direct := route.get("direct_response"):
        yield str(direct["status"]), 1.0
        return
    known = {each["name"] for each in config.clusters}
    clusters = (route["route"].get("weighted_clusters") or {"clusters": [{"name": route["route"].get("cluster"), "weight": 1}]})["clusters"]
    total = sum(each["weight"] for each in clusters)
    for each in clusters:
        yield _service(each["name"]) if each["name"] in known else "503", each["weight"] / total


def _service(cluster: str) -> str:
    return cluster.rsplit("|", 1)[1].split(".", maxsplit=1)[0]


def _fits(match: Json, path: str, headers: Mapping[str, str]) -> bool:
    plain, _, query = path.partition("?")
    given = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
    return (
        _path_fits(match, plain)
        and all(_header_fits(each, headers.get(each["name"])) for each in match.get("headers", ()))
        and all(
            each["name"] in given and _value_fits(each["string_match"], given[each["name"]]) for each in match.get("query_parameters", ())
        )
    )


def _path_fits(match: Json, path: str) -> bool:
    if "safe_regex" in match:
        return re.fullmatch(match["safe_regex"]["regex"], path) is not None
    if match.get("case_sensitive") is False:
        match, path = {key: str(value).lower() for key, value in match.items()}, path.lower()
    if "path_separated_prefix" in match:
        return f"{path}/".startswith(f"{match['path_separated_prefix']}/")
    return path == match["path"] if "path" in match else path.startswith(match["prefix"])


def _header_fits(wanted: Json, value: str | None) -> bool:
    if value is None and wanted.get("treat_missing_header_as_empty"):
        value = ""
    if value is None:
        return "present_match" in wanted and bool(wanted.get("invert_match"))
    if "range_match" in wanted:
        return value.isdecimal() and wanted["range_match"]["start"] <= int(value) < wanted["range_match"]["end"]
    fits = True if "present_match" in wanted else _value_fits(wanted["string_match"], value)
    return fits != bool(wanted.get("invert_match"))


def _value_fits(wanted: Json, value: str) -> bool:
    if "safe_regex" in wanted:
        return re.fullmatch(wanted["safe_regex"]["regex"], value) is not None
    if "prefix" in wanted:
        return value.startswith(wanted["prefix"])
    return value == str(wanted["exact"])
