import math
from random import Random

import pytest

from builders import NOW, canary, replica_set, rollout, service
from tiphys.api.meta import Manifest
from tiphys.core.intent import Routed
from tiphys.core.observed import Identity, Observed, RouterPicture, Verification
from tiphys.traffic.probe import LEFTOVERS, Share, ShareProbe, share_probe
from tiphys.traffic.router import Confirmation

URL = "http://shop.example/version"
ROUTING: Manifest = {
    "istio": {"virtualService": {"name": "web"}},
    "verification": {"probe": {"url": URL, "hashHeader": "x-pod-hash", "requests": 100}},
}


def seen(
    *, weight: int = 20, stable: str = "aaa", other: str = "bbb", uniform: bool = True, replicas: int = 5, routing: Manifest = ROUTING
) -> Observed:
    return Observed(
        now=NOW,
        rollout=rollout(strategy=canary(20, routing=routing), replicas=replicas),
        identity=Identity(pod_hash="bbb"),
        steps_hash="",
        replica_sets=(replica_set("aaa"), replica_set("bbb")),
        services={"web-stable": service("web-stable", pod_hash=stable), "web-canary": service("web-canary", pod_hash=other)},
        router=RouterPicture(routed=Routed(canary=weight, stable=100 - weight, uniform=uniform)),
    )


def probe(picture: Observed) -> ShareProbe:
    found = share_probe(picture)
    assert found is not None
    return found


def judged(there: ShareProbe, *, unnamed: int = 0, failed: int = 0, **counts: int) -> Confirmation:
    (question,) = there.questions({})
    total = sum(counts.values()) + unnamed + failed
    return there.confirmed(
        {}, {question.key: {"requests": total, "counts": counts, "unnamed": unnamed, "failed": failed, "error": "connection refused"}}
    )


def test_the_shares_are_those_of_the_routes_by_the_hashes_behind_them() -> None:
    assert probe(seen(weight=20)).shares == (Share(pod_hash="aaa", weight=80, maximum=100), Share(pod_hash="bbb", weight=20, maximum=100))


def test_one_version_behind_both_has_everything() -> None:
    assert probe(seen(weight=60, stable="bbb")).shares == (Share(pod_hash="bbb", weight=100, maximum=100),)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        pytest.param(seen(stable=""), "not told apart by pod hash", id="a Service that selects all pods"),
        pytest.param(seen(uniform=False), "the routes do not tell one share", id="routes that differ"),
        pytest.param(seen(replicas=0), "no pods are wanted", id="no pods"),
    ],
)
def test_where_nobody_can_know_nobody_is_asked(picture: Observed, why: str) -> None:
    there = probe(picture)

    assert list(there.questions({})) == []
    answer = there.confirmed({}, {})
    assert answer.verified is Verification.CANNOT_KNOW
    assert why in answer.detail


def test_a_rollout_without_a_probe_has_none() -> None:
    assert share_probe(seen(routing={"istio": {"virtualService": {"name": "web"}}})) is None


def test_rollouts_with_the_same_probe_share_the_question_and_others_do_not() -> None:
    other: Manifest = {**ROUTING, "verification": {"probe": {"url": URL, "hashHeader": "x-pod-hash", "requests": 50}}}

    (one,), (same,), (different,) = (probe(picture).questions({}) for picture in (seen(weight=20), seen(weight=50), seen(routing=other)))

    assert one == same
    assert one.key != different.key
    assert one.via == "probe"
    assert (one.request["method"], one.request["requests"]) == ("GET", 100)


@pytest.mark.parametrize(
    ("weight", "counted", "verified"),
    [
        (20, 20, Verification.YES),
        (20, 4, Verification.YES),
        (20, 36, Verification.YES),
        (20, 3, Verification.NOT_YET),
        (20, 37, Verification.NOT_YET),
        (20, 100, Verification.NOT_YET),
        (0, 0, Verification.YES),
        (0, LEFTOVERS, Verification.YES),
        (0, LEFTOVERS + 1, Verification.NOT_YET),
        (100, 100, Verification.YES),
        (100, 100 - LEFTOVERS, Verification.YES),
        (100, 99 - LEFTOVERS, Verification.NOT_YET),
    ],
)
def test_shares_are_judged_by_chance_and_the_ends_exactly(weight: int, counted: int, verified: Verification) -> None:
    assert judged(probe(seen(weight=weight)), aaa=100 - counted, bbb=counted).verified is verified


def test_tolerance_widens_the_bounds_by_percentage_points() -> None:
    wide: Manifest = {**ROUTING, "verification": {"probe": {**ROUTING["verification"]["probe"], "tolerance": 5}}}
    there = probe(seen(weight=20, routing=wide))

    assert judged(there, aaa=59, bbb=41).verified is Verification.YES
    assert judged(there, aaa=58, bbb=42).verified is Verification.NOT_YET


def test_a_fair_proxy_is_practically_never_refused_and_a_wrong_one_is() -> None:
    dice = Random(7)  # noqa: S311 - no secret
    share = Share(pod_hash="bbb", weight=20, maximum=100)
    fair = [sum(dice.random() < 0.2 for _ in range(400)) for _ in range(2000)]

    refused = [count for count in fair if share.problem(count, 400, 0)]

    assert len(refused) <= 3, refused
    assert share.problem(400 * 35 // 100, 400, 0)
    assert math.isclose(sum(fair) / len(fair), 80, rel_tol=0.02), "the dice are fair"


def test_what_is_wrong_is_said_in_numbers() -> None:
    assert judged(probe(seen(weight=20)), aaa=50, bbb=50) == Confirmation(
        verified=Verification.NOT_YET,
        detail=f"probe of {URL}: aaa gave 50 of 100 answers, and 64 to 96 are wanted; bbb gave 50 of 100 answers, and 4 to 36 are wanted",
    )


def test_strangers_silence_and_answers_without_a_hash_confirm_nothing() -> None:
    there = probe(seen(weight=20))

    assert judged(there, aaa=75, bbb=20, ccc=5).detail.endswith("of 100 answers some came from pods that get nothing here: ccc 5")
    assert judged(there, aaa=70, bbb=20, failed=10).detail.endswith("10 of 100 requests got no answer (connection refused)")
    assert judged(there, aaa=70, bbb=20, unnamed=10).detail.endswith("10 of 100 answers told no pod hash")
    assert judged(there, aaa=78, bbb=20, ccc=2).verified is Verification.YES, "the last requests that were on their way"
