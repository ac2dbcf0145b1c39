"""How does a pod behave, as its image tag and its annotations say? (pure)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

ANNOTATION = "devcluster.tiphys.dev/behaviour"
"""
Words as in an image tag, separated by commas: `slow-5s`, `failing`, `latency-200ms`, `never-ready`, `crashing`, `ends-5s`, `fails-5s`,
`cpu-250m`, `healthy`.
"""

READY_AFTER = "devcluster.tiphys.dev/ready-after"
"""How long the pod takes to become ready, for example `1.5s`."""

DEFAULT_PORT = 8080
_WORDS = re.compile(
    r"(?:^|-|,)\s*(?:(slow|latency|ends|fails|cpu)-(\d+(?:\.\d+)?)(ms|s|m)?|(failing|crashing|never-ready|healthy))(?=$|-|,|\s)"
)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)(ms|s|m)?\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a pod does once it is started; times in seconds."""

    ready_after: float | None = 0.0
    """None: never."""
    status: int = 200
    latency: float = 0.0
    crashes: bool = False
    """The process ends right after its start, again and again: it never serves."""
    ends_after: float | None = None
    """How long the process runs; None: until somebody ends it."""
    cpu: int | None = None
    """What the pod says that it uses, in thousandths of a core; None: it does not say."""
    exit_code: int = 0
    """What it says at its end; not 0: it failed."""


def behaviour_of(pod: Mapping[str, Any]) -> Behaviour:
    """Read the behaviour of *pod*: annotations outrank the tag of the first image, and a readiness probe's initial delay counts."""
    annotations = pod["metadata"].get("annotations") or {}
    behaviour = _with_words(Behaviour(ready_after=_initial_delay(pod)), version_of(pod))
    if ANNOTATION in annotations:
        behaviour = _with_words(Behaviour(ready_after=_initial_delay(pod)), annotations[ANNOTATION])
    delay = _DURATION.fullmatch(annotations.get(READY_AFTER, ""))
    if delay is not None and behaviour.ready_after is not None:
        behaviour = replace(behaviour, ready_after=_seconds(delay[1], delay[2]))
    return behaviour


def version_of(pod: Mapping[str, Any]) -> str:
    """Give the tag of the first container's image; `latest` where it has none."""
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    image = str(containers[0].get("image") or "").partition("@")[0]
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return tag if colon else "latest"


def ports_of(pod: Mapping[str, Any]) -> tuple[int, ...]:
    """Give the TCP ports that the pod's containers name; 8080 where they name none."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    named = [each for container in containers for each in container.get("ports") or ()]
    found = [int(each["containerPort"]) for each in named if (each.get("protocol") or "TCP") == "TCP"]
    return tuple(dict.fromkeys(found)) or (DEFAULT_PORT,)


def hash_of(pod: Mapping[str, Any]) -> str:
    """Give the hash label that says which revision the pod belongs to."""
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get("rollouts-pod-template-hash") or labels.get("pod-template-hash") or "")


def _with_words(behaviour: Behaviour, text: str) -> Behaviour:
    for kind, number, unit, word in _WORDS.findall(text):
        if kind == "slow" and behaviour.ready_after is not None:
            behaviour = replace(behaviour, ready_after=_seconds(number, unit))
        elif kind == "latency":
            behaviour = replace(behaviour, latency=_seconds(number, unit))
        elif kind in {"ends", "fails"}:
            behaviour = replace(behaviour, ends_after=_seconds(number, unit), exit_code=int(kind == "fails"))
        elif kind == "cpu":
            behaviour = replace(behaviour, cpu=round(float(number) * (1 if unit == "m" else 1000)))
        elif word == "failing":
            behaviour = replace(behaviour, status=500)
        elif word == "crashing":
            behaviour = replace(behaviour, crashes=True, ready_after=None, ends_after=0.0, exit_code=1)
        elif word == "never-ready":
            behaviour = replace(behaviour, ready_after=None)
    return behaviour


def _seconds(number: str, unit: str | None) -> float:
    return float(number) * _SECONDS[unit or "s"]


def _initial_delay(pod: Mapping[str, Any]) -> float:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return max((float((each.get("readinessProbe") or {}).get("initialDelaySeconds") or 0) for each in containers), default=0.0)
