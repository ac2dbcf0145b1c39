"""Has every pinned case of the reference a test, and can none of them get lost?"""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[2]
NUMBERED: Final = re.compile(r"test_([0-9]{2})_[a-z]")
CASES: Final = 52
"""How many cases section 11 of the lifecycle reference pins; a test of one is called `test_NN_` and what it claims."""


@cache
def numbered() -> tuple[tuple[str, str], ...]:
    """Give file and name of every test that is called by a number, in the order of the files."""
    found: list[tuple[str, str]] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if NUMBERED.search(text):
            tests = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
            found += [(path.name, test.name) for test in tests if NUMBERED.match(test.name)]
    return tuple(found)


def test_every_pinned_case_has_a_test_and_no_other_number_is_used() -> None:
    numbers = {int(name[5:7]) for _, name in numbered()}

    assert sorted(numbers) == list(range(1, CASES + 1))


def test_no_test_of_a_pinned_case_hides_another_of_the_same_name() -> None:
    assert [name for name, times in Counter(name for _, name in numbered()).items() if times > 1] == []
