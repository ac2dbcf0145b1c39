"""Does a pod do what its image tag and annotations say?"""

from typing import Any

import pytest

from tiphys.devcluster.behaviour import ANNOTATION, READY_AFTER, Behaviour, behaviour_of, ports_of, version_of


def pod(image: str, *, annotations: dict[str, str] | None = None, **container: object) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations or {}}, "spec": {"containers": [{"name": "main", "image": image, **container}]}}


@pytest.mark.parametrize(
    ("image", "behaviour"),
    [
        ("web:v2", Behaviour()),
        ("registry.example:5000/web", Behaviour()),
        ("web:slow-5s", Behaviour(ready_after=5.0)),
        ("web:v2-slow-250ms", Behaviour(ready_after=0.25)),
        ("web:v3-failing", Behaviour(status=500)),
        ("web:v3-failing-latency-20ms", Behaviour(status=500, latency=0.02)),
        ("web:crashing", Behaviour(ready_after=None, crashes=True, ends_after=0.0, exit_code=1)),
        ("web:ends-5s", Behaviour(ends_after=5.0)),
        ("web:v2-slow-1s-fails-250ms", Behaviour(ready_after=1.0, ends_after=0.25, exit_code=1)),
        ("web:v4-never-ready", Behaviour(ready_after=None)),
        ("web:unfailing", Behaviour()),
        ("web:slowly-5s", Behaviour()),
    ],
)
def test_an_image_tag_says_how_a_pod_behaves(image: str, behaviour: Behaviour) -> None:
    assert behaviour_of(pod(image)) == behaviour


def test_annotations_outrank_the_tag() -> None:
    assert behaviour_of(pod("web:failing", annotations={ANNOTATION: "slow-2s,latency-1s"})) == Behaviour(ready_after=2.0, latency=1.0)
    assert behaviour_of(pod("web:failing", annotations={ANNOTATION: "healthy"})) == Behaviour()
    assert behaviour_of(pod("web:v1", annotations={READY_AFTER: "1.5s"})) == Behaviour(ready_after=1.5)
    assert behaviour_of(pod("web:never-ready", annotations={READY_AFTER: "1.5s"})) == Behaviour(ready_after=None)


def test_a_readiness_probe_delays_readiness() -> None:
    assert behaviour_of(pod("web:v1", readinessProbe={"initialDelaySeconds": 3})) == Behaviour(ready_after=3.0)


@pytest.mark.parametrize(
    ("image", "version"),
    [("web:v2", "v2"), ("registry.example:5000/web", "latest"), ("r/web:1.2@sha256:abc", "1.2"), ("", "latest")],
)
def test_the_version_is_the_tag(image: str, version: str) -> None:
    assert version_of(pod(image)) == version


def test_a_pod_serves_the_ports_it_names_or_8080() -> None:
    named = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 9000, "protocol": "TCP"}]

    assert ports_of(pod("web:v1", ports=named)) == (80, 9000)
    assert ports_of(pod("web:v1")) == (8080,)
