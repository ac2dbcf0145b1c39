"""How fast, how small and how quiet is it? (They stand on the same builders as the tests, in `tests/`.)"""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))
