"""Do the promises of the matrix hold through real proxies, for a cell of every row and every column?"""

from conformance.cells import Outcome
from conformance.matrix import diagonal, play

SEED = 2_026


def told(outcome: Outcome) -> str:
    """Say what somebody needs to know who has to repair it."""
    lines = "\n      ".join(outcome.log)
    again = f'PYTHONPATH=tests python -m conformance --seed {SEED} "{outcome.row}" "{outcome.column}"'
    return f"{outcome.row}, {outcome.column}: {outcome.problem}\n      {lines}\n    again: {again}"


async def test_the_diagonal_keeps_its_promises() -> None:
    outcomes = await play(diagonal(), seed=SEED)

    assert not [told(outcome) for outcome in outcomes if outcome.problem]
    assert sum(outcome.failures for outcome in outcomes) == 0
    assert sum(outcome.requests for outcome in outcomes) > 5_000
