"""What is deployed in the demo, and with which steps?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tiphys.demo.entrances import (
    CANARY_SERVICE,
    DEFAULT,
    HOST,
    NAME,
    NAMESPACE,
    STABLE_SERVICE,
    VIRTUAL_SERVICE,
    Entrance,
    Manifest,
    chosen,
    service,
)

__all__ = [
    "CANARY_SERVICE", "CONTAINER", "HEADER_ROUTE", "HOST", "NAME", "NAMESPACE", "REPLICAS", "SCRIPTS", "STABLE_SERVICE", "VIRTUAL_SERVICE",
    "Manifest", "Script", "image", "objects", "pause", "rollout_of", "weight",
]  # fmt: skip

HEADER_ROUTE = "set-header-1"
CONTAINER = "rollouts-demo"
REPLICAS = 5


def image(version: str) -> str:
    """Name the image of *version*; the pods answer with its tag."""
    return f"tiphys/rollouts-demo:{version}"


def pause(seconds: int | None = None) -> Manifest:
    """Wait *seconds*, or for a person."""
    return {"pause": {} if seconds is None else {"duration": seconds}}


def weight(percent: int) -> Manifest:
    """Ask for *percent* of the traffic."""
    return {"setWeight": percent}


_HEADER_STEP: Manifest = {"setHeaderRoute": {"name": HEADER_ROUTE, "match": [{"headerName": "X-Demo", "headerValue": {"exact": "canary"}}]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The steps of one scenario, and how long it may take at most (seconds)."""

    steps: tuple[Manifest, ...]
    limit: float = 55.0

    @property
    def routes_headers(self) -> bool:
        """Whether there is a step that routes by header."""
        return _HEADER_STEP in self.steps

    def without_headers(self) -> "Script":
        """Give the same without steps that route by header, for routers that cannot."""
        return replace(self, steps=tuple(step for step in self.steps if step != _HEADER_STEP))


SCRIPTS: dict[str, Script] = {
    "promote": Script(steps=(weight(20), pause(3), weight(40), pause(3), weight(60), pause(3), weight(80), pause(3))),
    "abort": Script(steps=(weight(20), pause(3), weight(50), _HEADER_STEP, pause())),
    "supersede": Script(steps=(weight(25), pause(3), weight(50), pause(4))),
    "evict": Script(steps=(weight(20), pause(3), weight(50), pause())),
}


def objects(script: Script, entrances: Sequence[Entrance] | None = None) -> list[Manifest]:
    """Give the whole app: Services, what the routers need, and a Rollout; without *entrances* for the default router."""
    through = chosen(DEFAULT) if entrances is None else entrances
    found = [service(STABLE_SERVICE), service(CANARY_SERVICE)]
    found += [route for entrance in through for route in entrance.routes]
    once = [each for index, each in enumerate(found) if each not in found[:index]]
    return [*once, rollout_of(script, through)]


def rollout_of(script: Script, entrances: Sequence[Entrance]) -> Manifest:
    """Give the Rollout alone."""
    routing: Manifest = {"managedRoutes": [{"name": HEADER_ROUTE}]} if script.routes_headers else {}
    for entrance in entrances:
        routing |= entrance.routing
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{"name": CONTAINER, "image": image("1"), "ports": [{"containerPort": 8080}]}]},
            },
            "strategy": {
                "canary": {
                    "stableService": STABLE_SERVICE,
                    "canaryService": CANARY_SERVICE,
                    "scaleDownDelaySeconds": 3,
                    "abortScaleDownDelaySeconds": 3,
                    "trafficRouting": routing,
                    "steps": list(script.steps),
                }
            },
        },
    }
