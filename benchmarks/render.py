"""How long does a router take to say one wish where an object has many routes?"""

import json
import time
from collections.abc import Callable

from benchmarks.figures import Figure
from big_routes import LISTS, SINGLE, big

ROUTES = 200
AT_MOST = 1.0
ROUNDS = 200


def run() -> list[Figure]:
    """Measure every product; the yardstick is reading the same object once."""
    return [_figure(name) for name in (*LISTS, *SINGLE)]


def _figure(name: str) -> Figure:
    case = big(name, ROUTES)
    text = case.text
    routes = f"{ROUTES} routes" if name in LISTS else "one route, as its objects have"
    return Figure(
        name=f"one wish, {name}, {routes}",
        value=_milliseconds(lambda: case.router.render(case.wish, case.found)),
        unit="ms",
        at_most=AT_MOST,
        yardstick=_milliseconds(lambda: json.loads(text)),
        beside="json.loads of the object",
    )


def _milliseconds(call: Callable[[], object]) -> float:
    """Give the least CPU time of one *call*: a busy machine only adds to it."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        least = min(least, time.process_time() - began)
    return least * 1000
