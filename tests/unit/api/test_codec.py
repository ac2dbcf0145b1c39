from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW, rollout
from tiphys.api.codec import decode, decode_rollout, encode, plain, status_patch
from tiphys.api.errors import SpecError
from tiphys.api.rollout import Rollout
from tiphys.api.status import (
    CanaryStatus,
    Condition,
    PauseCondition,
    RolloutStatus,
    RunStatus,
    StepPluginStatus,
    TrafficWeights,
    WeightDestination,
)
from tiphys.api.workloads import Service


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"spec":{"replicas":"x"}}', 'spec.replicas: Invalid value: "x": must be an integer'),
        (
            b'{"spec":{"strategy":{"canary":{"steps":[{"pause":{}},{"setWeight":"20"}]}}}}',
            'spec.strategy.canary.steps[1].setWeight: Invalid value: "20": must be an integer',
        ),
        (b'{"metadata":{"labels":{"a":"b","c":1}}}', "metadata.labels.c: Invalid value: 1: must be text"),
        (
            b'{"spec":{"strategy":{"canary":{"maxSurge":1.5}}}}',
            "spec.strategy.canary.maxSurge: Invalid value: 1.5: must be an integer or text",
        ),
        (b'{"spec":{"strategy":[1]}}', 'spec.strategy: Invalid value: "[1]": must be an object'),
        (b'{"spec":{"paused":"yes"}}', 'spec.paused: Invalid value: "yes": must be true or false'),
        (
            b'{"spec":{"restartAt":"soon"}}',
            'spec.restartAt: Invalid value: "soon": must be an RFC 3339 time such as 2026-01-31T08:00:00Z',
        ),
        (b"[]", 'Rollout: Invalid value: "[]": must be an object'),
        (b'{"spec":', 'Rollout: Invalid value: "{"spec":": must be JSON (Input data was truncated)'),
    ],
)
def test_a_field_of_the_wrong_type_is_named(body: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode_rollout(body)

    assert str(caught.value) == message


def test_a_null_is_a_missing_field() -> None:
    body = b'{"metadata":{"name":"web","labels":null},"spec":{"strategy":{"canary":{"steps":null}},"replicas":2}}'

    assert decode_rollout(body) == decode_rollout(b'{"metadata":{"name":"web"},"spec":{"strategy":{"canary":{}},"replicas":2}}')


def test_the_pod_template_stays_as_it_was_typed() -> None:
    body = b'{"spec":{"template":{ "z": 1.50, "a": null }}}'

    assert bytes(decode_rollout(body).spec.template) == b'{ "z": 1.50, "a": null }'


def test_a_rollout_survives_the_wire() -> None:
    there = rollout({"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setCanaryScale": {"replicas": 1}}, {"plugin": {"name": "p"}})

    assert decode_rollout(encode(there)) == there


def test_other_kinds_decode_too() -> None:
    assert decode(b'{"spec":{"selector":{"app":"web"}}}', Service).spec.selector == {"app": "web"}


def test_nothing_changed_gives_no_patch() -> None:
    before = RolloutStatus(replicas=3, pause_conditions=(PauseCondition(reason="CanaryPauseStep", start_time=NOW),))
    after = msgspec.structs.replace(
        before, pause_conditions=(PauseCondition(reason="CanaryPauseStep", start_time=NOW.replace(microsecond=1234)),)
    )

    assert status_patch(before, before) == {}
    assert status_patch(before, after) == {}


def test_a_patch_says_only_what_changed() -> None:
    before = RolloutStatus(
        replicas=3,
        current_step_index=0,
        controller_pause=True,
        canary=CanaryStatus(
            weights=TrafficWeights(canary=WeightDestination(weight=0), stable=WeightDestination(weight=100)),
            current_step_analysis_run_status=RunStatus(name="run", status="Running"),
        ),
    )
    after = RolloutStatus(
        replicas=3,
        current_step_index=1,
        aborted_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        canary=CanaryStatus(
            weights=TrafficWeights(canary=WeightDestination(weight=20), stable=WeightDestination(weight=100)),
        ),
    )

    assert status_patch(before, after) == {
        "status": {
            "currentStepIndex": 1,
            "controllerPause": None,
            "abortedAt": "2026-01-02T03:04:05Z",
            "canary": {"weights": {"canary": {"weight": 20}}, "currentStepAnalysisRunStatus": None},
        }
    }


def test_required_fields_are_written_even_when_empty() -> None:
    status = RolloutStatus(
        conditions=(Condition(type="Progressing", status="True"),),
        canary=CanaryStatus(weights=TrafficWeights(), step_plugin_statuses=(StepPluginStatus(name="p", status=msgspec.Raw(b'{"a":1.0}')),)),
    )

    assert plain(status) == {
        "conditions": [{"type": "Progressing", "status": "True", "reason": "", "message": ""}],
        "canary": {
            "weights": {"canary": {"weight": 0}, "stable": {"weight": 0}},
            "stepPluginStatuses": [{"index": 0, "name": "p", "operation": "", "status": {"a": 1.0}}],
        },
    }


statuses = st.builds(
    RolloutStatus,
    replicas=st.integers(0, 3),
    current_step_index=st.none() | st.integers(0, 2),
    phase=st.sampled_from(["", "Paused"]),
    aborted_at=st.none() | st.just(NOW),
    canary=st.builds(
        CanaryStatus,
        weights=st.none() | st.builds(TrafficWeights, verified=st.none() | st.booleans()),
        stable_ping_pong=st.sampled_from(["", "ping"]),
    ),
    pause_conditions=st.lists(st.builds(PauseCondition, reason=st.sampled_from(["", "x"])), max_size=2).map(tuple),
)


def merged(target: object, patch: object) -> object:
    if not isinstance(patch, dict):
        return patch
    result: dict[str, object] = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@settings(deadline=None)
@given(before=statuses, after=statuses)
def test_a_patched_status_is_the_wanted_one(before: RolloutStatus, after: RolloutStatus) -> None:
    patched = merged({"status": plain(before)}, status_patch(before, after))

    assert decode_rollout(msgspec.json.encode(patched)) == Rollout(status=after)
