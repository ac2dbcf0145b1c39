from dataclasses import replace

import pytest

from builders import NOW, canary, replica_set, rollout
from tiphys.api.meta import Manifest
from tiphys.api.status import CanaryStatus, RolloutStatus, TrafficWeights, WeightDestination
from tiphys.core.actions import Because, Why
from tiphys.core.intent import Routed
from tiphys.core.observed import Identity, Observed, RouterPicture, Verification
from tiphys.core.verified import confirmed_before, not_verified, nothing_waits

ROUTING: Manifest = {"istio": {"virtualService": {"name": "web"}}}


def recorded(weight: int, *, verified: bool | None) -> CanaryStatus:
    sides = (WeightDestination(weight=weight), WeightDestination(weight=100 - weight))
    return CanaryStatus(weights=TrafficWeights(canary=sides[0], stable=sides[1], verified=verified))


def seen(
    *,
    stable: str = "aaa",
    template: str = "aaa",
    others: int = 0,
    routed: Routed | None = None,
    weight: int = 0,
    verified: bool | None = True,
) -> Observed:
    status = RolloutStatus(stable_rs=stable, current_pod_hash=template, canary=recorded(weight, verified=verified))
    return Observed(
        now=NOW,
        rollout=rollout(strategy=canary(20, routing=ROUTING), status=status),
        identity=Identity(pod_hash=template, known=frozenset({template})),
        steps_hash="",
        replica_sets=(replica_set("aaa", replicas=5), replica_set("bbb", replicas=others)),
        router=RouterPicture(routed=routed or Routed(canary=0, stable=100)),
    )


@pytest.mark.parametrize(
    ("picture", "waits"),
    [
        pytest.param(seen(), False, id="one version and no other pods"),
        pytest.param(seen(stable=""), False, id="before a first stable version"),
        pytest.param(seen(template="bbb"), True, id="an update on its way"),
        pytest.param(seen(others=1), True, id="old pods that are to go"),
        pytest.param(replace(seen(), replica_sets=()), True, id="nothing that carries the template"),
    ],
)
def test_something_waits_while_a_version_is_on_its_way_or_goes(picture: Observed, waits: bool) -> None:  # noqa: FBT001 - a table's column
    assert nothing_waits(picture) is not waits


@pytest.mark.parametrize(
    ("picture", "confirmed"),
    [
        pytest.param(seen(), True, id="the weights that stand there"),
        pytest.param(seen(verified=False), False, id="not confirmed"),
        pytest.param(seen(verified=None), False, id="never told"),
        pytest.param(seen(weight=20), False, id="other weights"),
        pytest.param(seen(routed=Routed(canary=0, stable=100, uniform=False)), False, id="routes that differ"),
        pytest.param(replace(seen(), router=None), False, id="no router"),
    ],
)
def test_what_the_status_says_counts_for_exactly_these_weights(picture: Observed, confirmed: bool) -> None:  # noqa: FBT001 - a table's column
    assert confirmed_before(picture) is confirmed


def test_the_reason_has_the_words_of_who_was_asked_and_the_times() -> None:
    picture = RouterPicture(routed=None, verified=Verification.NOT_YET, detail="balancer gives 0", heard_at=NOW, ask_at=NOW)

    assert not_verified(picture, "Rollout web", "canary weight 20, confirmed") == Because(
        why=Why.NOT_VERIFIED,
        object="Rollout web",
        wanted="canary weight 20, confirmed",
        found="balancer gives 0 (at 2026-05-04T12:00:00Z)",
        look_at=NOW,
    )


def test_without_any_answer_the_reason_says_so() -> None:
    assert not_verified(RouterPicture(routed=None), "Rollout web", "it").found == "no confirmation"
