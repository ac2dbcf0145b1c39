"""What is deployed in the demo, and with which steps?"""

from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

NAME = "rollouts-demo"
NAMESPACE = "default"
STABLE_SERVICE = f"{NAME}-stable"
CANARY_SERVICE = f"{NAME}-canary"
VIRTUAL_SERVICE = f"{NAME}-vsvc"
HOST = "demo.local"
"""The name the load generator asks the mesh for."""
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


SCRIPTS: dict[str, Script] = {
    "promote": Script(steps=(weight(20), pause(3), weight(40), pause(3), weight(60), pause(3), weight(80), pause(3))),
    "abort": Script(steps=(weight(20), pause(3), weight(50), _HEADER_STEP, pause())),
    "supersede": Script(steps=(weight(25), pause(3), weight(50), pause(4))),
    "evict": Script(steps=(weight(20), pause(3), weight(50), pause())),
}


def objects(script: Script) -> list[Manifest]:
    """Give the whole app: two Services, a VirtualService, a Rollout."""
    return [_service(STABLE_SERVICE), _service(CANARY_SERVICE), _virtual_service(), _rollout(script)]


def _service(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }


def _virtual_service() -> Manifest:
    destinations = [
        {"destination": {"host": STABLE_SERVICE}, "weight": 100},
        {"destination": {"host": CANARY_SERVICE}, "weight": 0},
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": VIRTUAL_SERVICE, "namespace": NAMESPACE},
        "spec": {"hosts": [HOST], "http": [{"name": "primary", "route": destinations}]},
    }


def _rollout(script: Script) -> Manifest:
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
                    "trafficRouting": {
                        "managedRoutes": [{"name": HEADER_ROUTE}],
                        "istio": {"virtualService": {"name": VIRTUAL_SERVICE, "routes": ["primary"]}},
                    },
                    "steps": list(script.steps),
                }
            },
        },
    }
