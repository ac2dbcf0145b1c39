"""What can be wrong with the probe that a Rollout names?"""

import math
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tiphys.api.defaults import max_traffic_weight
from tiphys.api.errors import SpecError
from tiphys.api.rollout import CanaryStrategy, Probe, TrafficRouting
from tiphys.api.stepvalidation import ROUTER_WANTED, has_router

METHODS: Final = ("GET", "HEAD")
FEWEST: Final = 20
MOST: Final = 1000
WIDEST: Final = 50
DEVIATIONS: Final = 4.0
"""How far from its expectation a measured share may be by chance, in standard deviations: once in 15,000 rounds it is further."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH: Final = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_SECRETS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


def verification_problems(routing: TrafficRouting, at: str) -> Iterator[SpecError]:
    """Give what is wrong with `verification` below the field *at*."""
    probe = None if routing.verification is None else routing.verification.probe
    if probe is None:
        return
    field = f"{at}.verification.probe"
    if not has_router(routing):
        yield SpecError(field=field, found=probe.url, wanted=ROUTER_WANTED)
    yield from _url_problems(probe.url, f"{field}.url")
    if probe.method and probe.method not in METHODS:
        yield SpecError(field=f"{field}.method", found=probe.method, wanted=f"one of {', '.join(METHODS)}: a probe changes nothing")
    yield from _header_problems(probe, field)
    yield from _hash_problems(probe, field)
    if not FEWEST <= probe.requests <= MOST:
        yield SpecError(field=f"{field}.requests", found=probe.requests, wanted=f"must be {FEWEST} to {MOST}")
    if not 0 <= probe.tolerance <= WIDEST:
        yield SpecError(field=f"{field}.tolerance", found=probe.tolerance, wanted=f"must be 0 to {WIDEST} percentage points")


def verification_warnings(canary: CanaryStrategy, at: str) -> Iterator[SpecError]:
    """Warn of a probe that cannot tell the smallest share of any step from none; *at* as above."""
    routing = canary.traffic_routing
    probe = None if routing is None or routing.verification is None else routing.verification.probe
    maximum = max_traffic_weight(canary)
    shares = {min(step.set_weight, maximum - step.set_weight) for step in canary.steps if step.set_weight is not None}
    least = min((share for share in shares if share > 0), default=None)
    if probe is None or least is None:
        return
    needed = math.floor(DEVIATIONS**2 * (maximum - least) / least) + 1
    if probe.requests < min(needed, MOST):
        wanted = f"{min(needed, MOST)} or more to tell a share of {least} in {maximum} from none"
        yield SpecError(field=f"{at}.verification.probe.requests", found=probe.requests, wanted=wanted)


def _url_problems(url: str, field: str) -> Iterator[SpecError]:
    wanted = "an absolute URL of http or https, without user and password"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        yield SpecError(field=field, found=url, wanted=wanted)
        return
    if "@" in parts.netloc:
        yield SpecError(field=field, found=parts._replace(netloc=f"...@{parts.netloc.rpartition('@')[2]}").geturl(), wanted=wanted)
    elif not sound or re.search(r"[\s\x00-\x1f\x7f]", url):
        yield SpecError(field=field, found=url, wanted=wanted)


def _header_problems(probe: Probe, field: str) -> Iterator[SpecError]:
    for name, value in probe.headers.items():
        if not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(value):
            yield SpecError(field=f"{field}.headers[{name}]", found=value, wanted="a header's name and a value of one line")
        elif name.lower() in _SECRETS:
            yield SpecError(
                field=f"{field}.headers[{name}]", found="a value", wanted="no secrets: everybody who may read the Rollout reads it"
            )


def _hash_problems(probe: Probe, field: str) -> Iterator[SpecError]:
    if bool(probe.hash_header) == bool(probe.hash_field):
        found = f"{probe.hash_header}, {probe.hash_field}" if probe.hash_header else None
        yield SpecError(field=field, found=found, wanted="exactly one of hashHeader and hashField")
    if probe.hash_header and not _TOKEN.fullmatch(probe.hash_header):
        yield SpecError(field=f"{field}.hashHeader", found=probe.hash_header, wanted="the name of a header")
    if probe.hash_field and not _PATH.fullmatch(probe.hash_field):
        yield SpecError(field=f"{field}.hashField", found=probe.hash_field, wanted="names of JSON fields, joined by dots, such as pod.hash")
    if probe.hash_field and probe.method == "HEAD":
        yield SpecError(field=f"{field}.method", found="HEAD", wanted="GET, because an answer to HEAD has no body to find hashField in")
