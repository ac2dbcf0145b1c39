"""Old pods go, as many at a time as availability allows. (Lifecycle reference 8.1 and case 39.)"""

from datetime import UTC, datetime, timedelta

import pytest

from builders import canary, replica_set, rollout
from tiphys.api import values
from tiphys.api.meta import ObjectMeta
from tiphys.api.rollout import CanaryStrategy
from tiphys.api.status import RolloutStatus
from tiphys.api.workloads import Pod, PodStatus, WorkloadCondition
from tiphys.core.actions import EvictPod, Plan
from tiphys.core.invariants import violated
from tiphys.core.observed import Identity, Observed
from tiphys.core.restart import Restart, restart_pods
from tiphys.core.situation import situation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASKED = NOW - timedelta(minutes=1)


def pod(number: int, *, created: datetime = ASKED - timedelta(hours=1), ready: bool = True, leaving: bool = False) -> Pod:
    condition = WorkloadCondition(type="Ready", status="True" if ready else "False", last_transition_time=created)
    return Pod(
        metadata=ObjectMeta(
            name=f"web-{number}", uid=f"u{number}", creation_timestamp=created, deletion_timestamp=NOW if leaving else None
        ),
        status=PodStatus(conditions=(condition,)),
    )


def decided(
    pods: list[Pod] | None, *, replicas: int = 3, sized: int | None = None, unavailable: int | str = 1, asked: datetime = ASKED
) -> Restart:
    strategy = canary(max_unavailable=unavailable, max_surge=1)
    status = RolloutStatus(stable_rs="abc", current_pod_hash="abc", current_step_hash="steps")
    made = rollout(strategy=strategy, replicas=replicas, restart_at=asked, status=status)
    found = replica_set("abc", replicas=replicas if sized is None else sized)
    seen = Observed(
        now=NOW,
        rollout=made,
        identity=Identity(pod_hash="abc"),
        steps_hash="steps",
        replica_sets=(found,),
        pods=None if pods is None else tuple(pods),
    )
    return _restarted(seen, strategy)


@pytest.mark.parametrize(
    ("replicas", "sized", "unavailable", "evicted"), [(3, 3, 2, 2), (3, 3, 1, 1), (3, 3, 0, 1), (1, 1, 0, 1), (3, 4, 1, 1)]
)
def test_the_first_pass_evicts_as_many_as_may_be_missing(replicas: int, sized: int, unavailable: int, evicted: int) -> None:
    told = decided([pod(number) for number in range(sized)], replicas=replicas, sized=sized, unavailable=unavailable)

    assert len(told.evictions) == evicted
    assert told.restarted_at is None
    assert told.wake_at == NOW + timedelta(seconds=30)


def test_nothing_goes_while_a_pod_is_missing() -> None:
    told = decided([pod(0), pod(1), pod(2, ready=False)])

    assert told.evictions == ()
    assert told.because is not None


def test_a_pod_as_old_as_the_wish_is_young_enough() -> None:
    assert decided([pod(number, created=ASKED) for number in range(3)]) == Restart(restarted_at=ASKED)


def test_a_leaving_pod_is_not_evicted_again_but_not_yet_done_either() -> None:
    told = decided([pod(0, leaving=True), pod(1, created=NOW), pod(2, created=NOW)])

    assert (told.evictions, told.restarted_at) == ((), None)


def test_a_restart_in_the_future_is_looked_at_when_its_time_has_come() -> None:
    later = NOW + timedelta(hours=1)

    told = decided(None, asked=later)

    assert told.evictions == ()
    assert told.wake_at is not None
    assert later < told.wake_at < later + timedelta(seconds=1)


def test_a_new_template_cancels_a_restart() -> None:
    strategy = canary()
    made = rollout(strategy=strategy, restart_at=ASKED, status=RolloutStatus(stable_rs="old", current_pod_hash="old"))
    seen = Observed(now=NOW, rollout=made, identity=Identity(pod_hash="abc"), steps_hash="", pods=(pod(0),))

    assert _restarted(seen, strategy) == Restart(restarted_at=ASKED)


def test_the_gate_stops_a_restart_that_would_take_the_only_pod() -> None:
    strategy = canary(max_unavailable=0, max_surge=1)
    made = rollout(strategy=strategy, replicas=1, restart_at=ASKED)
    alone, two = (pod(0),), (pod(0), pod(1))
    going = EvictPod(name="web-0", uid="u0")
    plan = Plan(actions=(going,), status=made.status)

    def judged(pods: tuple[Pod, ...]) -> str | None:
        seen = Observed(now=NOW, rollout=made, identity=Identity(pod_hash="abc"), steps_hash="steps", pods=pods)
        return violated(seen, plan, going)

    assert judged(alone) == "S11: 0 pods would stay available in a restart where 1 have to"
    assert judged(two) is None


def _restarted(seen: Observed, strategy: CanaryStrategy) -> Restart:
    now = situation(seen, strategy)
    unavailable = values.max_unavailable(strategy, now.replicas)
    return restart_pods(seen, now.revisions, replicas=now.replicas, unavailable=unavailable, started=now.position.started)
