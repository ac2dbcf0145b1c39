"""What every kind of test needs."""

import gc
import signal

import pytest
from hypothesis import HealthCheck, settings

from goldens import Case, Golden
from settling.figures import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]

# How long an example takes says more about the machine's other work than about us.
settings.register_profile("tiphys", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiphys")

# Whoever starts the suite in the background may ignore interrupts, and what tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Stories make many short-lived objects and few cycles: a third of their time went into looking for cycles.
gc.set_threshold(50_000, 20, 20)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what comes out as the new golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    def compare(case: Case, actual: object) -> None:
        case.compare(actual, update=request.config.getoption("--update-golden"))

    return compare
