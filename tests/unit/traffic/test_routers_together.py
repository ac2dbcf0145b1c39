"""What do several answers amount to?"""

import pytest

from tiphys.core.intent import Backend, Role, Routed
from tiphys.core.observed import Verification
from tiphys.traffic.router import Confirmation
from tiphys.traffic.together import combine, combine_verified

YES, NOT_YET, CANNOT_KNOW = Verification.YES, Verification.NOT_YET, Verification.CANNOT_KNOW


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ((), CANNOT_KNOW),
        ((CANNOT_KNOW,), CANNOT_KNOW),
        ((CANNOT_KNOW, YES), YES),
        ((YES, YES), YES),
        ((YES, NOT_YET, CANNOT_KNOW), NOT_YET),
    ],
)
def test_one_not_yet_outweighs_everything_then_one_yes(answers: tuple[Verification, ...], verdict: Verification) -> None:
    confirmations = [Confirmation(verified=answer, detail=f"{answer} {index}") for index, answer in enumerate(answers)]

    together = combine_verified(confirmations)

    assert together.verified is verdict
    assert together.detail == "; ".join(said.detail for said in confirmations if said.verified is verdict)


def test_the_largest_weights_count_and_different_answers_are_not_uniform() -> None:
    low = Routed(canary=20, stable=80, experiments=(Backend(role=Role.EXPERIMENT, service="a", weight=5),))
    high = Routed(canary=30, stable=70, experiments=(Backend(role=Role.EXPERIMENT, service="a", weight=3),))

    assert combine([low, high]) == Routed(canary=30, stable=80, experiments=low.experiments, uniform=False)
    assert combine([low, low]) == low


def test_hashes_come_from_whoever_knows_them_and_must_agree() -> None:
    by_service = Routed(canary=0, stable=100)
    one = Routed(canary=0, stable=100, canary_hash="a", stable_hash="b")
    other = Routed(canary=0, stable=100, canary_hash="c", stable_hash="b")

    assert combine([by_service, one]) == one
    together = combine([one, other])
    assert together is not None
    assert not together.uniform


def test_what_nobody_can_read_is_nothing_and_what_one_cannot_read_is_not_uniform() -> None:
    known = Routed(canary=20, stable=80)

    assert combine([]) is None
    assert combine([None, None]) is None
    assert combine([known, None]) == Routed(canary=20, stable=80, uniform=False)
