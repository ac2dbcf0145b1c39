import copy
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.codec import decode_rollout, encode, status_patch
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.podhash import steps_hash
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus
from tiphys.api.validation import invalid_message, reference_problems, spec_problems, spec_warnings, template_labels

MATCH: Manifest = {"exact": "a"}
ANALYSIS: Manifest = {
    "templates": [{"templateName": "t", "clusterScope": True}],
    "args": [{"name": "a", "value": "b"}, {"name": "c", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "dryRun": [{"metricName": "m"}],
}
FULL: Manifest = {
    "metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}, "annotations": {"a": "b"}, "generation": 2},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        "minReadySeconds": 1,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 60,
        "paused": True,
        "restartAt": "2026-01-02T03:04:05Z",
        "rollbackWindow": {"revisions": 2},
        "strategy": {
            "canary": {
                "maxSurge": "25%",
                "maxUnavailable": 1,
                "canaryService": "c",
                "stableService": "s",
                "pingPong": {"pingService": "a", "pongService": "b"},
                "antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}},
                "replicaProgressThreshold": {"type": "Percent", "value": 50},
                "analysis": {**ANALYSIS, "startingStep": 1},
                "trafficRouting": {
                    "istio": {"virtualServices": [{"name": "v", "routes": ["r"], "tlsRoutes": [{"port": 443, "sniHosts": ["x"]}]}]},
                    "plugins": {"p": {"any": 1}},
                    "managedRoutes": [{"name": "h"}, {"name": "m"}],
                    "maxTrafficWeight": 100,
                },
                "steps": [
                    {"setWeight": 20},
                    {"pause": {"duration": "1m"}},
                    {"setCanaryScale": {"weight": 5, "replicas": 1, "matchTrafficWeight": True}},
                    {"setHeaderRoute": {"name": "h", "match": [{"headerName": "x", "headerValue": MATCH}]}},
                    {
                        "setMirrorRoute": {
                            "name": "m",
                            "match": [{"method": MATCH, "path": MATCH, "headers": {"x": MATCH}}],
                            "percentage": 5,
                        }
                    },
                    {"experiment": {"templates": [{"name": "e", "specRef": "canary", "weight": 5}], "duration": "1m", "analyses": []}},
                    {"analysis": ANALYSIS},
                    {"plugin": {"name": "p", "config": {"any": [1.5]}}},
                ],
            }
        },
    },
    "status": {
        "currentStepIndex": 1,
        "phase": "Paused",
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-02T03:04:05Z"}],
        "canary": {"weights": {"canary": {"weight": 20}, "stable": {"weight": 80}}},
        "conditions": [{"type": "Progressing", "status": "True", "reason": "r", "message": "m"}],
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - JSON of any type
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def attempt(body: bytes) -> Rollout | SpecError:
    try:
        return decode_rollout(body)
    except SpecError as error:
        return error


def test_the_rollout_that_is_spoiled_here_is_good() -> None:
    there = decode_rollout(json.dumps(FULL).encode())

    assert spec_problems(there) == ()


@settings(deadline=None)
@given(place=st.sampled_from(places(FULL)[1:]), value=JSON)
def test_any_json_in_any_place_of_a_rollout_is_refused_with_its_field_or_judged(place: tuple[str | int, ...], value: object) -> None:
    there = copy.deepcopy(FULL)
    holder = there
    for key in place[:-1]:
        holder = holder[key]  # type: ignore[index]
    holder[place[-1]] = value  # type: ignore[index]

    read = attempt(msgspec.json.encode(there))

    if isinstance(read, SpecError):
        assert read.field.startswith(str(place[0]))
        assert read.wanted
        return
    problems = (*spec_problems(read), *reference_problems(read, template_labels(bytes(read.spec.template)), {}))
    assert all(str(problem) in invalid_message("web", problems) for problem in problems)
    assert all(warning.field.startswith("spec.") for warning in spec_warnings(read))
    canary = read.spec.strategy.canary
    assert steps_hash(canary.steps if canary else ())
    assert status_patch(read.status, read.status) == {}
    assert isinstance(status_patch(read.status, RolloutStatus()), dict)
    assert decode_rollout(encode(read)) == read
