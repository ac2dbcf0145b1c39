"""What do the values mean that a spec may write in more than one way? (Lifecycle reference 1.6.)"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

from tiphys.api.meta import IntOrPercent
from tiphys.api.rollout import BlueGreenStrategy, CanaryStrategy, Pause

DEFAULT_SURGE: Final = "25%"
DEFAULT_UNAVAILABLE: Final = "25%"
INVALID_SECONDS: Final = -1
_LARGEST_INT32: Final = 2**31 - 1
_LONGEST_NANOSECONDS: Final = 2**63 - 1
_PERCENTAGE: Final = re.compile(r"[+-]?[0-9]+%?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DURATION: Final = re.compile(r"([+-]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def resolve_count(value: IntOrPercent, total: int, *, round_up: bool) -> int:
    """
    Turn *value* into pods: an integer is a count, text is a percentage of *total*, with or without its sign.

    Raises:
        ValueError: *value* is text but no whole percentage.

    """
    if isinstance(value, int):
        return value
    if not _PERCENTAGE.fullmatch(value):
        raise ValueError(f'"{value}" is neither a count nor a percentage')
    product = int(value.removesuffix("%")) * total
    return -(-product // 100) if round_up else product // 100


def max_surge(canary: CanaryStrategy, replicas: int) -> int:
    """Give how many pods (of *replicas* wanted ones) may exist beyond the wanted number."""
    return resolve_count(DEFAULT_SURGE if canary.max_surge is None else canary.max_surge, replicas, round_up=True)


def max_unavailable(canary: CanaryStrategy, replicas: int) -> int:
    """
    Give how many pods (of *replicas* wanted ones) may be missing.

    Never more than *replicas*; 1 where neither surge nor missing pods would be allowed, because nothing could move then.
    """
    value = DEFAULT_UNAVAILABLE if canary.max_unavailable is None else canary.max_unavailable
    missing = resolve_count(value, replicas, round_up=False)
    if missing == 0 and max_surge(canary, replicas) == 0:
        missing = 1
    return min(missing, replicas)


def blue_green_unavailable(strategy: BlueGreenStrategy, replicas: int) -> int:
    """Give how many pods (of *replicas* wanted ones) a restart may take at once (lifecycle 1.3)."""
    value = DEFAULT_UNAVAILABLE if strategy.max_unavailable is None else strategy.max_unavailable
    return min(resolve_count(value, replicas, round_up=False), replicas)


def pause_seconds(pause: Pause) -> int | None:
    """Give how long *pause* lasts in seconds: nothing where it lasts for ever, `INVALID_SECONDS` where nobody can tell."""
    return None if pause.duration is None else duration_seconds(pause.duration)


def duration_seconds(value: IntOrPercent) -> int:
    """
    Give *value* in whole seconds; a fraction is cut off.

    An integer, or text with digits only, counts seconds; other text has units (`1h30m`). What is negative, beyond 32 bits or not
    to be understood gives `INVALID_SECONDS`.
    """
    seconds = value if isinstance(value, int) else _text_seconds(value)
    return seconds if 0 <= seconds <= _LARGEST_INT32 else INVALID_SECONDS


@lru_cache(maxsize=1024)
def _text_seconds(text: str) -> int:
    if _INTEGER.fullmatch(text):
        return int(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        return INVALID_SECONDS
    nanoseconds = sum(Fraction(_digits(count)) * _NANOSECONDS[unit] for count, unit in _DURATION_PART.findall(match[2]))
    if nanoseconds > _LONGEST_NANOSECONDS:
        return INVALID_SECONDS
    seconds = int(nanoseconds // 10**9)
    return -seconds if match[1] == "-" else seconds


def _digits(count: str) -> str:
    """Complete `5.` and `.5`, which the wire allows and `Fraction` does not everywhere."""
    whole, _, rest = count.partition(".")
    return f"{whole or '0'}.{rest or '0'}"
