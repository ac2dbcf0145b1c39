"""Do the promises of the matrix hold through real proxies, for a cell of every row and every column?"""

import secrets

from conformance.cells import Outcome
from conformance.matrix import diagonal, play


def told(outcome: Outcome, seed: int) -> str:
    """Say what somebody needs to know who has to repair it."""
    lines = "\n      ".join(outcome.log)
    again = f'PYTHONPATH=tests python -m conformance --seed {seed} "{outcome.row}" "{outcome.column}"'
    return f"{outcome.row}, {outcome.column}: {outcome.problem}\n      {lines}\n    again: {again}"


async def test_the_diagonal_keeps_its_promises() -> None:
    seed = secrets.randbelow(1_000_000)

    outcomes = await play(diagonal(), seed=seed)

    assert not [told(outcome, seed) for outcome in outcomes if outcome.problem]
    assert sum(outcome.failures for outcome in outcomes) == 0
    assert sum(outcome.requests for outcome in outcomes) > 5_000
