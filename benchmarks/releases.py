"""How many requests does a whole update cost with each strategy, by verb and kind? In virtual time and without HTTP: always the same."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from scenarios import Routing, Story, app, at_rest, blue_green_app, pause, weight
from tiphys.controller.cluster import Request

REPLICAS = 5
BLUE_GREEN_AT_MOST = 15
CANARY_AT_MOST = 40


def run() -> list[Figure]:
    """Let each kind of update run to its end and count; nothing else happens to the Rollout."""
    made = {name: _requests(update()) for name, update in _UPDATES.items()}
    _show(made)
    most = {"blue-green": BLUE_GREEN_AT_MOST, "canary of 5 steps, Istio": CANARY_AT_MOST}
    return [
        Figure(name=f"requests of an update, {name}, R {REPLICAS}", value=len(requests), unit="", at_most=most.get(name), counted=True)
        for name, requests in made.items()
    ]


def _blue_green(**fields: Any) -> Story:  # noqa: ANN401 - any JSON
    story = at_rest(blue_green_app(replicas=REPLICAS, **fields))
    _update(story)
    return story


def _promoted_by_hand() -> Story:
    story = _blue_green(autoPromotionEnabled=False)
    story.promote()
    story.rest()
    return story


def _canary(routing: Routing) -> Story:
    steps = (weight(20), pause(0), weight(50), pause(0), weight(80))
    story = at_rest(app(*steps, replicas=REPLICAS, routing=routing))
    _update(story)
    return story


def _update(story: Story) -> None:
    story.controller.requests.clear()
    story.set_image("2")
    story.rest()


_UPDATES: Mapping[str, Callable[[], Story]] = {
    "blue-green": _blue_green,
    "blue-green without preview": lambda: _blue_green(preview=False),
    "blue-green, promoted by hand": _promoted_by_hand,
    "canary of 5 steps, Istio": lambda: _canary("istio"),
    "canary of 5 steps, pod counts": lambda: _canary("none"),
}


def _requests(story: Story) -> Sequence[Request]:
    if (story.phase, story.stable, story.sizes) != ("Healthy", "2", {"2": REPLICAS}):
        raise LookupError(f"the update: found {story.phase} at version {story.stable}, wanted Healthy at version 2 alone")
    return tuple(story.controller.requests)


def _show(made: Mapping[str, Sequence[Request]]) -> None:
    """Print a row for each verb and kind, a column for each kind of update."""
    counts = {name: Counter((each.verb, each.kind) for each in requests) for name, requests in made.items()}
    table = Table("request", *made, box=None)
    for verb, kind in sorted({key for found in counts.values() for key in found}, key=lambda key: (key[1], key[0])):
        table.add_row(f"{verb} {kind}", *(str(found[verb, kind] or "") for found in counts.values()))
    table.add_row("all", *(str(len(requests)) for requests in made.values()))
    Console(width=160).print(table, highlight=False)
